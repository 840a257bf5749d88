"""Middleware for ASGI applications of any framework: it serves a kit's cache files, and keeps the event loop free."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from email.utils import formatdate, parsedate_to_datetime
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from .exceptions import StorageError
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
        token = _root_path.set(scope.get("root_path", "").rstrip("/"))
        try:
            name = self._name(scope)
            if name is None or not await self._respond(name, scope, send):
                with writing(_page_of(scope)):
                    await self._app(scope, receive, send)
        finally:
            _root_path.reset(token)

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
        found = await asyncio.to_thread(self._find, name)
        if found is None:
            is_promised = await asyncio.to_thread(self._serving.is_promised, name)
            made = await self._make(name) if is_promised else None
            if made is not None and made != name:
                # The source was replaced after the page was rendered.
                location = self._kit.storage.url(made)
                await _send(send, 302, {"Location": location, "Cache-Control": "no-store"}, b"")
                return True
            # Somebody else may have made it between the two looks.
            found = await asyncio.to_thread(self._find, name)
        if found is None:
            return False
        headers = {
            **self._serving.headers(name),
            "ETag": found.tag,
            "Last-Modified": formatdate(found.time, usegmt=True),
        }
        if found.is_known_to(scope):
            await _send(send, 304, headers, None)
            return True
        content = await asyncio.to_thread(self._read, name) if scope["method"] == "GET" else None
        if content is None and scope["method"] == "GET":
            return False
        size = found.size if content is None else len(content)
        headers |= {"Content-Type": self._serving.mimetype(name), "Content-Length": str(size)}
        await _send(send, 200, headers, content)
        return True

    def _find(self, name: str) -> _Found | None:
        stored = self._kit.storage.stat(name) if self._serving.find(name) else None
        if stored is None:
            return None
        return _Found(stored.size, f'"{stored.modified_ns:x}-{stored.size:x}"', stored.modified_ns // 1_000_000_000)

    def _read(self, name: str) -> bytes | None:
        """Return the content of a cache file; None if it is gone."""
        try:
            with self._kit.storage.open(name) as file:
                return file.read()
        except StorageError:
            return None

    async def _make(self, name: str) -> str | None:
        making = self._making()
        future = making.get(name)
        if future is None:
            context = contextvars.copy_context()
            future = making[name] = self._makers().submit(context.run, self._serving.make, name)
            future.add_done_callback(lambda _: making.pop(name, None))
        # Whoever goes away must not end what others wait for.
        return await asyncio.shield(asyncio.wrap_future(future))


def _page_of(scope: Scope) -> Page | None:
    """Return the page that a request is for; None if a script asks, for a part of one that has been shown already."""
    if scope["type"] != "http" or (b"sec-fetch-dest", b"empty") in scope["headers"]:
        return None
    path: str = scope["path"]
    root = _root_path.get()
    return Page(path.removeprefix(root) if path.startswith(f"{root}/") else path, quote(root) or "/")


class _Found(NamedTuple):
    """A cache file.

    Attributes:
        size: How many bytes it has.
        tag: Its entity tag.
        time: When it was written, in seconds since the epoch.
    """

    size: int
    tag: str
    time: int

    def is_known_to(self, scope: Scope) -> bool:
        """Tell whether the client has a current copy (RFC 9110, 13.2.2)."""
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        tags = headers.get(b"if-none-match")
        if tags is not None:
            return "*" in tags or self.tag in [tag.strip().removeprefix("W/") for tag in tags.split(",")]
        with suppress(ValueError, OverflowError):
            return self.time <= parsedate_to_datetime(headers.get(b"if-modified-since", "")).timestamp()
        return False


async def _send(send: Send, status: int, headers: dict[str, str], body: bytes | None) -> None:
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body or b""})
