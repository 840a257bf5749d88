"""Formats that Pillow decodes and that are read only where the setting `readable_formats` names them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from PIL import Image, ImageFile

from ...settings import OTHER_FORMATS
from ..colour import may_be_transparent
from .base import Format, Layout


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
            return Layout(*image.size, has_alpha=may_be_transparent(image), icc=icc)

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


OTHERS = {name: Other(name) for name in OTHER_FORMATS}
"""By Pillow's names. TGA, whose files have no signature, is the last that is tried."""
