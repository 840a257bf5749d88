"""The page that is being written: where it is in its site, and which of its images load first."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from urllib.parse import quote, urlsplit

LARGE = 50_000
"""Square pixels, as shown: a smaller image is hardly the one that a page is waited for (WordPress, since 6.3)."""

NEUTRAL = 2
"""How many images after the first large one load as the browser sees fit: they may be in sight, too."""

URLS = ("absolute", "relative")
"""What URLs of images in a page begin with: the site's root, or the page's own folder."""


class Page:
    """A page, as far as its images need to know it.

    Args:
        path: Its path below the site's root, such as `"blog/canal/index.html"`.
        root: The URL path that the site's pages are below.

    Attributes:
        path: Its path.
        folder: The URL path, from the server's root, that relative URLs begin at, with a slash at its end.
        turns: How many of its images, from the first large one on, do not load lazily; what comes next depends on it.
    """

    def __init__(self, path: str, root: str = "/") -> None:
        self.path = path.lstrip("/")
        self.folder = posixpath.dirname(f"{root.rstrip('/')}/{quote(self.path)}").rstrip("/") + "/"
        self.turns = 0
        # A server shows it in the place of any page.
        self._is_elsewhere = self.path == "404.html"

    def turn(self, area: int, loading: str | None = None, fetchpriority: str | None = None) -> str:
        """Return how the page's next image is to load: "first", "neutral" or "lazy".

        The first large one is what the page is waited for; the next two may be in sight, and the rest can wait. An
        image whose author has it wait takes no turn.

        Args:
            area: Square pixels at which the page shows it.
            loading: The author's attribute.
            fetchpriority: The author's attribute.

        Example:
            >>> page = Page("index.html")
            >>> [page.turn(area) for area in (900, 90_000, 900, 90_000, 90_000)]
            ['lazy', 'first', 'neutral', 'neutral', 'lazy']
        """
        if loading == "lazy" or fetchpriority == "low":
            return "lazy"
        if self.turns == 0:
            if area < LARGE and fetchpriority != "high":
                return "lazy"
            self.turns = 1
            return "first"
        if self.turns <= NEUTRAL:
            self.turns += 1
            return "neutral"
        return "lazy"

    def rebase(self, folder: str | None) -> None:
        """Have relative URLs begin at another folder, as `<base href>` says; None for one of another host."""
        self._is_elsewhere = folder is None
        self.folder = folder or self.folder

    def relative(self, url: str) -> str:
        """Return a URL of the page's own server as seen from the page; any other unchanged.

        Example:
            >>> Page("blog/index.html").relative("/CACHE")
            '../CACHE'
        """
        if self._is_elsewhere or not url.startswith("/") or url.startswith("//"):
            return url
        return posixpath.relpath(urlsplit(url).path, self.folder)


_page: ContextVar[Page | None] = ContextVar("imagekit_page", default=None)


def current_page() -> Page | None:
    """Return the page that is being written; None outside of pages."""
    return _page.get()


@contextmanager
def writing(page: Page | None) -> Iterator[Page | None]:
    """Have `current_page` return this page within a block; None for what is outside of all pages."""
    token = _page.set(page)
    try:
        yield page
    finally:
        _page.reset(token)
