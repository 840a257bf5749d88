"""Reads what an image says of its author, its rights and its making, in XMP and IPTC, and writes XMP of its own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any

from .metadata import decoded
from .xmp import read_xmp, with_description

_NAMESPACES = {
    "dc": "http://purl.org/dc/elements/1.1/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "xmpRights": "http://ns.adobe.com/xap/1.0/rights/",
    "plus": "http://ns.useplus.org/ldf/xmp/1.0/",
    "cc": "http://creativecommons.org/ns#",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
}

_SAID: Mapping[str, tuple[tuple[str, ...], int]] = {
    "artist": (("dc:creator",), 80),
    "copyright": (("dc:rights",), 116),
    "description": (("dc:description",), 120),
    "credit": (("photoshop:Credit",), 110),
    "licence": (("xmpRights:WebStatement", "cc:license"), 0),
    "terms": (("xmpRights:UsageTerms",), 0),
    "licensor": (("plus:Licensor",), 0),
    "source_type": (("Iptc4xmpExt:DigitalSourceType",), 0),
}
"""What is said by which properties of XMP, the best first, and by which dataset of IIM (IPTC Photo Metadata 2023.1)."""

_LICENSOR_URL = "plus:LicensorURL"

_GROUPS: Mapping[str, tuple[str, ...]] = {
    "artist": ("artist",),
    "creator": ("artist",),
    "copyright": ("copyright",),
    "description": ("description",),
    "imagedescription": ("description",),
    "credit": ("credit",),
    "licence": ("licence", "terms", "licensor"),
    "license": ("licence", "terms", "licensor"),
    "ai": ("source_type",),
}
"""What names of the setting `keep_metadata` keep."""

KEEPABLE = tuple(_GROUPS)

_ARRAYS = {"artist": "Seq", "copyright": "Alt", "description": "Alt", "terms": "Alt"}

_SOURCE_TYPE = re.compile(
    r"https?://cv\.iptc\.org/newscodes/digitalsourcetype/(?:[A-Za-z]*[Aa]lgorithmic[A-Za-z]*|compositeSynthetic)"
)
"""Terms of IPTC's vocabulary "Digital Source Type" for what an algorithm made, in whole or in part."""

_MOST_VALUES, _LONGEST = 10, 2_000
"""Authors of an image, and characters of each text: people read them, and a JPEG holds 65502 bytes of XMP."""

