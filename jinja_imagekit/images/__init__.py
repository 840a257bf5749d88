"""Bytes to image to bytes: opened safely, upright, in sRGB, with alpha and frames, encoded; no names, no storage."""

from .containers import VECTOR_FORMAT
from .formats import (
    OUTPUT_FORMATS,
    WRITABLE_FORMATS,
    OutputFormat,
    check_options,
    extension,
    mimetype,
    normal_format,
    output_format,
)
from .frames import Frames
from .header import Header, read_header
from .reading import Original, decoder_scale
from .rules import Limits, PixelRules
from .writing import encode

__all__ = [
    "OUTPUT_FORMATS",
    "VECTOR_FORMAT",
    "WRITABLE_FORMATS",
    "Frames",
    "Header",
    "Limits",
    "Original",
    "OutputFormat",
    "PixelRules",
    "check_options",
    "decoder_scale",
    "encode",
    "extension",
    "mimetype",
    "normal_format",
    "output_format",
    "read_header",
]
