"""Pictures: the sizes and formats of an image that a page offers, the HTML that offers them, and what a build keeps."""

from __future__ import annotations

import json
import logging
import math
import os
import re
import threading
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from markupsafe import Markup

from . import html
from .atomic_files import write_whole
from .builds.notes import Notes, own_name
from .cachefiles import ImageCacheFile
from .cachefiles.backends import Simple
from .cachefiles.references import Reference, reference_to
from .cachefiles.strategies import JustInTime
from .exceptions import ImageKitError, InvalidOption, MissingAlt, MissingSource, StorageError, nearest
from .generatorlibrary import THUMBNAIL_ID
from .imageinfo import NO_SIDECAR, ImageInfo, Look, Sidecar
from .images import OUTPUT_FORMATS, Header, mimetype, normal_format, output_format
from .interfaces import Size
from .pregenerate.making import make_work
from .pregenerate.plan import Item, make_plan
from .pregenerate.run import available_cores
from .processors import ResizeToFill, ResizeToFit, SmartResize
from .processors.arguments import anchor_name, one_of
from .processors.resampling import scaled
from .sources import Signature, Source
from .specs import FOCUS_KEYWORD, FORMAT_KEYWORD, WIDTH_KEYWORD, ImageSpec
from .storages.folder import join_url

if TYPE_CHECKING:
    from .cachefiles.warm import KnownFile
    from .kit import ImageKit

__all__ = ["Picture", "PictureSource"]

logger = logging.getLogger("jinja_imagekit.pictures")

LAYOUTS = ("constrained", "full", "fixed")
"""How wide a page shows a picture: up to its width, as wide as the window, or always at its own width."""

FULL_WIDTHS = (640, 960, 1280, 1920, 2560, 3840)
"""Candidate widths in pixels of a picture as wide as the window: from a phone of density 2 to a 4K screen."""

FULL_SRC = 1280
"""Pixels: the `src` of a picture as wide as the window is the candidate nearest to this width."""

STEPS = (0.5, 0.75, 1.0, 1.5, 2.0)
"""Candidate widths of a constrained picture, relative to its own."""

DENSITIES = (1.0, 2.0)
"""Candidate densities of a fixed picture."""

ENOUGH = 0.75
"""A source gets no candidate of its own width if there is one of at least this fraction of it."""

MAX_SIDE = 65_535
"""Pixels: the longest side that a JPEG file can have (ITU-T T.81, B.2.2: 16 bits)."""

PLACEHOLDERS = ("blur", "color")
"""What may be shown in a picture's place until it has loaded."""

MISSING_ALT = ("error", "warn", "ignore")
"""What may be done where nobody gives an alternative text."""

DIMENSIONS = re.compile(r"[ \u00a0]*([0-9]{0,9})[ \u00a0]*[xX×][ \u00a0]*([0-9]{0,9})[ \u00a0]*")
"""How dimensions may be written: people copy "300 × 200" from elsewhere."""


# --- geometry -----------------------------------------------------------------------------------------------------


def parse_dimensions(dimensions: object) -> tuple[int | None, int | None]:
    """Return the width and height that a template asks for, in pixels; None for one that follows from the other.

    Raises:
        InvalidOption: It is not of the form `"400x300"`, `"400x"` or `"x300"`, or a side exceeds `MAX_SIDE`.

    Example:
        >>> parse_dimensions("400x300"), parse_dimensions("400x")
        ((400, 300), (400, None))
    """
    match = DIMENSIONS.fullmatch(dimensions) if isinstance(dimensions, str) else None
    if match is None or not any(match.groups()):
        expected = "write width and height in pixels as '400x300', or one of them as '400x' or 'x300'"
        raise InvalidOption("dimensions", dimensions, expected)
    width, height = (int(side) if side else None for side in match.groups())
    for name, side in (("width", width), ("height", height)):
        if side is not None and not 1 <= side <= MAX_SIDE:
            raise InvalidOption("dimensions", dimensions, f"the {name} must be between 1 and {MAX_SIDE} pixels")
    return width, height


