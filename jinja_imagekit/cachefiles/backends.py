"""Backends: how a cache file is made, and how it is known to exist."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

from .. import images
from ..exceptions import (
    GenerationFailed,
    ImageKitError,
    ImageTooLarge,
    ImageTooSlow,
    NotFingerprintable,
    SourceError,
    StorageError,
    UnreadableImage,
)
from ..hashing import class_path
from ..images.rules import Limits
from ..sources import FileSource
from ..specs import ImageSpec
from ..state import Failure, Record
from .namers import carries_hash

if TYPE_CHECKING:
    from .file import ImageCacheFile

__all__ = ["BaseAsync", "CacheFileBackend", "Simple"]

_KIND = {True: "", False: "mistake"}
"""Kinds of remembered failures without a class of their own, by whether the error concerns the image."""


_made_here = threading.local()


@contextmanager
def in_the_making(file: ImageCacheFile) -> Iterator[None]:
    """Mark a file as being made by this thread within the block.

    Raises:
        GenerationFailed: The thread is already making it: the file's own processors ask for it.
    """
    files: list[tuple[int, str | None, str]] = vars(_made_here).setdefault("files", [])
    key = (id(file.records), file.name, file.generator_id or class_path(file.generator))
    if key in files:
        way = " → ".join(label for _, _, label in [*files[files.index(key) :], key])
        source = file.source.name if file.source else None
        raise GenerationFailed(str(file.name), source, f"its own processors ask for it: {way}")
    files.append(key)
    try:
        yield
    finally:
        files.pop()


class CacheFileBackend(ABC):
    """The base of backends.

    Attributes:
        is_async: Whether a file may not exist yet after `generate` has returned.
        leaves_existing: Whether existing files are left untouched, so that templates need not ask the backend about a
            file known to exist. Subclasses do not inherit it: each class states it for itself.
    """

    is_async: bool = False
    leaves_existing: ClassVar[bool] = False

    @abstractmethod
    def generate(self, file: ImageCacheFile, force: bool = False) -> None:
        """Have the file made unless it exists; with `force`, even if it does."""

    def exists(self, file: ImageCacheFile) -> bool:
        """Tell whether the file exists and is whole."""
        return self.find(file) is not None

    def record(self, file: ImageCacheFile) -> Record:
        """Return what is known about an existing file.

        Raises:
            StorageError: The file does not exist.
            UnreadableImage: Nothing is known about the file, and it is not an image.
        """
        record = self.find(file)
        name = name_of(file)
        if record is None and file.storage.stat(name) is None:
            raise StorageError(name, "it has not been made yet; test the file's truth before asking for its size")
        return record or self._adopt(file)

    def find(self, file: ImageCacheFile) -> Record | None:
        """Return the record of a file that exists and is whole; on a local disk the file itself decides."""
        name, storage = name_of(file), file.storage
        # A stat is cheaper than a look into the store, and what does not exist needs no other.
        stored = storage.stat(name) if storage.is_local else None
        if storage.is_local and stored is None:
            return None
        record = file.records.get(name)
        if record is None:
            return self._adopt_if_allowed(file) if stored or self._may_be_there(file) else None
        return record if stored is None or record.size == stored.size else None

    def make(self, file: ImageCacheFile) -> Record:
        """Make the file here and now, store it, and record it.

        Raises:
            ImageKitError: The image could not be made; the failure is remembered.
        """
        try:
            data = self.render(file)
            return self.store(file, data)
        except Exception as error:
            raise self.remember_failure(file, error) from error

    def render(self, file: ImageCacheFile) -> bytes:
        """Return the bytes that a file's generator makes.

        If the source was replaced since the file was named, it is renamed, because its name says what it is made of.
        """
        source = file.source
        digest = source.digest if source else None
        with in_the_making(file):
            content = file.generator.generate()
            if not hasattr(content, "read"):
                raise TypeError(f"generate() must return an open binary file, not {content!r}")
            with content:
                data: bytes = content.read()
        if source and source.digest != digest:
            file.rename()
        return data

    def store(self, file: ImageCacheFile, data: bytes) -> Record:
        """Store and record the bytes that were made for a file.

        Raises:
            UnreadableImage: The bytes are not an image.
            StorageError: They cannot be written.
        """
        record = self.describe(file, data)
        record = record.as_saved(file.storage.save(name_of(file), data))
        file.records.put(record)
        file.made = record
        return record

    def describe(self, file: ImageCacheFile, data: bytes) -> Record:
        """Return the record of bytes that were made for a file."""
        name = name_of(file)
        header = images.read_header(data, name=name, limits=_result_limits(file))
        source = file.source
        width, height = header.width, header.height
        if header.is_vector and isinstance(file.generator, ImageSpec):
            # An SVG is stored unchanged; its size is that at which pages show it.
            width, height = file.generator.output_size() or (width, height)
        return Record(
            name=name,
            width=width,
            height=height,
            size=len(data),
            mimetype=header.mimetype,
            # A gain map makes a JPEG one of several pictures.
            format=images.FORMATS[header.format].name,
            generator=file.generator_id or class_path(file.generator),
            source=source.name if source else None,
        )

    def remember_failure(self, file: ImageCacheFile, error: Exception) -> ImageKitError:
        """Remember why a file could not be made, and return the error that says so."""
        known = error if isinstance(error, ImageKitError) else _generation_failed(file, error)
        known.generator_id = known.generator_id or file.generator_id or class_path(file.generator)
        # A disk's trouble passes, and to look again costs no more than to remember.
        is_of_disk = isinstance(known, SourceError) and not isinstance(known, UnreadableImage)
        if not isinstance(error, StorageError) and not is_of_disk:
            kind = type(known).__name__ if isinstance(known, UnreadableImage) else _KIND[known.concerns_image]
            path = file.source.path if isinstance(file.source, FileSource) else None
            file.records.fail(name_of(file), getattr(known, "reason", "") or known.message(), kind, path)
        return known

    def raise_remembered_failure(self, file: ImageCacheFile) -> None:
        """Raise the remembered failure of a file, if any."""
        failure: Failure | None = file.records.failure(name_of(file))
        if failure is None:
            return
        source = file.source.name if file.source else None
        kinds = (UnreadableImage, ImageTooLarge, ImageTooSlow)
        unreadable = next((each for each in kinds if each.__name__ == failure.kind), None)
        error: ImageKitError
        if unreadable:
            error = unreadable(source or name_of(file), failure.reason)
        else:
            error = GenerationFailed(name_of(file), source, failure.reason)
            error.concerns_image = failure.kind != _KIND[False]
        error.generator_id = file.generator_id or class_path(file.generator)
        raise error

    @staticmethod
    def _may_be_there(file: ImageCacheFile) -> bool:
        # Where a stat is a request over the network, only whoever would adopt the file asks.
        return file.settings.adopt_existing and file.storage.stat(name_of(file)) is not None

    def _adopt_if_allowed(self, file: ImageCacheFile) -> Record | None:
        try:
            # Without a readable store "unknown" says nothing about the file.
            return None if file.records.store.is_reliable and not _may_be_ours(file) else self._adopt(file)
        except (UnreadableImage, StorageError, OSError):
            return None

    def _adopt(self, file: ImageCacheFile) -> Record:
        """Take a file for what its name says; its structure tells that it is whole, and its pixels are not decoded."""
        name = name_of(file)
        with file.storage.open(name) as stored:
            data = stored.read()
        record = self.describe(file, data)
        if not data.endswith(images.FORMATS[record.format].end):
            raise UnreadableImage(name, "it is cut short.")
        file.records.put(record)
        return record


class Simple(CacheFileBackend):
    """Makes a file within the call that asks for it; the default."""

    leaves_existing = True

    def generate(self, file: ImageCacheFile, force: bool = False) -> None:
        """Make the file unless it exists; when the call returns, it does.

        Raises:
            ImageKitError: The image could not be made, now or within the last `failure_timeout` seconds.
        """
        if not force and self.exists(file):
            return
        if not force:
            self.raise_remembered_failure(file)
        with file.records.store.lock(name_of(file)):
            # The previous holder of the lock may have made it, or failed to.
            if force or not self.exists(file):
                if not force:
                    self.raise_remembered_failure(file)
                self.make(file)


class BaseAsync(CacheFileBackend):
    """The base of backends that have files made elsewhere: by a worker queue or a thread pool.

    A subclass says in `schedule_generation` how the work gets there, and the worker calls `make_scheduled`.
    """

    is_async = True

    def generate(self, file: ImageCacheFile, force: bool = False) -> None:
        """Schedule the file unless it exists, is scheduled already, or has just failed."""
        if not force and (self.exists(file) or file.records.failure(name_of(file))):
            return
        if file.records.claim(name_of(file)) or force:
            self.schedule_generation(file, force=force)

    def make_scheduled(self, file: ImageCacheFile, force: bool = False) -> None:
        """Do the scheduled work, in the worker: make the file unless it exists.

        Raises:
            ImageKitError: The image could not be made.
        """
        try:
            Simple().generate(file, force)
        finally:
            file.records.release(name_of(file))

    @abstractmethod
    def schedule_generation(self, file: ImageCacheFile, force: bool = False) -> None:
        """Have `make_scheduled(file, force)` called elsewhere."""


def _may_be_ours(file: ImageCacheFile) -> bool:
    if not file.settings.adopt_existing:
        return False
    try:
        return carries_hash(name_of(file), file.generator)
    except NotFingerprintable:
        return False


def name_of(file: ImageCacheFile) -> str:
    """Return the name of a file that a backend is to make.

    Raises:
        MissingSource: The file has no source, and so no name.
    """
    if not file.name:
        raise file.missing_source()
    return file.name


def leaves_existing(backend: object) -> bool:
    """Tell whether a backend's own class, not one that it inherits from, states that it leaves existing files alone."""
    return bool(vars(type(backend)).get("leaves_existing"))


def _generation_failed(file: ImageCacheFile, error: Exception) -> GenerationFailed:
    source = file.source.name if file.source else None
    return GenerationFailed(name_of(file), source, f"{type(error).__name__}: {error}")


def _result_limits(file: ImageCacheFile) -> Limits:
    return Limits.from_settings(file.settings).of_results()
