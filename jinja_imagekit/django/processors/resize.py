"""Processors that resize, by the module that they had in old versions of django-imagekit."""

from . import (
    AddBorder,
    Anchor,
    Resize,
    ResizeCanvas,
    ResizeToCover,
    ResizeToFill,
    ResizeToFit,
    SmartResize,
    Thumbnail,
    getattrsafe,
    resolve_palette,
)

__all__ = [
    "AddBorder",
    "Anchor",
    "Resize",
    "ResizeCanvas",
    "ResizeToCover",
    "ResizeToFill",
    "ResizeToFit",
    "SmartResize",
    "Thumbnail",
    "getattrsafe",
    "resolve_palette",
]
