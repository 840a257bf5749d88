"""What the keywords of a tag ask of a picture."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from .. import html
from ..exceptions import InvalidOption, nearest
from ..generatorlibrary import THUMBNAIL_ID
from ..images import normal_format
from ..processors.arguments import flag, one_of
from ..settings import GAMUTS
from ..specs import FOCUS_KEYWORD, ImageSpec
from .framing import LAYOUTS, MAX_SIDE, Focus, parse_dimensions, parse_focus

if TYPE_CHECKING:
    from ..kit import ImageKit

PLACEHOLDERS = ("blur", "color")
"""What may be shown in a picture's place until it has loaded."""

MISSING_ALT = ("error", "warn", "ignore")
"""What may be done where nobody gives an alternative text."""


AT_KEYWORDS = ("size", "source", "focus", "widths", "sizes", "formats", "still")
"""What an entry of `at` may say."""

PICTURE_KEYWORDS = (
    *("layout", "widths", "sizes", "formats", "at", "focus", "alt", "priority", "placeholder"),
    *("missing_alt", "gamut"),
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
        gamut: One of `GAMUTS`: with "p3", sources with colours beyond sRGB are offered in both; None leaves it to the
            generator.
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
    gamut: str | None = None
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
    if generator_id == THUMBNAIL_ID:
        options.update({name: flag(name, options[name]) for name in ("crop", "upscale") if name in options})
    focus = given.get("focus", anchor)
    if focus is None:
        focus = kit.image_facts.focus_of(source, generator_id)
    gamut = given.get("gamut")
    if gamut is None and settings.gamut != "srgb" and _has_gamut(kit, generator_id):
        gamut = settings.gamut
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
        priority=bool(flag("priority", given.get("priority"))),
        placeholder=_placeholder(given.get("placeholder", settings.picture_placeholder)),
        gamut=None if gamut is None else one_of("gamut", gamut, GAMUTS),
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
    own = {name: kwargs[name] for name in ("format", "gamut") if kwargs.get(name) is not None}
    without = {"format": None, "formats": None, "gamut": None}
    call = picture_call(kit, generator_id, dimensions, source, {**kwargs, **without})
    for name in ("formats", "at"):
        if kwargs.get(name) is not None:
            raise InvalidOption(name, kwargs[name], "an <img> has none; use {% picture %}")
    call = replace(call, options={**call.options, **own}, formats=None, gamut=None)
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
    # A spec has its own gamut, and a keyword for it if it likes.
    words = frozenset(PICTURE_KEYWORDS) - {"gamut"}
    own = {name: value for name, value in kwargs.items() if name not in words}
    asked = {name: value for name, value in kwargs.items() if name in words}
    call = several_sizes_call(kit, generator_id, "1x", source, asked)
    options = {**own, **({} if call.focus is None else {FOCUS_KEYWORD: call.focus})}
    return replace(call, options=options, is_spec=True)


def _has_gamut(kit: ImageKit, generator_id: str) -> bool:
    """Tell whether a generator is a spec whose `gamut` can be changed."""
    registered = kit.registered(generator_id)
    return isinstance(registered, type) and issubclass(registered, ImageSpec) and not registered.makes_its_own()


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
    return without_auto(text) or None


def without_auto(sizes: str) -> str:
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


def art_directed(call: PictureCall, changes: Mapping[str, Any]) -> PictureCall:
    """Return what is asked for when a media query matches, given what its entry of `at` changes.

    Raises:
        InvalidOption: A change has a value that cannot be used.
    """
    is_resized = "size" in changes
    focus = None if "source" in changes else call.focus
    return replace(
        call,
        dimensions=changes.get("size", call.dimensions),
        source=changes.get("source", call.source),
        widths=_widths(changes.get("widths")) or (None if is_resized else call.widths),
        sizes=_sizes(changes.get("sizes")) or (None if is_resized else call.sizes),
        formats=_formats(changes["formats"]) if changes.get("formats") else call.formats,
        focus=parse_focus(changes["focus"]) if changes.get("focus") else focus,
        still=bool(flag("still", changes.get("still"))),
    )
