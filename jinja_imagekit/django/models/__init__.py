"""The model fields."""

from .fields import ImageSpecField, ProcessedImageField

__all__ = ["ImageSpecField", "ProcessedImageField"]
