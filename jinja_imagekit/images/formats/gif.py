"""GIF (GIF89a specification)."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any

from PIL import GifImagePlugin, Image

from ..colour import flatten, may_be_transparent
from .base import BLOCK_BYTES, BrokenFile, Format, Frame, Layout, Wish, loaded, most_pieces
from .gif_writing import written


class Gif(Format):
    """GIF: at most 256 colours a frame, one of them transparent."""

    name = "GIF"
    extension = ".gif"
    mimetype = "image/gif"
    shown_by_browsers = True
    end = b";"
    plugin = "GifImagePlugin.GifImageFile"

    modes = frozenset({"L", "P"})
    has_alpha = True
    animates = True
    max_side = 65_535  # 16 bits
    max_milliseconds = 655_350  # 16 bits of 1/100 s
    flags = frozenset({"optimize", "interlace", "dither"})
    options = flags | {"comment"}

    def announces(self, data: bytes) -> bool:
        """Tell whether the first bytes are GIF's signature."""
        return data.startswith((b"GIF87a", b"GIF89a"))

    def layout(self, data: bytes) -> Layout:
        """Return the layout of a GIF file, from all of its blocks.

        Raises:
            BrokenFile: It is truncated, or holds no image.
        """
        gif = _walk(data)
        first = gif.frames[0]
        width, height = (max(sides) for sides in zip(gif.size, *map(_corner, gif.frames), strict=True))
        bare = (first.left, first.top) != (0, 0) or (first.width, first.height) != gif.size
        return Layout(
            *gif.size,
            canvas=(width, height),
            frames=len(gif.frames),
            plays=gif.plays if len(gif.frames) > 1 else None,
            has_alpha=bare
            or any(frame.transparent is not None for frame in gif.frames)
            or any(frame.disposal == _TO_BACKGROUND for frame in gif.frames[:-1])
            or (len(gif.frames) > 1 and first.disposal == _TO_PREVIOUS),
            xmp=gif.xmp,
        )

    def completed(self, data: bytes) -> bytes:
        """Return a file that ends behind its last whole frame, or with what there is of its first one."""
        gif = _Gif((0, 0), b"")
        try:
            _walk_into(gif, data)
        except (IndexError, struct.error, BrokenFile):
            # The zeros end the block that is cut, and then the blocks.
            return data[: gif.frames[-1].end] + b";" if gif.frames else data + bytes(256) + b";"
        return data

    def frames(self, data: bytes, layout: Layout, *, animated: bool, scale: int) -> Iterator[Frame]:
        """Yield the frames, each composed with what stood before it as browsers do: on a transparent canvas."""
        gif = _walk(data)
        first = gif.frames[0]
        covers = (first.left, first.top, first.width, first.height) == (0, 0, *gif.size)
        if covers and not (animated and layout.frames > 1):
            yield Frame(_decoded(data, gif, first, layout.repair), first.milliseconds)
            return
        grey = True
        canvas = Image.new("RGBA", gif.size)
        for frame in gif.frames if animated else gif.frames[:1]:
            own = _decoded(data, gif, frame, layout.repair)
            grey = grey and own.mode == "L"
            own = own.convert("RGBA")
            before = canvas.copy() if frame.disposal == _TO_PREVIOUS else None
            canvas.paste(own, (frame.left, frame.top), own)
            yield Frame(_least(canvas, grey), frame.milliseconds)
            if before is not None:
                canvas = before
            elif frame.disposal == _TO_BACKGROUND:
                right, bottom = min(frame.left + own.width, canvas.width), min(frame.top + own.height, canvas.height)
                if right > frame.left and bottom > frame.top:
                    canvas.paste((0, 0, 0, 0), (frame.left, frame.top, right, bottom))

    def stripped(self, data: bytes, layout: Layout, exif: bytes, xmp: bytes) -> bytes | None:
        """Return a file of its frames, without comments and what applications added."""
        gif = _walk(data)
        table = 0x80 | len(gif.palette).bit_length() - 3 if gif.palette else 0
        # The resolution of colours, which nobody reads, is what it usually is.
        parts = [b"GIF89a", struct.pack("<HHBBB", *gif.size, 0x70 | table, 0, 0), gif.palette]
        if layout.frames > 1 and gif.plays is not None:
            parts.append(b"\x21\xff\x0bNETSCAPE2.0\3\1" + struct.pack("<HB", max(gif.plays - 1, 0), 0))
        for frame in gif.frames:
            parts += frame.control(), frame.descriptor(gif), data[frame.start : frame.end]
        return b"".join((*parts, b";"))

    def holds(self, image: Image.Image) -> bool:
        """Tell whether a palette image can be written as it is: with no alpha of its own but one index."""
        return super().holds(image) and (
            not may_be_transparent(image) or isinstance(image.info.get("transparency"), int)
        )

    def prepared(self, images: list[Image.Image], background: str) -> list[Image.Image]:
        """Return frames whose pixels are there or not; half-transparent ones are mixed with the background."""
        return [_all_or_nothing(image, background) for image in images]

    def saved(self, images: list[Image.Image], arguments: Mapping[str, Any], wish: Wish) -> bytes:
        """Return the frames as a file, each of them as its difference from the one before; see `gif_writing`."""
        if images[0].mode == "P":
            return self.saved_by_pillow(images, {**arguments, "interlace": arguments.get("interlace", 0)})
        comment = arguments.get("comment", b"")
        return written(
            images,
            arguments.get("duration", ()),
            arguments.get("loop"),
            exact=wish.unchanged,
            comment=comment.encode() if isinstance(comment, str) else bytes(comment),
            interlace=bool(arguments.get("interlace")),
            dither=bool(arguments.get("dither")),
        )

    def timing(self, durations: list[int], plays: int | None) -> dict[str, Any]:
        """Return durations in hundredths of a second, rounded so that the whole keeps its length, and repetitions."""
        ends = [0, *(10 * round(end / 10) for end in accumulate(durations))]
        timing: dict[str, Any] = {"duration": [later - earlier for earlier, later in pairwise(ends)]}
        if plays is not None:
            timing["loop"] = max(plays - 1, 0)
        return timing


