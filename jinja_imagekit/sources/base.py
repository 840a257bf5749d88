"""`Source`: one image to start from (a file, bytes, an open file or upload), its bytes and what is known of them."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import copy
from inspect import iscoroutinefunction
from io import BytesIO
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, NamedTuple, Protocol, cast

from blake3 import blake3

from .. import images
from ..exceptions import ImageKitError, ImageTooLarge, UnreadableImage
from ..interfaces import Size
from ..no_links import open_file
from ..settings import Settings
from .names import bare_name, source_error, stream_name
from .posters import HEAD_BYTES, Posters, is_video

if TYPE_CHECKING:
    from ..images import Header, Layout, Limits, Original

DIGEST_BYTES = 16
"""128 bits: no two images share a digest by accident, and BLAKE3 lets nobody choose two that do."""

RACY_NS = 20_000_000
"""A file changed within the last 20 ms may change again under the same time stamp (Linux ticks every 1 to 10 ms)."""


class Signature(NamedTuple):
    """What a stat tells about a file's version.

    Attributes:
        size: Bytes.
        modified_ns: When the content was changed, which any program may set, in nanoseconds since the epoch.
        inode: The file's number on its disk.
        changed_ns: When anything of the file was changed, which no program may set; on Windows, when it was made.
    """

    size: int
    modified_ns: int
    inode: int
    changed_ns: int

    @classmethod
    def of(cls, facts: os.stat_result) -> Signature:
        """Return what a stat has told."""
        return cls(facts.st_size, facts.st_mtime_ns, facts.st_ino, facts.st_ctime_ns)

    @property
    def is_settled(self) -> bool:
        """Whether a change from now on would show in the times; a time to come is no reason to wait for it."""
        now = time.time_ns()
        return abs(now - self.modified_ns) > RACY_NS and abs(now - self.changed_ns) > RACY_NS


def signature_of(path: str) -> Signature | None:
    """Return what a stat tells about the version of a file; None if there is no file."""
    try:
        return Signature.of(os.stat(path))
    except (OSError, ValueError):
        return None


class SourceFacts(NamedTuple):
    """What is known about a source's content once it has been read."""

    digest: str
    header: Header | None
    problem: str | None
    """Why there is no header."""
    too_large: bool = False
    """Whether that is because the image exceeds a cap."""


class SourceMemory(Protocol):
    """Remembers the facts of files, so that an unchanged file is read once."""

    def recall(self, path: str, signature: Signature) -> SourceFacts | None:
        """Return the facts of this version of the file, if they are known."""

    def remember(self, path: str, signature: Signature, facts: SourceFacts) -> None:
        """Keep the facts of this version of the file."""


