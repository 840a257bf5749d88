"""The request-local cache of states: what a page needs to know about many files, fetched at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

from .._engine.caches import active_state_cache

StateCache = MutableMapping[str, Any]
"""What is known about cache files, by cache key; None for what the cache does not know."""


@contextmanager
def use_cachefile_state_cache(state_cache: StateCache | None = None) -> Iterator[StateCache]:
    """Keep states that are read and written in a mapping, which is asked first, for the duration of the block.

    Args:
        state_cache: The mapping; by default a new one.

    Example:
        >>> with use_cachefile_state_cache():  # doctest: +SKIP
        ...     prefetch_cachefile_states([photo.thumbnail for photo in photos])
        ...     return render(request, "gallery.html", {"photos": photos})
    """
    used = {} if state_cache is None else state_cache
    token = active_state_cache.set(used)
    try:
        yield used
    finally:
        active_state_cache.reset(token)


def get_active_state_cache() -> StateCache | None:
    """Return the mapping in use; None if there is none."""
    found: StateCache | None = active_state_cache.get()
    return found


def prefetch_cachefile_states(
    files: Iterable[Any], *, state_cache: StateCache | None = None, cache: Any = None
) -> None:
    """Read what the cache knows about many files, with one query per cache.

    Args:
        files: Cache files; those whose backends have no cache are skipped.
        state_cache: The mapping to fill; by default the one in use. Without any, nothing is read.
        cache: The Django cache to ask; by default that of each file's backend.
    """
    used = get_active_state_cache() if state_cache is None else state_cache
    if used is None:
        return
    keys: dict[int, tuple[Any, set[str]]] = {}
    for file in files:
        backend = file.cachefile_backend
        if hasattr(backend, "get_key"):
            asked = backend.cache if cache is None else cache
            keys.setdefault(id(asked), (asked, set()))[1].add(backend.get_key(file))
    for asked, wanted in keys.values():
        used.update({**dict.fromkeys(wanted), **asked.get_many(wanted)})
