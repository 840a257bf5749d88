"""Compares what is known about cache files with what is on disk, and repairs what it can."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Literal, NamedTuple

from .builds.finish import undone, unmade
from .cachefiles import ImageCacheFile
from .cachefiles.backends import Simple
from .cachefiles.removal import Removal, storage_of
from .exceptions import ImageKitError, SourceError, StorageError
from .hashing import class_path
from .images import Header, Limits, Original, PixelRules
from .interfaces import Storage
from .large import LargeSet
from .pregenerate.plan import Plan, registered_items
from .pregenerate.run import available_cores
from .stand_ins import Unprocessed
from .state import Failure, Record

if TYPE_CHECKING:
    from .kit import ImageKit

__all__ = ["Finding"]

Kind = Literal["missing", "truncated", "unreadable", "foreign", "temporary", "failed", "unfinished", "state", "sources"]

AT_A_TIME = 1_000
"""How many records are read at a time, whose files are then examined."""

_OURS = re.compile(r"(^|[/.])[0-9a-f]{32}(\.\w+)?$")
"""How the built-in namers end a name: with a fingerprint and an extension."""


class Finding(NamedTuple):
    """Something that is wrong.

    Attributes:
        kind: "missing" (recorded, but there is no file), "truncated" (shorter than recorded), "unreadable" (not a
            whole image), "foreign" (not the recorded image, or not recorded), "temporary" (left by a writer that
            died), "failed" (not generated, and missing from pages), "unfinished" (a page refers to it, but the render
            was not finished), "state" (the state store cannot be used) or "sources" (a source folder does not exist,
            or a pattern matches no file).
        name: The cache file's name, a path, or the name of the source of a file that was not generated.
        detail: What was found.
        fixed: Whether it was repaired.
    """

    kind: Kind
    name: str
    detail: str
    fixed: bool = False


def examine(kit: ImageKit, *, fix: bool = False) -> list[Finding]:
    """Compare records and files; each recorded file is read and decoded in full, unless its storage tells its version.

    A fix deletes and forgets what is missing, truncated, unreadable or not what was recorded, so that it is made again
    when next needed. Failures are tried again. A whole image without a record whose name ends with a fingerprint is
    recorded, since that is what remains when state is lost. Other files without a record may be anybody's, and stay.

    Args:
        kit: The kit.
        fix: Repair what can be repaired.

    Returns:
        What was found, sorted by name.
    """
    begun_ns = time.time_ns()
    recorded, storages, findings = LargeSet(), dict[int, Storage](), list[Finding]()
    listings: dict[int, _Listing] = {}
    with ThreadPoolExecutor(available_cores()) as pool:
        records = kit.records.all()
        while page := list(islice(records, AT_A_TIME)):
            recorded.update(record.name for record in page)
            for storage in _storages(kit, (record.generator for record in page)):
                if id(storage) not in storages:
                    storages[id(storage)], listings[id(storage)] = storage, _listed(kit, storage)
            findings.extend(filter(None, pool.map(partial(_examine_recorded, kit, listings), page)))
    if not kit.records.store.is_reliable:
        folder = str(kit.settings.state_dir)
        return [Finding("state", folder, "it cannot be read, so nothing is known about any cache file; see the log")]
    # A store whose damage shows only now is begun anew, and knows nothing more of what was just read.
    recorded.update(_recorded_by_any(kit))
    storages.setdefault(id(kit.storage), kit.storage)
    for storage in storages.values():
        findings.extend(_foreign_files(kit, storage, recorded, begun_ns))
        findings.extend(_temporary_files(storage))
    failures, unknown = _not_generated(kit)
    findings.extend([*failures, *unknown])
    for name in unmade(kit, kit.renders.unfinished(of_dead=True)):
        detail = "a page refers to it, but kit.finish() was not called after the last page: call it, or run generate"
        findings.append(Finding("unfinished", name, detail))
    findings.extend(_without_sources(kit))
    # Two generators may name the same storage, each by its own instance.
    findings = sorted(set(findings), key=lambda finding: finding.name)
    if not fix:
        return findings
    known = {finding.name: kit.records.get(finding.name) for finding in findings}
    with Removal(kit) as removal:
        # It will be tried again, here or when next needed.
        removal.forget(failed.name for failed in failures.values() if failed.name)
    with Removal(kit) as removal:
        mended = []
        for finding in findings:
            failed = failures.get(finding)
            mend = (
                failed.make_again
                if failed
                else partial(_mend, kit, removal, [*storages.values()], finding, known[finding.name])
            )
            mended.append(_fix(finding, mend))
        return mended


def _storages(kit: ImageKit, generators: Iterable[str]) -> list[Storage]:
    found = (kit.storage, *(storage_of(kit, generator) for generator in dict.fromkeys(generators)))
    return list({id(storage): storage for storage in found if storage is not None}.values())


_Listing = Mapping[str, tuple[int, str]]
"""Sizes and versions of files by name."""


def _listed(kit: ImageKit, storage: Storage) -> _Listing:
    """Return what a storage says of its cache files by a few requests, if it says of any file's version."""
    versions: Callable[[str], _Listing] | None = getattr(storage, "versions", None)
    return versions(kit.settings.cachefile_dir) if versions else {}


