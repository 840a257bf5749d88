"""Source groups: which sources belong to a generator."""

from __future__ import annotations

import fnmatch
import itertools
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from .exceptions import InvalidOption
from .sources import check_name

__all__ = ["GlobSourceGroup"]


class GlobSourceGroup:
    """All files below the source folders whose names match a pattern.

    Hidden files and folders are passed over. A name that stands in several source folders is listed once.

    Args:
        pattern: A pattern relative to the source folders, in which `**` stands for any number of folders.
        source_dirs: Folders to look in instead of the kit's source folders.

    Raises:
        InvalidOption: The pattern is absolute or holds `..`.

    Example:
        >>> group = GlobSourceGroup("photos/**/*.jpg")
    """

    def __init__(self, pattern: str, source_dirs: Sequence[str | Path] = ()) -> None:
        try:
            check_name(pattern)
        except PermissionError as error:
            raise InvalidOption("pattern", pattern, str(error)) from error
        self.pattern = pattern
        self.source_dirs = tuple(Path(folder) for folder in source_dirs)

    def files(self) -> Iterator[Path]:
        """Yield the paths of the files in the group's own folders, sorted.

        Raises:
            InvalidOption: The group has no folders of its own; a kit it is registered with looks in its own.
        """
        if not self.source_dirs:
            raise InvalidOption("source_dirs", (), "pass folders, or register the group with a kit, which has some")
        yield from (folder / name for folder, name in self._matches(self.source_dirs))

    def names_in(
        self, source_dirs: Sequence[Path], source_prefixes: Sequence[tuple[str, Path]] = ()
    ) -> Iterator[str | Path]:
        """Yield the names of the files in a kit's source folders, sorted; paths where the group has its own.

        A folder with a prefix is looked in by a pattern whose first segment is the prefix itself.
        """
        if self.source_dirs:
            yield from self.files()
            return
        seen: set[str] = set()
        first, _, rest = self.pattern.partition("/")
        for _, name in self._matches(source_dirs):
            seen.add(name)
            yield name
        for prefix, folder in source_prefixes:
            if prefix == first and rest:
                yield from (f"{prefix}/{name}" for name in _names(folder, rest) if f"{prefix}/{name}" not in seen)

    def _matches(self, folders: Sequence[Path]) -> Iterator[tuple[Path, str]]:
        seen: set[str] = set()
        for folder in folders:
            for name in _names(folder, self.pattern):
                if name not in seen:
                    seen.add(name)
                    yield folder, name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GlobSourceGroup) and (self.pattern, self.source_dirs) == (
            other.pattern,
            other.source_dirs,
        )

    def __hash__(self) -> int:
        return hash((self.pattern, self.source_dirs))

    def __repr__(self) -> str:
        return f"GlobSourceGroup({self.pattern!r})"


def _names(folder: Path, pattern: str) -> list[str]:
    """Return the names of the files that match, sorted; links to folders are not followed: they may lead in circles."""
    segments = pattern.split("/")
    fixed = list(itertools.takewhile(lambda segment: not _WILD.search(segment), segments[:-1]))
    tests = [_test(segment) for segment in segments]
    return sorted(name for name in _walk(str(folder), "/".join(fixed)) if _fits(name.split("/"), tests))


def _walk(root: str, folder: str) -> Iterator[str]:
    pending = [folder]
    while pending:
        folder = pending.pop()
        prefix = f"{folder}/" if folder else ""
        try:
            entries = os.scandir(os.path.join(root, folder))
        except (FileNotFoundError, NotADirectoryError):
            continue
        with entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    pending.append(prefix + entry.name)
                elif entry.is_file():
                    yield prefix + entry.name


_WILD = re.compile(r"[*?\[]")
_Test = Callable[[str], object] | None
"""Tells whether a segment of a name matches; None stands for any number of folders."""


def _test(segment: str) -> _Test:
    return None if segment == "**" else re.compile(fnmatch.translate(segment)).match


def _fits(parts: list[str], tests: list[_Test]) -> bool:
    if not tests:
        return not parts
    test, *rest = tests
    if test is None:
        return any(_fits(parts[skipped:], rest) for skipped in range(len(parts) + 1))
    return bool(parts) and bool(test(parts[0])) and _fits(parts[1:], rest)
