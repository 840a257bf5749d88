"""Turns whatever a template calls a source into one `Source`: a name, its bytes, a digest of them."""

from __future__ import annotations

import os
import stat
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, BinaryIO, NamedTuple, Protocol, cast

from blake3 import blake3

from .exceptions import ImageTooLarge, SourceError, SourceNotAllowed, SourceNotFound, UnreadableImage
from .images import Header, Limits, output_format, read_header
from .interfaces import Size
from .settings import Settings

DIGEST_BYTES = 16
"""128 bits: no two images share a digest by accident, and BLAKE3 lets nobody choose two that do."""

RACY_NS = 20_000_000
"""A file changed within the last 20 ms may change again under the same time stamp (Linux ticks every 1 to 10 ms)."""


class Signature(NamedTuple):
    """What a stat tells of a file's version."""

    size: int
    modified_ns: int
    inode: int

    @classmethod
    def of(cls, facts: os.stat_result) -> Signature:
        """Return the signature within a stat result."""
        return cls(facts.st_size, facts.st_mtime_ns, facts.st_ino)


class SourceFacts(NamedTuple):
    """What is known of a source's content once it has been read."""

    digest: str
    header: Header | None
    problem: str | None
    """Why there is no header."""


class SourceMemory(Protocol):
    """Remembers the facts of files, so that an unchanged file is read once."""

    def recall(self, path: str, signature: Signature) -> SourceFacts | None:
        """Return the facts of this version of the file, if they are known."""

    def remember(self, path: str, signature: Signature, facts: SourceFacts) -> None:
        """Keep the facts of this version of the file."""


class Source(ABC):
    """One image to start from.

    Attributes:
        name: A relative POSIX path or a bare file name; it names the cache file's folder, and nothing is opened by it.
        original: What the caller handed over.
        reference: A plain value that leads to the same source in another process, or None where nothing does.
    """

    name: str = ""
    original: Any = None
    reference: str | None = None

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._facts: SourceFacts | None = None

    @abstractmethod
    def open(self) -> BinaryIO:
        """Return a new binary file at its start, which the caller closes.

        Raises:
            SourceError: The source cannot be had.
        """

    def read(self) -> bytes:
        """Return all bytes.

        Raises:
            SourceError: The source cannot be had.
            ImageTooLarge: It has more bytes than `max_source_bytes`.
        """
        most = self._limits.max_source_bytes
        with self.open() as file:
            data = self._read_from(file)
        if len(data) > most:
            raise self._too_large()
        return data

    def _read_from(self, file: BinaryIO) -> bytes:
        return file.read(self._limits.max_source_bytes + 1)

    def _too_large(self) -> ImageTooLarge:
        most = self._limits.max_source_bytes
        return ImageTooLarge(self.name, f"it has more than {most} bytes, the setting max_source_bytes")

    @property
    def facts(self) -> SourceFacts:
        """The digest and header, read once."""
        if self._facts is None:
            self._facts = self.facts_of(self.read())
        return self._facts

    def facts_of(self, data: bytes) -> SourceFacts:
        """Return the facts of bytes that were read from this source."""
        digest = blake3(data).hexdigest(length=DIGEST_BYTES)
        try:
            return SourceFacts(digest, read_header(data, name=self.name, limits=self._limits), None)
        except UnreadableImage as error:
            return SourceFacts(digest, None, error.reason)

    @property
    def digest(self) -> str:
        """32 hexadecimal digits that stand for the content."""
        return self.facts.digest

    @property
    def header(self) -> Header:
        """Format and size.

        Raises:
            UnreadableImage: The content is no image that may be read.
        """
        facts = self.facts
        if facts.header is None:
            raise UnreadableImage(self.name, facts.problem or "it is not an image")
        return facts.header

    def size(self, auto_orient: bool = True) -> Size:
        """Return width and height in pixels, as the image looks upright or, without `auto_orient`, as it is stored.

        Raises:
            UnreadableImage: The content is no image that may be read.
        """
        return self.header.size(auto_orient)

    @property
    def kept_format(self) -> str:
        """The format of results that keep the source's, by Pillow's name.

        Raises:
            UnreadableImage: The content is no image that may be read.
        """
        return output_format(None, self.header)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"


