"""SVG: a drawing, which has no pixels before a browser gives it some."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from xml.parsers import expat

from .base import BrokenFile, Format, Frame, Layout, most_pieces


class Svg(Format):
    """SVG: passed on as it is, whatever is asked for."""

    name = "SVG"
    extension = ".svg"
    mimetype = "image/svg+xml"
    shown_by_browsers = True
    is_vector = True

    def announces(self, data: bytes) -> bool:
        """Tell whether the file begins like XML whose root is `<svg>`, or that mentions SVG."""
        # Without zero bytes, UTF-16 reads as ASCII.
        opening = data[:_OPENING_BYTES].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
        if not opening.startswith(b"<") or _HTML.match(opening):
            return False
        return b"svg" in opening or _ROOT.match(data, _after_comments(data)) is not None

    def layout(self, data: bytes) -> Layout:
        """Return the size of a drawing, whose XML is read to its end.

        The size is that of `width` and `height` where they are lengths that do not depend on the page, and follows
        from the `viewBox` where they are not.

        Raises:
            BrokenFile: It is not well-formed XML, its root is no `<svg>`, or its entities refer to others or to files.

        Example:
            >>> layout = Svg().layout(b'<svg xmlns="http://www.w3.org/2000/svg" width="1in" viewBox="0 0 20 10"/>')
            >>> layout.width, layout.height
            (96, 48)
        """
        attributes = _Reader(data).root_attributes()
        width, height = _size(attributes)
        return Layout(max(1, math.floor(width + 0.5)), max(1, math.floor(height + 0.5)), has_alpha=True)

    def frames(self, data: bytes, layout: Layout, *, animated: bool, scale: int) -> Iterator[Frame]:
        """Refuse to draw.

        Raises:
            BrokenFile: Always.
        """
        raise BrokenFile("an SVG has no pixels before a browser draws it")


_OPENING_BYTES = 65_536
_HTML = re.compile(rb"<!doctype\s+html|<html[\s>]", re.IGNORECASE)
_ROOT = re.compile(rb"<(?:[\w.-]+:)?svg[\s/>]|<!DOCTYPE\s+(?:[\w.-]+:)?svg\s")
_MOST_COMMENTS = 1_000
_BETWEEN = re.compile(rb"(?:\xef\xbb\xbf)?[ \t\r\n]*")

_SPACE = "http://www.w3.org/2000/svg"


def _after_comments(data: bytes) -> int:
    """Return where the declaration and the comments before a root element end."""
    position = 0
    for _ in range(_MOST_COMMENTS):
        match = _BETWEEN.match(data, position)
        position = match.end() if match else position
        end = None
        if data.startswith(b"<?", position):
            end = b"?>"
        elif data.startswith(b"<!--", position):
            end = b"-->"
        if end is None:
            break
        found = data.find(end, position)
        if found < 0:
            break
        position = found + len(end)
    return position


_SPAN = re.compile(rb"<[^<]{65536,}")
"""An element and the text behind it, where the two are long; it begins nowhere else, or each byte would be a try."""

_MOST_ATTRIBUTES = 10_000
"""Of one element: each has to be compared with the others."""

_BYTES_OF_A_TAG = 8
"""That a tag of a large drawing has on average, at least; those of `<tspan>x</tspan>` have as many.

The parser keeps some 250 bytes of each element that is open: 5 MB of `<g>` would take 400 MB.
"""

_TAG = re.compile(rb"<([^\s/>!?]{1,64})")
_MOST_NAMES = 2_000
"""Of elements: the parser has an entry of each, and SVG, HTML and the editors' own together have a few hundred."""


