"""The functions behind compiled tags and filters, which find the runtime and say where errors happened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from ..exceptions import ImageKitError, UnknownKeyword
from .error_places import add_place, current_place, placed, placed_at, placed_for
from .files import TemplateImage
from .grammar import FORMS, Asker, TagFunctions
from .runtime import NotKnown, TemplateRuntime

# The names contain spaces, so that no template can call these filters.
TAGS = {
    "generateimage": TagFunctions("imagekit generateimage tag", "imagekit generateimage file"),
    "thumbnail": TagFunctions("imagekit thumbnail tag", "imagekit thumbnail file"),
    "picture": TagFunctions("imagekit picture tag", "imagekit picture file"),
}
"""What a compiled tag calls, by its name."""


# Each function takes the context, since Jinja works out constant filters of any other kind when it compiles a template.


@pass_context
@placed_for("generateimage")
def generateimage_tag(
    context: Context, generator_id: Any, kwargs: dict[str, Any], attributes: Mapping[str, object]
) -> Any:
    """Do `{% generateimage 'id' name=value … -- attribute=value … %}`."""
    runtime = _runtime(context)
    if runtime.locate is not None:
        kwargs = runtime.located(kwargs, context)
    try:
        return runtime.generateimage_tag(generator_id, kwargs, attributes, not context.environment.is_async)
    except NotKnown:
        return _in_thread(Asker("generateimage"), runtime.generateimage_tag, generator_id, kwargs, attributes)


@pass_context
@placed_for("generateimage")
def generateimage_file(context: Context, generator_id: Any, kwargs: dict[str, Any], *, as_filter: bool = False) -> Any:
    """Do `{% generateimage 'id' name=value … as name %}`."""
    runtime = _runtime(context)
    if runtime.locate is not None:
        kwargs = runtime.located(kwargs, context)
    image = runtime.spec_image(generator_id, kwargs)
    return _given(context, runtime, image, Asker("generateimage", as_filter))


@pass_context
def generateimage(context: Context, source: Any, /, *arguments: Any, **kwargs: Any) -> Any:
    """Do `{{ source | generateimage('id', name=value, …) }}`."""
    (generator_id,) = _filter_arguments("generateimage", arguments, kwargs, "'blog:hero'")
    return generateimage_file(context, generator_id, {**kwargs, "source": source}, as_filter=True)


def _sized_tag(name: str, write: Callable[..., Markup]) -> Callable[..., Any]:
    """Return what does `{% name ['id'] 'WxH' source name=value … -- attribute=value … %}`."""

    @pass_context
    @placed_for(name)
    def tag(
        context: Context,
        generator_id: Any,
        dimensions: Any,
        source: Any,
        kwargs: dict[str, Any],
        attributes: Mapping[str, object],
    ) -> Any:
        runtime = _runtime(context)
        if runtime.locate is not None:
            kwargs = runtime.located(runtime.with_said(name, source, kwargs), context)
            source = runtime.locate(source, context)
        try:
            make = not context.environment.is_async
            return write(runtime, generator_id, dimensions, source, kwargs, attributes, make)
        except NotKnown:
            return _in_thread(Asker(name), write, runtime, generator_id, dimensions, source, kwargs, attributes)

    return tag


def _sized_file(name: str, image_of: Callable[..., TemplateImage]) -> Callable[..., Any]:
    """Return what does `{% name ['id'] 'WxH' source name=value … as target %}`."""
    askers = Asker(name), Asker(name, True)

    @pass_context
    @placed_for(name)
    def file(
        context: Context,
        generator_id: Any,
        dimensions: Any,
        source: Any,
        kwargs: dict[str, Any],
        *,
        as_filter: bool = False,
    ) -> Any:
        runtime = _runtime(context)
        if runtime.locate is not None:
            kwargs = runtime.located(runtime.with_said(name, source, kwargs), context)
            source = runtime.locate(source, context)
        image = image_of(runtime, generator_id, dimensions, source, kwargs)
        return _given(context, runtime, image, askers[as_filter])

    return file


def _sized_filter(name: str, file: Callable[..., Any], example: str) -> Callable[..., Any]:
    """Return what does `{{ source | name('WxH', name=value, …) }}`."""

    @pass_context
    def apply(context: Context, source: Any, /, *arguments: Any, **kwargs: Any) -> Any:
        # Most have the dimensions alone.
        is_plain = len(arguments) == 1 and not kwargs
        dimensions, generator_id = (
            (arguments[0], None) if is_plain else _filter_arguments(name, arguments, kwargs, example)
        )
        return file(context, generator_id, dimensions, source, kwargs, as_filter=True)

    return apply


@placed
def _filter_arguments(
    name: str, arguments: tuple[Any, ...], kwargs: Mapping[str, Any], example: str
) -> tuple[Any, ...]:
    """Return a filter's positional arguments, with None for an omitted generator id."""
    # The source is an argument of the tag but not of the filter.
    form = FORMS[name]
    fewest, most = max(1, form.fewest - 1), max(1, form.most - 1)
    problem = ""
    if not fewest <= len(arguments) <= most:
        what = "the dimensions, and optionally a generator's id" if most > 1 else "a generator's id"
        problem = f"takes {what}, not {len(arguments)} positional arguments"
    for given in kwargs:
        if given == "source" or given in form.positional:
            problem = f"takes no keyword {given}=, since that argument is positional"
    if problem:
        raise ImageKitError(f"The filter {name} {problem}; write for example {{{{ photo | {name}({example}) }}}}")
    return (*arguments, None)[:most]


