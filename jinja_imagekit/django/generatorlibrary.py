"""The generators that every project has."""

from __future__ import annotations

from typing import Any

from ..generatorlibrary import THUMBNAIL_ID
from ..processors import Thumbnail as ThumbnailProcessor
from . import conf
from .registry import register
from .specs import ImageSpec


class Thumbnail(ImageSpec):
    """The spec behind `{% thumbnail %}`.

    Args:
        width: Width in pixels; None follows from the height.
        height: Height in pixels; None follows from the width.
        anchor: What a crop keeps.
        crop: Fill the size and cut off the rest; by default so when width and height are given.
        upscale: Enlarge a source that is smaller.
        format: The format of the result; None for `IMAGEKIT_DEFAULT_THUMBNAIL_FORMAT`.
        quality: The encoder's quality.
        options: Further options of the encoder.
        source: The image to start from.

    Raises:
        InvalidOption: The size or the anchor cannot be used.
    """

    varies = False

    def __init__(
        self,
        width: int | None = None,
        height: int | None = None,
        anchor: Any = None,
        crop: Any = None,
        upscale: bool | None = None,
        format: str | None = None,
        quality: int | None = None,
        options: dict[str, Any] | None = None,
        source: Any = None,
    ) -> None:
        super().__init__(source)
        # Django's templates have {% thumbnail … crop=0 %}, as django-imagekit's documentation does.
        crop = bool(crop) if isinstance(crop, int) else crop
        self.processors = [ThumbnailProcessor(width, height, anchor=anchor, crop=crop, upscale=upscale)]
        if quality is not None:
            options = {**(options or {}), "quality": quality}
        self.options = options
        self.format = format or conf.optional("DEFAULT_THUMBNAIL_FORMAT")


register.generator(THUMBNAIL_ID, Thumbnail)
