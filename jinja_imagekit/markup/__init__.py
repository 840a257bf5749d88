"""Finds `<img>` tags in HTML and changes some of their attributes; every other character stays as it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from itertools import accumulate
from typing import NamedTuple

from markupsafe import Markup

from ..html import attribute_text, escape_value

# The attributes of a start tag (HTML Living Standard, 13.1.2.3): a name, and perhaps a value in one of three forms.
_ATTRIBUTE = re.compile(r"""([^\s"'<>/=][^\s"'<>/=]*)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s"'=<>`]+))?""")

Attributes = Mapping[str, str | None]
"""Values by names in lower case, without character references; None for a bare name."""


Change = Callable[[Attributes], Attributes | Markup | None]
"""What is to be done with an image: new values of some attributes, other HTML in its place, or None to take it out."""


def rewrite_images(html: str, change: Change, *, in_pictures: bool = True) -> str:
    """Return HTML with some attributes of its `<img>` tags changed.

    What comments, scripts and style sheets say is not a tag.

    Args:
        html: A whole text, or a part of one.
        change: Called with the attributes of each `<img>`; returns new values of some of them, of which those that
            it did not have are added after `src`; HTML replaces the tag, and None takes it out, in both cases along
            with the `<picture>` around it.
        in_pictures: Whether images in a `<picture>` are changed too.

    Example:
        >>> rewrite_images("<p><IMG src='a.jpg'></p>", lambda attributes: {"src": "b.jpg", "width": "40"})
        '<p><IMG src="b.jpg" width="40"></p>'
    """
    if "<img" not in html.lower():
        return html
    parts, end = [], 0
    for image in _images(html):
        around = image.picture
        # Of a picture that was replaced, a second image, which HTML does not allow, went with it.
        if image.start < end or (around and not in_pictures):
            continue
        values = change(image.attributes)
        start, stop = image.start, image.start + len(image.tag)
        if values is None or isinstance(values, Markup):
            # A picture whose first image stays has no second one in HTML, but may in an author's text.
            start, stop = around if around and around[0] >= end else (start, stop)
            parts += [html[end:start], str(values or "")]
        else:
            parts += [html[end:start], _changed(image.tag, values)]
        end = stop
    return "".join([*parts, html[end:]])


def image_attributes(html: str) -> Attributes | None:
    """Return the attributes of the first `<img>` of a text; None where there is none.

    Args:
        html: A text.

    Example:
        >>> image_attributes('<img src="a.jpg?b&amp;c" hidden>')
        {'src': 'a.jpg?b&c', 'hidden': None}
    """
    return next((image.attributes for image in _images(html)), None)


class _Image(NamedTuple):
    """An `<img>` tag: where it starts, its text and attributes, and where the `<picture>` around it starts and ends."""

    start: int
    tag: str
    attributes: Attributes
    picture: tuple[int, int] | None


def _images(html: str) -> list[_Image]:
    finder = _ImageFinder(html)
    finder.feed(html)
    finder.close()
    return finder.found


class _ImageFinder(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[_Image] = []
        self._html = html
        # Each line before it has a line feed more than was counted.
        self._lines = [
            start + number for number, start in enumerate([0, *accumulate(len(line) for line in html.split("\n"))])
        ]
        self._picture: int | None = None
        self._first_inside = 0

    def _place(self) -> int:
        line, column = self.getpos()
        return self._lines[line - 1] + column

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "picture":
            self._picture, self._first_inside = self._place(), len(self.found)
        elif tag == "img":
            attributes: dict[str, str | None] = {}
            for name, value in attrs:
                # Of two attributes of one name, the first counts.
                attributes.setdefault(name, value)
            self.found.append(_Image(self._place(), self.get_starttag_text() or "", attributes, None))

    def handle_endtag(self, tag: str) -> None:
        if tag != "picture" or self._picture is None:
            return
        around = self._picture, self._html.index(">", self._place()) + 1
        inside = self.found[self._first_inside :]
        self.found[self._first_inside :] = [image._replace(picture=around) for image in inside]
        self._picture = None


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
