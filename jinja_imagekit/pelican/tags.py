"""The tags and filters, with sources called by the names that Pelican's authors use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jinja2 import Environment, pass_context
from jinja2.runtime import Context

from ..ext import calls
from ..kit import ImageKit
from .names import SourceNames

Call = Callable[..., Any]


def install(environment: Environment, kit: ImageKit, names: SourceNames) -> None:
    """Add the tags and filters to the environment of one of Pelican's generators.

    Args:
        environment: The environment.
        kit: The site's kit.
        names: What turns an author's names into the kit's.
    """
    kit.install(environment)
    environment.filters.update(
        {
            calls.GENERATEIMAGE_TAG: _with_source_in_keywords(calls.generateimage_tag, names),
            calls.GENERATEIMAGE_FILE: _with_source_in_keywords(calls.generateimage_file, names),
            calls.THUMBNAIL_TAG: _with_source_at(2, calls.thumbnail_tag, names),
            calls.THUMBNAIL_FILE: _with_source_at(2, calls.thumbnail_file, names),
            "generateimage": _with_source_at(0, calls.generateimage, names),
            "thumbnail": _with_source_at(0, calls.thumbnail, names),
        }
    )


def _content(context: Context) -> object:
    """Return the article or page that a template renders, if it renders one."""
    return context.get("article") or context.get("page")


def _with_source_at(place: int, function: Call, names: SourceNames) -> Call:
    @pass_context
    def call(context: Context, *args: Any, **kwargs: Any) -> Any:
        source = names.source(args[place], _content(context))
        return function(context, *args[:place], source, *args[place + 1 :], **kwargs)

    return call


def _with_source_in_keywords(function: Call, names: SourceNames) -> Call:
    @pass_context
    def call(context: Context, generator_id: Any, kwargs: dict[str, Any], *args: Any) -> Any:
        if "source" in kwargs:
            kwargs = {**kwargs, "source": names.source(kwargs["source"], _content(context))}
        return function(context, generator_id, kwargs, *args)

    return call
