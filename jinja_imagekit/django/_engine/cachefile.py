"""The engine's side of a cache file, and the translation of its calls to a project's own parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ... import cachefiles as core
from ...cachefiles.backends import CacheFileBackend
from ...cachefiles.references import Reference, reference_to
from ...cachefiles.strategies import JustInTime, OnRequest, Optimistic, Strategy, load_strategy
from ...interfaces import Size, Storage
from ...loading import load
from ...once import made_once
from .. import conf
from ..cachefiles.backends import Simple, get_default_cachefile_backend, load_backend
from ..signals import content_required, existence_required
from ..utils import get_storage

if TYPE_CHECKING:
    from ..cachefiles import ImageCacheFile
    from .kit import DjangoKit


DJANGO_PARTS = {
    "generator": "generator",
    "name": "name",
    "storage": "django_storage",
    "cachefile_backend": "django_cachefile_backend",
    "cachefile_strategy": "django_cachefile_strategy",
}
"""Parts of a Django file, and their attributes on the engine's file, two of which have other types."""


class EngineCacheFile(core.ImageCacheFile):
    """The engine's cache file, which finds its parts where Django's settings and the generator say.

    Only a project's own parts are reached through the Django file: its strategy, its backend, its signals.

    Args:
        django_file: The Django file, which knows which parts it was given.
        kit: The kit.
    """

    _kit: DjangoKit

    def __init__(self, django_file: ImageCacheFile, kit: DjangoKit) -> None:
        super().__init__(None, kit=kit, generator_id=django_file.generator_id)
        self.django_file = django_file
        for part, value in django_file.given.items():
            self.put(part, value)

    def put(self, part: str, value: Any) -> None:
        """Use a part of the Django file instead of the one from the settings or the generator."""
        self.__dict__.pop(part, None)
        self.__dict__[DJANGO_PARTS[part]] = value
        if part == "name":
            self._parts = {**self._parts, "name": value}

    @made_once
    def generator(self) -> Any:
        """What makes the image.

        Raises:
            NotRegistered: Nothing is registered under the generator's id.
        """
        return self.django_file.make_generator()

    @made_once
    def name(self) -> str | None:
        """The file's name in its storage; None when the spec has no source.

        Raises:
            SourceError: The source cannot be read.
        """
        generator = self.generator
        if hasattr(type(generator), "cachefile_name") or hasattr(generator, "cachefile_name"):
            name: str | None = generator.cachefile_name
            return name
        return str(load("cachefile_namer", conf.value("CACHEFILE_NAMER"))(generator))

    @made_once
    def reference(self) -> Reference | None:
        """What leads to the same file in another process; None if nothing does, as for an upload.

        Raises:
            NotRegistered: Nothing is registered under the generator's id.
            SourceError: The source cannot be found.
        """
        call = self.django_file.call
        return None if call is None else reference_to(*call, self.source)

    @made_once
    def django_storage(self) -> Any:
        """The Django storage that keeps the file."""
        own = getattr(self.generator, "cachefile_storage", None)
        return get_storage() if own is None else conf.storage_of(own)

    @made_once
    def storage(self) -> Storage:
        """Where the file is kept."""
        return self._kit.engine_storage(self.django_storage)

    @made_once
    def django_cachefile_backend(self) -> Any:
        """The Django file's backend."""
        own = getattr(self.generator, "cachefile_backend", None)
        return get_default_cachefile_backend() if own is None else load_backend(own)

    @made_once
    def cachefile_backend(self) -> CacheFileBackend:
        """How the file is made."""
        backend = self.django_cachefile_backend
        return self._kit.cachefile_backend if type(backend) is Simple else _DjangoBackend(self.django_file, backend)

    @made_once
    def django_cachefile_strategy(self) -> Strategy:
        """The Django file's strategy."""
        own = getattr(self.generator, "cachefile_strategy", None)
        return load_strategy(conf.value("DEFAULT_CACHEFILE_STRATEGY") if own is None else own)

    @property
    def cachefile_strategy(self) -> Strategy:
        """When the file is made; asked each time, since signal receivers come and go."""
        strategy = self.django_cachefile_strategy
        is_own = type(strategy) in (JustInTime, Optimistic, OnRequest) and vars(type(self.django_file)).get("is_base")
        return strategy if is_own and not has_receivers() else _DjangoStrategy(self.django_file)

    @property
    def url(self) -> str:
        """The URL from which the site serves the file; the strategy may make it first.

        Raises:
            MissingSource: The spec has no source.
            ImageKitError: The image could not be made.
        """
        url: str = self.find("url")
        return url

    @property
    def width(self) -> int:
        """Width in pixels."""
        width: int = self.find("width")
        return width

    @property
    def height(self) -> int:
        """Height in pixels."""
        height: int = self.find("height")
        return height

    def find(self, field: str) -> Any:
        """Return URL, width or height, from what is known about the generator's call, or else from the file itself."""
        call = self.django_file.call
        known = None if call is None else self._kit.known_files.find(*call)
        return self.look_up(field) if known is None else getattr(known, field)

    def look_up(self, field: str) -> Any:
        """Return URL, width or height of the file itself; the strategy may make it first."""
        value = getattr(super(), field)
        call = self.django_file.call
        if field == "url" and call is not None:
            self._kit.known_files.remember(self, call[1])
        return value


def has_receivers() -> bool:
    """Tell whether anybody wants to hear about each use of a cache file."""
    return bool(existence_required.receivers or content_required.receivers)


class _DjangoStrategy(Strategy):
    """Sends Django's signals, and asks the strategy of the Django file."""

    def __init__(self, django_file: ImageCacheFile) -> None:
        self._file = django_file

    def on_existence_required(self, file: core.ImageCacheFile) -> None:
        self._file.require_existence()

    def on_content_required(self, file: core.ImageCacheFile) -> None:
        self._file.require_content()

    def on_source_saved(self, file: core.ImageCacheFile) -> None:
        self._file.cachefile_strategy.on_source_saved(self._file)

    def should_verify_existence(self, file: core.ImageCacheFile) -> bool | None:
        verify: bool | None = self._file.cachefile_strategy.should_verify_existence(self._file)
        return verify

    def promised_size(self, file: core.ImageCacheFile) -> Size | None:
        size: Size | None = self._file.cachefile_strategy.promised_size(file)
        return size

    def promised_format(self, file: core.ImageCacheFile) -> str | None:
        format: str | None = self._file.cachefile_strategy.promised_format(file)
        return format


class _DjangoBackend(CacheFileBackend):
    """Has a backend that is not `Simple` do the work, with the Django file."""

    def __init__(self, django_file: ImageCacheFile, backend: Any) -> None:
        self._file = django_file
        self._backend = backend
        self.is_async = bool(getattr(backend, "is_async", False))

    def generate(self, file: core.ImageCacheFile, force: bool = False) -> None:
        self._backend.generate(self._file, force)

    def exists(self, file: core.ImageCacheFile) -> bool:
        return bool(self._backend.exists(self._file))
