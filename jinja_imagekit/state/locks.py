"""Locks by name: among the threads of a process, and among processes."""

from __future__ import annotations

import hashlib
import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from filelock import FileLock

POLL_SECONDS = 0.005
"""How often a waiting process looks at a lock file; one look takes about 30 µs."""

logger = logging.getLogger("jinja_imagekit.state")


class ThreadLocks:
    """Locks by name among the threads of one process; a thread may take one again that it holds.

    A lock exists while someone holds it or waits for it, so that names may be many.

    Example:
        >>> locks = ThreadLocks()
        >>> with locks.hold("hero") as depth:
        ...     depth
        1
    """

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._mutex = threading.Lock()
        self._locks: dict[str, _CountedLock] = {}

    @contextmanager
    def hold(self, key: str) -> Iterator[int]:
        """Hold the lock of this name, and tell how many times this thread does."""
        if self._pid != os.getpid():
            # The threads that held locks when this process was forked are not in it.
            self._reset()
        mutex, locks = self._mutex, self._locks
        with mutex:
            lock = locks.setdefault(key, _CountedLock())
            lock.users += 1
        try:
            with lock.rlock:
                lock.depth += 1
                try:
                    yield lock.depth
                finally:
                    lock.depth -= 1
        finally:
            with mutex:
                lock.users -= 1
                if not lock.users:
                    locks.pop(key, None)

    def __len__(self) -> int:
        """Return how many locks are held or waited for."""
        return len(self._locks)


class _CountedLock:
    __slots__ = ("depth", "rlock", "users")

    def __init__(self) -> None:
        self.rlock = threading.RLock()
        self.users = 0
        self.depth = 0


class FileLocks:
    """Locks by name among threads and processes, by the kernel's locks on files in one folder.

    A lock ends with its holder, however that dies. Its file goes when it is released.

    Args:
        folder: Where the lock files are; made when it is needed, readable by its owner only.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._threads = ThreadLocks()
        self._complained = False
        self._swept = False

    @contextmanager
    def hold(self, key: str) -> Iterator[None]:
        """Hold the lock of this name; where the folder cannot be written, only against this process's threads."""
        with self._threads.hold(key) as depth:
            lock = self._acquire(key) if depth == 1 else None
            try:
                yield
            finally:
                if lock is not None:
                    _release(lock)

    def path(self, key: str) -> str:
        """Return the path of the lock file of this name, which exists while it is held."""
        digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
        return os.path.join(self.folder, f"{digest}.lock")

    def sweep(self) -> None:
        """Delete the lock files of holders that died; the first `hold` does this by itself."""
        with os.scandir(self.folder) as entries:
            paths = [entry.path for entry in entries if entry.name.endswith(".lock")]
        for path in paths:
            lock = _file_lock(path)
            with suppress(OSError):
                lock.acquire(blocking=False)
                _release(lock)

    def _acquire(self, key: str) -> FileLock | None:
        try:
            os.makedirs(self.folder, mode=0o700, exist_ok=True)
            if not self._swept:
                self._swept = True
                self.sweep()
            lock = _file_lock(self.path(key))
            lock.acquire()
        except (OSError, RuntimeError) as error:
            # RuntimeError: another store of this thread holds the same file; waiting would take for ever.
            if not self._complained:
                self._complained = True
                logger.warning(
                    "No lock can be taken in %s (%s). Work goes on without: two processes may make the same image. "
                    "Make the folder writable, or set state_dir to one that is.",
                    self.folder,
                    error,
                )
            return None
        return lock


def _file_lock(path: str) -> FileLock:
    # thread_local=False: a template in an async environment may end in another thread than it began in.
    return FileLock(path, poll_interval=POLL_SECONDS, thread_local=False, fallback_to_soft=False)


def _release(lock: FileLock) -> None:
    with suppress(OSError):
        # On POSIX the file goes while it is locked, and who waits for it sees that it has no name any more; Windows
        # deletes no open file, and filelock does it there after closing.
        if sys.platform != "win32":
            os.unlink(lock.lock_file)
    with suppress(OSError):
        lock.release()
