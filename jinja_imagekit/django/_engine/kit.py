"""A Django project's kit, which puts its settings, storages, caches and registries together for the engine."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.core import mail
from django.core.files.storage import InMemoryStorage
from django.db.models.fields.files import FieldFile
from django.urls import NoReverseMatch, reverse

from ...cachefiles import ImageCacheFile as EngineFile
from ...cachefiles.backends import CacheFileBackend, leaves_existing
from ...cachefiles.backends import Simple as EngineBackend
from ...cachefiles.known import Glance, KnownFile, Made, Place
from ...cachefiles.promises import Promises
from ...cachefiles.warm import Form, KnownFiles
from ...exceptions import ImageKitError
from ...imageinfo import ImageFacts
from ...interfaces import SourceGroup, Storage
from ...kit import ImageKit
from ...once import made_once
from ...pregenerate import Outcome, Plan, Report
from ...pregenerate.plan import failed
from ...registry import CacheFileRegistry, Register, Unregister, make_generator
from ...sources import FileSource, Source, SourceFinder
from ...specs import ADAPTING_KEYWORDS, FOCUS_KEYWORD, is_fixed
from ...specs import ImageSpec as CoreSpec
from ...state import DiskStore, Records
from .. import conf
from ..cachefiles import ImageCacheFile, LazyImageCacheFile
from ..cachefiles.backends import Simple, get_default_cachefile_backend
from ..cachefiles.namers import BUILT_IN as BUILT_IN_NAMERS
from ..registry import cachefile_registry, generator_registry, source_group_registry
from ..specs import ImageSpec
from ..utils import get_storage
from .authored import FieldFacts, alt_of, focus_of, with_focus
from .cachefile import EngineCacheFile, has_receivers
from .caches import CacheStore
from .current import KIT, current, get_kit
from .sources import FieldSourceFinder, StoredName, StoredSource
from .state_folder import state_folder
from .storages import engine_storage, keeps_methods, unwrapped

ROUTE = "imagekit_cachefile"
"""The name of the route in `jinja_imagekit.django.urls`."""

REMOTE_TIMEOUT = 86_400
"""Seconds after which a storage elsewhere is asked again whether a file exists, unless a setting says otherwise."""


class DjangoKit(ImageKit):
    """A kit whose parts are those that Django's settings name, and whose registries are the process's."""

    def __init__(self) -> None:
        super().__init__(conf.kit_settings(), import_name=KIT)
        self._storages: dict[int, tuple[Any, Storage]] = {}
        self.generators = generator_registry
        self.source_groups = source_group_registry
        self.cachefile_registry = _EngineCacheFiles()
        self.register = Register(generator_registry, source_group_registry, cachefile_registry)
        self.unregister = Unregister(generator_registry, source_group_registry, cachefile_registry)

    @made_once
    def storage(self) -> Storage:
        """The storage of cache files that have none of their own."""
        return self.engine_storage(get_storage())

    @made_once
    def records(self) -> Records:
        """What is known about cache files and sources."""
        if conf.optional("STATE_STORE") is not None:
            return Records.from_settings(self._state_store(), self.settings)
        folder = None if self._is_forgotten else state_folder()
        if folder is not None:
            settings = self.settings.replace(state_dir=folder)
            if not self.storage.is_local and settings.cache_timeout is None:
                # Other machines, which do not share this folder, may delete files.
                settings = settings.replace(cache_timeout=REMOTE_TIMEOUT)
            return Records.from_settings(DiskStore.from_settings(settings), settings)
        # What is known about a file on a local disk is compared with the file itself, whatever its origin.
        kept = ("known:", "file:") if self.storage.is_local else ()
        cache = CacheStore(conf.value("CACHE_BACKEND"), self.settings.cache_prefix, kept)
        return Records.from_settings(cache, self.settings)

    @property
    def _is_forgotten(self) -> bool:
        """Whether the cache files are gone sooner than a folder: kept in memory, or elsewhere by a project's tests."""
        if self.storage.is_local:
            return False
        # Django's test runner, and nothing else that is meant to last, collects mails there.
        return isinstance(unwrapped(get_storage()), InMemoryStorage) or hasattr(mail, "outbox")

    @made_once
    def promises(self) -> Promises:
        """What leads to the files that are made on request, if the project has the route for it."""
        promises = Promises(self)
        with suppress(NoReverseMatch):
            reverse(ROUTE, args=["any"])
            promises.are_served = True
        return promises

    @made_once
    def cachefile_backend(self) -> CacheFileBackend:
        """The engine's backend; Django's are asked by each file."""
        return EngineBackend()

    @made_once
    def sources(self) -> SourceFinder:
        """Finds sources by what a template calls them, file fields among them."""
        dirs, prefixes = self._source_places()
        return FieldSourceFinder(
            dirs, self._limits, self.source_memory, prefixes, posters=self.posters, records=self.records
        )

    def served_folders(self) -> Iterator[tuple[str, str]]:
        """Yield the folders of static files and of uploads, and the URL that each begins at."""
        for prefix, folder in conf.static_folders():
            yield f"{settings.STATIC_URL}{prefix}", folder
        if settings.MEDIA_ROOT:
            yield settings.MEDIA_URL, str(settings.MEDIA_ROOT)

    @made_once
    def known_files(self) -> KnownFiles:
        """Answers that hold as long as two stats say so."""
        known = FieldKnownFiles(self)
        self.generators.on_change(known.forget)
        return known

    @made_once
    def image_facts(self) -> ImageFacts:
        """What is known about sources apart from their pixels; models say some of it about their files."""
        return FieldFacts(self)

    def load_storage(self, value: Any) -> Storage:
        """Return the engine's storage for what a spec's `cachefile_storage` names; the kit's for None."""
        return self.storage if value is None else self.engine_storage(conf.storage_of(value))

    def engine_storage(self, storage: Any) -> Storage:
        """Return the engine's storage for a Django storage, the same one each time."""
        # The storage is kept along with its id, which could otherwise become another's.
        known = self._storages.get(id(storage))
        if known is None:
            known = self._storages.setdefault(id(storage), (storage, engine_storage(storage)))
        return known[1]

    def generator(self, id: str, /, **kwargs: Any) -> Any:
        """Return the generator of an id, made with these keywords; Django's specs find their source themselves.

        Raises:
            NotRegistered: Nothing is registered under the id; the message suggests the nearest.
        """
        registered = self.registered(id)
        source = kwargs.get("source")
        if isinstance(source, Source) and isinstance(source.original, FieldFile) and not is_fixed(registered):
            # It may look at the model of the field.
            kwargs["source"] = source.original
        adapting = [name for name in ADAPTING_KEYWORDS if name in kwargs]
        if any(kwargs[name] is not None for name in adapting):
            return super().generator(id, **kwargs)
        for name in adapting:
            del kwargs[name]
        is_spec = isinstance(registered, type) and issubclass(registered, CoreSpec)
        if is_spec and not issubclass(registered, ImageSpec):
            # It is of a package that knows nothing of Django.
            return super().generator(id, **kwargs)
        return make_generator(id, registered, kwargs) if callable(registered) else registered

    def django_file(self, id: str, /, **kwargs: Any) -> LazyImageCacheFile:
        """Return the cache file of a generator as a Django file; nothing is opened before it is used."""
        return LazyImageCacheFile(id, **kwargs)

    def cachefile(self, id: str, /, **kwargs: Any) -> EngineCacheFile:  # type: ignore[override]  # see EngineCacheFile
        """Return the cache file of a generator as the engine has it; nothing is opened before it is used."""
        source = kwargs.get("source")
        if isinstance(source, Source) and isinstance(source.original, FieldFile):
            # Specs look at the model of the field that they are made of; what crops keep has been found out.
            kwargs = {FOCUS_KEYWORD: None, **kwargs, "source": source.original}
        return self.django_file(id, **kwargs).engine

    def cachefile_of(self, generator: Any, **parts: Any) -> EngineCacheFile:
        """Return the cache file of a generator that was made by hand, as the engine has it."""
        return ImageCacheFile(generator, **parts).engine

    def source_saved(self, source_group: SourceGroup, source: object) -> None:
        """Tell the strategies that a source of a registered group was created or changed.

        Raises:
            ImageKitError: A strategy made a file, and that failed.
        """
        found = self.sources.find(source)
        if isinstance(found, StoredSource):
            found.forget()
        super().source_saved(source_group, source)

    def has_changed(self, file: FieldFile) -> bool:
        """Tell whether the file of a field is another than the one that is known under its name, if one is."""
        try:
            found = self.sources.find(file)
            if isinstance(found, StoredSource):
                return found.has_changed()
            if isinstance(found, FileSource):
                return self.records.source_facts(found.path) is not None and found.recalled_facts() is None
            return False
        except ImageKitError:
            return False

    def _run(self, plan: Plan, force: bool, *options: Any) -> Report:
        for work in plan.works:
            work.files = [pair for pair in work.files if not self._settled_elsewhere(*pair, plan, force)]
        plan.works = [work for work in plan.works if work.files]
        return super()._run(plan, force, *options)

    def _settled_elsewhere(self, file: Any, kwargs: dict[str, Any], plan: Plan, force: bool) -> bool:
        """Tell whether a file is left to a backend of the project's own, and have it see to the file then."""
        if type(file.django_cachefile_backend) is Simple:
            self._ask_database(file.generator)
            return False
        id, source = file.generator_id or "", file.source.name if file.source else None
        try:
            existed = not force and file.cachefile_backend.exists(file)
            if not existed:
                file.generate(force)
            plan.outcomes.append(Outcome("skipped" if existed else "generated", id, source, file.name))
        except Exception as error:  # noqa: BLE001  # a queue's client may raise anything; the rest is made
            plan.outcomes.append(failed(id, kwargs, error))
        return True

    @staticmethod
    def _ask_database(generator: Any) -> None:
        # A spec may look at related records. In the engine's threads that would open a connection for each of them.
        if isinstance(generator, ImageSpec):
            with suppress(Exception):
                generator.get_recipe()

    def __reduce__(self) -> tuple[Any, ...]:
        return get_kit, ()


