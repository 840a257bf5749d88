"""URLs of images as Pelican's settings want them: below `SITEURL`, relative to each page, absolute in feeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

PLACEHOLDER = "/__imagekit_site__"
"""Stands for the site's URL until a page is written: a template does not know which page it renders."""

Localize = Callable[[str], str]
"""Turns a URL of the kit into the one that a page has."""


class SiteLinks:
    """How the URLs of images begin, and the files in which they stand.

    Args:
        config: Pelican's settings.

    Attributes:
        feed_root: What URLs begin with in feeds, without a slash at the end.
        differ: Whether they begin differently on each page, or in feeds.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        site_url = config.get("SITEURL") or ""
        self.feed_root: str = site_url or (config.get("FEED_DOMAIN") or "").rstrip("/")
        own = config.get("IMAGEKIT_BASE_URL")
        self.differ = own is None and (bool(config.get("RELATIVE_URLS")) or self.feed_root != site_url)
        self._roots: dict[Path, str] = {}

    @property
    def base_url(self) -> str:
        """The `base_url` of the kit."""
        return f"{PLACEHOLDER if self.differ else self.feed_root}/"

    def link_page(self, path: str, context: Mapping[str, Any]) -> None:
        """Put the URL that leads from a page to the site into the page's file.

        Args:
            path: The file that was written.
            context: What the page was rendered with.
        """
        self._link(Path(path), context.get("localsiteurl") or "")

    def link_feed(self, path: str) -> None:
        """Put the site's URL into a feed's file.

        Args:
            path: The file that was written.
        """
        self._link(Path(path), self.feed_root)

    def _link(self, path: Path, root: str) -> None:
        self._roots[path] = root
        if self.differ:
            _edit(path, lambda text: text.replace(PLACEHOLDER, root))

    def edit_all(self, change: Callable[[Localize, str], str]) -> None:
        """Change the text of all pages and feeds that were written.

        Args:
            change: Called with what turns a URL of the kit into that of a page, and with the page's text; returns its
                new text.
        """
        for path, root in self._roots.items():
            # Another plugin may have taken it away.
            if path.exists():
                _edit(path, partial(change, partial(self._local, root)))

    def _local(self, root: str, url: str) -> str:
        return url.replace(PLACEHOLDER, root, 1) if self.differ else url


def _edit(path: Path, change: Callable[[str], str]) -> None:
    # Bytes, since text mode would write other line ends than it read.
    before = path.read_bytes()
    after = change(before.decode("utf-8")).encode("utf-8")
    if after != before:
        path.write_bytes(after)
