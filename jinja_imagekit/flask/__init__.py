"""The Flask extension: a kit for each app, the route for its cache files, and its commands."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any
from weakref import WeakSet

import flask

from ..cli import commands
from ..exceptions import ImageKitError
from ..interfaces import SourceGroup
from ..kit import ImageKit as Kit
from ..registry import CacheFiles, GeneratorRegistry
from ..specs import ImageSpec, spec_class
from .app import AppImages, images_of

__all__ = ["ImageKit"]

logger = logging.getLogger("jinja_imagekit.flask")


class ImageKit:
    """Gives each Flask app a kit of its own, at `app.extensions["imagekit"]`.

    The settings are those of `Settings`, in `app.config`, in capitals and prefixed with `IMAGEKIT_`; relative folders
    are relative to the app's `root_path`. By default, sources are looked up in the app's static folder, and cache
    files and state are kept in its instance folder. Each blueprint's static folder is a source folder under the
    blueprint's name: `shop/hat.jpg`.

    What is registered here is available in every app, added before or after. Modules named `imagegenerators`, next to
    the app and next to each blueprint, are imported before the first request; a registry named `generators` in such a
    module is added to the app.

    Args:
        app: An app, if there is only one; otherwise call `init_app` for each.
        generators: Registries of packages that ship specs.
        import_name: Where a queue's workers import the app from, as `"mysite:app"` or `"mysite:create_app"`.

    Example:
        >>> app = flask.Flask("mysite")
        >>> images = ImageKit(app)
        >>> @images.register.generator("blog:card")
        ... class Card(ImageSpec):
        ...     format = "WEBP"
        >>> "blog:card" in app.extensions["imagekit"].generators
        True
    """

    def __init__(
        self,
        app: flask.Flask | None = None,
        *,
        generators: Iterable[GeneratorRegistry] = (),
        import_name: str | None = None,
    ) -> None:
        self._import_name = import_name
        self.generators = GeneratorRegistry()
        self.register = SharedRegister(self.generators)
        self._parents = tuple(generators)
        if app is not None:
            self.init_app(app)

    def init_app(self, app: flask.Flask) -> None:
        """Give an app its kit, the tags in its templates, the route of its cache files, and `flask imagekit`.

        Blueprints may be registered before or after.

        Raises:
            ImageKitError: The app already has a kit.
            InvalidSetting: A setting is unknown, or its value unusable.
        """
        if "imagekit" in app.extensions:
            raise ImageKitError(
                f"The Flask app {app.name!r} already has an ImageKit: pass the app to ImageKit(…) or call "
                f"init_app(app), but only once."
            )
        images = AppImages(app, (self.generators, *self._parents), self._import_name)
        app.extensions["imagekit"] = images.kit
        self.register.share_with(images.kit)
        images.kit.install(app.jinja_env)
        images.urls.add_route()
        app.cli.add_command(commands(images.kit_for_command))
        # The signal reaches scripts that push a context; if importing fails, a request will say so.
        flask.appcontext_pushed.connect(images.try_to_complete, app)
        app.before_request(images.complete)

    @property
    def kit(self) -> Kit:
        """The current app's kit.

        Raises:
            ImageKitError: The current app has none.
            RuntimeError: There is no current app (Flask's own error).
        """
        return images_of(flask.current_app).kit

    def spec(self, id: str, /, **attributes: Any) -> type[ImageSpec]:
        """Register a spec class that is made from keywords alone, for every app, and return it.

        Args:
            id: The id to register it under.
            **attributes: Attributes of `ImageSpec`.

        Raises:
            InvalidOption: `ImageSpec` has no such attribute.
            AlreadyRegistered: The id is taken.
        """
        return self.generators.register(id, spec_class(attributes))


class SharedRegister:
    """Like `kit.register`, but for the kits of all apps.

    Args:
        generators: The registry that each kit has as a parent.
    """

    def __init__(self, generators: GeneratorRegistry) -> None:
        self.generator = generators.register
        self._source_groups: list[tuple[str, SourceGroup]] = []
        self._cachefiles: list[tuple[str, CacheFiles]] = []
        self._kits: WeakSet[Kit] = WeakSet()

    def source_group(self, generator_id: str, source_group: SourceGroup) -> None:
        """Register a group of sources for a generator; see `kit.register.source_group`."""
        self._source_groups.append((generator_id, source_group))
        for kit in self._kits:
            kit.register.source_group(generator_id, source_group)

    def cachefiles(self, generator_id: str, cachefiles: CacheFiles) -> None:
        """Register cache files for pregeneration to make; see `kit.register.cachefiles`."""
        self._cachefiles.append((generator_id, cachefiles))
        for kit in self._kits:
            kit.register.cachefiles(generator_id, cachefiles)

    def share_with(self, kit: Kit) -> None:
        """Register everything with one more kit, now and in future."""
        self._kits.add(kit)
        for generator_id, source_group in self._source_groups:
            kit.register.source_group(generator_id, source_group)
        for generator_id, cachefiles in self._cachefiles:
            kit.register.cachefiles(generator_id, cachefiles)
