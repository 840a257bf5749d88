"""RQ's workers make the cache files (the extra `rq`)."""

from __future__ import annotations

import os
from typing import Any

from ..once import made_once
from .backend import QueueBackend, needs
from .jobs import make_job

__all__ = ["RQ"]

try:
    from redis import Redis
    from rq import Queue, Retry
    from rq.serializers import JSONSerializer
except ModuleNotFoundError as error:
    raise needs("rq", error) from error

SOCKET_SECONDS = 5.0
"""Seconds after which an unresponsive Redis is given up on."""

RETRIES = 3
"""How often RQ passes a job on to another worker when one has died."""


class RQ(QueueBackend):
    """Sends jobs to RQ's workers: `rq worker --serializer rq.serializers.JSONSerializer`.

    Args:
        queue: The queue's name, or a queue with the same serializer as its workers.
        url: The address of Redis; by default `RQ_REDIS_URL`, as for RQ's own command.
        **options: What `Queue.enqueue_call` takes, such as `timeout` in seconds and `at_front`.

    Example:
        >>> backend = RQ("images", url="redis://localhost:6379/0")
    """

    leaves_existing = True

    def __init__(self, queue: str | Queue = "default", url: str | None = None, **options: Any) -> None:
        super().__init__()
        self._given = queue
        self._url = url or os.environ.get("RQ_REDIS_URL", "redis://localhost:6379/0")
        self._options = {"retry": Retry(max=RETRIES), "result_ttl": 0, **options}

    def send(self, message: dict[str, Any]) -> None:
        """Put a message into the queue."""
        self._queue.enqueue_call(make_job, args=(message,), **self._options)

    @made_once
    def _queue(self) -> Queue:
        if isinstance(self._given, Queue):
            return self._given
        redis = Redis.from_url(self._url, socket_connect_timeout=SOCKET_SECONDS, socket_timeout=SOCKET_SECONDS)
        return Queue(self._given, connection=redis, serializer=JSONSerializer)
