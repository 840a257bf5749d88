"""Rules: what becomes of an `<img>` in a page, by its class."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from markupsafe import Markup

from ..exceptions import InvalidOption, InvalidSetting, MissingAlt, UnknownKeyword, nearest
from ..ext import TemplateRuntime
from ..generatorlibrary import THUMBNAIL_ID
from ..pictures import Picture
from ..pictures.calls import MISSING_ALT, PICTURE_KEYWORDS
from ..pictures.framing import DIMENSIONS, FULL_SRC, FULL_WIDTHS, MAX_SIDE
from ..pictures.printing import miss_alt
from ..stand_ins import checked_policy
from .tokens import Attributes, attributes_of, tags

if TYPE_CHECKING:
    from ..kit import ImageKit

DEFAULT = "*"
"""The name of the rule for every image that has no class with a rule of its own."""

SETTING = "html_rules"

ELEMENTS = ("picture", "img")
"""What an image becomes: a `<picture>` of several formats, or an `<img>` in one."""

MARKS = ("data-imagekit-src", "data-imagekit-own", "data-imagekit-style")
"""Attributes that hold what the author wrote, for the next run."""

OWN_WORDS = ("generator", "size", "element", "link")
"""The keywords of a rule that are none of a picture's."""

LINK_SIZE = "2560x"
"""What `link` stands for where it is just true: wide enough for a large screen."""

_EXPECTED = (
    "write a generator's id such as 'blog:card', a size such as '400x300', a dict such as "
    "{'size': '400x300', 'format': 'WEBP'} or {'generator': 'blog:card', 'tint': 'red'}, or False"
)

_LOADED = {"loading": ("lazy", "eager"), "decoding": ("async", "sync", "auto")}
"""Attributes that a rule may give its images (HTML, 2.5.7 "Lazy loading attributes" and 4.8.4.3 "Decoding images")."""

_ASKED = ("width", "height", "srcset", "alt", *_LOADED)
"""Attributes that change what a tag writes."""


