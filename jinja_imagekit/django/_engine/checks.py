"""What `manage.py check` says of the settings `IMAGEKIT_*`."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import ImproperlyConfigured

from ...exceptions import ImageKitError, nearest
from .. import conf
from ..cachefiles.backends import get_default_cachefile_backend
from ..utils import get_storage
from .current import get_kit


def check_settings(**_: Any) -> list[CheckMessage]:
    """Return a warning for each setting of an unknown name, and an error for what is unusable."""
    messages: list[CheckMessage] = []
    known = conf.known_names()
    for name in dir(settings):
        if name.startswith(conf.PREFIX) and name not in known:
            hint = nearest(name, known)
            messages.append(Warning(f"There is no setting {name}.", hint=hint, id="imagekit.W001"))
    try:
        conf.is_compatible()
        kit = get_kit()
        for part in ("records", "cachefile_strategy"):
            getattr(kit, part)
        get_storage()
        get_default_cachefile_backend()
    except (ImageKitError, ImproperlyConfigured) as error:
        messages.append(Error(str(error), id="imagekit.E001"))
    return messages
