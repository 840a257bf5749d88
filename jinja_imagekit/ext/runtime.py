"""What the tags and filters of one environment do with the images of one kit."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Protocol

from markupsafe import Markup

from ..cachefiles import LazyImageCacheFile
from ..exceptions import InvalidOption
from ..generatorlibrary import THUMBNAIL_ID
from ..html import img_tag
from ..settings import Settings
from .sandbox import SandboxedImage

MAX_SIDE = 65_535
"""Pixels: the longest side that a JPEG file can have (ITU-T T.81, B.2.2: 16 bits)."""

_DIMENSIONS = re.compile(r"([0-9]{0,9})x([0-9]{0,9})")
_DIMENSIONS_EXPECTED = "write width and height in pixels as '400x300', or one of them as '400x' or 'x300'"
_SCALES_EXPECTED = "write pixel densities as '1.5 2', or None for none"


class TemplateKit(Protocol):
    """What templates need of a kit."""

    @property
    def settings(self) -> Settings:
        """The kit's settings."""

    def cachefile(self, id: str, /, **kwargs: Any) -> LazyImageCacheFile:
        """Return the cache file of a generator; nothing is opened."""


class TemplateRuntime:
    """The images of one kit as the templates of one environment and its overlays ask for them.

    Args:
        kit: The kit.
        sandboxed: Hand templates a view of a cache file, with which they can neither write nor learn paths.
    """

    def __init__(self, kit: TemplateKit, *, sandboxed: bool = False) -> None:
        self._kit = kit
        self._sandboxed = sandboxed
        self._parse_dimensions = lru_cache(maxsize=256)(self._checked_dimensions)

    def generateimage_tag(
        self, generator_id: str, kwargs: Mapping[str, Any], attributes: Mapping[str, object]
    ) -> Markup:
        """Return the HTML of `{% generateimage 'id' name=value … -- attribute=value … %}`.

        Raises:
            ImageKitError: The image could not be made.
        """
        return _img(self._cachefile(generator_id, kwargs), attributes)

    def generateimage_file(self, generator_id: str, kwargs: Mapping[str, Any]) -> LazyImageCacheFile | SandboxedImage:
        """Return what `{% generateimage … as name %}` assigns; nothing has been opened yet."""
        return self._handed_out(self._cachefile(generator_id, kwargs))

    def thumbnail_tag(
        self,
        generator_id: str | None,
        dimensions: str,
        source: object,
        kwargs: Mapping[str, Any],
        attributes: Mapping[str, object],
    ) -> Markup:
        """Return the HTML of `{% thumbnail ['id'] 'WxH' source name=value … -- attribute=value … %}`.

        Raises:
            InvalidOption: The dimensions or the densities in `srcset` cannot be used.
            ImageKitError: The image could not be made.
        """
        scales = self._scales(kwargs)
        kwargs = {name: value for name, value in kwargs.items() if name != "srcset"}
        size = self._size(dimensions)
        file = self._thumbnail(generator_id, size, source, kwargs)
        srcset = None
        if scales and "srcset" not in map(str.lower, attributes):
            entries = [f"{file.url} 1x"]
            for scale in scales:
                variant = self._thumbnail(generator_id, self._scaled(size, scale), source, kwargs)
                entries.append(f"{variant.url} {scale:g}x")
            srcset = ", ".join(entries)
        return _img(file, attributes, srcset)

    def thumbnail_file(
        self, generator_id: str | None, dimensions: str, source: object, kwargs: Mapping[str, Any]
    ) -> LazyImageCacheFile | SandboxedImage:
        """Return what `{% thumbnail … as name %}` assigns; nothing has been opened yet.

        Raises:
            InvalidOption: The dimensions cannot be used.
        """
        if "srcset" in kwargs:
            raise InvalidOption("srcset", kwargs["srcset"], "only a tag that writes <img> has one")
        return self._handed_out(self._thumbnail(generator_id, self._size(dimensions), source, kwargs))

    def _thumbnail(
        self, generator_id: str | None, size: tuple[int | None, int | None], source: object, kwargs: Mapping[str, Any]
    ) -> LazyImageCacheFile:
        width, height = size
        options = {**kwargs, "width": width, "height": height, "source": source}
        return self._cachefile(THUMBNAIL_ID if generator_id is None else generator_id, options)

    def _cachefile(self, generator_id: str, kwargs: Mapping[str, Any]) -> LazyImageCacheFile:
        if self._sandboxed:
            kwargs = {name: SandboxedImage.unwrap(value) for name, value in kwargs.items()}
        return self._kit.cachefile(generator_id, **kwargs)

    def _handed_out(self, file: LazyImageCacheFile) -> LazyImageCacheFile | SandboxedImage:
        return SandboxedImage(file) if self._sandboxed else file

    def _size(self, dimensions: object) -> tuple[int | None, int | None]:
        if not isinstance(dimensions, str):
            raise InvalidOption("dimensions", dimensions, _DIMENSIONS_EXPECTED)
        return self._parse_dimensions(dimensions)

    def _checked_dimensions(self, dimensions: str) -> tuple[int | None, int | None]:
        match = _DIMENSIONS.fullmatch(dimensions)
        if match is None or dimensions == "x":
            raise InvalidOption("dimensions", dimensions, _DIMENSIONS_EXPECTED)
        width, height = (int(side) if side else None for side in match.groups())
        self._check_size(width, height, dimensions)
        return width, height

    def _check_size(self, width: int | None, height: int | None, dimensions: str) -> None:
        for name, side in (("width", width), ("height", height)):
            if side is not None and not 1 <= side <= MAX_SIDE:
                raise InvalidOption("dimensions", dimensions, f"the {name} has to be between 1 and {MAX_SIDE} pixels")
        most = self._kit.settings.max_result_pixels
        if width and height and width * height > most:
            raise InvalidOption(
                "dimensions",
                dimensions,
                f"{width * height} pixels are more than the setting max_result_pixels allows, which is {most}",
            )

    def _scaled(self, size: tuple[int | None, int | None], scale: float) -> tuple[int | None, int | None]:
        width, height = (None if side is None else max(1, math.floor(side * scale + 0.5)) for side in size)
        self._check_size(width, height, f"{width or ''}x{height or ''}")
        return width, height

    def _scales(self, kwargs: Mapping[str, Any]) -> tuple[float, ...]:
        value = kwargs.get("srcset", self._kit.settings.default_thumbnail_srcset_scales)
        if value is None or value is False:
            return ()
        try:
            given: Iterable[Any] = value.split() if isinstance(value, str) else iter(value)
            scales = tuple(float(scale) for scale in given)
        except (TypeError, ValueError):
            raise InvalidOption("srcset", value, _SCALES_EXPECTED) from None
        if not all(0 < scale < math.inf for scale in scales):
            raise InvalidOption("srcset", value, "a pixel density is a number above 0")
        # 1x is the image itself, and two images of one density are an error in HTML.
        return tuple(scale for scale in dict.fromkeys(scales) if scale != 1)


def _img(file: LazyImageCacheFile, attributes: Mapping[str, object], srcset: str | None = None) -> Markup:
    return img_tag(file.url, file.width, file.height, attributes, srcset)
