"""Deletes cache files, each with everything known about it; nothing else does but publishing, to its own copies."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ..atomic_files import remove_empty_folders
from ..exceptions import NotRegistered
from ..interfaces import Storage
from ..large import LargeList, LargeSet
from ..registry import match_ids
from ..sources import Source
from ..state import Record

if TYPE_CHECKING:
    from ..kit import ImageKit

logger = logging.getLogger("jinja_imagekit.cachefiles")

BATCH = 1_000
"""Of how many files the records are forgotten at a time."""


class Removal:
    """Deletes cache files one by one, and forgets them all together at the end, whether or not it succeeds.

    A file's record, failure and claim are forgotten, as are the template calls that lead to it. Folders left empty
    are removed.

    Args:
        kit: The kit.
        source: The source of all the files, if they share one.

    Example:
        >>> with Removal(kit) as removal:  # doctest: +SKIP
        ...     removal.delete(kit.storage, "CACHE/images/canal/5ff3.webp")
    """

    def __init__(self, kit: ImageKit, source: Source | None = None) -> None:
        self._kit = kit
        self._source = source
        self._deleted: dict[int, tuple[Storage, LargeSet]] = {}
        self._names = LargeSet()

    def delete(self, storage: Storage, name: str) -> None:
        """Delete a file; no error if there is none.

        Raises:
            StorageError: The name is unsafe, or the file cannot be deleted, and then nothing about it is forgotten.
        """
        storage.delete(name)
        self._deleted.setdefault(id(storage), (storage, LargeSet()))[1].add(name)
        self._names.add(name)

    def forget(self, names: Iterable[str]) -> None:
        """Forget what is known about files that are already gone."""
        self._names.update(names)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for storage, names in self._deleted.values():
            first = next(iter(names))
            path = storage.path(first)
            if path is not None:
                remove_empty_folders(str(Path(path).parents[first.count("/")]), names)
        rest = iter(self._names)
        while page := list(islice(rest, BATCH)):
            self._kit.records.forget(*page)
        if self._names:
            self._kit.known_files.forget_files(self._names.__contains__, self._source)


def clear_files(kit: ImageKit, patterns: Iterable[str] = (), *, dry_run: bool = False) -> Sequence[Record]:
    """Delete the cache files of some generators, with everything known about them.

    Args:
        kit: The kit.
        patterns: Id patterns; none for all.
        dry_run: Only say what would be deleted.

    Returns:
        The records of the files that were deleted.

    Raises:
        NotRegistered: A pattern matches neither a generator nor a file.
        StorageError: A file cannot be deleted; those before it have been.
    """
    recorded = {record.generator for record in kit.records.all()}
    promised = {reference.generator_id for _, reference, _ in kit.promises.all()}
    # A generator that is no longer registered may have left files behind.
    known = dict.fromkeys([*kit.generators.get_ids(), *recorded, *promised])
    ids = set(match_ids(patterns, known) or known)
    storages = {id: storage_of(kit, id) for id in sorted(recorded & ids)}
    for id, storage in storages.items():
        if storage is None:
            logger.warning("The cache files of %r are kept: where they are stored depends on their sources.", id)
    doomed: LargeList[Record] = LargeList()
    with Removal(kit) as removal:
        for record in kit.records.all():
            if (storage := storages.get(record.generator)) is not None:
                if not dry_run:
                    removal.delete(storage, record.name)
                doomed.append(record)
    for name, reference, _ in () if dry_run else kit.promises.all():
        if reference.generator_id in ids:
            kit.promises.drop(name)
    return doomed


def storage_of(kit: ImageKit, generator_id: str) -> Storage | None:
    """Return the storage that a generator's class names, or else the kit's; None if it depends on the source.

    Args:
        kit: The kit.
        generator_id: An id, or whatever else a record calls the generator.
    """
    try:
        own = getattr(kit.registered(generator_id), "cachefile_storage", None)
    except NotRegistered:
        own = None
    if isinstance(own, property):
        return None
    return kit.load_storage(own)
