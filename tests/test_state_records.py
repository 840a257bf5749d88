"""Records, failures, claims and facts of sources: what is kept, and that nothing malformed is believed."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jinja_imagekit.settings import Settings
from jinja_imagekit.state import DiskStore, Failure, KnownSource, MemoryStore, Record, Records

HERO = Record("CACHE/images/hero.webp", 1_200, 500, 81_234, "image/webp", "WEBP", "blog:hero", "photos/été.jpg")
PLAIN = Record("CACHE/images/plain.png", 1, 1, 0, "image/png", "PNG", "shop.specs.Swatch", None, "5d41402a")


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The clock of store and records."""
    return Clock()


@pytest.fixture
def store(clock: Clock) -> MemoryStore:
    """An empty store."""
    return MemoryStore(clock)


@pytest.fixture
def records(store: MemoryStore, clock: Clock) -> Records:
    """Records in the store."""
    return Records(store, clock=clock)


def test_record_comes_back(records: Records) -> None:
    """All fields of a record come back; a file without a record has none."""
    records.put(HERO, PLAIN)
    assert records.get(HERO.name) == HERO
    assert records.get(PLAIN.name) == PLAIN
    assert records.get("CACHE/images/other.webp") is None
    assert sorted(records.all(), key=lambda each: each.name) == [HERO, PLAIN]


def test_forgotten_files_are_unknown(records: Records) -> None:
    """Forgetting a file drops its record, its failure and its claim, and no other file's."""
    records.put(HERO, PLAIN)
    records.fail(HERO.name, "out of luck")
    assert records.claim(HERO.name)
    records.forget(HERO.name)
    assert records.get(HERO.name) is None
    assert records.failure(HERO.name) is None
    assert records.claim(HERO.name)
    assert records.get(PLAIN.name) == PLAIN


def test_record_ends_with_its_timeout(store: MemoryStore, clock: Clock) -> None:
    """With a timeout, records are kept that long."""
    records = Records(store, cache_timeout=3_600, clock=clock)
    records.put(HERO)
    clock.now += 3_599
    assert records.get(HERO.name) == HERO
    clock.now += 1
    assert records.get(HERO.name) is None


def test_kits_share_a_store_by_prefix(store: MemoryStore) -> None:
    """Two prefixes in one store keep apart."""
    one, two = Records(store, prefix="one:"), Records(store, prefix="two:")
    one.put(HERO)
    assert two.get(HERO.name) is None
    assert not list(two.all())


def test_settings_give_prefix_and_timeouts(store: MemoryStore) -> None:
    """The kit's settings are used."""
    settings = Settings(cache_prefix="shop:", cache_timeout=5, failure_timeout=7)
    records = Records.from_settings(store, settings)
    records.put(HERO)
    assert list(store.keys()) == [f"shop:file:{HERO.name}"]
    assert (records.cache_timeout, records.failure_timeout) == (5, 7)


def test_failure_is_remembered_for_a_while(records: Records, clock: Clock) -> None:
    """A failure comes back with its reason, moment and kind until its time is over."""
    records.fail("a.jpg", "it is truncated", "UnreadableImage")
    assert records.failure("a.jpg") == Failure("it is truncated", clock.now, "UnreadableImage")
    clock.now += 59
    assert records.failure("a.jpg")
    clock.now += 1
    assert records.failure("a.jpg") is None


def test_failure_of_the_future_is_forgotten(store: MemoryStore, clock: Clock) -> None:
    """After the clock was set back, no failure is remembered for longer than its time."""
    records = Records(store, clock=clock)
    records.fail("a.jpg", "no")
    clock.now -= 10_000
    assert records.failure("a.jpg") is None


def test_failures_can_be_off(store: MemoryStore) -> None:
    """With a timeout of 0 nothing is remembered; with an endless one it stays."""
    records = Records(store, failure_timeout=0)
    records.fail("a.jpg", "no")
    assert records.failure("a.jpg") is None
    assert not list(store.keys())
    endless = Records(store, failure_timeout=float("inf"))
    endless.fail("a.jpg", "no")
    assert endless.failure("a.jpg")


def test_success_ends_the_failure(records: Records) -> None:
    """A file that was made is not a failure any more."""
    records.fail(HERO.name, "no")
    records.put(HERO)
    assert records.failure(HERO.name) is None


def test_endless_reason_is_cut(records: Records) -> None:
    """A reason of a megabyte is kept in part."""
    records.fail("a.jpg", "\N{CAMERA}" * 1_000_000)
    failure = records.failure("a.jpg")
    assert failure is not None
    assert failure.reason == "\N{CAMERA}" * 2_000


