"""Formats that Pillow decodes and that are read only where the setting `readable_formats` names them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from PIL import Image, ImageFile

from ...settings import OTHER_FORMATS
from ..colour import may_be_transparent
from ..metadata import without_orientation
from .base import Format, Layout
from .boxes import named_box


class Other(Format):
    """One of Pillow's formats, with all that its plugin says about it.

    Its container is not examined here: what is wrong with a file shows when it is decoded.

    Args:
        name: Pillow's name.
    """

    def __init__(self, name: str) -> None:
        self.name = name  # type: ignore[misc]  # one class stands for them all
        self._accepts: Any = None
        self._opens: Any = None

    @property
    def mimetype(self) -> str:  # type: ignore[override]  # likewise
        """Its media type, as far as Pillow knows one."""
        return Image.MIME.get(self.name, "application/octet-stream")

    @property
    def extension(self) -> str:  # type: ignore[override]  # likewise
        """The extension that Pillow gives its files."""
        return next((each for each, name in Image.registered_extensions().items() if name == self.name), "")

    def announces(self, data: bytes) -> bool:
        """Tell whether Pillow's plugin takes the file for one of its own."""
        self._load()
        try:
            if self._accepts is not None and self._accepts(data[:16]) is not True:
                return False
            self._opens(io.BytesIO(data)).close()
        except Exception:  # noqa: BLE001  # plugins raise anything about files that are not theirs
            return False
        return True

    def layout(self, data: bytes) -> Layout:
        """Return the size of an image, and whether it may be transparent."""
        with self.opened(data, animated=False) as image:
            icc = image.info.get("icc_profile") or b""
            exif, xmp, iptc = _metadata(image, data)
            # No decoder turns these by it, and no viewer does.
            exif = without_orientation(exif)
            return Layout(*image.size, has_alpha=may_be_transparent(image), icc=icc, exif=exif, xmp=xmp, iptc=iptc)

    @contextmanager
    def opened(self, data: bytes, *, animated: bool) -> Iterator[ImageFile.ImageFile]:
        """Open a file with Pillow's plugin."""
        self._load()
        with self._opens(io.BytesIO(data)) as file:
            yield file

    def _load(self) -> None:
        # Pillow imports all of its plugins at once, which nobody else has to wait for.
        if self._opens is None:
            Image.init()
            self._opens, self._accepts = Image.OPEN[self.name]


def _metadata(image: ImageFile.ImageFile, data: bytes) -> tuple[bytes, bytes, bytes]:
    """Return EXIF, XMP and IPTC's datasets, which Pillow's plugins leave aside; often empty."""
    if image.format == "JPEG2000":
        return named_box(data, _EXIF_IN_JPEG2000), named_box(data, _XMP_IN_JPEG2000), b""
    resources = {number: bytes(body) for number, _, body in getattr(image, "resources", ())}
    exif, xmp, iptc = (resources.get(number, b"") for number in _IN_PHOTOSHOP)
    return exif, xmp, iptc


_EXIF_IN_JPEG2000 = b"JpgTiffExif->JP2"
_XMP_IN_JPEG2000 = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
"""The names of boxes, as exiftool writes them and XMP's specification has them (part 3, 1.1.4)."""

_IN_PHOTOSHOP = 0x0422, 0x0424, 0x0404
"""The numbers of EXIF, XMP and IPTC among a PSD's image resources (Adobe Photoshop File Formats, 2019)."""

OTHERS = {name: Other(name) for name in OTHER_FORMATS}
"""By Pillow's names. TGA, whose files have no signature, is the last that is tried."""
