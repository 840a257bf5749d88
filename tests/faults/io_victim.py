"""Runs a piece of work again and again, each time with another failing call, and says what became of it.

Started with `fail_io.c` preloaded; for each run a process is forked, in which one call on files below the folder fails.

    python io_victim.py FOLDER SCENARIO '[[n, errno, forever, reads], …]'
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent.parent), str(HERE.parent.parent / "examples")]

from jinja2 import Environment  # noqa: E402  # the path first

from jinja_imagekit import ImageKit  # noqa: E402
from jinja_imagekit.exceptions import ImageKitError  # noqa: E402
from jinja_imagekit.processors import ResizeToFill, ResizeToFit  # noqa: E402
from jinja_imagekit.sourcegroups import GlobSourceGroup  # noqa: E402

PAGE = "{% generateimage 'card' source='0.png' %}{% thumbnail '20x' '1.png' %}{{ '0.png' | thumbnail('x9') }}"

Files = dict[str, bytes]


def make_kit(folder: Path, **settings: Any) -> ImageKit:
    """Return a kit over the folder's images."""
    kit = ImageKit(
        source_dirs=[folder / "images"], location=folder / "output", state_dir=folder / "state", fsync=True, **settings
    )
    kit.spec("card", processors=[ResizeToFill(16, 12)], format="JPEG")
    kit.spec("wide", processors=[ResizeToFit(12)], format="PNG")
    for id in ("card", "wide"):
        kit.register.source_group(id, GlobSourceGroup("*.png"))
    return kit


def generate(folder: Path) -> bool:
    """Make all that is registered."""
    kit = make_kit(folder)
    report = kit.generate(workers=2)
    kit.close()
    return report.ok


def render(folder: Path) -> bool:
    """Render a page that makes its images."""
    kit = make_kit(folder)
    environment = kit.install(Environment(autoescape=True))
    assert environment.from_string(PAGE).render().count("<img") == 3
    kit.close()
    return True


def build(folder: Path) -> bool:
    """Render a page, make its images at the end, publish them, and look after the cache."""
    kit = make_kit(folder, default_cachefile_strategy="jinja_imagekit.cachefiles.strategies.Deferred")
    environment = kit.install(Environment(autoescape=True))
    assert environment.from_string(PAGE).render().count("<img") == 3
    report = kit.finish(workers=1)
    published = kit.publish(folder / "output/site")
    kit.prune()
    kit.close()
    return report.ok and published.ok


def mend(folder: Path) -> bool:
    """Make all, lose one file and damage another, and have the doctor mend it."""
    kit = make_kit(folder)
    first = kit.generate(workers=1).ok
    kit.doctor(fix=True)
    kit.clear("wide")
    second = kit.generate(workers=1).ok
    kit.close()
    return first and second


SCENARIOS: dict[str, Callable[[Path], bool]] = {each.__name__: each for each in (generate, render, build, mend)}


def visible(folder: Path) -> Files:
    """Return the files of the output folder by name."""
    found = (path for path in (folder / "output").rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def in_fork(work: Callable[[], str]) -> str:
    """Do some work in a process of its own, and return what it says."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(reading)
        said = "undocumented: it ended without a word"
        try:
            said = work()
        except ImageKitError as error:
            said = f"error: {type(error).__name__}"
        except BaseException as error:  # noqa: BLE001  # told to whoever asked
            said = f"undocumented: {type(error).__name__}: {error}"
        finally:
            os.write(writing, said.encode()[:4000])
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        said = pipe.read().decode()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return said if not status else f"undocumented: it ended with {status}"


def main() -> None:
    """Run what the command line says."""
    folder, scenario = Path(sys.argv[1]).resolve(), SCENARIOS[sys.argv[2]]
    library: Any = ctypes.CDLL(None)
    library.fail_io_arm.argtypes = [ctypes.c_char_p, ctypes.c_long, ctypes.c_int, ctypes.c_int, ctypes.c_int]
    library.fail_io_calls.restype = ctypes.c_long
    logging.disable()
    # What is imported within a run would be counted in the first one alone.
    with tempfile.TemporaryDirectory() as name, contextlib.suppress(ImageKitError):
        shutil.copytree(folder / "images", Path(name) / "images")
        scenario(Path(name))
    gc.collect()

    def run(n: int, number: int, forever: int, reads: int) -> str:
        library.fail_io_arm(str(folder).encode(), n, number, forever, reads)
        is_ok = scenario(folder)
        said = "ok" if is_ok else "failures reported"
        return said if n else str(library.fail_io_calls())

    def clean() -> None:
        for each in ("output", "state"):
            shutil.rmtree(folder / each, ignore_errors=True)

    clean()
    in_fork(lambda: run(0, 0, 0, 1))
    expected = visible(folder)
    for fault in json.loads(sys.argv[3]):
        clean()
        said = in_fork(lambda fault=fault: run(*fault))  # type: ignore[misc]
        problems = [said] if said.startswith("undocumented") else []
        files = visible(folder)
        problems += [f"{name} is visible and not whole" for name in files if _is_partial(name, files, expected)]
        healed = in_fork(lambda: "ok" if scenario(folder) else "failures")
        problems += [f"the next run: {healed}"] if healed != "ok" else []
        after = visible(folder)
        problems += [f"the next run left out {name}" for name in expected.keys() - after.keys()]
        problems += [f"the next run left {name}" for name in after.keys() - expected.keys()]
        problems += [f"the next run made another {name}" for name in after if after[name] != expected.get(name)]
        print(json.dumps({"fault": fault, "said": said, "problems": problems}), flush=True)


def _is_partial(name: str, files: Files, expected: Files) -> bool:
    return ".imagekit-tmp" not in name and name in expected and files[name] != expected[name]


if __name__ == "__main__":
    main()
