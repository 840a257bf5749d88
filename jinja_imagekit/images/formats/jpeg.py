"""JPEG, and the multi-picture JPEG (ITU-T T.81, annex B)."""

from __future__ import annotations

import re
import struct
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from PIL import Image, _imaging

from ...exceptions import InvalidOption
from ..chroma import has_saturated_edges
from ..frames import DECODER_SCALES, reduced_size
from ..gain_maps import ISO_PREFIX, MPF_PREFIX, GainMap, gain_map_of, pictures_of
from ..metadata import EXIF_PREFIXES
from ..rights import PHOTOSHOP_PREFIX, iptc_of_resources
from ..xmp import JPEG_PREFIX as XMP_PREFIX
from .base import BrokenFile, Format, Frame, Layout, Range, Wish, most_pieces


class Jpeg(Format):
    """JPEG: no transparency, no animation, and a decoder that can shrink."""

    name = "JPEG"
    variants = ("MPO",)
    other_names = ("JPG", "JPE", "MPO")
    extension = ".jpg"
    mimetype = "image/jpeg"
    shown_by_browsers = True
    end = b"\xff\xd9"
    plugin = "JpegImagePlugin.JpegImageFile"
    decoder_scales = tuple(reversed(DECODER_SCALES[1:]))

    modes = frozenset({"L", "RGB"})
    max_side = 65_500  # of the 16 bits that the header has, libjpeg takes these
    defaults: ClassVar[Mapping[str, object]] = {"quality": 80, "progressive": True}
    efforts: ClassVar[Mapping[str, Mapping[str, object]]] = {"fast": {"progressive": False}, "small": {}}
    qualities = (40, 48, 55, 61, 67, 73, 79, 85, 91)
    flags = frozenset({"progressive", "progression", "optimize", "keep_rgb"})
    options = flags | {"quality", "subsampling", "qtables", "smooth", "dpi", "comment", "icc_profile", "exif", "xmp"}
    options |= {"restart_marker_blocks", "restart_marker_rows"}
    # libjpeg has no quality 0, and Pillow takes it for "the default".
    ranges: ClassVar[Mapping[str, Range]] = {"quality": Range(1, 100)}

    def announces(self, data: bytes) -> bool:
        """Tell whether the first bytes are those of a JPEG file."""
        return data.startswith(b"\xff\xd8\xff")

    def layout(self, data: bytes) -> Layout:
        """Return the layout of a JPEG file, from its segments up to the first scan."""
        return _layout(data)

    def frames(self, data: bytes, layout: Layout, *, animated: bool, scale: int) -> Iterator[Frame]:
        """Yield the image.

        Raises:
            BrokenFile: Its data ends before its last row, or scans are missing.
        """
        if layout.repair:
            # Of what is missing, libjpeg makes a grey that goes on from the last row.
            yield Frame(_bare(data, _EOI, repair=True).decoded(scale), 0)
            return
        file = _bare(data, _FILLER, may_guess=layout.variant != "MPO")
        try:
            image = file.decoded(scale)
        except BrokenFile:
            if not file.proof:
                raise
            # It may come of the guess, or of the file.
            file = _bare(data, _FILLER)
            image = file.decoded(scale)
        if not file.tells:
            # Several scans, and no end marker: what follows them must not show.
            other = _bare(data, bytes(len(_FILLER)))
            if other.decoded(scale).tobytes() != image.tobytes():
                raise BrokenFile("the JPEG file is truncated: its last scan is incomplete")
        yield Frame(image, 0)

    def stripped(self, data: bytes, layout: Layout, exif: bytes, xmp: bytes) -> bytes | None:
        """Return a file of tables and scans, without other pictures and all that is not needed to decode it."""
        parts, position, has_end = [data[:2]], 2, False
        kept = _metadata(exif, xmp)
        while not has_end:
            for segment in _segments(data, position):
                body = data[segment.body : segment.end]
                if segment.marker in _START_OF_FRAME and (segment.marker not in _SHOWN or body[0] != 8 or body[5] > 3):
                    return None
                has_end = segment.marker == _END_OF_IMAGE
                parts += _kept(segment, body)
                if segment.marker == _APP0:
                    parts.append(kept)
                    kept = b""
                position = segment.end
            if not has_end:
                found = _END_OF_SCAN.search(data, position)
                end = found.start() if found else len(data)
                parts.append(data[position:end])
                position, has_end = end, _marker(data, end, end + _MOST_GARBAGE) < 0
        # Without the mark of a JFIF file, metadata comes first.
        return b"".join((*parts[:1], kept, *parts[1:], _EOI))

    def holds_profile(self, profile: bytes) -> bool:
        """Tell whether a file can hold an ICC profile: any that fits its pixels."""
        return True

    def saved(self, images: list[Image.Image], arguments: Mapping[str, Any], wish: Wish) -> bytes:
        """Return the image as a file: Pillow's or, where `jpeg_encoder` says so, that of jpegli.

        What jpegli's binding cannot write is Pillow's in any case: grey, and other chroma than 4:2:0.

        Raises:
            InvalidOption: An option was chosen that jpegli does not have.
        """
        if wish.rules.jpeg_encoder != "jpegli":
            return self.saved_by_pillow(images, arguments)
        for name in sorted(wish.asked & self.options - _OPTIONS_OF_JPEGLI):
            raise InvalidOption(name, arguments[name], "jpegli has no such option; leave it to jpeg_encoder='pillow'.")
        image = images[0]
        if image.mode != "RGB" or arguments.get("subsampling", "4:2:0") not in ("4:2:0", 2):
            return self.saved_by_pillow(images, arguments)
        return _by_jpegli(image, arguments)

    def arguments(self, image: Image.Image, chosen: Mapping[str, object]) -> dict[str, Any]:
        """Return chroma in full where its edges would show, and room for what libjpeg writes in one go."""
        arguments: dict[str, Any] = {}
        if not (chosen.keys() & {"subsampling", "keep_rgb"}) and has_saturated_edges(image):
            arguments["subsampling"] = "4:4:4"
        if chosen.get("progressive") or chosen.get("progression") or chosen.get("optimize"):
            width, height = image.size
            # Noise at quality 100 without subsampling takes 0.99 bytes a sample.
            arguments["extra"] = _Room.of(b"", width * height * len(image.getbands()) * 3 // 2)
        return arguments


_OPTIONS_OF_JPEGLI = frozenset({"quality", "subsampling", "icc_profile", "exif", "xmp"})

_MOST_OF_PROFILE = 65_519
"""Bytes of an ICC profile in one segment (ICC.1:2022, B.4)."""


def _by_jpegli(image: Image.Image, arguments: Mapping[str, Any]) -> bytes:
    """Return an image as jpegli writes it, which knows no metadata, and with those of the arguments."""
    # An extra.
    import pyjpegli

    data: bytes = pyjpegli.encode(image.tobytes(), *image.size, quality=arguments["quality"])
    segments = [_metadata(arguments.get("exif") or b"", arguments.get("xmp") or b"")]
    profile = arguments.get("icc_profile") or b""
    parts = [profile[at : at + _MOST_OF_PROFILE] for at in range(0, len(profile), _MOST_OF_PROFILE)]
    for number, part in enumerate(parts, 1):
        segments.append(_segment(_APP2, b"ICC_PROFILE\0" + bytes((number, len(parts))) + part))
    return b"".join((data[:2], *segments, data[2:]))


_FILL_BYTES = re.compile(rb"\xff+")
_WITHOUT_LENGTH = frozenset({0x00, 0x01, *range(0xD0, 0xD9)})
"""What may follow 0xFF without beginning a segment: a stuffed zero, restart markers, the start of an image."""
# What ends a scan: no stuffed zero, no restart marker, no fill byte.
_END_OF_SCAN = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_START_OF_FRAME = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_SEQUENTIAL, _PROGRESSIVE = frozenset({0xC0, 0xC1}), frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_START_OF_SCAN, _END_OF_IMAGE, _APP1, _APP2, _APP11, _APP13 = 0xDA, 0xD9, 0xE1, 0xE2, 0xEB, 0xED
_SHOWN = _SEQUENTIAL | {0xC2}
"""How browsers know a JPEG to be coded: not arithmetically, and not without loss."""
_APP0, _ADOBE = 0xE0, 0xEE
_JFIF = b"JFIF\0\1\1\0\0\1\0\1\0\0"
"""The body of the mark of a JFIF file, without a thumbnail."""
_NEEDED_TO_DECODE = frozenset({0xE0, 0xEE})
"""Of the application segments, JFIF and Adobe say how the colours are coded."""

_EOI = b"\xff\xd9"
_RESTART_INTERVAL = 0xDD

_FILLER = b"\xff\x00" * 8
"""Bits that stand for no code, as many as libjpeg reads ahead (8 bytes).

Where they stand instead of the end marker, a decoder that has all of its data comes to its last row, and one that
lacks more than a few bytes asks for more: with the end marker, libjpeg would invent the rest.
"""

_BLOCK_BYTES = 512
"""Most bytes of a block of 8 × 8 samples: 64 codes of 16 bits with 15 bits behind each, all stuffed, and a marker."""

_MOST_GARBAGE = 1 << 16
"""Bytes between segments, in all, that are passed over, as libjpeg does."""

_MOST_SCANS, _FEWEST_SCANS, _MOST_PASSES = 200, 40, 2_500_000_000
"""Each scan of a progressive file is a pass over the whole image, be it of 20 bytes; encoders make 3 to 20, rarely 64.

So a large image may have fewer of them: not more than so many pixels are passed over in all.
"""


@dataclass(frozen=True, slots=True)
class _Segment:
    marker: int
    start: int
    """Where the marker begins."""
    body: int
    end: int


_NEXT = re.compile(rb"\xff[^\xff" + re.escape(bytes(_WITHOUT_LENGTH)) + rb"]", re.DOTALL)


def _segments(data: bytes, position: int = 2, most: int = sys.maxsize) -> list[_Segment]:
    """Return the segments up to the first scan or the end of the image, or the first few of them."""
    # A list, since a generator would be entered once for each of them.
    segments: list[_Segment] = []
    left = most_pieces(data, 2_048)
    garbage = _MOST_GARBAGE
    while True:
        # As a rule, the next segment begins where the last one ends.
        start = position if _NEXT.match(data, position) else _marker(data, position, position + garbage)
        if start < 0:
            break
        garbage -= start - position
        marker, body = data[start + 1], start + 2
        if marker == _END_OF_IMAGE:
            segments.append(_Segment(marker, start, body, body))
            return segments
        end = body + int.from_bytes(data[body : body + 2], "big")
        if end < body + 2 or end > len(data):
            break
        if not left:
            raise BrokenFile("the JPEG file has far more segments than its size explains")
        left -= 1
        segments.append(_Segment(marker, start, body + 2, end))
        if marker == _START_OF_SCAN or len(segments) == most:
            return segments
        position = end
    raise BrokenFile("the JPEG file is truncated: it ends before its image data")


def _marker(data: bytes, position: int, end: int) -> int:
    """Return the position of the next marker that has a length or ends the image; -1 if there is none."""
    while (fill := _FILL_BYTES.search(data, position, end + 1)) and fill.end() < len(data):
        if data[fill.end()] not in _WITHOUT_LENGTH and fill.end() <= end:
            return fill.end() - 1
        position = fill.end() + 1
    return -1


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def _metadata(exif: bytes, xmp: bytes) -> bytes:
    """Return the segments of an EXIF block and an XMP packet, as far as there are any."""
    blocks = (bytes(exif), XMP_PREFIX + bytes(xmp) if xmp else b"")
    return b"".join(_segment(_APP1, block) for block in blocks if block)


def _kept(segment: _Segment, body: bytes) -> list[bytes]:
    """Return what a segment needs to say for its file to be decoded."""
    if segment.marker == _APP0:
        return [_segment(_APP0, _JFIF)] if body.startswith(b"JFIF\0") else []
    if segment.marker == _ADOBE:
        return [_segment(_ADOBE, body[:12])] if body.startswith(b"Adobe") and len(body) >= 12 else []
    if 0xE0 <= segment.marker <= 0xEF or segment.marker in (0xFE, _END_OF_IMAGE):
        return []
    return [_segment(segment.marker, body)]


def _layout(data: bytes) -> Layout:
    size = (0, 0)
    exif: list[bytes] = []
    xmp = resources = manifest = b""
    profile: list[tuple[int, int, bytes]] = []
    multi_picture = 0
    index = b""
    for segment in _segments(data):
        body = data[segment.body : segment.end] if segment.marker != _START_OF_SCAN else b""
        if segment.marker in _START_OF_FRAME:
            size = int.from_bytes(body[3:5], "big"), int.from_bytes(body[1:3], "big")
        elif segment.marker == _APP1 and body.startswith(EXIF_PREFIXES):
            exif.append(body[6:])
        elif segment.marker == _APP1 and body.startswith(XMP_PREFIX):
            xmp = xmp or body[len(XMP_PREFIX) :]
        elif segment.marker == _APP13 and body.startswith(PHOTOSHOP_PREFIX):
            resources += body[len(PHOTOSHOP_PREFIX) :]
        elif segment.marker == _APP11 and body[12:16] == b"jumb":
            manifest += body
        elif segment.marker == _APP2 and body.startswith(b"ICC_PROFILE\0") and len(body) > 14:
            profile.append((body[12], body[13], body[14:]))
        elif segment.marker == _APP2 and body.startswith(MPF_PREFIX):
            multi_picture, index = segment.body + len(MPF_PREFIX), body[len(MPF_PREFIX) :]
        elif segment.marker in (_START_OF_SCAN, _END_OF_IMAGE):
            break
    # ICC.1, annex B.4: each piece carries its number and how many there are.
    complete = [number for number, _, _ in sorted(profile)] == list(range(1, len(profile) + 1))
    icc = b"".join(piece for _, _, piece in sorted(profile)) if complete else b""
    return Layout(
        *size,
        exif=b"".join(exif),
        xmp=xmp,
        iptc=iptc_of_resources(resources) if resources else b"",
        manifest=manifest if b"c2pa" in manifest else b"",
        icc=icc,
        variant="MPO" if multi_picture else "",
        gain_map=_gain_map(data, index, multi_picture) if multi_picture else None,
    )


_MOST_OF_MAP = 200
"""Segments of a gain map among which its metadata is looked for."""


def _gain_map(data: bytes, index: bytes, start: int) -> GainMap | None:
    """Return the gain map among the further pictures of a file."""
    for begin, end in pictures_of(index, start, len(data)):
        xmp = iso = b""
        try:
            # In place: a damaged index may name the whole file many times.
            segments = _segments(data, begin + 2, _MOST_OF_MAP) if data.startswith(b"\xff\xd8", begin) else []
        except BrokenFile:
            continue
        for segment in segments:
            body = data[segment.body : segment.end] if segment.end <= end else b""
            if segment.marker == _APP1 and body.startswith(XMP_PREFIX):
                xmp = xmp or body[len(XMP_PREFIX) :]
            elif segment.marker == _APP2 and body.startswith(ISO_PREFIX):
                iso = iso or body[len(ISO_PREFIX) :]
        found = gain_map_of(begin, end, xmp, iso)
        if found is not None:
            return found
    return None


_MODES = {1: "L", 3: "RGB", 4: "CMYK"}
"""Pillow's mode of an image with so many components."""


class _Bare(NamedTuple):
    """A whole JPEG file without its metadata, in pieces that nobody joins: the coded data of a photo takes megabytes.

    Attributes:
        frame: The marker of its frame and the header that follows it (T.81, B.2.2).
        pieces: What the decoder takes, one after another.
        proof: The number of the piece that the decoder asks for if the pieces before it are what they are taken for;
            0 where that is certain.
        tells: Whether what follows its data shows if that is complete.
    """

    frame: bytes
    pieces: tuple[bytes | memoryview, ...]
    proof: int = 0
    tells: bool = True

    def decoded(self, scale: int) -> Image.Image:
        """Return the image, this many times smaller.

        Raises:
            BrokenFile: The decoder needs more than there is, or less than proves the guess.
        """
        bits, height, width, components = struct.unpack_from(">BHHB", self.frame, 1)
        mode = _MODES.get(components)
        if mode is None or bits != 8:
            raise BrokenFile(f"its pixels have {components} components of {bits} bits, which cannot be decoded")
        size = reduced_size((width, height), scale)
        pixels = _imaging.new(mode, size)
        # Whoever writes CMYK writes it inverted, as Adobe does.
        decoder = _imaging.jpeg_decoder(mode, "CMYK;I" if mode == "CMYK" else mode, "", scale, 0)
        rest = b""
        try:
            decoder.setimage(pixels, (0, 0, *size))
            for number, piece in enumerate(self.pieces):
                given = rest + piece if rest else piece
                end, error = decoder.decode(given)
                if error < 0:
                    raise BrokenFile("its coded data is damaged")
                if end < 0 and number < self.proof:
                    raise BrokenFile("its coded data ends before its last end marker")
                if end < 0:
                    return Image.Image()._new(pixels)
                rest = bytes(given[end:])
        finally:
            decoder.cleanup()
        raise BrokenFile("the JPEG file is truncated: its image data ends before its last row")


def _bare(data: bytes, filler: bytes, *, repair: bool = False, may_guess: bool = False) -> _Bare:
    """Return a whole JPEG file without its metadata.

    Args:
        data: The whole file.
        filler: What follows the image data, where one scan holds all of it or the file lacks its end marker.
        repair: Scans may be missing.
        may_guess: Where one scan holds all, take the last end marker for its end without looking for another before.

    Raises:
        BrokenFile: It holds no image data, or scans are missing.
    """
    parts = [data[:2]]
    frame = b""
    restarts = False
    for segment in _segments(data):
        restarts = restarts or segment.marker == _RESTART_INTERVAL
        droppable = 0xE0 <= segment.marker <= 0xEF or segment.marker == 0xFE
        if not droppable or segment.marker in _NEEDED_TO_DECODE:
            parts.append(data[segment.start : segment.end])
        if segment.marker in _START_OF_FRAME:
            frame = bytes([segment.marker]) + data[segment.body : segment.end]
        elif segment.marker == _START_OF_SCAN and len(frame) > 6:
            header, scan = b"".join(parts), memoryview(data)[segment.end :]
            if frame[0] in _SEQUENTIAL and data[segment.body] == frame[6]:
                if may_guess and not restarts and (length := _guessed_length(data, segment.end)):
                    last = length - _PROOF_BYTES
                    return _Bare(frame, (header, scan[:last], scan[last:length], filler), proof=2)
                end = _end_of_scan(data, segment.end, frame)
                return _Bare(frame, (header, scan[: end - segment.end], filler))
            end, has_end = _end_of_scans(data, segment, frame, repair=repair)
            ending = (_EOI,) if has_end else (filler, _EOI)
            return _Bare(frame, (header, scan[: end - segment.end], *ending), tells=has_end)
    raise BrokenFile("the JPEG file holds no image data")


_PROOF_BYTES = 16
"""What the decoder asks for only if it met no marker before, since then it would make up the rest."""


def _guessed_length(data: bytes, start: int) -> int:
    """Return how many bytes a scan has if none but the last end marker of its file ends it; 0 where it does not.

    To look at each byte of a photo takes a fortieth of its thumbnail's time, and no other thread can run meanwhile.
    """
    end = data.rfind(_EOI, start)
    last = end - _PROOF_BYTES
    if last <= start:
        return 0
    # The byte before may be the first one of a marker.
    found = _END_OF_SCAN.search(data, last - 1)
    return end - start if found and found.start() == end else 0


def _end_of_scan(data: bytes, start: int, frame: bytes) -> int:
    """Return where the coded data of a scan ends, or where it cannot go on for all the pixels that there are."""
    height, width = struct.unpack_from(">HH", frame, 2)
    end = min(len(data), start + _BLOCK_BYTES * frame[6] * (width // 8 + 4) * (height // 8 + 4))
    found = _END_OF_SCAN.search(data, start, end)
    return found.start() if found else end


def _end_of_scans(data: bytes, first: _Segment, frame: bytes, *, repair: bool) -> tuple[int, bool]:
    """Return where the last of several scans ends, and whether an end marker stands there.

    Raises:
        BrokenFile: Scans are missing, or there are too many.
    """
    wanted = {frame[7 + 3 * number]: (1 << 64) - 1 for number in range(frame[6]) if 7 + 3 * number < len(frame)}
    progressive = frame[0] in _PROGRESSIVE
    segment: _Segment | None = first
    height, width = struct.unpack_from(">HH", frame, 2)
    most = min(_MOST_SCANS, max(_FEWEST_SCANS, _MOST_PASSES // max(1, width * height)))
    scans, has_end, end = 0, False, first.end
    while segment is not None:
        if segment.marker == _START_OF_SCAN:
            scans += 1
            if scans > most:
                raise BrokenFile(f"the JPEG file has more than {most} scans")
            _note_scan(wanted, data[segment.body : segment.end], progressive)
            end = _end_of_scan(data, segment.end, frame)
        else:
            end = segment.end
        segment = _segments(data, end, 1)[0] if _marker(data, end, end + _MOST_GARBAGE) >= 0 else None
        if segment is not None and segment.marker == _END_OF_IMAGE:
            has_end, segment = True, None
    if any(wanted.values()) and not repair:
        raise BrokenFile("the JPEG file is truncated: scans are missing")
    return end, has_end


def _note_scan(wanted: dict[int, int], header: bytes, progressive: bool) -> None:
    """Cross off the coefficients that a scan brings to their last bit (T.81, B.2.3 and G.1.1)."""
    count = header[0] if header else 0
    if len(header) < 4 + 2 * count:
        return
    first, last, bits = header[1 + 2 * count], header[2 + 2 * count], header[3 + 2 * count]
    if progressive and bits & 15:
        return
    done = ((1 << (last + 1)) - 1) & ~((1 << first) - 1) if progressive else (1 << 64) - 1
    for number in range(count):
        component = header[1 + 2 * number]
        if component in wanted:
            wanted[component] &= ~done


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
