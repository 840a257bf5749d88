"""BMP, as Windows and OS/2 write it."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from PIL import BmpImagePlugin, Image, ImageChops, ImageFile

from ..colour import may_be_transparent
from .base import MOST_PROFILE_BYTES, BrokenFile, Format, Frame, Layout


class Bmp(Format):
    """BMP: read, not written."""

    name = "BMP"
    extension = ".bmp"
    mimetype = "image/bmp"
    plugin = "BmpImagePlugin.BmpImageFile"

    def announces(self, data: bytes) -> bool:
        """Tell whether the first two bytes are BMP's."""
        return data.startswith(b"BM")

    def layout(self, data: bytes) -> Layout:
        """Return the layout of a BMP file; Pillow reads its header without cost.

        Raises:
            BrokenFile: It is uncompressed, and rows are missing.
        """
        masks = _masks(data)
        if masks:
            width, height = struct.unpack_from("<ii", data, _WIDTH)
            _check_rows(data, width, abs(height))
            return Layout(width, abs(height), has_alpha=bool(masks[3]), icc=_profile(data))
        with self.opened(data, animated=False) as image:
            _check_rows(data, *image.size)
            return Layout(*image.size, has_alpha=may_be_transparent(image), icc=_profile(data))

    @contextmanager
    def opened(self, data: bytes, *, animated: bool) -> Iterator[ImageFile.ImageFile]:
        """Open a file with Pillow's plugin; runs may end before the last row."""
        with super().opened(data, animated=animated) as file:
            file.tile = [tile._replace(codec_name=_Runs.NAME) if tile[0] == "bmp_rle" else tile for tile in file.tile]
            yield file

    def bare(self, data: bytes, *, animated: bool) -> Any:
        """Return the file with no more runs than its pixels can have: two bytes for each, and four for each row."""
        if len(data) > _MASKS and int.from_bytes(data[_COMPRESSION : _COMPRESSION + 4], "little") in _RUN_LENGTHS:
            start = int.from_bytes(data[10:14], "little")
            width, height = struct.unpack_from("<ii", data, _WIDTH)
            data = data[: start + min(2 * width * abs(height) + 4 * abs(height) + 1_024, _MOST_RUNS)]
        return io.BytesIO(data)

    def frames(self, data: bytes, layout: Layout, *, animated: bool, scale: int) -> Iterator[Frame]:
        """Yield the image."""
        masks = _masks(data)
        if masks is None:
            yield from super().frames(data, layout, animated=animated, scale=scale)
        else:
            yield Frame(_unmasked(data, masks), 0)


class _Runs(BmpImagePlugin.BmpRleDecoder):
    """Pillow's decoder of runs, for which an end of the bitmap may come early: the rest has the first colour."""

    NAME = "imagekit_bmp_rle"

    def set_as_raw(self, data: bytes | bytearray, rawmode: str | None = None, extra: tuple[Any, ...] = ()) -> None:
        """Hand over the pixels."""
        assert self.fd is not None
        self.fd.seek(-len(_END_OF_BITMAP), io.SEEK_CUR)
        if self.fd.read(len(_END_OF_BITMAP)) == _END_OF_BITMAP:
            data = data.ljust(self.state.xsize * self.state.ysize, b"\0")
        super().set_as_raw(data, rawmode, extra)


Image.register_decoder(_Runs.NAME, _Runs)

_END_OF_BITMAP = b"\0\1"

_HEADER, _WIDTH, _BITS, _COMPRESSION, _MASKS = 14, 18, 28, 30, 54
_BITFIELDS = (3, 6)
_RUN_LENGTHS = (1, 2)

_MOST_RUNS = 8_000_000
"""Bytes of runs that are read, each of them in Python by Pillow: a megabyte in 0.14 s."""

_OLD_HEADER, _INFO_HEADER, _V5_HEADER = 12, 40, 124

Masks = tuple[int, int, int, int]


