"""pilkit's helpers of processors, by the module that they had in old versions of django-imagekit."""

from pilkit.processors.utils import color_count, histogram_entropy_py  # type: ignore[import-untyped]

from . import histogram_entropy, resolve_palette

__all__ = ["color_count", "histogram_entropy", "histogram_entropy_py", "resolve_palette"]
