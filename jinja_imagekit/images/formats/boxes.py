"""The boxes that files of the ISO base media family, AVIF and JPEG XL are made of (ISO/IEC 14496-12, 4.2)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from .base import BrokenFile, most_pieces

MOST_BOXES = 4_096
"""Boxes that are looked at; honest files have a few dozen."""


def boxes_in(data: bytes, position: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield type, start and end of the bodies of the boxes between two places."""
    for _ in range(MOST_BOXES):
        if position + 8 > end:
            return
        length, type = struct.unpack_from(">I4s", data, position)
        start = position + 8
        if length == 1:
            length, start = int.from_bytes(data[start : start + 8], "big"), start + 8
        position = position + length if length >= start - position else end
        yield type, start, min(position, end)


def check_boxes(data: bytes, types: frozenset[bytes], format: str) -> None:
    """Check that the boxes of a file lie within it, as far as they are of known types.

    Args:
        data: The whole file.
        types: Types of boxes that such a file begins with.
        format: What errors call the format.

    Raises:
        BrokenFile: One reaches beyond the file's end, or there are far too many.
    """
    position = 0
    left = most_pieces(data)
    while position + 8 <= len(data):
        left -= 1
        if left < 0:
            raise BrokenFile(f"the {format} file has far more boxes than its size explains")
        length = int.from_bytes(data[position : position + 4], "big")
        type = data[position + 4 : position + 8]
        if length == 1:
            length = int.from_bytes(data[position + 8 : position + 16], "big")
        if length == 0 or type not in types:
            return
        position += max(length, 8)
        if position > len(data):
            raise BrokenFile(f"the {format} file is truncated: a box reaches beyond its end")


def brands_of(data: bytes) -> bytes:
    """Return the brands that a file begins with, one after the other; empty for other files (14496-12, 4.3)."""
    return data[8 : min(int.from_bytes(data[:4], "big"), 256)] if data[4:8] == b"ftyp" else b""


MEDIA_BOXES = frozenset({b"ftyp", b"meta", b"mdat", b"moov", b"moof", b"sidx", b"free", b"skip", b"uuid"})
"""Types of boxes that files of the ISO base media family begin with."""

C2PA = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
"""The name of the box of a C2PA manifest (C2PA 2.1, A.5.1)."""


def named_box(data: bytes, name: bytes) -> bytes:
    """Return the body of the first box that has a name of 16 bytes (`uuid`); empty where there is none."""
    boxes = (data[start:end] for type, start, end in boxes_in(data, 0, len(data)) if type == b"uuid")
    return next((box[16:] for box in boxes if box.startswith(name)), b"")
