"""A picture: what templates ask it, answered from its plan and its files."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from .. import html, images
from ..exceptions import MissingAlt
from ..imageinfo import NO_SIDECAR, Sidecar
from ..looks import Look
from . import printing
from .calls import PictureCall
from .files import PictureSource, Shown, candidate_files
from .kept import outline
from .plan import SHARED_FORMATS, Candidate, Plan, make_picture_plan

if TYPE_CHECKING:
    from ..kit import ImageKit


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
        return shown.stand_in[0] if shown.plan is None else shown.offers()[-1].src

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
                gamut="srgb" if self._call.gamut else None,
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
        return "" if shown.plan is None else shown.offers()[-1].srcset

    @property
    def sizes(self) -> str:
        """The value of `sizes`, without `auto`; empty if none is needed."""
        plan = self._planned()
        return "" if plan is None else plan.own.sizes

    @property
    def sources(self) -> tuple[PictureSource, ...]:
        """What its `<source>`s offer, the preferred one first; the `<img>` is not included."""
        shown = self._shown()
        return () if shown.plan is None else shown.offers()[:-1]

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
        return images.mimetype(self.format) if self.format else ""

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
        return printing.preload(shown) if self._call.priority and shown.plan is not None else Markup()

    @property
    def structured_data(self) -> Markup:
        """What search engines show of an image, its author and its licence: a `<script>` of JSON-LD (`ImageObject`).

        It says what the sidecar file says, and else the source's metadata. Empty where something stands in for it.
        """
        shown = self._shown()
        if shown.plan is None:
            return Markup()
        return printing.structured_data(self._kit, shown, self._told_alt(self.alt))

    @property
    def image_set(self) -> str:
        """The picture as a value for CSS's `background-image`: each format at the layout's width and above."""
        return printing.image_set(self._shown())

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
        given = printing.Given(attributes)
        self._said_alt = given.alt
        # First, since what cannot be decoded needs no files.
        behind = self._look_from_afar() if self._call.placeholder else None
        if behind is not None and self._shows_through(behind):
            behind = None
        shown = self._shown()
        alt = given.alt if given.alt is not None else self.alt
        if alt is None:
            self._miss_alt(MissingAlt(repr(self)[1:-1].replace(":", "", 1)))
        markup, style = printing.picture_html(self._kit, self._call, shown, given, alt, behind)
        self._style = style or self._style
        return markup

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

    # Once a page has been written, nothing stands in for a template's picture any more.
    _as_dict = as_dict

    def _outline(self, shown: Shown) -> dict[str, Any]:
        """Return what `as_dict` tells but for what has to be looked up."""
        return outline(self._kit, shown, self._told_alt(self._call.alt))

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

    def _miss_alt(self, error: MissingAlt) -> None:
        printing.miss_alt(self._call.missing_alt, error)
