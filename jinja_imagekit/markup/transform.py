"""The transform: images in HTML that something else wrote become what `{% picture %}` writes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urljoin, urlsplit

from ..builds.finish import name_of
from ..exceptions import ImageKitError, InvalidOption
from ..ext import TemplateRuntime, placed_at
from ..html import escape_value, is_attribute_name
from ..images import OUTPUT_FORMATS, mimetype
from ..pages import Page
from ..pictures import Picture
from ..pictures.framing import DIMENSIONS, FULL_WIDTHS
from ..pictures.plan import SHARED_FORMATS
from ..pregenerate.plan import Item
from ..stand_ins import DEFAULT_SIZE, covers
from .names import SPACE, Locate, SiteNames
from .rules import EVERY, Rule, Rules, pixels
from .tokens import Attributes, Tag, attribute_list, attributes_of, tags

if TYPE_CHECKING:
    from ..kit import ImageKit

SKIPPED = frozenset({"code", "pre", "template", "svg", "math"})
"""Elements whose content is not a page's own: it shows what HTML looks like, is for scripts, or is no HTML."""

LOADERS = frozenset({"data-src", "data-srcset", "data-lazy-src", "data-original"})
"""Attributes by which scripts load an image when they see fit; their `src` is a stand-in."""

SINGLE_WIDTH = FULL_WIDTHS[3]
"""Pixels: the greatest width of an image that is offered in one size."""

SHARED_WIDTH = 1200
"""Pixels: the width of an image for `og:image` (what Facebook and X recommend)."""

SHARED_IMAGES = frozenset({"og:image", "og:image:url", "og:image:secure_url", "twitter:image", "twitter:image:src"})
"""What a `<meta>` calls an image that other sites show."""

_SHARED_FACTS = {"og:image:width": 0, "og:image:height": 1, "og:image:type": 2}

IMAGE_EXTENSION = re.compile(r"\.(?:jpe?g|jfif|png|webp|avif|tiff?|bmp|gif|mpo)\b", re.IGNORECASE)
"""What is in a URL that may be one of an image made of pixels."""

_NAMES = {"img", "picture", "source", "video", "meta", "base", "a", "noscript", *SKIPPED}
_NAMES |= {f"/{name}" for name in ("picture", "a", "noscript", *SKIPPED)}

_MAY_HOLD = re.compile(r"<img|&lt;img|&#60;img|<enclosure|<link|<source|poster|url\(|:image|<a\s", re.IGNORECASE)
"""What a text has in which there may be something to do."""

_OURS = ("sizes", "width", "height", "loading", "decoding", "fetchpriority")
"""Attributes that a picture's `<img>` has, whoever gave them."""

_CLASS = re.compile(r"(?:^|[\t\n\f\r ]+)imagekit-[0-9a-f]{12}(?=$|[\t\n\f\r ])")

_STYLE_URL = re.compile(r"""url\(\s*(?:"([^"\\\n]*)"|'([^'\\\n]*)'|([^\s"'()\\]*))\s*\)""", re.IGNORECASE)

_SVG_HEAD = 4_096
"""Bytes in which an SVG's root begins."""

_SVG_WIDTH = re.compile(rb"""<svg\b[^>]*\swidth\s*=\s*["']\s*[0-9.]+\s*[a-z]*\s*["']""")

_EMPTY = re.compile(r"<(img|source)((?:[^>\"]|\"[^\"]*\")*)>")
"""An element without content, as `jinja_imagekit.html` writes it."""


class Edit(NamedTuple):
    """A change of a text.

    Attributes:
        start: Where the replaced part begins.
        end: Where it ends.
        text: What stands there instead.
    """

    start: int
    end: int
    text: str


def edited(text: str, edits: Iterable[Edit]) -> str:
    """Return a text with these changes, which do not overlap.

    Example:
        >>> edited("a b c", [Edit(2, 3, "B")])
        'a B c'
    """
    parts, at = [], 0
    for edit in sorted(edits):
        parts += [text[at : edit.start], edit.text]
        at = edit.end
    return "".join([*parts, text[at:]])


class Failure(NamedTuple):
    """An image of a page that could not be made.

    Attributes:
        page: The page's path.
        line: The line of the page.
        url: What the page calls the image.
        reason: Why.
    """

    page: str
    line: int
    url: str
    reason: str


