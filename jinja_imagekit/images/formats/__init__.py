"""The formats that are read, written or passed on: one module each, and questions about all of them."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from ...exceptions import InvalidOption, nearest
from ...settings import AUTO
from ..names import WRITABLE_FORMATS, normal_format
from .avif import Avif
from .base import Format, Range, of_effort
from .bmp import Bmp
from .gif import Gif
from .heif import Heif
from .ico import Ico
from .jpeg import Jpeg
from .jxl import Jxl
from .other import OTHERS
from .pdf import Pdf
from .png import Png
from .svg import Svg
from .tiff import Tiff
from .webp import WebP

if TYPE_CHECKING:
    from ..header import Header

_ALL: tuple[Format, ...] = (Jpeg(), Png(), WebP(), Avif(), Gif(), Tiff(), Bmp(), Ico(), Svg())
"""In the order in which a file's first bytes are compared with them."""

_WHERE_NAMED: Mapping[str, Format] = {**{each.name: each for each in (Heif(), Jxl(), Pdf())}, **OTHERS}
"""By Pillow's names, those that are read only where the setting `readable_formats` names them."""

FORMATS: Mapping[str, Format] = {
    **{name: format for format in _ALL for name in (format.name, *format.variants)},
    **_WHERE_NAMED,
}
"""Formats by Pillow's names, those of their variants too."""

OUTPUT_FORMATS: Mapping[str, Format] = {name: FORMATS[name] for name in WRITABLE_FORMATS}
"""The formats that are written."""

_KNOWN_OPTIONS = frozenset().union(*(format.options for format in OUTPUT_FORMATS.values()))
_FLAGS = frozenset().union(*(each.flags for each in OUTPUT_FORMATS.values()))

OTHER_NAMES: Mapping[str, str] = {
    name: format.name for format in _ALL for name in (*format.variants, *format.other_names)
}
"""Pillow's names of formats by what else they are called."""


def sniff(data: bytes, others: Iterable[str] = ()) -> Format | None:
    """Return the format that the first bytes of a file announce; None if it is not one that is read.

    Args:
        data: The whole file.
        others: Further formats that may be read, by Pillow's names.
    """
    found = next((format for format in _ALL if format.announces(data)), None)
    wanted = set(others)
    return found or next((each for name, each in _WHERE_NAMED.items() if name in wanted and each.announces(data)), None)


def output_format(requested: str | None, header: Header) -> str:
    """Return the format of a result.

    Args:
        requested: The format asked for, in any case, `jpg` for JPEG; None keeps the source's.
        header: What is known about the source.

    Returns:
        One of `WRITABLE_FORMATS`, or that of a drawing, whatever was asked for. A source of another format that is
        not written becomes a PNG where it has transparency and a JPEG where it has none.

    Raises:
        UnknownFormat: `requested` is not written.
    """
    normal = None if requested is None else normal_format(requested)
    if header.is_vector:
        return header.format
    if normal is not None:
        return normal
    if header.format in OUTPUT_FORMATS:
        return header.format
    return "PNG" if header.has_alpha else "JPEG"


def extension(format: str) -> str:
    """Return the extension of a format's files, with its dot.

    Raises:
        UnknownFormat: This library neither writes it nor passes it on.

    Example:
        >>> extension("JPEG")
        '.jpg'
    """
    return _of_result(format).extension


def mimetype(format: str) -> str:
    """Return a format's media type.

    Raises:
        UnknownFormat: This library neither writes it nor passes it on.

    Example:
        >>> mimetype("WEBP")
        'image/webp'
    """
    return _of_result(format).mimetype


def mimetype_of_name(name: str) -> str:
    """Return the media type of a cache file, or of any other, by its extension.

    Example:
        >>> mimetype_of_name("CACHE/canal.webp")
        'image/webp'
    """
    extension = PurePosixPath(name).suffix.lower()
    own = next((format.mimetype for format in OUTPUT_FORMATS.values() if format.extension == extension), None)
    return own or mimetypes.guess_type(f"name{extension}")[0] or "application/octet-stream"


def _of_result(name: str) -> Format:
    passed_on = FORMATS.get(str(name).upper())
    return passed_on if passed_on and passed_on.is_vector else OUTPUT_FORMATS[normal_format(name)]


def check_options(format: str, options: Mapping[str, object]) -> None:
    """Check encoder options before there is an image.

    An option that only other formats know is allowed and later left out, since the format may follow the source.

    Args:
        format: The format of the result.
        options: Encoder options by Pillow's names.

    Raises:
        UnknownFormat: The format is not written.
        InvalidOption: An option is unknown to every format, its value is out of range, or it is on or off and the
            value is neither.

    Example:
        >>> check_options("JPEG", {"quality": 80})
    """
    own = OUTPUT_FORMATS[normal_format(format)]
    for name, value in options.items():
        if name not in _KNOWN_OPTIONS:
            raise InvalidOption(name, value, f"no format has such an option. {nearest(name, _KNOWN_OPTIONS)}")
        if name == "quality" and value == AUTO:
            continue
        if name in _FLAGS and value not in (0, 1):
            raise InvalidOption(name, value, "give True or False")
        allowed = own.ranges.get(name) or _widest_range(name)
        if allowed is not None:
            _check_number(name, value, allowed)


def _widest_range(name: str) -> Range | None:
    """Return the values that an option may have in any of the formats, for one that leaves it out."""
    ranges = [each.ranges[name] for each in OUTPUT_FORMATS.values() if name in each.ranges]
    if not ranges:
        return None
    return Range(min(each.least for each in ranges), max(each.greatest for each in ranges), whole=False)


def _check_number(name: str, value: object, allowed: Range) -> None:
    kind = "a whole number" if allowed.whole else "a number"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidOption(name, value, f"it must be {kind} from {allowed.least} to {allowed.greatest}.")
    if not allowed.least <= value <= allowed.greatest:
        raise InvalidOption(name, value, f"it must lie between {allowed.least} and {allowed.greatest}.")
    if allowed.whole and value != int(value):
        raise InvalidOption(name, value, f"it must be {kind}.")


def encoder_options(format: Format, options: Mapping[str, object], effort: str) -> dict[str, object]:
    """Return the options that a format's encoder gets: its defaults, overridden by those of `options` that it knows."""
    own = {name: value for name, value in options.items() if name in format.options}
    chosen = {**format.defaults, **of_effort(format.efforts, effort), **own}
    # Pillow's encoders insist on int: 80.0 asks for the same image as 80.
    return {name: _whole(value) if name in format.ranges else value for name, value in chosen.items()}


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value
