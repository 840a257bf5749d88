"""Locks among processes that the kernel ends with their holder, however it dies: one attempt at a time."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import struct
import sys
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from ..atomic_files import make_folder

if TYPE_CHECKING:
    from filelock import FileLock

# Not on Windows, and open-file-description locks only where the kernel has them: Linux since 3.15.
fcntl: Any = None
with suppress(ImportError):
    import fcntl

Release = Callable[[], None]
"""Ends a lock."""


class KernelLocks(Protocol):
    """Locks by the names of the files that a folder has, or might have, for them."""

    def attempt(self, path: str) -> Release | None:
        """Take a lock and return what ends it; None while anybody holds it, be it the same object.

        Raises:
            OSError: The folder cannot be used.
        """


def kernel_locks(folder: str, directory_permissions: int, file_permissions: int) -> KernelLocks:
    """Return the locks of a folder, which is made when one is taken.

    Args:
        folder: An absolute path.
        directory_permissions: Mode of new folders.
        file_permissions: Mode of new files.
    """
    kind = RangeLocks if hasattr(fcntl, "F_OFD_SETLK") else NamedLocks
    return kind(folder, directory_permissions, file_permissions)


class RangeLocks:
    """Each lock is that of one byte of a single file, which stays: a lock costs two calls of the kernel.

    Args:
        folder: Where the file is; an absolute path.
        directory_permissions: Mode of new folders.
        file_permissions: Mode of the file.
    """

    def __init__(self, folder: str, directory_permissions: int, file_permissions: int) -> None:
        self._folder = folder
        self._path = os.path.join(folder, "bytes")
        self._directory_permissions = directory_permissions
        self._file_permissions = file_permissions
        self._file: _OpenFile | None = None

    def attempt(self, path: str) -> Release | None:
        """Take a lock and return what ends it; None while anybody holds it.

        Raises:
            OSError: The file cannot be opened, or its file system has no locks.
        """
        while True:
            file = self._file
            if file is None or file.closed:
                # Two threads may each open it; locks hold between the two.
                file = self._file = self._opened()
            start = _byte_of(path)
            if not file.lock(start):
                return None
            if file.is_at(self._path):
                return lambda: file.unlock(start)
            # The folder was deleted: others lock the file that took its place.
            file.unlock(start)
            self._file = None

    def _opened(self) -> _OpenFile:
        try:
            return _OpenFile(self._path, self._file_permissions)
        except FileNotFoundError:
            make_folder(self._folder, self._directory_permissions)
            return _OpenFile(self._path, self._file_permissions)


class _OpenFile:
    """A file whose bytes are locked, as one process has it open.

    Args:
        path: An absolute path.
        mode: The mode of a new file, whatever the umask says.

    Raises:
        OSError: It cannot be opened, or is no regular file.
    """

    def __init__(self, path: str, mode: int) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        self._close = weakref.finalize(self, os.close, self._descriptor)
        found = os.fstat(self._descriptor)
        if not stat.S_ISREG(found.st_mode):
            self.close()
            raise OSError(errno.EINVAL, "is no regular file", path)
        self._identity = found.st_dev, found.st_ino
        # The kernel does not tell the threads of a process apart.
        self._locked: dict[int, object] = {}
        if found.st_mode & 0o777 != mode & 0o777:
            # Another user's file keeps its owner's modes.
            with suppress(PermissionError):
                os.fchmod(self._descriptor, mode)
        _open_files.add(self)

    @property
    def closed(self) -> bool:
        """Whether it was closed, because the process was forked."""
        return not self._close.alive

    def close(self) -> None:
        """Close it."""
        self._close()

    def is_at(self, path: str) -> bool:
        """Tell whether it still has a name."""
        try:
            found = os.stat(path)
        except FileNotFoundError:
            return False
        return (found.st_dev, found.st_ino) == self._identity

    def lock(self, start: int) -> bool:
        """Lock a byte; return False while anybody holds it."""
        mark = object()
        if self._locked.setdefault(start, mark) is not mark:
            return False
        try:
            self._set(fcntl.F_WRLCK, start)
        except OSError as error:
            del self._locked[start]
            # POSIX allows either for a byte that is locked.
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            return False
        return True

    def unlock(self, start: int) -> None:
        """Unlock a byte; a child to which a lock was handed at a fork has none to end."""
        if not self.closed:
            with suppress(OSError):
                self._set(fcntl.F_UNLCK, start)
            del self._locked[start]

    def _set(self, kind: int, start: int) -> None:
        # fcntl(2): struct flock is l_type, l_whence, l_start, l_len, l_pid, which is 0 for these locks.
        fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", kind, os.SEEK_SET, start, 1, 0))


_open_files: weakref.WeakSet[_OpenFile] = weakref.WeakSet()


def _close_inherited() -> None:
    """Close what a fork copied: an open file's locks are its parent's, and last until the last copy is closed."""
    for file in list(_open_files):
        file.close()
    _open_files.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_inherited)


def _byte_of(path: str) -> int:
    """Return the byte that stands for a lock; no two of many names share one."""
    return int.from_bytes(hashlib.blake2b(path.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big") >> 2


class NamedLocks:
    """Each lock is that of a file of its own, which is deleted when it ends, by `filelock`; for every system.

    Args:
        folder: Where the files are; an absolute path.
        directory_permissions: Mode of new folders.
        file_permissions: Mode of the files.
    """

    def __init__(self, folder: str, directory_permissions: int, file_permissions: int) -> None:
        self._folder = folder
        self._directory_permissions = directory_permissions
        self._file_permissions = file_permissions
        self._swept = False

    def attempt(self, path: str) -> Release | None:
        """Take a lock and return what ends it; None while anybody holds it.

        Raises:
            OSError: The file cannot be made or locked.
        """
        make_folder(self._folder, self._directory_permissions)
        if not self._swept:
            self._swept = True
            self._sweep()
        return self._attempt(path)

    def _attempt(self, path: str) -> Release | None:
        # Linux has no use for it.
        from filelock import FileLock, Timeout

        # thread_local=False: a template in an async environment may end in a different thread from where it began.
        lock = FileLock(path, mode=self._file_permissions, thread_local=False, fallback_to_soft=False)
        try:
            lock.acquire(blocking=False)
        except (Timeout, RuntimeError):
            # RuntimeError: this thread holds it, so that waiting would never end.
            return None
        return lambda: _release(lock)

    def _sweep(self) -> None:
        """Delete the lock files of holders that died."""
        with os.scandir(self._folder) as entries:
            paths = [entry.path for entry in entries if entry.name.endswith(".lock")]
        for path in paths:
            with suppress(OSError):
                release = self._attempt(path)
                if release:
                    release()


def _release(lock: FileLock) -> None:
    if not lock.is_locked:
        # A forked child has none of its parent's.
        return
    with suppress(OSError):
        # On POSIX the file is deleted while locked, and whoever waits for it sees that it has lost its name; Windows
        # does not delete open files, and there filelock deletes it after closing.
        if sys.platform != "win32":
            os.unlink(lock.lock_file)
    with suppress(OSError):
        lock.release()
