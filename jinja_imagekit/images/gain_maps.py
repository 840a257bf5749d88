"""Gain maps, by which a JPEG is brighter on HDR screens: Ultra HDR (hdrgm in XMP) and ISO 21496-1."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .metadata import read_directory
from .xmp import read_xmp, with_description

ISO_PREFIX = b"urn:iso:std:iso:ts:21496:-1\0"
"""What the segment of a JPEG begins with that holds metadata of ISO 21496-1."""

MPF_PREFIX = b"MPF\0"
"""What the segment begins with that says where the pictures of a file are (CIPA DC-007, 5.1)."""

_HDRGM = "http://ns.adobe.com/hdr-gain-map/1.0/"
_CONTAINER = "http://ns.google.com/photos/1.0/container/"
APPLE = "urn:com:apple:photo:2020:aux:hdrgainmap"
"""The kind of auxiliary image that an iPhone's gain map is."""

_NUMBER = re.compile(r"-?[0-9]{1,9}(?:\.[0-9]{1,20})?(?:[eE]-?[0-9]{1,2})?")
_NUMBERS = ("GainMapMin", "GainMapMax", "Gamma", "OffsetSDR", "OffsetHDR", "HDRCapacityMin", "HDRCapacityMax")
_NEEDED = frozenset({"GainMapMax", "HDRCapacityMax"})
"""What has no default (Gain map 1.0, "XMP metadata")."""


@dataclass(frozen=True, slots=True)
class GainMap:
    """Where the gain map of a JPEG is, and what says how to apply it.

    Attributes:
        start: Of its own JPEG, in the file; 0 for one of a kind that results cannot have.
        end: The first byte behind it.
        hdrgm: The values that XMP states, by name: one number, or one for each of red, green and blue.
        iso: The values of ISO 21496-1, as its binary form has them; often empty.
    """

    start: int = 0
    end: int = 0
    hdrgm: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    iso: bytes = b""

    @property
    def xmp(self) -> bytes:
        """The XMP packet of the map itself; empty where the source has none."""
        if not self.hdrgm:
            return b""
        # Single values are attributes, as some programs take no other form.
        attributes = elements = ""
        for name, numbers in self.hdrgm.items():
            if len(numbers) == 1:
                attributes += f' hdrgm:{name}="{numbers[0]}"'
            else:
                items = "".join(f"<rdf:li>{number}</rdf:li>" for number in numbers)
                elements += f"<hdrgm:{name}><rdf:Seq>{items}</rdf:Seq></hdrgm:{name}>"
        about = f'rdf:about="" xmlns:hdrgm="{_HDRGM}" hdrgm:Version="1.0" hdrgm:BaseRenditionIsHDR="False"'
        return with_description(b"", f"<rdf:Description {about}{attributes}>{elements}</rdf:Description>")

    def primary_xmp(self, xmp: bytes, length: int) -> bytes:
        """Return the XMP packet of the image that a map goes with.

        Args:
            xmp: The packet that it has otherwise; empty for none.
            length: Bytes of the map's JPEG.
        """
        if not self.hdrgm:
            return xmp
        spaces = f'xmlns:Container="{_CONTAINER}" xmlns:Item="{_CONTAINER}item/" xmlns:hdrgm="{_HDRGM}"'
        items = "".join(
            f'<rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="{semantic}" Item:Mime="image/jpeg"'
            f"{more}/></rdf:li>"
            for semantic, more in (("Primary", ""), ("GainMap", f' Item:Length="{length}"'))
        )
        directory = f"<Container:Directory><rdf:Seq>{items}</rdf:Seq></Container:Directory>"
        about = f'<rdf:Description rdf:about="" {spaces} hdrgm:Version="1.0">{directory}</rdf:Description>'
        return with_description(xmp, about)


FOREIGN = GainMap()
"""A gain map that no result can have: Apple's own kind, and those of other formats."""