class Rule(NamedTuple):
    """What an `<img>` becomes.

    Attributes:
        name: The class that has the rule.
        words: What the rule says, as a dict.
        generator_id: The id of its generator; None for `imagekit:thumbnail`.
        dimensions: Width and height in pixels as `{% picture %}` takes them; None for a generator that has its own, and
            empty for the image's own.
        attributes: Attributes that the author may override.
        keywords: The tag's keywords.
        element: One of `ELEMENTS`; empty where the keywords decide, as they do in `{% thumbnail %}`.
        link: The size of an image that is linked to instead of the original; empty leaves links alone.
    """

    name: str
    words: Mapping[str, Any]
    generator_id: str | None
    dimensions: str | None
    attributes: dict[str, str]
    keywords: dict[str, Any]
    element: str
    link: str

    @classmethod
    def of(cls, name: str, value: Any, setting: str = SETTING, element: str = "picture") -> Rule:
        """Return the rule that a setting describes.

        Args:
            name: The class.
            value: A size, a generator's id, or a dict of keywords; True for what there is by default.
            setting: The setting's name, for errors.
            element: What images become unless the rule says so.

        Raises:
            InvalidSetting: It is none of these, or an attribute has no such value.

        Example:
            >>> Rule.of("card", "300x200").dimensions
            '300x200'
        """
        if isinstance(value, str):
            value = {"size" if DIMENSIONS.fullmatch(value) else "generator": value}
        given = {"layout": "constrained"} if value is True else value
        if not isinstance(given, Mapping) or not all(isinstance(each, str) for each in given):
            raise InvalidSetting(setting, f"{name!r} is {value!r}; {_EXPECTED}")
        keywords = dict(given)
        generator_id, dimensions = keywords.pop("generator", None), keywords.pop("size", None)
        element, link = keywords.pop("element", element), keywords.pop("link", None)
        if element not in (*ELEMENTS, ""):
            raise InvalidSetting(setting, f"'element' of {name!r} is {element!r}; {nearest(str(element), ELEMENTS)}")
        attributes = {each: keywords.pop(each) for each in _LOADED if each in keywords}
        for each, said in attributes.items():
            if said not in _LOADED[each]:
                expected = f"must be one of {', '.join(map(repr, _LOADED[each]))}"
                raise InvalidSetting(setting, f"{each!r} of {name!r} is {said!r}; {expected}")
        link = LINK_SIZE if link is True else link or ""
        if link and not (isinstance(link, str) and DIMENSIONS.fullmatch(link)):
            raise InvalidSetting(setting, f"'link' of {name!r} is {link!r}; write a size such as '2560x', or True")
        if generator_id is None and dimensions is None:
            if not element and "layout" not in keywords:
                raise InvalidSetting(setting, f"{name!r} is {value!r}; {_EXPECTED}")
            dimensions = ""
        elif dimensions is not None:
            dimensions = str(dimensions)
        return cls(name, dict(given), generator_id, dimensions, attributes, keywords, element, link)

    def overridden(self, author: Attributes) -> Rule:
        """Return the rule with what an author's `data-imagekit-…` attributes say instead.

        Raises:
            InvalidSetting: As `of`.
        """
        own = {
            name.removeprefix("data-imagekit-").replace("-", "_"): _plain(value)
            for name, value in author.items()
            if name.startswith("data-imagekit-") and name not in MARKS
        }
        return Rule.of(self.name, {**self.words, **own}, "data-imagekit", self.element) if own else self

    def is_picture(self, runtime: TemplateRuntime) -> bool:
        """Tell whether it writes an element of its own, with several sizes or formats."""
        return bool(self.element) or runtime.has_several_sizes(self.keywords)

    def check(self, runtime: TemplateRuntime, kit: ImageKit, setting: str = SETTING) -> None:
        """Check the rule before any page is read.

        Raises:
            InvalidSetting: A keyword is unknown; the message says which is nearest.
            InvalidOption: A size or another keyword has a value that cannot be used.
            NotRegistered: The generator does not exist.
        """
        name, id, keywords = self.name, str(self.generator_id), dict(self.keywords)
        checked_policy(keywords.pop("on_error", None), "raise")
        kit.registered(THUMBNAIL_ID if self.generator_id is None else id)
        for given in ("source",) if self.dimensions is None else ("source", "width", "height"):
            if given in keywords:
                problem = f"{name!r} has the keyword {given!r}, which each image or the 'size' gives; leave it out"
                raise InvalidSetting(setting, problem)
        if self.is_picture(runtime):
            if "srcset" in keywords:
                raise InvalidSetting(setting, f"{name!r} has both 'srcset' and keywords of a picture; write 'widths'")
            self.picture(runtime, None)
        policy = keywords.get("missing_alt")
        if policy not in (None, *MISSING_ALT):
            raise InvalidSetting(
                setting, f"'missing_alt' of {name!r} is {policy!r}; {nearest(str(policy), MISSING_ALT)}"
            )
        if self.dimensions is not None:
            keywords.pop("srcset", None)
        keywords = {each: value for each, value in keywords.items() if each not in PICTURE_KEYWORDS}
        if self.dimensions is not None:
            id, keywords = runtime.thumbnail_call(self.generator_id, self.dimensions or "1x", None, keywords)
        try:
            kit.generator(id, **{**keywords, "source": None})
        except UnknownKeyword as error:
            own = {"srcset"} if self.dimensions is not None else set()
            known = {*error.known, *own, *PICTURE_KEYWORDS, *_LOADED, *OWN_WORDS, "on_error"}
            known.difference_update(("source", "width", "height"))
            problem = f"{name!r} has the keyword {error.option!r}, which {error.generator!r} does not take"
            raise InvalidSetting(setting, f"{problem}. {nearest(error.option, known)}") from error

    def shaped(self, author: Attributes, size: Callable[[], tuple[int, int]]) -> Rule:
        """Return the rule with the size that one image has: the author's, the rule's, or the image's own.

        Args:
            author: The attributes of the author's `<img>`.
            size: Returns the source's upright size in pixels.
        """
        if self.dimensions is None:
            return self
        width, height = pixels(author.get("width")), pixels(author.get("height"))
        match = DIMENSIONS.fullmatch(self.dimensions)
        if self.dimensions and match is None:
            # What an image's own attribute says is checked by whoever makes it.
            return self
        sides = [int(side or 0) for side in match.groups()] if match else [0, 0]
        if width and height:
            return self._replace(dimensions=f"{width}x")
        if (width or height) and all(sides):
            scale = width / sides[0] if width else height / sides[1]
            return self._replace(dimensions="x".join(str(max(1, round(side * scale))) for side in sides))
        if width or height:
            return self._replace(dimensions=f"{width or ''}x{height or ''}")
        # The areas of a map are measured in pixels of the image as it is shown.
        if any(sides) and author.get("usemap") is None:
            return self
        own = size()[0]
        given = {} if own <= FULL_SRC or self.generator_id else {"widths": FULL_WIDTHS[:4]}
        return self._replace(dimensions=f"{own}x", keywords={**given, **self.keywords})

    def written(self, runtime: TemplateRuntime, source: object, attributes: Mapping[str, object]) -> Markup:
        """Return what a template's tag would write for an image.

        Args:
            runtime: The implementation of the tags.
            source: The image to start from.
            attributes: The attributes of the `<img>`.

        Raises:
            ImageKitError: The image could not be made.
        """
        keywords = self._tag_keywords(runtime)
        if self.dimensions is None:
            given = {**keywords, "source": source}
            try:
                return runtime.generateimage_tag(str(self.generator_id), given, attributes)
            except InvalidOption as error:
                # Only of a spec it is known how large its image will be.
                if runtime.has_several_sizes(self.keywords) or error.option != "widths":
                    raise
                return runtime.generateimage_tag(
                    str(self.generator_id), {**self.keywords, "source": source}, attributes
                )
        is_picture = self.element != "img" and runtime.has_several_sizes(keywords)
        tag = runtime.picture_tag if is_picture else runtime.thumbnail_tag
        return tag(self.generator_id, self.dimensions, source, keywords, attributes)

    def filled(self, runtime: TemplateRuntime, source: object, author: Attributes) -> dict[str, str | None] | None:
        """Return what the `<img>` of a template's tag would have that the author's lacks, and its `src`.

        Args:
            runtime: The implementation of the tags.
            source: The image to start from.
            author: The attributes of the author's `<img>`, whose `srcset` is kept.

        Returns:
            None if the tag would write no element.

        Raises:
            ImageKitError: The image could not be made.
        """
        own = {name: value for name, value in author.items() if not (name == "alt" and value is None)}
        given = {**self.attributes, **{name: True if value is None else value for name, value in own.items()}}
        is_picture = self.is_picture(runtime)
        dropped = PICTURE_KEYWORDS if is_picture else ("alt", "missing_alt")
        keywords = {name: value for name, value in self.keywords.items() if name not in dropped}
        if "alt" in self.keywords:
            given.setdefault("alt", self.keywords["alt"])
        asked = {name: given[name] for name in _ASKED if name in given}
        if "missing_alt" in self.keywords and "alt" not in asked:
            miss_alt(self.keywords["missing_alt"], MissingAlt(f"What {self.generator_id or THUMBNAIL_ID} made"))
            # The setting of the same name has no say.
            asked["alt"], author = "", {**author, "alt": None}
        html = str(self._replace(keywords=keywords, element="").written(runtime, source, asked))
        found = next((attributes_of(tag) for tag in tags(html) if tag.name == "img"), None)
        return found and {name: value for name, value in found.items() if name == "src" or name not in author}

    def picture(self, runtime: TemplateRuntime, source: object) -> Picture:
        """Return the image as a picture, even if it is in one size.

        Raises:
            InvalidOption: A keyword cannot be used, or the generator's image has an unknown size.
        """
        keywords = {name: value for name, value in self._tag_keywords(runtime).items() if name != "srcset"}
        if self.dimensions is None:
            return runtime.spec_picture(str(self.generator_id), "", source, keywords)
        is_picture = self.element != "img" and runtime.has_several_sizes(keywords)
        make = runtime.picture if is_picture else runtime.thumbnail_picture
        return make(self.generator_id, self.dimensions or "1x", source, keywords)

    def _tag_keywords(self, runtime: TemplateRuntime) -> dict[str, Any]:
        if not self.element or runtime.has_several_sizes(self.keywords):
            return self.keywords
        return {"layout": "constrained", **self.keywords}


