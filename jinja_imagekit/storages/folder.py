"""Cache files in a folder: safe names, whole files or none, and their URLs."""

from __future__ import annotations

import errno
import os
import re
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from .. import no_links
from ..atomic_files import PREFIX, left_behind, sweep_folder, temporary_name
from ..exceptions import StorageError
from ..interfaces import StoredFile
from ..listing import WORTH, all_entries
from ..no_links import LinkInTheWay, NotARegularFile, open_file
from ..settings import Settings

PROMISED = ".imagekit-promised"
"""The name of the folder that keeps what leads to cache files that are made on request."""

MOST_FOLDERS = 10_000
"""Folders that are remembered where many names are looked at: about 300 bytes each, 3 MB in all."""

_REPLACE_ATTEMPTS = 40
"""On Windows a file that someone has open cannot be replaced; 40 attempts, 25 ms apart, wait a second for them."""

_DRIVE = r"[A-Za-z]:"
_WINDOWS_DEVICE = r"(?i)(con|prn|aux|nul|conin\$|conout\$|com[\d¹²³]|lpt[\d¹²³])\s*(\.|$)"


# Segments of letters, digits, '-' and '_'; a segment may hold single dots, but not begin or end with one.
_ORDINARY = re.compile(r"[\w-]+(?:\.[\w-]+)*(?:/[\w-]+(?:\.[\w-]+)*)*", re.ASCII)


def check_name(name: str) -> str:
    """Return `name` if it is a relative POSIX path that stays below its folder on every system.

    Args:
        name: What a namer or a caller calls a cache file.

    Raises:
        StorageError: The name is empty, absolute or not normal (`..`, `.`, `//`), or holds a backslash, a drive,
            a NUL or anything that is not Unicode.

    Example:
        >>> check_name("CACHE/images/hero.webp")
        'CACHE/images/hero.webp'
    """
    problem = _problem(name)
    if problem:
        raise StorageError(str(name)[:200], f"not a safe name: it {problem}. Have the namer return a relative path.")
    return name


def is_safe_name(name: str) -> bool:
    """Tell whether `check_name` accepts a name."""
    return not _problem(name)


def is_windows_device(segment: str) -> bool:
    """Tell whether Windows takes a file name for a device, whatever its extension and folder.

    Example:
        >>> is_windows_device("aux.jpg"), is_windows_device("auxiliary.jpg")
        (True, False)
    """
    return re.match(_WINDOWS_DEVICE, segment) is not None


def join_url(base_url: str, name: str) -> str:
    """Return the URL of a name below a base URL, percent-encoded in UTF-8 and joined with one slash.

    Example:
        >>> join_url("https://cdn.example/x/", "été/it's #1.jpg")
        'https://cdn.example/x/%C3%A9t%C3%A9/it%27s%20%231.jpg'
    """
    path = name if _ORDINARY.fullmatch(name) else quote(name, safe="/")
    return f"{base_url.rstrip('/')}/{path}"


