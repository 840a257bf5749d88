"""The caps on what is read and written, and the rules by which pixels are, as plain values."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import cache
from importlib.util import find_spec

from ..exceptions import InvalidSetting, nearest
from ..interfaces import Size
from ..settings import AI_MARK, DECODED_FORMATS, PLUGIN_FORMATS, Caps, PixelSettings, Settings


class Limits(Caps):
    """What an image may cost at most; each field is the setting of its name.

    Raises:
        InvalidSetting: `readable_formats` names one that is never read.

    Example:
        >>> Limits(max_frames=10).max_frames
        10
    """

    def __post_init__(self) -> None:
        for format in self.readable_formats:
            if format in PLUGIN_FORMATS:
                module, extra = PLUGIN_FORMATS[format]
                if not _is_installed(module):
                    problem = f"{format!r} needs an extra: pip install 'jinja-imagekit[{extra}]'"
                    raise InvalidSetting("readable_formats", problem)
            elif format not in DECODED_FORMATS:
                known = (*DECODED_FORMATS, *PLUGIN_FORMATS)
                raise InvalidSetting("readable_formats", f"{format!r} is not read. {nearest(format, known)}")

    @classmethod
    def from_settings(cls, settings: Settings) -> Limits:
        """Return the limits that the settings give."""
        return cls(**{each.name: getattr(settings, each.name) for each in fields(Caps)})

    def of_results(self, readable_formats: tuple[str, ...] = DECODED_FORMATS) -> Limits:
        """Return the limits on what was made, which is capped as a result whatever sources may be.

        Args:
            readable_formats: Formats that a result may have.
        """
        return replace(
            self,
            readable_formats=readable_formats,
            max_source_bytes=max(self.max_source_bytes, Caps.max_source_bytes),
            max_source_pixels=self.max_result_pixels,
            repair=False,
        )


class PixelRules(PixelSettings):
    """How pixels are read and written; each field is the setting of its name.

    A list of metadata that is kept has the mark of images that an AI made, whether or not it names it: what else
    stays is no reason to hide how an image was made. Only an empty list keeps nothing.

    Raises:
        InvalidSetting: `keep_metadata` names what is unknown or never kept, or the `resizer` is not installed.

    Example:
        >>> PixelRules(background="black").background
        'black'
    """

    def __post_init__(self) -> None:
        if self.resizer == "fast" and (problem := _why_no_fast_resizer()):
            raise InvalidSetting("resizer", f"'fast' cannot be used: {problem}")
        if not self.keep_metadata or self.keep_metadata == PixelSettings.keep_metadata:
            return
        # Pillow's tables of tags are large, and most sites keep none.
        from . import metadata, rights

        known = tuple(dict.fromkeys((*rights.KEEPABLE, *metadata.KEEPABLE)))
        for field in self.keep_metadata:
            if field.lower().replace("_", "") not in known:
                raise InvalidSetting(
                    "keep_metadata", f"no metadata can be kept as {field!r}. {nearest(field.lower(), known)}"
                )
        if AI_MARK not in map(str.lower, self.keep_metadata):
            object.__setattr__(self, "keep_metadata", (*self.keep_metadata, AI_MARK))

    @classmethod
    def from_settings(cls, settings: Settings) -> PixelRules:
        """Return the rules that the settings give."""
        return cls(**{name: getattr(settings, name) for name in Settings.PIXEL_SETTINGS})


@cache
def _is_installed(module: str) -> bool:
    """Tell whether a module can be imported; it is not imported yet."""
    return find_spec(module) is not None


_FAST_VERSION = "4"
"""The major version of `cykooz.resizer` whose pixels the results of `resizer="fast"` have."""


@cache
def _why_no_fast_resizer() -> str:
    """Return why the setting cannot be "fast"; an empty text if it can."""
    # It reads the environment, which other settings need not wait for.
    from importlib.metadata import PackageNotFoundError, version

    try:
        found = version("cykooz.resizer")
    except PackageNotFoundError:
        return "it needs the package cykooz.resizer: pip install 'jinja-imagekit[fast]'"
    if found.partition(".")[0] != _FAST_VERSION:
        return f"it needs version {_FAST_VERSION} of cykooz.resizer, and {found} is installed, whose pixels may differ"
    return ""


def excess(size: Size, most: int, frames: int = 1) -> str | None:
    """Return what is wrong with the size of a result; None if the setting `max_result_pixels` allows it.

    Args:
        size: Width and height in pixels.
        most: The setting.
        frames: How many frames the result has.

    Example:
        >>> excess((2000, 1000), 1_000_000)
        'the result has 2,000 × 1,000 pixels; the setting max_result_pixels allows 1,000,000'
    """
    width, height = size
    if width * height * frames <= most:
        return None
    several = f" in {frames:,} frames" if frames > 1 else ""
    return f"the result has {width:,} × {height:,} pixels{several}; the setting max_result_pixels allows {most:,}"
