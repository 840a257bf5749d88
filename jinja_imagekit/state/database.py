"""The diskcache database of a store, which, whatever it holds, runs no code and touches no other file."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
import zlib
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, TypeVar

import diskcache  # type: ignore[import-untyped]
from diskcache.core import METADATA, MODE_RAW  # type: ignore[import-untyped]

from ..atomic_files import sweep_folder, temporary_name
from .files import NAME, check, is_there

T = TypeVar("T")

_OPTIONS: dict[str, Any] = {
    **diskcache.DEFAULT_SETTINGS,
    # diskcache drops records by default when they reach a gigabyte; ours stay, however much space they take.
    "eviction_policy": "none",
    # Each write looks for expired rows and deletes at most this many.
    "cull_limit": 2,
    # Nothing is ever pickled; the setting has to be a number.
    "disk_pickle_protocol": 0,
    "sqlite_auto_vacuum": 0,
}
"""Given in full, so that no setting is taken from the file."""

_PRAGMAS = (
    # If a file mapped into memory is truncated, the process dies of SIGBUS, and a write-ahead log maps one.
    "mmap_size = 0",
    "journal_mode = TRUNCATE",
    # A killed process loses nothing. A power failure may damage the file, which is then replaced by a new one.
    "synchronous = OFF",
    "trusted_schema = OFF",
)


class PlainDisk(diskcache.Disk):  # type: ignore[misc]  # diskcache has no types
    """Stores strings and numbers in their rows, and nothing else anywhere.

    diskcache unpickles what a row tells it to, and opens and deletes files that a row names
    (CVE-2025-69872). Here a row is either a value or ignored.
    """

    def put(self, key: Any) -> tuple[str, bool]:
        """Return the database's form of a key."""
        if type(key) is not str:
            raise TypeError(f"a key is a string, not {key!r}")
        return key, True

    def get(self, key: Any, raw: Any) -> str | None:
        """Return the key of a row; None where this class did not write it."""
        return key if raw == 1 and type(key) is str else None

    def store(self, value: Any, read: bool, key: Any = None) -> tuple[int, int, None, str | int | float]:
        """Return the columns of a value."""
        if read or type(value) not in (str, int, float):
            raise TypeError(f"a value is a string or a number, not {value!r}")
        return 0, MODE_RAW, None, value

    def fetch(self, mode: Any, filename: Any, value: Any, read: bool) -> str | int | float | None:
        """Return the value of a row; None where this class did not write it."""
        if mode != MODE_RAW or filename is not None or read or type(value) not in (str, int, float):
            return None
        found: str | int | float = value
        return found

    def remove(self, file_path: str) -> None:
        """Do nothing: rows of ours have no files, so a row with one is not ours."""

    def filename(self, key: Any = None, value: Any = None) -> tuple[str, str]:
        """Refuse: nothing is kept in files."""
        raise TypeError("values are kept in their rows")


