"""Lists and sets that may outgrow memory: what is beyond some megabytes is in a temporary file."""

from __future__ import annotations

import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from heapq import merge
from itertools import chain, groupby, islice
from typing import Any, TypeVar, overload

T = TypeVar("T")

PAGE = 5_000
"""How many entries are written and read together; fewer are in memory as they are."""

MOST_BYTES = 8_000_000
"""Bytes of a list's pages that stay in memory: some 80,000 outcomes."""

MOST_NAMES = 20_000
"""How many names of a set stay in memory: about 150 bytes each, 3 MB in all."""


class LargeList(Sequence[T]):
    """A list that grows at its end, and may have millions of entries.

    Args:
        entries: What the list begins with.
        make: Makes an entry of what was appended, such as a named tuple of a plain one; None if that is the entry.

    Example:
        >>> names = LargeList(["a.jpg", "b.jpg"])
        >>> len(names), names[-1], names == ["a.jpg", "b.jpg"]
        (2, 'b.jpg', True)
    """

    __hash__ = None  # type: ignore[assignment]  # as of lists

    def __init__(self, entries: Iterable[T] = (), make: Callable[[Any], T] | None = None) -> None:
        self._make = make
        self._pages: list[bytes | int] = []
        self._held = 0
        self._last: list[Any] = []
        self._file: _File | None = None
        self.extend(entries)

    def append(self, entry: Any) -> None:
        """Add an entry at the end, or what makes one."""
        self.extend((entry,))

    def extend(self, entries: Iterable[Any]) -> None:
        """Add entries at the end, or what makes them."""
        rest = iter(entries)
        while more := list(islice(rest, PAGE - len(self._last))):
            self._last += more
            if len(self._last) == PAGE:
                self._put_away()

    def copy(self) -> LargeList[T]:
        """Return a list of the same entries, which grows on its own."""
        other = LargeList[T](make=self._make)
        other._pages, other._held, other._last, other._file = [*self._pages], self._held, [*self._last], self._file
        return other

    def _put_away(self) -> None:
        # What stays in memory needs no import.
        import pickle

        page: bytes | int = pickle.dumps(self._last, pickle.HIGHEST_PROTOCOL)
        if self._held > MOST_BYTES:
            # Where there is no room for a file, memory has to do.
            with suppress(sqlite3.Error):
                self._file = self._file or _File("CREATE TABLE pages (number INTEGER PRIMARY KEY, page BLOB)")
                page = self._file.write("INSERT INTO pages (page) VALUES (?)", [(page,)])
        self._held += len(page) if isinstance(page, bytes) else 0
        self._pages.append(page)
        self._last = []

    def _page(self, index: int) -> list[Any]:
        if index == len(self._pages):
            return self._last
        import pickle

        page = self._pages[index]
        if not isinstance(page, bytes):
            assert self._file is not None
            page = self._file.read("SELECT page FROM pages WHERE number = ?", page)[0][0]
        found: list[Any] = pickle.loads(page)
        return found

    def __len__(self) -> int:
        return len(self._pages) * PAGE + len(self._last)

    def __iter__(self) -> Iterator[T]:
        return self._from(0)

    def _from(self, start: int) -> Iterator[T]:
        first, ahead = divmod(start, PAGE)
        pages = map(self._page, range(first, len(self._pages) + 1))
        entries = islice(chain.from_iterable(pages), ahead, None)
        return entries if self._make is None else map(self._make, entries)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: int | slice) -> T | list[T]:
        chosen = range(len(self))[index]
        if isinstance(chosen, int):
            return next(self._from(chosen))
        if not chosen:
            return []
        least, most = min(chosen[0], chosen[-1]), max(chosen[0], chosen[-1])
        found = list(islice(self._from(least), 0, most - least + 1, abs(chosen.step)))
        return found if chosen.step > 0 else found[::-1]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (list, tuple, LargeList)):
            return NotImplemented
        return len(self) == len(other) and all(one == another for one, another in zip(self, other, strict=True))

    def __repr__(self) -> str:
        return repr(self[:]) if len(self) <= PAGE else f"<LargeList of {len(self):,}>"


class LargeSet:
    """A set of names, of which there may be millions; they are listed in order.

    Example:
        >>> names = LargeSet(["b.jpg", "a.jpg", "b.jpg"])
        >>> "a.jpg" in names, list(names)
        (True, ['a.jpg', 'b.jpg'])
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._new: set[str] = set()
        self._most = MOST_NAMES
        self._file: _File | None = None
        self.update(names)

    def add(self, name: str) -> None:
        """Add a name."""
        self._new.add(name)
        if len(self._new) >= self._most:
            self._put_away()

    def update(self, names: Iterable[str]) -> None:
        """Add names."""
        for name in names:
            self.add(name)

    def _put_away(self) -> None:
        rows = [(_bytes(name),) for name in sorted(self._new)]
        try:
            self._file = self._file or _File("CREATE TABLE names (name BLOB PRIMARY KEY) WITHOUT ROWID")
            self._file.write("INSERT OR IGNORE INTO names VALUES (?)", rows)
        except sqlite3.Error:
            # Where there is no room for a file, memory has to do.
            self._most *= 2
        else:
            self._new = set()

    def __contains__(self, name: object) -> bool:
        if name in self._new:
            return True
        if self._file is None or not isinstance(name, str):
            return False
        return bool(self._file.read("SELECT 1 FROM names WHERE name = ?", _bytes(name)))

    def __bool__(self) -> bool:
        return bool(self._new) or self._file is not None

    def __iter__(self) -> Iterator[str]:
        both = merge(self._in_file(), sorted(map(_bytes, self._new)))
        return (name.decode("utf-8", "surrogatepass") for name, _ in groupby(both))

    def _in_file(self) -> Iterator[bytes]:
        last = b""
        while self._file is not None:
            page = self._file.read(f"SELECT name FROM names WHERE name > ? ORDER BY name LIMIT {PAGE}", last)
            if not page:
                return
            yield from (name for (name,) in page)
            last = page[-1][0]


def _bytes(name: str) -> bytes:
    # A name on disk need not be Unicode, and SQLite takes no lone surrogates for text.
    return name.encode("utf-8", "surrogatepass")


class _File:
    """A database in a temporary file without a name, which is gone when nothing refers to it any more.

    Args:
        table: What makes its table.

    Raises:
        sqlite3.Error: There is no room for it.
    """

    def __init__(self, table: str) -> None:
        # What has an empty name is kept in memory up to the size of SQLite's cache, 2 MB.
        self._connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        weakref.finalize(self, self._connection.close)
        self._lock = threading.Lock()
        for statement in ("PRAGMA journal_mode = MEMORY", "PRAGMA synchronous = OFF", table):
            self._connection.execute(statement).fetchall()

    def write(self, statement: str, rows: list[tuple[Any, ...]]) -> int:
        """Write rows, and return the number of the last one."""
        with self._lock:
            self._connection.execute("BEGIN")
            # On an error all of it is rolled back, as Python does at the end of a block.
            with self._connection:
                self._connection.executemany(statement, rows)
                return int(self._connection.execute("SELECT last_insert_rowid()").fetchone()[0])

    def read(self, query: str, parameter: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with self._lock:
            return self._connection.execute(query, (parameter,)).fetchall()
