"""Plans a pregeneration: lists the cache files, drops those that are up to date, groups the rest by source."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..cachefiles import ImageCacheFile
from ..cachefiles.known import Glance, Made
from ..cachefiles.warm import BATCH
from ..exceptions import ImageKitError, InvalidOption
from ..interfaces import SourceGroup
from ..registry import match_ids
from ..sourcegroups import GlobSourceGroup, missing_buckets, missing_folders
from ..sources import Source, VersionedSource, is_url
from .report import Outcome, Outcomes, Report

if TYPE_CHECKING:
    from ..kit import ImageKit

logger = logging.getLogger("jinja_imagekit.pregenerate")


class Item(NamedTuple):
    """A cache file to make: a generator's id and keywords, or a registered cache file."""

    generator_id: str
    kwargs: dict[str, Any]
    file: ImageCacheFile | None = None


@dataclass(slots=True)
class SourceWork:
    """Everything to be made from one source.

    Attributes:
        source: The source; None for generators without one.
        files: The cache files and the keywords that led to them.
        weight: The source's size in bytes; heavy work starts first.
    """

    source: Source | None
    weight: int = 0
    files: list[tuple[ImageCacheFile, dict[str, Any]]] = field(default_factory=list)


@dataclass(slots=True)
class Plan:
    """What a run has to do, and what is already settled.

    Attributes:
        works: The work, by source.
        outcomes: What is already settled: files that are up to date, and unusable sources.
        warnings: What looks like a mistake but does not prevent anything: a folder that does not exist, a pattern
            that matches no file; by subject.
    """

    works: list[SourceWork] = field(default_factory=list)
    outcomes: Outcomes = field(default_factory=Outcomes)
    warnings: dict[str, str] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many cache files there are in all."""
        return len(self.outcomes) + sum(len(work.files) for work in self.works)


def registered_items(kit: ImageKit, patterns: Iterable[str] = (), plan: Plan | None = None) -> Iterator[Item]:
    """Yield what source groups and cache file registrations name, a source with all generators that have its pattern.

    Args:
        kit: The kit.
        patterns: Id patterns; none for all.
        plan: Collects likely mistakes as warnings, and groups whose sources cannot be listed as failures.

    Raises:
        NotRegistered: A pattern matches no id, or something is registered with an id that has no generator.
        InvalidOption: A registration is neither a cache file nor keywords.
        Exception: Whatever a source group raises, if there is no plan.
    """
    used = dict.fromkeys([*kit.source_groups.get_ids(), *kit.cachefile_registry.get_ids()])
    for id in used:
        kit.generators.find(id)
    patterns = list(patterns)
    ids = match_ids(patterns, kit.generators.get_ids()) if patterns else list(used)
    if plan is not None:
        plan.warnings |= missing_folders(kit.settings)
    for group, of_group in _groups(kit, ids):
        yield from _items_of(kit, group, of_group, plan)
    for id in ids:
        for registered in kit.cachefile_registry.get(id):
            yield _registered_item(id, registered)
    if plan is not None and kit.sources.buckets:
        # What has been listed by now is known.
        plan.warnings |= kit.image_facts.unread_sidecars()


def _groups(kit: ImageKit, ids: Iterable[str]) -> Iterable[tuple[SourceGroup, list[str]]]:
    """Return the source groups with their generators' ids; folders are searched once for a pattern of several."""
    found: dict[object, tuple[SourceGroup, list[str]]] = {}
    for id in ids:
        for group in kit.source_groups.groups_of(id):
            key = group if type(group) is GlobSourceGroup else object()
            found.setdefault(key, (group, []))[1].append(id)
    return found.values()