class Source(ABC):
    """One image to start from.

    Attributes:
        name: A relative POSIX path or a bare file name; it names the cache file's folder, and is never opened.
        original: What the caller handed over.
        reference: A plain value that leads to the same source in another process, or None if there is none.
    """

    name: str = ""
    original: Any = None
    reference: str | None = None
    is_original: ClassVar[bool] = True
    """Whether its content is there, and need not be made first."""
    _examined: tuple[Header, Layout] | None = None
    is_kept: ClassVar[bool] = False
    """Whether it is a file of the site, whose coded pixels a result may have; bytes and streams may be anybody's."""
    _stays: ClassVar[bool] = False
    """Whether each read gives the bytes that `facts_of` saw last; a stream may give others each time."""
    _is_measured: ClassVar[bool] = False
    """Whether `read` knows the size before it opens the source."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._facts: SourceFacts | None = None

    def capped(self, limits: Limits) -> Source:
        """Return this source with other caps on what is read; itself if they are the same."""
        if limits == self._limits:
            return self
        other = copy(self)
        other._limits, other._facts, other._examined = limits, None, None
        return other

    @abstractmethod
    def open(self) -> BinaryIO:
        """Return a new binary file at its start, which the caller closes.

        Raises:
            SourceError: The source cannot be used.
        """

    def read(self) -> bytes:
        """Return all bytes.

        Raises:
            SourceError: The source cannot be used.
            ImageTooLarge: It has more bytes than `max_source_bytes`.
        """
        most = self._limits.max_source_bytes
        try:
            with self.open() as file:
                # Asked for a number of bytes, Python allocates that many; asked for all, as many as a file has.
                data = file.read() if self._is_measured else file.read(most + 1)
        except ImageKitError:
            # Some of these are an OSError as well.
            raise
        except OSError as error:
            raise source_error(self.name, error) from error
        if len(data) > most:
            raise self._too_large()
        return data

    def as_original(self, limits: Limits) -> Original:
        """Return the image to decode, read afresh; its structure is not examined again if that was done for its facts.

        Args:
            limits: The caps on what is decoded.

        Raises:
            SourceError: As `read`.
        """
        data = self.read()
        examined = self._examined if self._stays and limits == self._limits else None
        return images.Original(data, name=self.name, limits=limits, examined=examined)

    def _too_large(self) -> ImageTooLarge:
        most = self._limits.max_source_bytes
        return ImageTooLarge(self.name, f"it has more than {most} bytes, which is the setting max_source_bytes")

    @property
    def facts(self) -> SourceFacts:
        """The digest and header, read once."""
        if self._facts is None:
            self._facts = self.facts_of(self.read())
        return self._facts

    def facts_of(self, data: bytes) -> SourceFacts:
        """Return the facts of bytes that were read from this source."""
        digest = blake3(data).hexdigest(length=DIGEST_BYTES)
        self._examined = None
        try:
            self._examined = images.examine(data, name=self.name, limits=self._limits)
        except UnreadableImage as error:
            return SourceFacts(digest, None, error.reason, isinstance(error, ImageTooLarge))
        return SourceFacts(digest, self._examined[0], None)

    @property
    def digest(self) -> str:
        """32 hexadecimal digits that stand for the content."""
        return (self._facts or self.facts).digest

    @property
    def header(self) -> Header:
        """Format and size.

        Raises:
            UnreadableImage: The content is not an image that may be read.
        """
        facts = self._facts or self.facts
        if facts.header is None:
            kind = ImageTooLarge if facts.too_large else UnreadableImage
            raise kind(self.name, facts.problem or "it is not an image")
        return facts.header

    def size(self, auto_orient: bool = True) -> Size:
        """Return width and height in pixels, as the image looks upright or, without `auto_orient`, as it is stored.

        Raises:
            UnreadableImage: The content is not an image that may be read.
        """
        return self.header.size(auto_orient)

    @property
    def is_vector(self) -> bool:
        """Whether it is an SVG, which is passed on unchanged."""
        header = (self._facts or self.facts).header
        return header is not None and header.is_vector

    @property
    def kept_format(self) -> str:
        """The format of results that keep the source's, by Pillow's name.

        Raises:
            UnreadableImage: The content is not an image that may be read.
        """
        return images.output_format(None, self.header)

    def fingerprint(self) -> str:
        """Return the digest, since what a generator makes of a source depends on its content.

        Raises:
            SourceError: The source cannot be used.
        """
        return self.digest

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"


class VersionedSource(Source):
    """A source of which a look tells whether it has changed, so that an unchanged one is not read again.

    Args:
        place: Its absolute path or URL, under which its facts are remembered.
        name: The source's name.
        limits: Caps on what is read.
        original: What the caller handed over.
        reference: How another process finds it.
        memory: Remembers facts between processes.
        page: Which page of a PDF it is.
        posters: Makes the image that stands for a video; None where videos are refused.

    Attributes:
        known_signature: The version that the facts describe; None until they are certain.
    """

    is_kept = True
    _stays = True
    _is_measured = True

    def __init__(
        self,
        place: str,
        name: str,
        limits: Limits,
        *,
        original: object = None,
        reference: str | None = None,
        memory: SourceMemory | None = None,
        page: int = 1,
        posters: Posters | None = None,
    ) -> None:
        super().__init__(limits)
        self.place = place
        self.name = name
        self.original = original
        self.reference = reference
        self.known_signature: Signature | None = None
        self._memory = memory
        self._page = page
        self._posters = posters

    @property
    def _memory_key(self) -> str:
        """What the memory knows this source by: its place, its page, and what would make a poster of it."""
        place = self.place if self._page == 1 else f"{self.place}#page={self._page}"
        return f"{place}#poster={self._posters.version}" if self._posters else place

    @abstractmethod
    def signature(self) -> Signature:
        """Return what tells its version.

        Raises:
            SourceNotFound: It is gone.
        """

    @property
    def facts(self) -> SourceFacts:
        """The digest and header; an unchanged source is not read again."""
        if self._facts is None:
            self._facts = self.recalled_facts()
        if self._facts is None:
            self.read()
        return cast(SourceFacts, self._facts)

    def recalled_facts(self) -> SourceFacts | None:
        """Return what is remembered about this version of the source, without reading it.

        Raises:
            SourceNotFound: It is gone.
        """
        if self._facts is None and self._memory:
            signature = self.signature()
            self._facts = self._memory.recall(self._memory_key, signature)
            if self._facts:
                self.known_signature = signature
        return self._facts

    def read(self) -> bytes:
        """Return all bytes; their digest and header are the source's facts from then on.

        Raises:
            SourceError: The source cannot be used.
            ImageTooLarge: It has more bytes than `max_source_bytes`.
        """
        before = self.signature()
        data, digest = self._content(before)
        if self._facts is None or before != self.known_signature:
            self._facts = self.facts_of(data)
            if digest is not None:
                self._facts = self._facts._replace(digest=digest())
            self._remember(before)
        return data

    def _content(self, version: Signature) -> tuple[bytes, Callable[[], str] | None]:
        """Return the image's bytes, and what works out its digest where they are not the source's own."""
        if self._posters and is_video(self._head(version)):
            return self._poster(self._posters, version)
        if version.size > self._limits.max_source_bytes:
            raise self._too_large()
        return images.with_page(super().read(), self._page), None

    def _poster(self, posters: Posters, version: Signature) -> tuple[bytes, Callable[[], str]]:
        """Return the poster of a video, and what works out the video's digest: while it is at hand for its poster."""
        found: list[str] = []

        @contextmanager
        def digested() -> Iterator[str]:
            with self._on_disk() as path:
                with open(path, "rb") as file:
                    found.append(posters.digest(file, DIGEST_BYTES))
                yield path

        def digest() -> str:
            if not found:
                with digested():
                    pass
            return found[0]

        return posters.make(self.place, self.name, version, digested), digest

    @abstractmethod
    def _head(self, version: Signature) -> bytes:
        """Return the first bytes, by which a video is told."""

    @abstractmethod
    def _on_disk(self) -> AbstractContextManager[str]:
        """Return a context in which the file is at a path on this machine."""

    def facts_of(self, data: bytes) -> SourceFacts:
        """Return the facts of bytes that were read from it; of no bytes, they say so."""
        return super().facts_of(data) if data else SourceFacts(blake3(b"").hexdigest(length=16), None, "it is empty")

    def __getstate__(self) -> dict[str, Any]:
        # The memory stays with the process that it belongs to.
        return {**vars(self), "_memory": None, "_examined": None}

    def _remember(self, before: Signature) -> None:
        self.known_signature = None
        if self._facts and self._is_still(before):
            self.known_signature = before
            if self._memory:
                self._memory.remember(self._memory_key, before, self._facts)

    def _is_still(self, version: Signature) -> bool:
        """Tell whether it is of this version still, and another one would have another signature."""
        return version.is_settled and self.signature() == version


