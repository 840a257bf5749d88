"""Brings any of Pillow's modes to 8-bit L, LA, RGB or RGBA, and any profile to sRGB or Display P3."""

from __future__ import annotations

import io
import math
import threading
from collections import OrderedDict
from hashlib import blake2b
from typing import TYPE_CHECKING

from PIL import Image, ImageChops, ImageColor

from .primaries import display_p3

if TYPE_CHECKING:
    from PIL import ImageCms, ImageFilter

PLAIN_MODES = ("L", "LA", "RGB", "RGBA")
GREY_MODES = ("1", "L", "LA", "I;16", "I;16B", "I", "F")

_SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N")
_ICC_SPACES = {"L": b"GRAY", "LA": b"GRAY", "RGB": b"RGB ", "RGBA": b"RGB ", "CMYK": b"CMYK"}


def may_be_transparent(image: Image.Image) -> bool:
    """Return whether pixels of an image may be transparent: by an alpha channel, its palette or one colour."""
    if image.mode == "P" and image.palette is not None and image.palette.mode == "RGBA":
        return True
    return image.mode in ("LA", "PA", "La", "RGBA", "RGBa") or "transparency" in image.info


def to_plain(
    image: Image.Image, *, scale_16_bit: bool = True, profile: bytes | None = None, wide: bool = False
) -> Image.Image:
    """Return an image in mode L, LA, RGB or RGBA that looks the same.

    Args:
        image: An image in any of Pillow's modes; it is not changed.
        scale_16_bit: Scale wider samples to 8 bits instead of clipping them.
        profile: The ICC profile to convert from; None takes the samples for sRGB. A damaged profile, or one
            for other channels, counts as none.
        wide: Convert to Display P3 instead of sRGB.

    Returns:
        A new image, or `image` itself where nothing had to be done.
    """
    image = _eight_bit(image, scale_16_bit)
    if image.mode == "LAB":
        image = _lab_to_rgb(image)
    if profile and (transform := _transform(profile, _ICC_SPACES.get(image.mode, b""), wide)):
        image = _apply(image, transform)
    elif profile and image.mode in ("L", "LA") and (transform := _transform(profile, b"RGB ", wide)):
        # Grey samples with a profile for colours: its grey axis.
        image = _apply(image.convert("RGB" if image.mode == "L" else "RGBA"), transform).convert(image.mode)
    # Without a profile CMYK has no colours; Pillow's formula, (1 - c)(1 - k), is the one of browsers.
    return image if image.mode in PLAIN_MODES else image.convert("RGB")


def _eight_bit(image: Image.Image, scale: bool) -> Image.Image:
    mode = image.mode
    if mode in _SIXTEEN_BIT or mode in ("I", "F"):
        return _grey_from_wide(image, scale)
    if mode in ("P", "PA"):
        return image.convert("RGBA" if may_be_transparent(image) else "RGB")
    if mode in ("1", "L", "RGB") and "transparency" in image.info:
        # The colour that stands for "transparent" becomes an alpha channel.
        return image.convert("RGBA" if mode == "RGB" else "LA")
    plain = {"1": "L", "La": "LA", "RGBa": "RGBA", "RGBX": "RGB"}.get(mode)
    return image.convert(plain) if plain else image


