"""Makes the files that a render noted as needed, at its end or in a later run."""

from __future__ import annotations

import atexit
import json
import logging
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from itertools import chain
from json.encoder import encode_basestring_ascii as quoted
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakSet

from ..builds.notes import MOST_FAILURES, Failures, Note, Notes
from ..cachefiles import ImageCacheFile
from ..cachefiles.references import NotPlain, Reference, keywords_of
from ..cachefiles.strategies import Deferred, load_strategy
from ..exceptions import ImageKitError, SourceError, SourceNotAllowed
from ..interfaces import Size
from ..pregenerate.plan import Item, Plan, make_plan, registered_items
from ..pregenerate.report import Outcome, Report
from ..pregenerate.run import Progress, run_plan
from ..registry import match_ids
from ..sources import is_url, name_parts
from ..wording import counted

if TYPE_CHECKING:
    from ..kit import ImageKit

logger = logging.getLogger("jinja_imagekit.pregenerate")

LONGEST_REASON = 2_000
"""How many characters of a failure's reason are kept; it is for people to read."""


def wanted_items(kit: ImageKit, patterns: Iterable[str] = (), plan: Plan | None = None) -> Iterator[Item]:
    """Yield everything to be made: what is registered, and what else the last finished render needs.

    Args:
        kit: The kit.
        patterns: Id patterns; none for all.
        plan: As `registered_items`.

    Raises:
        NotRegistered: As `registered_items`.
        InvalidOption: As `registered_items`.
    """
    patterns = list(patterns)
    beside = {_key(item): item for item in rendered_items(kit, patterns, plan)}
    for item in registered_items(kit, patterns, plan):
        if beside:
            beside.pop(_key(item), None)
        yield item
    yield from beside.values()


def rendered_beside(kit: ImageKit) -> Iterator[Item]:
    """Yield what the last finished render needs and is not registered.

    Args:
        kit: The kit.
    """
    beside = {_key(item): item for item in rendered_items(kit)}
    # Something may be registered that cannot be; `generate()` says so.
    with suppress(ImageKitError):
        for item in registered_items(kit, plan=Plan()) if beside else ():
            beside.pop(_key(item), None)
    yield from beside.values()


def rendered_items(kit: ImageKit, patterns: Iterable[str] = (), plan: Plan | None = None) -> Iterator[Item]:
    """Yield what the last finished render, and any unfinished ones, need and can be made again.

    Files made from an upload cannot, nor can files whose generator or source is gone: the pages have changed since, and
    the next render will tell.

    Args:
        kit: The kit.
        patterns: Id patterns; none for all.
        plan: Collects what the last finished render needs and is missing for good, as failures.
    """
    try:
        last = kit.renders.last() or {}
        notes = {**kit.renders.unfinished(of_dead=True), **last}
        failed = kit.renders.last_failed()
    except ImageKitError as error:
        logger.warning("Files that the last render needs are left out: %s", error)
        return
    patterns, known = list(patterns), kit.generators.get_ids()
    ids = {*known, *(note.reference.generator_id for note in notes.values() if note.reference)}
    left_out = ids.difference(match_ids(patterns, ids)) if patterns else set()
    if plan is not None:
        plan.outcomes.extend(each for each in _lost(kit, last) if each.generator_id not in left_out)
    for name, note in notes.items():
        if note.reference is None or note.reference.generator_id in left_out:
            continue
        item = _item(kit, note.reference) if note.reference.generator_id in known else None
        if item is None or not _has_source(kit, item):
            logger.info("%s is left out: its generator or source is gone since the pages were rendered", name)
        else:
            yield item
    for failure in failed:
        # Failures are tried and reported again, since the pages do without the images.
        if failure.reference and failure.generator_id in known and failure.generator_id not in left_out:
            item = _item(kit, failure.reference)
            if item and (failure.lacks_source or _has_source(kit, item)):
                yield item


def _lost(kit: ImageKit, notes: Notes) -> Iterator[Outcome]:
    """Yield a failure for each missing file that pages refer to and that no generator of this kit makes any more."""
    known = set(kit.generators.get_ids())
    for name, note in notes.items():
        if note.reference is None or not note.served:
            continue
        id, source = note.reference.generator_id, note.reference.kwargs.get("source")
        if id not in known:
            reason = f"a page refers to it, but no generator is registered as {id!r} any more: render again"
        elif _item(kit, note.reference) is None:
            reason = f"a page refers to it, but its keywords in {kit.renders.path} are damaged: render again"
        else:
            continue
        # Pages do not miss it while it is there.
        if kit.storage.stat(name) is None:
            yield Outcome("failed", id, source if isinstance(source, str) else None, name, reason)


