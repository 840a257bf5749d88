"""`imagekit`, this package's name in django-imagekit: its modules under that name, and who else uses it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

from django.core.exceptions import ImproperlyConfigured

ALIAS = "imagekit"
PACKAGE = "jinja_imagekit.django"
APP = "jinja_imagekit.django.alias"


class AliasFinder(MetaPathFinder):
    """Finds `imagekit` and its submodules in `jinja_imagekit.django`."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return a spec for a module of that name; None for other packages and missing modules."""
        if fullname != ALIAS and not fullname.startswith(f"{ALIAS}."):
            return None
        name = PACKAGE + fullname.removeprefix(ALIAS)
        found = find_spec(name)
        if found is None:
            return None
        return ModuleSpec(fullname, _AliasLoader(name), is_package=found.submodule_search_locations is not None)


class _AliasLoader(Loader):
    """Supplies a module that is imported under its own name."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = import_module(self._name)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        # It was executed under its own name, whose spec Python replaced after `create_module`.
        module.__spec__ = self._spec


def install() -> None:
    """Have `imagekit` stand for `jinja_imagekit.django` in this process.

    Raises:
        ImproperlyConfigured: django-imagekit itself has been imported already.
    """
    if is_installed():
        return
    if ALIAS in sys.modules:
        raise ImproperlyConfigured(
            f"django-imagekit itself has been imported already, from {sys.modules[ALIAS].__file__}. Put "
            f"{APP!r} at the top of INSTALLED_APPS, and import nothing of imagekit in the settings."
        )
    sys.meta_path.insert(0, AliasFinder())


def is_installed() -> bool:
    """Tell whether `imagekit` stands for `jinja_imagekit.django` in this process."""
    return any(isinstance(finder, AliasFinder) for finder in sys.meta_path)
