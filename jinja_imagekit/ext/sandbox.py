"""What the templates of a sandbox get instead of a cache file."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from ..cachefiles import ImageCacheFile


class SandboxedImage:
    """A view of a cache file with which a template can neither write nor learn paths.

    Jinja's sandbox refuses names that begin with an underscore, and there is nothing else here than what an `<img>`
    needs. A tag takes it as a source as it takes the cache file.

    Args:
        file: The cache file.
    """

    __slots__ = ("_file",)

    def __init__(self, file: ImageCacheFile) -> None:
        self._file = file

    @property
    def name(self) -> str | None:
        """The file's name in its storage; None when the spec has no source."""
        return self._file.name

    @property
    def url(self) -> str:
        """The URL from which the site serves the file."""
        return self._file.url

    @property
    def width(self) -> int:
        """Width in pixels."""
        return self._file.width

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self._file.height

    @property
    def size(self) -> int:
        """Size in bytes."""
        return self._file.size

    @property
    def format(self) -> str:
        """Format, by Pillow's name."""
        return self._file.format

    @property
    def mimetype(self) -> str:
        """Media type, such as "image/webp"."""
        return self._file.mimetype

    def __bool__(self) -> bool:
        return bool(self._file)

    def __html__(self) -> Markup:
        return self._file.__html__()

    def __str__(self) -> str:
        return str(self._file)

    def __repr__(self) -> str:
        return f"<image {self}>"


def unwrap(value: Any) -> Any:
    """Return the cache file behind a view, and every other value as it is."""
    return value._file if isinstance(value, SandboxedImage) else value
