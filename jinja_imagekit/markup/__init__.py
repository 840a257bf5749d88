"""HTML that something else wrote: its tags, the rules for its images, and what becomes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from markupsafe import Markup

from ..html import attribute_text, escape_value
from .tokens import Attributes, Tag, attribute_list, attributes_of, tags

__all__ = ["Attributes", "Change", "image_attributes", "rewrite_images"]

Change = Callable[[Attributes], Attributes | Markup | None]
"""What is to be done with an image: new values of some attributes, other HTML in its place, or None to take it out."""


def rewrite_images(html: str, change: Change, *, in_pictures: bool = True) -> str:
    """Return HTML with some attributes of its `<img>` tags changed.

    What comments, scripts, style sheets and text fields say is not a tag.

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
    for tag, around in _images(html):
        # Of a picture that was replaced, a second image, which HTML does not allow, went with it.
        if tag.start < end or (around and not in_pictures):
            continue
        values = change(attributes_of(tag))
        start, stop = tag.start, tag.end
        if values is None or isinstance(values, Markup):
            # A picture whose first image stays has no second one in HTML, but may in an author's text.
            start, stop = around if around and around[0] >= end else (start, stop)
            parts += [html[end:start], str(values or "")]
        else:
            parts += [html[end:start], changed(tag, values)]
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
    return next((attributes_of(tag) for tag in tags(html) if tag.name == "img"), None)


class Image(NamedTuple):
    """An `<img>` tag, and where the `<picture>` around it starts and ends."""

    tag: Tag
    picture: tuple[int, int] | None


def _images(html: str) -> Iterator[Image]:
    picture: Tag | None = None
    inside: list[Tag] = []
    for tag in tags(html):
        if tag.name in ("picture", "/picture"):
            around = (picture.start, tag.end) if picture and tag.name == "/picture" else None
            yield from (Image(each, around) for each in inside)
            picture, inside = (tag if tag.name == "picture" else None), []
        elif tag.name == "img":
            if picture:
                inside.append(tag)
            else:
                yield Image(tag, None)
    # Of a picture that never ends.
    yield from (Image(each, None) for each in inside)


def changed(tag: Tag, values: Mapping[str, str | None]) -> str:
    """Return a tag's text with new values: in the place of old ones, and after `src` where there were none.

    Example:
        >>> changed(next(tags("<img alt=x src=a.jpg>")), {"src": "b.jpg", "width": "40"})
        '<img alt=x src="b.jpg" width="40">'
    """
    pieces, end = [], 0
    pending = dict(values)
    after_src = 0
    for attribute in attribute_list(tag):
        name = attribute.name.lower()
        if name in pending:
            pieces += [tag.text[end : attribute.start], _written(attribute.name, pending.pop(name))]
            end = attribute.end
        if name == "src" and not after_src:
            pieces.append(tag.text[end : attribute.end])
            end = attribute.end
            after_src = len(pieces)
    added = attribute_text({name: True if value is None else value for name, value in pending.items()})
    return "".join([*pieces[:after_src], added, *pieces[after_src:], tag.text[end:]])


def _written(name: str, value: str | None) -> str:
    return name if value is None else f'{name}="{escape_value(value)}"'
