"""Middleware for ASGI applications of any framework: it serves a kit's cache files, and keeps the event loop free."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any
from urllib.parse import quote, urlsplit

from .kit import ImageKit
from .once import PerProcess
from .pages import Page, writing
from .storages.folder import FileSystemStorage

__all__ = ["ImageKitMiddleware"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_root_path: contextvars.ContextVar[str] = contextvars.ContextVar("imagekit_root_path", default="")

_origin: contextvars.ContextVar[str] = contextvars.ContextVar("imagekit_origin", default="")


def mounts() -> tuple[str, str]:
    """Return where the application of the current request is mounted, as a path and as a URL, unquoted."""
    return _root_path.get(), _origin.get() + _root_path.get()


class ImageKitMiddleware:
    """Serves the cache files of a kit below its `base_url`, and passes everything else on to an application.

    Responses may be kept for ever, since names hold a digest; whoever has a current copy gets a 304. What `OnRequest`
    has promised is made in threads when it is first asked for. Each request is a page (`kit.page`), whose order decides
    which of its pictures load first. URLs begin with the `root_path` of the request, where
    the application is mounted. The kit is closed when the server ends.

    Args:
        app: The application.
        kit: The kit.

    Example:
        >>> async def app(scope, receive, send): ...
        >>> served = ImageKitMiddleware(app, ImageKit(source_dirs=["photos"], default_cachefile_strategy="OnRequest"))
    """

    def __init__(self, app: Application, kit: ImageKit) -> None:
        self._app = app
        self._kit = kit
        self._serving = kit.serving
        settings = kit.settings
        base_url = urlsplit(settings.base_url)
        self._folder = f"{settings.cachefile_dir}/".lstrip("/")
        self._prefix = f"{base_url.path.rstrip('/')}/"
        if settings.default_file_storage is None and not base_url.netloc:
            kit.__dict__["storage"] = FileSystemStorage.from_settings(settings, self._base_url)
        # Waiting for an image takes no thread: there are only as many as make some.
        self._makers = PerProcess(lambda: ThreadPoolExecutor(self._serving.at_a_time, "imagekit"))
        self._making: PerProcess[dict[str, Future[str | None]]] = PerProcess(dict)

    def _base_url(self) -> str:
        return self._kit.seen_from_page(quote(_root_path.get()) + self._kit.settings.base_url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for a cache file, or pass it on."""
        if scope["type"] == "lifespan":
            try:
                await self._app(scope, receive, send)
            finally:
                self._kit.close()
            return
        tokens = _root_path.set(scope.get("root_path", "").rstrip("/")), _origin.set(_origin_of(scope))
        try:
            name = self._name(scope)
            if name is None or not await self._respond(name, scope, send):
                with writing(_page_of(scope)):
                    await self._app(scope, receive, send)
        finally:
            _root_path.reset(tokens[0])
            _origin.reset(tokens[1])

    def _name(self, scope: Scope) -> str | None:
        """Return the name of the cache file that a request may be for."""
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            return None
        # The path begins with the root, but for servers of before ASGI 3.
        path, root = scope["path"], _root_path.get()
        path = path.removeprefix(root) if path.startswith(f"{root}/") else path
        name: str = path.removeprefix(self._prefix)
        return name if path.startswith(self._prefix) and name.startswith(self._folder) else None

    async def _respond(self, name: str, scope: Scope, send: Send) -> bool:
        """Send a cache file, which is made first if it is promised; tell whether there is one."""
        headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
        existing = partial(self._serving.existing, name, scope["method"], headers.get)
        answer = await asyncio.to_thread(existing)
        if answer is None:
            is_promised = await asyncio.to_thread(self._serving.is_promised, name)
            made = await self._make(name) if is_promised else None
            # Somebody else may have made it between the two looks.
            answer = self._serving.moved(name, made) or await asyncio.to_thread(existing)
        if answer is None:
            return False
        raw = [(key.lower().encode("latin-1"), value.encode("latin-1")) for key, value in answer.headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": raw})
        # Quart's test client asks for the key that is optional.
        await send({"type": "http.response.body", "body": answer.content, "more_body": False})
        return True

    async def _make(self, name: str) -> str | None:
        making = self._making()
        future = making.get(name)
        if future is None:
            context = contextvars.copy_context()
            future = making[name] = self._makers().submit(context.run, self._serving.make, name)
            future.add_done_callback(lambda _: making.pop(name, None))
        # Whoever goes away must not end what others wait for.
        return await asyncio.shield(asyncio.wrap_future(future))


def _origin_of(scope: Scope) -> str:
    host = next((value.decode("latin-1") for name, value in scope.get("headers", ()) if name == b"host"), "")
    return f"{scope.get('scheme', 'http')}://{host}" if host else ""


def _page_of(scope: Scope) -> Page | None:
    """Return the page that a request is for; None if a script asks, for a part of one that has been shown already."""
    if scope["type"] != "http" or (b"sec-fetch-dest", b"empty") in scope["headers"]:
        return None
    path: str = scope["path"]
    root = _root_path.get()
    return Page(path.removeprefix(root) if path.startswith(f"{root}/") else path, quote(root) or "/")
