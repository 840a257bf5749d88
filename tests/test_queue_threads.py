"""Cache files made by threads of the same process."""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import sys
import threading
from io import BytesIO
from pathlib import Path

import pytest
from core_site import BrokenCard, Site, photo_bytes
from PIL import Image
from queue_site import wait_until

from jinja_imagekit import ImageSpec
from jinja_imagekit.queues.threads import Threads


class Held:
    """A processor that waits until it is let go, and counts."""

    def __init__(self) -> None:
        self.may_go = threading.Event()
        self.threads: list[str] = []

    def process(self, image: Image.Image) -> Image.Image:
        """Wait."""
        self.threads.append(threading.current_thread().name)
        assert self.may_go.wait(20)
        return image.resize((40, 30))

    def output_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the size of the result."""
        return 40, 30

    def fingerprint(self) -> str:
        """Return what stands for all of this class."""
        return "held"


@pytest.fixture
def held() -> Held:
    """Return a processor that waits."""
    return Held()


@pytest.fixture
def site(tmp_path: Path, held: Held) -> Site:
    """Return a site whose files are made by threads."""
    site = Site(tmp_path, default_cachefile_backend="jinja_imagekit.queues.threads.Threads")

    class HeldCard(ImageSpec):
        processors = (held,)
        format = "PNG"

    site.kit.register.generator("held", HeldCard)
    return site


def test_a_thread_makes_what_a_page_asks_for(site: Site, held: Held) -> None:
    """A file is false at first, known by its size, made once on another thread, and true then."""
    site.write("canal.jpg")
    asked = [site.kit.cachefile("held", source="canal.jpg") for _ in range(4)]
    assert [bool(file) for file in asked] == [False] * 4
    assert (asked[0].width, asked[0].height) == (40, 30)
    held.may_go.set()
    wait_until(lambda: site.kit.cachefile("held", source="canal.jpg"), "the file is made")
    assert len(held.threads) == 1
    assert held.threads[0].startswith("imagekit")


def test_a_page_of_many_threads_has_each_file_made_once(site: Site, held: Held) -> None:
    """Sixteen requests at once schedule a file once."""
    site.write("canal.jpg")
    start = threading.Barrier(16)
    answers: list[bool] = []

    def ask() -> None:
        start.wait()
        answers.append(bool(site.kit.cachefile("held", source="canal.jpg")))

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [False] * 16
    held.may_go.set()
    wait_until(lambda: site.kit.cachefile("held", source="canal.jpg"), "the file is made")
    assert len(held.threads) == 1


def test_a_failure_is_logged_and_remembered(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody sees what a thread raises: the log says it, and the next page does not try again."""
    site.kit.register.generator("broken", BrokenCard)
    site.write("canal.jpg")
    file = site.kit.cachefile("broken", source="canal.jpg")
    assert not file
    wait_until(lambda: any("the ink ran out" in each.getMessage() for each in caplog.records), "the log says why")
    assert not file
    assert [each.levelno for each in caplog.records] == [logging.ERROR]


def test_an_upload_is_made_at_once(site: Site, held: Held) -> None:
    """It may be closed by the time a thread would read it."""
    held.may_go.set()
    assert site.kit.cachefile("held", source=BytesIO(photo_bytes()))
    assert held.threads == [threading.current_thread().name]


def test_what_waits_is_made_before_the_process_ends(tmp_path: Path) -> None:
    """A script that asks and ends leaves the file behind."""
    site = Site(tmp_path)
    site.write("canal.jpg")
    script = (
        "import sys; from pathlib import Path; from jinja_imagekit import ImageKit\n"
        "root = Path(sys.argv[1])\n"
        "kit = ImageKit(source_dirs=[root / 'images'], location=root / 'output', state_dir=root / 'state',"
        " default_cachefile_backend='jinja_imagekit.queues.threads.Threads')\n"
        "print(bool(kit.cachefile('imagekit:thumbnail', source='canal.jpg', width=20)))\n"
    )
    ran = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False"]
    assert len(site.files()) == 1


def test_the_backend_goes_to_other_processes() -> None:
    """A pickled backend has as many threads, and none of its own yet."""
    backend = pickle.loads(pickle.dumps(Threads(workers=5)))
    assert vars(backend)["_workers"] == 5


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_process_that_was_forked_has_threads_of_its_own(tmp_path: Path) -> None:
    """A server that makes an image and then forks its workers has images made in them, too."""
    site = Site(tmp_path)
    site.write("a.jpg", seed=1)
    site.write("b.jpg", seed=2)
    script = (
        "import os, sys, time; from pathlib import Path; from jinja_imagekit import ImageKit\n"
        "root = Path(sys.argv[1])\n"
        "kit = ImageKit(source_dirs=[root / 'images'], location=root / 'output', state_dir=root / 'state',"
        " default_cachefile_backend='jinja_imagekit.queues.threads.Threads')\n"
        "def wait(name):\n"
        "    end = time.monotonic() + 10\n"
        "    while not kit.cachefile('imagekit:thumbnail', source=name, width=20) and time.monotonic() < end:\n"
        "        time.sleep(0.01)\n"
        "wait('a.jpg')\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    wait('b.jpg')\n"
        "    os._exit(0)\n"
        "os.waitpid(child, 0)\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", script, str(tmp_path)], check=True, timeout=60)
    assert len(site.files()) == 2