class FileSource(VersionedSource):
    """A regular file on this machine's disk, open only while it is read.

    Args:
        path: The file's absolute path.
        name: The source's name.
        limits: Caps on what is read.
        absent: Paths that were tried first and did not exist; should one appear, it becomes the source.
        **given: What a `VersionedSource` takes besides.
    """

    def __init__(
        self,
        path: str,
        name: str,
        limits: Limits,
        *,
        absent: tuple[str, ...] = (),
        **given: Any,
    ) -> None:
        super().__init__(path, name, limits, **given)
        self.absent = absent

    @property
    def path(self) -> str:
        """The file's absolute path."""
        return self.place

    def open(self) -> BinaryIO:
        """Return the file, open for reading; only a regular file is ever opened, and through no link."""
        try:
            return open_file(self.path)
        except OSError as error:
            raise source_error(self.name, error) from error

    def signature(self) -> Signature:
        """Return what a stat tells about the file's version.

        Raises:
            SourceNotFound: The file is gone.
        """
        try:
            facts = os.stat(self.path)
        except OSError as error:
            raise source_error(self.name, error) from error
        return Signature.of(facts)

    def _head(self, version: Signature) -> bytes:
        with self.open() as file:
            return file.read(HEAD_BYTES)

    def _on_disk(self) -> AbstractContextManager[str]:
        return nullcontext(self.path)


