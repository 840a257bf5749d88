"""Serves an app's cache files where no web server does, and tells Frozen-Flask of them."""

from __future__ import annotations

import mimetypes
from pathlib import PurePosixPath
from urllib.parse import urlsplit

import flask
from werkzeug.exceptions import NotFound

from ..exceptions import StorageError
from ..images import OUTPUT_FORMATS
from ..interfaces import Storage
from ..kit import ImageKit as Kit
from .config import folder_in_static

ENDPOINT = "imagekit_cachefile"

YEAR = 31_536_000
"""Seconds: the longest time for which HTTP caches keep an answer (RFC 2616, 14.21). Names carry a digest."""

_MIMETYPES = {format.extension: format.mimetype for format in OUTPUT_FORMATS.values()}


class CacheFileRoute:
    """The way from a cache file's URL to its file.

    Args:
        app: The app.
        kit: Its kit.
    """

    def __init__(self, app: flask.Flask, kit: Kit) -> None:
        self._app = app
        self._kit = kit
        self._folder_in_static = folder_in_static(app, kit.settings.location)

    def add(self) -> None:
        """Add the route, unless the app's static route does the work or the files have another host."""
        if self._folder_in_static is None:
            for rule in self._rules():
                self._app.add_url_rule(rule, ENDPOINT, self.view)

    def _rules(self) -> list[str]:
        url = urlsplit(self._kit.settings.base_url)
        if url.scheme or url.netloc:
            return []
        tail = PurePosixPath(self._kit.settings.cachefile_dir, "<path:filename>")
        root = self._app.config["APPLICATION_ROOT"].rstrip("/")
        paths = [url.path]
        if root and f"{url.path}/".startswith(f"{root}/"):
            # A mounted app sees its URLs without the root; Flask's own server mounts nothing.
            paths.insert(0, url.path.removeprefix(root))
        return [str(PurePosixPath("/", path.lstrip("/"), tail)) for path in paths]

    def view(self, filename: str) -> flask.Response:
        """Answer with a cache file, or only say that the reader's copy is still right.

        Raises:
            NotFound: There is no such cache file.
        """
        path = self._path(f"{self._kit.settings.cachefile_dir}/{filename}".lstrip("/"))
        extension = PurePosixPath(filename).suffix.lower()
        mimetype = _MIMETYPES.get(extension) or mimetypes.guess_type(f"name{extension}")[0]
        try:
            response = flask.send_file(path, mimetype or "application/octet-stream", max_age=YEAR)
        except FileNotFoundError:
            raise NotFound from None
        response.cache_control.immutable = True
        response.headers["X-Content-Type-Options"] = "nosniff"
        # An SVG that is opened by itself could run scripts on the site's origin.
        response.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
        return response

    def _path(self, name: str) -> str:
        storage: Storage = self._kit.storage
        try:
            path = storage.path(name) if storage.stat(name) else None
        except StorageError:
            path = None
        if path is None:
            raise NotFound
        return path

    def needs(self, name: str) -> None:
        """Build a cache file's URL as `url_for` does, which Frozen-Flask listens to."""
        if self._kit.settings.default_file_storage is not None:
            return
        if self._folder_in_static is not None:
            flask.url_for("static", filename=(self._folder_in_static / name).as_posix())
        elif ENDPOINT in self._app.view_functions:
            flask.url_for(ENDPOINT, filename=name.removeprefix(self._kit.settings.cachefile_dir).lstrip("/"))

    @property
    def is_building(self) -> bool:
        """Whether Frozen-Flask is asking for a page."""
        return "FREEZER_DESTINATION" in self._app.config and flask.has_request_context()
