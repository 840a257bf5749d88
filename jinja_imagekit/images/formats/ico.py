"""ICO: the largest icon of a file, which is a PNG or a bitmap with a mask."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from .base import BrokenFile, Format, Frame, Layout
from .png import Png


class Ico(Format):
    """ICO: read, not written."""

    name = "ICO"
    extension = ".ico"
    mimetype = "image/x-icon"
    plugin = "IcoImagePlugin.IcoImageFile"

    def announces(self, data: bytes) -> bool:
        """Tell whether the first bytes are those of an icon's directory."""
        return data.startswith(b"\0\0\1\0")

    def layout(self, data: bytes) -> Layout:
        """Return the layout of the largest icon.

        Raises:
            BrokenFile: It is truncated, or its directory contradicts its images.
        """
        icon = _largest(data)
        if _PNG.announces(icon):
            return _PNG.layout(icon)
        with self.opened(data, animated=False) as image:
            return Layout(*image.size, has_alpha=True)

    def frames(self, data: bytes, layout: Layout, *, animated: bool, scale: int) -> Iterator[Frame]:
        """Yield the pixels of the largest icon."""
        icon = _largest(data)
        if _PNG.announces(icon):
            yield from _PNG.frames(icon, layout, animated=animated, scale=scale)
            return
        frame = next(super().frames(data, layout, animated=animated, scale=scale))
        if icon[_BITS] == 32 and frame.image.getchannel("A").getextrema() == (0, 0):
            # Without any alpha the mask holds, which Pillow looks at when it is told of fewer bits.
            masked = b"".join((icon[:_BITS], b"\x18", icon[_BITS + 1 :]))
            with self.decoder()(io.BytesIO(masked)) as file:
                file.load()
                frame = Frame(file, 0)
        yield frame

    def bare(self, data: bytes, *, animated: bool) -> Any:
        """Return a file of the largest icon alone."""
        return io.BytesIO(_largest(data))


_PNG = Png()

_BITS = 12
"""Where the directory's first entry says how many bits a pixel has."""

_MOST_ICONS = 1_024
"""Icons of a file that are looked at; real ones have a dozen."""


def _largest(data: bytes) -> bytes:
    """Return the largest image of an ICO file: a PNG file, or an ICO file with that image alone.

    Raises:
        BrokenFile: It is truncated, or its directory contradicts its images.
    """
    count = min(int.from_bytes(data[4:6], "little"), _MOST_ICONS)
    entries = [data[at : at + 16] for at in range(6, 6 + 16 * count, 16)]
    entries = [entry for entry in entries if len(entry) == 16]
    if not entries:
        raise BrokenFile("the ICO file holds no image")
    best = max(entries, key=lambda entry: ((entry[0] or 256) * (entry[1] or 256), int.from_bytes(entry[6:8], "little")))
    length, start = (int.from_bytes(best[at : at + 4], "little") for at in (8, 12))
    image = data[start : start + length]
    if length < 40 or len(image) < length:
        raise BrokenFile("the ICO file is truncated")
    if _PNG.announces(image):
        return image
    # The bitmap is twice as high as the icon: its mask follows the colours.
    width, height = (int.from_bytes(image[at : at + 4], "little", signed=True) for at in (4, 8))
    if (width, height) != (best[0] or 256, 2 * (best[1] or 256)):
        raise BrokenFile("the ICO file is damaged: its directory contradicts its image")
    # The image itself says how many bits a pixel has; directories say 0 or what they like.
    directory = best[:6] + image[14:16] + best[8:12]
    return b"\0\0\1\0\1\0" + directory + (22).to_bytes(4, "little") + image