def _masks(data: bytes) -> Masks | None:
    """Return the bits of red, green, blue and alpha in a pixel; None where the file does not state them."""
    if len(data) < _MASKS + 16:
        return None
    header = int.from_bytes(data[_HEADER : _HEADER + 4], "little")
    bits, compression = struct.unpack_from("<HI", data, _BITS)
    if header < _INFO_HEADER or compression not in _BITFIELDS or bits not in (16, 32):
        return None
    red, green, blue, alpha = struct.unpack_from("<4I", data, _MASKS)
    # Behind the shortest header there are three masks, and the fourth only where its own compression says so.
    has_alpha = header >= 56 or compression == 6
    masks = (red, green, blue, alpha if has_alpha else 0)
    if not all(_is_run(mask, bits) for mask in masks[:3]) or (masks[3] and not _is_run(masks[3], bits)):
        raise BrokenFile("the BMP file is damaged: the bits of a colour are missing or not contiguous")
    return masks


def _is_run(mask: int, bits: int) -> bool:
    """Tell whether a mask is one run of bits within a pixel."""
    lowest = mask & -mask
    return 0 < mask < 1 << bits and (mask // lowest + 1) & (mask // lowest) == 0


def _unmasked(data: bytes, masks: Masks) -> Image.Image:
    start = int.from_bytes(data[10:14], "little")
    width, height = struct.unpack_from("<ii", data, _WIDTH)
    bits = int.from_bytes(data[_BITS : _BITS + 2], "little")
    stride = (width * bits + 31) // 32 * 4
    rows = memoryview(data)[start : start + stride * abs(height)]
    # Rows go from the bottom upwards, unless the height is negative.
    mode, order = ("I;16", "I;16") if bits == 16 else ("CMYK", "CMYK")
    pixels = Image.frombytes(mode, (width, abs(height)), bytes(rows), "raw", order, stride, -1 if height > 0 else 1)
    band = _of_two_bytes if bits == 16 else _of_four_bytes
    bands = [band(pixels, mask) for mask in masks if mask]
    if len(bands) == 4 and bands[3].getextrema() == (0, 0):
        # Programs that know no alpha leave it zero, and browsers show the image.
        bands.pop()
    return Image.merge("RGBA" if len(bands) == 4 else "RGB", bands)


def _of_two_bytes(pixels: Image.Image, mask: int) -> Image.Image:
    lowest = mask & -mask
    most = mask // lowest
    # Pillow looks 65,536 values up in a wider mode.
    return pixels.convert("I").point(
        [((value & mask) // lowest * 510 + most) // (2 * most) for value in range(65_536)], "L"
    )


def _of_four_bytes(pixels: Image.Image, mask: int) -> Image.Image:
    """Return the band that a mask cuts out of four bytes: the upper eight bits of it."""
    shift, length = (mask & -mask).bit_length() - 1, mask.bit_count()
    if length < 8:
        most = (1 << length) - 1
        byte, low = divmod(shift, 8)
        if low + length > 8:
            raise BrokenFile("the BMP file stores a colour of less than eight bits in two bytes, which is not read")
        return pixels.getchannel(byte).point([(value >> low & most) * 255 // most for value in range(256)])
    byte, low = divmod(shift + length - 8, 8)
    lower = pixels.getchannel(byte)
    if not low:
        return lower
    upper = pixels.getchannel(byte + 1).point([value << (8 - low) & 255 for value in range(256)])
    return ImageChops.add(lower.point([value >> low for value in range(256)]), upper)


def _profile(data: bytes) -> bytes:
    """Return the profile that a file of version 5 embeds."""
    if int.from_bytes(data[_HEADER : _HEADER + 4], "little") < _V5_HEADER or data[70:74] != b"DEBM":
        return b""
    start, length = struct.unpack_from("<II", data, _HEADER + 112)
    if _HEADER + start + length > len(data):
        raise BrokenFile("the BMP file is truncated: its profile reaches beyond its end")
    return data[_HEADER + start : _HEADER + start + length] if length <= MOST_PROFILE_BYTES else b""


def _check_rows(data: bytes, width: int, height: int) -> None:
    start = int.from_bytes(data[10:14], "little")
    old = int.from_bytes(data[14:18], "little") == _OLD_HEADER
    bits = int.from_bytes(data[24:26] if old else data[28:30], "little")
    compression = 0 if old else int.from_bytes(data[30:34], "little")
    row = (width * bits + 31) // 32 * 4
    if compression in (0, *_BITFIELDS) and start + row * height > len(data):
        raise BrokenFile("the BMP file is truncated: rows are missing")
