"""Brings images of any Pillow mode into one that can be resampled and composed, and no further than needed."""

from __future__ import annotations

from PIL import Image

from .arguments import Color, rgba

PLAIN_MODES = ("L", "LA", "RGB", "RGBA")
"""What the reader hands over: grey or colour, with alpha or without, 8 bits a sample."""


def without_palette(image: Image.Image) -> Image.Image:
    """Return the image with colours and alpha in its own pixels, not in a palette, in single bits or in a key."""
    if image.mode in ("P", "PA"):
        return image.convert("RGBA" if image.has_transparency_data else "RGB")
    if image.mode in ("1", "L", "RGB") and "transparency" in image.info:
        return image.convert("RGBA" if image.mode == "RGB" else "LA")
    return image.convert("L") if image.mode == "1" else image


def plain(image: Image.Image) -> Image.Image:
    """Return the image in mode L, LA, RGB or RGBA; the same object where it is in one of them already."""
    image = without_palette(image)
    if image.mode in PLAIN_MODES:
        return image
    if image.mode == "I" or image.mode.startswith("I;16"):
        # 65535 / 255 = 257: white stays white, where Pillow's own conversion clips.
        return image.convert("I").point(lambda value: value * (1 / 257)).convert("L")
    return image.convert({"F": "L", "La": "LA", "RGBa": "RGBA"}.get(image.mode, "RGB"))


def has_alpha(image: Image.Image) -> bool:
    """Tell whether a plain image has an alpha band."""
    return image.mode in ("LA", "RGBA")


def with_alpha(image: Image.Image) -> Image.Image:
    """Return a plain image in mode LA or RGBA."""
    return image if has_alpha(image) else image.convert("LA" if image.mode == "L" else "RGBA")


def split_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Return a plain image's colours (L or RGB), and its alpha band or None."""
    if not has_alpha(image):
        return image, None
    return image.convert(image.mode[:-1]), image.getchannel("A")


def join_alpha(colors: Image.Image, alpha: Image.Image | None) -> Image.Image:
    """Return the image that `split_alpha` took apart."""
    if alpha is None:
        return colors
    return Image.merge(f"{colors.mode}A", (*colors.split(), alpha))


def on_color(image: Image.Image, color: Color) -> Image.Image:
    """Return a plain image put on an opaque colour: mode L where both are grey, else RGB."""
    if not has_alpha(image):
        return image
    mode = mode_for(image.mode[:-1], (*rgba(color)[:3], 255))
    canvas = Image.new(mode, image.size, fill(mode, color))
    colors, alpha = split_alpha(image)
    canvas.paste(colors.convert(mode), mask=alpha)
    return canvas


def mode_for(mode: str, color: Color) -> str:
    """Return the least mode that holds both images of a plain mode and a colour."""
    red, green, blue, alpha = rgba(color)
    colors = "L" if mode in ("L", "LA") and red == green == blue else "RGB"
    return f"{colors}A" if alpha < 255 or mode in ("LA", "RGBA") else colors


def fill(mode: str, color: Color) -> tuple[int, ...]:
    """Return a colour's samples for a plain mode that can hold it."""
    red, green, blue, alpha = rgba(color)
    colors = (red,) if mode in ("L", "LA") else (red, green, blue)
    return (*colors, alpha) if mode in ("LA", "RGBA") else colors
