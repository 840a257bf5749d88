"""TIFF and BigTIFF (TIFF 6.0)."""

from __future__ import annotations

import ctypes
import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import PIL
from PIL import Image, ImageChops, ImageFile, TiffImagePlugin

from ..colour import may_be_transparent, to_plain
from ..metadata import ICC_PROFILE, Directory, Entry, read_directory, single
from ..xmp import MOST_XMP_BYTES
from .base import MOST_PROFILE_BYTES, BrokenFile, Format, Frame, Layout, OtherKind, most_pieces
from .unread import RAW


class Tiff(Format):
    """TIFF: its first image is read; none is written."""

    name = "TIFF"
    extension = ".tif"
    mimetype = "image/tiff"
    plugin = "TiffImagePlugin.TiffImageFile"
    warns_of_size = True

    def announces(self, data: bytes) -> bool:
        """Tell whether the first bytes are a byte order and TIFF's or BigTIFF's number."""
        return data.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"))

    def layout(self, data: bytes) -> Layout:
        """Return the layout of a TIFF file's first image (sections 8 and 15).

        Raises:
            BrokenFile: A strip or tile lies outside of the file, or what says how to read them.
            OtherKind: It is a raw photo.
        """
        directory = read_directory(data)
        if data[8:10] == _CANON or _is_raw(directory):
            raise OtherKind(RAW)
        _check_whole(directory, data)
        _Samples.of(directory).check()
        icc, xmp, iptc, manifest = map(directory.entries.get, (ICC_PROFILE, _XMP, _IPTC, _C2PA))
        width, height = directory.number(_WIDTH, 0), directory.number(_HEIGHT, 0)
        tile = directory.number(_TILE_WIDTH, 0), directory.number(_TILE_HEIGHT, 0)
        with _named(directory), self.opened(data, animated=False) as image:
            return Layout(
                width,
                height,
                canvas=(max(width, tile[0]), max(height, tile[1])),
                has_alpha=may_be_transparent(image),
                exif=data,
                xmp=bytes(xmp.raw) if xmp and len(xmp.raw) <= MOST_XMP_BYTES else b"",
                iptc=bytes(iptc.raw) if iptc and len(iptc.raw) <= MOST_XMP_BYTES else b"",
                manifest=bytes(manifest.raw) if manifest and len(manifest.raw) <= MOST_PROFILE_BYTES else b"",
                icc=bytes(icc.raw) if icc and len(icc.raw) <= MOST_PROFILE_BYTES else b"",
            )

    @contextmanager
    def opened(self, data: bytes, *, animated: bool) -> Iterator[ImageFile.ImageFile]:
        """Open a file with Pillow's plugin; what libtiff has to say about damage is not printed."""
        _silence_libtiff()
        with super().opened(data, animated=animated) as file:
            yield file

    def frames(self, data: bytes, layout: Layout, *, animated: bool, scale: int) -> Iterator[Frame]:
        """Yield the first image, its samples corrected where Pillow misreads them.

        Raises:
            BrokenFile: Samples are stored in a way that cannot be read right.
        """
        directory = read_directory(data)
        samples = _Samples.of(directory)
        if samples.are_deep_planes:
            yield Frame(self._joined(data, directory, samples), 0)
            return
        with _named(directory), self.opened(data, animated=False) as file:
            file.load()
            yield Frame(samples.mended(file), 0)

    def _joined(self, data: bytes, directory: Directory, samples: _Samples) -> Image.Image:
        """Return an image of separate planes of 16 bits, which Pillow reads as if they had 8, from each on its own."""
        planes = []
        for number in range(len(samples.bits)):
            with self.decoder()(io.BytesIO(_with_directory(data, samples.of_plane(directory, number)))) as file:
                file.load()
                planes.append(to_plain(file))
        return Image.merge({1: "L", 3: "RGB", 4: "RGBA"}[len(planes)], planes)

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
_XMP, _IPTC, _C2PA = 700, 33_723, 52_545
_BITS, _COMPRESSION, _PHOTOMETRIC, _PER_PIXEL, _PLANAR, _EXTRA, _FORMAT = 258, 259, 262, 277, 284, 338, 339
_OFFSETS_AND_LENGTHS = ((273, 279), (324, 325))

_PIXEL_TAGS = frozenset({254, 256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 292, 293, 317, 320, 322, 323})
_PIXEL_TAGS |= frozenset({324, 325, 332, 333, 334, 338, 339, 347, 512, 513, 514, 515, 517, 518, 519, 520, 521})
_PIXEL_TAGS |= frozenset({529, 530, 531, 532})
"""What says how pixels are stored: TIFF 6.0, and JPEG in TIFF (Technical Note 2)."""


_CANON = b"CR"
"""What stands behind the header of Canon's raw photos."""

_KIND, _SUB_DIRECTORIES, _DNG_VERSION = 254, 330, 50_706
_COLOUR_FILTER_ARRAY = 32_803

_WHITE_IS_ZERO, _RGB = 0, 2
_MOST_SAMPLES = TiffImagePlugin.MAX_SAMPLESPERPIXEL
_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3
_PLANES = 2


