"""Source groups: which sources belong to a generator."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import merge
from itertools import groupby, repeat, takewhile
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .exceptions import InvalidOption, SourceNotAllowed
from .settings import Settings
from .sources import name_parts, neighbour

if TYPE_CHECKING:
    from .sources.buckets import Bucket

__all__ = ["GlobSourceGroup"]


IsResult = Callable[[str], bool]
"""Tells whether a kit made what is under a path."""


def _no_results(path: str) -> bool:
    return False


class GlobSourceGroup:
    """All files below the source folders whose names match a pattern, ignoring case.

    Hidden files and folders are skipped, and so is whatever the kit made itself: its cache files, wherever they are,
    and its state. A name that occurs in several source folders is listed once.

    Args:
        pattern: A pattern relative to the source folders, in which `**` stands for any number of folders. A camera's
            `CANAL.JPG` matches `*.jpg`.
        source_dirs: Folders to look in instead of the kit's source folders.

    Raises:
        InvalidOption: The pattern is absolute or holds `..`, or one of the folders is the URL of a bucket.

    Example:
        >>> group = GlobSourceGroup("photos/**/*.jpg")
    """

    def __init__(self, pattern: str, source_dirs: Sequence[str | Path] = ()) -> None:
        try:
            name_parts(pattern)
        except PermissionError as error:
            raise InvalidOption("pattern", pattern, str(error)) from error
        self.pattern = pattern
        for folder in source_dirs:
            if isinstance(folder, str) and "://" in folder:
                raise InvalidOption(
                    "source_dirs", folder, "a bucket is a source folder of the kit, not of a group alone"
                )
        self.source_dirs = tuple(Path(folder) for folder in source_dirs)

    def files(self) -> Iterator[Path]:
        """Yield the paths of the files in the group's own folders, sorted.

        Raises:
            InvalidOption: The group has no folders of its own; only a kit that it is registered with can list it.
            SourceNotAllowed: A folder cannot be read.
        """
        if not self.source_dirs:
            raise InvalidOption("source_dirs", (), "pass folders, or register the group with a kit, which has some")
        yield from (folder / name for folder, name in self._matches(self.source_dirs))

    def names_in(
        self,
        source_dirs: Sequence[Path | Bucket],
        source_prefixes: Sequence[tuple[str, Path | Bucket]] = (),
        is_result: IsResult = _no_results,
    ) -> Iterator[str | Path]:
        """Yield the names of the files in a kit's source folders, sorted; paths if the group has folders of its own.

        A folder with a prefix is searched only by a pattern that begins with it.

        Args:
            source_dirs: The kit's source folders and buckets.
            source_prefixes: Those with a prefix.
            is_result: Tells whether the kit made what is under a path, so that it is not a source.

        Raises:
            SourceNotAllowed: A folder cannot be read.
            SourceError: A bucket does not answer.
        """
        if self.source_dirs:
            yield from (folder / name for folder, name in self._matches(self.source_dirs, is_result))
            return
        found: list[Iterator[str]] = [_names(folder, self.pattern, is_result) for folder in source_dirs]
        for prefix, folder in source_prefixes:
            start = f"{prefix}/"
            if self.pattern.startswith(start) and self.pattern != start:
                found.append(map(start.__add__, _names(folder, self.pattern.removeprefix(start), is_result)))
        yield from (name for name, _ in groupby(merge(*found)))

    def missing_folders(self) -> dict[str, str]:
        """Return those of the group's own folders that do not exist, each with a sentence that says so."""
        return _missing(self.source_dirs)

    def _matches(self, folders: Sequence[Path], is_result: IsResult = _no_results) -> Iterator[tuple[Path, str]]:
        found = (zip(_names(folder, self.pattern, is_result), repeat(place)) for place, folder in enumerate(folders))
        # The first folder that has a name comes first.
        for name, places in groupby(merge(*found), key=itemgetter(0)):
            yield folders[next(places)[1]], name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GlobSourceGroup) and (self.pattern, self.source_dirs) == (
            other.pattern,
            other.source_dirs,
        )

    def __hash__(self) -> int:
        return hash((self.pattern, self.source_dirs))

    def __repr__(self) -> str:
        return f"GlobSourceGroup({self.pattern!r})"


