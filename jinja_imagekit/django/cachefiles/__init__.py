"""Cache files as Django files, made when a strategy says so."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.core.files.images import ImageFile
from django.db.models.fields.files import FieldFile

from ...cachefiles.backends import Simple as EngineBackend
from ...exceptions import ImageKitError
from ...ext.error_places import add_place
from ...hashing import class_path
from ...once import made_once
from ...pictures.plan import with_own_focus
from ...sources import Source
from ...stand_ins import StandIn, covers, stand_in
from .._engine.authored import with_focus
from .._engine.cachefile import DJANGO_PARTS, EngineCacheFile
from .._engine.current import get_kit
from ..files import BaseIKFile
from ..registry import generator_registry
from ..signals import content_required, existence_required
from ..utils import generate, get_by_qname, get_logger, get_singleton, get_storage
from .strategies import OnRequest, load_strategy

__all__ = [
    "ImageCacheFile",
    "LazyImageCacheFile",
    "generate",
    "generator_registry",
    "get_by_qname",
    "get_logger",
    "get_singleton",
    "load_strategy",
]


def _part(name: str, doc: str) -> Any:
    """Return an attribute that the engine's file works out when first needed, and that may be set."""

    def get(file: ImageCacheFile) -> Any:
        return getattr(file.engine, DJANGO_PARTS[name])

    def put(file: ImageCacheFile, value: Any) -> None:
        file.given[name] = value
        file.has_own_parts = True
        file.engine.put(name, value)

    return property(get, put, doc=doc)


class ImageCacheFile(BaseIKFile, ImageFile):
    """The file that holds a generator's result. Nothing is made until the strategy calls for it.

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

    is_base = True

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
        self._engine: EngineCacheFile | None = None
        self._stand_in: StandIn | None = None
        self.on_error: str | None = None
        self.generator_id = generator_id
        parts = {
            "generator": generator,
            "storage": storage() if callable(storage) else storage,
            "cachefile_backend": cachefile_backend,
            "cachefile_strategy": None if cachefile_strategy is None else load_strategy(cachefile_strategy),
            "name": name or None,
        }
        self.given = {part: value for part, value in parts.items() if value is not None}
        self.has_own_parts = False
        if generator is not None and not name:
            self._name_while_open()

    def _name_while_open(self) -> None:
        # An open file may be closed and gone by the time the name is asked for.
        source = getattr(self.generator, "source", None)
        if getattr(source, "closed", True) is False and not isinstance(source, FieldFile):
            with suppress(ImageKitError):
                _ = self.name

    generator = _part("generator", "What makes the image.")
    storage = _part("storage", "The Django storage that keeps the file.")
    cachefile_backend = _part("cachefile_backend", "How the file is made.")
    cachefile_strategy = _part("cachefile_strategy", "When the file is made.")
    name = _part("name", "The file's name in its storage; None when the spec has no source.")

    @property
    def engine(self) -> EngineCacheFile:
        """The same file as the engine has it."""
        if self._engine is None:
            self._engine = EngineCacheFile(self, get_kit())
        return self._engine

    def make_generator(self) -> Any:
        """Return what makes the image, if it was not given."""
        raise NotImplementedError

    @property
    def call(self) -> tuple[str, dict[str, Any]] | None:
        """The generator's id and keywords, if these alone lead to the file."""
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

    @property
    def width(self) -> int:
        """Width in pixels; the strategy may make the file first.

        Raises:
            MissingSource: The spec has no source.
            ImageKitError: The image could not be made.
        """
        width: int = self._or_stand_in("width")
        return width

    @property
    def height(self) -> int:
        """Height in pixels; see `width`."""
        height: int = self._or_stand_in("height")
        return height

    def _get_image_dimensions(self) -> tuple[int, int]:
        # Django's ImageFile would open the file.
        return self.width, self.height

    def _or_stand_in(self, field: str) -> Any:
        known = get_kit().known_files.find(*self.call) if self.call is not None else None
        if known is not None:
            return getattr(known, field)
        if self._stand_in is None:
            try:
                return self.engine.look_up(field)
            except ImageKitError as error:
                self._replace(error)
        return getattr(self._stand_in, field)

    def _replace(self, error: ImageKitError) -> None:
        add_place(error, generator_id=self.generator_id)
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
        if force:
            # The open file is the one that was replaced.
            self.close()

    def delete(self) -> None:
        """Delete the file and forget what is known about it; do nothing if there is none.

        Raises:
            SourceError: The source, whose content is part of the name, cannot be read.
            StorageError: The file cannot be deleted.
        """
        self.close()
        self.engine.delete()

    # Templates refuse to call what alters data.
    generate.alters_data = True  # type: ignore[attr-defined]  # functions take attributes
    delete.alters_data = True  # type: ignore[attr-defined]

    def _generate(self) -> None:
        # A project's own backends call this to have the file made here and now.
        EngineBackend().make(self.engine)

    def require_existence(self) -> None:
        """Tell receivers and the strategy that the file's URL, path or truth is asked for."""
        existence_required.send(sender=self, file=self)
        strategy = self.cachefile_strategy
        # What it keeps is the engine's.
        strategy.on_existence_required(self.engine if isinstance(strategy, OnRequest) else self)

    def require_content(self) -> None:
        """Tell receivers and the strategy that the file's content is asked for."""
        content_required.send(sender=self, file=self)
        self.cachefile_strategy.on_content_required(self)

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
        return f"<ImageCacheFile: {self._known_name() or self._description()}>"

    def _description(self) -> str:
        """Return what the file is to be, without finding out what it is called."""
        generator = self.given.get("generator")
        source = getattr(generator, "source", None)
        return f"{class_path(generator)} of {source}" if source else "None"

    def _known_name(self) -> str | None:
        # Checking a cache file's truth value would make it.
        name: str | None = self.given.get("name") if self._engine is None else self._engine.__dict__.get("name")
        return name

    def __getstate__(self) -> dict[str, Any]:
        given = {**self.given, "name": self._known_name()}
        # Storages need not be picklable, and the default one is found again through the settings.
        left_out = {"storage"} if given.get("storage") is get_storage() else set()
        given = {part: value for part, value in given.items() if value is not None and part not in left_out}
        return {**self.__dict__, "_file": None, "_engine": None, "given": given}


class LazyImageCacheFile(ImageCacheFile):
    """A cache file that creates even its generator only when it is used.

    Args:
        generator_id: The id of a registered generator.
        *args: The generator's positional arguments; queue workers cannot make such files.
        **kwargs: The generator's keywords.
    """

    is_base = True

    def __init__(self, generator_id: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(None, generator_id=generator_id)
        self.args = args
        self.kwargs = kwargs

    @property
    def call(self) -> tuple[str, dict[str, Any]] | None:
        """The generator's id and keywords, if these alone lead to the file."""
        return (str(self.generator_id), self._focused) if not self.has_own_parts and not self.args else None

    @made_once
    def _focused(self) -> dict[str, Any]:
        id = str(self.generator_id)
        return with_own_focus(get_kit(), id, with_focus(id, self.kwargs))

    def _description(self) -> str:
        source = self.kwargs.get("source")
        return f"{self.generator_id} of {source}" if source else "None"

    def make_generator(self) -> Any:
        """Return the generator of the id, made with these keywords.

        Raises:
            NotRegistered: Nothing is registered under the id.
        """
        kit, id = get_kit(), str(self.generator_id)
        return kit.registered(id)(*self.args, **self.kwargs) if self.args else kit.generator(id, **self._focused)
