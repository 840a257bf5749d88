"""Functions that name cache files, the setting `IMAGEKIT_CACHEFILE_DIR` included in the name.

With `IMAGEKIT_COMPATIBILITY` they give the names of django-imagekit 6.1.
"""

from __future__ import annotations

import os
import posixpath
from typing import Any

from pilkit.utils import format_to_extension, suggest_extension  # type: ignore[import-untyped]

from ...cachefiles import namers as core
from .. import conf

BUILT_IN = tuple(f"{__name__}.{name}" for name in ("hash", "source_name_as_path", "source_name_dot_hash"))
"""Dotted paths of these namers, whose names depend on a spec's hash and its source's name alone."""

SHORT_HASH = 12
"""Digits of the hash in django-imagekit's names that begin with the source's."""


def source_name_as_path(generator: Any) -> str:
    """Name the file by its hash in a folder named for its source: `CACHE/images/photos/canal/5ff32335….webp`."""
    if not conf.is_compatible():
        return _placed(core.source_name_as_path(generator))
    folder, name = _source(generator)
    return _placed(posixpath.join(os.path.splitext(folder)[0], f"{generator.get_hash()}{_extension(generator, name)}"))


def source_name_dot_hash(generator: Any) -> str:
    """Name the file for its source, with a short hash: `CACHE/images/photos/canal.5ff32335….webp`."""
    if not conf.is_compatible():
        return _placed(core.source_name_dot_hash(generator))
    folder, name = _source(generator)
    stem = os.path.splitext(posixpath.basename(name))[0]
    ending = f"{generator.get_hash()[:SHORT_HASH]}{_extension(generator, name)}"
    return _placed(posixpath.join(posixpath.dirname(folder), f"{stem}.{ending}"))


def hash(generator: Any) -> str:
    """Name the file by its hash alone: `CACHE/images/5ff3233527c5ac3e4b596343b440ff67.webp`."""
    if not conf.is_compatible() or not callable(getattr(generator, "get_hash", None)):
        return _placed(core.hash(generator))
    format = getattr(generator, "format", None)
    return _placed(f"{generator.get_hash()}{format_to_extension(format) if format else ''}")


def _source(generator: Any) -> tuple[str, str]:
    """Return the source's name where it is relative, else "", and the name itself."""
    name = str(getattr(generator.source, "name", None) or "").replace("\\", "/")
    return ("" if os.path.isabs(name) else name), name


def _extension(generator: Any, source_name: str) -> str:
    extension: str = suggest_extension(source_name, generator.format)
    return extension


def _placed(name: str) -> str:
    return posixpath.normpath(posixpath.join(conf.value("CACHEFILE_DIR"), name))
