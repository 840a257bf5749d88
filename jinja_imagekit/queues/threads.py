"""Threads of the same process make the cache files, with no broker, workers or set-up."""

from __future__ import annotations

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from ..cachefiles.backends import BaseAsync, Simple, name_of
from ..sources import StreamSource
from .leases import leases

if TYPE_CHECKING:
    from ..cachefiles import ImageCacheFile

__all__ = ["Threads"]

logger = logging.getLogger("jinja_imagekit.queues")


class Threads(BaseAsync):
    """Makes files on threads of this process, for development and for small sites.

    A process finishes what is pending before it ends; if it is killed, the next process that needs the files makes
    them.

    Args:
        workers: How many files are made at a time.

    Example:
        >>> backend = Threads(workers=4)
    """

    leaves_existing = True

    def __init__(self, workers: int = 2) -> None:
        self._workers = workers
        self._pool: ThreadPoolExecutor | None = None
        self._process = 0

    def generate(self, file: ImageCacheFile, force: bool = False) -> None:
        """Schedule the file unless it exists, is scheduled already, or has just failed.

        An upload's file is made at once, since the upload may be closed by the time a thread would read it.

        Raises:
            ImageKitError: An upload's image could not be made.
        """
        if isinstance(file.source, StreamSource):
            Simple().generate(file, force)
        else:
            super().generate(file, force)

    def schedule_generation(self, file: ImageCacheFile, force: bool = False) -> None:
        """Have a thread make the file."""
        # If this process is killed, others need not wait long for what it had yet to make.
        name = name_of(file)
        leases.hold(file.records, name)
        self._threads().submit(self._make, file, force, name)

    def _make(self, file: ImageCacheFile, force: bool, name: str) -> None:
        # The claimed name, since a source that is replaced in the meantime changes the file's name.
        try:
            self.make_scheduled(file, force)
        except Exception as error:  # noqa: BLE001  # nobody looks at what a thread raises
            logger.error("Cache file %r could not be made: %s", name, error)
        finally:
            leases.drop(file.records, name)

    def _threads(self) -> ThreadPoolExecutor:
        # A process that was forked has none of its parent's threads; nor may it wait for a lock of its parent's.
        pool = self._pool
        if pool is None or self._process != os.getpid():
            pool = self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="imagekit")
            self._process = os.getpid()
        return pool

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._workers,)