def test_one_claim_wins(records: Records) -> None:
    """Of eight threads that claim a file at once, one has it; after its release another can."""
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda _: records.claim("a.jpg"), range(8))) == 1
    records.release("a.jpg")
    assert records.claim("a.jpg")


def test_claim_ends_by_itself(store: MemoryStore, clock: Clock) -> None:
    """A claim whose holder died is void after a while, also when the clock was set back."""
    records = Records(store, clock=clock)
    assert records.claim("a.jpg")
    clock.now += records.claim_timeout
    assert records.claim("a.jpg")
    clock.now -= 10
    assert records.claim("a.jpg")


def test_facts_of_a_source_come_back(records: Records) -> None:
    """What is known about sources comes back by path."""
    good = KnownSource(
        (1_000, 1_700_000_000_000_000_000, 42, 1_700_000_000_000_000_001),
        "0123abcd",
        {"format": "JPEG", "width": 4_000},
    )
    bad = KnownSource((0, 0, 0, 0), "ff", None, "it is empty")
    records.put_source_facts({"/photos/a.jpg": good, "/photos/b.jpg": bad})
    assert records.source_facts("/photos/a.jpg") == good
    assert records.source_facts("/photos/b.jpg") == bad
    assert records.source_facts("/photos/c.jpg") is None


def test_paths_need_not_be_unicode(tmp_path: Path) -> None:
    """A file whose name is not UTF-8 is remembered like any other, on disk too."""
    store = DiskStore(tmp_path)
    records = Records(store)
    known = KnownSource((1, 2, 3, 4), "ab")
    path = os.fsdecode(b"/photos/caf\xe9.jpg")
    records.put_source_facts({path: known})
    assert records.source_facts(path) == known
    store.close()


MALFORMED = [
    "",
    "no json",
    "null",
    "{}",
    "[]",
    "[" * 100_000,
    "1" * 5_000,
    '["' + "x" * 200_000 + '"]',
    "[1, 2, 3]",
    "[1, 1, 1, 1, 1, 1, 1]",
    '[-1, 1, 1, "image/png", "PNG", "g", null]',
    '[0, 1, 1, "image/png", "PNG", "g", null]',
    '[1, 1, -1, "image/png", "PNG", "g", null]',
    '[true, 1, 1, "image/png", "PNG", "g", null]',
    '[1.5, 1, 1, "image/png", "PNG", "g", null]',
    '[1e999, 1, 1, "image/png", "PNG", "g", null]',
    '[1, 1, 99999999999999999999999, "image/png", "PNG", "g", null]',
    '[1, 1, 1, "image/png", "PNG", "g", 7]',
    '[1, 1, 1, "image/png", "PNG", "g", null, "version", "more"]',
    '[1, 1, 1, "image/png", "PNG", "g", null, 1]',
    '["reason", NaN, ""]',
    '["reason", Infinity, ""]',
    '["reason", "now", ""]',
    '[7, 1000000.0, ""]',
    '[[1, 2], "ab", null, null]',
    '[[-1, 2, 3], "ab", null, null]',
    '[[1, 2.0, 3], "ab", null, null]',
    '[[1, 2, 3], "../../x", null, null]',
    '[[1, 2, 3], "ab", [], null]',
    '[[1, 2, 3], "", null, null]',
]


@pytest.mark.parametrize("text", MALFORMED, ids=range(len(MALFORMED)))
def test_malformed_text_is_unknown(records: Records, store: MemoryStore, text: str) -> None:
    """Whatever stands in the store, what no record can be is unknown, and raises nothing."""
    for kind in ("file", "failure", "source", "claim"):
        store.set_many({f"imagekit:{kind}:a.jpg": text})
    assert records.get("a.jpg") is None
    assert records.failure("a.jpg") is None
    assert records.source_facts("a.jpg") is None
    assert not list(records.all())
    assert records.claim("a.jpg")


@pytest.mark.parametrize("name", ["../a.jpg", "/etc/passwd", "a/../../b", "a\\b", "nul\0", "x" * 5_000])
def test_unsafe_names_have_no_record(records: Records, store: MemoryStore, name: str) -> None:
    """A record under a name that no cache file can have is passed over, in listings too."""
    store.set_many({f"imagekit:file:{name}": json.dumps([1, 1, 1, "image/png", "PNG", "g", None])})
    assert records.get(name) is None
    assert not list(records.all())
