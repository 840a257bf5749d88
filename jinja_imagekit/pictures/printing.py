"""How a picture is printed: its HTML, what preloads it, its value in CSS and its structured data."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup

from .. import html, images
from ..exceptions import InvalidOption, MissingAlt
from ..imageinfo import ImageInfo
from ..looks import Look
from .calls import PictureCall, without_auto
from .files import PictureSource, Shown
from .framing import rounded
from .media_queries import only
from .plan import Medium

if TYPE_CHECKING:
    from ..kit import ImageKit

logger = logging.getLogger("jinja_imagekit.pictures")


def preload(shown: Shown) -> Markup:
    """Return the `<link>`s that have a browser load a picture early, of which one applies on each screen."""
    assert shown.plan is not None
    offers = shown.offers()
    queries = [medium.media for medium in shown.plan.media]
    links = []
    for place, medium in enumerate(shown.plan.media):
        media = only(queries[:place], medium.media)
        offer = next(each for each in offers if each.media == medium.media)
        if media is not None:
            attributes = {
                "rel": "preload",
                "as": "image",
                "media": media or None,
                "type": offer.type,
                "href": offer.src,
                "imagesrcset": offer.srcset or None,
                "imagesizes": offer.sizes or None,
                "fetchpriority": "high",
            }
            links.append(html.element("link", attributes))
    return Markup().join(links)


def structured_data(kit: ImageKit, shown: Shown, alt: str | None) -> Markup:
    """Return the JSON-LD of a picture, whose alternative text is its name.

    Raises:
        SourceError: The source, whose metadata are asked, cannot be read.
    """
    assert shown.plan is not None
    own = shown.plan.own
    info = ImageInfo(kit, own.source)
    told = {
        "contentUrl": kit.absolute_url(shown.urls_anywhere(kit)[own.src - len(own.formats[-1])]),
        "name": alt,
        "caption": html.plain_text(info.caption or info.description),
        "creator": {"@type": "Person", "name": info.artist} if info.artist else None,
        "creditText": html.plain_text(info.credit),
        "copyrightNotice": info.copyright,
        "license": info.licence,
        "acquireLicensePage": info.licensor,
        "digitalSourceType": info.source_type and f"https://schema.org/{info.source_type}DigitalSource",
    }
    stated = {name: value for name, value in told.items() if value}
    size = {"width": own.width, "height": own.height}
    return html.json_ld({"@context": "https://schema.org", "@type": "ImageObject", **stated, **size})


def image_set(shown: Shown) -> str:
    """Return a picture as a value for CSS's `background-image`: each format at the layout's width and above."""
    if shown.plan is None:
        return f'url("{shown.stand_in[0]}")' if shown.stand_in[0] else "none"
    own, urls = shown.plan.own, shown.urls[-sum(map(len, shown.plan.own.formats)) :]
    options, at = [], 0
    for group in own.formats:
        for place, candidate in enumerate(group):
            density = candidate.width / own.width
            if place == own.src or density > 1:
                options.append(
                    f'url("{_css_url(urls[at])}") {density:.4g}x type("{images.mimetype(candidate.format)}")'
                )
            at += 1
    return f"image-set({', '.join(options)})"


def picture_html(
    kit: ImageKit, call: PictureCall, shown: Shown, given: Given, alt: object, behind: Look | None
) -> tuple[Markup, tuple[str, str] | None]:
    """Return a picture's HTML, and the class that it needs in the style sheet with its declarations.

    Args:
        kit: The kit.
        call: What was asked for.
        shown: What the page shows.
        given: The author's attributes.
        alt: The alternative text.
        behind: What is seen until the image has loaded; None for nothing.
    """
    if shown.plan is None:
        url, width, height = shown.stand_in
        image = {"src": url, **_box(given, width, height), "alt": alt, **given.rest}
        return html.element("img", image) if url else Markup(), None
    *sources, offer = shown.offers()
    sizes, box = given.sizes, _box(given, offer.width, offer.height)
    turn = _turn(kit, call, given, _area(box) or offer.width * offer.height)
    loads_lazily = given.loading == "lazy" if given.loading is not None else turn == "lazy"
    # `auto` needs a style that says the image's size.
    shapes = shown.plan.shapes
    is_sized = _is_sized(shapes)
    is_auto = loads_lazily and is_sized and kit.settings.auto_sizes
    styles: dict[str, str] = {}
    if loads_lazily and is_sized:
        styles.update(_reserved(box, offer, is_auto))
        narrow = shapes[0]
        if (narrow.width, narrow.height) != (offer.width, offer.height):
            styles["contain-intrinsic-size"] = _stepped(narrow, shown.plan.own)
    if behind is not None:
        styles.update(_placeholder_styles(kit, call, shown.plan.own, behind))
    image = {
        "src": offer.src,
        "srcset": offer.srcset or None,
        "sizes": _auto(sizes or offer.sizes, is_auto) if offer.sizes else None,
        **box,
        "loading": given.loading if given.loading is not None else "lazy" if loads_lazily else None,
        "decoding": given.decoding if given.decoding is not None else None if turn == "first" else "async",
        "fetchpriority": given.fetchpriority or ("high" if turn == "first" else None),
        "alt": alt,
        **given.rest,
    }
    declarations, style = _declarations(styles), None
    if styles and kit.settings.picture_css == "class":
        style = kit.pictures.class_of(declarations), declarations
        _join(image, "class", style[0], " ")
    elif styles:
        _join(image, "style", declarations, ";")
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
    return html.picture(tags, image), style


def _turn(kit: ImageKit, call: PictureCall, given: Given, area: int) -> str:
    """Return how a picture loads: "first" with priority, "neutral" or "lazy"; a page's order may decide."""
    page = kit.current_page()
    if page is None:
        return "first" if call.priority else "lazy"
    turn = page.turn(area, given.loading, "high" if call.priority else given.fetchpriority)
    return "first" if call.priority else turn


