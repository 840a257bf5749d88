"""`ImageCacheFile`: the result of a generator, made when the strategy says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

from markupsafe import Markup

from .. import images
from ..exceptions import InvalidOption, MissingSource, SourceError
from ..hashing import class_path
from ..html import img_tag
from ..interfaces import Size, Storage
from ..loading import load_instance
from ..once import made_once
from ..settings import Settings
from ..sources import Source, source_of
from ..specs import ImageSpec
from ..state import Record, Records
from .backends import CacheFileBackend
from .namers import default_name
from .references import Reference, reference_to
from .removal import Removal
from .sources import CacheFileSource
from .strategies import Strategy, load_strategy

if TYPE_CHECKING:
    from ..kit import ImageKit

__all__ = ["ImageCacheFile", "LazyImageCacheFile"]


class ImageCacheFile:
    """The file that holds a generator's result. Nothing is made until the strategy calls for it.

    Args:
        generator: What makes the image.
        name: The file's name; by default the generator's `cachefile_name`, or what the setting `cachefile_namer` says.
        storage: Where the file is kept.
        cachefile_backend: How it is made.
        cachefile_strategy: When it is made: a strategy, its class, a dotted path or a dict of hooks.
        kit: The kit; `kit.cachefile_of(generator)` passes it.
        generator_id: The id under which the generator is registered, if any.
    """

    generator_id: str | None
    _parts: Mapping[str, Any] = {}
    """What was given instead of what the generator or the kit would say."""
    made: Record | None = None
    """What was made, where this object made it; whoever asks the store as well learns of what came later."""

    def __init__(
        self,
        generator: Any,
        name: str | None = None,
        storage: Storage | None = None,
        cachefile_backend: Any = None,
        cachefile_strategy: Any = None,
        *,
        kit: ImageKit,
        generator_id: str | None = None,
    ) -> None:
        self._kit = kit
        self.generator_id = generator_id
        parts = {"name": name, "storage": storage, "cachefile_backend": cachefile_backend}
        if cachefile_strategy is not None:
            parts["cachefile_strategy"] = load_strategy(cachefile_strategy)
        self._parts = {part: value for part, value in parts.items() if value is not None}
        self.__dict__.update(self._parts)
        if generator is not None:
            self.__dict__["generator"] = generator

    @made_once
    def generator(self) -> Any:
        """What makes the image."""
        raise NotImplementedError

    @made_once
    def name(self) -> str | None:
        """The file's name in its storage; None if the spec has no source."""
        if hasattr(type(self.generator), "cachefile_name") or hasattr(self.generator, "cachefile_name"):
            name: str | None = self.generator.cachefile_name
            return name
        return default_name(self.generator, self._kit.settings)

    @made_once
    def storage(self) -> Storage:
        """Where the file is kept."""
        return self._kit.load_storage(getattr(self.generator, "cachefile_storage", None))

    @made_once
    def cachefile_backend(self) -> CacheFileBackend:
        """How the file is made."""
        own = load_instance("cachefile_backend", getattr(self.generator, "cachefile_backend", None))
        return own or self._kit.cachefile_backend

    @made_once
    def cachefile_strategy(self) -> Strategy:
        """When the file is made."""
        own = getattr(self.generator, "cachefile_strategy", None)
        return load_strategy(own) if own is not None else self._kit.cachefile_strategy

    @property
    def source(self) -> Source | None:
        """The generator's source, or None."""
        source = source_of(self.generator)
        return source if isinstance(source, Source) else None

    @property
    def records(self) -> Records:
        """What is known about cache files."""
        return self._kit.records

    @property
    def settings(self) -> Settings:
        """The kit's settings."""
        return self._kit.settings

    @property
    def kit_import_name(self) -> str | None:
        """Where other processes import the kit from, as `"module:attribute"`."""
        return self._kit.import_name

    @property
    def url(self) -> str:
        """The URL from which the site serves the file; the strategy may make the file first.

        Raises:
            MissingSource: The spec has no source.
            ImageKitError: The image could not be made.
        """
        return self.storage.url(self._existing_name())

    @property
    def path(self) -> str:
        """The file's path on this machine; the strategy may make the file first.

        Raises:
            MissingSource: The spec has no source.
            InvalidOption: The storage keeps no files on this machine.
            ImageKitError: The image could not be made.
        """
        path = self.storage.path(self._existing_name())
        if path is None:
            raise InvalidOption("path", self.name, "the storage keeps no files on this machine; use url or open()")
        return path

    @property
    def width(self) -> int:
        """Width in pixels."""
        return self._size()[0]

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self._size()[1]

    @property
    def size(self) -> int:
        """Size in bytes."""
        return self._record().size

    @property
    def format(self) -> str:
        """Format, by Pillow's name."""
        return self.promised_format or self._record().format

    @property
    def mimetype(self) -> str:
        """Media type, such as "image/webp"."""
        promised = self.promised_format
        return images.mimetype(promised) if promised else self._record().mimetype

    @property
    def promised_size(self) -> Size | None:
        """Width and height in pixels that the strategy promises without looking at the file; None for no promise."""
        self._named()
        return self.cachefile_strategy.promised_size(self)

    @property
    def promised_format(self) -> str | None:
        """The format that the strategy promises without looking at the file, by Pillow's name; None for no promise."""
        self._named()
        return self.cachefile_strategy.promised_format(self)

    @property
    def reference(self) -> Reference | None:
        """What leads to the same file in a later run; None for an unregistered generator."""
        return None

    def as_dict(self) -> dict[str, Any]:
        """Return what a page shows, for JSON: `url`, and `width` and `height` in pixels.

        Raises:
            ImageKitError: The image could not be made.

        Example:
            >>> hero = kit.cachefile("blog:hero", source="photos/canal.jpg")  # doctest: +SKIP
            >>> hero.as_dict()  # doctest: +SKIP
            {'url': '/CACHE/images/photos/canal/5ff3.webp', 'width': 1200, 'height': 500}
        """
        return {"url": self.url, "width": self.width, "height": self.height}

    def open(self) -> BinaryIO:
        """Return the file, open for reading; the caller closes it.

        Raises:
            MissingSource: The spec has no source.
            ImageKitError: The image could not be made, or is missing.
        """
        self._named()
        self.cachefile_strategy.on_content_required(self)
        self._kit.renders.note(self, served=False)
        return self.storage.open(self._named())

    def read(self) -> bytes:
        """Return the file's content.

        Raises:
            ImageKitError: As `open`.
        """
        with self.open() as file:
            return file.read()

    def generate(self, force: bool = False) -> None:
        """Make the file unless it exists; with `force`, make it again.

        Raises:
            MissingSource: The spec has no source.
            ImageKitError: The image could not be made.
        """
        self._named()
        self.cachefile_backend.generate(self, force)

    def promise(self) -> bool:
        """Keep what leads to the file, so that the host's route makes it when it is first asked for.

        Returns:
            Whether that is possible; otherwise nothing would make the file later.
        """
        return self._kit.promises.keep(self)

    def delete(self) -> None:
        """Delete the file and forget what is known about it; do nothing if there is none.

        Raises:
            StorageError: The file cannot be deleted.
        """
        if self.name:
            with Removal(self._kit, self.source) as removal:
                removal.delete(self.storage, self.name)

    def rename(self) -> None:
        """Rename the file after its source has changed; an explicit name is kept."""
        if "name" not in self._parts:
            self.__dict__.pop("name", None)

    # Jinja's sandbox refuses to call what alters data.
    generate.alters_data = True  # type: ignore[attr-defined]  # functions take attributes
    delete.alters_data = True  # type: ignore[attr-defined]

    def imagekit_source(self) -> Source | None:
        """Return this file as the source of another spec."""
        return CacheFileSource(self) if self.name else None

    def missing_source(self) -> MissingSource:
        """Return the error of a file whose generator has no source."""
        return MissingSource(self.generator_id or class_path(self.generator))

    def _named(self) -> str:
        if not self.name:
            raise self.missing_source()
        return self.name

    def _existing_name(self) -> str:
        self._named()
        self.cachefile_strategy.on_existence_required(self)
        # Files in another storage are served from there.
        self._kit.renders.note(self, served=self.storage is self._kit.storage)
        # Asked again, since a source that is replaced while its image is made changes the file's name.
        return self._named()

    def _size(self) -> Size:
        promised = self.promised_size
        if promised is not None:
            return promised
        self.cachefile_strategy.on_content_required(self)
        backend = self.cachefile_backend
        if backend.is_async and isinstance(self.generator, ImageSpec) and not backend.exists(self):
            foreseen = self.generator.output_size()
            if foreseen is not None:
                return foreseen
        record = backend.record(self)
        return record.width, record.height

    def _record(self) -> Record:
        self._named()
        self.cachefile_strategy.on_content_required(self)
        return self.cachefile_backend.record(self)

    def __bool__(self) -> bool:
        if not self.name:
            return False
        self.cachefile_strategy.on_existence_required(self)
        verify = self.cachefile_strategy.should_verify_existence(self)
        if verify is None:
            verify = self.cachefile_backend.is_async
        return self.cachefile_backend.exists(self) if verify else True

    def __html__(self) -> Markup:
        return img_tag(self.url, self.width, self.height)

    def __str__(self) -> str:
        return self._label()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._label()}>"

    def _label(self) -> str:
        return self.__dict__.get("name") or self._description()

    def _description(self) -> str:
        return self.generator_id or class_path(self.__dict__.get("generator"))

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore_cachefile, (self._kit, self.generator, self._parts, self.generator_id)


