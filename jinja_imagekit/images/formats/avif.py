"""AVIF (AV1 Image File Format; ISO/IEC 14496-12 for its boxes)."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from PIL import AvifImagePlugin, Image

from .base import BrokenFile, Format, Layout, Range, most_pieces


class Avif(Format):
    """AVIF, animated or not."""

    name = "AVIF"
    other_names = ("AVIFS",)
    extension = ".avif"
    mimetype = "image/avif"
    plugin = AvifImagePlugin.AvifImageFile

    is_written = True
    modes = frozenset({"L", "RGB", "RGBA"})
    has_alpha = True
    animates = True
    max_side = 65_536  # libavif's encoder
    max_milliseconds = 2**31 - 1
    defaults: ClassVar[Mapping[str, object]] = {"quality": 61, "speed": 8}
    options = frozenset(
        {"quality", "speed", "subsampling", "range", "codec", "tile_rows", "tile_cols", "autotiling"}
        | {"alpha_premultiplied", "advanced", "icc_profile", "exif", "xmp"}
    )
    ranges: ClassVar[Mapping[str, Range]] = {"quality": Range(0, 100), "speed": Range(0, 10)}

    def announces(self, data: bytes) -> bool:
        """Tell whether the file's brands name AVIF, still or animated."""
        if data[4:8] != b"ftyp":
            return False
        brands = data[8 : min(int.from_bytes(data[:4], "big"), 256)]
        return b"avif" in brands or b"avis" in brands

    def layout(self, data: bytes) -> Layout:
        """Return the layout of an AVIF file; Pillow reads its header without cost.

        Raises:
            BrokenFile: A box reaches beyond its end.
        """
        _check_boxes(data)
        with self.opened(data, animated=True) as image:
            frames = getattr(image, "n_frames", 1)
            return Layout(
                *image.size,
                frames=frames,
                # Pillow does not tell; what encoders write unless told otherwise is "for ever".
                plays=0 if frames > 1 else None,
                has_alpha=image.mode == "RGBA",
                exif=image.info.get("exif", b""),
                icc=image.info.get("icc_profile", b"") or b"",
            )

    def sealed(self, data: bytes, image: Image.Image) -> bytes:
        """Take out when the file was written, which makes each run's file another one (14496-12, 8.2.2, 8.3.2, 8.4.2).

        Only an animation says it.
        """
        sealed = bytearray(data)
        for start, version in _times(data, 0, len(data)):
            length = 16 if version == 1 else 8
            sealed[start : start + length] = bytes(length)
        return bytes(sealed)

    def arguments(self, image: Image.Image, chosen: Mapping[str, object]) -> dict[str, Any]:
        """Return one thread: libavif's result depends on their number."""
        return {"max_threads": 1}


def _boxes(data: bytes, position: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield type, start and end of the bodies of the boxes between two places."""
    while position + 8 <= end:
        length, type = struct.unpack_from(">I4s", data, position)
        start = position + 8
        if length == 1:
            length, start = int.from_bytes(data[start : start + 8], "big"), start + 8
        position = position + length if length >= start - position else end
        yield type, start, min(position, end)


def _times(data: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield where movie, tracks and media say when they were made and changed, and the version of the box."""
    for type, body, after in _boxes(data, start, end):
        if type in (b"moov", b"trak", b"mdia"):
            yield from _times(data, body, after)
        elif type in (b"mvhd", b"tkhd", b"mdhd"):
            yield body + 4, data[body]


_TOP_LEVEL_BOXES = frozenset({b"ftyp", b"meta", b"mdat", b"moov", b"moof", b"sidx", b"free", b"skip", b"uuid"})


def _check_boxes(data: bytes) -> None:
    position = 0
    left = most_pieces(data)
    while position + 8 <= len(data):
        left -= 1
        if left < 0:
            raise BrokenFile("the AVIF file has far more boxes than its size explains")
        length = int.from_bytes(data[position : position + 4], "big")
        type = data[position + 4 : position + 8]
        if length == 1:
            length = int.from_bytes(data[position + 8 : position + 16], "big")
        if length == 0 or type not in _TOP_LEVEL_BOXES:
            return
        position += max(length, 8)
        if position > len(data):
            raise BrokenFile("the AVIF file is truncated: a box reaches beyond its end")
