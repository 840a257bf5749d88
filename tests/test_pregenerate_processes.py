"""Pregeneration in processes and on any executor: plain values go out, a dead worker costs its own source."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from core_site import Card, Chart, DeadlyCard, DiesOnce, Site, Slow, Wide, photo_bytes

from jinja_imagekit import ImageKit, ImageSpec, exceptions
from jinja_imagekit.exceptions import CannotRebuild, ImageKitError
from jinja_imagekit.pregenerate import GenerationInterrupted, Outcome
from jinja_imagekit.processors import ResizeToFit
from jinja_imagekit.sourcegroups import GlobSourceGroup

HERE = Path(__file__).parent
PATHS = [str(HERE), str(HERE.parent / "examples"), str(HERE.parent)]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Return a site with four photos and a group of them for the card."""
    site = Site(tmp_path)
    for number in range(4):
        site.write(f"photos/{number}.jpg", seed=number)
    site.kit.register.source_group("card", GlobSourceGroup("photos/*.jpg"))
    return site


def test_the_same_bytes_as_on_threads(site: Site) -> None:
    """Processes make the same files, whose answers this process finds at once; a second run makes nothing."""
    site.kit.register.generator("keywords", site.kit.spec(processors=[ResizeToFit(11, 11)], format="PNG"))
    site.kit.register.source_group("keywords", GlobSourceGroup("photos/0.jpg"))
    site.kit.register.generator("chart", Chart)
    site.kit.register.cachefiles("chart", [{"values": (1, 2)}])
    seen: list[tuple[int, int]] = []
    report = site.kit.generate(processes=True, workers=2, on_progress=lambda _, done, total: seen.append((done, total)))
    assert (len(report.generated), report.failed) == (6, [])
    assert seen == [(number, 6) for number in range(1, 7)]
    assert {each.source_size for each in report.generated} == {0, len(photo_bytes())} | {
        len(photo_bytes(seed=number)) for number in range(4)
    }
    in_processes = site.files()
    assert site.kit.known_files.find("card", {"source": "photos/0.jpg"})
    assert len(site.kit.generate(processes=True).skipped) == 6
    site.kit.generate(force=True)
    assert site.files() == in_processes


class Recorder(Executor):
    """An executor that keeps what it is given and runs it at once."""

    def __init__(self) -> None:
        self.payloads: list[Any] = []

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run it, as another process would: from a pickle, to a pickle."""
        self.payloads.extend(args[0].payloads)
        future: Future[Any] = Future()
        try:
            function, args = pickle.loads(pickle.dumps((function, args)))
            future.set_result(pickle.loads(pickle.dumps(function(*args))))
        except Exception as error:  # noqa: BLE001
            future.set_exception(error)
        return future


def test_payloads_are_plain_values(site: Site) -> None:
    """No pixels and no files: an id, a source's name, keywords, and what leads to the kit."""
    site.kit.register.cachefiles("imagekit:thumbnail", [{"source": site.images / "photos/0.jpg", "width": 7}])
    recorder = Recorder()
    assert len(site.kit.generate(executor=recorder).generated) == 5
    assert len(recorder.payloads) == 4
    for payload in recorder.payloads:
        assert type(payload.source) is str
        assert all(type(id) is str and type(kwargs) is dict for id, kwargs in payload.calls)
        assert len(pickle.dumps(payload)) < 10_000
    assert recorder.payloads[0].calls[0][0] in ("card", "imagekit:thumbnail")


def test_what_is_not_plain_is_made_here(site: Site) -> None:
    """Bytes, uploads, and generators that are registered nowhere."""
    here = [site.kit.cachefile_of(Wide(source=photo_bytes(seed=8)))]
    site.kit.register.cachefiles("card", lambda: [{"source": photo_bytes(seed=9)}, *here])
    recorder = Recorder()
    report = site.kit.generate(executor=recorder)
    assert len(report.generated) == 6
    assert len(recorder.payloads) == 4


@pytest.mark.parametrize("workers", [None, 1, 3])
def test_any_executor(site: Site, workers: int | None) -> None:
    """One of threads does as well, and stays open."""
    with ThreadPoolExecutor(2) as executor:
        assert len(site.kit.generate(executor=executor, workers=workers).generated) == 4
        assert executor.submit(int).result() == 0


def test_a_worker_that_dies_costs_its_own_source(site: Site) -> None:
    """It is tried once more, alone, and then reported; everything else is made."""
    site.write("photos/big.jpg", 160, 120)
    site.kit.register.generator("deadly", DeadlyCard)
    site.kit.register.source_group("deadly", GlobSourceGroup("photos/*.jpg"))
    report = site.kit.generate("deadly", processes=True, workers=2)
    assert len(report.generated) == 4
    assert [(each.generator_id, each.source) for each in report.failed] == [("deadly", "photos/big.jpg")]
    assert "the worker process died twice" in report.failed[0].reason
    assert len(site.files()) == 4