class Undone(NamedTuple):
    """A cache file that is wanted but could not be made.

    Attributes:
        generator_id: Its generator's id.
        source: Its source's name; None if it has none.
        reason: Why it could not be made.
        file: The cache file, if known.
    """

    generator_id: str
    source: str | None
    reason: str
    file: ImageCacheFile | None


def keep_failures(kit: ImageKit, report: Report, *, of_all: bool = False) -> None:
    """Remember what a run could not make, for later inquiries, and forget what it could.

    Args:
        kit: The kit.
        report: What the run did.
        of_all: Whether the run was to make everything wanted, so that nothing else is left.
    """
    store = kit.records.store
    failed = {_undone_key(kit, each.generator_id, each.source): each.reason for each in report.failed[:MOST_FAILURES]}
    if of_all:
        settled = set(store.keys(_undone_key(kit)))
    else:
        kept = set(store.keys(_undone_key(kit)))
        done = chain(report.generated, report.skipped) if kept else ()
        settled = kept.intersection(_undone_key(kit, each.generator_id, each.source) for each in done)
    store.delete_many(settled - failed.keys())
    store.set_many({key: json.dumps(reason[:LONGEST_REASON]) for key, reason in failed.items()})


def _undone_key(kit: ImageKit, generator_id: str = "", source: str | None = None) -> str:
    if not generator_id:
        return f"{kit.settings.cache_prefix}undone:"
    named = "null" if source is None else quoted(source)
    return f"{kit.settings.cache_prefix}undone:[{quoted(generator_id)}, {named}]"


def undone(kit: ImageKit) -> Iterator[Undone]:
    """Yield what pages or the last runs wanted, failed to get, and has not been made since.

    Files that are no longer wanted, because their registration or source is gone, are left out.

    Args:
        kit: The kit.

    Raises:
        ImageKitError: The record of the last render is damaged.
    """
    seen: list[object] = []
    for failure in (*kit.renders.failed, *kit.renders.last_failed()):
        if failure in seen:
            continue
        seen.append(failure)
        item = _item(kit, failure.reference) if failure.reference else None
        if not item or failure.lacks_source or _has_source(kit, item):
            file = _file_of(kit, item) if item else None
            if file is None or not _exists(file):
                seen.append((failure.generator_id, failure.source))
                yield Undone(failure.generator_id, failure.source, failure.reason, file)
    for lost in _lost(kit, kit.renders.last() or {}):
        yield Undone(lost.generator_id, lost.source or lost.name, lost.reason, None)
    reasons = {key: reason for key in kit.records.store.keys(_undone_key(kit)) if (reason := _reason_at(kit, key))}
    for item in _still_wanted(kit) if reasons else ():
        named = _source_name(item)
        reason = reasons.get(_undone_key(kit, item.generator_id, named))
        if reason and (item.generator_id, named) not in seen:
            file = _file_of(kit, item)
            if file is None or not _exists(file):
                yield Undone(item.generator_id, named, reason, file)


def _still_wanted(kit: ImageKit) -> list[Item]:
    try:
        return list(wanted_items(kit, plan=Plan()))
    except ImageKitError:
        # A registration is invalid, which `generate()` reports.
        return []


def _reason_at(kit: ImageKit, key: str) -> str | None:
    try:
        reason = json.loads(kit.records.store.get(key) or "")
    except ValueError:
        return None
    return reason if type(reason) is str else None


def _source_name(item: Item) -> str | None:
    source = item.kwargs.get("source")
    return None if source is None else str(source)


def _file_of(kit: ImageKit, item: Item) -> ImageCacheFile | None:
    try:
        return kit.cachefile(item.generator_id, **item.kwargs) if item.file is None else item.file
    except ImageKitError:
        return None


def _exists(file: ImageCacheFile) -> bool:
    try:
        return bool(file.name) and file.cachefile_backend.exists(file)
    except Exception:  # noqa: BLE001  # a spec's properties may raise anything, as they did before
        return False


