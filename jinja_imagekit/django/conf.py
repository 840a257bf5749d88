"""Django's settings `IMAGEKIT_*`: their defaults, and their translation into the settings of a kit."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.cache import DEFAULT_CACHE_ALIAS
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import storages

from ..exceptions import InvalidSetting, nearest
from ..settings import DECODED_FORMATS, Settings

PREFIX = "IMAGEKIT_"

COMPATIBLE = "6.1"
"""The version of django-imagekit whose names and pixels `IMAGEKIT_COMPATIBILITY` can preserve."""

FORMER_PACKAGE = "imagekit."
"""The beginning of django-imagekit's dotted paths, which are taken to mean this package's."""

_OWN = frozenset(
    {"cachefile_namer", "spec_cachefile_namer", "default_cachefile_backend", "default_file_storage"}
    | {"location", "base_url", "cache_timeout", "file_permissions", "directory_permissions"}
)
"""Settings of a kit that Django's storages and caches, or this package's own parts, determine."""

STATIC = "static"
"""The first segment of the names of static files."""

DEBUG_CACHE_TIMEOUT = 300
"""Seconds for which records are kept while `DEBUG` is on and no timeout is set, as in django-imagekit."""


class ImageKitConf:
    """django-imagekit's settings with their defaults, and how to work out those that depend on others."""

    CACHEFILE_NAMER = "jinja_imagekit.django.cachefiles.namers.hash"
    SPEC_CACHEFILE_NAMER = "jinja_imagekit.django.cachefiles.namers.source_name_as_path"
    CACHEFILE_DIR = "CACHE/images"
    DEFAULT_CACHEFILE_BACKEND = "jinja_imagekit.django.cachefiles.backends.Simple"
    DEFAULT_CACHEFILE_STRATEGY = "jinja_imagekit.django.cachefiles.strategies.JustInTime"
    DEFAULT_FILE_STORAGE = None
    CACHE_BACKEND = None
    CACHE_PREFIX = "imagekit:"
    CACHE_TIMEOUT = None
    USE_MEMCACHED_SAFE_CACHE_KEY = True

    @staticmethod
    def configure_cache_backend(value: str | None) -> str:
        """Return the alias of the cache that holds the state.

        Raises:
            ImproperlyConfigured: `CACHES` has no such alias.
        """
        if value is None:
            return DEFAULT_CACHE_ALIAS
        if value not in settings.CACHES:
            raise ImproperlyConfigured(
                f"IMAGEKIT_CACHE_BACKEND names {value!r}, which is not in CACHES. {nearest(value, settings.CACHES)}"
            )
        return value

    @staticmethod
    def configure_cache_timeout(value: float | None) -> float | None:
        """Return the seconds for which records are kept; None for ever."""
        return DEBUG_CACHE_TIMEOUT if value is None and settings.DEBUG else value

    @staticmethod
    def configure_default_file_storage(value: str | None) -> str:
        """Return the alias or dotted path of the storage of cache files."""
        return "default" if value is None else value


DEFAULTS: dict[str, Any] = {
    **{name: default for name, default in vars(ImageKitConf).items() if name.isupper()},
    "COMPATIBILITY": None,
    "STORED_SOURCE_TIMEOUT": 3600,
    "DELETE_WITH_SOURCE": False,
}
"""django-imagekit's settings with their defaults, and this package's own; a kit's are added to them."""

_WORK_OUT: dict[str, Callable[[Any], Any]] = {
    "CACHE_BACKEND": ImageKitConf.configure_cache_backend,
    "CACHE_TIMEOUT": ImageKitConf.configure_cache_timeout,
    "DEFAULT_FILE_STORAGE": ImageKitConf.configure_default_file_storage,
}


def value(name: str) -> Any:
    """Return the current value of a setting, by its name without the prefix.

    Raises:
        ImproperlyConfigured: It names a cache that does not exist.
    """
    found = getattr(settings, PREFIX + name, DEFAULTS[name])
    if name in _worked_out and found == _worked_out[name]:
        # It depends on other settings, which may have changed since.
        found = DEFAULTS[name]
    if isinstance(found, str) and found.startswith(FORMER_PACKAGE):
        found = f"jinja_imagekit.django.{found.removeprefix(FORMER_PACKAGE)}"
    return _WORK_OUT[name](found) if name in _WORK_OUT else found


