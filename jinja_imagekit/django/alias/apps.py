"""The Django app whose import makes `imagekit` stand for `jinja_imagekit.django`."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import register

from .._engine.checks import check_former_name


class AliasConfig(AppConfig):
    """An app without models, which must be listed first.

    Its own name is the former one, since other apps ask `apps.is_installed("imagekit")`.
    """

    name = "imagekit"
    label = "imagekit_alias"
    verbose_name = "ImageKit under its former name"

    def ready(self) -> None:
        """Have Django check that the app itself is there, and that django-imagekit is not."""
        register(check_former_name)