def test_a_worker_that_dies_once(site: Site, tmp_path: Path) -> None:
    """The second attempt counts."""
    site.write("photos/big.jpg", 160, 120)
    processors = [DiesOnce(str(tmp_path / "mark")), ResizeToFit(10)]
    site.kit.register.generator("unlucky", site.kit.spec(processors=processors, format="PNG"))
    site.kit.register.source_group("unlucky", GlobSourceGroup("photos/big.jpg"))
    report = site.kit.generate("unlucky", processes=True, workers=1)
    assert (len(report.generated), report.failed) == (1, [])
    assert (tmp_path / "mark").exists()


def test_an_executor_that_a_dying_worker_breaks(site: Site) -> None:
    """Nothing is left undone or unsaid when the caller's own process pool breaks."""
    site.write("photos/big.jpg", 160, 120)
    site.kit.register.generator("deadly", DeadlyCard)
    site.kit.register.source_group("deadly", GlobSourceGroup("photos/*.jpg"))
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        report = site.kit.generate("deadly", executor=executor, workers=1)
        assert (len(report.generated), len(report.failed)) == (4, 1)
        # It takes nothing any more, which is not a reason to wait for ever.
        assert len(site.kit.generate("card", executor=executor, workers=1).generated) == 5


def test_a_kit_that_cannot_be_rebuilt(site: Site) -> None:
    """A spec that cannot be imported is a clear error before any process is started."""

    class Local(ImageSpec):
        pass

    site.kit.register.generator("local", Local)
    with pytest.raises(CannotRebuild, match=r"Local.*in a module that can be imported.*import_name") as caught:
        site.kit.generate(processes=True)
    assert isinstance(caught.value, ImageKitError)
    assert not site.files()


@pytest.mark.parametrize("import_name", ["no_such_module:kit", "core_site:no_kit", "core_site:Card", "core_site"])
def test_a_kit_whose_import_name_leads_nowhere(site: Site, import_name: str) -> None:
    """The worker's trouble is the run's one error, and not a failure of each image."""
    kit = site.new_kit(import_name=import_name)
    kit.register.source_group("card", GlobSourceGroup("photos/*.jpg"))
    with pytest.raises(CannotRebuild, match=r"cannot be rebuilt in another process"):
        kit.generate(executor=Recorder())


def test_errors_come_back_as_they_are() -> None:
    """Every error of the library survives the way from a worker, with its parts and its place."""
    examples = {
        "InvalidSetting": ("location", "must be a path"),
        "NotRegistered": ("a", ["ab"]),
        "NotFingerprintable": ("x.Y", "value"),
        "UnknownFormat": ("XYZ", ["JPEG"]),
        "InvalidOption": ("quality", 200, "0 to 100"),
        "GenerationFailed": ("a.jpg", "b.jpg", "no"),
        "EncodingFailed": ("a", "JPEG", "no"),
        "UnknownKeyword": ("alt", "x", "card", ["source"]),
    }
    classes = [each for each in vars(exceptions).values() if isinstance(each, type) and issubclass(each, ImageKitError)]
    assert len(classes) > 15
    for each in classes:
        two = issubclass(each, exceptions.SourceError | exceptions.StorageError)  # type: ignore[arg-type]
        error = each(*examples.get(each.__name__, ("a", "b") if two else ("a",)))
        error.generator_id, error.template, error.lineno = "card", "page.html", 3
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is each
        assert str(again) == str(error)
        assert "[generator 'card'] [template 'page.html', line 3]" in str(again)


def test_ctrl_c(site: Site) -> None:
    """It stops within a second or two, says how far it got, and leaves neither processes nor half files."""
    for number in range(8):
        site.write(f"slow/{number}.jpg", seed=20 + number)
    slow = site.kit.spec(processors=[Slow(0.5), ResizeToFit(10)], format="PNG")
    site.kit.register.generator("slow", slow)
    site.kit.register.source_group("slow", GlobSourceGroup("slow/*.jpg"))
    interrupted: list[float] = []

    def interrupt(outcome: Outcome, done: int, total: int) -> None:
        if done == 2:
            interrupted.append(time.perf_counter())
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(GenerationInterrupted) as caught:
        site.kit.generate("slow", workers=2, processes=True, on_progress=interrupt)
    assert time.perf_counter() - interrupted[0] < 2
    made = caught.value.report.generated
    assert 2 <= len(made) < 8
    time.sleep(0.1)
    assert not multiprocessing.active_children()
    assert not [name for name in site.files() if ".imagekit-tmp" in name]
    assert len(site.kit.generate("slow", workers=4).generated) >= 4


