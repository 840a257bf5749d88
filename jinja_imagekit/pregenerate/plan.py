"""Plans a pregeneration: lists the cache files, drops the fresh ones, groups the rest by source; or only says so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from ..cachefiles import ImageCacheFile
from ..exceptions import ImageKitError, InvalidOption
from ..interfaces import SourceGroup
from ..registry import match_ids
from ..sources import FileSource, Source
from ..state import Record
from .report import Outcome, Report

if TYPE_CHECKING:
    from ..cachefiles.warm import KnownFile
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
            outcome = Outcome("skipped", item.generator_id, str(item.kwargs["source"]), known.name)
            plan.outcomes.append(_with_size(outcome, known))
            continue
        # A cache file's own truth would make it.
        file = kit.cachefile(item.generator_id, **item.kwargs) if item.file is None else item.file
        try:
            if not force and _is_fresh(file):
                plan.outcomes.append(skipped(file))
            else:
                _add_work(works, file, item.kwargs)
        except Exception as error:  # noqa: BLE001  # a generator's constructor may raise anything; the rest is made
            plan.outcomes.append(failed(item.generator_id, item.kwargs, error))
    plan.works = sorted(works.values(), key=lambda work: -work.weight)
    return plan


def _is_fresh(file: ImageCacheFile) -> bool:
    """Tell whether a cache file exists, without reading a source whose content is not remembered."""
    source = file.source
    if isinstance(source, FileSource) and source.recalled_facts() is None:
        return False
    return bool(file.name) and file.cachefile_backend.exists(file)


def skipped(file: ImageCacheFile) -> Outcome:
    """Return the outcome of a cache file that is there already, or has no name, since its spec has no source."""
    source = file.source.name if file.source else None
    outcome = Outcome("skipped", file.generator_id or "", source, file.name)
    return _with_size(outcome, file.records.get(file.name) if file.name else None)


def _with_size(outcome: Outcome, known: Record | KnownFile | None) -> Outcome:
    return outcome._replace(size=known.size, width=known.width, height=known.height) if known else outcome


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


def dry_run(plan: Plan, force: bool = False) -> Report:
    """Return a report in which "generated" is what a run of the plan would make; nothing is made.

    A source is opened only where its content is not remembered: the name of its files depends on it.

    Args:
        plan: The plan.
        force: Whether the run would make what exists as well.
    """
    outcomes = list(plan.outcomes)
    seen: set[str] = set()
    for work in plan.works:
        for file, kwargs in work.files:
            outcome = _foreseen(file, kwargs, force)
            if outcome.name not in seen:
                outcomes.append(outcome)
            if outcome.name:
                seen.add(outcome.name)
    return Report(outcomes, 0.0)


def _foreseen(file: ImageCacheFile, kwargs: dict[str, Any], force: bool) -> Outcome:
    id = file.generator_id or ""
    try:
        if not file.name or (not force and file.cachefile_backend.exists(file)):
            return skipped(file)
        return Outcome("generated", id, file.source.name if file.source else None, file.name)
    except Exception as error:  # noqa: BLE001  # a spec's properties may raise anything; the rest is listed
        return failed(id, kwargs, error)
