"""Writes to the database of a store by way of diskcache, whose settings and pickles it leaves alone."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from typing import Any

import diskcache  # type: ignore[import-untyped]
from diskcache.core import METADATA  # type: ignore[import-untyped]

from ..atomic_files import sweep_folder, temporary_name
from .database import RAW, sealed
from .files import NAME

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
        return 0, RAW, None, value

    def fetch(self, mode: Any, filename: Any, value: Any, read: bool) -> str | int | float | None:
        """Return the value of a row; None where this class did not write it."""
        if mode != RAW or filename is not None or read or type(value) not in (str, int, float):
            return None
        found: str | int | float = value
        return found

    def remove(self, file_path: str) -> None:
        """Do nothing: rows of ours have no files, so a row with one is not ours."""

    def filename(self, key: Any = None, value: Any = None) -> tuple[str, str]:
        """Refuse: nothing is kept in files."""
        raise TypeError("values are kept in their rows")


class Writer(diskcache.Cache):  # type: ignore[misc]  # diskcache has no types
    """diskcache's cache over an open connection, for one transaction.

    Args:
        folder: The absolute path of the store's folder.
        timeout: Seconds to wait for another writer.
        connection: The connection, which only the caller uses.
    """

    # In place of a property of diskcache's, which opens a connection for each thread.
    _con: sqlite3.Connection | None = None

    def __init__(self, folder: str, timeout: float, connection: sqlite3.Connection) -> None:
        # What diskcache's own constructor sets, which would write to the file.
        self._directory, self._timeout, self._txn_id, self._con = folder, timeout, None, connection
        self._disk = PlainDisk(folder, min_file_size=_OPTIONS["disk_min_file_size"], pickle_protocol=0)
        for name, value in {**_OPTIONS, **METADATA}.items():
            setattr(self, name, value)

    def set(self, key: str, value: str, expire: float | None = None) -> None:
        """Keep a value, for `expire` seconds where it is given."""
        super().set(key, sealed(key, value), expire=expire)

    def close(self) -> None:
        # diskcache closes what it finds in itself; the connection is the caller's.
        pass


def create(folder: str, mode: int) -> None:
    """Make an empty database under a temporary name, and rename it unless another process was faster.

    Args:
        folder: An absolute path.
        mode: The file's mode.

    Raises:
        sqlite3.Error: The database cannot be made.
        OSError: The folder cannot be used.
    """
    sweep_folder(folder)
    temporary = os.path.join(folder, temporary_name())
    try:
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as memory:
            _Blank(folder, memory)
            # As when it is written to later: what a power failure damages is replaced.
            memory.execute("PRAGMA synchronous = OFF").fetchall()
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
