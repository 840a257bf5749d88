"""Starlette and FastAPI: a kit for an application, whose templates are rendered without blocking the event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
from typing import Any, TypeVar, cast

from jinja2 import Environment, Template
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates
from starlette.types import Receive, Scope, Send

from .asgi import ImageKitMiddleware, mounts
from .kit import ImageKit as Kit
from .registry import GeneratorRegistry
from .settings import Settings
from .uploads import ProcessedFile

__all__ = ["ImageKit"]

Templates = TypeVar("Templates", bound=Environment | Jinja2Templates)


class ImageKit(Kit):
    """The kit of a Starlette or FastAPI application.

    Its settings are those of every kit, but images are made when browsers ask for them (the strategy `OnRequest`) and
    what pages need is not noted, unless the settings say otherwise.

    Args:
        app: The application; otherwise call `init_app`.
        settings: Settings made elsewhere, for example by `Settings.from_mapping`; they are used as they are.
        generators: Registries of packages that ship specs.
        import_name: Where a queue's workers import this kit from, as `"module:attribute"`.
        **values: Settings by name.

    Raises:
        InvalidSetting: A setting is unknown, or its value unusable.

    Example:
        >>> app = Starlette()
        >>> images = ImageKit(app, source_dirs=["photos"], location="var", state_dir="var/.imagekit")
        >>> templates = images.install(Jinja2Templates("templates"))
    """

    def __init__(
        self,
        app: Starlette | None = None,
        *,
        settings: Settings | None = None,
        generators: Iterable[GeneratorRegistry] = (),
        import_name: str | None = None,
        **values: Any,
    ) -> None:
        if settings is None:
            values = {"default_cachefile_strategy": "OnRequest", "keep_notes": False, **values}
        super().__init__(settings, generators=generators, import_name=import_name, **values)
        self._app: Starlette | None = None
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Starlette) -> None:
        """Have an application serve the cache files, below the setting `base_url` and its own `root_path`.

        Raises:
            RuntimeError: The application has already started (Starlette's own error).
        """
        app.add_middleware(ImageKitMiddleware, kit=self)
        self._app = app

    def served_folders(self) -> Iterator[tuple[str, str | os.PathLike[str]]]:
        """Yield the folders of the `StaticFiles` in the application's routes, and the URL that each begins at."""
        routes = self._app.routes if self._app else ()
        # `url_for` writes whole URLs.
        return chain.from_iterable(_static_files(routes, mount) for mount in mounts())

    def install(self, templates: Templates) -> Templates:
        """Add the tags and filters to the application's templates, or to any environment, and return it.

        In an `async def`, `templates.TemplateResponse` is rendered in a thread when it is sent, so that looking at
        many sources keeps nobody waiting. In a `def`, which is in a thread already, it is rendered at once, as ever.
        """
        if isinstance(templates, Environment):
            return super().install(templates)
        super().install(templates.env)
        later: Any = partial(_response, templates, templates.TemplateResponse)
        templates.TemplateResponse = later  # type: ignore[method-assign]  # what handlers call is this very attribute
        return templates

    async def process_in_thread(self, upload: object, id: str | None = None, /, **attributes: Any) -> ProcessedFile:
        """Do what `process` does, in a thread.

        Raises:
            UnreadableImage: There is no upload, or no whole image in it; `ImageTooLarge` where it exceeds a cap.
        """
        return await run_in_threadpool(self.process, upload, id, **attributes)


def _static_files(routes: Iterable[BaseRoute], root: str) -> Iterator[tuple[str, str | os.PathLike[str]]]:
    for route in routes:
        if isinstance(route, Mount):
            if isinstance(route.app, StaticFiles):
                for folder in route.app.all_directories:
                    yield f"{root}{route.path}/", folder
            else:
                yield from _static_files(route.routes, f"{root}{route.path}")


def _response(templates: Jinja2Templates, at_once: Any, *args: Any, **kwargs: Any) -> Response:
    """Do what `Jinja2Templates.TemplateResponse` does, but render later where that would block the event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return cast("Response", at_once(*args, **kwargs))
    return _later(templates, *args, **kwargs)


def _later(
    templates: Jinja2Templates,
    request: Request,
    name: str,
    context: dict[str, Any] | None = None,
    status_code: int = 200,
    headers: Mapping[str, str] | None = None,
    media_type: str | None = None,
    background: BackgroundTask | None = None,
) -> _LaterTemplateResponse:
    context = context or {}
    context.setdefault("request", request)
    for processor in templates.context_processors:
        context.update(processor(request))
    return _LaterTemplateResponse(templates.get_template(name), context, status_code, headers, media_type, background)


class _LaterTemplateResponse(HTMLResponse):
    """A response that renders its template when it is sent.

    Args:
        template: The template.
        context: Its context.
        status_code: The status code.
        headers: Headers.
        media_type: Media type, HTML by default.
        background: What to do after it was sent.
    """

    def __init__(
        self,
        template: Template,
        context: dict[str, Any],
        status_code: int,
        headers: Mapping[str, str] | None,
        media_type: str | None,
        background: BackgroundTask | None,
    ) -> None:
        self.template = template
        self.context = context
        super().__init__(b"", status_code, headers, media_type, background)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.template.environment.is_async:
            text = await self.template.render_async(self.context)
        else:
            text = await run_in_threadpool(self.template.render, self.context)
        self.body = self.render(text)
        self.headers["content-length"] = str(len(self.body))
        if "http.response.debug" in scope.get("extensions", {}):
            # What Starlette's test client shows of a template.
            await send({"type": "http.response.debug", "info": {"template": self.template, "context": self.context}})
        await super().__call__(scope, receive, send)
