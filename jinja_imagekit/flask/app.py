"""An app's settings and kit, and what its blueprints and `imagegenerators` modules add."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import flask
from flask.sansio.scaffold import Scaffold

from ..builds.notes import Renders
from ..exceptions import ImageKitError
from ..interfaces import Storage
from ..kit import ImageKit as Kit
from ..once import made_once
from ..pages import Page
from ..registry import GeneratorRegistry
from ..settings import Settings, below
from ..storages.folder import FileSystemStorage
from .serving import CacheFileUrls

PREFIX = "IMAGEKIT_"
"""The prefix of settings in an app's configuration."""

MODULE = "imagegenerators"
"""The name of the modules that are imported from beside an app and its blueprints."""

_PAGE = "_imagekit_page"
"""The key in `flask.g`."""

logger = logging.getLogger("jinja_imagekit.flask")


class AppKit(Kit):
    """A kit whose pages are those of a Flask app."""

    def __init__(
        self,
        images: AppImages,
        settings: Settings,
        generators: Iterable[GeneratorRegistry],
        import_name: str | None,
    ) -> None:
        super().__init__(settings, generators=generators, import_name=import_name)
        self.images = images

    def worker_context(self) -> AbstractContextManager[object]:
        """Return the app context, in which a queue's worker makes an image."""
        return self.images.app.app_context()

    @made_once
    def storage(self) -> Storage:
        """The default storage of cache files, whose URLs begin where the app is mounted."""
        if self.settings.default_file_storage is not None:
            return super().storage
        return FileSystemStorage.from_settings(self.settings, lambda: self.seen_from_page(self.images.urls.base_url()))

    def current_page(self) -> Page | None:
        """Return the page that is being written: that of the request."""
        page = super().current_page()
        if page is not None or not flask.has_request_context():
            return page
        request = flask.request
        # What a script asks for becomes a part of a page that has been shown already.
        if request.headers.get("Sec-Fetch-Dest", "document") == "empty":
            return None
        known: Page = flask.g.setdefault(_PAGE, Page(request.path, request.root_path))
        return known

    def served_folders(self) -> Iterator[tuple[str, str]]:
        """Yield the static folders of the app and its blueprints, and the URL that each begins at."""
        app = self.images.app
        roots = [app.config["APPLICATION_ROOT"].rstrip("/")]
        if flask.has_request_context():
            root = flask.request.root_path
            roots = [root, f"{flask.request.host_url.rstrip('/')}{root}"]
        blueprints = ((f"{name}.static", blueprint) for name, blueprint in app.blueprints.items())
        for endpoint, scaffold in (("static", app), *blueprints):
            if scaffold.static_folder and endpoint in app.view_functions:
                for rule in app.url_map.iter_rules(endpoint):
                    url = rule.rule.removesuffix("<path:filename>")
                    yield from ((f"{root}{url}", scaffold.static_folder) for root in roots)

    @made_once
    def renders(self) -> Renders:
        """What the pages need, if anybody wants to know."""
        return self.make_renders(self.images.urls)


class AppImages:
    """An app's kit, with the URLs of its cache files and its blueprints' folders and generators.

    Args:
        app: The app.
        generators: Registries that take precedence over those of the app's own modules.
        import_name: Where the workers of a queue import the app from.
    """

    def __init__(
        self, app: flask.Flask, generators: Iterable[GeneratorRegistry], import_name: str | None = None
    ) -> None:
        self.app = app
        self._found = GeneratorRegistry()
        self.kit = AppKit(self, settings_of(app), (*generators, self._found), import_name)
        self.urls = CacheFileUrls(app, self.kit)
        self._completing = threading.RLock()
        self._blueprints: set[str] = set()
        self._modules: set[str] = set()
        self._is_begun = False

    def kit_for_command(self) -> Kit:
        """Return the kit for a `flask imagekit` command, within an app context."""
        click.get_current_context().with_resource(self.app.app_context())
        self.complete()
        return self.kit

    def try_to_complete(self, sender: object = None, **_: Any) -> None:
        """Do what `complete` does, and log its errors."""
        try:
            self.complete()
        except Exception:
            logger.exception("The imagegenerators modules of %r cannot be imported", self.app.name)

    def complete(self) -> None:
        """Add the folders and generators of the app and of all its blueprints so far.

        Raises:
            Exception: Whatever importing an `imagegenerators` module raises.
        """
        # Flask does not allow new blueprints after the first request.
        if self._is_begun and len(self._blueprints) == len(self.app.blueprints):
            return
        with self._completing:
            self._discover(self.app)
            self._is_begun = True
            for name, blueprint in self.app.blueprints.items():
                if name not in self._blueprints:
                    self._discover(blueprint)
                    if blueprint.static_folder:
                        self.kit.add_source_prefix(name, blueprint.static_folder)
                    self._blueprints.add(name)

    def _discover(self, scaffold: Scaffold) -> None:
        module = _imported_module(scaffold.import_name, scaffold.root_path)
        if module is None or module.__name__ in self._modules:
            return
        registry = getattr(module, "generators", None)
        if isinstance(registry, GeneratorRegistry):
            for id in registry.get_ids():
                self._found.register(id, registry.find(id))
        self._modules.add(module.__name__)


def images_of(app: flask.Flask) -> AppImages:
    """Return what `init_app` made for an app, with all its blueprints so far.

    Raises:
        ImageKitError: `init_app` was not called.
    """
    kit = app.extensions.get("imagekit")
    if not isinstance(kit, AppKit):
        raise ImageKitError(f"The Flask app {app.name!r} has no ImageKit: call init_app(app) where the app is created.")
    kit.images.complete()
    return kit.images


def settings_of(app: flask.Flask) -> Settings:
    """Return the settings in an app's configuration; relative folders are relative to its `root_path`.

    Raises:
        InvalidSetting: A key with the prefix names no setting, or its value is unusable.
    """
    own = Settings.from_mapping(app.config, PREFIX)
    given = {key[len(PREFIX) :].lower() for key in app.config if key.startswith(PREFIX)}
    root, instance = Path(app.root_path), Path(app.instance_path)
    changes: dict[str, Any] = {
        "source_dirs": tuple(below(root, folder) for folder in own.source_dirs),
        "source_prefixes": tuple((prefix, below(root, folder)) for prefix, folder in own.source_prefixes),
        "location": root / own.location,
        "state_dir": root / own.state_dir,
    }
    defaults: dict[str, Any] = {
        "source_dirs": (app.static_folder,) if app.static_folder else (),
        "location": instance / "imagekit",
        "state_dir": instance / ".imagekit",
        "debug": app.debug,
        # A server's pages never end; a freezer says when it fetches one.
        "keep_notes": False,
    }
    changes |= {name: value for name, value in defaults.items() if name not in given}
    if "base_url" not in given:
        changes["base_url"] = CacheFileUrls.default_base_url(app, changes["location"])
    return own.replace(**changes)


def _imported_module(import_name: str, root_path: str) -> ModuleType | None:
    """Import the module `imagegenerators` beside an app or blueprint, and return it; None if there is none.

    Args:
        import_name: The app's or blueprint's module or package, as passed to Flask.
        root_path: Its folder.

    Raises:
        Exception: Whatever importing the module raises.
    """
    package = import_name if hasattr(sys.modules.get(import_name), "__path__") else import_name.rpartition(".")[0]
    name = f"{package}.{MODULE}" if package else MODULE
    spec = find_spec(name)
    # Without a package, it might be any module of that name on sys.path.
    if spec is None or (not package and Path(spec.origin or "").parent != Path(root_path)):
        return None
    return import_module(name)
