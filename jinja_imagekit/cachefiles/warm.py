"""Answers verified by two stats: which cache file a call stands for, here and in the state store."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Hashable, Iterable, Sequence
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from ..exceptions import NotFingerprintable, SourceNotAllowed, StorageError
from ..hashing import PLAIN_TYPES, fingerprint, frozen
from ..interfaces import Size, StateStore
from ..once import made_once
from ..sources import Signature, Source, VersionedSource, is_url, name_parts
from ..sources.names import is_ordinary
from ..specs import ImageSpec, is_fixed
from ..state.read_ahead import ReadAhead
from ..storages.folder import FileSystemStorage
from . import ImageCacheFile
from .backends import leaves_existing
from .known import Glance, KnownFile, Made, Place, Seen, end_of
from .namers import BUILT_IN as BUILT_IN_NAMERS
from .references import Reference
from .strategies import BUILT_IN as BUILT_IN_STRATEGIES
from .strategies import Deferred

if TYPE_CHECKING:
    from ..images import Header
    from ..kit import ImageKit

BATCH = 1_000
"""How many answers are read from the state store, or deleted, at a time."""

MOST_ANSWERS = 50_000
"""How many answers a process keeps: about 1 kB each, 50 MB in all."""


_decoder = json.JSONDecoder()

# A name without escapes, and three numbers above zero, before the version of the source.
_ANSWER = re.compile(r'\["([^"\\]+)",([1-9]\d*),([1-9]\d*),([1-9]\d*),([01]),[^",]*,[^",]*,[^",]*,[^",]*$')

SECONDS_SEEN = 1.0
"""For how many seconds a folder of cache files that was looked at counts as seen, for files that are not known yet."""

MOST_MODELS = 5_000
"""How many specs, and how many sizes of their results, a process keeps: about 1 kB each."""

_UNKNOWN: Any = object()

Call = tuple[str, dict[str, Any]]
"""A generator's id and keywords."""

Asked = tuple[str, str, type]
"""A recipe, and a source with its type."""


class Form(NamedTuple):
    """What calls have in common that differ in the names of their sources alone.

    Attributes:
        id: The generator's id.
        options: Its keywords but the source.
        recipe: What stands for both; None if nothing does.
        takes_focus: Whether a source may say itself what its image keeps.
        noted: What the note of a file says before and after the name of its source.
    """

    id: str
    options: dict[str, Any]
    recipe: str | None
    takes_focus: bool
    noted: tuple[str, str]


