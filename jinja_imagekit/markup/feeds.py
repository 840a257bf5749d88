"""Images in RSS and Atom feeds: one JPEG or PNG with an absolute URL each, since readers know little else."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from markupsafe import escape

from ..exceptions import ImageKitError
from ..html import element, escape_value
from ..images import mimetype
from ..pictures.plan import SHARED_FORMATS
from .rules import Rule
from .tokens import Attributes, Tag, attribute_list, attributes_of, tags
from .transform import Edit, PageTransform

if TYPE_CHECKING:
    from ..pages import Page
    from ..pictures import Picture
    from .transform import Transform

LEFT_OUT = frozenset({"src", "srcset", "sizes", "loading", "decoding", "fetchpriority", "style"})
"""Attributes that mean nothing to what reads feeds."""

NAMESPACE = "urn:jinja-imagekit"
"""XML namespace of the attribute that holds what the author wrote: feeds have no data-… attributes."""

MARK = "imagekit:src"

ENCLOSURE_WIDTH = 1920
"""Pixels: the greatest width of an image that a feed encloses."""

_HTML = re.compile(r"(?:<|&lt;|&#60;|&#[xX]3[cC];)(?:img|picture)\b", re.IGNORECASE)
_SECTION = re.compile(r"<!\[CDATA\[(.*?)\]\]>", re.DOTALL)
_REFERENCE = re.compile(r"&(?:lt|gt|amp|quot|apos|#[0-9]+|#[xX][0-9a-fA-F]+);")
_NAMED = {"&lt;": "<", "&gt;": ">", "&amp;": "&", "&quot;": '"', "&apos;": "'"}


def feed_edits(transform: Transform, text: str, page: Page | None) -> list[Edit]:
    """Return what changes in a feed.

    Args:
        transform: The site's transform.
        text: The feed.
        page: Where it is.

    Raises:
        ImageKitError: An image could not be made.
    """
    feed = FeedTransform(transform, text, page, text)
    edits, end = [], 0
    for tag in tags(text, is_xml=True):
        between, begin = text[end : tag.start], end
        end = tag.end
        if "&" in between or "<![CDATA[" in between:
            edits += _content_edits(transform, text, page, begin, between)
        feed.look_at(tag)
    return [*edits, *feed.edits()]


def _content_edits(transform: Transform, text: str, page: Page | None, begin: int, content: str) -> list[Edit]:
    """Return what changes in an element's content, which may be HTML in CDATA sections or with escaped brackets."""
    if not _HTML.search(content):
        return []
    edits, end = [], 0
    for section in [*_SECTION.finditer(content), None]:
        plain = content[end : section.start()] if section else content[end:]
        if _HTML.search(plain):
            inner = Escaped(plain)
            found = FeedTransform(transform, inner.text, page, text, begin + end).edits()
            edits += [inner.edit(edit, begin + end) for edit in found]
        if section:
            at = begin + section.start(1)
            found = FeedTransform(transform, section[1], page, text, at).edits()
            edits += [Edit(at + edit.start, at + edit.end, edit.text) for edit in found]
            end = section.end()
    return edits


class Escaped:
    """A text with character references, and the same text without them.

    Args:
        raw: The text as it is in the file.

    Attributes:
        text: The text without references.

    Example:
        >>> Escaped("&lt;p&gt;").text
        '<p>'
    """

    def __init__(self, raw: str) -> None:
        pieces, self._places, self._raw_places, at, length = [], [0], [0], 0, 0
        for match in _REFERENCE.finditer(raw):
            pieces.append(raw[at : match.start()])
            length += match.start() - at
            self._add(length, match.start())
            character = _NAMED.get(match[0]) or _numbered(match[0])
            pieces.append(character)
            length, at = length + len(character), match.end()
            self._add(length, at)
        self.text = "".join([*pieces, raw[at:]])

    def _add(self, place: int, raw_place: int) -> None:
        self._places.append(place)
        self._raw_places.append(raw_place)

    def edit(self, edit: Edit, begin: int) -> Edit:
        """Return a change of the text as one of the file, in which this text begins there."""
        return Edit(begin + self._raw(edit.start), begin + self._raw(edit.end), str(escape(edit.text)))

    def _raw(self, place: int) -> int:
        known = bisect_right(self._places, place) - 1
        return self._raw_places[known] + place - self._places[known]


