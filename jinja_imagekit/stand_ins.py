"""What a page shows instead of an image that cannot be made: nothing, its source as it is, or a drawn placeholder.

The setting `on_error`, or a tag's own, is the policy. It covers what is wrong with an image or its storage; what is
wrong in the code that asks for it is always raised. A stand-in has the size that the page would give to the image, as
far as that is known, so that nothing else on the page moves.
"""

from __future__ import annotations

import logging
import textwrap
from collections.abc import Iterable, Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple
from urllib.parse import quote

from markupsafe import escape

from . import images
from .cachefiles import ImageCacheFile
from .cachefiles.backends import Simple
from .cachefiles.strategies import JustInTime
from .exceptions import ImageKitError, InvalidOption
from .interfaces import Size
from .processors import output_size
from .settings import POLICIES
from .specs import ImageSpec, fit_within

if TYPE_CHECKING:
    from .kit import ImageKit

logger = logging.getLogger("jinja_imagekit.policies")

DEFAULT_SIZE = (400, 300)
"""Width and height in pixels of a placeholder for an image of unknown size."""

_USUAL_SOURCE = (4000, 3000)
"""Assumed width and height in pixels of a source that cannot be read: those of a 12-megapixel photo."""

FONT_PIXELS, SMALL_FONT_PIXELS = 14, 10
"""Font sizes in pixels for the reason, with ample and with little room."""

_LETTER_WIDTH = 0.58
"""Approximate width of a letter relative to the font size: 0.5 to 0.6 in sans-serif fonts."""

_LINE_HEIGHT = 1.3

_ICON = (
    '<g fill="none" stroke="#8b8b94" stroke-width="1.5" transform="translate({x:g} {y:g}) scale({scale:g})">'
    '<rect x="-16" y="-12" width="32" height="24" rx="2"/><circle cx="-7" cy="-4" r="3"/>'
    '<path d="M-16 8l10-9 7 7 5-5 10 9"/></g>'
)
"""A picture of 32 × 24 units, with a sun and two hills."""


def checked_policy(value: Any, default: str) -> str:
    """Return the policy that a template asks for.

    Args:
        value: What the template says; None for the setting.
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
    """Tell whether a policy replaces the image after this error; errors in code are always raised."""
    return policy != "raise" and error.concerns_image


class StandIn(NamedTuple):
    """What a page shows instead of an image.

    Attributes:
        url: The URL of a file, or a data URI; empty if the image is left out.
        width: Pixels; 0 if the image is left out.
        height: Pixels; 0 if the image is left out.
        mimetype: Media type.
    """

    url: str
    width: int
    height: int
    mimetype: str

    @classmethod
    def placeholder(cls, size: Size, reason: str = "") -> StandIn:
        """Return a placeholder of this size in pixels, which says the reason if there is one."""
        return cls(placeholder_uri(size, reason), *size, "image/svg+xml")

    @property
    def is_shown(self) -> bool:
        """Whether there is anything in the image's place."""
        return bool(self.url)


OMITTED = StandIn("", 0, 0, "")


def stand_in(
    kit: ImageKit, file: ImageCacheFile, kwargs: Mapping[str, Any], error: ImageKitError, policy: str
) -> StandIn:
    """Return what a page shows instead of an image, and note the failure in the log and for reports.

    Args:
        kit: The kit.
        file: The cache file that cannot be made.
        kwargs: Its generator's keywords.
        error: The reason.
        policy: "placeholder", "original" or "omit".
    """
    error.generator_id = error.generator_id or file.generator_id
    if kit.renders.note_failure(file, kwargs, error):
        logger.warning("An image is missing from a page (on_error is %r): %s", policy, error)
    if policy == "omit":
        return OMITTED
    size = _size_of(file)
    original = _original(kit, file, size) if policy == "original" else None
    if original:
        return original
    size = size or _size_if_usual(kit, str(file.generator_id), kwargs) or DEFAULT_SIZE
    return StandIn.placeholder(size, str(error) if kit.settings.debug else "")


