"""The process's kit, made from Django's settings when first needed, and again when they change."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from django.core.signals import setting_changed

KIT = "jinja_imagekit.django._engine.current:current.kit"
"""Where a queue's workers find the kit."""

_OTHERS = frozenset(
    {"MEDIA_ROOT", "MEDIA_URL", "STORAGES", "DEFAULT_FILE_STORAGE", "CACHES", "DEBUG", "BASE_DIR"}
    | {"STATIC_ROOT", "STATICFILES_DIRS", "STATICFILES_FINDERS", "INSTALLED_APPS"}
    | {"FILE_UPLOAD_PERMISSIONS", "FILE_UPLOAD_DIRECTORY_PERMISSIONS"}
)
"""Settings besides `IMAGEKIT_…` that a kit depends on."""


class CurrentKit:
    """Holds the one kit of this process.

    This library's rule is that an application owns its kit. But django-imagekit's API, `register` and
    `ImageCacheFile(spec)`, names none: Django has one configuration per process, and so one kit.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._maker: Callable[[], Any] | None = None
        self._kit: Any = None

    def made_by(self, maker: Callable[[], Any]) -> None:
        """Have kits made by this callable."""
        self._maker = maker

    def get(self) -> Any:
        """Return the kit.

        Raises:
            InvalidSetting: A setting is unusable.
        """
        kit = self._kit
        if kit is None:
            with self._lock:
                kit = self._kit = self._kit or (self._maker and self._maker())
        return kit

    @property
    def kit(self) -> Any:
        """The kit, where a queue's workers find it."""
        return self.get()

    def forget_if_changed(self, *, setting: str, **_: Any) -> None:
        """Forget the kit when a setting that it depends on has changed."""
        if setting.startswith("IMAGEKIT_") or setting in _OTHERS:
            kit, self._kit = self._kit, None
            if kit is not None:
                # It reopens for whoever still uses it.
                kit.close()


current = CurrentKit()
setting_changed.connect(current.forget_if_changed, dispatch_uid="jinja_imagekit.django")


def get_kit() -> Any:
    """Return the kit of this process, a `jinja_imagekit.django.DjangoKit`.

    Its `install` adds the tags to a Jinja environment, for projects that use both kinds of templates.

    Raises:
        InvalidSetting: A setting is unusable.
    """
    return current.get()
