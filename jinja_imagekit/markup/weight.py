"""What a phone loads for the images of a page, as its HTML says."""

from __future__ import annotations

import ast
import json
import operator
import os
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path
from posixpath import join
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from ..exceptions import StorageError
from ..pages import Page
from .files import PAGES, Text, pages_in, path_of
from .names import SPACE, SiteNames
from .tokens import Tag, attributes_of, tags
from .transform import SKIPPED, is_xml, srcset_urls

if TYPE_CHECKING:
    from ..kit import ImageKit

MOST_PAGES = 5_000
"""How many pages of a folder are looked at, unless all are wanted: each takes some milliseconds."""

TYPES = frozenset({"", *(f"image/{name}" for name in ("avif", "webp", "jpeg", "png", "gif", "svg+xml", "apng"))})
"""Types of images that every current browser shows."""

ROOT_FONT = 16
"""CSS pixels of an em and a rem in media queries and `sizes`, unless the reader chose another size."""

MOST_REMEMBERED = 1_000
"""How many values of `sizes` and `media` are remembered: the pages of a site repeat theirs."""


class Window(NamedTuple):
    """Where a page is shown.

    Attributes:
        width: CSS pixels.
        height: CSS pixels.
        density: Device pixels for each CSS pixel.
    """

    width: int
    height: int
    density: float


PHONE = Window(400, 800, 2)
"""A phone of medium width; its density is that of most phones, or less."""


class PageWeight(NamedTuple):
    """What the images of a page weigh.

    Attributes:
        page: Its path.
        images: How many there are.
        at_once: Bytes that a phone loads before anybody scrolls: of the images that are not lazy.
        in_all: Bytes that it has loaded once somebody has seen the whole page.
        offered: Bytes of all files that the page offers to browsers.
        heaviest: The URL of the largest file among those that the phone loads; empty if there is none.
        heaviest_size: Its bytes.
        unknown: How many images are elsewhere, so that nobody knows their bytes.
    """

    page: str
    images: int
    at_once: int
    in_all: int
    offered: int
    heaviest: str
    heaviest_size: int
    unknown: int


def weigh_folder(
    kit: ImageKit,
    folder: str | os.PathLike[str] | None = None,
    window: Window = PHONE,
    most: int | None = MOST_PAGES,
) -> Iterator[PageWeight]:
    """Yield what each page of a site's folder has a phone load, if it has images.

    Args:
        kit: The kit.
        folder: The folder; None for the one below which images are made, and those into which they were published.
        window: The phone's window, or another.
        most: How many pages of a folder are looked at; None for all.

    Example:
        >>> list(weigh_folder(kit, "public"))  # doctest: +SKIP
        [PageWeight(page='index.html', images=9, at_once=20790, in_all=91480, offered=913402, ...)]
    """
    folders = _folders(kit) if folder is None else [os.path.realpath(folder)]
    for each in folders:
        files = _Files(kit, each)
        own = join(*kit.settings.cachefile_dir.split("/")) if kit.settings.cachefile_dir else ""
        found = (page for page in pages_in(each, own) if page.lower().endswith(PAGES))
        for page in islice(found, most):
            try:
                text = Text.of(path_of(each, page).read_bytes()).text
            except OSError:
                continue
            weight = weigh(text, page, files.of(page), window)
            if weight.images:
                yield weight


def _folders(kit: ImageKit) -> list[str]:
    """Return the folders of pages that the kit knows: where it makes images, and where it has published them."""
    folders = [os.path.realpath(kit.settings.location)]
    for record in sorted((kit.settings.state_dir / "published").glob("*.json")):
        try:
            folders.append(os.path.realpath(json.loads(record.read_text(encoding="utf-8"))["folder"]))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return [folder for folder in dict.fromkeys(folders) if os.path.isdir(folder)]


class _Files:
    """The files that the URLs of a folder's pages lead to."""

    def __init__(self, kit: ImageKit, folder: str) -> None:
        self._kit = kit
        self._folder = folder
        self._names = SiteNames(kit)
        self._base = f"{urlsplit(kit.settings.base_url).path.rstrip('/')}/"

    def of(self, page: str) -> Callable[[str], int | None]:
        """Return what tells the bytes behind a URL of a page; None for what is not the site's own."""
        folder = Page(page, self._kit.settings.site_root).folder

        def size(url: str) -> int | None:
            path = self._names.path_of(url)
            if path is None:
                return None
            name = path.removeprefix(self._base) if path.startswith(self._base) else ""
            try:
                found = self._kit.storage.stat(name) if name else None
            except StorageError:
                found = None
            if found is not None:
                return found.size
            for each in self._names.names(path, folder):
                file = Path(self._folder, *each.split("/"))
                if file.is_file():
                    return file.stat().st_size
            return None

        return size


