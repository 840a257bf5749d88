"""What is public: the names that the reference lists are those that the modules export, and the pages use no others."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from test_golden import REFERENCE, ROOT, named, paths_of_the_docs

import jinja_imagekit

ENTRIES = sorted(
    entry for page in (ROOT / "docs").rglob("*.md") for entry in REFERENCE.findall(page.read_text(encoding="utf-8"))
)
"""What the pages have autodoc describe: whole modules, and single names."""

WHOLE = {entry for entry in ENTRIES if isinstance(named(entry), ModuleType)}
MODULES = sorted({entry if entry in WHOLE else entry.rpartition(".")[0] for entry in ENTRIES} - {"jinja_imagekit"})


def exported(module: str) -> list[str]:
    """Return what a module says is public."""
    names: list[str] = named(module).__all__
    return names


def listed(module: str) -> list[str]:
    """Return the names of a module that the reference lists one by one; of a whole one, all that it exports."""
    if module in WHOLE:
        return exported(module)
    homes = (entry.rpartition(".") for entry in ENTRIES if entry not in WHOLE)
    return [name for home, _, name in homes if home == module]


@pytest.mark.parametrize("module", MODULES)
def test_a_module_exports_what_the_reference_lists(module: str) -> None:
    """`__all__` holds the names that the pages describe; the rest of the module is the package's own."""
    assert sorted(exported(module)) == sorted(listed(module))


@pytest.mark.parametrize("module", MODULES)
def test_what_is_public_is_described(module: str) -> None:
    """autodoc passes over what has no docstring; a constant's is the string below it."""
    source = Path(str(named(module).__file__)).read_text(encoding="utf-8")
    for name in exported(module):
        value: Any = getattr(named(module), name)
        below = re.search(rf'^{name}\b(?: = \((?:\n .*)*\n\)|[^\n]*)\n"""', source, re.MULTILINE)
        assert below or (getattr(value, "__module__", "").startswith("jinja_imagekit") and value.__doc__), name


def test_the_top_of_the_package_exports_names_of_the_reference() -> None:
    """What is imported from `jinja_imagekit` itself is described under its home, or there."""
    described = [getattr(named(module), name) for module in MODULES for name in exported(module)]
    described += [named(entry) for entry in ENTRIES]
    for name in set(jinja_imagekit.__all__) - {"__version__"}:
        assert any(getattr(jinja_imagekit, name) is value for value in described), name


def test_the_pages_use_public_names_alone() -> None:
    """An example never imports what its module does not export, which may change without notice."""
    hosts = ("jinja_imagekit.django", "jinja_imagekit.pelican")
    for path in paths_of_the_docs():
        if path.startswith(hosts):
            continue  # Their modules have the names of other projects, and some want Django to be set up.
        module, name = path, ""
        while not isinstance(named(module), ModuleType):
            module, _, name = module.rpartition(".")
        assert not name or name in exported(module), path
