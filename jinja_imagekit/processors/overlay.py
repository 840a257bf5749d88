"""The processor that lays one image over another: a watermark, a badge, a play button."""

from __future__ import annotations

import hashlib
import io
import os
from typing import Any

from PIL import Image, ImageOps

from ..exceptions import InvalidOption, SourceNotFound, UnreadableImage
from ..settings import READABLE_FORMATS
from . import arguments
from .arguments import Anchor, anchor_point
from .effects import SameSize, SetOpacity
from .modes import plain, with_alpha
from .resampling import anchored, resample, scaled


class OverlayImage(SameSize):
    """Lays another image over the image; one that is larger is shrunk until it fits.

    The fingerprint sees the overlay's pixels or bytes, so a new file under the old name gives new results.

    Args:
        image: The path of the overlay, which is read when it is needed, or an open Pillow image.
        anchor: Where it lies: a name of `processors.Anchor` or two fractions.
        opacity: From 0 to 1.
        margin: Least pixels between the overlay and the image's sides.

    Raises:
        InvalidOption: The overlay is neither a path nor an image, or another value cannot be used.

    Example:
        >>> OverlayImage("watermark.png", anchor="br", opacity=0.6, margin=16).output_size((400, 300))
        (400, 300)
    """

    def __init__(
        self,
        image: str | os.PathLike[str] | Image.Image,
        anchor: Anchor = "c",
        opacity: float = 1.0,
        margin: int = 0,
    ) -> None:
        if isinstance(image, Image.Image):
            self.image: str | Image.Image = with_alpha(plain(image)).copy()
        elif isinstance(image, (str, os.PathLike)) and isinstance(path := os.fspath(image), str):
            self.image = arguments.plain(path)
        else:
            raise InvalidOption("image", image, "give a path or a Pillow image")
        if anchor is None:
            raise InvalidOption("anchor", anchor, "give a name such as 'br', or two numbers from 0 to 1")
        self.anchor = arguments.anchor(anchor)
        self.opacity = arguments.number("opacity", opacity, 0, 1)
        self.margin = arguments.pixels("margin", margin, least=0)

    def fingerprint(self) -> dict[str, Any]:
        """Return the arguments, with a digest of the overlay's content in its place.

        Raises:
            SourceNotFound: The overlay's file cannot be read.
        """
        if isinstance(self.image, str):
            digest = hashlib.blake2b(_read(self.image), digest_size=16).hexdigest()
        else:
            pixels = hashlib.blake2b(self.image.tobytes(), digest_size=16).hexdigest()
            digest = f"{self.image.mode} {self.image.width}x{self.image.height} {pixels}"
        return {"image": digest, "anchor": self.anchor, "opacity": self.opacity, "margin": self.margin}

    def process(self, image: Image.Image) -> Image.Image:
        """Return the processed image; `image` is left as it is.

        Raises:
            SourceNotFound: The overlay's file cannot be read.
            UnreadableImage: It is no image.
        """
        base = plain(image)
        overlay = SetOpacity(self.opacity).process(self._overlay())
        free = max(1, base.width - 2 * self.margin), max(1, base.height - 2 * self.margin)
        ratio = min(1.0, free[0] / overlay.width, free[1] / overlay.height)
        overlay = resample(overlay, overlay.size, scaled(overlay.size, ratio))
        left, top, _, _ = anchored(free, overlay.size, anchor_point(self.anchor))
        canvas = base.convert("RGBA")
        at = min(left + self.margin, base.width - 1), min(top + self.margin, base.height - 1)
        canvas.alpha_composite(overlay.convert("RGBA"), at)
        grey = base.mode in ("L", "LA") and overlay.mode == "LA"
        return canvas.convert(base.mode if grey else {"L": "RGB", "LA": "RGBA"}.get(base.mode, base.mode))

    def _overlay(self) -> Image.Image:
        if isinstance(self.image, Image.Image):
            return self.image
        data = _read(self.image)
        try:
            with Image.open(io.BytesIO(data), formats=READABLE_FORMATS) as opened:
                return with_alpha(plain(ImageOps.exif_transpose(opened)))
        except (OSError, ValueError, SyntaxError, EOFError) as error:
            raise UnreadableImage(self.image, f"the overlay is no image that can be read ({error})") from error


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise SourceNotFound(path, f"the overlay cannot be read ({error.strerror})") from error