class Framing(NamedTuple):
    """What a picture shows of a source, and how large it can be.

    Attributes:
        width: Width in pixels at which a page shows it: as requested, but never more than there is.
        widest: Width in pixels of the widest image that can be made without enlarging the source.
        source: The source's upright size in pixels.
        ratio: Width and height that give the picture's proportions.
        crops: Whether parts of the source are cut off.
        fitting: Width and height in pixels that the dimensions lead to, if nothing is cut off.
    """

    width: int
    widest: int
    source: Size
    ratio: Size
    crops: bool
    fitting: Size | None = None

    @classmethod
    def of(cls, source: Size, width: int | None, height: int | None, crop: bool | None = None) -> Framing:
        """Return the framing of a source for the requested dimensions.

        Args:
            source: The source's upright size in pixels.
            width: Pixels; None derives it from the height.
            height: Pixels; None derives it from the width; without either, the source's size is kept.
            crop: Whether to crop the excess; the default if both dimensions are given.

        Example:
            >>> Framing.of((640, 427), 400, 300).widest, Framing.of((640, 427), 800, None).width
            (569, 640)
        """
        if width and height and crop is not False and width * source[1] != height * source[0]:
            self = cls(width, source[0], source, (width, height), True)
            widest = _largest(source[0], lambda width: self._wanted_height(width) <= source[1])
            return self._replace(width=min(width, widest), widest=widest)
        ratios = [asked / given for asked, given in zip((width, height), source, strict=True) if asked]
        fitting = scaled(source, min(ratios)) if ratios and min(ratios) < 1 else source
        return cls(fitting[0], source[0], source, source, False, fitting)

    def height(self, width: int) -> int:
        """Return the height in pixels of an image of this width.

        Example:
            >>> Framing.of((640, 427), 400, 300).height(569)
            427
        """
        return min(self.source[1], self._wanted_height(width))

    def _wanted_height(self, width: int) -> int:
        if self.fitting is not None and width == self.fitting[0]:
            # Where the height leads, its width is rounded; the height that follows from that may be another.
            return self.fitting[1]
        if not self.crops:
            # Rounded as in `ResizeToFit`.
            return scaled(self.source, width / self.source[0])[1]
        return max(1, (2 * width * self.ratio[1] + self.ratio[0]) // (2 * self.ratio[0]))

    def sides(self, width: int, is_boxed: bool) -> dict[str, int | None]:
        """Return the keywords that lead to an image of this width: one side if the other follows from it, or both."""
        height = self.height(width)
        if is_boxed:
            return {"width": width, "height": height}
        if not self.crops and height != min(self.source[1], scaled(self.source, width / self.source[0])[1]):
            return {"width": None, "height": height}
        return {"width": width, "height": None}

    def within(self, max_side: int, max_pixels: int) -> Framing:
        """Return the framing limited to images that an encoder and the settings allow, in pixels."""

        def fits(width: int) -> bool:
            height = self.height(width)
            return max(width, height) <= max_side and width * height <= max_pixels

        widest = _largest(self.widest, fits)
        return self._replace(width=min(self.width, widest), widest=widest)


def _largest(most: int, fits: Callable[[int], bool]) -> int:
    """Return the largest whole number from 1 to `most` that fits, given that all smaller ones do; 1 if none does."""
    if fits(most):
        return most
    least = 1
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (middle, most) if fits(middle) else (least, middle)
    return least


def candidate_widths(asked: Iterable[int], widest: int) -> tuple[int, ...]:
    """Return the widths of the images to offer, without duplicates or any that would enlarge the source.

    Args:
        asked: Widths in pixels.
        widest: The widest that the source allows. It is offered if wider ones were requested, unless the widest of the
            others has at least three quarters of it.

    Example:
        >>> candidate_widths((400, 800, 1600), 1000), candidate_widths((400, 800, 1600), 1200)
        ((400, 800), (400, 800, 1200))
    """
    asked = set(asked)
    kept = sorted(width for width in asked if width <= widest)
    if not kept or (len(kept) < len(asked) and kept[-1] < ENOUGH * widest):
        kept.append(widest)
    return tuple(kept)


def capped_densities(densities: Iterable[float], width: int, widest: int) -> tuple[int, ...]:
    """Return the widths of the images for pixel densities, without duplicates or any wider than the source allows.

    Example:
        >>> capped_densities((1, 1.5, 2, 3), 400, 500)
        (400, 500)
    """
    return tuple(sorted({min(widest, _rounded(width * density)) for density in densities}))


def layout_widths(layout: str, framing: Framing) -> tuple[int, ...]:
    """Return the candidate widths in pixels that a layout has by default."""
    if layout == "full":
        return candidate_widths(FULL_WIDTHS, framing.widest)
    steps = DENSITIES if layout == "fixed" else STEPS
    return candidate_widths((_rounded(framing.width * step) for step in steps), framing.widest)


def _rounded(number: float) -> int:
    return max(1, math.floor(number + 0.5))


def layout_sizes(layout: str, width: int) -> str:
    """Return the default value of `sizes` for a layout; empty if it needs none.

    Example:
        >>> layout_sizes("constrained", 800)
        '(min-width: 800px) 800px, 100vw'
    """
    return {"full": "100vw", "fixed": ""}.get(layout, f"(min-width: {width}px) {width}px, 100vw")


Point = tuple[float, float]
"""Two fractions: across from the left, down from the top."""

Focus = str | Point | tuple[float, float, float, float]
"""What a crop keeps: "auto", "entropy", a point, or a box of left, top, right and bottom, all as fractions."""

_FOCUS_EXPECTED = (
    "write a point as '70% 30%' or (0.7, 0.3), a box as '20% 10% 60% 90%' (left, top, right, bottom) or four "
    "fractions, or 'auto'"
)


def parse_focus(value: object) -> Focus:
    """Return a focus as fractions.

    Args:
        value: `"70% 30%"`, `(0.7, 0.3)`, a box of four such numbers, a name of `Anchor`, `"auto"` or `"entropy"`.

    Raises:
        InvalidOption: It is none of these, a number lies outside the image, or the box is empty.

    Example:
        >>> parse_focus("70% 30%"), parse_focus("auto"), parse_focus("tl")
        ((0.7, 0.3), 'auto', (0.0, 0.0))
    """
    if isinstance(value, str):
        text = str.__str__(value).strip()
        if text in ("auto", "entropy"):
            return text
        if anchor_name(text) in _ANCHORS:
            return _ANCHORS[anchor_name(text)]
        parts: list[Any] = [_percentage(part) for part in text.replace(",", " ").split()]
    else:
        parts = list(value) if isinstance(value, (tuple, list)) else []
    numbers = [part for part in parts if type(part) in (int, float) and 0 <= part <= 1]
    if len(numbers) != len(parts) or len(parts) not in (2, 4):
        raise InvalidOption("focus", value, _FOCUS_EXPECTED)
    if len(parts) == 2:
        return float(parts[0]), float(parts[1])
    left, top, right, bottom = map(float, parts)
    if left >= right or top >= bottom:
        raise InvalidOption("focus", value, "the box is empty: write left, top, right, bottom")
    return left, top, right, bottom


_ANCHORS: Mapping[str, Point] = {
    f"{down}{across}" or "c": (x, y)
    for down, y in (("t", 0.0), ("", 0.5), ("b", 1.0))
    for across, x in (("l", 0.0), ("", 0.5), ("r", 1.0))
}


def _percentage(text: str) -> float | None:
    number = text.removesuffix("%")
    try:
        # With the template's decimals, 70% is 0.7 and not 0.7000000000000001.
        return round(float(number) / (100 if number != text else 1), 6)
    except ValueError:
        return None


def anchor_of(focus: Focus, framing: Framing) -> str | Point:
    """Return the anchor of a crop that keeps the focus.

    A point keeps its relative position, as with CSS's `object-position`; a box comes as close to the centre of the crop
    as the image's edges allow.

    Example:
        >>> anchor_of((0.0, 0.0, 0.5, 1.0), Framing.of((400, 200), 200, 200))
        (0.0, 0.5)
    """
    if isinstance(focus, str) or len(focus) == 2:
        return focus
    # What the crop keeps of each side, as a fraction of it.
    kept = (
        min(1.0, framing.source[1] * framing.ratio[0] / (framing.ratio[1] * framing.source[0])),
        min(1.0, framing.source[0] * framing.ratio[1] / (framing.ratio[0] * framing.source[1])),
    )
    return _toward(focus[0], focus[2], kept[0]), _toward(focus[1], focus[3], kept[1])


def _toward(start: float, end: float, kept: float) -> float:
    spare = 1 - kept
    return 0.5 if spare < 1e-9 else round(min(1.0, max(0.0, ((start + end) / 2 - kept / 2) / spare)), 6)


# --- the plan -----------------------------------------------------------------------------------------------------


class Candidate(NamedTuple):
    """One image that a browser may choose.

    Attributes:
        generator_id: The id of its generator.
        kwargs: Its generator's keywords.
        width: Pixels.
        height: Pixels.
        format: By Pillow's name.
        source: The source.
    """

    generator_id: str
    kwargs: dict[str, Any]
    width: int
    height: int
    format: str
    source: Source


class Medium(NamedTuple):
    """What a picture offers when a media query matches.

    Attributes:
        media: The media query; empty for the picture's own.
        width: Width in pixels at which a page shows it.
        height: Pixels at which a page shows it.
        sizes: The value of `sizes`; empty if densities or a single image are offered.
        formats: Candidates by format, the preferred format first and the narrowest candidate first.
        src: The index of the candidate for `src`.
        header: The source's header.
        source: The source.
        anchor: What a crop keeps, as fractions; None for the centre.
    """

    media: str
    width: int
    height: int
    sizes: str
    formats: tuple[tuple[Candidate, ...], ...]
    src: int
    header: Header
    source: Source
    anchor: Point | None

    def candidates(self) -> list[Candidate]:
        """Return all candidates."""
        return [candidate for group in self.formats for candidate in group]

    def descriptor(self, candidate: Candidate) -> str:
        """Return what `srcset` says about a candidate: its width, or its density."""
        if len(self.formats[0]) < 2:
            return ""
        return f" {candidate.width}w" if self.sizes else f" {candidate.width / self.width:.4g}x"


SHARED_FORMATS = ("JPEG", "PNG")
"""Formats that whatever reads a feed, a mail or `og:image` shows."""

AT_KEYWORDS = ("size", "source", "focus", "widths", "sizes", "formats", "still")
"""What an entry of `at` may say."""

PICTURE_KEYWORDS = (
    *("layout", "widths", "sizes", "formats", "at", "focus", "alt", "priority", "placeholder"),
    "missing_alt",
)
"""The keywords of `{% picture %}` itself, in addition to its generator's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureCall:
    """What a template asks for.

    Attributes:
        generator_id: The id of the candidates' generator.
        dimensions: Width and height in pixels, in a form that `parse_dimensions` takes.
        source: The image to start from, as it was given.
        options: The generator's own keywords.
        layout: One of `LAYOUTS`.
        widths: Candidate widths in pixels; None leaves them to the layout.
        densities: Candidate densities, instead of widths.
        sizes: The value of `sizes`; None leaves it to the layout.
        formats: Formats in order of preference; None for an `<img>` in the generator's own format.
        at: Art direction: what differs when a media query matches.
        focus: What a crop keeps; None leaves it to the source.
        alt: The alternative text; None leaves it to the source.
        priority: Whether it is loaded at once, before others.
        placeholder: One of `PLACEHOLDERS`, or None.
        missing_alt: What to do where nobody gives an alternative text: "error", "warn" or "ignore".
        still: Whether an animation is its first frame.
        is_spec: Whether the size is the result's of a spec, which is made narrower for other candidates.
    """

    generator_id: str
    dimensions: str
    source: Any
    options: dict[str, Any] = field(default_factory=dict)
    layout: str = "constrained"
    widths: tuple[int, ...] | None = None
    densities: tuple[float, ...] | None = None
    sizes: str | None = None
    formats: tuple[str, ...] | None = None
    at: tuple[tuple[str, dict[str, Any]], ...] = ()
    focus: Focus | None = None
    alt: str | None = None
    priority: bool = False
    placeholder: str | None = None
    missing_alt: str = "error"
    still: bool = False
    is_spec: bool = False


def picture_call(
    kit: ImageKit, generator_id: str | None, dimensions: Any, source: Any, kwargs: Mapping[str, Any]
) -> PictureCall:
    """Return what the keywords of `{% picture %}` ask for.

    Raises:
        InvalidOption: A keyword has a value that cannot be used.
    """
    given = {name: value for name, value in kwargs.items() if name in PICTURE_KEYWORDS and value is not None}
    options = {name: value for name, value in kwargs.items() if name not in PICTURE_KEYWORDS}
    parse_dimensions(dimensions)
    settings = kit.settings
    formats = given.get("formats")
    if options.get("format"):
        formats = formats or (options["format"],)
    options.pop("format", None)
    anchor = options.pop("anchor", None)
    generator_id = THUMBNAIL_ID if generator_id is None else generator_id
    focus = given.get("focus", anchor)
    if focus is None:
        focus = kit.image_facts.focus_of(source, generator_id)
    layout = one_of("layout", given.get("layout", "constrained"), LAYOUTS)
    at = _art_direction(given.get("at"))
    for sizes in (given.get("sizes"), *(changes.get("sizes") for _, changes in at)):
        if layout == "fixed" and sizes is not None:
            raise InvalidOption("sizes", sizes, "layout='fixed' says that the width is always the same; leave one out")
    return PictureCall(
        generator_id=generator_id,
        dimensions=str.__str__(dimensions),
        source=source,
        options=options,
        layout=layout,
        widths=_widths(given.get("widths")),
        sizes=_sizes(given.get("sizes")),
        formats=_formats(settings.picture_formats if formats is None else formats),
        at=at,
        focus=None if focus is None else parse_focus(focus),
        alt=None if given.get("alt") is None else html.text_or_html(given["alt"]),
        priority=bool(given.get("priority", False)),
        placeholder=_placeholder(given.get("placeholder", settings.picture_placeholder)),
        missing_alt=one_of("missing_alt", given.get("missing_alt", settings.missing_alt or "error"), MISSING_ALT),
    )


def several_sizes_call(
    kit: ImageKit,
    generator_id: str | None,
    dimensions: Any,
    source: Any,
    kwargs: Mapping[str, Any],
    densities: Sequence[float] | None = None,
) -> PictureCall:
    """Return what a `{% thumbnail %}` with a picture's keywords asks for: an `<img>` in one format.

    Args:
        kit: The kit.
        generator_id: The generator's id; None for `imagekit:thumbnail`.
        dimensions: Width and height in pixels.
        source: The image to start from.
        kwargs: The tag's further keywords.
        densities: Pixel densities to offer, 1 included, instead of widths.

    Raises:
        InvalidOption: A keyword has a value that cannot be used.
    """
    if kwargs.get("srcset") is not None:
        raise InvalidOption("srcset", kwargs["srcset"], "beside keywords such as widths= and sizes=, leave it out")
    kwargs = {name: value for name, value in kwargs.items() if name != "srcset"}
    format = kwargs.get("format")
    call = picture_call(kit, generator_id, dimensions, source, {**kwargs, "format": None, "formats": None})
    for name in ("formats", "at"):
        if kwargs.get(name) is not None:
            raise InvalidOption(name, kwargs[name], "an <img> has none; use {% picture %}")
    options = {**call.options, **({} if format is None else {"format": format})}
    call = replace(call, options=options, formats=None)
    if kwargs.get("missing_alt") is None:
        call = replace(call, missing_alt=kit.settings.missing_alt or "ignore")
    if densities is not None:
        return replace(call, layout="fixed", densities=tuple(densities))
    if call.widths is None and call.sizes is None and kwargs.get("layout") is None:
        # Only one size was requested.
        return replace(call, layout="fixed", densities=(1.0,))
    return call


def spec_sizes_call(
    kit: ImageKit, generator_id: str, dimensions: Any, source: Any, kwargs: Mapping[str, Any]
) -> PictureCall:
    """Return what a `{% generateimage %}` with keywords of a picture asks for: an `<img>` in several of a spec's sizes.

    Args:
        kit: The kit.
        generator_id: The spec's id.
        dimensions: Nothing; the spec says how large its result is.
        source: The image to start from.
        kwargs: The tag's further keywords.

    Raises:
        InvalidOption: A keyword has a value that cannot be used.
    """
    own = {name: value for name, value in kwargs.items() if name not in PICTURE_KEYWORDS}
    asked = {name: value for name, value in kwargs.items() if name in PICTURE_KEYWORDS}
    call = several_sizes_call(kit, generator_id, "1x", source, asked)
    options = {**own, **({} if call.focus is None else {FOCUS_KEYWORD: call.focus})}
    return replace(call, options=options, is_spec=True)


def adapted(generator: Any, width: Any, focus: Any, format: Any) -> Any:
    """Return a copy of a spec whose crops keep a focus, and whose result is narrowed or of another format.

    Args:
        generator: The spec.
        width: Pixels; None leaves the result as wide as it is.
        focus: What crops keep, as `parse_focus` takes it; None leaves it to the spec.
        format: By Pillow's name; None leaves it, and the encoder's options, to the spec.

    Raises:
        InvalidOption: It is no spec, or one that makes its image by a `generate()` or `render()` of its own.
    """
    if not isinstance(generator, ImageSpec) or generator.makes_its_own():
        asked = {"widths": width, "focus": focus, "format": format}
        name, value = next((name, value) for name, value in asked.items() if value is not None)
        raise InvalidOption(name, value, "only an ImageSpec whose processors make its image has them")
    processors = list(generator.processors)
    if focus is not None:
        processors = [_focused(each, parse_focus(focus), generator) for each in processors]
    if width is not None:
        processors.append(ResizeToFit(width, upscale=False))
    other = copy(generator)
    # What its prototype worked out is of other processors.
    other.__dict__.pop("_worked_out", None)
    kind = type(generator)
    stated: dict[str, Any] = {"processors": tuple(processors)}
    if format is not None:
        # Options are of one encoder, and so is a quality's scale.
        stated |= {"format": format, "options": None}
    # A property goes before what the copy itself has.
    properties = {name: stated.pop(name) for name in tuple(stated) if isinstance(getattr(kind, name, None), property)}
    if properties:
        other.__class__ = type(kind.__name__, (kind,), {**properties, "__module__": kind.__module__})
    for name, value in stated.items():
        setattr(other, name, value)
    return other


def _focused(processor: Any, focus: Focus, spec: ImageSpec) -> Any:
    """Return a processor that crops with a focus instead of its own anchor, and any other as it is."""
    if not isinstance(processor, (ResizeToFill, SmartResize)):
        return processor
    size = processor.width, processor.height
    if focus == "entropy":
        return SmartResize(*size, upscale=processor.upscale)
    if focus == "auto":
        return ResizeToFill(*size, anchor="auto", upscale=processor.upscale)
    source = spec.get_source()
    # Only a box has to know the source's proportions.
    framing = Framing.of(source.size() if source and len(focus) == 4 else size, *size)
    return ResizeToFill(*size, anchor=anchor_of(focus, framing), upscale=processor.upscale)


def _placeholder(value: object) -> str | None:
    return None if value in (None, "none", False) else one_of("placeholder", value, PLACEHOLDERS)


def _widths(value: Any) -> tuple[int, ...] | None:
    if value is None:
        return None
    try:
        value = [value] if type(value) is int else value
        given: Iterable[Any] = value.replace(",", " ").split() if isinstance(value, str) else iter(value)
        widths = tuple(int(width) for width in given)
        sound = widths and all(1 <= width <= MAX_SIDE for width in widths)
    except (TypeError, ValueError, OverflowError):
        sound = False
    if not sound:
        raise InvalidOption("widths", value, f"write widths in pixels as '400 800' or [400, 800], from 1 to {MAX_SIDE}")
    return tuple(sorted(set(widths)))


def _sizes(value: Any) -> str | None:
    if value is None:
        return None
    text = str.__str__(value).strip() if isinstance(value, str) else ""
    if not text:
        raise InvalidOption("sizes", value, "write it as in HTML: '(min-width: 800px) 800px, 100vw'")
    return _without_auto(text) or None


def _without_auto(sizes: str) -> str:
    """Return `sizes` without `auto`, which only a lazy image may have, and gets anyway."""
    return re.sub(r"^auto\s*(?:,\s*|$)", "", sizes, flags=re.IGNORECASE)


def _formats(value: Any) -> tuple[str, ...]:
    given = value.replace(",", " ").split() if isinstance(value, str) else value
    try:
        formats = tuple(dict.fromkeys(map(normal_format, given)))
    except TypeError:
        formats = ()
    if not formats:
        raise InvalidOption(
            "formats", value, "write formats as 'AVIF WEBP' or ['AVIF', 'WEBP'], the preferred one first"
        )
    return formats


def _art_direction(value: Any) -> tuple[tuple[str, dict[str, Any]], ...]:
    if value is None:
        return ()
    if not isinstance(value, Mapping):
        raise InvalidOption("at", value, "write a dict of media queries: {'(max-width: 600px)': '400x400'}")
    entries = []
    for media, entry in value.items():
        if not isinstance(media, str) or not media.strip():
            raise InvalidOption("at", media, "a media query is a string such as '(max-width: 600px)'")
        changes = dict(entry) if isinstance(entry, Mapping) else {"size": entry}
        for name in changes:
            if name not in AT_KEYWORDS:
                raise InvalidOption(
                    name, changes[name], f"an entry of 'at' has no such key. {nearest(name, AT_KEYWORDS)}"
                )
        entries.append((str.__str__(media).strip(), changes))
    return tuple(entries)


class Plan(NamedTuple):
    """What a picture offers; nothing is made yet.

    Attributes:
        media: What is offered when a media query matches; the picture's own is the last.
        fallback: The format of the `<img>`, as its place in `formats` of the last medium.
    """

    media: tuple[Medium, ...]

    @property
    def own(self) -> Medium:
        """What is offered when no media query matches."""
        return self.media[-1]

    def candidates(self) -> list[Candidate]:
        """Return all candidates."""
        return [candidate for medium in self.media for group in medium.formats for candidate in group]


def make_picture_plan(kit: ImageKit, call: PictureCall) -> Plan:
    """Plan a picture, using only the headers of its sources.

    Raises:
        MissingSource: There is no source.
        SourceError: A source cannot be read.
        InvalidOption: A keyword has a value that cannot be used.
    """
    media = []
    for query, changes in call.at:
        changed = replace(
            call,
            dimensions=changes.get("size", call.dimensions),
            source=changes.get("source", call.source),
            widths=_widths(changes.get("widths")) or (None if "size" in changes else call.widths),
            sizes=_sizes(changes.get("sizes")) or (None if "size" in changes else call.sizes),
            formats=_formats(changes["formats"]) if changes.get("formats") else call.formats,
            focus=parse_focus(changes["focus"])
            if changes.get("focus")
            else None
            if "source" in changes
            else call.focus,
        )
        media.append(_medium(kit, changed, query, still=bool(changes.get("still"))))
    return Plan((*media, _medium(kit, call, still=call.still)))


def own_focus(kit: ImageKit, source: Any, *, read: bool = True) -> Focus | None:
    """Return what crops of a source keep, as its author, or else the file itself, says; None if nobody does.

    Args:
        kit: The kit.
        source: The source, as a template gave it.
        read: Open the source if it is not known yet.

    Raises:
        BlockingIOError: `read` is false, and the source is not known yet.
        ImageKitError: A sidecar file is damaged, or has invalid content.
    """
    focus = kit.image_facts.own_focus(source, read=read)
    try:
        return None if focus is None else parse_focus(focus)
    except InvalidOption as error:
        raise ImageKitError(f"The sidecar file of {getattr(source, 'name', source)}: {error.message()}") from error


def takes_own_focus(id: str, options: Mapping[str, Any]) -> bool:
    """Tell whether a crop keeps what its source says, since it is a thumbnail's, and its keywords do not say it.

    Args:
        id: The generator's id.
        options: The generator's keywords.
    """
    if id != THUMBNAIL_ID or not (options.get("width") and options.get("height")):
        return False
    return options.get("anchor") is None and options.get("crop") not in (False, 0)


def with_own_focus(kit: ImageKit, id: str, options: dict[str, Any], *, read: bool = True) -> dict[str, Any]:
    """Return a thumbnail's keywords with the focus of its source, unless they say themselves what a crop keeps.

    Args:
        kit: The kit.
        id: The generator's id; those of other generators than thumbnails stay as they are.
        options: The generator's keywords.
        read: As for `own_focus`.

    Raises:
        BlockingIOError: As `own_focus`.
        ImageKitError: As `own_focus`.
    """
    if not takes_own_focus(id, options):
        return options
    focus = own_focus(kit, options.get("source"), read=read)
    return options if focus is None else with_anchor(kit, options, focus)


def with_anchor(kit: ImageKit, options: dict[str, Any], focus: Focus) -> dict[str, Any]:
    """Return a thumbnail's keywords, which say both sides, with the anchor by which its crop keeps a focus.

    Raises:
        SourceError: The source, whose proportions a box depends on, cannot be read.
    """
    # Only a box has to know the source's proportions.
    found = kit.source(options.get("source")) if len(focus) == 4 and focus != "auto" else None
    size = found.size(kit.settings.auto_orient) if found else (1, 1)
    return {**options, "anchor": anchor_of(focus, Framing.of(size, options["width"], options["height"]))}


def _medium(kit: ImageKit, call: PictureCall, media: str = "", still: bool = False) -> Medium:
    # A name, which the kit remembers, stays a name; an upload is found once for all candidates.
    source = kit.source(call.source)
    if source is None:
        raise MissingSource(call.generator_id, getattr(call.source, "why", ""))
    named = str.__str__(call.source) if isinstance(call.source, str) else source
    header, settings = source.header, kit.settings
    if call.is_spec:
        return _spec_medium(kit, call, source, named)
    is_vector = header.is_vector
    width, height = parse_dimensions(call.dimensions)
    crop, upscale = call.options.get("crop"), call.options.get("upscale")
    size = header.size(settings.auto_orient)
    if upscale and not is_vector:
        enlarged = max(1, math.ceil(MAX_SIDE / min(size)))
        size = size[0] * enlarged, size[1] * enlarged
    framing = Framing.of(size, width, height, False if is_vector else crop)
    if is_vector:
        kwargs = {**call.options, "width": width, "height": height, "source": named}
        candidate = Candidate(
            call.generator_id, kwargs, framing.width, framing.height(framing.width), header.format, source
        )
        shown = candidate.width, candidate.height
        return Medium(media, *shown, "", ((candidate,),), 0, header, source, None)
    animated = header.frames > 1 and settings.keep_animation and not still
    formats = _offered_formats(kit, call, header, animated)
    framing = framing.within(
        min(OUTPUT_FORMATS[format].max_side for format, _ in formats),
        settings.max_result_pixels // (header.frames if animated else 1),
    )
    widths = _candidate_widths(call, framing)
    focus = call.focus or own_focus(kit, source) or "auto"
    anchor = anchor_of(focus, framing) if framing.crops else None
    is_boxed = bool(width and height and crop is not False)
    shared = _shared_options(call, framing, anchor, widths, is_boxed)
    if still and header.frames > 1:
        shared["still"] = True
    sizes_of = [(each, framing.height(each)) for each in widths]
    sides_of = {each: framing.sides(each, is_boxed) for each in widths}
    groups = []
    for format, own in formats:
        options = {**shared, **own}
        group = [
            Candidate(
                call.generator_id,
                {**options, **sides_of[each], "source": named},
                each,
                height,
                format,
                source,
            )
            for each, height in sizes_of
        ]
        groups.append(tuple(group))
    shown, sizes, src = _laid_out(call, framing, widths)
    point = anchor if isinstance(anchor, tuple) else None
    return Medium(media, *shown, sizes, tuple(groups), src, header, source, point)


def _laid_out(call: PictureCall, framing: Framing, widths: tuple[int, ...]) -> tuple[Size, str, int]:
    """Return at which size a page shows a picture, its `sizes`, and the place of the candidate in `src`."""
    shown = framing.width
    if call.layout == "full":
        shown = min(widths, key=lambda each: (abs(each - FULL_SRC), each))
    src = min(range(len(widths)), key=lambda index: (abs(widths[index] - shown), -index))
    sizes = ""
    if len(widths) > 1 and call.layout != "fixed":
        sizes = call.sizes or layout_sizes(call.layout, framing.width)
    return (shown, framing.height(shown)), sizes, src


def _spec_medium(kit: ImageKit, call: PictureCall, source: Source, named: str | Source) -> Medium:
    """Return what is offered of a spec's result: itself, and what is narrower."""
    spec = kit.generator(call.generator_id, **{**call.options, "source": source})
    size = spec.output_size() if isinstance(spec, ImageSpec) else None
    if size is None:
        raise InvalidOption("widths", call.widths, "the size of this generator's image is not known beforehand")
    options = dict(call.options)
    if call.formats is not None and spec.output_format not in call.formats:
        options[FORMAT_KEYWORD] = _with_alpha(kit, call.formats[0], source.header)
        spec = kit.generator(call.generator_id, **{**options, "source": source})
    framing = Framing.of(size, None, None)
    widths = (framing.width,) if source.header.is_vector else _candidate_widths(call, framing)
    candidates = []
    for width in widths:
        narrowed = {} if width == framing.width else {WIDTH_KEYWORD: width}
        kwargs = {**options, **narrowed, "source": named}
        height = framing.height(width)
        candidates.append(Candidate(call.generator_id, kwargs, width, height, spec.output_format, source))
    shown, sizes, src = _laid_out(call, framing, widths)
    return Medium("", *shown, sizes, (tuple(candidates),), src, source.header, source, None)


def _offered_formats(
    kit: ImageKit, call: PictureCall, header: Header, animated: bool
) -> list[tuple[str, dict[str, str]]]:
    """Return the formats to offer and the keywords that request them."""
    if call.formats is None:
        asked = call.options.get("format") or kit.settings.default_thumbnail_format
        return [(output_format(asked, header), {})]
    formats: dict[str, dict[str, str]] = {}
    for format in call.formats:
        facts = OUTPUT_FORMATS[format]
        if animated and not facts.animates:
            kept = output_format(None, header)
            format = kept if OUTPUT_FORMATS[kept].animates else "WEBP"
        else:
            format = _with_alpha(kit, format, header)
        formats[format] = {"format": format}
    return list(formats.items())


def _with_alpha(kit: ImageKit, format: str, header: Header) -> str:
    """Return a format, or PNG where transparent pixels would be lost."""
    return "PNG" if header.has_alpha and kit.settings.keep_alpha and not OUTPUT_FORMATS[format].has_alpha else format


def _candidate_widths(call: PictureCall, framing: Framing) -> tuple[int, ...]:
    if call.densities is not None:
        return capped_densities(call.densities, framing.width, framing.widest)
    if call.widths is not None:
        return candidate_widths(call.widths, framing.widest)
    return layout_widths(call.layout, framing)


def _shared_options(
    call: PictureCall, framing: Framing, anchor: str | Point | None, widths: tuple[int, ...], is_boxed: bool
) -> dict[str, Any]:
    """Return the keywords that all candidates have in common."""
    if call.generator_id != THUMBNAIL_ID:
        return {**call.options, **({} if anchor is None or call.focus is None else {"anchor": anchor})}
    options = {name: value for name, value in call.options.items() if name != "crop"}
    if framing.crops and anchor != "auto":
        options["anchor"] = anchor
    if len(widths) > 1 and call.densities is None:
        options["largest"] = (widths[-1], framing.height(widths[-1]) if is_boxed else None)
    return options


# --- the picture --------------------------------------------------------------------------------------------------


class Shown(NamedTuple):
    """What a page shows for a picture: its plan and URLs, or what stands in for it.

    Attributes:
        plan: The plan; None if something stands in.
        urls: The URL of each candidate, in the plan's order.
        names: The name of each candidate in its storage.
        known: What is known about each candidate's file, and what leads to it in a later run; None where that depends
            on more than the call.
        stand_in: URL, width and height in pixels of what stands in; the URL is empty if nothing does.
    """

    plan: Plan | None
    urls: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    known: tuple[tuple[KnownFile, Reference | None] | None, ...] = ()
    stand_in: tuple[str, int, int] = ("", 0, 0)


class PictureSource(NamedTuple):
    """What a picture's `<source>` or `<img>` offers.

    Attributes:
        media: The media query; empty if there is none.
        type: Media type, such as "image/avif".
        src: The URL of the image at the layout's width.
        srcset: The value of `srcset`; empty if `src` is the only image.
        sizes: The value of `sizes`; empty if there is none.
        width: Pixels.
        height: Pixels.
    """

    media: str
    type: str
    src: str
    srcset: str
    sizes: str
    width: int
    height: int


class Picture:
    """An image in several sizes and formats, from which the browser chooses.

    It prints itself as HTML. Sizes come from the source's header; if images are made on demand, asking for its URLs
    makes everything that is missing in one piece of work.

    Args:
        kit: The kit; `kit.picture(dimensions, source, …)` passes it.
        call: What was asked for.

    Example:
        >>> from jinja_imagekit import ImageKit
        >>> kit = ImageKit(source_dirs=["content"])
        >>> kit.picture("800x", "photos/canal.jpg", alt="A canal")
        <Picture: 800x of photos/canal.jpg>
    """

    def __init__(self, kit: ImageKit, call: PictureCall) -> None:
        self._kit = kit
        self._call = call
        self._plan: Plan | None = None
        self._seen: Shown | None = None
        self._seen_from: object = None
        self._style: tuple[str, str] | None = None
        self._said_alt: object = None

    @property
    def url(self) -> str:
        """The URL of the image in `src`."""
        shown = self._shown()
        return shown.stand_in[0] if shown.plan is None else self._offers(shown)[-1].src

    @property
    def absolute_url(self) -> str:
        """The URL, with that of the site, of one image for feeds, mails and `og:image`: a JPEG, or a PNG with alpha.

        Without the setting `site_url` it is not absolute; an SVG stays one, and an animation is its first frame.
        """
        plan = self._planned()
        if plan is None or plan.own.header.is_vector:
            return self._kit.absolute_url(self.url)
        own, shared = plan.own, copy(self)
        found = next((each[own.src] for each in own.formats if each[0].format in SHARED_FORMATS), None)
        if found is None:
            shared._call = replace(
                self._call,
                formats=SHARED_FORMATS[:1],
                at=(),
                layout="constrained",
                widths=(own.width,),
                densities=None,
                still=True,
            )
            shared._plan = None
        else:
            shared._plan = Plan((own._replace(formats=((found,),), src=0),))
        shared._seen = None
        return self._kit.absolute_url(shared.url)

    @property
    def srcset(self) -> str:
        """The value of `srcset` of the `<img>`; empty if there is a single image."""
        shown = self._shown()
        return "" if shown.plan is None else self._offers(shown)[-1].srcset

    @property
    def sizes(self) -> str:
        """The value of `sizes`, without `auto`; empty if none is needed."""
        plan = self._planned()
        return "" if plan is None else plan.own.sizes

    @property
    def sources(self) -> tuple[PictureSource, ...]:
        """What its `<source>`s offer, the preferred one first; the `<img>` is not included."""
        shown = self._shown()
        return () if shown.plan is None else self._offers(shown)[:-1]

    @property
    def width(self) -> int:
        """Width in pixels at which a page shows it."""
        plan = self._planned()
        return self._shown().stand_in[1] if plan is None else plan.own.width

    @property
    def height(self) -> int:
        """Height in pixels at which a page shows it."""
        plan = self._planned()
        return self._shown().stand_in[2] if plan is None else plan.own.height

    @property
    def format(self) -> str:
        """The format of the image in `src`, by Pillow's name; empty if something stands in for it."""
        plan = self._planned()
        return "" if plan is None else plan.own.formats[-1][plan.own.src].format

    @property
    def mimetype(self) -> str:
        """The media type of the image in `src`; empty if something stands in for it."""
        return mimetype(self.format) if self.format else ""

    @property
    def size(self) -> int | None:
        """Bytes of the image in `src`; None until it has been made."""
        shown = self._shown()
        if shown.plan is None:
            return None
        own = shown.plan.own
        record = self._kit.records.get(shown.names[own.src - len(own.formats[-1])])
        return None if record is None else record.size

    @property
    def alt(self) -> str | None:
        """The alternative text: the one that was given, else that of the sidecar file; None where there is none."""
        return self._call.alt if self._call.alt is not None else self._sidecar.alt

    @property
    def caption(self) -> str:
        """The caption of the sidecar file; empty where there is none."""
        return self._sidecar.caption

    @property
    def credit(self) -> str:
        """The credit of the sidecar file; empty where there is none."""
        return self._sidecar.credit

    @property
    def color(self) -> str:
        """The colour that most of the source has, such as "#1f3a5c"; empty where there are no pixels to look at."""
        look = self._look_from_afar()
        return "" if look is None else look.color

    @property
    def placeholder(self) -> str:
        """A tiny preview of the source as a data URI of at most 200 bytes; empty where pixels may be transparent."""
        look = self._look_from_afar()
        return "" if look is None or self._shows_through(look) else look.blur

    @property
    def _sidecar(self) -> Sidecar:
        plan = self._planned()
        return NO_SIDECAR if plan is None else self._kit.image_facts.sidecar(plan.own.source)

    def _look_from_afar(self) -> Look | None:
        plan = self._planned()
        return None if plan is None or plan.own.header.is_vector else self._kit.image_facts.look(plan.own.source)

    def _shows_through(self, look: Look) -> bool:
        """Tell whether what stands below the image may be seen when it has loaded, or is not of the same source."""
        plan = self._planned()
        if plan is None or look.may_show_what_is_below(plan.own.header):
            return True
        return len({each.source.digest for each in plan.media}) > 1

    @property
    def preload(self) -> Markup:
        """The `<link>`s that have a browser load the picture early; empty without `priority`."""
        shown = self._shown()
        if not self._call.priority or shown.plan is None:
            return Markup()
        offers = self._offers(shown)
        queries = [medium.media for medium in shown.plan.media]
        links = []
        for place, medium in enumerate(shown.plan.media):
            media = _only(queries[:place], medium.media)
            offer = next(each for each in offers if each.media == medium.media)
            if media is not None:
                links.append(
                    html.element(
                        "link",
                        {
                            "rel": "preload",
                            "as": "image",
                            "media": media or None,
                            "type": offer.type,
                            "href": offer.src,
                            "imagesrcset": offer.srcset or None,
                            "imagesizes": offer.sizes or None,
                            "fetchpriority": "high",
                        },
                    )
                )
        return Markup().join(links)

    @property
    def structured_data(self) -> Markup:
        """What search engines show of an image, its author and its licence: a `<script>` of JSON-LD (`ImageObject`).

        It says what the sidecar file says, and else the source's metadata. Empty where something stands in for it.
        """
        shown = self._shown()
        if shown.plan is None:
            return Markup()
        info = ImageInfo(self._kit, shown.plan.own.source)
        told = {
            "contentUrl": self._kit.absolute_url(self._outline(shown)["url"]),
            "name": self._told_alt(self.alt),
            "caption": html.plain_text(info.caption or info.description),
            "creator": {"@type": "Person", "name": info.artist} if info.artist else None,
            "creditText": html.plain_text(info.credit),
            "copyrightNotice": info.copyright,
            "license": info.licence,
            "acquireLicensePage": info.licensor,
            "digitalSourceType": info.source_type and f"https://schema.org/{info.source_type}DigitalSource",
        }
        size = {"width": shown.plan.own.width, "height": shown.plan.own.height}
        stated = {name: value for name, value in told.items() if value}
        return html.json_ld({"@context": "https://schema.org", "@type": "ImageObject", **stated, **size})

    @property
    def image_set(self) -> str:
        """The picture as a value for CSS's `background-image`: each format at the layout's width and above."""
        shown = self._shown()
        if shown.plan is None:
            return f'url("{shown.stand_in[0]}")' if shown.stand_in[0] else "none"
        own, urls = shown.plan.own, shown.urls[-sum(map(len, shown.plan.own.formats)) :]
        options, at = [], 0
        for group in own.formats:
            for place, candidate in enumerate(group):
                density = candidate.width / own.width
                if place == own.src or density > 1:
                    options.append(f'url("{_css_url(urls[at])}") {density:.4g}x type("{mimetype(candidate.format)}")')
                at += 1
        return f"image-set({', '.join(options)})"

    def html(self, alt: object = None, /, **attributes: object) -> Markup:
        """Return the HTML.

        Args:
            alt: The alternative text, overriding the one given before.
            **attributes: HTML attributes of the `<img>`; a trailing underscore in a name is dropped (`class_`).

        Raises:
            MissingAlt: There is no alternative text.
            InvalidOption: An attribute is one that the picture writes itself.
            ImageKitError: An image could not be made.
        """
        given = {name.removesuffix("_"): value for name, value in attributes.items()}
        return self.html_with(given if alt is None else {"alt": alt, **given})

    def html_with(self, attributes: Mapping[str, object]) -> Markup:
        """Return the HTML with these attributes of the `<img>`, by their names in HTML; see `html`."""
        given = _Given(attributes)
        self._said_alt = given.alt
        # First, since what cannot be decoded needs no files.
        behind = self._look_from_afar() if self._call.placeholder else None
        if behind is not None and self._shows_through(behind):
            behind = None
        shown = self._shown()
        alt = self._alternative(given)
        if shown.plan is None:
            url, width, height = shown.stand_in
            return (
                html.element("img", {"src": url, **_box(given, width, height), "alt": alt, **given.rest})
                if url
                else Markup()
            )
        *sources, image = self._offers(shown)
        sizes = given.sizes
        box = _box(given, image.width, image.height)
        turn = self._turn(given, _area(box) or image.width * image.height)
        loads_lazily = given.loading == "lazy" if given.loading is not None else turn == "lazy"
        # `auto` needs a style that says the image's size.
        is_sized = _is_sized(shown.plan.media)
        is_auto = loads_lazily and is_sized and self._kit.settings.auto_sizes
        styles: dict[str, str] = {}
        if loads_lazily and is_sized:
            styles.update(_reserved(_box(given, image.width, image.height), image, is_auto))
            narrow = shown.plan.media[0]
            if (narrow.width, narrow.height) != (image.width, image.height):
                styles["contain-intrinsic-size"] = _stepped(narrow, shown.plan.own)
        if behind is not None:
            styles.update(self._placeholder_styles(shown.plan.own, behind))
        image_attributes = {
            "src": image.src,
            "srcset": image.srcset or None,
            "sizes": _auto(sizes or image.sizes, is_auto) if image.sizes else None,
            **_box(given, image.width, image.height),
            "loading": given.loading if given.loading is not None else "lazy" if loads_lazily else None,
            "decoding": given.decoding if given.decoding is not None else None if turn == "first" else "async",
            "fetchpriority": given.fetchpriority or ("high" if turn == "first" else None),
            "alt": alt,
            **given.rest,
        }
        if styles and self._kit.settings.picture_css == "class":
            name = self._kit.pictures.class_of(_declarations(styles))
            self._style = name, _declarations(styles)
            _join(image_attributes, "class", name, " ")
        elif styles:
            _join(image_attributes, "style", _declarations(styles), ";")
        tags = [
            {
                "media": source.media or None,
                "type": source.type,
                "srcset": source.srcset or source.src,
                "sizes": _auto(sizes or source.sizes, is_auto) if source.sizes else None,
                "width": source.width if source.media else None,
                "height": source.height if source.media else None,
            }
            for source in sources
        ]
        return html.picture(tags, image_attributes)

    def _turn(self, given: _Given, area: int) -> str:
        """Return how the picture loads: "first" with priority, "neutral" or "lazy"; a page's order may decide."""
        page = self._kit.current_page()
        if page is None:
            return "first" if self._call.priority else "lazy"
        turn = page.turn(area, given.loading, "high" if self._call.priority else given.fetchpriority)
        return "first" if self._call.priority else turn

    def _placeholder_styles(self, own: Medium, look: Look) -> dict[str, str]:
        if self._call.placeholder == "color":
            return {"background-color": look.color}
        if self._kit.settings.picture_css == "class":
            # A policy of `default-src 'self'` allows a style sheet no data URI.
            return {"background": _gradient(look)}
        across, down = own.anchor or (0.5, 0.5)
        return {"background": f"url({look.blur}) {across * 100:g}% {down * 100:g}%/cover no-repeat"}

    def as_dict(self) -> dict[str, Any]:
        """Return the picture as plain values, for JSON; `bytes` is None for a file that has not been made."""
        look = self._look_from_afar()
        shown = self._shown()
        told = self._outline(shown)
        if shown.plan is None:
            return told
        told["alt"] = self._told_alt(self.alt)
        told["color"] = look.color if look else None
        told["placeholder"] = self.placeholder or None
        return self._kit.pictures.with_bytes(told)

    def _outline(self, shown: Shown) -> dict[str, Any]:
        """Return what `as_dict` tells but for what has to be looked up: bytes and colours."""
        if shown.plan is None:
            url, width, height = shown.stand_in
            return {"source": None, "url": url, "width": width, "height": height, "candidates": []}
        own, urls = shown.plan.own, shown.urls
        if self._kit.settings.urls == "relative":
            # What is told is not for the page.
            urls = tuple(join_url(self._kit.settings.base_url, name) for name in shown.names)
        groups = [
            (medium.media, mimetype(group[0].format), group) for medium in shown.plan.media for group in medium.formats
        ]
        files = iter(zip(shown.names, urls, strict=True))
        return {
            "source": own.source.name,
            "url": urls[own.src - len(own.formats[-1])],
            "width": own.width,
            "height": own.height,
            "sizes": own.sizes,
            "alt": self._told_alt(self._call.alt),
            "color": None,
            "placeholder": None,
            "candidates": [
                {
                    **({"media": media} if media else {}),
                    "url": url,
                    "name": name,
                    "type": type,
                    "width": candidate.width,
                    "height": candidate.height,
                    "bytes": None,
                }
                for media, type, group in groups
                for candidate, (name, url) in zip(group, files, strict=False)
            ],
        }

    def _told_alt(self, alt: str | None) -> str | None:
        """Return the alternative text of its HTML, or else another, as people read it."""
        return html.plain_text(alt if self._said_alt is None else html.text_or_html(self._said_alt))

    def candidates(self) -> tuple[Candidate, ...]:
        """Return the images from which browsers choose; none if something stands in for them."""
        plan = self._planned()
        return () if plan is None else tuple(plan.candidates())

    # Each has its source, which tells where it lies: Jinja's sandbox refuses to call it.
    candidates.unsafe_callable = True  # type: ignore[attr-defined]  # functions take attributes

    def __bool__(self) -> bool:
        # Without a source there is nothing to plan.
        if self._seen is None and self._kit.source(self._call.source) is None:
            return False
        return self._planned() is not None or bool(self._shown().stand_in[0])

    def __html__(self) -> Markup:
        return self.html_with({})

    def __str__(self) -> str:
        return str(self.html_with({}))

    def __repr__(self) -> str:
        source = self._call.source
        name = source if isinstance(source, str) else type(source).__name__
        return f"<Picture: {self._call.dimensions} of {name}>"

    def _planned(self) -> Plan | None:
        """Return the plan, for which nothing is made; None where something stands in for the picture."""
        if self._plan is None and self._seen is None:
            self._plan = self._make_plan()
        return self._plan if self._seen is None else self._seen.plan

    def _shown(self) -> Shown:
        """Return what a page shows, and make what it needs first where images are made on demand."""
        is_relative = self._kit.settings.urls == "relative"
        if is_relative and self._plan is not None and self._seen_from != self._kit.pictures.base_url:
            # On another page, its URLs begin otherwise.
            self._seen, self._seen_from = None, self._kit.pictures.base_url
        if self._seen is None:
            plan = self._planned()
            # What stands in was found while it was planned.
            if plan is not None:
                self._seen = self._look(plan)
        assert self._seen is not None
        return self._seen

    def _make_plan(self) -> Plan | None:
        return make_picture_plan(self._kit, self._call)

    def _look(self, plan: Plan) -> Shown:
        shown = candidate_files(self._kit, plan)
        self._kit.pictures.note(self, shown)
        return shown

    def _offers(self, shown: Shown) -> tuple[PictureSource, ...]:
        """Return what each `<source>` offers, in the order of the page, and what the `<img>` does at the end."""
        assert shown.plan is not None
        offers, at = [], 0
        for medium in shown.plan.media:
            for group in medium.formats:
                urls = shown.urls[at : at + len(group)]
                at += len(group)
                listed = [f"{url}{medium.descriptor(each)}" for url, each in zip(urls, group, strict=True)]
                offers.append(
                    PictureSource(
                        medium.media,
                        mimetype(group[0].format),
                        urls[medium.src],
                        ", ".join(listed) if len(group) > 1 else "",
                        medium.sizes,
                        medium.width,
                        medium.height,
                    )
                )
        return tuple(offers)

    def _alternative(self, given: _Given) -> object:
        alt = given.alt if given.alt is not None else self.alt
        if alt is None:
            self._miss_alt(MissingAlt(repr(self)[1:-1].replace(":", "", 1)))
        return alt

    def _miss_alt(self, error: MissingAlt) -> None:
        miss_alt(self._call.missing_alt, error)


def miss_alt(policy: str | None, error: MissingAlt) -> None:
    """Do about a missing alternative text what the setting `missing_alt` says.

    Raises:
        MissingAlt: It is "error".
    """
    if policy == "error":
        raise error
    if policy == "warn":
        logger.warning("%s", error)


class _Given:
    """The author's attributes, with those singled out on which other parts of the HTML depend."""

    def __init__(self, attributes: Mapping[str, object]) -> None:
        named = {html.lowered(name): value for name, value in attributes.items()}
        for name in ("src", "srcset"):
            if name in named:
                raise InvalidOption(name, named[name], "the picture sets it; leave it out")
        alt = named.get("alt")
        # A bare attribute is an empty one.
        self.alt = "" if alt is True else None if alt is False else alt
        self.sizes = None if named.get("sizes") is None else _without_auto(str(named["sizes"]))
        self.loading = None if named.get("loading") is None else str(named["loading"])
        self.decoding = None if named.get("decoding") is None else str(named["decoding"])
        self.fetchpriority = None if named.get("fetchpriority") is None else str(named["fetchpriority"])
        self.width, self.height = named.get("width"), named.get("height")
        self.rest = {name: value for name, value in attributes.items() if name.lower() not in _ORDERED}


_ORDERED = frozenset({"alt", "sizes", "loading", "decoding", "fetchpriority", "width", "height"})


def _box(given: _Given, width: int, height: int) -> dict[str, object]:
    """Return the attributes `width` and `height`: the author's, and a missing one in proportion."""
    if given.width is None and given.height is None:
        return {"width": width, "height": height}
    if given.width is not None and given.height is not None:
        return {"width": given.width, "height": given.height}
    try:
        if given.height is None:
            return {"width": given.width, "height": _rounded(int(str(given.width)) * height / width)}
        return {"width": _rounded(int(str(given.height)) * width / height), "height": given.height}
    except ValueError:
        # Values such as "100%" say nothing about the other side.
        return {"width": given.width, "height": given.height}


def _area(box: Mapping[str, object]) -> int:
    """Return the square pixels that a box takes; 0 if that depends on something else."""
    sides = [str(side) for side in box.values()]
    return int(sides[0]) * int(sides[1]) if all(map(str.isdecimal, sides)) else 0


def _reserved(box: Mapping[str, object], image: PictureSource, is_auto: bool) -> dict[str, str]:
    """Return the styles that reserve an image's space until it has loaded, if a style sheet says `width: auto`.

    The browser itself contains an image with `auto` sizes (HTML, 15.4.3 "Images"), and assumes 300 pixels.
    """
    sides = (box["width"] or image.width, box["height"] or image.height)
    pixels = sides if all(str(side).isdecimal() for side in sides) else (image.width, image.height)
    contained = {} if is_auto and image.sizes else {"contain": "size"}
    return {**contained, "contain-intrinsic-size": f"{pixels[0]}px {pixels[1]}px"}


_MAX_WIDTH = re.compile(r"\(\s*max-width\s*:\s*([0-9]+)px\s*\)", re.IGNORECASE)
"""The usual media query of art direction."""


def _is_sized(media: Sequence[Medium]) -> bool:
    """Tell whether a style can say the image's size, whichever source a browser chooses."""
    if len({(each.width, each.height) for each in media}) == 1:
        return True
    return len(media) == 2 and _MAX_WIDTH.fullmatch(media[0].media) is not None


def _stepped(narrow: Medium, wide: Medium) -> str:
    """Return the width and height of a picture of two shapes, which change with the window as its sources do."""
    (width,) = _MAX_WIDTH.findall(narrow.media)

    def step(below: int, above: int) -> str:
        if below == above:
            return f"{above}px"
        over = f"(100vw - {width}px)*9999"
        if below < above:
            return f"clamp({below}px,{below}px + {over},{above}px)"
        return f"clamp({above}px,{below}px - {over},{below}px)"

    return f"{step(narrow.width, wide.width)} {step(narrow.height, wide.height)}"


def _auto(sizes: str, is_auto: bool) -> str:
    return f"auto, {sizes}" if is_auto else sizes


def _declarations(styles: Mapping[str, str]) -> str:
    return ";".join(f"{name}:{value}" for name, value in styles.items())


def _gradient(look: Look) -> str:
    """Return colours that run across and down as those of an image do, each half transparent on the other."""
    across = ",".join(f"{colour}80" for colour in look.columns)
    return f"linear-gradient(90deg,{across}),linear-gradient({','.join(look.rows)})"


def _join(attributes: dict[str, object], name: str, own: str, separator: str) -> None:
    """Put something into an attribute that the author may have given as well."""
    given = next((each for each in attributes if each.lower() == name), name)
    value = attributes.pop(given, None)
    attributes[name] = f"{own}{separator}{value}" if isinstance(value, str) and value else own


def _css_url(url: str) -> str:
    return url.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "")


