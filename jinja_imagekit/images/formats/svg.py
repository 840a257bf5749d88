"""SVG: a drawing, which has no pixels before a browser gives it some."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping

from defusedxml import DTDForbidden, EntitiesForbidden, ExternalReferenceForbidden
from defusedxml.ElementTree import DefusedXMLParser

from .base import BrokenFile, Format, Frame, Layout


class Svg(Format):
    """SVG: passed on as it is, whatever is asked for."""

    name = "SVG"
    extension = ".svg"
    mimetype = "image/svg+xml"
    is_vector = True

    def announces(self, data: bytes) -> bool:
        """Tell whether the opening is that of an XML file that speaks of SVG."""
        # Without zero bytes, UTF-16 reads as ASCII; a licence may stand before the root.
        opening = data[:65_536].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
        return opening.startswith(b"<") and b"svg" in opening

    def layout(self, data: bytes) -> Layout:
        """Return the size of a drawing, whose XML is read to its end.

        The size is that of `width` and `height` where they are absolute lengths, and follows from the `viewBox` where
        they are not.

        Raises:
            BrokenFile: It is not well-formed XML, its root is not `<svg>`, or it declares entities.

        Example:
            >>> layout = Svg().layout(b'<svg xmlns="http://www.w3.org/2000/svg" width="1in" viewBox="0 0 20 10"/>')
            >>> layout.width, layout.height
            (96, 48)
        """
        return _layout(data)

    def frames(self, data: bytes, layout: Layout, *, animated: bool, scale: int) -> Iterator[Frame]:
        """Refuse to draw.

        Raises:
            BrokenFile: Always.
        """
        raise BrokenFile("an SVG has no pixels before a browser draws it")


_DEFAULT_SIZE = (300.0, 150.0)
"""Pixels of a drawing that has neither a size nor a viewBox (CSS 2.1, 10.3.2: replaced elements)."""

_SPACE = "{http://www.w3.org/2000/svg}"

_PIXELS = {"": 1.0, "px": 1.0, "in": 96.0, "cm": 96 / 2.54, "mm": 9.6 / 2.54, "q": 2.4 / 2.54, "pt": 4 / 3, "pc": 16.0}
"""Pixels of a unit (CSS Values and Units 3, 6.2: absolute lengths). Others depend on where the drawing is shown."""

_LENGTH = re.compile(r"\s*\+?([0-9]*\.?[0-9]+(?:e[+-]?[0-9]+)?|[0-9]+\.)\s*([a-z]*)\s*", re.IGNORECASE)

_LONGEST = 40
"""Characters of a length that are looked at; no honest one has as many."""

_MOST_PIXELS = 1e9
"""Longest side that is believed, in pixels."""


def _layout(data: bytes) -> Layout:
    root = _Root()
    parser = DefusedXMLParser(target=root, forbid_dtd=False, forbid_entities=True, forbid_external=True)
    try:
        parser.feed(data)
        parser.close()
    except (DTDForbidden, EntitiesForbidden, ExternalReferenceForbidden):
        raise BrokenFile("the SVG declares or refers to XML entities, which are not read; save it without") from None
    except SyntaxError as error:
        raise BrokenFile(f"the SVG is not well-formed XML: {error}") from None
    if root.tag not in (f"{_SPACE}svg", "svg"):
        raise BrokenFile(f"it is an XML file, but its root is <{root.tag.rpartition('}')[2]}> and not <svg>")
    width, height = _size(root.attributes)
    return Layout(max(1, math.floor(width + 0.5)), max(1, math.floor(height + 0.5)), has_alpha=True)


class _Root:
    """What a parser calls: keeps the first element, and nothing of those inside it."""

    def __init__(self) -> None:
        self.tag = ""
        self.attributes: Mapping[str, str] = {}

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if not self.tag:
            self.tag, self.attributes = tag, dict(attributes)

    def close(self) -> None:
        """Do nothing at the end of the file."""


def _size(attributes: Mapping[str, str]) -> tuple[float, float]:
    width, height = _pixels(attributes.get("width", "")), _pixels(attributes.get("height", ""))
    view = _view_box(attributes.get("viewBox", ""))
    if width and height:
        return width, height
    if view is None:
        return width or _DEFAULT_SIZE[0], height or _DEFAULT_SIZE[1]
    if width:
        return width, width * view[1] / view[0]
    return (height * view[0] / view[1], height) if height else view


def _pixels(length: str) -> float | None:
    match = _LENGTH.fullmatch(length[:_LONGEST])
    if match is None or match[2].lower() not in _PIXELS:
        return None
    pixels = float(match[1]) * _PIXELS[match[2].lower()]
    return pixels if 0 < pixels <= _MOST_PIXELS else None


def _view_box(text: str) -> tuple[float, float] | None:
    try:
        _, _, width, height = (float(number) for number in text.replace(",", " ").split())
    except ValueError:
        return None
    return (width, height) if 0 < width <= _MOST_PIXELS and 0 < height <= _MOST_PIXELS else None
