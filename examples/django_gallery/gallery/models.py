"""Photographers and photos, with the images that are made of them."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.urls import reverse

from jinja_imagekit.django import ImageSpec
from jinja_imagekit.django.models import ImageSpecField, ProcessedImageField
from jinja_imagekit.django.processors import Adjust, ResizeToFill
from jinja_imagekit.django.utils import get_field_info


class Hero(ImageSpec):
    """A wide cut of a photo, around the point that its record names."""

    format = "WEBP"
    options = {"quality": 80}

    @property
    def processors(self) -> list[Any]:
        """Cut where the photo says."""
        photo, _ = get_field_info(self.source)
        return [ResizeToFill(1600, 560, anchor=photo.anchor)]


class Photographer(models.Model):
    """Someone who takes photos. Of the portrait, only the small square is kept."""

    name = models.CharField(max_length=80)
    portrait = ProcessedImageField([ResizeToFill(160, 160)], format="WEBP", upload_to="portraits", blank=True)

    def __str__(self) -> str:
        return self.name


class Photo(models.Model):
    """A photo. `image` is the original; all others are made of it when they are needed."""

    class Anchor(models.TextChoices):
        """Which part of a photo a cut keeps."""

        TOP = "t", "top"
        CENTER = "c", "middle"
        BOTTOM = "b", "bottom"

    title = models.CharField(max_length=80)
    photographer = models.ForeignKey(Photographer, models.CASCADE, related_name="photos")
    image = models.ImageField(upload_to="photos/%Y")
    anchor = models.CharField("cut at the", max_length=1, choices=Anchor.choices, default=Anchor.CENTER)

    hero = ImageSpecField(source="image", spec=Hero)
    list_thumbnail = ImageSpecField(
        [ResizeToFill(120, 80), Adjust(sharpness=1.1)], source="image", format="JPEG", options={"quality": 70}
    )

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        """Return the photo's page."""
        return reverse("photo", args=[self.pk])
