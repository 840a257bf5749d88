"""The hash of django-imagekit 6.1, so that its files keep their names."""

from __future__ import annotations

import pickle as pickling
from collections.abc import Iterable
from hashlib import md5
from io import BytesIO
from typing import Any, ClassVar

from pilkit import processors as pilkit  # type: ignore[import-untyped]

# The C pickler's dicts cannot be customised; this is the same one in Python, which typeshed does not know.
_PythonPickler: Any = pickling._Pickler


class CanonicalizingPickler(_PythonPickler):  # type: ignore[misc]  # see above
    """A pickler that writes equal dicts and sets alike, whatever their insertion order.

    This library's processors are written under pilkit's names, as in django-imagekit.
    """

    dispatch: ClassVar[dict[Any, Any]] = dict(_PythonPickler.dispatch)

    def _batch_setitems(self, items: Iterable[tuple[Any, Any]], *more: Any) -> None:
        super()._batch_setitems(sorted(items), *more)

    def _save_set(self, value: set[Any]) -> None:
        reduced: Any = value.__reduce_ex__(0)
        function, (members,), state = reduced
        self.save_reduce(function, (sorted(members),), state, obj=value)

    dispatch[set] = _save_set

    def save(self, value: Any, *more: Any) -> None:
        """Write a value: a class of this library under its counterpart's name, a template's safe string as a string."""
        if isinstance(value, type):
            value = _twin(value)
        elif isinstance(value, str) and type(value) is not str:
            value = str.__str__(value)
        super().save(value, *more)


def pickle(value: object) -> str:
    """Return 32 hexadecimal digits that stand for a value, as computed by django-imagekit 6.1.

    Equal values may have different digits: they are the MD5 of a pickle, which depends on object identity.
    """
    file = BytesIO()
    CanonicalizingPickler(file, 0).dump(value)
    return md5(file.getvalue(), usedforsecurity=False).hexdigest()


def _twin(cls: type) -> type:
    """Return pilkit's class of the same name for a processor of this library."""
    if cls.__module__ != "jinja_imagekit.processors":
        return cls
    found: type = getattr(pilkit, cls.__name__, cls)
    return found
