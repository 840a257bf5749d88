"""django-imagekit's helpers under their names: look-ups of models, caches and storages, and pilkit's utilities."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from importlib import import_module
from typing import Any, BinaryIO

from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured
from django.core.files import File
from django.utils.module_loading import autodiscover_modules
from pilkit.exceptions import UnknownExtension, UnknownFormat  # type: ignore[import-untyped]
from pilkit.lib import getattrsafe  # type: ignore[import-untyped]
from pilkit.utils import (  # type: ignore[import-untyped]
    DEFAULT_EXTENSIONS,
    PALETTE_TRANSPARENCY_FORMATS,
    RGBA_TRANSPARENCY_FORMATS,
    FileWrapper,
    extension_to_format,
    extension_to_mimetype,
    format_to_extension,
    format_to_mimetype,
    img_to_fobj,
    open_image,
    prepare_image,
    process_image,
    quiet,
    save_image,
    suggest_extension,
)

from . import conf
from ._engine.caches import bad_memcached_key_chars, sanitize_cache_key

__all__ = [
    "DEFAULT_EXTENSIONS",
    "PALETTE_TRANSPARENCY_FORMATS",
    "RGBA_TRANSPARENCY_FORMATS",
    "FileWrapper",
    "UnknownExtension",
    "UnknownFormat",
    "autodiscover",
    "bad_memcached_key_chars",
    "call_strategy_method",
    "extension_to_format",
    "extension_to_mimetype",
    "format_to_extension",
    "format_to_mimetype",
    "generate",
    "get_by_qname",
    "get_cache",
    "get_field_info",
    "get_logger",
    "get_nonabstract_descendants",
    "get_singleton",
    "get_storage",
    "getattrsafe",
    "img_to_fobj",
    "open_image",
    "prepare_image",
    "process_image",
    "quiet",
    "sanitize_cache_key",
    "save_image",
    "suggest_extension",
]


def get_nonabstract_descendants(model: Any) -> Iterator[Any]:
    """Yield a model, unless it is abstract, and all its descendants that are not."""
    if not model._meta.abstract:
        yield model
    for child in model.__subclasses__():
        yield from get_nonabstract_descendants(child)


def get_by_qname(path: str, desc: str) -> Any:
    """Return the object at a dotted path.

    Args:
        path: Such as `"mysite.images.namer"`.
        desc: What the object is, for the error.

    Raises:
        ImproperlyConfigured: The path leads nowhere.
    """
    module_name, dot, name = path.rpartition(".")
    if not dot:
        raise ImproperlyConfigured(f"{path!r} is not a dotted path of a {desc}.")
    try:
        return getattr(import_module(module_name), name)
    except ImportError as error:
        raise ImproperlyConfigured(f"The module of the {desc} {path!r} cannot be imported: {error}") from error
    except AttributeError as error:
        raise ImproperlyConfigured(f"The module {module_name!r} has no {desc} {name!r}.") from error


class _Singletons:
    """One object for each class that a setting names."""

    def __init__(self) -> None:
        self._objects: dict[type, Any] = {}

    def get(self, path: str, desc: str) -> Any:
        cls = get_by_qname(path, desc)
        if cls not in self._objects:
            self._objects[cls] = cls()
        return self._objects[cls]


_singletons = _Singletons()


def get_singleton(class_path: str, desc: str) -> Any:
    """Return the one object of the class at a dotted path.

    Raises:
        ImproperlyConfigured: The path leads nowhere.
    """
    return _singletons.get(class_path, desc)


class _Discovery:
    """Imports the apps' `imagegenerators` modules once; other threads wait until all are imported."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._begun = False
        self._done = False

    def run(self) -> None:
        if self._done:
            return
        with self._lock:
            if self._begun:
                return
            self._begun = True
            try:
                autodiscover_modules("imagegenerators")
            except BaseException:
                self._begun = False
                raise
            self._done = True


_discovery = _Discovery()


def autodiscover() -> None:
    """Import the `imagegenerators` modules of all apps, once, so that they can register things."""
    _discovery.run()


def get_logger(logger_name: str = "jinja_imagekit", add_null_handler: bool = True) -> logging.Logger:
    """Return a logger."""
    logger = logging.getLogger(logger_name)
    if add_null_handler:
        logger.addHandler(logging.NullHandler())
    return logger


def get_field_info(field_file: Any) -> tuple[Any, str | None]:
    """Return the model instance and the attribute name of a spec's source.

    Example:
        >>> get_field_info(photo.image)  # doctest: +SKIP
        (<Photo: 1>, 'image')
    """
    return getattr(field_file, "instance", None), getattr(getattr(field_file, "field", None), "attname", None)


def generate(generator: Any) -> File[bytes]:
    """Return a generator's result as a Django file, which knows its size."""
    content: BinaryIO = generator.generate()
    file = File(content)
    file.size = content.seek(0, 2)
    content.seek(0)
    return file


def call_strategy_method(file: Any, method_name: str) -> None:
    """Call a hook of a cache file's strategy, if it has that hook."""
    hook = getattr(getattr(file, "cachefile_strategy", None), method_name, None)
    if hook is not None:
        hook(file)


def get_cache() -> Any:
    """Return the Django cache that holds the state.

    Raises:
        ImproperlyConfigured: The setting does not name one.
    """
    return caches[conf.value("CACHE_BACKEND")]


def get_storage() -> Any:
    """Return the Django storage of cache files that have none of their own.

    Raises:
        ImproperlyConfigured: The setting names neither an alias nor a class.
    """
    return conf.storage_of(conf.value("DEFAULT_FILE_STORAGE"))
