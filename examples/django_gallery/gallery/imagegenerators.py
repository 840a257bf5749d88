"""Specs that templates name by their ids; this module is found by its name."""

from jinja_imagekit.django import ImageSpec, register
from jinja_imagekit.django.processors import Adjust, ResizeToFit


@register.generator("gallery:large")
class Large(ImageSpec):
    """A photo at the width of a page."""

    processors = [ResizeToFit(1200, 900, upscale=False), Adjust(contrast=1.05)]
    format = "WEBP"
