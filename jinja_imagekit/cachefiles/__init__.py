"""Cache files: images that are made when a strategy says so, and may not exist yet."""

from .file import ImageCacheFile, LazyImageCacheFile

__all__ = ["ImageCacheFile", "LazyImageCacheFile"]