class _Reader:
    """Reads XML to its end, and keeps nothing but the attributes of the root.

    Entities are the only way in which a small file can become a large one, or reach others. Older programs declare
    namespaces with them, so they may stand for text, within a small budget; nothing is ever loaded.
    """

    _FIRST_CHUNK, _CHUNK = 1 << 18, 1 << 20
    """Bytes that the parser is given at once: what has begun and not ended is looked at again with each piece."""

    _LONGEST_ROOT = 1 << 17
    """Bytes of the root element, whose attributes become Python objects."""

    _MOST_ENTITIES, _MOST_EXPANDED = 256, 4_000_000
    """Entities, and characters that they may become in all."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._root: tuple[str, Mapping[str, str]] | None = None
        self._entities = 0
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.StartElementHandler = self._on_start
        self._parser.EntityDeclHandler = self._on_entity

    def root_attributes(self) -> Mapping[str, str]:
        """Return the attributes of the root.

        Raises:
            BrokenFile: As `Svg.layout`.
        """
        try:
            self._feed()
        except expat.ExpatError as error:
            raise BrokenFile(f"the SVG is not well-formed XML: {error}") from None
        assert self._root is not None
        space, _, tag = self._root[0].rpartition(" ")
        if tag != "svg" or space not in (_SPACE, ""):
            raise BrokenFile(f"it is an XML file, but its root is <{tag}> and not <svg>")
        if not space:
            raise BrokenFile(f'the SVG lacks xmlns="{_SPACE}" on its <svg>, without which browsers show nothing')
        return self._root[1]

    def _feed(self) -> None:
        for span in _SPAN.finditer(self._data):
            if span[0].count(b"=") > _MOST_ATTRIBUTES:
                raise BrokenFile(f"the SVG has an element of more than {_MOST_ATTRIBUTES:,} attributes")
        if self._data.count(b"<") > most_pieces(self._data, _BYTES_OF_A_TAG):
            raise BrokenFile("the SVG has far more elements than its size explains")
        names: set[bytes] = set()
        position, length = 0, self._FIRST_CHUNK
        while position < len(self._data):
            chunk = self._data[position : position + length]
            names.update(_TAG.findall(chunk))
            if len(names) > _MOST_NAMES:
                raise BrokenFile(f"the SVG has elements of more than {_MOST_NAMES:,} names")
            self._parser.Parse(chunk, False)
            position, length = position + length, self._CHUNK
            begun = self._parser.CurrentByteIndex
            is_element = self._data[begun : begun + 2] not in (b"<!", b"<?", b"")
            if self._root is None and is_element and min(position, len(self._data)) - begun > self._LONGEST_ROOT:
                raise BrokenFile(f"the SVG has a root element of more than {self._LONGEST_ROOT:,} bytes")
        self._parser.Parse(b"", True)

    def _on_start(self, tag: str, attributes: dict[str, str]) -> None:
        self._root = tag, attributes
        # From here on nothing is called for what the drawing is made of, which takes time in Python.
        self._parser.StartElementHandler = None

    def _on_entity(
        self,
        name: str,
        is_parameter: bool,
        value: str | None,
        base: str | None,
        system_id: str | None,
        public_id: str | None,
        notation: str | None,
    ) -> None:
        self._entities += 1
        nested = value is None or not {"&", "%", "<"}.isdisjoint(value)
        expanded = 0 if value is None else len(value) * self._data.count(b"&")
        if is_parameter or nested or self._entities > self._MOST_ENTITIES or expanded > self._MOST_EXPANDED:
            raise BrokenFile(
                "the SVG declares XML entities that refer to others, to files, hold elements, or become too long; "
                "save it without"
            )


_DEFAULT_SIZE = (300.0, 150.0)
"""Pixels of a drawing that has neither a size nor a viewBox (CSS 2.1, 10.3.2: replaced elements)."""

_PIXELS = {"": 1.0, "px": 1.0, "in": 96.0, "cm": 96 / 2.54, "mm": 9.6 / 2.54, "q": 2.4 / 2.54, "pt": 4 / 3, "pc": 16.0}
_PIXELS |= {"em": 16.0, "rem": 16.0}
"""Pixels of a unit (CSS Values and Units 3, 6.1 and 6.2; an image has the font size that browsers begin with).

Others depend on where the drawing is shown.
"""

_NUMBER = r"[0-9]*\.?[0-9]+(?:e[+-]?[0-9]+)?|[0-9]+\."
_LENGTH = re.compile(rf"\s*\+?({_NUMBER})\s*([a-z]*)\s*", re.IGNORECASE)
_TOKEN = re.compile(rf"\s*(?:({_NUMBER})([a-z%]*)|([-+*/()]))", re.IGNORECASE)

_LONGEST = 200
"""Characters of a length that are looked at; no honest one has as many."""

_MOST_PIXELS = 1e9
"""Longest side that is believed, in pixels."""


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
    length = length[:_LONGEST].strip()
    if length.lower().startswith("calc("):
        pixels = _calculated(length[4:])
    else:
        match = _LENGTH.fullmatch(length)
        if match is None or match[2].lower() not in _PIXELS:
            return None
        pixels = float(match[1]) * _PIXELS[match[2].lower()]
    return pixels if pixels is not None and 0 < pixels <= _MOST_PIXELS else None


def _calculated(text: str) -> float | None:
    """Return the pixels of a sum (CSS Values and Units 3, 8.1); None where it depends on the page, or is not a sum."""
    tokens: list[str | float] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            return None
        number, unit, sign = match.groups()
        if number is not None and unit.lower() not in _PIXELS:
            return None
        tokens.append(sign if number is None else float(number) * _PIXELS[unit.lower()])
        position = match.end()
    try:
        value = _sum(tokens)
    except (IndexError, ZeroDivisionError, TypeError, OverflowError):
        return None
    return None if tokens else value


def _sum(tokens: list[str | float]) -> float:
    value = _product(tokens)
    while tokens and tokens[0] in ("+", "-"):
        value += _product(tokens) if tokens.pop(0) == "+" else -_product(tokens)
    return value


def _product(tokens: list[str | float]) -> float:
    value = _factor(tokens)
    while tokens and tokens[0] in ("*", "/"):
        value = value * _factor(tokens) if tokens.pop(0) == "*" else value / _factor(tokens)
    return value


def _factor(tokens: list[str | float]) -> float:
    token = tokens.pop(0)
    if token == "-":
        return -_factor(tokens)
    if token == "(":
        value = _sum(tokens)
        if tokens.pop(0) != ")":
            raise IndexError
        return value
    if isinstance(token, str):
        raise TypeError
    return token


def _view_box(text: str) -> tuple[float, float] | None:
    try:
        _, _, width, height = (float(number) for number in text.replace(",", " ").split())
    except ValueError:
        return None
    return (width, height) if 0 < width <= _MOST_PIXELS and 0 < height <= _MOST_PIXELS else None
