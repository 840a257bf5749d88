"""Where the state is kept: in a suitable Django cache, or else in a folder on this machine."""

from __future__ import annotations

import os
import stat
import tempfile
from hashlib import blake2b
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.cache import caches
from django.core.cache.backends.db import DatabaseCache
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.filebased import FileBasedCache
from django.core.cache.backends.locmem import LocMemCache

from .. import conf

ENOUGH_ENTRIES = 10_000
"""A cache that holds fewer entries cannot keep a site's state: each image has two or three."""

FOLDER = ".imagekit"


def why_unfit(cache: Any) -> str | None:
    """Return why a Django cache cannot keep a site's state; None if it can."""
    if isinstance(cache, DummyCache):
        return "it keeps nothing"
    if isinstance(cache, LocMemCache):
        return "each process has its own, and loses it when it ends"
    entries = getattr(cache, "_max_entries", ENOUGH_ENTRIES)
    if isinstance(cache, (FileBasedCache, DatabaseCache)) and entries < ENOUGH_ENTRIES:
        return f"it holds {entries} entries (MAX_ENTRIES), and drops some of them when it is full"
    return None


def state_folder() -> Path | None:
    """Return the folder that keeps the state; None if one of Django's caches does.

    The setting `IMAGEKIT_CACHE_BACKEND`, or a suitable default cache, comes first. Otherwise it is
    `IMAGEKIT_STATE_DIR`, or `.imagekit` in `BASE_DIR`, or, if that cannot be written, a folder of this user among the
    machine's temporary ones.
    """
    if conf.is_cache_chosen() or why_unfit(caches[conf.value("CACHE_BACKEND")]) is None:
        return None
    chosen = conf.optional("STATE_DIR")
    if chosen is not None:
        return Path(chosen)
    base = getattr(settings, "BASE_DIR", None)
    if base and _is_writable(Path(base)):
        return Path(base) / FOLDER
    return _temporary_folder()


def _is_writable(base: Path) -> bool:
    folder = base / FOLDER
    return os.access(folder if folder.exists() else base, os.W_OK | os.X_OK)


def _temporary_folder() -> Path | None:
    digest = blake2b(str(settings.MEDIA_ROOT).encode(errors="replace"), digest_size=8).hexdigest()
    user = os.getuid() if hasattr(os, "getuid") else ""
    folder = Path(tempfile.gettempdir()) / f"imagekit-{user}-{digest}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        facts = folder.lstat()
    except OSError:
        return None
    # Anybody could create a folder of that name there.
    is_own = stat.S_ISDIR(facts.st_mode) and (not user or facts.st_uid == user) and not facts.st_mode & 0o022
    return folder if is_own else None
