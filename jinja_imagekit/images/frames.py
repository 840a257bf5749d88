"""The frames of one image in memory, between reading and writing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

from PIL import Image

DECODER_SCALES = (1, 2, 4, 8)
"""By how much libjpeg can reduce while it decodes, as `PIL.JpegImagePlugin` offers it."""


def reduced_size(size: tuple[int, int], scale: int) -> tuple[int, int]:
    """Return the size in pixels to which a decoder reduces an image; libjpeg rounds up.

    Example:
        >>> reduced_size((4000, 3001), 8)
        (500, 376)
    """
    return -(-size[0] // scale), -(-size[1] // scale)


class Coding(NamedTuple):
    """How a source's pixels are coded, as far as a result in such a format keeps to it.

    Attributes:
        palette: How many colours its palette has; 0 where it has none. Grey of fewer than 8 bits counts as one.
        lossless: Whether it is coded without loss in a format that has lossy files too.
    """

    palette: int = 0
    lossless: bool = False


UNCODED = Coding()
"""Of pixels that come from no file."""


@dataclass(frozen=True)
class Frames:
    """A decoded image: one frame, or the frames of an animation.

    Attributes:
        images: The frames, each of them whole (composed with what stood before it).
        full_size: Width and height in pixels, upright, before the decoder reduced it.
        durations: Milliseconds for which each frame is shown; empty for a still image.
        loop: How often the animation plays in all; 0 plays it for ever, None once.
        icc_profile: The profile that `images` are in; None for sRGB.
        exif: An EXIF block with the metadata that is kept, often empty.
        xmp: An XMP packet with the metadata that is kept, often empty.
        coding: How the source's pixels are coded.
        are_as_coded: Whether the images are what the source's file shows: all frames, in full, no colour converted.
    """

    images: tuple[Image.Image, ...]
    full_size: tuple[int, int]
    durations: tuple[int, ...] = ()
    loop: int | None = None
    icc_profile: bytes | None = None
    exif: bytes = b""
    xmp: bytes = b""
    coding: Coding = UNCODED
    are_as_coded: bool = False

    def with_images(self, images: Iterable[Image.Image]) -> Frames:
        """Return these frames with other pixels, one image for each; a single image makes it a still.

        Raises:
            ValueError: Neither one image is given nor as many as there are frames.
        """
        images = tuple(images)
        if len(images) == len(self.images):
            return replace(self, images=images)
        if len(images) != 1:
            raise ValueError(f"{len(self.images)} frames cannot become {len(images)}")
        return replace(self, images=images, durations=(), loop=None)

    def copy(self) -> Frames:
        """Return frames whose images may be changed without harm to these."""
        return replace(self, images=tuple(image.copy() for image in self.images))
