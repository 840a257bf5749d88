"""Pages that several processes render: whoever finishes the render has the images of all of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import drawing
from jinja_imagekit import ImageKit

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")

SITE = """
    import multiprocessing, os, sys, time
    from concurrent.futures import ProcessPoolExecutor
    from pathlib import Path

    from jinja2 import Environment

    from jinja_imagekit import ImageKit

    here = Path(__file__).parent
    kit = ImageKit(
        source_dirs=[here / "images"], location=here / "output", state_dir=here / "state",
        default_cachefile_strategy="jinja_imagekit.cachefiles.strategies.STRATEGY",
    )
    env = kit.install(Environment(autoescape=True))


    def page(width):
        return env.from_string("{% thumbnail size 'a.png' -- alt='' %}").render(size=f"{width}x")


    def check(made, report):
        assert report.ok, report.as_dict()
        assert len(report.generated) + len(report.skipped) == made, report.as_dict()
        assert len(kit.renders.last()) == made
        assert len(list(kit.storage.names())) == made
        assert not (here / "state/notes").exists()


    if __name__ == "__main__":
"""

WAYS = {
    "pool": """
        with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("METHOD")) as pool:
            list(pool.map(page, range(40, 46)))
        page(50)
        check(7, kit.finish())
    """,
    "pool that stays, with pages before and after": """
        page(50)
        with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("METHOD")) as pool:
            list(pool.map(page, range(40, 46)))
            report = kit.finish()
            assert (report.ok, len(kit.renders.last())) == (True, 7)
            # A second render, of pages that this process and a worker knew, and new ones.
            page(50)
            list(pool.map(page, range(40, 48)))
            report = kit.finish()
            assert report.ok and {len(kit.renders.last())} == {9}, report.as_dict()
            assert kit.finish().total == 0
            assert len(kit.renders.last()) == 9
    """,
}

FORK = """
        page(50)
        children = []
        for width in range(40, 44):
            pid = os.fork()
            if not pid:
                page(50)
                page(width)
                os._exit(0)
            children.append(pid)
        for pid in children:
            os.waitpid(pid, 0)
        check(5, kit.finish())
