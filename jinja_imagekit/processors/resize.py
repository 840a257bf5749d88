"""Processors that resize the image, and those that change its canvas."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image
from pilkit import processors as pilkit  # type: ignore[import-untyped]

from ..exceptions import InvalidOption
from ..images.colour import to_plain
from ..interfaces import Size
from ..time_limits import in_time
from . import arguments
from .arguments import Anchor, Color, anchor_point
from .crop import SmartCrop
from .modes import fill, mode_for
from .resampling import Resampling, anchored, resample, scaled


class Resize(Resampling, pilkit.Resize):  # type: ignore[misc]  # pilkit has no types
    """Resizes the image to exactly this width and height, even if that distorts it.

    Args:
        width: Pixels.
        height: Pixels.
        upscale: When false, an image is resized only where it is larger in both dimensions.

    Raises:
        InvalidOption: A dimension is not a whole number from 1 up.

    Example:
        >>> Resize(400, 300).output_size((4032, 3024))
        (400, 300)
    """

    def __init__(self, width: int, height: int, upscale: bool | None = True) -> None:
        super().__init__(*_box(width, height), arguments.flag("upscale", upscale))

    def sampled_size(self, size: Size) -> Size:
        """Return the size in pixels to which the whole of an image of `size` is resampled."""
        is_larger = self.width < size[0] and self.height < size[1]
        return (self.width, self.height) if self.upscale or is_larger else size

    def output_size(self, size: Size) -> Size:
        """Return the size in pixels of the result for an image of `size`."""
        return self.sampled_size(size)

    def reduced_frames(self, images: Sequence[Image.Image], full_size: Size) -> list[Image.Image]:
        """Return what `process_frames` would make of frames of `full_size`, given the decoder's reduction of them."""
        return [resample(image, full_size, self.sampled_size(full_size)) for image in in_time(images)]


class ResizeToCover(Resampling, pilkit.ResizeToCover):  # type: ignore[misc]  # pilkit has no types
    """Resizes the image to the smallest size that covers this width and height, keeping its proportions.

    Unlike pilkit: with `upscale=False` an image that must shrink does so even where rounding leaves one side
    unchanged, and no side becomes zero.

    Args:
        width: Pixels.
        height: Pixels.
        upscale: When false, a smaller image is left as it is.

    Raises:
        InvalidOption: A dimension is not a whole number from 1 up.

    Example:
        >>> ResizeToCover(400, 400).output_size((4000, 3000))
        (533, 400)
    """

    def __init__(self, width: int, height: int, upscale: bool | None = True) -> None:
        super().__init__(*_box(width, height), arguments.flag("upscale", upscale))

    def sampled_size(self, size: Size) -> Size:
        """Return the size in pixels to which the whole of an image of `size` is resampled."""
        return _covering(size, self.width, self.height, self.upscale)

    def output_size(self, size: Size) -> Size:
        """Return the size in pixels of the result for an image of `size`."""
        return self.sampled_size(size)

    def reduced_frames(self, images: Sequence[Image.Image], full_size: Size) -> list[Image.Image]:
        """Return what `process_frames` would make of frames of `full_size`, given the decoder's reduction of them."""
        return [resample(image, full_size, self.sampled_size(full_size)) for image in in_time(images)]


class ResizeToFill(Resampling, pilkit.ResizeToFill):  # type: ignore[misc]  # pilkit has no types
    """Resizes the image until it covers this width and height, and crops the excess.

    Unlike pilkit: the result keeps its mode (no needless alpha), only the part to be kept is resampled, the anchor
    may be found, and as in `ResizeToCover`.

    Args:
        width: Pixels.
        height: Pixels.
        anchor: What to keep: a name of `Anchor`, two fractions, or "auto" for what people look at, faces above all;
            None is the centre.
        upscale: When false, a smaller image is only cropped, not enlarged, so that the result may be smaller.

    Raises:
        InvalidOption: A dimension is missing or not a whole number from 1 up, or the anchor is unknown.

    Example:
        >>> ResizeToFill(400, 300, anchor="t").output_size((3024, 4032))
        (400, 300)
    """

    def __init__(
        self,
        width: int | None = None,
        height: int | None = None,
        anchor: Anchor | None = None,
        upscale: bool | None = True,
    ) -> None:
        super().__init__(*_box(width, height), arguments.anchor(anchor, "auto"), arguments.flag("upscale", upscale))

    def sampled_size(self, size: Size) -> Size:
        """Return the size in pixels to which the whole of an image of `size` is resampled."""
        return _covering(size, self.width, self.height, self.upscale)

    def output_size(self, size: Size) -> Size:
        """Return the size in pixels of the result for an image of `size`."""
        return _smaller(self.sampled_size(size), (self.width, self.height))

    def reduced_frames(self, images: Sequence[Image.Image], full_size: Size) -> list[Image.Image]:
        """Return what `process_frames` would make of frames of `full_size`, given the decoder's reduction of them."""
        sampled = self.sampled_size(full_size)
        box = anchored(sampled, self.output_size(full_size), self.point(images[0], full_size))
        return [resample(image, full_size, sampled, box) for image in in_time(images)]

    def point(self, image: Image.Image, full_size: Size) -> tuple[float, float]:
        """Return the anchor as two fractions; for "auto", the one that an image of `full_size` has."""
        if self.anchor != "auto":
            return anchor_point(self.anchor)
        # Its tables take time, and only pixels that are there need them.
        from .saliency import salient_point

        sampled, (width, height) = self.sampled_size(full_size), self.output_size(full_size)
        return salient_point(image, (width / sampled[0], height / sampled[1]))


