"""Plans a pregeneration: lists the cache files, drops the fresh ones, groups the rest by source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from ..cachefiles import ImageCacheFile
from ..exceptions import ImageKitError, InvalidOption
from ..interfaces import SourceGroup
from ..registry import match_ids
from ..sources import FileSource, Source
from .report import Outcome

if TYPE_CHECKING:
    from ..kit import ImageKit


class Item(NamedTuple):
    """One cache file to make: a generator's id and keywords, or a cache file that somebody registered."""

    generator_id: str
    kwargs: dict[str, Any]
    file: ImageCacheFile | None = None


@dataclass(slots=True)
class SourceWork:
    """All that is to be made of one source.

    Attributes:
        source: The source; None for generators that have none.
        files: The cache files and the keywords that led to them.
        weight: The source's size in bytes; heavy work is begun first.
    """

    source: Source | None
    weight: int = 0
    files: list[tuple[ImageCacheFile, dict[str, Any]]] = field(default_factory=list)


@dataclass(slots=True)
class Plan:
    """What a run has to do, and what needs no doing.

    Attributes:
        works: The work, by source.
        outcomes: What is settled already: fresh files, and sources that cannot be had.
    """

    works: list[SourceWork] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def total(self) -> int:
        """How many cache files there are in all."""
        return len(self.outcomes) + sum(len(work.files) for work in self.works)


def registered_items(kit: ImageKit, patterns: Iterable[str] = ()) -> Iterator[Item]:
    """Yield what source groups and cache-file registrations name.

    Args:
        kit: The kit.
        patterns: Id patterns; none for all.

    Raises:
        NotRegistered: A pattern matches no id, or something is registered with an id that has no generator.
        InvalidOption: A registration is neither a cache file nor keywords.
    """
    used = dict.fromkeys([*kit.source_groups.get_ids(), *kit.cachefile_registry.get_ids()])
    for id in used:
        kit.generators.find(id)
    patterns = list(patterns)
    ids = match_ids(patterns, kit.generators.get_ids()) if patterns else list(used)
    for id in ids:
        for group in kit.source_groups.groups_of(id):
            for source in sources_of(group, kit):
                yield Item(id, {"source": source})
        for registered in kit.cachefile_registry.get(id):
            yield _registered_item(id, registered)


def sources_of(group: SourceGroup, kit: ImageKit) -> Iterable[object]:
    """Return the sources of a group; a group without folders of its own looks in the kit's."""
    names_in = getattr(group, "names_in", None)
    return names_in(kit.settings.source_dirs, kit.settings.source_prefixes) if names_in else group.files()


def _registered_item(id: str, registered: object) -> Item:
    if isinstance(registered, Mapping):
        return Item(id, dict(registered))
    if isinstance(registered, ImageCacheFile):
        return Item(id, {}, registered)
    raise InvalidOption("cachefiles", registered, "a registration yields cache files or dicts of keywords")


def make_plan(kit: ImageKit, items: Iterable[Item], force: bool = False) -> Plan:
    """Plan the making of cache files; a source whose content is remembered is not opened.

    Args:
        kit: The kit.
        items: What to make; the same file twice is made once.
        force: Make what is fresh as well.
    """
    plan = Plan()
    works: dict[object, SourceWork] = {}
    for item in items:
        known = None if force or item.file is not None else kit.known_files.find(item.generator_id, item.kwargs)
        if known:
            plan.outcomes.append(Outcome("skipped", item.generator_id, str(item.kwargs["source"]), known.name))
            continue
        # A cache file's own truth would make it.
        file = kit.cachefile(item.generator_id, **item.kwargs) if item.file is None else item.file
        try:
            fresh = None if force else fresh_name(file)
            if fresh:
                plan.outcomes.append(Outcome("skipped", item.generator_id, _source_name(file), fresh))
            else:
                _add_work(works, file, item.kwargs)
        except Exception as error:  # noqa: BLE001  # a generator's constructor may raise anything; the rest is made
            plan.outcomes.append(failed(item.generator_id, item.kwargs, error))
    plan.works = sorted(works.values(), key=lambda work: -work.weight)
    return plan


def fresh_name(file: ImageCacheFile) -> str | None:
    """Return the name of a cache file that exists, without reading a source whose content is not remembered."""
    source = file.source
    if isinstance(source, FileSource) and source.recalled_facts() is None:
        return None
    return file.name if file.name and file.cachefile_backend.exists(file) else None


def failed(generator_id: str, kwargs: Mapping[str, Any], error: Exception) -> Outcome:
    """Return the outcome of a cache file that could not be made."""
    source = kwargs.get("source")
    reason = error.message() if isinstance(error, ImageKitError) else f"{type(error).__name__}: {error}"
    return Outcome("failed", generator_id, None if source is None else str(source), None, reason)


def _add_work(works: dict[object, SourceWork], file: ImageCacheFile, kwargs: dict[str, Any]) -> None:
    source = file.source
    # One file may have two names, by a link; each names cache files of its own.
    key = (source.path, source.name) if isinstance(source, FileSource) else id(source) if source else id(file)
    work = works.get(key)
    if work is None:
        weight = source.signature().size if isinstance(source, FileSource) else 0
        work = works[key] = SourceWork(source, weight)
    work.files.append((file, kwargs))


def _source_name(file: ImageCacheFile) -> str | None:
    return file.source.name if file.source else None
