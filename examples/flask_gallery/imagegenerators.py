"""The images of the gallery: what an upload becomes, and the sizes that the pages show."""

from __future__ import annotations

from jinja_imagekit import ImageSpec
from jinja_imagekit.processors import ResizeToFill
from jinja_imagekit.sourcegroups import GlobSourceGroup

from . import images


@images.register.generator("gallery:upload")
class Upload(ImageSpec):
    """What is kept of an upload: cropped to 3:2, upright, in sRGB, without the place where it was taken."""

    processors = [ResizeToFill(1800, 1200)]
    format = "JPEG"
    options = {"quality": 88}


@images.register.generator("gallery:lead")
class Lead(ImageSpec):
    """The picture that was hung last."""

    processors = [ResizeToFill(1260, 840)]
    format = "WEBP"


# `flask --app examples/flask_gallery imagekit generate` makes these before anybody comes.
for folder in ("photos", "uploads"):
    images.register.source_group("gallery:lead", GlobSourceGroup(f"{folder}/*.jpg"))
