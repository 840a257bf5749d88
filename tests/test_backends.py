"""Backends: made when the call returns, and the base on which those are built that make files elsewhere."""

from __future__ import annotations

import queue
from pathlib import Path
from typing import Any

import pytest
from core_site import BrokenCard, Card, Counter, Site, settled

from jinja_imagekit import ImageKit
from jinja_imagekit.cachefiles.backends import BaseAsync, CacheFileBackend, Simple
from jinja_imagekit.cachefiles.strategies import JustInTime
from jinja_imagekit.exceptions import GenerationFailed, InvalidSetting, StorageError, UnreadableImage
from jinja_imagekit.state import MemoryStore, Records


class Queue(BaseAsync):
    """An asynchronous backend whose worker is the test."""

    def __init__(self) -> None:
        self.scheduled: queue.Queue[tuple[Any, bool]] = queue.Queue()

    def schedule_generation(self, file: Any, force: bool = False) -> None:
        """Put the file into the queue."""
        self.scheduled.put((file, force))

    def work(self) -> None:
        """Make what is scheduled, as a worker would."""
        while not self.scheduled.empty():
            file, force = self.scheduled.get()
            self.make_scheduled(file, force)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Return a site with one photo."""
    site = Site(tmp_path)
    site.write("a.jpg")
    return site


@pytest.fixture
def backend() -> Queue:
    """Return a backend with an empty queue."""
    return Queue()


@pytest.fixture
def kit(site: Site, backend: Queue) -> ImageKit:
    """Return a kit with that backend."""
    return site.new_kit(default_cachefile_backend=backend)


def test_simple_is_the_default(site: Site) -> None:
    """A file exists when the call returns, whole and recorded."""
    assert isinstance(site.kit.cachefile_backend, Simple)
    assert not site.kit.cachefile_backend.is_async
    file = site.kit.cachefile("card", source="a.jpg")
    assert not file.cachefile_backend.exists(file)
    file.generate()
    assert file.cachefile_backend.exists(file)
    record = file.cachefile_backend.record(file)
    assert (record.width, record.height, record.format, record.generator, record.source) == (
        24,
        16,
        "JPEG",
        "card",
        "a.jpg",
    )


@pytest.mark.parametrize("value", [Simple, Simple(), "jinja_imagekit.cachefiles.backends.Simple"])
def test_forms_of_a_backend(site: Site, value: object) -> None:
    """A class, an object or a dotted path."""
    assert isinstance(site.new_kit(default_cachefile_backend=value).cachefile_backend, Simple)


@pytest.mark.parametrize("value", [3, object, {"generate": print}, JustInTime])
def test_no_backend(site: Site, value: object) -> None:
    """Anything else is an error that names the setting."""
    with pytest.raises(InvalidSetting, match=r"'default_cachefile_backend': must be a CacheFileBackend"):
        _ = site.new_kit(default_cachefile_backend=value).cachefile_backend


def test_a_scheduled_file_is_false_until_it_is_made(site: Site, kit: ImageKit, backend: Queue) -> None:
    """Its truth is that it exists; its URL and size are known all along, its content is not."""
    file = kit.cachefile("card", source="a.jpg")
    assert not file
    assert not site.files()
    assert file.url == f"/{file.name}"
    assert (file.width, file.height) == (24, 16)
    with pytest.raises(StorageError, match=r"it has not been made yet; test the file's truth"):
        _ = file.size
    backend.work()
    assert file
    assert file.width == 24


def test_a_file_is_scheduled_once(kit: ImageKit, backend: Queue) -> None:
    """However many tags ask for it before the worker comes to it, from however many cache files."""
    for _ in range(5):
        assert not kit.cachefile("card", source="a.jpg")
    assert backend.scheduled.qsize() == 1
    backend.work()
    assert kit.cachefile("card", source="a.jpg")
    assert backend.scheduled.qsize() == 0


def test_a_file_is_scheduled_again_when_it_is_gone(site: Site, kit: ImageKit, backend: Queue) -> None:
    """A claim ends with the work."""
    file = kit.cachefile("card", source="a.jpg")
    assert not file
    backend.work()
    Path(file.path).unlink()
    assert not file
    assert backend.scheduled.qsize() == 1


def test_a_lost_job_is_scheduled_again(site: Site, backend: Queue) -> None:
    """A claim is a lease: when a queue loses its jobs, they are void after a while."""
    now = [0.0]
    kit = site.new_kit(default_cachefile_backend=backend)
    kit.__dict__["records"] = Records(MemoryStore(clock=lambda: now[0]), clock=lambda: now[0])
    assert not kit.cachefile("card", source="a.jpg")
    backend.scheduled.get()
    now[0] = 299
    assert not kit.cachefile("card", source="a.jpg")
    assert backend.scheduled.qsize() == 0
    now[0] = 301
    assert not kit.cachefile("card", source="a.jpg")
    assert backend.scheduled.qsize() == 1


def test_force_schedules_what_exists(kit: ImageKit, backend: Queue) -> None:
    """And the worker makes it again."""
    file = kit.cachefile("card", source="a.jpg")
    file.generate()
    backend.work()
    before = Path(file.path).stat().st_ino
    file.generate()
    assert backend.scheduled.qsize() == 0
    file.generate(force=True)
    backend.work()
    assert Path(file.path).stat().st_ino != before


def test_a_failure_in_the_worker(kit: ImageKit, backend: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tags do not schedule again what has just failed, the claim is released, and the page goes on without."""
    kit.register.generator("broken", BrokenCard)
    file = kit.cachefile("broken", source="a.jpg")
    assert not file
    with pytest.raises(GenerationFailed, match=r"the ink ran out"):
        backend.work()
    assert not kit.cachefile("broken", source="a.jpg")
    assert backend.scheduled.qsize() == 0
    kit.records.forget(str(file.name))
    assert not kit.cachefile("broken", source="a.jpg")
    assert backend.scheduled.qsize() == 1