def pictures_of(index: bytes, start: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield where the further pictures of a file are.

    Args:
        index: The body of the MPF segment behind its prefix, a TIFF directory (CIPA DC-007, 5.2).
        start: Where that lies in the file.
        size: Bytes of the file.
    """
    directory = read_directory(index)
    entry = directory.entries.get(0xB002)
    mark = "<" if directory.order == "little" else ">"
    raw = bytes(entry.raw[: 16 * _MOST_PICTURES]) if entry else b""
    for at in range(16, len(raw) - 15, 16):
        length, offset = struct.unpack_from(f"{mark}II", raw, at + 4)
        if offset and length and start + offset + length <= size:
            yield start + offset, start + offset + length


_MOST_PICTURES = 16


def gain_map_of(start: int, end: int, xmp: bytes, iso: bytes) -> GainMap | None:
    """Return the gain map that a picture of a file is, given its metadata; None if it is another picture.

    Args:
        start: Where the picture lies.
        end: Where it ends.
        xmp: Its XMP packet, often empty.
        iso: Its metadata of ISO 21496-1 without the prefix, often empty.
    """
    hdrgm = _hdrgm(read_xmp(xmp)) if _HDRGM.encode() in xmp else {}
    iso = _whole(iso)
    if hdrgm or iso:
        return GainMap(start, end, hdrgm, iso)
    return FOREIGN if APPLE.encode() in xmp else None


def _hdrgm(properties: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the numbers of a map that goes with an image for SDR; none where one that is needed is missing."""
    found = {}
    for name in _NUMBERS:
        value = properties.get(_HDRGM + name)
        values = tuple(value) if isinstance(value, list) else (value,)
        if len(values) in (1, 3) and all(isinstance(each, str) and _NUMBER.fullmatch(each) for each in values):
            found[name] = values
    is_usual = properties.get(f"{_HDRGM}BaseRenditionIsHDR", "False") == "False"
    return found if is_usual and found.keys() >= _NEEDED else {}


_SEVERAL, _BACKWARD, _COMMON = 0x80, 0x04, 0x08
"""Flags: values for each channel, a map from HDR to SDR, one denominator for all values."""


def _whole(iso: bytes) -> bytes:
    """Return metadata of ISO 21496-1 in its first version, cut to its length; empty where it is none."""
    if len(iso) < 5 or iso[:2] != b"\0\0" or iso[4] & _BACKWARD:
        return b""
    channels = 3 if iso[4] & _SEVERAL else 1
    length = 5 + (12 + 20 * channels if iso[4] & _COMMON else 16 + 40 * channels)
    return iso[:length] if len(iso) >= length else b""


def joined(primary: bytes, map: bytes, gain_map: GainMap) -> bytes:
    """Return one file of an image and its gain map, both whole JPEGs, the image with the XMP that names the map.

    The file is what every program reads as the image alone.
    """
    if gain_map.iso:
        map = _with_segment(map, ISO_PREFIX + gain_map.iso)
        # The image itself tells the version alone.
        primary = _with_segment(primary, ISO_PREFIX + bytes(4))
    place = _end_of_metadata(primary)
    size = len(primary) + _INDEX_BYTES
    # Offsets count from behind the segment's marker, length and prefix.
    index = _index(size, len(map), size - (place + 4 + len(MPF_PREFIX)))
    return primary[:place] + _segment(MPF_PREFIX + index) + primary[place:] + map


def map_bytes(encoded: int, gain_map: GainMap) -> int:
    """Return how many bytes a map of so many has in the joined file."""
    return encoded + (4 + len(ISO_PREFIX) + len(gain_map.iso) if gain_map.iso else 0)


def _index(primary: int, map: int, offset: int) -> bytes:
    """Return the directory of two pictures (CIPA DC-007, 5.2.3): the first is the one to show."""
    entries = struct.pack(">IIIHH", 0x030000, primary, 0, 0, 0) + struct.pack(">IIIHH", 0, map, offset, 0, 0)
    head = b"MM\0\x2a" + struct.pack(">IH", 8, 3)
    tags = struct.pack(">HHI4s", 0xB000, 7, 4, b"0100") + struct.pack(">HHII", 0xB001, 4, 1, 2)
    tags += struct.pack(">HHII", 0xB002, 7, len(entries), len(head) + 36 + 4)
    return head + tags + bytes(4) + entries


_INDEX_BYTES = 4 + len(MPF_PREFIX) + len(_index(0, 0, 0))

MOST_OVERHEAD = _INDEX_BYTES + 4 + len(ISO_PREFIX) + 4
"""Bytes that an image has more in a joined file, besides its XMP."""


def _segment(body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, 0xE2, len(body) + 2) + body


def _with_segment(jpeg: bytes, body: bytes) -> bytes:
    place = _end_of_metadata(jpeg)
    return jpeg[:place] + _segment(body) + jpeg[place:]


def _end_of_metadata(jpeg: bytes) -> int:
    """Return where the application segments end that a JPEG of this library's encoders begins with."""
    place = 2
    while jpeg[place] == 0xFF and 0xE0 <= jpeg[place + 1] <= 0xEF:
        place += 2 + int.from_bytes(jpeg[place + 2 : place + 4], "big")
    return place
