"""Small pictures of sources and results, for a page that holds them itself."""

from __future__ import annotations

from base64 import b64encode
from typing import NamedTuple

from ..exceptions import ImageKitError
from ..images import Limits, Original, PixelRules, decoder_scale, encode
from ..interfaces import Size
from ..processors import ResizeToFit
from ..specs import fit_within

WIDTH, HEIGHT = 264, 198
"""Pixels that a preview fits into; at 4:3 and WebP 60 it has about 8 kB."""

MOST_DRAWING_BYTES = 65_536
"""Of an SVG that is its own preview: logos have a tenth of it."""

_FORMAT, _OPTIONS = "WEBP", {"quality": 60, "method": 2}
_RULES = PixelRules(keep_animation=False)


class Preview(NamedTuple):
    """A small picture.

    Attributes:
        uri: A data URI.
        width: Pixels.
        height: Pixels.
    """

    uri: str
    width: int
    height: int


def make_preview(data: bytes, name: str, limits: Limits) -> Preview | None:
    """Return a small picture of an image; None where it cannot be read.

    Args:
        data: The whole image file.
        name: What the image is called.
        limits: The caps on what is read.
    """
    try:
        original = Original(data, name=name, limits=limits)
        if original.header.is_vector:
            return _drawing(data, original.header.size())
        shrink = ResizeToFit(WIDTH, HEIGHT, upscale=False)
        size = shrink.output_size(original.header.size())
        frames = original.frames(_RULES, scale=decoder_scale(original.header, _RULES, size))
        image = shrink.process(frames.images[0])
        small = encode(frames.with_images([image]), _FORMAT, _OPTIONS, rules=_RULES, limits=Limits(), name=name)
    except ImageKitError:
        return None
    return Preview(f"data:image/webp;base64,{b64encode(small).decode()}", image.width, image.height)


def _drawing(data: bytes, size: Size) -> Preview | None:
    if len(data) > MOST_DRAWING_BYTES:
        return None
    return Preview(f"data:image/svg+xml;base64,{b64encode(data).decode()}", *fit_within(size, (WIDTH, HEIGHT)))
