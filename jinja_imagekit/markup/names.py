"""Which source a URL in a page means: relative to the page, to the site, or in a source folder."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from ..exceptions import SourceError, SourceNotAllowed
from ..imageinfo import SIDECAR_SUFFIX
from ..sources import Signature, file_and_page, name_parts, signature_of

if TYPE_CHECKING:
    from ..kit import ImageKit

Locate = Callable[[str], Any]
"""Returns the source that a URL in a page stands for, for hosts that know better; None leaves it to the kit."""

SPACE = "\t\n\f\r "
"""What HTML takes for white space."""

_FURTHER = re.compile("[?#].*", re.DOTALL)
"""What follows the path of a URL."""


class SiteNames:
    """Finds the sources that the URLs in pages mean.

    Whether a file may be read is not decided here.

    Args:
        kit: The kit.

    Attributes:
        looked: The paths that were looked at, with what a stat says of each, where somebody wants to know.
    """

    looked: dict[str, Signature | None] | None = None

    def __init__(self, kit: ImageKit) -> None:
        self._kit = kit
        self._root = kit.settings.site_root
        self._own = f"{kit.settings.cachefile_dir}/".lstrip("/")
        self._own_folder = os.path.join(os.path.realpath(kit.settings.location), self._own)

    def source(self, url: str, folder: str) -> str | None:
        """Return the name of the source that a URL means; None if it means none.

        Args:
            url: The URL as written.
            folder: The URL path that it is relative to, with a slash at its end.
        """
        url = url.strip(SPACE)
        path = self.path_of(url)
        if path is None:
            served = self._first(self._served(unquote(_FURTHER.sub("", url))))
            remote, there = self._kit.sources.remote, f"https:{url}" if url.startswith("//") else url
            return served or (there if remote is not None and remote.allows(there) else None)
        # The fragment of a URL says nothing of an image, but which page of a PDF is meant.
        whole = f"{path}#{url.partition('#')[2]}"
        return self._first(self.names(whole if file_and_page(whole)[1] > 1 else path, folder))

    def _first(self, names: Iterable[str]) -> str | None:
        for name in names:
            # What templates have made already is no source.
            if self._own and name.startswith(self._own):
                continue
            try:
                found = self._kit.sources.lookup(name)
            except SourceNotAllowed:
                continue
            except SourceError:
                # Whoever makes the image says that a disk or a bucket does not answer.
                return "/".join(name_parts(name))
            finally:
                self._look(name)
            if found is not None:
                return found.name
        return None

    def _look(self, name: str) -> None:
        if self.looked is not None and "\0" not in name:
            for path in self._kit.settings.source_paths(name.split("/")):
                self.looked[path] = signature_of(path)
                sidecar = f"{path}{SIDECAR_SUFFIX}"
                self.looked[sidecar] = signature_of(sidecar)

    def path_of(self, url: str) -> str | None:
        """Return the path of a URL of the site itself; None for any other, and for a mere fragment."""
        try:
            parts = urlsplit(url)
        except ValueError:
            return None
        if parts.scheme or parts.netloc:
            site = urlsplit(self._kit.settings.site_url)
            if not site.netloc or parts.netloc.lower() != site.netloc.lower() or parts.scheme not in _WEB:
                return None
            return unquote(parts.path) or "/"
        return unquote(parts.path) or None

    def names(self, path: str, folder: str) -> list[str]:
        """Return the names that a path may stand for, in the order in which they are looked up.

        Args:
            path: The path of a URL.
            folder: The URL path that it is relative to, with a slash at its end.
        """
        return list(dict.fromkeys(self._names(path, folder)))

    def _names(self, path: str, folder: str) -> Iterator[str]:
        if "\0" in path or path.endswith("/"):
            return
        here = posixpath.join(unquote(folder), path)
        yield from self._served(posixpath.normpath(here))
        if not path.startswith("/"):
            yield self._within(here)
        yield self._within(path if path.startswith("/") else f"{self._root}{path}")
        yield posixpath.normpath(f"/{path}").lstrip("/")

    def _served(self, url: str) -> Iterator[str]:
        """Yield the names of the sources that a host's own folders have at a URL."""
        for beginning, folder in self._kit.served_folders():
            within = url.removeprefix(beginning)
            if url.startswith(beginning) and "\0" not in url and ".." not in within.split("/"):
                path = os.path.realpath(os.path.join(folder, within))
                name = None if path.startswith(self._own_folder) else self._kit.sources.name_at(path)
                if name is not None:
                    yield name

    def _within(self, path: str) -> str:
        # As browsers do, and as no path may climb out of the site: ".." of the root is the root.
        path = posixpath.normpath(f"/{path.lstrip('/')}")
        root = unquote(self._root).rstrip("/")
        return (path.removeprefix(root) if path.startswith(f"{root}/") else path).lstrip("/")


_WEB = ("", "http", "https")
