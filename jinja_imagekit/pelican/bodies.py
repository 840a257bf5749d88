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

from ..exceptions import ImageKitError, InvalidOption, InvalidSetting, MissingAlt, UnknownKeyword, nearest
from ..ext import TemplateRuntime, placed_at
from ..generatorlibrary import THUMBNAIL_ID
from ..html import element, is_attribute_name
from ..kit import ImageKit
from ..markup import Attributes, Change, image_attributes, rewrite_images
from ..pictures import DIMENSIONS, MISSING_ALT, PICTURE_KEYWORDS, Picture, miss_alt
from ..stand_ins import checked_policy
from .names import SourceNames

SETTING = "IMAGEKIT_CLASSES"

DEFAULT = "*"
"""The class of every image that has no other in the setting."""

_EXPECTED = (
    "write a generator's id such as 'blog:card', a size such as '400x300', or a dict such as "
    "{'size': '400x300', 'format': 'WEBP'} or {'generator': 'blog:card', 'tint': 'red'}"
)

_LOADED = {"loading": ("lazy", "eager"), "decoding": ("async", "sync", "auto")}
"""Attributes that a class may give its images (HTML, 2.5.7 "Lazy loading attributes" and 4.8.4.3 "Decoding images")."""


class ImageClass(NamedTuple):
    """What an `<img>` of a class becomes.

    Attributes:
        generator_id: The id of its generator; None for `imagekit:thumbnail`.
        dimensions: Width and height in pixels as `{% picture %}` and `{% thumbnail %}` take them; None for
            `{% generateimage %}`.
        attributes: Attributes that the author may override.
        keywords: The tag's keywords; any of a picture's makes it one.
    """

    generator_id: str | None
    dimensions: str | None
    attributes: dict[str, str]
    keywords: dict[str, Any]

    @classmethod
    def from_setting(cls, name: str, value: Any) -> ImageClass:
        """Return what the setting says about a class.

        Raises:
            InvalidSetting: It gives neither a generator nor a size, or an attribute has no such value.
        """
        if isinstance(value, str):
            value = {"size" if DIMENSIONS.fullmatch(value) else "generator": value}
        words = dict(value) if isinstance(value, Mapping) else {}
        generator_id, dimensions = words.pop("generator", None), words.pop("size", None)
        if generator_id is None and dimensions is None:
            raise InvalidSetting(SETTING, f"{name!r} is {value!r}; {_EXPECTED}")
        attributes = {each: words.pop(each) for each in _LOADED if each in words}
        for each, given in attributes.items():
            if given not in _LOADED[each]:
                expected = f"must be one of {', '.join(map(repr, _LOADED[each]))}"
                raise InvalidSetting(SETTING, f"{each!r} of {name!r} is {given!r}; {expected}")
        return cls(generator_id, dimensions, attributes, words)

    def is_picture(self, runtime: TemplateRuntime) -> bool:
        """Tell whether it writes an element of its own, with several sizes or formats."""
        return runtime.has_several_sizes(self.keywords)

    def check(self, name: str, kit: ImageKit, runtime: TemplateRuntime) -> None:
        """Check the class before any page is rendered.

        Args:
            name: The class's name.
            kit: The site's kit.
            runtime: The implementation of the tags.

        Raises:
            InvalidSetting: A keyword is unknown; the message says which is nearest.
            InvalidOption: A size or another keyword has a value that cannot be used.
            NotRegistered: The generator does not exist.
        """
        id, keywords = str(self.generator_id), dict(self.keywords)
        checked_policy(keywords.pop("on_error", None), "raise")
        kit.registered(THUMBNAIL_ID if self.generator_id is None else id)
        for given in ("source",) if self.dimensions is None else ("source", "width", "height"):
            if given in keywords:
                problem = f"{name!r} has the keyword {given!r}, which each image or the 'size' gives; leave it out"
                raise InvalidSetting(SETTING, problem)
        if self.is_picture(runtime):
            if "srcset" in keywords:
                raise InvalidSetting(SETTING, f"{name!r} has both 'srcset' and keywords of a picture; write 'widths'")
            self._picture(runtime, None)
        policy = keywords.get("missing_alt")
        if policy not in (None, *MISSING_ALT):
            raise InvalidSetting(
                SETTING, f"'missing_alt' of {name!r} is {policy!r}; {nearest(str(policy), MISSING_ALT)}"
            )
        if self.dimensions is not None:
            keywords.pop("srcset", None)
        keywords = {each: value for each, value in keywords.items() if each not in PICTURE_KEYWORDS}
        if self.dimensions is not None:
            id, keywords = runtime.thumbnail_call(self.generator_id, self.dimensions, None, keywords)
        try:
            kit.generator(id, **{**keywords, "source": None})
        except UnknownKeyword as error:
            own = set() if self.dimensions is None else {"size", "srcset"}
            known = {*error.known, *own, *PICTURE_KEYWORDS, *_LOADED, "generator", "on_error"}
            known.difference_update(("source", "width", "height"))
            problem = f"{name!r} has the keyword {error.option!r}, which {error.generator!r} does not take"
            raise InvalidSetting(SETTING, f"{problem}. {nearest(error.option, known)}") from error

    def written(self, runtime: TemplateRuntime, source: object, author: Attributes) -> Attributes | Markup | None:
        """Return what a template's tag would write: HTML for a picture, else the attributes that the author lacks.

        Args:
            runtime: The implementation of the tags.
            source: The image to start from.
            author: The attributes of the author's `<img>`.

        Returns:
            None if the tag would write no element.

        Raises:
            ImageKitError: The image could not be made.
        """
        given = {name: True if value is None else value for name, value in author.items() if name != "src"}
        keywords, attributes = self.keywords, {**self.attributes, **given}
        if self.is_picture(runtime) and "srcset" not in author:
            allowed = {name: value for name, value in attributes.items() if is_attribute_name(name)}
            return self._tag(runtime, source, keywords, allowed)
        # What it offers to browsers is the author's own.
        dropped = PICTURE_KEYWORDS if self.is_picture(runtime) else ("alt", "missing_alt")
        keywords = {name: value for name, value in keywords.items() if name not in dropped}
        if "alt" in self.keywords:
            attributes.setdefault("alt", self.keywords["alt"])
        asked = {name: attributes[name] for name in _ASKED if name in attributes}
        if "missing_alt" in self.keywords and "alt" not in asked:
            miss_alt(self.keywords["missing_alt"], MissingAlt(f"What {self.generator_id or THUMBNAIL_ID} made"))
            # The setting of the same name has no say.
            asked["alt"], author = "", {**author, "alt": None}
        html = image_attributes(self._tag(runtime, source, keywords, asked))
        return html and {name: value for name, value in html.items() if name == "src" or name not in author}

    def shared_url(self, kit: ImageKit, runtime: TemplateRuntime, source: object, url: str) -> str:
        """Return the absolute URL of the image as a JPEG, PNG or GIF, if its generator lets the format be changed.

        Args:
            kit: The site's kit.
            runtime: The implementation of the tags.
            source: The image to start from.
            url: What `src` is on the site's pages.

        Raises:
            ImageKitError: The image could not be made.
        """
        if _is_shared(url):
            return kit.absolute_url(url)
        try:
            return self._picture(runtime, source).absolute_url
        except InvalidOption:
            # A generator that writes its image itself has one format.
            return kit.absolute_url(url)

    def _tag(
        self, runtime: TemplateRuntime, source: object, keywords: dict[str, Any], attributes: Mapping[str, object]
    ) -> Markup:
        if self.dimensions is None:
            return runtime.generateimage_tag(str(self.generator_id), {**keywords, "source": source}, attributes)
        tag = runtime.picture_tag if runtime.has_several_sizes(keywords) else runtime.thumbnail_tag
        return tag(self.generator_id, self.dimensions, source, keywords, attributes)

    def _picture(self, runtime: TemplateRuntime, source: object) -> Picture:
        """Return the image as a picture, even if it is in one size."""
        keywords = {name: value for name, value in self.keywords.items() if name != "srcset"}
        if self.dimensions is None:
            return runtime.spec_picture(str(self.generator_id), "", source, keywords)
        make = runtime.picture if self.is_picture(runtime) else runtime.thumbnail_picture
        return make(self.generator_id, self.dimensions, source, keywords)