def missing_folders(settings: Settings) -> dict[str, str]:
    """Return those of a kit's source folders that do not exist, each with a sentence that says so."""
    folders = [*settings.source_dirs, *(folder for _, folder in settings.source_prefixes)]
    return _missing(folder for folder in folders if isinstance(folder, Path))


def missing_buckets(buckets: Iterable[Bucket]) -> dict[str, str]:
    """Return those buckets in which nothing is, each with a sentence that says so."""
    return {
        bucket.called: f"The source folder {bucket.called!r} does not exist, or is empty."
        for bucket in buckets
        if not bucket.is_there()
    }


def _missing(folders: Iterable[Path]) -> dict[str, str]:
    missing = {}
    for folder in folders:
        if not folder.is_dir():
            near = neighbour(folder)
            hint = f" Did you mean {near!r}?" if near else ""
            missing[str(folder)] = f"The source folder {str(folder)!r} does not exist.{hint}"
    return missing


def _names(folder: Path | Bucket, pattern: str, is_result: IsResult) -> Iterator[str]:
    """Yield the names of the files that match, sorted; links to folders, which may lead in circles, are ignored."""
    tests = [_test(segment) for segment in pattern.split("/")]
    if isinstance(folder, Path):
        names = _walk(os.path.realpath(folder), tests, is_result)
        if None not in tests:
            return names
    else:
        names = _walk_bucket(folder, tests, is_result)
    return (name for name in names if _fits(name.split("/"), tests))


def _walk_bucket(bucket: Bucket, tests: list[_Test], is_result: IsResult) -> Iterator[str]:
    """Do what `_walk` does in a bucket; what lies below a `**` is listed at once."""
    fixed: list[Any] = list(takewhile(bool, tests[:-1]))

    def may_enter(name: str, depth: int) -> bool:
        return depth < len(fixed) and bool(fixed[depth](name))

    def is_whole(depth: int) -> bool:
        return None in tests and depth == len(fixed)

    for name in sorted(bucket.names(may_enter, is_whole)):
        if not is_result(f"{bucket.called}/{name}"):
            yield name


def _walk(root: str, tests: list[_Test], is_result: IsResult) -> Iterator[str]:
    """Yield the names of the files below a folder that match, sorted; folders that cannot match are not opened.

    With a `**`, files are among them that do not match.
    """
    # Below the first `**`, a folder may have any name.
    fixed: list[Any] = list(takewhile(bool, tests[:-1]))
    is_deep = None in tests

    def listed(folder: str, depth: int) -> Iterator[str]:
        """Return what is in a folder, folders with a slash at the end: so they are in the order of the names below."""
        may_enter = fixed[depth] if depth < len(fixed) else lambda name: is_deep
        may_match: Any = tests[-1] if depth == len(fixed) and not is_deep else lambda name: is_deep
        path, found = os.path.join(root, folder[:-1]) if folder else root, []
        try:
            entries = os.scandir(path)
        except (FileNotFoundError, NotADirectoryError):
            return iter(())
        except OSError as error:
            raise SourceNotAllowed(path, f"the folder cannot be read: {error.strerror}") from error
        with entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    if may_enter(entry.name) and not is_result(entry.path):
                        found.append(f"{folder}{entry.name}/")
                elif may_match(entry.name) and entry.is_file() and not is_result(_real_path(entry)):
                    found.append(folder + entry.name)
        return iter(sorted(found))

    # Folder by folder, so that no more names are in memory than those of a folder and of the ones above it.
    pending = [] if is_result(root) else [listed("", 0)]
    while pending:
        name = next(pending[-1], None)
        if name is None:
            pending.pop()
        elif name.endswith("/"):
            pending.append(listed(name, len(pending)))
        else:
            yield name


def _real_path(entry: os.DirEntry[str]) -> str:
    return os.path.realpath(entry) if entry.is_symlink() else entry.path


_Test = Callable[[str], object] | None
"""Tells whether a segment of a name matches; None stands for any number of folders."""


def _test(segment: str) -> _Test:
    return None if segment == "**" else re.compile(fnmatch.translate(segment), re.IGNORECASE).match


def _fits(parts: list[str], tests: list[_Test]) -> bool:
    if not tests:
        return not parts
    test, *rest = tests
    if test is None:
        return any(_fits(parts[skipped:], rest) for skipped in range(len(parts) + 1))
    return bool(parts) and bool(test(parts[0])) and _fits(parts[1:], rest)