def run_script(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Run a script of the user's, as `python build.py`."""
    (folder / "build.py").write_text(dedent(text))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(PATHS)}
    return subprocess.run(
        [sys.executable, "build.py"], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )


SCRIPT = """
    from PIL import ImageOps
    from jinja_imagekit import ImageKit, ImageSpec
    from jinja_imagekit.processors import ResizeToFill

    class Inverted:
        def process(self, image):
            return ImageOps.invert(image)

    class Own(ImageSpec):
        processors = (ResizeToFill(9, 9), Inverted())
        format = "PNG"

    kit = ImageKit(source_dirs=["images"], location="output", state_dir="state")
    kit.register.generator("own", Own)
    kit.register.cachefiles("own", [{"source": "photos/0.jpg"}])
"""


def test_a_script_with_its_own_specs(site: Site) -> None:
    """Specs and processors of the main script make the same names in its worker processes as in itself."""
    script = SCRIPT + (
        """
    if __name__ == "__main__":
        report = kit.generate(processes=True)
        print(report)
        print(report.generated[0].name == kit.cachefile("own", source="photos/0.jpg").name)
    """
    )
    done = run_script(site.root, script)
    assert done.returncode == 0, done.stderr
    assert "1 generated, 0 skipped, 0 failed" in done.stdout
    assert done.stdout.endswith("True\n")


def test_a_script_without_a_guard(site: Site) -> None:
    """A script that must start its work whenever it is imported is told what to write."""
    done = run_script(site.root, SCRIPT + "\n    kit.generate(processes=True)\n")
    assert done.returncode == 1
    assert "if __name__ == '__main__':" in done.stderr.splitlines()[-1]


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_worker_processes_end_with_their_parent(site: Site) -> None:
    """A run that is killed leaves no worker behind that waits for ever."""
    script = """
        import os, sys, time
        from core_site import Slow
        from jinja_imagekit import ImageKit, ImageSpec

        class Slowly(ImageSpec):
            processors = (Slow(0.2),)
            format = "PNG"

        if __name__ == "__main__":
            kit = ImageKit(source_dirs=["images"], location="output", state_dir="state")
            kit.register.generator("slowly", Slowly)
            kit.register.cachefiles("slowly", [{"source": f"photos/{n}.jpg"} for n in range(4)])
            def kill(outcome, done, total):
                from multiprocessing import active_children
                open("workers", "w").write(" ".join(str(each.pid) for each in active_children()))
                os.kill(os.getpid(), 9)
            kit.generate(processes=True, workers=2, on_progress=kill)
        """
    done = run_script(site.root, script)
    assert done.returncode == -9, done.stderr
    workers = [int(pid) for pid in (site.root / "workers").read_text().split()]
    assert workers
    deadline = time.monotonic() + 10
    while any(_is_running(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(_is_running(pid) for pid in workers)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state not in "ZX"


def test_a_kit_by_its_import_name(site: Site) -> None:
    """Worker processes import the kit from where it says, with what only code can hold."""
    (site.root / "mysite_kit.py").write_text(
        dedent(
            f"""
            from jinja_imagekit import ImageKit
            from core_site import Card

            def make_kit():
                kit = ImageKit(
                    source_dirs=[{str(site.images)!r}], location={str(site.output)!r}, state_dir={str(site.state)!r},
                    import_name="mysite_kit:make_kit",
                    default_cachefile_strategy={{"on_existence_required": lambda file: file.generate()}},
                )
                kit.register.generator("card", Card)
                kit.register.cachefiles("card", [{{"source": "photos/0.jpg"}}])
                return kit
            """
        )
    )
    sys.path.insert(0, str(site.root))
    try:
        import mysite_kit  # type: ignore[import-not-found]

        kit = mysite_kit.make_kit()
        with pytest.raises(CannotRebuild):
            pickle.dumps(kit)
        assert len(kit.generate(processes=True).generated) == 1
    finally:
        sys.path.remove(str(site.root))


def test_a_kit_by_value_is_the_same(site: Site) -> None:
    """Settings, generators and their parents arrive, with absolute paths."""
    from jinja_imagekit import GeneratorRegistry

    theme = GeneratorRegistry()
    theme.register("theme:wide", Wide)
    theme.register("theme:card", Wide)
    kit = ImageKit(site.kit.settings, generators=[theme], base_url="/x/")
    kit.register.generator("theme:card", Card)
    again = pickle.loads(pickle.dumps(kit))
    assert again.settings == kit.settings
    assert again.registered("theme:card") is Card
    assert again.registered("theme:wide") is Wide
    assert (
        again.cachefile("theme:card", source="photos/0.jpg").url
        == kit.cachefile("theme:card", source="photos/0.jpg").url
    )
    again.close()
