"""Cache files made by the real workers of Celery, RQ and Dramatiq on a real Redis."""

from __future__ import annotations

import base64
import json
import os
import signal
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from queue_site import QUEUES, QueueSite, has_redis, redis_server, wait_until
from redis import Redis

from jinja_imagekit.cachefiles.backends import Simple
from jinja_imagekit.exceptions import GenerationFailed

pytestmark = pytest.mark.skipif(not has_redis(), reason="needs the program redis-server, and POSIX signals")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a Redis, and return its URL."""
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture(scope="module", params=QUEUES)
def site(request: pytest.FixtureRequest, broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[QueueSite]:
    """Return a site with a worker of each queue in turn."""
    site = QueueSite(request.param, tmp_path_factory.mktemp(request.param), broker)
    site.start_worker()
    yield site
    site.close()
    with Redis.from_url(broker) as redis:
        redis.flushall()


@pytest.fixture(autouse=True)
def _counted(request: pytest.FixtureRequest) -> None:
    """Count the images that are begun within each test alone."""
    if "site" in request.fixturenames:
        request.getfixturevalue("site").forget_begun()


def made(site: QueueSite, source: str) -> bool:
    """Tell whether a page finds the card made; asked as pages ask, which schedules what is missing."""
    site.restart_worker_if_ended()
    return bool(site.card(source))


def test_a_page_asks_and_a_worker_makes(site: QueueSite) -> None:
    """A file is false until a worker has made it, once, however often pages have asked; its size is told before."""
    source = site.write("canal.jpg")
    site.close_gate()
    assert not site.card(source)
    assert [bool(site.card(source)) for _ in range(5)] == [False] * 5
    card = site.card(source)
    assert (card.width, card.height) == (40, 30)
    wait_until(lambda: site.begun, "a worker has begun")
    assert not site.card(source)
    site.open_gate()
    wait_until(lambda: made(site, source), "the card is made")
    with Image.open(site.card(source).path) as image:
        assert image.size == (40, 30)
    assert len(site.begun) == 1
    assert site.begun[0] != os.getpid()


def test_a_failure_is_remembered_and_not_scheduled_again(site: QueueSite) -> None:
    """An image that cannot be made is tried once, the worker says why, and its claim is given back."""
    source = site.write("ink.jpg", seed=1)
    card = site.card(source, "broken")
    assert not card
    wait_until(lambda: site.kit.records.failure(card.name), "the failure is remembered")
    failure = site.kit.records.failure(card.name)
    assert failure is not None
    assert "the ink ran out" in failure.reason
    wait_until(lambda: "the ink ran out" in site.said, "the worker says why")
    assert [bool(site.card(source, "broken")) for _ in range(3)] == [False] * 3
    # A card made after it shows that nothing else waited in the queue.
    other = site.write("after.jpg", seed=2)
    wait_until(lambda: made(site, other), "another card is made")
    assert len(site.begun) == 2
    assert site.kit.records.claim(card.name)
    site.kit.records.release(card.name)


def test_a_worker_killed_in_the_middle_of_an_image_costs_nothing_but_time(site: QueueSite) -> None:
    """The queue gives a dead worker's image to the next one, though no page asks again."""
    source = site.write("killed.jpg", seed=3)
    site.close_gate()
    assert not site.card(source)
    wait_until(lambda: site.begun, "a worker has begun")
    os.kill(site.begun[0], signal.SIGKILL)
    site.open_gate()
    path = site.folder / "output" / site.card(source).name
    wait_until(lambda: site.restart_worker_if_ended() or path.exists(), "another worker has made it")
    wait_until(lambda: made(site, source), "the page finds it")
    assert len(site.begun) == 2
    assert not [each for each in path.parent.parent.rglob("*") if each.is_file() and each.suffix != ".png"]


def test_when_the_queue_has_lost_a_job_the_next_page_schedules_it_again(site: QueueSite) -> None:
    """The claim of a worker that was killed is void after seconds, though the broker has lost its memory as well."""
    source = site.write("lost.jpg", seed=4)
    site.close_gate()
    assert not site.card(source)
    wait_until(lambda: site.begun, "a worker has begun")
    site.kill_workers()
    with Redis.from_url(site.broker) as redis:
        redis.flushall()
    site.open_gate()
    site.start_worker()
    wait_until(lambda: made(site, source), "the card is made")


def test_an_image_over_which_workers_die_is_left_alone(site: QueueSite) -> None:
    """Three workers may die over one image; then it has failed, and the others are made."""
    source = site.write("deadly.jpg", seed=5)
    deadly = site.card(source, "deadly")
    assert not deadly

    def given_up() -> bool:
        site.restart_worker_if_ended()
        return site.kit.records.failure(deadly.name) is not None

    wait_until(given_up, "the image is given up")
    failure = site.kit.records.failure(deadly.name)
    assert failure is not None
    assert "3 workers died" in failure.reason
    assert len(site.begun) == 3
    other = site.write("alive.jpg", seed=6)
    wait_until(lambda: made(site, other), "another card is made")
    with pytest.raises(GenerationFailed, match="3 workers died"):
        Simple().generate(site.card(source, "deadly"))


def test_a_poisoned_message_is_logged_and_dropped(site: QueueSite, tmp_path: Path) -> None:
    """What names another kit, or is not a job, calls nothing, costs no worker its life, and is not tried again."""
    before = site.said.count("A message was dropped")
    (site.folder / "poison.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w').close()\nkit = None\n")
    job = {"version": 1, "generator": "card", "kwargs": {}, "name": "CACHE/images/x.png", "force": False}
    backend: Any = site.kit.cachefile_backend
    for message in (
        {**job, "kit": "poison:kit"},
        {**job, "kit": "os:abort"},
        {"version": 1},
        ["not", "a", "job"],
        None,
    ):
        backend.send(message)
    source = site.write("after.jpg", seed=8)
    wait_until(lambda: made(site, source), "the worker makes what comes after them")
    assert site.said.count("A message was dropped") - before == 5
    assert not (tmp_path / "imported").exists()


def test_what_lies_in_the_queue_is_json(site: QueueSite) -> None:
    """A job is plain JSON: where the kit is, a generator's id, the source's name, keywords."""
    site.kill_workers()
    source = site.write("plain.jpg", seed=7)
    with Redis.from_url(site.broker) as redis:
        redis.flushall()
        card = site.card(source)
        assert not card
        message = _only_message(site.queue, redis)
    site.start_worker()
    assert message == {
        "version": 1,
        "kit": "mysite:kit",
        "generator": "card",
        "kwargs": {"source": "plain.jpg"},
        "name": card.name,
        "force": False,
    }


def _only_message(queue: str, redis: Any) -> Any:
    """Return what the only job in a queue holds, as each library writes it."""
    if queue == "celery":
        (envelope,) = redis.lrange("celery", 0, -1)
        args, _, _ = json.loads(base64.b64decode(json.loads(envelope)["body"]))
        return args[0]
    if queue == "rq":
        (key,) = redis.keys("rq:job:*")
        _, _, args, _ = json.loads(zlib.decompress(redis.hget(key, "data")))
        return args[0]
    (text,) = redis.hvals("dramatiq:default.msgs")
    return json.loads(text)["args"][0]
