"""django-imagekit's exceptions by their names: this library's own, and pilkit's two."""

from __future__ import annotations

from pilkit.exceptions import UnknownExtension, UnknownFormat  # type: ignore[import-untyped]

from ..exceptions import AlreadyRegistered, ImageKitError, MissingSource, NotRegistered

UnknownExtensionError = UnknownExtension
UnknownFormatError = UnknownFormat


class MissingGeneratorId(ImageKitError, ValueError):
    """An object that hosts a spec has no generator id."""


__all__ = [
    "AlreadyRegistered",
    "ImageKitError",
    "MissingGeneratorId",
    "MissingSource",
    "NotRegistered",
    "UnknownExtension",
    "UnknownExtensionError",
    "UnknownFormat",
    "UnknownFormatError",
]