def finish_render(kit: ImageKit, *, workers: int | None = None, on_progress: Progress | None = None) -> Report:
    """Write down what the render needs, make what is missing, and start a new render.

    Args:
        kit: The kit.
        workers: How many threads; by default as many as cores.
        on_progress: Called for each file once it is settled.

    Raises:
        GenerationInterrupted: Ctrl-C; what is needed is written down, and `generate` makes the rest.
    """
    notes, failures = _write_down(kit)
    failed = [Outcome("failed", each.generator_id, each.source, None, each.reason) for each in failures]
    items = {name: _item(kit, note.reference) for name, note in notes.items() if note.reference}
    plan = make_plan(kit, [item for item in items.values() if item])
    report = run_plan(kit, plan, workers=workers, on_progress=on_progress)
    kit.pictures.write_manifest()
    _begin_anew(kit)
    promises = _promised_sizes(plan, {outcome.name for outcome in report.generated})
    outcomes = [_checked(each, promises) for each in (*report.generated, *report.skipped, *report.failed)]
    outcomes = [_placed(kit, each) for each in _one_a_cause([*outcomes, *_missing(kit, notes, items, outcomes)])]
    kit.renders.forget_places()
    return Report([*outcomes, *failed], report.seconds)


def finish_pages(kit: ImageKit) -> None:
    """Write down what pages need whose images have been made, and start a new render."""
    _write_down(kit)
    kit.pictures.write_manifest()
    _begin_anew(kit)
    kit.renders.forget_places()


def _begin_anew(kit: ImageKit) -> None:
    """Have the next render read sidecar files again, and ask buckets."""
    kit.image_facts.forget_sidecars()
    kit.pictures.forget()
    kit.sources.forget()


def _write_down(kit: ImageKit) -> tuple[Notes, Failures]:
    # Several processes may have rendered the pages, and finish at once.
    kit.source_memory.save()
    with kit.records.store.lock("\0finish"):
        notes, failures = kit.renders.finish(partial(_leads_to, kit))
    kit.pictures.finish_styles(notes)
    return notes, failures


