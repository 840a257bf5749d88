"""The process's kit: made from Django's settings when it is first asked for, and anew when they change."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from django.core.signals import setting_changed

KIT = "jinja_imagekit.django._engine.current:current.kit"
"""Where the workers of a queue find the kit."""

_OTHERS = frozenset(
    {"MEDIA_ROOT", "MEDIA_URL", "STORAGES", "DEFAULT_FILE_STORAGE", "CACHES", "DEBUG", "BASE_DIR"}
    | {"FILE_UPLOAD_PERMISSIONS", "FILE_UPLOAD_DIRECTORY_PERMISSIONS"}
)
"""Settings that a kit depends on beside `IMAGEKIT_…`."""


class CurrentKit:
    """Holds the one kit of this process.

    A kit that an application owns is this library's rule. django-imagekit's API, `register` and `ImageCacheFile(spec)`,
    names none: Django has one configuration a process, and so there is one kit for it.
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
        """The kit, where the workers of a queue find it."""
        return self.get()

    def forget_if_changed(self, *, setting: str, **_: Any) -> None:
        """Forget the kit when a setting has changed on which it depends."""
        if setting.startswith("IMAGEKIT_") or setting in _OTHERS:
            kit, self._kit = self._kit, None
            if kit is not None:
                # It opens again for whoever uses it still.
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
