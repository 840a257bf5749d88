"""The processor behind `{% thumbnail %}`: it chooses one of the resizing processors."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image
from pilkit import processors as pilkit  # type: ignore[import-untyped]

from ..exceptions import InvalidOption
from ..interfaces import Size
from . import arguments
from .arguments import Anchor
from .resampling import Resampling
from .resize import ResizeToFill, ResizeToFit, SmartResize


class Thumbnail(Resampling, pilkit.Thumbnail):  # type: ignore[misc]  # pilkit has no types
    """Resizes the image for use as a thumbnail: `SmartResize`, `ResizeToFill` or `ResizeToFit`.

    Args:
        width: Pixels; None leaves the width to the height.
        height: Pixels; None leaves the height to the width.
        anchor: What stays when the image is cropped: a name of `Anchor`, two fractions, or "auto" for the part
            with the most entropy.
        crop: Cut off what stands over; by default where there are both dimensions.
        upscale: Enlarge a smaller image; by default it is not.

    Raises:
        InvalidOption: Both dimensions are missing, one is and `crop` is true, there is an anchor and `crop` is
            false, or a value cannot be used.

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
        if anchor is not None and crop is False:
            raise InvalidOption("anchor", anchor, "leave it away, or let crop be true")
        super().__init__(
            arguments.pixels_or_none("width", width),
            arguments.pixels_or_none("height", height),
            arguments.anchor(anchor, "auto"),
            arguments.flag("crop", crop),
            arguments.flag("upscale", upscale),
        )
        if self.width is None and self.height is None:
            raise InvalidOption("width", width, "give a width, a height or both")
        if self.crop and (self.width is None or self.height is None):
            raise InvalidOption("crop", self.crop, "give both width and height, and the image can be cropped")

    def sampled_size(self, size: Size) -> Size:
        """Return the size in pixels to which the whole of an image of `size` is resampled."""
        return self._processor().sampled_size(size)

    def output_size(self, size: Size) -> Size:
        """Return the size in pixels of the result for an image of `size`."""
        return self._processor().output_size(size)

    def process_reduced(self, image: Image.Image, full_size: Size) -> Image.Image:
        """Return what `process` makes of an image of `full_size`, given it as reduced by the decoder."""
        return self._processor().process_reduced(image, full_size)

    def process_frames(self, images: Sequence[Image.Image]) -> list[Image.Image]:
        """Return the processed frames of an animation, all cut where the first one asks for it."""
        processor = self._processor()
        if isinstance(processor, SmartResize):
            return processor.process_frames(images)
        return [processor.process(image) for image in images]

    def _processor(self) -> Resampling:
        if not self.crop:
            return ResizeToFit(self.width, self.height, upscale=self.upscale)
        if self.anchor == "auto":
            return SmartResize(self.width, self.height, upscale=self.upscale)
        return ResizeToFill(self.width, self.height, anchor=self.anchor, upscale=self.upscale)
