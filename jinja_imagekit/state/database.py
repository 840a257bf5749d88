"""The diskcache database of a store: opened only when it is ours and whole, set aside when it is not."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing, suppress
from typing import Any

import diskcache  # type: ignore[import-untyped]
from diskcache.core import MODE_RAW  # type: ignore[import-untyped]

NAME = diskcache.core.DBNAME
ASIDE = f"{NAME}.damaged"

_OPTIONS: dict[str, Any] = {
    **diskcache.DEFAULT_SETTINGS,
    # diskcache's default drops records when they reach a gigabyte; ours stay, whatever they take.
    "eviction_policy": "none",
    # Each write looks for expired rows and deletes at most this many.
    "cull_limit": 2,
    # Nothing is ever pickled; the setting has to be a number.
    "disk_pickle_protocol": 0,
}
"""Given in full, so that no setting is taken from the file."""

_KNOWN_SETTINGS = frozenset(_OPTIONS) | frozenset(diskcache.core.METADATA)
_KNOWN_OBJECTS = frozenset({"table", "index", "trigger"})
_KNOWN_TABLES = frozenset({"Settings", "Cache"})


class DamagedDatabase(Exception):
    """The file is no database, or not one that this library made."""


class PlainDisk(diskcache.Disk):  # type: ignore[misc]  # diskcache has no types
    """Stores strings and numbers in their rows, and nothing else in any way.

    diskcache unpickles what a row tells it to, and opens and deletes files that a row names
    (CVE-2025-69872). Here a row is a value or it is nothing.
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
        """Do nothing: no row of ours has a file, so that a row with one is somebody else's idea."""

    def filename(self, key: Any = None, value: Any = None) -> tuple[str, str]:
        """Refuse: nothing is kept in files."""
        raise TypeError("values are kept in their rows")


def open_database(folder: str, timeout: float) -> Any:
    """Return an open `diskcache.Cache` in a folder that exists.

    Args:
        folder: An absolute path.
        timeout: Seconds for which another writer is waited for.

    Raises:
        DamagedDatabase: The file is not a whole database of ours.
        sqlite3.Error: The database cannot be used: locked, read-only, full.
        OSError: The folder cannot be used.
    """
    path = os.path.join(folder, NAME)
    if _is_there(path):
        _check(path, timeout)
    try:
        return diskcache.Cache(folder, timeout=timeout, disk=PlainDisk, **_OPTIONS)
    except (sqlite3.IntegrityError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise DamagedDatabase(str(error)) from error


def set_aside(folder: str) -> None:
    """Move the database out of the way, so that the next `open_database` makes a new one.

    Raises:
        OSError: The folder cannot be written.
    """
    # The journal first: it must not be taken for the new database's.
    for suffix in ("-wal", "-shm", "-journal"):
        with suppress(FileNotFoundError):
            os.unlink(os.path.join(folder, NAME + suffix))
    with suppress(FileNotFoundError):
        os.replace(os.path.join(folder, NAME), os.path.join(folder, ASIDE))


def identity(folder: str) -> tuple[int, int] | None:
    """Return what tells the database file from another that takes its place; None where there is none."""
    try:
        found = os.lstat(os.path.join(folder, NAME))
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _is_there(path: str) -> bool:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(found.st_mode):
        # Through a link SQLite would write to whatever database it leads to.
        raise DamagedDatabase("it is not a regular file")
    return True


def _check(path: str, timeout: float) -> None:
    """Look at everything that diskcache would take from the file and act upon, and at whether it can be written."""
    connection = sqlite3.connect(path, timeout=timeout, isolation_level=None)
    with closing(connection):
        try:
            objects = connection.execute("SELECT type, tbl_name, sql FROM sqlite_master").fetchall()
            for kind, table, sql in objects:
                if kind not in _KNOWN_OBJECTS or table not in _KNOWN_TABLES or "VIRTUAL" in str(sql).upper():
                    raise DamagedDatabase(f"it holds the {kind} {table!r}")
            if any(table == "Settings" for _, table, _ in objects):
                for key, value in connection.execute("SELECT key, value FROM Settings").fetchall():
                    # diskcache sets each as an attribute of itself, '_directory' included, or runs it as a PRAGMA.
                    if key not in _KNOWN_SETTINGS or not isinstance(value, (int, str)):
                        raise DamagedDatabase(f"it holds the setting {key!r}")
            # diskcache waits a minute for a lock while it opens; this waits for `timeout`, and finds a full disk too.
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        except sqlite3.OperationalError as error:
            if str(error).startswith("no such"):
                raise DamagedDatabase(str(error)) from error
            raise
