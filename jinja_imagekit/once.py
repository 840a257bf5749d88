"""A property that is made when it is first asked for, once, whatever asks at the same time."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar, overload

T = TypeVar("T")

_MISSING: Any = object()


class made_once(Generic[T]):  # noqa: N801  # a decorator, as functools.cached_property
    """A cached property that is made under a lock of its own for each object.

    `functools.cached_property` has one lock for all objects of a class until Python 3.11, so that they wait for each
    other, and a child that is forked meanwhile waits for ever; since Python 3.12 it has none, and a value that threads
    ask for at the same time is made several times. The value is kept in the object's `__dict__`, where it can be set
    and deleted.

    Args:
        make: The method that makes the value.

    Example:
        >>> class Site:
        ...     @made_once
        ...     def title(self) -> str:
        ...         print("made")
        ...         return "Canals"
        >>> site = Site()
        >>> site.title, site.title
        made
        ('Canals', 'Canals')
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self._name = make.__name__
        self.__doc__ = make.__doc__
        self.__module__ = make.__module__
        # Of values that are being made alone, so that an object can be pickled.
        self._locks: dict[tuple[int, int], threading.RLock] = {}

    def __set_name__(self, owner: type[Any], name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type[Any] | None = None) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type[Any] | None = None) -> T: ...
    def __get__(self, instance: Any, owner: type[Any] | None = None) -> Any:
        if instance is None:
            return self
        values = instance.__dict__
        # A forked child has none of the threads that held its parent's locks.
        key = (os.getpid(), id(instance))
        while True:
            lock = self._locks.setdefault(key, threading.RLock())
            with lock:
                value = values.get(self._name, _MISSING)
                if value is not _MISSING:
                    return value
                if self._locks.get(key) is not lock:
                    # Whoever held it failed, and took it away.
                    continue
                try:
                    value = values[self._name] = self._make(instance)
                    return value
                finally:
                    self._locks.pop(key, None)
