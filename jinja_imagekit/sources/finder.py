"""Finds sources by whatever a caller passes; the only place that decides which files may be read."""

from __future__ import annotations

import math
import os
import stat
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..exceptions import SourceError, SourceNotAllowed, SourceNotFound
from .base import BytesSource, FileSource, Source, SourceMemory, StreamSource
from .hints import Folder, neighbour, reason
from .names import file_and_page, is_url, name_parts, source_error

if TYPE_CHECKING:
    from ..images import Limits
    from .posters import Posters
    from .remote import RemoteSources

REASON_SECONDS = 10.0
"""Seconds for which the advice about a name that leads nowhere is remembered."""

MOST_REASONS = 1_000
"""How many such names are remembered."""


class SourceFinder:
    """Finds sources: names below the source folders, and whatever else a caller may pass.

    This is the only place that decides which files may be read.

    Args:
        source_dirs: Folders in which names are looked up; the first match wins.
        limits: Caps on what is read.
        memory: Remembers the facts of files.
        source_prefixes: Further folders, by the first segment of the names that are looked up in them.
        remote: Images on other hosts; None where none may be read.
        posters: Makes the images that stand for videos; None where videos are refused.
    """

    def __init__(
        self,
        source_dirs: Sequence[Path],
        limits: Limits,
        memory: SourceMemory | None = None,
        source_prefixes: Sequence[tuple[str, Path]] = (),
        remote: RemoteSources | None = None,
        posters: Posters | None = None,
    ) -> None:
        folders = [*(((), folder) for folder in source_dirs), *(((prefix,), path) for prefix, path in source_prefixes)]
        self._roots: tuple[tuple[tuple[str, ...], str], ...] = tuple(
            (prefix, os.path.realpath(folder)) for prefix, folder in folders
        )
        self._folders = [
            Folder(root, str(called), "".join(f"{each}/" for each in prefix))
            for (prefix, root), (_, called) in zip(self._roots, folders, strict=True)
        ]
        self._reasons: dict[str, tuple[float, str]] = {}
        self._limits = limits
        self._memory = memory
        self.remote = remote
        self._posters = posters

    def find(self, value: object) -> Source | None:
        """Return the source that a value stands for; None for an empty one (None, "", an empty file field).

        Raises:
            SourceNotFound: A name or path leads to no file.
            SourceNotAllowed: A name leads out of the source folders, or to something that is not a regular file.
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
        error = SourceError(
            repr(value)[:80],
            f"an object of type {type(value).__name__} cannot be a source; pass a name, a path, an open file or bytes",
        )
        error.concerns_image = False
        raise error

    def named(self, name: str) -> FileSource:
        """Return the file of this name in the first source folder that has it, or the copy of what is at a URL.

        Raises:
            SourceNotFound: There is none; the message says where it was looked for, and what is nearest.
            SourceNotAllowed: As `find`.
        """
        if self.remote is not None and is_url(name):
            return self.remote.named(name)
        found = self.lookup(name)
        if found is None:
            raise SourceNotFound(name, self._reason(name))
        return found

    def lookup(self, name: str) -> FileSource | None:
        """Return the file of this name in the first source folder that has it; None where none has.

        Raises:
            SourceNotAllowed: As `find`.
        """
        parts = name_parts(name)
        last, page = file_and_page(parts[-1])
        absent: list[str] = []
        for prefix, root in self._roots:
            inner = (*parts[len(prefix) : -1], last)
            if parts[: len(prefix)] != prefix or len(parts) == len(prefix):
                continue
            candidate = os.path.join(root, *inner)
            try:
                path = _without_links(root, inner) or os.path.realpath(candidate, strict=True)
            except (FileNotFoundError, NotADirectoryError, UnicodeEncodeError):
                absent.append(candidate)
                continue
            except OSError as error:
                raise source_error(name, error) from error
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
                page=page,
                posters=self._posters,
            )
        return None

    def _reason(self, name: str) -> str:
        """Return why a name leads nowhere; for a busy page, this is worked out only every ten seconds."""
        now = time.monotonic()
        begun, known = self._reasons.get(name, (-math.inf, ""))
        if now - begun < REASON_SECONDS:
            return known
        found = reason(name, self._folders)
        if len(self._reasons) >= MOST_REASONS:
            self._reasons.clear()
        self._reasons[name] = now, found
        return found

    def _at_path(self, path: str, original: object) -> FileSource:
        if "\0" in path:
            raise SourceNotAllowed(path, "its name holds a NUL character")
        name = self._name_within_roots(path) or os.path.basename(path)
        try:
            real = os.path.realpath(path, strict=True)
        except FileNotFoundError as error:
            near = neighbour(Path(path))
            hint = f". Did you mean {os.path.basename(near)!r}?" if near else ""
            raise SourceNotFound(name, f"there is no such file{hint}") from error
        except OSError as error:
            raise source_error(name, error) from error
        self._check_regular(real, name)
        return FileSource(
            real,
            name,
            self._limits,
            original=original,
            reference=Path(real).as_uri(),
            memory=self._memory,
            posters=self._posters,
        )

    def _name_within_roots(self, path: str) -> str | None:
        try:
            real = os.path.realpath(path)
        except OSError:
            return None
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
            raise source_error(name, error) from error
        if stat.S_ISDIR(mode):
            raise SourceNotAllowed(name, "it is a folder")
        if not stat.S_ISREG(mode):
            raise SourceNotAllowed(name, "it is a pipe, a socket or a device, not a regular file")


def _without_links(root: str, parts: Sequence[str]) -> str | None:
    """Return the path of a name below a resolved folder; None where a link on the way, or Windows, has it resolved.

    Raises:
        OSError: As `os.path.realpath` raises it for what does not exist.
    """
    if os.name != "posix":
        return None
    path = root.rstrip(os.sep)
    for part in parts:
        path = f"{path}{os.sep}{part}"
        if stat.S_ISLNK(os.lstat(path).st_mode):
            return None
    return path


def _path_of_stream(stream: Any) -> str | None:
    """Return the path under which a file can be opened again, so that the caller's object need not be kept."""
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
