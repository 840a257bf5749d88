"""Django files that name a file in a storage and open it when it is read."""

from __future__ import annotations

import os
from typing import Any

from django.core.files.base import ContentFile, File

from .utils import extension_to_mimetype, format_to_mimetype


class BaseIKFile(File):  # type: ignore[type-arg]  # it has none when it runs
    """A file in a storage: a `FieldFile` without its model.

    Args:
        storage: The Django storage.
    """

    def __init__(self, storage: Any) -> None:
        self.storage = storage
        self._file = None

    def _require_file(self) -> None:
        if not self:
            raise ValueError(f"{self!r} has no file.")

    def _get_file(self) -> Any:
        if self._file is None:
            self._require_file()
            self._file = self.storage.open(self.name, "rb")
        return self._file

    def _set_file(self, file: Any) -> None:
        self._file = file

    def _del_file(self) -> None:
        self._file = None

    file = property(_get_file, _set_file, _del_file)

    @property
    def path(self) -> str:
        """The file's path on this machine."""
        self._require_file()
        path: str = self.storage.path(self.name)
        return path

    @property
    def url(self) -> str:
        """The URL from which the storage serves the file."""
        self._require_file()
        url: str = self.storage.url(self.name)
        return url

    @property
    def size(self) -> int:
        """Size in bytes."""
        self._require_file()
        size: int = self.storage.size(self.name)
        return size

    def open(self, mode: str = "rb") -> Any:  # type: ignore[override]  # a storage takes no more than the mode
        """Open the file, or rewind it if it is already open.

        Returns:
            This file, which is a context manager.
        """
        if self._file is None or self._file.closed:
            self._require_file()
            self._file = self.storage.open(self.name, mode)
        else:
            self._file.open(mode)
        return self

    @property
    def closed(self) -> bool:
        """Whether the file is not open."""
        return self._file is None or self._file.closed

    def close(self) -> None:
        """Close the file; it opens again when it is read."""
        if self._file is not None:
            self._file.close()
            self._file = None


class IKContentFile(ContentFile):  # type: ignore[type-arg]  # it has none when it runs
    """Content in memory with a file name and a media type.

    Args:
        filename: The name.
        content: The bytes.
        format: The image format that determines the media type; by default the name determines it.
    """

    def __init__(self, filename: str, content: bytes, format: str | None = None) -> None:
        super().__init__(content, filename)
        extension = os.path.splitext(filename or "")[1]
        self.content_type = format_to_mimetype(format) if format else extension_to_mimetype(extension)
