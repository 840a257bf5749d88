"""Strategies, which decide when a cache file is made; they are this library's, and only call `file.generate()`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...cachefiles.strategies import JustInTime, OnRequest, Optimistic, Strategy, load_strategy
from ..utils import get_singleton

__all__ = ["DictStrategy", "JustInTime", "OnRequest", "Optimistic", "Strategy", "get_singleton", "load_strategy"]


def DictStrategy(callbacks: Mapping[str, Any]) -> Strategy:  # noqa: N802  # django-imagekit's name for it
    """Return the strategy whose hooks are these callables.

    Raises:
        InvalidStrategy: A hook has an unknown name, or is not callable.
    """
    return load_strategy(callbacks)
