"""A cache file as the source of another: a thumbnail of a hero."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from ..hashing import fingerprint
from ..images.rules import Limits
from ..interfaces import Size
from ..sources import Source
from ..specs import ImageSpec
from .backends import Simple, name_of

if TYPE_CHECKING:
    from .file import ImageCacheFile


class CacheFileSource(Source):
    """The content of a cache file, which is made only when it is read."""

    original: ImageCacheFile
    is_original = False

    def __init__(self, file: ImageCacheFile) -> None:
        super().__init__(Limits.from_settings(file.settings))
        self.original = file
        self.name = name_of(file).removeprefix(file.settings.cachefile_dir).lstrip("/")

    def open(self) -> BinaryIO:
        """Return the cache file's content, making it here and now if need be."""
        if self.original.cachefile_backend.is_async:
            Simple().generate(self.original)
        else:
            self.original.generate()
        return self.original.storage.open(name_of(self.original))

    @property
    def digest(self) -> str:
        """Digits that stand for the content, derived from what it is made of, since the file may not exist yet."""
        own = getattr(self.original.generator, "get_hash", None)
        return fingerprint(["cachefile", own() if callable(own) else self.original.name])

    def size(self, auto_orient: bool = True) -> Size:
        """Return width and height in pixels, as promised if the file has not been made yet."""
        shown = self.original.generator.output_size() if self.is_vector else self.original.promised_size
        return shown or super().size(auto_orient)

    @property
    def is_vector(self) -> bool:
        """Whether it is an SVG, which its own source tells even before the file is made."""
        generator = self.original.generator
        if isinstance(generator, ImageSpec):
            return generator.is_vector
        return super().is_vector

    @property
    def kept_format(self) -> str:
        """The format of results that keep this one's, as promised if the file has not been made yet."""
        return self.original.promised_format or super().kept_format
