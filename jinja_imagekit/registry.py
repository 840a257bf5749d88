"""Registries of generators, source groups and cache files by id: plain containers that an application owns."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar, overload
from weakref import WeakMethod

from .exceptions import AlreadyRegistered, InvalidOption, NotRegistered, UnknownKeyword
from .interfaces import SourceGroup

__all__ = ["GeneratorRegistry"]

GeneratorT = TypeVar("GeneratorT")

CacheFiles = Iterable[Any] | Callable[[], Iterable[Any]]
"""Cache files or the keywords that make them, or a callable that returns either."""


class GeneratorRegistry:
    """Generators by id.

    A package that ships specs exports one, and a site passes it to its kit.

    Args:
        parents: Registries to search for ids that this one does not have; the first match wins.

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
        """Register a generator; given only an id, return a class decorator that does so.

        Args:
            id: The generator's id. Colons separate its segments; your package's name as a prefix keeps it unique.
            generator: A class or callable that takes keywords and returns a generator, or a generator itself.
            override: Replace what this registry has under the id. Ids of parents do not need it: they are meant to
                be overridden.

        Raises:
            AlreadyRegistered: This registry has another generator under the id.
            InvalidOption: The id is empty, or holds a space or an asterisk.
        """
        if generator is None:
            return lambda decorated: self.register(id, decorated, override=override)
        if not isinstance(id, str) or not id or re.search(r"[\s*]", id):
            raise InvalidOption("id", id, "a generator id is a string without spaces or asterisks, such as 'blog:hero'")
        if self._generators.get(id, generator) is not generator and not override:
            raise AlreadyRegistered(id)
        self._generators[id] = generator
        self._tell_listeners()
        return generator

    def unregister(self, id: str) -> None:
        """Remove the generator with this id.

        Raises:
            NotRegistered: This registry has no such id.
        """
        if self._generators.pop(id, None) is None:
            raise NotRegistered(id, self._generators)
        self._tell_listeners()

    def on_change(self, method: Callable[[], None]) -> None:
        """Call a bound method after each change, here or in a parent, for as long as its object lives."""
        self._listeners.append(WeakMethod(method))
        for parent in self._parents:
            parent.on_change(method)

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
        found = self._lookup(id)
        if found is None:
            raise NotRegistered(id, self.get_ids())
        return found

    def _lookup(self, id: object) -> Any:
        if id in self._generators:
            return self._generators[id]
        found = (parent._lookup(id) for parent in self._parents)
        return next((each for each in found if each is not None), None)

    def get(self, id: str, /, **kwargs: Any) -> Any:
        """Return the generator with this id, made with these keywords.

        Raises:
            NotRegistered: Nothing is registered under the id.
            InvalidOption: The generator has no such keyword (the message names the nearest), or requires another, or
                a ready-made generator is registered, which takes none.
        """
        return make_generator(id, self.find(id), kwargs)

    def get_ids(self) -> list[str]:
        """Return all ids, including those of parents, in the order of registration."""
        return list(dict.fromkeys(id for registry in self._lineage() for id in registry._generators))

    def __contains__(self, id: object) -> bool:
        return self._lookup(id) is not None

    def _lineage(self) -> Iterator[GeneratorRegistry]:
        yield self
        for parent in self._parents:
            yield from parent._lineage()


