"""Turns whatever a template calls a source into one `Source`: a name, its bytes, a digest of them."""

from .base import (
    BytesSource,
    FileSource,
    NoSource,
    Signature,
    Source,
    SourceFacts,
    SourceMemory,
    StreamSource,
    VersionedSource,
    signature_of,
    source_of,
)
from .finder import SourceFinder
from .hints import neighbour
from .names import bare_name, file_and_page, is_url, name_parts, stream_name

__all__ = [
    "BytesSource",
    "FileSource",
    "NoSource",
    "Signature",
    "Source",
    "SourceFacts",
    "SourceFinder",
    "SourceMemory",
    "StreamSource",
    "VersionedSource",
    "bare_name",
    "file_and_page",
    "is_url",
    "name_parts",
    "neighbour",
    "signature_of",
    "source_of",
    "stream_name",
]
