"""Photographers and photos, with the images that are made of them."""

from django.db import models
from django.urls import reverse

from jinja_imagekit.django.models import FocusField, ImageField, ImageSpecField, ProcessedImageField
from jinja_imagekit.django.processors import ResizeToFill


class Photographer(models.Model):
    """Someone who takes photos. Of the portrait, only the small square is kept."""

    name = models.CharField(max_length=80)
    portrait = ProcessedImageField([ResizeToFill(160, 160)], format="WEBP", upload_to="portraits", blank=True)

    def __str__(self) -> str:
        return self.name


class Photo(models.Model):
    """A photo. `image` is the original; all others are made of it when they are needed, and cut around its focus."""

    title = models.CharField(max_length=80)
    photographer = models.ForeignKey(Photographer, models.CASCADE, related_name="photos")
    image = ImageField(upload_to="photos/%Y", focus_field="focus", alt_field="title")
    focus = FocusField()

    list_thumbnail = ImageSpecField([ResizeToFill(120, 80)], source="image", format="JPEG", options={"quality": 70})

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        """Return the photo's page."""
        return reverse("photo", args=[self.pk])
