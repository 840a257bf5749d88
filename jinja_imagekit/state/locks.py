"""Named locks among the threads of a process and among processes, whose holders never wait in a circle."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

from filelock import FileLock, Timeout

from ..atomic_files import PREFIX, make_folder, sweep_folder, temporary_name
from ..once import PerProcess

POLL_SECONDS = 0.005
"""Seconds between a waiting process's looks at a lock file, each of which takes about 30 µs."""

CHECK_SECONDS = 0.1
"""Seconds between a waiting thread's checks of whether it is waiting in a circle."""

logger = logging.getLogger("jinja_imagekit.state")


class Holder:
    """A thread, as a holder of locks.

    Attributes:
        held: The locks it holds, each with how many times.
        works_for: The thread that waits for this one to finish its part, and whose locks therefore count as its own.
    """

    def __init__(self) -> None:
        self.held: dict[str, int] = {}
        self.works_for: Holder | None = None

    def all_held(self) -> frozenset[str]:
        """Return the locks that are held until this thread proceeds."""
        found: set[str] = set()
        each: Holder | None = self
        while each is not None:
            found.update(tuple(each.held))
            each = each.works_for
        return frozenset(found)


_threads = threading.local()


def this_thread() -> Holder:
    """Return this thread as a holder of locks."""
    holder: Holder | None = getattr(_threads, "holder", None)
    if holder is None:
        holder = _threads.holder = Holder()
    return holder


@contextmanager
def working_for(holder: Holder) -> Iterator[None]:
    """State that another thread, with the locks it holds, waits for what this one does within the block."""
    own = this_thread()
    if own is holder:
        yield
        return
    before, own.works_for = own.works_for, holder
    try:
        yield
    finally:
        own.works_for = before


class Wait(NamedTuple):
    """A thread that holds some locks and waits for another, which may be the second stage of a lock it holds."""

    held: frozenset[str]
    wanted: str


def _is_circle(wait: Wait, others: Sequence[Wait]) -> bool:
    """Tell whether the holder of the wanted lock is itself waiting, perhaps through others, for this thread."""
    held = wait.held - {wait.wanted}
    seen: set[str] = set()
    pending = [wait.wanted]
    while pending:
        wanted = pending.pop()
        if wanted in held:
            return True
        if wanted not in seen:
            seen.add(wanted)
            pending.extend(each.wanted for each in others if wanted in each.held)
    return False


class _Waits:
    """The threads of a process that hold locks and wait for others."""

    def __init__(self) -> None:
        # A forked process's threads do not exist in its child.
        self._waits: PerProcess[dict[Holder, Wait]] = PerProcess(dict)

    @contextmanager
    def made_known(self, holder: Holder, wait: Wait) -> Iterator[None]:
        """Let other threads know about a wait within the block."""
        waits = self._waits()
        waits[holder] = wait
        try:
            yield
        finally:
            waits.pop(holder, None)

    def is_circle(self, wait: Wait) -> bool:
        """Tell whether a wait would never end."""
        return _is_circle(wait, self._others())

    def _others(self) -> list[Wait]:
        return list(self._waits().copy().values())


class _SharedWaits(_Waits):
    """The threads of several processes that hold locks and wait for others, each listed in a file while it waits."""

    def __init__(self, folder: str, file_permissions: int) -> None:
        super().__init__()
        self._folder = folder
        self._file_permissions = file_permissions

    @contextmanager
    def made_known(self, holder: Holder, wait: Wait) -> Iterator[None]:
        path = os.path.join(self._folder, temporary_name())
        # If the folder cannot be written, there are no locks of other processes to wait for.
        with suppress(OSError), open(path, "x", encoding="utf-8") as file:
            os.chmod(path, self._file_permissions)
            json.dump([sorted(wait.held), wait.wanted], file)
        try:
            with super().made_known(holder, wait):
                yield
        finally:
            with suppress(OSError):
                os.unlink(path)

    def _others(self) -> list[Wait]:
        sweep_folder(self._folder)
        found = super()._others()
        with suppress(OSError):
            paths = [entry.path for entry in os.scandir(self._folder) if entry.name.startswith(PREFIX)]
            found.extend(filter(None, map(_read_wait, paths)))
        return found


def _read_wait(path: str) -> Wait | None:
    try:
        with open(path, encoding="utf-8") as file:
            held, wanted = json.load(file)
        return Wait(frozenset(held), wanted)
    # Half written, or already gone: the next look will tell.
    except (OSError, ValueError, TypeError, RecursionError):
        return None


class ThreadLocks:
    """Named, re-entrant locks among the threads of one process.

    A lock exists only while it is held or waited for, so that there may be many names. A thread that would wait in a
    circle goes on without the lock: at worst, the same work is done twice.

    Args:
        waits: Where threads register what they hold and wait for.

    Example:
        >>> locks = ThreadLocks()
        >>> with locks.hold("hero") as depth:
        ...     depth
        1
    """

    def __init__(self, waits: _Waits | None = None) -> None:
        self._waits = waits or _Waits()
        self._scope = "" if waits else f"{id(self)}:"
        # The threads that held locks when a process forked do not exist in its child.
        self._table = PerProcess(_Table)

    @contextmanager
    def hold(self, key: str) -> Iterator[int]:
        """Hold the lock of this name and give how many times this thread holds it; 0 if it goes on without."""
        table = self._table()
        mutex, locks = table.mutex, table.locks
        with mutex:
            lock = locks.setdefault(key, _CountedLock())
            lock.users += 1
        try:
            if not self._acquire(lock, self._scope + key):
                yield 0
                return
            held = this_thread().held
            try:
                lock.depth += 1
                held[self._scope + key] = lock.depth
                yield lock.depth
            finally:
                lock.depth -= 1
                held[self._scope + key] = lock.depth
                if not lock.depth:
                    del held[self._scope + key]
                lock.rlock.release()
        finally:
            with mutex:
                lock.users -= 1
                if not lock.users:
                    locks.pop(key, None)

    def _acquire(self, lock: _CountedLock, name: str) -> bool:
        if lock.rlock.acquire(blocking=False):
            return True
        wait = Wait(this_thread().all_held(), name)
        if not wait.held:
            # No one can be waiting for this thread.
            return lock.rlock.acquire()
        if wait.wanted in wait.held:
            return False
        with self._waits.made_known(this_thread(), wait):
            while not lock.rlock.acquire(timeout=CHECK_SECONDS):
                if self._waits.is_circle(wait):
                    return False
        return True

    def __len__(self) -> int:
        """Return how many locks are held or waited for."""
        return len(self._table().locks)


