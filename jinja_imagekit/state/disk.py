"""The state store on disk, shared by threads and processes, which no trouble with the disk gets out of."""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any, TypeVar

from ..settings import Settings
from .files import DamagedDatabase, identity, set_aside
from .locks import FileLocks
from .memory import MemoryStore

T = TypeVar("T")

logger = logging.getLogger("jinja_imagekit.state")

_SUSPECTS: tuple[tuple[int, str], ...] = (
    (sqlite3.SQLITE_FULL, "full"),
    (sqlite3.SQLITE_READONLY, "read-only"),
    (sqlite3.SQLITE_CORRUPT, "damaged"),
    (sqlite3.SQLITE_NOTADB, "damaged"),
    (sqlite3.SQLITE_IOERR, "unusable"),
    (sqlite3.SQLITE_CANTOPEN, "unusable"),
    (sqlite3.SQLITE_PERM, "unusable"),
    (sqlite3.SQLITE_BUSY, "locked"),
    (sqlite3.SQLITE_LOCKED, "locked"),
)
"""SQLite's result codes and the trouble that each means, the most telling first (https://sqlite.org/rescode.html)."""

_ERRNOS = {
    errno.ENOSPC: "full",
    errno.EDQUOT: "full",
    errno.EROFS: "read-only",
    errno.EACCES: "read-only",
    errno.EPERM: "read-only",
}

_ADVICE = {
    "full": "its disk is full: free some space",
    "read-only": "it is read-only: make it writable, or set state_dir to a folder that is",
    "locked": "another process keeps it locked: see whether one hangs",
    "unusable": "it cannot be used: see that it is a folder of this user, or set state_dir to one that is",
}


