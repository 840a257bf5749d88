"""An app's cache files and their URLs: what they begin with, who serves them, and how Frozen-Flask learns of them."""

from __future__ import annotations

import mimetypes
import os
from pathlib import Path, PurePath, PurePosixPath
from urllib.parse import quote, urlsplit

import flask
from werkzeug.exceptions import NotFound

from ..exceptions import StorageError
from ..images import OUTPUT_FORMATS
from ..interfaces import Storage
from ..kit import ImageKit as Kit
from ..storages.folder import join_url

ENDPOINT = "imagekit_cachefile"

YEAR = 31_536_000
"""Seconds: the longest time that HTTP caches keep a response (RFC 2616, 14.21). Names hold a digest."""

_MIMETYPES = {format.extension: format.mimetype for format in OUTPUT_FORMATS.values()}


class CacheFileUrls:
    """Maps cache files to URLs and back.

    Args:
        app: The app.
        kit: Its kit.
    """

    def __init__(self, app: flask.Flask, kit: Kit) -> None:
        self._app = app
        self._kit = kit
        self._folder_in_static = _folder_in_static(app, kit.settings.location)
        own = kit.settings.base_url
        follows_mount = own == self.default_base_url(app, Path(kit.settings.location))
        self._below_mount = own.removeprefix(_root_of(app)) if follows_mount else None

    @staticmethod
    def default_base_url(app: flask.Flask, location: Path) -> str:
        """Return the URL from which an app serves a folder, below the configured `APPLICATION_ROOT`."""
        folder = _folder_in_static(app, location)
        if folder is None:
            root: str = app.config["APPLICATION_ROOT"]
            return root
        static = f"{_root_of(app)}{app.static_url_path}"
        return static if folder == PurePath() else join_url(static, folder.as_posix())

    def base_url(self) -> str:
        """Return the URL from which the folder of cache files is served, as by `url_for` in the current request.

        If a dispatcher or proxy mounts the app below a path, only the request knows that path.
        """
        if self._below_mount is not None and flask.has_request_context():
            mount = flask.request.root_path
            if mount:
                return quote(mount) + self._below_mount
        return self._kit.settings.base_url

    def add_route(self) -> None:
        """Add the route, unless the app's static route or another host serves the files."""
        if self._folder_in_static is None:
            for rule in self._rules():
                self._app.add_url_rule(rule, ENDPOINT, self.view)

    def _rules(self) -> list[str]:
        url = urlsplit(self._kit.settings.base_url)
        if url.scheme or url.netloc:
            return []
        tail = PurePosixPath(self._kit.settings.cachefile_dir, "<path:filename>")
        root = _root_of(self._app)
        paths = [url.path]
        if root and f"{url.path}/".startswith(f"{root}/"):
            # A mounted app sees URLs without the root; Flask's own server does not mount apps.
            paths.insert(0, url.path.removeprefix(root))
        return [str(PurePosixPath("/", path.lstrip("/"), tail)) for path in paths]

    def view(self, filename: str) -> flask.Response:
        """Respond with a cache file, or with 304 if the client's copy is current.

        Raises:
            NotFound: There is no such cache file.
        """
        name = f"{self._kit.settings.cachefile_dir}/{filename}".lstrip("/")
        path = self._path(name)
        extension = PurePosixPath(filename).suffix.lower()
        mimetype = _MIMETYPES.get(extension) or mimetypes.guess_type(f"name{extension}")[0]
        try:
            response = flask.send_file(path, mimetype or "application/octet-stream", max_age=YEAR)
        except FileNotFoundError:
            raise NotFound from None
        if name == self._kit.pictures.stylesheet:
            # The only file whose content changes under its name.
            response.cache_control.max_age, response.cache_control.no_cache = None, True
        else:
            response.cache_control.immutable = True
        response.headers["X-Content-Type-Options"] = "nosniff"
        # An SVG opened on its own could run scripts in the site's origin.
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
        """Whether Frozen-Flask is fetching a page."""
        return "FREEZER_DESTINATION" in self._app.config and flask.has_request_context()


def _root_of(app: flask.Flask) -> str:
    """Return the configured root of an app, without a slash at its end."""
    root: str = app.config["APPLICATION_ROOT"]
    return root.rstrip("/")


def _folder_in_static(app: flask.Flask, location: str | os.PathLike[str]) -> PurePath | None:
    """Return a folder's path within the app's static folder; None if it is elsewhere."""
    if not app.static_folder or not app.has_static_folder:
        return None
    path, static = (Path(os.path.abspath(folder)) for folder in (location, app.static_folder))
    return path.relative_to(static) if path.is_relative_to(static) else None