def _items_of(kit: ImageKit, group: SourceGroup, ids: list[str], plan: Plan | None) -> Iterator[Item]:
    count = 0
    try:
        for count, source in enumerate(sources_of(group, kit), 1):  # noqa: B007  # counted for what comes below
            for id in ids:
                yield Item(id, {"source": source})
    except Exception as error:
        if plan is None:
            raise
        plan.outcomes.extend(failed(id, {"source": group}, error) for id in ids)
    else:
        if plan is not None and not count and isinstance(group, GlobSourceGroup):
            missing = f"{group!r} of {' and '.join(map(repr, ids))} matches no file."
            plan.warnings |= {**group.missing_folders(), group.pattern: missing}
            plan.warnings |= missing_buckets(kit.sources.buckets)


def sources_of(group: SourceGroup, kit: ImageKit) -> Iterator[object]:
    """Yield the sources of a group, except what the kit made itself; a group without folders looks in the kit's."""
    is_result = _results_of(kit)
    names_in = getattr(group, "names_in", None)
    if names_in:
        yield from names_in(kit.sources.source_dirs, kit.sources.source_prefixes, is_result)
        return
    for source in group.files():
        if not (isinstance(source, Path) and is_result(os.path.realpath(source))):
            yield source


_HASHED = re.compile(r"(^|[/.])[0-9a-f]{16}([0-9a-f]{16})?(\.\w+)?$")
"""How the built-in namers end a name: with 32 digits of a hash, or 16 after the source's name, and an extension."""


def _results_of(kit: ImageKit) -> Callable[[str], bool]:
    """Return a test of whether a kit made what is at a real path: its cache files, published ones, its state."""
    settings = kit.settings
    location, folder = os.path.realpath(settings.location), settings.cachefile_dir
    own = (os.path.realpath(settings.state_dir), *([os.path.join(location, *folder.split("/"))] if folder else []))
    inner = f"/{folder}/"
    below = tuple(each + os.sep for each in own)

    def is_result(path: str) -> bool:
        if path in own or path.startswith(below):
            return True
        # A copy elsewhere has the same name, starting with the folder of cache files.
        parts = path.replace(os.sep, "/").rpartition(inner)
        names = [f"{folder}/{parts[2]}"] if folder and parts[1] else []
        # Where state was lost, no record tells, but a built-in namer's hash does.
        if names and _HASHED.search(names[0]):
            return True
        if path.startswith(location + os.sep):
            names.append(path[len(location) + 1 :].replace(os.sep, "/"))
        return bool(names) and any(kit.records.get(name) is not None for name in names)

    return is_result


def _registered_item(id: str, registered: object) -> Item:
    if isinstance(registered, Mapping):
        return Item(id, dict(registered))
    if isinstance(registered, ImageCacheFile):
        return Item(id, {}, registered)
    raise InvalidOption("cachefiles", registered, "a registration yields cache files or dicts of keywords")


def make_plan(kit: ImageKit, items: Iterable[Item], force: bool = False, plan: Plan | None = None) -> Plan:
    """Plan the making of cache files; a source whose content is remembered is not opened.

    Args:
        kit: The kit.
        items: What to make; the same file twice is made once.
        force: Make files even if they are up to date.
        plan: The plan to write into; by default a new one.
    """
    plan = plan or Plan()
    works: dict[object, SourceWork] = {}
    glance, rest = kit.known_files.glance(), iter(items)
    while batch := list(islice(rest, BATCH)):
        pending = batch if force else _without_known(kit, batch, glance, plan)
        _download(kit, pending)
        for item in pending:
            try:
                # Checking a cache file's truth value would make it.
                file = kit.cachefile(item.generator_id, **item.kwargs) if item.file is None else item.file
                if not force and _is_fresh(file):
                    plan.outcomes.append(skipped(file))
                else:
                    _add_work(works, file, item.kwargs)
            except Exception as error:  # noqa: BLE001  # a generator's constructor may raise anything; the rest is made
                plan.outcomes.append(failed(item.generator_id, item.kwargs, error))
    for warning in plan.warnings.values():
        logger.warning("%s", warning)
    if getattr(kit.records.store, "is_shared", False):
        # Few sites have several machines.
        from random import random

        # Machines that took the same sources in the same order would wait for each other at each of them.
        plan.works = sorted(works.values(), key=lambda work: (-work.weight.bit_length(), random()))
    else:
        plan.works = sorted(works.values(), key=lambda work: -work.weight)
    return plan