def _one_a_cause(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Return outcomes with a single failure where the files of one source fail alike, as a picture's sizes do."""
    kept: dict[object, Outcome] = {}
    alike: Counter[object] = Counter()
    for each in outcomes:
        failed = each.status == "failed" and each.source is not None
        cause = (each.generator_id, each.source, each.reason) if failed else id(each)
        kept.setdefault(cause, each)
        alike[cause] += 1
    return [
        each if alike[cause] == 1 else each._replace(reason=f"{each.reason} ({counted(alike[cause], 'file')} of it)")
        for cause, each in kept.items()
    ]


MOST_PLACES = 3
"""How many places in pages a failure names; a site's logo may be on every page."""


def _placed(kit: ImageKit, outcome: Outcome) -> Outcome:
    """Return a failure with the places in pages that ask for the image."""
    places = kit.renders.places(outcome.generator_id, outcome.source) if outcome.status == "failed" else ()
    if not places:
        return outcome
    more = f" and {len(places) - MOST_PLACES} more" if len(places) > MOST_PLACES else ""
    return outcome._replace(reason=f"{outcome.reason} [{'; '.join(places[:MOST_PLACES])}{more}]")


def unmade(kit: ImageKit, notes: Notes) -> list[str]:
    """Return the names of those deferred cache files among these notes that have not been made yet."""
    return [name for name, note in notes.items() if _is_deferred(kit, note) and kit.storage.stat(name) is None]


_kits: WeakSet[ImageKit] = WeakSet()
"""This process's kits, whose pages may still lack images when it ends."""


def tell_at_exit(kit: ImageKit) -> None:
    """Log it if this process ends while pages refer to images that have not been made."""
    if not _kits:
        atexit.unregister(_tell_unfinished)
        atexit.register(_tell_unfinished, os.getpid())
    _kits.add(kit)


def leave_untold(kit: ImageKit) -> None:
    """Log nothing at the end about a kit whose host finishes its renders, unless a build fails and says so itself."""
    _kits.discard(kit)


def _tell_unfinished(pid: int) -> None:
    # A pool's worker leaves that to the process it works for, and a failed build has other worries.
    if pid != os.getpid() or _is_worker() or hasattr(sys, "last_value"):
        return
    for kit in list(_kits):
        # Whatever may be wrong with a store or folder by now must not affect how the process ends.
        with suppress(Exception):
            names = unmade(kit, kit.renders.unfinished()) if _has_rendered(kit) else []
            if names:
                logger.warning(
                    "%s that pages refer to, such as %s, will be missing: call kit.finish() after the last page.",
                    counted(len(names), "image"),
                    names[0],
                )


def _is_worker() -> bool:
    """Tell whether this process works for another, which it has learnt from a module that no other process needs."""
    module = sys.modules.get("multiprocessing.process")
    return module is not None and module.parent_process() is not None


def _has_rendered(kit: ImageKit) -> bool:
    """Tell whether this process has noted anything, or another has on its behalf."""
    return "renders" in vars(kit) or kit.settings.state_dir.exists()


def _is_deferred(kit: ImageKit, note: Note) -> bool:
    if not note.served or note.reference is None:
        return False
    try:
        own = getattr(kit.registered(note.reference.generator_id), "cachefile_strategy", None)
        return isinstance(kit.cachefile_strategy if own is None else load_strategy(own), Deferred)
    # A property may depend on the source, and the generator may no longer be registered.
    except ImageKitError:
        return False


def _leads_to(kit: ImageKit, name: str, note: Note) -> bool:
    """Tell whether a note of an earlier render still holds: neither generator nor source has changed since."""
    item = note.reference and _item(kit, note.reference)
    if note.styles:
        return True
    try:
        return kit.storage.stat(name) is not None if not item else name_of(kit, item) == name
    except Exception:  # noqa: BLE001  # a spec's properties may raise anything; such a file cannot be made
        return False


def name_of(kit: ImageKit, item: Item) -> str | None:
    """Return the name of an item's cache file.

    Raises:
        Exception: Whatever a spec's properties raise.
    """
    known = None if item.file is not None else kit.known_files.find(item.generator_id, item.kwargs)
    if known:
        return known.name
    return (kit.cachefile(item.generator_id, **item.kwargs) if item.file is None else item.file).name


def _item(kit: ImageKit, reference: Reference) -> Item | None:
    try:
        return Item(reference.generator_id, keywords_of(reference, kit))
    except NotPlain:
        return None


def _has_source(kit: ImageKit, item: Item) -> bool:
    source = item.kwargs.get("source")
    if type(source) is not str or is_url(source):
        return True
    try:
        paths = kit.settings.source_paths(name_parts(source))
        return any(map(os.path.lexists, paths)) or bool(kit.settings.buckets and kit.sources.lookup(source))
    except SourceNotAllowed:
        return False
    except SourceError:
        # Whoever makes the image says that a bucket does not answer.
        return True


def _promised_sizes(plan: Plan, made: set[str | None]) -> dict[str | None, Size | None]:
    files = (file for work in plan.works for file, _ in work.files)
    return {
        file.name: file.cachefile_strategy.promised_size(file) for file in files if file.__dict__.get("name") in made
    }


def _checked(outcome: Outcome, promises: Mapping[str | None, Size | None]) -> Outcome:
    """Return the outcome of a file that was made, as a failure if pages promise another size."""
    promised = promises.get(outcome.name) if outcome.status == "generated" else None
    if promised is None or promised == (outcome.width, outcome.height):
        return outcome
    reason = (
        f"pages say that it has {promised[0]}×{promised[1]} pixels, but it has {outcome.width}×{outcome.height}: "
        "correct output_size() of its processors"
    )
    return outcome._replace(status="failed", reason=reason)


def _missing(
    kit: ImageKit, notes: Notes, items: Mapping[str, Item | None], outcomes: Iterable[Outcome]
) -> Iterator[Outcome]:
    """Yield a failure for each file that pages refer to and that is missing although nothing else went wrong."""
    there = {each.name for each in outcomes}
    failed = {(each.generator_id, each.source) for each in outcomes if each.status == "failed"}
    for name, note in notes.items():
        item = items.get(name)
        if item is None:
            if note.served and kit.storage.stat(name) is None:
                reason = "it was made from an upload, bytes or a file in another folder, and is gone: render again"
                yield Outcome("failed", "", None, name, reason)
        elif name not in there:
            named = _source_name(item)
            if (item.generator_id, named) not in failed:
                reason = "its source or generator has changed since the page was rendered: render again"
                yield Outcome("failed", item.generator_id, named, name, reason)


def _key(item: Item) -> object:
    """Return what two items have in common if they stand for the same file."""
    key = (item.generator_id, *item.kwargs.items(), *map(type, item.kwargs.values()))
    try:
        hash(key)
    except TypeError:
        return id(item)
    return key if item.file is None else id(item)
