"""The caps on what is read and written, and the rules by which pixels are, as plain values."""

from __future__ import annotations

from dataclasses import dataclass

from ..exceptions import InvalidSetting, nearest
from ..settings import READABLE_FORMATS, Settings
from .metadata import KEEPABLE


@dataclass(frozen=True, slots=True)
class Limits:
    """What an image may cost at most; each field is the setting of its name.

    Args:
        formats: Formats that may be read, by Pillow's names (the setting `readable_formats`).
        max_source_bytes: Largest source file, in bytes.
        max_source_pixels: Most pixels of a source, all frames together.
        max_result_pixels: Most pixels of a result, all frames together.
        max_frames: Most frames of an animation.

    Raises:
        InvalidSetting: `formats` names one that is never read.

    Example:
        >>> Limits(max_frames=10).max_frames
        10
    """

    formats: tuple[str, ...] = READABLE_FORMATS
    max_source_bytes: int = 200_000_000
    max_source_pixels: int = 100_000_000
    max_result_pixels: int = 100_000_000
    max_frames: int = 1_000

    def __post_init__(self) -> None:
        for format in self.formats:
            if format not in READABLE_FORMATS:
                raise InvalidSetting("readable_formats", f"{format!r} is not read. {nearest(format, READABLE_FORMATS)}")

    @classmethod
    def from_settings(cls, settings: Settings) -> Limits:
        """Return the limits that the settings give."""
        return cls(
            formats=settings.readable_formats,
            max_source_bytes=settings.max_source_bytes,
            max_source_pixels=settings.max_source_pixels,
            max_result_pixels=settings.max_result_pixels,
            max_frames=settings.max_frames,
        )


@dataclass(frozen=True, slots=True)
class PixelRules:
    """How pixels are read and written; each field is the setting of its name.

    Raises:
        InvalidSetting: `keep_metadata` names a field that EXIF does not have.

    Example:
        >>> PixelRules(background="black").background
        'black'
    """

    decode_margin: float = 1.5
    auto_orient: bool = True
    convert_to_srgb: bool = True
    scale_16_bit: bool = True
    keep_animation: bool = True
    keep_alpha: bool = True
    background: str = "#ffffff"
    keep_metadata: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for field in self.keep_metadata:
            if field.lower().replace("_", "") not in KEEPABLE:
                known = (*KEEPABLE, "copyright", "artist", "description")
                raise InvalidSetting("keep_metadata", f"EXIF has no field {field!r}. {nearest(field.lower(), known)}")

    @classmethod
    def from_settings(cls, settings: Settings) -> PixelRules:
        """Return the rules that the settings give."""
        return cls(**{name: getattr(settings, name) for name in Settings.PIXEL_SETTINGS})
