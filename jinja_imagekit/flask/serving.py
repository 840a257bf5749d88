"""An app's cache files and their URLs: what they begin with, who serves them, and how Frozen-Flask learns of them."""

from __future__ import annotations

import os
from pathlib import Path, PurePath, PurePosixPath
from urllib.parse import quote, urlsplit

import flask
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as BaseResponse

from ..cachefiles.strategies import OnRequest
from ..kit import ImageKit as Kit
from ..storages.folder import join_url

ENDPOINT = "imagekit_cachefile"


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
        """Add the route, unless the app's static route or another host serves the files.

        What is made on request needs it in any case: another host then fetches the files from this one.
        """
        rules = self._rules()
        if rules:
            # From now on, what `OnRequest` promises is made here.
            _ = self._kit.serving
        for rule in rules:
            self._app.add_url_rule(rule, ENDPOINT, self.view)

    def _rules(self) -> list[str]:
        url = urlsplit(self._kit.settings.base_url)
        is_elsewhere = self._folder_in_static is not None or url.scheme or url.netloc
        if is_elsewhere and not isinstance(self._kit.cachefile_strategy, OnRequest):
            return []
        tail = PurePosixPath(self._kit.settings.cachefile_dir, "<path:filename>")
        root = _root_of(self._app)
        paths = [url.path]
        if root and f"{url.path}/".startswith(f"{root}/"):
            # A mounted app sees URLs without the root; Flask's own server does not mount apps.
            paths.insert(0, url.path.removeprefix(root))
        return [str(PurePosixPath("/", path.lstrip("/"), tail)) for path in paths]

    def view(self, filename: str) -> BaseResponse:
        """Respond with a cache file, which is made first if a page was promised it, or with 304 for a current copy.

        Raises:
            NotFound: There is no such cache file.
        """
        name = f"{self._kit.settings.cachefile_dir}/{filename}".lstrip("/")
        answer = self._kit.serving.respond(name, flask.request.method, flask.request.headers.get)
        if answer is None:
            raise NotFound
        # Of bytes Flask would write the length itself, which is not that of the file that HEAD asks about.
        return flask.Response([answer.content], answer.status, answer.headers)

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
