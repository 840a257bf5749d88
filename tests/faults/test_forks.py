"""Processes that are forked while the library is at work: each child works, none hangs, nothing is made twice."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from . import kill_many
from .conftest import Tally

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")

Rounds = Callable[[int, int], int]

PRELUDE = """
    import logging, os, sys, threading, time, warnings
    from pathlib import Path
    sys.path.insert(0, sys.argv[1])
    warnings.simplefilter("ignore", DeprecationWarning)
    import kill_many
    from jinja_imagekit import ImageKit
    from jinja_imagekit.state import MemoryStore

    folder, children = Path(sys.argv[2]), int(sys.argv[3])


    def fork(work):
        pid = os.fork()
        if not pid:
            status = 1
            try:
                status = work() or 0
            except BaseException as error:
                print(repr(error), file=sys.stderr, flush=True)
            finally:
                os._exit(status)
        return pid


    def wait_for(pids):
        "Return how many did not end well; one that hangs is killed."
        until, wrong = time.monotonic() + 60, 0
        for pid in pids:
            while not os.waitpid(pid, os.WNOHANG)[0] == pid:
                if time.monotonic() > until:
                    os.kill(pid, 9)
                    os.waitpid(pid, 0)
                    wrong += 1
                    break
                time.sleep(0.01)
            else:
                continue
        return wrong
"""

OPEN_CACHE = """
    kit = kill_many.make_kit(folder, "output")
    kit.generate("card")
    counts = [os.pipe() for _ in range(children)]

    def work(number):
        report = kit.generate()
        os.write(counts[number][1], str(len(report.generated)).encode().rjust(9))
        return 0 if report.ok else 1

    pids = [fork(lambda number=number: work(number)) for number in range(children)]
    assert not wait_for(pids)
    made = sum(int(os.read(reading, 9)) for reading, _ in counts)
    assert made == len(list((folder / "images").iterdir())), made
    assert kit.generate().generated == []
    kit.close()
"""

WHILE_WRITING = """
    store = STORE
    kit = kill_many.make_kit(folder, "output")
    kit = type(kit)(kit.settings.replace(state_store=store))
    kit.spec("tile", format="PNG")
    # All is imported by then: what a thread imports while the process forks, Python keeps locked in the child.
    kit.cachefile("tile", source="0000.jpg").generate()
    stop = threading.Event()

    def write(number):
        while not stop.is_set():
            kit.records.store.set_many({f"{number}-{each}": "x" * 50 for each in range(20)})
            kit.cachefile("tile", source=f"{number % 5:04}.jpg").generate(force=True)
            with kit.records.store.lock("shared"):
                pass

    def work():
        for number in range(5):
            kit.cachefile("tile", source=f"{number:04}.jpg").generate(force=True)
            kit.records.store.set_many({"child": "1"})
            assert kit.records.store.get("child") == "1"
            list(kit.records.store.keys())
            with kit.records.store.lock("shared"):
                pass

    threads = [threading.Thread(target=write, args=(number,), daemon=True) for number in range(4)]
    for thread in threads:
        thread.start()
    wrong = 0
    for _ in range(children):
        time.sleep(0.02)
        pid = os.fork()
        if not pid:
            status = 1
            try:
                work()
                status = 0
            except BaseException as error:
                print(repr(error), file=sys.stderr, flush=True)
            finally:
                os._exit(status)
        until = time.monotonic() + 20
        while True:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                wrong += bool(status)
                break
            if time.monotonic() > until:
                os.kill(pid, 9)
                os.waitpid(pid, 0)
                wrong += 1
                print("a child hangs", file=sys.stderr, flush=True)
                break
            time.sleep(0.005)
    stop.set()
    for thread in threads:
        thread.join(10)
    assert not wrong, f"{wrong} of {children}"
"""


def run(folder: Path, code: str, children: int) -> subprocess.CompletedProcess[str]:
    script = folder / "script.py"
    script.write_text(textwrap.dedent(PRELUDE) + textwrap.dedent(code))
    command = [sys.executable, str(script), str(kill_many.HERE), str(folder), str(children)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=3000)


def test_forks_of_a_process_with_an_open_cache(tmp_path: Path, rounds: Rounds, tally: Tally) -> None:
    """Eight children of a process that has made a part make the rest together, each image once."""
    kill_many.draw_images(tmp_path, rounds(20, 500))
    result = run(tmp_path, OPEN_CACHE, 8)
    tally(8, "forks with an open cache", status=result.returncode)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("store", ['"jinja_imagekit.state.DiskStore.from_settings"', "lambda settings: MemoryStore()"])
def test_forks_while_threads_write(tmp_path: Path, store: str, rounds: Rounds, tally: Tally) -> None:
    """Whatever the parent's threads hold at that moment, the child makes its images."""
    kill_many.draw_images(tmp_path, 5)
    children = rounds(5, 100)
    result = run(tmp_path, WHILE_WRITING.replace("STORE", store), children)
    tally(children, "forks while threads write", status=result.returncode)
    assert result.returncode == 0, result.stderr[-2000:]
