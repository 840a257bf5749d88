"""Promises: what leads to cache files that pages refer to and that are made when they are first asked for."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..exceptions import StorageError
from ..interfaces import Storage
from ..storages.folder import PROMISED, FileSystemStorage, is_safe_name
from .references import Reference, confined, is_confined

if TYPE_CHECKING:
    from ..kit import ImageKit
    from .file import ImageCacheFile


class Promises:
    """Keeps one small file for each promise, in a hidden folder beside the cache files, until the image is made.

    They are not part of the state, which may be deleted at any time: a page may have been kept by a browser or a proxy,
    and its URLs must work.

    Args:
        kit: The kit.

    Attributes:
        are_served: Whether a host makes what is promised; while none does, nothing can be promised.
    """

    def __init__(self, kit: ImageKit) -> None:
        self._kit = kit
        self._storages: dict[str, FileSystemStorage] = {}
        self.are_served = False

    def keep(self, file: ImageCacheFile) -> bool:
        """Keep what leads to a file that does not exist yet; tell whether it can be made when it is asked for.

        It cannot if nothing leads to it (an upload, bytes, an unregistered generator), if its source is outside of the
        source folders, or if its storage is not the one from which this process serves files on its own disk.
        """
        name, reference = file.name, file.reference
        if not self.are_served or not name or reference is None or file.storage is not self._kit.storage:
            return False
        storage, kept = self._storage(name), _kept(reference, self._kit.renders.name_of)
        if storage is None or kept is None:
            return False
        try:
            # What is there is served, even if it is damaged.
            if file.storage.stat(name) is not None:
                return False
            if storage.stat(name) is None:
                storage.save(name, json.dumps({"generator": kept.generator_id, "kwargs": kept.kwargs}).encode())
        except StorageError:
            return False
        return True

    def find(self, name: str) -> Reference | None:
        """Return what leads to the file of this name, if a page was promised it; None for anything else."""
        storage = self._storage(name)
        try:
            if storage is None or storage.stat(name) is None:
                return None
            with storage.open(name) as file:
                return _parsed(file.read())
        except StorageError:
            return None

    def drop(self, name: str) -> None:
        """Forget a promise, since it is kept, or nothing needs it any more; do nothing if there is none."""
        storage = self._storage(name)
        if storage is not None:
            with suppress(StorageError):
                storage.delete(name)

    def all(self) -> Iterator[tuple[str, Reference, int]]:
        """Yield the names of the files that are promised, what leads to them, and since when, in nanoseconds."""
        folder = self._kit.settings.cachefile_dir
        storage = self._storage(f"{folder}/any".lstrip("/"))
        if storage is None:
            return
        for name in storage.names(folder):
            reference, stored = self.find(name), storage.stat(name)
            if reference is not None and stored is not None:
                yield name, reference, stored.modified_ns

    @property
    def slots(self) -> str:
        """The folder of the locks by which only so many files are made at a time: where they can be written."""
        storage = self._storage(f"{self._kit.settings.cachefile_dir}/any".lstrip("/"))
        folder = self._kit.settings.state_dir if storage is None else storage.location
        return os.path.join(os.path.abspath(folder), "slots")

    def _storage(self, name: str) -> FileSystemStorage | None:
        """Return where the promise of a name is kept; None if its storage has no folder on this machine."""
        root = _root_of(self._kit.storage, name)
        if root is None:
            return None
        storage = self._storages.get(root)
        if storage is None:
            # Who may read them is who may read the state: they name sources.
            settings = self._kit.settings
            storage = self._storages[root] = FileSystemStorage(
                os.path.join(root, PROMISED),
                file_permissions=settings.state_file_permissions,
                directory_permissions=settings.state_directory_permissions,
            )
        return storage


def _root_of(storage: Storage, name: str) -> str | None:
    if not is_safe_name(name):
        return None
    try:
        path = storage.path(name)
    except StorageError:
        return None
    return None if path is None else str(Path(path).parents[name.count("/")])


def _kept(reference: Reference, name_of: Callable[[Path], str | None]) -> Reference | None:
    return reference if _is_harmless(reference) else confined(reference, name_of)


def _is_harmless(reference: Reference) -> bool:
    """Tell whether a reference, which may be forged by the time it is read back, leads only to what pages may show."""
    match reference.kwargs.get("source"):
        case {"source": str(text)} if not text.startswith("file:"):
            # What a host's source says of itself, such as the field of a model.
            return is_confined(reference._replace(kwargs={**reference.kwargs, "source": None}))
    return is_confined(reference)


def _parsed(data: bytes) -> Reference | None:
    with suppress(ValueError, RecursionError):
        match json.loads(data):
            case {"generator": str(id), "kwargs": dict(kwargs)} if _is_harmless(Reference(id, kwargs)):
                return Reference(id, kwargs)
    return None
