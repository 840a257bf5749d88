"""Finds sources by whatever a caller passes; the only place that decides which files may be read."""

from __future__ import annotations

import math
import os
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..exceptions import SourceError, SourceNotAllowed, SourceNotFound
from ..settings import path_of_uri
from .base import BytesSource, FileSource, Source, SourceMemory, StreamSource, VersionedSource
from .hints import Folder, neighbour, reason
from .names import file_and_page, is_url, name_parts, source_error

if TYPE_CHECKING:
    from ..images import Limits
    from .buckets import Bucket
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
        source_dirs: Folders and buckets in which names are looked up; the first match wins.
        limits: Caps on what is read.
        memory: Remembers the facts of files.
        source_prefixes: Further folders, by the first segments of the names that are looked up in them.
        remote: Images on other hosts; None where none may be read.
        posters: Makes the images that stand for videos; None where videos are refused.
    """

    def __init__(
        self,
        source_dirs: Sequence[Path | Bucket],
        limits: Limits,
        memory: SourceMemory | None = None,
        source_prefixes: Sequence[tuple[str, Path | Bucket]] = (),
        remote: RemoteSources | None = None,
        posters: Posters | None = None,
    ) -> None:
        self.source_dirs, self.source_prefixes = tuple(source_dirs), tuple(source_prefixes)
        folders: list[tuple[tuple[str, ...], Path | Bucket]] = [((), folder) for folder in source_dirs]
        folders += [(tuple(prefix.split("/")), folder) for prefix, folder in source_prefixes]
        self._places: list[tuple[tuple[str, ...], str | Bucket]] = [
            (prefix, os.path.realpath(folder) if isinstance(folder, Path) else folder) for prefix, folder in folders
        ]
        self._roots = [(prefix, root) for prefix, root in self._places if isinstance(root, str)]
        self._folders = [
            Folder(
                place,
                place.called if not isinstance(place, str) else str(folder),
                "".join(f"{each}/" for each in prefix),
            )
            for (prefix, place), (_, folder) in zip(self._places, folders, strict=True)
        ]
        self._reasons: dict[str, tuple[float, str]] = {}
        self._limits = limits
        self._memory = memory
        self.remote = remote
        self._posters = posters

    @property
    def bucket_dirs(self) -> list[Bucket]:
        """Those of the folders without a prefix that are in buckets."""
        return [place for prefix, place in self._places if not (prefix or isinstance(place, str))]

    @property
    def buckets(self) -> list[Bucket]:
        """The source folders that are in buckets."""
        return [place for _, place in self._places if not isinstance(place, str)]

    def first_bucket(self, name: str) -> tuple[Bucket | None, str]:
        """Return the first bucket in which a name is looked up, and the name there.

        Raises:
            SourceNotAllowed: Nothing may have the name.
        """
        looked_in = self._looked_in(name_parts(name))
        return next(((place, "/".join(inner)) for place, inner in looked_in if not isinstance(place, str)), (None, ""))

    def forget(self) -> None:
        """Ask the buckets again when they are next needed, since a new render begins."""
        for bucket in self.buckets:
            bucket.forget()

    def may_wait(self, value: object) -> bool:
        """Tell whether finding a source may take a request over the network."""
        if type(value) is not str or not value:
            return False
        if self.remote is not None and is_url(value):
            return not self.remote.has_fresh(value)
        if len(self._roots) == len(self._places):
            return False
        with suppress(SourceError):
            for place, inner in self._looked_in(name_parts(value)):
                if isinstance(place, str):
                    if os.path.lexists(os.path.join(place, *inner)):
                        return False
                elif not place.knows("/".join(inner)):
                    return True
                elif place.find("/".join(inner)):
                    return False
        return False

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

    def named(self, name: str) -> VersionedSource:
        """Return what has this name in the first source folder that has it, or the copy of what is at a URL.

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

    def lookup(self, name: str) -> VersionedSource | None:
        """Return what has this name in the first source folder that has it; None where none has.

        Args:
            name: The name.

        Raises:
            SourceNotAllowed: As `find`.
            SourceError: A bucket does not answer.
        """
        return next(self.everywhere(name), None)

    def everywhere(self, name: str, *, is_optional: bool = False) -> Iterator[VersionedSource]:
        """Yield what has this name in each of the source folders, in their order.

        Args:
            name: The name.
            is_optional: A bucket that refuses to say has none, as S3 does where names may not be listed.

        Raises:
            SourceNotAllowed: As `find`.
            SourceError: A bucket does not answer.
        """
        parts = name_parts(name)
        page = file_and_page(parts[-1])[1]
        absent: list[str] = []
        for root, inner in self._looked_in(parts):
            if not isinstance(root, str):
                found = self._in_bucket(root, "/".join(inner), name, "/".join(parts), page, is_optional)
                if found is not None:
                    yield found
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
            yield FileSource(
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

    def _looked_in(self, parts: tuple[str, ...]) -> Iterator[tuple[str | Bucket, tuple[str, ...]]]:
        """Yield the places in which a name is looked up, and the parts of its file's name there."""
        parts = (*parts[:-1], file_and_page(parts[-1])[0])
        for prefix, place in self._places:
            if parts[: len(prefix)] == prefix and len(parts) > len(prefix):
                yield place, parts[len(prefix) :]

    def _in_bucket(
        self, bucket: Bucket, inner: str, given: str, name: str, page: int, is_optional: bool
    ) -> VersionedSource | None:
        try:
            signature = bucket.find(inner)
        except SourceError as error:
            if is_optional and isinstance(error.__cause__, PermissionError):
                return None
            # The bucket does not know of a prefix.
            error.source = given
            raise
        if signature is None:
            return None
        return bucket.source(
            inner,
            signature,
            name,
            self._limits,
            original=given,
            reference=name,
            memory=self._memory,
            page=page,
            posters=self._posters,
        )

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
        name = self.name_at(path) or os.path.basename(path)
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

    def name_at(self, path: str) -> str | None:
        """Return the name of what is at a path, whether or not it exists; None outside of the source folders."""
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
            return self._at_path(path_of_uri(reference), reference)
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
