"""Mends pages that were written before it was known that one of their images cannot be made."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping

from ..builds.notes import Note
from ..cachefiles.references import NotPlain, keywords_of
from ..exceptions import ImageKitError
from ..interfaces import Size
from ..kit import ImageKit
from ..pregenerate import Outcome
from ..stand_ins import DEFAULT_SIZE, placeholder_uri
from .links import SiteLinks
from .markup import Attributes, rewrite_images

logger = logging.getLogger("jinja_imagekit.pelican")


def mend_pages(kit: ImageKit, links: SiteLinks, failed: Iterable[Outcome]) -> None:
    """Put placeholders in the places of images that do not exist, or take the `<img>` out where `on_error` says "omit".

    Args:
        kit: The site's kit, whose render is finished.
        links: The pages that were written.
        failed: What could not be made after they were.
    """
    reasons = {(outcome.generator_id, outcome.source): outcome.reason for outcome in failed}
    if not reasons:
        return
    uris: dict[str, str] = {}
    for name, note in (kit.renders.last() or {}).items():
        if note.served and kit.storage.stat(name) is None:
            id, source = _call(note)
            reason = reasons.get((id, source), "") if kit.settings.debug else ""
            uris[kit.storage.url(name)] = placeholder_uri(_promised_size(kit, note), reason and f"{source}: {reason}")
    links.edit_all(lambda local, text: _mended(text, {local(url): uri for url, uri in uris.items()}, kit))


def _call(note: Note) -> tuple[str, str | None]:
    """Return the id and the source's name of an image, as outcomes have them."""
    if note.reference is None:
        return "", None
    source = note.reference.kwargs.get("source")
    return note.reference.generator_id, source if isinstance(source, str) else None


def _mended(text: str, uris: Mapping[str, str], kit: ImageKit) -> str:
    if not any(url in text for url in uris):
        return text
    if kit.settings.on_error == "omit":
        text = rewrite_images(text, _without(uris))
    # Their digests make the URLs unique, so that they can be found in style sheets, scripts and feeds as well.
    for url, uri in uris.items():
        text = text.replace(url, uri)
    return text


def _without(uris: Mapping[str, str]) -> Callable[[Attributes], Attributes | None]:
    return lambda attributes: None if attributes.get("src") in uris else {}


def _promised_size(kit: ImageKit, note: Note) -> Size:
    """Return the size in pixels that pages reserve for an image."""
    if note.reference is None:
        return DEFAULT_SIZE
    try:
        file = kit.cachefile(note.reference.generator_id, **keywords_of(note.reference, kit))
        return file.promised_size or DEFAULT_SIZE
    except (ImageKitError, NotPlain) as error:
        logger.debug("The size of %s cannot be told: %s", note, error)
        return DEFAULT_SIZE
