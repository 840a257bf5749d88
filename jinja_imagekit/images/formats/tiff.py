"""TIFF and BigTIFF (TIFF 6.0)."""

from __future__ import annotations

import ctypes
import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import PIL
from PIL import ImageFile, TiffImagePlugin

from ..colour import may_be_transparent
from ..metadata import ICC_PROFILE, Directory, read_directory
from .base import MOST_PROFILE_BYTES, BrokenFile, Format, Layout, most_pieces


class Tiff(Format):
    """TIFF: its first image is read; none is written."""

    name = "TIFF"
    extension = ".tif"
    mimetype = "image/tiff"
    plugin = TiffImagePlugin.TiffImageFile
    warns_of_size = True

    def announces(self, data: bytes) -> bool:
        """Tell whether the first bytes are a byte order and TIFF's or BigTIFF's number."""
        return data.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"))

    def layout(self, data: bytes) -> Layout:
        """Return the layout of a TIFF file's first image (sections 8 and 15).

        Raises:
            BrokenFile: A strip or tile lies outside of the file, or what says how to read them.
        """
        directory = read_directory(data)
        _check_whole(directory, data)
        icc = directory.entries.get(ICC_PROFILE)
        width, height = directory.number(_WIDTH, 0), directory.number(_HEIGHT, 0)
        tile = directory.number(_TILE_WIDTH, 0), directory.number(_TILE_HEIGHT, 0)
        with self.opened(data, animated=False) as image:
            return Layout(
                width,
                height,
                canvas=(max(width, tile[0]), max(height, tile[1])),
                has_alpha=may_be_transparent(image),
                exif=data,
                icc=bytes(icc.raw) if icc and len(icc.raw) <= MOST_PROFILE_BYTES else b"",
            )

    @contextmanager
    def opened(self, data: bytes, *, animated: bool) -> Iterator[ImageFile.ImageFile]:
        """Open a file with Pillow's plugin; what libtiff has to say of damage is not printed."""
        _silence_libtiff()
        with super().opened(data, animated=animated) as file:
            yield file

    def bare(self, data: bytes, *, animated: bool) -> Any:
        """Return the file with a directory of nothing but what makes the pixels of its first image.

        Pillow warns of damaged metadata through the process's warnings, and libtiff on its standard error.
        """
        return io.BytesIO(_with_directory(data, read_directory(data)))


@cache
def _silence_libtiff() -> None:
    """Take away libtiff's handler of errors, which prints a line for each damaged row; Pillow reports them as well.

    Pillow itself takes away the handler of warnings, and offers no way to this one. Where the library is not found
    beside Pillow, lines are printed.
    """
    folder = Path(PIL.__file__).parent
    for path in (*folder.parent.glob("pillow.libs/libtiff*"), *folder.glob(".dylibs/libtiff*")):
        with suppress(OSError, AttributeError):
            ctypes.CDLL(str(path)).TIFFSetErrorHandler(None)


_WIDTH, _HEIGHT, _TILE_WIDTH, _TILE_HEIGHT = 256, 257, 322, 323
_OFFSETS_AND_LENGTHS = ((273, 279), (324, 325))

_PIXEL_TAGS = frozenset({254, 256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 292, 293, 317, 320, 322, 323})
_PIXEL_TAGS |= frozenset({324, 325, 332, 333, 334, 338, 339, 347, 512, 513, 514, 515, 517, 518, 519, 520, 521})
_PIXEL_TAGS |= frozenset({529, 530, 531, 532})
"""What says how pixels are stored: TIFF 6.0, and JPEG in TIFF (Technical Note 2)."""


def _check_whole(directory: Directory, data: bytes) -> None:
    if sum(len(entry.raw) for entry in directory.entries.values()) > len(data):
        # Values that overlap fill no file; Pillow would copy each of them.
        raise BrokenFile("the TIFF file is damaged: its directory is larger than the file")
    lost = directory.cut & (_PIXEL_TAGS | {ICC_PROFILE})
    if lost or not directory.is_whole:
        where = f"tag {min(lost)}" if lost else "its directory"
        raise BrokenFile(f"the TIFF file is truncated: {where} reaches beyond its end")
    for tags in _OFFSETS_AND_LENGTHS:
        if any(directory.count(tag) > most_pieces(data, 128) for tag in tags):
            raise BrokenFile("the TIFF file has far more strips than its size explains")
        offsets, lengths = (directory.numbers(tag) for tag in tags)
        if any(offset + length > len(data) for offset, length in zip(offsets, lengths, strict=False)):
            raise BrokenFile("the TIFF file is truncated: image data reaches beyond its end")


def _with_directory(data: bytes, directory: Directory) -> bytes:
    """Return a file whose directory, at its end, holds the tags of the pixels alone."""
    entries = {tag: entry for tag, entry in sorted(directory.entries.items()) if tag in _PIXEL_TAGS}
    big = data[2:4] in (b"+\0", b"\0+")
    mark, width, count = ("<" if directory.order == "little" else ">"), ("Q" if big else "L"), ("Q" if big else "H")
    inline = struct.calcsize(f"{mark}{width}")
    start = len(data) + len(data) % 2
    values_start = start + struct.calcsize(f"{mark}{count}{width}") + len(entries) * (4 + 2 * inline)
    table, values = struct.pack(f"{mark}{count}", len(entries)), b""
    for tag, entry in entries.items():
        table += struct.pack(f"{mark}HH{width}", tag, entry.type, entry.count)
        if len(entry.raw) <= inline:
            table += bytes(entry.raw).ljust(inline, b"\0")
        else:
            table += struct.pack(f"{mark}{width}", values_start + len(values))
            values += bytes(entry.raw) + b"\0" * (len(entry.raw) % 2)
    head = data[: 8 if big else 4] + struct.pack(f"{mark}{width}", start)
    padding = b"\0" * (start - len(data))
    return b"".join((head, memoryview(data)[len(head) :], padding, table, bytes(inline), values))
