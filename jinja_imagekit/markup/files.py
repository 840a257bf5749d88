"""Pages in a folder: which there are, how their bytes are read, and how a page is replaced."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from .transform import is_feed

PAGES = (".html", ".htm", ".xhtml", ".xht")
"""Extensions of pages."""

FEEDS = (".xml", ".rss", ".atom", ".rdf")
"""Extensions of what may be a feed."""

PRESCAN = 1024
"""Bytes in which a page says its encoding (HTML Living Standard, 4.2.5.4)."""

_DECLARED = re.compile(
    rb"""<\?xml[^>]*\sencoding\s*=\s*["']\s*([A-Za-z0-9._:-]+)|<meta[^>]*\scharset\s*=\s*["']?\s*([A-Za-z0-9._:-]+)"""
    rb"""|<meta[^>]*\scontent\s*=\s*["'][^"'>]*charset\s*=\s*([A-Za-z0-9._:-]+)""",
    re.IGNORECASE,
)

_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


def pages_in(folder: str, left_out: str = "") -> Iterator[str]:
    """Yield the paths of the pages and feeds in a folder, relative to it, in their order.

    Symbolic links and hidden folders are left aside.

    Args:
        folder: The folder.
        left_out: A folder in it that holds no pages, as a relative path.
    """
    for path, folders, names in os.walk(folder):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        below = os.path.relpath(path, folder)
        below = "" if below == os.curdir else f"{below.replace(os.sep, '/')}/"
        if left_out and f"{below}" == f"{left_out}/":
            folders[:] = []
            continue
        for name in sorted(names):
            if name.lower().endswith((*PAGES, *FEEDS)) and not os.path.islink(os.path.join(path, name)):
                yield f"{below}{name}"


class Text(NamedTuple):
    """A page's text, and how it is written in its file.

    Attributes:
        text: The text, in which bytes that the encoding does not know are kept.
        encoding: By Python's name.
    """

    text: str
    encoding: str

    @classmethod
    def of(cls, data: bytes) -> Text:
        """Return the text of a page.

        Example:
            >>> Text.of(b'<meta charset="iso-8859-1">\\xe9').text[-1]
            'é'
        """
        encoding = next((name for mark, name in _MARKS if data.startswith(mark)), None) or _declared(data)
        try:
            text = data.decode(encoding)
            if text.encode(encoding) == data:
                return cls(text, encoding)
        except ValueError:
            pass
        # Whatever it says, ASCII is what tags are written in.
        return cls(data.decode("utf-8", "surrogateescape"), "utf-8")

    def encoded(self, text: str) -> bytes:
        """Return another text as bytes of the same encoding."""
        if self.encoding == "utf-8":
            return text.encode("utf-8", "surrogateescape")
        return text.encode(self.encoding, "xmlcharrefreplace")


def _declared(data: bytes) -> str:
    found = _DECLARED.search(data[:PRESCAN])
    name = next((each for each in found.groups() if each), b"utf-8").decode() if found else "utf-8"
    try:
        known = codecs.lookup(name)
    except LookupError:
        return "utf-8"
    # No browser believes a page in ASCII that its bytes are two each, and Python's other codecs are no encodings.
    if not known._is_text_encoding or known.name.startswith(("utf-16", "utf-32", "utf-7")):
        return "utf-8"
    # Windows-1252 lacks five bytes, which Latin-1 keeps.
    return "iso8859-1" if known.name in ("cp1252", "ascii") else known.name


def may_be_page(name: str, data: bytes) -> bool:
    """Tell whether a file is a page, or a feed rather than other XML."""
    return name.lower().endswith(PAGES) or is_feed(data[:PRESCAN].decode("utf-8", "replace"))


def path_of(folder: str, page: str) -> Path:
    """Return where a page's file is."""
    return Path(folder, *page.split("/"))
