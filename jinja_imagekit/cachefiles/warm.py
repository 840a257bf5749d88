"""Answers verified by two stats: which cache file a call stands for, and whether it is still right."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from ..exceptions import NotFingerprintable, SourceNotAllowed, StorageError
from ..hashing import fingerprint
from ..interfaces import Size, StateStore
from ..sources import Signature, Source, VersionedSource, is_url, name_parts, signature_of
from ..specs import ImageSpec, is_fixed
from ..state.read_ahead import ReadAhead
from ..storages.folder import FileSystemStorage
from . import ImageCacheFile
from .backends import leaves_existing
from .namers import BUILT_IN as BUILT_IN_NAMERS
from .references import Reference
from .strategies import BUILT_IN as BUILT_IN_STRATEGIES
from .strategies import Deferred

if TYPE_CHECKING:
    from ..images import Header
    from ..kit import ImageKit
    from ..sources.buckets import Bucket

BATCH = 1_000
"""How many answers are read from the state store, or deleted, at a time."""

MOST_ANSWERS = 50_000
"""How many answers a process keeps: about 1 kB each, 50 MB in all."""


_decoder = json.JSONDecoder()

# A name without escapes, and three numbers above zero, before the version of the source.
_ANSWER = re.compile(r'\["([^"\\]+)",([1-9]\d*),([1-9]\d*),([1-9]\d*),\d,[^",]*,[^",]*,[^",]*,[^",]*$')

MOST_MODELS = 5_000
"""How many specs, and how many sizes of their results, a process keeps: about 1 kB each."""

_UNKNOWN: Any = object()

Call = tuple[str, dict[str, Any]]
"""A generator's id and keywords."""

Made = tuple[str, int, int, int]
"""A cache file that is there, made of the current version of its source: its name, bytes, width and height."""


class Place(NamedTuple):
    """Where a source lies.

    Attributes:
        path: Its path, or what stands for it where it is in a bucket.
        absent: Paths that are tried first and do not exist.
        bucket: The bucket; None for a file on this machine.
        inner: Its name there.
    """

    path: str
    absent: tuple[str, ...] = ()
    bucket: Bucket | None = None
    inner: str = ""

    def signature(self) -> Signature | None:
        """Return the source's version, by one stat or by what a bucket has said of late; None where nothing tells."""
        return signature_of(self.path) if self.bucket is None else self.bucket.latest(self.inner)


@dataclass(slots=True)
class KnownFile:
    """A cache file that is current as long as neither its source nor the file itself has changed."""

    name: str
    path: str
    size: int
    width: int
    height: int
    source: Place
    signature: Signature
    storage: FileSystemStorage
    is_promised: bool = False
    """Whether its strategy takes the file for made, so that it need not be there yet."""
    has_subject: bool = False
    """Whether the source's metadata says where its subject is."""
    _url: tuple[str, str] = "", ""

    @property
    def url(self) -> str:
        """The URL from which the site serves the file."""
        base, url = self._url
        # Each request may have its own base URL.
        now = self.storage.base_url
        if base != now or not url:
            url = self.storage.url(self.name)
            self._url = now, url
        return url

    def is_current(self) -> bool:
        """Tell whether source and file are unchanged, by one stat of each, or by what a bucket has said of late."""
        place = self.source
        try:
            if place.bucket is not None:
                if place.bucket.latest(place.inner) != self.signature:
                    return False
            else:
                source = os.stat(place.path)
                # Spelt out: this is asked for each tag.
                if (source.st_size, source.st_mtime_ns, source.st_ino, source.st_ctime_ns) != self.signature:
                    return False
            if not (self.is_promised or os.lstat(self.path).st_size == self.size):
                return False
        except OSError:
            return False
        return not place.absent or not any(os.path.lexists(path) for path in place.absent)


class _Paths:
    """Paths of cache files in the kit's storage, whose folders are looked at once."""

    def __init__(self) -> None:
        self._path_of: Callable[[str], str] | None = None

    def function(self, storage: FileSystemStorage) -> Callable[[str], str]:
        """Return what `FileSystemStorage.paths` does, the same each time."""
        if self._path_of is None:
            self._path_of = storage.paths()
        return self._path_of