class Transform:
    """Rewrites pages by a set of rules.

    Args:
        kit: The kit.
        rules: As `Rules` takes them; None for the setting `html_rules`.
        locate: Finds sources for hosts that know better; see `Locate`.
        marks: Whether to write down in the page what its author wrote, for the next run.

    Attributes:
        failures: What could not be made, where that is not to be an error; None where it is.
        items: What pages need, where nothing is to be made yet; None where it is.
        unmade: Why cache files could not be made, by their names, where that is known already.
    """

    def __init__(
        self,
        kit: ImageKit,
        rules: Mapping[str, Any] | None = None,
        *,
        locate: Locate | None = None,
        marks: bool = True,
    ) -> None:
        self.kit = kit
        self.runtime = TemplateRuntime(kit)
        given = kit.settings.html_rules if rules is None else rules
        self.rules = Rules({**EVERY, **given}, self.runtime, kit)
        self.names = SiteNames(kit)
        self.locate = locate
        self.marks = marks
        self.failures: list[Failure] | None = None
        self.items: list[Item] | None = None
        self.unmade: dict[str, str] = {}

    def html(self, text: str, page: str | None = None) -> str:
        """Return a page, or a part of one, with its images rewritten; everything else stays character by character.

        Args:
            text: The HTML.
            page: The page's path below the site's root; None for the page that is being written, if any.

        Raises:
            ImageKitError: An image could not be made; the message names the page and its line.
        """
        if not _MAY_HOLD.search(text):
            return text
        known = self.kit.current_page()
        if page is None or (known is not None and known.path == page.lstrip("/")):
            return edited(text, self._edits(text, known))
        with self.kit.page(page) as new:
            return edited(text, self._edits(text, new))

    def is_noted(self, needed: Callable[[], list[Item]]) -> bool:
        """Note what an image needs, and tell whether that is all that is to be done about it.

        Args:
            needed: Returns its cache files.

        Raises:
            ImageKitError: It is known that one of them could not be made.
        """
        if self.items is not None:
            self.items += needed()
            return True
        for item in needed() if self.unmade else ():
            reason = self.unmade.get(name_of(self.kit, item) or "")
            if reason is not None:
                raise ImageKitError(reason)
        return False

    def _edits(self, text: str, page: Page | None) -> list[Edit]:
        if is_feed(text):
            from .feeds import feed_edits

            # Whoever reads it elsewhere can do nothing with any other URL.
            is_absolute = self.kit.absolute_url(self.kit.settings.base_url).startswith(("https://", "http://"))
            return feed_edits(self, text, page) if is_absolute else []
        return PageTransform(self, text, page).edits()


_XML = re.compile(
    r"\ufeff?\s*(?:<\?xml|<!doctype[^>]*xhtml|(?:<!doctype[^>]*>\s*)?<html[^>]*\sxmlns\s*=)", re.IGNORECASE
)


def is_xml(text: str) -> bool:
    """Tell whether a page is XHTML."""
    return _XML.match(text) is not None


_FEED = re.compile(r"\ufeff?\s*(?:<\?xml[^>]*>|<\?[^>]*>|<!--(?s:.)*?-->|\s+)*<(?:rss|feed|rdf:RDF)[\s>]")


def is_feed(text: str) -> bool:
    """Tell whether a text is an RSS or Atom feed.

    Example:
        >>> is_feed('<?xml version="1.0"?><rss version="2.0"></rss>')
        True
    """
    return text.lstrip("\ufeff \t\n\r").startswith("<") and _FEED.match(text) is not None