class Rules:
    """The rules of a site.

    Args:
        rules: What each class stands for, as `Rule.of` takes it; False for images to be left alone. Without a rule of
            the name `"*"`, so are all others.
        runtime: The implementation of the tags.
        kit: The kit, which has the generators.
        setting: The setting's name, for errors.
        element: As `Rule.of`.

    Raises:
        InvalidSetting: A rule is unusable.
        InvalidOption: A size or another keyword has a value that cannot be used.
        NotRegistered: A generator does not exist.
    """

    def __init__(
        self,
        rules: Mapping[str, Any],
        runtime: TemplateRuntime,
        kit: ImageKit,
        setting: str = SETTING,
        element: str = "picture",
    ) -> None:
        self._rules = {
            name: None if value is False else Rule.of(name, value, setting, element) for name, value in rules.items()
        }
        for rule in self._rules.values():
            if rule is not None:
                rule.check(runtime, kit, setting)

    @property
    def words(self) -> dict[str, Any]:
        """What the rules say."""
        return {name: rule and (rule.element, rule.words) for name, rule in self._rules.items()}

    def generators(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the generators that rules name, with keywords that they take."""
        return [
            (rule.generator_id, {} if rule.dimensions is None else {"width": 1, "height": None})
            for rule in self._rules.values()
            if rule is not None and rule.generator_id is not None
        ]

    def of(self, author: Attributes) -> Rule | None:
        """Return the rule for an image; None if it is to be left alone.

        Raises:
            InvalidSetting: One of its `data-imagekit-…` attributes is unusable.
        """
        if (author.get("data-imagekit") or "").strip().lower() == "off":
            return None
        names = (author.get("class") or "").split()
        rule = self._rules.get(next((name for name in names if name in self._rules), DEFAULT))
        return None if rule is None else rule.overridden(author)


EVERY: Mapping[str, Any] = {DEFAULT: True}
"""The rule where there is no other: images are pictures up to their own width."""


def pixels(value: str | None) -> int:
    """Return the pixels that `width` or `height` says; 0 for none, and for a share of something else.

    Example:
        >>> pixels("400"), pixels("400px"), pixels("50%")
        (400, 400, 0)
    """
    match = _PIXELS.fullmatch(value) if value else None
    return min(int(match[1]), MAX_SIDE) if match else 0


_PIXELS = re.compile(r"\s*\+?([0-9]{1,9})(?:\.[0-9]*)?(?:px)?\s*", re.IGNORECASE)


def _plain(value: str | None) -> Any:
    """Return what an attribute says as a number or a truth, or as it is."""
    if value is None or value == "":
        return True
    try:
        # Python and HTML write truths otherwise.
        found = json.loads(value.lower())
    except ValueError:
        return value
    return found if isinstance(found, (bool, int, float)) else value
