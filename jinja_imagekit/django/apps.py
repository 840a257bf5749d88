"""The Django app, under the label that django-imagekit has."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import register

from ._engine.checks import check_former_name, check_settings


class ImageKitConfig(AppConfig):
    """The app that a project names in `INSTALLED_APPS`."""

    name = "jinja_imagekit.django"
    label = "imagekit"
    verbose_name = "ImageKit"

    def ready(self) -> None:
        """Have Django check the settings."""
        register(check_settings)
        register(check_former_name)
