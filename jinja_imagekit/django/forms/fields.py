"""A form field that processes an uploaded image before it becomes part of the form's data."""

from __future__ import annotations

from typing import Any

from django.forms import ImageField

from ...exceptions import ImageKitError
from .._engine.uploads import invalid, process
from ..specs import SpecHost


class ProcessedImageField(SpecHost, ImageField):
    """An `ImageField` whose value is what a spec makes of the upload.

    Args:
        processors: What is done to the image.
        format: The format of the result.
        options: Options of its encoder.
        autoconvert: Convert the image to a mode that the format can hold.
        spec_id: The id of the spec, which others may override.
        spec: A spec class, instead of processors, format and options.
        *args: What an `ImageField` takes.
        **kwargs: What an `ImageField` takes.

    Raises:
        TypeError: There is no `spec_id`, or both a spec and its attributes.
    """

    def __init__(
        self,
        processors: Any = None,
        format: str | None = None,
        options: Any = None,
        autoconvert: bool | None = None,
        spec_id: str | None = None,
        spec: Any = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        if spec_id is None:
            raise TypeError("Give a spec_id: form fields do not know their name, from which it could be derived.")
        SpecHost.__init__(
            self,
            processors=processors,
            format=format,
            options=options,
            autoconvert=autoconvert,
            spec=spec,
            spec_id=spec_id,
        )
        ImageField.__init__(self, *args, **kwargs)

    def clean(self, data: Any, initial: Any = None) -> Any:
        """Return the processed image, with the extension of its format; an existing file is returned unchanged.

        Raises:
            ValidationError: The upload is not a whole image of a format that may be read, or exceeds a cap.
        """
        cleaned = super().clean(data, initial)
        if not cleaned or cleaned == initial:
            return cleaned
        try:
            return process(self, cleaned, cleaned.name)
        except ImageKitError as error:
            raise invalid(error) from error
