"""What the formats that are written are called, can hold, and are told by default."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..exceptions import InvalidOption, UnknownFormat, nearest
from .containers import VECTOR_FORMAT

if TYPE_CHECKING:
    from .header import Header


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """One format that is written.

    Attributes:
        extension: Of its files, with the dot.
        mimetype: Its media type.
        modes: Pillow modes that its encoder writes as they are, for a still image.
        has_alpha: Whether it can hold transparency.
        animates: Whether it can hold several frames.
        max_side: Most pixels of one side.
        max_milliseconds: Longest duration of one frame.
        defaults: Encoder options unless told otherwise; `docs/reference/formats.md` holds the measurement.
        options: Names of the encoder options that it understands.
    """

    extension: str
    mimetype: str
    modes: frozenset[str]
    has_alpha: bool
    animates: bool
    max_side: int
    max_milliseconds: int
    defaults: Mapping[str, object]
    options: frozenset[str]


# Sides: 16 bits in JPEG and GIF, 14 in WebP, 31 in PNG, 65536 in libavif's encoder.
# Durations: 16 bits of 1/100 s in GIF, of 1/1000 s as Pillow writes APNG, 24 bits of 1/1000 s in WebP.
OUTPUT_FORMATS: Mapping[str, OutputFormat] = {
    "JPEG": OutputFormat(
        extension=".jpg",
        mimetype="image/jpeg",
        modes=frozenset({"L", "RGB"}),
        has_alpha=False,
        animates=False,
        max_side=65_500,
        max_milliseconds=0,
        defaults={"quality": 80, "progressive": True},
        options=frozenset(
            {"quality", "progressive", "progression", "optimize", "subsampling", "qtables", "smooth", "keep_rgb"}
            | {"dpi", "comment", "restart_marker_blocks", "restart_marker_rows", "icc_profile", "exif", "xmp"}
        ),
    ),
    "PNG": OutputFormat(
        extension=".png",
        mimetype="image/png",
        modes=frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16"}),
        has_alpha=True,
        animates=True,
        max_side=2**31 - 1,
        max_milliseconds=65_535,
        defaults={"compress_level": 6},
        options=frozenset({"optimize", "compress_level", "compress_type", "dpi", "icc_profile", "exif", "bits"}),
    ),
    "WEBP": OutputFormat(
        extension=".webp",
        mimetype="image/webp",
        modes=frozenset({"RGB", "RGBA"}),
        has_alpha=True,
        animates=True,
        max_side=16_383,
        max_milliseconds=2**24 - 1,
        defaults={"quality": 80, "method": 2},
        options=frozenset(
            {"quality", "lossless", "alpha_quality", "method", "exact", "minimize_size", "allow_mixed"}
            | {"kmin", "kmax", "icc_profile", "exif", "xmp"}
        ),
    ),
    "AVIF": OutputFormat(
        extension=".avif",
        mimetype="image/avif",
        modes=frozenset({"L", "RGB", "RGBA"}),
        has_alpha=True,
        animates=True,
        max_side=65_536,
        max_milliseconds=2**31 - 1,
        defaults={"quality": 61, "speed": 8},
        options=frozenset(
            {"quality", "speed", "subsampling", "range", "codec", "tile_rows", "tile_cols", "autotiling"}
            | {"alpha_premultiplied", "advanced", "icc_profile", "exif", "xmp"}
        ),
    ),
    "GIF": OutputFormat(
        extension=".gif",
        mimetype="image/gif",
        modes=frozenset({"L", "P"}),
        has_alpha=True,
        animates=True,
        max_side=65_535,
        max_milliseconds=655_350,
        defaults={},
        options=frozenset({"optimize", "interlace", "comment"}),
    ),
}


WRITABLE_FORMATS: tuple[str, ...] = tuple(OUTPUT_FORMATS)
"""The formats that `encode` writes, by Pillow's names."""

_OTHER_NAMES = {"JPG": "JPEG", "JPE": "JPEG", "MPO": "JPEG", "APNG": "PNG", "AVIFS": "AVIF"}

