"""Watches the files of all models: what is saved under its old name may be another file."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db.models import FileField
from django.db.models.signals import post_save

from ...exceptions import ImageKitError
from .current import current
from .sources import StoredSource
from .storages import has_paths

logger = logging.getLogger("jinja_imagekit.django")


def watch() -> None:
    """Hear of each model that is saved; Django's signals keep one receiver, however often this is called."""
    post_save.connect(on_save, dispatch_uid="jinja_imagekit.django.originals")


def on_save(sender: Any, instance: Any, update_fields: Any = None, **_: Any) -> None:
    """Have storages without paths asked for the files of a saved instance when these are next needed."""
    for field in _file_fields(sender):
        is_saved = update_fields is None or field.name in update_fields or field.attname in update_fields
        # The attribute itself would load a field that is deferred.
        if not is_saved or not instance.__dict__.get(field.attname) or has_paths(field.storage):
            continue
        try:
            source = current.get().sources.find(getattr(instance, field.attname))
        except (ImageKitError, ImproperlyConfigured) as error:
            logger.warning("what is known of %s.%s cannot be looked at: %s", sender.__name__, field.name, error)
            continue
        if isinstance(source, StoredSource):
            source.expire()


@cache
def _file_fields(model: Any) -> tuple[Any, ...]:
    return tuple(field for field in model._meta.concrete_fields if isinstance(field, FileField))