def weigh(text: str, page: str, size: Callable[[str], int | None], window: Window = PHONE) -> PageWeight:
    """Return what a page has a browser load.

    Only the HTML is read: backgrounds of style sheets and what scripts load are left out, and where `sizes` says `auto`
    its fallback counts, which is what other browsers take.

    Args:
        text: The page.
        page: Its path.
        size: Returns the bytes behind a URL, or None.
        window: The browser's window.

    Example:
        >>> html = '<img src="a.jpg" srcset="a.jpg 400w, b.jpg 800w, c.jpg 1600w" sizes="100vw" loading="lazy">'
        >>> weigh(html, "index.html", {"a.jpg": 10, "b.jpg": 30, "c.jpg": 90}.get)[:5]
        ('index.html', 1, 0, 30, 130)
    """
    loaded: dict[str, bool] = {}
    offered: dict[str, int | None] = {}
    images = 0
    for image, sources in _images(text):
        images += 1
        chosen = ""
        for attributes in (*sources, image):
            candidates = _candidates(attributes, image)
            offered.update({url: None for url, _ in candidates})
            if not chosen and candidates and _is_for(attributes, window):
                chosen = _choice(candidates, attributes.get("sizes") or "", window)
        if chosen:
            is_lazy = (image.get("loading") or "").lower() == "lazy"
            loaded[chosen] = loaded.get(chosen, True) and is_lazy
    offered = {url: 0 if url.startswith("data:") else size(url) for url in offered}
    known = {url: offered[url] or 0 for url in loaded}
    heaviest = max(known, key=known.__getitem__, default="")
    return PageWeight(
        page,
        images,
        at_once=sum(known[url] for url, is_lazy in loaded.items() if not is_lazy),
        in_all=sum(known.values()),
        offered=sum(bytes or 0 for bytes in offered.values()),
        heaviest=heaviest if known.get(heaviest) else "",
        heaviest_size=known.get(heaviest, 0),
        unknown=sum(offered[url] is None for url in loaded),
    )


_Attributes = dict[str, str | None]


def _images(text: str) -> Iterator[tuple[_Attributes, list[_Attributes]]]:
    """Yield the attributes of each image with those of the `<source>` elements before it."""
    skipped, depth = "", 0
    sources: list[_Attributes] | None = None
    for tag in tags(text, is_xml=is_xml(text)):
        if skipped:
            depth += (tag.name == skipped) - (tag.name == f"/{skipped}")
            skipped = skipped if depth else ""
        elif tag.name in _NOT_SHOWN:
            skipped, depth = ("", 0) if _is_closed(tag) else (tag.name, 1)
        elif tag.name in ("picture", "/picture"):
            sources = [] if tag.name == "picture" else None
        elif tag.name == "source" and sources is not None:
            sources.append(attributes_of(tag))
        elif tag.name == "img":
            yield attributes_of(tag), sources or []


_NOT_SHOWN = SKIPPED - {"code", "pre"} | {"noscript"}
"""Elements whose images are not loaded; one within code is, like any other."""


def _is_closed(tag: Tag) -> bool:
    return tag.text.endswith("/>")


def _candidates(attributes: _Attributes, image: _Attributes) -> list[tuple[str, str]]:
    """Return the URLs that an element offers with their descriptors; `src` is one of density 1."""
    value = attributes.get("srcset") or ""
    spans = [*srcset_urls(value)]
    ends = [*(start for start, _ in spans[1:]), len(value)]
    found = [
        (value[start:end], value[end:following].strip(f"{SPACE},"))
        for (start, end), following in zip(spans, ends, strict=False)
    ]
    src = (attributes.get("src") or "").strip(SPACE) if attributes is image else ""
    # With descriptors of widths, `src` is for browsers that know no srcset (HTML Living Standard, 4.8.4.3.8).
    is_wanted = src and not any(descriptor in ("", "1x") or descriptor.endswith("w") for _, descriptor in found)
    return [*found, (src, "1x")] if is_wanted else found


def _is_for(attributes: _Attributes, window: Window) -> bool:
    type = (attributes.get("type") or "").strip(SPACE).lower()
    return type in TYPES and matches(attributes.get("media") or "", window)


def _choice(candidates: list[tuple[str, str]], sizes: str, window: Window) -> str:
    """Return the URL that browsers take: the least that has a pixel for each of the device's, or else the largest."""
    shown = source_size(sizes, window)
    densities: dict[float, str] = {}
    for url, descriptor in candidates:
        try:
            number = float(descriptor[:-1]) if descriptor else 1.0
        except ValueError:
            continue
        densities.setdefault(number / max(shown, 1) if descriptor.endswith("w") else number, url)
    enough = [density for density in densities if density >= window.density]
    return densities[min(enough) if enough else max(densities)] if densities else ""


