"""Prints the public names of all modules of `imagekit` or `jinja_imagekit.django`, and what their classes have.

Run with the name of the package.
"""

from __future__ import annotations

import inspect
import json
import pkgutil
import sys
import warnings
from importlib import import_module
from types import ModuleType
from typing import Any

import django
from django.conf import settings

PACKAGE = sys.argv[1]
OWN = ("imagekit.", "jinja_imagekit.", "pilkit.")


def origin(value: Any) -> str:
    """Return the module that a value is from, as far as that can be told."""
    return f"{getattr(value, '__module__', None) or type(value).__module__}."


def takes_nothing(value: Any) -> bool:
    """Tell whether a class or function can be called without arguments."""
    try:
        # Exceptions that leave their constructor to Python have no signature.
        value() if isinstance(value, type) and issubclass(value, Exception) else inspect.signature(value).bind()
    except (TypeError, ValueError):
        return False
    return True


def describe(value: Any) -> dict[str, Any]:
    """Return what is compared: attributes of a class of the package's own, and whether a call needs arguments."""
    if not isinstance(value, type) or not origin(value).startswith(OWN):
        return {"attributes": [], "takes_nothing": callable(value) and takes_nothing(value)}
    attributes = [name for name in dir(value) if not name.startswith("_")]
    return {"attributes": attributes, "takes_nothing": takes_nothing(value)}


def main() -> None:
    # django-imagekit insists on queues where django-rq is installed; nothing is sent.
    settings.configure(INSTALLED_APPS=[PACKAGE], RQ_QUEUES={"default": {}})
    warnings.simplefilter("ignore")
    django.setup()
    package = import_module(PACKAGE)
    found = {}
    for each in [package.__name__, *(module.name for module in pkgutil.walk_packages(package.__path__, f"{PACKAGE}."))]:
        try:
            module = import_module(each)
        except ModuleNotFoundError:
            # What an extra is for, which is not installed everywhere.
            continue
        found[each.removeprefix(PACKAGE)] = {
            name: {**describe(value), "own": origin(value).startswith((*OWN, "builtins."))}
            for name, value in vars(module).items()
            if not name.startswith("_") and not isinstance(value, ModuleType)
        }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