class FileSource(Source):
    """A regular file on this machine's disk; it is open only while it is read.

    Args:
        path: The file's absolute path.
        name: The source's name.
        limits: Caps on what is read.
        original: What the caller handed over.
        reference: How another process finds it.
        memory: Remembers facts between processes.
        absent: Paths that came first and did not exist; should one appear, it is the source.

    Attributes:
        known_signature: The version of the file that the facts are of; None until they are known for sure.
    """

    def __init__(
        self,
        path: str,
        name: str,
        limits: Limits,
        *,
        original: object = None,
        reference: str | None = None,
        memory: SourceMemory | None = None,
        absent: tuple[str, ...] = (),
    ) -> None:
        super().__init__(limits)
        self.path = path
        self.name = name
        self.original = original
        self.reference = reference
        self.absent = absent
        self.known_signature: Signature | None = None
        self._memory = memory

    def open(self) -> BinaryIO:
        """Return the file, open for reading; nothing but a regular file is ever opened."""
        flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
        try:
            descriptor = os.open(self.path, flags)
        except OSError as error:
            raise _source_error(self.name, error) from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise SourceNotAllowed(self.name, "it is not a regular file")
        return os.fdopen(descriptor, "rb")

    def signature(self) -> Signature:
        """Return what a stat tells of the file's version.

        Raises:
            SourceNotFound: The file is gone.
        """
        try:
            return Signature.of(os.stat(self.path))
        except OSError as error:
            raise _source_error(self.name, error) from error

    @property
    def facts(self) -> SourceFacts:
        """The digest and header; an unchanged file is not read again."""
        if self._facts is None:
            self._facts = self.recalled_facts() or self._read_facts()
        return self._facts

    def recalled_facts(self) -> SourceFacts | None:
        """Return what is remembered of this version of the file, without opening it.

        Raises:
            SourceNotFound: The file is gone.
        """
        if self._facts is None and self._memory:
            signature = self.signature()
            self._facts = self._memory.recall(self.path, signature)
            if self._facts:
                self.known_signature = signature
        return self._facts

    def _read_facts(self) -> SourceFacts:
        self.read()
        return cast(SourceFacts, self._facts)

    def read(self) -> bytes:
        """Return all bytes; their digest and header are the source's facts from then on.

        Raises:
            SourceError: The source cannot be had.
            ImageTooLarge: It has more bytes than `max_source_bytes`.
        """
        before = self.signature()
        if before.size > self._limits.max_source_bytes:
            raise self._too_large()
        data = super().read()
        if self._facts is None or before != self.known_signature:
            self._facts = self.facts_of(data)
            self._remember(before)
        return data

    def _read_from(self, file: BinaryIO) -> bytes:
        # Asked for a number of bytes, Python sets aside memory for so many; asked for all, for what the file has.
        return file.read()

    def facts_of(self, data: bytes) -> SourceFacts:
        """Return the facts of bytes that were read from this file; an empty file is said to be empty."""
        return super().facts_of(data) if data else SourceFacts(blake3(b"").hexdigest(length=16), None, "it is empty")

    def _remember(self, before: Signature) -> None:
        self.known_signature = None
        settled = time.time_ns() - before.modified_ns > RACY_NS
        if settled and self._facts and self.signature() == before:
            self.known_signature = before
            if self._memory:
                self._memory.remember(self.path, before, self._facts)


class BytesSource(Source):
    """An image that is in memory already.

    Example:
        >>> source = BytesSource(b"GIF89a", name="button.gif")
    """

    def __init__(self, data: bytes, name: str = "", limits: Limits | None = None) -> None:
        super().__init__(limits or Limits.from_settings(Settings()))
        self.name = bare_name(name)
        self.original = data
        self._data = data

    def open(self) -> BinaryIO:
        """Return the bytes as a file."""
        return BytesIO(self._data)


