"""How large a picture can be, which widths it has, and what its crops keep."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from ..exceptions import InvalidOption
from ..interfaces import Size
from ..processors.arguments import anchor_name
from ..processors.resampling import scaled

LAYOUTS = ("constrained", "full", "fixed")
"""How wide a page shows a picture: up to its width, as wide as the window, or always at its own width."""

FULL_WIDTHS = (640, 960, 1280, 1920, 2560, 3840)
"""Candidate widths in pixels of a picture as wide as the window: from a phone of density 2 to a 4K screen."""

FULL_SRC = 1280
"""Pixels: the `src` of a picture as wide as the window is the candidate nearest to this width."""

STEPS = (0.5, 0.75, 1.0, 1.5, 2.0)
"""Candidate widths of a constrained picture, relative to its own."""

DENSITIES = (1.0, 2.0)
"""Candidate densities of a fixed picture."""

ENOUGH = 0.75
"""A source gets no candidate of its own width if there is one of at least this fraction of it."""

MAX_SIDE = 65_535
"""Pixels: the longest side that a JPEG file can have (ITU-T T.81, B.2.2: 16 bits)."""


DIMENSIONS = re.compile(r"[ \u00a0]*([0-9]{0,9})[ \u00a0]*[xX×][ \u00a0]*([0-9]{0,9})[ \u00a0]*")
"""How dimensions may be written: people copy "300 × 200" from elsewhere."""


def parse_dimensions(dimensions: object) -> tuple[int | None, int | None]:
    """Return the width and height that a template asks for, in pixels; None for one that follows from the other.

    Raises:
        InvalidOption: It is not of the form `"400x300"`, `"400x"` or `"x300"`, or a side exceeds `MAX_SIDE`.

    Example:
        >>> parse_dimensions("400x300"), parse_dimensions("400x")
        ((400, 300), (400, None))
    """
    match = DIMENSIONS.fullmatch(dimensions) if isinstance(dimensions, str) else None
    if match is None or not any(match.groups()):
        expected = "write width and height in pixels as '400x300', or one of them as '400x' or 'x300'"
        raise InvalidOption("dimensions", dimensions, expected)
    width, height = (int(side) if side else None for side in match.groups())
    for name, side in (("width", width), ("height", height)):
        if side is not None and not 1 <= side <= MAX_SIDE:
            raise InvalidOption("dimensions", dimensions, f"the {name} must be between 1 and {MAX_SIDE} pixels")
    return width, height


class Framing(NamedTuple):
    """What a picture shows of a source, and how large it can be.

    Attributes:
        width: Width in pixels at which a page shows it: as requested, but never more than there is.
        widest: Width in pixels of the widest image that can be made without enlarging the source.
        source: The source's upright size in pixels.
        ratio: Width and height that give the picture's proportions.
        crops: Whether parts of the source are cut off.
        fitting: Width and height in pixels that the dimensions lead to, if nothing is cut off.
    """

    width: int
    widest: int
    source: Size
    ratio: Size
    crops: bool
    fitting: Size | None = None

    @classmethod
    def of(cls, source: Size, width: int | None, height: int | None, crop: bool | None = None) -> Framing:
        """Return the framing of a source for the requested dimensions.

        Args:
            source: The source's upright size in pixels.
            width: Pixels; None derives it from the height.
            height: Pixels; None derives it from the width; without either, the source's size is kept.
            crop: Whether to crop the excess; the default if both dimensions are given.

        Example:
            >>> Framing.of((640, 427), 400, 300).widest, Framing.of((640, 427), 800, None).width
            (569, 640)
        """
        if width and height and crop is not False and width * source[1] != height * source[0]:
            self = cls(width, source[0], source, (width, height), True)
            widest = _largest(source[0], lambda width: self._wanted_height(width) <= source[1])
            return self._replace(width=min(width, widest), widest=widest)
        ratios = [asked / given for asked, given in zip((width, height), source, strict=True) if asked]
        fitting = scaled(source, min(ratios)) if ratios and min(ratios) < 1 else source
        return cls(fitting[0], source[0], source, source, False, fitting)

    def height(self, width: int) -> int:
        """Return the height in pixels of an image of this width.

        Example:
            >>> Framing.of((640, 427), 400, 300).height(569)
            427
        """
        return min(self.source[1], self._wanted_height(width))

    def _wanted_height(self, width: int) -> int:
        if self.fitting is not None and width == self.fitting[0]:
            # Where the height leads, its width is rounded; the height that follows from that may be another.
            return self.fitting[1]
        if not self.crops:
            # Rounded as in `ResizeToFit`.
            return scaled(self.source, width / self.source[0])[1]
        return max(1, (2 * width * self.ratio[1] + self.ratio[0]) // (2 * self.ratio[0]))

    def sides(self, width: int, is_boxed: bool) -> dict[str, int | None]:
        """Return the keywords that lead to an image of this width: one side if the other follows from it, or both."""
        height = self.height(width)
        if is_boxed:
            return {"width": width, "height": height}
        if not self.crops and height != min(self.source[1], scaled(self.source, width / self.source[0])[1]):
            return {"width": None, "height": height}
        return {"width": width, "height": None}

    def within(self, max_side: int, max_pixels: int) -> Framing:
        """Return the framing limited to images that an encoder and the settings allow, in pixels."""

        def fits(width: int) -> bool:
            height = self.height(width)
            return max(width, height) <= max_side and width * height <= max_pixels

        widest = _largest(self.widest, fits)
        return self._replace(width=min(self.width, widest), widest=widest)


def _largest(most: int, fits: Callable[[int], bool]) -> int:
    """Return the largest whole number from 1 to `most` that fits, given that all smaller ones do; 1 if none does."""
    if fits(most):
        return most
    least = 1
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (middle, most) if fits(middle) else (least, middle)
    return least


def candidate_widths(asked: Iterable[int], widest: int) -> tuple[int, ...]:
    """Return the widths of the images to offer, without duplicates or any that would enlarge the source.

    Args:
        asked: Widths in pixels.
        widest: The widest that the source allows. It is offered if wider ones were requested, unless the widest of the
            others has at least three quarters of it.

    Example:
        >>> candidate_widths((400, 800, 1600), 1000), candidate_widths((400, 800, 1600), 1200)
        ((400, 800), (400, 800, 1200))
    """
    asked = set(asked)
    kept = sorted(width for width in asked if width <= widest)
    if not kept or (len(kept) < len(asked) and kept[-1] < ENOUGH * widest):
        kept.append(widest)
    return tuple(kept)


def capped_densities(densities: Iterable[float], width: int, widest: int) -> tuple[int, ...]:
    """Return the widths of the images for pixel densities, without duplicates or any wider than the source allows.

    Example:
        >>> capped_densities((1, 1.5, 2, 3), 400, 500)
        (400, 500)
    """
    return tuple(sorted({min(widest, rounded(width * density)) for density in densities}))


def layout_widths(layout: str, framing: Framing) -> tuple[int, ...]:
    """Return the candidate widths in pixels that a layout has by default."""
    if layout == "full":
        return candidate_widths(FULL_WIDTHS, framing.widest)
    steps = DENSITIES if layout == "fixed" else STEPS
    return candidate_widths((rounded(framing.width * step) for step in steps), framing.widest)


def rounded(number: float) -> int:
    return max(1, math.floor(number + 0.5))


def layout_sizes(layout: str, width: int) -> str:
    """Return the default value of `sizes` for a layout; empty if it needs none.

    Example:
        >>> layout_sizes("constrained", 800)
        '(min-width: 800px) 800px, 100vw'
    """
    return {"full": "100vw", "fixed": ""}.get(layout, f"(min-width: {width}px) {width}px, 100vw")


Point = tuple[float, float]
"""Two fractions: across from the left, down from the top."""

Focus = str | Point | tuple[float, float, float, float]
"""What a crop keeps: "auto", "entropy", a point, or a box of left, top, right and bottom, all as fractions."""

_FOCUS_EXPECTED = (
    "write a point as '70% 30%' or (0.7, 0.3), a box as '20% 10% 60% 90%' (left, top, right, bottom) or four "
    "fractions, or 'auto'"
)


def parse_focus(value: object) -> Focus:
    """Return a focus as fractions.

    Args:
        value: `"70% 30%"`, `(0.7, 0.3)`, a box of four such numbers, a name of `Anchor`, `"auto"` or `"entropy"`.

    Raises:
        InvalidOption: It is none of these, a number lies outside the image, or the box is empty.

    Example:
        >>> parse_focus("70% 30%"), parse_focus("auto"), parse_focus("tl")
        ((0.7, 0.3), 'auto', (0.0, 0.0))
    """
    if isinstance(value, str):
        text = str.__str__(value).strip()
        if text in ("auto", "entropy"):
            return text
        if anchor_name(text) in _ANCHORS:
            return _ANCHORS[anchor_name(text)]
        parts: list[Any] = [_percentage(part) for part in text.replace(",", " ").split()]
    else:
        parts = list(value) if isinstance(value, (tuple, list)) else []
    numbers = [part for part in parts if type(part) in (int, float) and 0 <= part <= 1]
    if len(numbers) != len(parts) or len(parts) not in (2, 4):
        raise InvalidOption("focus", value, _FOCUS_EXPECTED)
    if len(parts) == 2:
        return float(parts[0]), float(parts[1])
    left, top, right, bottom = map(float, parts)
    if left >= right or top >= bottom:
        raise InvalidOption("focus", value, "the box is empty: write left, top, right, bottom")
    return left, top, right, bottom


_ANCHORS: Mapping[str, Point] = {
    f"{down}{across}" or "c": (x, y)
    for down, y in (("t", 0.0), ("", 0.5), ("b", 1.0))
    for across, x in (("l", 0.0), ("", 0.5), ("r", 1.0))
}


def _percentage(text: str) -> float | None:
    number = text.removesuffix("%")
    try:
        # With the template's decimals, 70% is 0.7 and not 0.7000000000000001.
        return round(float(number) / (100 if number != text else 1), 6)
    except ValueError:
        return None


def anchor_of(focus: Focus, framing: Framing) -> str | Point:
    """Return the anchor of a crop that keeps the focus.

    A point keeps its relative position, as with CSS's `object-position`; a box comes as close to the centre of the crop
    as the image's edges allow.

    Example:
        >>> anchor_of((0.0, 0.0, 0.5, 1.0), Framing.of((400, 200), 200, 200))
        (0.0, 0.5)
    """
    if isinstance(focus, str) or len(focus) == 2:
        return focus
    # What the crop keeps of each side, as a fraction of it.
    kept = (
        min(1.0, framing.source[1] * framing.ratio[0] / (framing.ratio[1] * framing.source[0])),
        min(1.0, framing.source[0] * framing.ratio[1] / (framing.ratio[0] * framing.source[1])),
    )
    return _toward(focus[0], focus[2], kept[0]), _toward(focus[1], focus[3], kept[1])


def _toward(start: float, end: float, kept: float) -> float:
    spare = 1 - kept
    return 0.5 if spare < 1e-9 else round(min(1.0, max(0.0, ((start + end) / 2 - kept / 2) / spare)), 6)
