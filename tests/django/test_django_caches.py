"""State in Django's caches: what they forget costs little, and what they fail at costs no page."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from album.models import Photo
from contracts.state_store import StateStoreContract
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from jinja_imagekit.django import DjangoKit, get_kit
from jinja_imagekit.django._engine.caches import CacheStore, sanitize_cache_key, state_key
from jinja_imagekit.django.cachefiles.backends import CacheFileState, Simple, get_default_cachefile_backend
from jinja_imagekit.django.cachefiles.state import prefetch_cachefile_states, use_cachefile_state_cache
from jinja_imagekit.django.utils import get_cache
from jinja_imagekit.state import Record, Records


class ListingStore(CacheStore):
    """A store that can list what it was given, which Django's caches cannot."""

    def __init__(self) -> None:
        super().__init__("images", "")
        self.seen: dict[str, None] = {}

    def set_many(self, values: Any, timeout: float | None = None) -> None:
        """Keep these values, and their keys."""
        self.seen.update(dict.fromkeys(values))
        super().set_many(values, timeout)

    def keys(self, prefix: str = "") -> Iterator[str]:
        """Yield the keys that are known still."""
        return iter(sorted(key for key in self.seen if key.startswith(prefix) and self.get(key) is not None))


class TestCacheStore(StateStoreContract):
    """The store over a cache keeps the contract, but for listing its keys."""

    @pytest.fixture
    def store(self) -> CacheStore:
        """A store over a cache in memory, which holds what the contract puts there."""
        caches["images"]._max_entries = 100_000
        return ListingStore()


def test_caches_cannot_list_their_keys() -> None:
    """What nobody can list is empty, and no error."""
    store = CacheStore("images", "")
    store.set_many({"a": "1"})
    assert list(store.keys()) == []


def test_keys_are_memcacheds_and_differ() -> None:
    """A key is short and plain, and names that differ by a space alone have two."""
    keys = [sanitize_cache_key(name) for name in ("a b", "ab", "a\nb", "été", "x" * 199, "x" * 200, "x" * 300)]
    assert len(set(keys)) == 7
    assert all(len(key) <= 200 and key.isascii() and key.isprintable() and " " not in key for key in keys)
    with override_settings(IMAGEKIT_USE_MEMCACHED_SAFE_CACHE_KEY=False):
        assert sanitize_cache_key("a b") == "a b"


def test_alias_of_the_cache_and_prefix(make_photo: Any) -> None:
    """The settings say which cache holds the state, and what its keys begin with."""
    with override_settings(IMAGEKIT_CACHE_BACKEND="images", IMAGEKIT_CACHE_PREFIX="mine:"):
        assert get_cache() is caches["images"]
        photo = make_photo()
        assert photo.thumbnail.url
        key = state_key(photo.thumbnail.name)
        assert key.startswith("mine:CACHE")
        assert caches["images"].get(key)
        assert caches["default"].get(key) is None
    with (
        override_settings(IMAGEKIT_CACHE_BACKEND="imagse"),
        pytest.raises(ImproperlyConfigured, match="Did you mean 'images'"),
    ):
        get_cache()


@pytest.mark.parametrize("alias", ["none", "broken"])
def test_cache_that_forgets_or_fails(alias: str, make_photo: Any, caplog: Any, render: Any) -> None:
    """Images are made and served without a working cache, once each; one warning says that it fails."""
    with override_settings(IMAGEKIT_CACHE_BACKEND=alias), caplog.at_level(logging.WARNING):
        photo = make_photo()
        url = photo.thumbnail.url
        made = Path(photo.thumbnail.path).stat().st_mtime_ns
        photo = Photo.objects.get(pk=photo.pk)
        assert (photo.thumbnail.url, photo.thumbnail.width) == (url, 50)
        assert "<img" in render("{% thumbnail '20x20' photo.image %}", photo=photo)
        assert Path(photo.thumbnail.path).stat().st_mtime_ns == made
    assert len(caplog.records) == (1 if alias == "broken" else 0)
    if alias == "broken":
        assert "the cache 'broken' cannot be used" in caplog.text


def test_cache_that_holds_little_costs_no_second_look(make_photo: Any, render: Any, monkeypatch: Any) -> None:
    """In a cache that drops what it was given, or has none of it, a process still knows the files that it has seen."""
    photos = [make_photo(f"{number}.jpg") for number in range(3)]
    # What was changed just now may change again within the same tick of the clock, and is not remembered yet.
    time.sleep(0.03)
    tag = "{% for photo in photos %}{% thumbnail '20x20' photo.image %}{% endfor %}"
    with override_settings(IMAGEKIT_CACHE_BACKEND="none"):
        first = render(tag, photos=photos)
        render(tag, photos=photos)

        def refuse(*_: Any, **__: Any) -> None:
            raise AssertionError("opened")

        monkeypatch.setattr("os.open", refuse)
        assert render(tag, photos=photos) == first


