"""Finds a site's kit: from an option, the environment, or the nearest pyproject.toml."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..exceptions import nearest
from .group import printable

if TYPE_CHECKING:
    from ..kit import ImageKit

GetKit = Callable[[], "ImageKit"]
"""Returns the kit, when it is needed."""

_HOW = (
    'Pass --kit module:attribute, set JINJA_IMAGEKIT, or write kit = "module:attribute" under '
    "[tool.jinja-imagekit] in pyproject.toml."
)


class KitNotFound(click.ClickException):
    """There is no kit where the command was told to look; it ends with the status of wrong usage."""

    exit_code = 2


def find_kit(reference: str | None = None) -> ImageKit:
    """Return the kit that a reference names, or the one that the nearest `pyproject.toml` names.

    The current folder, and the folder of the `pyproject.toml`, are put on `sys.path`.

    Args:
        reference: `module:attribute`; the attribute is a kit or a callable that returns one.

    Raises:
        KitNotFound: There is no such kit; the message says why.
    """
    folders = [Path.cwd()]
    if not reference:
        reference, folder = _configured()
        folders.append(folder)
    for entry in reversed([str(folder) for folder in folders]):
        if entry not in sys.path[:1]:
            sys.path.insert(0, entry)
    kit = _check(reference, _load(reference))
    # `generate --processes` imports the kit from there, and need not send it by value.
    kit.import_name = kit.import_name or reference
    return kit


def _configured() -> tuple[str, Path]:
    for folder in (Path.cwd(), *Path.cwd().parents):
        path = folder / "pyproject.toml"
        if path.is_file():
            reference = _read(path)
            if reference is not None:
                return reference, folder
    raise KitNotFound(f"Where is the kit? {_HOW}")


def _read(path: Path) -> str | None:
    import tomllib

    try:
        tool = tomllib.loads(path.read_text(encoding="utf-8")).get("tool")
    except (OSError, ValueError) as error:
        raise KitNotFound(f"{path} cannot be read: {error}") from error
    table = tool.get("jinja-imagekit", {}) if isinstance(tool, dict) else {}
    if not isinstance(table, dict):
        raise KitNotFound(f"{path}: [tool.jinja-imagekit] is no table. {_HOW}")
    reference = table.get("kit")
    if reference is not None and not (isinstance(reference, str) and reference):
        raise KitNotFound(f"{path}: kit under [tool.jinja-imagekit] is {reference!r}. {_HOW}")
    return reference


def _load(reference: str) -> Any:
    module_name, colon, attribute = reference.partition(":")
    if not (module_name and colon and attribute):
        raise KitNotFound(f"The kit {reference!r} is not of the form module:attribute, such as mysite:kit.")
    found = _import(module_name)
    for part in attribute.split("."):
        if not hasattr(found, part):
            known = [name for name in vars(found) if not name.startswith("_")] if hasattr(found, "__dict__") else []
            raise KitNotFound(f"The kit {reference!r}: there is no {part!r} in it. {nearest(part, known)}")
        found = getattr(found, part)
    return found


def _import(module_name: str) -> Any:
    try:
        return import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and f"{module_name}.".startswith(f"{error.name}."):
            raise KitNotFound(
                f"There is no module {error.name!r} to be imported from {Path.cwd()}. Run the command in the "
                "folder where it is, or put its folder on PYTHONPATH."
            ) from error
        raise _broken(f"Importing {module_name!r} failed", error) from error
    except (Exception, SystemExit) as error:
        raise _broken(f"Importing {module_name!r} failed", error) from error


def _check(reference: str, found: Any) -> ImageKit:
    from ..kit import ImageKit

    if callable(found) and not isinstance(found, ImageKit):
        try:
            found = found()
        except (Exception, SystemExit) as error:
            raise _broken(f"Calling {reference!r} for the kit failed", error) from error
    if not isinstance(found, ImageKit):
        raise KitNotFound(f"{reference!r} gives no ImageKit, but a {type(found).__name__}.")
    return found


def _broken(what: str, error: BaseException) -> KitNotFound:
    place = next(_places(error), "")
    return KitNotFound(printable(f"{what}: {type(error).__name__}: {error}{place}"))


def _places(error: BaseException) -> Iterator[str]:
    """Yield where the site's own code went wrong, the innermost first."""
    here = os.path.dirname(os.path.dirname(__file__))
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith(("<", here)):
            yield f" ({frame.filename}, line {frame.lineno})"
