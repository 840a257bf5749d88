"""Images in the text of articles and pages, where an `<img>` becomes what its class stands for."""

from __future__ import annotations

import html
import posixpath
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from markupsafe import Markup
from pelican.contents import Content

from ..exceptions import ImageKitError, InvalidOption
from ..ext import TemplateRuntime, placed_at
from ..html import element, is_attribute_name
from ..interfaces import Size
from ..kit import ImageKit
from ..markup import Attributes, Change, image_attributes, rewrite_images
from ..markup.feeds import LEFT_OUT
from ..markup.rules import Rule, Rules
from .names import SourceNames
from .pages import FIRST

SETTING = "IMAGEKIT_CLASSES"

_SHARED_EXTENSIONS = (".jpg", ".jpeg", ".png", ".gif")


def _is_shared(url: str) -> bool:
    """Tell whether what reads feeds shows an image of this format."""
    return posixpath.splitext(urlsplit(url).path)[1].lower() in _SHARED_EXTENSIONS


class ShownImage(NamedTuple):
    """An image in the text of an article.

    Attributes:
        rule: The rule of its class.
        source: The image that it was made of.
        told_at: Returns a context whose errors name the article.
    """

    rule: Rule
    source: object
    told_at: Callable[[], AbstractContextManager[None]]


class BodyRewriter:
    """Rewrites the images of articles and pages.

    Args:
        kit: The site's kit.
        classes: The setting `IMAGEKIT_CLASSES`.
        names: Converts authors' names into the kit's.

    Raises:
        InvalidSetting: The setting is unusable for a class, or has an unknown keyword.
        NotRegistered: It names a generator that does not exist.
        InvalidOption: A size or the value of a keyword is unusable.
    """

    def __init__(self, kit: ImageKit, classes: Mapping[str, Any], names: SourceNames) -> None:
        self._kit = kit
        self._runtime = TemplateRuntime(kit)
        self._names = names
        self._rules = Rules(classes, self._runtime, kit, SETTING, element="") if classes else None
        self._shown: dict[str, ShownImage] = {}

    def rewrite(self, content: Content) -> None:
        """Rewrite the images in the text of an article or page, and in metadata that is HTML.

        Raises:
            ImageKitError: An image could not be made; the message names the article and its line.
        """
        if self._rules is None:
            return
        change = self._change_of(content)
        if isinstance(content._content, str):
            # Where another image stands above it in a page, that is found out when the page is written.
            with self._kit.page(content.save_as):
                content._content = rewrite_images(content._content, change, in_pictures=False)
        for field in content.settings["FORMATTED_FIELDS"]:
            value = content.metadata.get(field)
            if isinstance(value, str) and "<" in value:
                content.metadata[field] = rewrite_images(value, change, in_pictures=False)
                # Pelican keeps the summary in a second place, where it resolves its own links.
                setattr(content, "_summary" if field == "summary" else field, content.metadata[field])

    def _change_of(self, content: Content) -> Change:
        seen: Counter[str] = Counter()

        def change(attributes: Attributes) -> Attributes | Markup | None:
            url = (attributes.get("src") or "").strip()
            seen[url] += 1
            if not url or self._names.is_elsewhere(url):
                return {}
            place = partial(_place_of, content, url, seen[url])
            with _told_at(place, url):
                rule = self._rules.of(attributes) if self._rules else None
                if rule is None:
                    return {}
                source = self._names.source(url, content)
                rule = rule.shaped(attributes, partial(self._size, source)) if rule.dimensions == "" else rule
                written = self._written(rule, source, attributes)
            shown = image_attributes(written) if isinstance(written, Markup) else written
            if shown and isinstance(written, Markup) and self._is_first_by_order(rule, attributes, shown):
                written = Markup(str(written).replace("<img ", f"<img {FIRST} ", 1))
            if shown:
                self._shown[str(shown["src"])] = ShownImage(rule, source, partial(_told_at, place, url))
            return written

        return change

    def _written(self, rule: Rule, source: object, author: Attributes) -> Attributes | Markup | None:
        """Return what a template's tag would write: HTML for a picture, else the attributes that the author lacks."""
        if not rule.is_picture(self._runtime) or "srcset" in author:
            return rule.filled(self._runtime, source, author)
        given = {
            name: True if value is None else value
            for name, value in author.items()
            if name != "src" and is_attribute_name(name)
        }
        return rule.written(self._runtime, source, {**rule.attributes, **given})

    def _is_first_by_order(self, rule: Rule, author: Attributes, shown: Attributes) -> bool:
        """Tell whether an image goes before others for its place in the text alone."""
        is_first = shown.get("fetchpriority") == "high" and "fetchpriority" not in author
        return is_first and not rule.keywords.get("priority")

    def _size(self, source: object) -> Size:
        found = self._kit.source(source)
        assert found is not None
        return found.size(self._kit.settings.auto_orient)

    def for_feed(self, text: str) -> str:
        """Return the text of an article as it is in a feed: one `<img>` with an absolute URL of a JPEG or PNG each.

        Raises:
            ImageKitError: An image could not be made.
        """
        return rewrite_images(text, self._in_feed)

    def _in_feed(self, attributes: Attributes) -> Attributes | Markup | None:
        url = attributes.get("src") or ""
        shown = self._shown.get(url)
        if shown is None or url.startswith("data:"):
            return {}
        with shown.told_at():
            src = self._shared_url(shown, url)
        if not src:
            return None
        written: dict[str, object] = {"src": src}
        if attributes.get("srcset") and _is_shared(url):
            urls = map(self._kit.absolute_url, str(attributes["srcset"]).split(", "))
            written |= {"srcset": ", ".join(urls), "sizes": attributes.get("sizes") or None}
        for name, value in attributes.items():
            if name not in (*LEFT_OUT, FIRST) and is_attribute_name(name):
                written[name] = True if value is None else value
        return element("img", written)

    def _shared_url(self, shown: ShownImage, url: str) -> str:
        """Return the absolute URL of an image as a JPEG, PNG or GIF, if its generator lets the format be changed."""
        if _is_shared(url):
            return self._kit.absolute_url(url)
        try:
            return shown.rule.picture(self._runtime, shown.source).absolute_url
        except InvalidOption:
            # A generator that writes its image itself has one format.
            return self._kit.absolute_url(url)


@contextmanager
def _told_at(place: Callable[[], str], url: str) -> Iterator[None]:
    """Name the article and the image in errors."""
    try:
        with placed_at(place):
            yield
    except ImageKitError as error:
        raise ImageKitError(f"{place()}: <img src={url!r}>: {error}") from error


def _place_of(content: Content, url: str, occurrence: int) -> str:
    """Return an article's file, and the line with the n-th occurrence of an image's name, if any.

    The HTML that was made of the article has no line numbers of the file.
    """
    file = str(content.get_relative_source_path())
    try:
        lines = Path(content.source_path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return file
    for name in (url, html.escape(url), unquote(url), posixpath.basename(url)):
        found = [number for number, line in enumerate(lines, start=1) for _ in range(line.count(name))]
        # An article's metadata, which may also name the image, ends with the first empty line.
        end = next((number for number, line in enumerate(lines, start=1) if not line.strip()), 0)
        found = [number for number in found if number > end] or found
        if found:
            # A summary repeats the images of the text.
            return f"{file}, line {found[(occurrence - 1) % len(found)]}"
    return file