class BytesSource(Source):
    """An image that is already in memory.

    Example:
        >>> source = BytesSource(b"GIF89a", name="button.gif")
    """

    _stays = True

    def __init__(self, data: bytes, name: str = "", limits: Limits | None = None) -> None:
        super().__init__(limits or images.Limits.from_settings(Settings()))
        self.name = bare_name(name)
        self.original = data
        self._data = data

    def open(self) -> BinaryIO:
        """Return the bytes as a file."""
        return BytesIO(self._data)


class StreamSource(Source):
    """An open file, an upload, or anything else with `read()`; it is not closed, and its position is kept."""

    def __init__(self, stream: Any, limits: Limits) -> None:
        super().__init__(limits)
        self.name = bare_name(stream_name(stream))
        # The uploads of asynchronous frameworks have the file itself inside.
        self.original = stream.file if iscoroutinefunction(stream.read) and hasattr(stream, "file") else stream
        self._data: bytes | None = None

    def open(self) -> BinaryIO:
        """Return the content as a file of its own."""
        if self._data is not None:
            return BytesIO(self._data)
        stream = self.original
        if getattr(stream, "closed", False):
            return self._reopen(stream)
        data = self._read_and_restore(stream)
        return BytesIO(data)

    def _reopen(self, stream: Any) -> BinaryIO:
        reopen: Callable[[], Any] | None = getattr(stream, "open", None)
        if reopen is None:
            raise UnreadableImage(self.name, "the file is closed and cannot be opened again; pass its path or bytes")
        try:
            reopen()
        except OSError as error:
            raise source_error(self.name, error) from error
        try:
            return BytesIO(self._read_and_restore(stream))
        finally:
            stream.close()

    def _read_and_restore(self, stream: Any) -> bytes:
        most = self._limits.max_source_bytes + 1
        try:
            position = stream.tell()
            stream.seek(0)
        except (AttributeError, OSError, ValueError):
            # What cannot be rewound is read once and kept.
            self._data = self._binary(stream.read(most))
            return self._data
        try:
            return self._binary(stream.read(most))
        finally:
            stream.seek(position)

    def _binary(self, data: object) -> bytes:
        if not isinstance(data, bytes):
            raise UnreadableImage(self.name, "it was opened as text; open it in binary mode ('rb')")
        return data


class NoSource:
    """Stands for a source that somebody lacks, and says why, should one be needed.

    Attributes:
        why: Such as "'photo' is undefined".
    """

    def __init__(self, why: str) -> None:
        self.why = why

    def imagekit_source(self) -> None:
        """Return None: there is none."""

    def __bool__(self) -> bool:
        return False


def source_of(generator: Any) -> Any:
    """Return what a generator starts from: what its `get_source()` returns, or else its `source`; None without both."""
    get_source = getattr(generator, "get_source", None)
    return get_source() if callable(get_source) else getattr(generator, "source", None)