@pass_context
@placed
def imageinfo(context: Context, source: Any, /, *arguments: Any, **kwargs: Any) -> Any:
    """Return the facts of `{{ source | imageinfo }}`: `width`, `height`, `camera` and so on."""
    example = "{{ (photo | imageinfo).width }}"
    for name, value in kwargs.items():
        error = UnknownKeyword(name, value, "imageinfo", ())
        error.asked_by, error.advice = "The filter imageinfo", f"Write for example {example}"
        raise error
    if arguments:
        raise ImageKitError(f"The filter imageinfo takes no arguments; write for example {example}")
    runtime = _runtime(context)
    return runtime.imageinfo(source if runtime.locate is None else runtime.locate(source, context))


_thumbnail_file = _sized_file("thumbnail", TemplateRuntime.thumbnail_image)
_picture_file = _sized_file("picture", TemplateRuntime.picture)

FILTERS: Mapping[str, Callable[..., Any]] = {
    TAGS["generateimage"].html: generateimage_tag,
    TAGS["generateimage"].file: generateimage_file,
    TAGS["thumbnail"].html: _sized_tag("thumbnail", TemplateRuntime.thumbnail_tag),
    TAGS["thumbnail"].file: _thumbnail_file,
    TAGS["picture"].html: _sized_tag("picture", TemplateRuntime.picture_tag),
    TAGS["picture"].file: _picture_file,
    "generateimage": generateimage,
    "thumbnail": _sized_filter("thumbnail", _thumbnail_file, "'400x300'"),
    "picture": _sized_filter("picture", _picture_file, "'800x'"),
    "imageinfo": imageinfo,
}


def _runtime(context: Context) -> TemplateRuntime:
    runtime: TemplateRuntime | None = getattr(context.environment, "imagekit", None)
    if runtime is None:
        raise ImageKitError(
            "This Jinja environment has jinja_imagekit's extension but no kit. "
            "Call kit.install(environment), which adds both."
        )
    return runtime


def _given(context: Context, runtime: TemplateRuntime, image: TemplateImage, asker: Asker) -> Any:
    """Return a file or picture in the form that a template gets."""
    image.escapes = bool(context.eval_ctx.autoescape)
    image.asker = asker
    # Whatever the template does with the image afterwards happens on the event loop.
    if context.environment.is_async and not image.is_known():
        return _in_thread(asker, runtime.made_ahead, image)
    return runtime.handed_out(image)


async def _in_thread(asker: Asker, function: Callable[..., Any], *arguments: Any) -> Any:
    # It takes long to import, and whoever renders asynchronously has it.
    import asyncio

    try:
        if not _is_running(asyncio.get_running_loop):
            return function(*arguments)
        here = current_place()
        # The other thread's stack holds no template.
        with placed_at(lambda: here):
            return await asyncio.to_thread(function, *arguments)
    except Exception as error:
        add_place(error, asker)
        raise


def _is_running(loop: Callable[[], object]) -> bool:
    try:
        loop()
    except RuntimeError:
        return False
    return True
