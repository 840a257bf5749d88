"""The attribute that an `ImageSpecField` adds to a model."""

from __future__ import annotations

from typing import Any

from ..._engine.sources import source_of
from ...cachefiles import ImageCacheFile, LazyImageCacheFile

__all__ = ["ImageCacheFile", "ImageSpecFileDescriptor", "LazyImageCacheFile"]


class ImageSpecFileDescriptor:
    """Gives the cache file of a model instance, made from the current content of its image field.

    Args:
        field: The `ImageSpecField`.
        attname: Its name.
        source_field_name: The name of the image field, with dots where it is a related instance's.
    """

    def __init__(self, field: Any, attname: str, source_field_name: str) -> None:
        self.field = field
        self.attname = attname
        self.source_field_name = source_field_name

    def __get__(self, instance: Any, owner: Any) -> Any:
        if instance is None:
            return self.field
        file = LazyImageCacheFile(self.field.spec_id, source=source_of(instance, self.source_field_name))
        instance.__dict__[self.attname] = file
        return file

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self.attname] = value