def _examine_recorded(kit: ImageKit, listings: Mapping[int, _Listing], record: Record) -> Finding | None:
    try:
        storage = storage_of(kit, record.generator)
        if storage is None:
            return None
        size, version = listings.get(id(storage), {}).get(record.name, (None, ""))
        if size is None:
            stored = storage.stat(record.name)
            if stored is None:
                return Finding("missing", record.name, "it was made, but there is no such file")
            size = stored.size
        if size != record.size:
            kind: Kind = "truncated" if size < record.size else "foreign"
            return Finding(kind, record.name, f"it has {size:,} bytes, but {record.size:,} were written")
        if version and version == record.version:
            # It is what was written, and need not be read.
            return None
        if record.generator == class_path(Unprocessed):
            # A source that is shown unprocessed may well be damaged.
            return None
        header, _ = _decode(kit, storage, record.name)
    except ImageKitError as error:
        return Finding("unreadable", record.name, _reason(error))
    # The record of an SVG holds the size at which pages show it.
    pixels = (record.width, record.height) if header.is_vector else (header.width, header.height)
    if (*pixels, header.format) != (record.width, record.height, record.format):
        found = f"{header.format} of {header.width} × {header.height}"
        return Finding("foreign", record.name, f"it is a {found}, which is not what was made")
    return None


def _decode(kit: ImageKit, storage: Storage, name: str) -> tuple[Header, int]:
    """Decode all of an image, so that any damage shows; return its header and its size in bytes."""
    try:
        with storage.open(name) as file:
            data = file.read()
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(name, f"cannot be read ({error.strerror}).") from error
    original = Original(data, name=name, limits=Limits.from_settings(kit.settings).of_results())
    if not original.header.is_vector:
        original.frames(PixelRules(), animated=True)
    return original.header, len(data)


def _recorded_by_any(kit: ImageKit) -> Iterator[str]:
    """Yield the names of the files of this kit, and of others that share its store under their own prefix."""
    keys = kit.records.store.keys()
    return (name for key in keys for _, kind, name in [key.partition("file:")] if kind)


def _foreign_files(kit: ImageKit, storage: Storage, records: LargeSet, begun_ns: int) -> Iterator[Finding]:
    folder = kit.settings.cachefile_dir
    for name in storage.names(folder):
        hidden = name.rpartition("/")[2].startswith(".")
        # Without a folder of their own, cache files are among the site's.
        if name in records or hidden or name == kit.pictures.stylesheet or not (folder or _OURS.search(name)):
            continue
        stored = storage.stat(name)
        # Files made in the meantime are recorded by whoever made them.
        if stored is not None and stored.modified_ns < begun_ns and kit.records.get(name) is None:
            yield Finding("foreign", name, "nothing is known about it")


