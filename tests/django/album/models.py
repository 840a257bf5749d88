"""Models with images made of other images, as projects have them."""

from __future__ import annotations

from typing import Any

from django.db import models

from jinja_imagekit.django import ImageSpec
from jinja_imagekit.django.models import FocusField, ImageField, ImageSpecField, ProcessedImageField
from jinja_imagekit.django.processors import Adjust, ResizeToFill, ResizeToFit, SmartCrop
from jinja_imagekit.django.utils import get_field_info

from .parts import CountingStrategy

counting = CountingStrategy()


class Card(ImageSpec):
    """A spec that several fields share."""

    processors = [ResizeToFill(100, 60)]
    format = "JPEG"
    options = {"quality": 60}


class ByWidth(ImageSpec):
    """A spec that looks at the model."""

    format = "JPEG"

    @property
    def processors(self) -> list[Any]:
        """As wide as the model says."""
        instance, _ = get_field_info(self.source)
        return [ResizeToFill(instance.wanted_width, 20)]


class Photo(models.Model):
    """A photo with thumbnails."""

    image = models.ImageField(upload_to="photos")
    wanted_width = models.IntegerField(default=30)
    thumbnail = ImageSpecField([Adjust(contrast=1.1), ResizeToFill(50, 40)], format="JPEG", options={"quality": 70})
    named = ImageSpecField(source="image", spec=Card, id="album:card")
    by_width = ImageSpecField(source="image", spec=ByWidth)


class AbstractPhoto(models.Model):
    """What concrete models inherit."""

    picture = models.ImageField(upload_to="concrete")
    implied = ImageSpecField([ResizeToFill(15, 10)], format="PNG")
    small = ImageSpecField([ResizeToFill(20, 20)], source="picture", format="PNG", cachefile_strategy=counting)

    class Meta:
        """Django's options."""

        abstract = True


class Concrete(AbstractPhoto):
    """A model that inherits a spec field."""


class ConcreteChild(Concrete):
    """A model in a table of its own."""


class Avatar(models.Model):
    """A model that keeps no original."""

    image = ProcessedImageField([SmartCrop(50, 50)], format="PNG", upload_to="avatars")
    second = ProcessedImageField(spec=Card, upload_to="avatars", blank=True)


class Original(models.Model):
    """A model that keeps uploads small, in the format that they have."""

    image = ProcessedImageField([ResizeToFit(800, 800, upscale=False)], upload_to="originals")


class Album(models.Model):
    """An album with a cover."""

    cover = models.ImageField(upload_to="covers", blank=True)


class Page(models.Model):
    """A page that shows its album's cover."""

    album = models.ForeignKey(Album, models.CASCADE, null=True)
    teaser = ImageSpecField([ResizeToFill(24, 18)], source="album.cover", format="PNG", cachefile_strategy=counting)


class Portrait(models.Model):
    """A photo whose editors say where its focal point is, and what it shows."""

    title = models.CharField(max_length=100, blank=True)
    focus = FocusField()
    image = ImageField(upload_to="portraits", blank=True, focus_field="focus", alt_field="title")
    square = ImageSpecField([ResizeToFill(60, 60)], source="image", format="PNG")
    fitted = ImageSpecField([ResizeToFit(60, 60)], source="image", format="PNG")


class Poster(models.Model):
    """A photo of Django's own kind of field, of which one spec knows the focal point."""

    image = models.ImageField(upload_to="posters")
    focus = models.CharField(max_length=64, blank=True)
    focused = ImageSpecField([ResizeToFill(60, 60)], format="PNG", focus_field="focus")
    plain = ImageSpecField([ResizeToFill(60, 60)], format="PNG")