_SHARED_EXTENSIONS = (".jpg", ".jpeg", ".png", ".gif")


def _is_shared(url: str) -> bool:
    """Tell whether what reads feeds shows an image of this format."""
    return posixpath.splitext(urlsplit(url).path)[1].lower() in _SHARED_EXTENSIONS


_LEFT_OUT = frozenset({"src", "srcset", "sizes", "loading", "decoding", "fetchpriority", "style"})
"""Attributes that mean nothing to what reads feeds."""

_ASKED = ("width", "height", "srcset", "alt", *_LOADED)
"""Attributes that change what a tag writes."""


class ShownImage(NamedTuple):
    """An image in the text of an article.

    Attributes:
        found: Its class.
        source: The image that it was made of.
        told_at: Returns a context whose errors name the article.
    """

    found: ImageClass
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
        self._classes = {name: ImageClass.from_setting(name, value) for name, value in classes.items()}
        self._shown: dict[str, ShownImage] = {}
        for name, each in self._classes.items():
            each.check(name, kit, self._runtime)

    def rewrite(self, content: Content) -> None:
        """Rewrite the images in the text of an article or page, and in metadata that is HTML.

        Raises:
            ImageKitError: An image could not be made; the message names the article and its line.
        """
        if not self._classes:
            return
        change = self._change_of(content)
        if isinstance(content._content, str):
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
            found = self._class_of(attributes)
            url = (attributes.get("src") or "").strip()
            seen[url] += 1
            if found is None or not url or self._names.is_elsewhere(url):
                return {}
            place = partial(_place_of, content, url, seen[url])
            source = self._names.source(url, content)
            with _told_at(place, url):
                written = found.written(self._runtime, source, attributes)
            shown = image_attributes(written) if isinstance(written, Markup) else written
            if shown:
                self._shown[str(shown["src"])] = ShownImage(found, source, partial(_told_at, place, url))
            return written

        return change

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
            src = shown.found.shared_url(self._kit, self._runtime, shown.source, url)
        if not src:
            return None
        written: dict[str, object] = {"src": src}
        if attributes.get("srcset") and _is_shared(url):
            urls = map(self._kit.absolute_url, str(attributes["srcset"]).split(", "))
            written |= {"srcset": ", ".join(urls), "sizes": attributes.get("sizes") or None}
        for name, value in attributes.items():
            if name not in _LEFT_OUT and is_attribute_name(name):
                written[name] = True if value is None else value
        return element("img", written)

    def _class_of(self, attributes: Attributes) -> ImageClass | None:
        if attributes.get("data-imagekit") == "off":
            return None
        names = [*(attributes.get("class") or "").split(), DEFAULT]
        return next((self._classes[name] for name in names if name in self._classes), None)


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
