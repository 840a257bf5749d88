"""The side of a cache file that this library's engine sees, and the translation of its calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ... import cachefiles as core
from ...cachefiles.backends import CacheFileBackend
from ...cachefiles.references import Reference, reference_to
from ...cachefiles.strategies import Strategy
from ...cachefiles.warm import KnownFile
from ...interfaces import Storage
from ...once import made_once

if TYPE_CHECKING:
    from ..engine import DjangoKit


class EngineCacheFile(core.ImageCacheFile):
    """A cache file as the engine has it: each call that a project's own parts may answer goes to the Django file.

    Args:
        django_file: The `jinja_imagekit.django.cachefiles.ImageCacheFile`.
        kit: The kit.
    """

    _kit: DjangoKit

    def __init__(self, django_file: Any, kit: DjangoKit) -> None:
        super().__init__(None, kit=kit, generator_id=django_file.generator_id)
        self.django_file = django_file

    @made_once
    def generator(self) -> Any:
        """What makes the image."""
        return self.django_file.generator

    @made_once
    def name(self) -> str | None:
        """The file's name in its storage; None when the spec has no source."""
        name: str | None = self.django_file.name
        return name

    @made_once
    def reference(self) -> Reference | None:
        """What leads to the same file in another process; None where nothing does, as for an upload.

        Raises:
            NotRegistered: Nothing is registered under the generator's id.
            SourceError: The source cannot be found.
        """
        call = self.django_file.call
        if call is None:
            return None
        id, kwargs = call
        return reference_to(id, kwargs, self.source)

    @made_once
    def storage(self) -> Storage:
        """Where the file is kept."""
        storage: Storage = self._kit.engine_storage(self.django_file.storage)
        return storage

    @made_once
    def cachefile_backend(self) -> CacheFileBackend:
        """How the file is made."""
        return _DjangoBackend(self.django_file)

    @made_once
    def cachefile_strategy(self) -> Strategy:
        """When the file is made."""
        return _DjangoStrategy(self.django_file)

    @property
    def url(self) -> str:
        """The URL from which the site serves the file; the strategy may make it first.

        Raises:
            MissingSource: The spec has no source.
            ImageKitError: The image could not be made.
        """
        known = self._known()
        if known is not None:
            return known.url
        url = super().url
        if self.django_file.call is not None:
            self._kit.known_files.remember(self, self.django_file.call[1])
        return url

    @property
    def width(self) -> int:
        """Width in pixels."""
        known = self._known()
        return super().width if known is None else known.width

    @property
    def height(self) -> int:
        """Height in pixels."""
        known = self._known()
        return super().height if known is None else known.height

    def _known(self) -> KnownFile | None:
        call = self.django_file.call
        known: KnownFile | None = None if call is None else self._kit.known_files.find(*call)
        return known

    def rename(self) -> None:
        """Name the file anew, after its source has changed."""
        super().rename()
        self.django_file.rename()


class _DjangoStrategy(Strategy):
    """Sends Django's signals, and asks the strategy of the Django file."""

    _kit: DjangoKit

    def __init__(self, django_file: Any) -> None:
        self._file = django_file

    def on_existence_required(self, file: Any) -> None:
        self._file.require_existence()

    def on_content_required(self, file: Any) -> None:
        self._file.require_content()

    def on_source_saved(self, file: Any) -> None:
        self._file.call_strategy("on_source_saved")

    def should_verify_existence(self, file: Any) -> bool | None:
        verify: bool | None = self._file.call_strategy("should_verify_existence")
        return verify


class _DjangoBackend(CacheFileBackend):
    """Has the backend of the Django file do the work, which for `Simple` is the engine's again."""

    _kit: DjangoKit

    def __init__(self, django_file: Any) -> None:
        self._file = django_file
        self.is_async = bool(getattr(django_file.cachefile_backend, "is_async", False))

    def generate(self, file: Any, force: bool = False) -> None:
        self._file.cachefile_backend.generate(self._file, force)

    def exists(self, file: Any) -> bool:
        return bool(self._file.cachefile_backend.exists(self._file))
