"""The blog's image specs."""

from __future__ import annotations

from jinja_imagekit import GeneratorRegistry, ImageSpec
from jinja_imagekit.processors import Adjust, ResizeToFill

generators = GeneratorRegistry()


@generators.register("blog:cover")
class Cover(ImageSpec):
    """The wide picture above an article."""

    processors = (ResizeToFill(1440, 600), Adjust(contrast=1.05))
    format = "WEBP"
    options = {"quality": 82}


@generators.register("blog:study")
class Study(ImageSpec):
    """A small square in black and white, beside the text."""

    processors = (ResizeToFill(440, 440), Adjust(color=0, contrast=1.15))
    format = "WEBP"