def _only(earlier: Sequence[str], media: str) -> str | None:
    """Return a media query that matches when this one does and no earlier one; None if nothing is to be loaded."""
    conditions = [each for each in map(_condition, earlier) if each is not None]
    own = _condition(media) if media else ""
    if own is None or "" in conditions:
        return None
    if not conditions:
        return media
    if not own and len(conditions) == 1 and " or " not in conditions[0] and not conditions[0].startswith("not "):
        return f"not all and {conditions[0]}"
    nots = [f"({_negated(each)})" for each in conditions]
    is_plain = " or " not in own and not own.startswith("not ")
    return " and ".join([*nots, *([own if is_plain else f"({own})"] if own else [])])


_QUERY = re.compile(r"(?:(only|not)\s+)?([a-z][a-z-]*)(?:\s+and\s+(.+))?", re.IGNORECASE | re.DOTALL)
"""A media query with a type: a prefix, the type and a condition."""


def _condition(media: str) -> str | None:
    """Return when a query matches on a screen, as a condition without a type; empty for always, None for never."""
    parts = [each for each in map(_condition_of_one, _split(media)) if each is not None]
    if not parts:
        return None
    if "" in parts:
        return ""
    return parts[0] if len(parts) == 1 else " or ".join(f"({each})" if _is_compound(each) else each for each in parts)


