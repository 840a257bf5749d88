"""Backends, which make cache files: `Simple` through the engine, the others by way of a queue."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction

from ...cachefiles.backends import Simple as EngineBackend
from ...exceptions import ImageKitError
from ...loading import load, load_instance
from ...queues.backend import QueueBackend
from .. import conf
from .._engine.caches import sanitize_cache_key, state_key
from ..utils import get_cache, get_singleton
from .state import get_active_state_cache

if TYPE_CHECKING:
    from . import ImageCacheFile

__all__ = [
    "RQ",
    "AbstractCacheFileBackend",
    "Async",
    "BaseAsync",
    "CacheFileState",
    "CachedFileBackend",
    "Celery",
    "Dramatiq",
    "InvalidFileBackendError",
    "Queued",
    "Simple",
    "get_default_cachefile_backend",
    "get_singleton",
    "load_backend",
    "queue_of",
    "sanitize_cache_key",
]


class CacheFileState:
    """What is known about a cache file."""

    EXISTS = "exists"
    GENERATING = "generating"
    DOES_NOT_EXIST = "does_not_exist"


class InvalidFileBackendError(ImageKitError, ImproperlyConfigured):
    """A cache file backend cannot be used."""


class AbstractCacheFileBackend:
    """What a project's own cache file backend must have."""

    def generate(self, file: ImageCacheFile, force: bool = False) -> None:
        """Have the file made unless it exists; with `force`, even if it does."""
        raise NotImplementedError

    def exists(self, file: ImageCacheFile) -> bool:
        """Tell whether the file exists."""
        raise NotImplementedError


class CachedFileBackend:
    """The base of backends that keep a state in one of Django's caches.

    The engine keeps its records there too, under the same keys. On a local disk it checks the file rather than the
    state, so that wrong state heals.

    Attributes:
        existence_check_timeout: Seconds before `get_state` looks again for a file that does not exist.
    """

    existence_check_timeout = 5
    is_async = False

    @property
    def cache(self) -> Any:
        """The Django cache."""
        return self.__dict__.get("_cache") or get_cache()

    def get_key(self, file: ImageCacheFile) -> str:
        """Return the cache key of what is known about a file."""
        return state_key(str(file.name))

    def get_state(self, file: ImageCacheFile, check_if_unknown: bool = True) -> str | None:
        """Return one of the states of `CacheFileState`.

        Args:
            file: The cache file.
            check_if_unknown: Look for the file if the cache knows nothing; otherwise return None.
        """
        key = self.get_key(file)
        known = get_active_state_cache()
        if known is not None and key in known:
            value = known[key]
        else:
            value = self.cache.get(key)
            if known is not None:
                known[key] = value
        if value is None and check_if_unknown:
            value = CacheFileState.EXISTS if self._exists(file) else CacheFileState.DOES_NOT_EXIST
            self.set_state(file, value)
        # An engine record describes a file that was made.
        is_state = value in (None, CacheFileState.GENERATING, CacheFileState.DOES_NOT_EXIST)
        return value if is_state else CacheFileState.EXISTS

    def set_state(self, file: ImageCacheFile, state: str) -> None:
        """Keep a state."""
        is_missing = state == CacheFileState.DOES_NOT_EXIST
        timeout = self.existence_check_timeout if is_missing else conf.value("CACHE_TIMEOUT")
        key = self.get_key(file)
        self.cache.set(key, state, timeout)
        known = get_active_state_cache()
        if known is not None:
            known[key] = state

    def exists(self, file: ImageCacheFile) -> bool:
        """Tell whether the file exists and is whole."""
        return EngineBackend().exists(file.engine)

    def generate(self, file: ImageCacheFile, force: bool = False) -> None:
        """Have the file made unless it exists; with `force`, even if it does."""
        raise NotImplementedError

    def generate_now(self, file: ImageCacheFile, force: bool = False) -> None:
        """Make the file here unless it exists; with `force`, even if it does.

        Raises:
            ImageKitError: The image could not be made, now or within the last `failure_timeout` seconds.
        """
        EngineBackend().generate(file.engine, force)
        file.close()

    def _exists(self, file: ImageCacheFile) -> bool:
        return bool(file.name and file.storage.exists(file.name))

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_cache"}


