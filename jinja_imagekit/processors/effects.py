"""Processors that change how the image looks; some change its size too."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PIL import Image, ImageEnhance, ImageFilter, ImageStat
from pilkit import processors as pilkit  # type: ignore[import-untyped]

from ..exceptions import InvalidOption
from ..images.colour import to_plain
from ..interfaces import Size
from . import arguments
from .arguments import Color, rgba
from .modes import fill, has_alpha_band, join_alpha, mode_for, on_color, split_alpha, with_alpha


def same_size(self: object, size: Size) -> Size:
    """Return the size in pixels of the result for an image of `size`: the same."""
    return size


class Adjust(pilkit.Adjust):  # type: ignore[misc]  # pilkit has no types
    """Changes colour, brightness, contrast and sharpness, in this order. A factor of 1 changes nothing.

    Unlike pilkit: the result keeps its mode (no needless alpha), transparent parts do not affect the contrast,
    and all frames of an animation get that of the first.

    Args:
        color: 0 is black and white.
        brightness: 0 is black.
        contrast: 0 is plain grey.
        sharpness: 0 is blurred, 2 is sharper.

    Raises:
        InvalidOption: A factor is not a number.

    Example:
        >>> Adjust(contrast=1.2, sharpness=1.1).output_size((400, 300))
        (400, 300)
    """

    def __init__(
        self, color: float = 1.0, brightness: float = 1.0, contrast: float = 1.0, sharpness: float = 1.0
    ) -> None:
        super().__init__(
            arguments.number("color", color),
            arguments.number("brightness", brightness),
            arguments.number("contrast", contrast),
            arguments.number("sharpness", sharpness),
        )

    output_size = same_size

    def process(self, image: Image.Image) -> Image.Image:
        """Return the processed image; `image` is left as it is."""
        return self.process_frames([image])[0]

    def process_frames(self, images: Sequence[Image.Image]) -> list[Image.Image]:
        """Return the processed frames of an animation, all with the contrast of the first."""
        level: int | None = None
        results = []
        for image in images:
            colors, alpha = split_alpha(to_plain(image))
            colors = self._enhance(colors, ImageEnhance.Color, self.color)
            colors = self._enhance(colors, ImageEnhance.Brightness, self.brightness)
            if self.contrast != 1:
                level = _mean_level(colors, alpha) if level is None else level
                grey = Image.new("L", colors.size, level).convert(colors.mode)
                colors = Image.blend(grey, colors, self.contrast)
            colors = self._enhance(colors, ImageEnhance.Sharpness, self.sharpness)
            results.append(join_alpha(colors, alpha))
        return results

    @staticmethod
    def _enhance(
        image: Image.Image, kind: Callable[[Image.Image], ImageEnhance._Enhance], factor: float
    ) -> Image.Image:
        return image if factor == 1 else kind(image).enhance(factor)


def _mean_level(colors: Image.Image, alpha: Image.Image | None) -> int:
    statistics = ImageStat.Stat(colors.convert("L"), alpha)
    return int(statistics.mean[0] + 0.5) if statistics.count[0] else 0


class Reflection(pilkit.Reflection):  # type: ignore[misc]  # pilkit has no types
    """Adds a reflection below the image that fades into a background.

    Unlike pilkit: a size of 0 adds none instead of failing, an opaque image stays opaque, and the hidden colours
    of transparent pixels do not show.

    Args:
        background_color: What the reflection fades into.
        size: Height of the reflection as a fraction of the image's, from 0 to 1.
        opacity: The reflection's opacity where it touches the image, from 0 to 1.

    Raises:
        InvalidOption: The colour, the size or the opacity cannot be used.

    Example:
        >>> Reflection(size=0.25).output_size((400, 300))
        (400, 375)
    """

    def __init__(self, background_color: Color = "#FFFFFF", size: float = 0.0, opacity: float = 0.6) -> None:
        super().__init__(
            arguments.color("background_color", background_color),
            arguments.number("size", size, 0, 1),
            arguments.number("opacity", opacity, 0, 1),
        )

    def output_size(self, size: Size) -> Size:
        """Return the size in pixels of the result for an image of `size`."""
        return size[0], size[1] + int(size[1] * self.size)

    def process(self, image: Image.Image) -> Image.Image:
        """Return the processed image; `image` is left as it is."""
        width, height = image.size
        reflected = self.output_size(image.size)[1] - height
        if not reflected:
            return image
        image = to_plain(image)
        mode = mode_for(image.mode, self.background_color)
        image = image.convert(mode)
        mirrored = image.crop((0, height - reflected, width, height)).transpose(Image.Transpose.FLIP_TOP_BOTTOM)
        background = Image.new(mode, mirrored.size, fill(mode, self.background_color))
        canvas = Image.new(mode, (width, height + reflected))
        canvas.paste(image, (0, 0))
        canvas.paste(_composite(background, mirrored, self._fading(mirrored.size)), (0, height))
        return canvas

    def _fading(self, size: Size) -> Image.Image:
        """Return the background's share (0 to 255): rows from 1 - opacity to 1."""
        rows = (255 * (1 - self.opacity * (1 - (row + 0.5) / size[1])) for row in range(size[1]))
        return Image.frombytes("L", (1, size[1]), bytes(int(row) for row in rows)).resize(size)


