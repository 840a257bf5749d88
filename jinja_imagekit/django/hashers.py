"""The hash of django-imagekit 6.1, so that files which it made keep their names."""

from __future__ import annotations

import pickle as pickling
from collections.abc import Iterable
from hashlib import md5
from io import BytesIO
from typing import Any, ClassVar

from pilkit import processors as pilkit  # type: ignore[import-untyped]

# The C pickler cannot be told how to write a dict; this one is the same in Python, though typeshed does not know it.
_PythonPickler: Any = pickling._Pickler


class CanonicalizingPickler(_PythonPickler):  # type: ignore[misc]  # see above
    """A pickler that writes equal dicts and sets alike, whatever the order in which they were filled.

    Processors of this library are written under pilkit's names, which they have in django-imagekit.
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
    """Return 32 hexadecimal digits that stand for a value, as django-imagekit 6.1 works them out.

    Equal values may have different ones: it is an MD5 of a pickle, which sees whether two parts are one object.
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
