"""The admin: a thumbnail beside each photo in the list, and a photo's focus set by a click on it."""

from django.contrib import admin

from jinja_imagekit.django.admin import AdminThumbnail

from .models import Photo, Photographer

admin.site.register(Photographer)


@admin.register(Photo)
class PhotoAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Photos, each with a thumbnail that leads to its page."""

    list_display = ("thumbnail", "title", "photographer", "focus")
    list_display_links = ("title",)
    list_filter = ("photographer",)
    thumbnail = AdminThumbnail(image_field="list_thumbnail")