_TO_BACKGROUND, _TO_PREVIOUS = 2, 3

_OF_A_FRAME = 6
"""Steps that the blocks of the smallest frame take."""


@dataclass(frozen=True, slots=True)
class _GifFrame:
    """One frame, as its descriptor and the control block before it describe it."""

    left: int
    top: int
    width: int
    height: int
    flags: int
    palette: bytes
    start: int
    """Where its data begins, with the least code size."""
    end: int
    milliseconds: int
    disposal: int
    transparent: int | None
    own_palette: bool

    def control(self) -> bytes:
        """Return the control block; none where it says nothing."""
        packed = self.disposal << 2 | (self.transparent is not None)
        if not (packed or self.milliseconds):
            return b""
        return struct.pack("<4BHBB", 0x21, 0xF9, 4, packed, self.milliseconds // 10, self.transparent or 0, 0)

    def descriptor(self, gif: _Gif) -> bytes:
        """Return the descriptor, with the palette where it is not that of all frames."""
        head = struct.pack("<B4HB", 0x2C, self.left, self.top, self.width, self.height, self.flags & 0xC7)
        return head + (self.palette if self.own_palette else b"")


@dataclass(slots=True)
class _Gif:
    size: tuple[int, int]
    palette: bytes
    plays: int | None = None
    xmp: bytes = b""
    frames: list[_GifFrame] = field(default_factory=list)


def _corner(frame: _GifFrame) -> tuple[int, int]:
    return frame.left + frame.width, frame.top + frame.height


def _walk(data: bytes) -> _Gif:
    """Return what the blocks of a GIF file say; it may lack its trailer.

    Raises:
        BrokenFile: It is truncated, or holds no image.
    """
    try:
        gif = _Gif((0, 0), b"")
        _walk_into(gif, data)
    except (IndexError, struct.error):
        raise BrokenFile("the GIF file is truncated: it ends within a block") from None
    if not gif.frames:
        raise BrokenFile("the GIF file holds no image")
    return gif


def _walk_into(gif: _Gif, data: bytes) -> None:
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    position = 13 + _colour_table_bytes(flags)
    gif.size, gif.palette = (width, height), data[13:position]
    most_frames = most_pieces(data, 2_048)
    left = _OF_A_FRAME * most_frames + most_pieces(data, 128)
    milliseconds, disposal, transparent = 0, 0, None
    while position < len(data) and (block := data[position]) != 0x3B:
        if block == 0x21:
            label = data[position + 1]
            if label == 0xF9 and data[position + 2] >= 4:
                packed, delay, index = struct.unpack_from("<BHB", data, position + 3)
                milliseconds, disposal = 10 * delay, packed >> 2 & 7
                transparent = index if packed & 1 else None
            elif label == 0xFF and data[position + 3 : position + 14] in _LOOPING:
                gif.plays = _plays(data[position + 14 : position + 18])
            end, left = _skip_sub_blocks(data, position + 2, left - 3)
            if label == 0xFF and data[position + 3 : position + 14] == b"XMP DataXMP":
                # The packet is no sub-blocks: bytes behind it lead to their end from wherever one lands.
                gif.xmp = data[position + 14 : end].partition(b"\1\xff\xfe\xfd")[0]
            position = end
        elif block == 0x2C:
            x, y, width, height, flags = struct.unpack_from("<HHHHB", data, position + 1)
            palette = position + 10
            start = palette + _colour_table_bytes(flags)
            end, left = _skip_sub_blocks(data, start + 1, left)
            if not (width and height):
                # So do some broken encoders; browsers take it for the whole screen.
                width, height = gif.size
            if not gif.frames:
                # A first frame that is larger than the screen enlarges the image; later ones are cut.
                gif.size = max(gif.size[0], x + width), max(gif.size[1], y + height)
            colours = data[palette:start] or gif.palette
            gif.frames.append(
                _GifFrame(
                    *(x, y, width, height, flags, colours, start, end),
                    *(milliseconds, disposal, transparent, start > palette),
                )
            )
            milliseconds, disposal, transparent = 0, 0, None
            position = end
        elif block == 0:
            position, left = position + 1, left - 1
        else:
            raise BrokenFile(f"the GIF file is damaged at byte {position}")
        if left < 0 or len(gif.frames) > most_frames:
            raise BrokenFile("the GIF file has far more blocks than its size explains")


_LOOPING = (b"NETSCAPE2.0", b"ANIMEXTS1.0")


def _plays(block: bytes) -> int | None:
    """Return the plays of a looping block; the file counts the repetitions, as libwebp's gif2webp reads them."""
    if block[:2] != b"\3\1" or len(block) < 4:
        return None
    repetitions = int.from_bytes(block[2:4], "little")
    return repetitions + 1 if repetitions else 0


def _colour_table_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _skip_sub_blocks(data: bytes, position: int, left: int) -> tuple[int, int]:
    """Return where sub-blocks end, and how many more there may be."""
    while length := data[position]:
        position += length + 1
        left -= 1
        if left < 0:
            break
    return position + 1, left - 1


def _decoded(data: bytes, gif: _Gif, frame: _GifFrame, repair: bool) -> Image.Image:
    """Return the pixels of one frame alone, in mode P, or L where its palette is grey."""
    bits = max(2, len(frame.palette) // 3).bit_length() - 2
    table = 0x80 | bits if frame.palette else 0
    size = struct.pack("<HH", frame.width, frame.height)
    control = b"" if frame.transparent is None else bytes((0x21, 0xF9, 4, 1, 0, 0, frame.transparent, 0))
    head = b"".join((b"GIF89a", size, bytes((table, 0, 0)), frame.palette, control))
    descriptor = b"\x2c\0\0\0\0" + size + bytes((frame.flags & 0x40,))
    with GifImagePlugin.GifImageFile(io.BytesIO(head + descriptor + data[frame.start : frame.end] + b";")) as file:
        file.decodermaxblock = BLOCK_BYTES
        return loaded(file, repair=repair)


def _least(canvas: Image.Image, grey: bool) -> Image.Image:
    """Return a copy of a canvas in the least mode that holds it."""
    opaque = canvas.getchannel("A").getextrema() == (255, 255)
    if grey:
        return canvas.convert("L" if opaque else "LA")
    return canvas.convert("RGB") if opaque else canvas.copy()


def _all_or_nothing(image: Image.Image, background: str) -> Image.Image:
    """Return a plain image in mode L or RGB, or in RGBA with pixels that are opaque or black and transparent."""
    if image.mode not in ("LA", "RGBA"):
        return image
    there = image.getchannel("A").point([0] * 128 + [255] * 128)
    colours = flatten(image, background).convert("RGB")
    if there.getextrema() == (255, 255):
        return colours
    result = Image.new("RGBA", image.size)
    result.paste(colours, mask=there)
    return result
