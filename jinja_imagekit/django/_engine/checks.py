"""What `manage.py check` says about the settings `IMAGEKIT_*`."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import ImproperlyConfigured

from ...exceptions import ImageKitError, nearest
from .. import conf
from ..cachefiles.backends import get_default_cachefile_backend
from ..utils import get_storage
from . import former_name
from .caches import CacheStore
from .current import get_kit
from .former_options import SETTINGS
from .state_folder import why_unfit


def check_settings(**_: Any) -> list[CheckMessage]:
    """Return a warning for each unknown setting, and an error for each unusable one."""
    messages: list[CheckMessage] = []
    known = conf.known_names()
    for name in dir(settings):
        if name.startswith(conf.PREFIX) and name not in known:
            hint = f"It is called {SETTINGS[name]}." if name in SETTINGS else nearest(name, known)
            messages.append(Warning(f"There is no setting {name}.", hint=hint, id="imagekit.W001"))
    try:
        conf.is_compatible()
        kit = get_kit()
        for part in ("records", "cachefile_strategy"):
            getattr(kit, part)
        get_storage()
        get_default_cachefile_backend()
        messages.extend(_check_cache(kit.records.store))
    except (ImageKitError, ImproperlyConfigured) as error:
        messages.append(Error(str(error), id="imagekit.E001"))
    return messages


def _check_cache(store: Any) -> list[CheckMessage]:
    if not isinstance(store, CacheStore):
        return []
    reason = why_unfit(store.cache)
    if reason is None:
        return []
    hint = (
        "Name one that processes share and that holds enough, such as Redis, in IMAGEKIT_CACHE_BACKEND; or set "
        "IMAGEKIT_STATE_STORE = 'jinja_imagekit.state.DiskStore.from_settings' and IMAGEKIT_STATE_DIR."
    )
    text = f"The cache {store.alias!r} is not fit to keep what is known about images: {reason}."
    return [Warning(text, hint, id="imagekit.W003")]


def check_former_name(**_: Any) -> list[CheckMessage]:
    """Return an error if django-imagekit is imported along with this package, and a warning if the alias is alone."""
    theirs = sys.modules.get(former_name.ALIAS)
    if theirs is not None and theirs is not sys.modules[former_name.PACKAGE]:
        culprits = sorted({app.label for app in apps.get_app_configs() if _imports(app.module, former_name.ALIAS)})
        who = f"by {', '.join(culprits)}" if culprits else f"from {theirs.__file__}"
        hint = f"Put {former_name.APP!r} at the top of INSTALLED_APPS, so that `import imagekit` gets this package."
        return [Error(f"django-imagekit is imported too, {who}, along with this package.", hint, id="imagekit.E002")]
    if former_name.is_installed() and not apps.is_installed(former_name.PACKAGE):
        hint = f"Add {former_name.ALIAS!r}, which then stands for {former_name.PACKAGE!r}."
        return [Warning(f"INSTALLED_APPS has {former_name.APP!r}, but not the app itself.", hint, id="imagekit.W002")]
    return []


def _imports(package: ModuleType | None, name: str) -> bool:
    """Tell whether a module of a package holds something from another package of this name."""
    if package is None:
        return False
    prefix = f"{package.__name__}."
    modules = [module for key, module in list(sys.modules.items()) if f"{key}.".startswith(prefix)]
    origins = (getattr(value, "__module__", None) for module in modules for value in vars(module).copy().values())
    return any(isinstance(origin, str) and f"{origin}.".startswith(f"{name}.") for origin in origins)