class PageTransform:
    """One page's images.

    Args:
        transform: The site's transform.
        text: The page.
        page: Where it is; None where that is unknown.
    """

    def __init__(self, transform: Transform, text: str, page: Page | None) -> None:
        self._site = transform
        self._kit = transform.kit
        self.text = text
        self._page = page
        self._folder = page.folder if page else "/"
        self._is_xml = is_xml(text)
        self._is_elsewhere = False
        self._edits: list[Edit] = []
        self._shared: tuple[str, str, str] | None = None

    def edits(self) -> list[Edit]:
        """Return what changes."""
        found = [tag for tag in tags(self.text, is_xml=self._is_xml) if tag.name in _NAMES or "url(" in tag.text]
        at, has_base, only_urls = 0, False, False
        while at < len(found):
            tag, name = found[at], found[at].name
            if "url(" in tag.text and name not in SKIPPED:
                self._style(tag)
            if name == "img":
                self._image(tag, only_urls=only_urls)
            elif name in SKIPPED:
                at = self._end(found, at)
            elif name == "picture":
                at = self._picture(found, at)
            elif name in ("noscript", "/noscript"):
                only_urls = name == "noscript"
            elif name == "video":
                self._poster(tag)
            elif name == "meta":
                self._meta(tag)
            elif name == "a":
                self._link(found, at)
            elif name == "base" and not has_base:
                has_base = self._rebase(tag)
            at += 1
        return self._edits

    def _end(self, found: list[Tag], at: int) -> int:
        """Return where an element ends, in the list of tags."""
        name, depth = found[at].name, 1
        if found[at].text.endswith("/>") and (self._is_xml or name in ("svg", "math")):
            return at
        while depth and at + 1 < len(found):
            at += 1
            depth += (found[at].name == name) - (found[at].name == f"/{name}")
        return at

    def _rebase(self, tag: Tag) -> bool:
        href = attributes_of(tag).get("href")
        if href is None:
            return False
        base = urljoin(f"{self._kit.settings.site_url or 'http://localhost'}{self._folder}", href)
        path = self._site.names.path_of(base) if self._kit.settings.site_url else urlsplit(base).path
        if urlsplit(href).netloc and not self._kit.settings.site_url:
            path = None
            # Nobody knows where below that host the site begins.
            self._is_elsewhere = urlsplit(base).path not in ("", "/")
        # Of another host's folder, only absolute URLs lead back.
        self._folder = f"{(path or '/').rpartition('/')[0]}/"
        if self._page is not None:
            self._page.rebase(self._folder if path else None)
        return True

    # --- images ---

    def _image(self, tag: Tag, *, whole: tuple[int, int] | None = None, only_urls: bool = False) -> None:
        """Rewrite an `<img>`.

        Args:
            tag: The tag.
            whole: Where the `<picture>` around it begins and ends that an earlier run wrote.
            only_urls: Whether nothing but its URL may change, and its place in the page does not count.
        """
        attributes = attributes_of(tag)
        own = (attributes.get("data-imagekit-own") or "").split()
        if only_urls or "picture" in own:
            if self._has_rule(attributes):
                self._only_urls(tag, attributes)
            return
        author = _author(attributes, own)
        url = author.get("src")
        is_free = "srcset" not in author and LOADERS.isdisjoint(author) and all(map(is_attribute_name, author))
        if not url or not is_free:
            self._pass(attributes)
            return
        with self._told(tag, url):
            source, rule = self._source(url), self._site.rules.of(author)
            if source is None or rule is None:
                self._pass(attributes)
            elif rule.dimensions == "" and not author.keys() & {"width", "height"} and self._has_no_size(source):
                self._only_urls(tag, attributes)
                self._pass(attributes)
            else:
                self._write(tag, whole, rule, source, author)

    def _write(self, tag: Tag, whole: tuple[int, int] | None, rule: Rule, source: Any, author: Attributes) -> None:
        rule = rule.shaped(author, lambda: self._size(source))
        keywords = {
            "missing_alt": self._kit.settings.missing_alt or "ignore",
            "on_error": self._policy,
            **rule.keywords,
        }
        rule = rule._replace(keywords=keywords)
        given = {name: True if value is None else value for name, value in author.items() if name != "src"}
        if self._site.is_noted(lambda: self._needed(rule, source)):
            return
        marks = _marks(author) if self._site.marks else {}
        html = str(self._written(rule, source, {**rule.attributes, **given, **marks}))
        if self._is_xml:
            html = _EMPTY.sub(r"<\1\2 />", html)
        self._edit(*(whole or (tag.start, tag.end)), html)

    def _written(self, rule: Rule, source: Any, attributes: Mapping[str, object]) -> str:
        """Return the HTML of an image."""
        return rule.written(self._site.runtime, source, attributes)

    def _needed(self, rule: Rule, source: Any) -> list[Item]:
        """Return what an image needs, and make nothing."""
        try:
            candidates = rule.picture(self._site.runtime, source).candidates()
        except InvalidOption:
            if rule.dimensions is not None:
                raise
            kwargs = {name: value for name, value in rule.keywords.items() if name not in ("missing_alt", "on_error")}
            return [Item(str(rule.generator_id), {**kwargs, "source": source})]
        return [Item(each.generator_id, each.kwargs) for each in candidates]

    def _pass(self, attributes: Attributes) -> None:
        """Leave an image as it is; its place in the page counts."""
        if self._page is not None and self._site.items is None:
            area = pixels(attributes.get("width")) * pixels(attributes.get("height"))
            self._page.turn(area, attributes.get("loading"), attributes.get("fetchpriority"))

    def _picture(self, found: list[Tag], at: int) -> int:
        """Rewrite a `<picture>`, and return where it ends in the list of tags."""
        end = next((place for place in range(at + 1, len(found)) if found[place].name in ("/picture", "picture")), at)
        if found[end].name != "/picture":
            # It holds another one, or never ends: its own are what comes up to its image.
            end = next((place for place in range(at + 1, len(found)) if found[place].name != "source"), at)
            if found[end].name != "img":
                return at
        inside = found[at + 1 : end + 1]
        image = next((tag for tag in inside if tag.name == "img"), None)
        known = {} if image is None else attributes_of(image)
        if image is not None and "data-imagekit-src" in known and known.get("data-imagekit-own") != "picture":
            self._image(image, whole=(found[at].start, found[end].end))
            return end
        if image is not None and self._has_rule(known):
            for tag in inside:
                if tag.name in ("source", "img"):
                    self._only_urls(tag, attributes_of(tag))
        if image is not None:
            self._pass(known)
        return end

    def _has_rule(self, attributes: Attributes) -> bool:
        """Tell whether an element is not to be left alone; the rule for all says so of those without a class."""
        return self._site.rules.of({name: attributes.get(name) for name in ("class", "data-imagekit")}) is not None

    def _only_urls(self, tag: Tag, attributes: Attributes) -> None:
        """Replace the URLs of an author's `<source>` or `<img>`, and nothing else."""
        if not LOADERS.isdisjoint(attributes):
            return
        name = "srcset" if tag.name == "source" else "src"
        further = {"data-imagekit-own": "picture"} if tag.name == "img" else {}
        with self._told(tag, attributes.get(name) or ""):
            self._replace(tag, attributes, name, self._srcset if name == "srcset" else self._same, further)

    def _same(self, url: str) -> str | None:
        """Return the URL of an image of the same size and format."""
        source = self._source(url)
        return None if source is None else self._url(self._one(source, 0, is_same=True))

    def _srcset(self, value: str) -> str | None:
        parts, at = [], 0
        for start, end in srcset_urls(value):
            url = self._same(value[start:end])
            if url is not None:
                parts += [value[at:start], url]
                at = end
        return "".join([*parts, value[at:]]) if parts else None

    # --- other places ---

    def _poster(self, tag: Tag) -> None:
        attributes = attributes_of(tag)
        width = pixels(attributes.get("width")) or SINGLE_WIDTH
        if not attributes.get("poster") or not self._has_rule(attributes):
            return

        def poster(url: str) -> str | None:
            source = self._source(url)
            return None if source is None else self._url(self._one(source, min(2 * width, SINGLE_WIDTH)))

        with self._told(tag, attributes.get("poster") or ""):
            self._replace(tag, attributes, "poster", poster)

    def _style(self, tag: Tag) -> None:
        attributes = attributes_of(tag)
        if tag.name == "img" or not attributes.get("style") or not self._has_rule(attributes):
            return

        def style(value: str) -> str | None:
            parts, at = [], 0
            for match in _STYLE_URL.finditer(value):
                name = value[: match.start()].rsplit(";", 1)[-1].split(":", 1)[0].strip().lower()
                source = self._source(next((each for each in match.groups() if each), ""))
                if source is None or name not in ("background", "background-image"):
                    continue
                url = self._url(self._one(source, SINGLE_WIDTH))
                if url is not None:
                    parts += [value[at : match.start()], f"url({_css(url)})"]
                    at = match.end()
            return "".join([*parts, value[at:]]) if parts else None

        with self._told(tag, attributes.get("style") or ""):
            self._replace(tag, attributes, "style", style, mark="data-imagekit-style")

    def _meta(self, tag: Tag) -> None:
        attributes = attributes_of(tag)
        name = (attributes.get("property") or attributes.get("name") or "").strip(SPACE).lower()
        if not (name in SHARED_IMAGES or name in _SHARED_FACTS) or not self._has_rule(attributes):
            return

        def shared(url: str) -> str | None:
            source = self._source(url)
            if source is None:
                return None
            picture = self._one(source, SHARED_WIDTH, SHARED_FORMATS[0])
            if self._site.items is None:
                format = mimetype(next(iter(picture.candidates())).format)
                self._shared = str(picture.width), str(picture.height), format
            return self._url(picture, absolute=True)

        if name in SHARED_IMAGES:
            self._shared = None
            with self._told(tag, attributes.get("content") or ""):
                self._replace(tag, attributes, "content", shared)
        elif self._shared is not None:
            fact = self._shared[_SHARED_FACTS[name]]
            self._replace(tag, attributes, "content", lambda _: fact)

    def _link(self, found: list[Tag], at: int) -> None:
        """Have a link to an original lead to an image without its metadata, where a rule says so."""
        tag = found[at]
        if not IMAGE_EXTENSION.search(tag.text):
            return
        attributes = attributes_of(tag)
        href = attributes.get("data-imagekit-src") or attributes.get("href")
        if not href or not IMAGE_EXTENSION.search(href):
            return
        size = self._link_size(found, at, attributes)
        if not size:
            return

        def link(url: str) -> str | None:
            source = self._source(url)
            return None if source is None else self._url(self._one(source, size, is_same=True))

        with self._told(tag, href):
            self._replace(tag, attributes, "href", link)

    def _link_size(self, found: list[Tag], at: int, attributes: Attributes) -> int:
        classes = [attributes]
        for tag in found[at + 1 :]:
            if tag.name in ("a", "/a"):
                break
            if tag.name == "img":
                classes.append(attributes_of(tag))
        for each in classes:
            rule = self._site.rules.of({"class": each.get("class"), "data-imagekit": each.get("data-imagekit")})
            if rule is not None and rule.link:
                match = DIMENSIONS.fullmatch(rule.link)
                return int(match[1] or 0) if match else 0
        return 0

    # --- helpers ---

    def _one(self, source: Any, width: int, format: str | None = None, *, is_same: bool = False) -> Picture:
        """Return an image in one size and format.

        Args:
            source: The source.
            width: Most pixels; 0 for the image's own.
            format: The format; None for the last one of a picture.
            is_same: Whether its own format is to be kept, if it can be written.
        """
        own, size = self._kit.source(source), self._size(source)
        assert own is not None
        if is_same:
            with suppress(ImageKitError):
                format = own.header.format if own.header.format in OUTPUT_FORMATS else None
        width = min(width or size[0], size[0])
        formats = (format or self._kit.settings.picture_formats[-1],)
        keywords = {"widths": (width,), "formats": formats, "on_error": self._policy}
        return self._site.runtime.picture(None, f"{width}x", source, keywords)

    def _url(self, picture: Picture, *, absolute: bool = False) -> str | None:
        if self._site.is_noted(lambda: [Item(each.generator_id, each.kwargs) for each in picture.candidates()]):
            return None
        # What stands in for an image is better left out here.
        return (picture.absolute_url if absolute else picture.url) or None

    def _size(self, source: Any) -> tuple[int, int]:
        found = self._kit.source(source)
        assert found is not None
        try:
            return found.size(self._kit.settings.auto_orient)
        except ImageKitError as error:
            if not covers(self._policy, error):
                raise
            return DEFAULT_SIZE

    @property
    def _policy(self) -> str:
        """What to do about an image that cannot be made; where failures are collected, it is left as it is."""
        return self._kit.settings.on_error if self._site.failures is None else "raise"

    def _has_no_size(self, source: Any) -> bool:
        """Tell whether an image is a drawing that is as wide as there is room."""
        found = self._kit.source(source)
        return found is not None and found.is_vector and not _SVG_WIDTH.search(found.read()[:_SVG_HEAD])

    def _source(self, url: str) -> Any:
        """Return the source that a URL means; None if it means none."""
        if self._site.locate is not None:
            found = self._site.locate(url)
            if found is not None:
                return found
        return None if self._is_elsewhere else self._site.names.source(url, self._folder)

    def _replace(
        self,
        tag: Tag,
        attributes: Attributes,
        name: str,
        change: Callable[[str], str | None],
        further: Mapping[str, str] | None = None,
        mark: str = "data-imagekit-src",
    ) -> None:
        """Give an attribute a new value, and write down the author's.

        Args:
            tag: The tag.
            attributes: Its attributes.
            name: The attribute.
            change: Returns the new value for the author's; None if there is none.
            further: Other attributes to write beside the mark.
            mark: The attribute that holds what the author wrote.
        """
        original = attributes[mark] if mark in attributes else attributes.get(name)
        value = change(original) if original else None
        if value is None or value == attributes.get(name):
            return
        place = next((each for each in attribute_list(tag) if each.name.lower() == name), None)
        if place is None:
            return
        written = f'{place.name}="{escape_value(value)}"'
        if self._site.marks and mark not in attributes:
            added = {mark: original, **(further or {})}
            written += "".join(f' {each}="{escape_value(said)}"' for each, said in added.items())
        self._edit(tag.start + place.start, tag.start + place.end, written)

    def _edit(self, start: int, end: int, text: str) -> None:
        if self.text[start:end] != text:
            self._edits.append(Edit(start, end, text))

    @contextmanager
    def _told(self, tag: Tag, url: str) -> Iterator[None]:
        """Name the page, its line and the image in errors, or collect them."""

        def place() -> str:
            path = self._page.path if self._page else ""
            return f"{path}, line {self._line(tag)}" if path else f"line {self._line(tag)}"

        try:
            with placed_at(place):
                yield
        except ImageKitError as error:
            failures = self._site.failures
            if failures is None:
                raise ImageKitError(f"{place()}: <{tag.name}> of {url!r}: {error}") from error
            failures.append(Failure(self._page.path if self._page else "", self._line(tag), url, str(error)))

    def _line(self, tag: Tag) -> int:
        return self.text.count("\n", 0, tag.start) + 1