class Simple(CachedFileBackend):
    """Makes a file within the call that asks for it; the default."""

    leaves_existing = True

    def generate(self, file: ImageCacheFile, force: bool = False) -> None:
        """Make the file unless it exists; with `force`, even if it does.

        Raises:
            ImageKitError: The image could not be made.
        """
        self.generate_now(file, force=force)


class BaseAsync(Simple):
    """The base of backends that have files made elsewhere; the worker calls `generate_now`."""

    is_async = True

    def generate(self, file: ImageCacheFile, force: bool = False) -> None:
        """Schedule the file unless it exists, is already scheduled, or has just failed; with `force`, in any case."""
        if not force and (self.exists(file) or file.engine.records.failure(file.name)):
            return
        if file.engine.records.claim(file.name) or force:
            self.schedule_generation(file, force=force)

    def generate_now(self, file: ImageCacheFile, force: bool = False) -> None:
        """Make the file here, and end the claim on it.

        Raises:
            ImageKitError: The image could not be made.
        """
        try:
            super().generate_now(file, force)
        finally:
            file.engine.records.release(file.name)

    def schedule_generation(self, file: ImageCacheFile, force: bool = False) -> None:
        """Have `generate_now(file, force)` called elsewhere."""
        raise NotImplementedError


class Queued(BaseAsync):
    """The base of backends that have queue workers make files, once the transaction has been committed."""

    queue_path = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._load_queue()

    def generate(self, file: ImageCacheFile, force: bool = False) -> None:
        """Schedule the file unless it exists, is already scheduled, or has just failed; with `force`, in any case.

        Raises:
            ImageKitError: The file had to be made at once, such as an upload's, and could not be.
        """
        if not force and self.exists(file):
            return
        generate = partial(self._load_queue().generate, file.engine, force)
        if file.engine.reference is None:
            generate()
        else:
            # Before that, a worker would not find the row with the image.
            transaction.on_commit(generate)

    def schedule_generation(self, file: ImageCacheFile, force: bool = False) -> None:
        """Send the job that makes the file."""
        self._load_queue().schedule_generation(file.engine, force)

    @classmethod
    def make_queue(cls) -> QueueBackend:
        """Return the engine's backend, which sends the jobs."""
        queue: QueueBackend = load_instance("default_cachefile_backend", cls.queue_path)
        return queue

    def _load_queue(self) -> QueueBackend:
        backend: Any = type(self)
        try:
            return queue_of(backend)
        except ModuleNotFoundError as error:
            raise ImproperlyConfigured(f"The cache file backend {type(self).__name__}: {error}") from error


class Celery(Queued):
    """Has Celery's workers make files; the worker's application includes `jinja_imagekit.queues.celery`."""

    leaves_existing = True
    queue_path = "jinja_imagekit.queues.celery.Celery"


Async = Celery
"""The name that `Celery` had in old versions of django-imagekit."""


class RQ(Queued):
    """Has RQ's workers make files: those of the queue `default`, django-rq's where the project has that."""

    leaves_existing = True
    queue_path = "jinja_imagekit.queues.rq.RQ"

    @classmethod
    def make_queue(cls) -> QueueBackend:
        """Return the engine's backend, which sends the jobs."""
        if not apps.is_installed("django_rq"):
            return super().make_queue()
        queue: QueueBackend = load(cls.__name__, cls.queue_path)(load(cls.__name__, "django_rq.get_queue")())
        return queue


class Dramatiq(Queued):
    """Has Dramatiq's workers make files; the worker imports `jinja_imagekit.queues.dramatiq`."""

    leaves_existing = True
    queue_path = "jinja_imagekit.queues.dramatiq.Dramatiq"


@lru_cache
def queue_of(backend: type[Queued]) -> QueueBackend:
    """Return what sends the jobs of a backend: one for all files, since it has a connection to the broker."""
    return backend.make_queue()


def get_default_cachefile_backend() -> Any:
    """Return the backend of cache files that have none of their own."""
    return load_backend(conf.value("DEFAULT_CACHEFILE_BACKEND"))


def load_backend(value: Any) -> Any:
    """Return the backend that a setting or a spec names: one object for each class.

    Raises:
        InvalidSetting: The dotted path leads nowhere.
    """
    return load_instance("default_cachefile_backend", value)
