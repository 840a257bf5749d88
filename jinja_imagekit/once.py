"""A property that is made when it is first asked for, once, whatever asks at the same time."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Self, TypeVar, overload

T = TypeVar("T")


class made_once(cached_property[T]):  # noqa: N801  # a decorator, as the one that it refines
    """A cached property of an object whose lock is called `_making`."""

    @overload
    def __get__(self, instance: None, owner: type[Any] | None = None) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type[Any] | None = None) -> T: ...
    def __get__(self, instance: Any, owner: type[Any] | None = None) -> Any:
        if instance is None:
            return self
        with instance._making:
            return super().__get__(instance, owner)
