"""Walks JPEG and PNG files, and strips them to what makes their pixels."""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from .containers import BrokenFile, Layout
from .ifd import EXIF_PREFIX

_MAX_PROFILE_BYTES = 32_000_000
"""An ICC profile in a PNG is compressed; larger than this it is a decompression bomb. CMYK ones take 3 MB at most."""


# --- JPEG (ITU T.81, annex B) ---

# A marker that is followed by a length, or the end of the image: no stuffed zero, no restart marker.
_MARKER = re.compile(rb"\xff+([\x02-\xcf\xd9-\xfe])")
_START_OF_FRAME = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_START_OF_SCAN, _END_OF_IMAGE, _APP1, _APP2 = 0xDA, 0xD9, 0xE1, 0xE2
_NEEDED_TO_DECODE = frozenset({0xE0, 0xEE})
"""Of the application segments, JFIF and Adobe say how the colours are coded."""


@dataclass(frozen=True, slots=True)
class _Segment:
    marker: int
    start: int
    """Where the marker begins."""
    body: int
    end: int


def _jpeg_segments(data: bytes) -> Iterator[_Segment]:
    position = 2
    while found := _MARKER.search(data, position):
        marker = found[1][0]
        if marker == _END_OF_IMAGE:
            yield _Segment(marker, found.start(), found.end(), found.end())
            return
        end = found.end() + int.from_bytes(data[found.end() : found.end() + 2], "big")
        if end < found.end() + 2 or end > len(data):
            break
        yield _Segment(marker, found.start(), found.end() + 2, end)
        position = end
    raise BrokenFile("the JPEG file is truncated: it has no end marker")


def read_jpeg(data: bytes) -> Layout:
    """Return the layout of a JPEG file, from its segments up to the first scan."""
    size = (0, 0)
    exif: list[bytes] = []
    profile: list[tuple[int, int, bytes]] = []
    multi_picture = False
    for segment in _jpeg_segments(data):
        body = data[segment.body : segment.end] if segment.marker != _START_OF_SCAN else b""
        if segment.marker in _START_OF_FRAME:
            size = int.from_bytes(body[3:5], "big"), int.from_bytes(body[1:3], "big")
        elif segment.marker == _APP1 and body.startswith(EXIF_PREFIX):
            exif.append(body.removeprefix(EXIF_PREFIX))
        elif segment.marker == _APP2 and body.startswith(b"ICC_PROFILE\0") and len(body) > 14:
            profile.append((body[12], body[13], body[14:]))
        elif segment.marker == _APP2 and body.startswith(b"MPF\0"):
            multi_picture = True
        elif segment.marker in (_START_OF_SCAN, _END_OF_IMAGE):
            break
    # ICC.1, annex B.4: each piece carries its number and how many there are.
    complete = [number for number, _, _ in sorted(profile)] == list(range(1, len(profile) + 1))
    icc = b"".join(piece for _, _, piece in sorted(profile)) if complete else b""
    return Layout(*size, exif=b"".join(exif), icc=icc, multi_picture=multi_picture)


