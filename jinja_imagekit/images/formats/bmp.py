"""BMP, as Windows and OS/2 write it."""

from __future__ import annotations

from PIL import BmpImagePlugin

from ..colour import may_be_transparent
from .base import BrokenFile, Format, Layout


class Bmp(Format):
    """BMP: read, not written."""

    name = "BMP"
    extension = ".bmp"
    mimetype = "image/bmp"
    plugin = BmpImagePlugin.BmpImageFile

    def announces(self, data: bytes) -> bool:
        """Tell whether the first two bytes are BMP's."""
        return data.startswith(b"BM")

    def layout(self, data: bytes) -> Layout:
        """Return the layout of a BMP file; Pillow reads its header without cost.

        Raises:
            BrokenFile: It is uncompressed, and rows are missing.
        """
        with self.opened(data, animated=False) as image:
            _check_rows(data, *image.size)
            return Layout(*image.size, has_alpha=may_be_transparent(image))


def _check_rows(data: bytes, width: int, height: int) -> None:
    start = int.from_bytes(data[10:14], "little")
    old = int.from_bytes(data[14:18], "little") == 12
    bits = int.from_bytes(data[24:26] if old else data[28:30], "little")
    compression = 0 if old else int.from_bytes(data[30:34], "little")
    row = (width * bits + 31) // 32 * 4
    if compression in (0, 3) and start + row * height > len(data):
        raise BrokenFile("the BMP file is truncated: rows are missing")
