"""Form fields: one that processes an upload, and one for what crops keep."""

from .fields import ProcessedImageField
from .focus import FocusField, FocusInput

__all__ = ["FocusField", "FocusInput", "ProcessedImageField"]