def _composite(first: Image.Image, second: Image.Image, mask: Image.Image) -> Image.Image:
    """Mix two images of one mode, premultiplied where they have alpha so that hidden colours do not show."""
    if not has_alpha_band(first):
        return Image.composite(first, second, mask)
    mixed = Image.composite(first.convert("RGBA").convert("RGBa"), second.convert("RGBA").convert("RGBa"), mask)
    return mixed.convert("RGBA").convert(first.mode)


class Transpose(pilkit.Transpose):  # type: ignore[misc]  # pilkit has no types
    """Rotates or flips the image, in the order of the arguments.

    Unlike pilkit: `AUTO` (the default) finds the EXIF orientation in every format. In a spec it has nothing left to
    do, since images are turned upright when they are read (setting `auto_orient`).

    Args:
        methods: `Transpose.FLIP_HORIZONTAL`, `FLIP_VERTICAL`, `ROTATE_90`, `ROTATE_180`, `ROTATE_270`, or `AUTO`,
            which overrides all others. Rotations are anticlockwise.

    Raises:
        InvalidOption: A method is unknown.

    Example:
        >>> Transpose(Transpose.ROTATE_90).output_size((400, 300))
        (300, 400)
    """

    def __init__(self, *methods: str | int) -> None:
        for method in methods:
            if isinstance(method, bool) or (method != self.AUTO and method not in list(Image.Transpose)):
                raise InvalidOption("methods", method, "give attributes of Transpose, such as Transpose.ROTATE_90")
        super().__init__(*map(arguments.plain, methods))

    @property
    def is_auto(self) -> bool:
        """Whether all it does is turn the image upright."""
        return self.AUTO in self.methods

    def output_size(self, size: Size) -> Size:
        """Return the size in pixels of the result for an upright image of `size`."""
        turns = 0 if self.is_auto else sum(method in _TURNING for method in self.methods)
        return (size[1], size[0]) if turns % 2 else size

    def process(self, image: Image.Image) -> Image.Image:
        """Return the processed image; `image` is left as it is."""
        if self.is_auto:
            # It takes Pillow's palettes, and in a spec there is nothing left to turn.
            from PIL import ImageOps

            return ImageOps.exif_transpose(image)
        for method in self.methods:
            image = image.transpose(method)
        return image


_TURNING = (
    Image.Transpose.ROTATE_90,
    Image.Transpose.ROTATE_270,
    Image.Transpose.TRANSPOSE,
    Image.Transpose.TRANSVERSE,
)


class ColorOverlay(pilkit.ColorOverlay):  # type: ignore[misc]  # pilkit has no types
    """Lays a colour over the image.

    Unlike pilkit: transparent parts stay transparent, and a grey image under a grey colour stays grey.

    Args:
        color: The colour; its alpha is ignored.
        overlay_opacity: From 0 (nothing changes) to 1 (only the colour shows).

    Raises:
        InvalidOption: The colour or the opacity cannot be used.

    Example:
        >>> ColorOverlay("#802010", overlay_opacity=0.3).output_size((400, 300))
        (400, 300)
    """

    def __init__(self, color: Color, overlay_opacity: float = 0.5) -> None:
        super().__init__(arguments.color("color", color), arguments.number("overlay_opacity", overlay_opacity, 0, 1))

    output_size = same_size

    def process(self, image: Image.Image) -> Image.Image:
        """Return the processed image; `image` is left as it is."""
        colors, alpha = split_alpha(to_plain(image))
        opaque = (*rgba(self.color)[:3], 255)
        mode = mode_for(colors.mode, opaque)
        overlay = Image.new(mode, colors.size, fill(mode, opaque))
        return join_alpha(Image.blend(colors.convert(mode), overlay, self.overlay_opacity), alpha)


class MakeOpaque(pilkit.MakeOpaque):  # type: ignore[misc]  # pilkit has no types
    """Puts the image on a plain background.

    Unlike pilkit: the result has no alpha channel.

    Args:
        background_color: The colour; its alpha is ignored.

    Raises:
        InvalidOption: The colour cannot be used.

    Example:
        >>> MakeOpaque("#f4f0e8").output_size((400, 300))
        (400, 300)
    """

    def __init__(self, background_color: Color = (255, 255, 255)) -> None:
        super().__init__(arguments.color("background_color", background_color))

    output_size = same_size

    def process(self, image: Image.Image) -> Image.Image:
        """Return the processed image; `image` is left as it is."""
        return on_color(to_plain(image), self.background_color)