def _condition_of_one(query: str) -> str | None:
    match = _QUERY.fullmatch(query)
    if match is None:
        return query
    condition = (match[3] or "") if match[2].lower() in ("screen", "all") else None
    if (match[1] or "").lower() != "not":
        return condition
    return "" if condition is None else None if not condition else _negated(condition)


def _negated(condition: str) -> str:
    return f"not ({condition})" if _is_compound(condition) else f"not {condition}"


def _split(media: str) -> list[str]:
    parts, depth = [""], 0
    for letter in media:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts if part.strip()]


def _is_compound(condition: str) -> bool:
    depth = 0
    for place, letter in enumerate(condition):
        depth += (letter == "(") - (letter == ")")
        if depth == 0 and place < len(condition) - 1:
            return True
    return False


# --- the files ----------------------------------------------------------------------------------------------------


def candidate_files(kit: ImageKit, plan: Plan) -> Shown:
    """Return a plan with the files of its candidates; what is missing is made first where the strategy says so.

    Raises:
        ImageKitError: An image could not be made.
    """
    candidates = plan.candidates()
    calls = [(candidate.generator_id, candidate.kwargs) for candidate in candidates]
    known = kit.known_files.find_together(calls)
    references = [reference_to(id, kwargs, None) for id, kwargs in calls]
    if None in known:
        sources = [candidate.source for candidate in candidates]
        known = kit.known_files.promise_together(calls, known, references, sources)
    files: list[ImageCacheFile | None] = [
        None if each else _file_of(kit, candidate) for each, candidate in zip(known, candidates, strict=True)
    ]
    on_demand = [
        each for each, file in zip(candidates, files, strict=True) if file is not None and _is_made_on_demand(file)
    ]
    if len(on_demand) > 1:
        make_together(kit, on_demand)
    names, urls = [], []
    for place, file in enumerate(files):
        each = known[place]
        if file is not None:
            urls.append(file.url)
            names.append(str(file.name))
            known[place] = kit.known_files.remember(file, candidates[place].kwargs)
        elif each is not None:
            urls.append(each.url)
            names.append(each.name)
    found = [None if each is None else (each, reference) for each, reference in zip(known, references, strict=True)]
    return Shown(plan, tuple(urls), tuple(names), tuple(found))


