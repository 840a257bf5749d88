"""The file of a `ProcessedImageField`, which is processed before it is stored."""

from __future__ import annotations

from typing import Any

from django.db.models.fields.files import ImageFieldFile

from ..._engine.uploads import process


class ProcessedImageFieldFile(ImageFieldFile):
    """The file of a `ProcessedImageField`."""

    def save(self, name: str, content: Any, save: bool = True) -> None:
        """Process an image and store the result, under a name with the extension of its format.

        Raises:
            ImageKitError: `content` is not a whole image of a format that may be read, exceeds a cap, or cannot be
                processed. Forms, and whoever calls `full_clean()`, have been told before.
        """
        field: Any = self.field
        file = process(field, content, name)
        super().save(str(file.name), file, save)
