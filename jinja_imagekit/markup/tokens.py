"""Splits HTML and XML into tags with positions, as browsers do; what is not a tag is never looked at again."""

from __future__ import annotations

import html
import html.entities
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

Attributes = Mapping[str, str | None]
"""Values by names in lower case, without character references; None for a bare name."""

# HTML Living Standard, 13.2.5.32 to 13.2.5.40: a quote matters only at the beginning of a value, and a name may begin
# with "=". Nothing here backtracks.
_SPACE = r"[\t\n\f\r ]"
_VALUE = r"""(?:"[^"]*+"|'[^']*+'|(?=>)|[^\t\n\f\r >"'][^\t\n\f\r >]*+)"""
_NAME = r"(?:=[^\t\n\f\r />=]*+|[^\t\n\f\r />=]++)"
_TAG = re.compile(
    rf"<(?:(?P<name>/?[a-zA-Z][^\t\n\f\r />]*+)"
    rf"(?:(?:[\t\n\f\r /]*+{_NAME}(?:{_SPACE}*+={_SPACE}*+{_VALUE}|(?!{_SPACE}*+=)))*+[\t\n\f\r /]*+>|(?P<endless>))"
    r"|!--(?:-?>|(?s:.)*?(?:--!?>|\Z))"
    r"|!\[CDATA\["
    r"|[!?][^>]*+(?:>|\Z)"
    r"|/[^a-zA-Z>][^>]*+(?:>|\Z))"
)

_ATTRIBUTES = re.compile(
    rf"""[\t\n\f\r /]*+(?P<name>{_NAME})(?:(?P<equals>{_SPACE}*+={_SPACE}*+)"""
    r"""(?:"(?P<double>[^"]*+)"|'(?P<single>[^']*+)'|(?=>)|(?P<bare>[^\t\n\f\r >"'][^\t\n\f\r >]*+)))?"""
)

_REFERENCE = re.compile(r"&(?:#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[A-Za-z][A-Za-z0-9]*(?:;|(?![A-Za-z0-9=])))")
"""What is a character reference in the value of an attribute; `&copy=1` is none."""

RAW_TEXT = frozenset({"script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes"})
"""Elements whose content holds no tags (HTML Living Standard, 13.2.6.4.7 "in body" and 13.2.6.4.4 "in head")."""

_SCRIPT = re.compile(r"<!--|-->|<(?P<end>/?)script(?=[\t\n\f\r />])", re.IGNORECASE)

_FOREIGN = frozenset({"svg", "math"})
"""Elements in which CDATA sections are known (13.2.5.42)."""


class Tag(NamedTuple):
    """A tag in a text.

    Attributes:
        name: Its name in lower case, with a slash in front for an end tag.
        start: Where its `<` is.
        end: Behind its `>`.
        text: What is between.
    """

    name: str
    start: int
    end: int
    text: str


def tags(text: str, *, is_xml: bool = False) -> Iterator[Tag]:
    """Yield the tags of a text in their order; what comments, scripts and CDATA sections hold is no tag.

    Args:
        text: HTML or XML, whole or a part.
        is_xml: Whether it is XML, in which every element has content, and CDATA sections are everywhere.

    Example:
        >>> [tag.name for tag in tags("<P title='>'><!-- <b> --><script>'<i>'</script>")]
        ['p', 'script', '/script']
    """
    at, foreign, match = 0, 0, _TAG.search
    while found := match(text, at):
        start, at = found.span()
        name = found["name"]
        if name is None:
            if text.startswith("<![CDATA[", start):
                # Elsewhere it is a comment that ends with the next ">".
                closing = "]]>" if is_xml or foreign else ">"
                end = text.find(closing, at)
                at = len(text) if end < 0 else end + len(closing)
            continue
        if found["endless"] is not None:
            # A tag that never ends is none, and neither is what follows (13.2.5.32, "eof-in-tag").
            return
        name = name.lower()
        yield Tag(name, start, at, found[0])
        if is_xml:
            # Pages that look like XML may be served as HTML, where these two hold no tags.
            if name in ("script", "style") and not found[0].endswith("/>"):
                at = _end_of_sections(text, at, name)
            continue
        if name in RAW_TEXT:
            at = _end_of_raw_text(text, at, name)
        elif name == "plaintext":
            return
        elif name.lstrip("/") in _FOREIGN and not found[0].endswith("/>"):
            foreign = max(0, foreign + (-1 if name.startswith("/") else 1))


