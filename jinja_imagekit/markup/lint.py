"""What is wrong with the images of a page, whoever wrote it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from ..exceptions import ImageKitError
from ..images import Limits
from ..images.header import tells_position
from ..pages import LARGE
from .names import SPACE
from .rules import pixels
from .tokens import Tag, attributes_of, tags
from .transform import IMAGE_EXTENSION, LOADERS, SKIPPED, is_xml, srcset_urls

if TYPE_CHECKING:
    from ..kit import ImageKit

OVERSIZE = 3
"""How many times as wide as it is shown an image in one size may be: phones have up to three pixels for each of CSS."""

_FILE_NAME = re.compile(
    r"\s*[\w()%~-]+(?:[ .][\w()%~-]+)*\.(?:jpe?g|png|gif|webp|avif|svg|tiff?|bmp)\s*", re.IGNORECASE
)
_CAMERA_NAME = re.compile(r"\s*(?:IMG|DSC[FN]?|PXL|P|DJI|GOPR|MVIMG|Screenshot)[-_ ]?\d{3,}[\w-]*\s*", re.IGNORECASE)

KINDS = {
    "no-alt": "An image without alternative text.",
    "alt-is-file-name": "An alternative text that is a file's name.",
    "duplicate-width": "A srcset with two images of one width or density.",
    "lazy-first": "A first large image that loads lazily.",
    "missing": "An image that is not there.",
    "oversized": "An image in one size that is much larger than it is ever shown.",
    "original-linked": "A link to an original whose metadata says where it was taken.",
}
"""What is found."""


class Finding(NamedTuple):
    """Something wrong with an image of a page.

    Attributes:
        page: The page's path.
        line: The line of the page.
        kind: One of `KINDS`.
        url: What the page calls the image.
        message: What is wrong, in words.
    """

    page: str
    line: int
    kind: str
    url: str
    message: str


def lint(
    kit: ImageKit, text: str, page: str, source: Callable[[str], Any], exists: Callable[[str], bool | None]
) -> Iterator[Finding]:
    """Yield what is wrong with the images of a page.

    Args:
        kit: The kit.
        text: The page.
        page: Its path below the site's root.
        source: Returns the name of the source that a URL means, or None.
        exists: Tells whether there is a file that a URL means; None where that is unknown, as for other sites.
    """
    skipped, depth, is_first = "", 0, True
    in_noscript = False
    for tag in tags(text, is_xml=is_xml(text)):
        if skipped:
            depth += (tag.name == skipped) - (tag.name == f"/{skipped}")
            skipped = skipped if depth else ""
        elif tag.name in SKIPPED:
            skipped, depth = ("", 0) if tag.text.endswith("/>") else (tag.name, 1)
        elif tag.name in ("noscript", "/noscript"):
            in_noscript = tag.name == "noscript"
        elif tag.name in ("img", "source", "a", "video"):
            line = text.count("\n", 0, tag.start) + 1
            for kind, url, message in _of_tag(kit, tag, source, exists):
                yield Finding(page, line, kind, url, message)
            if tag.name == "img" and is_first and not in_noscript:
                attributes = attributes_of(tag)
                if _area(kit, attributes, source) >= LARGE:
                    is_first = False
                    if (attributes.get("loading") or "").lower() == "lazy":
                        message = "the first large image of the page loads lazily, so that it is seen late"
                        yield Finding(page, line, "lazy-first", attributes.get("src") or "", message)


def _of_tag(
    kit: ImageKit, tag: Tag, source: Callable[[str], Any], exists: Callable[[str], bool | None]
) -> Iterator[tuple[str, str, str]]:
    attributes = attributes_of(tag)
    if tag.name == "a":
        yield from _of_link(kit, attributes, source)
        return
    src = attributes.get("src" if tag.name == "img" else "poster") or ""
    srcset = attributes.get("srcset") or ""
    urls = [srcset[start:end] for start, end in srcset_urls(srcset)]
    for url in dict.fromkeys([*([src] if src.strip(SPACE) and tag.name != "source" else []), *urls]):
        if exists(url) is False:
            yield "missing", url, "there is no such file"
    descriptors = [part.split()[-1] for part in re.split(r",(?=[\t\n\f\r ])", srcset) if len(part.split()) > 1]
    for each in dict.fromkeys(each for each in descriptors if descriptors.count(each) > 1):
        yield "duplicate-width", src or urls[0], f"srcset has two images of {each}"
    if tag.name != "img":
        return
    alt = attributes.get("alt", "") if "alt" in attributes else None
    if alt is None and attributes.get("aria-hidden") != "true" and attributes.get("role") != "presentation":
        yield "no-alt", src, 'there is no alternative text; alt="" says that there is nothing to say'
    elif alt and (_FILE_NAME.fullmatch(alt) or _CAMERA_NAME.fullmatch(alt)):
        yield "alt-is-file-name", src, f"the alternative text {alt!r} is a file's name"
    shown = pixels(attributes.get("width"))
    if shown and not srcset and LOADERS.isdisjoint(attributes):
        width = _width(kit, source(src))
        if width > OVERSIZE * shown:
            yield "oversized", src, f"it is {width} pixels wide, and shown at {shown}"


def _of_link(
    kit: ImageKit, attributes: dict[str, str | None], source: Callable[[str], Any]
) -> Iterator[tuple[str, str, str]]:
    href = attributes.get("href") or ""
    name = source(href) if IMAGE_EXTENSION.search(href) else None
    if name is None:
        return
    try:
        found = kit.source(name)
        limits = Limits.from_settings(kit.settings)
        is_told = found is not None and tells_position(found.read(), name=found.name, limits=limits)
    except ImageKitError:
        return
    if is_told:
        yield "original-linked", href, "its metadata says where it was taken; the rule 'link' links a file without"


def _area(kit: ImageKit, attributes: dict[str, str | None], source: Callable[[str], Any]) -> int:
    width, height = pixels(attributes.get("width")), pixels(attributes.get("height"))
    if width and height:
        return width * height
    size = _size(kit, source(attributes.get("src") or ""))
    return size[0] * size[1] if not (width or height) else (width or height) ** 2


def _width(kit: ImageKit, name: Any) -> int:
    return _size(kit, name)[0]


def _size(kit: ImageKit, name: Any) -> tuple[int, int]:
    try:
        found = kit.source(name)
        return (0, 0) if found is None or found.is_vector else found.size(kit.settings.auto_orient)
    except ImageKitError:
        return 0, 0
