"""Reads XMP, the metadata that editors write as RDF in XML, without ever failing on a damaged packet."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

MOST_XMP_BYTES = 1_000_000
"""A longer packet counts as none: editors write some kilobytes, and a history of edits has a few hundred."""

JPEG_PREFIX = b"http://ns.adobe.com/xap/1.0/\0"
"""What the segment of a JPEG that holds XMP begins with (XMP part 3, 1.1.3)."""

PNG_KEYWORD = b"XML:com.adobe.xmp\0"
"""What the chunk of a PNG that holds XMP begins with (XMP part 3, 1.1.5)."""

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_XML = "http://www.w3.org/XML/1998/namespace"
_ARRAYS = frozenset({f"{_RDF}Bag", f"{_RDF}Seq", f"{_RDF}Alt"})

_MOST_ELEMENTS, _DEEPEST = 20_000, 60
"""Of a packet: each element is a Python object, and what is nested is read by functions that call themselves."""


class _TooMuch(Exception):
    """A packet has a document type, or more than this library reads."""


@dataclass(slots=True)
class _Element:
    name: str
    attributes: dict[str, str]
    children: list[_Element] = field(default_factory=list)
    text: str = ""


def read_xmp(packet: bytes) -> dict[str, Any]:
    """Return the properties of an XMP packet; none where it is damaged, too long, or has a document type.

    Args:
        packet: The packet, as it stands in a file.

    Returns:
        By the property's full name, its namespace and its own: a string, a list (of a bag, a sequence or
        alternatives), or a dict (of a structure).

    Example:
        >>> read_xmp(
        ...     b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description'
        ...     b' xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Label="Red"/></rdf:RDF>'
        ... )
        {'http://ns.adobe.com/xap/1.0/Label': 'Red'}
    """
    if not packet or len(packet) > MOST_XMP_BYTES:
        return {}
    try:
        root = _Parser().parsed(packet)
        rdf = root if root.name == f"{_RDF}RDF" else next(each for each in root.children if each.name == f"{_RDF}RDF")
    except (expat.ExpatError, _TooMuch, StopIteration, ValueError, LookupError):
        return {}
    properties: dict[str, Any] = {}
    for description in rdf.children:
        properties.update(_structure(description))
    return properties


def with_description(packet: bytes, description: str) -> bytes:
    """Return a packet of this library with one description more.

    Args:
        packet: The packet; empty for a new one.
        description: An element `rdf:Description`, with the namespaces that it uses.
    """
    if packet:
        return packet.replace(b"</rdf:RDF>", description.encode() + b"</rdf:RDF>")
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        f'<rdf:RDF xmlns:rdf="{_RDF}">{description}</rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
    ).encode()


def png_xmp(chunk: bytes) -> bytes:
    """Return the packet of a PNG's `iTXt` chunk that begins with `PNG_KEYWORD`; empty where it is damaged."""
    is_compressed = chunk[len(PNG_KEYWORD) : len(PNG_KEYWORD) + 1] == b"\1"
    parts = chunk[len(PNG_KEYWORD) + 2 :].split(b"\0", 2)
    if len(parts) < 3:
        return b""
    if not is_compressed:
        return parts[2]
    try:
        return zlib.decompressobj().decompress(parts[2], MOST_XMP_BYTES + 1)
    except zlib.error:
        return b""


class _Parser:
    """Makes a tree of elements of a packet."""

    def __init__(self) -> None:
        self._open: list[_Element] = [_Element("", {})]
        self._count = 0
        # A namespace and a name are one name in RDF, with nothing between them.
        self._expat = expat.ParserCreate(namespace_separator="")
        self._expat.buffer_text = True
        self._expat.StartDoctypeDeclHandler = self._refuse
        self._expat.StartElementHandler = self._begin
        self._expat.EndElementHandler = self._end
        self._expat.CharacterDataHandler = self._add

    def parsed(self, packet: bytes) -> _Element:
        # Padding may follow the packet, and some programs end it with zero bytes.
        self._expat.Parse(packet.rstrip(b"\0"), True)
        return self._open[0].children[0]

    def _refuse(self, *_: object) -> None:
        # Its entities are how a small packet becomes a large one.
        raise _TooMuch

    def _begin(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > _MOST_ELEMENTS or len(self._open) > _DEEPEST:
            raise _TooMuch
        element = _Element(name, attributes)
        self._open[-1].children.append(element)
        self._open.append(element)

    def _end(self, name: str) -> None:
        self._open.pop()

    def _add(self, text: str) -> None:
        element = self._open[-1]
        # Of an element that has others, it is the space between them.
        if not element.children:
            element.text += text


def _structure(element: _Element) -> dict[str, Any]:
    """Return the properties that an element has as attributes and as elements in it."""
    properties: dict[str, Any] = {
        name: value for name, value in element.attributes.items() if not name.startswith((_RDF, _XML))
    }
    for child in element.children:
        properties[child.name] = _value(child)
    return properties


def _value(element: _Element) -> Any:
    children = element.children
    if children and children[0].name in _ARRAYS:
        return [_value(each) for each in children[0].children]
    if children and children[0].name == f"{_RDF}Description":
        return _structure(children[0])
    structure = _structure(element)
    if structure or element.attributes.get(f"{_RDF}parseType") == "Resource":
        return structure
    return element.attributes.get(f"{_RDF}resource", element.text.strip())