_NOT_IN_XML = re.compile("[^\t\n\r\\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Said = dict[str, list[str]]
"""Texts by what they say: `artist`, `copyright`, `description`, `credit`, `licence` and `licensor` (URLs), `terms`,
`source_type` (a URL, where an algorithm made the image)."""


def what_is_said(xmp: bytes, iptc: bytes = b"", manifest: bytes = b"") -> Said:
    """Return what an image says of its author, its rights and its making, save in EXIF.

    Args:
        xmp: The XMP packet.
        iptc: The datasets of IPTC-IIM; XMP goes before them.
        manifest: The C2PA manifest, from which the source type is taken if nothing else tells it.
    """
    if not (xmp or iptc or manifest):
        # Most images say nothing.
        return {}
    said: Said = {}
    names = [name.encode() for properties, _ in _SAID.values() for name in (p.partition(":")[2] for p in properties)]
    # Most packets tell of the camera and of edits, and reading their XML takes time.
    properties = read_xmp(xmp) if any(name in xmp for name in names) else {}
    datasets = dict(_datasets(iptc))
    for what, (own, dataset) in _SAID.items():
        found = next((values for name in own if (values := _texts(properties.get(_full(name))))), [])
        found = found or datasets.get(dataset, [])
        if found:
            said[what] = found
    if not _is_by_algorithm(said.get("source_type")):
        said.pop("source_type", None)
        in_manifest = _SOURCE_TYPE.findall(manifest.decode("latin-1"))
        if in_manifest:
            # The manifest of the file itself stands behind those of what it was made of (C2PA 2.1, 11.1.4).
            said["source_type"] = in_manifest[-1:]
    return said


def kept_xmp(said: Said, fields: Iterable[str]) -> bytes:
    """Return an XMP packet that holds what these fields name and nothing else; empty where nothing is said.

    Args:
        said: What the image says.
        fields: As the setting `keep_metadata` has them.
    """
    wanted = {what for field in fields for what in _GROUPS.get(field.lower().replace("_", ""), ())}
    parts = [_property(what, said[what]) for what in _SAID if what in wanted and what in said]
    if not parts:
        return b""
    used = sorted({part[1 : part.index(":")] for part in parts})
    spaces = "".join(f' xmlns:{prefix}="{_NAMESPACES[prefix]}"' for prefix in used)
    return with_description(b"", f'<rdf:Description rdf:about=""{spaces}>{"".join(parts)}</rdf:Description>')


def _property(what: str, values: list[str]) -> str:
    name = _SAID[what][0][0]
    texts = [escape(value, quote=False) for value in values]
    if what == "licensor":
        url = f"<{_LICENSOR_URL}>{texts[0]}</{_LICENSOR_URL}>"
        inner = f'<rdf:Seq><rdf:li rdf:parseType="Resource">{url}</rdf:li></rdf:Seq>'
    elif array := _ARRAYS.get(what):
        language = ' xml:lang="x-default"' if array == "Alt" else ""
        items = texts if array == "Seq" else texts[:1]
        inner = f"<rdf:{array}>{''.join(f'<rdf:li{language}>{text}</rdf:li>' for text in items)}</rdf:{array}>"
    else:
        inner = texts[0]
    return f"<{name}>{inner}</{name}>"


def _full(name: str) -> str:
    prefix, _, own = name.partition(":")
    return _NAMESPACES[prefix] + own


def _texts(value: Any) -> list[str]:
    """Return the texts of a property, be it one, an array or, of a licensor, a structure with its address."""
    if isinstance(value, dict):
        value = value.get(_full(_LICENSOR_URL))
    if isinstance(value, list):
        return [text for each in value[:_MOST_VALUES] for text in (_texts(each) if not isinstance(each, list) else [])]
    text = _NOT_IN_XML.sub("", value).strip()[:_LONGEST] if isinstance(value, str) else ""
    return [text] if text else []


def _is_by_algorithm(values: list[str] | None) -> bool:
    return bool(values and _SOURCE_TYPE.fullmatch(values[0]))


# --- IPTC-NAA Information Interchange Model 4.2 ---

PHOTOSHOP_PREFIX = b"Photoshop 3.0\0"
"""What the segment of a JPEG begins with that holds resources of Photoshop, IPTC's datasets among them."""

_IPTC_RESOURCE = 0x0404
_MOST_PIECES = 1_000


def iptc_of_resources(resources: bytes) -> bytes:
    """Return the datasets of IPTC-IIM among Photoshop's image resources; empty where there are none."""
    position = 0
    for _ in range(_MOST_PIECES):
        if resources[position : position + 4] != b"8BIM":
            break
        number = int.from_bytes(resources[position + 4 : position + 6], "big")
        # A name with its length in the first byte, and both padded to an even length.
        name = resources[position + 6] if position + 6 < len(resources) else 0
        start = position + 6 + (name + 2) // 2 * 2 + 4
        end = start + int.from_bytes(resources[start - 4 : start], "big")
        if number == _IPTC_RESOURCE:
            return resources[start:end]
        position = end + (end - start) % 2
    return b""


def _datasets(iptc: bytes) -> Iterator[tuple[int, list[str]]]:
    """Yield the texts of record 2, by their dataset's number."""
    found: dict[int, list[str]] = {}
    position = 0
    for _ in range(_MOST_PIECES):
        if position + 5 > len(iptc) or iptc[position] != 0x1C:
            break
        record, dataset = iptc[position + 1 : position + 3]
        length = int.from_bytes(iptc[position + 3 : position + 5], "big")
        # Longer than 32767 bytes is no text that people read.
        if length >= 0x8000:
            break
        if record == 2:
            values = found.setdefault(dataset, [])
            values += _texts(decoded(iptc[position + 5 : position + 5 + length]))[: _MOST_VALUES - len(values)]
        position += 5 + length
    yield from found.items()
