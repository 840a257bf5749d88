"""Adds to an error the template and the line that were being rendered."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial, wraps
from types import FrameType
from typing import ParamSpec, TypeVar

from ..exceptions import ImageKitError, UnknownKeyword
from .grammar import Asker

P = ParamSpec("P")
T = TypeVar("T")


def placed(function: Callable[P, T], asker: Asker | None = None) -> Callable[P, T]:
    """Return a function whose errors say where in a template it was called.

    Args:
        function: A function of a tag, or a method of an object whose attribute `asker` says who asked for it.
        asker: The tag.
    """

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except AttributeError as error:
            # Jinja takes an AttributeError to mean a missing attribute, and prints nothing.
            failure = ImageKitError(f"AttributeError: {error}")
            add_place(failure)
            raise failure from error
        except Exception as error:
            of = args[0] if args else None
            add_place(error, asker or getattr(of, "asker", None), getattr(of, "generator_id", None))
            raise

    return call


def placed_for(name: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Return a decorator that adds places to the errors of a tag's function."""
    return partial(placed, asker=Asker(name))


def add_place(error: Exception, asker: Asker | None = None, generator_id: str | None = None) -> None:
    """Add to an error which line of which template is being rendered, if any, unless it has a place already.

    Args:
        error: One of this library's gets `template` and `lineno`; any other gets a note.
        asker: What asked for the image, which explains an unknown keyword.
        generator_id: The id of the generator that was to make the image.
    """
    if generator_id and isinstance(error, ImageKitError) and error.concerns_image:
        error.generator_id = error.generator_id or generator_id
    if asker is not None and isinstance(error, UnknownKeyword) and not error.asked_by:
        asker.explain(error)
    found = _line_of_template()
    if found is None:
        return
    name, lineno = found
    if isinstance(error, ImageKitError):
        if error.template is None:
            error.template, error.lineno = name, lineno
    elif not getattr(error, "__notes__", ()):
        error.add_note(f"This happened in template {name!r}, line {lineno}.")


def _line_of_template() -> tuple[str, int] | None:
    """Return the name and the line of the template that is being rendered on this thread, if any."""
    frame: FrameType | None = sys._getframe(1)
    # Jinja finds the template in a traceback in the same way (jinja2.debug).
    while frame is not None and "__jinja_template__" not in frame.f_globals:
        frame = frame.f_back
    if frame is None:
        return None
    template, line = frame.f_globals["__jinja_template__"], frame.f_lineno
    # Jinja works them out anew each time.
    lines: dict[int, int] = frame.f_globals.setdefault("__imagekit_lines__", {})
    if line not in lines:
        lines[line] = template.get_corresponding_lineno(line)
    return template.name or "<template>", lines[line]


_place: ContextVar[Callable[[], str | None] | None] = ContextVar("imagekit_place", default=None)


@contextmanager
def placed_at(place: Callable[[], str | None]) -> Iterator[None]:
    """Have `current_place` return what this returns, within a block that no template's line describes."""
    token = _place.set(place)
    try:
        yield
    finally:
        _place.reset(token)


def current_place() -> str | None:
    """Return where in a page an image is asked for, in words; None outside of pages."""
    place = _place.get()
    if place is not None:
        return place()
    found = _line_of_template()
    return f"template {found[0]!r}, line {found[1]}" if found else None
