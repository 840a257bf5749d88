"""Cache files: images that may not exist yet, and are made when a strategy says so."""

from .file import ImageCacheFile, LazyImageCacheFile

__all__ = ["ImageCacheFile", "LazyImageCacheFile"]