def test_a_worker_that_comes_late_makes_nothing_twice(
    kit: ImageKit, backend: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that is delivered twice is done once."""
    made = Counter()
    generate = Card.generate
    monkeypatch.setattr(Card, "generate", lambda self: (made(), generate(self))[1])
    assert not kit.cachefile("card", source="a.jpg")
    job = backend.scheduled.queue[0]
    backend.scheduled.put(job)
    backend.work()
    assert made.count == 1


def test_a_remembered_failure_is_of_the_same_class(site: Site) -> None:
    """What could not be read is told so the second time too, with its source."""
    settled(site.images / "bad.jpg", b"GIF89a")
    errors = []
    for _ in range(2):
        with pytest.raises(UnreadableImage) as caught:
            site.kit.cachefile("card", source="bad.jpg").generate()
        errors.append((type(caught.value), caught.value.source, str(caught.value)))
    assert errors[0] == errors[1]
    assert errors[0][1] == "bad.jpg"


def test_a_generator_that_returns_no_file(site: Site) -> None:
    """The error says what `generate()` has to return."""

    class Silent:
        def generate(self) -> None:
            return None

        def fingerprint(self) -> str:
            return "silent"

    with pytest.raises(GenerationFailed, match=r"generate\(\) must return an open binary file, not None"):
        _ = site.kit.cachefile_of(Silent()).url


def test_an_interrupt_leaves_no_claim_and_no_lock(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while an image is made leaves nothing behind: the next use makes it."""
    generate = Card.generate

    def interrupted(self: Card) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(Card, "generate", interrupted)
    file = site.kit.cachefile("card", source="a.jpg")
    with pytest.raises(KeyboardInterrupt):
        _ = file.url
    assert not site.files()
    monkeypatch.setattr(Card, "generate", generate)
    assert file.url
    assert site.new_kit().cachefile("card", source="a.jpg").width == 24


def test_the_base_says_what_is_missing() -> None:
    """A backend has to say how files are made."""
    with pytest.raises(TypeError, match=r"abstract"):
        CacheFileBackend()  # type: ignore[abstract]
    with pytest.raises(TypeError, match=r"schedule_generation"):
        BaseAsync()  # type: ignore[abstract]