def _placeholder_styles(kit: ImageKit, call: PictureCall, own: Medium, look: Look) -> dict[str, str]:
    if call.placeholder == "color":
        return {"background-color": look.color}
    if kit.settings.picture_css == "class":
        # A policy of `default-src 'self'` allows a style sheet no data URI.
        return {"background": _gradient(look)}
    across, down = own.anchor or (0.5, 0.5)
    return {"background": f"url({look.blur}) {across * 100:g}% {down * 100:g}%/cover no-repeat"}


def miss_alt(policy: str | None, error: MissingAlt) -> None:
    """Do about a missing alternative text what the setting `missing_alt` says.

    Raises:
        MissingAlt: It is "error".
    """
    if policy == "error":
        raise error
    if policy == "warn":
        logger.warning("%s", error)


class Given:
    """The author's attributes, with those singled out on which other parts of the HTML depend."""

    def __init__(self, attributes: Mapping[str, object]) -> None:
        named = {html.lowered(name): value for name, value in attributes.items()}
        for name in ("src", "srcset"):
            if name in named:
                raise InvalidOption(name, named[name], "the picture sets it; leave it out")
        alt = named.get("alt")
        # A bare attribute is an empty one.
        self.alt = "" if alt is True else None if alt is False else alt
        self.sizes = None if named.get("sizes") is None else without_auto(str(named["sizes"]))
        self.loading = None if named.get("loading") is None else str(named["loading"])
        self.decoding = None if named.get("decoding") is None else str(named["decoding"])
        self.fetchpriority = None if named.get("fetchpriority") is None else str(named["fetchpriority"])
        self.width, self.height = named.get("width"), named.get("height")
        self.rest = {name: value for name, value in attributes.items() if name.lower() not in _ORDERED}


_ORDERED = frozenset({"alt", "sizes", "loading", "decoding", "fetchpriority", "width", "height"})


def _box(given: Given, width: int, height: int) -> dict[str, object]:
    """Return the attributes `width` and `height`: the author's, and a missing one in proportion."""
    if given.width is None and given.height is None:
        return {"width": width, "height": height}
    if given.width is not None and given.height is not None:
        return {"width": given.width, "height": given.height}
    try:
        if given.height is None:
            return {"width": given.width, "height": rounded(int(str(given.width)) * height / width)}
        return {"width": rounded(int(str(given.height)) * width / height), "height": given.height}
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
