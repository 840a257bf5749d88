"""Source folders in buckets, or whatever else fsspec reaches: what is there, in which version, and its bytes."""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from hashlib import md5
from io import BytesIO
from mimetypes import guess_type
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple
from urllib.parse import urlsplit

from blake3 import blake3
from fsspec.core import url_to_fs  # type: ignore[import-untyped]

from ..exceptions import ImageKitError, InvalidSetting, SourceError, SourceNotFound
from ..storages.fsspec import tag_of
from ..wording import without_credentials
from .base import Signature, VersionedSource
from .names import problem_in_bucket
from .posters import HEAD_BYTES

if TYPE_CHECKING:
    from ..images import Limits

logger = logging.getLogger("jinja_imagekit.sources")

SINGLY = 20
"""How many names of a folder a build asks for one by one before it lists the folder: a page of a listing has 1,000."""

LONG_SECONDS = 5.0
"""A folder whose listing took longer is not listed again for the sake of single names."""

FAILED_SECONDS = 30.0
"""Seconds for which a bucket that did not answer is not asked again, since its client tries several times by itself."""

RACY_SECONDS = 2.0
"""A file without a tag that was changed within this time may change again under the same time, in whole seconds."""

MOST_SEEN = 200_000
"""How many names are remembered that were asked for one by one: about 300 bytes each."""

MOST_BYTES = 64_000_000
"""Bytes of the last files that were read, which the images of a page have in common."""

_TIMES = ("mtime", "LastModified", "last_modified", "modified", "updated", "created")
"""What they call the time of the last change, where there is no tag."""

_NEVER = -math.inf, False


class _Seen(NamedTuple):
    at: float
    """When the bucket was asked, on the clock of `time.monotonic`."""
    signature: Signature | None