class SourceGroupRegistry:
    """Source groups, by the ids of the generators they belong to."""

    def __init__(self) -> None:
        self._groups: list[tuple[str, SourceGroup]] = []

    def register(self, generator_id: str, source_group: SourceGroup) -> None:
        """Register a group of sources, of each of which a generator makes an image.

        Raises:
            InvalidOption: The group has no `files()`.
        """
        if not callable(getattr(source_group, "files", None)):
            raise InvalidOption("source_group", source_group, "a source group has a files() method that yields sources")
        if (generator_id, source_group) not in self._groups:
            self._groups.append((generator_id, source_group))

    def unregister(self, generator_id: str, source_group: SourceGroup) -> None:
        """Undo a registration; do nothing if there was none."""
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
    """Cache files, by the ids of their generators, so that a generator can be overridden without losing them."""

    def __init__(self) -> None:
        self._cachefiles: list[tuple[str, CacheFiles]] = []

    def register(self, generator_id: str, cachefiles: CacheFiles) -> None:
        """Register cache files for pregeneration to make.

        Args:
            generator_id: The id of their generator.
            cachefiles: Cache files, or mappings of the generator's keywords, or a callable that returns either.
        """
        self._cachefiles.append((generator_id, cachefiles))

    def unregister(self, generator_id: str, cachefiles: CacheFiles) -> None:
        """Undo a registration; do nothing if there was none."""
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
    """A front for the three registries: `kit.register.generator(…)`, `.source_group(…)`, `.cachefiles(…)`."""

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


def make_generator(id: str, registered: Any, kwargs: Mapping[str, Any]) -> Any:
    """Return the generator that a registered object makes from keywords.

    Args:
        id: The id under which it is registered.
        registered: A class or callable that takes keywords and returns a generator, or a generator itself.
        kwargs: The keywords.

    Raises:
        InvalidOption: As `GeneratorRegistry.get`.
    """
    if callable(registered):
        try:
            return registered(**kwargs)
        except TypeError as error:
            problem = _wrong_keyword(id, registered, kwargs, error)
            if problem is None:
                raise
            raise problem from error
    for name, value in kwargs.items():
        raise InvalidOption(
            name, value, f"{id!r} is registered as a ready-made generator, which takes no keywords; register its class"
        )
    return registered


def _wrong_keyword(
    id: str, registered: Callable[..., Any], kwargs: Mapping[str, Any], error: TypeError
) -> InvalidOption | None:
    """Return the error for a call whose keywords do not fit, or None for any other TypeError."""
    keywords = keywords_of(registered)
    unexpected = re.search(_UNEXPECTED, str(error))
    if unexpected and unexpected[1] in kwargs:
        name = unexpected[1]
        return UnknownKeyword(name, kwargs[name], id, keywords)
    missing = [name for name, is_needed in keywords.items() if is_needed and name not in kwargs]
    if missing and "missing" in str(error):
        return InvalidOption(missing[0], ..., f"{id!r} needs this keyword")
    return None


# A constructor takes `self` for its object.
_UNEXPECTED = r"(?:unexpected keyword|multiple values for) argument '([^']+)'"


def keywords_of(registered: Callable[..., Any]) -> dict[str, bool]:
    """Return the keywords that a callable takes, and whether each is required.

    A constructor with `**kwargs` is assumed to pass them on to those it overrides.
    """
    inherited = registered.__mro__ if isinstance(registered, type) else ()
    takers = [vars(cls)["__init__"] for cls in inherited if "__init__" in vars(cls)] or [registered]
    keywords: dict[str, bool] = {}
    for taker in takers:
        try:
            parameters = list(inspect.signature(taker).parameters.values())
        except (TypeError, ValueError):
            break
        for each in parameters[1:] if inherited else parameters:
            if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY):
                keywords.setdefault(each.name, each.default is each.empty)
        if not any(each.kind is each.VAR_KEYWORD for each in parameters):
            break
    return keywords


def match_ids(patterns: Iterable[str], ids: Iterable[str]) -> list[str]:
    """Return the ids that at least one pattern matches, in their original order.

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
        found = {id for id in ids if id_pattern(pattern).match(id)}
        if not found:
            raise NotRegistered(pattern, ids)
        matched |= found
    return [id for id in ids if id in matched]


def id_pattern(pattern: str) -> re.Pattern[str]:
    """Return the regular expression of an id pattern; see `match_ids`."""
    wild = {"*": "[^:]*", "**": ".*"}
    parts = re.split(r"(\*{1,2})", pattern)
    return re.compile("^" + "".join(wild.get(part, re.escape(part)) for part in parts) + "(:.*)?$")
