"""An admin whose list shows each kind of thumbnail."""

from __future__ import annotations

from typing import Any

from django.contrib import admin

from jinja_imagekit.django.admin import AdminThumbnail
from jinja_imagekit.django.cachefiles import LazyImageCacheFile

from .models import Avatar, Photo, Portrait


def unknown(photo: Any) -> Any:
    """Return the image of a generator that is not registered."""
    return LazyImageCacheFile("album:no-such-generator", source=photo.image)


@admin.register(Photo)
class PhotoAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Shows thumbnails by field, by callable, and of an unknown generator."""

    list_display = ("pk", "by_field", "by_callable", "by_unknown", "original", "by_template", "by_tag", "thumbnail")
    by_field = AdminThumbnail("thumbnail")
    by_callable = AdminThumbnail(lambda photo: photo.by_width)
    by_unknown = AdminThumbnail(unknown)
    original = AdminThumbnail("image")
    by_tag = AdminThumbnail("image", template="album/tag.html")
    by_template = AdminThumbnail("thumbnail", template="album/thumbnail.html")


@admin.register(Avatar)
class AvatarAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Takes uploads."""

    fields = ("image",)


@admin.register(Portrait)
class PortraitAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Has editors click on the focal point."""
