"""JPEG, and the multi-picture JPEG (ITU-T T.81, annex B)."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from PIL import Image, JpegImagePlugin

from ..frames import DECODER_SCALES
from ..metadata import EXIF_PREFIX
from .base import BrokenFile, Format, Layout, Range


class Jpeg(Format):
    """JPEG: no transparency, no animation, and a decoder that can shrink."""

    name = "JPEG"
    variants = ("MPO",)
    other_names = ("JPG", "JPE", "MPO")
    extension = ".jpg"
    mimetype = "image/jpeg"
    plugin = JpegImagePlugin.JpegImageFile
    decoder_scales = tuple(reversed(DECODER_SCALES[1:]))

    is_written = True
    modes = frozenset({"L", "RGB"})
    max_side = 65_500  # of the 16 bits that the header has, libjpeg takes these
    defaults: ClassVar[Mapping[str, object]] = {"quality": 80, "progressive": True}
    options = frozenset(
        {"quality", "progressive", "progression", "optimize", "subsampling", "qtables", "smooth", "keep_rgb"}
        | {"dpi", "comment", "restart_marker_blocks", "restart_marker_rows", "icc_profile", "exif", "xmp"}
    )
    # libjpeg has no quality 0, and Pillow takes it for "the default".
    ranges: ClassVar[Mapping[str, Range]] = {"quality": Range(1, 100)}

    def announces(self, data: bytes) -> bool:
        """Tell whether the first bytes are those of a JPEG file."""
        return data.startswith(b"\xff\xd8\xff")

    def layout(self, data: bytes) -> Layout:
        """Return the layout of a JPEG file, from its segments up to the first scan."""
        return _layout(data)

    def bare(self, data: bytes, *, animated: bool) -> Any:
        """Return the file without its metadata.

        Raises:
            BrokenFile: It has no end.
        """
        return _bare(data)

    def holds_profile(self, profile: bytes) -> bool:
        """Tell whether a file can hold an ICC profile: any that fits its pixels."""
        return True

    def arguments(self, image: Image.Image, chosen: Mapping[str, object]) -> dict[str, Any]:
        """Return room for what libjpeg writes in one go."""
        if not (chosen.get("progressive") or chosen.get("progression") or chosen.get("optimize")):
            return {}
        width, height = image.size
        # Noise at quality 100 without subsampling takes 0.99 bytes a sample.
        return {"extra": _Room.of(b"", width * height * len(image.getbands()) * 3 // 2)}


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


def _segments(data: bytes) -> Iterator[_Segment]:
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


def _layout(data: bytes) -> Layout:
    size = (0, 0)
    exif: list[bytes] = []
    profile: list[tuple[int, int, bytes]] = []
    multi_picture = False
    for segment in _segments(data):
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
    return Layout(*size, exif=b"".join(exif), icc=icc, variant="MPO" if multi_picture else "")


class _Spliced:
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


def _bare(data: bytes) -> _Spliced:
    """Return a whole JPEG file without its metadata.

    Raises:
        BrokenFile: It has no end.
    """
    parts = [data[:2]]
    for segment in _segments(data):
        droppable = 0xE0 <= segment.marker <= 0xEF or segment.marker == 0xFE
        if not droppable or segment.marker in _NEEDED_TO_DECODE:
            parts.append(data[segment.start : segment.end])
        if segment.marker == _START_OF_SCAN:
            # Coded data holds no marker, so the end that is searched from behind is this image's or a later one's.
            end = data.rfind(b"\xff\xd9", segment.end)
            if end < 0:
                raise BrokenFile("the JPEG file is truncated: it has no end marker")
            return _Spliced(b"".join(parts), memoryview(data)[segment.end : end + 2])
    raise BrokenFile("the JPEG file holds no image data")


class _Room(bytes):
    """Markers for a JPEG file, mostly none, that claim to be longer so that Pillow's buffer holds the whole file.

    libjpeg writes progressive and optimised files in one go, and Pillow guesses at their size: one byte a
    pixel. Noise takes more, and then fails with a message on the process's stderr. The guess counts the
    length of the markers given as `extra`; all else that could be set is global (`ImageFile.MAXBLOCK`).
    """

    room: int

    @classmethod
    def of(cls, markers: bytes, room: int) -> _Room:
        """Return `markers` with `room` bytes added to its length."""
        self = cls(markers)
        self.room = room
        return self

    def __len__(self) -> int:
        return super().__len__() + self.room

    def __add__(self, more: Any) -> _Room:
        return _Room.of(super().__add__(more), self.room)
