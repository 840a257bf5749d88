"""Watches the files of all models: one saved under its old name may differ, one deleted leaves thumbnails behind."""

from __future__ import annotations

import logging
from functools import cache, partial
from importlib import import_module
from typing import Any

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.db.models import FileField
from django.db.models.signals import post_delete, post_save

from ...exceptions import ImageKitError
from .. import conf
from .current import current
from .removing import cachefiles_of, remove
from .sources import StoredSource
from .storages import has_paths

logger = logging.getLogger("jinja_imagekit.django")


def watch() -> None:
    """Listen to each model that is saved or deleted; a signal keeps a receiver once, however often this is called."""
    post_save.connect(on_save, dispatch_uid="jinja_imagekit.django.originals")
    post_delete.connect(on_delete, dispatch_uid="jinja_imagekit.django.originals")
    if apps.is_installed("django_cleanup"):
        cleanup = import_module("django_cleanup.signals")
        cleanup.cleanup_pre_delete.connect(on_cleanup, dispatch_uid="jinja_imagekit.django.originals")


def on_save(sender: Any, instance: Any, update_fields: Any = None, **_: Any) -> None:
    """Have storages without paths asked for the files of a saved instance when these are next needed."""
    for field in _file_fields(sender):
        is_saved = update_fields is None or field.name in update_fields or field.attname in update_fields
        # The attribute itself would load a deferred field.
        if not is_saved or not instance.__dict__.get(field.attname) or has_paths(field.storage):
            continue
        try:
            source = current.get().sources.find(getattr(instance, field.attname))
        except (ImageKitError, ImproperlyConfigured) as error:
            logger.warning("what is known about %s.%s cannot be read: %s", sender.__name__, field.name, error)
            continue
        if isinstance(source, StoredSource):
            source.expire()


def on_delete(sender: Any, instance: Any, using: str | None = None, **_: Any) -> None:
    """Delete the cache files of a deleted instance's files once the transaction is committed, if so configured."""
    if not conf.value("DELETE_WITH_SOURCE"):
        return
    for field in _file_fields(sender):
        name = instance.__dict__.get(field.attname)
        # Rows may share a file.
        if not name or sender._base_manager.using(using).filter(**{field.attname: str(name)}).exists():
            continue
        kit = current.get()
        # By then the instance, which specs may look at, has lost its row.
        files = cachefiles_of(kit, getattr(instance, field.attname))
        transaction.on_commit(partial(remove, kit, files), using=using)


def on_cleanup(file: Any, **_: Any) -> None:
    """Delete the cache files of a file that django-cleanup is about to delete, if so configured."""
    if conf.value("DELETE_WITH_SOURCE"):
        kit = current.get()
        remove(kit, cachefiles_of(kit, file))


@cache
def _file_fields(model: Any) -> tuple[Any, ...]:
    return tuple(field for field in model._meta.concrete_fields if isinstance(field, FileField))