class Bucket:
    """A source folder in a bucket.

    What it has said of a file is taken for true for a while: for `max_age` seconds, or while `lasts` says so. A build
    lists a folder of which it needs more than a few files. When the bucket does not answer, what it said last holds.

    Args:
        url: The folder's URL.
        max_age: Seconds.
        lists: Whether folders are listed where single names are asked for.
        lasts: Tells whether answers hold until `forget` is called.
    """

    def __init__(
        self, url: str, max_age: float = 60.0, *, lists: bool = False, lasts: Callable[[], bool] = lambda: False
    ) -> None:
        self.called = without_credentials(url)
        self._url, self._max_age, self._lists, self._lasts = url, max_age, lists, lasts
        self._lock = threading.Lock()
        self._opened: tuple[int, Any, str] = -1, None, ""
        self._failure: tuple[float, str] = -math.inf, ""
        self._slow: set[str] = set()
        self._contents: OrderedDict[tuple[str, Signature], bytes] = OrderedDict()
        self._kept_bytes = 0
        self._begin()

    def __repr__(self) -> str:
        return f"<Bucket {self.called!r}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._url, self._max_age)

    def _begin(self) -> None:
        self._seen: dict[str, _Seen] = {}
        self._listed: dict[str, tuple[float, bool]] = {}
        self._asked: Counter[str] = Counter()

    def forget(self) -> None:
        """Ask again from now on, since a new render begins."""
        with self._lock:
            self._begin()

    def knows(self, name: str) -> bool:
        """Tell whether `find` answers at once."""
        known = self._known(name)
        return bool(problem_in_bucket(name)) or (known is not None and self._holds(known.at))

    def latest(self, name: str) -> Signature | None:
        """Return what the bucket has said of late of a file's version, without asking it."""
        known = self._known(name)
        return known.signature if known is not None and self._holds(known.at) else None

    def find(self, name: str) -> Signature | None:
        """Return what tells the version of a file; None where there is no file of that name.

        Raises:
            SourceError: The bucket does not answer, or refuses.
        """
        if problem_in_bucket(name):
            return None
        known = self._known(name)
        if known is not None and self._holds(known.at):
            return known.signature
        folder = name.rpartition("/")[0]
        try:
            if self._lists and folder not in self._slow and self._asked[folder] >= SINGLY:
                self._list_for(folder)
                known = self._known(name)
                return None if known is None else known.signature
            self._asked[folder] += 1
            return self.ask(name)
        except SourceError as error:
            if known is None:
                raise
            logger.warning("%s; what is known of %r is used.", error.message(), name)
            self._seen[name] = known._replace(at=time.monotonic())
            return known.signature

    def ask(self, name: str) -> Signature | None:
        """Do what `find` does, by asking the bucket.

        Raises:
            SourceError: As `find`.
        """
        path = self._path(name)

        def info(files: Any) -> Any:
            files.invalidate_cache()
            return files.info(path)

        found = self._answer(name, info)
        signature = None
        if found and found.get("type") == "file" and self._is_at(found, path):
            signature = signature_of_object(found)
        if name not in self._seen and len(self._seen) >= MOST_SEEN:
            self.forget()
        self._seen[name] = _Seen(time.monotonic(), signature)
        return signature

    def read(self, name: str, version: Signature, called: str) -> bytes:
        """Return a file's bytes.

        Args:
            name: Its name below the folder.
            version: What `find` said.
            called: The source's name, for errors.

        Raises:
            SourceNotFound: It is gone.
            SourceError: The bucket does not answer, or the file is longer or shorter than it said.
        """
        with self._lock:
            known = self._contents.get((name, version))
            if known is not None:
                self._contents.move_to_end((name, version))
                return known
        path = self._path(name)
        # No more than it said, and one byte to tell whether there is more; S3 refuses a range of nothing.
        data = (
            self._answer(called, lambda files: files.cat_file(path, start=0, end=version.size + 1))
            if version.size
            else b""
        )
        if data is None:
            self._seen.pop(name, None)
            raise SourceNotFound(called, f"it is no longer in {self.called!r}")
        if len(data) != version.size:
            self._seen.pop(name, None)
            raise SourceError(called, f"it is being changed in {self.called!r}, or was a moment ago: try again")
        if is_telling(version):
            self._keep(name, version, bytes(data))
        return bytes(data)

    def head(self, name: str, most: int) -> bytes:
        """Return the first bytes of a file that is not empty; none where it is gone.

        Raises:
            SourceError: The bucket does not answer.
        """
        return bytes(self._answer(name, lambda files: files.cat_file(self._path(name), start=0, end=most)) or b"")

    def download(self, name: str, path: str, called: str) -> None:
        """Write a file to a path on this machine, as it comes: it need not fit into memory.

        Args:
            name: Its name below the folder.
            path: The path.
            called: The source's name, for errors.

        Raises:
            SourceNotFound: It is gone.
            SourceError: The bucket does not answer.
        """

        def get(files: Any) -> bool:
            files.get_file(self._path(name), path)
            return True

        if not self._answer(called, get):
            self._seen.pop(name, None)
            raise SourceNotFound(called, f"it is no longer in {self.called!r}")

    def has_told_of(self, name: str, version: Signature) -> bool:
        """Tell whether a file that was just read is the version that it was read as, without asking.

        S3's tag of a file that came in one piece is the MD5 digest of its content.
        """
        with self._lock:
            data = self._contents.get((name, version))
        return data is not None and version.inode == _number(md5(data, usedforsecurity=False).hexdigest())

    def source(self, inner: str, signature: Signature, name: str, limits: Limits, **given: Any) -> BucketSource:
        """Return a file as a source, as `BucketSource` takes it."""
        return BucketSource(self, inner, signature, name, limits, **given)

    def _keep(self, name: str, version: Signature, data: bytes) -> None:
        with self._lock:
            self._kept_bytes += len(data) - len(self._contents.get((name, version), b""))
            self._contents[name, version] = data
            while self._kept_bytes > MOST_BYTES:
                self._kept_bytes -= len(self._contents.popitem(last=False)[1])

    def names(self, may_enter: Callable[[str, int], object], is_whole: Callable[[int], bool]) -> Iterator[str]:
        """Yield the names of all files, by listings; hidden ones are skipped.

        Args:
            may_enter: Tells by a folder's own name and how deep it lies whether to look into it.
            is_whole: Tells how deep folders lie of which everything below is wanted.

        Raises:
            SourceError: The bucket does not answer.
        """
        pending = [("", 0)]
        while pending:
            folder, depth = pending.pop()
            files, folders = self._list(folder, whole=is_whole(depth))
            yield from files
            pending += [(f"{folder}/{each}".lstrip("/"), depth + 1) for each in folders if may_enter(each, depth)]

    def is_there(self) -> bool:
        """Tell whether the folder exists, or the bucket does not answer."""
        try:
            _, root = self._files()
            return bool(self._answer("", lambda files: files.exists(root)))
        except SourceError:
            return True

    def known_names(self) -> Iterator[str]:
        """Yield the names of files that the bucket has told of."""
        for name in list(self._seen):
            known = self._known(name)
            if known is not None and known.signature is not None:
                yield name

    def _list_for(self, folder: str) -> None:
        begun = time.monotonic()
        self._list(folder, whole=False)
        if time.monotonic() - begun > LONG_SECONDS:
            self._slow.add(folder)

    def _list(self, folder: str, *, whole: bool) -> tuple[list[str], list[str]]:
        """Return the names of a folder's files, and of the folders in it unless the files below them are included."""
        at, prefix = time.monotonic(), f"{folder}/" if folder else ""
        path = self._path(folder) if folder else self._files()[1]

        def listed(files: Any) -> list[Mapping[str, Any]]:
            files.invalidate_cache()
            found = files.find(path, detail=True).values() if whole else files.ls(path, detail=True)
            files.invalidate_cache()
            return list(found)

        found = self._answer(folder, listed) or []
        seen: dict[str, _Seen] = {}
        files: list[str] = []
        folders: list[str] = []
        for each in found:
            name = self._name_within(each, path)
            # An object store may hold an empty object for a folder.
            if name is None:
                continue
            is_hidden = any(part.startswith(".") for part in name.split("/"))
            if each.get("type") == "file":
                # A template may name what a group does not list; what may not be asked for fails with its reason.
                seen[f"{prefix}{name}"] = _Seen(at, signature_of_object(each))
                files += [] if is_hidden else [f"{prefix}{name}"]
            elif each.get("type") == "directory" and not (whole or is_hidden):
                folders.append(name)
        with self._lock:
            self._seen.update(seen)
            self._listed[folder] = at, whole
        return files, folders

    def _name_within(self, found: Mapping[str, Any], folder: str) -> str | None:
        files, _ = self._files()
        path, folder = str(files._strip_protocol(found["name"])).strip("/"), folder.strip("/")
        start = f"{folder}/" if folder else ""
        name = path.removeprefix(start)
        return name if path.startswith(start) and name and not str(found["name"]).endswith("/") else None

    def _known(self, name: str) -> _Seen | None:
        """Return what the bucket has said last of a file; what a later listing did not name is gone."""
        known, listed = self._seen.get(name), self._listed_at(name)
        if known is not None and known.at >= listed:
            return known
        return _Seen(listed, None) if self._holds(listed) else None

    def _listed_at(self, name: str) -> float:
        """Return when the last listing was begun that would have named a file."""
        folder, _, _ = name.rpartition("/")
        latest, _ = self._listed.get(folder, _NEVER)
        while folder:
            folder, _, _ = folder.rpartition("/")
            at, is_whole = self._listed.get(folder, _NEVER)
            latest = max(latest, at) if is_whole else latest
        return latest

    def _holds(self, at: float) -> bool:
        return time.monotonic() - at < self._max_age or (at != -math.inf and self._lasts())

    def _files(self) -> tuple[Any, str]:
        """Return the file system and the folder's path there; a child process has a file system of its own.

        Raises:
            InvalidSetting: There is no such file system.
            SourceError: It cannot be connected to.
        """
        pid, files, root = self._opened
        if pid != os.getpid():
            try:
                files, root = url_to_fs(self._url)
            except (ValueError, ImportError) as error:
                raise InvalidSetting("source_dirs", f"{self.called!r} cannot be opened: {error}") from error
            except Exception as error:  # each protocol raises errors of its own
                raise self._failed(self.called, error) from error
            root = root.rstrip("/")
            self._opened = os.getpid(), files, root
        return files, root

    def _path(self, name: str) -> str:
        return f"{self._files()[1]}/{name}"

    def _is_at(self, found: Mapping[str, Any], path: str) -> bool:
        """Tell whether the file system has understood a path as it was meant."""
        files, _ = self._files()
        return str(files._strip_protocol(found["name"])).strip("/") == path.strip("/")

    def _answer(self, name: str, question: Callable[[Any], Any]) -> Any:
        """Return what the file system says; None where there is no such file.

        Raises:
            SourceError: It does not answer, or refuses.
        """
        until, reason = self._failure
        if time.monotonic() < until:
            raise SourceError(name or self.called, reason)
        try:
            return question(self._files()[0])
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except ImageKitError:
            raise
        except PermissionError as error:
            raise SourceError(
                name or self.called,
                f"the source folder {self.called!r} refuses it ({self._said(error)}): check the "
                "credentials, which must allow to read and to list",
            ) from error
        except Exception as error:  # each protocol raises errors of its own
            raise self._failed(name or self.called, error) from error

    def _failed(self, name: str, error: Exception) -> SourceError:
        """Return the error that says why the bucket does not answer, which is the same for all names for a while."""
        reason = f"the source folder {self.called!r} does not answer: {self._said(error)}"
        self._failure = time.monotonic() + FAILED_SECONDS, reason
        return SourceError(name, reason)

    def _said(self, error: Exception) -> str:
        """Return an error's words on one line; a client may take what stands before `@` for a part of a name."""
        user = urlsplit(self._url).netloc.rpartition("@")[0]
        text = " ".join(str(error).split())
        return without_credentials(text.replace(f"{user}@", "") if user else text) or type(error).__name__