class _EngineCacheFiles(CacheFileRegistry):
    """The process's registry of cache files, with each file as the engine has it."""

    def register(self, generator_id: str, cachefiles: Any) -> None:
        cachefile_registry.register(generator_id, cachefiles)

    def unregister(self, generator_id: str, cachefiles: Any) -> None:
        cachefile_registry.unregister(generator_id, cachefiles)

    def get(self, generator_id: str) -> Iterator[Any]:
        for registered in cachefile_registry.registered(generator_id):
            yield registered.engine if isinstance(registered, ImageCacheFile) else registered

    def get_ids(self) -> list[str]:
        return cachefile_registry.get_ids()


class FieldKnownFiles(KnownFiles):
    """Remembers which file a generator's id and keywords lead to, for file fields on a local disk as well.

    While anyone listens to the signals of cache files, nothing is answered from memory.

    Args:
        kit: The kit.
    """

    source_types = (str, StoredName)

    def __init__(self, kit: DjangoKit) -> None:
        super().__init__(kit)
        self._kit = kit
        self._folders: dict[int, tuple[Any, str | None]] = {}
        self._namer = conf.value("SPEC_CACHEFILE_NAMER")
        self.key_end = f":{self._namer}:{conf.COMPATIBLE if conf.is_compatible() else ''}"

    def find(self, id: str, kwargs: dict[str, Any]) -> KnownFile | None:
        """Return the file that these keywords lead to, if it is known and still current."""
        if has_receivers():
            return None
        named = self._named(id, kwargs)
        return None if named is None else super().find(id, named)

    def find_alike(self, form: Form, source: str) -> KnownFile | None:
        """Return the file that a form's keywords lead to, if it is known and still current."""
        return None if has_receivers() else super().find_alike(form, source)

    def find_together(self, calls: Sequence[tuple[str, dict[str, Any]]]) -> list[KnownFile | None]:
        """Return the files that several calls lead to, as far as they are known and still current."""
        if has_receivers():
            return [None] * len(calls)
        return super().find_together([(id, self._named(id, kwargs) or kwargs) for id, kwargs in calls])

    def find_made(self, calls: Sequence[tuple[str, dict[str, Any]]], glance: Glance) -> list[Made | None]:
        """Return what `find` does for many calls, by one look into the state store."""
        if has_receivers():
            return [None] * len(calls)
        return super().find_made([(id, self._named(id, kwargs) or kwargs) for id, kwargs in calls], glance)

    def identity(self, source: object, generator_id: str) -> Hashable:
        """Return what stands for a source whose images depend on its file, and on what its model says of it, alone."""
        if has_receivers():
            return None
        if not isinstance(source, FieldFile):
            return super().identity(source, generator_id)
        path = self.path_of(source)
        return None if path is None else (path, focus_of(source, generator_id), alt_of(source))

    def find_call(self, call: Hashable) -> KnownFile | None:
        """Return the file that was kept for a call of a template's, if it is still current."""
        return None if has_receivers() else super().find_call(call)

    def remember(self, file: EngineFile, kwargs: dict[str, Any]) -> KnownFile | None:
        """Keep the answer that a file is to these keywords, if it exists now, and return it."""
        named = self._named(str(file.generator_id), kwargs)
        return None if named is None else super().remember(file, named)

    def answers(self, files: Iterable[tuple[EngineFile, dict[str, Any]]]) -> dict[str, str]:
        """Return what stands in the store for files and their keywords, so that it is written with their records."""
        translated = ((file, self._named(str(file.generator_id), kwargs)) for file, kwargs in files)
        return super().answers((file, named) for file, named in translated if named is not None)

    def _named(self, id: str, kwargs: dict[str, Any]) -> dict[str, Any] | None:
        """Return the keywords with a file field's path for the field; None where it has none."""
        file = kwargs.get("source")
        if isinstance(file, Source):
            # A candidate of a picture, for which it was found out what crops keep.
            file = file.original
        else:
            kwargs = with_focus(id, kwargs)
        if not isinstance(file, FieldFile):
            return kwargs
        path = self.path_of(file)
        if path is None:
            return None
        named = {**kwargs, "source": path}
        if named.get(FOCUS_KEYWORD, ...) is None:
            del named[FOCUS_KEYWORD]
        return named

    def path_of(self, file: FieldFile) -> StoredName | None:
        """Return the path of a field's file; None where its storage has none."""
        # A file that was assigned but not saved has a name that is not its own yet.
        name = file.name if getattr(file, "_committed", True) else None
        folder = self._folder(file.storage)
        return None if not name or folder is None else StoredName(folder + name)

    def _folder(self, storage: Any) -> str | None:
        known = self._folders.get(id(storage))
        if known is None:
            inner = unwrapped(storage)
            is_plain = keeps_methods(inner, "open", "_open", "path", "location")
            # The storage is kept along with its id, which could otherwise become another's.
            known = self._folders[id(storage)] = storage, f"{inner.location}/" if is_plain else None
        return known[1]

    def whereabouts(self, source: str) -> tuple[str, Place | None]:
        """Return a source's name in the state store, and where it lies; a field's file has a single place."""
        return (source, Place(source)) if type(source) is StoredName else super().whereabouts(source)

    def _is_plain(self, spec: Any) -> bool:
        is_named_here = self._namer in BUILT_IN_NAMERS
        return is_named_here and super()._is_plain(spec) and leaves_existing(get_default_cachefile_backend())


current.made_by(DjangoKit)