class StreamSource(Source):
    """An open file, an upload, or anything else with `read()`; it is neither closed nor moved."""

    def __init__(self, stream: Any, limits: Limits) -> None:
        super().__init__(limits)
        self.original = stream
        self.name = bare_name(stream_name(stream))
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
            raise _source_error(self.name, error) from error
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
            # What cannot be wound back is read once and kept.
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


class SourceFinder:
    """Finds sources: names below the source folders, and whatever else a caller may hand over.

    This is the only place that decides which files may be read.

    Args:
        source_dirs: Folders in which names are looked up; the first match wins.
        limits: Caps on what is read.
        memory: Remembers the facts of files.
        source_prefixes: Further folders by the first segment of the names that are looked up in them.
    """

    def __init__(
        self,
        source_dirs: Sequence[Path],
        limits: Limits,
        memory: SourceMemory | None = None,
        source_prefixes: Sequence[tuple[str, Path]] = (),
    ) -> None:
        folders = [*(((), folder) for folder in source_dirs), *(((prefix,), path) for prefix, path in source_prefixes)]
        self._roots: tuple[tuple[tuple[str, ...], str], ...] = tuple(
            (prefix, os.path.realpath(folder)) for prefix, folder in folders
        )
        self._limits = limits
        self._memory = memory

    def find(self, value: object) -> Source | None:
        """Return the source that a value stands for; None for an empty value (None, "", an empty file field).

        Raises:
            SourceNotFound: A name or path leads to no file.
            SourceNotAllowed: A name leads out of the source folders, or to something that is no regular file.
            SourceError: The value cannot be a source.
        """
        if isinstance(value, str):
            return self.named(str.__str__(value)) if value else None
        if isinstance(value, Source):
            return value
        if isinstance(value, os.PathLike):
            return self._at_path(os.path.abspath(os.fspath(value)), value)
        if isinstance(value, (bytes, bytearray, memoryview)):
            return BytesSource(bytes(value), limits=self._limits)
        own = getattr(value, "imagekit_source", None)
        if callable(own):
            return cast("Source | None", own())
        if not value:
            return None
        if hasattr(value, "read"):
            return self._of_stream(value)
        raise SourceError(
            repr(value)[:80], f"a {type(value).__name__} is no image source; pass a name, a path, an open file or bytes"
        )

    def named(self, name: str) -> FileSource:
        """Return the file of this name in the first source folder that has it."""
        parts = check_name(name)
        if not self._roots:
            raise SourceNotFound(name, "no folder to look in; set source_dirs, or pass a pathlib.Path")
        absent: list[str] = []
        for prefix, root in self._roots:
            inner = parts[len(prefix) :]
            if parts[: len(prefix)] != prefix or not inner:
                continue
            candidate = os.path.join(root, *inner)
            try:
                path = os.path.realpath(candidate, strict=True)
            except (FileNotFoundError, NotADirectoryError):
                absent.append(candidate)
                continue
            except OSError as error:
                raise _source_error(name, error) from error
            if not path.startswith(root.rstrip(os.sep) + os.sep):
                raise SourceNotAllowed(name, "it leads out of the source folder through a symbolic link")
            self._check_regular(path, name)
            return FileSource(
                path,
                "/".join(parts),
                self._limits,
                original=name,
                reference="/".join(parts),
                memory=self._memory,
                absent=tuple(absent),
            )
        raise SourceNotFound(name, f"no such file in {self._folders()}")

    def _folders(self) -> str:
        count = len(self._roots)
        return "the source folder" if count == 1 else f"any of the {count} source folders"

    def _at_path(self, path: str, original: object) -> FileSource:
        if "\0" in path:
            raise SourceNotAllowed(path, "its name holds a NUL character")
        name = self._name_within_roots(path) or os.path.basename(path)
        try:
            real = os.path.realpath(path, strict=True)
        except OSError as error:
            raise _source_error(name, error) from error
        self._check_regular(real, name)
        return FileSource(
            real, name, self._limits, original=original, reference=Path(real).as_uri(), memory=self._memory
        )

    def _name_within_roots(self, path: str) -> str | None:
        real = os.path.realpath(path)
        for prefix, root in self._roots:
            if real.startswith(root.rstrip(os.sep) + os.sep):
                return "/".join((*prefix, Path(real).relative_to(root).as_posix()))
        return None

    def _of_stream(self, stream: Any) -> Source:
        path = _path_of_stream(stream)
        if path is None:
            return StreamSource(stream, self._limits)
        return self._at_path(path, path)

    def by_reference(self, reference: str) -> Source:
        """Return the source of another process that has this `Source.reference`."""
        if reference.startswith("file:"):
            return self._at_path(_path_of_uri(reference), reference)
        return self.named(reference)

    @staticmethod
    def _check_regular(path: str, name: str) -> None:
        try:
            mode = os.stat(path).st_mode
        except OSError as error:
            raise _source_error(name, error) from error
        if stat.S_ISDIR(mode):
            raise SourceNotAllowed(name, "it is a folder")
        if not stat.S_ISREG(mode):
            raise SourceNotAllowed(name, "it is a pipe, a socket or a device, not a regular file")


