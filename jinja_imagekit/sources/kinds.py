"""Sources of each kind: a file, bytes, an open file or upload."""

from __future__ import annotations

import os
from collections.abc import Callable
from io import BytesIO
from typing import Any, BinaryIO, cast

from blake3 import blake3

from ..exceptions import UnreadableImage
from ..images import Limits
from ..no_links import open_file
from ..settings import Settings
from .base import Signature, Source, SourceFacts, SourceMemory
from .names import bare_name, source_error, stream_name


class FileSource(Source):
    """A regular file on this machine's disk, open only while it is read.

    Args:
        path: The file's absolute path.
        name: The source's name.
        limits: Caps on what is read.
        original: What the caller handed over.
        reference: How another process finds it.
        memory: Remembers facts between processes.
        absent: Paths that were tried first and did not exist; should one appear, it becomes the source.

    Attributes:
        known_signature: The version of the file that the facts describe; None until they are certain.
    """

    _stays = True

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
            return Signature.of(os.stat(self.path))
        except OSError as error:
            raise source_error(self.name, error) from error

    @property
    def facts(self) -> SourceFacts:
        """The digest and header; an unchanged file is not read again."""
        if self._facts is None:
            self._facts = self.recalled_facts() or self._read_facts()
        return self._facts

    def recalled_facts(self) -> SourceFacts | None:
        """Return what is remembered about this version of the file, without opening it.

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
        # Asked for a number of bytes, Python allocates that many; asked for all, as many as the file has.
        return file.read()

    def facts_of(self, data: bytes) -> SourceFacts:
        """Return the facts of bytes that were read from this file; of an empty file, they say so."""
        return super().facts_of(data) if data else SourceFacts(blake3(b"").hexdigest(length=16), None, "it is empty")

    def __getstate__(self) -> dict[str, Any]:
        # The memory stays with the process that it belongs to.
        return {**vars(self), "_memory": None, "_examined": None}

    def _remember(self, before: Signature) -> None:
        self.known_signature = None
        if before.is_settled and self._facts and self.signature() == before:
            self.known_signature = before
            if self._memory:
                self._memory.remember(self.path, before, self._facts)


class BytesSource(Source):
    """An image that is already in memory.

    Example:
        >>> source = BytesSource(b"GIF89a", name="button.gif")
    """

    _stays = True

    def __init__(self, data: bytes, name: str = "", limits: Limits | None = None) -> None:
        super().__init__(limits or Limits.from_settings(Settings()))
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
