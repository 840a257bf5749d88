"""Checks and processes images as they are uploaded, before anything is stored."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO

from blake3 import blake3

from . import images
from .exceptions import InvalidOption, UnreadableImage
from .images import WRITABLE_FORMATS, Limits
from .images.formats import sniff
from .settings import Settings
from .sources import BytesSource
from .specs import ImageSpec, spec_class
from .storages.folder import FileSystemStorage, is_windows_device

if TYPE_CHECKING:
    from .kit import ImageKit

__all__ = ["ProcessedFile"]

LONGEST_STEM = 160
"""Maximum length of a name in bytes of UTF-8, without digest and extension: file systems allow 255."""

_UNSAFE = re.compile(r"[^\w-]+")


class ProcessedFile:
    """A new image in memory, to be stored wherever the application keeps its files.

    Attributes:
        name: The upload's name, made safe, with the format's extension.
        unique_name: The same with 16 hexadecimal digits derived from the content, so that no upload replaces another.
        width: Pixels.
        height: Pixels.
        size: Bytes.
        format: By Pillow's name.
        mimetype: For example `image/jpeg`.
    """

    def __init__(self, data: bytes, name: str, settings: Settings) -> None:
        limits = Limits.from_settings(settings).of_results(WRITABLE_FORMATS)
        header = images.read_header(data, name=name, limits=limits)
        self._data = data
        self._settings = settings
        self.width, self.height = header.width, header.height
        self.size = len(data)
        # A gain map makes a JPEG one of several pictures.
        self.format = images.FORMATS[header.format].name
        self.mimetype = images.mimetype(header.format)
        stem, extension = safe_stem(name), images.extension(header.format)
        self.name = stem + extension
        self.unique_name = f"{stem}-{blake3(data).hexdigest(length=8)}{extension}"

    def open(self) -> BinaryIO:
        """Return the image as a file at its start."""
        return BytesIO(self._data)

    def read(self) -> bytes:
        """Return the whole image."""
        return self._data

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the image under exactly this path, whole or not at all, and return the path.

        Missing folders are created; an existing file is replaced.

        Raises:
            StorageError: It cannot be written; an existing file is unharmed.
        """
        target = Path(path)
        settings = self._settings.replace(location=target.parent)
        storage = FileSystemStorage.from_settings(settings)
        storage.save(target.name, self._data)
        # Do not leave the folder of temporary files among the application's own.
        storage.sweep()
        return target

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}, {self.width}×{self.height}>"


def process_upload(kit: ImageKit, value: object, id: str | None, attributes: Mapping[str, Any]) -> ProcessedFile:
    """Check an upload and make a new image of it; see `ImageKit.process`."""
    source = kit.source(value)
    if source is None:
        raise UnreadableImage("", "no file was uploaded.")
    if id is not None and attributes:
        name, value = next(iter(attributes.items()))
        raise InvalidOption(name, value, f"{id!r} already says what to do; give an id or keywords, not both")
    limits = Limits.from_settings(kit.settings)
    upload = BytesSource(source.read(), source.name, limits)
    original = upload.as_original(limits)
    format = sniff(upload.original)
    if format is not None and format.is_vector:
        raise UnreadableImage(source.name, "an SVG may hold scripts; upload an image made of pixels.")
    if id is not None:
        spec = kit.generator(id, source=upload)
    else:
        spec = spec_class(attributes)(upload)
        spec.settings = kit.settings
    if isinstance(spec, ImageSpec):
        spec._is_of_upload = True
    if isinstance(spec, ImageSpec) and spec.shares_source():
        return ProcessedFile(spec.render(original), upload.name, kit.settings)
    with spec.generate() as content:
        return ProcessedFile(content.read(), upload.name, kit.settings)


def safe_stem(name: str) -> str:
    """Return a file name's stem in a form that suits every file system: letters, digits, `_` and `-`; else "image".

    Example:
        >>> safe_stem("../Été à Nice (1).JPG")
        'Été-à-Nice-1'
    """
    stem = PurePosixPath(unicodedata.normalize("NFC", name).replace("\\", "/")).stem
    safe = _UNSAFE.sub("-", stem).encode()[:LONGEST_STEM].decode(errors="ignore").strip("-")
    if not safe:
        return "image"
    return f"image-{safe}" if is_windows_device(safe) else safe
