"""Translates the `IMAGEKIT_…` settings of `pelicanconf.py`, once per run."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from ..exceptions import ImageKitError, InvalidSetting, nearest
from ..kit import ImageKit
from ..loading import load
from ..registry import GeneratorRegistry
from ..settings import Settings, below
from .pages import SiteLinks

PREFIX = "IMAGEKIT_"

OWN_SETTINGS = ("CLASSES", "GENERATORS", "SPECS")
"""The plugin's own settings; all others are the kit's."""


class SiteOptions(NamedTuple):
    """What `pelicanconf.py` says about images.

    Attributes:
        settings: The kit's settings.
        generators: Registries of packages that ship specs.
        specs: The site's own specs by id: classes, generators, or dicts of a spec's attributes.
        classes: What is made of an `<img>` in an article, by its class name.
    """

    settings: Settings
    generators: tuple[GeneratorRegistry, ...]
    specs: Mapping[str, Any]
    classes: Mapping[str, Any]

    @classmethod
    def from_pelican(cls, config: Mapping[str, Any]) -> SiteOptions:
        """Return the options that Pelican's settings hold.

        Args:
            config: Pelican's settings.

        Raises:
            InvalidSetting: A setting is unknown (the message says which is nearest), or its value unusable.
        """
        values = {key.removeprefix(PREFIX): config[key] for key in config if key.startswith(PREFIX)}
        own = {name: values.pop(name, None) for name in OWN_SETTINGS}
        return cls(
            _kit_settings(config, values),
            tuple(map(_registry, _listed("GENERATORS", own["GENERATORS"]))),
            _by_name("SPECS", own["SPECS"]),
            _by_name("CLASSES", own["CLASSES"]),
        )

    def make_kit(self) -> ImageKit:
        """Return a new kit with the site's generators.

        Raises:
            ImageKitError: A spec cannot be registered.
        """
        kit = ImageKit(self.settings, generators=self.generators)
        for id, spec in self.specs.items():
            if isinstance(spec, Mapping):
                kit.spec(id, **spec)
            else:
                kit.register.generator(id, spec)
        return kit


def _kit_settings(config: Mapping[str, Any], values: Mapping[str, Any]) -> Settings:
    known = [name.upper() for name in Settings.names()]
    for name in values:
        if name not in known:
            suggestion = nearest(PREFIX + name, [PREFIX + each for each in (*known, *OWN_SETTINGS)])
            raise InvalidSetting(PREFIX + name, f"there is no such setting. {suggestion}")
    content = Path(os.path.abspath(config["PATH"]))
    cache = Path(config["CACHE_PATH"], "imagekit")
    links = SiteLinks(config)
    defaults = {
        # Not in the output folder, which Pelican may delete; files are published from here into it.
        "location": cache / "files",
        "state_dir": cache / "state",
        "base_url": links.base_url,
        "site_url": links.site_url,
        "default_cachefile_strategy": "jinja_imagekit.cachefiles.strategies.Deferred",
        # A site without a URL is one that is still being worked on.
        "debug": not config.get("SITEURL"),
    }
    given = {name.lower(): value for name, value in values.items()}
    if given.get("urls") == "relative":
        # Which page a template renders is known when the page is written.
        del given["urls"]
    further = given.pop("source_dirs", ())
    settings = Settings.from_keywords({**defaults, **given, "source_dirs": further})
    folders = [content, *(below(content, each) for each in settings.source_dirs)]
    return settings.replace(source_dirs=tuple(dict.fromkeys(folders)))


def _listed(name: str, value: Any) -> Iterable[Any]:
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)):
        raise InvalidSetting(PREFIX + name, f"must be a list, not {value!r}")
    return value


def _by_name(name: str, value: Any) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise InvalidSetting(PREFIX + name, f"must be a dict with strings as keys, not {value!r}")
    return value


def _registry(entry: Any) -> GeneratorRegistry:
    """Return the registry that an entry of `IMAGEKIT_GENERATORS` is or names."""
    found = _imported(entry) if isinstance(entry, str) else entry
    if not isinstance(found, GeneratorRegistry):
        raise InvalidSetting(
            f"{PREFIX}GENERATORS",
            f"{entry!r} is not a GeneratorRegistry, nor a module that has one as its attribute 'generators'",
        )
    return found


def _imported(path: str) -> Any:
    setting = f"{PREFIX}GENERATORS"
    try:
        module = import_module(path)
    except ModuleNotFoundError as error:
        if not error.name or not f"{path}.".startswith(f"{error.name}."):
            raise ImageKitError(f"{setting}: importing {path!r} failed: {error}") from error
        return load(setting, path)
    return getattr(module, "generators", module)
