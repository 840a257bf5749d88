"""Builds a plain site again whenever a file changes, and serves it with its images made on request."""

from __future__ import annotations

import os
import sys
import traceback
from contextlib import suppress
from functools import partial
from hashlib import file_digest
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from multiprocessing import get_context
from multiprocessing.context import SpawnProcess
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit

import click

from ..images import mimetype_of_name
from ..loading import load
from .finding import find_kit

if TYPE_CHECKING:
    from ..kit import ImageKit


class Served(NamedTuple):
    """What is built and served; a process of its own gets it, and finds the kit anew.

    Attributes:
        kit: The kit, as `module:attribute`; None for the one that `pyproject.toml` names.
        build: What renders the pages, as `module:function`; it returns False if something failed.
        folder: The absolute path of the folder of pages.
        host: The address to listen at.
        port: The port to listen at.
    """

    kit: str | None
    build: str
    folder: str
    host: str
    port: int

    @property
    def url(self) -> str:
        """Where a browser finds the site."""
        return f"http://{'localhost' if self.host in ('127.0.0.1', '::1') else self.host}:{self.port}/"


def serve(served: Served) -> None:
    """Build the site in this process, and serve it for ever.

    A build that fails says so, and what it has left is served.
    """
    kit = find_kit(served.kit)
    kit.preview()
    try:
        if load("build", served.build.replace(":", "."))() is False:
            click.echo("The build says that something failed.", err=True)
    except Exception:  # noqa: BLE001  # the site's own code
        traceback.print_exc()
    with (
        _Server((served.host, served.port), partial(_Handler, kit, directory=served.folder)) as server,
        suppress(KeyboardInterrupt),
    ):
        server.serve_forever()


def watch_and_serve(served: Served, kit: ImageKit) -> None:
    """Build and serve the site in a process of its own, and begin anew whenever a file changes that is not its result.

    Runs until Ctrl-C or SIGTERM. The library that watches files has to be installed.
    """
    from watchfiles import Change, DefaultFilter, watch

    results = (served.folder, str(kit.settings.location), str(kit.settings.state_dir))
    is_source = DefaultFilter(ignore_paths=[os.path.realpath(path) for path in results])
    known: dict[str, str] = {}

    def is_new(change: Change, path: str) -> bool:
        # A build may write files beside its output, alike each time; and a log of this command begins no build.
        if not is_source(change, path) or _is_own_log(path):
            return False
        before, known[path] = known.get(path), _digest(path)
        return known[path] != before

    process = _begin(served)
    try:
        for changes in watch(os.path.realpath("."), watch_filter=is_new, raise_interrupt=False):
            click.echo(f"{shown(min(changes)[1])} has changed: building again.")
            # Not as by Ctrl-C, which Python tells at length while it starts.
            process.terminate()
            process.join()
            process = _begin(served)
    finally:
        process.terminate()
        process.join()


def _begin(served: Served) -> SpawnProcess:
    process = get_context("spawn").Process(target=serve, args=(served,))
    process.start()
    return process


def _digest(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return type(error).__name__


def _is_own_log(path: str) -> bool:
    with suppress(OSError):
        return any(os.path.samestat(os.stat(path), os.fstat(stream)) for stream in (1, 2))
    return False


def check_is_free(served: Served) -> None:
    """See that nobody else listens at the address.

    Raises:
        ClickException: Somebody does.
    """
    try:
        with _Server((served.host, served.port), SimpleHTTPRequestHandler):
            pass
    except OSError as error:
        raise click.ClickException(
            f"{served.host}:{served.port} cannot be listened at ({error.strerror}): pass another --port."
        ) from error


def shown(path: str) -> str:
    """Return a path as seen from the current folder."""
    return os.path.relpath(path)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing about a browser that has gone."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]  # the same as was passed


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, kit: ImageKit, *args: object, directory: str) -> None:
        self._kit = kit
        super().__init__(*args, directory=directory)  # type: ignore[arg-type]  # the server's own

    def send_head(self) -> Any:
        """Begin to answer with a file of the page's folder, or with a cache file, which is made if need be."""
        answer = None
        if not os.path.exists(self.translate_path(self.path)):
            answer = self._kit.serving.respond(self._name(self.path), self.command, self.headers.get)
        if answer is None:
            return super().send_head()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            if name != "Cache-Control":
                self.send_header(name, value)
        self.end_headers()
        return BytesIO(answer.content)

    def _name(self, url: str) -> str:
        path = unquote(urlsplit(url).path)
        base = urlsplit(self._kit.settings.base_url).path
        return path.removeprefix(base).lstrip("/")

    def guess_type(self, path: str | os.PathLike[str]) -> str:
        """Return the media type of a file."""
        return mimetype_of_name(os.fspath(path))

    def end_headers(self) -> None:
        """Have the browser ask again each time, since anything may change."""
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Say what was asked for in vain, and nothing else."""
        if isinstance(code, int) and code >= 400:
            click.echo(f"{code} {self.path}", err=True)

    def log_error(self, format: str, *args: object) -> None:
        """Say nothing twice."""
