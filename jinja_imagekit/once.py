"""What is made when it is first asked for, once, whatever asks at the same time: for an object, or in a process."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar, overload

T = TypeVar("T")

_MISSING: Any = object()


class made_once(Generic[T]):  # noqa: N801  # a decorator, like functools.cached_property
    """A cached property with a lock of its own for each object.

    Up to Python 3.11 `functools.cached_property` has one lock for all objects of a class, so that they wait for one
    another, and a child forked in the meantime waits for ever; since Python 3.12 it has none, so that threads asking
    at the same time each work the value out. The value is kept in the object's `__dict__`, where it can be set and
    deleted.

    Args:
        make: The method that works out the value.

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
        # Only for values that are being worked out, so that objects can be pickled.
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
                    # Its holder failed, and removed it.
                    continue
                try:
                    value = values[self._name] = self._make(instance)
                    return value
                finally:
                    self._locks.pop(key, None)


class PerProcess(Generic[T]):
    """A value of each process: a forked child makes its own, and leaves what it inherited alone.

    Args:
        make: Makes the value; where threads ask at the same time it may make one in vain.

    Example:
        >>> lock = PerProcess(threading.Lock)
        >>> with lock():
        ...     lock() is lock()
        True
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._values: dict[int, T] = {}

    def __call__(self) -> T:
        """Return this process's value."""
        pid = os.getpid()
        value: T = self._values.get(pid, _MISSING)
        return self._values.setdefault(pid, self._make()) if value is _MISSING else value
