"""The state store of a single process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

from ..once import PerProcess
from ..settings import Settings
from .locks import ThreadLocks


class MemoryStore:
    """Keeps state in this process's memory, for its threads; it is lost when the process ends.

    Args:
        clock: Returns the time in seconds.

    Example:
        >>> store = MemoryStore()
        >>> store.set_many({"a": "1"})
        >>> store.get("a")
        '1'
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.is_reliable = True
        self._clock = clock
        self._values: dict[str, tuple[str, float | None]] = {}
        # Held by a thread that a forked child has not, it would stay so there.
        self._mutex = PerProcess(threading.Lock)
        self._locks = ThreadLocks()

    @classmethod
    def from_settings(cls, settings: Settings) -> MemoryStore:
        """Return a new store; nothing in the settings changes it."""
        return cls()

    def get(self, key: str) -> str | None:
        """Return the value; None where it is unknown or expired."""
        found = self._values.get(key)
        if found is None:
            return None
        value, expires = found
        return value if expires is None or expires > self._clock() else None

    def get_many(self, keys: Iterable[str]) -> dict[str, str]:
        """Return the known ones of these values by key."""
        found = ((key, self.get(key)) for key in keys)
        return {key: value for key, value in found if value is not None}

    def set_many(self, values: Mapping[str, str], timeout: float | None = None) -> None:
        """Keep these values, for `timeout` seconds where it is given."""
        expires = None if timeout is None else self._clock() + timeout
        with self._mutex():
            self._values.update((key, (value, expires)) for key, value in values.items())

    def delete_many(self, keys: Iterable[str]) -> None:
        """Forget these values."""
        with self._mutex():
            for key in keys:
                self._values.pop(key, None)

    def keys(self, prefix: str = "") -> Iterator[str]:
        """Yield the keys that begin with `prefix`, dropping what has expired."""
        now = self._clock()
        with self._mutex():
            self._values = {key: each for key, each in self._values.items() if each[1] is None or each[1] > now}
            found = sorted(key for key in self._values if key.startswith(prefix))
        return iter(found)

    def lock(self, key: str) -> AbstractContextManager[None]:
        """Hold the lock of this name against all threads of this process."""
        return self._hold(key)

    @contextmanager
    def _hold(self, key: str) -> Iterator[None]:
        with self._locks.hold(key):
            yield

    def close(self) -> None:
        """Do nothing: the values stay."""