class BucketSource(VersionedSource):
    """A file in a bucket, read into memory when it is needed.

    Args:
        bucket: The source folder.
        inner: Its name there.
        signature: What tells its version.
        name: The source's name.
        limits: Caps on what is read.
        **given: What a `VersionedSource` takes besides.
    """

    def __init__(
        self, bucket: Bucket, inner: str, signature: Signature, name: str, limits: Limits, **given: Any
    ) -> None:
        super().__init__(f"{bucket.called}/{inner}", name, limits, **given)
        self._bucket, self._inner, self._signature = bucket, inner, signature

    def signature(self) -> Signature:
        """Return what told its version when it was looked up."""
        return self._signature

    def open(self) -> BinaryIO:
        """Return its bytes as a file.

        Raises:
            SourceNotFound: It is gone.
            SourceError: The bucket does not answer.
        """
        return BytesIO(self._bucket.read(self._inner, self._signature, self.name))

    def _head(self, version: Signature) -> bytes:
        # What is called an image costs no request for this.
        kind = guess_type(self._inner)[0] or ""
        return b"" if kind.startswith("image/") or not version.size else self._bucket.head(self._inner, HEAD_BYTES)

    @contextmanager
    def _on_disk(self) -> Iterator[str]:
        with TemporaryDirectory(prefix="imagekit-") as folder:
            path = os.path.join(folder, f"video{os.path.splitext(self._inner)[1]}")
            self._bucket.download(self._inner, path, self.name)
            yield path

    def _is_still(self, version: Signature) -> bool:
        if not is_telling(version):
            return False
        # What was written back in the meantime has its former tag, but these bytes need not be its.
        return self._bucket.has_told_of(self._inner, version) or self._bucket.ask(self._inner) == version


def is_telling(version: Signature) -> bool:
    """Tell whether another content would have another signature."""
    if not (version.modified_ns or version.inode):
        return False
    return not version.modified_ns or abs(time.time_ns() - version.modified_ns) > RACY_SECONDS * 1e9


def _number(tag: str) -> int:
    return int.from_bytes(blake3(tag.encode()).digest(length=8)) >> 1


def signature_of_object(found: Mapping[str, Any]) -> Signature:
    """Return what a file system's facts say of a file's version: its size, and its tag, or else its time.

    Example:
        >>> signature_of_object({"size": 3, "ETag": '"5d41402a"'}).size
        3
    """
    size, modified_ns, number = int(found.get("size") or 0), 0, 0
    tag = tag_of(found)
    if tag:
        # Where a file on a disk has its number.
        number = _number(tag)
    else:
        modified = next((found[name] for name in _TIMES if found.get(name)), None)
        seconds = modified.timestamp() if isinstance(modified, datetime) else modified
        modified_ns = int(seconds * 1e9) if isinstance(seconds, (int, float)) else 0
    return Signature(size, modified_ns, number, 0)