def _numbered(reference: str) -> str:
    digits = reference[2:-1]
    with suppress(ValueError, OverflowError):
        return chr(int(digits[1:], 16) if digits[0] in "xX" else int(digits))
    return reference


class FeedTransform(PageTransform):
    """HTML in a feed, or the feed itself.

    Args:
        transform: The site's transform.
        text: The HTML.
        page: Where the feed is.
        whole: The feed, in which lines are counted.
        begin: Where the HTML begins in it.
    """

    def __init__(self, transform: Transform, text: str, page: Page | None, whole: str, begin: int = 0) -> None:
        super().__init__(transform, text, page)
        self._whole, self._begin = whole, begin
        self._is_feed = text is whole
        self._is_xml = self._is_xml or self._is_feed
        self._found: list[Tag] = []

    def look_at(self, tag: Tag) -> None:
        """Rewrite one of the feed's own tags, if it is an image or encloses one."""
        attributes = attributes_of(tag)
        if tag.name in ("enclosure", "media:content", "media:thumbnail"):
            self._enclosure(tag, attributes, "url")
        elif tag.name == "link" and attributes.get("rel") == "enclosure":
            self._enclosure(tag, attributes, "href")
        elif tag.name.rpartition(":")[2] in ("img", "picture", "/picture"):
            self._found.append(tag)

    def edits(self) -> list[Edit]:
        """Return what changes."""
        if not self._is_feed:
            return super().edits()
        # Atom has XHTML as elements of its own.
        at = 0
        while at < len(self._found):
            if self._found[at].name == "picture":
                at = self._picture(self._found, at)
            elif self._found[at].name == "img":
                self._image(self._found[at])
            at += 1
        return self._edits

    def _written(self, rule: Rule, source: Any, attributes: Mapping[str, object]) -> str:
        picture = rule.picture(self._site.runtime, source)
        src = picture.absolute_url
        if not src:
            return ""
        kept = {name: value for name, value in attributes.items() if name not in LEFT_OUT}
        sides = {} if "width" in kept or "height" in kept else {"width": picture.width, "height": picture.height}
        alt = {} if "alt" in kept or picture.alt is None else {"alt": picture.alt}
        return element("img", {"src": src, **sides, **alt, **kept})

    def _need(self, rule: Rule, source: Any) -> None:
        with suppress(ImageKitError):
            picture = rule.picture(self._site.runtime, source)
            self._url(self._one(source, picture.width, SHARED_FORMATS[0]))

    def _url(self, picture: Picture, *, absolute: bool = False) -> str | None:
        url = super()._url(picture, absolute=absolute)
        return url and self._kit.absolute_url(url)

    def _pass(self, attributes: Attributes) -> None:
        """Leave an image as it is; a feed has no order."""

    def _enclosure(self, tag: Tag, attributes: Attributes, name: str) -> None:
        """Enclose a smaller image without metadata, whose length in bytes is known."""
        url = attributes.get(MARK) or attributes.get(name)
        if not url or not self._has_rule(attributes):
            return
        with self._told(tag, url):
            source = self._source(url)
            if source is None:
                return
            picture = self._one(source, ENCLOSURE_WIDTH, SHARED_FORMATS[0])
            (candidate,) = picture.candidates() or (None,)
            address = self._url(picture, absolute=True)
            if address is None or candidate is None:
                return
            file = self._kit.cachefile(candidate.generator_id, **candidate.kwargs)
            file.generate()
            values = {name: address, "type": mimetype(candidate.format)}
            sizes = {"length": file.size, "filesize": file.size, "width": file.width, "height": file.height}
            values |= {each: str(size) for each, size in sizes.items() if each in attributes}
            if all(attributes.get(each) == value for each, value in values.items()):
                return
            parts, at = [], 0
            for each in attribute_list(tag):
                value = values.pop(each.name, None)
                if value is not None:
                    parts += [tag.text[at : each.start], f'{each.name}="{escape_value(value)}"']
                    at = each.end
            added = "".join(f' {each}="{escape_value(value)}"' for each, value in values.items())
            if self._site.marks and MARK not in attributes:
                added += f' xmlns:imagekit="{NAMESPACE}" {MARK}="{escape_value(url)}"'
            place = 1 + len(tag.name)
            self._edit(tag.start, tag.end, f"{tag.text[:place]}{added}{''.join([*parts, tag.text[at:]])[place:]}")

    def _line(self, tag: Tag) -> int:
        return self._whole.count("\n", 0, self._begin + tag.start) + 1
