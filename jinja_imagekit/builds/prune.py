"""Finds cache files that are no longer needed, and has them deleted."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field, fields
from heapq import merge
from typing import TYPE_CHECKING, Any, NamedTuple

from ..cachefiles.removal import Removal, storage_of
from ..exceptions import ImageKitError
from ..interfaces import Storage
from ..large import LargeList, LargeSet
from ..pregenerate.plan import registered_items, with_made
from ..sourcegroups import missing_buckets, missing_folders
from .finish import name_of

if TYPE_CHECKING:
    from ..kit import ImageKit

__all__ = ["PruneReport"]

logger = logging.getLogger("jinja_imagekit.pruning")


@dataclass(slots=True)
class PruneReport:
    """What a prune did or would do.

    Attributes:
        removed: Names of the unneeded cache files, in order.
        bytes: Their total size.
        kept: How many files stay, or are needed and will be made.
        forgotten: How many records of files that were already gone were forgotten.
        downloads: How many copies of other hosts' images were deleted, which no kept file was made of.
        dry_run: Whether nothing was deleted.
    """

    removed: LargeList[str] = field(default_factory=LargeList)
    bytes: int = 0
    kept: int = 0
    forgotten: int = 0
    downloads: int = 0
    dry_run: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values, for JSON."""
        return {each.name: getattr(self, each.name) for each in fields(self)} | {"removed": list(self.removed)}


class _Needed(NamedTuple):
    """What must stay.

    Attributes:
        names: Cache files by name.
        of_sources: Generator ids and source names of files whose name is unknown, since the source cannot be read.
        of_generators: Generator ids of files about which not even that is known.
        sources: Sources by name or URL.
    """

    names: LargeSet
    of_sources: set[tuple[str, str]]
    of_generators: set[str]
    sources: LargeSet

    def has(self, name: str, generator: str, source: object) -> bool:
        return name in self.names or (generator, source) in self.of_sources or generator in self.of_generators


def prune_files(kit: ImageKit, *, dry_run: bool = False, without_render: bool = False) -> PruneReport:
    """Delete the cache files that no registration and no recorded render needs.

    Only files that this library has a record of are deleted, below `cachefile_dir` or in the storage that their
    generator names; everything else stays. A source that cannot be read keeps its files, and so do renders of kits with
    another `cache_prefix` and the same `state_dir`.

    Args:
        kit: The kit.
        dry_run: Only say what would be deleted.
        without_render: Proceed even if no render was ever finished, so that only what is registered counts as needed.

    Raises:
        NotRegistered: Something is registered with an id that has no generator.
        ImageKitError: No render was finished, or the record of the last one is damaged, so that there is no telling
            what the pages need.
        StorageError: A file cannot be deleted.
    """
    begun = time.time_ns()
    # Another process may be rendering.
    unfinished, last = kit.renders.unfinished(), kit.renders.last()
    if last is None and not without_render:
        message = (
            "No render was ever finished, so there is no telling what the pages use: render all of them, call "
            "kit.finish(), then prune. If only registered images are used, pass --without-render, or "
            "without_render=True."
        )
        if not dry_run:
            raise ImageKitError(message)
        logger.warning("%s", message)
    neighbours = kit.renders.of_neighbours()
    notes = {**(last or {}), **unfinished}
    needed = _needed(kit, {*notes, *neighbours})
    there, gone, report = LargeSet(), LargeSet(), PruneReport(dry_run=dry_run)
    for name in kit.storage.names(kit.settings.cachefile_dir):
        there.add(name)
        report.kept += 1
    storages: dict[str, Storage | None] = {}
    doomed: dict[int, tuple[Storage, LargeSet]] = {}
    for record in kit.records.all():
        name = record.name
        if record.generator not in storages:
            storages[record.generator] = storage_of(kit, record.generator)
        storage, is_there = storages[record.generator], name in there
        if storage is None or needed.has(name, record.generator, record.source):
            report.kept += not is_there
            continue
        stored = storage.stat(name)
        if stored is None:
            gone.add(name)
            report.forgotten += 1
            report.kept -= is_there
        # Files made since the prune began are needed by whoever made them.
        elif (storage is kit.storage and not is_there) or stored.modified_ns > begun:
            report.kept += not is_there
        else:
            doomed.setdefault(id(storage), (storage, LargeSet()))[1].add(name)
            report.kept -= is_there
            report.bytes += stored.size
    report.removed.extend(merge(*(names for _, names in doomed.values())))
    # What another kit's files were made of, its own records tell.
    remote = None if neighbours else kit.sources.remote
    if remote is not None:
        needed.sources.update(str(note.reference.kwargs.get("source")) for note in notes.values() if note.reference)
        unneeded = (gone, *(names for _, names in doomed.values()))
        for record in kit.records.all():
            if not any(record.name in names for names in unneeded):
                needed.sources.add(str(record.source))
        report.downloads = remote.prune(needed.sources, dry_run=dry_run)
    if not dry_run:
        with Removal(kit) as removal:
            for storage, names in doomed.values():
                for name in names:
                    removal.delete(storage, name)
            removal.forget(gone)
        for name, reference, modified_ns in kit.promises.all():
            source = reference.kwargs.get("source")
            if modified_ns <= begun and not needed.has(name, reference.generator_id, source):
                kit.promises.drop(name)
        kit.pictures.prune_manifest()
    return report


def _needed(kit: ImageKit, rendered: set[str]) -> _Needed:
    needed = _Needed(LargeSet(rendered), set(), set(), LargeSet())
    for problem in (missing_folders(kit.settings) | missing_buckets(kit.sources.buckets)).values():
        raise ImageKitError(f"{problem} There is no telling which images are needed, so nothing is deleted.")
    for item, made in with_made(kit, registered_items(kit)):
        needed.sources.add(str(item.kwargs.get("source")))
        try:
            name = made[0] if made else name_of(kit, item)
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
