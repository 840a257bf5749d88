"""Bytes to image to bytes: opened safely, upright, in sRGB, with alpha and frames, encoded; no names, no storage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazily import names_of

if TYPE_CHECKING:
    from .formats import (
        FORMATS,
        OUTPUT_FORMATS,
        check_options,
        extension,
        mimetype,
        mimetype_of_name,
        output_format,
        sniff,
    )
    from .formats.base import Layout
    from .formats.pdf import with_page
    from .formats.unread import VIDEO, what_it_is
    from .frames import Frames
    from .header import Header, check_frames, examine, read_header, read_texts
    from .names import WRITABLE_FORMATS, normal_format
    from .reading import Original, decoder_scale, may_be_shared
    from .rules import Limits, PixelRules, excess
    from .writing import encode

__all__ = [
    "FORMATS",
    "OUTPUT_FORMATS",
    "VIDEO",
    "WRITABLE_FORMATS",
    "Frames",
    "Header",
    "Layout",
    "Limits",
    "Original",
    "PixelRules",
    "check_frames",
    "check_options",
    "decoder_scale",
    "encode",
    "examine",
    "excess",
    "extension",
    "may_be_shared",
    "mimetype",
    "mimetype_of_name",
    "normal_format",
    "output_format",
    "read_header",
    "read_texts",
    "sniff",
    "what_it_is",
    "with_page",
]

_HOMES = {
    "FORMATS": "formats",
    "OUTPUT_FORMATS": "formats",
    "WRITABLE_FORMATS": "names",
    "check_options": "formats",
    "extension": "formats",
    "mimetype": "formats",
    "mimetype_of_name": "formats",
    "normal_format": "names",
    "output_format": "formats",
    "sniff": "formats",
    "Layout": "formats.base",
    "Frames": "frames",
    "Header": "header",
    "check_frames": "header",
    "examine": "header",
    "read_header": "header",
    "read_texts": "header",
    "with_page": "formats.pdf",
    "VIDEO": "formats.unread",
    "what_it_is": "formats.unread",
    "Original": "reading",
    "decoder_scale": "reading",
    "may_be_shared": "reading",
    "Limits": "rules",
    "PixelRules": "rules",
    "excess": "rules",
    "encode": "writing",
}
"""The module of each name: a site where nothing is to be made needs none of the formats."""

__getattr__ = names_of(__name__, _HOMES)
