"""The vocabulary of state: records of cache files, remembered failures, claims, and facts about sources."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from types import MappingProxyType
from typing import Any, NamedTuple

from ..interfaces import StateStore
from ..settings import Settings
from .read_ahead import ReadAhead

CLAIM_SECONDS = 300.0
"""How long a scheduled generation is waited for before it may be scheduled again."""

PAGE = 1_000
"""How many records are read at a time."""

_HEXADECIMAL = re.compile("[0-9a-f]{1,128}")

_LONGEST = 100_000
"""The longest text, in characters, that is accepted as a value."""

_LONGEST_REASON = 2_000
"""How many characters of a failure's reason are kept; it is for people to read."""


class Record(NamedTuple):
    """What is known about a cache file that has been made.

    Attributes:
        name: Its name in the storage.
        width: Pixels.
        height: Pixels.
        size: Bytes.
        mimetype: Such as `image/webp`.
        format: Pillow's name of its format.
        generator: The generator's id, or its class path.
        source: The source's name; None if there is none.
        version: What its storage said of the version that was written, such as an ETag; empty if nothing.
    """

    name: str
    width: int
    height: int
    size: int
    mimetype: str
    format: str
    generator: str
    source: str | None = None
    version: str = ""

    def as_saved(self, version: str | None) -> Record:
        """Return this record with what a storage's `save` returned."""
        return self._replace(version=version) if version else self


class Failure(NamedTuple):
    """Why a cache file could not be made.

    Attributes:
        reason: What went wrong.
        at: The time, in seconds since the epoch.
        kind: The name of the error's class, if it is to be raised again as such; else empty.
        path: The path of its source; None if that is no file.
    """

    reason: str
    at: float
    kind: str = ""
    path: str | None = None


class KnownSource(NamedTuple):
    """What is known about one version of a source file.

    Attributes:
        signature: The size in bytes, the time of the content's last change in nanoseconds, the inode, and the time
            of the file's last change.
        digest: Hexadecimal digits that stand for the content.
        header: Plain values that describe the image; None if it is not an image.
        problem: Why there is no header.
    """

    signature: tuple[int, int, int, int]
    digest: str
    header: Mapping[str, Any] | None = None
    problem: str | None = None


