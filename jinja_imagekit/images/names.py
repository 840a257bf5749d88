"""The names of the formats that are written, which need none of the formats themselves."""

from __future__ import annotations

from ..exceptions import UnknownFormat

WRITABLE_FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF")
"""Formats that are written, by Pillow's names."""


def normal_format(format: str) -> str:
    """Return Pillow's name of a format that is written.

    Raises:
        UnknownFormat: This library does not write it.

    Example:
        >>> normal_format("jpg")
        'JPEG'
    """
    if type(format) is str and format in WRITABLE_FORMATS:
        return format
    # Specs that name a format as Pillow does need no decoder to be named.
    from .formats import OTHER_NAMES

    name = format.strip().removeprefix(".").upper() if isinstance(format, str) else str(format)
    name = OTHER_NAMES.get(name, name)
    if name not in WRITABLE_FORMATS:
        raise UnknownFormat(str(format), WRITABLE_FORMATS)
    return name
