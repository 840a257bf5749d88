"""The form field that processes an upload."""

from .fields import ProcessedImageField

__all__ = ["ProcessedImageField"]
