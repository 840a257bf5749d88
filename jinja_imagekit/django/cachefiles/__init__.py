"""Cache files as Django files: images that may not exist yet, and are made when a strategy says so."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.core.files.images import ImageFile
from django.db.models.fields.files import FieldFile

from ...cachefiles.backends import Simple as EngineBackend
from ...exceptions import ImageKitError
from ...loading import load
from ...sources import Source
from ...stand_ins import StandIn, covers, stand_in
from .. import conf
from ..current import get_kit
from ..files import BaseIKFile
from ..signals import content_required, existence_required
from ..utils import get_storage
from .backends import get_default_cachefile_backend, load_backend
from .engine import EngineCacheFile
from .strategies import Strategy, load_strategy

__all__ = ["ImageCacheFile", "LazyImageCacheFile"]


def _part(name: str, doc: str) -> Any:
    """Return an attribute of cache files that is worked out when it is first asked for, and may be set."""

    def get(file: ImageCacheFile) -> Any:
        return file._part(name)

    def put(file: ImageCacheFile, value: Any) -> None:
        file._set_part(name, value)

    return property(get, put, doc=doc)


class ImageCacheFile(BaseIKFile, ImageFile):
    """A file with the result of a generator. Nothing is made before the strategy finds it necessary.

    Args:
        generator: What makes the image.
        name: The file's name; by default the generator's `cachefile_name`, or what the namer says.
        storage: The Django storage that keeps the file, or a callable that returns it.
        cachefile_backend: How it is made.
        cachefile_strategy: When it is made.
        generator_id: The id under which the generator is registered, for errors.

    Attributes:
        on_error: The policy for an image that cannot be made; None for the setting `IMAGEKIT_ON_ERROR`.
    """

    def __init__(
        self,
        generator: Any,
        name: str | None = None,
        storage: Any = None,
        cachefile_backend: Any = None,
        cachefile_strategy: Any = None,
        *,
        generator_id: str | None = None,
    ) -> None:
        self._file = None
        self._is_named_by_generator = True
        self._stand_in: StandIn | None = None
        self.on_error: str | None = None
        self.generator_id = generator_id
        given = {"storage": storage() if callable(storage) else storage, "cachefile_backend": cachefile_backend}
        self._parts = {key: value for key, value in given.items() if value is not None}
        if cachefile_strategy is not None:
            self._parts["cachefile_strategy"] = load_strategy(cachefile_strategy)
        if generator is not None:
            self._parts["generator"] = generator
            self._name_while_open()
        if name:
            self.name = name

    def _name_while_open(self) -> None:
        # An open file that is closed before the name is asked for may be gone by then.
        source = getattr(self.generator, "source", None)
        if getattr(source, "closed", True) is False and not isinstance(source, FieldFile):
            with suppress(ImageKitError):
                _ = self.name

    generator = _part("generator", "What makes the image.")
    storage = _part("storage", "The Django storage that keeps the file.")
    cachefile_backend = _part("cachefile_backend", "How the file is made.")
    cachefile_strategy = _part("cachefile_strategy", "When the file is made.")

    @property
    def name(self) -> str | None:
        """The file's name in its storage; None when the spec has no source.

        Raises:
            SourceError: The source cannot be read.
        """
        name: str | None = self._part("name")
        return name

    @name.setter
    def name(self, value: str | None) -> None:
        self._set_part("name", value)

    @property
    def engine(self) -> EngineCacheFile:
        """The same file as the engine has it."""
        engine: EngineCacheFile = self._part("engine")
        return engine

    @property
    def call(self) -> tuple[str, dict[str, Any]] | None:
        """The generator's id and keywords, where they alone lead to the file."""
        return None

    @property
    def url(self) -> str:
        """The URL from which the site serves the file; the strategy may make it first.

        Raises:
            MissingSource: The spec has no source.
            ImageKitError: The image could not be made.
        """
        url: str = self._or_stand_in("url")
        return url

    @property
    def path(self) -> str:
        """The file's path on this machine; the strategy may make it first.

        Raises:
            MissingSource: The spec has no source.
            InvalidOption: The storage keeps no files on this machine.
            ImageKitError: The image could not be made.
        """
        return self.engine.path

    @property
    def size(self) -> int:
        """Size in bytes."""
        return self.engine.size

    def _get_image_dimensions(self) -> tuple[int, int]:
        # Django's ImageFile takes width and height from here; the engine knows them without opening the file.
        return self._or_stand_in("width"), self._or_stand_in("height")

    def _or_stand_in(self, field: str) -> Any:
        known = get_kit().known_files.find(*self.call) if self.call is not None else None
        if known is not None:
            return getattr(known, field)
        if self._stand_in is None:
            try:
                return getattr(self.engine, field)
            except ImageKitError as error:
                self._replace(error)
        return getattr(self._stand_in, field)

    def _replace(self, error: ImageKitError) -> None:
        kit = get_kit()
        policy = self.on_error or kit.settings.on_error
        if not covers(policy, error):
            raise error
        kwargs = self.call[1] if self.call else {"source": getattr(self.generator, "source", None)}
        self._stand_in = stand_in(kit, self.engine, kwargs, error, policy)

    def generate(self, force: bool = False) -> None:
        """Make the file unless it exists; with `force`, make it again.

        Raises:
            MissingSource: The spec has no source.
            ImageKitError: The image could not be made.
        """
        self.engine.generate(force)

    def _generate(self) -> None:
        # Backends of a project's own call this to have the file made here and now.
        EngineBackend().make(self.engine)

    def require_existence(self) -> None:
        """Tell receivers and the strategy that the file's URL, path or truth is asked for."""
        existence_required.send(sender=self, file=self)
        self.call_strategy("on_existence_required")

    def require_content(self) -> None:
        """Tell receivers and the strategy that the file's content is asked for."""
        content_required.send(sender=self, file=self)
        self.call_strategy("on_content_required")

    def call_strategy(self, hook: str) -> Any:
        """Call a hook of the strategy, and return what it says."""
        return getattr(self.cachefile_strategy, hook)(self)

    def rename(self) -> None:
        """Name the file anew, after its source has changed."""
        self._parts.pop("name", None)

    def imagekit_source(self) -> Source | None:
        """Return this file as the source of another spec."""
        return self.engine.imagekit_source()

    def _require_file(self) -> None:
        self.require_content()

    def __bool__(self) -> bool:
        if self._stand_in is None:
            try:
                return bool(self.engine)
            except ImageKitError as error:
                self._replace(error)
        return self._stand_in is not None and self._stand_in.is_shown

    def __str__(self) -> str:
        # The admin prints files whose source may be gone.
        try:
            return self.name or ""
        except ImageKitError:
            return ""

    def __repr__(self) -> str:
        return f"<ImageCacheFile: {self._parts.get('name')}>"

    def __getstate__(self) -> dict[str, Any]:
        # Storages need not be picklable, and the default one is found again by the settings.
        left_out = {"engine"} | ({"storage"} if self._parts.get("storage") is get_storage() else set())
        parts = {name: value for name, value in self._parts.items() if name not in left_out}
        return {**self.__dict__, "_file": None, "_parts": parts}

    def _part(self, name: str) -> Any:
        if name not in self._parts:
            self._parts[name] = getattr(self, f"_find_{name}")()
        return self._parts[name]

    def _set_part(self, name: str, value: Any) -> None:
        self._parts[name] = value
        self._parts.pop("engine", None)
        self._is_named_by_generator = False

    def _find_engine(self) -> EngineCacheFile:
        return EngineCacheFile(self, get_kit())

    def _find_generator(self) -> Any:
        raise NotImplementedError

    def _find_name(self) -> str | None:
        generator = self.generator
        if hasattr(type(generator), "cachefile_name") or hasattr(generator, "cachefile_name"):
            name: str | None = generator.cachefile_name
            return name
        return str(load("cachefile_namer", conf.value("CACHEFILE_NAMER"))(generator))

    def _find_storage(self) -> Any:
        own = getattr(self.generator, "cachefile_storage", None)
        return get_storage() if own is None else conf.storage_of(own)

    def _find_cachefile_backend(self) -> Any:
        own = getattr(self.generator, "cachefile_backend", None)
        return get_default_cachefile_backend() if own is None else load_backend(own)

    def _find_cachefile_strategy(self) -> Strategy:
        own = getattr(self.generator, "cachefile_strategy", None)
        return load_strategy(conf.value("DEFAULT_CACHEFILE_STRATEGY") if own is None else own)


class LazyImageCacheFile(ImageCacheFile):
    """A cache file that makes even its generator only when it is used.

    Args:
        generator_id: The id of a registered generator.
        **kwargs: The generator's keywords.
    """

    def __init__(self, generator_id: str, **kwargs: Any) -> None:
        super().__init__(None, generator_id=generator_id)
        self.kwargs = kwargs

    @property
    def call(self) -> tuple[str, dict[str, Any]] | None:
        """The generator's id and keywords, where they alone lead to the file."""
        return (str(self.generator_id), self.kwargs) if self._is_named_by_generator else None

    def _find_generator(self) -> Any:
        return get_kit().generator(str(self.generator_id), **self.kwargs)
