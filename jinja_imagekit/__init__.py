"""Images in Jinja templates: specs, processors, cache files and pregeneration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .lazily import names_of

if TYPE_CHECKING:
    from .cachefiles import ImageCacheFile, LazyImageCacheFile
    from .exceptions import ImageKitError
    from .kit import ImageKit
    from .registry import GeneratorRegistry
    from .settings import Settings
    from .sources import BytesSource
    from .specs import ImageSpec

__all__ = [
    "BytesSource",
    "GeneratorRegistry",
    "ImageCacheFile",
    "ImageKit",
    "ImageKitError",
    "ImageSpec",
    "LazyImageCacheFile",
    "Settings",
    "__version__",
]

__version__ = "0.2.0"
"""The distribution's version, defined only here."""

_HOMES = {
    "BytesSource": "sources",
    "GeneratorRegistry": "registry",
    "ImageCacheFile": "cachefiles",
    "ImageKit": "kit",
    "ImageKitError": "exceptions",
    "ImageSpec": "specs",
    "LazyImageCacheFile": "cachefiles",
    "Settings": "settings",
}
"""The module of each name, imported when the name is first used, so that the command starts at once."""


__getattr__ = names_of(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
