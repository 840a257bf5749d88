"""URLs of images as Pelican's settings want them: below `SITEURL`, relative to each page, absolute in feeds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

PLACEHOLDER = "/__imagekit_site__"
"""Stands for the site's URL until a page is written: a template does not know which page it renders."""


class SiteLinks(NamedTuple):
    """How the URLs of images begin.

    Attributes:
        feed_root: What they begin with in feeds, without a slash at the end.
        differ: Whether they begin differently on each page, or in feeds.
    """

    feed_root: str
    differ: bool

    @classmethod
    def from_pelican(cls, config: Mapping[str, Any]) -> SiteLinks:
        """Return what Pelican's settings say.

        Args:
            config: Pelican's settings.
        """
        site_url = config.get("SITEURL") or ""
        feed_root = site_url or (config.get("FEED_DOMAIN") or "").rstrip("/")
        own = config.get("IMAGEKIT_BASE_URL")
        return cls(feed_root, own is None and (bool(config.get("RELATIVE_URLS")) or feed_root != site_url))

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
        self._link(path, context.get("localsiteurl") or "")

    def link_feed(self, path: str) -> None:
        """Put the site's URL into a feed's file.

        Args:
            path: The file that was written.
        """
        self._link(path, self.feed_root)

    def _link(self, path: str, root: str) -> None:
        if not self.differ:
            return
        file = Path(path)
        text = file.read_bytes()
        if PLACEHOLDER.encode() in text:
            file.write_bytes(text.replace(PLACEHOLDER.encode(), root.encode()))
