"""The processor behind `{% thumbnail %}`: it chooses one of the resizing processors."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from PIL import Image
from pilkit import processors as pilkit  # type: ignore[import-untyped]

from ..exceptions import InvalidOption
from ..interfaces import Size
from . import arguments
from .arguments import Anchor
from .crop import SmartCrop
from .resampling import Resampling, resample, scaled
from .resize import ResizeToFill, ResizeToFit, SmartResize


class Thumbnail(Resampling, pilkit.Thumbnail):  # type: ignore[misc]  # pilkit has no types
    """Resizes the image for use as a thumbnail: `SmartResize`, `ResizeToFill` or `ResizeToFit`.

    Args:
        width: Pixels; None derives it from the height.
        height: Pixels; None derives it from the width.
        anchor: What a crop keeps: a name of `Anchor`, two fractions, "auto" for what people look at, faces above all,
            or "entropy" for the part with the most entropy, as in `SmartResize`.
        crop: Crop the excess; the default if both dimensions are given.
        upscale: Enlarge a smaller image; off by default.

    Raises:
        InvalidOption: Both dimensions are missing, or one is although `crop` is true, or there is an anchor although
            `crop` is false, or a value is unusable.

    Example:
        >>> Thumbnail(400, 300).output_size((4032, 3024)), Thumbnail(400).output_size((4032, 3024))
        ((400, 300), (400, 300))
    """

    def __init__(
        self,
        width: int | None = None,
        height: int | None = None,
        anchor: Anchor | None = None,
        crop: bool | None = None,
        upscale: bool | None = None,
    ) -> None:
        crop = arguments.flag("crop", crop)
        if anchor is not None and crop is False:
            raise InvalidOption("anchor", anchor, "leave it out, or set crop to true")
        super().__init__(
            arguments.pixels_or_none("width", width),
            arguments.pixels_or_none("height", height),
            arguments.anchor(anchor, "auto", "entropy"),
            crop,
            arguments.flag("upscale", upscale),
        )
        if self.width is None and self.height is None:
            raise InvalidOption("width", width, "give a width, a height or both")
        if self.crop and (self.width is None or self.height is None):
            raise InvalidOption("crop", self.crop, "a crop needs both width and height")

    def sampled_size(self, size: Size) -> Size:
        """Return the size in pixels to which the whole of an image of `size` is resampled."""
        return self._processor().sampled_size(size)

    def output_size(self, size: Size) -> Size:
        """Return the size in pixels of the result for an image of `size`."""
        return self._processor().output_size(size)

    def reduced_frames(self, images: Sequence[Image.Image], full_size: Size) -> list[Image.Image]:
        """Return what `process_frames` would make of frames of `full_size`, given the decoder's reduction of them."""
        return self._processor().reduced_frames(images, full_size)

    def _processor(
        self, width: int | None = None, height: int | None = None
    ) -> ResizeToFit | ResizeToFill | SmartResize:
        """Return the processor that does the work, for its own size unless another is given."""
        if width is None:
            width, height = self.width, self.height
        return _resampling(width, height, self.crop, self.anchor, self.upscale)


@lru_cache(maxsize=256)
def _resampling(
    width: int | None, height: int | None, crop: bool, anchor: Any, upscale: bool
) -> ResizeToFit | ResizeToFill | SmartResize:
    if not crop:
        return ResizeToFit(width, height, upscale=upscale)
    if anchor == "entropy":
        return SmartResize(width, height, upscale=upscale)  # type: ignore[arg-type]  # a crop has both
    return ResizeToFill(width, height, anchor=anchor, upscale=upscale)


JUDGED_WIDTH = 320
"""Pixels: what a crop keeps is decided at this width, or at the largest size's where that is smaller."""


class SharedThumbnail(Thumbnail):
    """A thumbnail that is one of several sizes, all made from one decode and cropped alike.

    Args:
        width: Pixels.
        height: Pixels; None derives it from the width.
        anchor: As for `Thumbnail`.
        crop: As for `Thumbnail`.
        upscale: As for `Thumbnail`.
        largest: Width and height in pixels of the largest of the sizes; the height may be None.

    Raises:
        InvalidOption: As for `Thumbnail`.

    Example:
        >>> SharedThumbnail(400, largest=(1600, None)).sampled_size((4000, 3000))
        (1600, 1200)
    """

    def __init__(
        self,
        width: int | None = None,
        height: int | None = None,
        anchor: Anchor | None = None,
        crop: bool | None = None,
        upscale: bool | None = None,
        *,
        largest: tuple[int, int | None],
    ) -> None:
        super().__init__(width, height, anchor, crop, upscale)
        if not isinstance(largest, (tuple, list)) or len(largest) != 2:
            raise InvalidOption("largest", largest, "give the width and height of the largest size")
        self.largest = (
            arguments.pixels("largest", largest[0]),
            arguments.pixels_or_none("largest", largest[1]),
        )

    def sampled_size(self, size: Size) -> Size:
        """Return the size in pixels to which the largest of the sizes resamples the whole of an image of `size`."""
        return self._processor(*self.largest).sampled_size(size)

    def output_size(self, size: Size) -> Size:
        """Return the size in pixels of the result for an image of `size`."""
        return self._processor().output_size(size)

    def reduced_frames(self, images: Sequence[Image.Image], full_size: Size) -> list[Image.Image]:
        """Return what `process_frames` would make of frames of `full_size`, given the decoder's reduction of them."""
        processor, largest = self._processor(), self._processor(*self.largest)
        if self.anchor in ("auto", "entropy") and isinstance(largest, (ResizeToFill, SmartResize)):
            found = isinstance(largest, ResizeToFill)
            point = largest.point(images[0], full_size) if found else self._entropic_point(images[0], full_size)
            processor = ResizeToFill(self.width, self.height, anchor=point, upscale=self.upscale)
        return processor.reduced_frames(images, full_size)

    def _entropic_point(self, image: Image.Image, full_size: Size) -> tuple[float, float]:
        """Return the anchor that stands for the choice of entropy, made once for all sizes."""
        width, height = self.largest[0], self.largest[1] or 1
        shrink = min(1.0, JUDGED_WIDTH / width, full_size[0] / width, full_size[1] / height)
        wanted = scaled((width, height), shrink)
        sampled = ResizeToFill(*wanted).sampled_size(full_size)
        left, top, _, _ = SmartCrop(*wanted).crop_box(resample(image, full_size, sampled))
        spare = sampled[0] - wanted[0], sampled[1] - wanted[1]
        # Half a pixel more, since a crop rounds down.
        return min(1.0, (left + 0.5) / max(1, spare[0])), min(1.0, (top + 0.5) / max(1, spare[1]))
