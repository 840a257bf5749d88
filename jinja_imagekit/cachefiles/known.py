"""A cache file that is known, and a glance at the disk by which it is verified, along with others or alone."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup

from ..html import img_tag
from ..sources import Signature, signature_of
from ..storages.folder import FileSystemStorage, join_url

if TYPE_CHECKING:
    from ..sources.buckets import Bucket

Made = tuple[str, int, int, int]
"""A cache file that is there, made of the current version of its source: its name, bytes, width and height."""

MOST_SEEN = 1_000
"""How many sources a glance remembers."""

NO_END = "\n"
"""Where there is no source: no answer ends with a line."""

_TEXT = frozenset({str})
_NO_HTML = Markup()


class Place(NamedTuple):
    """Where a source lies.

    Attributes:
        path: Its path, or what stands for it where it is in a bucket.
        absent: Paths that are tried first and do not exist.
        bucket: The bucket; None for a file on this machine.
        inner: Its name there.
    """

    path: str
    absent: tuple[str, ...] = ()
    bucket: Bucket | None = None
    inner: str = ""

    def version(self) -> Signature | None:
        """Return the source's signature, by one stat or by what a bucket has said of late; None where nothing tells."""
        if self.bucket is not None:
            return self.bucket.latest(self.inner)
        return signature_of(self.path)

    def end(self) -> str:
        """Return how an answer in the state store ends that is about the source's version, which is asked for."""
        if self.bucket is not None:
            version = self.bucket.latest(self.inner)
            return end_of(version) if version else NO_END
        try:
            # Spelt out: a run asks it for each source.
            found = os.stat(self.path)
            return f",{found.st_size},{found.st_mtime_ns},{found.st_ino},{found.st_ctime_ns}]"
        except (OSError, ValueError):
            return NO_END


@dataclass(slots=True, eq=False)
class KnownFile:
    """A cache file that is current as long as neither its source nor the file itself has changed."""

    name: str
    path: str
    size: int
    width: int
    height: int
    source: Place
    signature: Signature
    storage: FileSystemStorage
    is_promised: bool = False
    """Whether its strategy takes the file for made, so that it need not be there yet."""
    has_subject: bool = False
    """Whether the source's metadata says where its subject is."""
    _url: tuple[str, str] = "", ""
    _html: tuple[str, tuple[tuple[str, object], ...], Markup] = "", (), _NO_HTML

    @property
    def made(self) -> Made:
        """What a run tells of it."""
        return self.name, self.size, self.width, self.height

    @property
    def url(self) -> str:
        """The URL from which the site serves the file."""
        base, url = self._url
        # Each request may have its own base URL.
        now = self.storage.base_url
        if base != now or not url:
            # Whoever worked out the path has checked the name.
            url = join_url(now, self.name)
            self._url = now, url
        return url

    def html(self, attributes: Mapping[str, object]) -> Markup:
        """Return its `<img>`, with an author's attributes; most often a page asks for what it asked for before."""
        url, given = self.url, tuple(attributes.items())
        known, before, markup = self._html
        # What equals a text need not look like it: `Markup` is not escaped again.
        are_texts = _TEXT.issuperset(map(type, attributes.values()))
        if known is url and before == given and are_texts:
            return markup
        markup = img_tag(url, self.width, self.height, attributes)
        if are_texts:
            self._html = url, given, markup
        return markup

    def is_current(self) -> bool:
        """Tell whether source and file are unchanged, by one stat of each, or by what a bucket has said of late."""
        place = self.source
        if place.bucket is not None or place.absent:
            return place.version() == self.signature and self.is_there()
        try:
            # Spelt out: this is asked for each tag.
            found = os.stat(place.path)
            if (found.st_size, found.st_mtime_ns, found.st_ino, found.st_ctime_ns) != self.signature:
                return False
            return self.is_promised or os.lstat(self.path).st_size == self.size
        except OSError:
            return False

    def is_there(self) -> bool:
        """Tell whether the file is there, if it is not promised, and nothing has taken the place of the source."""
        try:
            if not self.is_promised and os.lstat(self.path).st_size != self.size:
                return False
        except OSError:
            return False
        absent = self.source.absent
        return not absent or not any(os.path.lexists(path) for path in absent)


class Seen:
    """A source, as it is seen.

    Args:
        name: Its name in the state store.
        place: Where it lies; None where there is none of that name.

    Attributes:
        end: How an answer in the state store ends that is about the source's version; empty before it was looked at.
    """

    __slots__ = ("end", "name", "place")

    def __init__(self, name: str, place: Place | None) -> None:
        self.name, self.place = name, place
        self.end = ""


class Glance:
    """What is seen of the disk at one time: each source and each folder of cache files is looked at once.

    What is forgotten again, so that a look over a million files takes no memory, was seen a thousand sources ago.

    Args:
        whereabouts: Returns a source's name in the state store and where it lies, as `KnownFiles.whereabouts`.

    Attributes:
        begun: When the first of them may have been looked at, by the monotonic clock.
    """

    def __init__(self, whereabouts: Callable[[str], tuple[str, Place | None]]) -> None:
        self._whereabouts = whereabouts
        self._sources: dict[str, Seen] = {}
        self._ends: dict[str, str] = {}
        self._path_of: Callable[[str], str] | None = None
        self.begun = time.monotonic()

    def source(self, source: str) -> Seen:
        """Return what is seen of a source.

        Raises:
            SourceNotAllowed: Nothing may have the name.
        """
        seen = self._sources.get(source)
        if seen is None:
            if len(self._sources) >= MOST_SEEN:
                self._sources.clear()
            seen = self._sources[source] = Seen(*self._whereabouts(source))
        return seen

    def end_of(self, seen: Seen) -> str:
        """Return how an answer in the state store ends that is about a source's version, after one stat of it."""
        seen.end = self._end(seen.place) if seen.place else NO_END
        return seen.end

    def _end(self, place: Place) -> str:
        end = self._ends.get(place.path)
        if end is None:
            if len(self._ends) >= MOST_SEEN:
                self._ends.clear()
            end = self._ends[place.path] = place.end()
        return end

    def path_of(self, storage: FileSystemStorage) -> Callable[[str], str]:
        """Return what `FileSystemStorage.paths` does, the same each time."""
        if self._path_of is None:
            self._path_of = storage.paths()
        return self._path_of

    def is_current(self, known: KnownFile) -> bool:
        """Do what `KnownFile.is_current` does."""
        return self._end(known.source) == end_of(known.signature) and known.is_there()


def end_of(version: Signature) -> str:
    """Return how an answer in the state store ends that is about this version of a source."""
    size, modified, inode, changed = version
    return f",{size},{modified},{inode},{changed}]"
