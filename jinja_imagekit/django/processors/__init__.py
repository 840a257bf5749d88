"""The processors under django-imagekit's names, those that it lacks, and pilkit's helpers."""

from pilkit.lib import getattrsafe  # type: ignore[import-untyped]
from pilkit.processors.crop import detect_border_color, histogram_entropy  # type: ignore[import-untyped]
from pilkit.processors.utils import resolve_palette  # type: ignore[import-untyped]

from ... import processors as _core
from ...processors import *  # noqa: F403  # all of them

__all__ = [*_core.__all__, "detect_border_color", "getattrsafe", "histogram_entropy", "resolve_palette"]