def _file_of(kit: ImageKit, candidate: Candidate) -> ImageCacheFile:
    """Return the cache file of a candidate; its source, which was found for the plan, is not looked for again."""
    file = kit.cachefile(candidate.generator_id, **candidate.kwargs)
    file.__dict__["generator"] = kit.generator(
        candidate.generator_id, **{**candidate.kwargs, "source": candidate.source}
    )
    return file


def _is_made_on_demand(file: ImageCacheFile) -> bool:
    return type(file.cachefile_strategy) is JustInTime and type(file.cachefile_backend) is Simple


def make_together(kit: ImageKit, candidates: Iterable[Candidate]) -> None:
    """Make missing candidates, reading each source once and decoding it once for each scale.

    Errors are remembered, and raised when the file is asked for.
    """
    plan = make_plan(kit, [Item(each.generator_id, each.kwargs) for each in candidates])
    for work in plan.works:
        make_work(kit, work, stopped=lambda: False)


MANIFEST = "images.json"
"""The file in `state_dir` that tells of all pictures of a site."""

MANIFEST_VERSION = 1
"""Of the manifest's form; one of another version is not read."""

STYLESHEET = "imagekit.css"
"""The file in `cachefile_dir` that holds the classes of pictures."""

_CLASS = re.compile("imagekit-[0-9a-f]{12}")