def _grey_from_wide(image: Image.Image, scale: bool) -> Image.Image:
    if image.mode not in _SIXTEEN_BIT:
        return _grey_from_range(image) if scale else image.convert("L")
    key = image.info.get("transparency")
    levels = [(value * 255 + 32767) // 65535 for value in range(65536)] if scale else None
    grey = _levels(image, levels)
    if isinstance(key, int):
        grey.putalpha(_levels(image, [0 if value == key else 255 for value in range(65536)]))
    return grey


_BAND_PIXELS = 1 << 22


def _levels(image: Image.Image, levels: list[int] | None) -> Image.Image:
    """Return a grey image of 16 bits in mode L, by a table; without one, samples are cut at 255.

    Pillow looks up in a mode that takes four times the memory of the result, which only a band of rows may have.
    """
    grey = Image.new("L", image.size)
    rows = max(1, _BAND_PIXELS // image.width)
    for top in range(0, image.height, rows):
        wide = image.crop((0, top, image.width, min(top + rows, image.height))).convert("I")
        grey.paste(wide.convert("L") if levels is None else wide.point(levels, "L"), (0, top))
    return grey


def _grey_from_range(image: Image.Image) -> Image.Image:
    """Scale 32-bit samples, whose range no file states: the smallest usual range that holds them all."""
    low, high = image.getextrema()
    assert isinstance(low, (int, float))
    assert isinstance(high, (int, float))
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError("its samples are not all numbers")
    if low >= 0 and high <= 1 and image.mode == "F":
        low, high = 0, 1
    elif low >= 0 and high <= 255:
        low, high = 0, 255
    elif low >= 0 and high <= 65535:
        low, high = 0, 65535
    factor = 255 / (high - low) if high > low else 0.0
    # Pillow rounds towards zero when it goes from F to L.
    return image.convert("F").point(lambda value: value * factor + (0.5 - low * factor)).convert("L")


def _lab_to_rgb(image: Image.Image) -> Image.Image:
    from PIL import ImageCms

    transform = ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")
    return transform.apply(image)


_MOST_TRANSFORMS = 16
_transforms: OrderedDict[bytes, ImageCms.ImageCmsTransform | None] = OrderedDict()
"""By digests: profiles have megabytes, and those of strangers are many."""

_keeping_transforms = threading.Lock()


def _transform(profile: bytes, space: bytes, wide: bool = False) -> ImageCms.ImageCmsTransform | None:
    """Return the transform from a profile to sRGB or Display P3; None where there is none or it changes nothing."""
    key = space + bytes([wide]) + blake2b(profile, digest_size=16).digest()
    with _keeping_transforms:
        if key in _transforms:
            _transforms.move_to_end(key)
            return _transforms[key]
    transform = _made_transform(profile, space, wide)
    with _keeping_transforms:
        _transforms[key] = transform
        while len(_transforms) > _MOST_TRANSFORMS:
            _transforms.popitem(last=False)
    return transform


def _made_transform(profile: bytes, space: bytes, wide: bool) -> ImageCms.ImageCmsTransform | None:
    # ICC.1:2022, 7.2: the colour space stands at byte 16, the signature at byte 36.
    if not space or profile[16:20] != space or profile[36:40] != b"acsp":
        return None
    # Colour management is a library of its own, which images without a profile do without.
    from PIL import ImageCms

    mode = {b"GRAY": "L", b"RGB ": "RGB", b"CMYK": "CMYK"}[space]
    try:
        # Relative colorimetric with black point compensation is what image editors do when they are not told
        # otherwise: colours that sRGB has stay exactly as they are, and black stays black.
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.ImageCmsProfile(io.BytesIO(display_p3())) if wide else ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        return None if mode != "CMYK" and _changes_nothing(transform, mode) else transform
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


def _changes_nothing(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Tell whether no colour of a cube moves by more than one level, which is rounding."""
    levels = range(0, 256, 15)
    if mode == "L":
        cube = Image.frombytes("L", (256, 1), bytes(range(256)))
    else:
        samples = bytes(value for red in levels for green in levels for blue in levels for value in (red, green, blue))
        cube = Image.frombytes("RGB", (len(samples) // 3, 1), samples)
    moved = transform.apply(cube)
    difference = ImageChops.difference(cube.convert("RGB"), moved)
    return max(difference.tobytes()) <= 1


def changes_colours(profile: bytes, mode: str) -> bool:
    """Return whether a profile means anything but sRGB for images of a plain mode."""
    grey = mode in ("L", "LA")
    return _transform(profile, _ICC_SPACES[mode]) is not None or (grey and _transform(profile, b"RGB ") is not None)


def _apply(image: Image.Image, transform: ImageCms.ImageCmsTransform) -> Image.Image:
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    grey = image.mode in ("L", "LA")
    base = image.convert(image.mode.removesuffix("A")) if alpha else image
    converted = transform.apply(base)
    if grey:
        converted = converted.getchannel("G")
    if alpha:
        converted.putalpha(alpha)
    return converted


def with_table(image: Image.Image, table: ImageFilter.Color3DLUT) -> Image.Image:
    """Return a plain image whose colours a table replaced; alpha stays."""
    grey = image.mode in ("L", "LA")
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    shown = image.convert("RGB").filter(table)
    shown = shown.getchannel("G") if grey else shown
    if alpha:
        shown.putalpha(alpha)
    return shown


def as_p3(colour: str) -> str:
    """Return a colour of sRGB as the same colour in samples of Display P3.

    Args:
        colour: In any form that `PIL.ImageColor` reads; its alpha is ignored.

    Example:
        >>> as_p3("red"), as_p3("white")
        ('#ea3323', '#ffffff')
    """
    from PIL import ImageCms

    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pixel = to_plain(Image.new("RGB", (1, 1), ImageColor.getrgb(colour)[:3]), profile=srgb, wide=True)
    return f"#{pixel.tobytes().hex()}"


def fits(profile: bytes, mode: str) -> bool:
    """Return whether an ICC profile describes images of a mode."""
    return profile[16:20] == _ICC_SPACES.get(mode, b"none") and profile[36:40] == b"acsp"


def flatten(image: Image.Image, background: str) -> Image.Image:
    """Return a plain image on a background of one colour, without alpha.

    Args:
        image: In mode L, LA, RGB or RGBA.
        background: A colour in any form that `PIL.ImageColor` reads; its alpha is ignored.
    """
    if image.mode not in ("LA", "RGBA"):
        return image
    colour = ImageColor.getrgb(background)[:3]
    if image.mode == "LA" and len(set(colour)) == 1:
        below = Image.new("L", image.size, colour[0])
        below.paste(image.convert("L"), mask=image.getchannel("A"))
        return below
    below = Image.new("RGB", image.size, colour)
    below.paste(image.convert("RGB"), mask=image.getchannel("A"))
    return below


def in_one_mode(images: list[Image.Image]) -> list[Image.Image]:
    """Return plain images in the smallest mode that holds all of them, as the frames of an animation must be."""
    modes = {image.mode for image in images}
    if len(modes) == 1:
        return images
    mode = "RGBA" if modes & {"LA", "RGBA"} else "RGB"
    return [image.convert(mode) for image in images]
