"""Names of images in articles: beside the article or below the content folder, with `{static}` and `{attach}`."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote, urlsplit

from jinja2.runtime import Context
from pelican.contents import Content, Static

from ..exceptions import SourceError, SourceNotAllowed, SourceNotFound
from ..settings import Settings
from ..sources import Source

# Pelican's own links, in both of its spellings: {static}a.jpg and |static|a.jpg.
_LINK = re.compile(r"[{|](?:static|attach|filename)[|}](.*)", re.DOTALL)

# Metadata that may name an image: a Pelican link, or a single line that ends like a file name.
_MAY_NAME_A_FILE = re.compile(r"[{|](?:static|attach|filename)[|}].+|[^\n]+\.[A-Za-z0-9]{2,5}")


class ContentName(str):
    """A value in an article's metadata that may name an image, and remembers what the article says about it.

    Attributes:
        folder: The article's folder, relative to the content folder.
        said: `focus` and `alt`, as far as the article has them: beside `photo`, `photo_focus` and `photo_alt`.
    """

    folder: str = ""
    said: Mapping[str, str] = MappingProxyType({})


def said_of(value: object) -> Mapping[str, str]:
    """Return what an article says about an image that its metadata names."""
    return value.said if isinstance(value, ContentName) else {}


class MissingImage:
    """A missing image, which raises its error only when used, since a template may have a policy for that.

    Args:
        name: Its name in the template.
        reason: Where it was looked for.
    """

    def __init__(self, name: str, reason: str) -> None:
        self._name = name
        self._reason = reason

    def imagekit_source(self) -> Source:
        """Raise `SourceNotFound`."""
        raise SourceNotFound(self._name, self._reason)


def mark_names(content: Content) -> None:
    """Have metadata that may name an image remember the folder of its article or page."""
    if isinstance(content, Static) or not content.source_path:
        return
    for key, value in content.metadata.items():
        if type(value) is str and _MAY_NAME_A_FILE.fullmatch(value) and getattr(content, key.lower(), None) == value:
            name = ContentName(value)
            name.folder = content.relative_dir
            beside = {what: content.metadata.get(f"{key}_{what}") for what in ("focus", "alt")}
            name.said = {what: said for what, said in beside.items() if isinstance(said, str)}
            content.metadata[key] = name
            setattr(content, key.lower(), name)


class SourceNames:
    """Converts the names of images in templates and articles into names below the source folders.

    A relative name is looked for beside the article, then in the content folder; one with a leading slash, in the
    content folder. `{static}` and `{attach}` mean what they mean in Pelican. Whether a file may be read is not decided
    here.

    Args:
        settings: The kit's settings.
        site_url: The site's URL, which may precede a name.
        lookup: Returns what has a name, in buckets too; None for folders alone.
    """

    def __init__(self, settings: Settings, site_url: str, lookup: Callable[[str], object] | None = None) -> None:
        self._settings = settings
        self._lookup = lookup if settings.buckets else None
        self._site_url = site_url
        # Files come and go between runs, so each run has its own object of this class.
        self._found: dict[tuple[str, str | None], str | MissingImage] = {}
        self._folders: dict[str, str] = {}

    def folder_of(self, content: object) -> str | None:
        """Return the folder of an article or page, relative to the content folder; None for anything else."""
        if not isinstance(content, Content) or not content.source_path:
            return None
        folder = self._folders.get(content.source_path)
        if folder is None:
            folder = self._folders[content.source_path] = content.relative_dir
        return folder

    def locate(self, value: Any, context: Context) -> Any:
        """Return a source in the form that the kit takes, for a value in the template of an article or page."""
        return self.source(value, context.get("article") or context.get("page"))

    def source(self, value: Any, content: object = None) -> Any:
        """Return a source in the form that the kit takes.

        Args:
            value: The value in a template or article; anything but a string is returned unchanged.
            content: The article or page that is being rendered, if any.
        """
        if not isinstance(value, str) or not value:
            return value
        folder = value.folder if isinstance(value, ContentName) else self.folder_of(content)
        text = str.__str__(value)
        found = self._found.get((text, folder))
        if found is None:
            found = self._found[text, folder] = self._find(text, folder)
        return found

    def is_elsewhere(self, url: str) -> bool:
        """Tell whether a URL leads to another site's image."""
        try:
            parts = urlsplit(url)
        except ValueError:
            return True
        return bool(parts.scheme or parts.netloc) and not self._is_own(url)

    def _is_own(self, url: str) -> bool:
        return bool(self._site_url) and url.startswith(f"{self._site_url}/")

    def _find(self, text: str, folder: str | None) -> str | MissingImage:
        if "\0" in text:
            return text
        names = list(dict.fromkeys(self._candidates(text, folder)))
        for name in names:
            if any(map(os.path.lexists, self._settings.source_paths(name.split("/")))) or self._is_in_bucket(name):
                return name
        if not names:
            # It leads out of the content folder, for which the kit has its own error.
            return text
        return MissingImage(text, f"no such file; looked for {' and '.join(names)} below the content folder")

    def _is_in_bucket(self, name: str) -> bool:
        try:
            return self._lookup is not None and self._lookup(name) is not None
        except SourceNotAllowed:
            return False
        except SourceError:
            # Whoever makes the image says that the bucket does not answer.
            return True

    def _candidates(self, text: str, folder: str | None) -> Iterator[str]:
        if self._is_own(text):
            text = text[len(self._site_url) :]
        link = _LINK.fullmatch(text)
        text = link[1] if link else text
        # As the browser asks for it, last: a file's name may hold a question mark.
        asked = re.split("[?#]", text, maxsplit=1)[0]
        for spelling in (text, unquote(text), unquote(asked)):
            beside = folder is not None and not spelling.startswith("/")
            paths = [posixpath.join(str(folder), spelling)] if beside else []
            # As in Pelican, a relative {static} link is beside the article or nowhere.
            paths += [] if link and beside else [spelling.lstrip("/")]
            for path in map(posixpath.normpath, paths):
                if path != "." and path != ".." and not path.startswith("../"):
                    yield path