class _Table:
    """The locks of one process by name."""

    def __init__(self) -> None:
        self.mutex = threading.Lock()
        self.locks: dict[str, _CountedLock] = {}


class _CountedLock:
    __slots__ = ("depth", "rlock", "users")

    def __init__(self) -> None:
        self.rlock = threading.RLock()
        self.users = 0
        self.depth = 0


class FileLocks:
    """Named locks among threads and processes, by means of the kernel's locks on files in one folder.

    A lock ends with its holder, however it dies. Its file is deleted when it is released.

    Args:
        folder: Where the lock files are; created when needed.
        directory_permissions: Mode of new folders.
        file_permissions: Mode of the files.
    """

    def __init__(self, folder: str, directory_permissions: int = 0o700, file_permissions: int = 0o600) -> None:
        self.folder = folder
        self._directory_permissions = directory_permissions
        self._file_permissions = file_permissions
        self._waits = _SharedWaits(folder, file_permissions)
        self._threads = ThreadLocks(self._waits)
        self._complained = False
        self._swept = False

    @contextmanager
    def hold(self, key: str) -> Iterator[None]:
        """Hold the lock of this name; if the folder cannot be written, only against this process's threads."""
        # Its name must not depend on the process, since other processes compare it.
        with self._threads.hold(self.path(key)) as depth:
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
            lock = self._file_lock(path)
            with suppress(OSError):
                lock.acquire(blocking=False)
                _release(lock)

    def _acquire(self, key: str) -> FileLock | None:
        try:
            make_folder(self.folder, self._directory_permissions)
            if not self._swept:
                self._swept = True
                self.sweep()
            lock = self._file_lock(self.path(key))
            if not self._wait_for(lock):
                return None
        except (OSError, RuntimeError) as error:
            # RuntimeError: another store of this thread holds the same file, so that waiting would never end.
            if not self._complained:
                self._complained = True
                logger.warning(
                    "No lock can be taken in %s (%s). Work continues without: two processes may make the same image. "
                    "Make the folder writable, or set state_dir to one that is.",
                    self.folder,
                    error,
                )
            return None
        return lock

    def _wait_for(self, lock: FileLock) -> bool:
        """Wait for a lock file; return False if its holder is waiting for this thread."""
        wait = Wait(this_thread().all_held(), lock.lock_file)
        if wait.held == {wait.wanted}:
            lock.acquire()
            return True
        # Most are free or soon will be, so there is no need to register the wait.
        with suppress(Timeout):
            lock.acquire(timeout=CHECK_SECONDS)
            return True
        with self._waits.made_known(this_thread(), wait):
            while not self._waits.is_circle(wait):
                with suppress(Timeout):
                    lock.acquire(timeout=CHECK_SECONDS)
                    return True
        return False

    def _file_lock(self, path: str) -> FileLock:
        # thread_local=False: a template in an async environment may end in a different thread from where it began.
        mode = self._file_permissions
        return FileLock(path, mode=mode, poll_interval=POLL_SECONDS, thread_local=False, fallback_to_soft=False)


def _release(lock: FileLock) -> None:
    with suppress(OSError):
        # On POSIX the file is deleted while locked, and whoever waits for it sees that it has lost its name; Windows
        # does not delete open files, and there filelock deletes it after closing.
        if sys.platform != "win32":
            os.unlink(lock.lock_file)
    with suppress(OSError):
        lock.release()


class Slots:
    """Lets only so many threads work at a time, of all the processes that name the same folder.

    Args:
        folder: Where the lock files are; created when needed. If it cannot be written, each process counts for itself.
        count: How many may work at a time.
        directory_permissions: Mode of new folders.
        file_permissions: Mode of the files.

    Example:
        >>> slots = Slots("/tmp/slots", 2)
        >>> with slots.hold():  # doctest: +SKIP
        ...     "one of two"
    """

    def __init__(
        self, folder: str, count: int, directory_permissions: int = 0o700, file_permissions: int = 0o600
    ) -> None:
        self._folder = folder
        self._count = count
        self._directory_permissions = directory_permissions
        self._file_permissions = file_permissions
        # Only as many threads of a process look at the files as may work; the others wait for these.
        self._threads = PerProcess(lambda: threading.Semaphore(count))

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Wait until fewer than `count` are at work, and count as one within the block."""
        with self._threads():
            lock = self._acquire()
            try:
                yield
            finally:
                if lock is not None:
                    lock.release()

    def _acquire(self) -> FileLock | None:
        try:
            make_folder(self._folder, self._directory_permissions)
            while True:
                for number in range(self._count):
                    path = os.path.join(self._folder, f"{number}.lock")
                    lock = FileLock(path, mode=self._file_permissions, thread_local=False, fallback_to_soft=False)
                    with suppress(Timeout):
                        lock.acquire(blocking=False)
                        return lock
                time.sleep(POLL_SECONDS)
        except (OSError, RuntimeError):
            return None