_RANGES: Mapping[str, tuple[int, int]] = {
    "quality": (0, 100),
    "alpha_quality": (0, 100),
    "method": (0, 6),
    "speed": (0, 10),
    "compress_level": (0, 9),
}


def normal_format(format: str) -> str:
    """Return Pillow's name of a format that is written.

    Raises:
        UnknownFormat: This library does not write it.

    Example:
        >>> normal_format("jpg")
        'JPEG'
    """
    name = format.strip().removeprefix(".").upper() if isinstance(format, str) else str(format)
    name = _OTHER_NAMES.get(name, name)
    if name not in OUTPUT_FORMATS:
        raise UnknownFormat(str(format), WRITABLE_FORMATS)
    return name


def output_format(requested: str | None, header: Header) -> str:
    """Return the format of a result.

    Args:
        requested: The format asked for, in any case, `jpg` for JPEG; None keeps the source's.
        header: What is known of the source.

    Returns:
        One of `WRITABLE_FORMATS`, or `SVG` for an SVG, whatever was asked for. A source of another format that is
        not written becomes a PNG where it has transparency and a JPEG where it has none.

    Raises:
        UnknownFormat: `requested` is not written.
    """
    normal = None if requested is None else normal_format(requested)
    if header.format == VECTOR_FORMAT:
        return VECTOR_FORMAT
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
    if str(format).upper() == VECTOR_FORMAT:
        return ".svg"
    return OUTPUT_FORMATS[normal_format(format)].extension


def mimetype(format: str) -> str:
    """Return a format's media type.

    Raises:
        UnknownFormat: This library neither writes it nor passes it on.

    Example:
        >>> mimetype("WEBP")
        'image/webp'
    """
    if str(format).upper() == VECTOR_FORMAT:
        return "image/svg+xml"
    return OUTPUT_FORMATS[normal_format(format)].mimetype


def check_options(format: str, options: Mapping[str, object]) -> None:
    """Check encoder options before there is an image.

    An option that only other formats know is allowed and later left out, since the format may follow the source.

    Args:
        format: The format of the result.
        options: Encoder options by Pillow's names.

    Raises:
        UnknownFormat: The format is not written.
        InvalidOption: An option is unknown to every format, or its value is out of range.

    Example:
        >>> check_options("JPEG", {"quality": 80})
    """
    own = OUTPUT_FORMATS[normal_format(format)].options
    known = frozenset().union(*(each.options for each in OUTPUT_FORMATS.values()))
    for name, value in options.items():
        if name not in known:
            raise InvalidOption(name, value, f"no format has such an option. {nearest(name, known)}")
        if name in _RANGES:
            least, greatest = _RANGES[name]
            # libjpeg has no quality 0, and Pillow takes it for "the default".
            least = 1 if name == "quality" and normal_format(format) == "JPEG" else least
            whole = name in own and not (format == "WEBP" and name in ("quality", "alpha_quality"))
            _check_number(name, value, least, greatest, whole=whole)


def _check_number(name: str, value: object, least: int, greatest: int, *, whole: bool) -> None:
    kind = "a whole number" if whole else "a number"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidOption(name, value, f"it must be {kind} from {least} to {greatest}.")
    if not least <= value <= greatest:
        raise InvalidOption(name, value, f"it must lie between {least} and {greatest}.")
    if whole and value != int(value):
        raise InvalidOption(name, value, f"it must be {kind}.")


def encoder_options(format: str, options: Mapping[str, object]) -> dict[str, object]:
    """Return what the encoder of a format is told: its defaults, and over them the options that it knows."""
    spec = OUTPUT_FORMATS[format]
    chosen = {**spec.defaults, **{name: value for name, value in options.items() if name in spec.options}}
    # Pillow's encoders insist on int: 80.0 asks for the same image as 80.
    return {name: _CASTS.get(name, _same)(value) for name, value in chosen.items()}


def _same(value: object) -> object:
    return value


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


_CASTS: Mapping[str, Callable[[object], object]] = dict.fromkeys(_RANGES, _whole)
