"""The generators that every project has."""

from __future__ import annotations

from typing import Any

from .. import generatorlibrary as core
from ..generatorlibrary import THUMBNAIL_ID
from ..processors import Thumbnail as ThumbnailProcessor
from .registry import register
from .specs import ImageSpec

__all__ = ["ImageSpec", "Thumbnail", "ThumbnailProcessor", "register"]


class Thumbnail(core.Thumbnail, ImageSpec):
    """The spec behind `{% thumbnail %}` and `{% picture %}`.

    Args:
        width: Width in pixels; None derives it from the height.
        height: Height in pixels; None derives it from the width.
        anchor: What a crop keeps.
        crop: Fill the size and crop the excess; the default if both width and height are given.
        upscale: Enlarge a source that is smaller.
        format: The format of the result; None for `IMAGEKIT_DEFAULT_THUMBNAIL_FORMAT`.
        **kwargs: What else `jinja_imagekit.generatorlibrary.Thumbnail` takes: `quality`, `options`, `source`.

    Raises:
        InvalidOption: The size or the anchor cannot be used.
    """

    def __init__(
        self,
        width: int | None = None,
        height: int | None = None,
        anchor: Any = None,
        crop: Any = None,
        upscale: bool | None = None,
        format: str | None = None,
        **kwargs: Any,
    ) -> None:
        # Django's templates have {% thumbnail … crop=0 %}, as django-imagekit's documentation does.
        crop = bool(crop) if isinstance(crop, int) else crop
        super().__init__(width, height, anchor, crop, upscale, format, **kwargs)
        # The names of django-imagekit tell a list from a tuple, and no options from empty ones.
        self.processors = list(self.processors)
        self.options = self.options or kwargs.get("options")


register.generator(THUMBNAIL_ID, Thumbnail)
