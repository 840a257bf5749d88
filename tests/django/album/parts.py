"""Storages, caches, strategies and backends with habits."""

from __future__ import annotations

import uuid
from datetime import datetime
from io import BytesIO
from types import SimpleNamespace
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


class _Opened(BytesIO):
    """A file of a `BucketStorage`, which says what version it is before it is read."""

    def __init__(self, storage: BucketStorage, name: str, content: bytes) -> None:
        super().__init__(content)
        self.name = name
        self.obj = SimpleNamespace(e_tag=storage.tags.get(name))
        self._storage = storage

    def read(self, size: int | None = -1) -> bytes:
        """Return the content, which is counted."""
        self._storage.read.append(self.name)
        return super().read(size)


class BucketStorage(PathlessStorage):
    """Saves under the name that it is given, as S3 with `file_overwrite`, and counts what it is asked.

    Args:
        kind: What tells one version of a file from another: `"tag"`, `"time"` or `"size"`.
    """

    def __init__(self, kind: str = "tag") -> None:
        super().__init__()
        self.kind = kind
        self.tags: dict[str, str] = {}
        self.asked: list[str] = []
        self.read: list[str] = []
        if kind == "tag":
            self.bucket_name = self.bucket = "photos"

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        """Return the name, and make room for it."""
        self._inner.delete(name)
        self.tags[name] = uuid.uuid4().hex
        return name

    def open(self, name: str, mode: str = "rb") -> Any:
        """Return the file; what is read of it is counted, and not that it is opened."""
        self.asked.append(name)
        return _Opened(self, name, self._inner.open(name, mode).read())

    def get_modified_time(self, name: str) -> datetime:
        """Return when the file was written, in whole seconds."""
        self.asked.append(name)
        if self.kind == "size":
            raise NotImplementedError
        return self._inner.get_modified_time(name).replace(microsecond=0)


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


def with_policy(get_response: Any) -> Any:
    """Middleware that forbids pages whatever is inline, or comes from elsewhere."""

    def respond(request: Any) -> Any:
        response = get_response(request)
        response["Content-Security-Policy"] = "default-src 'self'"
        return response

    return respond
