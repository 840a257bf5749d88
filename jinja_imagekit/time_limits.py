"""How long an image may take: a limit that is looked at between frames and stages."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from .exceptions import ImageTooSlow

T = TypeVar("T")

_limit: ContextVar[tuple[float, float, str] | None] = ContextVar("jinja_imagekit_time_limit", default=None)


@contextmanager
def time_limit(seconds: float | None, name: str) -> Iterator[None]:
    """Give what this thread does in a block so many seconds; None gives it all the time that it takes.

    Nothing is interrupted: `check_time` is called wherever work can be left, and a single call of a decoder or encoder
    is not such a place.

    Args:
        seconds: The limit.
        name: What errors call the image.
    """
    token = _limit.set(None if seconds is None else (time.monotonic() + seconds, seconds, name))
    try:
        yield
    finally:
        _limit.reset(token)


def is_over() -> bool:
    """Tell whether the time is over, to code that no error may pass through."""
    limit = _limit.get()
    return limit is not None and time.monotonic() > limit[0]


def check_time() -> None:
    """Leave the work where its time is over.

    Raises:
        ImageTooSlow: It is.
    """
    limit = _limit.get()
    if limit is not None and is_over():
        raise too_slow(limit[2], limit[1])


def in_time(items: Iterable[T]) -> Iterator[T]:
    """Yield what takes time to make or to work on, as long as there is time.

    Raises:
        ImageTooSlow: As `check_time`.
    """
    for item in items:
        check_time()
        yield item


def too_slow(name: str, seconds: float) -> ImageTooSlow:
    """Return the error of an image that took longer than it may."""
    return ImageTooSlow(name, f"it takes longer than {seconds:g} seconds, which the setting timeout allows")
