"""Generators that are found by autodiscovery."""

from __future__ import annotations

from typing import Any

from jinja_imagekit.django import ImageSpec, register
from jinja_imagekit.django.processors import ResizeToFill


@register.generator("album:square")
class Square(ImageSpec):
    """A square of any side."""

    format = "PNG"

    def __init__(self, width: int = 10, height: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.processors = [ResizeToFill(width, width)]