def _original(kit: ImageKit, file: ImageCacheFile, size: Size | None) -> StandIn | None:
    """Return the source itself as a cache file; None if browsers would not display it."""
    try:
        source = file.source
        if source is None or not images.FORMATS[source.header.format].shown_by_browsers:
            return None
        spec = Unprocessed(source)
        spec.settings = kit.settings
        copy = ImageCacheFile(spec, kit=kit, cachefile_backend=Simple(), cachefile_strategy=JustInTime())
        own = source.size()
        return StandIn(copy.url, *fit_within(own, size or own), images.mimetype(source.kept_format))
    except ImageKitError as error:
        logger.info("The original cannot be shown either: %s", error)
        return None


class Unprocessed(ImageSpec):
    """Copies its source byte for byte, metadata included."""

    def generate(self) -> BinaryIO:
        """Return the source as an open file.

        Raises:
            MissingSource: There is no source.
            SourceError: The source cannot be read.
        """
        return BytesIO(self._source.read())


def _size_of(file: ImageCacheFile) -> Size | None:
    """Return the size that the image would have; None if that is unknown."""
    try:
        generator = file.generator
        return generator.output_size() if isinstance(generator, ImageSpec) else None
    except Exception:  # noqa: BLE001  # a spec's properties may raise anything without a sound source
        return None


def _size_if_usual(kit: ImageKit, id: str, kwargs: Mapping[str, Any]) -> Size | None:
    """Return the size that the image would have if made from an ordinary photo; None if it were the photo's own."""
    options = {name: value for name, value in kwargs.items() if name != "source"}
    try:
        processors: Iterable[Any] = kit.generator(id, **options).processors
        size = output_size(processors, _USUAL_SOURCE)
    except Exception:  # noqa: BLE001  # as above
        return None
    return None if size == _USUAL_SOURCE else size


def placeholder_uri(size: Size, reason: str = "") -> str:
    """Return the data URI of a placeholder.

    Args:
        size: Width and height in pixels.
        reason: What the placeholder says; without it there is a pictogram.

    Example:
        >>> placeholder_uri((40, 30))[:19]
        'data:image/svg+xml,'
    """
    # The unquoted characters are safe in an attribute, in srcset and in CSS.
    return f"data:image/svg+xml,{quote(placeholder_svg(size, reason), safe='/:=;,')}"


def placeholder_svg(size: Size, reason: str = "") -> str:
    """Return a placeholder as an SVG; see `placeholder_uri`."""
    width, height = size
    content = _text(size, reason) if reason else ""
    if not content:
        content = _ICON.format(x=width / 2, y=height / 2, scale=min(width / 64, height / 48, 3))
    fill = "#fbe9e7" if reason else "#e9e9ec"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
        f'<rect width="{width}" height="{height}" fill="{fill}"/>{content}</svg>'
    )


def _text(size: Size, reason: str) -> str:
    """Return the reason in lines that fit; nothing if not even one does."""
    font = FONT_PIXELS if min(size) >= 160 else SMALL_FONT_PIXELS
    margin = font // 2
    letters = int((size[0] - 2 * margin) / (font * _LETTER_WIDTH))
    most = int((size[1] - 2 * margin) / (font * _LINE_HEIGHT))
    if letters < 8 or most < 1:
        return ""
    # XML does not allow control characters and lone surrogates.
    readable = "".join(letter if letter.isprintable() else " " for letter in reason)
    lines = textwrap.wrap(readable, letters, max_lines=most, placeholder=" …")
    spans = "".join(
        f'<tspan x="{margin}" y="{margin + font + index * font * _LINE_HEIGHT:g}">{escape(line)}</tspan>'
        for index, line in enumerate(lines)
    )
    return f'<text font-family="sans-serif" font-size="{font}" fill="#8c1d0f">{spans}</text>'
