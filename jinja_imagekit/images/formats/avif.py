"""AVIF (AV1 Image File Format; ISO/IEC 14496-12 for its boxes)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from PIL import AvifImagePlugin, Image

from .base import BrokenFile, Format, Layout, Range


class Avif(Format):
    """AVIF, animated or not."""

    name = "AVIF"
    other_names = ("AVIFS",)
    extension = ".avif"
    mimetype = "image/avif"
    plugin = AvifImagePlugin.AvifImageFile

    is_written = True
    modes = frozenset({"L", "RGB", "RGBA"})
    has_alpha = True
    animates = True
    max_side = 65_536  # libavif's encoder
    max_milliseconds = 2**31 - 1
    defaults: ClassVar[Mapping[str, object]] = {"quality": 61, "speed": 8}
    options = frozenset(
        {"quality", "speed", "subsampling", "range", "codec", "tile_rows", "tile_cols", "autotiling"}
        | {"alpha_premultiplied", "advanced", "icc_profile", "exif", "xmp"}
    )
    ranges: ClassVar[Mapping[str, Range]] = {"quality": Range(0, 100), "speed": Range(0, 10)}

    def announces(self, data: bytes) -> bool:
        """Tell whether the file's brands name AVIF, still or animated."""
        if data[4:8] != b"ftyp":
            return False
        brands = data[8 : min(int.from_bytes(data[:4], "big"), 256)]
        return b"avif" in brands or b"avis" in brands

    def layout(self, data: bytes) -> Layout:
        """Return the layout of an AVIF file; Pillow reads its header without cost.

        Raises:
            BrokenFile: A box reaches beyond its end.
        """
        _check_boxes(data)
        with self.opened(data, animated=True) as image:
            frames = getattr(image, "n_frames", 1)
            return Layout(
                *image.size,
                frames=frames,
                # Pillow does not tell; what encoders write unless told otherwise is "for ever".
                plays=0 if frames > 1 else None,
                has_alpha=image.mode == "RGBA",
                exif=image.info.get("exif", b""),
                icc=image.info.get("icc_profile", b"") or b"",
            )

    def arguments(self, image: Image.Image, chosen: Mapping[str, object]) -> dict[str, Any]:
        """Return one thread: libavif's result depends on their number."""
        return {"max_threads": 1}


_TOP_LEVEL_BOXES = frozenset({b"ftyp", b"meta", b"mdat", b"moov", b"moof", b"sidx", b"free", b"skip", b"uuid"})


def _check_boxes(data: bytes) -> None:
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
