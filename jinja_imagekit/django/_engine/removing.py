"""Deletes cache files whose originals are gone: those of one original, or all that are no longer needed."""

from __future__ import annotations

import logging
import os
import posixpath
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db.models import FileField

from ...builds.finish import name_of
from ...builds.prune import PruneReport
from ...cachefiles.removal import Removal, storage_of
from ...exceptions import ImageKitError
from ...interfaces import Storage
from ...pregenerate import registered_items
from .. import conf

if TYPE_CHECKING:
    from .kit import DjangoKit

logger = logging.getLogger("jinja_imagekit.django")


def cachefiles_of(kit: DjangoKit, file: Any) -> list[tuple[Storage, str]]:
    """Return the cache files that were made from a field's file, as far as they are known.

    These are what the field's specs make of it, and what the records say was made from it. If the state is kept in a
    Django cache, which cannot be listed, those of tags are found by their folder.

    Args:
        kit: The kit.
        file: The field's file, which may no longer exist.
    """
    found: dict[str, Storage] = {}
    for id in kit.source_groups.get_ids():
        if any(_is_of(group, file.field) for group in kit.source_groups.groups_of(id)):
            try:
                cachefile = kit.cachefile(id, source=file)
                if cachefile.name:
                    found[cachefile.name] = cachefile.storage
            except Exception as error:  # noqa: BLE001  # a spec's properties may raise anything
                logger.info("which file %r makes from %s is unknown: %s", id, file.name, error)
    folder = posixpath.join(conf.value("CACHEFILE_DIR"), os.path.splitext(str(file.name))[0])
    for name in kit.storage.names(folder):
        record = kit.records.get(name)
        if record is None or record.source == file.name:
            found.setdefault(name, kit.storage)
    return [(storage, name) for name, storage in found.items()]


def remove(kit: DjangoKit, files: list[tuple[Storage, str]]) -> None:
    """Delete cache files, and what is known about them; what a storage refuses is logged."""
    with Removal(kit) as removal:
        for storage, name in files:
            try:
                removal.delete(storage, name)
            except ImageKitError as error:
                logger.warning("%s", error)


def prune(kit: DjangoKit, *, dry_run: bool = False) -> PruneReport:
    """Delete the cache files whose original is gone, and those of model specs that no row needs any more.

    What tags made from an existing original stays, since there is no telling which pages use it.

    Args:
        kit: The kit.
        dry_run: Only say what would be deleted.

    Raises:
        ImageKitError: The state store cannot be listed.
        StorageError: A file cannot be deleted.
    """
    records = list(kit.records.all())
    if not records and next(iter(kit.storage.names(kit.settings.cachefile_dir)), None) is not None:
        raise ImageKitError(
            "What is known about cache files cannot be listed: the state is kept in one of Django's caches. Unset "
            "IMAGEKIT_CACHE_BACKEND, or set IMAGEKIT_STATE_STORE = 'jinja_imagekit.state.DiskStore.from_settings'; "
            "then run generateimages once."
        )
    needed: set[str] = set()
    unknown: set[str] = set()
    for item in registered_items(kit):
        try:
            needed.add(str(name_of(kit, item)))
        except Exception as error:  # noqa: BLE001  # a spec's properties may raise anything; its files stay
            logger.warning("the cache files of %r are kept: %s", item.generator_id, error)
            unknown.add(item.generator_id)
    of_models = set(kit.source_groups.get_ids()) - unknown
    originals = set(_originals())
    report = PruneReport(dry_run=dry_run)
    doomed: list[tuple[Storage, str]] = []
    for record in sorted(records, key=lambda each: each.name):
        is_gone = record.source is not None and record.source not in originals and not _is_elsewhere(kit, record.source)
        storage = storage_of(kit, record.generator)
        if storage is None or record.name in needed or not (record.generator in of_models or is_gone):
            report.kept += 1
            continue
        if record.generator in unknown and not is_gone:
            report.kept += 1
            continue
        doomed.append((storage, record.name))
        report.removed.append(record.name)
        report.bytes += record.size
    if not dry_run:
        with Removal(kit) as removal:
            for storage, name in doomed:
                removal.delete(storage, name)
    return report


def _is_of(group: Any, field: Any) -> bool:
    own = getattr(group, "own_field", None)
    return own is not None and own in (field.name, field.attname) and bool(group.watches(field.model))


def _originals() -> Iterator[str]:
    """Yield the names of all files of all models."""
    for model in apps.get_models():
        for field in model._meta.local_concrete_fields:
            if isinstance(field, FileField):
                names = model._base_manager.order_by().values_list(field.attname, flat=True)
                yield from (str(name) for name in names.iterator() if name)


def _is_elsewhere(kit: DjangoKit, name: str) -> bool:
    """Tell whether a source that belongs to no model exists: a file in `IMAGEKIT_SOURCE_DIRS`."""
    try:
        return kit.sources.find(name) is not None
    except ImageKitError:
        return False
