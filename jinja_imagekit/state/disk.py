"""The state store on disk, shared by threads and processes, which keeps all trouble with the disk to itself."""

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
from typing import TYPE_CHECKING, Any, TypeVar

from ..atomic_files import make_folder
from ..once import PerProcess
from ..settings import Settings
from .files import NAME, DamagedDatabase, identity, set_aside
from .locks import FileLocks

if TYPE_CHECKING:
    from .database import Database

T = TypeVar("T")

logger = logging.getLogger("jinja_imagekit.state")

_SUSPECTS: tuple[tuple[int, str], ...] = (
    (sqlite3.SQLITE_FULL, "full"),
    (sqlite3.SQLITE_READONLY, "read-only"),
    (sqlite3.SQLITE_CORRUPT, "damaged"),
    (sqlite3.SQLITE_NOTADB, "damaged"),
    (sqlite3.SQLITE_IOERR, "unusable"),
    (sqlite3.SQLITE_CANTOPEN, "unusable"),
    (sqlite3.SQLITE_PERM, "forbidden"),
    (sqlite3.SQLITE_BUSY, "locked"),
    (sqlite3.SQLITE_LOCKED, "locked"),
)
"""SQLite's result codes and the trouble that each means, the most telling first (https://sqlite.org/rescode.html)."""

_ERRNOS = {
    errno.ENOSPC: "full",
    errno.EDQUOT: "full",
    errno.EROFS: "read-only",
    errno.EACCES: "forbidden",
    errno.EPERM: "forbidden",
}

_ADVICE = {
    "full": "its disk is full: free some space",
    "read-only": "it is read-only: make it writable, or set state_dir to a folder that is",
    "forbidden": "it belongs to the user {owner}, and its mode is {mode}: to share it, set state_directory_permissions "
    "and state_file_permissions to modes such as 0o770 and 0o660, or set state_dir to another folder",
    "locked": "another process keeps it locked: see whether one hangs",
    "unusable": "it cannot be used: see that it is a folder of this user, or set state_dir to one that is",
}

_ONLY_WRITES = frozenset({"full", "read-only", "forbidden", "locked"})
"""Trouble with a write that does not keep anybody from reading."""


