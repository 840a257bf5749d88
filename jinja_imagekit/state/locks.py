"""Named locks among the threads of a process and among processes, whose holders never wait in a circle."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

from ..atomic_files import PREFIX, sweep_folder, temporary_name
from ..once import PerProcess
from .kernel_locks import Release, kernel_locks

POLL_SECONDS = 0.002
"""Seconds between a waiting process's attempts at a lock, each of which takes about 10 µs."""

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
            held, name = this_thread().held, self._scope + key
            try:
                # Another object of this thread may hold it as well.
                depth = held[name] = held.get(name, 0) + 1
                yield depth
            finally:
                held[name] -= 1
                if not held[name]:
                    del held[name]
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
    __slots__ = ("rlock", "users")

    def __init__(self) -> None:
        self.rlock = threading.RLock()
        self.users = 0


class FileLocks:
    """Named locks among threads and processes, by means of the kernel's locks on files in one folder.

    A lock ends with its holder, however it dies.

    Args:
        folder: Where the files are; created when needed.
        directory_permissions: Mode of new folders.
        file_permissions: Mode of the files.
    """

    def __init__(self, folder: str, directory_permissions: int = 0o700, file_permissions: int = 0o600) -> None:
        self.folder = folder
        self._kernel = kernel_locks(folder, directory_permissions, file_permissions)
        self._waits = _SharedWaits(folder, file_permissions)
        self._threads = ThreadLocks(self._waits)
        self._complained = False

    @contextmanager
    def hold(self, key: str) -> Iterator[None]:
        """Hold the lock of this name; if the folder cannot be written, only against this process's threads."""
        # Its name must not depend on the process, since other processes compare it.
        path = self.path(key)
        with self._threads.hold(path) as depth:
            release = self._acquire(path) if depth == 1 else None
            try:
                yield
            finally:
                if release is not None:
                    release()

    def path(self, key: str) -> str:
        """Return what the lock of this name is called among processes, where it has a file of its own its path."""
        digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
        return os.path.join(self.folder, f"{digest}.lock")

    def _acquire(self, path: str) -> Release | None:
        try:
            return self._kernel.attempt(path) or self._wait_for(path)
        except OSError as error:
            if not self._complained:
                self._complained = True
                logger.warning(
                    "No lock can be taken in %s (%s). Work continues without: two processes may make the same image. "
                    "Make the folder writable, or set state_dir to one that is.",
                    self.folder,
                    error,
                )
            return None

    def _wait_for(self, path: str) -> Release | None:
        """Wait for a lock; return None if its holder is waiting for this thread."""
        wait = Wait(this_thread().all_held(), path)
        # Most are soon free, so there is no need to register the wait.
        release = self._attempts(path)
        if release is not None:
            return release
        if wait.held == {path}:
            # No one can be waiting for this thread.
            while release is None:
                release = self._attempts(path)
            return release
        with self._waits.made_known(this_thread(), wait):
            while release is None and not self._waits.is_circle(wait):
                release = self._attempts(path)
        return release

    def _attempts(self, path: str) -> Release | None:
        """Try to take a lock for some time."""
        until = time.monotonic() + CHECK_SECONDS
        while time.monotonic() < until:
            time.sleep(POLL_SECONDS)
            release = self._kernel.attempt(path)
            if release is not None:
                return release
        return None


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
        self._kernel = kernel_locks(folder, directory_permissions, file_permissions)
        # Only as many threads of a process look at the files as may work; the others wait for these.
        self._threads = PerProcess(lambda: threading.Semaphore(count))

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Wait until fewer than `count` are at work, and count as one within the block."""
        with self._threads():
            release = self._acquire()
            try:
                yield
            finally:
                if release is not None:
                    release()

    def _acquire(self) -> Release | None:
        try:
            while True:
                for number in range(self._count):
                    release = self._kernel.attempt(os.path.join(self._folder, f"{number}.lock"))
                    if release is not None:
                        return release
                time.sleep(POLL_SECONDS)
        except OSError:
            return None
