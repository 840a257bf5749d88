"""Which images a picture offers, of which sizes and formats and for which screens; none of them is made."""

from __future__ import annotations

import math
from collections.abc import Mapping
from copy import copy
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import images
from ..exceptions import ImageKitError, InvalidOption, MissingSource
from ..generatorlibrary import THUMBNAIL_ID
from ..interfaces import Size
from ..processors import ResizeToFill, ResizeToFit, SmartResize
from ..sources import Source
from ..specs import FORMAT_KEYWORD, GAMUT_KEYWORD, WIDTH_KEYWORD, ImageSpec
from .calls import PictureCall, art_directed
from .framing import (
    FULL_SRC,
    MAX_SIDE,
    Focus,
    Framing,
    Point,
    anchor_of,
    candidate_widths,
    capped_densities,
    layout_sizes,
    layout_widths,
    parse_dimensions,
    parse_focus,
)
from .media_queries import both

if TYPE_CHECKING:
    from ..images import Header
    from ..kit import ImageKit


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
        is_wide: Whether it is for screens that show Display P3, beside one for the others.
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
    is_wide: bool = False

    def descriptor(self, candidate: Candidate) -> str:
        """Return what `srcset` says about a candidate: its width, or its density."""
        if len(self.formats[0]) < 2:
            return ""
        return f" {candidate.width}w" if self.sizes else f" {candidate.width / self.width:.4g}x"


SHARED_FORMATS = ("JPEG", "PNG")
"""Formats that whatever reads a feed, a mail or `og:image` shows."""


class Plan(NamedTuple):
    """What a picture offers; nothing is made yet.

    Attributes:
        media: What is offered when a media query matches; the picture's own is the last.
    """

    media: tuple[Medium, ...]

    @property
    def shapes(self) -> tuple[Medium, ...]:
        """What is offered, once where it is offered in two gamuts."""
        return tuple(medium for medium in self.media if not medium.is_wide)

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
    media = [_medium(kit, art_directed(call, changes), query) for query, changes in call.at]
    media.append(_medium(kit, call))
    if call.gamut is None:
        return Plan(tuple(media))
    return Plan(tuple(each for medium in media for each in _in_gamuts(medium, call.gamut)))


WIDE_SCREENS = "(color-gamut: p3)"
"""The media query of screens that show most of what Display P3 has (Media Queries 5, 6.4)."""


def _in_gamuts(medium: Medium, gamut: str) -> list[Medium]:
    """Return what is offered in sRGB and, before it, what wide screens are offered of a source that has more."""
    media = [_with_gamut(medium, "srgb")]
    formats = tuple(
        group for group in medium.formats if "icc_profile" in images.OUTPUT_FORMATS[group[0].format].options
    )
    if gamut == "p3" and medium.header.is_wide and formats:
        query = both(medium.media, WIDE_SCREENS)
        wide = medium._replace(media=query, formats=formats, is_wide=True)
        media.insert(0, _with_gamut(wide, "p3"))
    return media


def _with_gamut(medium: Medium, gamut: str) -> Medium:
    if medium.header.is_vector:
        return medium

    def changed(candidate: Candidate) -> Candidate:
        keyword = "gamut" if candidate.generator_id == THUMBNAIL_ID else GAMUT_KEYWORD
        return candidate._replace(kwargs={**candidate.kwargs, keyword: gamut})

    return medium._replace(formats=tuple(tuple(map(changed, group)) for group in medium.formats))


def _medium(kit: ImageKit, call: PictureCall, media: str = "") -> Medium:
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
    animated = header.frames > 1 and settings.keep_animation and not call.still
    formats = _offered_formats(kit, call, header, animated)
    framing = framing.within(
        min(images.OUTPUT_FORMATS[format].max_side for format, _ in formats),
        settings.max_result_pixels // (header.frames if animated else 1),
    )
    widths = _candidate_widths(call, framing)
    focus = call.focus or own_focus(kit, source) or "auto"
    anchor = anchor_of(focus, framing) if framing.crops else None
    is_boxed = bool(width and height and crop is not False)
    shared = _shared_options(call, framing, anchor, widths, is_boxed)
    if call.still and header.frames > 1:
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
        return [(images.output_format(asked, header), {})]
    formats: dict[str, dict[str, str]] = {}
    for format in call.formats:
        facts = images.OUTPUT_FORMATS[format]
        if animated and not facts.animates:
            kept = images.output_format(None, header)
            format = kept if images.OUTPUT_FORMATS[kept].animates else "WEBP"
        else:
            format = _with_alpha(kit, format, header)
        formats[format] = {"format": format}
    return list(formats.items())


def _with_alpha(kit: ImageKit, format: str, header: Header) -> str:
    """Return a format, or PNG where transparent pixels would be lost."""
    return (
        "PNG"
        if header.has_alpha and kit.settings.keep_alpha and not images.OUTPUT_FORMATS[format].has_alpha
        else format
    )


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


def adapted(generator: Any, width: Any, focus: Any, format: Any, gamut: Any) -> Any:
    """Return a copy of a spec whose crops keep a focus, and whose result is narrowed, of another format or gamut.

    Args:
        generator: The spec.
        width: Pixels; None leaves the result as wide as it is.
        focus: What crops keep, as `parse_focus` takes it; None leaves it to the spec.
        format: By Pillow's name; None leaves it, and the encoder's options, to the spec.
        gamut: One of `GAMUTS`; None leaves it to the spec.

    Raises:
        InvalidOption: It is no spec, or one that makes its image by a `generate()` or `render()` of its own.
    """
    if not isinstance(generator, ImageSpec) or generator.makes_its_own():
        asked = {"widths": width, "focus": focus, "format": format, "gamut": gamut}
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
    if gamut is not None:
        stated["gamut"] = gamut
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
