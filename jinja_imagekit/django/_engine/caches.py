"""The state store on top of a Django cache, and the request-local one in front of it."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from hashlib import md5
from typing import Any, TypeVar

from django.core.cache import caches

from ...state.locks import ThreadLocks
from .. import conf

T = TypeVar("T")

logger = logging.getLogger("jinja_imagekit.django")

LOCK_SECONDS = 60
"""Seconds after which a dead holder's lock is free; making the same image twice does no harm."""

LONGEST_KEY = 200
"""Maximum length of a key: memcached allows 250 bytes, some of which the project's prefix and version need."""

MOST_KEPT = 50_000
"""How many values a process keeps: about 500 bytes each, 25 MB in all."""

bad_memcached_key_chars = re.compile(r"[^\x21-\x7e]+")
"""What memcached does not allow in keys; the name is django-imagekit's."""

active_state_cache: ContextVar[Any] = ContextVar("jinja_imagekit_active_state_cache", default=None)
"""What the current request has already read, by cache key; None if there is no such mapping."""


def sanitize_cache_key(key: str) -> str:
    """Return a key that memcached accepts: printable ASCII without spaces, at most 200 characters.

    Unlike django-imagekit, which gave `a b.jpg` and `ab.jpg` one key, different keys stay different.
    """
    if not conf.value("USE_MEMCACHED_SAFE_CACHE_KEY"):
        return key
    safe = bad_memcached_key_chars.sub("", key)
    if safe == key and len(key) < LONGEST_KEY:
        return key
    digest = md5(key.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()
    return f"{safe[: LONGEST_KEY - 33]}:{digest}"


def state_key(name: str) -> str:
    """Return the cache key of what is known about a cache file."""
    return sanitize_cache_key(f"{conf.value('CACHE_PREFIX')}{name}-state")


class CacheStore:
    """Keeps state in one of Django's caches.

    A cache that forgets costs a look at the file; one that fails is reported once, and the pages still render.
    Django's caches cannot list their keys, so neither can this store.

    Args:
        alias: The cache's alias in `CACHES`.
        prefix: What the keys of this kit begin with.
        kept: The beginnings of keys, without the prefix, whose values this process keeps too, in case the cache drops
            them: Django's default one holds 300 in all. A look at the file must be able to confirm them.
    """

    def __init__(self, alias: str, prefix: str, kept: tuple[str, ...] = ()) -> None:
        self.alias = alias
        self.is_reliable = True
        self._files = f"{prefix}file:"
        self._kept_keys = tuple(prefix + each for each in kept)
        self._kept: dict[str, str] = {}
        self._locks = ThreadLocks()

    @property
    def cache(self) -> Any:
        """The cache; each thread has its own connection."""
        return caches[self.alias]

    def get(self, key: str) -> str | None:
        """Return the value; None where it is unknown or expired."""
        return self.get_many([key]).get(key)

    def get_many(self, keys: Iterable[str]) -> dict[str, str]:
        """Return those of these values that are known, by key."""
        wanted = {self._key(key): key for key in keys}
        known = active_state_cache.get()
        found = {} if known is None else {safe: known[safe] for safe in wanted if safe in known}
        missing = [safe for safe in wanted if safe not in found]
        if missing:
            found |= self._read(missing)
            if known is not None:
                known.update({safe: found.get(safe) for safe in missing})
        values = {wanted[safe]: value for safe, value in found.items() if isinstance(value, str)}
        if self._kept and len(values) < len(wanted):
            values |= {key: self._kept[key] for key in wanted.values() if key in self._kept and key not in values}
        return values

    def set_many(self, values: Mapping[str, str], timeout: float | None = None) -> None:
        """Keep these values, for `timeout` seconds where it is given."""
        safe = {self._key(key): value for key, value in values.items()}
        if self._kept_keys and timeout is None:
            self._keep({key: value for key, value in values.items() if key.startswith(self._kept_keys)})
        known = active_state_cache.get()
        if known is not None:
            known.update(safe)
        if safe:
            self._attempt(lambda cache: cache.set_many(safe, timeout), None)

    def delete_many(self, keys: Iterable[str]) -> None:
        """Forget these values."""
        keys = list(keys)
        for key in keys:
            self._kept.pop(key, None)
        safe = [self._key(key) for key in keys]
        known = active_state_cache.get()
        if known is not None:
            known.update(dict.fromkeys(safe))
        if safe:
            self._attempt(lambda cache: cache.delete_many(safe), None)

    def keys(self, prefix: str = "") -> Iterator[str]:
        """Yield nothing: Django's caches cannot list their keys."""
        return iter(())

    def lock(self, key: str) -> AbstractContextManager[None]:
        """Hold the lock of this name against all threads and processes that share the cache."""
        return self._hold(key)

    def close(self) -> None:
        """Do nothing: Django closes its caches after each request."""

    def _keep(self, values: dict[str, str]) -> None:
        if len(self._kept) + len(values) > MOST_KEPT:
            self._kept.clear()
        self._kept.update(values)

    def _key(self, key: str) -> str:
        # What is known about a file is where django-imagekit has its state, so that both prefetch the same keys.
        if key.startswith(self._files):
            return state_key(key.removeprefix(self._files))
        return sanitize_cache_key(key)

    def _read(self, keys: list[str]) -> dict[str, Any]:
        def read(cache: Any) -> dict[str, Any]:
            if len(keys) > 1:
                found: dict[str, Any] = cache.get_many(keys)
                return found
            value = cache.get(keys[0])
            return {} if value is None else {keys[0]: value}

        return self._attempt(read, {})

    def _attempt(self, action: Callable[[Any], T], otherwise: T) -> T:
        try:
            result = action(self.cache)
        except Exception as error:  # noqa: BLE001  # each cache's client has errors of its own
            if self.is_reliable:
                logger.warning("the cache %r cannot be used, images are made without it: %s", self.alias, error)
            self.is_reliable = False
            return otherwise
        self.is_reliable = True
        return result

    @contextmanager
    def _hold(self, key: str) -> Iterator[None]:
        with self._locks.hold(key) as depth:
            # A thread that would wait in a circle continues without the lock.
            if depth != 1:
                yield
                return
            name, token = sanitize_cache_key(f"{self._files}lock:{key}"), secrets.token_hex(8)
            self._wait_for(name, token)
            try:
                yield
            finally:
                self._attempt(lambda cache: cache.get(name) == token and cache.delete(name), None)

    def _wait_for(self, name: str, token: str) -> None:
        deadline = time.monotonic() + LOCK_SECONDS
        pause = 0.005
        while not self._attempt(lambda cache: cache.add(name, token, LOCK_SECONDS), True):
            if time.monotonic() > deadline:
                return
            time.sleep(pause)
            pause = min(pause * 1.5, 0.05)
