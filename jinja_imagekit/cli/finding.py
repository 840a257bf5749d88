"""Finds a site's kit: from an option, the environment, or the nearest pyproject.toml."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..exceptions import InvalidSetting
from ..loading import load_kit
from ..wording import printable

if TYPE_CHECKING:
    from ..kit import ImageKit

_HOW = (
    'Pass --kit module:attribute, set JINJA_IMAGEKIT, or write kit = "module:attribute" under '
    "[tool.jinja-imagekit] in pyproject.toml."
)


class KitNotFound(click.ClickException):
    """There is no kit where the command was told to look; it exits with the status for wrong usage."""

    exit_code = 2


class NoKitNamed(KitNotFound):
    """Nothing names a kit."""


def find_kit(reference: str | None = None) -> ImageKit:
    """Return the kit that a reference names, or the one that the nearest `pyproject.toml` names.

    The current folder is put on `sys.path`. A `pyproject.toml` in a parent folder first makes that folder the current
    one, so that the kit's relative paths mean the same wherever in the site the command is run.

    Args:
        reference: `module:attribute`; the attribute is a kit, a Flask application that has one, or a callable that
            returns either.

    Raises:
        KitNotFound: There is no such kit; the message says why.
    """
    if not reference:
        reference, folder = _configured()
        os.chdir(folder)
    here = os.getcwd()
    if here not in sys.path[:1]:
        sys.path.insert(0, here)
    kit = _load(reference)
    context = click.get_current_context(silent=True)
    if context:
        context.with_resource(kit.worker_context())
    # `generate --processes` imports the kit from there, and need not send it by value.
    kit.import_name = kit.import_name or reference
    return kit


def kit_or_default(get_kit: Callable[[], ImageKit], folder: str) -> ImageKit:
    """Return the site's kit, or for a site without one a kit whose sources and cache files are in a folder.

    Args:
        get_kit: Returns the site's kit.
        folder: The absolute path of the folder of pages.

    Raises:
        KitNotFound: There should be a kit, but it cannot be loaded.
    """
    try:
        return get_kit()
    except NoKitNamed:
        from ..kit import ImageKit as Kit

        return Kit(source_dirs=[folder], location=folder, urls="relative")


def html_rules() -> dict[str, Any]:
    """Return the rules under `[tool.jinja-imagekit.rules]` in the nearest `pyproject.toml` that has any.

    Raises:
        KitNotFound: The file is damaged.
    """
    for path, table in _tables():
        rules = table.get("rules")
        if rules is not None and not isinstance(rules, dict):
            raise KitNotFound(f"{path}: [tool.jinja-imagekit.rules] is not a table.")
        if rules:
            return rules
    return {}


def site_table() -> dict[str, Any]:
    """Return the table `[tool.jinja-imagekit]` of the nearest `pyproject.toml` that has one.

    Raises:
        KitNotFound: The file is damaged.
    """
    return next((table for _, table in _tables() if table), {})


def _configured() -> tuple[str, Path]:
    for path, table in _tables():
        reference = _reference(path, table)
        if reference is not None:
            return reference, path.parent
    raise NoKitNamed(f"Where is the kit? {_HOW}")


def _tables() -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield the tables of this command in the `pyproject.toml` of this folder and those above it."""
    for folder in (Path.cwd(), *Path.cwd().parents):
        path = folder / "pyproject.toml"
        if path.is_file():
            yield path, read_table(path)


def read_table(path: Path) -> dict[str, Any]:
    """Return the table `[tool.jinja-imagekit]` of a `pyproject.toml`; an empty one where there is none.

    Raises:
        KitNotFound: The file is damaged.
    """
    import tomllib

    try:
        tool = tomllib.loads(path.read_text(encoding="utf-8")).get("tool")
    except (OSError, ValueError) as error:
        raise KitNotFound(f"{path} cannot be read: {error}") from error
    table = tool.get("jinja-imagekit", {}) if isinstance(tool, dict) else {}
    if not isinstance(table, dict):
        raise KitNotFound(f"{path}: [tool.jinja-imagekit] is not a table. {_HOW}")
    return table


def _reference(path: Path, table: dict[str, Any]) -> str | None:
    reference = table.get("kit")
    if reference is not None and not (isinstance(reference, str) and reference):
        raise KitNotFound(f"{path}: kit under [tool.jinja-imagekit] is {reference!r}. {_HOW}")
    return reference


def _load(reference: str) -> ImageKit:
    try:
        kit: ImageKit = load_kit(reference)
    except InvalidSetting as error:
        if error.setting != "import_name":
            raise _broken(reference, error) from error
        raise KitNotFound(f"{error.problem[:1].upper()}{error.problem[1:]}") from error
    except (Exception, SystemExit) as error:
        raise _broken(reference, error) from error
    return kit


def _broken(reference: str, error: BaseException) -> KitNotFound:
    place = next(_places(error), "")
    return KitNotFound(printable(f"Loading the kit {reference!r} failed: {type(error).__name__}: {error}{place}"))


def _places(error: BaseException) -> Iterator[str]:
    """Yield the places where the site's own code went wrong, the innermost first."""
    here = os.path.dirname(os.path.dirname(__file__))
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith(("<", here)):
            yield f" ({frame.filename}, line {frame.lineno})"
