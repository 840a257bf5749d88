"""Walks the containers of image files: what they hold, whether they are whole, and nothing of their pixels.

Pillow cannot be asked: an application may have told it to accept truncated files, it warns about damaged
metadata through the process's warnings, and it allocates a WebP's canvas before its size can be refused.
"""

from __future__ import annotations

from dataclasses import dataclass

from .ifd import ICC_PROFILE, read_directory

VECTOR_FORMAT = "SVG"
"""The format that is passed on as it is, and never written."""


class BrokenFile(ValueError):
    """The file is damaged or incomplete; the message says where."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What a file's container says of it.

    Attributes:
        width: Pixels, as stored.
        height: Pixels, as stored.
        canvas: Width and height that its decoder allocates, where frames reach beyond the image.
        frames: How many; 1 where it does not animate.
        has_alpha: Whether any pixel may be transparent.
        exif: The EXIF block, often empty.
        icc: The ICC profile, often empty.
        multi_picture: A JPEG followed by others (MPO).
        depth: Bits of a sample in a PNG, otherwise 8.
    """

    width: int
    height: int
    canvas: tuple[int, int] = (0, 0)
    frames: int = 1
    has_alpha: bool = False
    exif: bytes = b""
    icc: bytes = b""
    multi_picture: bool = False
    depth: int = 8


def sniff(data: bytes) -> str | None:
    """Return the format that the first bytes announce, by Pillow's name; None where it is none that is read."""
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":
        brands = data[8 : min(int.from_bytes(data[:4], "big"), 256)]
        return "AVIF" if b"avif" in brands or b"avis" in brands else None
    if data.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return "TIFF"
    if data.startswith(b"BM"):
        return "BMP"
    if data.startswith(b"\0\0\1\0"):
        return "ICO"
    return "SVG" if _announces_svg(data) else None


def _announces_svg(data: bytes) -> bool:
    # Without zero bytes, UTF-16 reads as ASCII; a licence may stand before the root.
    opening = data[:65_536].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    return opening.startswith(b"<") and b"svg" in opening


# --- GIF (GIF89a specification) ---


def read_gif(data: bytes) -> Layout:
    """Return the layout of a GIF file, from all of its blocks.

    Raises:
        BrokenFile: It is truncated, or holds no image.
    """
    try:
        return _walk_gif(data)
    except IndexError:
        raise BrokenFile("the GIF file is truncated: it has no trailer") from None


def _walk_gif(data: bytes) -> Layout:
    size = canvas = int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")
    position = 13 + _colour_table_bytes(data[10])
    frames, has_alpha = 0, False
    while (block := data[position]) != 0x3B:
        if block == 0x21:
            has_alpha |= data[position + 1] == 0xF9 and bool(data[position + 3] & 1)
            position = _skip_sub_blocks(data, position + 2)
        elif block == 0x2C:
            left, top, width, height = (
                int.from_bytes(data[position + i : position + i + 2], "little") for i in (1, 3, 5, 7)
            )
            canvas = max(canvas[0], left + width), max(canvas[1], top + height)
            frames += 1
            # A first frame that is larger than the screen enlarges the image; later ones are cut.
            size = canvas if frames == 1 else size
            position = _skip_sub_blocks(data, position + 10 + _colour_table_bytes(data[position + 9]) + 1)
        elif block == 0:
            position += 1
        else:
            raise BrokenFile(f"the GIF file is damaged at byte {position}")
    if not frames:
        raise BrokenFile("the GIF file holds no image")
    return Layout(*size, canvas=canvas, frames=frames, has_alpha=has_alpha)


def _colour_table_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _skip_sub_blocks(data: bytes, position: int) -> int:
    while length := data[position]:
        position += length + 1
    return position + 1


# --- WebP (RFC 9649) ---


def read_webp(data: bytes) -> Layout:
    """Return the layout of a WebP file, from all of its chunks.

    Raises:
        BrokenFile: It is truncated, or holds no image.
    """
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
    width, height, has_alpha = _webp_canvas(first)
    return Layout(
        width,
        height,
        frames=frames or 1,
        has_alpha=has_alpha,
        exif=first.get(b"EXIF", b""),
        icc=first.get(b"ICCP", b""),
    )


