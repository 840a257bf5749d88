"""Tells in whole numbers how much an encoded image looks like the one that it was made of."""

from __future__ import annotations

from math import isqrt
from typing import NamedTuple

from PIL import Image, ImageChops, ImageMath

LEAST_SIDE = 32
"""Pixels that both sides of an image need: eight by eight windows of four pixels."""

_CONSTANT, _FINE, _COARSE, _CHROMA = 7_880_000, 252, 4_080, 469
"""Points of `Likeness.loss` in all, and for each unit of its three parts.

A least-squares fit, without negative terms, to the SSIMULACRA2 of 2,600 JPEG, WebP and AVIF files of 36 photographs and
drawings (Debian's wallpapers, at 400 and 1200 pixels). Predicted for images that the fit has not seen, the score is off
by 3.3 points (root mean square), and that of luma SSIM alone by 4.9.
"""


class _Window(NamedTuple):
    """Squares of a plane that are compared one by one."""

    side: int
    """In pixels of the plane."""
    floor: int
    """A variance, in squared levels, below which differences count less."""


_FINE_WINDOW, _COARSE_WINDOW, _CHROMA_WINDOW = _Window(4, 20), _Window(8, 64), _Window(8, 0)


class Likeness:
    """An image with which encoded ones are compared, as an eye does: edges, areas and colours.

    Three parts make a loss: how unlike the windows of luma are (by SSIM; the worst count most), in full and at a
    quarter of the size, and how far chroma is off at a quarter of the size. All of it is worked out in whole numbers,
    or exactly rounded, so that no processor comes to another result.

    Args:
        image: In mode L or RGB; both sides have at least `LEAST_SIDE` pixels.

    Example:
        >>> image = Image.radial_gradient("L")
        >>> Likeness(image).loss(image) < Likeness(image).loss(image.point(lambda level: level // 16 * 16))
        True
    """

    def __init__(self, image: Image.Image) -> None:
        self._luma, self._chroma = _planes(image)
        self._moments = [_moments(plane, window) for plane, window in self._luma]

    def loss(self, image: Image.Image) -> int:
        """Return how much an image of the same size has lost, in millionths of a point of SSIMULACRA2 below 100."""
        luma, chroma = _planes(image)
        fine, coarse = (
            _unlikeness(original, own, *plane)
            for (original, _), own, plane in zip(self._luma, self._moments, luma, strict=True)
        )
        colours = sum(_error(*planes) for planes in zip(self._chroma, chroma, strict=True))
        return _CONSTANT + _FINE * fine + _COARSE * coarse + _CHROMA * colours


def _planes(image: Image.Image) -> tuple[list[tuple[Image.Image, _Window]], list[Image.Image]]:
    luma, *chroma = image.convert("RGB").convert("YCbCr").split()
    fine, coarse = _whole(luma, _FINE_WINDOW), _whole(luma.reduce(4), _COARSE_WINDOW)
    return [(fine, _FINE_WINDOW), (coarse, _COARSE_WINDOW)], [
        _whole(plane.reduce(4), _CHROMA_WINDOW) for plane in chroma
    ]


def _whole(plane: Image.Image, window: _Window) -> Image.Image:
    """Return a plane without the windows that its edges cut."""
    return plane.crop((0, 0, plane.width // window.side * window.side, plane.height // window.side * window.side))


def _sums(plane: Image.Image, window: _Window, power: int) -> Image.Image:
    """Return the sum of a power of the samples for each window, in mode I."""
    # The mean of so many times the samples, which Pillow works out without rounding.
    count = window.side**2
    return plane.point([count * level**power for level in range(256)], "I").reduce(window.side)


def _moments(plane: Image.Image, window: _Window) -> tuple[Image.Image, Image.Image]:
    return _sums(plane, window, 1), _sums(plane, window, 2)


def _unlikeness(
    original: Image.Image, own: tuple[Image.Image, Image.Image], plane: Image.Image, window: _Window
) -> int:
    """Return how far the windows' SSIM is from 1, from 0 to 255 × 1,024: the fourth root of the mean fourth power.

    SSIM as Wang, Bovik, Sheikh and Simoncelli define it ("Image Quality Assessment", 2004), without its term for
    brightness.
    """
    count = window.side**2
    sums, squares = _moments(plane, window)
    off = _sums(ImageChops.difference(original, plane), window, 2)
    # Sums reach 2**30 and products of them are never made: each step is exact, or one rounding of a float.
    unlike = ImageMath.lambda_eval(
        lambda of: (
            of["float"](count * of["off"] - (of["a"] - of["b"]) * (of["a"] - of["b"]))
            * 255
            / of["float"](
                count * of["aa"]
                - of["a"] * of["a"]
                + count * of["bb"]
                - of["b"] * of["b"]
                + count * count * window.floor
            )
        ),
        a=own[0],
        aa=own[1],
        b=sums,
        bb=squares,
        off=off,
    )
    levels = unlike.convert("L").histogram()
    fourths = sum(number * level**4 for level, number in enumerate(levels))
    return isqrt(isqrt((fourths << 40) // sum(levels)))


def _error(original: Image.Image, plane: Image.Image) -> int:
    """Return the root of the mean square of the windows' mean square errors, in 1,024ths of a squared level."""
    window = _CHROMA_WINDOW
    sums = memoryview(_sums(ImageChops.difference(original, plane), window, 2).tobytes()).cast("i")
    return isqrt((sum(each * each for each in sums) << 20) // (len(sums) * window.side**4))
