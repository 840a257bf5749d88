"""The diskcache database of a store, which runs no code and touches no file, whatever it holds."""

from __future__ import annotations

import sqlite3
from typing import Any

import diskcache  # type: ignore[import-untyped]
from diskcache.core import MODE_RAW  # type: ignore[import-untyped]

from .files import DamagedDatabase, check

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
    check(folder, timeout, _KNOWN_SETTINGS)
    try:
        return diskcache.Cache(folder, timeout=timeout, disk=PlainDisk, **_OPTIONS)
    except (sqlite3.IntegrityError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise DamagedDatabase(str(error)) from error
