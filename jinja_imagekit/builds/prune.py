"""Deletes the cache files that nothing needs any more, with what is known of them."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..atomic_files import remove_empty_folders
from ..pregenerate import Item, registered_items
from ..state import Record

if TYPE_CHECKING:
    from ..kit import ImageKit

__all__ = ["PruneReport"]

logger = logging.getLogger("jinja_imagekit.pruning")

BATCH = 1_000
"""Keys of the state store that are read or deleted at once."""


@dataclass(slots=True)
class PruneReport:
    """What a prune did, or would do.

    Attributes:
        removed: Names of the cache files that nothing needs, in order.
        bytes: Their sizes together.
        kept: How many files stay.
        forgotten: How many records of files that are gone already were forgotten.
        dry_run: Whether nothing was deleted.
    """

    removed: list[str] = field(default_factory=list)
    bytes: int = 0
    kept: int = 0
    forgotten: int = 0
    dry_run: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values, for JSON."""
        return asdict(self)


class _Needed(NamedTuple):
    """What must stay.

    Attributes:
        names: Cache files by name.
        of_sources: Generator ids and source names of files whose name cannot be told, since the source cannot be read.
        of_generators: Generator ids of files of which not even that can be told.
    """

    names: set[str]
    of_sources: set[tuple[str, str]]
    of_generators: set[str]

    def has(self, record: Record) -> bool:
        return (
            record.name in self.names
            or (record.generator, record.source) in self.of_sources
            or record.generator in self.of_generators
        )


def prune_files(kit: ImageKit, *, dry_run: bool = False) -> PruneReport:
    """Delete the cache files that no registration and no recorded render needs.

    Only files below `cachefile_dir` that this library has a record of are deleted; whatever else stands there stays.
    A source that cannot be read keeps its files.

    Args:
        kit: The kit.
        dry_run: Only say what would be deleted.

    Raises:
        NotRegistered: Something is registered with an id that has no generator.
        ImageKitError: The record of the last render is damaged, so that nobody can tell what it needs.
        StorageError: A file cannot be deleted.
    """
    begun = time.time_ns()
    needed = _needed(kit)
    records = {record.name: record for record in kit.records.all()}
    report = PruneReport(dry_run=dry_run)
    there: set[str] = set()
    for name in kit.storage.names(kit.settings.cachefile_dir):
        record, stored = records.get(name), kit.storage.stat(name)
        if stored is None:
            continue
        # What was made since the prune began is needed by whoever made it.
        if record is None or needed.has(record) or stored.modified_ns > begun:
            there.add(name)
            continue
        report.removed.append(name)
        report.bytes += stored.size
    report.kept = len(there)
    gone = [name for name, each in records.items() if name not in there and not needed.has(each)]
    report.forgotten = len(gone) - len(report.removed)
    if not dry_run:
        _delete(kit, report.removed)
        _forget(kit, gone, there)
    return report


def _needed(kit: ImageKit) -> _Needed:
    last = kit.renders.last()
    if last is None and not kit.renders.noted:
        logger.warning(
            "No render was finished with kit.finish() yet: only what is registered counts as needed, "
            "and what templates use beside it is made again when they ask for it."
        )
    needed = _Needed({*(last or ()), *kit.renders.noted}, set(), set())
    for item in registered_items(kit):
        try:
            name = _name_of(kit, item)
        except Exception as error:  # noqa: BLE001  # a spec's properties may raise anything; its files stay
            source = item.kwargs.get("source")
            logger.warning("The cache files of %r (%s) are kept: %s", source, item.generator_id, error)
            if type(source) is str:
                needed.of_sources.add((item.generator_id, source))
            else:
                needed.of_generators.add(item.generator_id)
        else:
            if name:
                needed.names.add(name)
    return needed


def _name_of(kit: ImageKit, item: Item) -> str | None:
    known = None if item.file is not None else kit.known_files.find(item.generator_id, item.kwargs)
    if known:
        return known.name
    return (kit.cachefile(item.generator_id, **item.kwargs) if item.file is None else item.file).name


def _delete(kit: ImageKit, names: list[str]) -> None:
    for name in names:
        kit.storage.delete(name)
    path = kit.storage.path(names[0]) if names else None
    if path:
        root = Path(path).parents[names[0].count("/")]
        remove_empty_folders(str(root), names)


def _forget(kit: ImageKit, names: list[str], there: set[str]) -> None:
    """Forget the records of files, and the answers that lead to files which are not there."""
    for batch in _batches(names):
        kit.records.forget(*batch)
    store = kit.records.store
    for batch in _batches(list(store.keys(f"{kit.settings.cache_prefix}known:"))):
        answers = store.get_many(batch)
        store.delete_many([key for key, answer in answers.items() if _name_in(answer) not in there])


def _name_in(answer: str) -> object:
    try:
        return json.loads(answer)[0]
    except (ValueError, TypeError, LookupError, RecursionError):
        return None


def _batches(values: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(values)
    while batch := list(islice(rest, BATCH)):
        yield batch
