"""Celery's workers make the cache files (the extra `celery`)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from .backend import QueueBackend, needs
from .jobs import make_job

__all__ = ["Celery"]

try:
    from celery import current_app, shared_task  # type: ignore[import-untyped]
except ModuleNotFoundError as error:
    raise needs("celery", error) from error

# Workers that serve pages serve `generate --executor celery` too.
from ..pregenerate.clusters import celery as batches  # noqa: F401

TASK = "jinja_imagekit.make"


# A worker acknowledges a job once it is done: if it dies, the job goes back to the queue.
@shared_task(name=TASK, acks_late=True, reject_on_worker_lost=True, ignore_result=True)  # type: ignore[untyped-decorator]
def make(*message: Any, **named: Any) -> None:
    """Make the cache file of a job."""
    make_job(*message, **named)


class Celery(QueueBackend):
    """Sends jobs to Celery's workers, which must include `jinja_imagekit.queues.celery`.

    Args:
        app: The Celery application; by default the current one.
        **options: What `Task.apply_async` takes, such as `queue`, `priority` and `expires`.

    Example:
        >>> backend = Celery(queue="images")
    """

    leaves_existing = True

    def __init__(self, app: Any = None, **options: Any) -> None:
        super().__init__()
        self._app = app
        self._options = {"serializer": "json", "retry": False, **options}

    def send(self, message: dict[str, Any]) -> None:
        """Put a message into the queue."""
        self._send_by(self._app or current_app, message)

    def sending(self, message: dict[str, Any]) -> Callable[[], None]:
        """Return a function that puts a message into the queue."""
        # The application may be current only in the calling thread.
        return partial(self._send_by, self._app or current_app._get_current_object(), message)

    def _send_by(self, app: Any, message: dict[str, Any]) -> None:
        app.tasks[TASK].apply_async((message,), **self._options)
