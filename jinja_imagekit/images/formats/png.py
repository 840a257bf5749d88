"""PNG and APNG (W3C PNG, third edition)."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from PIL import Image, PngImagePlugin

from .base import BrokenFile, Format, Layout, Range, once_or_more, plays_in_all

_MAX_PROFILE_BYTES = 32_000_000
"""An ICC profile in a PNG is compressed; larger than this it is a decompression bomb. CMYK ones take 3 MB at most."""


class Png(Format):
    """PNG, animated or not."""

    name = "PNG"
    other_names = ("APNG",)
    extension = ".png"
    mimetype = "image/png"
    plugin = PngImagePlugin.PngImageFile

    is_written = True
    modes = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16"})
    has_alpha = True
    animates = True
    max_side = 2**31 - 1
    max_milliseconds = 65_535  # 16 bits of 1/1000 s, as Pillow writes them
    defaults: ClassVar[Mapping[str, object]] = {"compress_level": 6}
    options = frozenset({"optimize", "compress_level", "compress_type", "dpi", "icc_profile", "exif", "bits"})
    ranges: ClassVar[Mapping[str, Range]] = {"compress_level": Range(0, 9)}

    def announces(self, data: bytes) -> bool:
        """Tell whether the first bytes are PNG's signature."""
        return data.startswith(b"\x89PNG\r\n\x1a\n")

    def layout(self, data: bytes) -> Layout:
        """Return the layout of a PNG or APNG file, from all of its chunks.

        Raises:
            BrokenFile: It is truncated, or announces other frames than it has.
        """
        return _layout(data)

    def bare(self, data: bytes, *, animated: bool) -> Any:
        """Return the file with the chunks that make its pixels, and nothing else.

        Raises:
            BrokenFile: It is truncated, or a checksum does not match.
        """
        return io.BytesIO(_bare(data, animated))

    def mended(self, image: Image.Image, layout: Layout) -> Image.Image:
        """Bring the transparent colour, which has the file's depth, to the depth of the decoded pixels."""
        key = image.info.get("transparency")
        if isinstance(key, int) and image.mode in ("1", "L") and layout.depth < 8 and key < 2**layout.depth:
            image.info["transparency"] = key * 255 // (2**layout.depth - 1)
        elif isinstance(key, tuple) and layout.depth == 16:
            image.info["transparency"] = tuple(value >> 8 for value in key)
        return image

    def holds_profile(self, profile: bytes) -> bool:
        """Tell whether a file can hold an ICC profile: any that fits its pixels."""
        return True

    def timing(self, durations: list[int], plays: int | None) -> dict[str, Any]:
        """Return durations and plays, which an APNG counts in all."""
        return {"duration": durations, "loop": plays_in_all(plays)}


_SIGNATURE_BYTES = 8
_STILL = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
_ANIMATION = frozenset({b"acTL", b"fcTL", b"fdAT"})


@dataclass(frozen=True, slots=True)
class _Chunk:
    type: bytes
    start: int
    body: int
    end: int
    """Where the body ends; four bytes of checksum follow."""


def _chunks(data: bytes) -> Iterator[_Chunk]:
    position = _SIGNATURE_BYTES
    while position + 12 <= len(data):
        end = position + 8 + int.from_bytes(data[position : position + 4], "big")
        if end + 4 > len(data):
            break
        chunk = _Chunk(data[position + 4 : position + 8], position, position + 8, end)
        yield chunk
        if chunk.type == b"IEND":
            return
        position = end + 4
    raise BrokenFile("the PNG file is truncated: it has no end chunk")


def _layout(data: bytes) -> Layout:
    first: dict[bytes, bytes] = {}
    controls = 0
    for chunk in _chunks(data):
        if chunk.type == b"acTL" and b"IDAT" in first:
            continue
        controls += chunk.type == b"fcTL"
        first.setdefault(chunk.type, b"" if chunk.type == b"IDAT" else data[chunk.body : chunk.end])
    header = first.get(b"IHDR", b"")
    if len(header) < 13:
        raise BrokenFile("the PNG file has no header")
    control = first.get(b"acTL", b"")
    frames = int.from_bytes(control[:4], "big")
    if frames and frames != controls:
        raise BrokenFile(f"the APNG file announces {frames} frames and holds {controls}")
    return Layout(
        int.from_bytes(header[:4], "big"),
        int.from_bytes(header[4:8], "big"),
        frames=frames or 1,
        plays=once_or_more(int.from_bytes(control[4:8], "big")) if frames else None,
        has_alpha=header[9] in (4, 6) or b"tRNS" in first,
        exif=first.get(b"eXIf", b""),
        icc=_profile(first.get(b"iCCP", b"")),
        depth=header[8],
    )


def _profile(chunk: bytes) -> bytes:
    _, _, rest = chunk.partition(b"\0")
    inflater = zlib.decompressobj()
    try:
        profile = inflater.decompress(rest[1:], _MAX_PROFILE_BYTES)
    except zlib.error:
        return b""
    return profile if inflater.eof else b""


def _bare(data: bytes, animated: bool) -> bytes:
    kept = _STILL | _ANIMATION if animated else _STILL
    parts = [data[:_SIGNATURE_BYTES]]
    for chunk in _chunks(data):
        if chunk.type in kept:
            if zlib.crc32(data[chunk.start + 4 : chunk.end]) != int.from_bytes(data[chunk.end : chunk.end + 4], "big"):
                raise BrokenFile(f"the PNG file is damaged: the checksum of a {chunk.type.decode()} chunk is wrong")
            parts.append(data[chunk.start : chunk.end + 4])
    return b"".join(parts)
