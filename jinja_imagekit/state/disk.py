"""The state store on disk, shared by threads and processes; problems with the disk never reach its callers."""

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
from .database import Database, open_database
from .files import NAME, DamagedDatabase, identity, set_aside
from .locks import FileLocks

if TYPE_CHECKING:
    from .writing import Writer

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
"""SQLite's result codes and the problem behind each, the most specific first (https://sqlite.org/rescode.html)."""

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
    "locked": "another process keeps it locked: check whether one hangs",
    "unusable": "it cannot be used: make sure that it is this user's folder, or set state_dir to one that is",
}

PAGE = 1_000
"""How many keys are read at a time."""

_ONLY_WRITES = frozenset({"full", "read-only", "forbidden", "locked"})
"""Problems with writing that do not prevent reading."""


class DiskStore:
    """Keeps state in a folder, in a diskcache database, for the threads and processes of one machine.

    It opens when it is first used, and again in a forked process. What cannot be written is kept in memory and tried
    again from time to time; where nothing can be read either, the process makes do with what it has in memory. A
    damaged database is set aside and a new one started. Each kind of problem is reported once, as a warning in the
    log.

    Args:
        directory: The store's own folder.
        timeout: Seconds to wait while another process writes.
        retry_after: Seconds to leave the folder alone after a problem with it.
        directory_permissions: Mode of new folders, and of the store's own.
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
        # SQLite forbids using or closing a connection copied by a fork: the parent's are kept, but left alone.
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
        return value

    def get_many(self, keys: Iterable[str]) -> dict[str, str]:
        """Return those of these values that are known, by key."""
        if self._unwritten:
            self._write(None)
        keys = tuple(keys)

        found: dict[str, str] = self._read(lambda database: database.get_many(keys), {})
        if not self._unwritten:
            return found
        return {key: value for key, value in self._unwritten.over(found, keys).items() if value is not None}

    def following(self, key: str, count: int, prefix: str) -> dict[str, str]:
        """Return the values of the first `count` keys from one on that begin with a prefix, for who reads ahead."""
        if self._unwritten:
            found = self.get(key)
            return {} if found is None else {key: found}
        return self._read(lambda database: database.following(key, count, prefix), {})

    def set_many(self, values: Mapping[str, str], timeout: float | None = None) -> None:
        """Keep these values, for `timeout` seconds where it is given, in one transaction."""

        def write(database: Writer) -> None:
            for key, value in values.items():
                database.set(key, value, expire=timeout)

        if values and not self._write(write):
            self._unwritten.put(values, timeout)

    def delete_many(self, keys: Iterable[str]) -> None:
        """Forget these values, in one transaction."""
        keys = tuple(keys)

        def delete(database: Writer) -> None:
            for key in keys:
                database.delete(key)

        if keys and not self._write(delete):
            self._unwritten.put(dict.fromkeys(keys))

    def keys(self, prefix: str = "") -> Iterator[str]:
        """Yield the keys that begin with `prefix`, a page at a time: what changes meanwhile may or may not be seen."""
        if self._unwritten:
            self._write(None)
        new = dict.fromkeys(self._unwritten.names(prefix), "")
        last: str | None = None
        while page := self._keys_after(prefix, last):
            last = page[-1]
            for key in page:
                new.pop(key, None)
            yield from self._known(page)
        yield from self._known(new)

    def _keys_after(self, prefix: str, last: str | None) -> list[str]:
        return self._read(lambda database: database.keys(prefix, last, PAGE), [])

    def _known(self, keys: Iterable[str]) -> list[str]:
        """Return those of these keys that have not been deleted in memory."""
        known = self._unwritten.over(dict.fromkeys(keys, ""), keys)
        return [key for key, value in known.items() if value is not None]

    def lock(self, key: str) -> AbstractContextManager[None]:
        """Hold the lock of this name against all threads and processes; it ends with its holder."""
        return self._locks.hold(key)

    def close(self) -> None:
        """Write what is still unwritten and close the database; the store reopens it when it is used."""
        if self._unwritten:
            self._write_at = 0.0
            self._write(None)
        access = self._access()
        with access.opening:
            self._drop(access, access.database)

    def _read(self, work: Callable[[Database], T], default: T) -> T:
        """Return what `work` finds in the database, trying again in a new one if it was damaged."""
        access = self._access()
        for _ in range(2):
            database = access.database or self._open(access)
            if database is None:
                break
            try:
                return work(database)
            except Exception as error:  # noqa: BLE001  # a store never raises
                if not self._suffer(access, database, error):
                    break
        return default

    def _write(self, work: Callable[[Writer], None] | None) -> bool:
        """Do `work` on the database in one transaction, after all that is still unwritten; tell whether it is done.

        What SQLite cannot keep is dropped.
        """
        if time.monotonic() < self._write_at:
            return False
        access = self._access()
        self._look(access)
        # Threads can take turns without polling.
        if not access.writing.acquire(timeout=self.timeout):
            return False
        try:
            return self._write_in_turn(access, work)
        finally:
            access.writing.release()

    def _write_in_turn(self, access: _Access, work: Callable[[Writer], None] | None) -> bool:
        for _ in range(2):
            database = access.database or self._open(access)
            if database is None or time.monotonic() < self._write_at:
                return False
            unwritten = self._unwritten.snapshot()

            def write(database: Writer, unwritten: Mapping[str, Any] = unwritten) -> None:
                _write_entries(database, unwritten)
                if work is not None:
                    work(database)

            try:
                database.write(write)
            except Exception as error:  # noqa: BLE001  # a store never raises
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
        # Do not wait so long twice: pages are being rendered.
        timeout = self.timeout if self.is_reliable else min(self.timeout, 0.1)
        try:
            self._make_folder()
            database = self._opened_or_rebuilt(timeout)
        except Exception as error:  # noqa: BLE001  # a store never raises
            self._give_up(_kind(error), error)
            return None
        access.identity = identity(self._folder)
        self.is_reliable = True
        return database

    def _opened_or_rebuilt(self, timeout: float) -> Database:
        for attempt in range(5):
            found = identity(self._folder)
            try:
                return open_database(self._folder, timeout, self.file_permissions)
            except (DamagedDatabase, sqlite3.DatabaseError, FileNotFoundError) as error:
                # Another process may be setting it aside and making a new one.
                if attempt == 4 or (_kind(error) != "damaged" and identity(self._folder) == found):
                    raise
                if _kind(error) == "damaged":
                    self._rebuild(found, error)
        raise AssertionError("the last attempt returns or raises")

    def _make_folder(self) -> None:
        make_folder(self._folder, self.directory_permissions)
        if os.name == "posix" and os.stat(self._folder).st_mode & 0o777 != self.directory_permissions & 0o777:
            # Another user's folder keeps its owner's modes.
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
            "The state store %s was damaged (%s). It is set aside and replaced; what it knew is found out again.",
            self._folder,
            error,
        )

    def _look(self, access: _Access) -> None:
        """Abandon a database whose folder has been deleted or replaced: nobody else would see what is written there."""
        database = access.database
        if database is not None and identity(self._folder) != access.identity:
            with access.opening:
                self._drop(access, database)

    def _suffer(self, access: _Access, database: Database, error: Exception, writing: bool = False) -> bool:
        """Take the store out of use as the error requires; tell whether to try again at once."""
        kind = _kind(error)
        if kind == "unknown":
            # SQLite cannot store the caller's key; the database is fine.
            logger.debug("state store %s: %r", self._folder, error)
            return False
        with access.opening:
            # Another thread has replaced it, another process has set it aside, or the folder was deleted.
            replaced = access.database not in (None, database) or identity(self._folder) != access.identity
            if writing and not replaced and kind in _ONLY_WRITES:
                if kind == "read-only":
                    # A file that was opened read-only stays so.
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
        """Leave the folder alone for a while, either only for writing or altogether."""
        self._write_at = time.monotonic() + self.retry_after
        if not writing:
            self._read_at = self._write_at
            self.is_reliable = False
        if kind == "locked" and not self._is_locked:
            # Many processes writing at once are not a problem; one that keeps the lock is.
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
    """A process's access to the store."""

    def __init__(self) -> None:
        self.database: Database | None = None
        self.identity: tuple[int, int] | None = None
        self.opening = threading.RLock()
        self.writing = threading.Lock()


