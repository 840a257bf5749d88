"""Finds saturated edges, which encoders blur where they store colour at half the resolution (4:2:0)."""

from __future__ import annotations

from PIL import Image, ImageChops

TILE = 32
"""Side in pixels of the squares in which edges are counted: a caption must not get lost in a large photograph."""

VISIBLE = 24
"""Levels of chroma, of 255, from which a pixel counts as blurred."""

LEAST = ((Image.Resampling.NEAREST, 16), (Image.Resampling.BILINEAR, 32))
"""Level of a tile's mean, of 255, from which an image keeps its chroma, where decoders enlarge it in one of these ways.

The first way is fast and finds the few images for which the second one, which is that of decoders, is worth its time.
An eighth of the pixels have to be blurred: of 68 photographs and paintings (Debian's wallpapers, at 400 and 1200
pixels) the tile with most has 10 %, and a caption in red or yellow on any of them has 22 %.
"""

_STRIP_PIXELS = 1 << 21


def has_saturated_edges(image: Image.Image) -> bool:
    """Return whether chroma at half the resolution would show, as in red text on blue.

    The answer is the same on every processor: all arithmetic is that of whole numbers.

    Args:
        image: In mode RGB or RGBA; others have no chroma.

    Example:
        >>> image = Image.new("RGB", (64, 64), "blue")
        >>> has_saturated_edges(image)
        False
        >>> image.paste("red", (9, 9, 31, 20))
        >>> has_saturated_edges(image)
        True
    """
    if image.mode not in ("RGB", "RGBA"):
        return False
    rows = max(1, _STRIP_PIXELS // (image.width * TILE)) * TILE
    if image.height <= rows:
        return _strip_has(image)
    return any(
        _strip_has(image.crop((0, top, image.width, min(top + rows, image.height))))
        for top in range(0, image.height, rows)
    )


def _strip_has(image: Image.Image) -> bool:
    image = (image if image.mode == "RGB" else image.convert("RGB")).convert("YCbCr")
    return all(_most_blurred(image, enlarging) >= least for enlarging, least in LEAST)


def _most_blurred(image: Image.Image, enlarging: Image.Resampling) -> int:
    """Return the mean of the tile with most visibly blurred pixels: 255 if all of them are."""
    blurred = ImageChops.difference(image, image.reduce(2).resize(image.size, enlarging))
    chroma = ImageChops.lighter(blurred.getchannel("Cb"), blurred.getchannel("Cr"))
    seen = chroma.point([0] * VISIBLE + [255] * (256 - VISIBLE))
    most = seen.reduce(TILE).getextrema()[1]
    assert isinstance(most, int)
    return most