class FileSystemStorage:
    """Keeps cache files in a folder on this machine.

    A file is written under a temporary name on the same file system and renamed, so that readers and other
    writers see either the old file or the new one, and a writer that dies leaves nothing under a cache file's name.
    Nothing outside the folder is written, read or deleted: symbolic links on the way are resolved, then checked.

    Args:
        location: The folder; it is created when needed.
        base_url: URL from which the site serves the folder, or a function that returns each request's own.
        file_permissions: Mode of the files; None leaves it to the process's umask.
        directory_permissions: Mode of new folders; None leaves it to the umask.
        fsync: Wait until each file is on disk before naming it, and then for the name.

    Example:
        >>> storage = FileSystemStorage("output", "/media/")
        >>> storage.url("CACHE/images/a b.jpg")
        '/media/CACHE/images/a%20b.jpg'
    """

    is_local = True

    def __init__(
        self,
        location: str | os.PathLike[str],
        base_url: str | Callable[[], str] = "/",
        *,
        file_permissions: int | None = 0o644,
        directory_permissions: int | None = 0o755,
        fsync: bool = False,
    ) -> None:
        self.location = Path(os.path.abspath(location))
        self._base_url = base_url
        self.file_permissions = file_permissions
        self.directory_permissions = directory_permissions
        self.fsync = fsync
        self._root = str(self.location)
        self._temporary_folder = os.path.join(self._root, PREFIX)
        self._swept: frozenset[str] = frozenset()

    @classmethod
    def from_settings(cls, settings: Settings, base_url: Callable[[], str] | None = None) -> FileSystemStorage:
        """Return the storage that a kit's settings describe, if need be with a base URL for each request."""
        return cls(
            settings.location,
            base_url or settings.base_url,
            file_permissions=settings.file_permissions,
            directory_permissions=settings.directory_permissions,
            fsync=settings.fsync,
        )

    @property
    def base_url(self) -> str:
        """URL from which the site serves the folder."""
        return self._base_url if isinstance(self._base_url, str) else self._base_url()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._root!r}, {self.base_url!r})"

    def save(self, name: str, content: bytes) -> None:
        """Write `content` under exactly this name, whole or not at all, over whatever file stands there.

        Raises:
            StorageError: The name is unsafe, or the file cannot be written; an old file of the name is unharmed.
        """
        folder, last = self._resolved(name)
        try:
            self._save(folder, last, content)
        except OSError as error:
            raise StorageError(name, self._advice(error, os.path.join(folder, last))) from error

    def open(self, name: str) -> BinaryIO:
        """Open the file for reading.

        Raises:
            StorageError: The name is unsafe, there is no such regular file, or it cannot be read.
        """
        path = os.path.join(*self._resolved(name))
        try:
            return open_file(path)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise StorageError(name, "there is no such file. Generate it first.") from error
        except (LinkInTheWay, NotARegularFile) as error:
            raise StorageError(name, f"{path} is not a regular file: delete it, and it is made again.") from error
        except OSError as error:
            raise StorageError(name, f"cannot be read ({error.strerror}): check the permissions of {path}.") from error

    def stat(self, name: str) -> StoredFile | None:
        """Return the size and time of the regular file of this name; None where there is none.

        Raises:
            StorageError: The name is unsafe.
        """
        return _stored(self._confined(name))

    def stats(self, names: Iterable[str]) -> Iterator[StoredFile | None]:
        """Yield what `stat` returns for each of many names, looking at each folder once.

        Raises:
            StorageError: A name is unsafe.
        """
        path_of = self.paths()
        return (_stored(path_of(name)) for name in names)

    def delete(self, name: str) -> None:
        """Delete the file; no error if there is none.

        Raises:
            StorageError: The name is unsafe, or the file cannot be deleted.
        """
        folder, last = self._resolved(name)
        try:
            with no_links.folder(folder) as within:
                if within is not None:
                    os.unlink(last, dir_fd=within)
                else:
                    _patiently(os.unlink, os.path.join(folder, last))
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise StorageError(name, self._advice(error, os.path.join(folder, last))) from error

    def names(self, prefix: str = "") -> Iterator[str]:
        """Yield the names of all regular files below the folder `prefix` in order, except temporary ones.

        Symbolic links are ignored.

        Raises:
            StorageError: The prefix is not a safe name.
        """
        prefix = prefix.rstrip("/")
        folder = self._confined(prefix) if prefix else self._root
        return self._names(folder, f"{prefix}/" if prefix else "")

    def path(self, name: str) -> str:
        """Return the file's absolute path, whether or not it exists.

        Raises:
            StorageError: The name is unsafe.
        """
        return self._confined(name)

    def url(self, name: str) -> str:
        """Return the URL from which the site serves the file, percent-encoded.

        Raises:
            StorageError: The name is unsafe.
        """
        return join_url(self.base_url, check_name(name))

    def left_behind(self) -> list[str]:
        """Return the paths of the temporary files left by dead writers, which `sweep` deletes."""
        return left_behind(self._temporary_folder)

    def sweep(self) -> int:
        """Delete the temporary files left by dead writers, and their folder if it is empty.

        The first `save` does this by itself.

        Returns:
            How many files were deleted.
        """
        count = sweep_folder(self._temporary_folder)
        with suppress(OSError):
            os.rmdir(self._temporary_folder)
        return count

    def paths(self) -> Callable[[str], str]:
        """Return a function that does what `path` does for many names, and looks at each folder once."""
        return _Paths(self._root, self._check_below)

    def _confined(self, name: str) -> str:
        """Return the path of a name, unless a folder of it is a link that leads out."""
        return self.paths()(name)

    def _resolved(self, name: str) -> tuple[str, str]:
        """Return the path of a name's folder, in which no link is left, and its last part."""
        paths = _Paths(self._root, self._check_below)
        folder, last = os.path.split(paths(name))
        if paths.links or not no_links.HAS_FOLDER_DESCRIPTORS:
            return self._check_below(name, folder), last
        # Below the storage's folder there is no link, or whoever opens it finds one that has appeared since.
        return os.path.realpath(self._root) + folder.removeprefix(self._root), last

    def _check_below(self, name: str, path: str) -> str:
        try:
            real = os.path.realpath(path)
        except OSError as error:
            # Before Python 3.13 it fails where a link goes away between two looks at it.
            raise StorageError(name, f"{path} is being exchanged: {error.strerror}.") from error
        if not _is_below(real, os.path.realpath(self._root)):
            raise StorageError(name, f"a symbolic link leads out of {self._root} at {path}: remove it.")
        return real

    def _save(self, folder: str, name: str, content: bytes) -> None:
        temporary_folder = os.path.join(os.path.realpath(self._root), PREFIX)
        beside = temporary_folder
        for attempt in range(5):
            if beside not in self._swept:
                self._swept |= {beside}
                sweep_folder(beside)
            try:
                self._write_and_rename(beside, folder, name, content)
                return
            except FileNotFoundError:
                # A folder was removed, or another machine's sweep took the temporary file for a dead writer's.
                if attempt == 4:
                    raise
            except OSError as error:
                # A folder below `location` lies on another file system: rename within that folder.
                if error.errno != errno.EXDEV or beside != temporary_folder:
                    raise
                beside = folder

    def _write_and_rename(self, beside: str, folder: str, name: str, content: bytes) -> None:
        made = no_links.Modes(self.directory_permissions)
        with no_links.folder(beside, make=made) as source, no_links.folder(folder, make=made) as target:
            temporary = temporary_name() if source is not None else os.path.join(beside, temporary_name())
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
            mode = 0o666 if self.file_permissions is None else self.file_permissions
            descriptor = os.open(temporary, flags, mode, dir_fd=source)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(content)
                    if self.fsync:
                        file.flush()
                        os.fsync(file.fileno())
                if self.file_permissions is not None:
                    os.chmod(temporary, self.file_permissions, dir_fd=source)
                self._rename(temporary, os.path.join(folder, name), source, target)
            except BaseException:
                with suppress(OSError):
                    os.unlink(temporary, dir_fd=source)
                raise
        if self.fsync:
            _fsync_folder(folder)

    @staticmethod
    def _rename(temporary: str, path: str, source: int | None, target: int | None) -> None:
        if target is None:
            _patiently(os.replace, temporary, path)
        else:
            os.replace(temporary, os.path.basename(path), src_dir_fd=source, dst_dir_fd=target)

    def _names(self, folder: str, prefix: str) -> Iterator[str]:
        found = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        found.append(f"{entry.name}/")
                    elif entry.is_file(follow_symlinks=False):
                        found.append(entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return
        # With its slash, a folder is where its names belong in the order of all.
        for name in sorted(found):
            if _problem(prefix + name.rstrip("/")):
                continue
            if name.endswith("/"):
                yield from self._names(os.path.join(folder, name[:-1]), prefix + name)
            else:
                yield prefix + name

    def _advice(self, error: OSError, path: str) -> str:
        folder = os.path.dirname(path)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return f"the disk of {folder} is full: free some space, or set location to a folder on another disk."
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return f"{folder} is not writable: check its permissions, or set location to a folder that is."
        if error.errno in (errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY):
            return f"there is a folder where a file should be, or vice versa, at {path}: move it away."
        if error.errno == errno.ENAMETOOLONG:
            return "the name is too long for the file system: choose a namer with shorter names."
        return f"cannot be written at {path}: {error.strerror or error}. Check the folder and its disk."


class _Paths:
    """The paths of names, of whose folders each is looked at once.

    Args:
        root: The path of the storage's folder.
        check: Raises unless a folder of a name, given second, lies below the storage's.

    Attributes:
        links: How many symbolic links lay in the way.
    """

    def __init__(self, root: str, check: Callable[[str, str], str]) -> None:
        self._root, self._check = root, check
        self._known = {"": root}
        self._asked: dict[str, int] = {}
        self._sound: set[str] = set()
        self.links = 0
        self._is_ordinary = _ORDINARY.fullmatch if os.name != "nt" else is_safe_name

    def __call__(self, name: str) -> str:
        if not isinstance(name, str):
            check_name(name)
        end = name.rfind("/") + 1
        folder, last = name[:end], name[end:]
        path = self._known.get(folder)
        # Of a folder that is known no segment need be checked again.
        if not self._is_ordinary(name if path is None else last):
            check_name(name)
        if path is None:
            if len(self._known) >= MOST_FOLDERS:
                self._known = {"": self._root}
                self._asked, self._sound = {}, set()
            path = self._folder(name, folder)
        return f"{path}{os.sep}{last}"

    def _folder(self, name: str, folder: str) -> str:
        """Return the path of a folder of a name, which ends with a slash, keeping it and those above it."""
        above = folder[: folder.rfind("/", 0, -1) + 1]
        outer = self._known.get(above) or self._folder(name, above)
        path = f"{outer}{os.sep}{folder[len(above) : -1]}"
        if path not in self._sound:
            asked = self._asked[outer] = self._asked.get(outer, 0) + 1
            # Each image has a folder; on Windows a junction looks like one.
            if asked in WORTH and os.name == "posix":
                self._sound.update(
                    each.path for each in all_entries(outer, asked) or () if each.is_dir(follow_symlinks=False)
                )
            if path not in self._sound and _is_link(path):
                self.links += 1
                self._check(name, path)
        self._known[folder] = path
        return path


def _problem(name: str) -> str:
    if not isinstance(name, str) or not name:
        return "is empty or not a string"
    if _ORDINARY.fullmatch(name) and os.name != "nt":
        return ""
    if "\0" in name or "\\" in name:
        return "holds a NUL or a backslash"
    if name.startswith("/") or re.match(_DRIVE, name):
        return "is absolute"
    for segment in name.split("/"):
        # Windows drops trailing dots and spaces: '.. ' is '..' there.
        if not segment.strip(". "):
            return "has a segment that is empty or all dots"
        if segment.lower().startswith((PREFIX, PROMISED)):
            return f"uses {PREFIX} or {PROMISED}, which are reserved"
        if os.name == "nt" and (":" in segment or is_windows_device(segment)):
            return "names a device or a stream"
    try:
        name.encode()
    except UnicodeEncodeError:
        return "is not valid Unicode"
    return ""


def _stored(path: str) -> StoredFile | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return StoredFile(found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None


def _is_link(path: str) -> bool:
    try:
        found = os.lstat(path)
    except OSError:
        return False
    # A reparse tag marks links on Windows, and junctions, which lead elsewhere too.
    return stat.S_ISLNK(found.st_mode) or bool(getattr(found, "st_reparse_tag", 0))


def _is_below(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip(os.sep) + os.sep)


def _patiently(operation: Callable[..., None], *paths: str) -> None:
    for _ in range(_REPLACE_ATTEMPTS):
        try:
            return operation(*paths)
        except PermissionError as error:
            # 5 and 32: access denied and sharing violation, while another process has the file open.
            if getattr(error, "winerror", None) not in (5, 32):
                raise
            time.sleep(0.025)
    return operation(*paths)


def _fsync_folder(folder: str) -> None:
    # Windows cannot open a folder; there the rename itself is journalled.
    with suppress(PermissionError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
