"""Functions that name cache files; a name is relative to the setting `cachefile_dir`."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

from .. import images
from ..exceptions import InvalidOption, UnknownFormat
from ..hashing import fingerprint
from ..interfaces import Namer
from ..loading import load
from ..settings import Settings
from ..sources import source_of
from ..storages.folder import is_safe_name, is_windows_device

__all__ = ["hash", "sharded_hash", "sharded_source_name", "source_name_as_path", "source_name_dot_hash"]

LONGEST_PART = 230
"""Bytes of a folder's name: with a hash and an extension it stays below 255, the limit of most file systems."""

FEWEST_DIGITS = 12
"""Digits of a hash that a name has at least: those of django-imagekit's shortest, 48 bits."""

_UNSAFE = re.compile(r'[\x01-\x1f\x7f<>:"|?*#%]')
"""What URLs, static hosts and the file systems of Windows have other uses for."""

BUILT_IN = tuple(f"{__name__}.{name}" for name in __all__)
"""Dotted paths of this library's namers, whose names depend on a spec's hash and its source's name alone."""


def hash(generator: Any) -> str:
    """Name the file by its hash alone: `5ff3233527c5ac3e4b596343b440ff67.webp`.

    Args:
        generator: A spec or another generator. One without `get_hash()` is named by a fingerprint of its
            attributes, and one without a format gets no extension.

    Raises:
        NotFingerprintable: The generator holds state that is not plain.
    """
    return f"{_digest(generator)}{_extension(generator)}"


def source_name_as_path(generator: Any) -> str:
    """Name the file by its hash, in a folder named after its source: `photos/canal/5ff32335….webp`.

    Raises:
        NotFingerprintable: The generator holds state that is not plain.
    """
    folder = _source_stem(generator)
    return f"{folder}/{hash(generator)}" if folder else hash(generator)


def source_name_dot_hash(generator: Any) -> str:
    """Name the file after its source, with a short hash: `photos/canal.5ff3233527c5ac3e.webp`.

    The hash has 16 digits (64 bits), enough to tell the results of one source apart.

    Raises:
        NotFingerprintable: The generator holds state that is not plain.
    """
    stem = _source_stem(generator)
    return f"{stem}.{_digest(generator)[:16]}{_extension(generator)}" if stem else hash(generator)


def sharded_hash(generator: Any) -> str:
    """Name the file by its hash alone, in one of 65,536 folders: `5f/f3/5ff3233527c5ac3e4b596343b440ff67.webp`.

    So a million files are fifteen in a folder.

    Raises:
        NotFingerprintable: The generator holds state that is not plain.
    """
    name = hash(generator)
    return f"{name[:2]}/{name[2:4]}/{name}"


def sharded_source_name(generator: Any) -> str:
    """Name the file as `source_name_dot_hash` does, in one of 256 folders: `photos/5f/canal.5ff3233527c5ac3e.webp`.

    So a hundred thousand files of one folder of sources are four hundred in a folder.

    Raises:
        NotFingerprintable: The generator holds state that is not plain.
    """
    if not _source_stem(generator):
        return sharded_hash(generator)
    folder, slash, name = source_name_dot_hash(generator).rpartition("/")
    return f"{folder}{slash}{_digest(generator)[:2]}/{name}"


def default_name(generator: Any, settings: Settings) -> str:
    """Return the name of the cache file of a generator that gives it none.

    Raises:
        NotFingerprintable: The generator holds state that is not plain.
    """
    namer: Namer = load("cachefile_namer", settings.cachefile_namer)
    return f"{settings.cachefile_dir}/{namer(generator)}".lstrip("/")


def carries_hash(name: str, generator: Any) -> bool:
    """Tell whether a name holds the hash of what a generator makes, so that nothing else can be meant by it.

    Raises:
        NotFingerprintable: The generator holds state that is not plain.
    """
    return _digest(generator)[:FEWEST_DIGITS] in name


def _digest(generator: Any) -> str:
    own = getattr(generator, "get_hash", None)
    return str(own()) if callable(own) else fingerprint(generator)


def _extension(generator: Any) -> str:
    format = getattr(generator, "output_format", None) or getattr(generator, "format", None)
    try:
        return images.extension(format) if format else ""
    except UnknownFormat:
        # A generator that is not a spec may make what specs do not write, an ICO for example.
        return f".{str(format).lower()}"


def _source_stem(generator: Any) -> str:
    source = source_of(generator)
    if source is None:
        raise InvalidOption("generator", generator, "this namer names cache files after their source, and it has none")
    return stem_of(source.name)


@lru_cache(maxsize=256)
def stem_of(source_name: str) -> str:
    """Return what the names of a source's files begin with; "" where they consist of a hash alone."""
    # A source has several files, which are named one after another.
    name = PurePosixPath(source_name)
    stem = "/".join(map(_safe, name.with_suffix("").parts)) if name.name else ""
    # Visitors name their uploads as they like; where no storage takes the name, only the hash is left.
    return stem if is_safe_name(stem) and all(len(part.encode()) <= LONGEST_PART for part in name.parts) else ""


def _safe(part: str) -> str:
    """Return a part of a name as every file system and every web server takes it, the same on all of them."""
    safe = _UNSAFE.sub("_", part)
    # Windows drops what is at the end, and has devices under some names, whatever their extension.
    ended = safe.rstrip(". ")
    safe = ended + "_" * (len(safe) - len(ended)) if ended else safe
    return f"_{safe}" if is_windows_device(safe) else safe