class DiskStore:
    """Keeps state in a folder, in a diskcache database, for the threads and processes of one machine.

    It opens when it is first used, and again in a process that was forked. Where the folder cannot be used, the
    process keeps its state in memory, tries again from time to time, and then hands over what it kept. A damaged
    database is set aside and begun anew. Each kind of trouble is told once, as a warning in the log.

    Args:
        directory: The store's own folder; made with mode 0700.
        timeout: Seconds for which another process that writes is waited for.
        retry_after: Seconds for which the folder is left alone after trouble with it.

    Attributes:
        is_reliable: False while state is kept in memory.

    Example:
        >>> store = DiskStore(".imagekit/state")  # doctest: +SKIP
        >>> store.set_many({"a": "1"})  # doctest: +SKIP
    """

    def __init__(self, directory: str | os.PathLike[str], *, timeout: float = 3.0, retry_after: float = 5.0) -> None:
        # diskcache imports Django where that is installed; who keeps no state on disk need not wait for it.
        from .database import open_database

        self._open_database = open_database
        self.directory = Path(os.path.abspath(directory))
        self.timeout = timeout
        self.retry_after = retry_after
        self.is_reliable = True
        self._folder = str(self.directory)
        self._memory = MemoryStore()
        self._locks = FileLocks(os.path.join(self._folder, "locks"))
        self._told: frozenset[str] = frozenset()
        self._retry_at = 0.0
        self._inherited: tuple[Any, ...] = ()
        self._begin()

    @classmethod
    def from_settings(cls, settings: Settings) -> DiskStore:
        """Return the store that a kit's settings describe, in the folder `state` of its `state_dir`."""
        return cls(settings.state_dir / "state")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._folder!r})"

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._cache: Any = None
        self._identity: tuple[int, int] | None = None
        self._opening = threading.RLock()

    def get(self, key: str) -> str | None:
        """Return the value; None where it is unknown or expired."""
        cache = self._cache
        if cache is not None and self._pid == os.getpid():
            try:
                value = cache.get(key)
            except Exception as error:  # noqa: BLE001  # no trouble gets out of a store
                self._suffer(error, cache)
            else:
                return value if type(value) is str else None
        value = self._run(lambda cache: cache.get(key), self._memory_get(key))
        return value if type(value) is str else None

    def get_many(self, keys: Iterable[str]) -> dict[str, str]:
        """Return the known ones of these values by key."""
        found = ((key, self.get(key)) for key in keys)
        return {key: value for key, value in found if value is not None}

    def set_many(self, values: Mapping[str, str], timeout: float | None = None) -> None:
        """Keep these values, for `timeout` seconds where it is given, in one transaction."""

        def write(cache: Any) -> None:
            with cache.transact():
                for key, value in values.items():
                    cache.set(key, value, expire=timeout)

        if values:
            self._look()
            self._run(write, lambda: self._memory.set_many(values, timeout))

    def delete_many(self, keys: Iterable[str]) -> None:
        """Forget these values, in one transaction."""
        keys = tuple(keys)

        def delete(cache: Any) -> None:
            with cache.transact():
                for key in keys:
                    cache.delete(key)

        if keys:
            self._look()
            self._run(delete, lambda: self._memory.delete_many(keys))

    def keys(self, prefix: str = "") -> Iterator[str]:
        """Yield the keys that begin with `prefix`."""

        def read(cache: Any) -> list[str]:
            # Not iterkeys(), which asks the database for each key.
            return [key for key in cache if key is not None and key.startswith(prefix) and key in cache]

        return iter(self._run(read, lambda: list(self._memory.keys(prefix))))

    def lock(self, key: str) -> AbstractContextManager[None]:
        """Hold the lock of this name against all threads and processes; it ends with its holder."""
        return self._locks.hold(key)

    def close(self) -> None:
        """Close the database; the store opens it again when it is used.

        Other threads' connections close when those threads end, or with the last of their work.
        """
        if self._pid == os.getpid():
            with self._opening:
                self._drop(self._cache)

    def _memory_get(self, key: str) -> Callable[[], str | None]:
        return lambda: self._memory.get(key)

    def _run(self, work: Callable[[Any], T], instead: Callable[[], T]) -> T:
        """Do `work` on the database, once more on a new one where it was damaged, and `instead` where there is none."""
        for _ in range(2):
            cache = self._open()
            if cache is None:
                break
            try:
                return work(cache)
            except Exception as error:  # noqa: BLE001  # no trouble gets out of a store
                if not self._suffer(error, cache):
                    break
        return instead()

    def _open(self) -> Any:
        if self._pid != os.getpid():
            # SQLite forbids to use or close a connection that a fork has copied, so it is kept and left alone.
            self._inherited = (*self._inherited, self._cache)
            self._begin()
        if self._cache is not None:
            return self._cache
        if time.monotonic() < self._retry_at:
            return None
        with self._opening:
            if self._cache is None and time.monotonic() >= self._retry_at:
                self._cache = self._opened()
            return self._cache

    def _opened(self) -> Any:
        # Whoever waited once need not wait so long again: pages are being rendered.
        timeout = self.timeout if self.is_reliable else min(self.timeout, 0.1)
        try:
            _make_private(self._folder)
            found = identity(self._folder)
            try:
                cache = self._open_database(self._folder, timeout)
            except (DamagedDatabase, sqlite3.DatabaseError) as error:
                if _kind(error) != "damaged":
                    raise
                self._rebuild(found, error)
                cache = self._open_database(self._folder, timeout)
        except Exception as error:  # noqa: BLE001  # no trouble gets out of a store
            self._give_up(_kind(error), error)
            return None
        self._identity = identity(self._folder)
        self.is_reliable = True
        self._hand_over(cache)
        return cache

    def _hand_over(self, cache: Any) -> None:
        kept = self._memory.drain()
        if not kept:
            return
        try:
            with cache.transact():
                for key, value, left in kept:
                    cache.set(key, value, expire=left)
        except Exception as error:  # noqa: BLE001  # no trouble gets out of a store
            logger.debug("state store %s: %r", self._folder, error)

    def _rebuild(self, damaged: tuple[int, int] | None, error: Exception) -> None:
        with self._locks.hold("\0rebuild"):
            # Another process may have been faster, and its new database is sound.
            if identity(self._folder) != damaged:
                return
            set_aside(self._folder)
        self._tell(
            "damaged",
            "The state store %s was damaged (%s). It is set aside and begun anew; what it knew is found out again.",
            self._folder,
            error,
        )

    def _look(self) -> None:
        """Leave a database whose folder was deleted or replaced under way: nobody else sees what is written there."""
        cache = self._cache
        if cache is not None and self._pid == os.getpid() and identity(self._folder) != self._identity:
            with self._opening:
                self._drop(cache)

    def _suffer(self, error: Exception, cache: Any) -> bool:
        """Take the store out of use as the error demands; tell whether to try again at once."""
        kind = _kind(error)
        if kind == "unknown":
            # The caller's key or value is nothing that SQLite keeps; the database is well.
            logger.debug("state store %s: %r", self._folder, error)
            return False
        with self._opening:
            # Another thread has replaced it, another process has set it aside, or the folder was deleted.
            replaced = self._cache not in (None, cache) or identity(self._folder) != self._identity
            self._drop(cache)
            if replaced:
                return True
            if kind == "damaged":
                try:
                    self._rebuild(self._identity, error)
                    return True
                except OSError as trouble:
                    error, kind = trouble, _kind(trouble)
            self._give_up(kind, error)
            return False

    def _drop(self, cache: Any) -> None:
        if cache is not None:
            with suppress(sqlite3.Error):
                cache.close()
            if self._cache is cache:
                self._cache = None

    def _give_up(self, kind: str, error: Exception) -> None:
        kind = kind if kind in _ADVICE else "unusable"
        self.is_reliable = False
        self._retry_at = time.monotonic() + self.retry_after
        self._tell(
            kind,
            "The state store %s is not used: %s (%s). Until then this process keeps its state in memory.",
            self._folder,
            _ADVICE[kind],
            error,
        )

    def _tell(self, kind: str, message: str, *args: object) -> None:
        if kind not in self._told:
            self._told |= {kind}
            logger.warning(message, *args)


def _make_private(folder: str) -> None:
    os.makedirs(folder, mode=0o700, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise PermissionError(errno.EACCES, "not writable", folder)
    if os.name == "posix" and os.stat(folder).st_mode & 0o077:
        # Another user's folder stays as its owner has it.
        with suppress(PermissionError):
            os.chmod(folder, 0o700)


def _kind(error: Exception) -> str:
    """Return the kind of trouble that an error tells of; `unknown` where it is none of the database's."""
    if isinstance(error, OSError):
        return _ERRNOS.get(error.errno or 0, "unusable")
    if isinstance(error, DamagedDatabase):
        return "damaged"
    is_timeout = type(error).__module__.startswith("diskcache")
    if not isinstance(error, sqlite3.Error) and not is_timeout:
        return "unknown"
    # diskcache's Timeout, and a rollback that fails as well, hide SQLite's first error in their context.
    codes: list[int] = []
    each: BaseException | None = error
    while each is not None and len(codes) < 10:
        # The low byte is the primary code.
        codes.append(getattr(each, "sqlite_errorcode", 0) & 0xFF)
        each = each.__context__
    for code, kind in _SUSPECTS:
        if code in codes:
            return kind
    return "locked" if is_timeout else "damaged"
