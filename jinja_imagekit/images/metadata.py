"""Reads and writes TIFF directories, the form that EXIF takes, without ever failing on a damaged one."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from PIL import ExifTags, TiffTags

ByteOrder = Literal["little", "big"]

ORIENTATION = 0x0112
ICC_PROFILE = 0x8773
_SUB_DIRECTORY = 0x8769
_POSITION = 0x8825
_POINTERS = frozenset({_SUB_DIRECTORY, _POSITION, 0xA005, 0x014A, 0x0201, 0x0202})
_PRIVATE = frozenset({0x02BC, 0x83BB, 0x8649, 0x927C, 0xA420, 0xA431, 0xA435, 0xC4A5, 0xC62F, 0xC634, 0xC65D, 0xC68C})
"""What holds more than its name says, or tells one camera from all others: XMP, IPTC and Photoshop's resources as a
whole, the maker's notes, raw data, serial numbers and identifiers."""

# TIFF 6.0, section 2, and BigTIFF for the last three: bytes of one value by type.
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_CODES = {1: "B", 2: "H", 4: "I", 8: "Q"}
_UNSIGNED = frozenset({1, 3, 4, 13, 16, 18})

KEEPABLE: Mapping[str, int] = {
    **{tag.name.lower(): tag.value for tag in ExifTags.Base if tag.value not in _POINTERS | _PRIVATE},
    "description": ExifTags.Base.ImageDescription.value,
}
"""EXIF tags by their names in lower case, without underscores."""

EXIF_PREFIX = b"Exif\0\0"
EXIF_PREFIXES = (EXIF_PREFIX, b"Exif\0\xff")
"""What an EXIF block may begin with: the last byte pads (Exif 2.32, 4.5.4), and some cameras write 255."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One value of a directory, as its bytes stand in the file; they are not copied, since entries may overlap."""

    type: int
    count: int
    raw: memoryview


@dataclass(frozen=True, slots=True)
class Directory:
    """A TIFF directory.

    Attributes:
        order: The byte order of its values.
        entries: Its values by tag.
        cut: Tags whose values lie outside of the data.
        is_whole: Whether the data has as many entries as it announces.
    """

    order: ByteOrder
    entries: Mapping[int, Entry]
    cut: frozenset[int] = frozenset()
    is_whole: bool = True

    def numbers(self, tag: int) -> tuple[int, ...]:
        """Return the unsigned whole numbers of a tag; none where it is absent or of another type."""
        entry = self.entries.get(tag)
        if entry is None or entry.type not in _UNSIGNED:
            return ()
        mark = "<" if self.order == "little" else ">"
        return struct.unpack(f"{mark}{entry.count}{_CODES[_TYPE_BYTES[entry.type]]}", entry.raw)

    def count(self, tag: int) -> int:
        """Return how many values a tag has; 0 where it is absent."""
        entry = self.entries.get(tag)
        return entry.count if entry else 0

    def number(self, tag: int, default: int) -> int:
        """Return the number of a tag that has exactly one, as all that this library asks for have."""
        entry = self.entries.get(tag)
        return self.numbers(tag)[0] if entry and entry.count == 1 and entry.type in _UNSIGNED else default


def single(tag: int, entry: Entry) -> Entry:
    """Return the first value of a tag that should have one; Pillow does the same, with a warning."""
    if entry.count == 1 or entry.type not in _NUMBER_BYTES or TiffTags.lookup(tag).length != 1:
        return entry
    return Entry(entry.type, 1, entry.raw[: _NUMBER_BYTES[entry.type]])


_NUMBER_BYTES = {3: 2, 4: 4, 5: 8, 16: 8}
"""Bytes of a number by type; text and bytes are one value, whatever they count (TIFF 6.0, section 2)."""


_EMPTY = Directory("little", {})

_MOST_ENTRIES = 4_096
"""Entries of a directory that are looked at; cameras write a hundred, and each takes time in Python."""


def read_directory(data: bytes | bytearray, *, pointer: int | None = None) -> Directory:
    """Return the first directory of a TIFF file or EXIF block, or the one that its tag `pointer` points at.

    Entries that lie outside of the data or are of an unknown type are left out; damaged data has none.
    """
    if data.startswith(EXIF_PREFIXES):
        data = data[len(EXIF_PREFIX) :]
    order: ByteOrder
    if data[:2] == b"II":
        order = "little"
    elif data[:2] == b"MM":
        order = "big"
    else:
        return _EMPTY
    version = int.from_bytes(data[2:4], order)
    if version not in (42, 43):
        return _EMPTY
    width = 8 if version == 43 else 4
    start = int.from_bytes(data[width : 2 * width], order)
    directory = _read_entries(data, start, order, width)
    if pointer is None:
        return directory
    target = directory.number(pointer, 0)
    return _read_entries(data, target, order, width) if target else _EMPTY


def _read_entries(data: bytes | bytearray, start: int, order: ByteOrder, width: int) -> Directory:
    counter = 8 if width == 8 else 2
    length = 4 + 2 * width
    entries: dict[int, Entry] = {}
    cut: set[int] = set()
    view = memoryview(data)
    count = int.from_bytes(data[start : start + counter], order)
    first = start + counter
    # A count that the data cannot hold is cut down, or a damaged file would cost minutes.
    end = min(first + min(count, _MOST_ENTRIES) * length, len(data) - length + 1)
    for at in range(first, end, length):
        tag, type = (int.from_bytes(data[at + i : at + i + 2], order) for i in (0, 2))
        values = int.from_bytes(data[at + 4 : at + 4 + width], order)
        size = _TYPE_BYTES.get(type, 0) * values
        place = at + 4 + width
        if size > width:
            place = int.from_bytes(data[place : place + width], order)
        if size and place + size <= len(data):
            entries[tag] = Entry(type, values, view[place : place + size])
        elif size:
            cut.add(tag)
    return Directory(order, entries, frozenset(cut), first + count * length <= len(data))