def test_forgotten_record_is_read_from_the_file(make_photo: Any) -> None:
    """A cache that was cleared costs a look at each file, and makes none anew."""
    photo = make_photo()
    path = Path(photo.thumbnail.path)
    before = path.stat().st_mtime_ns
    caches["default"].clear()
    # Another setting makes a new kit, which knows no more than another process would.
    with override_settings(IMAGEKIT_FSYNC=True):
        assert (photo.thumbnail.width, photo.thumbnail.height) == (50, 40)
    assert path.stat().st_mtime_ns == before


def test_truncated_and_wrong_files_heal(make_photo: Any) -> None:
    """A file that is cut short is made again, whatever state the cache has."""
    photo = make_photo()
    path = Path(photo.thumbnail.path)
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    assert Path(photo.thumbnail.path).read_bytes() == whole
    path.unlink()
    get_default_cachefile_backend().set_state(photo.thumbnail, CacheFileState.GENERATING)
    assert Path(photo.thumbnail.path).read_bytes() == whole


def test_request_local_cache_saves_questions(make_photo: Any, monkeypatch: Any) -> None:
    """What was fetched ahead for many files is not asked of the cache again."""
    photos = [make_photo(f"{number}.jpg") for number in range(3)]
    files = [photo.thumbnail for photo in photos]
    assert all(file.url for file in files)
    asked: list[Any] = []
    cache = caches["default"]
    get, get_many = cache.get, cache.get_many
    monkeypatch.setattr(cache, "get", lambda key, *a, **k: (asked.append(key), get(key, *a, **k))[1])
    monkeypatch.setattr(cache, "get_many", lambda keys, *a, **k: (asked.append(set(keys)), get_many(keys, *a, **k))[1])
    records: Records = get_kit().records
    with use_cachefile_state_cache():
        prefetch_cachefile_states(files)
        asked_once = len([each for each in asked if isinstance(each, set)])
        asked.clear()
        found = [records.get(file.name) for file in files]
        states = [Simple().get_state(file) for file in files]
    assert asked_once == 1
    assert asked == []
    assert all(isinstance(record, Record) for record in found)
    assert states == [CacheFileState.EXISTS] * 3


def test_request_local_cache_sees_what_is_written(make_photo: Any) -> None:
    """What is made within the block is known in it."""
    photo = make_photo()
    with use_cachefile_state_cache() as known:
        prefetch_cachefile_states([photo.thumbnail])
        assert known[state_key(photo.thumbnail.name)] is None
        assert photo.thumbnail.url
        assert Simple().get_state(photo.thumbnail) == CacheFileState.EXISTS


def test_threads_make_a_file_once(make_photo: Any, monkeypatch: Any) -> None:
    """Eight threads that ask for one thumbnail at once have it made by one of them."""
    from album.models import Card

    photo = make_photo()
    made: list[int] = []
    generate = Card.render
    monkeypatch.setattr(Card, "render", lambda self, original: (made.append(1), generate(self, original))[1])
    source = photo.image
    from jinja_imagekit.django.cachefiles import LazyImageCacheFile

    with ThreadPoolExecutor(8) as pool:
        urls = set(pool.map(lambda _: LazyImageCacheFile("album:card", source=source).url, range(16)))
    assert len(urls) == 1
    assert len(made) == 1


def test_timeout_of_records() -> None:
    """Records stay for the time of the setting: for ever, and 300 seconds while DEBUG is on."""
    from jinja_imagekit.django import conf

    assert conf.value("CACHE_TIMEOUT") is None
    with override_settings(DEBUG=True):
        assert conf.value("CACHE_TIMEOUT") == 300
        assert get_kit().settings.cache_timeout == 300
    with override_settings(IMAGEKIT_CACHE_TIMEOUT=60):
        assert get_kit().settings.cache_timeout == 60


def test_threads_share_the_parts_of_a_new_kit() -> None:
    """Threads that ask a new kit for its parts at once get the same ones: two stores would have two sets of locks."""
    parts = ("storage", "records", "cachefile_backend", "sources", "known_files", "renders")
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def find(barrier: Barrier, kit: DjangoKit) -> list[int]:
        barrier.wait()
        return [id(getattr(kit, part)) for part in parts]

    try:
        with ThreadPoolExecutor(4) as pool:
            for _ in range(50):
                barrier, kit = Barrier(4), DjangoKit()
                found = list(pool.map(lambda _, barrier=barrier, kit=kit: find(barrier, kit), range(4)))
                assert found == [found[0]] * 4
    finally:
        sys.setswitchinterval(interval)
