"""Django's storages as storages of cache files: whole files under exactly the requested name."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, BinaryIO, TypeVar

from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage as DjangoFileSystemStorage
from django.utils.functional import LazyObject, empty

from ...exceptions import StorageError
from ...interfaces import Storage, StoredFile
from ...storages.folder import FileSystemStorage, check_name

T = TypeVar("T")

_WRITING = ("save", "_save", "path", "location", "delete", "exists")
_READING = ("open", "_open", "path", "location")
_SERVING = ("url", "base_url")


def engine_storage(storage: Any) -> Storage:
    """Return the storage through which this library keeps files in a Django storage.

    For Django's own `FileSystemStorage`, it is this library's, in the same folder, which replaces files atomically;
    otherwise an adapter.
    """
    storage = unwrapped(storage)
    if not keeps_methods(storage, *_WRITING, *_READING, *_SERVING):
        return DjangoStorage(storage)
    return FileSystemStorage(
        storage.location,
        storage.base_url or "/",
        file_permissions=storage.file_permissions_mode,
        directory_permissions=storage.directory_permissions_mode,
    )


def unwrapped(storage: Any) -> Any:
    """Return the storage behind a lazy one such as `default_storage`."""
    if isinstance(storage, LazyObject):
        if storage._wrapped is empty:
            storage._setup()
        return unwrapped(storage._wrapped)
    return storage


def keeps_methods(storage: Any, *names: str) -> bool:
    """Tell whether a storage is a `FileSystemStorage` that has not overridden these methods."""
    return isinstance(storage, DjangoFileSystemStorage) and all(
        name not in vars(cls)
        for cls in type(storage).__mro__
        if cls not in DjangoFileSystemStorage.__mro__
        for name in names
    )


def has_paths(storage: Any) -> bool:
    """Tell whether a storage's files can be read at its paths."""
    return keeps_methods(unwrapped(storage), *_READING)


def local_path(storage: Any, name: str) -> str | None:
    """Return the path of a file with the content that the storage would give; None if there is no such path.

    Raises:
        SuspiciousFileOperation: The name leads out of the storage.
    """
    return unwrapped(storage).path(name) if has_paths(storage) else None


def can_list(storage: Storage) -> bool:
    """Tell whether a storage can name its files; Django's need not."""
    if not isinstance(storage, DjangoStorage):
        return True
    try:
        storage.storage.listdir("")
    except NotImplementedError:
        return False
    except Exception:  # noqa: BLE001  # a folder that is not there, or a client's own error, which listing raises
        return True
    return True


class DjangoStorage:
    """A Django storage of any kind, as a storage of cache files.

    Args:
        storage: The Django storage.
    """

    def __init__(self, storage: Any) -> None:
        self.storage = storage
        self.is_local = isinstance(storage, DjangoFileSystemStorage)

    def save(self, name: str, content: bytes) -> None:
        """Write `content` under exactly this name, after deleting any file there.

        Raises:
            StorageError: It cannot be written, or the storage insists on another name.
        """
        self._attempt(name, lambda: self._save(name, content))

    def _save(self, name: str, content: bytes) -> None:
        # The second way avoids get_available_name(), with which a storage may rename even what is free.
        for write in (self.storage.save, getattr(self.storage, "_save", self.storage.save)):
            if self.storage.exists(name):
                self.storage.delete(name)
            saved = str(write(name, ContentFile(content, name))).replace("\\", "/")
            if os.path.normpath(saved) == os.path.normpath(name):
                return
            self.storage.delete(saved)
        raise StorageError(
            name,
            f"the storage {type(self.storage).__name__} saves it as {saved!r}: keep cache files in a storage that "
            "accepts the names it is given (IMAGEKIT_DEFAULT_FILE_STORAGE, or cachefile_storage of the spec).",
        )

    def open(self, name: str) -> BinaryIO:
        """Open the file for reading.

        Raises:
            StorageError: There is no such file, or it cannot be read.
        """
        opened: BinaryIO = self._attempt(name, lambda: self.storage.open(name, "rb"))
        return opened

    def stat(self, name: str) -> StoredFile | None:
        """Return the file's size; None where there is no file."""
        check_name(name)
        try:
            # Most storages say by this alone that there is no such file, which takes one request.
            return StoredFile(self.storage.size(name), 0)
        except FileNotFoundError:
            return None
        except Exception:  # noqa: BLE001  # each storage's client has errors of its own
            exists = self._attempt(name, lambda: self.storage.exists(name))
            return StoredFile(self._attempt(name, lambda: self.storage.size(name)), 0) if exists else None

    def delete(self, name: str) -> None:
        """Delete the file; no error if there is none.

        Raises:
            StorageError: It cannot be deleted.
        """

        def delete() -> None:
            with suppress(FileNotFoundError):
                self.storage.delete(name)

        self._attempt(name, delete)

    def names(self, prefix: str = "") -> Iterator[str]:
        """Yield the names of all files below the folder `prefix`; none if the storage cannot list them."""
        prefix = check_name(prefix.rstrip("/")) if prefix.rstrip("/") else ""
        try:
            folders, files = self.storage.listdir(prefix)
        except (FileNotFoundError, NotADirectoryError, NotImplementedError):
            return
        start = f"{prefix}/" if prefix else ""
        yield from sorted(f"{start}{file}" for file in files if file)
        for folder in sorted(folders):
            yield from self.names(f"{start}{folder}")

    def path(self, name: str) -> str | None:
        """Return the file's absolute path on this machine; None where it has none."""
        try:
            path: str = self.storage.path(check_name(name))
        except NotImplementedError:
            return None
        return path

    def url(self, name: str) -> str:
        """Return the URL from which the storage serves the file."""
        url: str = self.storage.url(check_name(name))
        return url

    def _attempt(self, name: str, action: Callable[[], T]) -> T:
        check_name(name)
        try:
            return action()
        except StorageError:
            raise
        except Exception as error:
            raise _storage_error(name, error) from error

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DjangoStorage) and self.storage == other.storage

    def __hash__(self) -> int:
        return hash((DjangoStorage, type(self.storage)))


def _storage_error(name: str, error: Exception) -> StorageError:
    if isinstance(error, FileNotFoundError):
        return StorageError(name, "there is no such file. Generate it first.")
    if isinstance(error, SuspiciousFileOperation):
        return StorageError(name, "its name leads out of the storage. Have the namer return a relative path.")
    return StorageError(name, f"{type(error).__name__}: {error}")


__all__ = ["DjangoStorage", "engine_storage", "keeps_methods", "local_path", "unwrapped"]