"""

CHILD_FINISHES = """
        page(50)
        pid = os.fork()
        if not pid:
            page(40)
            report = kit.finish()
            os._exit(0 if report.ok and len(report.generated) == 2 and len(kit.renders.last()) == 2 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        page(60)
        check(3, kit.finish())
"""

ONE_BY_ONE = """
        if sys.argv[1] == "finish":
            check(3, kit.finish())
        else:
            page(int(sys.argv[1]))
"""


def write_site(folder: Path, run: str, method: str = "spawn", strategy: str = "Deferred") -> Path:
    (folder / "images").mkdir()
    drawing.photo(160, 120, 1).save(folder / "images/a.png")
    path = folder / "mysite.py"
    text = textwrap.dedent(SITE) + textwrap.indent(textwrap.dedent(run), "    ")
    path.write_text(text.replace("METHOD", method).replace("STRATEGY", strategy), encoding="utf-8")
    return path


def run(script: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False, cwd=script.parent)


@pytest.mark.parametrize("strategy", ["Deferred", "JustInTime"])
@pytest.mark.parametrize("method", ["spawn", pytest.param("fork", marks=needs_fork)])
@pytest.mark.parametrize("way", WAYS)
def test_a_pool_renders_the_pages(tmp_path: Path, way: str, method: str, strategy: str) -> None:
    """The process that finishes has what its workers' pages need, though they end without a word, or stay."""
    result = run(write_site(tmp_path, WAYS[way], method, strategy))
    assert (result.returncode, result.stderr) == (0, "")


@needs_fork
@pytest.mark.parametrize("code", [FORK, CHILD_FINISHES], ids=["parent finishes", "child finishes"])
def test_forks_render_the_pages(tmp_path: Path, code: str) -> None:
    """A child notes what the parent had noted as well, and any of them has what all need."""
    result = run(write_site(tmp_path, code))
    assert (result.returncode, result.stderr) == (0, "")


def test_processes_render_one_after_another(tmp_path: Path) -> None:
    """Three scripts each render a page and end; a fourth finishes."""
    script = write_site(tmp_path, ONE_BY_ONE)
    for width in ("40", "41", "42"):
        assert run(script, width).returncode == 0
    result = run(script, "finish")
    assert (result.returncode, result.stderr) == (0, "")


def test_an_end_without_finish_is_told(tmp_path: Path) -> None:
    """The log says how many images are missing; `doctor` names them, and `generate` makes them."""
    script = write_site(tmp_path, ONE_BY_ONE)
    result = run(script, "40")
    assert result.returncode == 0
    assert "1 image that pages refer to, such as CACHE/images/a/" in result.stderr
    assert "kit.finish()" in result.stderr
    command = [sys.executable, "-m", "jinja_imagekit.cli", "--kit", "mysite:kit"]
    found = subprocess.run([*command, "doctor", "--json"], capture_output=True, text=True, cwd=tmp_path, check=False)
    (finding,) = json.loads(found.stdout)
    assert (found.returncode, finding["kind"]) == (1, "unfinished")
    assert "kit.finish()" in finding["detail"]
    # The same page again adds nothing.
    assert "1 image that pages refer to" in run(script, "40").stderr
    made = subprocess.run([*command, "generate"], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert "1 image made" in made.stdout, made.stderr
    sound = subprocess.run([*command, "doctor"], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert sound.stdout == "Everything is as it should be.\n"


@pytest.mark.parametrize(
    "code",
    [
        "kit.finish()",
        "page(40); kit.finish()",
        "page(40); kit.cachefile('imagekit:thumbnail', source='a.png', width=40).generate()",
        "pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context('spawn'))\n"
        "        pool.submit(page, 40).result(); pool.shutdown(); kit.finish()",
    ],
    ids=["nothing rendered", "finished", "made otherwise", "a worker's end"],
)
def test_an_end_that_owes_nothing_is_silent(tmp_path: Path, code: str) -> None:
    """Neither a process without pages nor a pool's worker has anything to say."""
    result = run(write_site(tmp_path, f"        {code}"))
    assert (result.returncode, result.stderr) == (0, "")


def test_a_build_that_failed_says_its_own_error_alone(tmp_path: Path) -> None:
    """Its pages are not served anyhow."""
    result = run(write_site(tmp_path, "        page(40)\n        1 / 0"))
    assert "ZeroDivisionError" in result.stderr
    assert "kit.finish()" not in result.stderr.rpartition("ZeroDivisionError")[2]


def test_notes_of_a_killed_build_do_no_harm(tmp_path: Path) -> None:
    """Half a line, a source that is gone and one that has changed: the next build is well, and has its own alone."""
    script = write_site(tmp_path, "        page(40)\n        page(41)\n        os._exit(9)")
    run(script)
    (notes,) = (tmp_path / "state/notes").iterdir()
    with notes.open("a") as file:
        file.write(
            '{"file": "CACHE/images/b/1.png", "generator": "imagekit:thumbnail", "kwargs": {"source": "b.png"}}\n'
        )
        file.write(
            '{"file": "CACHE/images/../../x", "generator": "imagekit:thumbnail", "kwargs": {"source": {"path": "/"}}}\n'
        )
        file.write('[1]\nnull\n{"file": 3}\n{"file": "CACHE/images/c/1.png", "genera')
    drawing.photo(160, 120, 2).save(tmp_path / "images/a.png")
    script.write_text(script.read_text().replace("os._exit(9)", "check(2, kit.finish())"))
    result = run(script)
    assert (result.returncode, result.stderr) == (0, "")


def test_a_kill_in_the_middle_of_a_render_loses_no_note(tmp_path: Path) -> None:
    """A worker that is killed has noted each page that it gave out."""
    script = write_site(tmp_path, "        page(40)\n        print('out', flush=True)\n        time.sleep(60)")
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "out\n"
        process.send_signal(signal.SIGTERM if os.name == "nt" else signal.SIGKILL)
    script.write_text(script.read_text().replace("page(40)", "check(1, kit.finish())").replace("time.sleep(60)", ""))
    assert run(script).returncode == 0


def test_a_build_that_runs_again_and_again_leaves_no_heap_of_notes(tmp_path: Path) -> None:
    """Notes that a later run wrote again are deleted; those of other pages stay until somebody finishes."""
    script = write_site(tmp_path, ONE_BY_ONE, strategy="JustInTime")
    run(script, "40")
    for _ in range(5):
        assert run(script, "41").returncode == 0
    assert len(list((tmp_path / "state/notes").iterdir())) == 3
    run(script, "42")
    result = run(script, "finish")
    assert (result.returncode, result.stderr) == (0, "")


def test_old_notes_of_the_dead_count_for_nothing(tmp_path: Path) -> None:
    """After a day nobody finishes a render: its notes go when the next process begins its own."""
    script = write_site(tmp_path, ONE_BY_ONE)
    run(script, "40")
    (notes,) = (tmp_path / "state/notes").iterdir()
    os.utime(notes, (time.time() - 90_000,) * 2)
    run(script, "41")
    assert not notes.exists()
    assert len(list((tmp_path / "state/notes").iterdir())) == 1


def test_a_folder_of_notes_that_cannot_be_written_stops_no_page(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning, and this process still knows what its pages need."""
    drawing.photo(80, 60, 1).save(tmp_path / "a.png")
    kit = ImageKit(source_dirs=[tmp_path], location=tmp_path / "output", state_dir=tmp_path / "state")
    (tmp_path / "state").mkdir()
    (tmp_path / "state/notes").write_text("a file stands here")
    for width in (20, 30):
        assert kit.cachefile("imagekit:thumbnail", source="a.png", width=width).url
    assert caplog.text.count("cannot be noted") == 1
    assert len(kit.finish().skipped) == 2


FAILS = """
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("METHOD")) as pool:
            list(pool.map(page, [40]))
        (failed,) = kit.finish().failed
        assert failed.reason.endswith(" [template '<template>', line 1]"), failed
"""


@pytest.mark.parametrize("method", ["spawn", pytest.param("fork", marks=needs_fork)])
def test_a_failure_names_the_page_of_another_process(tmp_path: Path, method: str) -> None:
    """What a worker's page asked for, and could not be made at the end, is named with template and line."""
    script = write_site(tmp_path, FAILS, method)
    path = tmp_path / "images/a.png"
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 50] = bytes(50)
    path.write_bytes(data)
    result = run(script)
    assert result.returncode == 0, result.stderr
