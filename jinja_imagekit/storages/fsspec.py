"""Cache files in anything that fsspec reaches: object stores, remote disks, memory (the extra `fsspec`)."""

from __future__ import annotations

import io
import os
import pickle
import posixpath
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, BinaryIO

from fsspec.core import url_to_fs  # type: ignore[import-untyped]

from ..atomic_files import PREFIX, temporary_name
from ..exceptions import StorageError
from ..images import mimetype_of_name
from ..interfaces import StoredFile
from ..storages.folder import check_name, is_safe_name, join_url

__all__ = ["FsspecStorage"]

_LEFT_BEHIND_SECONDS = 24 * 60 * 60
"""Age at which a temporary file counts as abandoned, since there is no telling whether its writer is alive."""


IMMUTABLE = "public, max-age=31536000, immutable"
"""Files may be kept for a year, the longest time that HTTP caches keep a response: names hold a digest."""

FEW = 4
"""How many files are asked for one by one, rather than by a listing of their folder."""


class FsspecStorage:
    """Keeps cache files in an fsspec file system.

    Without `rename`, a file is written by the file system's `pipe_file`: object stores (S3, GCS, Azure) and memory
    make it visible whole or not at all. With `rename`, it is written under a temporary name and moved, which is
    atomic where the move replaces in a single step, as on local and most mounted disks; on an object store it is a
    copy and a deletion, and gains nothing.

    Symbolic links are followed, unlike in `FileSystemStorage`, which is the better choice for a local folder.

    Args:
        url_or_fs: A URL such as `s3://bucket/folder`, or an fsspec file system.
        base_url: URL from which the site serves the folder.
        root: The folder within the file system; only with a file system.
        rename: Whether to write under another name and move; None does so only on local file systems.
        write_options: Returns, for a file's name, what the file system's `pipe_file` takes besides its content, such
            as `{"ACL": "public-read"}`. On S3, files have their media type and may be kept by browsers for ever,
            unless this says otherwise.
        storage_options: What fsspec takes besides the URL, such as credentials.

    Example:
        >>> storage = FsspecStorage("memory://site", "https://cdn.example/")
        >>> storage.save("a.jpg", b"content")
        >>> storage.url("a.jpg")
        'https://cdn.example/a.jpg'
    """

    is_local = False

    def __init__(
        self,
        url_or_fs: Any,
        base_url: str,
        *,
        root: str = "",
        rename: bool | None = None,
        write_options: Callable[[str], Mapping[str, Any]] | None = None,
        **storage_options: Any,
    ) -> None:
        if isinstance(url_or_fs, str):
            self._fs, root = url_to_fs(url_or_fs, **storage_options)
        else:
            self._fs = url_or_fs
        self._pid = os.getpid()
        self.base_url = base_url
        self.root = root.rstrip("/")
        protocol = self.fs.protocol
        protocols = {protocol} if isinstance(protocol, str) else set(protocol)
        self.rename = bool({"file", "local"} & protocols) if rename is None else rename
        self._is_s3 = bool({"s3", "s3a"} & protocols)
        self._own_options = write_options

    @property
    def fs(self) -> Any:
        """The file system; a child process has one of its own, since those with connections do not survive a fork."""
        if self._pid != os.getpid():
            self._fs, self._pid = pickle.loads(pickle.dumps(self._fs)), os.getpid()
        return self._fs

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.fs!r}, {self.base_url!r}, root={self.root!r})"

    def save(self, name: str, content: bytes) -> str | None:
        """Write `content` under exactly this name, replacing any file there.

        Returns:
            The file's tag, if the file system says it when a file is written, as S3 does; else None.

        Raises:
            StorageError: The name is unsafe, or the file cannot be written.
        """
        path = self._path(name)
        try:
            try:
                return self._write(path, content)
            except FileNotFoundError:
                # Object stores have no folders, but would make the bucket that an address mistypes.
                top = self.root.partition("/")[0]
                if top and not self.fs.exists(top):
                    raise FileNotFoundError(f"there is no {top!r}") from None
                self.fs.makedirs(path.rpartition("/")[0], exist_ok=True)
                if self.rename:
                    self.fs.makedirs(self._temporary_folder, exist_ok=True)
                return self._write(path, content)
        except Exception as error:  # each protocol raises errors of its own
            raise StorageError(
                name, f"cannot be written to {path}: {error!r}. Check its address and permissions."
            ) from error

    def open(self, name: str) -> BinaryIO:
        """Return the file's content as an open file in memory.

        Raises:
            StorageError: The name is unsafe, there is no such file, or it cannot be read.
        """
        path = self._path(name)
        try:
            return io.BytesIO(self.fs.cat_file(path))
        except FileNotFoundError as error:
            raise StorageError(name, "there is no such file. Generate it first.") from error
        except Exception as error:
            raise StorageError(
                name, f"cannot be read from {path}: {error!r}. Check its address and permissions."
            ) from error

    def stat(self, name: str) -> StoredFile | None:
        """Return the file's size; None if there is no file.

        Raises:
            StorageError: The name is unsafe, or the file system does not respond.
        """
        path = self._path(name)
        try:
            found = self.fs.info(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except Exception as error:
            raise StorageError(
                name, f"{path} does not respond: {error!r}. Check its address and permissions."
            ) from error
        if found.get("type") != "file":
            return None
        return _stored(found)

    def stats(self, names: Iterable[str]) -> Iterator[StoredFile | None]:
        """Yield what `stat` returns for each of many names, by listing the folder that they have in common.

        Raises:
            StorageError: A name is unsafe, or the file system does not respond.
        """
        names = list(names)
        if len(names) <= FEW:
            yield from map(self.stat, names)
            return
        folder = posixpath.commonpath([posixpath.dirname(self._path(name)) for name in names])
        try:
            self.fs.invalidate_cache()
            found = self.fs.find(folder, detail=True)
        except (FileNotFoundError, NotADirectoryError):
            found = {}
        except Exception as error:
            raise StorageError(
                names[0], f"{folder} cannot be listed: {error!r}. Check its address and permissions."
            ) from error
        for name in names:
            each = found.get(self._path(name))
            yield _stored(each) if each else None

    def delete(self, name: str) -> None:
        """Delete the file; no error if there is none.

        Raises:
            StorageError: The name is unsafe, or the file cannot be deleted.
        """
        path = self._path(name)
        try:
            self.fs.rm_file(path)
        except (FileNotFoundError, NotADirectoryError):
            return
        except Exception as error:
            raise StorageError(
                name, f"{path} cannot be deleted: {error!r}. Check its address and permissions."
            ) from error

    def names(self, prefix: str = "") -> Iterator[str]:
        """Yield the names of all files below the folder `prefix`, except temporary ones.

        Raises:
            StorageError: The prefix is not a safe name, or the file system does not respond.
        """
        return iter(sorted(self._found(prefix)))

    def versions(self, prefix: str = "") -> dict[str, tuple[int, str]]:
        """Return size and tag of all files below the folder `prefix`, by name; a tag is empty if there is none.

        Raises:
            StorageError: As `names`.
        """
        return {name: (int(found["size"] or 0), tag_of(found)) for name, found in self._found(prefix).items()}

    def _found(self, prefix: str) -> dict[str, Mapping[str, Any]]:
        """Return what a listing says of the files below a folder, by name."""
        prefix = prefix.rstrip("/")
        folder = self._path(prefix) if prefix else self.root
        try:
            # A cached listing would hide what other machines have written.
            self.fs.invalidate_cache()
            found: dict[str, Mapping[str, Any]] = self.fs.find(folder, detail=True)
            self.fs.invalidate_cache()
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except Exception as error:
            raise StorageError(
                prefix, f"{folder} cannot be listed: {error!r}. Check its address and permissions."
            ) from error
        found.pop(folder, None)
        named = {path.removeprefix(self.root).lstrip("/"): each for path, each in found.items()}
        return {name: each for name, each in named.items() if is_safe_name(name)}

    def path(self, name: str) -> None:
        """Return None: files have no path on this machine.

        Raises:
            StorageError: The name is unsafe.
        """
        check_name(name)

    def url(self, name: str) -> str:
        """Return the URL from which the site serves the file, percent-encoded.

        Raises:
            StorageError: The name is unsafe.
        """
        return join_url(self.base_url, check_name(name))

    def sweep(self) -> int:
        """Delete temporary files older than a day, and return how many; without `rename` there are none.

        Raises:
            OSError: The file system does not respond.
        """
        if not self.fs.exists(self._temporary_folder):
            return 0
        paths = self.fs.find(self._temporary_folder)
        oldest = time.time() - _LEFT_BEHIND_SECONDS
        left = [path for path in paths if self.fs.modified(path).timestamp() < oldest]
        for path in left:
            self.fs.rm_file(path)
        return len(left)

    @property
    def _temporary_folder(self) -> str:
        return f"{self.root}/{PREFIX}"

    def _path(self, name: str) -> str:
        return f"{self.root}/{check_name(name)}"

    def _write_options(self, name: str) -> dict[str, Any]:
        options: dict[str, Any] = {}
        if self._is_s3:
            # The style sheet is the only file whose content changes under its name.
            cached = "no-cache" if name.endswith(".css") else IMMUTABLE
            options = {"ContentType": mimetype_of_name(name), "CacheControl": cached}
        return {**options, **(self._own_options(name) if self._own_options else {})}

    def _write(self, path: str, content: bytes) -> str | None:
        if not self.rename:
            written = self.fs.pipe_file(path, content, **self._write_options(path.removeprefix(f"{self.root}/")))
            return (tag_of(written) or None) if isinstance(written, Mapping) else None
        temporary = f"{self._temporary_folder}/{temporary_name()}"
        try:
            self.fs.pipe_file(temporary, content)
            if self.fs.isdir(path):
                # A move would put the file into the folder.
                raise IsADirectoryError(path)
            self.fs.mv(temporary, path)
            return None
        except BaseException:
            if self.fs.exists(temporary):
                self.fs.rm_file(temporary)
            raise


_TAGS = ("ETag", "etag", "e_tag", "generation", "md5Hash", "sha")
"""What file systems call that which differs between any two contents: S3; Google and Azure; Google; GitHub."""


def tag_of(found: Mapping[str, Any]) -> str:
    """Return what a file system says of a file's version apart from its time; empty if nothing.

    Example:
        >>> tag_of({"size": 3, "ETag": '"5d41402a"'})
        '5d41402a'
    """
    return next((str(found[name]).strip('"') for name in _TAGS if found.get(name)), "")


def _stored(found: Mapping[str, Any]) -> StoredFile:
    modified = found.get("mtime", found.get("LastModified"))
    seconds = modified.timestamp() if isinstance(modified, datetime) else modified
    return StoredFile(int(found["size"] or 0), int(seconds * 1e9) if isinstance(seconds, (int, float)) else 0)
