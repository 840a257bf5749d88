"""References to cache files: a generator's id and keywords as plain values, for JSON."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..sources import FileSource, Source
from .sources import CacheFileSource

if TYPE_CHECKING:
    from ..kit import ImageKit


class Reference(NamedTuple):
    """What leads to a cache file, in plain values.

    Attributes:
        generator_id: The id of its generator.
        kwargs: The generator's keywords. Strings, numbers, booleans and None stand for themselves; everything else
            is an object of one key that says what it is, such as `{"tuple": [1, 2]}`.
    """

    generator_id: str
    kwargs: dict[str, Any]


_AS_IT_IS = frozenset({type(None), bool, int, str})
"""Types of values that stand for themselves; most keywords are of these."""


class NotPlain(ValueError):
    """A keyword is not plain: an upload, bytes, or an object of the caller's."""


def reference_to(generator_id: str, kwargs: Mapping[str, Any], source: Source | None) -> Reference | None:
    """Return the reference to a cache file; None if one of its keywords is not plain.

    Args:
        generator_id: The id of its generator.
        kwargs: The generator's keywords.
        source: The generator's source; None if it has none or is given by name.

    Example:
        >>> reference_to("blog:hero", {"source": "canal.jpg", "size": (4, 3)}, None)
        Reference(generator_id='blog:hero', kwargs={'source': 'canal.jpg', 'size': {'tuple': [4, 3]}})
    """
    plain = dict(kwargs)
    try:
        for name, value in kwargs.items():
            if type(value) not in _AS_IT_IS and name != "source":
                plain[name] = _encoded(value)
        if type(plain.get("source", "")) is not str:
            plain["source"] = _encoded_source(kwargs["source"], source)
    except NotPlain:
        return None
    return Reference(generator_id, plain)


def keywords_of(reference: Reference, kit: ImageKit) -> dict[str, Any]:
    """Return a reference's keywords in the form that its generator takes.

    Args:
        reference: The reference.
        kit: The kit.

    Raises:
        NotPlain: The reference is damaged.
    """
    return {
        name: value if type(value) in _AS_IT_IS else _decoded(value, kit) for name, value in reference.kwargs.items()
    }


def confined(reference: Reference, name_of: Callable[[Path], str | None]) -> Reference | None:
    """Return a reference that leads only to sources below the source folders; None if that is impossible.

    Args:
        reference: The reference.
        name_of: Returns a path's name below the source folders, or None if it is not there.
    """
    if _AS_IT_IS.issuperset(map(type, reference.kwargs.values())):
        return reference
    source: object
    match reference.kwargs.get("source"):
        case {"path": str(path)}:
            source = name_of(Path(path))
        case {"cachefile": [str(id), dict(own)]}:
            nested = confined(Reference(id, own), name_of)
            source = nested and {"cachefile": list(nested)}
        case _:
            return reference if is_confined(reference) else None
    kept = Reference(reference.generator_id, {**reference.kwargs, "source": source})
    return kept if source is not None and is_confined(kept) else None


def is_confined(reference: Reference) -> bool:
    """Tell whether a reference holds no path; a forged one could name any file by it."""
    return not _hold_path(reference.kwargs.values())


def _hold_path(values: Iterable[Any]) -> bool:
    for value in values:
        if type(value) is not dict:
            continue
        if "path" in value or "source" in value:
            return True
        for items in (value.get("list"), value.get("tuple")):
            if type(items) is list and _hold_path(items):
                return True
        if "dict" in value or "cachefile" in value:
            match value:
                case {"dict": dict(items)} | {"cachefile": [_, dict(items)]}:
                    if _hold_path(items.values()):
                        return True
    return False


def _encoded_source(value: object, source: Source | None) -> Any:
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(source, CacheFileSource):
        nested: Reference | None = source.original.reference
        if nested is None:
            raise NotPlain
        return {"cachefile": list(nested)}
    if source is None:
        return None
    if isinstance(source, FileSource) and (source.reference or "file:").startswith("file:"):
        return {"path": source.path}
    if source.reference is None:
        raise NotPlain
    return source.reference if source.reference == source.name else {"source": source.reference}


def _encoded(value: Any) -> Any:
    kind = type(value)
    if kind in _AS_IT_IS or (kind is float and math.isfinite(value)):
        return value
    if kind in (tuple, list):
        return {kind.__name__: [each if type(each) in _AS_IT_IS else _encoded(each) for each in value]}
    if kind is dict and all(type(key) is str for key in value):
        return {"dict": {key: _encoded(each) for key, each in value.items()}}
    if isinstance(value, Path):
        return {"path": str(value)}
    # A template's Markup equals the string that it holds, and so do their fingerprints; an enum's member does not.
    if isinstance(value, str) and not hasattr(kind, "__members__"):
        return str.__str__(value)
    raise NotPlain


def _decoded(value: Any, kit: ImageKit) -> Any:
    match value:
        case None | bool() | int() | float() | str():
            return value
        case {"list": list(items), **rest} if not rest:
            return [_decoded(each, kit) for each in items]
        case {"tuple": list(items), **rest} if not rest:
            return tuple(_decoded(each, kit) for each in items)
        case {"dict": dict(items), **rest} if not rest:
            return {key: _decoded(each, kit) for key, each in items.items()}
        case {"path": str(path), **rest} if not rest:
            return Path(path)
        case {"source": str(text), **rest} if not rest:
            return kit.sources.by_reference(text)
        case {"cachefile": [str(id), dict(kwargs)], **rest} if not rest:
            return kit.cachefile(id, **keywords_of(Reference(id, kwargs), kit))
    raise NotPlain(f"{value!r} is not a keyword of a generator")
