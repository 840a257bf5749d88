"""What is sent to a queue, what is made at once, and what becomes of a job, whatever the library."""

from __future__ import annotations

import gc
import importlib
import logging
import socket
import sys
import threading
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from core_site import Card, Site, photo_bytes, settled
from jinja2 import Environment
from queue_site import ListQueue, wait_until

from jinja_imagekit import ImageSpec
from jinja_imagekit.cachefiles.references import Reference, is_confined
from jinja_imagekit.exceptions import InvalidSetting, UnreadableImage
from jinja_imagekit.loading import load_kit
from jinja_imagekit.processors import ResizeToFill
from jinja_imagekit.queues import backend as queue_backend
from jinja_imagekit.queues import leases
from jinja_imagekit.queues.backend import PAUSE_SECONDS
from jinja_imagekit.queues.jobs import ATTEMPTS_SECONDS, MOST_ATTEMPTS, Job, make_job
from jinja_imagekit.state import MemoryStore


@pytest.fixture
def queue() -> ListQueue:
    """Return an empty queue."""
    return ListQueue()


@pytest.fixture
def site(tmp_path: Path, queue: ListQueue, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Return a site whose kit sends jobs to the queue, and which a worker can import."""
    site = Site(tmp_path, default_cachefile_backend=queue, import_name="queue_kit:kit")
    export(monkeypatch, kit=site.kit)
    return site


def export(monkeypatch: pytest.MonkeyPatch, **attributes: Any) -> None:
    """Have a module `queue_kit` with these attributes."""
    module = ModuleType("queue_kit")
    vars(module).update(attributes)
    monkeypatch.setitem(sys.modules, "queue_kit", module)


def records_of(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    """Return what was logged at a level."""
    return [record.getMessage() for record in caplog.records if record.levelno == level]


def test_a_file_is_scheduled_once_and_made_by_the_worker(site: Site, queue: ListQueue) -> None:
    """A file is false and scheduled once until the worker has made it; then it is true, and nothing is scheduled."""
    site.write("canal.jpg")
    assert [bool(site.kit.cachefile("card", source="canal.jpg")) for _ in range(3)] == [False] * 3
    assert len(queue.messages) == 1
    queue.work()
    assert site.kit.cachefile("card", source="canal.jpg")
    assert not queue.messages


def test_a_tag_writes_url_and_size_of_a_file_that_is_still_to_be_made(site: Site, queue: ListQueue) -> None:
    """A page is laid out before its images are made, and is the same when they are."""
    site.write("canal.jpg")
    template = site.kit.install(Environment(autoescape=True)).from_string("{% thumbnail '40x30' 'canal.jpg' %}")
    before = template.render()
    assert 'width="40" height="30"' in before
    assert site.files() == {}
    queue.work()
    assert template.render() == before
    assert len(site.files()) == 1


def test_force_makes_a_file_again(site: Site, queue: ListQueue) -> None:
    """`generate(force=True)` schedules a file that exists."""
    site.write("canal.jpg")
    file = site.kit.cachefile("card", source="canal.jpg")
    file.generate()
    queue.work()
    path = Path(file.path)
    path.write_bytes(b"x" * path.stat().st_size)
    file.generate()
    assert not queue.messages
    file.generate(force=True)
    queue.work()
    assert path.read_bytes() != b"x" * path.stat().st_size


def test_keywords_arrive_as_they_were_sent(site: Site, queue: ListQueue) -> None:
    """Tuples, lists, dicts, numbers and None come out of JSON as what they were."""
    seen: list[dict[str, Any]] = []

    class Sized(Card):
        def __init__(self, source: Any = None, **kwargs: Any) -> None:
            super().__init__(source)
            seen.append(kwargs)
            self.processors = (ResizeToFill(*kwargs["size"]),)

    site.kit.register.generator("sized", Sized)
    site.write("canal.jpg")
    given = {"size": (20, 10), "more": {"a": [1, 2.5, None, True]}}
    assert not site.kit.cachefile("sized", source="canal.jpg", **given)
    queue.work()
    assert seen[-1] == given
    assert type(seen[-1]["size"]) is tuple
    assert site.kit.cachefile("sized", source="canal.jpg", **given)


def test_a_path_outside_the_source_folders_is_sent_as_a_path(site: Site, queue: ListQueue, tmp_path: Path) -> None:
    """A source that the application names by its path is found by the worker."""
    path = settled(tmp_path / "elsewhere" / "canal.jpg", photo_bytes())
    assert not site.kit.cachefile("card", source=path)
    queue.work()
    assert site.kit.cachefile("card", source=path)


def test_a_thumbnail_of_a_hero_is_made_in_one_job(site: Site, queue: ListQueue) -> None:
    """The worker that makes a thumbnail makes the hero first that it is made of."""
    site.write("canal.jpg")
    hero = site.kit.cachefile("card", source="canal.jpg")
    assert not site.kit.cachefile("imagekit:thumbnail", source=hero, width=10, height=10)
    assert len(queue.messages) == 1
    queue.work()
    assert site.kit.cachefile("imagekit:thumbnail", source=hero, width=10, height=10)
    assert site.kit.cachefile("card", source="canal.jpg")
    assert not queue.messages


@pytest.mark.parametrize("source", [BytesIO(photo_bytes()), photo_bytes()], ids=["upload", "bytes"])
def test_what_nobody_else_has_is_made_at_once(
    site: Site, queue: ListQueue, source: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """An upload's image is there when the call returns, and nobody is told off for it."""
    assert site.kit.cachefile("card", source=source)
    assert not queue.messages
    assert not records_of(caplog, logging.WARNING)


def test_keywords_that_are_not_plain_are_told(site: Site, queue: ListQueue, caplog: pytest.LogCaptureFixture) -> None:
    """A generator with an object for a keyword makes its images at once; the log says so once, and what to do."""

    class Tinted(Card):
        def __init__(self, source: Any = None, tint: Any = None) -> None:
            super().__init__(source)

    site.kit.register.generator("tinted", Tinted)
    for name in ("a.jpg", "b.jpg"):
        site.write(name, seed=ord(name[0]))
        assert site.kit.cachefile("tinted", source=name, tint=object())
    assert not queue.messages
    assert records_of(caplog, logging.WARNING) == [
        "Images of tinted are made at once, since no worker could: register the generator, "
        "and give it keywords that are plain values (strings, numbers, lists, dicts)."
    ]


def test_an_upload_that_is_not_an_image_is_an_error_at_once(site: Site) -> None:
    """Whoever passes an upload hears what is wrong with it."""
    with pytest.raises(UnreadableImage):
        bool(site.kit.cachefile("card", source=BytesIO(b"no image")))


def test_a_spec_made_by_hand_is_made_at_once(site: Site, queue: ListQueue, caplog: pytest.LogCaptureFixture) -> None:
    """A generator that is registered nowhere cannot be named to a worker; the log names its class."""
    path = site.write("canal.jpg")
    assert site.kit.cachefile_of(Card(source=path))
    assert not queue.messages
    assert "core_site.Card" in records_of(caplog, logging.WARNING)[0]


def test_a_kit_that_workers_cannot_find_is_an_error(tmp_path: Path, queue: ListQueue) -> None:
    """Without an import_name, the first file says what to pass."""
    site = Site(tmp_path, default_cachefile_backend=queue)
    site.write("canal.jpg")
    with pytest.raises(InvalidSetting, match=r"ImageKit\(import_name='mysite:kit'"):
        site.kit.cachefile("card", source="canal.jpg").generate()


def test_state_that_is_not_shared_is_an_error(tmp_path: Path, queue: ListQueue) -> None:
    """What a worker records in another process's memory, no page would ever see."""
    site = Site(
        tmp_path,
        default_cachefile_backend=queue,
        import_name="queue_kit:kit",
        state_store=lambda settings: MemoryStore(),
    )
    site.write("canal.jpg")
    with pytest.raises(InvalidSetting, match="MemoryStore is not shared"):
        site.kit.cachefile("card", source="canal.jpg").generate()


def test_a_broker_that_is_gone_breaks_no_page(
    site: Site, queue: ListQueue, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files stay false, the log says it once, and once the broker is back the next page schedules what it needs."""
    now = [1000.0]
    monkeypatch.setattr(queue_backend, "time", SimpleNamespace(monotonic=lambda: now[0]))
    files = []
    for name in ("a.jpg", "b.jpg"):
        site.write(name, seed=ord(name[0]))
        files.append(site.kit.cachefile("card", source=name))
    queue.is_down = True
    assert [bool(file) for file in files] == [False, False]
    assert len(records_of(caplog, logging.ERROR)) == 1
    assert "connection refused" in records_of(caplog, logging.ERROR)[0]
    queue.is_down = False
    assert [bool(file) for file in files] == [False, False]
    assert not queue.messages
    now[0] += PAUSE_SECONDS
    assert [bool(file) for file in files] == [False, False]
    assert len(queue.messages) == 2


def test_a_job_of_a_generator_that_is_gone_is_told_and_its_claim_released(
    site: Site, queue: ListQueue, caplog: pytest.LogCaptureFixture
) -> None:
    """A worker of an older version of the site says so; a newer one may make the file."""
    site.kit.register.generator("new", Card)
    site.write("canal.jpg")
    file = site.kit.cachefile("new", source="canal.jpg")
    assert not file
    site.kit.unregister.generator("new")
    queue.work()
    assert "No generator is registered as 'new'" in records_of(caplog, logging.ERROR)[0]
    site.kit.register.generator("new", Card)
    assert site.kit.records.claim(file.name)


def test_a_source_replaced_before_its_job_is_made_anew(site: Site, queue: ListQueue) -> None:
    """The worker makes what the source is by then, and the claim under the old name ends."""
    site.write("canal.jpg", seed=1)
    old = site.kit.cachefile("card", source="canal.jpg")
    assert not old
    settled(site.images / "canal.jpg", photo_bytes(seed=2), age=30)
    queue.work()
    new = site.kit.cachefile("card", source="canal.jpg")
    assert new.name != old.name
    assert new
    assert site.kit.records.claim(old.name)


def test_an_image_that_workers_died_over_is_tried_again_after_a_while(site: Site, queue: ListQueue) -> None:
    """Whoever begins leaves a count behind that ends with the image; after several deaths it has failed."""
    site.write("canal.jpg")
    file = site.kit.cachefile("card", source="canal.jpg")
    key = f"imagekit:attempts:{file.name}"
    store = site.kit.records.store
    store.set_many({key: str(MOST_ATTEMPTS)}, ATTEMPTS_SECONDS)
    assert not file
    queue.work()
    failure = site.kit.records.failure(file.name)
    assert failure is not None
    assert "3 workers died" in failure.reason
    site.kit.records.forget(file.name)
    store.set_many({key: str(MOST_ATTEMPTS - 1)}, ATTEMPTS_SECONDS)
    assert not file
    queue.work()
    assert file
    assert store.get(key) is None


def test_pregeneration_makes_files_itself(site: Site, queue: ListQueue) -> None:
    """`kit.generate()` returns when everything is made, whatever the backend."""
    site.write("canal.jpg")
    site.kit.register.cachefiles("card", [{"source": "canal.jpg"}])
    report = site.kit.generate()
    assert len(report.generated) == 1
    assert not queue.messages
    assert site.kit.cachefile("card", source="canal.jpg")


@pytest.mark.parametrize(
    "message", [None, [], {}, {"version": 1}, {"version": 99, "kit": "a:b", "generator": "c", "kwargs": {}}]
)
def test_a_message_that_is_not_a_job_is_dropped(message: Any, caplog: pytest.LogCaptureFixture) -> None:
    """What somebody else put into the queue is told in the log, and the worker goes on."""
    make_job(message)
    (told,) = records_of(caplog, logging.ERROR)
    assert told.startswith("A message was dropped: ")
    assert "run the same version" in told


@pytest.mark.parametrize("call", [lambda: make_job(), lambda: make_job({}, 3), lambda: make_job(message={})])
def test_a_call_that_no_job_makes_is_dropped(call: Callable[[], None], caplog: pytest.LogCaptureFixture) -> None:
    """Whatever arguments a message has, it is no error of the queue's, which would try again."""
    call()
    assert records_of(caplog, logging.ERROR)[0].startswith("A message was dropped: ")


@pytest.mark.parametrize("kit", ["os:abort", "poison:kit", "poison", "queue_kit:other", "queue_kit:kit.close", ""])
def test_nothing_is_imported_or_called_on_the_word_of_a_message(
    site: Site, tmp_path: Path, kit: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A kit that the process neither made nor was started with is told in the log, with what to do."""
    (tmp_path / "poison.py").write_text("kit = None")
    monkeypatch.syspath_prepend(tmp_path)
    called: list[str] = []
    export(monkeypatch, kit=site.kit, other=lambda: called.append("other"))
    make_job(Job(kit, "card", {"source": "canal.jpg"}, "CACHE/x.png", False).message())
    assert "poison" not in sys.modules
    assert not called
    (told,) = records_of(caplog, logging.ERROR)
    assert "names a kit that this worker was not started with" in told
    assert f"IMAGEKIT_KITS={kit}" in told


def test_a_worker_is_started_with_the_names_of_kits(
    site: Site, queue: ListQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `IMAGEKIT_KITS` names is imported when a job comes, and is no poison."""
    site.write("canal.jpg")
    export(monkeypatch, later=site.kit)
    job = Job("queue_kit:later", "card", {"source": "canal.jpg"}, "CACHE/x.png", False)
    make_job(job.message())
    assert not site.files()
    monkeypatch.setenv("IMAGEKIT_KITS", "elsewhere:kit, queue_kit:later")
    make_job(job.message())
    assert len(site.files()) == 1


def test_a_kit_that_cannot_be_imported_yet_is_for_the_queue_to_try_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a site is deployed its module may be missing."""
    monkeypatch.setenv("IMAGEKIT_KITS", "no_such_module:kit")
    with pytest.raises(InvalidSetting, match="no module 'no_such_module'"):
        make_job(Job("no_such_module:kit", "card", {}, "CACHE/x.png", False).message())


@pytest.mark.parametrize(
    "kwargs", [{"source": ["canal.jpg"]}, {"source": 3}, {"nope": 1}, {"source": {"source": "x:y"}}]
)
def test_a_job_that_cannot_be_done_is_told_in_the_log(
    site: Site, kwargs: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever its keywords make a generator do, the worker goes on."""
    make_job(Job("queue_kit:kit", "card", kwargs, "CACHE/x.png", False).message())
    assert "Cache file 'CACHE/x.png' could not be made" in records_of(caplog, logging.ERROR)[0]


class HungQueue(ListQueue):
    """A queue whose broker takes a message and does not answer, until it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.may_answer = threading.Event()
        self.asked = 0

    def send(self, message: dict[str, Any]) -> None:
        """Wait."""
        self.asked += 1
        self.may_answer.wait()
        super().send(message)


def test_a_broker_that_never_answers_is_waited_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A page is shown without its images; the next try comes when the broker has answered, and a pause is over."""
    monkeypatch.setattr(queue_backend, "SEND_SECONDS", 0.05)
    queue = HungQueue()
    site = Site(tmp_path, default_cachefile_backend=queue, import_name="queue_kit:kit")
    export(monkeypatch, kit=site.kit)
    names = [site.write(f"{number}.jpg", seed=number) for number in range(3)]
    assert [bool(site.kit.cachefile("card", source=name)) for name in names] == [False] * 3
    assert queue.asked == 1
    (told,) = records_of(caplog, logging.ERROR)
    assert "the broker has not answered within 0.05 seconds. Check that the broker is running." in told
    # The pause is over, but the sender still hangs: nobody waits for it a second time.
    vars(queue)["_paused_until"] = 0.0
    assert not site.kit.cachefile("card", source=names[1])
    assert queue.asked == 1
    queue.may_answer.set()
    wait_until(lambda: site.kit.cachefile("card", source=names[1]) or len(queue.messages) == 2, "the next job is sent")
    queue.work()
    assert site.kit.cachefile("card", source=names[1])


def test_the_thread_that_sends_ends_with_its_backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that makes kit after kit does not gather threads."""
    before = set(threading.enumerate())
    queue = ListQueue()
    site = Site(tmp_path, default_cachefile_backend=queue, import_name="queue_kit:kit")
    export(monkeypatch, kit=site.kit)
    assert not site.kit.cachefile("card", source=site.write("a.jpg"))
    assert set(threading.enumerate()) - before
    monkeypatch.undo()
    del site, queue
    gc.collect()
    wait_until(lambda: not set(threading.enumerate()) - before, "the thread ends")


@pytest.mark.parametrize("library", ["celery", "rq", "dramatiq"])
def test_no_library_keeps_a_page_waiting_for_a_silent_broker(
    tmp_path: Path, library: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A socket that accepts and says nothing stands for the broker."""
    monkeypatch.setattr(queue_backend, "SEND_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"redis://127.0.0.1:{server.getsockname()[1]}/0"
        backend = silent_backend(library, url, monkeypatch)
        site = Site(tmp_path, default_cachefile_backend=backend, import_name="queue_kit:kit")
        site.write("canal.jpg")
        template = site.kit.install(Environment()).from_string("{% generateimage 'card' source='canal.jpg' %}")
        assert template.render().startswith("<img ")
        (told,) = records_of(caplog, logging.ERROR)
        assert "the broker has not answered within 0.2 seconds" in told
        assert site.kit.records.claim(site.kit.cachefile("card", source="canal.jpg").name)


def silent_backend(library: str, url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a library's backend with a broker at a URL."""
    if library == "rq":
        from jinja_imagekit.queues.rq import RQ

        return RQ(url=url)
    if library == "celery":
        from celery import Celery as Application

        from jinja_imagekit.queues.celery import Celery

        return Celery(Application("silent", broker=url, set_as_current=False))
    import dramatiq
    from dramatiq.brokers.redis import RedisBroker

    monkeypatch.setattr(dramatiq.broker, "global_broker", RedisBroker(url=url))
    # Its actor belongs to the broker that is set when it is imported.
    monkeypatch.setitem(sys.modules, "jinja_imagekit.queues.dramatiq", ModuleType("another"))
    del sys.modules["jinja_imagekit.queues.dramatiq"]
    return importlib.import_module("jinja_imagekit.queues.dramatiq").Dramatiq()


def test_a_claim_ends_soon_after_the_process_that_makes_the_image(site: Site) -> None:
    """A claim that nobody renews is void within seconds, and not within the minutes for which a job may wait."""
    records, now = site.kit.records, [1000.0]
    vars(records)["_clock"] = lambda: now[0]
    assert records.claim("CACHE/a.png")
    now[0] += 299
    assert not records.claim("CACHE/a.png")
    records.renew("CACHE/a.png", leases.LEASE_SECONDS)
    now[0] += leases.LEASE_SECONDS - 1
    assert not records.claim("CACHE/a.png")
    records.renew("CACHE/a.png", leases.LEASE_SECONDS)
    now[0] += leases.LEASE_SECONDS + 1
    assert records.claim("CACHE/a.png")


def test_a_job_that_is_lost_is_sent_again_soon_and_then_ever_less_often(site: Site, queue: ListQueue) -> None:
    """A worker may die with what it had fetched and not begun: after 15 seconds, a minute and five minutes."""
    records, now = site.kit.records, [1000.0]
    vars(records)["_clock"] = lambda: now[0]
    site.write("canal.jpg")
    for seconds in (15, 60, 240, 300, 300):
        assert not site.kit.cachefile("card", source="canal.jpg")
        assert len(queue.messages) == 1
        queue.messages.clear()
        now[0] += seconds - 1
        assert not site.kit.cachefile("card", source="canal.jpg")
        assert not queue.messages
        now[0] += 2
    assert not site.kit.cachefile("card", source="canal.jpg")
    queue.work()
    assert site.kit.cachefile("card", source="canal.jpg")


def test_a_claim_is_renewed_as_long_as_the_work_lasts(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends with the work, whatever that raised, and so does the thread that renews it."""
    monkeypatch.setattr(leases, "BEAT_SECONDS", 0.01)
    records, held, renewed = site.kit.records, leases.Leases(), []
    renew = records.renew
    monkeypatch.setattr(records, "renew", lambda name, seconds: (renewed.append(seconds), renew(name, seconds)))

    def work() -> None:
        with held.holding(records, "CACHE/a.png"):
            wait_until(lambda: len(renewed) > 3, "the claim has been renewed three times")
            assert not records.claim("CACHE/a.png")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        work()
    assert set(renewed) == {leases.LEASE_SECONDS}
    wait_until(lambda: "imagekit-leases" not in [thread.name for thread in threading.enumerate()], "nothing is renewed")
    assert records.claim("CACHE/a.png")


def test_a_kit_is_found_where_its_import_name_says(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be a kit, an attribute of something, what a factory returns (once), or an application's extension."""
    made: list[Any] = []

    def factory() -> Any:
        made.append(site.kit)
        return site.kit

    app = SimpleNamespace(extensions={"imagekit": site.kit})
    holder = SimpleNamespace(kit=site.kit)
    export(monkeypatch, kit=site.kit, app=app, holder=holder, factory=factory, create_app=lambda: app)
    for name in ("kit", "app", "holder.kit", "factory", "create_app"):
        assert load_kit(f"queue_kit:{name}") is site.kit
    assert load_kit("queue_kit:factory") is site.kit
    assert len(made) == 1


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("queue_kit", "module:attribute"),
        (":kit", "module:attribute"),
        ("no_such_module:kit", "no module 'no_such_module'"),
        ("queue_kit:nothing", "leads to no 'nothing'"),
        ("os:sep", "is not an ImageKit, but of type str"),
        ("queue_kit:bare", "is not an ImageKit, but of type NoneType"),
    ],
)
def test_an_import_name_that_leads_to_no_kit_is_an_error(name: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what is there instead."""
    export(monkeypatch, bare=SimpleNamespace(extensions={}))
    with pytest.raises(InvalidSetting, match=says):
        load_kit(name)


def test_a_spec_may_have_a_backend_of_its_own(
    tmp_path: Path, queue: ListQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One spec's images go to the queue while the others are made at once."""
    site = Site(tmp_path, import_name="queue_kit:kit")
    export(monkeypatch, kit=site.kit)

    class Slow(ImageSpec):
        processors = (ResizeToFill(30, 20),)
        format = "PNG"
        cachefile_backend = queue

    site.kit.register.generator("slow", Slow)
    site.write("canal.jpg")
    assert site.kit.cachefile("card", source="canal.jpg")
    assert not site.kit.cachefile("slow", source="canal.jpg")
    queue.work()
    assert site.kit.cachefile("slow", source="canal.jpg")


@pytest.mark.parametrize("library", ["celery", "rq", "dramatiq"])
def test_a_library_that_is_not_installed_is_told(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error of its backend says what to install."""
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, f"jinja_imagekit.queues.{library}", raising=False)
    with pytest.raises(ModuleNotFoundError, match=rf"pip install 'jinja-imagekit\[{library}\]'"):
        importlib.import_module(f"jinja_imagekit.queues.{library}")


def test_a_page_whose_images_exist_asks_no_backend(
    site: Site, queue: ListQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A warm tag costs what it costs without a queue; a file that is deleted is scheduled again all the same."""
    site.write("canal.jpg")
    template = site.kit.install(Environment(autoescape=True)).from_string(
        "{% generateimage 'card' source='canal.jpg' %}"
    )
    template.render()
    queue.work()
    template.render()
    asked: list[str] = []
    generate = queue.generate
    monkeypatch.setattr(queue, "generate", lambda file, force=False: (asked.append(file.name), generate(file, force)))
    template.render()
    assert asked == []
    site.kit.cachefile("card", source="canal.jpg").delete()
    template.render()
    assert len(queue.messages) == 1


def test_a_backend_of_ones_own_is_asked_each_time(tmp_path: Path) -> None:
    """A class that inherits from a known backend may do anything, unless it states that it does not."""
    asked: list[str] = []

    class Counting(ListQueue):
        def generate(self, file: Any, force: bool = False) -> None:
            asked.append(file.name)
            super().generate(file, force)

    site = Site(tmp_path, default_cachefile_backend=Counting(), import_name="queue_kit:kit")
    site.write("canal.jpg")
    site.kit.register.cachefiles("card", [{"source": "canal.jpg"}])
    site.kit.generate()
    template = site.kit.install(Environment(autoescape=True)).from_string(
        "{% generateimage 'card' source='canal.jpg' %}"
    )
    template.render()
    asked.clear()
    template.render()
    assert asked


def test_a_reference_of_a_source_may_be_a_path() -> None:
    """What is read back from a place where anyone could have written it must not name a file of their choice."""
    assert not is_confined(Reference("card", {"source": {"source": "file:///etc/passwd"}}))
    assert is_confined(Reference("card", {"source": "canal.jpg"}))