class _Failed(NamedTuple):
    """A cache file that could not be made.

    Attributes:
        name: Its name; None if nobody can tell.
        file: The file; None if only its name is known, so that it cannot be tried again here.
    """

    name: str | None
    file: ImageCacheFile | None = None

    def make_again(self) -> bool:
        """Try to make the file; tell whether that worked."""
        if self.file is None or self.name is None:
            # Of a failure with a name alone nothing is left: whoever needs the file next tries again.
            return self.file is None and self.name is not None
        try:
            Simple().generate(self.file)
        except Exception:  # noqa: BLE001  # a processor may raise anything; it remains a failure, whose reason is known
            return False
        return True


def _not_generated(kit: ImageKit) -> tuple[dict[Finding, _Failed], list[Finding]]:
    """Return what failed and is still wanted, and what keeps that from being known in full."""
    found: dict[Finding, _Failed] = {}
    unknown = []
    names = set()
    try:
        for each in undone(kit):
            finding = Finding("failed", each.source or each.generator_id, f"{each.reason} [{each.generator_id}]")
            found[finding] = _Failed(_name(each.file), each.file)
            names.add(found[finding].name)
    except ImageKitError as error:
        unknown.append(Finding("state", str(kit.renders.path), error.message()))
    for name, failure in kit.records.failures():
        if name not in names and not _is_settled(failure):
            found[Finding("failed", name, failure.reason)] = _Failed(name)
    return found, unknown


def _is_settled(failure: Failure) -> bool:
    """Tell whether a failure's source is gone, or has changed since, so that a new file has another name."""
    if failure.path is None:
        return False
    try:
        found = os.stat(failure.path)
    except OSError as error:
        return isinstance(error, (FileNotFoundError, NotADirectoryError))
    return max(found.st_mtime, found.st_ctime) > failure.at


def _name(file: ImageCacheFile | None) -> str | None:
    try:
        # Checking its truth value would make it.
        return None if file is None else file.name
    except Exception:  # noqa: BLE001  # a spec's properties may raise anything, an unreadable source does
        return None


def _without_sources(kit: ImageKit) -> Iterator[Finding]:
    plan = Plan()
    try:
        # It is run only for its warnings.
        for _ in registered_items(kit, plan=plan):
            pass
    except ImageKitError as error:
        yield Finding("sources", error.generator_id or "", error.message())
    for outcome in plan.outcomes:
        yield Finding("sources", outcome.generator_id, outcome.reason)
    for name, warning in plan.warnings.items():
        yield Finding("sources", name, warning)


def _temporary_files(storage: Storage) -> Iterator[Finding]:
    left_behind: Callable[[], list[str]] = getattr(storage, "left_behind", list)
    for path in left_behind():
        yield Finding("temporary", path, "its writer died")


def _fix(finding: Finding, mend: Callable[[], bool]) -> Finding:
    try:
        return finding._replace(fixed=mend())
    except ImageKitError as error:
        return finding._replace(detail=f"{finding.detail}; {_reason(error)}")


def _mend(kit: ImageKit, removal: Removal, storages: list[Storage], finding: Finding, record: Record | None) -> bool:
    if finding.kind in ("unfinished", "state", "sources"):
        return False
    if finding.kind == "temporary":
        with suppress(OSError):
            os.unlink(finding.name)
        return not os.path.lexists(finding.name)
    if record is None:
        return bool(_OURS.search(finding.name)) and _adopt_or_delete(kit, removal, storages, finding.name)
    if finding.kind == "missing":
        removal.forget([finding.name])
    else:
        removal.delete(storage_of(kit, record.generator) or kit.storage, finding.name)
    return True


def _adopt_or_delete(kit: ImageKit, removal: Removal, storages: list[Storage], name: str) -> bool:
    storage = next(each for each in storages if each.stat(name) is not None)
    try:
        header, size = _decode(kit, storage, name)
    except SourceError:
        removal.delete(storage, name)
        return True
    if header.is_vector:
        # The size at which pages show it is only in the record: the next run writes it again.
        return False
    kit.records.put(Record(name, header.width, header.height, size, header.mimetype, header.format, generator=""))
    return True


def _reason(error: ImageKitError) -> str:
    return str(getattr(error, "reason", "")) or error.message()
