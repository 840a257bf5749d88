"""The functions that compiled tags and the filters call: they find the runtime, and say where an error happened."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import pass_context
from jinja2.runtime import Context

from ..exceptions import ImageKitError
from .error_places import add_place, placed
from .files import TemplatePicture
from .grammar import TagFunctions
from .runtime import NotKnown, TemplateRuntime

# The names hold a space, so that no template can call these filters.
TAGS = {
    "generateimage": TagFunctions("imagekit generateimage tag", "imagekit generateimage file"),
    "thumbnail": TagFunctions("imagekit thumbnail tag", "imagekit thumbnail file"),
    "picture": TagFunctions("imagekit picture tag", "imagekit picture file"),
}
"""What a compiled tag calls, by its name."""


# Each takes the context, since Jinja works out constant filters of any other kind when it compiles a template.
@pass_context
@placed
def generateimage_tag(
    context: Context, generator_id: Any, kwargs: dict[str, Any], attributes: Mapping[str, object]
) -> Any:
    """Do `{% generateimage 'id' name=value … -- attribute=value … %}`."""
    runtime = _runtime(context)
    kwargs = runtime.located_in(kwargs, context)
    try:
        return runtime.generateimage_tag(generator_id, kwargs, attributes, not context.environment.is_async)
    except NotKnown:
        return _in_thread(runtime.generateimage_tag, generator_id, kwargs, attributes)


@pass_context
@placed
def thumbnail_tag(
    context: Context,
    generator_id: Any,
    dimensions: Any,
    source: Any,
    kwargs: dict[str, Any],
    attributes: Mapping[str, object],
) -> Any:
    """Do `{% thumbnail ['id'] 'WxH' source name=value … -- attribute=value … %}`."""
    runtime = _runtime(context)
    if runtime.locate is not None:
        source = runtime.locate(source, context)
    make = not context.environment.is_async
    try:
        return runtime.thumbnail_tag(generator_id, dimensions, source, kwargs, attributes, make)
    except NotKnown:
        return _in_thread(runtime.thumbnail_tag, generator_id, dimensions, source, kwargs, attributes)


@pass_context
@placed
def generateimage_file(context: Context, generator_id: Any, kwargs: dict[str, Any]) -> Any:
    """Do `{% generateimage 'id' name=value … as name %}`."""
    runtime = _runtime(context)
    return _file(context, runtime, generator_id, runtime.located_in(kwargs, context))


@pass_context
@placed
def thumbnail_file(context: Context, generator_id: Any, dimensions: Any, source: Any, kwargs: dict[str, Any]) -> Any:
    """Do `{% thumbnail ['id'] 'WxH' source name=value … as name %}`."""
    runtime = _runtime(context)
    if runtime.locate is not None:
        source = runtime.locate(source, context)
    if runtime.has_several_sizes(kwargs):
        return _picture(context, runtime.thumbnail_picture(generator_id, dimensions, source, kwargs))
    return _file(context, runtime, *runtime.thumbnail_call(generator_id, dimensions, source, kwargs))


@pass_context
@placed
def picture_tag(
    context: Context,
    generator_id: Any,
    dimensions: Any,
    source: Any,
    kwargs: dict[str, Any],
    attributes: Mapping[str, object],
) -> Any:
    """Do `{% picture ['id'] 'WxH' source name=value … -- attribute=value … %}`."""
    runtime = _runtime(context)
    if runtime.locate is not None:
        source, kwargs = runtime.locate(source, context), runtime.located_at(kwargs, context)
    make = not context.environment.is_async
    try:
        return runtime.picture_tag(generator_id, dimensions, source, kwargs, attributes, make)
    except NotKnown:
        return _in_thread(runtime.picture_tag, generator_id, dimensions, source, kwargs, attributes)


@pass_context
@placed
def picture_file(context: Context, generator_id: Any, dimensions: Any, source: Any, kwargs: dict[str, Any]) -> Any:
    """Do `{% picture ['id'] 'WxH' source name=value … as name %}`."""
    runtime = _runtime(context)
    if runtime.locate is not None:
        source, kwargs = runtime.locate(source, context), runtime.located_at(kwargs, context)
    return _picture(context, runtime.picture(generator_id, dimensions, source, kwargs))


@pass_context
def generateimage(context: Context, source: Any, generator_id: Any, /, **kwargs: Any) -> Any:
    """Return the cache file of `{{ source | generateimage('id', name=value, …) }}`; it prints itself as an `<img>`."""
    return generateimage_file(context, generator_id, {**kwargs, "source": source})


@pass_context
def thumbnail(context: Context, source: Any, dimensions: Any, generator_id: Any = None, /, **kwargs: Any) -> Any:
    """Return the cache file of `{{ source | thumbnail('WxH', name=value, …) }}`; it prints itself as an `<img>`."""
    return thumbnail_file(context, generator_id, dimensions, source, kwargs)


@pass_context
def picture(context: Context, source: Any, dimensions: Any, generator_id: Any = None, /, **kwargs: Any) -> Any:
    """Return the picture of `{{ source | picture('WxH', name=value, …) }}`; it prints itself as HTML."""
    return picture_file(context, generator_id, dimensions, source, kwargs)


FILTERS: Mapping[str, Callable[..., Any]] = {
    TAGS["generateimage"].html: generateimage_tag,
    TAGS["generateimage"].file: generateimage_file,
    TAGS["thumbnail"].html: thumbnail_tag,
    TAGS["thumbnail"].file: thumbnail_file,
    TAGS["picture"].html: picture_tag,
    TAGS["picture"].file: picture_file,
    "generateimage": generateimage,
    "thumbnail": thumbnail,
    "picture": picture,
}


def _runtime(context: Context) -> TemplateRuntime:
    runtime: TemplateRuntime | None = getattr(context.environment, "imagekit", None)
    if runtime is None:
        raise ImageKitError(
            "This Jinja environment has the extension of jinja_imagekit, but no kit. "
            "Call kit.install(environment), which adds both."
        )
    return runtime


def _file(context: Context, runtime: TemplateRuntime, generator_id: Any, kwargs: dict[str, Any]) -> Any:
    escapes = bool(context.eval_ctx.autoescape)
    # What the template does with the file afterwards, it does on the event loop.
    if context.environment.is_async and not runtime.is_known(generator_id, kwargs):
        return _in_thread(runtime.file_made_ahead, generator_id, kwargs, escapes)
    return runtime.file(generator_id, kwargs, escapes)


def _picture(context: Context, picture: TemplatePicture) -> Any:
    picture.escapes = bool(context.eval_ctx.autoescape)
    return _in_thread(picture.made_ahead) if context.environment.is_async else picture


async def _in_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        if not _on_asyncio():
            return function(*arguments)
        return await asyncio.to_thread(function, *arguments)
    except Exception as error:
        add_place(error)
        raise


def _on_asyncio() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