class Convert(pilkit.Convert):  # type: ignore[misc]  # pilkit has no types
    """Converts the image to another mode of Pillow, such as "L" for black and white.

    Unlike pilkit: where the new mode has no alpha, transparent parts become white instead of revealing the colours
    hidden beneath.

    Args:
        mode: Pillow's name of the mode.

    Raises:
        InvalidOption: Pillow does not know the mode, or does not convert to it.

    Example:
        >>> Convert("L").output_size((400, 300))
        (400, 300)
    """

    def __init__(self, mode: str) -> None:
        if not isinstance(mode, str) or mode not in _MODES:
            raise InvalidOption("mode", mode, f"give one of {', '.join(_MODES)}")
        super().__init__(arguments.plain(mode))

    output_size = same_size

    def process(self, image: Image.Image) -> Image.Image:
        """Return the processed image; `image` is left as it is."""
        if image.mode == self.mode:
            return image
        image = to_plain(image)
        if has_alpha_band(image) and self.mode == "P":
            return image.convert("RGBA").quantize()
        if has_alpha_band(image) and self.mode not in ("LA", "PA", "RGBA"):
            image = on_color(image, "white")
        if image.mode == "L" and self.mode in _FROM_COLOR:
            image = image.convert("RGB")
        return image.convert(self.mode)


_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "I", "F")
_FROM_COLOR = ("CMYK", "YCbCr", "HSV")


class GaussianBlur(pilkit.GaussianBlur):  # type: ignore[misc]  # pilkit has no types
    """Blurs the image.

    Unlike pilkit: palette images are blurred in their colours, and the hidden colours of transparent pixels do not
    show.

    Args:
        radius: Pixels; a pair of numbers is across and down.

    Raises:
        InvalidOption: The radius is not a number, or is negative.

    Example:
        >>> GaussianBlur(4).output_size((400, 300))
        (400, 300)
    """

    def __init__(self, radius: float | Sequence[float]) -> None:
        radii = radius if isinstance(radius, (tuple, list)) and len(radius) == 2 else (radius,)
        for each in radii:
            arguments.number("radius", each, 0)
        super().__init__(radius)

    output_size = same_size

    def process(self, image: Image.Image) -> Image.Image:
        """Return the processed image; `image` is left as it is."""
        image = to_plain(image)
        blur = ImageFilter.GaussianBlur(self.radius)
        if not has_alpha_band(image):
            return image.filter(blur)
        premultiplied = image.convert("RGBA").convert("RGBa")
        return premultiplied.filter(blur).convert("RGBA").convert(image.mode)


class Duotone:
    """Shows the image in two colours: what is dark in one, what is light in the other, and mixtures between.

    Args:
        dark: The colour that black becomes; its alpha is ignored.
        light: The colour that white becomes; likewise.

    Raises:
        InvalidOption: A colour cannot be used.

    Example:
        >>> Duotone("#1f3a5c", "#f4e9d8").output_size((400, 300))
        (400, 300)
    """

    def __init__(self, dark: Color, light: Color = "white") -> None:
        self.dark = arguments.color("dark", dark)
        self.light = arguments.color("light", light)

    output_size = same_size

    def process(self, image: Image.Image) -> Image.Image:
        """Return the processed image; `image` is left as it is."""
        # As `Transpose` does.
        from PIL import ImageOps

        colors, alpha = split_alpha(to_plain(image))
        dark, light = (rgba(color)[:3] for color in (self.dark, self.light))
        return join_alpha(ImageOps.colorize(colors.convert("L"), dark, light), alpha)


class SetOpacity:
    """Makes the image translucent: multiplies its alpha.

    Args:
        opacity: From 0 (invisible) to 1 (unchanged).

    Raises:
        InvalidOption: The opacity is not a number from 0 to 1.

    Example:
        >>> SetOpacity(0.5).output_size((400, 300))
        (400, 300)
    """

    def __init__(self, opacity: float = 1.0) -> None:
        self.opacity = arguments.number("opacity", opacity, 0, 1)

    output_size = same_size

    def process(self, image: Image.Image) -> Image.Image:
        """Return the processed image; `image` is left as it is."""
        if self.opacity == 1:
            return image
        colors, alpha = split_alpha(with_alpha(to_plain(image)))
        levels = [round(level * self.opacity) for level in range(256)]
        return join_alpha(colors, None if alpha is None else alpha.point(levels))