def _download(kit: ImageKit, items: Iterable[Item]) -> None:
    """Have the images of other hosts downloaded, several at a time."""
    remote = kit.sources.remote
    if remote is not None:
        sources = (item.kwargs.get("source") for item in items)
        remote.fetch_together(source for source in sources if type(source) is str and is_url(source))


def _without_known(kit: ImageKit, items: list[Item], glance: Glance, plan: Plan) -> list[Item]:
    """Return the items whose files are not known to be up to date; the plan learns of the others."""
    rest, fresh = [], []
    for item, made in zip(items, _made_of(kit, items, glance), strict=True):
        if made is None:
            rest.append(item)
        else:
            name, size, width, height = made
            fresh.append(("skipped", item[0], str(item[1]["source"]), name, "", 0.0, 0, size, width, height, ""))
    plan.outcomes.skipped.extend(fresh)
    return rest


def with_made(kit: ImageKit, items: Iterable[Item]) -> Iterator[tuple[Item, Made | None]]:
    """Yield items with their files, as far as these are known to be up to date; many are looked up at a time."""
    glance, rest = kit.known_files.glance(), iter(items)
    while batch := list(islice(rest, BATCH)):
        yield from zip(batch, _made_of(kit, batch, glance), strict=True)


def _made_of(kit: ImageKit, items: list[Item], glance: Glance) -> list[Made | None]:
    return kit.known_files.find_made([(id, kwargs if file is None else {}) for id, kwargs, file in items], glance)


def _is_fresh(file: ImageCacheFile) -> bool:
    """Tell whether a cache file exists, without reading a source whose content is not remembered."""
    source = file.source
    if isinstance(source, VersionedSource) and source.recalled_facts() is None:
        return False
    return bool(file.name) and file.cachefile_backend.exists(file)


def skipped(file: ImageCacheFile) -> Outcome:
    """Return the outcome of a cache file that already exists, or has no name because its spec has no source."""
    source = file.source.name if file.source else None
    outcome = Outcome("skipped", file.generator_id or "", source, file.name)
    known = file.records.get(file.name) if file.name else None
    return outcome._replace(size=known.size, width=known.width, height=known.height) if known else outcome


def failed(generator_id: str, kwargs: Mapping[str, Any], error: Exception) -> Outcome:
    """Return the outcome of a cache file that could not be made."""
    source = kwargs.get("source")
    reason = error.message() if isinstance(error, ImageKitError) else f"{type(error).__name__}: {error}"
    return Outcome("failed", generator_id, None if source is None else str(source), None, reason)


def _add_work(works: dict[object, SourceWork], file: ImageCacheFile, kwargs: dict[str, Any]) -> None:
    source = file.source
    # A link may give a file two names, each of which has its own cache files.
    key = (source.place, source.name) if isinstance(source, VersionedSource) else id(source) if source else id(file)
    work = works.get(key)
    if work is None:
        weight = source.signature().size if isinstance(source, VersionedSource) else 0
        work = works[key] = SourceWork(source, weight)
    work.files.append((file, kwargs))


def dry_run(plan: Plan, force: bool = False) -> Report:
    """Return a report in which "generated" is what a run of the plan would make; nothing is made.

    A source is opened only if its content is not remembered, since its files' names depend on it.

    Args:
        plan: The plan.
        force: Whether the run would make existing files too.
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
    return Report(outcomes, 0.0, plan.warnings.values())


def _foreseen(file: ImageCacheFile, kwargs: dict[str, Any], force: bool) -> Outcome:
    id = file.generator_id or ""
    try:
        if not file.name or (not force and file.cachefile_backend.exists(file)):
            return skipped(file)
        return Outcome("generated", id, file.source.name if file.source else None, file.name)
    except Exception as error:  # noqa: BLE001  # a spec's properties may raise anything; the rest is listed
        return failed(id, kwargs, error)