class DiskStore:
    """Keeps state in a folder, in a diskcache database, for the threads and processes of one machine.

    It opens when it is first used, and again in a process that was forked. What cannot be written is kept in memory,
    tried again from time to time, and then handed over; where nothing can be read either, the process does with what
    it keeps in memory. A damaged database is set aside and begun anew. Each kind of trouble is told once, as a
    warning in the log.

    Args:
        directory: The store's own folder.
        timeout: Seconds for which another process that writes is waited for.
        retry_after: Seconds for which the folder is left alone after trouble with it.
        directory_permissions: Mode of the folders that are made, and of the store's own.
        file_permissions: Mode of the files.

    Attributes:
        is_reliable: False while nothing can be read from the disk.

    Example:
        >>> store = DiskStore(".imagekit/state")  # doctest: +SKIP
        >>> store.set_many({"a": "1"})  # doctest: +SKIP
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        timeout: float = 0.2,
        retry_after: float = 5.0,
        directory_permissions: int = 0o700,
        file_permissions: int = 0o600,
    ) -> None:
        # diskcache imports Django where that is installed; who keeps no state on disk need not wait for it.
        from .database import open_database

        self._open_database = open_database
        self.directory = Path(os.path.abspath(directory))
        self.timeout = timeout
        self.retry_after = retry_after
        self.directory_permissions = directory_permissions
        self.file_permissions = file_permissions
        self.is_reliable = True
        self._folder = str(self.directory)
        self._unwritten = _Unwritten()
        self._locks = FileLocks(os.path.join(self._folder, "locks"), directory_permissions, file_permissions)
        self._told: frozenset[str] = frozenset()
        self._is_locked = False
        self._read_at = 0.0
        self._write_at = 0.0
        # SQLite forbids to use or close a connection that a fork has copied: the parent's are kept and left alone.
        self._access = PerProcess(_Access)

    @classmethod
    def from_settings(cls, settings: Settings) -> DiskStore:
        """Return the store that a kit's settings describe, in the folder `state` of its `state_dir`."""
        return cls(
            settings.state_dir / "state",
            directory_permissions=settings.state_directory_permissions,
            file_permissions=settings.state_file_permissions,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._folder!r})"

    def get(self, key: str) -> str | None:
        """Return the value; None where it is unknown or expired."""
        if self._unwritten:
            self._write(None)
        value = self._read(lambda database: database.get(key), None)
        if self._unwritten:
            value = self._unwritten.over({key: value}, (key,))[key]
        return value if type(value) is str else None

    def get_many(self, keys: Iterable[str]) -> dict[str, str]:
        """Return the known ones of these values by key."""
        if self._unwritten:
            self._write(None)
        keys = tuple(keys)

        def read(database: Database) -> dict[str, Any]:
            return {key: database.get(key) for key in keys}

        found = self._unwritten.over(self._read(read, {}), keys)
        return {key: value for key, value in found.items() if type(value) is str}

    def set_many(self, values: Mapping[str, str], timeout: float | None = None) -> None:
        """Keep these values, for `timeout` seconds where it is given, in one transaction."""

        def write(database: Database) -> None:
            for key, value in values.items():
                database.set(key, value, expire=timeout)

        if values and not self._write(write):
            self._unwritten.put(values, timeout)

    def delete_many(self, keys: Iterable[str]) -> None:
        """Forget these values, in one transaction."""
        keys = tuple(keys)

        def delete(database: Database) -> None:
            for key in keys:
                database.delete(key)

        if keys and not self._write(delete):
            self._unwritten.put(dict.fromkeys(keys))

    def keys(self, prefix: str = "") -> Iterator[str]:
        """Yield the keys that begin with `prefix`."""
        if self._unwritten:
            self._write(None)
        found: list[str] = self._read(lambda database: database.keys(prefix), [])
        known = self._unwritten.over(dict.fromkeys(found, ""), self._unwritten.names(prefix))
        return iter([key for key, value in known.items() if value is not None])

    def lock(self, key: str) -> AbstractContextManager[None]:
        """Hold the lock of this name against all threads and processes; it ends with its holder."""
        return self._locks.hold(key)

    def close(self) -> None:
        """Write what is still to be written, and close the database; the store opens it again when it is used."""
        if self._unwritten:
            self._write_at = 0.0
            self._write(None)
        access = self._access()
        with access.opening:
            self._drop(access, access.database)

    def _read(self, work: Callable[[Database], T], default: T) -> T:
        """Return what `work` finds in the database, once more in a new one where it was damaged."""
        access = self._access()
        for _ in range(2):
            # A database is false when it is empty.
            database = self._open(access) if access.database is None else access.database
            if database is None:
                break
            try:
                return database.read(work)
            except Exception as error:  # noqa: BLE001  # no trouble gets out of a store
                if not self._suffer(access, database, error):
                    break
        return default

    def _write(self, work: Callable[[Database], None] | None) -> bool:
        """Do `work` on the database in one transaction, after all that is still to be written; tell whether it is done.

        What SQLite cannot keep is dropped.
        """
        if time.monotonic() < self._write_at:
            return False
        access = self._access()
        self._look(access)
        # Among threads, whose turn it is needs no polling.
        if not access.writing.acquire(timeout=self.timeout):
            return False
        try:
            return self._write_in_turn(access, work)
        finally:
            access.writing.release()

    def _write_in_turn(self, access: _Access, work: Callable[[Database], None] | None) -> bool:
        for _ in range(2):
            database = self._open(access) if access.database is None else access.database
            if database is None or time.monotonic() < self._write_at:
                return False
            unwritten = self._unwritten.snapshot()

            def write(database: Database, unwritten: Mapping[str, Any] = unwritten) -> None:
                _write_entries(database, unwritten)
                if work is not None:
                    work(database)

            try:
                database.write(write)
            except Exception as error:  # noqa: BLE001  # no trouble gets out of a store
                if _kind(error) == "unknown":
                    logger.debug("state store %s: %r", self._folder, error)
                    return True
                if not self._suffer(access, database, error, writing=True):
                    return False
            else:
                self._unwritten.forget(unwritten)
                self._is_locked = False
                return True
        return False

    def _open(self, access: _Access) -> Database | None:
        if time.monotonic() < self._read_at:
            return None
        with access.opening:
            if access.database is None and time.monotonic() >= self._read_at:
                access.database = self._opened(access)
            return access.database

    def _opened(self, access: _Access) -> Database | None:
        # Whoever waited once need not wait so long again: pages are being rendered.
        timeout = self.timeout if self.is_reliable else min(self.timeout, 0.1)
        try:
            self._make_folder()
            database = self._opened_or_rebuilt(timeout)
        except Exception as error:  # noqa: BLE001  # no trouble gets out of a store
            self._give_up(_kind(error), error)
            return None
        access.identity = identity(self._folder)
        self.is_reliable = True
        return database

    def _opened_or_rebuilt(self, timeout: float) -> Database:
        for attempt in range(5):
            found = identity(self._folder)
            try:
                return self._open_database(self._folder, timeout, self.file_permissions)
            except (DamagedDatabase, sqlite3.DatabaseError, FileNotFoundError) as error:
                # Another process may be setting it aside, and making a new one.
                if attempt == 4 or (_kind(error) != "damaged" and identity(self._folder) == found):
                    raise
                if _kind(error) == "damaged":
                    self._rebuild(found, error)
        raise AssertionError("the last attempt returns or raises")

    def _make_folder(self) -> None:
        make_folder(self._folder, self.directory_permissions)
        if os.name == "posix" and os.stat(self._folder).st_mode & 0o777 != self.directory_permissions & 0o777:
            # Another user's folder stays as its owner has it.
            with suppress(PermissionError):
                os.chmod(self._folder, self.directory_permissions)

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

    def _look(self, access: _Access) -> None:
        """Leave a database whose folder was deleted or replaced under way: nobody else sees what is written there."""
        database = access.database
        if database is not None and identity(self._folder) != access.identity:
            with access.opening:
                self._drop(access, database)

    def _suffer(self, access: _Access, database: Database, error: Exception, writing: bool = False) -> bool:
        """Take the store out of use as the error demands; tell whether to try again at once."""
        kind = _kind(error)
        if kind == "unknown":
            # The caller's key is nothing that SQLite keeps; the database is well.
            logger.debug("state store %s: %r", self._folder, error)
            return False
        with access.opening:
            # Another thread has replaced it, another process has set it aside, or the folder was deleted.
            replaced = access.database not in (None, database) or identity(self._folder) != access.identity
            if writing and not replaced and kind in _ONLY_WRITES:
                if kind == "read-only":
                    # A file that was opened for reading alone stays so.
                    self._drop(access, database)
                self._give_up(kind, error, writing)
                return False
            self._drop(access, database)
            if replaced:
                return True
            if kind == "damaged":
                try:
                    self._rebuild(access.identity, error)
                    return True
                except OSError as trouble:
                    error, kind = trouble, _kind(trouble)
            self._give_up(kind, error)
            return False

    @staticmethod
    def _drop(access: _Access, database: Database | None) -> None:
        if database is not None:
            database.close()
            if access.database is database:
                access.database = None

    def _give_up(self, kind: str, error: Exception, writing: bool = False) -> None:
        """Leave the folder alone for a while: for writing alone, or altogether."""
        self._write_at = time.monotonic() + self.retry_after
        if not writing:
            self._read_at = self._write_at
            self.is_reliable = False
        if kind == "locked" and not self._is_locked:
            # Many processes that write at once are no trouble; one that keeps the lock is.
            self._is_locked = True
            self._write_at = time.monotonic() + self.retry_after / 5
            return
        kind = _refined(kind if kind in _ADVICE else "unusable", self._folder)
        self._tell(
            kind,
            "The state store %s is not %s: %s (%s). Until then this process keeps what is new in memory.",
            self._folder,
            "written" if writing else "used",
            _ADVICE[kind].format(**_ownership(self._folder)),
            error,
        )

    def _tell(self, kind: str, message: str, *args: object) -> None:
        if kind not in self._told:
            self._told |= {kind}
            logger.warning(message, *args)


