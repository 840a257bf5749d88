"""What all queue backends have in common: what to send, what to make at once, and how to cope with a failing broker."""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
import weakref
from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ..cachefiles.backends import BaseAsync, Simple, name_of
from ..exceptions import InvalidSetting
from ..hashing import class_path
from ..sources import Source
from ..state import MemoryStore
from . import leases
from .jobs import count_of, job_of

if TYPE_CHECKING:
    from ..cachefiles import ImageCacheFile

__all__ = ["QueueBackend"]

logger = logging.getLogger("jinja_imagekit.queues")

PAUSE_SECONDS = 30.0
"""Seconds to leave an unreachable broker alone, so that not every image of a page waits for it."""

SENT_AGAIN = 4
"""How many times as long a page waits for a job, each time that it sends it again.

A worker that dies may take with it what it had fetched and not begun; the first page after `LEASE_SECONDS` has it made.
In a queue that is only long, a job is sent two or three times before pages wait for `claim_timeout`, and costs a look.
"""

SEND_SECONDS = 0.8
"""Seconds that a page waits for a broker that accepts a message but does not answer."""


class QueueBackend(BaseAsync):
    """The base of backends that send jobs to the workers of a queue.

    What no worker could make is made at once by the process that asks for it: images from uploads and bytes, which
    nobody else has, and cache files whose generator is unregistered or has keywords that are not plain values.

    A subclass implements `send`, which puts a message into its queue, and has its workers call `make_job`. `send` runs
    on a thread of its own, for which a page waits at most 0.8 seconds.
    """

    def __init__(self) -> None:
        self._paused_until = 0.0
        self._told: set[str] = set()
        self._sender = _Sender()

    @abstractmethod
    def send(self, message: dict[str, Any]) -> None:
        """Put a message into the queue.

        Args:
            message: What `make_job` takes: values that JSON can hold.
        """

    def sending(self, message: dict[str, Any]) -> Callable[[], None]:
        """Return a function that puts a message into the queue; made on the page's thread, it runs on the sender's."""
        return partial(self.send, message)

    def generate(self, file: ImageCacheFile, force: bool = False) -> None:
        """Schedule the file unless it exists, is already scheduled, or has just failed.

        Raises:
            InvalidSetting: Workers could not find the kit, or do not share its state.
            ImageKitError: The file had to be made at once, but could not be.
        """
        self._check(file)
        if not force and self.exists(file):
            return
        if file.reference is None:
            self._tell(file)
            Simple().generate(file, force)
        else:
            super().generate(file, force)

    def schedule_generation(self, file: ImageCacheFile, force: bool = False) -> None:
        """Send a job; if the broker cannot be reached, the next page that needs the file tries again."""
        if time.monotonic() >= self._paused_until and not self._sender.is_stuck:
            try:
                self._await(file)
                self._sender.run(self.sending(job_of(file, force).message()))
                return
            except Exception as error:  # noqa: BLE001  # each library has its own errors, and the page must be rendered
                self._paused_until = time.monotonic() + PAUSE_SECONDS
                logger.error(
                    "No image can be scheduled for the next %g seconds: %s: %s. Check that the broker is running.",
                    PAUSE_SECONDS,
                    type(error).__name__,
                    error,
                )
        file.records.release(name_of(file))

    def _await(self, file: ImageCacheFile) -> None:
        """Have the claim end in time for another page to send the job again, should it be lost."""
        records = file.records
        key = f"{file.settings.cache_prefix}sent:{name_of(file)}"
        sent = count_of(records.store.get(key))
        records.store.set_many({key: str(sent + 1)}, 2 * records.claim_timeout)
        records.renew(name_of(file), min(leases.LEASE_SECONDS * SENT_AGAIN ** min(sent, 9), records.claim_timeout))

    def _check(self, file: ImageCacheFile) -> None:
        backend = type(self).__name__
        if not file.kit_import_name:
            raise InvalidSetting(
                "import_name",
                f"the workers of {backend} must be able to find this kit: ImageKit(import_name='mysite:kit', …)",
            )
        if isinstance(file.records.store, MemoryStore):
            raise InvalidSetting(
                "state_store",
                f"the workers of {backend} and this process must share one; a MemoryStore is not shared",
            )

    def _tell(self, file: ImageCacheFile) -> None:
        source = file.source
        if isinstance(source, Source) and source.reference is None and file.generator_id:
            return
        culprit = file.generator_id or class_path(file.generator)
        if culprit not in self._told:
            self._told.add(culprit)
            logger.warning(
                "Images of %s are made at once, since no worker could: register the generator, "
                "and give it keywords that are plain values (strings, numbers, lists, dicts).",
                culprit,
            )


class _Sender:
    """Runs tasks one after another on a thread of its own, which may hang without harm."""

    def __init__(self) -> None:
        self._process = 0
        self._late: _Task | None = None

    @property
    def is_stuck(self) -> bool:
        """Whether the thread is still busy with a task that nobody waits for any more."""
        late = self._late
        return late is not None and not late.done.is_set() and self._process == os.getpid()

    def run(self, function: Callable[[], None]) -> None:
        """Have the thread call a function, and wait for it.

        Raises:
            TimeoutError: It takes longer than `SEND_SECONDS`; if it has not started by then, it never will.
            Exception: Whatever the function raises.
        """
        task = _Task(function)
        self._tasks_of_thread().put(task)
        if not task.done.wait(SEND_SECONDS):
            task.is_late = True
            self._late = task
            raise TimeoutError(f"the broker has not answered within {SEND_SECONDS:g} seconds")
        if task.error is not None:
            raise task.error

    def _tasks_of_thread(self) -> queue.SimpleQueue[_Task | None]:
        # A forked process has none of its parent's threads, and must not wait for its parent's locks.
        if self._process != os.getpid():
            tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
            # A daemon, so that a process that ends does not wait for a broker.
            threading.Thread(target=self._work, args=(tasks,), name="imagekit-sender", daemon=True).start()
            # The thread knows the queue alone, and ends with the last one that could put a task there.
            weakref.finalize(self, tasks.put, None).atexit = False
            self._tasks = tasks
            self._process = os.getpid()
        return self._tasks

    @staticmethod
    def _work(tasks: queue.SimpleQueue[_Task | None]) -> None:
        while task := tasks.get():
            task.do()
            # What it refers to, the backend among it, may go.
            del task

    def __reduce__(self) -> tuple[Any, ...]:
        return _Sender, ()


class _Task:
    def __init__(self, function: Callable[[], None]) -> None:
        self._function = function
        self.done = threading.Event()
        self.error: BaseException | None = None
        self.is_late = False

    def do(self) -> None:
        try:
            if not self.is_late:
                self._function()
        except BaseException as error:  # noqa: BLE001  # whoever waits raises it
            self.error = error
        finally:
            self.done.set()


def needs(extra: str, error: ModuleNotFoundError) -> ModuleNotFoundError:
    """Return the error that names the extra with the library that a backend lacks."""
    return ModuleNotFoundError(f"{error}: pip install 'jinja-imagekit[{extra}]'", name=error.name)
