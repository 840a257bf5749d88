"""TIFF and BigTIFF (TIFF 6.0)."""

from __future__ import annotations

from PIL import TiffImagePlugin

from ..colour import may_be_transparent
from ..metadata import ICC_PROFILE, read_directory
from .base import BrokenFile, Format, Layout


class Tiff(Format):
    """TIFF: its first image is read; none is written."""

    name = "TIFF"
    extension = ".tif"
    mimetype = "image/tiff"
    plugin = TiffImagePlugin.TiffImageFile
    warns_of_size = True
    turns_itself = True

    def announces(self, data: bytes) -> bool:
        """Tell whether the first bytes are a byte order and TIFF's or BigTIFF's number."""
        return data.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"))

    def layout(self, data: bytes) -> Layout:
        """Return the layout of a TIFF file's first image (sections 8 and 15).

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
        icc = directory.entries.get(ICC_PROFILE)
        with self.opened(data, animated=False) as image:
            return Layout(
                width,
                height,
                canvas=(max(width, tile[0]), max(height, tile[1])),
                has_alpha=may_be_transparent(image),
                exif=data,
                icc=bytes(icc.raw) if icc else b"",
            )


_IMAGE_WIDTH, _IMAGE_HEIGHT, _TILE_WIDTH, _TILE_HEIGHT = 256, 257, 322, 323
_OFFSETS_AND_LENGTHS = ((273, 279), (324, 325))
