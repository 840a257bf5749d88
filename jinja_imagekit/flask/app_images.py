"""One app's kit, and what the app's blueprints add to it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any

import click
import flask
from flask.sansio.scaffold import Scaffold

from ..builds.notes import Renders
from ..cachefiles.strategies import Deferred
from ..exceptions import ImageKitError
from ..kit import ImageKit as Kit
from ..once import made_once
from ..registry import GeneratorRegistry
from ..settings import Settings
from .config import settings_of
from .discovery import find_module, registry_in
from .serving import CacheFileRoute

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
        """Return the context of the app, in which the worker of a queue makes an image."""
        return self.images.app.app_context()

    @made_once
    def renders(self) -> Renders:
        """What the pages need, where anybody wants to know."""
        return Renders(self.settings, isinstance(self.cachefile_strategy, Deferred), self.images.route)


class AppImages:
    """One app's kit, with the route of its cache files, and with its blueprints' folders and generators.

    Args:
        app: The app.
        generators: Registries that go before what the app's own modules export.
        import_name: Where the workers of a queue import the app from.
    """

    def __init__(
        self, app: flask.Flask, generators: Iterable[GeneratorRegistry], import_name: str | None = None
    ) -> None:
        self.app = app
        self._found = GeneratorRegistry()
        self.kit = AppKit(self, settings_of(app), (*generators, self._found), import_name)
        self.route = CacheFileRoute(app, self.kit)
        self._completing = threading.RLock()
        self._blueprints: set[str] = set()
        self._modules: set[str] = set()
        self._is_begun = False

    def serve(self) -> None:
        """Add the route of the cache files."""
        self.route.add()

    def kit_for_command(self) -> Kit:
        """Return the kit for a command of `flask imagekit`, within a context of the app."""
        click.get_current_context().with_resource(self.app.app_context())
        self.complete()
        return self.kit

    def try_to_complete(self, sender: object = None, **_: Any) -> None:
        """Do what `complete` does where nobody could be told of an error: it is logged."""
        try:
            self.complete()
        except Exception:
            logger.exception("The imagegenerators modules of %r cannot be imported", self.app.name)

    def complete(self) -> None:
        """Take in the folders and generators of the app and of all blueprints that it has by now.

        Raises:
            Exception: Whatever importing an `imagegenerators` module raises.
        """
        # Flask lets nobody add a blueprint after the first request.
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
        module = find_module(scaffold.import_name, scaffold.root_path)
        if module is None or module.__name__ in self._modules:
            return
        registry = registry_in(module)
        if registry is not None:
            for id in registry.get_ids():
                self._found.register(id, registry.find(id))
        self._modules.add(module.__name__)


def images_of(app: flask.Flask) -> AppImages:
    """Return what `init_app` made for an app, with everything that the app has by now.

    Raises:
        ImageKitError: It made nothing.
    """
    kit = app.extensions.get("imagekit")
    if not isinstance(kit, AppKit):
        raise ImageKitError(f"The Flask app {app.name!r} has no ImageKit: call init_app(app) where it is made.")
    kit.images.complete()
    return kit.images
