"""The cache file that a template gets."""

from __future__ import annotations

from functools import cached_property
from typing import Any, BinaryIO, Protocol

from ..cachefiles import CacheFileHost, LazyImageCacheFile
from ..cachefiles.known import KnownFile, KnownFiles
from ..renders import Renders
from .places import placed


class TemplateKit(CacheFileHost, Protocol):
    """What templates need of a kit."""

    @property
    def known_files(self) -> KnownFiles:
        """What is known of earlier calls."""

    @property
    def renders(self) -> Renders:
        """What the pages need."""


class TemplateCacheFile(LazyImageCacheFile):
    """A cache file whose errors say which line of a template used it, and which asks first what its kit knows.

    Args:
        generator_id: The id of a registered generator.
        kit: The kit.
        kwargs: The generator's keywords.
        prints_html: Whether its text is its `<img>`, as it must be where a template escapes nothing.
    """

    def __init__(
        self, generator_id: str, *, kit: TemplateKit, kwargs: dict[str, Any], prints_html: bool = False
    ) -> None:
        super().__init__(generator_id, host=kit, kwargs=kwargs)
        self._kit = kit
        self._prints_html = prints_html

    def known(self) -> KnownFile | None:
        """Return what is known of the file, if that still holds; a page that asks needs the file."""
        known = self._kit.known_files.find(str(self.generator_id), self._kwargs)
        if known is not None:
            self._kit.renders.note_call(known.name, str(self.generator_id), self._kwargs)
        return known

    def make_known(self) -> None:
        """Have the kit remember this file, which exists now."""
        self._kit.known_files.remember(self, self._kwargs)

    @cached_property
    @placed
    def generator(self) -> Any:
        """What makes the image."""
        return super().generator

    @property
    @placed
    def url(self) -> str:
        """The URL from which the site serves the file; the strategy may make it first."""
        known = self.known()
        if known is not None:
            return known.url
        url = super().url
        self.make_known()
        return url

    @property
    @placed
    def width(self) -> int:
        """Width in pixels."""
        known = self.known()
        return super().width if known is None else known.width

    @property
    @placed
    def height(self) -> int:
        """Height in pixels."""
        known = self.known()
        return super().height if known is None else known.height

    @property
    @placed
    def path(self) -> str:
        """The file's path on this machine; the strategy may make it first."""
        return super().path

    @property
    @placed
    def size(self) -> int:
        """Size in bytes."""
        return super().size

    @property
    @placed
    def format(self) -> str:
        """Format, by Pillow's name."""
        return super().format

    @property
    @placed
    def mimetype(self) -> str:
        """Media type, such as "image/webp"."""
        return super().mimetype

    @placed
    def open(self) -> BinaryIO:
        """Return the file, open for reading; the caller closes it."""
        return super().open()

    @placed
    def __bool__(self) -> bool:
        return super().__bool__()

    def __str__(self) -> str:
        return str(self.__html__()) if self._prints_html else super().__str__()