@dataclass(frozen=True, slots=True)
class _Samples:
    """How samples are stored: bits and format of each, what they mean, and whether each kind has a plane of its own."""

    bits: tuple[int, ...]
    format: int
    photometric: int
    planar: int

    @classmethod
    def of(cls, directory: Directory) -> _Samples:
        """Return what a directory says."""
        many = max(directory.number(_PER_PIXEL, 1), 1)
        if many > _MOST_SAMPLES:
            raise BrokenFile(f"the TIFF file has {many:,} samples a pixel, which are not read")
        bits = directory.numbers(_BITS)[:many] or (1,)
        bits = bits * many if len(bits) == 1 else bits
        formats = directory.numbers(_FORMAT) or (_UNSIGNED,)
        return cls(bits, formats[0], directory.number(_PHOTOMETRIC, -1), directory.number(_PLANAR, 1))

    def check(self) -> None:
        """Refuse what Pillow would misread.

        Raises:
            BrokenFile: These are such samples.
        """
        signed_bytes = self.format == _SIGNED and self.bits[0] == 8
        inverted = self.photometric == _WHITE_IS_ZERO and self.bits[0] > 16
        deep_planes = self.planar == _PLANES and len(self.bits) > 1 and self.bits[0] > 8
        if signed_bytes or inverted or (deep_planes and not self.are_deep_planes):
            raise BrokenFile(f"the TIFF file has {self}, which are not read")

    @property
    def are_deep_planes(self) -> bool:
        """Whether these are RGB samples of 16 bits in separate planes."""
        deep = self.planar == _PLANES and self.bits in ((16,) * 3, (16,) * 4)
        return deep and self.photometric == _RGB and self.format == _UNSIGNED

    def of_plane(self, directory: Directory, number: int) -> Directory:
        """Return the directory of a grey image of one plane."""
        entries = dict(directory.entries)
        for tag in (*_OFFSETS_AND_LENGTHS[0], *_OFFSETS_AND_LENGTHS[1]):
            if tag in entries:
                entry = entries[tag]
                strips = entry.count // len(self.bits)
                size = len(entry.raw) // max(entry.count, 1) * strips
                entries[tag] = Entry(entry.type, strips, entry.raw[number * size : (number + 1) * size])
        for tag, value in ((_PER_PIXEL, 1), (_BITS, 16), (_PHOTOMETRIC, 1), (_PLANAR, 1), (_FORMAT, _UNSIGNED)):
            entries[tag] = Entry(3, 1, memoryview(value.to_bytes(2, directory.order)))
        entries.pop(_EXTRA, None)
        return Directory(directory.order, entries)

    def mended(self, image: Image.Image) -> Image.Image:
        """Return decoded pixels, corrected where Pillow gets them wrong.

        Raises:
            BrokenFile: A sample is above what Pillow can hold.
        """
        if self.bits[0] == 12 and image.mode.startswith("I;16"):
            # Pillow hands out samples of 12 bits as they are.
            image = image.point(lambda value: value * 16.00366 + 0.5)
        if self.bits[0] == 32 and self.format == _UNSIGNED and image.mode == "I":
            low = image.getextrema()[0]
            if isinstance(low, (int, float)) and low < 0:
                raise BrokenFile("the TIFF file has samples above 2,147,483,647, which are not read")
        if self.bits[0] == 16 and self.photometric == _WHITE_IS_ZERO:
            return ImageChops.invert(to_plain(image))
        return image

    def __str__(self) -> str:
        kind = {_SIGNED: "signed", _FLOAT: "floating-point"}.get(self.format, "unsigned")
        what = {0: "white is zero", 1: "grey", 2: "RGB", 3: "palette", 5: "CMYK", 6: "YCbCr", 8: "CIE L*a*b*"}
        meaning = what.get(self.photometric, f"photometric interpretation {self.photometric}")
        return f"{kind} samples of {self.bits[0]} bits ({meaning}, {len(self.bits)} a pixel)"


@contextmanager
def _named(directory: Directory) -> Iterator[None]:
    """Say how samples are stored where Pillow does not know that way, or fails at it."""
    try:
        yield
    except SyntaxError as error:
        if "unknown pixel mode" not in str(error):
            raise
        raise BrokenFile(f"the TIFF file has {_Samples.of(directory)}, which are not read") from None
    except OSError as error:
        if "decoder error" not in str(error):
            raise
        compression = directory.number(_COMPRESSION, 1)
        raise BrokenFile(
            f"the TIFF file is damaged, or in a compression that is not read (number {compression})"
        ) from None


def _is_raw(directory: Directory) -> bool:
    """Tell whether a directory is that of a raw photo, where as a rule it is only a small preview (TIFF/EP, DNG)."""
    is_preview = directory.number(_KIND, 0) & 1 and _SUB_DIRECTORIES in directory.entries
    is_sensor_s = directory.number(_PHOTOMETRIC, -1) == _COLOUR_FILTER_ARRAY
    return bool(is_preview) or is_sensor_s or _DNG_VERSION in directory.entries


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
    entries = {tag: single(tag, entry) for tag, entry in sorted(directory.entries.items()) if tag in _PIXEL_TAGS}
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