def is_cache_chosen() -> bool:
    """Tell whether the project says which cache keeps the state."""
    found = getattr(settings, f"{PREFIX}CACHE_BACKEND", None)
    return found is not None and not ("CACHE_BACKEND" in _worked_out and found == _worked_out["CACHE_BACKEND"])


def optional(name: str) -> Any:
    """Return a setting that has no default in django-imagekit; None if it is not set."""
    return getattr(settings, PREFIX + name, None)


def is_compatible() -> bool:
    """Tell whether to keep the names and pixels of django-imagekit 6.1.

    Raises:
        InvalidSetting: `IMAGEKIT_COMPATIBILITY` names another version.
    """
    wanted = value("COMPATIBILITY")
    if wanted not in (None, COMPATIBLE):
        raise InvalidSetting("IMAGEKIT_COMPATIBILITY", f"must be {COMPATIBLE!r} or None, not {wanted!r}")
    return wanted is not None


def known_names() -> list[str]:
    """Return the names of all settings, with their prefix."""
    shared = [name.upper() for name in Settings.names() if name not in _OWN]
    return [PREFIX + name for name in dict.fromkeys([*DEFAULTS, *shared])]


def kit_settings() -> Settings:
    """Return the settings of a kit that Django's settings describe now.

    Raises:
        InvalidSetting: A value is unusable.
    """
    # A file that stands under a name is taken for the cache file: caches forget, and the names hold digests.
    values: dict[str, Any] = {"adopt_existing": True, "debug": settings.DEBUG, "keep_notes": False}
    for name in Settings.names():
        if name not in _OWN and hasattr(settings, PREFIX + name.upper()):
            values[name] = getattr(settings, PREFIX + name.upper())
    if is_compatible():
        # Everything that Pillow decodes was accepted.
        values.setdefault("readable_formats", DECODED_FORMATS)
    values["default_cachefile_strategy"] = value("DEFAULT_CACHEFILE_STRATEGY")
    values["cache_timeout"] = value("CACHE_TIMEOUT")
    scales = values.get("default_thumbnail_srcset_scales", ())
    values["default_thumbnail_srcset_scales"] = tuple(scales or ())
    kit = Settings.from_keywords(values)
    static = [(f"{STATIC}/{prefix}".rstrip("/"), folder) for prefix, folder in static_folders()]
    return kit.replace(source_prefixes=(*kit.source_prefixes, *static))


def static_folders() -> list[tuple[str, str]]:
    """Return the folders of static files, which are for everybody, with what their URLs have after `STATIC_URL`."""
    if not apps.is_installed("django.contrib.staticfiles"):
        return []
    from django.contrib.staticfiles.finders import get_finders

    storages = [storage for finder in get_finders() for storage in getattr(finder, "storages", {}).values()]
    found = [(getattr(storage, "prefix", None), str(storage.location)) for storage in storages]
    collected = [("", str(settings.STATIC_ROOT))] if settings.STATIC_ROOT else []
    folders = [(f"{prefix}/" if prefix else "", folder) for prefix, folder in found] + collected
    return [(prefix, folder) for prefix, folder in folders if os.path.isdir(folder)]


def storage_of(alias_or_path: Any) -> Any:
    """Return a storage by its alias in `STORAGES` or its dotted path; a storage is returned unchanged.

    Raises:
        ImproperlyConfigured: There is neither such an alias nor such a class.
    """
    if not isinstance(alias_or_path, str):
        return alias_or_path() if isinstance(alias_or_path, type) else alias_or_path
    return storages[alias_or_path] if alias_or_path in storages.backends else _storage_at(alias_or_path)


@lru_cache
def _storage_at(path: str) -> Any:
    return storages.create_storage({"BACKEND": path})


_worked_out: dict[str, Any] = {}


def _set_defaults() -> None:
    if not settings.configured and "DJANGO_SETTINGS_MODULE" not in os.environ:
        # There is no project: this is the command that renames.
        return
    # Apps read settings.IMAGEKIT_CACHE_BACKEND and its like, which django-imagekit sets, and works out, as well.
    for name, default in DEFAULTS.items():
        if getattr(settings, PREFIX + name, default) == default:
            _worked_out[name] = value(name)
            setattr(settings, PREFIX + name, _worked_out[name])


_set_defaults()