class _Seen:
    """What is seen of a source.

    Args:
        name: Its name in the state store.
        place: Where it lies; None where there is none of that name.
    """

    __slots__ = ("_signature", "end", "name", "place")

    def __init__(self, name: str, place: Place | None) -> None:
        self.name, self.place = name, place
        self._signature: Signature | None = _UNKNOWN
        self.end = ""

    @property
    def signature(self) -> Signature | None:
        """The source's version, as `Place.signature`."""
        if self._signature is _UNKNOWN:
            self._signature = self.place.signature() if self.place else None
        return self._signature

    def see(self) -> str:
        """Return how an answer in the state store ends that is about the source's version."""
        # No answer ends with a line.
        self.end = f",{','.join(map(str, self.signature))}]" if self.signature else "\n"
        return self.end


class Look:
    """What is seen of the disk at one time: each source and each folder of cache files is looked at once.

    What is forgotten again, so that a look over a million files takes no memory, was seen a thousand sources ago.

    Args:
        known_files: Whose sources and files they are.
    """

    def __init__(self, known_files: KnownFiles) -> None:
        self._known_files = known_files
        self._sources: dict[str, _Seen] = {}
        self.paths = _Paths()

    def source(self, source: str) -> _Seen:
        """Return what is seen of a source.

        Raises:
            SourceNotAllowed: Nothing may have the name.
        """
        seen = self._sources.get(source)
        if seen is None:
            if len(self._sources) >= BATCH:
                self._sources.clear()
            known = self._known_files
            place = known.place_of(source) if known.is_named(source) else None
            seen = self._sources[source] = _Seen(known.normal(source), place)
        return seen

    def is_current(self, known: KnownFile, seen: _Seen) -> bool:
        """Do what `KnownFile.is_current` does."""
        if seen.signature != known.signature:
            return False
        try:
            return known.is_promised or os.lstat(known.path).st_size == known.size
        except OSError:
            return False


