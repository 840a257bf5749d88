"""The database file of a store: its name, whether it is ours, and how it is set aside if it is not."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import suppress

NAME = "state-2.db"
"""The file's name holds its format version; files of other versions are left alone."""

ASIDE = f"{NAME}.damaged"

_KNOWN_OBJECTS = frozenset({"table", "index", "trigger"})
_KNOWN_TABLES = frozenset({"Settings", "Cache"})


class DamagedDatabase(Exception):
    """The file is not a database, or not one that this library made."""


def set_aside(folder: str) -> None:
    """Move the database out of the way, so that the next `create_database` makes a new one.

    Raises:
        OSError: The folder cannot be written.
    """
    # The journal first, or else it would be taken for the new database's.
    for suffix in ("-journal", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            os.unlink(os.path.join(folder, NAME + suffix))
    with suppress(FileNotFoundError):
        os.replace(os.path.join(folder, NAME), os.path.join(folder, ASIDE))


def identity(folder: str) -> tuple[int, int] | None:
    """Return what distinguishes the database file from one that takes its place; None if there is none."""
    try:
        found = os.lstat(os.path.join(folder, NAME))
    except OSError:
        return None
    return found.st_dev, found.st_ino


def is_there(path: str) -> bool:
    """Tell whether there is a database file.

    Raises:
        DamagedDatabase: Something else is there.
    """
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(found.st_mode):
        # SQLite would follow a link and write to whatever database it leads to.
        raise DamagedDatabase("it is not a regular file")
    return True


def check(connection: sqlite3.Connection) -> None:
    """Check everything in the file that SQLite acts upon of its own accord.

    Raises:
        DamagedDatabase: The file is not a whole database of ours.
        sqlite3.Error: The database cannot be read.
    """
    objects = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()
    for kind, _, table, sql in objects:
        if kind not in _KNOWN_OBJECTS or table not in _KNOWN_TABLES or "VIRTUAL" in str(sql).upper():
            raise DamagedDatabase(f"it holds the {kind} {table!r}")
    missing = {"Cache", "Settings", "Cache_key_raw"} - {name for _, name, _, _ in objects}
    if missing:
        raise DamagedDatabase(f"it lacks {sorted(missing)[0]!r}")
