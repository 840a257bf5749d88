"""Uploads to processed image fields: processed once, named after their format, and refused as form errors."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.core.files import File
from django.db.models.fields.files import FieldFile
from django.forms import ImageField
from django.utils.translation import gettext_lazy

from ...exceptions import ImageKitError, ImageTooLarge
from ...images import FORMATS, Limits, read_header
from .. import conf
from ..utils import generate, suggest_extension
from .current import get_kit

if TYPE_CHECKING:
    from ..specs import SpecHost

_KEPT = "_imagekit_processed"
"""The attribute of an upload that holds what was made from it during its check."""


def process(host: SpecHost, upload: Any, name: str) -> File[bytes]:
    """Return what the spec of a field makes of an upload, under a name with the extension of its format.

    Args:
        host: The field.
        upload: The upload, or any open file.
        name: Its name.

    Raises:
        ImageKitError: It is not a whole image of a format that may be read, exceeds a cap, or cannot be processed.
    """
    kept = vars(upload).pop(_KEPT, None) if hasattr(upload, "__dict__") else None
    if kept is not None and kept[0] == host.spec_id:
        file: File[bytes] = kept[1]
    else:
        # Otherwise content without a name would be nameless in errors.
        spec = host.get_spec(source=upload if getattr(upload, "name", None) else File(upload, name))
        spec._is_of_upload = True
        file = generate(spec)
        file.name = _name(name, file, spec)
    return file


def check(host: SpecHost, value: Any) -> None:
    """Check an upload by processing it; what is made is kept for when it is saved.

    Args:
        host: The field.
        value: The upload, or the file of a model instance.

    Raises:
        ValidationError: It cannot be processed.
    """
    if isinstance(value, FieldFile):
        if not value or getattr(value, "_committed", True):
            return
        value = value.file
    try:
        file = process(host, value, getattr(value, "name", None) or "upload")
    except ImageKitError as error:
        raise invalid(error) from error
    if hasattr(value, "__dict__"):
        vars(value)[_KEPT] = host.spec_id, file


def invalid(error: ImageKitError) -> ValidationError:
    """Return what a form says about an unusable upload.

    Raises:
        ImageKitError: The code is at fault rather than the upload.
    """
    if not error.concerns_image:
        raise error
    if isinstance(error, ImageTooLarge):
        return ValidationError(gettext_lazy("The image is too large."), code="image_too_large")
    return ValidationError(ImageField.default_error_messages["invalid_image"], code="invalid_image")


def _name(name: str, file: File[bytes], spec: Any) -> str:
    """Return a name with the extension of the file's real format, which is not always what the spec asks for."""
    format = spec.format
    if not conf.is_compatible():
        content = file.read()
        file.seek(0)
        limits = Limits.from_settings(get_kit().settings).of_results()
        # A gain map makes a JPEG one of several pictures.
        format = FORMATS[read_header(content, name=name, limits=limits).format].name
    return f"{os.path.splitext(name)[0]}{suggest_extension(name, format)}"
