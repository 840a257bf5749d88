"""Checks a processor's arguments when it is constructed, so that a mistake shows where it was made."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from PIL import ImageColor
from pilkit.processors import Anchor as _PilkitAnchor  # type: ignore[import-untyped]

from ..exceptions import InvalidOption, nearest

Color = str | tuple[int, ...]
"""A colour as `PIL.ImageColor` reads it, or as three or four numbers from 0 to 255 (red, green, blue, alpha)."""

Anchor = str | tuple[float, float]
"""One of the names in `processors.Anchor`, or two fractions from 0 (left, top) to 1 (right, bottom)."""

_ANCHORS: dict[str, tuple[float, float]] = _PilkitAnchor._ANCHOR_PTS


def plain(value: Any) -> Any:
    """Return a plain `str` for a subclass such as `Markup`, and anything else unchanged."""
    return str.__str__(value) if isinstance(value, str) else value


def pixels(name: str, value: Any, least: int | None = 1, unit: str = "pixels") -> int:
    """Return a whole number, of pixels unless told otherwise; a whole float, as of template arithmetic, becomes an int.

    Raises:
        InvalidOption: The value is not a whole number, or less than `least`.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not hasattr(value, "__index__") or (least is not None and value < least):
        bound = "" if least is None else f", {least} or more"
        raise InvalidOption(name, value, f"give a whole number of {unit}{bound}")
    return value.__index__()  # type: ignore[no-any-return]  # __index__ returns an int by its contract


def pixels_or_none(name: str, value: Any, least: int | None = 1) -> int | None:
    """Return a whole number of pixels or None.

    Raises:
        InvalidOption: As `pixels`.
    """
    return None if value is None else pixels(name, value, least)


def number(name: str, value: Any, least: float = -math.inf, greatest: float = math.inf) -> float:
    """Return a finite number.

    Raises:
        InvalidOption: The value is not a number, or is outside the bounds.
    """
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or not least <= value <= greatest:
        bounds = [
            text
            for bound, text in ((least, f"{least:g} or more"), (greatest, f"{greatest:g} or less"))
            if math.isfinite(bound)
        ]
        raise InvalidOption(name, value, ", ".join(["give a number", *bounds]))
    return value  # type: ignore[no-any-return]  # checked just above


def flag(name: str, value: Any) -> bool | None:
    """Return True, False or None; templates also write 1 and 0.

    Raises:
        InvalidOption: The value is something else; the string "false", say, would count as true.
    """
    if value is None:
        return None
    if value not in (0, 1):
        raise InvalidOption(name, value, "give True or False")
    return bool(value)


_SIDES = {"top": "t", "bottom": "b", "left": "l", "right": "r", "center": "", "centre": "", "middle": ""}
_WORDS = r"(?:(?:top|bottom|left|right|cent(?:er|re)|middle)[ _-]*)+"
_POINT = r"\s*(\d+(?:\.\d+)?)%[\s,]+(\d+(?:\.\d+)?)%\s*"


def one_of(name: str, value: object, known: Sequence[str]) -> str:
    """Return a word that is one of several, or raise `InvalidOption`.

    Example:
        >>> one_of("effort", "small", ("fast", "small"))
        'small'
    """
    if value not in known:
        raise InvalidOption(name, value, nearest(str(value), known))
    return str(value)


def anchor_name(text: str) -> str:
    """Return the name in `processors.Anchor` of a place that is called in words; anything else as it is.

    Example:
        >>> anchor_name("center"), anchor_name("Top Left"), anchor_name("right"), anchor_name("smart")
        ('c', 'tl', 'r', 'smart')
    """
    word = str.__str__(text).strip().lower()
    if word in _ANCHORS:
        return word
    if not re.fullmatch(_WORDS, word):
        return str.__str__(text)
    sides = [_SIDES[each] for each in re.findall("|".join(_SIDES), word)]
    name = "".join(sorted(sides, key="tblr".index)) if all(sides) else "".join(sides) or "c"
    return name if name in _ANCHORS and len(sides) <= 2 else str.__str__(text)


def anchor(value: Any, *more: str) -> Any:
    """Return an anchor by its shortest name or as two fractions, None included.

    Args:
        value: What was given.
        more: Names that are valid in addition to those of `processors.Anchor`.

    Raises:
        InvalidOption: It is neither a known name nor two numbers from 0 to 1.
    """
    if value is None:
        return None
    given = value
    if isinstance(value, str):
        if value in _ANCHORS or value in more:
            return plain(value)
        point = re.fullmatch(_POINT, value)
        if point:
            # Written with the decimals of the template, 70% is 0.7 and not 0.7000000000000001.
            value = tuple(round(float(part) / 100, 6) for part in point.groups())
        else:
            name = anchor_name(value)
            if name not in _ANCHORS and name not in more:
                hint = nearest(value, [*_ANCHORS, *more])
                raise InvalidOption("anchor", value, f"{hint} A point is written as '50% 20%'")
            return name
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise InvalidOption(
            "anchor", value, "give a name such as 'tl' or 'center', a point as '50% 20%', or two numbers from 0 to 1"
        )
    try:
        return tuple(number("anchor", part, 0, 1) for part in value)
    except InvalidOption:
        raise InvalidOption(
            "anchor", given, "a point lies between '0% 0%' and '100% 100%', or (0, 0) and (1, 1)"
        ) from None


def anchor_point(value: Anchor | None) -> tuple[float, float]:
    """Return an anchor's two fractions; the centre for None."""
    if value is None:
        return 0.5, 0.5
    across, down = _ANCHORS[value] if isinstance(value, str) else value
    return float(across), float(down)


def color(name: str, value: Any) -> Any:
    """Return a colour as it was given.

    Raises:
        InvalidOption: It is not a colour.
    """
    if isinstance(value, str):
        try:
            ImageColor.getrgb(value)
        except ValueError:
            raise InvalidOption(name, value, "give a colour such as '#ffffff', 'white' or (255, 255, 255)") from None
        return plain(value)
    parts = value if isinstance(value, (tuple, list)) and len(value) in (3, 4) else (None,)
    if not all(isinstance(part, int) and not isinstance(part, bool) and 0 <= part <= 255 for part in parts):
        raise InvalidOption(name, value, "give a colour such as '#ffffff', 'white' or (255, 255, 255)")
    return value


def rgba(value: Color) -> tuple[int, int, int, int]:
    """Return the red, green, blue and alpha (0 to 255) of a colour that has been checked."""
    parts = ImageColor.getrgb(value) if isinstance(value, str) else tuple(value)
    return (*parts[:3], parts[3] if len(parts) == 4 else 255)  # type: ignore[return-value]  # three or four parts
