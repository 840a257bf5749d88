"""The admin, with thumbnails in its lists."""

from __future__ import annotations

from django.contrib import admin

from jinja_imagekit.django.admin import AdminThumbnail

from .models import Photo, Photographer


@admin.register(Photo)
class PhotoAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Photos, each with a thumbnail that leads to its page."""

    list_display = ("thumbnail", "title", "photographer", "anchor")
    list_display_links = ("title",)
    list_filter = ("photographer",)
    thumbnail = AdminThumbnail(image_field="list_thumbnail")


@admin.register(Photographer)
class PhotographerAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Photographers, with their portraits by a template of the gallery's own."""

    list_display = ("portrait_thumbnail", "name")
    list_display_links = ("name",)
    portrait_thumbnail = AdminThumbnail(image_field="portrait", template="gallery/admin_portrait.html")
    portrait_thumbnail.short_description = "Portrait"
