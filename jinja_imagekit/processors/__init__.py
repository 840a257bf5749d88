"""Processors that turn an image into another: pilkit's under their own names, what pilkit lacks, and the pipeline."""

from pilkit import processors as _pilkit  # type: ignore[import-untyped]

from .crop import Crop, Side, SmartCrop, TrimBorderColor
from .effects import Adjust, ColorOverlay, Convert, Duotone, GaussianBlur, MakeOpaque, Reflection, SetOpacity, Transpose
from .overlay import OverlayImage
from .pipeline import FrameProcessor, ProcessorPipeline
from .pipeline import keep_tones as keep_tones
from .pipeline import output_size as output_size
from .pipeline import run as run
from .pipeline import sampled_size as sampled_size
from .resampling import Resizing as Resizing
from .resampling import resizing as resizing
from .resize import AddBorder, Resize, ResizeCanvas, ResizeToCover, ResizeToFill, ResizeToFit, SmartResize
from .thumbnail import SharedThumbnail, Thumbnail


class Anchor(_pilkit.Anchor):  # type: ignore[misc]  # pilkit has no types
    """The named points of an image: `TOP_LEFT` ("tl"), `TOP` ("t"), … `CENTER` ("c")."""


__all__ = [
    "AddBorder",
    "Adjust",
    "Anchor",
    "ColorOverlay",
    "Convert",
    "Crop",
    "Duotone",
    "FrameProcessor",
    "GaussianBlur",
    "MakeOpaque",
    "OverlayImage",
    "ProcessorPipeline",
    "Reflection",
    "Resize",
    "ResizeCanvas",
    "ResizeToCover",
    "ResizeToFill",
    "ResizeToFit",
    "SetOpacity",
    "SharedThumbnail",
    "Side",
    "SmartCrop",
    "SmartResize",
    "Thumbnail",
    "Transpose",
    "TrimBorderColor",
]

for _name in __all__:
    # The class path is part of every fingerprint: a class keeps it even when it moves to another file.
    globals()[_name].__module__ = __name__
