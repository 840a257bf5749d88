"""Opens files and folders by paths without symbolic links, even if one is swapped in while the path is walked."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO, NamedTuple

from .atomic_files import make_folder

HAS_FOLDER_DESCRIPTORS = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW") and hasattr(os, "O_DIRECTORY")
"""Whether files can be opened relative to an open folder, which nobody can exchange: everywhere but on Windows."""

_FOLDER_FLAGS = (
    getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0) | os.O_CLOEXEC
    if HAS_FOLDER_DESCRIPTORS
    else 0
)
_FILE_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
"""No link is followed, and no FIFO waited for."""


class LinkInTheWay(OSError):
    """A path that was resolved leads through a symbolic link now."""


class NotARegularFile(OSError):
    """Something else than a file is there: a folder, a pipe, a socket, a device."""


class Modes(NamedTuple):
    """What folders that are made are like.

    Attributes:
        mode: Their mode, whatever the process's umask says; None leaves it to the umask.
    """

    mode: int | None


@contextmanager
def folder(path: str, make: Modes | None = None) -> Iterator[int | None]:
    """Open a folder for the block, as the `dir_fd` of what is done in it; None where the system has none.

    Args:
        path: The folder's absolute path, resolved.
        make: Make it, and what is missing above it, with these modes.

    Raises:
        LinkInTheWay: The path leads through a symbolic link.
        OSError: There is no such folder, or it cannot be made or entered.
    """
    if not HAS_FOLDER_DESCRIPTORS:
        if make:
            make_folder(path, make.mode)
        _check_resolved(path)
        yield None
        return
    descriptor = os.open(os.sep, _FOLDER_FLAGS)
    try:
        for name in filter(None, path.split(os.sep)):
            try:
                inner = _enter(name, descriptor)
            except FileNotFoundError:
                if not make:
                    raise
                _make(name, descriptor, make.mode)
                inner = _enter(name, descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


def open_file(path: str) -> BinaryIO:
    """Open a regular file for reading.

    Args:
        path: The file's absolute path, resolved.

    Raises:
        LinkInTheWay: The path leads through a symbolic link.
        NotARegularFile: Something else is there.
        OSError: There is no such file, or it cannot be read.
    """
    above, name = os.path.split(path)
    with folder(above) as within:
        try:
            descriptor = os.open(name if within is not None else path, _FILE_FLAGS, dir_fd=within)
        except OSError as error:
            raise _explained(error, name if within is not None else path, within) from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise NotARegularFile(f"{path} is not a regular file")
        if within is None:
            _check_resolved(path)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _make(name: str, within: int, mode: int | None) -> None:
    # Another process may be faster.
    with suppress(FileExistsError):
        os.mkdir(name, 0o777 if mode is None else mode, dir_fd=within)
        if mode is not None:
            os.chmod(name, mode, dir_fd=within)


def _enter(name: str, within: int) -> int:
    try:
        return os.open(name, _FOLDER_FLAGS, dir_fd=within)
    except OSError as error:
        raise _explained(error, name, within) from None


def _explained(error: OSError, name: str, within: int | None) -> OSError:
    """Return the error that says what a name is that cannot be opened; systems have several numbers for a link."""
    with suppress(OSError):
        if stat.S_ISLNK(os.lstat(name, dir_fd=within).st_mode):
            return LinkInTheWay(error.errno, "a symbolic link is in the way", name)
    return error


def _check_resolved(path: str) -> None:
    if os.path.normcase(os.path.realpath(path)) != os.path.normcase(path):
        raise LinkInTheWay(f"{path} leads through a symbolic link")
