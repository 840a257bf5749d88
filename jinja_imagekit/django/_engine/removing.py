"""Deletes cache files whose originals are gone: those of one original, or all that are no longer needed."""

from __future__ import annotations

import logging
import os
import posixpath
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db.models import FileField

from ...builds.finish import name_of
from ...builds.prune import PruneReport
from ...cachefiles.namers import stem_of
from ...cachefiles.removal import Removal, storage_of
from ...exceptions import ImageKitError
from ...interfaces import Storage
from ...pregenerate import registered_items
from ...state import Record
from .. import conf
from ..conf import ImageKitConf
from .storages import can_list

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
        ImageKitError: Neither the state store nor the storages can list the cache files.
        StorageError: A file cannot be deleted.
    """
    files = _known_files(kit)
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
    stems = _stems(kit, originals)
    for storage, name, record in files:
        if record is None:
            # The state has forgotten it; its folder is that of its original.
            match = _NAMED_BY_PATH.fullmatch(name.removeprefix(f"{kit.settings.cachefile_dir}/"))
            is_doomed = stems is not None and match is not None and match[1] not in stems
        else:
            source = record.source
            is_gone = source is not None and source not in originals and not _is_elsewhere(kit, source)
            is_doomed = is_gone or record.generator in of_models
        if name in needed or not is_doomed:
            report.kept += 1
            continue
        doomed.append((storage, name))
        report.removed.append(name)
        stored = record or storage.stat(name)
        report.bytes += stored.size if stored else 0
    if not dry_run:
        with Removal(kit) as removal:
            for storage, name in doomed:
                removal.delete(storage, name)
    return report


def _known_files(kit: DjangoKit) -> list[tuple[Storage, str, Record | None]]:
    """Return all cache files with what is known about them: as the state lists them, or else the storages.

    Raises:
        ImageKitError: Neither can.
    """
    records = sorted(kit.records.all(), key=lambda each: each.name)
    if records:
        placed = ((storage_of(kit, record.generator), record) for record in records)
        return [(storage, record.name, record) for storage, record in placed if storage is not None]
    folder = kit.settings.cachefile_dir
    storages = {storage_of(kit, id) for id in kit.generators.get_ids()} | {kit.storage}
    found = []
    for storage in filter(None, storages):
        if not can_list(storage):
            raise ImageKitError(
                f"The cache files cannot be listed, neither by their storage ({storage!r}) nor by the state, which is "
                "kept in one of Django's caches. Unset IMAGEKIT_CACHE_BACKEND, or set IMAGEKIT_STATE_STORE = "
                "'jinja_imagekit.state.DiskStore.from_settings'; then run generateimages once."
            )
        found += [(storage, name, kit.records.get(name)) for name in storage.names(folder)]
    return found


_NAMED_BY_PATH = re.compile(r"(?s:(.+))/[0-9a-f]{32}(?:\.[a-z]+)?")
"""What `source_name_as_path` calls a file: a folder named after its source, and a hash."""


def _stems(kit: DjangoKit, originals: set[str]) -> set[str] | None:
    """Return the folders of the images of these originals; None if a folder does not tell of an original."""
    if kit.settings.source_dirs or conf.value("SPEC_CACHEFILE_NAMER") != ImageKitConf.SPEC_CACHEFILE_NAMER:
        return None
    return {stem for name in originals for stem in (stem_of(name), os.path.splitext(name)[0])}


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
