"""HEIF with HEVC (ISO/IEC 23008-12), as phones take photos; an extra reads it, where a setting names it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import ImageFile

from ..gain_maps import APPLE, FOREIGN
from ..primaries import SRGB, Colours
from .base import BrokenFile, Format, Frame, Layout
from .boxes import C2PA, MEDIA_BOXES, brands_of, check_boxes, named_box

BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
"""What the files name themselves (23008-12, annex B)."""


class Heif(Format):
    """HEIF, of which the primary image is read; none is written."""

    name = "HEIF"
    extension = ".heic"
    mimetype = "image/heic"

    def announces(self, data: bytes) -> bool:
        """Tell whether the file's brands name HEIF; those of AVIF are looked at before."""
        return any(brand in brands_of(data) for brand in BRANDS)

    def layout(self, data: bytes) -> Layout:
        """Return the layout of the primary image, which libheif turns upright itself.

        Raises:
            BrokenFile: A box reaches beyond its end; libheif would leave tiles that are cut off green.
        """
        check_boxes(data, MEDIA_BOXES, self.name)
        with self.opened(data, animated=False) as image:
            info = image.info
            nclx = info.get("nclx_profile")
            return Layout(
                *image.size,
                has_alpha=image.mode in ("LA", "RGBA", "RGBa"),
                colours=Colours.of_codes(int(nclx[_PRIMARIES]), int(nclx[_TRANSFER])) if nclx else SRGB,
                turned=info.get("original_orientation") or 1,
                exif=info.get("exif") or b"",
                xmp=info.get("xmp") or b"",
                manifest=named_box(data, C2PA),
                icc=info.get("icc_profile") or b"",
                gain_map=FOREIGN if b"tmap" in brands_of(data) or APPLE in info.get("aux", {}) else None,
            )

    def frames(self, data: bytes, layout: Layout, *, animated: bool, scale: int) -> Iterator[Frame]:
        """Yield the primary image.

        Raises:
            BrokenFile: Its coded image has another size than its container says, by which it was let in.
        """
        with self.opened(data, animated=False) as image:
            image.load()
            if image.size != (layout.width, layout.height):
                raise BrokenFile("the HEIF file says another size than its image has")
            yield Frame(image, 0)

    @contextmanager
    def opened(self, data: bytes, *, animated: bool) -> Iterator[ImageFile.ImageFile]:
        """Open a file with the package's class, without having Pillow open such files everywhere."""
        # An extra.
        from pillow_heif import HeifImageFile

        with HeifImageFile(io.BytesIO(data)) as file:  # type: ignore[no-untyped-call]  # the package has no types
            yield file


_PRIMARIES, _TRANSFER = "color_primaries", "transfer_characteristics"
