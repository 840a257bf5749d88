"""The parts of a kit: its registries, and what its settings name, each made when it is first asked for."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from .cachefiles.backends import CacheFileBackend
from .cachefiles.known import KnownFiles
from .cachefiles.memory import RecordedSourceMemory
from .cachefiles.strategies import Strategy, load_strategy
from .exceptions import InvalidSetting
from .generatorlibrary import library
from .images import Limits, PixelRules
from .interfaces import StateStore, Storage
from .loading import load, load_instance
from .once import made_once
from .registry import CacheFileRegistry, GeneratorRegistry, Register, SourceGroupRegistry, Unregister
from .renders import Renders
from .settings import Settings
from .sources import SourceFinder
from .specs import ImageSpec
from .state import Records
from .storage import FileSystemStorage


class KitParts:
    """What a kit owns.

    Args:
        settings: The kit's settings.
        generators: Registries of packages that ship specs; the kit's own registrations go before them.
        import_name: Where other processes import the kit from, as `"module:attribute"`.

    Raises:
        InvalidSetting: A setting's value is unusable.
    """

    def __init__(
        self, settings: Settings, generators: Iterable[GeneratorRegistry] = (), import_name: str | None = None
    ) -> None:
        self.settings = settings
        self.import_name = import_name
        self._limits = Limits.from_settings(settings)
        # What is wrong with the settings of pixels is told here, and not by the first image.
        PixelRules.from_settings(settings)
        self._making = threading.RLock()
        self._parents = tuple(generators)
        self.generators = GeneratorRegistry((*self._parents, library()))
        self.source_groups = SourceGroupRegistry()
        self.cachefile_registry = CacheFileRegistry()
        registries = (self.generators, self.source_groups, self.cachefile_registry)
        self.register = Register(*registries)
        self.unregister = Unregister(*registries)

    @made_once
    def storage(self) -> Storage:
        """The storage of cache files that have none of their own."""
        own = load_instance("default_file_storage", self.settings.default_file_storage)
        return own or FileSystemStorage.from_settings(self.settings)

    @made_once
    def records(self) -> Records:
        """What is known of cache files and sources."""
        return Records.from_settings(self._state_store(), self.settings)

    @made_once
    def cachefile_backend(self) -> CacheFileBackend:
        """The backend of cache files that have none of their own."""
        backend = load_instance("default_cachefile_backend", self.settings.default_cachefile_backend)
        if not isinstance(backend, CacheFileBackend):
            raise InvalidSetting("default_cachefile_backend", f"must be a CacheFileBackend, not {backend!r}")
        return backend

    @made_once
    def cachefile_strategy(self) -> Strategy:
        """The strategy of cache files that have none of their own."""
        return load_strategy(self.settings.default_cachefile_strategy)

    @made_once
    def sources(self) -> SourceFinder:
        """Finds sources by what a template calls them."""
        memory = RecordedSourceMemory(self.records)
        return SourceFinder(self.settings.source_dirs, self._limits, memory, self.settings.source_prefixes)

    @made_once
    def known_files(self) -> KnownFiles:
        """Answers that hold as long as two stats say so."""
        known = KnownFiles(self)
        self.generators.on_change(known.forget)
        return known

    @made_once
    def renders(self) -> Renders:
        """What the pages need: noted while they render, and kept when `finish()` is called."""
        return Renders(self.settings)

    def _state_store(self) -> StateStore:
        store = load("state_store", self.settings.state_store)
        made: StateStore = store(self.settings) if callable(store) else store
        return made

    def generator(self, id: str, /, **kwargs: Any) -> Any:
        """Return the generator of an id, made with these keywords; `source` may be all that a template may pass.

        Raises:
            NotRegistered: Nothing is registered under the id; the message suggests the nearest.
            InvalidOption: A generator itself is registered, which takes no keywords.
            SourceError: The source cannot be found.
        """
        if "source" in kwargs and id in self.generators:
            kwargs["source"] = self.sources.find(kwargs["source"])
        return self._bind(self.generators.get(id, **kwargs))

    def registered(self, id: str) -> Any:
        """Return what is registered under an id: a class or callable that makes a generator, or a generator.

        Raises:
            NotRegistered: Nothing is; the message suggests the nearest id.
        """
        return self.generators.find(id)

    def _bind(self, generator: Any) -> Any:
        if isinstance(generator, ImageSpec):
            generator.settings = self.settings
        return generator

    def sweep(self) -> None:
        """Delete what dead writers left in the storage, where it can tell."""
        sweep = getattr(self.__dict__.get("storage"), "sweep", None)
        if sweep is not None:
            sweep()
