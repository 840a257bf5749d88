"""WebP (RFC 9649)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from PIL import WebPImagePlugin

from .base import BrokenFile, Format, Layout, Range, once_or_more, plays_in_all


class WebP(Format):
    """WebP: lossy or lossless, animated or not."""

    name = "WEBP"
    extension = ".webp"
    mimetype = "image/webp"
    plugin = WebPImagePlugin.WebPImageFile

    is_written = True
    modes = frozenset({"RGB", "RGBA"})
    has_alpha = True
    animates = True
    max_side = 16_383  # 14 bits
    max_milliseconds = 2**24 - 1  # 24 bits of 1/1000 s
    defaults: ClassVar[Mapping[str, object]] = {"quality": 80, "method": 2}
    options = frozenset(
        {"quality", "lossless", "alpha_quality", "method", "exact", "minimize_size", "allow_mixed"}
        | {"kmin", "kmax", "icc_profile", "exif", "xmp"}
    )
    ranges: ClassVar[Mapping[str, Range]] = {
        "quality": Range(0, 100, whole=False),
        "alpha_quality": Range(0, 100, whole=False),
        "method": Range(0, 6),
    }

    def announces(self, data: bytes) -> bool:
        """Tell whether the first bytes are those of a RIFF file of this kind."""
        return data[:4] == b"RIFF" and data[8:12] == b"WEBP"

    def layout(self, data: bytes) -> Layout:
        """Return the layout of a WebP file, from all of its chunks.

        Raises:
            BrokenFile: It is truncated, or holds no image.
        """
        return _layout(data)

    def timing(self, durations: list[int], plays: int | None) -> dict[str, Any]:
        """Return durations and plays, which a WebP counts in all."""
        return {"duration": durations, "loop": plays_in_all(plays)}


def _layout(data: bytes) -> Layout:
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise BrokenFile(f"the WebP file is truncated: it has {len(data)} of {end} bytes")
    first: dict[bytes, bytes] = {}
    frames = 0
    position = 12
    while position + 8 <= end:
        type = data[position : position + 4]
        length = int.from_bytes(data[position + 4 : position + 8], "little")
        if position + 8 + length > end:
            raise BrokenFile("the WebP file is damaged: a chunk reaches beyond its end")
        frames += type == b"ANMF"
        head = length if type in (b"EXIF", b"ICCP") else min(length, 16)
        first.setdefault(type, data[position + 8 : position + 8 + head])
        position += 8 + length + length % 2
    width, height, has_alpha = _canvas(first)
    loop = first.get(b"ANIM", b"")[4:6]
    return Layout(
        width,
        height,
        frames=frames or 1,
        plays=once_or_more(int.from_bytes(loop, "little")) if frames else None,
        has_alpha=has_alpha,
        exif=first.get(b"EXIF", b""),
        icc=first.get(b"ICCP", b""),
    )


def _canvas(first: dict[bytes, bytes]) -> tuple[int, int, bool]:
    if len(extended := first.get(b"VP8X", b"")) >= 10:
        width, height = (int.from_bytes(extended[at : at + 3], "little") + 1 for at in (4, 7))
        return width, height, bool(extended[0] & 0x10)
    if len(lossless := first.get(b"VP8L", b"")) >= 5:
        bits = int.from_bytes(lossless[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, bool(bits >> 28 & 1)
    if len(lossy := first.get(b"VP8 ", b"")) >= 10:
        return int.from_bytes(lossy[6:8], "little") & 0x3FFF, int.from_bytes(lossy[8:10], "little") & 0x3FFF, False
    raise BrokenFile("the WebP file holds no image")
