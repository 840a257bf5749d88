"""The file of a `ProcessedImageField`, which is processed before it is stored."""

from __future__ import annotations

import os
from typing import Any

from django.core.files import File
from django.db.models.fields.files import ImageFieldFile

from ...utils import generate, suggest_extension


class ProcessedImageFieldFile(ImageFieldFile):
    """The file of a `ProcessedImageField`."""

    def save(self, name: str, content: Any, save: bool = True) -> None:
        """Process an image and store the result, under a name with the extension of its format.

        Raises:
            SourceError: `content` is not a whole image of a format that may be read, or exceeds a cap.
        """
        field: Any = self.field
        # Content without a name would have none in errors.
        spec = field.get_spec(source=content if getattr(content, "name", None) else File(content, name))
        stem = os.path.splitext(name)[0]
        super().save(f"{stem}{suggest_extension(name, spec.format)}", generate(spec), save)