class _Unwritten:
    """Values and deletions that could not be written yet, and take precedence over the database."""

    def __init__(self) -> None:
        # By key: the value, or None for a deletion, and when it expires.
        self._entries: dict[str, tuple[str | None, float | None]] = {}

    def __bool__(self) -> bool:
        return bool(self._entries)

    def put(self, values: Mapping[str, str | None], timeout: float | None = None) -> None:
        """Keep values for later, dropping those that no database can store, such as lone surrogates."""
        expires = None if timeout is None else time.monotonic() + timeout
        self._entries.update({key: (value, expires) for key, value in values.items() if _is_text(key, value or "")})

    def over(self, found: Mapping[str, str | None], keys: Iterable[str]) -> dict[str, str | None]:
        """Return what was found in the database, overridden by the entries of these keys."""
        known = dict(found)
        for key in keys:
            if key in self._entries:
                value, expires = self._entries[key]
                known[key] = None if expires is not None and expires <= time.monotonic() else value
        return known

    def names(self, prefix: str) -> list[str]:
        """Return the keys that begin with a prefix, including those of deletions."""
        return sorted(key for key in list(self._entries) if key.startswith(prefix))

    def snapshot(self) -> dict[str, tuple[str | None, float | None]]:
        """Return all entries."""
        return dict(self._entries)

    def forget(self, written: Mapping[str, tuple[str | None, float | None]]) -> None:
        """Forget the entries of a snapshot that has been written, unless they have changed since."""
        for key, entry in written.items():
            if self._entries.get(key) is entry:
                self._entries.pop(key, None)