class LazyImageCacheFile(ImageCacheFile):
    """A cache file that creates even its generator only when it is used.

    Args:
        generator_id: The id of a registered generator.
        kit: The kit; `kit.cachefile(id, …)` passes it.
        kwargs: The generator's keywords, or what returns them when they are needed.
    """

    def __init__(
        self, generator_id: str, *, kit: ImageKit, kwargs: dict[str, Any] | Callable[[], dict[str, Any]]
    ) -> None:
        # Spelt out: a page has one for each image.
        self._kit, self.generator_id, self._given = kit, generator_id, kwargs

    @property
    def _kwargs(self) -> dict[str, Any]:
        given = self._given
        if not isinstance(given, dict):
            given = self._given = given()
        return given

    @made_once
    def generator(self) -> Any:
        """What makes the image.

        Raises:
            NotRegistered: Nothing is registered under the id.
            SourceError: The source cannot be found.
        """
        try:
            return self._kit.generator(str(self.generator_id), **self._kwargs)
        except SourceError as error:
            error.generator_id = error.generator_id or self.generator_id
            raise

    @made_once
    def reference(self) -> Reference | None:
        """What leads to the same file in a later run; None where a keyword is not plain, such as an upload.

        Raises:
            NotRegistered: Nothing is registered under the id.
            SourceError: The source cannot be found.
        """
        return reference_to(str(self.generator_id), self._kwargs, self.source)

    def missing_source(self) -> MissingSource:
        """Return the error of a file whose generator has no source, with the reason where a template gave one."""
        return MissingSource(str(self.generator_id), getattr(self._kwargs.get("source"), "why", ""))

    def _description(self) -> str:
        source = self._kwargs.get("source")
        return f"{self.generator_id} of {source}" if isinstance(source, str) else str(self.generator_id)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore_lazy, (self._kit, self.generator_id, self._kwargs)


def _restore_cachefile(kit: ImageKit, generator: Any, parts: Mapping[str, Any], id: str | None) -> ImageCacheFile:
    return ImageCacheFile(generator, **parts, kit=kit, generator_id=id)


def _restore_lazy(kit: ImageKit, id: str, kwargs: dict[str, Any]) -> LazyImageCacheFile:
    return LazyImageCacheFile(id, kit=kit, kwargs=kwargs)