class SmartResize(Resampling, pilkit.SmartResize):  # type: ignore[misc]  # pilkit has no types
    """Resizes the image until it covers this width and height, and crops the sides with the least entropy.

    Unlike pilkit: an image to be enlarged is judged beforehand, so that a narrow one does not take gigabytes; all
    frames of an animation are cropped alike; and as in `ResizeToCover`.

    Args:
        width: Pixels.
        height: Pixels.
        upscale: When false, a smaller image is only cropped, not enlarged, so that the result may be smaller.

    Raises:
        InvalidOption: A dimension is not a whole number from 1 up.

    Example:
        >>> SmartResize(400, 300).output_size((3024, 4032))
        (400, 300)
    """

    def __init__(self, width: int, height: int, upscale: bool | None = True) -> None:
        super().__init__(*_box(width, height), arguments.flag("upscale", upscale))

    def sampled_size(self, size: Size) -> Size:
        """Return the size in pixels to which the whole of an image of `size` is resampled."""
        return _covering(size, self.width, self.height, self.upscale)

    def output_size(self, size: Size) -> Size:
        """Return the size in pixels of the result for an image of `size`."""
        return _smaller(self.sampled_size(size), (self.width, self.height))

    def reduced_frames(self, images: Sequence[Image.Image], full_size: Size) -> list[Image.Image]:
        """Return what `process_frames` would make of frames of `full_size`, given the decoder's reduction of them."""
        sampled, size = self.sampled_size(full_size), self.output_size(full_size)
        if sampled[0] > full_size[0] or sampled[1] > full_size[1]:
            box = anchored(sampled, size, self._anchor(images[0], sampled, size))
            return [resample(image, full_size, sampled, box) for image in images]
        whole = [resample(image, full_size, sampled) for image in images]
        return whole if size == sampled else SmartCrop(*size).process_frames(whole)

    def _anchor(self, image: Image.Image, sampled: Size, size: Size) -> tuple[float, float]:
        """Return the anchor that stands for the choice of entropy in an image that is yet to be enlarged."""
        wanted = _smaller(image.size, scaled(size, image.width / sampled[0]))
        left, top, _, _ = SmartCrop(*wanted).crop_box(image)
        spare = image.width - wanted[0], image.height - wanted[1]
        return left / max(1, spare[0]), top / max(1, spare[1])


class ResizeCanvas(pilkit.ResizeCanvas):  # type: ignore[misc]  # pilkit has no types
    """Puts the image, at its own size, on a canvas of this width and height.

    Unlike pilkit: the result has an alpha channel only if the image or the visible part of the canvas has one.

    Args:
        width: Pixels.
        height: Pixels.
        color: The canvas; None is transparent.
        anchor: Where the image is placed: a name of `Anchor` or two fractions; None is the centre.
        x: Instead of an anchor, pixels from the canvas's left edge to the image's; may be negative.
        y: Instead of an anchor, pixels from the canvas's top edge to the image's; may be negative.

    Raises:
        InvalidOption: A dimension, the colour or the anchor is unusable, or an anchor is given together with x or y.

    Example:
        >>> ResizeCanvas(500, 500, color="white").output_size((400, 300))
        (500, 500)
    """

    def __init__(
        self,
        width: int,
        height: int,
        color: Color | None = None,
        anchor: Anchor | None = None,
        x: int | None = None,
        y: int | None = None,
    ) -> None:
        if anchor is not None and (x is not None or y is not None):
            raise InvalidOption("anchor", anchor, "give either an anchor or x and y")
        super().__init__(
            *_box(width, height),
            color=None if color is None else arguments.color("color", color),
            anchor=arguments.anchor(anchor),
            x=arguments.pixels_or_none("x", x, least=None),
            y=arguments.pixels_or_none("y", y, least=None),
        )

    def output_size(self, size: Size) -> Size:
        """Return the size in pixels of the result for an image of `size`."""
        return self.width, self.height

    def process(self, image: Image.Image) -> Image.Image:
        """Return the processed image; `image` is left as it is."""
        size = (self.width, self.height)
        if self.anchor is None:
            left, top = self.x, self.y
        else:
            left, top, _, _ = anchored(size, image.size, anchor_point(self.anchor))
        if left <= 0 and top <= 0 and left + image.width >= size[0] and top + image.height >= size[1]:
            return image.crop((-left, -top, size[0] - left, size[1] - top))
        image = to_plain(image)
        mode = mode_for(image.mode, self.color)
        canvas = Image.new(mode, size, fill(mode, self.color))
        canvas.paste(image.convert(mode), (left, top))
        return canvas