class Records:
    """Reads and writes what is known about cache files and sources in a state store.

    Whatever does not look like its own writing counts as unknown.

    Args:
        store: Where everything is kept.
        prefix: The prefix of each key, so that several kits can share a store.
        cache_timeout: Seconds for which records are kept; None keeps them for ever.
        failure_timeout: Seconds for which failures are remembered; 0 remembers none.
        claim_timeout: Seconds after which a claim lapses.
        clock: Returns the time in seconds since the epoch.

    Example:
        >>> from jinja_imagekit.state import MemoryStore
        >>> records = Records(MemoryStore())
        >>> records.put(Record("a.jpg", 400, 300, 18_000, "image/jpeg", "JPEG", "blog:hero", "a.png"))
        >>> records.get("a.jpg").width
        400
    """

    def __init__(
        self,
        store: StateStore,
        *,
        prefix: str = "imagekit:",
        cache_timeout: float | None = None,
        failure_timeout: float = 60.0,
        claim_timeout: float = CLAIM_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.store = store
        self.cache_timeout = cache_timeout
        self.failure_timeout = failure_timeout
        self.claim_timeout = claim_timeout
        self._clock = clock
        self._files = f"{prefix}file:"
        self._failures = f"{prefix}failure:"
        self._claims = f"{prefix}claim:"
        self._sources = f"{prefix}source:"
        self._ahead = ReadAhead()

    @classmethod
    def from_settings(cls, store: StateStore, settings: Settings) -> Records:
        """Return the records that a kit's settings describe, in this store."""
        return cls(
            store,
            prefix=settings.cache_prefix,
            cache_timeout=settings.cache_timeout,
            failure_timeout=settings.failure_timeout,
        )

    def get(self, name: str) -> Record | None:
        """Return the record of a cache file; None where there is none."""
        text = self.store.get(self._files + name)
        return None if text is None else _record(name, text)

    def put(self, *records: Record, answers: Mapping[str, str] = MappingProxyType({})) -> None:
        """Keep these records, at once, and forget failures of the same files.

        Args:
            records: What was made.
            answers: Values by key that stand for the records elsewhere in the store, written with them.
        """
        texts = {self._files + each.name: _record_text(each) for each in records}
        self.store.set_many({**texts, **answers}, self.cache_timeout)
        failed = self.store.get_many([self._failures + each.name for each in records])
        if failed:
            self.store.delete_many(failed)

    def forget(self, *names: str) -> None:
        """Forget everything about these cache files."""
        kinds = (self._files, self._failures, self._claims)
        self.store.delete_many([kind + name for name in names for kind in kinds])

    def all(self) -> Iterator[Record]:
        """Yield all records, reading many at a time."""
        keys = self.store.keys(self._files)
        while page := list(islice(keys, PAGE)):
            for key, text in self.store.get_many(page).items():
                record = _record(key.removeprefix(self._files), text)
                if record is not None:
                    yield record

    def failure(self, name: str) -> Failure | None:
        """Return why a cache file could not be made a short while ago; None if it could, or was not tried."""
        text = self.store.get(self._failures + name) if self.failure_timeout else None
        failure = None if text is None else _failure(text)
        # A time in the future means that the clock was set back: such a failure would be remembered too long.
        if failure is None or not 0 <= self._clock() - failure.at < self.failure_timeout:
            return None
        return failure

    def failures(self) -> Iterator[tuple[str, Failure]]:
        """Yield the names of cache files that could not be made a short while ago, and why not."""
        for key in self.store.keys(self._failures):
            name = key.removeprefix(self._failures)
            failure = self.failure(name)
            if failure is not None:
                yield name, failure

    def fail(self, name: str, reason: str, kind: str = "", path: str | None = None) -> None:
        """Remember why a cache file could not be made."""
        if self.failure_timeout:
            text = _dumps([reason[:_LONGEST_REASON], float(self._clock()), kind, path])
            self.store.set_many({self._failures + name: text}, _finite(self.failure_timeout))

    def claim(self, name: str) -> bool:
        """Claim the making of a cache file for the caller; return False if it is already claimed.

        The claim ends with `release`, or by itself after `claim_timeout`.
        """
        key = self._claims + name
        # Most callers come second, and need no lock to learn that.
        if self._is_claimed(key):
            return False
        with self.store.lock(key):
            if self._is_claimed(key):
                return False
            self.store.set_many({key: _dumps(self._clock())}, self.claim_timeout)
            return True

    def _is_claimed(self, key: str) -> bool:
        claimed = _number(self.store.get(key))
        return claimed is not None and 0 <= self._clock() - claimed < self.claim_timeout

    def renew(self, name: str, seconds: float) -> None:
        """Claim a cache file for some seconds from now, whoever else has claimed it."""
        # Backdated, so that it reaches the age of a lapsed claim when the time is up.
        since = self._clock() - max(0.0, self.claim_timeout - seconds)
        self.store.set_many({self._claims + name: _dumps(since)}, seconds)

    def release(self, name: str) -> None:
        """End the claim on a cache file."""
        self.store.delete_many([self._claims + name])

    def source_facts(self, path: str) -> KnownSource | None:
        """Return what is known about a source file by its path; the signature says of which version."""
        text, _ = self._ahead.take(self._source_key(path), self.store, self._sources)
        return None if text is None else _known_source(text)

    def put_source_facts(self, facts: Mapping[str, KnownSource]) -> None:
        """Keep what is known about source files by their paths, in one write."""
        self.store.set_many({self._source_key(path): _known_source_text(each) for path, each in facts.items()})

    def _source_key(self, path: str) -> str:
        # A POSIX path need not be Unicode: Python turns other bytes into lone surrogates, which no database accepts.
        return self._sources + path.encode(errors="backslashreplace").decode()


def _dumps(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _finite(seconds: float) -> float | None:
    return seconds if math.isfinite(seconds) else None


def _loads(text: str) -> list[Any]:
    if len(text) > _LONGEST:
        return []
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return []
    return value if type(value) is list else []


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text[:40])
    except ValueError:
        return None


def _record_text(record: Record) -> str:
    fields = (record.width, record.height, record.size, record.mimetype, record.format)
    version = (record.version,) if record.version else ()
    return _dumps([*fields, record.generator, record.source, *version])


def _record(name: str, text: str) -> Record | None:
    match _loads(text):
        case [width, height, size, str(mimetype), str(format), str(generator), str() | None as source, *rest] if (
            _is_count(width) and _is_count(height) and _is_count(size) and width and height and _is_safe(name)
        ):
            match rest:
                case [] | [str()]:
                    return Record(name, width, height, size, mimetype, format, generator, source, *rest)
    return None


def _failure(text: str) -> Failure | None:
    match _loads(text):
        case [str(reason), float(at), str(kind)]:
            return Failure(reason, at, kind)
        case [str(reason), float(at), str(kind), str() | None as path]:
            return Failure(reason, at, kind, path)
    return None


def _known_source_text(source: KnownSource) -> str:
    return _dumps([list(source.signature), source.digest, source.header, source.problem])


def _known_source(text: str) -> KnownSource | None:
    match _loads(text):
        case [[size, modified, inode, changed], str(digest), dict() | None as header, str() | None as problem] if (
            _is_count(size) and type(modified) is type(changed) is int and _is_count(inode) and _is_hexadecimal(digest)
        ):
            return KnownSource((size, modified, inode, changed), digest, header, problem)
    return None


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _is_hexadecimal(text: str) -> bool:
    return _HEXADECIMAL.fullmatch(text) is not None


def _is_safe(name: str) -> bool:
    unsafe = name.startswith("/") or "\\" in name or "\0" in name or len(name) > 4096
    return not unsafe and ".." not in name.split("/")
