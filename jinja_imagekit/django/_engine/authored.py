"""What a model says about an image in fields beside it: its focal point, and its alternative text."""

from __future__ import annotations

import logging
from typing import Any

from django.db.models.fields.files import FieldFile

from ...exceptions import InvalidOption
from ...generatorlibrary import Thumbnail
from ...imageinfo import ImageFacts, Sidecar
from ...pictures.framing import Focus, parse_focus
from ...pictures.plan import with_anchor
from ...sources import Source
from ...specs import FOCUS_KEYWORD, ImageSpec
from .. import conf
from ..registry import generator_registry
from .current import get_kit

logger = logging.getLogger("jinja_imagekit.django")


class FieldFacts(ImageFacts):
    """What is known about sources apart from their pixels, which for a field's file its model says."""

    def sidecar(self, source: Source) -> Sidecar:
        """Return what the author says about a source.

        Raises:
            ImageKitError: A sidecar file is damaged, or has invalid content.
        """
        file = source.original
        if not isinstance(file, FieldFile):
            return super().sidecar(source)
        return Sidecar(focus=focus_of(file), alt=alt_of(file))

    def own_focus(self, source: object, *, read: bool = True) -> Any:
        """Return what crops of a source keep, as the model of a field's file says, or else the file itself.

        Raises:
            BlockingIOError: `read` is false, and the source is not known yet.
            ImageKitError: A sidecar file is damaged, or has invalid content.
        """
        said = focus_of(source)
        # django-imagekit knows of no other.
        return said if said is not None or conf.is_compatible() else super().own_focus(source, read=read)

    def _name_of(self, source: object) -> str | None:
        if not isinstance(source, FieldFile):
            return super()._name_of(source)
        path: str | None = get_kit().known_files.path_of(source)
        return path

    def focus_of(self, source: object, generator_id: str) -> Focus | None:
        """Return the focal point that the model of a field's file says."""
        return focus_of(source, generator_id)


def focus_of(file: Any, generator_id: str | None = None) -> Focus | None:
    """Return the focal point that the model of a file says; None if it says none, or the value is no field's file.

    Args:
        file: Whatever may be a source.
        generator_id: The id of a spec, whose `focus_field` goes before that of the image field.
    """
    if not isinstance(file, FieldFile) or not file:
        return None
    registered = generator_registry.known(generator_id) if generator_id else None
    field = getattr(registered, "focus_field", None) or getattr(file.field, "focus_field", None)
    said = _said(file, field)
    try:
        return parse_focus(said) if said else None
    except InvalidOption as error:
        # Pages show the image all the same, and rows with it can be saved.
        row = f"{type(file.instance).__name__} {file.instance.pk}"
        logger.warning("%s: the focal point %r in %r is left aside: %s", row, said, field, error.expected)
        return None


def alt_of(file: FieldFile) -> str | None:
    """Return the alternative text that the model of a file says; None if it says none."""
    alt = _said(file, getattr(file.field, "alt_field", None))
    return None if alt is None else str(alt)


def _said(file: Any, attribute: str | None) -> Any:
    # django-cleanup substitutes an object of its own for an instance.
    return getattr(file.instance, attribute, None) if attribute else None


def with_focus(id: str, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return a generator's keywords with the focal point of their source, unless they say themselves what crops keep.

    Raises:
        SourceError: The source, whose proportions a box depends on, cannot be read.
    """
    file = kwargs.get("source")
    if not isinstance(file, FieldFile) or FOCUS_KEYWORD in kwargs:
        return kwargs
    focus = focus_of(file, id)
    registered = generator_registry.known(id) if focus else None
    if focus is None or kwargs.get("focus") is not None or kwargs.get("anchor") is not None:
        return kwargs
    if not isinstance(registered, type) or not issubclass(registered, ImageSpec):
        return kwargs
    if not issubclass(registered, Thumbnail):
        # What makes its image by itself may do anything.
        return kwargs if registered.makes_its_own() else {**kwargs, FOCUS_KEYWORD: focus}
    if not (kwargs.get("width") and kwargs.get("height")) or kwargs.get("crop") in (False, 0):
        return kwargs
    return with_anchor(get_kit(), kwargs, focus)
