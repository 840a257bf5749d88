"""What the routes of hosts serve: where cache files are, how they may be kept, and the making of promised ones."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from contextlib import suppress
from email.utils import formatdate, parsedate_to_datetime
from functools import cached_property
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from .cachefiles.backends import Simple, name_of
from .cachefiles.references import NotPlain, keywords_of
from .cachefiles.strategies import OnRequest
from .exceptions import ImageKitError, StorageError
from .images import mimetype_of_name
from .pregenerate.run import available_cores
from .state.locks import Slots

if TYPE_CHECKING:
    from .interfaces import StoredFile
    from .kit import ImageKit

__all__ = ["Answer", "Serving"]

logger = logging.getLogger("jinja_imagekit.serving")

YEAR = 31_536_000
"""Seconds: the longest time that HTTP caches keep a response (RFC 2616, 14.21). Names hold a digest."""

Header = Callable[[str], str | None]
"""Returns a header of a request, by its name in small letters; None where there is none."""

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


class Answer(NamedTuple):
    """What a host sends to who asks for a cache file, the same in each of them.

    Attributes:
        status: 200, 206 (a part of the file), 302 (it is elsewhere now), 304 (the visitor has it), 416 (no such part).
        headers: All headers.
        content: The body.
    """

    status: int
    headers: dict[str, str]
    content: bytes = b""


class Serving:
    """What a host's route needs to serve a kit's cache files; from now on, `OnRequest` promises files.

    Args:
        kit: The kit.
    """

    def __init__(self, kit: ImageKit) -> None:
        self._kit = kit
        kit.promises.are_served = True

    def respond(self, name: str, method: str, header: Header) -> Answer | None:
        """Return what a request for a cache file is answered with, which is made first if a page was promised it.

        None stands for a file that does not exist and cannot be made: the host's own 404.

        Args:
            name: Its name in the kit's storage, which comes from a visitor.
            method: `"GET"` or `"HEAD"`.
            header: Returns a header of the request by its name.
        """
        # Somebody else may have made it between the two looks.
        return (
            self.existing(name, method, header)
            or self.moved(name, self.make(name))
            or self.existing(name, method, header)
        )

    def existing(self, name: str, method: str, header: Header) -> Answer | None:
        """Return what `respond` does for a file that exists on this machine; None for any other."""
        storage = self._kit.storage
        try:
            stored = storage.stat(name) if storage.path(name) else None
            if stored is None:
                return None
            with storage.open(name) as file:
                return self._answer(name, file, stored, method, header)
        except StorageError:
            return None

    def moved(self, name: str, made: str | None) -> Answer | None:
        """Return the redirect to what `make` has made under another name; None if it has not."""
        if made is None or made == name:
            return None
        return Answer(302, {"Location": self._kit.storage.url(made), "Cache-Control": "no-store"})

    def is_promised(self, name: str) -> bool:
        """Tell whether a page was promised a file of this name."""
        return self._kit.promises.find(name) is not None

    def make(self, name: str) -> str | None:
        """Make a file that a page was promised, and return its name; None for any other, or if it cannot be made.

        Whoever asks for a file that is being made waits for it, and only as many are made at a time as `OnRequest`
        says. The name is another one if the source or the spec has changed since the page was rendered.

        Args:
            name: What the page calls it, which comes from a visitor.
        """
        reference = self._kit.promises.find(name)
        if reference is None:
            return None
        try:
            file = self._kit.cachefile(reference.generator_id, **keywords_of(reference, self._kit))
            made = name_of(file)
            # Those who wait for the same file hold no slot meanwhile. It is not the lock under which a file is made: a
            # file whose source is another one takes that of its source, while it holds a slot.
            with file.records.store.lock(f"\0request:{made}"):
                if not file.cachefile_backend.exists(file):
                    with self._slots.hold():
                        Simple().generate(file)
            made = name_of(file)
        except (ImageKitError, NotPlain) as error:
            logger.error("Cache file %r could not be made for who asked for it: %s", name, error)
            return None
        if made == name:
            self._kit.promises.drop(name)
        return made

    @property
    def at_a_time(self) -> int:
        """How many files are made at a time."""
        strategy = self._kit.cachefile_strategy
        return (strategy.at_a_time if isinstance(strategy, OnRequest) else None) or available_cores()

    @cached_property
    def _slots(self) -> Slots:
        settings = self._kit.settings
        return Slots(
            self._kit.promises.slots,
            self.at_a_time,
            settings.state_directory_permissions,
            settings.state_file_permissions,
        )

    def _answer(self, name: str, file: BinaryIO, stored: StoredFile, method: str, header: Header) -> Answer:
        # The style sheet is the only file whose content changes under its name.
        changes = name == self._kit.pictures.stylesheet
        seconds = stored.modified_ns // 1_000_000_000
        tag, date = f'"{stored.modified_ns:x}-{stored.size:x}"', formatdate(seconds, usegmt=True)
        headers = {
            "Cache-Control": "no-cache" if changes else f"public, max-age={YEAR}, immutable",
            "X-Content-Type-Options": "nosniff",
            # An SVG opened on its own could run scripts in the site's origin.
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
            "ETag": tag,
        }
        if _has_copy(tag, seconds, header):
            return Answer(304, headers)
        size = file.seek(0, os.SEEK_END)
        is_whole = method != "GET" or (header("if-range") or tag) not in (tag, date)
        part = None if is_whole else _part(header("range") or "", size)
        start, stop = part or (0, size)
        if part:
            if start >= stop:
                return Answer(416, {"Content-Range": f"bytes */{size}", "Content-Length": "0"})
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        headers |= {
            "Content-Type": mimetype_of_name(name),
            "Content-Length": str(stop - start),
            "Last-Modified": date,
            "Accept-Ranges": "bytes",
        }
        file.seek(start)
        return Answer(206 if part else 200, headers, file.read(stop - start) if method == "GET" else b"")


def _has_copy(tag: str, seconds: int, header: Header) -> bool:
    """Tell whether a visitor has a current copy (RFC 9110, 13.2.2)."""
    tags = header("if-none-match")
    if tags is not None:
        return tags.strip() == "*" or tag in [each.strip().removeprefix("W/") for each in tags.split(",")]
    with suppress(ValueError, OverflowError):
        return seconds <= parsedate_to_datetime(header("if-modified-since") or "").timestamp()
    return False


def _part(asked: str, size: int) -> tuple[int, int] | None:
    """Return where the part that a visitor asks for begins and ends; None for the whole (RFC 9110, 14.1.2).

    A part that begins after its end is one that the file does not have. Several at once are answered with the whole.
    """
    found = _RANGE.fullmatch(asked.strip())
    first, last = found.groups() if found else ("", "")
    if not first:
        return (max(size - int(last), 0), size) if last else None
    if last and int(last) < int(first):
        return None
    return int(first), min(int(last) + 1, size) if last else size
