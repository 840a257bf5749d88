"""Writes the HTML of images; nothing else does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from markupsafe import Markup, escape

from .exceptions import InvalidAttribute, InvalidOption

KEEPS_SHAPE = ":where(picture > img, img[srcset]) { max-width: 100%; height: auto; }\n"
"""A stylesheet for themes that limit only the width of images, which squeezes those that say their height too; any rule
of a theme comes before this one."""

# The characters that no attribute name may hold (HTML Living Standard, 13.1.2.3 "Attributes": controls, space, quotes,
# ">", "/", "=", noncharacters), and three kinds more: "<", other white space, and surrogates, which cannot be encoded.
_NOT_IN_NAMES = (
    "[\\x00-\\x20\\x7f-\\x9f\"'<>/=\\s\\ud800-\\udfff\\ufdd0-\\ufdef\\ufffe\\uffff"
    + "".join(f"\\U{plane:04x}fffe\\U{plane:04x}ffff" for plane in range(0x1, 0x11))
    + "]"
)


def img_tag(
    src: str,
    width: int | None,
    height: int | None,
    attributes: Mapping[str, object] | None = None,
    srcset: str | None = None,
) -> Markup:
    """Return an `<img>` element.

    Args:
        src: The image's URL.
        width: Width in pixels; None leaves it out.
        height: Height in pixels; None leaves it out.
        attributes: The author's attributes, as `attribute_text` takes them. Where they name `width` or `height`, the
            image's own two are left out, so that the browser keeps the proportions; where they name `srcset`, theirs
            replaces the one given here.
        srcset: The images for other densities, as HTML wants them: `"a.jpg 1x, b.jpg 2x"`.

    Raises:
        InvalidAttribute: An attribute's name holds a character that no name may hold.
        InvalidOption: The attributes name `src`.

    Example:
        >>> img_tag("/a.jpg", 40, 30, {"alt": "A canal", "hidden": True})
        Markup('<img src="/a.jpg" width="40" height="30" alt="A canal" hidden>')
    """
    given = {lowered(name) for name in attributes} if attributes else _NOTHING
    if not given.isdisjoint(_OWN):
        if "src" in given:
            raise InvalidOption("src", (attributes or {}).get("src"), "src is the image's own URL; leave it out")
        srcset = None if "srcset" in given else srcset
        width, height = (None, None) if "width" in given or "height" in given else (width, height)
    text = _opening(src, width, height, srcset)
    return Markup(f"{text}{_attribute_text(attributes)}>" if attributes else f"{text}>")


def picture(sources: Iterable[Mapping[str, object]], image: Mapping[str, object]) -> Markup:
    """Return a `<picture>` element; without sources just its `<img>`.

    Args:
        sources: The attributes of each `<source>`, as `attribute_text` takes them.
        image: The attributes of the `<img>`.

    Raises:
        InvalidAttribute: An attribute's name holds a character that no name may hold.

    Example:
        >>> picture([{"type": "image/avif", "srcset": "/a.avif"}], {"src": "/a.jpg", "alt": ""})
        Markup('<picture><source type="image/avif" srcset="/a.avif"><img src="/a.jpg" alt=""></picture>')
    """
    inner = "".join(f"<source{attribute_text(source)}>" for source in sources)
    shown = f"<img{attribute_text(image)}>"
    return Markup(f"<picture>{inner}{shown}</picture>" if inner else shown)


def element(name: str, attributes: Mapping[str, object]) -> Markup:
    """Return an element that has no content, such as a `<link>`.

    Raises:
        InvalidAttribute: An attribute's name holds a character that no name may hold.

    Example:
        >>> element("link", {"rel": "preload", "href": "/a.jpg"})
        Markup('<link rel="preload" href="/a.jpg">')
    """
    return Markup(f"<{name}{attribute_text(attributes)}>")


def json_ld(data: Mapping[str, object]) -> Markup:
    """Return structured data for search engines as a `<script>`, which browsers do not run (JSON-LD 1.1, 7).

    Example:
        >>> json_ld({"name": "</script>"})
        Markup('<script type="application/ld+json">{"name": "\\\\u003c/script>"}</script>')
    """
    # Nothing but "<" can end or change the state of a script's text (HTML Living Standard, 4.12.1.3).
    text = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
    return Markup(f'<script type="application/ld+json">{text}</script>')


_OWN = frozenset({"src", "srcset", "width", "height"})
_NOTHING: frozenset[str] = frozenset()


@lru_cache(maxsize=10_000)
def _opening(src: str, width: int | None, height: int | None, srcset: str | None) -> str:
    # A URL is text, even if its storage marks it as HTML: "&amp;" in a name does not stand for "&".
    text = f'<img src="{escape_value(str.__str__(src))}"'
    if srcset is not None:
        text += f' srcset="{escape_value(str.__str__(srcset))}"'
    if width is not None:
        text += f' width="{width}"'
    return text if height is None else f'{text} height="{height}"'


def attribute_text(attributes: Mapping[str, object]) -> str:
    """Return attributes as HTML, each preceded by a space.

    A value of `True` gives the bare name, `False` and `None` leave the attribute out. All others are escaped by
    `escape_value`.

    Args:
        attributes: Values by attribute name, in the order in which they are to be written.

    Raises:
        InvalidAttribute: A name is empty, or holds a character that no name may hold.

    Example:
        >>> attribute_text({"alt": 'a "b"', "hidden": True, "title": None})
        ' alt="a &#34;b&#34;" hidden'
    """
    for name in attributes:
        lowered(name)
    return _attribute_text(attributes)


def _attribute_text(attributes: Mapping[str, object]) -> str:
    text = ""
    for name, value in attributes.items():
        if value is True:
            text += f" {name}"
        elif value is not None and value is not False:
            text += f' {name}="{escape_value(value)}"'
    return text


@lru_cache(maxsize=1_000)
def lowered(name: str) -> str:
    """Return an attribute's name in lower case, if HTML allows it.

    Raises:
        InvalidAttribute: The name is empty, or holds a character that no name may hold.
    """
    if not name.isidentifier() and (not name or re.search(_NOT_IN_NAMES, name)):
        raise InvalidAttribute(name)
    return name.lower()


def check_attribute_name(name: str) -> None:
    """Raise `InvalidAttribute` unless HTML allows the attribute name.

    Raises:
        InvalidAttribute: The name is empty, or holds a character that no name may hold.
    """
    lowered(name)


def is_attribute_name(name: str) -> bool:
    """Tell whether HTML allows the attribute name.

    Example:
        >>> is_attribute_name("data-x"), is_attribute_name('x"')
        (True, False)
    """
    return bool(name) and not re.search(_NOT_IN_NAMES, name)


def escape_value(value: object) -> str:
    """Return a value's text, escaped for an attribute in double quotes.

    A value that is HTML already (`Markup`, or anything with `__html__`) is not escaped again, except that it cannot
    end the attribute.

    Example:
        >>> escape_value('Tom & "Jerry"'), escape_value(Markup('Tom &amp; "Jerry"'))
        ('Tom &amp; &#34;Jerry&#34;', 'Tom &amp; &#34;Jerry&#34;')
    """
    if type(value) is not str:
        if hasattr(value, "__html__"):
            return str.__str__(value.__html__()).replace('"', "&#34;")
        value = str.__str__(str(value))
    return str.__str__(escape(value)) if _SPECIAL.search(value) else value


def text_or_html(value: object) -> str:
    """Return a value's text, which stays marked as HTML where it is HTML already.

    Example:
        >>> text_or_html(3), text_or_html(Markup("Tom &amp; Jerry"))
        ('3', Markup('Tom &amp; Jerry'))
    """
    return Markup(value) if hasattr(value, "__html__") else str(value)


def plain_text(text: str | None) -> str | None:
    """Return a text as people read it, whether or not it is marked as HTML.

    Example:
        >>> plain_text("a &amp; b"), plain_text(Markup("a &amp; b"))
        ('a &amp; b', 'a & b')
    """
    return text.unescape() if isinstance(text, Markup) else text


_SPECIAL = re.compile("[&<>\"']")
