"""Finds `<img>` tags in HTML and changes some of their attributes; every other character stays as it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from html.parser import HTMLParser
from itertools import accumulate

from ..html import attribute_text, escape_value

# The attributes of a start tag (HTML Living Standard, 13.1.2.3): a name, and perhaps a value in one of three forms.
_ATTRIBUTE = re.compile(r"""([^\s"'<>/=][^\s"'<>/=]*)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s"'=<>`]+))?""")

Attributes = Mapping[str, str | None]
"""Values by names in lower case, without character references; None for a bare name."""


def rewrite_images(html: str, change: Callable[[Attributes], Attributes | None]) -> str:
    """Return HTML with some attributes of its `<img>` tags changed.

    What comments, scripts and style sheets say is not a tag.

    Args:
        html: A whole text, or a part of one.
        change: Called with the attributes of each `<img>`; returns new values of some of them, of which those that
            it did not have are added after `src`; None takes the tag out.

    Example:
        >>> rewrite_images("<p><IMG src='a.jpg'></p>", lambda attributes: {"src": "b.jpg", "width": "40"})
        '<p><IMG src="b.jpg" width="40"></p>'
    """
    if "<img" not in html.lower():
        return html
    parts, end = [], 0
    for start, tag, attributes in _images(html):
        values = change(attributes)
        parts += [html[end:start], "" if values is None else _changed(tag, values)]
        end = start + len(tag)
    return "".join([*parts, html[end:]])


def image_attributes(html: str) -> Attributes | None:
    """Return the attributes of the first `<img>` of a text; None where there is none.

    Args:
        html: A text.

    Example:
        >>> image_attributes('<img src="a.jpg?b&amp;c" hidden>')
        {'src': 'a.jpg?b&c', 'hidden': None}
    """
    return next((attributes for _, _, attributes in _images(html)), None)


def _images(html: str) -> Iterator[tuple[int, str, Attributes]]:
    finder = _ImageFinder()
    finder.feed(html)
    finder.close()
    lines = [0, *accumulate(len(line) for line in html.split("\n"))]
    for line, column, tag, attributes in finder.found:
        # Each line before it has a line feed more than was counted.
        yield lines[line - 1] + line - 1 + column, tag, attributes


class _ImageFinder(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[int, int, str, Attributes]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            attributes: dict[str, str | None] = {}
            for name, value in attrs:
                # Of two attributes of one name, the first counts.
                attributes.setdefault(name, value)
            self.found.append((*self.getpos(), self.get_starttag_text() or "", attributes))


def _changed(tag: str, values: Attributes) -> str:
    """Return a tag with new values: in the place of old ones, and after `src` where there were none."""
    pieces, end = [], 0
    pending = dict(values)
    after_src = 0
    for match in _ATTRIBUTE.finditer(tag, len("<img")):
        name = match[1].lower()
        if name in pending:
            pieces += [tag[end : match.start()], _written(match[1], pending.pop(name))]
            end = match.end()
        if name == "src" and not after_src:
            pieces.append(tag[end : match.end()])
            end = match.end()
            after_src = len(pieces)
    added = attribute_text({name: True if value is None else value for name, value in pending.items()})
    return "".join([*pieces[:after_src], added, *pieces[after_src:], tag[end:]])


def _written(name: str, value: str | None) -> str:
    return name if value is None else f'{name}="{escape_value(value)}"'