class Database(diskcache.Cache):  # type: ignore[misc]  # diskcache has no types
    """diskcache's cache over an existing file, with one connection for reading and one for writing for all threads.

    diskcache itself has a connection for each thread, which is not closed when the thread ends, and rewrites its
    settings whenever it opens.

    Args:
        folder: The absolute path of the store's folder.
        timeout: Seconds to wait for another writer.

    Raises:
        DamagedDatabase: The file is not a whole database of ours.
        sqlite3.Error: It cannot be read.
    """

    def __init__(self, folder: str, timeout: float) -> None:
        # What diskcache's own constructor sets, which would write to the file.
        self._directory, self._timeout, self._txn_id = folder, timeout, None
        self._disk = PlainDisk(folder, min_file_size=_OPTIONS["disk_min_file_size"], pickle_protocol=0)
        for name, value in {**_OPTIONS, **METADATA}.items():
            setattr(self, name, value)
        self._used = threading.local()
        address = f"{Path(folder, NAME).as_uri()}?mode=rw"
        self._reader, self._writer = _Line(address, timeout), _Line(address, timeout)
        for line in (self._reader, self._writer):
            weakref.finalize(self, line.close)
        try:
            self.read(lambda database: check(database._con))
        except BaseException:
            self.close()
            raise

    def read(self, work: Callable[[Database], T]) -> T:
        """Read something, even if a writer has to wait."""
        return self._run(self._reader, work)

    def write(self, work: Callable[[Database], T]) -> T:
        """Do something in one transaction."""

        def transact(database: Database) -> T:
            with database.transact():
                return work(database)

        return self._run(self._writer, transact)

    def _run(self, line: _Line, work: Callable[[Database], T]) -> T:
        with line.lock:
            self._used.connection = connection = line.connection or line.open()
            try:
                return work(self)
            finally:
                self._used.connection = None
                if connection.in_transaction:
                    # Neither commit nor rollback worked; closing the connection rolls back.
                    line.hang_up()

    def get(self, key: str) -> str | None:
        """Return a value; None where it is unknown, expired, or not as it was written."""
        value = super().get(key)
        return _unsealed(key, value) if type(value) is str else None

    def set(self, key: str, value: str, expire: float | None = None) -> None:
        """Keep a value, for `expire` seconds where it is given."""
        super().set(key, _sealed(key, value), expire=expire)

    def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin with a prefix and have not expired, in order."""
        found: list[str] = []
        query = (
            "SELECT key FROM Cache WHERE raw = 1 AND key >= ? AND (expire_time IS NULL OR expire_time > ?) ORDER BY key"
        )
        with closing(self._con.cursor()) as cursor:
            for (key,) in cursor.execute(query, (prefix, time.time())):
                # Whatever is not text comes after all text.
                if type(key) is not str or not key.startswith(prefix):
                    break
                found.append(key)
        return found

    def close(self) -> None:
        """Close both connections; they open again when the database is used."""
        self._reader.close()
        self._writer.close()

    @property
    def _con(self) -> sqlite3.Connection:
        """The connection that this thread uses, as diskcache asks for it."""
        connection: sqlite3.Connection = self._used.connection
        return connection


class _Line:
    """A connection to a database file, which one thread at a time may use.

    Args:
        address: The file as a URI.
        timeout: Seconds to wait for another process.
    """

    def __init__(self, address: str, timeout: float) -> None:
        self.lock = threading.Lock()
        self.connection: sqlite3.Connection | None = None
        self._address = address
        self._timeout = timeout
        self._pid = os.getpid()
        with _forking:
            _lines.add(self)

    def open(self) -> sqlite3.Connection:
        """Open the connection and return it; the caller holds the lock."""
        connection = sqlite3.connect(
            self._address, timeout=self._timeout, isolation_level=None, check_same_thread=False, uri=True
        )
        try:
            for pragma in _PRAGMAS:
                connection.execute(f"PRAGMA {pragma}").fetchall()
        except BaseException:
            connection.close()
            raise
        self.connection = connection
        return connection

    def hang_up(self) -> None:
        """Close the connection; the caller holds the lock."""
        # SQLite forbids touching a connection that a fork has copied.
        if self.connection is not None and self._pid == os.getpid():
            with suppress(sqlite3.Error):
                self.connection.close()
            self.connection = None

    def close(self) -> None:
        """Close the connection when nobody uses it."""
        with self.lock:
            self.hang_up()


_lines: weakref.WeakSet[_Line] = weakref.WeakSet()
_held: list[_Line] = []
_forking = threading.Lock()


def _before_fork() -> None:
    """Wait until no connection is in use: in the child, SQLite would believe for ever that its copy is.

    SQLite keeps a list of the locks that its process has on each file, which a fork copies and nothing corrects.
    """
    _forking.acquire()
    _held.extend(line for line in list(_lines) if line.lock.acquire(timeout=1))


def _after_fork() -> None:
    for line in _held:
        line.lock.release()
    _held.clear()
    _forking.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)


def _sealed(key: str, value: str) -> str:
    # SQLite has no checksums: a page that was half overwritten gives values that look sound.
    return f"{zlib.crc32(f'{key}:{value}'.encode()):08x}{value}"


def _unsealed(key: str, text: str) -> str | None:
    value = text[8:]
    try:
        return value if _sealed(key, value) == text else None
    except UnicodeEncodeError:
        return None


def open_database(folder: str, timeout: float, mode: int) -> Database:
    """Return an open database in a folder that exists.

    Args:
        folder: An absolute path.
        timeout: Seconds to wait for another writer.
        mode: The mode of a newly created file.

    Raises:
        DamagedDatabase: The file is not a whole database of ours.
        sqlite3.Error: The database cannot be used: read-only, full.
        OSError: The folder cannot be used.
    """
    if not is_there(os.path.join(folder, NAME)):
        _create(folder, mode)
    return Database(folder, timeout)


def _create(folder: str, mode: int) -> None:
    """Make an empty database under a temporary name, and rename it unless another process was faster."""
    sweep_folder(folder)
    temporary = os.path.join(folder, temporary_name())
    try:
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as memory:
            _Blank(folder, memory)
            memory.execute("VACUUM INTO ?", (temporary,))
        os.chmod(temporary, mode)
        _name_unless_there(temporary, os.path.join(folder, NAME))
    finally:
        with suppress(OSError):
            os.unlink(temporary)


def _name_unless_there(temporary: str, path: str) -> None:
    try:
        os.link(temporary, path)
    except FileExistsError:
        return
    except (OSError, AttributeError, NotImplementedError):
        # No hard links here. If another process was faster, its database holds next to nothing yet.
        with suppress(FileExistsError):
            os.rename(temporary, path)


class _Blank(diskcache.Cache):  # type: ignore[misc]  # diskcache has no types
    """Makes what diskcache needs in an empty database."""

    # In place of a property of diskcache's, which opens the file.
    _con: sqlite3.Connection | None = None

    def __init__(self, folder: str, memory: sqlite3.Connection) -> None:
        self._con = memory
        super().__init__(folder, disk=PlainDisk, **_OPTIONS)

    def close(self) -> None:
        # diskcache calls this at the end of its constructor, in order to reopen the file.
        pass
