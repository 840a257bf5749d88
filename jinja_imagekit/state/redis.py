"""The state store that machines share: a Redis or Valkey server."""

from __future__ import annotations

import logging
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import cache, partial
from itertools import islice
from typing import Any, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from ..large import LargeSet
from ..once import PerProcess
from ..settings import Settings
from ..wording import without_credentials
from .locks import ThreadLocks
from .memory import MemoryStore

T = TypeVar("T")

logger = logging.getLogger("jinja_imagekit.state")

LEASE_SECONDS = 30
"""Seconds after which the lock of a machine that has died is free; a living holder renews it in time."""

WAIT_SECONDS = 120
"""Seconds that a lock is waited for: machines that wait for each other in a circle go on then, and do work twice."""

PAUSES = 0.002, 0.05
"""Seconds between two attempts to take a lock: at first, and at most."""

AWAY_SECONDS = 2.0
"""Seconds for which a server that does not answer is not asked again, so that no page waits for it many times."""

ANSWER_SECONDS = 2.0
"""Seconds within which a server has to answer."""

BATCH = 1_000
"""How many values go to the server, or are listed by it, at a time."""

_RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end"
_RENEW = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) end"
"""Scripts, which the server runs in one step: a lock that another holds by now is left alone."""


class RedisStore:
    """Keeps state on a Redis or Valkey server, for all processes of all machines that know its address.

    While the server does not answer, one warning says so, values are kept in this process, and locks count among its
    threads: pages are rendered, and at worst an image is made twice. A lock is a lease, which its holder renews while
    it lives.

    Args:
        url: The server's address, such as `"redis://cache.example:6379/0"`; `rediss://` for TLS, `valkey://` and
            `unix://` as well.

    Example:
        >>> store = RedisStore("redis://localhost:6379/0")  # doctest: +SKIP
        >>> store.set_many({"a": "1"})  # doctest: +SKIP
    """

    is_shared = True
    """Whether other machines make images with it."""

    def __init__(self, url: str) -> None:
        self.is_reliable = True
        self._url = re.sub("^valkey(s?)://", r"redis\1://", url)
        self._client = PerProcess(self._connect)
        self._leases = PerProcess(lambda: _Leases(self._attempt))
        self._meanwhile = MemoryStore()
        self._away_until = 0.0
        # Stores of one server share them, so that a thread never waits for itself.
        self._locks = _thread_locks(self._url)

    @classmethod
    def from_settings(cls, settings: Settings) -> RedisStore:
        """Return the store at the URL that the setting `state_store` gives."""
        return cls(settings.state_store)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({without_credentials(self._url)!r})"

    def get(self, key: str) -> str | None:
        """Return the value; None where it is unknown or expired."""
        return self.get_many([key]).get(key)

    def get_many(self, keys: Iterable[str]) -> dict[str, str]:
        """Return the known ones of these values by key."""
        found: dict[str, str] = {}
        for batch in _batches(keys):
            values = self._attempt(partial(_values, batch))
            if values is None:
                found |= self._meanwhile.get_many(batch)
            else:
                found |= {key: text for key, text in zip(batch, map(_text, values), strict=True) if text is not None}
        return found

    def set_many(self, values: Mapping[str, str], timeout: float | None = None) -> None:
        """Keep these values, for `timeout` seconds where it is given."""
        for batch in _batches(values):
            some = {key: values[key] for key in batch}
            if not self._attempt(partial(_written, some, timeout)):
                self._meanwhile.set_many(some, timeout)

    def delete_many(self, keys: Iterable[str]) -> None:
        """Forget these values."""
        for batch in _batches(keys):
            self._meanwhile.delete_many(batch)
            self._attempt(partial(_deleted, batch))

    def keys(self, prefix: str = "") -> Iterator[str]:
        """Yield the keys that begin with `prefix`, as the server lists them, page by page."""
        pattern = re.sub(rb"([*?\[\]\\^])", rb"\\\1", _bytes(prefix)) + b"*"
        cursor, seen = 0, LargeSet()
        while True:
            page = self._attempt(partial(_page, cursor, pattern))
            if page is None:
                yield from self._meanwhile.keys(prefix)
                return
            cursor, found = page
            # The server may name a key twice.
            for text in map(_text, found):
                if text is not None and text not in seen:
                    seen.add(text)
                    yield text
            if not cursor:
                return

    def lock(self, key: str) -> AbstractContextManager[None]:
        """Hold the lock of this name against all threads, processes and machines."""
        return self._hold(key)

    def close(self) -> None:
        """Close the connections; the store opens others when it is used."""
        # Those that other threads are using close when they are done.
        self._client().connection_pool.disconnect(inuse_connections=False)

    @contextmanager
    def _hold(self, key: str) -> Iterator[None]:
        with self._locks.hold(key) as depth:
            # A thread that holds it already, or that would wait in a circle, takes no lease.
            lease = self._take(_bytes(f"imagekit-lock:{key}")) if depth == 1 else None
            try:
                yield
            finally:
                if lease is not None:
                    self._leases().end(*lease)

    def _take(self, name: bytes) -> tuple[bytes, bytes] | None:
        """Wait for a lock, and return its name and token; None if there is no server, or after `WAIT_SECONDS`."""
        token = secrets.token_bytes(16)
        deadline, (pause, longest) = time.monotonic() + WAIT_SECONDS, PAUSES
        while time.monotonic() < deadline:
            taken = self._attempt(lambda client: bool(client.set(name, token, nx=True, ex=LEASE_SECONDS)))
            if taken is None:
                return None
            if taken:
                self._leases().add(name, token)
                return name, token
            time.sleep(pause)
            pause = min(pause * 1.5, longest)
        return None

    def _connect(self) -> Any:
        return redis.Redis.from_url(
            self._url,
            socket_timeout=ANSWER_SECONDS,
            socket_connect_timeout=ANSWER_SECONDS,
            # A connection may be one that the server has closed since.
            retry=Retry(NoBackoff(), 1),
        )

    def _attempt(self, action: Callable[[Any], T]) -> T | None:
        """Return what the server answers; None while it does not."""
        if time.monotonic() < self._away_until:
            return None
        try:
            result = action(self._client())
        except (redis.RedisError, OSError, ValueError) as error:
            if self.is_reliable:
                logger.warning(
                    "%r cannot be used (%s). Images are made without it until it answers again.", self, error
                )
            self.is_reliable, self._away_until = False, time.monotonic() + AWAY_SECONDS
            return None
        if not self.is_reliable:
            logger.info("%r answers again.", self)
            self.is_reliable, self._meanwhile = True, MemoryStore()
        return result


