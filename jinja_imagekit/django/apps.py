"""The Django app, under the label that django-imagekit has."""

from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import register

from ._engine.checks import check_former_name, check_settings
from ._engine.former_name import ALIAS, PACKAGE, is_installed


def _name_in_settings() -> str:
    # Apps ask apps.is_installed("imagekit"), which holds where a project's settings say so.
    named = {ALIAS, f"{ALIAS}.apps.ImageKitConfig"} & set(settings.INSTALLED_APPS)
    return ALIAS if named and is_installed() else PACKAGE


class ImageKitConfig(AppConfig):
    """The app that a project names in `INSTALLED_APPS`."""

    name = _name_in_settings()
    label = "imagekit"
    verbose_name = "ImageKit"

    def ready(self) -> None:
        """Have Django check the settings."""
        register(check_settings)
        register(check_former_name)
