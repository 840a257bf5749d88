"""The database file of a store: whether it is ours and whole, and how it is set aside when it is not."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Set
from contextlib import closing, suppress

NAME = "cache.db"
"""What diskcache calls its database."""

ASIDE = f"{NAME}.damaged"

_KNOWN_OBJECTS = frozenset({"table", "index", "trigger"})
_KNOWN_TABLES = frozenset({"Settings", "Cache"})


class DamagedDatabase(Exception):
    """The file is not a database, or not one that this library made."""


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


def check(folder: str, timeout: float, known_settings: Set[str]) -> None:
    """Look at all that diskcache would take from the file and act upon, and at whether it can be written.

    Args:
        folder: The store's folder.
        timeout: Seconds for which another writer is waited for.
        known_settings: The settings that the file may hold.

    Raises:
        DamagedDatabase: The file is not a whole database of ours; no file is none.
        sqlite3.Error: The database cannot be used: locked, read-only, full.
    """
    path = os.path.join(folder, NAME)
    if not _is_there(path):
        return
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
                    if key not in known_settings or not isinstance(value, (int, str)):
                        raise DamagedDatabase(f"it holds the setting {key!r}")
            # diskcache waits a minute for a lock while it opens; this waits for `timeout`, and finds a full disk too.
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        except sqlite3.OperationalError as error:
            if str(error).startswith("no such"):
                raise DamagedDatabase(str(error)) from error
            raise
