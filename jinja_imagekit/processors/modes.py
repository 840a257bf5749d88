"""Takes images of any mode apart and puts them back together: palettes, alpha, the smallest mode for a colour."""

from __future__ import annotations

from PIL import Image

from ..images.colour import flatten, to_plain
from .arguments import Color, rgba


def without_palette(image: Image.Image) -> Image.Image:
    """Return the image with its colours and alpha in its own pixels, not in a palette, single bits or a colour key."""
    if image.mode in ("1", "P", "PA") or (image.mode in ("L", "RGB") and "transparency" in image.info):
        return to_plain(image)
    return image


def has_alpha_band(image: Image.Image) -> bool:
    """Tell whether a plain image has an alpha band."""
    return image.mode in ("LA", "RGBA")


def with_alpha(image: Image.Image) -> Image.Image:
    """Return a plain image in mode LA or RGBA."""
    return image if has_alpha_band(image) else image.convert("LA" if image.mode == "L" else "RGBA")


def split_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Return a plain image's colours (L or RGB), and its alpha band or None."""
    if not has_alpha_band(image):
        return image, None
    return image.convert(image.mode[:-1]), image.getchannel("A")


def join_alpha(colors: Image.Image, alpha: Image.Image | None) -> Image.Image:
    """Return the image that `split_alpha` took apart."""
    if alpha is None:
        return colors
    return Image.merge(f"{colors.mode}A", (*colors.split(), alpha))


def on_color(image: Image.Image, color: Color) -> Image.Image:
    """Return a plain image on an opaque colour: in mode L where both are grey, else in RGB."""
    return flatten(image, "#{:02x}{:02x}{:02x}".format(*rgba(color)))


def mode_for(mode: str, color: Color) -> str:
    """Return the smallest mode that can hold both an image of a plain mode and a colour."""
    red, green, blue, alpha = rgba(color)
    colors = "L" if mode in ("L", "LA") and red == green == blue else "RGB"
    return f"{colors}A" if alpha < 255 or mode in ("LA", "RGBA") else colors


def fill(mode: str, color: Color) -> tuple[int, ...]:
    """Return a colour's samples in a plain mode that can hold it."""
    red, green, blue, alpha = rgba(color)
    colors = (red,) if mode in ("L", "LA") else (red, green, blue)
    return (*colors, alpha) if mode in ("LA", "RGBA") else colors
