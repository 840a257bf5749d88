"""The generators that every kit has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .exceptions import InvalidOption
from .processors import SharedThumbnail
from .processors import Thumbnail as ThumbnailProcessor
from .processors.arguments import flag, one_of, pixels
from .registry import GeneratorRegistry
from .settings import AUTO, EFFORTS, GAMUTS
from .specs import ImageSpec

__all__ = ["Thumbnail"]

THUMBNAIL_ID = "imagekit:thumbnail"


class Thumbnail(ImageSpec):
    """The spec behind `{% thumbnail %}`.

    Args:
        width: Width in pixels; None derives it from the height.
        height: Height in pixels; None derives it from the width.
        anchor: What a crop keeps: "tl", "t", "tr", "l", "c", "r", "bl", "b", "br", a pair of fractions,
            "entropy" for the part with the most entropy, or "auto", the default, for what people look at.
        crop: Fill the size and crop the excess; the default if both width and height are given.
        upscale: Enlarge a source that is smaller.
        format: The format of the result; None for the setting `default_thumbnail_format`.
        quality: The encoder's quality, or "auto" for the lowest at which the image looks like itself.
        options: Further options of the encoder.
        largest: Width and height in pixels of the largest size of a picture that this is one size of: all are made
            of one decode, and cut alike.
        still: Show the first frame of an animation.
        effort: How long the encoder searches for few bytes: "fastest", "fast", "balanced" or "small"; None for the
            setting.
        max_bytes: Bytes that the result may have; None for the setting.
        gamut: "p3" for the colours that the source has beyond sRGB, or "srgb"; None for the setting.
        hdr: Keep the gain map of an Ultra HDR JPEG; None for the setting.
        source: The image to start from.

    Raises:
        InvalidOption: The size, the anchor, the effort or the gamut cannot be used, or what is on or off is neither.
    """

    varies = False
    keeps_source_apart = True

    def __init__(
        self,
        width: int | None = None,
        height: int | None = None,
        anchor: Any = None,
        crop: bool | None = None,
        upscale: bool | None = None,
        format: str | None = None,
        quality: int | str | None = None,
        options: dict[str, Any] | None = None,
        source: Any = None,
        largest: tuple[int, int | None] | None = None,
        still: bool = False,
        effort: str | None = None,
        max_bytes: int | None = None,
        gamut: str | None = None,
        hdr: bool | None = None,
    ) -> None:
        super().__init__(source)
        sides: dict[str, Any] = {"width": width, "height": height, "anchor": anchor, "crop": crop, "upscale": upscale}
        self.processors = (SharedThumbnail(**sides, largest=largest) if largest else ThumbnailProcessor(**sides),)
        if flag("still", still):
            self.keep_animation = False
        if effort is not None:
            self.effort = one_of("effort", effort, EFFORTS)
        if max_bytes is not None:
            self.max_bytes = pixels("max_bytes", max_bytes, unit="bytes")
        if gamut is not None:
            self.gamut = one_of("gamut", gamut, GAMUTS)
        if hdr is not None:
            self.hdr = bool(flag("hdr", hdr))
        if quality == AUTO:
            self.quality = AUTO
        if not isinstance(options or {}, Mapping):
            raise InvalidOption("options", options, "write a dict of the encoder's options, such as {'quality': 80}")
        self.options = {**(options or {}), **({} if quality in (None, AUTO) else {"quality": quality})}
        self._format = format

    @property
    def format(self) -> str | None:  # type: ignore[override]  # the settings arrive after the constructor
        """The requested format, or else the setting's."""
        return self._format or self.settings.default_thumbnail_format


def library() -> GeneratorRegistry:
    """Return a new registry of the generators that every kit has."""
    generators = GeneratorRegistry()
    generators.register(THUMBNAIL_ID, Thumbnail)
    return generators
