"""What a page shows instead of an image that cannot be made, as the setting `on_error` says."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from io import BytesIO
from typing import Any, BinaryIO, NamedTuple, Protocol

from .cachefiles import CacheFileHost, ImageCacheFile
from .cachefiles.backends import Simple
from .cachefiles.strategies import JustInTime
from .exceptions import ImageKitError, InvalidOption
from .images import mimetype
from .interfaces import Size
from .placeholders import DEFAULT_SIZE, placeholder_uri
from .processors import output_size
from .renders import Renders
from .settings import POLICIES
from .specs import ImageSpec, fit_within

logger = logging.getLogger("jinja_imagekit.policies")

BROWSER_FORMATS = ("JPEG", "MPO", "PNG", "GIF", "WEBP", "AVIF", "SVG")
"""Formats of sources that every browser shows as they are."""

_USUAL_SOURCE = (4000, 3000)
"""Width and height in pixels of a source that cannot be read: a photo of 12 megapixels."""


class PolicyHost(CacheFileHost, Protocol):
    """What the policies need of their kit."""

    @property
    def renders(self) -> Renders:
        """What the pages need."""


class StandIn(NamedTuple):
    """What a page shows instead of an image.

    Attributes:
        url: The URL of a file, or a data URI; empty where the image is left out.
        width: Pixels; 0 where the image is left out.
        height: Pixels; 0 where the image is left out.
        mimetype: Media type.
    """

    url: str
    width: int
    height: int
    mimetype: str

    @property
    def is_shown(self) -> bool:
        """Whether there is anything in the image's place."""
        return bool(self.url)


OMITTED = StandIn("", 0, 0, "")


class Unprocessed(ImageSpec):
    """Makes a copy of its source, byte for byte, metadata included."""

    def generate(self) -> BinaryIO:
        """Return the source as an open file.

        Raises:
            MissingSource: There is no source.
            SourceError: The source cannot be read.
        """
        return BytesIO(self._source.read())


def checked_policy(value: Any, default: str) -> str:
    """Return the policy that a template asks for.

    Args:
        value: What it says; None leaves it to the setting.
        default: The setting.

    Raises:
        InvalidOption: There is no such policy.

    Example:
        >>> checked_policy("omit", "raise"), checked_policy(None, "raise")
        ('omit', 'raise')
    """
    if value is None:
        return default
    if value not in POLICIES:
        raise InvalidOption("on_error", value, f"write one of {', '.join(map(repr, POLICIES))}")
    return str(value)


def covers(policy: str, error: ImageKitError) -> bool:
    """Tell whether a policy puts something in an image's place; what is wrong in the code is always raised."""
    return policy != "raise" and error.concerns_image


def stand_in(
    host: PolicyHost, file: ImageCacheFile, kwargs: Mapping[str, Any], error: ImageKitError, policy: str
) -> StandIn:
    """Return what a page shows instead of an image, and note the failure: in the log, and for reports.

    Args:
        host: The kit.
        file: The cache file that cannot be made.
        kwargs: Its generator's keywords.
        error: Why not.
        policy: "placeholder", "original" or "omit".
    """
    error.generator_id = error.generator_id or file.generator_id
    if host.renders.note_failure(file, kwargs, error):
        logger.warning("A page does without an image (on_error is %r): %s", policy, error)
    if policy == "omit":
        return OMITTED
    asked = _asked_size(file)
    original = _original(host, file, asked) if policy == "original" else None
    return original or _placeholder(
        asked or _size_of_usual(host, str(file.generator_id), kwargs) or DEFAULT_SIZE, host, error
    )


def _placeholder(size: Size, host: PolicyHost, error: ImageKitError) -> StandIn:
    uri = placeholder_uri(size, str(error) if host.settings.debug else "")
    return StandIn(uri, *size, "image/svg+xml")


def _original(host: PolicyHost, file: ImageCacheFile, asked: Size | None) -> StandIn | None:
    """Return the source itself as a cache file; None where browsers would not show it."""
    try:
        source = file.source
        if source is None or source.header.format not in BROWSER_FORMATS:
            return None
        spec = Unprocessed(source)
        spec.settings = host.settings
        copy = ImageCacheFile(spec, host=host, cachefile_backend=Simple(), cachefile_strategy=JustInTime())
        size = source.size()
        return StandIn(copy.url, *fit_within(size, asked or size), mimetype(source.kept_format))
    except ImageKitError as error:
        logger.info("The original cannot be shown either: %s", error)
        return None


def _asked_size(file: ImageCacheFile) -> Size | None:
    """Return the size that the image would have; None where that cannot be told."""
    try:
        generator = file.generator
        return generator.output_size() if isinstance(generator, ImageSpec) else None
    except Exception:  # noqa: BLE001  # a spec's properties may raise anything without a sound source
        return None


def _size_of_usual(host: PolicyHost, id: str, kwargs: Mapping[str, Any]) -> Size | None:
    """Return the size that the image of a usual photo would have; None where it would be the photo's own."""
    options = {name: value for name, value in kwargs.items() if name != "source"}
    try:
        processors: Iterable[Any] = host.generator(id, **options).processors
        size = output_size(processors, _USUAL_SOURCE)
    except Exception:  # noqa: BLE001  # as above
        return None
    return None if size == _USUAL_SOURCE else size
