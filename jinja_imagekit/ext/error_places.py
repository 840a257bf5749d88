"""Says in an error which line of which template was being rendered."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import currentframe
from typing import ParamSpec, TypeVar

from ..exceptions import ImageKitError

P = ParamSpec("P")
T = TypeVar("T")


def placed(function: Callable[P, T]) -> Callable[P, T]:
    """Return the function with its errors placed: what it raises says where in a template it was called."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except AttributeError as error:
            # Jinja takes an AttributeError for an attribute that is not there, and prints nothing.
            failure = ImageKitError(f"AttributeError: {error}")
            add_place(failure)
            raise failure from error
        except Exception as error:
            add_place(error)
            raise

    return call


def add_place(error: Exception) -> None:
    """Write into an error which line of which template is being rendered, if any; the first place stays.

    Args:
        error: One of this library's gets `template` and `lineno`; any other gets a note.
    """
    frame = currentframe()
    # Jinja finds the template of a traceback in the same way (jinja2.debug).
    while frame is not None and "__jinja_template__" not in frame.f_globals:
        frame = frame.f_back
    if frame is None:
        return
    template = frame.f_globals["__jinja_template__"]
    name = template.name or "<template>"
    lineno = template.get_corresponding_lineno(frame.f_lineno)
    if isinstance(error, ImageKitError):
        if error.template is None:
            error.template, error.lineno = name, lineno
    elif not getattr(error, "__notes__", ()):
        error.add_note(f"This happened in template {name!r}, line {lineno}.")
