"""Loads objects by dotted path, as settings name them, and kits by import name."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib import import_module
from typing import Any

from .exceptions import InvalidSetting, nearest

_BACKENDS = {
    "Simple": "jinja_imagekit.cachefiles.backends.Simple",
    "Threads": "jinja_imagekit.queues.threads.Threads",
    "Celery": "jinja_imagekit.queues.celery.Celery",
    "Dramatiq": "jinja_imagekit.queues.dramatiq.Dramatiq",
    "RQ": "jinja_imagekit.queues.rq.RQ",
}
_STRATEGIES = {
    name: f"jinja_imagekit.cachefiles.strategies.{name}"
    for name in ("JustInTime", "Optimistic", "Deferred", "OnRequest")
}
_NAMERS = {
    name: f"jinja_imagekit.cachefiles.namers.{name}"
    for name in ("hash", "source_name_as_path", "source_name_dot_hash", "sharded_hash", "sharded_source_name")
}
_STORES = {
    "DiskStore": "jinja_imagekit.state.DiskStore.from_settings",
    "MemoryStore": "jinja_imagekit.state.MemoryStore.from_settings",
}
_STORES_BY_SCHEME = dict.fromkeys(
    ("redis", "rediss", "valkey", "valkeys", "unix"), "jinja_imagekit.state.redis.RedisStore.from_settings"
)
SHORT_NAMES: Mapping[str, Mapping[str, str]] = {
    "default_cachefile_backend": _BACKENDS,
    "cachefile_backend": _BACKENDS,
    "default_cachefile_strategy": _STRATEGIES,
    "cachefile_strategy": _STRATEGIES,
    "cachefile_namer": _NAMERS,
    "spec_cachefile_namer": _NAMERS,
    "state_store": _STORES,
}
"""This library's own parts, by the settings and spec attributes that may name them without their modules."""

_CALLED = ("a callable", "__call__")
_SUPPLIED: Mapping[str, tuple[str, ...]] = {
    "cachefile_namer": _CALLED,
    "spec_cachefile_namer": _CALLED,
    "focus_detector": _CALLED,
    "video_poster": _CALLED,
    "state_store": ("a StateStore", "get_many", "__call__"),
    "default_file_storage": ("a Storage", "save"),
    "cachefile_storage": ("a Storage", "save"),
    "default_cachefile_backend": ("a CacheFileBackend", "generate"),
    "cachefile_backend": ("a CacheFileBackend", "generate"),
}
"""What settings and spec attributes take besides dotted paths, and what of it any object or class must have."""


def full_path(setting: str, value: Any) -> Any:
    """Return the dotted path behind a setting's short name, and any other value unchanged.

    Raises:
        InvalidSetting: A name without a dot is not one of this library's own, or the value is of no use to the setting.

    Example:
        >>> full_path("default_cachefile_strategy", "Deferred")
        'jinja_imagekit.cachefiles.strategies.Deferred'
    """
    if not isinstance(value, str):
        return _supplied(setting, value)
    known = SHORT_NAMES.get(setting, {})
    if setting == "state_store" and "://" in value:
        scheme = value.partition("://")[0]
        if scheme not in _STORES_BY_SCHEME:
            raise InvalidSetting(setting, f"{scheme}:// leads to no store. {nearest(scheme, _STORES_BY_SCHEME)}")
        return value
    if "." in value or setting not in (*SHORT_NAMES, *_SUPPLIED):
        return value
    if value not in known:
        short = f" nor a known short name. {nearest(value, known)}" if known else " nor an object"
        raise InvalidSetting(setting, f"{value!r} is neither a dotted path{short}")
    return known[value]


def load(setting: str, value: Any) -> Any:
    """Return the object that a setting names: what its dotted path leads to, or the value itself.

    Args:
        setting: The setting's name, for the error.
        value: A dotted path such as `"mysite.images.namer"`, a short name of `SHORT_NAMES`, or any object.

    Raises:
        InvalidSetting: The path leads nowhere, or the object is of no use to the setting.

    Example:
        >>> load("cachefile_namer", "os.path.basename")("a/b.jpg")
        'b.jpg'
    """
    return _supplied(setting, _load_path(setting, value) if isinstance(value, str) else value)


def load_instance(setting: str, value: Any) -> Any:
    """Return the object that a setting names, or a new instance if it names a class.

    Raises:
        InvalidSetting: As `load`.
    """
    found = load(setting, value)
    return found() if isinstance(found, type) else found


