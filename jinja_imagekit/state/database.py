"""The database of a store, which, whatever it holds, runs no code and touches no other file: reading, connections."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from zlib import crc32

from .files import NAME, check, is_there

if TYPE_CHECKING:
    from .writing import Writer

T = TypeVar("T")

_PRAGMAS = (
    # If a file mapped into memory is truncated, the process dies of SIGBUS, and a write-ahead log maps one.
    "mmap_size = 0",
    "journal_mode = TRUNCATE",
    # A killed process loses nothing. A power failure may damage the file, which is then replaced by a new one.
    "synchronous = OFF",
    "trusted_schema = OFF",
)

RAW = 1
"""diskcache's mode of a value that stands in its row."""

_BATCH = 500
"""How many values one query asks for; SQLite's least limit of parameters is 999."""


class Database:
    """An existing file of diskcache's, with one connection for reading and one for writing for all threads.

    diskcache itself has a connection for each thread, which is not closed when the thread ends, and rewrites its
    settings whenever it opens. Here it writes alone, since it takes time to import, and asks for one value at a time.

    Args:
        folder: The absolute path of the store's folder.
        timeout: Seconds to wait for another writer.

    Raises:
        DamagedDatabase: The file is not a whole database of ours.
        sqlite3.Error: It cannot be read.
    """

    def __init__(self, folder: str, timeout: float) -> None:
        self._folder, self._timeout = folder, timeout
        address = f"{Path(folder, NAME).as_uri()}?mode=rw"
        self._reader, self._writer = Line(address, timeout), Line(address, timeout)
        for line in (self._reader, self._writer):
            weakref.finalize(self, line.close)
        try:
            self._reader.run(check)
        except BaseException:
            self.close()
            raise

    def get(self, key: str) -> str | None:
        """Return a value; None where it is unknown, expired, or not as it was written."""
        query = f"{_SELECT} AND key = ?"
        row = self._reader.run(lambda connection: connection.execute(query, (time.time(), key)).fetchone())
        return None if row is None else _value(*row)

    def get_many(self, keys: Iterable[str]) -> dict[str, str]:
        """Return those of these values that are known, neither expired nor damaged, by key."""
        wanted = list(keys)
        found: dict[str, str] = {}
        for start in range(0, len(wanted), _BATCH):
            batch = wanted[start : start + _BATCH]
            query = f"{_SELECT} AND key IN ({','.join('?' * len(batch))})"
            for key, sealed_value in self._reader.run(_fetching(query, (time.time(), *batch))):
                value = _value(key, sealed_value)
                if value is not None:
                    found[str(key)] = value
        return found

    def following(self, key: str, count: int, prefix: str) -> dict[str, str]:
        """Return the values of the first `count` keys from one on that begin with a prefix, without damaged ones."""
        query = f"{_SELECT} AND key >= ? AND key < ? ORDER BY key LIMIT ?"
        end = f"{prefix[:-1]}{chr(ord(prefix[-1]) + 1)}"
        found: dict[str, str] = {}
        for name, sealed_value in self._reader.run(_fetching(query, (time.time(), key, end, count))):
            value = _value(name, sealed_value)
            if value is not None:
                found[str(name)] = value
        return found

    def keys(self, prefix: str, after: str | None, count: int) -> list[str]:
        """Return the first `count` keys that begin with a prefix and have not expired, in order: those after one."""
        query = (
            f"SELECT key FROM Cache WHERE raw = 1 AND key {'>=' if after is None else '>'} ? "
            "AND (expire_time IS NULL OR expire_time > ?) ORDER BY key LIMIT ?"
        )
        rows = self._reader.run(_fetching(query, (prefix if after is None else after, time.time(), count)))
        # Whatever is not text comes after all text.
        return [key for (key,) in rows if type(key) is str and key.startswith(prefix)]

    def write(self, work: Callable[[Writer], T]) -> T:
        """Do something in one transaction."""
        # diskcache imports Django where it is installed, which a site where nothing changes need not wait for.
        from .writing import Writer

        def transact(connection: sqlite3.Connection) -> T:
            writer = Writer(self._folder, self._timeout, connection)
            with writer.transact():
                return work(writer)

        return self._writer.run(transact)

    def close(self) -> None:
        """Close both connections; they open again when the database is used."""
        self._reader.close()
        self._writer.close()


_SELECT = (
    f"SELECT key, value FROM Cache WHERE raw = 1 AND mode = {RAW} AND filename IS NULL "
    "AND (expire_time IS NULL OR expire_time > ?)"
)
"""Rows that have no file: no others are of this library's."""


def _fetching(query: str, parameters: tuple[object, ...]) -> Callable[[sqlite3.Connection], list[tuple[object, ...]]]:
    return lambda connection: connection.execute(query, parameters).fetchall()


class Line:
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

    def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do something with the connection when nobody else uses it."""
        with self.lock:
            connection = self.connection or self._open()
            try:
                return work(connection)
            finally:
                if connection.in_transaction:
                    # Neither commit nor rollback worked; closing the connection rolls back.
                    self._hang_up()

    def _open(self) -> sqlite3.Connection:
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

    def _hang_up(self) -> None:
        """Close the connection; the caller holds the lock."""
        # SQLite forbids touching a connection that a fork has copied.
        if self.connection is not None and self._pid == os.getpid():
            with suppress(sqlite3.Error):
                self.connection.close()
            self.connection = None

    def close(self) -> None:
        """Close the connection when nobody uses it."""
        with self.lock:
            self._hang_up()


_lines: weakref.WeakSet[Line] = weakref.WeakSet()
_held: list[Line] = []
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


def sealed(key: str, value: str) -> str:
    # SQLite has no checksums: a page that was half overwritten gives values that look sound.
    return f"{crc32(f'{key}:{value}'.encode()):08x}{value}"


def _value(key: object, value: object) -> str | None:
    """Return the value of a row; None where this library did not write it as it stands."""
    if type(key) is not str or type(value) is not str:
        return None
    plain = value[8:]
    try:
        # Spelt out: this is asked for each image of a site.
        return plain if f"{crc32(f'{key}:{plain}'.encode()):08x}" == value[:8] else None
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
        from .writing import create

        create(folder, mode)
    return Database(folder, timeout)
