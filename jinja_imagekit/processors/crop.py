"""Processors that crop the image without resizing it."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageChops, ImageStat
from pilkit import processors as pilkit  # type: ignore[import-untyped]

from ..exceptions import InvalidOption
from ..images.colour import to_plain
from ..interfaces import Size
from . import arguments
from .arguments import Anchor, Color, anchor_point, rgba
from .modes import has_alpha_band
from .resampling import Box, anchored


class Side(pilkit.Side):  # type: ignore[misc]  # pilkit has no types
    """The sides of an image: `TOP`, `RIGHT`, `BOTTOM`, `LEFT` and `ALL` of them."""


class Crop(pilkit.Crop):  # type: ignore[misc]  # pilkit has no types
    """Crops the image to this width and height, and never enlarges it.

    Unlike pilkit: the result keeps its mode (no needless alpha) and stays within the image; a crop that `x` or `y`
    would push beyond its edge is moved back inside.

    Args:
        width: Pixels.
        height: Pixels.
        anchor: What to keep: a name of `Anchor` or two fractions; None is the centre.
        x: Instead of an anchor, minus the number of pixels to cut off on the left (the image's position relative
            to the crop, as in pilkit).
        y: Instead of an anchor, minus the number of pixels to cut off at the top.

    Raises:
        InvalidOption: A dimension is missing or not a whole number from 1 up, the anchor is unknown, x or y is
            positive, or an anchor is given together with x or y.

    Example:
        >>> Crop(500, 500, x=-20).output_size((400, 800))
        (400, 500)
    """

    def __init__(
        self,
        width: int | None = None,
        height: int | None = None,
        anchor: Anchor | None = None,
        x: int | None = None,
        y: int | None = None,
    ) -> None:
        if anchor is not None and (x is not None or y is not None):
            raise InvalidOption("anchor", anchor, "give either an anchor or x and y")
        super().__init__(
            arguments.pixels("width", width),
            arguments.pixels("height", height),
            arguments.anchor(anchor),
            _cut_off("x", x),
            _cut_off("y", y),
        )

    def output_size(self, size: Size) -> Size:
        """Return the size in pixels of the result for an image of `size`."""
        return min(size[0], self.width), min(size[1], self.height)

    def process(self, image: Image.Image) -> Image.Image:
        """Return the processed image; `image` is left as it is."""
        width, height = self.output_size(image.size)
        if self.x is None and self.y is None:
            return image.crop(anchored(image.size, (width, height), anchor_point(self.anchor)))
        left = min(-(self.x or 0), image.width - width)
        top = min(-(self.y or 0), image.height - height)
        return image.crop((left, top, left + width, top + height))


def _cut_off(name: str, value: object) -> int | None:
    pixels = arguments.pixels_or_none(name, value, least=None)
    if pixels is not None and pixels > 0:
        raise InvalidOption(name, value, f"write {name}={-pixels} to cut off {pixels} pixels")
    return pixels


class SmartCrop(pilkit.SmartCrop):  # type: ignore[misc]  # pilkit has no types
    """Crops the image to this width and height, removing the sides with the least entropy.

    Unlike pilkit: all frames of an animation are cropped alike.

    Args:
        width: Pixels.
        height: Pixels.

    Raises:
        InvalidOption: A dimension is missing or not a whole number from 1 up.

    Example:
        >>> SmartCrop(500, 500).output_size((400, 800))
        (400, 500)
    """

    def __init__(self, width: int | None = None, height: int | None = None) -> None:
        super().__init__(arguments.pixels("width", width), arguments.pixels("height", height))

    def output_size(self, size: Size) -> Size:
        """Return the size in pixels of the result for an image of `size`."""
        return min(size[0], self.width), min(size[1], self.height)

    def process(self, image: Image.Image) -> Image.Image:
        """Return the processed image; `image` is left as it is."""
        return self.process_frames([image])[0]

    def process_frames(self, images: Sequence[Image.Image]) -> list[Image.Image]:
        """Return the processed frames of an animation, all cropped as the first one demands."""
        box = self.crop_box(images[0])
        return [image.crop(box) for image in images]

    def crop_box(self, image: Image.Image) -> Box:
        """Return the part of the image to keep: left, top, right and bottom in pixels."""
        image = to_plain(image)
        left, right = self._span(image, 0, self.width)
        top, bottom = self._span(image, 1, self.height)
        return left, top, right, bottom

    def _span(self, image: Image.Image, axis: int, wanted: int) -> tuple[int, int]:
        """Return the first and last pixel to keep along an axis (0 across, 1 down), cutting at the duller end."""
        start, end = 0, image.size[axis]
        while (excess := end - start - wanted) > 0:
            # A fifth at a time, and at least 10 pixels, as in pilkit.
            step = min(excess, max(excess // 5, 10))
            pieces = [image.crop(_slice(image, axis, at, at + step)) for at in (start, end - step)]
            from_start, from_end = self.compare_entropy(*pieces, step, excess)
            start, end = start + from_start, end - from_end
        return start, end


def _slice(image: Image.Image, axis: int, start: int, end: int) -> Box:
    return (start, 0, end, image.height) if axis == 0 else (0, start, image.width, end)


class TrimBorderColor(pilkit.TrimBorderColor):  # type: ignore[misc]  # pilkit has no types
    """Trims a border of a single colour off the image.

    Unlike pilkit: it also works with Pillow 10 and later; differences in transparency count as much as those in
    colour; and a tolerance of 1 trims nothing.

    Args:
        color: The colour to trim; None takes the median of the outermost pixels.
        tolerance: How far a pixel may be from the colour and still be trimmed, from 0 to 1.
        sides: The sides to trim, of those in `Side`.

    Raises:
        InvalidOption: The colour, the tolerance or a side cannot be used.

    Example:
        >>> TrimBorderColor().output_size((400, 300)) is None
        True
    """

    def __init__(
        self, color: Color | None = None, tolerance: float = 0.3, sides: Sequence[str] = pilkit.Side.ALL
    ) -> None:
        if not isinstance(sides, (str, tuple, list)) or any(side not in pilkit.Side.ALL for side in sides):
            raise InvalidOption("sides", sides, f"give some of {pilkit.Side.ALL}")
        super().__init__(
            None if color is None else arguments.color("color", color),
            arguments.number("tolerance", tolerance, 0, 1),
            arguments.plain(sides),
        )

    def output_size(self, size: Size) -> None:
        """Return None: only the pixels can tell."""

    def process(self, image: Image.Image) -> Image.Image:
        """Return the processed image; `image` is left as it is."""
        return self.process_frames([image])[0]

    def process_frames(self, images: Sequence[Image.Image]) -> list[Image.Image]:
        """Return the processed frames of an animation, all cropped as the first one demands."""
        box = self._box(images[0])
        return [image if box is None else image.crop(box) for image in images]

    def _box(self, image: Image.Image) -> Box | None:
        image = to_plain(image)
        if has_alpha_band(image) or (self.color is not None and rgba(self.color)[3] < 255):
            # Premultiplied, so that the hidden colours of transparent pixels are all alike.
            image = image.convert("RGBA").convert("RGBa")
        else:
            image = image.convert("RGB")
        color = _border_color(image) if self.color is None else _premultiplied(self.color)[: len(image.getbands())]
        difference = ImageChops.difference(image, Image.new(image.mode, image.size, color))
        limit = int(self.tolerance * 255)
        far = [255 if level > limit else 0 for level in range(256)]
        found = difference.point(far * len(color)).getbbox(alpha_only=False)
        if found is None:
            return None
        kept = zip(found, (0, 0, *image.size), (Side.LEFT, Side.TOP, Side.RIGHT, Side.BOTTOM), strict=True)
        left, top, right, bottom = (edge if side in self.sides else whole for edge, whole, side in kept)
        return left, top, right, bottom


def _premultiplied(color: Color) -> tuple[int, ...]:
    *colors, alpha = rgba(color)
    return (*(round(level * alpha / 255) for level in colors), alpha)


def _border_color(image: Image.Image) -> tuple[int, ...]:
    """Return the median of the outermost pixels, band by band."""
    width, height = image.size
    sides = ((0, 0, width, 1), (0, height - 1, width, height), (0, 0, 1, height), (width - 1, 0, width, height))
    histograms = [image.crop(side).histogram() for side in sides]
    return tuple(ImageStat.Stat([sum(counts) for counts in zip(*histograms, strict=True)]).median)
