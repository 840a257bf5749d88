"""A fingerprint of plain values that is the same on every Python, process and machine, and keys within a process."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Hashable, Mapping, Set
from enum import Enum
from functools import lru_cache, partial
from json.encoder import encode_basestring_ascii
from numbers import Number
from pathlib import PurePath
from typing import Any

from markupsafe import Markup

from .exceptions import NotFingerprintable

__all__ = ["fingerprint"]

VERSION = 2
"""Part of every fingerprint; raised when the same input gives different pixels or the canonical form changes."""

DIGEST_BYTES = 16
"""128 bits: 2**64 cache files before two share a name by accident (the birthday bound)."""

_FORMER_PATHS = {
    "jinja_imagekit.stand_ins.Unprocessed": "jinja_imagekit.policies.Unprocessed",
    **{
        f"jinja_imagekit.sources.base.{name}": f"jinja_imagekit.sources.kinds.{name}"
        for name in ("BytesSource", "FileSource", "StreamSource")
    },
}
"""The names that fingerprints keep for classes that have moved; new names would rename cache files."""


def class_path(value: object) -> str:
    """Return `module.QualifiedName` of a class or function, or of an object's class.

    Example:
        >>> class_path(ValueError)
        'builtins.ValueError'
    """
    named = value if hasattr(value, "__qualname__") and hasattr(value, "__module__") else type(value)
    # A spawned process knows the main script by this other name.
    module = "__main__" if named.__module__ == "__mp_main__" else named.__module__
    path = f"{module}.{named.__qualname__}"
    return _FORMER_PATHS.get(path, path)


def fingerprint(value: object) -> str:
    """Return 32 hexadecimal digits that depend only on the value.

    Args:
        value: None, booleans, numbers, strings, bytes, paths, enums, lists, tuples, sets and mappings of
            these, and objects: those with `fingerprint()` by what it returns, others by their class path and
            attributes.

    Returns:
        A BLAKE2b digest of 16 bytes, in hexadecimal.

    Raises:
        NotFingerprintable: A value holds state that is not plain: an open file, a lambda, a lock.

    Example:
        >>> fingerprint({"b": 1, "a": (2, 3)}) == fingerprint({"a": [2, 3], "b": 1.0})
        True
    """
    text = canonical_json([VERSION, value])
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES).hexdigest()


def canonical_json(value: object) -> str:
    """Return the one JSON text that stands for a value.

    Raises:
        NotFingerprintable: As `fingerprint`.
    """
    return json.dumps(_plain(value, "value", ()), sort_keys=True, separators=(",", ":"), ensure_ascii=True)


_AS_IT_IS = frozenset({type(None), bool, str})
"""Types of values that stand for themselves. Callers with many values check first, which halves the time."""


def _plain(value: Any, where: str, parents: tuple[int, ...]) -> Any:
    if type(value) in _AS_IT_IS:
        return value
    if isinstance(value, Enum):
        return {"enum": [class_path(type(value)), value.name]}
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, (int, float)):
        return _number(value)
    if isinstance(value, Number) and not isinstance(value, complex):
        # A Decimal or a Fraction, whose modules few sites need.
        return _number(float(value))  # type: ignore[arg-type]  # numbers.Number has no methods for mypy
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"bytes": bytes(value).hex()}
    if isinstance(value, PurePath):
        return {"path": value.as_posix()}
    if id(value) in parents:
        raise NotFingerprintable(class_path(type(value)), f"{where}, which holds itself")
    parents = (*parents, id(value))
    if isinstance(value, Mapping):
        return {"map": _items(value, where, parents)}
    if isinstance(value, (list, tuple)):
        return [
            item if type(item) in _AS_IT_IS else _plain(item, f"{where}[{index}]", parents)
            for index, item in enumerate(value)
        ]
    if isinstance(value, Set):
        return {"set": sorted(canonical_json(item) for item in value)}
    return _plain_object(value, where, parents)


def _number(value: int | float) -> Any:
    # 80 and 80.0 ask for the same image, so they share a fingerprint; above 2**53 not every whole number is a float.
    if abs(value) < 2**53 and (isinstance(value, int) or value.is_integer()):
        return int(value)
    if isinstance(value, int):
        return {"int": hex(value)}
    return value if math.isfinite(value) else {"float": float.__repr__(value)}


def _items(value: Mapping[Any, Any], where: str, parents: tuple[int, ...]) -> list[list[Any]]:
    """Return keys and values in the order of the keys' JSON."""
    keys = {
        key: encode_basestring_ascii(key) if type(key) is str else canonical_json(_plain(key, where, parents))
        for key in value
    }
    return [
        [
            key if type(key) in _AS_IT_IS else _plain(key, where, parents),
            item if type(item) in _AS_IT_IS else _plain(item, f"{where}[{key!r}]", parents),
        ]
        for key, item in sorted(value.items(), key=lambda pair: keys[pair[0]])
    ]


def _plain_object(value: Any, where: str, parents: tuple[int, ...]) -> Any:
    own = getattr(value, "fingerprint", None)
    if callable(own) and not isinstance(value, type):
        return {class_path(type(value)): _plain(own(), f"{where}.fingerprint()", parents)}
    if isinstance(value, partial):
        return {"partial": _plain([value.func, list(value.args), value.keywords], where, parents)}
    path = class_path(value)
    if isinstance(value, type) or (callable(value) and hasattr(value, "__qualname__")):
        if "<" in path or getattr(value, "__self__", None) is not None:
            raise NotFingerprintable(path, where)
        return {"name": path}
    slots = slots_of(type(value))  # type: ignore[arg-type]  # mypy does not know that classes are hashable
    if not (slots or hasattr(value, "__dict__")) or type(value).__module__ in _OPAQUE_MODULES:
        raise NotFingerprintable(path, where)
    state = {name: getattr(value, name) for name in slots if hasattr(value, name)}
    state = {**state, **getattr(value, "__dict__", {})}
    # A field that a class of this library has gained renames no file as long as nobody uses it.
    later = getattr(type(value), "ADDED_LATER", {})
    return {
        path: {
            name: item if type(item) in _AS_IT_IS else _plain(item, f"{where}.{name}", parents)
            for name, item in sorted(state.items())
            if name not in later or item != later[name]
        }
    }


@lru_cache(maxsize=256)
def slots_of(cls: Any) -> tuple[str, ...]:
    """Return the names of all slots of a class."""
    names: list[str] = []
    for each in cls.__mro__:
        slots = each.__dict__.get("__slots__", ())
        names += (slots,) if isinstance(slots, str) else slots
    return tuple(name for name in names if name not in ("__dict__", "__weakref__"))


_OPAQUE_MODULES = frozenset({"_io", "io", "_thread", "threading", "socket", "random", "tempfile", "PIL.Image"})

PLAIN_TYPES = frozenset({str, int, float, bool, type(None), Markup})
"""Types of values that can be a part of a key, along with their type."""


def frozen(value: Any) -> Hashable:
    """Return a plain value in a form that can be a key, and that differs for values of different types.

    Raises:
        TypeError: The value is not plain.
    """
    kind = type(value)
    if kind in PLAIN_TYPES:
        return kind, value
    if kind in (list, tuple):
        return kind, tuple(map(frozen, value))
    if kind is dict:
        return kind, tuple((name, frozen(each)) for name, each in value.items())
    raise TypeError(f"{kind} is not plain")