def _end_of_sections(text: str, at: int, name: str) -> int:
    """Return where the end tag of a script in XML begins, which CDATA sections may mention."""
    either = re.compile(rf"<!\[CDATA\[|</{name}(?=[\t\n\f\r />])", re.IGNORECASE)
    while found := either.search(text, at):
        if found[0] != "<![CDATA[":
            return found.start()
        end = text.find("]]>", found.end())
        at = len(text) if end < 0 else end
    return len(text)


def _end_of_raw_text(text: str, at: int, name: str) -> int:
    """Return where the end tag of an element begins whose content holds no tags; the text's end if there is none."""
    if name != "script":
        end = re.compile(rf"</{name}(?=[\t\n\f\r />])", re.IGNORECASE).search(text, at)
        return end.start() if end else len(text)
    # 13.2.5.15 to 13.2.5.31: in "<!--", a "<script" has an end tag of its own.
    is_escaped = is_double = False
    while found := _SCRIPT.search(text, at):
        if found[0] == "<!--":
            # Of "<!-->", the dashes are those of its end, too.
            is_escaped, at = True, found.start() + 2
            continue
        at = found.end()
        if found[0] == "-->":
            is_escaped = is_double = False
        elif not found["end"]:
            is_double = is_escaped
        elif is_double:
            is_double = False
        else:
            return found.start()
    return len(text)


class Attribute(NamedTuple):
    """An attribute of a tag, with positions within the tag's text.

    Attributes:
        name: Its name as it is written.
        value: Its value as it is written, without quotes; None for a bare name.
        start: Where the name begins.
        end: Behind the value and its quote.
    """

    name: str
    value: str | None
    start: int
    end: int


def attribute_list(tag: Tag) -> list[Attribute]:
    """Return the attributes of a tag as they are written.

    Example:
        >>> [attribute.value for attribute in attribute_list(next(tags("<img src=a.jpg alt='' hidden>")))]
        ['a.jpg', '', None]
    """
    found, at = [], 1 + len(tag.name)
    while match := _ATTRIBUTES.match(tag.text, at):
        value = match["double"] if match["double"] is not None else match["single"]
        value = match["bare"] if value is None else value
        if value is None and match["equals"]:
            value = ""
        at = match.end()
        found.append(Attribute(match["name"], value, match.start("name"), at))
    return found


def attributes_of(tag: Tag) -> dict[str, str | None]:
    """Return the attributes of a tag; of two of one name, the first counts.

    Example:
        >>> attributes_of(next(tags("<img SRC='a.jpg?b&amp;c' hidden>")))
        {'src': 'a.jpg?b&c', 'hidden': None}
    """
    values: dict[str, str | None] = {}
    for each in attribute_list(tag):
        values.setdefault(each.name.lower(), None if each.value is None else without_references(each.value))
    return values


def without_references(value: str) -> str:
    """Return the value of an attribute without character references.

    Example:
        >>> without_references("a.jpg?x=1&amp;y=2&copy=3")
        'a.jpg?x=1&y=2&copy=3'
    """
    return _REFERENCE.sub(_character, value) if "&" in value else value


def _character(reference: re.Match[str]) -> str:
    name = reference[0][1:]
    # Without a semicolon only some names are known, and never a part of one.
    return html.unescape(reference[0]) if name.startswith("#") or name in html.entities.html5 else reference[0]