def source_of(generator: Any) -> Any:
    """Return what a generator starts from: what its `get_source()` says, else its `source`; None without either."""
    get_source = getattr(generator, "get_source", None)
    return get_source() if callable(get_source) else getattr(generator, "source", None)


def check_name(name: str) -> tuple[str, ...]:
    """Return the parts of a source's name.

    Raises:
        SourceNotAllowed: The name is absolute, climbs out with `..`, or holds a NUL character.

    Example:
        >>> check_name("photos/./canal.jpg")
        ('photos', 'canal.jpg')
    """
    if "\0" in name:
        raise SourceNotAllowed(name, "its name holds a NUL character")
    windows = PureWindowsPath(name)
    if name.startswith("/") or windows.drive or windows.root:
        raise SourceNotAllowed(name, "it is an absolute path; give a name relative to a source folder")
    if ".." in PurePosixPath(name).parts or ".." in windows.parts:
        raise SourceNotAllowed(name, "it leads out of the source folder with '..'")
    parts = (windows if os.name == "nt" else PurePosixPath(name)).parts
    if not parts:
        raise SourceNotAllowed(name, "it is the source folder itself")
    return parts


def bare_name(name: str) -> str:
    """Return the file name at the end of whatever path an upload or a stream claims to have.

    Example:
        >>> bare_name("C:\\\\photos\\\\me.jpg")
        'me.jpg'
    """
    last = name.replace("\\", "/").rsplit("/", 1)[-1].replace("\0", "")
    return "" if last in (".", "..") else last


def stream_name(stream: Any) -> str:
    """Return the name that a file object or an upload goes by, "" where it has none."""
    for attribute in ("filename", "name"):
        name = getattr(stream, attribute, None)
        if isinstance(name, (str, os.PathLike)):
            return os.fspath(cast("str | os.PathLike[str]", name))
    return ""


def _path_of_stream(stream: Any) -> str | None:
    """Return the path of a file that can be opened again under it, so that the caller's object need not be kept."""
    name = getattr(stream, "name", None)
    if not isinstance(name, (str, bytes, os.PathLike)) or hasattr(stream, "filename") or not hasattr(stream, "fileno"):
        return None
    path = os.path.abspath(os.fsdecode(name))
    try:
        if getattr(stream, "closed", False):
            return path if os.path.isfile(path) else None
        same = os.path.samestat(os.fstat(stream.fileno()), os.stat(path))
    except (OSError, ValueError):
        return None
    return path if same else None


def _path_of_uri(uri: str) -> str:
    from urllib.parse import unquote, urlsplit
    from urllib.request import url2pathname

    return url2pathname(urlsplit(uri).path) if os.name == "nt" else unquote(urlsplit(uri).path)


def _source_error(name: str, error: OSError) -> SourceError:
    if isinstance(error, FileNotFoundError):
        return SourceNotFound(name, "there is no such file")
    if isinstance(error, PermissionError):
        return SourceNotAllowed(name, "the file system does not permit to read it")
    return SourceNotFound(name, (error.strerror or str(error)).lower())