class KnownFiles:
    """Remembers, in the process and in the state store, which file a generator's id and keywords lead to.

    Only calls whose answer depends on nothing else are remembered: the source is a name, the generator's class is
    fixed, and the files are named, made and stored by this library's own parts.

    Args:
        kit: The kit.

    Attributes:
        source_types: The exact types of sources that name a file.
        key_end: The end of all keys in the state store, for what else the answers depend on.
        forms: Forms of templates' calls, which may be kept here until generators change.
        calls: The files of templates' calls. Like `forms`, it is another dict once what they depend on has changed: who
            keeps something there takes the dict before looking at that.
    """

    source_types: tuple[type, ...] = (str,)
    key_end = ""

    def __init__(self, kit: ImageKit) -> None:
        self._kit = kit
        self.forms: dict[Hashable, Form] = {}
        self._below = f"{kit.settings.cachefile_dir}/".lstrip("/")
        self._recipes: dict[tuple[Any, ...], str | None] = {}
        self._answers: dict[Asked, KnownFile] = {}
        self.calls: dict[Hashable, KnownFile] = {}
        self._promises: dict[Asked, KnownFile] = {}
        self._models: dict[str, ImageSpec] = {}
        self._sizes: dict[tuple[str, Header], Size | None] = {}
        self._ahead, self._glance = ReadAhead(), self.glance()
        self._look_at_folders()

    def forget(self) -> None:
        """Forget what this process remembers, since generators have changed."""
        # Others may be working out what goes into the old ones, which are no longer used.
        self.forms, self._recipes, self.calls = {}, {}, {}
        self._models.clear()
        self._sizes.clear()
        self._answers.clear()
        self._promises.clear()
        self._ahead, self._glance = ReadAhead(), self.glance()
        self._look_at_folders()

    def _look_at_folders(self) -> None:
        settings = self._kit.settings
        self._has_buckets = bool(settings.buckets)
        # Where there is one, most names lead to a place without another look.
        is_one = len(settings.source_folders) == 1 and not settings.source_prefixes and not self._has_buckets
        self._only_folder = f"{settings.source_folders[0]}{os.sep}" if is_one else ""

    def forget_calls(self) -> None:
        """Forget the files of templates' calls, which may lead to others now."""
        self.calls = {}

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
        known = self.calls.get(call)
        return known if known is not None and known.is_current() else None

    def has_call(self, call: Hashable) -> bool:
        """Tell whether a file was kept for a template's call, which is then sound, whether or not it is current."""
        return call in self.calls

    def keep_call(self, calls: dict[Hashable, KnownFile], call: Hashable, known: KnownFile) -> None:
        """Keep the file that a call led to in the `calls` of then; the next one need not work out id and keywords."""
        if len(calls) >= MOST_ANSWERS:
            calls.clear()
        calls[call] = known

    def find(self, id: str, kwargs: dict[str, Any]) -> KnownFile | None:
        """Return the file that these keywords lead to, if it is known and still current."""
        asked = self._asked(id, kwargs)
        return None if asked is None else self._find(asked)

    def _find(self, asked: Asked) -> KnownFile | None:
        known = self._answers.get(asked)
        if known is None:
            return self._recalled(asked)
        if known.is_current():
            return known
        # Another thread may have found the same file.
        self._answers.pop(asked, None)
        return None

    def _asked(self, id: str | None, kwargs: dict[str, Any]) -> Asked | None:
        """Return what stands for keywords whose file depends on nothing else; None for any others."""
        source: Any = kwargs.get("source")
        recipe = self.recipe(id, kwargs) if id and self.is_named(source) else None
        return (recipe, source, type(source)) if recipe else None

    def _asked_of(self, file: ImageCacheFile, kwargs: dict[str, Any]) -> Asked | None:
        """Do `_asked` for the keywords of a file; None too if its generator was replaced while it was made."""
        asked = self._asked(file.generator_id, kwargs)
        return asked if asked and type(file.generator) is self._kit.registered(str(file.generator_id)) else None

    def _recalled(self, asked: Asked) -> KnownFile | None:
        try:
            name, place = self.whereabouts(asked[1])
        except SourceNotAllowed:
            return None
        entry, store = self._key(asked[0], name), self._kit.records.store
        text, is_ahead = self._ahead.take(entry, store, self._prefix)
        if not is_ahead and time.monotonic() - self._glance.begun > SECONDS_SEEN:
            self._glance = self.glance()
        known = self._current(text, place, self._glance) if text and place else None
        if known is None:
            # It may have been written again since it was read.
            text = store.get(entry) if is_ahead else None
            known = self._current(text, place, self.glance()) if text and place else None
        if known is not None:
            self._keep(asked, known)
        return known

    def _current(self, text: str, place: Place, glance: Glance) -> KnownFile | None:
        """Return the file behind an answer from the state store, if it is current."""
        match = _ANSWER.match(text)
        if match is None:
            known = self._understood(text, place, glance)
            return known if known is not None and known.is_current() else None
        name, size, width, height, has_subject = match.groups()
        signature = place.version()
        # To write four numbers takes less time than to read them.
        if signature is None or not text.endswith(end_of(signature)) or not name.startswith(self._below):
            return None
        # What has a recipe is kept there.
        storage, bytes = cast(FileSystemStorage, self._kit.storage), int(size)
        try:
            path = glance.path_of(storage)(name)
            is_there = os.lstat(path).st_size == bytes
        except (OSError, StorageError):
            return None
        if not is_there:
            return None
        return KnownFile(
            name, path, bytes, int(width), int(height), place, signature, storage, has_subject=has_subject == "1"
        )

    def find_for_page(self, id: str, kwargs: dict[str, Any]) -> KnownFile | None:
        """Return the file that these keywords lead to, if it is known, or promised until the end of the render."""
        asked = self._asked(id, kwargs) if self._promises else None
        promise = self._promises.get(asked) if asked else None
        return promise if promise is not None and promise.is_current() else self.find(id, kwargs)

    def find_alike(self, form: Form, source: str) -> KnownFile | None:
        """Do `find_for_page` for a source's name and a form's keywords."""
        if not form.recipe or is_url(source):
            return None
        asked = form.recipe, source, str
        promise = self._promises.get(asked)
        return promise if promise is not None and promise.is_current() else self._find(asked)

    def find_together(self, calls: Sequence[Call]) -> list[KnownFile | None]:
        """Return what `find_for_page` does for several calls, by two looks into the state store at most."""
        found: list[KnownFile | None] = []
        entries: dict[str, tuple[int, Asked]] = {}
        glance = self.glance()
        for index, (id, kwargs) in enumerate(calls):
            found.append(None)
            asked = self._asked(id, kwargs)
            if asked is None:
                continue
            known = self._promises.get(asked) or self._answers.get(asked)
            if known is not None and known.is_current():
                found[index] = known
                continue
            with suppress(SourceNotAllowed):
                entries[self._key(asked[0], glance.source(asked[1]).name)] = index, asked
        for entry, text in self._texts([*entries]).items():
            index, asked = entries[entry]
            known = self._understood(text, glance.source(asked[1]).place, glance)
            if known is not None and glance.is_current(known):
                self._keep(asked, known)
                found[index] = known
        return found

    def find_made(self, calls: Sequence[Call], glance: Glance) -> list[Made | None]:
        """Return the files that many calls lead to, by one look into the state store; None where `find` would.

        Args:
            calls: Each generator's id and keywords.
            glance: What was seen for the calls before these.
        """
        found: list[Made | None] = [None] * len(calls)
        entries: dict[str, tuple[int, Seen]] = {}
        recipes, answers, prefix = self._recipes, self._answers, self._prefix
        for index, (id, kwargs) in enumerate(calls):
            try:
                source: Any = kwargs.get("source")
                if type(source) not in self.source_types:
                    continue
                # This loop is run a million times for a million files.
                recipe = (recipes.get((id,)) if len(kwargs) == 1 else None) or self.recipe(id, kwargs)
                known = answers.get((recipe, source, type(source))) if recipe and answers else None
                if known is not None:
                    # A render has just found it.
                    found[index] = known.made if glance.is_current(known) else None
                elif recipe:
                    seen = glance.source(source)
                    entries[f"{prefix}{seen.name}:{recipe}{self.key_end}"] = index, seen
            except Exception:  # noqa: BLE001  # a spec's constructor may raise anything, as it will for who makes it
                continue
        if not entries:
            return found
        # What has a recipe is kept there.
        below, path_of = self._below, glance.path_of(cast(FileSystemStorage, self._kit.storage))
        for entry, text in self._store.get_many(entries).items():
            index, seen = entries[entry]
            if not text.endswith(seen.end or glance.end_of(seen)):
                continue
            match = _ANSWER.match(text)
            if match is None:
                # Its name has other characters than most.
                found[index] = self._made(text, seen, glance)
                continue
            name, size, width, height, _ = match.groups()
            try:
                if name.startswith(below) and os.lstat(path_of(name)).st_size == int(size):
                    found[index] = name, int(size), int(width), int(height)
            except (OSError, StorageError):
                continue
        return found

    def _made(self, text: str, seen: Seen, glance: Glance) -> Made | None:
        known = self._understood(text, seen.place, glance)
        return known.made if known is not None and glance.is_current(known) else None

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
        glance = self.glance()
        for index, (id, kwargs) in enumerate(calls):
            source, given = sources[index], kwargs["source"]
            if found[index] is not None or references[index] is None:
                continue
            asked = self._asked(id, kwargs)
            if asked is None or not isinstance(source, VersionedSource):
                continue
            recipe = asked[0]
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
                place = glance.source(given).place
                promise = self._known_file(
                    name, 0, size, signature, place, glance, is_promised=True, has_subject=_has_subject(source)
                )
                if promise is not None:
                    self._keep(asked, promise)
                found[index] = promise
        return found

    def forget_files(self, is_gone: Callable[[str], bool], source: Source | None = None) -> None:
        """Forget the answers that lead to deleted files, here and in the state store.

        Args:
            is_gone: Tells by its name whether a file was deleted.
            source: The source of all the files, if they share one.
        """
        _drop(self._answers, is_gone)
        _drop(self.calls, is_gone)
        _drop(self._promises, is_gone)
        self._ahead, self._glance = ReadAhead(), self.glance()
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

    def _keep(self, asked: Asked, known: KnownFile) -> None:
        answers = self._promises if known.is_promised else self._answers
        if len(answers) >= MOST_ANSWERS:
            answers.clear()
        answers[asked] = known

    def remember(self, file: ImageCacheFile, kwargs: dict[str, Any]) -> KnownFile | None:
        """Keep and return the file as the answer to these keywords, if it exists by now or its strategy promises it."""
        asked = self._asked_of(file, kwargs)
        if asked is None:
            return None
        promise = self._promise(file, asked)
        if promise is not None:
            self._keep(asked, promise)
            return promise
        entry = self._entry(file, asked)
        if entry is None:
            return None
        key, text = entry
        if file.made is not None or self._store.get(key) != text:
            # For as long as the record that it stands for.
            self._store.set_many({key: text}, self._kit.settings.cache_timeout)
        known = self._understood(text, self.whereabouts(asked[1])[1])
        if known is not None:
            self._keep(asked, known)
        return known

    def _promise(self, file: ImageCacheFile, asked: Asked) -> KnownFile | None:
        """Return the answer that holds for a file until the end of the render, whether or not it is there yet."""
        source = file.source if type(file.cachefile_strategy) is Deferred else None
        if not isinstance(source, VersionedSource):
            return None
        size, signature = file.promised_size, source.known_signature
        if size is None or signature is None or not file.name:
            return None
        place, has_subject = self.whereabouts(asked[1])[1], _has_subject(source)
        return self._known_file(file.name, 0, size, signature, place, is_promised=True, has_subject=has_subject)

    def answers(self, files: Iterable[tuple[ImageCacheFile, dict[str, Any]]]) -> dict[str, str]:
        """Return what stands in the store for files and their keywords, so that it is written with their records."""
        asked = [(file, self._asked_of(file, kwargs)) for file, kwargs in files]
        return dict(entry for file, each in asked if each and (entry := self._entry(file, each)))

    def _entry(self, file: ImageCacheFile, asked: Asked) -> tuple[str, str] | None:
        source = file.source
        if not isinstance(source, VersionedSource):
            return None
        record = (file.made or file.records.get(file.name)) if file.name else None
        signature = source.known_signature
        if record is None or signature is None:
            return None
        value = [record.name, record.size, record.width, record.height, int(_has_subject(source)), *signature]
        return self._key(asked[0], self.whereabouts(asked[1])[0]), json.dumps(value, separators=(",", ":"))

    @property
    def _store(self) -> StateStore:
        return self._kit.records.store

    @made_once
    def _prefix(self) -> str:
        # Another maker of posters, which its video's stat does not tell, gives other files.
        posters = self._kit.posters
        return f"{self._kit.settings.cache_prefix}known:{f'{posters.version}:' if posters else ''}"

    def _key(self, recipe: str, name: str) -> str:
        # The source first, so that the answers about one source are found together.
        return f"{self._prefix}{name}:{recipe}{self.key_end}"

    def glance(self) -> Glance:
        """Return a new glance at the disk, for files that are looked for together."""
        return Glance(lambda source: self.whereabouts(source) if self.is_named(source) else (source, None))

    def whereabouts(self, source: str) -> tuple[str, Place | None]:
        """Return what a source's name will be, and the first of its possible places that has it; None if none is known.

        Raises:
            SourceNotAllowed: Nothing may have the name.
        """
        if self._only_folder and is_ordinary(source):
            return source, Place(self._only_folder + (source if os.sep == "/" else source.replace("/", os.sep)))
        parts = name_parts(source)
        return "/".join(parts), self._place(source, parts)

    def _place(self, source: str, parts: tuple[str, ...]) -> Place | None:
        paths = self._kit.settings.source_paths(parts, before_buckets=True)
        if len(paths) == 1 and not self._has_buckets:
            # `is_current` tells whether it exists.
            return Place(paths[0])
        found = next((index for index, path in enumerate(paths) if os.path.lexists(path)), None)
        if found is not None:
            return Place(paths[found], tuple(paths[:found]))
        bucket, inner = self._kit.sources.first_bucket(source) if self._has_buckets else (None, "")
        if bucket is None or not bucket.knows(inner):
            return None
        return Place(f"{bucket.called}/{inner}", tuple(paths), bucket, inner)

    def _understood(self, text: str, place: Place | None, glance: Glance | None = None) -> KnownFile | None:
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
            return self._known_file(
                name, size, (width, height), signature, place, glance, has_subject=bool(has_subject)
            )
        except StorageError:
            return None

    def _known_file(
        self,
        name: str,
        size: int,
        pixels: Size,
        signature: Signature,
        place: Place | None,
        glance: Glance | None = None,
        *,
        is_promised: bool = False,
        has_subject: bool,
    ) -> KnownFile | None:
        storage = self._kit.storage
        if place is None or not isinstance(storage, FileSystemStorage):
            return None
        path = glance.path_of(storage)(name) if glance else storage.path(name)
        return KnownFile(name, path, size, *pixels, place, signature, storage, is_promised, has_subject)

    def recipe(self, id: str, kwargs: dict[str, Any]) -> str | None:
        """Return what stands for all that an image depends on but its source; None if nothing does."""
        options: dict[str, Any] = {}
        key: tuple[Any, ...] = (id,)
        recipes = self._recipes
        try:
            if len(kwargs) > 1:
                options = {**kwargs}
                options.pop("source", None)
                # 1, 1.0 and True are equal, and lead to different files.
                types = tuple(map(type, options.values()))
                key = (id, *options.items(), *types) if PLAIN_TYPES.issuperset(types) else (id, frozen(options))
            known = recipes.get(key, _UNKNOWN)
            if known is not _UNKNOWN:
                return known  # type: ignore[no-any-return]  # it is a recipe
        except TypeError:
            # What is not plain may be equal to others, or change.
            return self._compute_recipe(id, options)
        if len(recipes) >= MOST_ANSWERS:
            recipes.clear()
        recipe = recipes[key] = self._compute_recipe(id, options)
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
