"""GIF (GIF89a specification)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate, pairwise
from typing import Any

from PIL import GifImagePlugin, Image

from ..colour import flatten, may_be_transparent
from .base import BrokenFile, Format, Layout


class Gif(Format):
    """GIF: at most 256 colours a frame, one of them transparent."""

    name = "GIF"
    extension = ".gif"
    mimetype = "image/gif"
    plugin = GifImagePlugin.GifImageFile
    warns_of_size = True

    is_written = True
    modes = frozenset({"L", "P"})
    has_alpha = True
    animates = True
    max_side = 65_535  # 16 bits
    max_milliseconds = 655_350  # 16 bits of 1/100 s
    options = frozenset({"optimize", "interlace", "comment"})

    def announces(self, data: bytes) -> bool:
        """Tell whether the first bytes are GIF's signature."""
        return data.startswith((b"GIF87a", b"GIF89a"))

    def layout(self, data: bytes) -> Layout:
        """Return the layout of a GIF file, from all of its blocks.

        Raises:
            BrokenFile: It is truncated, or holds no image.
        """
        try:
            return _layout(data)
        except IndexError:
            raise BrokenFile("the GIF file is truncated: it has no trailer") from None

    def mended(self, image: Image.Image, layout: Layout) -> Image.Image:
        """Cut a frame to the image, which later frames enlarge in Pillow."""
        cut = (layout.width, layout.height)
        return image if image.size == cut else image.crop((0, 0, *cut))

    def holds(self, image: Image.Image) -> bool:
        """Tell whether a palette image can be written as it is: with no alpha of its own but one index."""
        return super().holds(image) and (
            not may_be_transparent(image) or isinstance(image.info.get("transparency"), int)
        )

    def prepared(self, images: list[Image.Image], background: str) -> list[Image.Image]:
        """Return frames with a palette of their own; half-transparent pixels are mixed with the background."""
        return [_with_palette(image, background) for image in images]

    def arguments(self, image: Image.Image, chosen: Mapping[str, object]) -> dict[str, Any]:
        """Return what a transparent animation needs: each frame is whole, and what stood before it goes."""
        return {"disposal": 2} if chosen.get("save_all") and "transparency" in image.info else {}

    def timing(self, durations: list[int], plays: int | None) -> dict[str, Any]:
        """Return durations in hundredths of a second, rounded so that the whole keeps its length, and repetitions."""
        ends = [0, *(10 * round(end / 10) for end in accumulate(durations))]
        timing: dict[str, Any] = {"duration": [later - earlier for earlier, later in pairwise(ends)]}
        if plays is not None:
            timing["loop"] = max(plays - 1, 0)
        return timing


def _layout(data: bytes) -> Layout:
    size = canvas = int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")
    position = 13 + _colour_table_bytes(data[10])
    frames, has_alpha, plays = 0, False, None
    while (block := data[position]) != 0x3B:
        if block == 0x21:
            has_alpha |= data[position + 1] == 0xF9 and bool(data[position + 3] & 1)
            if data[position + 1] == 0xFF and data[position + 3 : position + 14] == b"NETSCAPE2.0":
                plays = _plays(data[position + 14 : position + 18])
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
    return Layout(*size, canvas=canvas, frames=frames, plays=plays, has_alpha=has_alpha)


def _plays(block: bytes) -> int | None:
    """Return the plays of a looping block; the file counts the repetitions, as libwebp's gif2webp reads them."""
    if block[:2] != b"\3\1" or len(block) < 4:
        return None
    repetitions = int.from_bytes(block[2:4], "little")
    return repetitions + 1 if repetitions else 0


def _colour_table_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _skip_sub_blocks(data: bytes, position: int) -> int:
    while length := data[position]:
        position += length + 1
    return position + 1


def _with_palette(image: Image.Image, background: str) -> Image.Image:
    """Return a plain image with at most 256 colours: grey as it is, others with a palette of their own."""
    if image.mode == "L":
        return image
    colours = flatten(image, background).convert("RGB")
    if image.mode == "RGB":
        return colours.quantize(256)
    palette = colours.quantize(255)
    transparent = image.getchannel("A").point([255] * 128 + [0] * 128)
    # The palette has to reach the index, or decoders read beyond it.
    palette.putpalette(bytes(palette.getpalette() or ()).ljust(768, b"\0")[:768])
    palette.paste(255, mask=transparent)
    palette.info = {"transparency": 255}
    return palette