class AddBorder(pilkit.AddBorder):  # type: ignore[misc]  # pilkit has no types
    """Adds a border around the image.

    Unlike pilkit: an opaque border adds no alpha channel, and a negative thickness is an error.

    Args:
        thickness: Pixels; four numbers are top, right, bottom and left.
        color: The border's colour; None is transparent.

    Raises:
        InvalidOption: The thickness or the colour cannot be used.

    Example:
        >>> AddBorder(10, color="white").output_size((400, 300))
        (420, 320)
    """

    def __init__(self, thickness: int | Sequence[int], color: Color | None = None) -> None:
        sides = tuple(thickness) if isinstance(thickness, (tuple, list)) else (thickness,) * 4
        if len(sides) != 4:
            raise InvalidOption("thickness", thickness, "give a number of pixels, or four: top, right, bottom, left")
        pixels = tuple(arguments.pixels("thickness", side, least=0) for side in sides)
        super().__init__(pixels, None if color is None else arguments.color("color", color))

    def output_size(self, size: Size) -> Size:
        """Return the size in pixels of the result for an image of `size`."""
        return size[0] + self.left + self.right, size[1] + self.top + self.bottom

    def process(self, image: Image.Image) -> Image.Image:
        """Return the processed image; `image` is left as it is."""
        canvas = ResizeCanvas(*self.output_size(image.size), color=self.color, x=self.left, y=self.top)
        return canvas.process(image)


class ResizeToFit(Resampling, pilkit.ResizeToFit):  # type: ignore[misc]  # pilkit has no types
    """Resizes the image to the largest size that fits into this width and height, keeping its proportions.

    Unlike pilkit: an opaque mat adds no alpha channel, and as in `ResizeToCover`.

    Args:
        width: Pixels; None derives it from the height.
        height: Pixels; None derives it from the width.
        upscale: When false, a smaller image is left as it is.
        mat_color: If given, the colour that pads the result to exactly this width and height.
        anchor: Where the image is placed on the mat: a name of `Anchor` or two fractions.

    Raises:
        InvalidOption: Both dimensions are missing, or one is although there is a mat, or a value is unusable.

    Example:
        >>> ResizeToFit(width=400).output_size((4000, 3000))
        (400, 300)
    """

    def __init__(
        self,
        width: int | None = None,
        height: int | None = None,
        upscale: bool | None = True,
        mat_color: Color | None = None,
        anchor: Anchor | None = pilkit.Anchor.CENTER,
    ) -> None:
        if width is None and height is None:
            raise InvalidOption("width", width, "give a width, a height or both")
        if mat_color is not None:
            _box(width, height)
        super().__init__(
            arguments.pixels_or_none("width", width),
            arguments.pixels_or_none("height", height),
            arguments.flag("upscale", upscale),
            None if mat_color is None else arguments.color("mat_color", mat_color),
            arguments.anchor(anchor),
        )

    def sampled_size(self, size: Size) -> Size:
        """Return the size in pixels to which the whole of an image of `size` is resampled."""
        ratios = [wanted / given for wanted, given in zip((self.width, self.height), size, strict=True) if wanted]
        return scaled(size, min(ratios)) if self.upscale or min(ratios) < 1 else size

    def output_size(self, size: Size) -> Size:
        """Return the size in pixels of the result for an image of `size`."""
        return self.sampled_size(size) if self.mat_color is None else (self.width, self.height)

    def reduced_frames(self, images: Sequence[Image.Image], full_size: Size) -> list[Image.Image]:
        """Return what `process_frames` would make of frames of `full_size`, given the decoder's reduction of them."""
        images = [resample(image, full_size, self.sampled_size(full_size)) for image in in_time(images)]
        if self.mat_color is None:
            return images
        mat = ResizeCanvas(self.width, self.height, self.mat_color, anchor=self.anchor)
        return [mat.process(image) for image in images]


def _box(width: object, height: object) -> Size:
    return arguments.pixels("width", width), arguments.pixels("height", height)


def _covering(size: Size, width: int, height: int, upscale: bool | None) -> Size:
    ratio = max(width / size[0], height / size[1])
    return scaled(size, ratio) if upscale or ratio < 1 else size


def _smaller(size: Size, other: Size) -> Size:
    return min(size[0], other[0]), min(size[1], other[1])
