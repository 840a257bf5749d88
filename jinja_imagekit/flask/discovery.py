"""Finds the `imagegenerators` modules of an app and its blueprints."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from ..registry import GeneratorRegistry

MODULE = "imagegenerators"


def find_module(import_name: str, root_path: str) -> ModuleType | None:
    """Import the module `imagegenerators` beside an app or a blueprint; None where there is none.

    Args:
        import_name: What Flask was told to be the app's or the blueprint's module or package.
        root_path: The folder of that.

    Raises:
        Exception: Whatever importing the module raises.
    """
    package = import_name if hasattr(sys.modules.get(import_name), "__path__") else import_name.rpartition(".")[0]
    name = f"{package}.{MODULE}" if package else MODULE
    spec = find_spec(name)
    # Without a package, the name may be anybody's on sys.path.
    if spec is None or (not package and Path(spec.origin or "").parent != Path(root_path)):
        return None
    return import_module(name)


def registry_in(module: ModuleType) -> GeneratorRegistry | None:
    """Return the registry that a module calls `generators`, if any."""
    registry = getattr(module, "generators", None)
    return registry if isinstance(registry, GeneratorRegistry) else None
