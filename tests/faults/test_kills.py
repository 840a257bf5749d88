"""Killed at any moment, or many at once: what is visible is whole, and the next run makes the rest."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from . import kill_many
from .conftest import FULL, Tally

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")

Rounds = Callable[[int, int], int]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with photos."""
    folder = tmp_path_factory.mktemp("kills")
    kill_many.draw_images(folder, 100 if FULL else 30)
    return folder


@pytest.fixture(scope="module")
def large_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with so many photos that processes that start one after another still meet."""
    folder = tmp_path_factory.mktemp("many")
    kill_many.draw_images(folder, 500 if FULL else 30)
    return folder


def test_killed_at_random_moments(folder: Path, rounds: Rounds, tally: Tally) -> None:
    """After some kills and one more run every byte is a clean run's, and nothing else is left."""
    said: list[str] = []
    kills = rounds(4, 200)
    problems = kill_many.kill_many(folder, kills=kills, seed=1, say=said.append)
    tally(kills, "kills -9", problems=len(problems))
    assert problems == []
    assert said


@pytest.mark.parametrize("runs", [8, pytest.param(32, marks=pytest.mark.skipif(not FULL, reason="at full strength"))])
def test_many_at_once(large_folder: Path, runs: int, tally: Tally) -> None:
    """Processes that make the same files make each of them once, and all succeed."""
    for path in (large_folder / "together", large_folder / "together-state"):
        subprocess.run(["rm", "-rf", path], check=True)
    said: list[str] = []
    problems = kill_many.run_many(large_folder, runs=runs, say=said.append)
    tally(runs, "processes at once", found=said[0].rpartition("generated")[2].partition(", ")[2] if said else "")
    assert problems == []


def test_workers_that_are_killed_and_started_again(folder: Path, rounds: Rounds, tally: Tally) -> None:
    """Four runs at once, one of which is killed every moment: the files are a clean run's, few are made twice."""
    kill_many._finish(kill_many.start(folder, "alone"))
    expected = kill_many.files_in(folder / "alone")
    chance, kills = random.Random(2), rounds(3, 60)
    killed = 0
    while killed < kills:
        subprocess.run(["rm", "-rf", folder / "four"], check=True)
        runs = [kill_many.start(folder, "four") for _ in range(4)]
        while any(run.poll() is None for run in runs):
            time.sleep(chance.uniform(0.2, 0.6))
            index = chance.randrange(4)
            if killed < kills and runs[index].poll() is None:
                runs[index].kill()
                runs[index].communicate()
                runs[index] = kill_many.start(folder, "four")
                killed += 1
        for run in runs:
            run.communicate()
        kill_many._finish(kill_many.start(folder, "four"))
        assert kill_many.files_in(folder / "four") == expected
    assert not list((folder / "four-state").rglob("*.lock"))
    tally(killed, "kills of one of four", wrong=0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_stopped_by_a_signal(folder: Path, number: int, rounds: Rounds, tally: Tally) -> None:
    """The command ends soon, with the status that shells expect; it leaves whole files and nothing half written."""
    kill_many._finish(kill_many.start(folder, "clean"))
    expected = kill_many.files_in(folder / "clean")
    (folder / "stopped.py").write_text(
        f"import sys; sys.path.insert(0, {str(kill_many.HERE)!r}); import kill_many; from pathlib import Path\n"
        f"kit = kill_many.make_kit(Path({str(folder)!r}), 'stopped')\n"
    )
    command = [sys.executable, "-m", "jinja_imagekit.cli", "--kit", "stopped:kit", "generate", "--force"]
    chance, count = random.Random(number), rounds(2, 60)
    for _ in range(count):
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
            assert run.stdout is not None
            run.stdout.readline()
            time.sleep(chance.uniform(0, 0.3))
            run.send_signal(number)
            begun = time.monotonic()
            rest, errors = run.communicate(timeout=30)
            assert time.monotonic() - begun < 5
        # When all is done the interpreter ends, and takes no signals any more.
        assert run.returncode == 128 + number or " failed, in " in rest, (run.returncode, errors)
        assert "Traceback" not in errors
        files = kill_many.files_in(folder / "stopped")
        assert {name: data for name, data in files.items() if expected.get(name) != data} == {}
    tally(count, "signals", wrong=0)


BUILD = """
    import sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[1])
    import kill_many
    from jinja2 import Environment
    folder = Path(sys.argv[2])
    kit = kill_many.make_kit(folder, "site")
    kit = type(kit)(kit.settings.replace(default_cachefile_strategy="jinja_imagekit.cachefiles.strategies.Deferred"))
    env = kit.install(Environment(autoescape=True))
    names = sorted(path.name for path in (folder / "images").iterdir())
    page = "{% for name in names %}{% thumbnail '24x' name -- alt='' %}{% endfor %}"
    for start in range(0, len(names), 10):
        env.from_string(page).render(names=names[start:start + 10])
    print("rendered", flush=True)
    assert kit.finish().ok
    assert kit.publish(folder / "public").ok
    kit.prune()
    kit.close()
"""


def test_a_build_that_is_killed(folder: Path, rounds: Rounds, tally: Tally) -> None:
    """While pages render, while images are made, while they are published: the next build puts all of it right."""
    script = folder / "build.py"
    script.write_text(textwrap.dedent(BUILD))
    command = [sys.executable, str(script), str(kill_many.HERE), str(folder)]
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    whole = time.perf_counter() - begun
    expected = kill_many.files_in(folder / "public")
    assert len(expected) == len(list((folder / "images").iterdir()))
    chance, kills = random.Random(3), rounds(3, 60)
    for _ in range(kills):
        for path in sorted((folder / "site").rglob("*.jpg")):
            if chance.random() < 0.5:
                path.unlink()
        for path in sorted((folder / "public").rglob("*.jpg")):
            if chance.random() < 0.5:
                path.unlink()
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
            time.sleep(chance.uniform(whole * 0.3, whole))
            run.kill()
        visible = kill_many.files_in(folder / "public")
        assert {
            name for name, data in visible.items() if ".imagekit-tmp" not in name and data != expected[name]
        } == set()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert kill_many.files_in(folder / "public") == expected
    tally(kills, "kills of a build", wrong=0)
