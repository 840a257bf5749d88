"""Storages, caches, strategies and backends with habits."""

from __future__ import annotations

import uuid
from typing import Any

from django.core.cache.backends.base import BaseCache
from django.core.files.storage import FileSystemStorage, InMemoryStorage, Storage

from jinja_imagekit.django.cachefiles.backends import BaseAsync, Simple


class RenamingStorage(FileSystemStorage):
    """Saves every file under a name of its own choice."""

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        """Return a name that nobody can foresee."""
        return f"{name}.{uuid.uuid4().hex}"


class PathlessStorage(Storage):
    """Has no paths, as storages on other machines."""

    def __init__(self, base_url: str = "/media/") -> None:
        self._inner = InMemoryStorage(base_url=base_url)
        for name in ("_open", "_save", "delete", "exists", "listdir", "size", "url"):
            setattr(self, name, getattr(self._inner, name))


class StubbornStorage(PathlessStorage):
    """Has no way to save a file under the name that was asked for."""

    def __init__(self, base_url: str = "/media/") -> None:
        super().__init__(base_url)
        self._save = lambda name, content: self._inner._save(f"{uuid.uuid4().hex}/{name}", content)


class BrokenCache(BaseCache):
    """Fails whatever is asked."""

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        super().__init__(params)

    def _fail(self, *_: Any, **__: Any) -> Any:
        raise ConnectionError("the cache server is away")

    add = get = set = get_many = set_many = delete = delete_many = _fail


class CountingStrategy:
    """Counts how often each hook is called."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def on_existence_required(self, file: Any) -> None:
        """Count."""
        self.calls.append("existence")

    def on_content_required(self, file: Any) -> None:
        """Count."""
        self.calls.append("content")

    def on_source_saved(self, file: Any) -> None:
        """Count, and note of what."""
        self.calls.append("saved")


class QueueBackend(BaseAsync):
    """Puts files into a list instead of a queue of workers."""

    queue: list[Any] = []

    def schedule_generation(self, file: Any, force: bool = False) -> None:
        """Remember the file."""
        self.queue.append(file)


class LateBackend(Simple):
    """Makes nothing, as if a worker were slow."""

    is_async = True

    def generate(self, file: Any, force: bool = False) -> None:
        """Do nothing."""