class _Access:
    """What a process has of the store."""

    def __init__(self) -> None:
        self.database: Database | None = None
        self.identity: tuple[int, int] | None = None
        self.opening = threading.RLock()
        self.writing = threading.Lock()


class _Unwritten:
    """What could not be written yet, and covers what the database says: values, and keys that were deleted."""

    def __init__(self) -> None:
        # By key the value, or None for one that was deleted, and when it expires.
        self._entries: dict[str, tuple[str | None, float | None]] = {}

    def __bool__(self) -> bool:
        return bool(self._entries)

    def put(self, values: Mapping[str, str | None], timeout: float | None = None) -> None:
        """Keep values for later; those that no database keeps, such as lone surrogates, are dropped."""
        expires = None if timeout is None else time.monotonic() + timeout
        self._entries.update({key: (value, expires) for key, value in values.items() if _is_text(key, value or "")})

    def over(self, found: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
        """Return what was found in the database, with the entries of these keys over it."""
        known = dict(found)
        for key in keys:
            if key in self._entries:
                value, expires = self._entries[key]
                known[key] = None if expires is not None and expires <= time.monotonic() else value
        return known

    def names(self, prefix: str) -> list[str]:
        """Return the keys that begin with a prefix, those of values that were deleted among them."""
        return sorted(key for key in list(self._entries) if key.startswith(prefix))

    def snapshot(self) -> dict[str, tuple[str | None, float | None]]:
        """Return all entries."""
        return dict(self._entries)

    def forget(self, written: Mapping[str, tuple[str | None, float | None]]) -> None:
        """Forget the entries of a snapshot that was written, unless they have changed since."""
        for key, entry in written.items():
            if self._entries.get(key) is entry:
                self._entries.pop(key, None)


def _write_entries(database: Database, entries: Mapping[str, tuple[str | None, float | None]]) -> None:
    now = time.monotonic()
    for key, (value, expires) in entries.items():
        if value is None or (expires is not None and expires <= now):
            database.delete(key)
        else:
            database.set(key, value, expire=None if expires is None else expires - now)


def _is_text(*texts: str) -> bool:
    try:
        return all(text.encode() is not None for text in texts)
    except UnicodeEncodeError:
        return False


def _nearest(path: str) -> str:
    """Return the path, or the nearest folder above it that can be looked at."""
    while not os.path.exists(path) and os.path.dirname(path) != path:
        path = os.path.dirname(path)
    return path


def _refined(kind: str, folder: str) -> str:
    """Return what keeps a process from a folder: that its disk is read-only, its modes, or something else."""
    if kind not in ("read-only", "forbidden", "unusable") or os.name != "posix":
        return kind
    path = _nearest(folder)
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        return "read-only"
    file = os.path.join(path, NAME)
    allowed = os.access(path, os.W_OK | os.X_OK) and (not os.path.exists(file) or os.access(file, os.R_OK | os.W_OK))
    return kind if allowed else "forbidden"


def _ownership(folder: str) -> dict[str, str]:
    """Return the owner and the mode of a folder in words, as far as they can be told."""
    facts = os.stat(_nearest(folder))
    try:
        # Windows has no such module.
        import pwd

        owner = pwd.getpwuid(facts.st_uid).pw_name
    except (ImportError, KeyError):
        owner = str(facts.st_uid)
    return {"owner": owner, "mode": f"{facts.st_mode & 0o7777:04o}"}


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
