"""The registries of generators, source groups and cache files, shared by the whole Django project.

This library leaves registries to the application that owns them. Django's apps register with one another through
modules, as `imagegenerators.py` does with `register`, so here the process has one of each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from .. import registry as core
from ._engine.current import current
from .exceptions import AlreadyRegistered, NotRegistered
from .signals import content_required, existence_required, source_saved
from .utils import autodiscover, call_strategy_method

__all__ = [
    "AlreadyRegistered",
    "CacheFileRegistry",
    "GeneratorRegistry",
    "NotRegistered",
    "Register",
    "SourceGroupRegistry",
    "Unregister",
    "autodiscover",
    "cachefile_registry",
    "call_strategy_method",
    "content_required",
    "existence_required",
    "generator_registry",
    "register",
    "source_group_registry",
    "source_saved",
    "unregister",
]

CacheFiles = Iterable[Any] | Callable[[], Iterable[Any]]
"""Cache files or their generators' keywords, or a callable that returns either."""


class GeneratorRegistry(core.GeneratorRegistry):
    """Generators by id; the apps' `imagegenerators` modules are imported before one is looked up."""

    def find(self, id: str) -> Any:
        """Return what was registered under an id.

        Raises:
            NotRegistered: Nothing was; the message suggests the nearest id.
        """
        if id not in self._generators:
            autodiscover()
        return super().find(id)

    def known(self, id: str) -> Any:
        """Return what was registered under an id; None if nothing was."""
        if id not in self._generators:
            autodiscover()
        return self._lookup(id)

    def get(self, id: str, /, **kwargs: Any) -> Any:
        """Return the generator of an id, made with these keywords.

        Raises:
            NotRegistered: Nothing is registered under the id.
        """
        autodiscover()
        return super().get(id, **kwargs)

    def get_ids(self) -> list[str]:
        """Return all ids, in the order of registration."""
        autodiscover()
        return super().get_ids()


class SourceGroupRegistry(core.SourceGroupRegistry):
    """Source groups by the ids of the generators that they belong to; it passes on the signal `source_saved`."""

    def __init__(self) -> None:
        super().__init__()
        source_saved.connect(self.source_group_receiver)

    def source_group_receiver(self, sender: Any, source: Any, **_: Any) -> None:
        """Tell the strategies that a source was saved; unregistered groups are ignored."""
        if self.ids_of(sender):
            current.get().source_saved(sender, source)


class CacheFileRegistry(core.CacheFileRegistry):
    """Cache files by the ids of their generators, including those of source groups.

    Args:
        source_groups: The registry of source groups; by default that of the process.
    """

    def __init__(self, source_groups: SourceGroupRegistry | None = None) -> None:
        super().__init__()
        self._source_groups = source_groups or source_group_registry

    def get(self, generator_id: str) -> Iterator[Any]:
        """Yield the cache files of a generator, including those registered as keywords."""
        for group in self._source_groups.groups_of(generator_id):
            for source in group.files():
                yield current.get().django_file(generator_id, source=source)
        for registered in self.registered(generator_id):
            is_keywords = isinstance(registered, dict)
            yield current.get().django_file(generator_id, **registered) if is_keywords else registered

    def registered(self, generator_id: str) -> Iterator[Any]:
        """Yield what was registered with a generator, apart from its source groups."""
        return super().get(generator_id)


generator_registry = GeneratorRegistry()
source_group_registry = SourceGroupRegistry()
cachefile_registry = CacheFileRegistry(source_group_registry)


class Register(core.Register):
    """A front for the process's registries: `generator(…)`, `source_group(…)`, `cachefiles(…)`."""

    def __init__(self) -> None:
        super().__init__(generator_registry, source_group_registry, cachefile_registry)


class Unregister(core.Unregister):
    """The counterpart of `Register`, with the same three methods."""

    def __init__(self) -> None:
        super().__init__(generator_registry, source_group_registry, cachefile_registry)


register = Register()
unregister = Unregister()
