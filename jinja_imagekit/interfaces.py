"""The protocols that users may implement; nothing here does any work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from pathlib import Path

    from PIL import Image

__all__ = [
    "FocusDetector",
    "Generator",
    "Namer",
    "PosterMaker",
    "Processor",
    "ReducibleProcessor",
    "Size",
    "SizedProcessor",
    "SourceGroup",
    "StateStore",
    "Storage",
    "StoredFile",
]

Size = tuple[int, int]
"""Width and height in pixels."""


@runtime_checkable
class Generator(Protocol):
    """Makes one image. An `ImageSpec` is a generator that starts from a source."""

    def generate(self) -> BinaryIO:
        """Return an open binary file with the whole encoded image."""


class Processor(Protocol):
    """Turns an image into another; it may add the methods of `SizedProcessor` and `ReducibleProcessor`."""

    def process(self, image: Image.Image) -> Image.Image:
        """Return the processed image, which may be `image` itself, changed in place."""


@runtime_checkable
class SizedProcessor(Protocol):
    """A processor that knows the size of its result before it sees the pixels."""

    def output_size(self, size: Size) -> Size | None:
        """Return the size of the result for an input of `size`, or None where only the pixels can tell."""


@runtime_checkable
class ReducibleProcessor(Protocol):
    """A processor that resamples the whole image at once, so that the decoder may shrink the image first."""

    def sampled_size(self, size: Size) -> Size:
        """Return the size in pixels to which the whole of an image of `size` is resampled."""

    def process_reduced(self, image: Image.Image, full_size: Size) -> Image.Image:
        """Do what `process` does to an image of `full_size`, given that image reduced by the decoder."""


class Namer(Protocol):
    """Names the cache file of a generator."""

    def __call__(self, generator: Any) -> str:
        """Return a relative POSIX path with an extension; it is relative to the setting `cachefile_dir`."""


class FocusDetector(Protocol):
    """Finds what crops of an image keep, such as faces: any callable, such as a function."""

    def __call__(self, image: Image.Image) -> Iterable[Sequence[float]]:
        """Return boxes of left, top, right and bottom in pixels, the box around which is kept; none if there are none.

        Args:
            image: The image upright, in RGB, with at most 640 pixels a side.
        """


class PosterMaker(Protocol):
    """Makes the image that stands for a video: any callable, such as a function.

    An attribute `version` of its own, where it has one, is part of the names of cache files.
    """

    def __call__(self, path: Path) -> Image.Image | bytes:
        """Return an image, or the bytes of an image file in a format that is read.

        Args:
            path: The video.
        """


class SourceGroup(Protocol):
    """Lists the sources that belong to a generator."""

    def files(self) -> Iterable[object]:
        """Yield sources: names, paths, open files, or whatever else a template may pass as `source`."""


class StoredFile(NamedTuple):
    """What a storage knows of a file without opening it."""

    size: int
    """Bytes."""
    modified_ns: int
    """Nanoseconds since the epoch; 0 where the storage cannot tell."""


class Storage(Protocol):
    """Keeps cache files by name; a name is a relative POSIX path."""

    is_local: bool
    """True where `stat` is about as cheap as a look-up in memory, so that the file itself is checked each time."""

    def save(self, name: str, content: bytes) -> str | None:
        """Write `content` under exactly this name, whole or not at all, replacing any file there.

        Returns:
            What tells this version of the file, such as an ETag, for the file's record; None where nothing does.

        Raises:
            StorageError: The file cannot be written.
        """

    def open(self, name: str) -> BinaryIO:
        """Open the file for reading.

        Raises:
            StorageError: There is no such file, or it cannot be read.
        """

    def stat(self, name: str) -> StoredFile | None:
        """Return what is known about the file; None where there is none."""

    def delete(self, name: str) -> None:
        """Delete the file; no error if there is none."""

    def names(self, prefix: str = "") -> Iterator[str]:
        """Yield the names of all files below the folder `prefix`, except temporary ones."""

    def path(self, name: str) -> str | None:
        """Return the file's absolute path on this machine; None where it has none."""

    def url(self, name: str) -> str:
        """Return the URL from which the site serves the file, percent-encoded."""


class StateStore(Protocol):
    """A small store of strings that many threads and processes share.

    A store may forget anything at any time. It never raises: what cannot be read is unknown, what cannot be
    written is lost, and the store says so once in the log.
    """

    is_reliable: bool
    """False while the store cannot be read; "unknown" then says nothing about the cache file."""

    def get(self, key: str) -> str | None:
        """Return the value; None where it is unknown or expired."""

    def get_many(self, keys: Iterable[str]) -> dict[str, str]:
        """Return those of these values that are known, by key."""

    def set_many(self, values: Mapping[str, str], timeout: float | None = None) -> None:
        """Keep these values, for `timeout` seconds if it is given."""

    def delete_many(self, keys: Iterable[str]) -> None:
        """Forget these values."""

    def keys(self, prefix: str = "") -> Iterator[str]:
        """Yield the keys that begin with `prefix`."""

    def lock(self, key: str) -> AbstractContextManager[None]:
        """Hold the lock of this name against all threads and processes; it ends with its holder, however it dies.

        If there can be no lock (in a read-only folder), the block runs without one: two may do the same work,
        and the storage's atomic `save` keeps the result whole.
        """

    def close(self) -> None:
        """Close files and connections; the store opens them again when it is used."""
