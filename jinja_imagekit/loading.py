"""Objects by their dotted paths, which is how settings name them."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from typing import Any

from .exceptions import InvalidSetting, nearest


def load(setting: str, value: Any) -> Any:
    """Return the object that a setting names: what a dotted path leads to, or the value itself.

    Args:
        setting: The setting's name, for the error.
        value: A dotted path such as `"mysite.images.namer"`, or any object.

    Raises:
        InvalidSetting: The path leads nowhere.

    Example:
        >>> load("cachefile_namer", "os.path.basename")("a/b.jpg")
        'b.jpg'
    """
    return _load_path(setting, value) if isinstance(value, str) else value


def load_instance(setting: str, value: Any) -> Any:
    """Return the object that a setting names, and a new instance where it names a class.

    Raises:
        InvalidSetting: The path leads nowhere.
    """
    found = load(setting, value)
    return found() if isinstance(found, type) else found


@lru_cache(maxsize=256)
def _load_path(setting: str, path: str) -> Any:
    parts = path.split(".")
    for split in range(len(parts) - 1, 0, -1):
        module_name = ".".join(parts[:split])
        try:
            found = import_module(module_name)
        except ModuleNotFoundError as error:
            if error.name and module_name.startswith(error.name):
                continue
            raise
        for part in parts[split:]:
            if not hasattr(found, part):
                raise InvalidSetting(setting, f"{module_name!r} has no {part!r}. {nearest(part, vars(found))}")
            found = getattr(found, part)
        return found
    raise InvalidSetting(setting, f"{path!r} is no dotted path of an importable object")