def _supplied(setting: str, value: Any) -> Any:
    """Return what a setting is given if it can be used for it.

    Raises:
        InvalidSetting: It lacks what the setting needs of it.
    """
    what, *needed = _SUPPLIED.get(setting, ("", ""))
    if what and value is not None and not any(hasattr(value, each) for each in needed):
        raise InvalidSetting(setting, f"must be {what} or the dotted path of one, not {value!r}")
    return value


KITS_VARIABLE = "IMAGEKIT_KITS"
"""The environment variable that tells a queue's worker its kits, separated by commas: `"mysite:kit"`."""

# The names are the process's own: whatever made or configured a kit here has said them, and no message.
_announced: set[str] = set()


def announce_kit(import_name: str) -> None:
    """Let a queue's jobs name a kit that this process has, or that its configuration names."""
    _announced.add(import_name)


def is_announced(import_name: str) -> bool:
    """Tell whether a job may name a kit: this process has made it, or was started with its name."""
    started_with = os.environ.get(KITS_VARIABLE, "").split(",")
    return bool(import_name) and (import_name in _announced or import_name in map(str.strip, started_with))


def load_kit(import_name: str) -> Any:
    """Return the kit that has this `import_name`, in any process.

    Args:
        import_name: `"module:attribute"` of a kit, of a Flask application that has one, or of a callable that returns
            either, which is called once; the attribute may be dotted itself.

    Raises:
        InvalidSetting: The name leads nowhere, or to something else.
        Exception: Whatever importing the module, or calling the callable, raises.
    """
    found = _load_import_name(import_name)
    if callable(found) and not _leads_to_kit(found):
        found = _called(found)
    kit = found.extensions.get("imagekit") if isinstance(getattr(found, "extensions", None), dict) else found
    if not hasattr(kit, "cachefile"):
        raise InvalidSetting("import_name", f"{import_name!r} is not an ImageKit, but of type {type(kit).__name__}")
    return kit


def _leads_to_kit(found: object) -> bool:
    # A Flask application is callable too, but expects a request.
    return hasattr(found, "cachefile") or hasattr(found, "extensions")


@lru_cache(maxsize=8)
def _called(factory: Callable[[], Any]) -> Any:
    return factory()


def _load_import_name(import_name: str) -> Any:
    module_name, colon, attribute = import_name.partition(":")
    if not (module_name and colon and attribute):
        raise InvalidSetting("import_name", f"{import_name!r} is not of the form module:attribute, such as mysite:kit")
    if module_name.endswith(".py") and not module_name.startswith("."):
        dotted = f"{module_name.removesuffix('.py').replace(os.sep, '.')}:{attribute}"
        raise InvalidSetting("import_name", f"{import_name!r} names a file rather than a module: write {dotted!r}")
    try:
        found: Any = import_module(module_name)
    except ModuleNotFoundError as error:
        if not _is_itself_missing(module_name, error):
            raise
        raise InvalidSetting(
            "import_name",
            f"there is no module {error.name!r} to import from {os.getcwd()}, for {import_name!r}. Start in the "
            "folder that holds it, or put that folder on PYTHONPATH",
        ) from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            known = [name for name in getattr(found, "__dict__", ()) if not name.startswith("_")]
            raise InvalidSetting("import_name", f"{import_name!r} leads to no {part!r}. {nearest(part, known)}")
        found = getattr(found, part)
    return found


def _is_itself_missing(module_name: str, error: ModuleNotFoundError) -> bool:
    # Otherwise the module is there, and what it imports is not.
    return bool(error.name) and f"{module_name}.".startswith(f"{error.name}.")


@lru_cache(maxsize=256)
def _load_path(setting: str, path: str) -> Any:
    path = full_path(setting, path)
    if "://" in path:
        path = _STORES_BY_SCHEME[path.partition("://")[0]]
    parts = path.split(".")
    for split in range(len(parts) - 1, 0, -1):
        module_name = ".".join(parts[:split])
        try:
            found = import_module(module_name)
        except ModuleNotFoundError as error:
            if _is_itself_missing(module_name, error):
                continue
            raise
        for part in parts[split:]:
            if not hasattr(found, part):
                raise InvalidSetting(setting, f"{module_name!r} has no {part!r}. {nearest(part, vars(found))}")
            found = getattr(found, part)
        return found
    raise InvalidSetting(setting, f"{path!r} is not a dotted path to an importable object")