_UNSAFE_CSS = re.compile(r"[{}<>@\\]|url|import", re.IGNORECASE)
"""What no declaration of ours holds; a forged one could end its rule, or load something."""

MOST_PICTURES = 10_000
"""How many pictures' HTML a process keeps: about 3 kB each, 30 MB in all."""


_ANY_SIZE = -1
"""Of a style sheet, to which other pages add."""


class _KnownHtml(NamedTuple):
    """A picture's HTML, which is right as long as its sources and files are unchanged."""

    html: Markup
    sources: tuple[tuple[str, Signature], ...]
    files: tuple[tuple[str, int], ...]
    absent: tuple[str, ...]
    picture: Picture
    shown: Shown
    turns: int

    def is_current(self) -> bool:
        """Tell whether everything is unchanged, by one stat of each file."""
        stat = os.stat
        try:
            for path, signature in self.sources:
                facts = stat(path)
                if (facts.st_size, facts.st_mtime_ns, facts.st_ino, facts.st_ctime_ns) != signature:
                    return False
            for path, size in self.files:
                if os.lstat(path).st_size != size and size != _ANY_SIZE:
                    return False
        except OSError:
            return False
        return not self.absent or not any(map(os.path.lexists, self.absent))


class Pictures:
    """What a process knows about a kit's pictures.

    Args:
        kit: The kit.
    """

    def __init__(self, kit: ImageKit) -> None:
        self._kit = kit
        self._html: dict[Hashable, _KnownHtml] = {}
        self._classes: dict[str, str] = {}
        self._writing = threading.Lock()
        self._noted: dict[tuple[str, ...], Picture] = {}

    def forget(self) -> None:
        """Forget the HTML of pictures, since generators have changed."""
        self._html.clear()

    @property
    def stylesheet(self) -> str:
        """The name of the style sheet in the kit's storage."""
        return f"{self._kit.settings.cachefile_dir}/{STYLESHEET}".lstrip("/")

    @property
    def stylesheet_url(self) -> str:
        """The URL of the style sheet that holds the classes of `picture_css="class"`; it is always the same."""
        return self._kit.storage.url(self.stylesheet)

    def class_of(self, declarations: str) -> str:
        """Return the class that has these declarations.

        A build writes the style sheet of its pages at its end. A server writes it anew if it lacks the class; the state
        holds all classes, so that it has those of every process.
        """
        renders = self._kit.renders
        name = self._classes.get(declarations)
        # Until a build's end; somebody may delete what a server wrote.
        if name is None or not (renders.defers or self._kit.storage.stat(self.stylesheet)):
            name = f"imagekit-{blake2b(declarations.encode(), digest_size=6).hexdigest()}"
            if not renders.defers:
                self._kit.records.store.set_many({f"{self._css_prefix}{name}": declarations})
                self._write_stylesheet(wanted=name)
            self._classes[declarations] = name
        renders.note_style(self.stylesheet, name, declarations)
        return name

    def _write_stylesheet(self, styles: Mapping[str, str] = MappingProxyType({}), wanted: str = "") -> None:
        """Write the style sheet with these classes, and with those of the state unless it is a build's.

        Args:
            styles: Declarations by class.
            wanted: A class; if the style sheet has it already, it is left as it is.

        Raises:
            StorageError: It cannot be written.
        """
        kit, store = self._kit, self._kit.records.store
        with self._writing, store.lock(f"{self._css_prefix}stylesheet"):
            written = self._written_stylesheet()
            if wanted and f".{wanted}{{" in written:
                return
            if not kit.renders.defers:
                found = store.get_many(store.keys(self._css_prefix))
                styles = {**styles, **{key.removeprefix(self._css_prefix): value for key, value in found.items()}}
            rules = [
                f".{name}{{{declarations}}}\n"
                for name, declarations in sorted(styles.items())
                if declarations and _CLASS.fullmatch(name) and not _UNSAFE_CSS.search(declarations)
            ]
            text = "".join(rules)
            # Its time stamp is that of its last change, for whoever copies what is newer.
            if text and text != written:
                kit.storage.save(self.stylesheet, text.encode())

    def _written_stylesheet(self) -> str:
        try:
            with self._kit.storage.open(self.stylesheet) as file:
                return file.read().decode(errors="replace")
        except StorageError:
            return ""

    @property
    def _css_prefix(self) -> str:
        return f"{self._kit.settings.cache_prefix}css:"

    def finish_styles(self, notes: Notes) -> None:
        """Write the style sheet that a finished render needs."""
        note = notes.get(self.stylesheet)
        if note is not None:
            self._write_stylesheet(note.styles)

    def restore_styles(self) -> None:
        """Write the style sheet that the last finished render needs, if it is missing or lacks a class.

        Raises:
            StorageError: It cannot be written.
        """
        try:
            note = (self._kit.renders.last() or {}).get(self.stylesheet)
        except ImageKitError:
            # The record is damaged, which `rendered_items` reports.
            return
        if note is not None:
            written = self._written_stylesheet()
            if not all(f".{name}{{" in written for name in note.styles):
                self._write_stylesheet(note.styles)

    def note(self, picture: Picture, shown: Shown) -> None:
        """Note a picture of a page and its files, for the manifest and the end of the render."""
        renders, told = self._kit.renders, None
        if shown.urls not in self._noted and renders.is_kept:
            if len(self._noted) >= MOST_PICTURES:
                self._noted.clear()
            self._noted[shown.urls] = picture
            # Another process may finish the render.
            told = picture._outline(shown)
        renders.note_picture([(each[0].name, each[1]) for each in shown.known if each], told)

    @property
    def manifest_path(self) -> Path:
        """Where the manifest of pictures is kept."""
        return self._kit.settings.state_dir / own_name(MANIFEST, self._kit.settings)

    def write_manifest(self, path: Path | None = None) -> None:
        """Write down all pictures of the render, and those of earlier ones whose files are all there still.

        Args:
            path: Where to write it as well; None for `images.json` in the `state_dir` alone.

        Raises:
            StorageError: A file cannot be written.
        """
        noted, self._noted = list(self._noted.values()), {}
        elsewhere = [entry for entry in self._kit.renders.pictures if _identity(entry)]
        if noted or elsewhere:
            with ThreadPoolExecutor(available_cores()) as pool:
                told = [*pool.map(self._completed, elsewhere), *pool.map(_told, noted)]
            entries = {_identity(entry): entry for entry in (*self._kept_entries(), *told) if entry}
            try:
                self._write(self.manifest_path, entries.values())
            except StorageError as error:
                logger.warning("The manifest of pictures cannot be written. %s", error)
        if path is not None:
            if not self.manifest_path.exists():
                logger.warning(
                    "No picture is known: %s is missing. If pages show pictures, render them again, and finish().",
                    self.manifest_path,
                )
            self._write(path, map(self.with_bytes, self.read_manifest()))

    def read_manifest(self) -> list[dict[str, Any]]:
        """Return the pictures of the manifest; none where there is no manifest, or a damaged one."""
        try:
            manifest = json.loads(self.manifest_path.read_text(encoding="utf-8"))
            if manifest["version"] == MANIFEST_VERSION:
                return [entry for entry in manifest["pictures"] if _identity(entry)]
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            logger.warning("%s cannot be read (%s), and is replaced.", self.manifest_path, error)
        return []

    def with_bytes(self, entry: dict[str, Any]) -> dict[str, Any]:
        """Return what is told of a picture with the sizes of its files, as far as they have been made."""
        for candidate in entry["candidates"]:
            record = self._kit.records.get(candidate["name"])
            candidate["bytes"] = candidate.get("bytes") if record is None else record.size
        return entry

    def _completed(self, entry: dict[str, Any]) -> dict[str, Any]:
        """Return what another process told of a picture, with what it did not look up."""
        try:
            source = self._kit.source(entry["source"])
            if source is not None and not source.is_vector:
                look = self._kit.image_facts.look(source)
                entry["color"] = look.color
                entry["placeholder"] = None if look.may_show_what_is_below(source.header) else look.blur
                entry["alt"] = entry["alt"] or self._kit.image_facts.sidecar(source).alt
        except (ImageKitError, KeyError) as error:
            logger.info("The manifest tells no colour of %s: %s", entry["source"], error)
        return self.with_bytes(entry)

    def prune_manifest(self) -> None:
        """Drop pictures from the manifest whose files are gone.

        Raises:
            StorageError: It cannot be written.
        """
        kept = self._kept_entries()
        if len(kept) < len(self.read_manifest()):
            self._write(self.manifest_path, kept)

    def _kept_entries(self) -> list[dict[str, Any]]:
        storage = self._kit.storage

        def exists(entry: dict[str, Any]) -> bool:
            return all(storage.stat(each["name"]) is not None for each in entry["candidates"])

        try:
            return list(filter(exists, self.read_manifest()))
        except StorageError as error:
            logger.warning("%s holds a name that is refused (%s), and is replaced.", self.manifest_path, error)
            return []

    def _write(self, path: Path, entries: Iterable[dict[str, Any]]) -> None:
        # One line a picture, so that two versions can be compared by eye.
        lines = sorted(json.dumps(entry, ensure_ascii=False) for entry in entries)
        text = f'{{"version": {MANIFEST_VERSION}, "pictures": [\n' + ",\n".join(lines) + "\n]}\n"
        try:
            # What is no Unicode, from a page's alt, becomes an escape of JSON.
            write_whole(path, text.encode("utf-8", "backslashreplace").decode())
        except OSError as error:
            raise StorageError(str(path), error.strerror or str(error)) from error

    def find_html(self, call: Hashable) -> Markup | None:
        """Return the HTML kept for a template's call, if it is still right; its files count as needed."""
        page, known = self._kit.current_page(), self._html.get((call, self.base_url))
        if known is None or not known.is_current():
            return None
        if page is not None:
            # As if it had been written anew.
            page.turns = known.turns
        shown = known.shown
        if shown.urls not in self._noted or not self._kit.renders.are_noted(shown.names):
            self.note(known.picture, shown)
            if known.picture._style is not None:
                self._kit.renders.note_style(self.stylesheet, *known.picture._style)
        return known.html

    @property
    def base_url(self) -> object:
        """What URLs begin with, if the kit's storage knows."""
        # A request may have a base URL of its own, where an app is mounted in several places.
        return getattr(self._kit.storage, "base_url", None)

    def keep_html(self, call: Hashable, markup: Markup, picture: Picture) -> None:
        """Keep the HTML of a template's call, if all its files are known to exist."""
        shown = picture._shown()
        sources, files = {}, []
        absent: dict[str, None] = {}
        for each in shown.known:
            if each is None:
                return
            known = each[0]
            sources[known.source_path] = known.signature
            if not known.is_promised:
                files.append((known.path, known.size))
            absent.update(dict.fromkeys(known.absent))
        if not sources:
            return
        if self._kit.settings.picture_css == "class" and not self._kit.renders.defers:
            files.append((self._kit.storage.path(self.stylesheet) or "", _ANY_SIZE))
        if len(self._html) >= MOST_PICTURES:
            self._html.clear()
        page = self._kit.current_page()
        self._html[call, self.base_url] = _KnownHtml(
            markup, tuple(sources.items()), tuple(files), tuple(absent), picture, shown, page.turns if page else 0
        )


def _told(picture: Picture) -> dict[str, Any] | None:
    try:
        # A template's picture would have something stand in, for a page that has been written.
        return Picture.as_dict(picture)
    except ImageKitError as error:
        logger.info("%r is left out of the manifest: %s", picture, error)
        return None


def _identity(entry: Any) -> tuple[str, ...]:
    """Return what two entries of a manifest have in common that tell of one picture; empty for no entry."""
    match entry:
        case {"source": str() | None, "candidates": list(candidates)}:
            return tuple(str(each["url"]) for each in candidates if isinstance(each["name"], str))
    return ()


_PLAIN = frozenset({str, int, float, bool, type(None), Markup})


def frozen(value: Any) -> Hashable:
    """Return a plain value in a form that can be a key, and that differs for values of different types.

    Raises:
        TypeError: The value is not plain.
    """
    kind = type(value)
    if kind in _PLAIN:
        return kind, value
    if kind in (list, tuple):
        return kind, tuple(map(frozen, value))
    if kind is dict:
        return kind, tuple((name, frozen(each)) for name, each in value.items())
    raise TypeError(f"{kind} is not plain")
