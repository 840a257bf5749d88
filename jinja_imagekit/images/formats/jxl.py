"""JPEG XL (ISO/IEC 18181); an extra reads it, where a setting names it."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from PIL import Image

from ...interfaces import Size
from ..gain_maps import FOREIGN
from ..metadata import without_orientation
from ..primaries import SRGB, Colours
from .base import BrokenFile, Format, Frame, Layout, OtherKind
from .boxes import boxes_in, check_boxes

_CODESTREAM = b"\xff\x0a"
_CONTAINER = b"\0\0\0\x0cJXL \r\n\x87\n"
SIGNATURES = (_CODESTREAM, _CONTAINER)
"""What a bare codestream begins with, and what a file with boxes does."""

MOST_METADATA_BYTES = 4_000_000
"""A compressed box that holds more counts as empty."""

MOST_CHANNELS = 8
"""Channels beyond colours that an image may have: each takes as much memory as a colour does."""


class Jxl(Format):
    """JPEG XL without animation; none is written."""

    name = "JXL"
    extension = ".jxl"
    mimetype = "image/jxl"

    def announces(self, data: bytes) -> bool:
        """Tell whether a codestream or the box of the container is what the file begins with."""
        return data.startswith(SIGNATURES)

    def layout(self, data: bytes) -> Layout:
        """Return the layout of an image, which libjxl turns upright itself; nothing is decoded.

        Raises:
            OtherKind: It is animated, of inks, or has more channels than any picture.
            BrokenFile: Its header or a box is cut short or out of place.
        """
        layout, _ = _read_header(_codestream(data))
        if data.startswith(_CODESTREAM):
            return layout
        found = _metadata(data)
        return Layout(
            layout.width,
            layout.height,
            has_alpha=layout.has_alpha,
            turned=layout.turned,
            colours=layout.colours,
            exif=without_orientation(_block(found.get(b"Exif", b""))),
            xmp=found.get(b"xml ", b""),
            manifest=found.get(b"jumb", b""),
            gain_map=FOREIGN if b"jhgm" in found else None,
        )

    def frames(self, data: bytes, layout: Layout, *, animated: bool, scale: int) -> Iterator[Frame]:
        """Yield the image, with the profile of what the decoder made.

        Raises:
            BrokenFile: The decoder refuses it, or finds another size than the header says.
        """
        # An extra.
        from pillow_jxl import Decoder

        codestream = _codestream(data)
        premultiplied = _read_header(codestream)[1]
        try:
            # Other images are decoded on the other cores.
            _, found, pixels, profile, _ = Decoder(num_threads=0)(codestream)
        except RuntimeError:
            raise BrokenFile("the JPEG XL file is truncated or damaged") from None
        if (found.width, found.height) != (layout.width, layout.height):
            raise BrokenFile("the JPEG XL file says another size than its image has")
        image = _image(found.mode, (layout.width, layout.height), pixels, premultiplied)
        # HDR looks as it does in other formats.
        yield Frame(image, 0, b"" if layout.colours.transfer else profile)


def _image(mode: str, size: Size, pixels: bytes, premultiplied: bool) -> Image.Image:
    """Return the image that the package's bytes are.

    Raises:
        OtherKind: They are of a kind of which the package gives something else than its mode says.
    """
    if mode == "LA" and len(pixels) != 2 * size[0] * size[1]:
        if len(pixels) != 4 * size[0] * size[1]:
            raise OtherKind("a JPEG XL image of floating-point grey with alpha; export it with 8 bits a sample")
        # Both bytes of 16-bit samples.
        pixels = pixels[1::2] if sys.byteorder == "little" else pixels[::2]
    # What it calls samples of 16 bits has 32 of them by then.
    mode = "F" if mode == "F;16" else mode
    if premultiplied:
        return Image.frombytes({"RGBA": "RGBa", "LA": "La"}[mode], size, pixels).convert(mode)
    return Image.frombytes(mode, size, pixels)


def _codestream(data: bytes) -> bytes:
    """Return the codestream of a file: all that makes pixels, and nothing else.

    Raises:
        BrokenFile: There is none, or a box reaches beyond the end.
    """
    if data.startswith(_CODESTREAM):
        return data
    check_boxes(data, _BOXES, "JPEG XL")
    parts = []
    for type, start, end in boxes_in(data, 0, len(data)):
        if type == b"jxlc":
            return data[start:end]
        if type == b"jxlp":
            # Each part begins with its number, whose highest bit marks the last one.
            parts.append((int.from_bytes(data[start : start + 4], "big") & 0x7FFFFFFF, data[start + 4 : end]))
    numbers = [number for number, _ in parts]
    if not parts or sorted(numbers) != list(range(len(parts))):
        raise BrokenFile("the JPEG XL file lacks its image, or a part of it")
    return b"".join(part for _, part in sorted(parts))


_BOXES = frozenset({b"JXL ", b"ftyp", b"jxlc", b"jxlp", b"jxll", b"jxli", b"jbrd", b"Exif", b"xml ", b"jumb", b"brob"})


def _metadata(data: bytes) -> dict[bytes, bytes]:
    """Return the first box of each kind of metadata, unpacked."""
    found: dict[bytes, bytes] = {}
    for type, start, end in boxes_in(data, 0, len(data)):
        body = data[start:end]
        if type == b"brob":
            type, body = body[:4], _unpacked(body[4:]) if body[:4] in _METADATA else b""
        if type in _METADATA:
            found.setdefault(type, body)
    return found


_METADATA = (b"Exif", b"xml ", b"jumb", b"jhgm")


def _block(exif: bytes) -> bytes:
    """Return the block of EXIF in its box, where four bytes say how far from them it begins (18181-2, 9.3)."""
    # Some programs leave these out.
    return exif if exif.startswith((b"II*\0", b"MM\0*")) else exif[4 + int.from_bytes(exif[:4], "big") :]


def _unpacked(data: bytes) -> bytes:
    """Return what a box holds that is compressed by Brotli (RFC 7932); nothing where it is damaged or too large."""
    # Comes with the extra.
    import brotli  # type: ignore[import-untyped]  # the package has no types

    decoder = brotli.Decompressor()
    try:
        unpacked: bytes = decoder.process(data, output_buffer_limit=MOST_METADATA_BYTES)
    except brotli.error:
        return b""
    return unpacked if decoder.is_finished() else b""


class _Bits:
    """Reads a header bit by bit, the lowest of a byte first (18181-1, B.2)."""

    def __init__(self, data: bytes) -> None:
        # The header has at most a few kilobytes of names.
        self._bits = int.from_bytes(data[:_MOST_HEADER_BYTES], "little")
        self._left = 8 * min(len(data), _MOST_HEADER_BYTES)

    def number(self, count: int) -> int:
        """Return a number of so many bits.

        Raises:
            BrokenFile: The data ends before.
        """
        self._left -= count
        if self._left < 0:
            raise BrokenFile("the JPEG XL file is truncated within its header")
        value = self._bits & ((1 << count) - 1)
        self._bits >>= count
        return value

    def flag(self) -> bool:
        """Return one bit."""
        return self.number(1) == 1

    def chosen(self, *forms: tuple[int, int]) -> int:
        """Return a number in one of four forms: a first value, and how many bits are added to it (B.2.2, U32)."""
        first, count = forms[self.number(2)]
        return first + self.number(count)


_MOST_HEADER_BYTES = 16_384


def _read_header(codestream: bytes) -> tuple[Layout, bool]:
    """Return an image's size as it looks upright, and whether its colours are multiplied by their alpha (annexes D, E).

    Raises:
        OtherKind: As `Jxl.layout`.
        BrokenFile: As `Jxl.layout`.
    """
    if not codestream.startswith(_CODESTREAM):
        raise BrokenFile("the JPEG XL file's image has no beginning")
    bits = _Bits(codestream[2:])
    width, height = _size(bits)
    if bits.flag():
        return Layout(width, height), False
    orientation = 1
    if bits.flag():
        orientation = 1 + bits.number(3)
        if bits.flag():
            _size(bits)
        if bits.flag():
            _skip_preview(bits)
        if bits.flag():
            raise OtherKind("an animated JPEG XL image; convert it to an animated WebP, AVIF or PNG")
    _skip_depth(bits)
    bits.flag()
    channels = bits.chosen((0, 0), (1, 0), (2, 4), (1, 12))
    if channels > MOST_CHANNELS:
        raise OtherKind(f"a JPEG XL image with {channels} further channels; export it with colours and alpha alone")
    kinds = [_channel(bits) for _ in range(channels)]
    if any(kind == _BLACK for kind, _ in kinds):
        raise OtherKind("a JPEG XL image of inks (CMYK); convert it to RGB")
    alpha = next(((kind, premultiplied) for kind, premultiplied in kinds if kind == _ALPHA), None)
    # Whether colours were changed for coding, which the decoder undoes.
    bits.flag()
    colours = _colours(bits)
    if orientation >= 5:
        width, height = height, width
    layout = Layout(width, height, has_alpha=alpha is not None, turned=orientation, colours=colours)
    return layout, alpha is not None and alpha[1]


_ALPHA, _SPOT, _BLACK, _PATTERN = 0, 2, 4, 5
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


def _size(bits: _Bits) -> tuple[int, int]:
    is_small = bits.flag()

    def side() -> int:
        return 8 * (1 + bits.number(5)) if is_small else bits.chosen((1, 9), (1, 13), (1, 18), (1, 30))

    height = side()
    ratio = bits.number(3)
    if not ratio:
        return side(), height
    numerator, denominator = _RATIOS[ratio - 1]
    return height * numerator // denominator, height


def _skip_preview(bits: _Bits) -> None:
    in_blocks = bits.flag()
    forms = ((16, 0), (32, 0), (1, 5), (33, 9)) if in_blocks else ((1, 6), (65, 8), (321, 10), (1345, 12))
    bits.chosen(*forms)
    if not bits.number(3):
        bits.chosen(*forms)


def _skip_depth(bits: _Bits) -> None:
    if bits.flag():
        bits.chosen((32, 0), (16, 0), (24, 0), (1, 6))
        bits.number(4)
    else:
        bits.chosen((8, 0), (10, 0), (12, 0), (1, 6))


def _enumerated(bits: _Bits) -> int:
    return bits.chosen((0, 0), (1, 0), (2, 4), (18, 6))


_COLOUR, _GREY, _D65, _DCI_WHITE, _CUSTOM = 0, 1, 1, 11, 2
_DCI_P3, _DISPLAY_P3 = 11, 12


def _colours(bits: _Bits) -> Colours:
    """Return what the samples stand for, as far as numbers say it (E.3); those of H.273 are the same."""
    if bits.flag() or bits.flag():
        return SRGB
    space = _enumerated(bits)
    white = _enumerated(bits)
    if space not in (_COLOUR, _GREY) or white not in (_D65, _DCI_WHITE):
        return SRGB
    primaries = _enumerated(bits) if space == _COLOUR else 1
    if primaries == _CUSTOM or bits.flag():
        return SRGB
    if primaries == _DCI_P3 and white == _D65:
        primaries = _DISPLAY_P3
    return Colours.of_codes(primaries, _enumerated(bits))


def _channel(bits: _Bits) -> tuple[int, bool]:
    """Return the kind of a channel beyond colours, and whether they are multiplied by it (E.2.5)."""
    if bits.flag():
        return _ALPHA, False
    kind = _enumerated(bits)
    _skip_depth(bits)
    bits.chosen((0, 0), (3, 0), (4, 0), (1, 3))
    bits.number(8 * bits.chosen((0, 0), (0, 4), (16, 5), (48, 10)))
    if kind == _ALPHA:
        return _ALPHA, bits.flag()
    if kind == _SPOT:
        bits.number(64)
    elif kind == _PATTERN:
        bits.chosen((1, 0), (0, 2), (3, 4), (19, 8))
    return kind, False