def _webp_canvas(first: dict[bytes, bytes]) -> tuple[int, int, bool]:
    if len(extended := first.get(b"VP8X", b"")) >= 10:
        width, height = (int.from_bytes(extended[at : at + 3], "little") + 1 for at in (4, 7))
        return width, height, bool(extended[0] & 0x10)
    if len(lossless := first.get(b"VP8L", b"")) >= 5:
        bits = int.from_bytes(lossless[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, bool(bits >> 28 & 1)
    if len(lossy := first.get(b"VP8 ", b"")) >= 10:
        return int.from_bytes(lossy[6:8], "little") & 0x3FFF, int.from_bytes(lossy[8:10], "little") & 0x3FFF, False
    raise BrokenFile("the WebP file holds no image")


# --- AVIF, TIFF, BMP: only that they are whole; Pillow reads their headers without cost ---


_TOP_LEVEL_BOXES = frozenset({b"ftyp", b"meta", b"mdat", b"moov", b"moof", b"sidx", b"free", b"skip", b"uuid"})


def check_avif(data: bytes) -> None:
    """Check that all boxes of an AVIF file lie inside it (ISO/IEC 14496-12, 4.2).

    Raises:
        BrokenFile: One does not.
    """
    position = 0
    while position + 8 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        type = data[position + 4 : position + 8]
        if length == 1:
            length = int.from_bytes(data[position + 8 : position + 16], "big")
        if length == 0 or type not in _TOP_LEVEL_BOXES:
            return
        position += max(length, 8)
        if position > len(data):
            raise BrokenFile("the AVIF file is truncated: a box reaches beyond its end")


_IMAGE_WIDTH, _IMAGE_HEIGHT, _TILE_WIDTH, _TILE_HEIGHT = 256, 257, 322, 323
_OFFSETS_AND_LENGTHS = ((273, 279), (324, 325))


def read_tiff(data: bytes) -> Layout:
    """Return the layout of a TIFF file's first image (TIFF 6.0, sections 8 and 15).

    Raises:
        BrokenFile: A strip or tile lies outside of the file.
    """
    directory = read_directory(data)
    if sum(len(entry.raw) for entry in directory.entries.values()) > len(data):
        # Values that overlap fill no file; Pillow would copy each of them.
        raise BrokenFile("the TIFF file is damaged: its directory is larger than the file")
    width, height = directory.number(_IMAGE_WIDTH, 0), directory.number(_IMAGE_HEIGHT, 0)
    for offsets, lengths in _OFFSETS_AND_LENGTHS:
        for offset, length in zip(directory.numbers(offsets), directory.numbers(lengths), strict=False):
            if offset + length > len(data):
                raise BrokenFile("the TIFF file is truncated: image data reaches beyond its end")
    tile = directory.number(_TILE_WIDTH, 0), directory.number(_TILE_HEIGHT, 0)
    canvas = max(width, tile[0]), max(height, tile[1])
    icc = directory.entries.get(ICC_PROFILE)
    return Layout(width, height, canvas=canvas, exif=data, icc=bytes(icc.raw) if icc else b"")


def check_bmp(data: bytes, width: int, height: int) -> None:
    """Check that an uncompressed BMP file holds all of its rows.

    Raises:
        BrokenFile: It does not.
    """
    start = int.from_bytes(data[10:14], "little")
    old = int.from_bytes(data[14:18], "little") == 12
    bits = int.from_bytes(data[24:26] if old else data[28:30], "little")
    compression = 0 if old else int.from_bytes(data[30:34], "little")
    row = (width * bits + 31) // 32 * 4
    if compression in (0, 3) and start + row * height > len(data):
        raise BrokenFile("the BMP file is truncated: rows are missing")


def largest_icon(data: bytes) -> bytes:
    """Return the largest image of an ICO file: a PNG file, or an ICO file with that image alone.

    Raises:
        BrokenFile: It is truncated, or its directory contradicts its images.
    """
    entries = [data[at : at + 16] for at in range(6, 6 + 16 * int.from_bytes(data[4:6], "little"), 16)]
    entries = [entry for entry in entries if len(entry) == 16]
    if not entries:
        raise BrokenFile("the ICO file holds no image")
    best = max(entries, key=lambda entry: ((entry[0] or 256) * (entry[1] or 256), int.from_bytes(entry[6:8], "little")))
    length, start = (int.from_bytes(best[at : at + 4], "little") for at in (8, 12))
    image = data[start : start + length]
    if length < 40 or len(image) < length:
        raise BrokenFile("the ICO file is truncated")
    if sniff(image) == "PNG":
        return image
    # The bitmap is twice as high as the icon: its mask follows the colours.
    width, height = (int.from_bytes(image[at : at + 4], "little", signed=True) for at in (4, 8))
    if (width, height) != (best[0] or 256, 2 * (best[1] or 256)):
        raise BrokenFile("the ICO file is damaged: its directory contradicts its image")
    return b"\0\0\1\0\1\0" + best[:12] + (22).to_bytes(4, "little") + image