def _write_entries(database: Writer, entries: Mapping[str, tuple[str | None, float | None]]) -> None:
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
    """Return the path, or the nearest folder above it that can be examined."""
    while not os.path.exists(path) and os.path.dirname(path) != path:
        path = os.path.dirname(path)
    return path


def _refined(kind: str, folder: str) -> str:
    """Return what keeps a process from using a folder: a read-only disk, its modes, or something else."""
    if kind not in ("read-only", "forbidden", "unusable") or os.name != "posix":
        return kind
    path = _nearest(folder)
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        return "read-only"
    file = os.path.join(path, NAME)
    allowed = os.access(path, os.W_OK | os.X_OK) and (not os.path.exists(file) or os.access(file, os.R_OK | os.W_OK))
    return kind if allowed else "forbidden"


def _ownership(folder: str) -> dict[str, str]:
    """Return a folder's owner and mode in words, as far as they are known."""
    facts = os.stat(_nearest(folder))
    try:
        # Windows has no such module.
        import pwd

        owner = pwd.getpwuid(facts.st_uid).pw_name
    except (ImportError, KeyError):
        owner = str(facts.st_uid)
    return {"owner": owner, "mode": f"{facts.st_mode & 0o7777:04o}"}


def _kind(error: Exception) -> str:
    """Return the kind of problem behind an error; `unknown` if it does not come from the database."""
    if isinstance(error, OSError):
        return _ERRNOS.get(error.errno or 0, "unusable")
    if isinstance(error, DamagedDatabase):
        return "damaged"
    is_timeout = type(error).__module__.startswith("diskcache")
    if not isinstance(error, sqlite3.Error) and not is_timeout:
        return "unknown"
    # diskcache's Timeout, and a failing rollback, hide SQLite's first error in their context.
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
