"""Decodes a source to upright 8-bit sRGB frames, once for each scale that is needed."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from PIL import GifImagePlugin, Image, ImageFile, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from ..exceptions import UnreadableImage
from . import containers, jpeg_png
from .colour import fits, in_one_mode, to_plain
from .containers import VECTOR_FORMAT, Layout
from .frames import Frames
from .header import PLUGINS, Header, examine, reading
from .ifd import kept_exif
from .rules import Limits, PixelRules

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes an image of each EXIF orientation upright (Exif 2.32, tag 0x0112)."""

_AS_STORED = {
    **_UPRIGHT,
    6: Image.Transpose.ROTATE_90,
    8: Image.Transpose.ROTATE_270,
}
"""What undoes that; all but the quarter turns undo themselves."""


def decoder_scale(header: Header, rules: PixelRules, sampled_size: tuple[int, int] | None) -> int:
    """Return by how much the decoder may shrink an image that is resampled to a known size afterwards.

    Args:
        header: The source's header.
        rules: The rules; `decode_margin` is the one that matters.
        sampled_size: Width and height in upright pixels to which the whole image is resampled; None where
            the pixels themselves are needed.

    Returns:
        8, 4, 2 or 1: the largest divisor whose result is still at least `decode_margin` times `sampled_size`
        in both dimensions. 1 for formats that cannot be decoded at a scale (all but JPEG and MPO).

    Example:
        >>> decoder_scale(Header("JPEG", 4000, 3000), PixelRules(), (400, 300))
        4
    """
    if header.format not in ("JPEG", "MPO") or sampled_size is None or rules.decode_margin <= 0:
        return 1
    needed = [side * rules.decode_margin for side in sampled_size]
    sides = header.size(rules.auto_orient)
    for scale in (8, 4, 2):
        # libjpeg rounds up.
        if all(side >= scale and -(-side // scale) >= least for side, least in zip(sides, needed, strict=True)):
            return scale
    return 1


class Original:
    """One source's bytes, decoded as often as its derivatives need and no more.

    It may be shared by threads. The images that it hands out are shared too: whoever changes pixels in place
    takes `Frames.copy()` first.

    Args:
        data: The whole file.
        name: What errors call the image.
        limits: The caps on what is read.

    Example:
        >>> original = Original(path.read_bytes(), name="canal.jpg", limits=Limits())  # doctest: +SKIP
        >>> original.frames(PixelRules()).images[0].mode  # doctest: +SKIP
        'RGB'
    """

    def __init__(self, data: bytes, *, name: str, limits: Limits) -> None:
        self._data = data
        self._name = name
        self._limits = limits
        self._lock = threading.RLock()
        self._examined: tuple[Header, Layout] | None = None
        self._decoded: dict[tuple[object, ...], Frames] = {}

    @property
    def data(self) -> bytes:
        """The whole file."""
        return self._data

    @property
    def header(self) -> Header:
        """The cheap facts; no pixel is decoded.

        Raises:
            UnreadableImage: As `read_header`.
            ImageTooLarge: As `read_header`.
        """
        return self._examine()[0]

    @property
    def decodes(self) -> int:
        """How often the source has been decoded."""
        return len(self._decoded)

    def frames(self, rules: PixelRules, *, scale: int = 1, animated: bool = False) -> Frames:
        """Return the source upright, in sRGB, in mode L, LA, RGB or RGBA; `rules` may opt out of each.

        Args:
            rules: How pixels are read.
            scale: What `decoder_scale` gave: the result is this many times smaller, rounded up.
            animated: Decode all frames; otherwise the first one alone.

        Raises:
            UnreadableImage: The file is damaged or truncated.
            ImageTooLarge: It exceeds one of the caps.
        """
        animated = animated and rules.keep_animation and self.header.frames > 1
        key = (rules.auto_orient, rules.convert_to_srgb, rules.scale_16_bit, rules.keep_metadata, scale, animated)
        with self._lock:
            if key not in self._decoded:
                with reading(self._name):
                    self._decoded[key] = self._decode(rules, scale, animated)
            return self._decoded[key]

    def _examine(self) -> tuple[Header, Layout]:
        with self._lock:
            if self._examined is None:
                self._examined = examine(self._data, name=self._name, limits=self._limits)
            return self._examined

    def _decode(self, rules: PixelRules, scale: int, animated: bool) -> Frames:
        header, layout = self._examine()
        if header.format == VECTOR_FORMAT:
            raise UnreadableImage(self._name, "it is an SVG, which has no pixels before a browser draws it.")
        images: list[Image.Image] = []
        durations: list[int] = []
        profile = layout.icc or None
        with _opened(self._data, header, animated) as opened:
            if scale > 1:
                opened.draft(None, (header.width // scale, header.height // scale))
            # An APNG's first image may be there only for those who show no animation.
            first = 1 if animated and getattr(opened, "default_image", False) else 0
            for number in range(first, first + (header.frames if animated else 1)):
                opened.seek(number)
                opened.load()
                durations.append(round(opened.info.get("duration", 0)))
                images.append(_finish(opened, header, layout, rules))
            loop = _plays(opened) if animated else None
        images = in_one_mode(images)
        kept_profile = profile if not rules.convert_to_srgb and profile and fits(profile, images[0].mode) else None
        return Frames(
            images=tuple(images),
            full_size=header.size(rules.auto_orient),
            durations=tuple(durations) if animated else (),
            loop=loop,
            icc_profile=kept_profile,
            exif=kept_exif(layout.exif, rules.keep_metadata, with_orientation=not rules.auto_orient),
        )


_BLOCK_BYTES = 1 << 20
"""What Pillow's decoders are handed at a time; its own 64 KiB are sixty blocks a photo of 12 megapixels."""


@contextmanager
def _opened(data: bytes, header: Header, animated: bool) -> Iterator[ImageFile.ImageFile]:
    """Open a file with its own plugin, on nothing but what makes its pixels.

    `Image.open` would warn about large images, and guess at the format again.
    """
    if header.format == "ICO":
        data = containers.largest_icon(data)
    format = containers.sniff(data)
    plugin: type[ImageFile.ImageFile]
    file: Any = None
    if format == "JPEG":
        plugin, file = JpegImagePlugin.JpegImageFile, jpeg_png.bare_jpeg(data)
    elif format == "PNG":
        plugin, data = PngImagePlugin.PngImageFile, jpeg_png.bare_png(data, animated=animated)
    elif format == "GIF":
        plugin = GifImagePlugin.GifImageFile
    elif format == "WEBP":
        plugin = WebPImagePlugin.WebPImageFile
    else:
        plugin = PLUGINS[format or header.format]
    with plugin(file or io.BytesIO(data)) as image:
        # Each block takes the interpreter lock, for which another thread's decoder may have to wait.
        image.decodermaxblock = _BLOCK_BYTES
        yield image


def _finish(opened: ImageFile.ImageFile, header: Header, layout: Layout, rules: PixelRules) -> Image.Image:
    """Return the frame that is loaded, as an image that the next one does not replace."""
    image: Image.Image = opened.copy() if header.frames > 1 else opened
    if header.format in ("PNG", "ICO"):
        _fit_transparency(image, layout.depth)
    cut = (header.width, header.height)
    if header.format == "GIF" and image.size != cut:
        image = image.crop((0, 0, *cut))
    profile = layout.icc if rules.convert_to_srgb or image.mode == "CMYK" else None
    image = to_plain(image, scale_16_bit=rules.scale_16_bit, profile=profile)
    # Pillow turns TIFF files by itself, and no others.
    turns = _UPRIGHT if rules.auto_orient else _AS_STORED
    if header.orientation > 1 and rules.auto_orient != (header.format == "TIFF"):
        image = image.transpose(turns[header.orientation])
    image.info = {}
    return image


def _fit_transparency(image: Image.Image, depth: int) -> None:
    """Bring a PNG's transparent colour, which has the file's depth, to the depth of the decoded pixels."""
    key = image.info.get("transparency")
    if isinstance(key, int) and image.mode in ("1", "L") and depth < 8 and key < 2**depth:
        image.info["transparency"] = key * 255 // (2**depth - 1)
    elif isinstance(key, tuple) and depth == 16:
        image.info["transparency"] = tuple(value >> 8 for value in key)


def _plays(opened: ImageFile.ImageFile) -> int | None:
    loop = opened.info.get("loop")
    if opened.format == "AVIF":
        # Pillow does not tell; what encoders write unless told otherwise is "for ever".
        return 0
    if loop is None or not isinstance(loop, int):
        return None
    if opened.format == "GIF":
        # A GIF counts the repetitions, the others count the plays (libwebp's gif2webp does the same sum).
        return loop + 1 if loop else 0
    return None if loop == 1 else loop
