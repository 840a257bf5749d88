"""The pages that Pelican has written: their URLs of images, and placeholders for images that failed.

A template does not know which page it renders, and a page is written before its images are made. So URLs begin with a
placeholder until the page exists (then they are below `SITEURL`, relative to the page, or absolute in feeds), and pages
are edited once more if an image could not be made.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from ..builds.notes import Note
from ..cachefiles.references import NotPlain, keywords_of
from ..exceptions import ImageKitError
from ..interfaces import Size
from ..kit import ImageKit
from ..markup import Attributes, rewrite_images
from ..markup.tokens import tags
from ..pregenerate import Outcome
from ..stand_ins import DEFAULT_SIZE, placeholder_uri

logger = logging.getLogger("jinja_imagekit.pelican")

PLACEHOLDER = "/__imagekit_site__"
"""Written instead of the site's URL until the page exists, since a template does not know which page it renders."""

FIRST = "data-imagekit-first"
"""An attribute of the first large image of an article, until the page is written that it is on."""

_PRIORITY = 'fetchpriority="high"'

Localize = Callable[[str], str]
"""Converts a kit's URL into the one in a page."""


class SiteLinks:
    """How the URLs of images begin, and which files contain them.

    Args:
        config: Pelican's settings.

    Attributes:
        feed_root: The beginning of URLs in feeds, without a trailing slash.
        differ: Whether it differs between pages, or in feeds.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        site_url = config.get("SITEURL") or ""
        self.feed_root: str = site_url or (config.get("FEED_DOMAIN") or "").rstrip("/")
        own = config.get("IMAGEKIT_BASE_URL")
        # Other URLs of the page may be absolute nevertheless.
        self._folder = config.get("OUTPUT_PATH") if config.get("IMAGEKIT_URLS") == "relative" else None
        is_relative = bool(config.get("RELATIVE_URLS")) or self._folder is not None
        self.differ = own is None and (is_relative or self.feed_root != site_url)
        self._roots: dict[Path, str] = {}

    @property
    def base_url(self) -> str:
        """The `base_url` of the kit."""
        return f"{PLACEHOLDER if self.differ else self.feed_root}/"

    @property
    def site_url(self) -> str:
        """The `site_url` of the kit: what absolute URLs begin with; empty while the site has none."""
        return self.feed_root if self.feed_root.startswith(("https://", "http://")) else ""

    def link_page(self, path: str, context: Mapping[str, Any]) -> None:
        """Put the URL of the site, as seen from a page, into the page's file.

        Args:
            path: The file that was written.
            context: The context that the page was rendered with.
        """
        root = context.get("localsiteurl") or ""
        if self._folder is not None:
            root = Path(os.path.relpath(self._folder, Path(path).parent)).as_posix()
        self._link(Path(path), root)
        _edit(Path(path), first_alone)

    def link_feed(self, path: str) -> None:
        """Put the site's URL into a feed's file.

        Args:
            path: The file that was written.
        """
        self._link(Path(path), self.feed_root)

    def _link(self, path: Path, root: str) -> None:
        self._roots[path] = root
        if self.differ:
            _edit(path, lambda text: self._rooted(text, root))

    def _rooted(self, text: str, root: str) -> str:
        if self.site_url:
            # The kit's absolute URLs, which are the same on every page.
            text = text.replace(urljoin(f"{self.site_url}/", PLACEHOLDER), self.site_url)
        return text.replace(PLACEHOLDER, root)

    def edit_all(self, change: Callable[[Localize, str], str]) -> None:
        """Change the text of all written pages and feeds.

        Args:
            change: Called with a function that converts the kit's URLs into the page's, and with the page's text;
                returns the new text.
        """
        for path, root in self._roots.items():
            # Another plugin may have removed it.
            if path.exists():
                _edit(path, partial(change, partial(self._local, root)))

    def _local(self, root: str, url: str) -> str:
        return self._rooted(url, root) if self.differ else url


def first_alone(text: str) -> str:
    """Return a page in which one image at most goes before all others for its place alone.

    The first large image of an article is not the first of a page that has another above it, such as one with several
    articles.

    Args:
        text: The page.
    """
    if FIRST not in text:
        return text
    parts, end, is_first = [], 0, True
    for tag in tags(text):
        if tag.name != "img" or _PRIORITY not in tag.text:
            continue
        if f" {FIRST} " in tag.text:
            lazily = "" if " loading=" in tag.text else ' loading="lazy" decoding="async"'
            new = tag.text.replace(f" {FIRST}", "", 1)
            parts += [text[end : tag.start], new if is_first else new.replace(f" {_PRIORITY}", lazily, 1)]
            end = tag.end
        is_first = False
    return "".join([*parts, text[end:]])


def _edit(path: Path, change: Callable[[str], str]) -> None:
    # In bytes, since text mode would change line ends.
    before = path.read_bytes()
    after = change(before.decode("utf-8")).encode("utf-8")
    if after != before:
        path.write_bytes(after)


def mend_pages(kit: ImageKit, links: SiteLinks, failed: Iterable[Outcome]) -> None:
    """Put placeholders in the place of missing images, or remove the `<img>` if `on_error` is "omit".

    Args:
        kit: The site's kit, whose render is finished.
        links: The pages that were written.
        failed: The images that could not be made after that.
    """
    reasons = {(outcome.generator_id, outcome.source): outcome.reason for outcome in failed}
    if not reasons:
        return
    uris: dict[str, str] = {}
    # An absolute URL goes before the one that it may end with.
    for name, note in (kit.renders.last() or {}).items():
        if note.served and kit.storage.stat(name) is None:
            id, source = _call(note)
            reason = reasons.get((id, source), "") if kit.settings.debug else ""
            uri = placeholder_uri(_promised_size(kit, note), reason and f"{source}: {reason}")
            url = kit.storage.url(name)
            uris |= {kit.absolute_url(url): uri, url: uri}
    links.edit_all(lambda local, text: _mended(text, {local(url): uri for url, uri in uris.items()}, kit))


def _call(note: Note) -> tuple[str, str | None]:
    """Return the id and the source's name of an image, as outcomes have them."""
    if note.reference is None:
        return "", None
    source = note.reference.kwargs.get("source")
    return note.reference.generator_id, source if isinstance(source, str) else None


def _mended(text: str, uris: Mapping[str, str], kit: ImageKit) -> str:
    if not any(url in text for url in uris):
        return text
    if kit.settings.on_error == "omit":
        text = rewrite_images(text, _without(uris))
    # Digests make the URLs unique, so that they can be found in style sheets, scripts and feeds too.
    for url, uri in uris.items():
        text = text.replace(url, uri)
    return text


def _without(uris: Mapping[str, str]) -> Callable[[Attributes], Attributes | None]:
    return lambda attributes: None if attributes.get("src") in uris else {}


def _promised_size(kit: ImageKit, note: Note) -> Size:
    """Return the size in pixels that pages reserve for an image."""
    if note.reference is None:
        return DEFAULT_SIZE
    try:
        file = kit.cachefile(note.reference.generator_id, **keywords_of(note.reference, kit))
        return file.promised_size or DEFAULT_SIZE
    except (ImageKitError, NotPlain) as error:
        logger.debug("The size of %s is unknown: %s", note, error)
        return DEFAULT_SIZE