def _author(attributes: Attributes, own: list[str]) -> dict[str, str | None]:
    """Return the attributes that an author gave to an image, which may have been rewritten already."""
    if "data-imagekit-src" not in attributes:
        return dict(attributes)
    author: dict[str, str | None] = {"src": attributes["data-imagekit-src"]}
    for name, value in attributes.items():
        if name in ("src", "srcset", "style", "data-imagekit-src", "data-imagekit-own", "data-imagekit-style"):
            continue
        if (name in _OURS and name not in own) or (name == "alt" and "no-alt" in own):
            continue
        if name == "sizes" and value:
            value = re.sub(r"^auto\s*(?:,\s*|$)", "", value, flags=re.IGNORECASE)
        elif name == "class" and value:
            value = _CLASS.sub("", value).lstrip(SPACE)
            if not value:
                continue
        author[name] = value
    if "data-imagekit-style" in attributes:
        author["style"] = attributes["data-imagekit-style"]
    return author


def _marks(author: Attributes) -> dict[str, object]:
    """Return the attributes that tell the next run what the author wrote."""
    own = [name for name in _OURS if name in author]
    own += [] if "alt" in author else ["no-alt"]
    return {
        "data-imagekit-src": author["src"],
        "data-imagekit-own": " ".join(own) or None,
        "data-imagekit-style": author.get("style"),
    }


def srcset_urls(value: str) -> Iterator[tuple[int, int]]:
    """Yield where the URLs of a `srcset` begin and end (HTML Living Standard, 4.8.4.3.10).

    Example:
        >>> [("a.jpg 1x, b.jpg 2x")[start:end] for start, end in srcset_urls("a.jpg 1x, b.jpg 2x")]
        ['a.jpg', 'b.jpg']
    """
    for match in _CANDIDATE.finditer(value):
        url = match[1].rstrip(",")
        if url:
            yield match.start(1), match.start(1) + len(url)


# A URL ends at white space; one that ends with a comma has no descriptor.
_CANDIDATE = re.compile(r"[\t\n\f\r ,]*([^\t\n\f\r ]+)(?:(?<!,)[^,(]*(?:\([^)]*\)[^,(]*)*)?")


def _css(url: str) -> str:
    if re.fullmatch(r"[^\s\"'()\\]+", url):
        return url
    quoted = url.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{quoted}'"
