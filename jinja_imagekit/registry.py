"""Generators, source groups and cache files by id: plain containers that an application owns."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar, overload
from weakref import WeakMethod

from .exceptions import AlreadyRegistered, InvalidOption, NotRegistered
from .interfaces import SourceGroup

GeneratorT = TypeVar("GeneratorT")

CacheFiles = Iterable[Any] | Callable[[], Iterable[Any]]
"""Cache files or the keywords that make them, or a callable that returns such."""


class GeneratorRegistry:
    """Generators by id.

    A package that ships specs exports one, and a site passes it to its kit.

    Args:
        parents: Registries to look into for ids that this one does not have; the first match wins.

    Example:
        >>> from jinja_imagekit import ImageSpec
        >>> generators = GeneratorRegistry()
        >>> @generators.register("theme:card")
        ... class Card(ImageSpec):
        ...     format = "WEBP"
    """

    def __init__(self, parents: Iterable[GeneratorRegistry] = ()) -> None:
        self._parents = tuple(parents)
        self._generators: dict[str, Any] = {}
        self._listeners: list[WeakMethod[Callable[[], None]]] = []

    @overload
    def register(self, id: str) -> Callable[[GeneratorT], GeneratorT]: ...
    @overload
    def register(self, id: str, generator: GeneratorT, *, override: bool = False) -> GeneratorT: ...
    def register(self, id: str, generator: Any = None, *, override: bool = False) -> Any:
        """Register a generator; with an id alone, return a class decorator that does.

        Args:
            id: The generator's id. Colons separate its segments, and a prefix of your package's name keeps it apart.
            generator: A class or callable that takes keywords and returns a generator, or a generator itself.
            override: Replace what this registry has under the id. Ids of parents need no such word: they are
                meant to be overridden.

        Raises:
            AlreadyRegistered: This registry has another generator under the id.
            InvalidOption: The id is empty, or holds a space or an asterisk.
        """
        if generator is None:
            return lambda decorated: self.register(id, decorated, override=override)
        if not isinstance(id, str) or not id or re.search(r"[\s*]", id):
            raise InvalidOption("id", id, "a generator id is a string without spaces and asterisks, like 'blog:hero'")
        if self._generators.get(id, generator) is not generator and not override:
            raise AlreadyRegistered(id)
        self._generators[id] = generator
        self._tell_listeners()
        return generator

    def unregister(self, id: str) -> None:
        """Forget the generator of an id.

        Raises:
            NotRegistered: This registry has none.
        """
        if self._generators.pop(id, None) is None:
            raise NotRegistered(id, self._generators)
        self._tell_listeners()

    def on_change(self, method: Callable[[], None]) -> None:
        """Have a bound method called after each change, here or in a parent, for as long as its object lives."""
        for registry in self._lineage():
            registry._listeners.append(WeakMethod(method))

    def _tell_listeners(self) -> None:
        self._listeners = [reference for reference in self._listeners if reference() is not None]
        for reference in self._listeners:
            method = reference()
            if method is not None:
                method()

    def find(self, id: str) -> Any:
        """Return what was registered under an id.

        Raises:
            NotRegistered: Nothing was; the message suggests the nearest id.
        """
        for registry in self._lineage():
            if id in registry._generators:
                return registry._generators[id]
        raise NotRegistered(id, self.get_ids())

    def get(self, id: str, /, **kwargs: Any) -> Any:
        """Return the generator of an id, made with these keywords.

        Raises:
            NotRegistered: Nothing is registered under the id.
            InvalidOption: A generator itself is registered, which takes no keywords.
        """
        registered = self.find(id)
        if callable(registered):
            return registered(**kwargs)
        for name, value in kwargs.items():
            raise InvalidOption(
                name, value, f"{id!r} is registered as an object, which takes no keywords; register its class"
            )
        return registered

    def get_ids(self) -> list[str]:
        """Return all ids, parents' included, in the order of registration."""
        return list(dict.fromkeys(id for registry in self._lineage() for id in registry._generators))

    def __contains__(self, id: object) -> bool:
        return any(id in registry._generators for registry in self._lineage())

    def _lineage(self) -> Iterator[GeneratorRegistry]:
        yield self
        for parent in self._parents:
            yield from parent._lineage()