class KnownFiles:
    """Remembers, in the process and in the state store, which file a generator's id and keywords lead to.

    Only calls whose answer depends on nothing else are remembered: the source is a name, the generator's class is
    fixed, and the files are named, made and stored by this library's own parts.

    Args:
        kit: The kit.

    Attributes:
        source_types: The exact types of sources that name a file.
    """

    source_types: tuple[type, ...] = (str,)

    def __init__(self, kit: ImageKit) -> None:
        self._kit = kit
        self._recipes: dict[tuple[Any, ...], str | None] = {}
        self._answers: dict[tuple[Any, ...], KnownFile] = {}
        self._calls: dict[Hashable, KnownFile] = {}
        self._promises: dict[tuple[Any, ...], KnownFile] = {}
        self._models: dict[str, ImageSpec] = {}
        self._sizes: dict[tuple[str, Header], Size | None] = {}
        self._ahead, self._paths = ReadAhead(), _Paths()

    def forget(self) -> None:
        """Forget what this process remembers, since generators have changed."""
        self._recipes.clear()
        self._models.clear()
        self._sizes.clear()
        self._answers.clear()
        self._calls.clear()
        self._promises.clear()
        self._ahead, self._paths = ReadAhead(), _Paths()

    def forget_calls(self) -> None:
        """Forget the files of templates' calls, which may lead to others now."""
        self._calls.clear()

    def identity(self, source: object, generator_id: str) -> Hashable:
        """Return what stands for a source whose images depend on its file alone; None for any other.

        Args:
            source: The source, as a template gave it.
            generator_id: The id of the generator.
        """
        return source if type(source) is str and not is_url(source) else None

    def is_named(self, source: Any) -> bool:
        """Tell whether a source is the name of a file; whether what is at a URL has changed, no stat tells."""
        return type(source) in self.source_types and not (type(source) is str and is_url(source))

    def find_call(self, call: Hashable) -> KnownFile | None:
        """Return the file that was kept for a template's call, if it is still current."""
        known = self._calls.get(call)
        return known if known is not None and known.is_current() else None

    def keep_call(self, call: Hashable, known: KnownFile) -> None:
        """Keep the file that a call led to, so that the next one need not work out id and keywords."""
        if len(self._calls) >= MOST_ANSWERS:
            self._calls.clear()
        self._calls[call] = known

    def find(self, id: str, kwargs: dict[str, Any]) -> KnownFile | None:
        """Return the file that these keywords lead to, if it is known and still current."""
        source: Any = kwargs.get("source")
        if not self.is_named(source):
            return None
        key = _call_key(id, kwargs)
        try:
            known = self._answers.get(key)
        except TypeError:
            return None
        if known is None:
            entry = self._entry_key(id, kwargs)
            return self._recalled_first(key, entry, self.place_of(source)) if entry else None
        if known.is_current():
            return known
        # Another thread may have found the same file.
        self._answers.pop(key, None)
        return None

    def _recalled_first(self, key: tuple[Any, ...], entry: str, place: Place | None) -> KnownFile | None:
        text, is_ahead = self._ahead.take(entry, self._store)
        if not is_ahead:
            # Folders are looked at as often as the state is.
            self._paths = _Paths()
        known = self._recalled(key, text, place, self._paths) if text else None
        if known is None and is_ahead:
            # It may have been written again since it was read.
            text = self._store.get(entry)
            known = self._recalled(key, text, place) if text else None
        return known

    def find_for_page(self, id: str, kwargs: dict[str, Any]) -> KnownFile | None:
        """Return the file that these keywords lead to, if it is known, or promised until the end of the render."""
        if self._promises:
            with suppress(TypeError):
                promise = self._promises.get(_call_key(id, kwargs))
                if promise is not None and promise.is_current():
                    return promise
        return self.find(id, kwargs)

    def find_together(self, calls: Sequence[Call]) -> list[KnownFile | None]:
        """Return what `find_for_page` does for several calls, by two looks into the state store at most."""
        found: list[KnownFile | None] = []
        entries: dict[str, tuple[int, tuple[Any, ...]]] = {}
        for index, (id, kwargs) in enumerate(calls):
            found.append(None)
            key = _call_key(id, kwargs)
            try:
                known = self._promises.get(key) or self._answers.get(key)
            except TypeError:
                continue
            if known is not None and known.is_current():
                found[index] = known
            elif entry := self._entry_key(id, kwargs):
                entries[entry] = index, key
        look = Look(self)
        for entry, text in self._texts([*entries]).items():
            index, key = entries[entry]
            seen = look.source(calls[index][1]["source"])
            known = self._understood(text, seen.place, look.paths)
            if known is not None and look.is_current(known, seen):
                self._keep(key, known)
                found[index] = known
        return found

    def find_made(self, calls: Sequence[Call], look: Look) -> list[Made | None]:
        """Return the files that many calls lead to, by one look into the state store; None where `find` would.

        Args:
            calls: Each generator's id and keywords.
            look: What was seen for the calls before these.
        """
        found: list[Made | None] = [None] * len(calls)
        entries: dict[str, tuple[int, _Seen]] = {}
        recipes = self._recipes
        for index, (id, kwargs) in enumerate(calls):
            try:
                source: Any = kwargs.get("source")
                if type(source) not in self.source_types:
                    continue
                # This loop is run a million times for a million files.
                recipe = (recipes.get((id,)) if len(kwargs) == 1 else None) or self.recipe(id, kwargs)
                if recipe:
                    seen = look.source(source)
                    entries[self._key(recipe, seen.name)] = index, seen
            except Exception:  # noqa: BLE001  # a spec's constructor may raise anything, as it will for who makes it
                continue
        if not entries:
            return found
        # What has a recipe is kept there.
        below, path_of = self._below, look.paths.function(cast(FileSystemStorage, self._kit.storage))
        for entry, text in self._store.get_many(entries).items():
            index, seen = entries[entry]
            if not text.endswith(seen.end or seen.see()):
                continue
            match = _ANSWER.match(text)
            if match is None:
                # Its name has other characters than most.
                found[index] = self._made(text, seen, look)
                continue
            name, size, width, height = match.groups()
            try:
                if name.startswith(below) and os.lstat(path_of(name)).st_size == int(size):
                    found[index] = name, int(size), int(width), int(height)
            except (OSError, StorageError):
                continue
        return found

    def _made(self, text: str, seen: _Seen, look: Look) -> Made | None:
        known = self._understood(text, seen.place, look.paths)
        if known is None or not look.is_current(known, seen):
            return None
        return known.name, known.size, known.width, known.height

    def _texts(self, entries: list[str]) -> dict[str, str]:
        """Return what the state store knows of a picture's files: mostly all, or nothing, as the first one tells."""
        first = self._store.get(entries[0]) if entries else None
        return {} if first is None else {entries[0]: first, **self._store.get_many(entries[1:])}

    def promise_together(
        self,
        calls: Sequence[Call],
        known: Sequence[KnownFile | None],
        references: Sequence[Reference | None],
        sources: Sequence[Source],
    ) -> list[KnownFile | None]:
        """Return the files of several calls, those that are not known as far as `Deferred` promises them.

        Args:
            calls: Each generator's id and keywords.
            known: What `find_together` returned.
            references: What leads to each file in a later run; without it, nothing could make the file later.
            sources: The sources, which have been read.

        Raises:
            ImageKitError: It is already clear that a file never can be made.
        """
        if type(self._kit.cachefile_strategy) is not Deferred:
            return list(known)
        found = list(known)
        look = Look(self)
        for index, (id, kwargs) in enumerate(calls):
            source, given = sources[index], kwargs["source"]
            if found[index] is not None or references[index] is None:
                continue
            if not isinstance(source, VersionedSource) or not self.is_named(given):
                continue
            recipe = self.recipe(id, kwargs)
            if not recipe:
                continue
            model = self._models.get(recipe)
            if model is None:
                model = self._kit.generator(id, **{**kwargs, "source": source})
                self._keep_model(recipe, model)
            spec = model.of_source(source)
            # What is bound to go wrong depends on the header alone.
            size = self._sizes.get((recipe, source.header), _UNKNOWN)
            if size is _UNKNOWN:
                size = self._sizes[recipe, source.header] = spec.check()
            name, signature = spec.cachefile_name, source.known_signature
            if name and size and signature:
                place = look.source(given).place
                promise = self._known_file(
                    name, 0, size, signature, place, look.paths, is_promised=True, has_subject=_has_subject(source)
                )
                if promise is not None:
                    self._keep(_call_key(id, kwargs), promise)
                found[index] = promise
        return found

    def forget_files(self, is_gone: Callable[[str], bool], source: Source | None = None) -> None:
        """Forget the answers that lead to deleted files, here and in the state store.

        Args:
            is_gone: Tells by its name whether a file was deleted.
            source: The source of all the files, if they share one.
        """
        _drop(self._answers, is_gone)
        _drop(self._calls, is_gone)
        _drop(self._promises, is_gone)
        self._ahead, self._paths = ReadAhead(), _Paths()
        named = isinstance(source, VersionedSource) and source.reference == source.name
        keys = self._store.keys(self._prefix + (f"{source.name}:" if source and named else ""))
        while batch := list(islice(keys, BATCH)):
            answers = self._store.get_many(batch)
            self._store.delete_many([key for key, answer in answers.items() if is_gone(_name_in(answer))])

    def _keep_model(self, recipe: str, model: ImageSpec) -> None:
        if max(len(self._models), len(self._sizes)) >= MOST_MODELS:
            self._models.clear()
            self._sizes.clear()
        self._models[recipe] = model

    def _keep(self, key: tuple[Any, ...], known: KnownFile) -> None:
        answers = self._promises if known.is_promised else self._answers
        if len(answers) >= MOST_ANSWERS:
            answers.clear()
        answers[key] = known

    def remember(self, file: ImageCacheFile, kwargs: dict[str, Any]) -> KnownFile | None:
        """Keep and return the file as the answer to these keywords, if it exists by now or its strategy promises it."""
        promise = self._promise(file, kwargs)
        if promise is not None:
            self._keep(_call_key(str(file.generator_id), kwargs), promise)
            return promise
        entry = self._entry(file, kwargs)
        if entry is None:
            return None
        key, text = entry
        if file.made is not None or self._store.get(key) != text:
            self._keep_entries([entry])
        id, source = str(file.generator_id), kwargs["source"]
        known = self._understood(text, self.place_of(source))
        if known is not None:
            self._keep(_call_key(id, kwargs), known)
        return known

    def _promise(self, file: ImageCacheFile, kwargs: dict[str, Any]) -> KnownFile | None:
        """Return the answer that holds for a file until the end of the render, whether or not it is there yet."""
        if type(file.cachefile_strategy) is not Deferred or not self.is_named(kwargs.get("source")):
            return None
        source = file.source
        if not isinstance(source, VersionedSource) or not self.recipe(str(file.generator_id), kwargs):
            return None
        size, signature = file.promised_size, source.known_signature
        if size is None or signature is None or not file.name:
            return None
        place, has_subject = self.place_of(kwargs["source"]), _has_subject(source)
        return self._known_file(file.name, 0, size, signature, place, is_promised=True, has_subject=has_subject)

    def remember_many(self, answers: Iterable[tuple[ImageCacheFile, dict[str, Any]]]) -> None:
        """Keep several answers with one write."""
        entries = [self._entry(file, kwargs) for file, kwargs in answers]
        self._keep_entries(entry for entry in entries if entry)

    def _keep_entries(self, entries: Iterable[tuple[str, str]]) -> None:
        # For as long as the records that they stand for.
        self._store.set_many(dict(entries), self._kit.settings.cache_timeout)

    def _entry(self, file: ImageCacheFile, kwargs: dict[str, Any]) -> tuple[str, str] | None:
        source = file.source
        named = self.is_named(kwargs.get("source"))
        if not named or not isinstance(source, VersionedSource) or not file.generator_id:
            return None
        recipe = self.recipe(file.generator_id, kwargs)
        record = (file.made or file.records.get(file.name)) if recipe and file.name else None
        signature = source.known_signature
        if record is None or signature is None:
            return None
        value = [record.name, record.size, record.width, record.height, int(_has_subject(source)), *signature]
        return self._key(str(recipe), self.normal(kwargs["source"])), json.dumps(value, separators=(",", ":"))

    @property
    def _below(self) -> str:
        """What the names of all cache files begin with."""
        return f"{self._kit.settings.cachefile_dir}/".lstrip("/")

    @property
    def _store(self) -> StateStore:
        return self._kit.records.store

    @property
    def _prefix(self) -> str:
        # Another maker of posters, which its video's stat does not tell, gives other files.
        posters = self._kit.posters
        return f"{self._kit.settings.cache_prefix}known:{f'{posters.version}:' if posters else ''}"

    def _key(self, recipe: str, name: str) -> str:
        # The source first, so that the answers about one source are found together.
        return f"{self._prefix}{name}:{recipe}"

    def normal(self, source: str) -> str:
        """Return what `FileSource.name` will be.

        Raises:
            SourceNotAllowed: Nothing may have the name.
        """
        return "/".join(name_parts(source))

    def _entry_key(self, id: str, kwargs: dict[str, Any]) -> str | None:
        """Return under which key the state store may know a call's file; None for a call of which it never does."""
        source: Any = kwargs.get("source")
        if not self.is_named(source):
            return None
        recipe = self.recipe(id, kwargs)
        try:
            return self._key(recipe, self.normal(source)) if recipe else None
        except SourceNotAllowed:
            return None

    def _recalled(
        self, key: tuple[Any, ...], text: str, place: Place | None, paths: _Paths | None = None
    ) -> KnownFile | None:
        """Return and keep the file behind an answer from the state store, if it is still current."""
        known = self._understood(text, place, paths)
        if known is None or not known.is_current():
            return None
        self._keep(key, known)
        return known

    def _understood(self, text: str, place: Place | None, paths: _Paths | None = None) -> KnownFile | None:
        """Return the file behind an answer from the state store; None for one that this library did not write."""
        try:
            (name, *numbers), end = _decoder.raw_decode(text)
            size, width, height, has_subject, *version = numbers
            signature = Signature(*version)
            sound = set(map(type, numbers)) == {int} and min(size, width, height) > 0 and end == len(text)
        except (ValueError, TypeError, RecursionError):
            return None
        # A forged record may name any file: only one below the cache folder is accepted.
        if not sound or type(name) is not str or not name.startswith(self._below):
            return None
        try:
            return self._known_file(name, size, (width, height), signature, place, paths, has_subject=bool(has_subject))
        except StorageError:
            return None

    def place_of(self, source: str) -> Place | None:
        """Return where a source lies: the first of its possible places that has it; None where none is known to."""
        paths, has_buckets = self._candidates(source), bool(self._kit.settings.buckets)
        if len(paths) == 1 and not has_buckets:
            # `is_current` tells whether it exists.
            return Place(paths[0])
        found = next((index for index, path in enumerate(paths) if os.path.lexists(path)), None)
        if found is not None:
            return Place(paths[found], tuple(paths[:found]))
        bucket, inner = self._kit.sources.first_bucket(source) if has_buckets and type(source) is str else (None, "")
        if bucket is None or not bucket.knows(inner):
            return None
        return Place(f"{bucket.called}/{inner}", tuple(paths), bucket, inner)

    def _candidates(self, source: str) -> list[str]:
        """Return the possible paths of a source; the first one that exists is it, unless a bucket has it."""
        return self._kit.settings.source_paths(name_parts(source), before_buckets=True)

    def _known_file(
        self,
        name: str,
        size: int,
        pixels: Size,
        signature: Signature,
        place: Place | None,
        paths: _Paths | None = None,
        *,
        is_promised: bool = False,
        has_subject: bool,
    ) -> KnownFile | None:
        storage = self._kit.storage
        if place is None or not isinstance(storage, FileSystemStorage):
            return None
        path = paths.function(storage)(name) if paths else storage.path(name)
        return KnownFile(name, path, size, *pixels, place, signature, storage, is_promised, has_subject)

    def recipe(self, id: str, kwargs: dict[str, Any]) -> str | None:
        """Return what stands for all that an image depends on but its source; None if nothing does."""
        options: dict[str, Any] = {}
        key: tuple[Any, ...] = (id,)
        try:
            if len(kwargs) > 1:
                options = {name: value for name, value in kwargs.items() if name != "source"}
                key = (id, *options.items(), *map(type, options.values()))
            if key in self._recipes:
                return self._recipes[key]
        except TypeError:
            return None
        if len(self._recipes) >= MOST_ANSWERS:
            self._recipes.clear()
        recipe = self._recipes[key] = self._compute_recipe(id, options)
        return recipe

    def _compute_recipe(self, id: str, options: dict[str, Any]) -> str | None:
        settings, kit = self._kit.settings, self._kit
        if not is_fixed(kit.registered(id)) or settings.spec_cachefile_namer not in BUILT_IN_NAMERS:
            return None
        spec = kit.generator(id, **options)
        if not self._is_plain(spec):
            return None
        try:
            return fingerprint([spec.get_recipe(), settings.spec_cachefile_namer, settings.cachefile_dir])
        except NotFingerprintable:
            return None

    def _is_plain(self, spec: Any) -> bool:
        """Tell whether a spec's images are named, made and kept by this library's own parts."""
        kit = self._kit
        own = (spec.cachefile_storage, spec.cachefile_backend, spec.cachefile_strategy)
        namer = next(vars(cls) for cls in type(spec).__mro__ if "cachefile_name" in vars(cls))
        if any(part is not None for part in own) or not namer.get("is_base"):
            return False
        if type(kit.storage) is not FileSystemStorage or not leaves_existing(kit.cachefile_backend):
            return False
        return type(kit.cachefile_strategy) in BUILT_IN_STRATEGIES


def _call_key(id: str, kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
    # 1, 1.0 and True are equal, and lead to different files.
    return (id, *kwargs.items(), *map(type, kwargs.values()))


def _has_subject(source: VersionedSource) -> bool:
    header = source.facts.header
    return header is not None and header.subject is not None


def _drop(answers: dict[Any, KnownFile], is_gone: Callable[[str], bool]) -> None:
    # Other threads may add some in the meantime.
    for key, answer in list(answers.items()):
        if is_gone(answer.name):
            answers.pop(key, None)


def _name_in(answer: str) -> str:
    try:
        return str(json.loads(answer)[0])
    except (ValueError, TypeError, LookupError, RecursionError):
        return ""
