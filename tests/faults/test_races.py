"""Many threads and processes at once: each image is made once, each URL works, nobody reads half a file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from jinja_imagekit import ImageKit
from jinja_imagekit.processors import ResizeToFill
from jinja_imagekit.state import DiskStore

from . import kill_many
from .conftest import Tally

Rounds = Callable[[int, int], int]


def make_kit(folder: Path) -> ImageKit:
    return kill_many.make_kit(folder, "output")


def test_threads_make_each_image_once(tmp_path: Path, rounds: Rounds, tally: Tally) -> None:
    """Sixteen threads with kits of their own over one folder; the process's standard error stays where it was."""
    count = rounds(20, 500)
    kill_many.draw_images(tmp_path, count)
    before = os.fstat(2)
    with ThreadPoolExecutor(16) as pool:
        reports = list(pool.map(lambda _: make_kit(tmp_path).generate(workers=1), range(16)))
    made = sum(len(report.generated) for report in reports)
    tally(16, "threads", made=made, of=2 * count)
    assert all(report.ok for report in reports)
    assert made == 2 * count
    assert (os.fstat(2).st_dev, os.fstat(2).st_ino) == (before.st_dev, before.st_ino)


PAGES = """
    import re, sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[1])
    import kill_many
    from jinja2 import Environment
    from PIL import Image
    folder, count = Path(sys.argv[2]), int(sys.argv[3])
    kit = kill_many.make_kit(folder, "output")
    env = kit.install(Environment(autoescape=True))
    opened = 0
    for number in range(count):
        html = env.from_string("{% generateimage 'card' source=name %}{% thumbnail '9x9' name %}").render(
            name=f"{number % 10:04}.jpg")
        for url in re.findall(r'src="/([^"]+)"', html):
            with Image.open(folder / "output" / url) as image:
                image.load()
            opened += 1
    assert opened == 2 * count
"""


@pytest.mark.skipif(os.name != "posix", reason="status by signal")
def test_a_url_works_when_its_page_is_rendered(tmp_path: Path, rounds: Rounds, tally: Tally) -> None:
    """Processes render the same pages at once; each opens what its page names, as a browser would."""
    kill_many.draw_images(tmp_path, 10)
    (tmp_path / "pages.py").write_text(textwrap.dedent(PAGES))
    processes, pages = rounds(4, 32), rounds(20, 100)
    command = [sys.executable, str(tmp_path / "pages.py"), str(kill_many.HERE), str(tmp_path), str(pages)]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(processes)]
    errors = [run.communicate(timeout=600)[1] for run in running]
    tally(processes * pages, "pages", dead_urls=0 if not any(errors) else "some")
    assert [run.returncode for run in running] == [0] * processes, errors


def test_a_reader_never_sees_half_a_file(tmp_path: Path, rounds: Rounds, tally: Tally) -> None:
    """One thread makes an image again and again, of two contents; another reads it all the while."""
    kill_many.draw_images(tmp_path, 1)
    kit = make_kit(tmp_path)
    file = kit.cachefile("card", source="0000.jpg")
    file.generate()
    path, count = Path(file.path), rounds(100, 5_000)
    whole, done, sizes = path.read_bytes(), threading.Event(), []

    def make() -> None:
        for _ in range(count):
            file.generate(force=True)
        done.set()

    thread = threading.Thread(target=make)
    thread.start()
    while not done.is_set():
        sizes.append(path.read_bytes() == whole)
    thread.join()
    tally(len(sizes), f"reads during {count:,} writes", short=sizes.count(False))
    assert all(sizes)


HOLD = """
    import sys, time
    from jinja_imagekit.state import DiskStore
    with DiskStore(sys.argv[1]).lock("held"):
        print("held", flush=True)
        time.sleep(600)
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGSTOP")
def test_a_stopped_holder_delays_nobody_else(tmp_path: Path, tally: Tally) -> None:
    """Its own name waits, all others go on; when it is killed, who waits has the lock at once."""
    store = DiskStore(tmp_path / "state")
    command = [sys.executable, "-c", textwrap.dedent(HOLD), str(tmp_path / "state")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        holder.send_signal(signal.SIGSTOP)
        taken = threading.Event()
        moments: list[float] = []

        def want() -> None:
            with DiskStore(tmp_path / "state").lock("held"):
                moments.append(time.perf_counter())
                taken.set()

        thread = threading.Thread(target=want)
        thread.start()
        for number in range(50):
            with store.lock(f"other {number}"):
                store.set_many({f"key {number}": "1"})
        assert not taken.is_set()
        holder.kill()
        holder.wait()
        killed = time.perf_counter()
        assert taken.wait(10)
        thread.join()
    tally(50, "other locks beside a stopped one", handed_over=f"after {(moments[0] - killed) * 1000:.0f} ms")
    store.close()


def test_a_page_and_a_run_make_the_same(tmp_path: Path, rounds: Rounds) -> None:
    """While `generate()` makes all, pages ask for the same files, and a clear takes them away: all are whole."""
    count = rounds(15, 200)
    kill_many.draw_images(tmp_path, count)
    kit, other = make_kit(tmp_path), make_kit(tmp_path)
    problems: list[str] = []
    stop = threading.Event()

    def visit() -> None:
        while not stop.is_set():
            for number in range(count):
                with Image.open(BytesIO(other.cachefile("card", source=f"{number:04}.jpg").read())) as image:
                    image.load()
                    if image.size != (40, 30):
                        problems.append(f"{number} has {image.size}")

    def clear() -> None:
        while not stop.is_set():
            other.clear("wide")
            time.sleep(0.02)

    threads = [threading.Thread(target=each) for each in (visit, clear)]
    for thread in threads:
        thread.start()
    reports = [kit.generate(force=True) for _ in range(3)]
    stop.set()
    for thread in threads:
        thread.join()
    assert problems == []
    assert all(report.ok for report in reports)
    final = kit.generate()
    assert final.ok
    assert len(kill_many.files_in(tmp_path / "output")) == 2 * count


def test_specs_and_settings_of_threads_do_not_mix(tmp_path: Path) -> None:
    """Threads that ask one kit for images of many sizes each get theirs."""
    kill_many.draw_images(tmp_path, 4)
    kit = make_kit(tmp_path)
    kit.spec("square", processors=[ResizeToFill(50, 50)], format="PNG")

    def ask(number: int) -> bool:
        source, size, format = f"{number % 4:04}.jpg", (10 + number % 37, 9), "JPEG"
        if number % 5:
            file = kit.cachefile("imagekit:thumbnail", source=source, width=size[0], height=size[1])
        else:
            file, size, format = kit.cachefile("square", source=source), (50, 50), "PNG"
        image = Image.open(BytesIO(file.read()))
        return (file.width, file.height) == image.size == size and image.format == format

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(200)))