class SourceGroupRegistry:
    """Source groups by the ids of the generators that they belong to."""

    def __init__(self) -> None:
        self._groups: list[tuple[str, SourceGroup]] = []

    def register(self, generator_id: str, source_group: SourceGroup) -> None:
        """Say that a generator makes an image of each source of a group.

        Raises:
            InvalidOption: The group has no `files()`.
        """
        if not callable(getattr(source_group, "files", None)):
            raise InvalidOption("source_group", source_group, "a source group has a files() method that yields sources")
        if (generator_id, source_group) not in self._groups:
            self._groups.append((generator_id, source_group))

    def unregister(self, generator_id: str, source_group: SourceGroup) -> None:
        """Take that back; nothing happens where it was not said."""
        self._groups = [each for each in self._groups if each != (generator_id, source_group)]

    def groups_of(self, generator_id: str) -> list[SourceGroup]:
        """Return the groups registered with a generator."""
        return [group for id, group in self._groups if id == generator_id]

    def ids_of(self, source_group: SourceGroup) -> list[str]:
        """Return the generators registered with a group."""
        return [id for id, group in self._groups if group == source_group]

    def get_ids(self) -> list[str]:
        """Return the ids of all generators that have a group."""
        return list(dict.fromkeys(id for id, _ in self._groups))


class CacheFileRegistry:
    """Cache files by the ids of their generators, so that a generator can be overridden without losing them."""

    def __init__(self) -> None:
        self._cachefiles: list[tuple[str, CacheFiles]] = []

    def register(self, generator_id: str, cachefiles: CacheFiles) -> None:
        """Name cache files that pregeneration is to make.

        Args:
            generator_id: The id of their generator.
            cachefiles: Cache files or mappings of the generator's keywords, or a callable that returns such.
        """
        self._cachefiles.append((generator_id, cachefiles))

    def unregister(self, generator_id: str, cachefiles: CacheFiles) -> None:
        """Take that back; nothing happens where it was not said."""
        self._cachefiles = [each for each in self._cachefiles if each != (generator_id, cachefiles)]

    def get(self, generator_id: str) -> Iterator[Any]:
        """Yield the cache files or keywords registered with a generator."""
        for id, cachefiles in self._cachefiles:
            if id == generator_id:
                yield from cachefiles() if callable(cachefiles) else cachefiles

    def get_ids(self) -> list[str]:
        """Return the ids of all generators that have cache files."""
        return list(dict.fromkeys(id for id, _ in self._cachefiles))


class Register:
    """The face of the three registries: `kit.register.generator(…)`, `.source_group(…)`, `.cachefiles(…)`."""

    def __init__(
        self, generators: GeneratorRegistry, source_groups: SourceGroupRegistry, cachefiles: CacheFileRegistry
    ) -> None:
        self.generator = generators.register
        self.source_group = source_groups.register
        self.cachefiles = cachefiles.register


class Unregister:
    """The counterpart of `Register`, with the same three methods."""

    def __init__(
        self, generators: GeneratorRegistry, source_groups: SourceGroupRegistry, cachefiles: CacheFileRegistry
    ) -> None:
        self.generator = generators.unregister
        self.source_group = source_groups.unregister
        self.cachefiles = cachefiles.unregister


def match_ids(patterns: Iterable[str], ids: Iterable[str]) -> list[str]:
    """Return the ids that at least one pattern matches, in their order.

    Args:
        patterns: `*` stands for anything within a segment, `**` for anything; a pattern that matches the first
            segments of an id matches the id.
        ids: Generator ids, whose segments are separated by colons.

    Raises:
        NotRegistered: A pattern matches nothing.

    Example:
        >>> match_ids(["blog", "*:card"], ["blog:hero", "shop:card", "shop:card:small", "theme"])
        ['blog:hero', 'shop:card', 'shop:card:small']
    """
    ids = list(ids)
    matched: set[str] = set()
    for pattern in patterns:
        found = {id for id in ids if _pattern(pattern).match(id)}
        if not found:
            raise NotRegistered(pattern, ids)
        matched |= found
    return [id for id in ids if id in matched]


def _pattern(pattern: str) -> re.Pattern[str]:
    wild = {"*": "[^:]*", "**": ".*"}
    parts = re.split(r"(\*{1,2})", pattern)
    return re.compile("^" + "".join(wild.get(part, re.escape(part)) for part in parts) + "(:.*)?$")
