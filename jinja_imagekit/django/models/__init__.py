"""The model fields."""

from .fields import FocusField, ImageField, ImageSpecField, ProcessedImageField

__all__ = ["FocusField", "ImageField", "ImageSpecField", "ProcessedImageField"]