class _Leases:
    """The locks that this process holds on a server, which a thread renews while there are any.

    Args:
        attempt: Calls a function with the server's client; returns None while the server does not answer.
    """

    def __init__(self, attempt: Callable[[Callable[[Any], Any]], Any]) -> None:
        self._attempt = attempt
        self._mutex = threading.Lock()
        self._held: dict[bytes, bytes] = {}
        self._is_renewing = False

    def add(self, name: bytes, token: bytes) -> None:
        """Renew a lock from now on."""
        with self._mutex:
            self._held[name] = token
            if self._is_renewing:
                return
            self._is_renewing = True
        threading.Thread(target=self._renew, name="imagekit-leases", daemon=True).start()

    def end(self, name: bytes, token: bytes) -> None:
        """Give a lock back, unless it has become another's."""
        with self._mutex:
            self._held.pop(name, None)
        self._attempt(lambda client: client.eval(_RELEASE, 1, name, token))

    def _renew(self) -> None:
        while True:
            time.sleep(LEASE_SECONDS / 3)
            with self._mutex:
                held = list(self._held.items())
                self._is_renewing = bool(held)
            if not held:
                return
            for name, token in held:
                self._attempt(partial(_renewed, name, token))


def _values(keys: list[str], client: Any) -> list[bytes | None]:
    found: list[bytes | None] = client.mget([_bytes(key) for key in keys])
    return found


def _written(values: Mapping[str, str], timeout: float | None, client: Any) -> bool:
    milliseconds = None if timeout is None else max(1, round(timeout * 1000))
    with client.pipeline(transaction=False) as pipeline:
        for key, value in values.items():
            pipeline.set(_bytes(key), _bytes(value), px=milliseconds)
        pipeline.execute()
    return True


def _deleted(keys: list[str], client: Any) -> Any:
    return client.delete(*map(_bytes, keys))


def _page(cursor: int, pattern: bytes, client: Any) -> tuple[int, list[bytes]]:
    page: tuple[int, list[bytes]] = client.scan(cursor, pattern, BATCH)
    return page


def _renewed(name: bytes, token: bytes, client: Any) -> Any:
    return client.eval(_RENEW, 1, name, token, LEASE_SECONDS * 1000)


@cache
def _thread_locks(url: str) -> ThreadLocks:
    return ThreadLocks()


def _batches(keys: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(keys)
    while batch := list(islice(rest, BATCH)):
        yield batch


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _text(value: bytes | None) -> str | None:
    """Return what another process has written; None for what no store of this library writes."""
    try:
        return None if value is None else value.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return None
