"""Dramatiq's workers make the cache files (the extra `dramatiq`).

As with any module of actors, Dramatiq's broker must be set before it is imported.
"""

from __future__ import annotations

from typing import Any

from .backend import QueueBackend, needs
from .jobs import make_job

__all__ = ["Dramatiq"]

try:
    import dramatiq
except ModuleNotFoundError as error:
    raise needs("dramatiq", error) from error

RETRIES = 3
"""How often a job is retried whose kit cannot be imported, for example during a deployment."""


@dramatiq.actor(actor_name="jinja_imagekit.make", max_retries=RETRIES)
def make(*message: Any, **named: Any) -> None:
    """Make the cache file of a job."""
    make_job(*message, **named)


class Dramatiq(QueueBackend):
    """Sends jobs to Dramatiq's workers: `dramatiq mysite jinja_imagekit.queues.dramatiq`.

    Args:
        **options: What `Actor.send_with_options` takes, such as `delay` in milliseconds.

    Example:
        >>> backend = Dramatiq(max_age=3_600_000)  # doctest: +SKIP
    """

    leaves_existing = True

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self._options = options

    def send(self, message: dict[str, Any]) -> None:
        """Put a message into the queue."""
        make.send_with_options(args=(message,), **self._options)
