"""WebP (RFC 9649)."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from PIL import Image

from .. import palettes
from ..frames import Coding
from .base import (
    MOST_PROFILE_BYTES,
    BrokenFile,
    Format,
    Frame,
    Layout,
    Range,
    Wish,
    most_pieces,
    once_or_more,
    plays_in_all,
)


class WebP(Format):
    """WebP: lossy or lossless, animated or not."""

    name = "WEBP"
    extension = ".webp"
    mimetype = "image/webp"
    shown_by_browsers = True
    plugin = "WebPImagePlugin.WebPImageFile"

    modes = frozenset({"RGB", "RGBA"})
    has_alpha = True
    animates = True
    max_side = 16_383  # 14 bits
    max_milliseconds = 2**24 - 1  # 24 bits of 1/1000 s
    defaults: ClassVar[Mapping[str, object]] = {"quality": 79}
    # The same look takes one step of quality more with the first of these methods.
    efforts: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "fast": {"method": 2, "quality": 80},
        "balanced": {"method": 5},
        "small": {"method": 6},
    }
    qualities = (40, 48, 55, 61, 67, 73, 79, 85, 91)
    flags = frozenset({"lossless", "exact", "minimize_size", "allow_mixed"})
    options = flags | {"quality", "alpha_quality", "method", "kmin", "kmax", "icc_profile", "exif", "xmp"}
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
        webp = _walk(data)
        if webp.end > len(data):
            raise BrokenFile(f"the WebP file is truncated: it has {len(data)} of {webp.end} bytes")
        width, height, has_alpha = _canvas(webp.first)
        return Layout(
            width,
            height,
            frames=max(1, webp.frames),
            plays=once_or_more(int.from_bytes(webp.first.get(b"ANIM", b"")[4:6], "little")) if webp.frames else None,
            has_alpha=has_alpha or webp.leaves_bare,
            exif=webp.first.get(b"EXIF", b""),
            xmp=webp.first.get(b"XMP ", b""),
            manifest=webp.first.get(b"C2PA", b""),
            icc=webp.first.get(b"ICCP", b""),
            coding=Coding(lossless=webp.is_lossless),
        )

    def frames(self, data: bytes, layout: Layout, *, animated: bool, scale: int) -> Iterator[Frame]:
        """Yield the image, or the frames of an animation.

        Whatever the file says of alpha, a canvas is transparent where no frame has been.
        """
        # Most sites have none.
        from PIL import _webp

        webp = _walk(data)
        decoder = _webp.WebPAnimDecoder(_bare(data, webp))
        is_opaque = not (layout.has_alpha or webp.leaves_bare)
        before = 0
        for number in range(layout.frames if animated else 1):
            decoded = decoder.get_next()
            if decoded is None:
                raise BrokenFile(f"the WebP file is damaged: frame {number} cannot be decoded")
            pixels, after = decoded
            if number == layout.frames - 1 or not animated:
                # Its canvases take twice the memory of the image.
                del decoder
            size = (layout.width, layout.height)
            if is_opaque:
                image = Image.frombytes("RGB", size, pixels, "raw", "RGBX")
            else:
                image = Image.frombuffer("RGBA", size, pixels, "raw", "RGBA", 0, 1)
            yield Frame(image, after - before)
            before = after

    def saved(self, images: list[Image.Image], arguments: Mapping[str, Any], wish: Wish) -> bytes:
        """Return the frames as a file, unless the caller chose the coding without loss if

        - the source is coded so,
        - a still image has few colours, or
        - it is flat and smaller that way, as screenshots and logos are.
        """
        if {"quality", "lossless"} & wish.asked:
            return self.saved_by_pillow(images, arguments)
        lossless = {**arguments, **_LOSSLESS}
        if wish.coding.lossless or (len(images) == 1 and images[0].getcolors(palettes.MOST_COLOURS) is not None):
            return self.saved_by_pillow(images, lossless)
        data = self.saved_by_pillow(images, arguments)
        if len(images) == 1 and palettes.is_flat(images[0]):
            return min(self.saved_by_pillow(images, lossless), data, key=len)
        return data

    def stripped(self, data: bytes, layout: Layout, exif: bytes, xmp: bytes) -> bytes | None:
        """Return a file of the chunks that make pixels."""
        webp = _walk(data)
        chunks = b"".join(data[start:end] for type, start, end in webp.chunks if type in _OF_PIXELS)
        is_simple = webp.frames == 0 and b"ALPH" not in webp.first and not exif and not xmp
        if not is_simple:
            flags = (webp.first.get(b"VP8X", b"\0")[0] & _ANIMATION) | (_ALPHA if layout.has_alpha else 0)
            sides = b"".join((side - 1).to_bytes(3, "little") for side in (layout.width, layout.height))
            kept = {type: body for type, body in ((b"EXIF", exif), (b"XMP ", xmp)) if body}
            flags |= sum(_METADATA[type] for type in kept)
            chunks = _chunk(b"VP8X", bytes((flags, 0, 0, 0)) + sides) + chunks
            chunks += b"".join(_chunk(type, body) for type, body in kept.items())
        return b"RIFF" + (len(chunks) + 4).to_bytes(4, "little") + b"WEBP" + chunks

    def sealed(self, data: bytes, image: Image.Image) -> bytes:
        """Set the alpha flag, which libwebp leaves out if only parts of the canvas without a frame are transparent."""
        if image.mode != "RGBA" or data[12:16] != b"VP8X" or data[20] & _ALPHA:
            return data
        return b"".join((data[:20], bytes((data[20] | _ALPHA,)), data[21:]))

    def timing(self, durations: list[int], plays: int | None) -> dict[str, Any]:
        """Return durations and plays, which a WebP counts in all."""
        return {"duration": durations, "loop": plays_in_all(plays)}


_ALPHA = 0x10
_LOSSLESS = {"lossless": True, "quality": 75, "method": 4}
"""Smaller by 1 to 10 % than with less effort, in no more time than the lossy encoder takes."""
_ANIMATION = 0x02
_OF_PIXELS = frozenset({b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF"})
_METADATA = {b"ICCP": 0x20, b"EXIF": 0x08, b"XMP ": 0x04}
"""Chunks that make no pixels, and what marks them in the header of an extended file."""

_READ_WHOLE = frozenset({*_METADATA, b"C2PA"})
_KEPT_WHOLE = 65_536
"""Bytes of metadata that are not worth the copy of a file without them; libwebp copies what it is given."""


@dataclass(slots=True)
class _WebPFile:
    """What the chunks of a file say: where it ends, the first of each type, and how its frames lie."""

    end: int
    first: dict[bytes, bytes] = field(default_factory=dict)
    frames: int = 0
    leaves_bare: bool = False
    is_lossless: bool = True
    """Whether no frame is lossy."""
    chunks: list[tuple[bytes, int, int]] = field(default_factory=list)
    """Type, start and end of each chunk, its head and the byte that pads it among them."""

    @property
    def metadata(self) -> list[tuple[int, int]]:
        """Where chunks lie that make no pixels."""
        return [(start, end) for type, start, end in self.chunks if type in _METADATA]


def _walk(data: bytes) -> _WebPFile:
    """Take a WebP file apart.

    Raises:
        BrokenFile: A chunk reaches beyond its end, or there are too many.
    """
    webp = _WebPFile(8 + int.from_bytes(data[4:8], "little"))
    end = min(webp.end, len(data))
    position = 12
    left = most_pieces(data)
    while position + 8 <= end:
        type, length = struct.unpack_from("<4sI", data, position)
        if position + 8 + length > webp.end:
            raise BrokenFile("the WebP file is damaged: a chunk reaches beyond its end")
        body, position = position + 8, position + 8 + length + length % 2
        if type == b"ANMF" and length >= 24:
            webp.leaves_bare |= _leaves_bare(data, body, webp)
            webp.frames += 1
            webp.is_lossless &= data[body + 16 : body + 20] == b"VP8L"
        elif type == b"VP8 ":
            webp.is_lossless = False
        webp.chunks.append((type, body - 8, min(position, end)))
        if type not in webp.first:
            head = length if type in _READ_WHOLE and length <= MOST_PROFILE_BYTES else min(length, 16)
            webp.first[type] = data[body : body + head]
        left -= 1
        if left < 0:
            raise BrokenFile("the WebP file has far more chunks than its size explains")
    return webp


def _leaves_bare(data: bytes, frame: int, webp: _WebPFile) -> bool:
    """Tell whether the canvas may show through a frame, or once it has been disposed of (RFC 9649, 2.7.1.1)."""
    canvas = webp.first.get(b"VP8X", b"")
    covers = data[frame : frame + 6] == bytes(6) and data[frame + 6 : frame + 12] == canvas[4:10]
    disposed = bool(data[frame + 15] & 1)
    kind = data[frame + 16 : frame + 20]
    seen = kind == b"ALPH" or (kind == b"VP8L" and bool(data[frame + 28] >> 4 & 1))
    return seen or disposed or (webp.frames == 0 and not covers)


def _bare(data: bytes, webp: _WebPFile) -> bytes:
    """Return a file without metadata, where there is much of it."""
    if sum(end - start for start, end in webp.metadata) <= _KEPT_WHOLE:
        return data
    pieces, position, end = [], 12, min(webp.end, len(data))
    for start, after in webp.metadata:
        pieces.append(data[position:start])
        position = after
    pieces.append(data[position:end])
    body = b"".join(pieces)
    if body.startswith(b"VP8X"):
        flags = body[8] & ~sum(_METADATA.values())
        body = b"".join((body[:8], bytes((flags,)), body[9:]))
    return b"RIFF" + (len(body) + 4).to_bytes(4, "little") + b"WEBP" + body


def _chunk(type: bytes, body: bytes) -> bytes:
    return type + len(body).to_bytes(4, "little") + body + bytes(len(body) % 2)


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
