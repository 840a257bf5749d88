"""The processor that lays one image over another: a watermark, a badge, a play button."""

from __future__ import annotations

import hashlib
import os
from typing import Any, NamedTuple

from PIL import Image

from .. import images
from ..exceptions import InvalidOption, SourceNotFound
from ..images.colour import to_plain
from . import arguments
from .arguments import Anchor, anchor_point
from .effects import SetOpacity, same_size
from .modes import with_alpha
from .resampling import anchored, resample, scaled


class _Overlay(NamedTuple):
    version: tuple[int, ...]
    digest: str
    image: Image.Image


class OverlayImage:
    """Lays another image over the image, shrunk to fit where it is larger.

    The fingerprint covers the overlay's content, so that a new file under the old name gives new results.

    Args:
        image: A Pillow image, or the overlay's path, which is read when it is needed and again when its time or
            size has changed.
        anchor: Where it is placed: a name of `processors.Anchor` or two fractions.
        opacity: From 0 to 1.
        margin: Minimum distance in pixels between the overlay and the image's edges.

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
        if anchor is None:
            raise InvalidOption("anchor", anchor, "give a name such as 'br', or two numbers from 0 to 1")
        self.path: str | None = None
        self.anchor = arguments.anchor(anchor)
        self.opacity = arguments.number("opacity", opacity, 0, 1)
        self.margin = arguments.pixels("margin", margin, least=0)
        self._read: _Overlay | None = None
        if isinstance(image, Image.Image):
            own = with_alpha(to_plain(image)).copy()
            self._read = _Overlay((), _digest(f"{own.mode} {own.size}".encode() + own.tobytes()), own)
        elif isinstance(image, (str, os.PathLike)) and isinstance(path := os.fspath(image), str):
            self.path = arguments.plain(path)
        else:
            raise InvalidOption("image", image, "give a path or a Pillow image")

    def fingerprint(self) -> dict[str, Any]:
        """Return the arguments, with the overlay replaced by a digest of its content.

        Raises:
            SourceNotFound: The overlay's file cannot be read.
            UnreadableImage: It is not an image.
        """
        digest = self._overlay().digest
        return {"image": digest, "anchor": self.anchor, "opacity": self.opacity, "margin": self.margin}

    output_size = same_size

    def process(self, image: Image.Image) -> Image.Image:
        """Return the processed image; `image` is left as it is.

        Raises:
            SourceNotFound: The overlay's file cannot be read.
            UnreadableImage: It is not an image.
        """
        base = to_plain(image)
        overlay = SetOpacity(self.opacity).process(self._overlay().image)
        left, right = _inside(base.width, self.margin)
        top, bottom = _inside(base.height, self.margin)
        free = right - left, bottom - top
        ratio = min(1.0, free[0] / overlay.width, free[1] / overlay.height)
        overlay = resample(overlay, overlay.size, scaled(overlay.size, ratio))
        across, down, _, _ = anchored(free, overlay.size, anchor_point(self.anchor))
        canvas = base.convert("RGBA")
        canvas.alpha_composite(overlay.convert("RGBA"), (left + across, top + down))
        is_grey = base.mode in ("L", "LA") and overlay.mode == "LA"
        return canvas.convert(base.mode if is_grey else {"L": "RGB", "LA": "RGBA"}.get(base.mode, base.mode))

    def _overlay(self) -> _Overlay:
        path, known = self.path, self._read
        if path is None:
            assert known is not None
            return known
        try:
            facts = os.stat(path)
            version = (facts.st_mtime_ns, facts.st_size, facts.st_ino, facts.st_ctime_ns)
            if known is not None and known.version == version:
                return known
            with open(path, "rb") as file:
                data = file.read()
        except OSError as error:
            raise SourceNotFound(path, f"the overlay cannot be read ({error.strerror})") from error
        self._read = _Overlay(version, _digest(data), _decoded(path, data))
        return self._read


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _inside(length: int, margin: int) -> tuple[int, int]:
    """Return the start and end between two margins; where they leave nothing, the pixel in the middle."""
    margin = min(margin, (length - 1) // 2)
    return margin, length - margin


def _decoded(path: str, data: bytes) -> Image.Image:
    return with_alpha(images.Original(data, name=path, limits=images.Limits()).frames(images.PixelRules()).images[0])
