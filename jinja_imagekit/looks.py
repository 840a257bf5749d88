"""What an image looks like from afar: its few colours and a tiny preview, from what a decoder can reduce it to."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from PIL import Image

from . import images
from .images.rules import Limits, PixelRules
from .interfaces import Size
from .recipes import Recipe
from .settings import Settings
from .sources import Source
from .time_limits import time_limit

if TYPE_CHECKING:
    from .images import Header

MOST_URI_BYTES = 200
"""Maximum bytes of a blurred preview as a data URI: more would cost each page more than it gains."""

BLUR_PIXELS = (16, 12, 8)
"""Longer side of a blurred preview in pixels; the smaller ones are for when larger ones take too many bytes."""

BLUR_QUALITIES = (40, 20, 5, 0)
"""Qualities of a blurred preview's WebP, tried in turn until it is small enough."""

COLOUR_PIXELS = 16
"""Side of the square whose most frequent colour stands for an image."""


class Look(NamedTuple):
    """What an image looks like from afar.

    Attributes:
        palette: Its few colours, such as "#1f3a5c", the most frequent first.
        blur: A tiny preview as a data URI.
        columns: Colours from left to right.
        rows: Colours from top to bottom.
        is_opaque: Whether no pixel of its first frame is transparent.
    """

    palette: tuple[str, ...]
    blur: str
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    is_opaque: bool

    @property
    def color(self) -> str:
        """The main colour."""
        return self.palette[0]

    def may_show_what_is_below(self, header: Header) -> bool:
        """Tell whether a page's ground may be seen through the image, of whose animation one frame was looked at."""
        return header.has_alpha and (header.frames > 1 or not self.is_opaque)


@dataclass(frozen=True)
class _Reduced:
    """Only lets the decoder reduce an image, as far as what looks at it allows."""

    pixels: int

    def sampled_size(self, size: Size) -> Size:
        """Return the size at which the image is looked at."""
        return self.pixels, self.pixels

    def process(self, image: Image.Image) -> Image.Image:
        """Return the image."""
        return image

    def process_reduced(self, image: Image.Image, full_size: Size) -> Image.Image:
        """Return what the decoder has made."""
        return image


def reduced(source: Source, settings: Settings, pixels: int = COLOUR_PIXELS) -> Image.Image:
    """Return a source's first frame, reduced by the decoder, which runs where the settings want it.

    Args:
        source: The source.
        settings: The settings.
        pixels: How many each side needs, if the source has as many.
    """
    limits, rules = Limits.from_settings(settings), PixelRules(keep_animation=False)
    original = source.as_original(limits)
    if not settings.isolation:
        with time_limit(settings.timeout, source.name):
            scale = images.decoder_scale(original.header, rules, (pixels, pixels))
            return original.frames(rules, scale=scale).images[0]
    recipe = Recipe(
        name=source.name,
        processors=(_Reduced(pixels),),
        format="PNG",
        # It is read once, here.
        options={"compress_level": 0},
        rules=rules,
        limits=replace(limits, max_result_pixels=limits.max_source_pixels),
        keeps_vectors=False,
    )
    # It starts processes, which most sites never need.
    from . import isolation

    made = isolation.make(recipe, original.data, timeout=settings.timeout, memory=settings.worker_memory)
    return images.Original(made, name=source.name, limits=recipe.limits.of_results()).frames(rules).images[0]


def look_of(image: Image.Image) -> Look:
    """Return what an image looks like."""
    image = image.convert("RGBA")
    palette = _palette(image)
    is_opaque = image.getchannel("A").getextrema()[0] == 255
    # Averaged with transparency, so that hidden colours do not count.
    white = Image.new("RGBA", image.size, "white")
    image = Image.alpha_composite(white, image).convert("RGB")
    columns = image.resize((4, 1), Image.Resampling.BOX)
    rows = image.resize((1, 4), Image.Resampling.BOX)
    return Look(
        palette,
        _blur(image),
        tuple(_hex(columns.getpixel((at, 0))) for at in range(4)),
        tuple(_hex(rows.getpixel((0, at))) for at in range(4)),
        is_opaque,
    )


def _palette(image: Image.Image) -> tuple[str, ...]:
    """Return the few colours of an image seen from afar, the most frequent first; opaque pixels count more."""
    data = image.resize((COLOUR_PIXELS, COLOUR_PIXELS), Image.Resampling.BOX).tobytes()
    pixels = [data[at : at + 4] for at in range(0, len(data), 4) if data[at + 3]] or [b"\xff" * 4]
    seen = Image.frombytes("RGB", (len(pixels), 1), b"".join(pixel[:3] for pixel in pixels))
    few = seen.quantize(5, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    colours = few.getpalette() or []
    weights: Counter[int] = Counter()
    for index, pixel in zip(few.tobytes(), pixels, strict=True):
        weights[index] += pixel[3]
    # Of equally frequent ones, the last in Pillow's list.
    ranked = sorted(((weight, index) for index, weight in weights.items()), reverse=True)
    return tuple(dict.fromkeys(_hex(colours[3 * index : 3 * index + 3]) for _, index in ranked))


def _hex(colour: Any) -> str:
    return "#" + "".join(f"{level:02x}" for level in colour[:3])


def _blur(image: Image.Image) -> str:
    uri = ""
    for pixels in BLUR_PIXELS:
        small = fitted(image, pixels)
        frames = images.Frames((small,), small.size)
        for quality in BLUR_QUALITIES:
            options = {"quality": quality, "method": 6}
            data = images.encode(frames, "WEBP", options, rules=PixelRules(), limits=Limits())
            uri = f"data:image/webp;base64,{b64encode(data).decode()}"
            if len(uri) <= MOST_URI_BYTES:
                return uri
    return uri


def fitted(image: Image.Image, pixels: int) -> Image.Image:
    """Return an image whose longer side has so many pixels."""
    share = pixels / max(image.size)
    width, height = (max(1, round(side * share)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BOX)


_COLOUR = re.compile("#[0-9a-f]{6}")
_URI = re.compile("data:image/webp;base64,[A-Za-z0-9+/]+={0,2}")


def parsed_look(text: str) -> Look | None:
    """Return the look that a text from the state describes; None if this library did not write it."""
    try:
        palette, blur, columns, rows, is_opaque = json.loads(text)
        colours = [*palette, *columns, *rows]
    except (ValueError, TypeError, RecursionError):
        return None
    sound = all(isinstance(each, str) and _COLOUR.fullmatch(each) for each in colours) and type(is_opaque) is bool
    # It goes into style sheets and attributes of pages.
    if (
        not sound
        or not palette
        or not isinstance(blur, str)
        or len(blur) > 4 * MOST_URI_BYTES
        or not _URI.fullmatch(blur)
    ):
        return None
    return Look(tuple(palette), blur, tuple(columns), tuple(rows), is_opaque)
