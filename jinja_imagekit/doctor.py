"""Compares what is known of cache files with what is on the disk, and mends what it can."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Literal, NamedTuple, Protocol

from .cachefiles.storages import StorageHost, storage_of
from .exceptions import ImageKitError, SourceError
from .hashing import class_path
from .images import OUTPUT_FORMATS, VECTOR_FORMAT, Header, Limits, Original, PixelRules, mimetype
from .interfaces import Storage
from .policies import Unprocessed
from .pregenerate import RenderHost, still_failed
from .pregenerate.run import available_cores
from .state import Record

Kind = Literal["missing", "truncated", "unreadable", "foreign", "temporary", "failed", "state"]

_OURS = re.compile(r"(^|[/.])[0-9a-f]{32}(\.\w+)?$")
"""How the built-in namers end a name: with a fingerprint and an extension."""


class DoctorHost(StorageHost, RenderHost, Protocol):
    """What the doctor needs of the kit."""


class Finding(NamedTuple):
    """Something that is not as it should be.

    Attributes:
        kind: "missing" (recorded, but there is no file), "truncated" (shorter than recorded), "unreadable" (no whole
            image), "foreign" (not the image that was recorded, or none was), "temporary" (left by a writer that
            died), "failed" (not generated: pages do without it) or "state" (the state store cannot be used).
        name: The cache file's name, a path, or the name of the source of what was not generated.
        detail: What was found.
        fixed: Whether it was mended.
    """

    kind: Kind
    name: str
    detail: str
    fixed: bool = False


def examine(host: DoctorHost, *, fix: bool = False) -> list[Finding]:
    """Compare records and files; each recorded file is read and decoded in full.

    Mended is thus: what is missing, truncated or unreadable, or not what was recorded, is deleted and forgotten, and
    made again when it is next needed. A whole image without a record, under a name that ends with a fingerprint, is
    recorded: that is what is left when state was lost. Other files without a record may be anybody's, and are left.

    Args:
        host: The kit.
        fix: Mend what can be.

    Returns:
        What was found, sorted by name.
    """
    begun_ns = time.time_ns()
    records = {record.name: record for record in host.records.all()}
    if not host.records.store.is_reliable:
        folder = str(host.settings.state_dir)
        return [Finding("state", folder, "it cannot be read, so that nothing is known of any cache file; see the log")]
    storages = _storages(host, records)
    with ThreadPoolExecutor(available_cores()) as pool:
        examined = pool.map(partial(_examine_recorded, host), records.values())
        findings = [finding for finding in examined if finding]
    for storage in storages:
        findings.extend(_foreign_files(host, storage, records, begun_ns))
        findings.extend(_temporary_files(storage))
    findings.extend(_not_generated(host))
    # Two generators may name one storage, each by an instance of its own.
    findings = sorted(set(findings), key=lambda finding: finding.name)
    return [_fix(host, storages, finding, records.get(finding.name)) for finding in findings] if fix else findings


def _storages(host: DoctorHost, records: dict[str, Record]) -> list[Storage]:
    generators = dict.fromkeys(record.generator for record in records.values())
    found = (host.storage, *(storage_of(host, generator) for generator in generators))
    return list({id(storage): storage for storage in found}.values())


def _examine_recorded(host: DoctorHost, record: Record) -> Finding | None:
    try:
        storage = storage_of(host, record.generator)
        stored = storage.stat(record.name)
        if stored is None:
            return Finding("missing", record.name, "it was made, but there is no such file")
        if stored.size != record.size:
            kind: Kind = "truncated" if stored.size < record.size else "foreign"
            return Finding(kind, record.name, f"it has {stored.size:,} bytes, and {record.size:,} were written")
        if record.generator == class_path(Unprocessed):
            # A source that is shown as it is may well be damaged.
            return None
        header, _ = _decode(host, storage, record.name)
    except ImageKitError as error:
        return Finding("unreadable", record.name, _reason(error))
    # The record of an SVG has the size at which pages show it.
    size = (record.width, record.height) if header.format == VECTOR_FORMAT else (header.width, header.height)
    if (*size, header.format) != (record.width, record.height, record.format):
        found = f"{header.format} of {header.width} × {header.height}"
        return Finding("foreign", record.name, f"it is a {found}, which is not what was made")
    return None


def _decode(host: DoctorHost, storage: Storage, name: str) -> tuple[Header, int]:
    """Decode all of an image, so that any damage shows; return its header and its size in bytes."""
    with storage.open(name) as file:
        data = file.read()
    settings = host.settings
    limits = Limits(max_source_pixels=settings.max_result_pixels, max_frames=settings.max_frames)
    original = Original(data, name=name, limits=limits)
    if original.header.format != VECTOR_FORMAT:
        original.frames(PixelRules(), animated=True)
    return original.header, len(data)


def _foreign_files(host: DoctorHost, storage: Storage, records: dict[str, Record], begun_ns: int) -> Iterator[Finding]:
    folder = host.settings.cachefile_dir
    for name in storage.names(folder):
        hidden = name.rpartition("/")[2].startswith(".")
        # Without a folder of their own, cache files lie among the site's.
        if name in records or hidden or not (folder or _OURS.search(name)):
            continue
        stored = storage.stat(name)
        # What was made meanwhile is recorded by whoever made it.
        if stored is not None and stored.modified_ns < begun_ns and host.records.get(name) is None:
            yield Finding("foreign", name, "nothing is known of it")


def _not_generated(host: DoctorHost) -> Iterator[Finding]:
    names = set()
    try:
        for failed, name in still_failed(host):
            yield Finding("failed", failed.source or failed.generator_id, f"{failed.reason} [{failed.generator_id}]")
            names.add(name)
    except ImageKitError as error:
        yield Finding("state", str(host.renders.path), error.message())
    for name, failure in host.records.failures():
        if name not in names:
            yield Finding("failed", name, failure.reason)


def _temporary_files(storage: Storage) -> Iterator[Finding]:
    left_behind: Callable[[], list[str]] = getattr(storage, "left_behind", list)
    for path in left_behind():
        yield Finding("temporary", path, "its writer died")


def _fix(host: DoctorHost, storages: list[Storage], finding: Finding, record: Record | None) -> Finding:
    try:
        return finding._replace(fixed=_mend(host, storages, finding, record))
    except ImageKitError as error:
        return finding._replace(detail=f"{finding.detail}; {_reason(error)}")


def _mend(host: DoctorHost, storages: list[Storage], finding: Finding, record: Record | None) -> bool:
    if finding.kind in ("failed", "state"):
        return False
    if finding.kind == "temporary":
        with suppress(OSError):
            os.unlink(finding.name)
        return not os.path.lexists(finding.name)
    if record is None:
        return bool(_OURS.search(finding.name)) and _adopt_or_delete(host, storages, finding.name)
    if finding.kind != "missing":
        storage_of(host, record.generator).delete(finding.name)
    host.records.forget(finding.name)
    return True


def _adopt_or_delete(host: DoctorHost, storages: list[Storage], name: str) -> bool:
    storage = next(each for each in storages if each.stat(name) is not None)
    try:
        header, size = _decode(host, storage, name)
    except SourceError:
        storage.delete(name)
        return True
    if header.format == VECTOR_FORMAT:
        # The size at which pages show it stands nowhere but in the record: the next run writes it anew.
        return False
    kind = mimetype(header.format) if header.format in OUTPUT_FORMATS else "application/octet-stream"
    host.records.put(Record(name, header.width, header.height, size, kind, header.format, generator=""))
    return True


def _reason(error: ImageKitError) -> str:
    return str(getattr(error, "reason", "")) or error.message()