def orientation(directory: Directory) -> int:
    """Return the EXIF orientation, 1 to 8; 1 where it is absent or invalid."""
    value = directory.number(ORIENTATION, 1)
    return value if 1 <= value <= 8 else 1


def without_orientation(exif: bytes) -> bytes:
    """Return an EXIF block, without its prefix, of an image that its decoder has turned upright."""
    changed = bytearray(exif)
    directory = read_directory(changed)
    entry = directory.entries.get(ORIENTATION)
    if entry is not None:
        entry.raw[:] = (1).to_bytes(len(entry.raw), directory.order)
    return bytes(changed)


_TEXTS = {
    "description": 0x010E,
    "make": 0x010F,
    "model": 0x0110,
    "changed": 0x0132,
    "artist": 0x013B,
    "copyright": 0x8298,
    "date": 0x9003,
}
"""EXIF tags whose texts pages show (Exif 2.32, tables 4 and 7)."""

_LONGEST_TEXT = 2_000
"""Bytes of a text that are read; people read it."""


def texts(exif: bytes) -> dict[str, str]:
    """Return what an EXIF block says in words: of `make`, `model`, `date`, `artist`, `copyright`, `description`."""
    found: dict[str, str] = {}
    for directory in (read_directory(exif), read_directory(exif, pointer=_SUB_DIRECTORY)):
        for name, tag in _TEXTS.items():
            entry = directory.entries.get(tag)
            if entry is not None and entry.type in (2, 129):
                # A copyright has two parts with a NUL between.
                parts = decoded(bytes(entry.raw[:_LONGEST_TEXT])).split("\0")
                found[name] = ", ".join(filter(None, map(str.strip, parts)))
    changed = found.pop("changed", "")
    return {**({"date": changed} if changed else {}), **found}


def has_position(exif: bytes) -> bool:
    """Tell whether an EXIF block says where the image was taken (Exif 2.32, 4.6.6)."""
    return bool(read_directory(exif, pointer=_POSITION).entries)


def decoded(raw: bytes) -> str:
    """Return a text of bytes that should be UTF-8, and are Latin-1 in many files."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def kept_exif(exif: bytes, fields: Iterable[str], *, with_orientation: bool = False) -> bytes:
    """Return an EXIF block that holds these fields of another one and nothing else.

    Args:
        exif: An EXIF block, or a TIFF file.
        fields: Names of EXIF fields, in any case, with or without underscores; others are passed over.
        with_orientation: Keep the orientation where it is among the fields; an upright image must not have it.

    Returns:
        The block with its `Exif` prefix; empty where none of the fields is set.
    """
    names = (field.lower().replace("_", "") for field in fields)
    tags = {KEEPABLE[name] for name in names if name in KEEPABLE}
    if not with_orientation:
        tags.discard(ORIENTATION)
    if not tags or not exif:
        return b""
    main = read_directory(exif)
    sub = read_directory(exif, pointer=_SUB_DIRECTORY)
    kept_main = {tag: entry for tag, entry in main.entries.items() if _is_kept(tag, entry, tags)}
    kept_sub = {tag: entry for tag, entry in sub.entries.items() if _is_kept(tag, entry, tags - kept_main.keys())}
    # Pillow's encoder of AVIF parses the block, and would warn of each tag with more values than it should have.
    kept_main, kept_sub = ({tag: single(tag, entry) for tag, entry in kept.items()} for kept in (kept_main, kept_sub))
    return _write(main.order, kept_main, kept_sub) if kept_main or kept_sub else b""


def _is_kept(tag: int, entry: Entry, tags: set[int]) -> bool:
    # A JPEG holds 65533 bytes of EXIF in all; a credit line has a few hundred.
    return tag in tags and len(entry.raw) <= 60_000 // len(tags)


def _write(order: ByteOrder, main: Mapping[int, Entry], sub: Mapping[int, Entry]) -> bytes:
    mark = "<" if order == "little" else ">"
    head = (b"II" if order == "little" else b"MM") + struct.pack(f"{mark}HL", 42, 8)
    if not sub:
        return EXIF_PREFIX + head + _write_entries(mark, 8, main)
    with_pointer = {**main, _SUB_DIRECTORY: Entry(4, 1, memoryview(bytes(4)))}
    sub_start = 8 + len(_write_entries(mark, 8, with_pointer))
    with_pointer[_SUB_DIRECTORY] = Entry(4, 1, memoryview(struct.pack(f"{mark}L", sub_start)))
    return EXIF_PREFIX + head + _write_entries(mark, 8, with_pointer) + _write_entries(mark, sub_start, sub)


def _write_entries(mark: str, start: int, entries: Mapping[int, Entry]) -> bytes:
    directory = struct.pack(f"{mark}H", len(entries))
    values = b""
    values_start = start + 2 + 12 * len(entries) + 4
    for tag, entry in sorted(entries.items()):
        directory += struct.pack(f"{mark}HHL", tag, entry.type, entry.count)
        if len(entry.raw) <= 4:
            directory += bytes(entry.raw).ljust(4, b"\0")
        else:
            directory += struct.pack(f"{mark}L", values_start + len(values))
            values += bytes(entry.raw) + b"\0" * (len(entry.raw) % 2)
    return directory + bytes(4) + values
