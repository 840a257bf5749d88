"""Draws what stands where an image could not be made: an SVG within a data URI, which needs no file."""

from __future__ import annotations

import textwrap
from urllib.parse import quote

from markupsafe import escape

from .interfaces import Size

DEFAULT_SIZE = (400, 300)
"""Width and height in pixels of a placeholder for an image whose size nobody can tell."""

FONT_PIXELS, SMALL_FONT_PIXELS = 14, 10
"""Size of the letters of a reason in pixels, where there is room and where there is little."""

_LETTER_WIDTH = 0.58
"""About the width of a letter in parts of its size: sans-serif letters have 0.5 to 0.6."""

_LINE_HEIGHT = 1.3

_ICON = (
    '<g fill="none" stroke="#8b8b94" stroke-width="1.5" transform="translate({x:g} {y:g}) scale({scale:g})">'
    '<rect x="-16" y="-12" width="32" height="24" rx="2"/><circle cx="-7" cy="-4" r="3"/>'
    '<path d="M-16 8l10-9 7 7 5-5 10 9"/></g>'
)
"""A picture of 32 × 24 units, with a sun and two hills."""


def placeholder_uri(size: Size, reason: str = "") -> str:
    """Return the data URI of a placeholder.

    Args:
        size: Width and height in pixels.
        reason: What the placeholder says; without it there is a picture of a picture.

    Example:
        >>> placeholder_uri((40, 30))[:19]
        'data:image/svg+xml,'
    """
    # The characters left alone are safe in an attribute, in srcset and in CSS.
    return f"data:image/svg+xml,{quote(placeholder_svg(size, reason), safe='/:=;,')}"


def placeholder_svg(size: Size, reason: str = "") -> str:
    """Return a placeholder as an SVG; see `placeholder_uri`."""
    width, height = size
    content = _text(size, reason) if reason else ""
    if not content:
        content = _ICON.format(x=width / 2, y=height / 2, scale=min(width / 64, height / 48, 3))
    fill = "#fbe9e7" if reason else "#e9e9ec"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
        f'<rect width="{width}" height="{height}" fill="{fill}"/>{content}</svg>'
    )


def _text(size: Size, reason: str) -> str:
    """Return the reason as lines that fit; nothing where not even one does."""
    font = FONT_PIXELS if min(size) >= 160 else SMALL_FONT_PIXELS
    margin = font // 2
    letters = int((size[0] - 2 * margin) / (font * _LETTER_WIDTH))
    most = int((size[1] - 2 * margin) / (font * _LINE_HEIGHT))
    if letters < 8 or most < 1:
        return ""
    # XML has no place for control characters and lone surrogates.
    readable = "".join(letter if letter.isprintable() else " " for letter in reason)
    lines = textwrap.wrap(readable, letters, max_lines=most, placeholder=" …")
    spans = "".join(
        f'<tspan x="{margin}" y="{margin + font + index * font * _LINE_HEIGHT:g}">{escape(line)}</tspan>'
        for index, line in enumerate(lines)
    )
    return f'<text font-family="sans-serif" font-size="{font}" fill="#8c1d0f">{spans}</text>'
