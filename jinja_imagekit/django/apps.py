"""The Django app, with django-imagekit's label."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig, apps
from django.core.checks import register

from ..loading import announce_kit
from ._engine.checks import check_former_name, check_settings
from ._engine.current import KIT
from ._engine.originals import watch
from .conf import is_cache_chosen


class ImageKitConfig(AppConfig):
    """The app that a project lists in `INSTALLED_APPS`."""

    name = "jinja_imagekit.django"
    label = "imagekit"
    verbose_name = "ImageKit"

    def ready(self) -> None:
        """Have Django check the settings and hear of files that are saved, and a queue's worker know the kit."""
        announce_kit(KIT)
        register(check_settings)
        register(check_former_name)
        watch()
        if apps.is_installed("rest_framework"):
            import_module("jinja_imagekit.django.serializers").teach_model_serializers()
        if not is_cache_chosen():
            # The first page should not have to wait for the import of the state store on disk.
            import_module("jinja_imagekit.state.database")