class Spliced:
    """A file of two pieces, read without joining them: the coded data of a photo takes megabytes.

    A read ends where the first piece does, as that of a pipe may.
    """

    def __init__(self, head: bytes, tail: memoryview) -> None:
        self._head = head
        self._tail = tail
        self._position = 0

    def read(self, size: int = -1) -> bytes:
        """Return at most so many bytes; all of a piece for a negative size."""
        begin = self._position - len(self._head)
        piece, begin = (self._tail, begin) if begin >= 0 else (memoryview(self._head), self._position)
        data = bytes(piece[begin : begin + size] if size >= 0 else piece[begin:])
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to an offset from the start or from where the file stands."""
        self._position = offset + (self._position if whence == io.SEEK_CUR else 0)
        return self._position

    def tell(self) -> int:
        """Return where the file stands."""
        return self._position

    def close(self) -> None:
        """Let go of the pieces."""
        self._head, self._tail = b"", memoryview(b"")


def bare_jpeg(data: bytes) -> Spliced:
    """Return a whole JPEG file without its metadata.

    Raises:
        BrokenFile: It has no end.
    """
    parts = [data[:2]]
    for segment in _jpeg_segments(data):
        droppable = 0xE0 <= segment.marker <= 0xEF or segment.marker == 0xFE
        if not droppable or segment.marker in _NEEDED_TO_DECODE:
            parts.append(data[segment.start : segment.end])
        if segment.marker == _START_OF_SCAN:
            # Coded data holds no marker, so the end that is searched from behind is this image's or a later one's.
            end = data.rfind(b"\xff\xd9", segment.end)
            if end < 0:
                raise BrokenFile("the JPEG file is truncated: it has no end marker")
            return Spliced(b"".join(parts), memoryview(data)[segment.end : end + 2])
    raise BrokenFile("the JPEG file holds no image data")


# --- PNG (W3C PNG, third edition) ---

_PNG_SIGNATURE_BYTES = 8
_PNG_STILL = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
_PNG_ANIMATION = frozenset({b"acTL", b"fcTL", b"fdAT"})


@dataclass(frozen=True, slots=True)
class _Chunk:
    type: bytes
    start: int
    body: int
    end: int
    """Where the body ends; four bytes of checksum follow."""


def _png_chunks(data: bytes) -> Iterator[_Chunk]:
    position = _PNG_SIGNATURE_BYTES
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


def read_png(data: bytes) -> Layout:
    """Return the layout of a PNG or APNG file, from all of its chunks.

    Raises:
        BrokenFile: It is truncated, or announces other frames than it has.
    """
    first: dict[bytes, bytes] = {}
    controls = 0
    for chunk in _png_chunks(data):
        if chunk.type == b"acTL" and b"IDAT" in first:
            continue
        controls += chunk.type == b"fcTL"
        first.setdefault(chunk.type, b"" if chunk.type == b"IDAT" else data[chunk.body : chunk.end])
    header = first.get(b"IHDR", b"")
    if len(header) < 13:
        raise BrokenFile("the PNG file has no header")
    frames = int.from_bytes(first.get(b"acTL", b"")[:4], "big")
    if frames and frames != controls:
        raise BrokenFile(f"the APNG file announces {frames} frames and holds {controls}")
    return Layout(
        int.from_bytes(header[:4], "big"),
        int.from_bytes(header[4:8], "big"),
        frames=frames or 1,
        has_alpha=header[9] in (4, 6) or b"tRNS" in first,
        exif=first.get(b"eXIf", b""),
        icc=_png_profile(first.get(b"iCCP", b"")),
        depth=header[8],
    )


def _png_profile(chunk: bytes) -> bytes:
    _, _, rest = chunk.partition(b"\0")
    inflater = zlib.decompressobj()
    try:
        profile = inflater.decompress(rest[1:], _MAX_PROFILE_BYTES)
    except zlib.error:
        return b""
    return profile if inflater.eof else b""


def bare_png(data: bytes, *, animated: bool) -> bytes:
    """Return a whole PNG file with the chunks that make its pixels, and nothing else.

    Raises:
        BrokenFile: It is truncated, or a checksum does not match.
    """
    kept = _PNG_STILL | _PNG_ANIMATION if animated else _PNG_STILL
    parts = [data[:_PNG_SIGNATURE_BYTES]]
    for chunk in _png_chunks(data):
        if chunk.type in kept:
            if zlib.crc32(data[chunk.start + 4 : chunk.end]) != int.from_bytes(data[chunk.end : chunk.end + 4], "big"):
                raise BrokenFile(f"the PNG file is damaged: the checksum of a {chunk.type.decode()} chunk is wrong")
            parts.append(data[chunk.start : chunk.end + 4])
    return b"".join(parts)
