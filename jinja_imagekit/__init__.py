"""Images in Jinja templates: specs, processors, cache files and pregeneration."""

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
]
