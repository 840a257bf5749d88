"""Parts that are made once: whoever makes one holds up nobody else, and a fork in the middle hangs no child."""

from __future__ import annotations

import io
import os
import pickle
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from core_site import Counter, Site, photo_bytes

from jinja_imagekit.once import made_once

LONG = 30.0
"""Seconds after which a test gives up waiting for what takes milliseconds."""


class HeldUpload(io.BytesIO):
    """An upload that is read when the test says so."""

    name = "held.jpg"

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.is_read = threading.Event()
        self.go_on = threading.Event()

    def read(self, size: int | None = -1, /) -> bytes:
        """Wait for the test, then read."""
        self.is_read.set()
        assert self.go_on.wait(LONG)
        return super().read(size)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Return a site with two photos."""
    site = Site(tmp_path)
    site.write("a.jpg")
    site.write("b.jpg", seed=1)
    return site


def test_a_slow_source_holds_up_no_other_image(site: Site) -> None:
    """While one thread works out the name of an upload's image, others get theirs."""
    upload = HeldUpload(photo_bytes())
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(lambda: site.kit.cachefile("card", source=upload).url)
        try:
            assert upload.is_read.wait(LONG)
            assert pool.submit(lambda: site.kit.cachefile("card", source="a.jpg").url).result(LONG)
            assert not slow.done()
        finally:
            upload.go_on.set()
        assert slow.result(LONG)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_that_is_forked_in_the_middle_goes_on(site: Site) -> None:
    """A child that is forked while a thread works out a name makes images, that thread's among them."""
    upload = HeldUpload(photo_bytes())
    file = site.kit.cachefile("card", source=upload)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(lambda: file.url)
        assert upload.is_read.wait(LONG)
        child = os.fork()
        if not child:
            # A child that hangs is ended by the alarm.
            signal.alarm(int(LONG))
            upload.go_on.set()
            upload.seek(0)
            made = site.kit.cachefile("card", source="b.jpg").url and file.url
            os._exit(0 if made else 1)
        assert os.waitpid(child, 0)[1] == 0
        upload.go_on.set()
        assert slow.result(LONG)


def test_a_value_that_many_threads_ask_for_is_made_once() -> None:
    """Each gets the same one, and another object has its own."""
    made, ready = Counter(), threading.Barrier(8)

    class Holder:
        @made_once
        def part(self) -> object:
            made()
            threading.Event().wait(0.02)
            return object()

    first, second = Holder(), Holder()

    def ask(_: int) -> object:
        ready.wait(LONG)
        return first.part

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(8)))) == 1
    assert second.part is not first.part
    assert made.count == 2


def test_a_value_that_could_not_be_made_is_made_by_the_next() -> None:
    """An error is not kept: of threads that wait for each other, the next one tries, and only one at a time."""
    ready, busy, tries = threading.Barrier(8), threading.Lock(), Counter()

    class Holder:
        @made_once
        def part(self) -> int:
            assert busy.acquire(blocking=False)
            try:
                tries()
                threading.Event().wait(0.01)
                if tries.count < 4:
                    raise ValueError("not yet")
                return tries.count
            finally:
                busy.release()

    holder = Holder()

    def ask(_: int) -> Any:
        ready.wait(LONG)
        try:
            return holder.part
        except ValueError:
            return None

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(8)))
    assert sorted(found, key=str) == [4, 4, 4, 4, 4, None, None, None]


class Kept:
    """An object with a value that fails at first."""

    fails = True

    @made_once
    def part(self) -> int:
        """The value."""
        if self.fails:
            raise ValueError("not yet")
        return 7


def test_an_object_is_pickled_with_its_values() -> None:
    """Neither a value that was made nor one that could not be keeps an object from being pickled."""
    kept = Kept()
    with pytest.raises(ValueError, match="not yet"):
        _ = kept.part
    pickle.loads(pickle.dumps(kept))
    kept.fails = False
    assert kept.part == 7
    assert vars(pickle.loads(pickle.dumps(kept)))["part"] == 7
