"""Bytes to image to bytes: opened safely, upright, in sRGB, with alpha and frames, encoded; no names, no storage."""

from .formats import (
    FORMATS,
    OUTPUT_FORMATS,
    WRITABLE_FORMATS,
    check_options,
    extension,
    mimetype,
    normal_format,
    output_format,
)
from .formats.base import Layout
from .frames import Frames
from .header import Header, examine, read_header, read_texts
from .reading import Original, decoder_scale
from .rules import Limits, PixelRules, excess
from .writing import encode

__all__ = [
    "FORMATS",
    "OUTPUT_FORMATS",
    "WRITABLE_FORMATS",
    "Frames",
    "Header",
    "Layout",
    "Limits",
    "Original",
    "PixelRules",
    "check_options",
    "decoder_scale",
    "encode",
    "examine",
    "excess",
    "extension",
    "mimetype",
    "normal_format",
    "output_format",
    "read_header",
    "read_texts",
]
