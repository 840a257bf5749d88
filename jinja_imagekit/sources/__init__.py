"""Turns whatever a template calls a source into one `Source`: a name, its bytes, a digest of them."""

from .base import NoSource, Signature, Source, SourceFacts, SourceMemory, source_of
from .finder import SourceFinder
from .hints import neighbour
from .kinds import BytesSource, FileSource, StreamSource
from .names import bare_name, check_name, stream_name

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
    "bare_name",
    "check_name",
    "neighbour",
    "source_of",
    "stream_name",
]
