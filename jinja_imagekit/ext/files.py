"""The cache file that a template gets."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from markupsafe import Markup

from ..cachefiles import LazyImageCacheFile
from ..cachefiles.warm import KnownFile
from ..exceptions import ImageKitError
from ..html import img_tag
from ..once import made_once
from ..stand_ins import StandIn, covers, stand_in
from .places import add_place, placed

if TYPE_CHECKING:
    from ..kit import ImageKit


T = TypeVar("T")


def replaced(field: str) -> Callable[[Callable[[TemplateCacheFile], T]], Callable[[TemplateCacheFile], T]]:
    """Return a decorator: where the image cannot be made, give this field of what stands in for it."""

    def decorate(function: Callable[[TemplateCacheFile], T]) -> Callable[[TemplateCacheFile], T]:
        @wraps(function)
        def call(file: TemplateCacheFile) -> T:
            if file.stand_in is None:
                try:
                    return function(file)
                except ImageKitError as error:
                    file.replace(error)
            value: T = getattr(file.stand_in, field)
            return value

        return call

    return decorate


class TemplateCacheFile(LazyImageCacheFile):
    """A cache file whose errors say which line of a template used it, and which asks first what its kit knows.

    Where its image cannot be made, and `on_error` is not "raise", its URL, width, height, media type and truth are
    those of what stands in for it; it is false when that is nothing.

    Args:
        generator_id: The id of a registered generator.
        kit: The kit.
        kwargs: The generator's keywords.
        prints_html: Whether its text is its `<img>`, as it must be where a template escapes nothing.

    Attributes:
        on_error: The policy for an image that cannot be made.
        stand_in: What stands in for the image, once that was found to be necessary.
    """

    def __init__(self, generator_id: str, *, kit: ImageKit, kwargs: dict[str, Any], prints_html: bool = False) -> None:
        super().__init__(generator_id, kit=kit, kwargs=kwargs)
        self._kit = kit
        self._prints_html = prints_html
        self.on_error = kit.settings.on_error
        self.stand_in: StandIn | None = None

    def known(self) -> KnownFile | None:
        """Return what is known of the file, if that still holds; a page that asks needs the file."""
        known = self._kit.known_files.find(str(self.generator_id), self._kwargs)
        if known is not None:
            self._kit.renders.note_call(known.name, str(self.generator_id), self._kwargs)
        return known

    def make_known(self) -> None:
        """Have the kit remember this file, which exists now."""
        self._kit.known_files.remember(self, self._kwargs)

    def replace(self, error: ImageKitError) -> None:
        """Have something stand in for the image, if the policy covers the error; otherwise raise it.

        Raises:
            ImageKitError: The policy does not cover it.
        """
        if not covers(self.on_error, error):
            raise error
        add_place(error)
        self.stand_in = stand_in(self._kit, self, self._kwargs, error, self.on_error)

    @made_once
    @placed
    def generator(self) -> Any:
        """What makes the image."""
        return super().generator

    @property
    @placed
    @replaced("url")
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
    @replaced("width")
    def width(self) -> int:
        """Width in pixels."""
        known = self.known()
        return super().width if known is None else known.width

    @property
    @placed
    @replaced("height")
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
    @replaced("mimetype")
    def mimetype(self) -> str:
        """Media type, such as "image/webp"."""
        return super().mimetype

    @placed
    def open(self) -> BinaryIO:
        """Return the file, open for reading; the caller closes it."""
        return super().open()

    @placed
    @replaced("is_shown")
    def __bool__(self) -> bool:
        return super().__bool__()

    def __html__(self) -> Markup:
        shown = self.url, self.width, self.height
        if self.stand_in is not None:
            # It may have been necessary for the size alone.
            shown = self.stand_in.url, self.stand_in.width, self.stand_in.height
        return img_tag(*shown) if shown[0] else Markup()

    def __str__(self) -> str:
        return str(self.__html__()) if self._prints_html else super().__str__()