@lru_cache(maxsize=MOST_REMEMBERED)
def source_size(sizes: str, window: Window) -> float:
    """Return the width in CSS pixels that a value of `sizes` says for a window.

    Example:
        >>> source_size("auto, (min-width: 50em) 800px, calc(100vw - 2rem)", PHONE)
        368.0
    """
    for part in _split(sizes):
        condition, length = _condition_and_length(part)
        width = _length(length, window)
        if width is not None and matches(condition, window):
            return width
    return float(window.width)


def _split(value: str) -> list[str]:
    """Return the parts between commas that are in no parentheses."""
    parts, depth, start = [], 0, 0
    for at, sign in enumerate(value):
        depth += (sign == "(") - (sign == ")")
        if sign == "," and not depth:
            parts.append(value[start:at])
            start = at + 1
    return [part.strip(SPACE) for part in (*parts, value[start:])]


def _condition_and_length(part: str) -> tuple[str, str]:
    found = re.fullmatch(
        r"(?:(.*)[\t\n\f\r ])?((?:calc|min|max|clamp)?\(.*\)|[^\s()]+)", part, re.DOTALL | re.IGNORECASE
    )
    # In "(min-width: 1px) calc(…)" the greedy first group takes all conditions.
    return (found[1] or "", found[2]) if found else ("", part)


_UNIT = re.compile(r"([0-9]*\.?[0-9]+)(px|rem|em|vw|vh|svw|dvw|lvw|vmin|vmax|pt|in|cm|mm)\b", re.IGNORECASE)


def _length(value: str, window: Window) -> float | None:
    """Return a CSS length in pixels; None if it is none, or one that depends on something else."""
    unit: dict[str, float] = {
        **dict.fromkeys(("vw", "svw", "dvw", "lvw"), window.width / 100),
        **dict.fromkeys(("em", "rem"), ROOT_FONT),
        "vh": window.height / 100,
        "vmin": min(window.width, window.height) / 100,
        "vmax": max(window.width, window.height) / 100,
        "px": 1,
        "pt": 96 / 72,
        "in": 96,
        "cm": 96 / 2.54,
        "mm": 96 / 25.4,
    }
    text, count = _UNIT.subn(lambda found: repr(float(found[1]) * unit[found[2]]), value.strip(SPACE).lower())
    if not count and text != "0":
        return None
    try:
        return _number(ast.parse(text.replace("calc(", "("), mode="eval").body)
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError):
        return None


_OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}

_FUNCTIONS: dict[str, Callable[..., float]] = {
    "min": min,
    "max": max,
    "clamp": lambda least, value, most: max(least, min(value, most)),
}


def _number(node: ast.expr) -> float:
    match node:
        case ast.Constant(value=int() | float() as value):
            return float(value)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return float(_OPERATORS[type(op)](_number(left), _number(right)))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_number(operand)
        case ast.Call(func=ast.Name(id=name), args=[*args], keywords=[]) if args and name in _FUNCTIONS:
            try:
                return _FUNCTIONS[name](*map(_number, args))
            except TypeError as error:
                raise ValueError(name) from error
    raise ValueError("not a length")


_FEATURE = re.compile(r"(min|max)-(width|height)\s*:\s*([^()]+)|(width|height)\s*([<>]=?)\s*([^()]+)", re.IGNORECASE)


@lru_cache(maxsize=MOST_REMEMBERED)
def matches(query: str, window: Window) -> bool:
    """Tell whether a window matches a media query, as far as that depends on its size; in doubt it does not.

    Example:
        >>> matches("(min-width: 40em) and (orientation: landscape), (max-width: 400px)", PHONE)
        True
    """
    return not query.strip(SPACE) or any(_matches(each, window) for each in _split(query))


def _matches(query: str, window: Window) -> bool:
    for part in re.split(r"\s+and\s+", query.strip(SPACE).lower()):
        if part in ("all", "screen", "only screen"):
            continue
        if part.startswith("(") and part == "(orientation: portrait)":
            if window.width > window.height:
                return False
            continue
        found = _FEATURE.fullmatch(part.removeprefix("(").removesuffix(")").strip()) if part.startswith("(") else None
        if found is None:
            return False
        border, sign = found[1], found[5] or {"min": ">=", "max": "<="}[found[1]]
        value = _length(found[3] if border else found[6], window)
        if value is None or not _COMPARISONS[sign](getattr(window, found[2] or found[4]), value):
            return False
    return True


_COMPARISONS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
