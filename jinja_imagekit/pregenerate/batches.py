"""What other processes and machines are sent: the work on some sources, as plain values, and how they do it."""

from __future__ import annotations

import os
import pickle
import secrets
import sys
import time
from concurrent.futures import Executor
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from ..cachefiles import LazyImageCacheFile
from ..exceptions import CannotRebuild, ImageKitError
from ..loading import load_kit
from ..sources import Source
from .making import make_work
from .plan import SourceWork, failed
from .report import Outcome

if TYPE_CHECKING:
    from ..kit import ImageKit


class Payload(NamedTuple):
    """Everything to be made from one source, as plain values.

    Attributes:
        source: The source's reference; None for generators without one.
        name: The source's name, for reports.
        weight: The source's size in bytes.
        calls: Generator ids and their keywords without the source.
    """

    source: str | None
    name: str | None
    weight: int
    calls: tuple[tuple[str, dict[str, Any]], ...]


class Batch(NamedTuple):
    """Work that goes to a worker in one piece, since a message for each small source would cost more than its images.

    Attributes:
        id: Its name, unlike any other's: Dask would treat equal calls as one, and return its old result.
        kit: What leads to the kit in the other process.
        payloads: The work, by source.
        force: Make existing files too.
    """

    id: str
    kit: bytes
    payloads: tuple[Payload, ...]
    force: bool


class Made(NamedTuple):
    """What became of a batch.

    Attributes:
        seconds: How long its worker was at it.
        outcomes: Those of each payload.
    """

    seconds: float
    outcomes: list[list[Outcome]]


class ClusterExecutor(Executor):
    """An executor whose workers are on other machines, and come and go."""

    def count_workers(self) -> int:
        """Return how many batches are worked on at a time, as far as it is known; asked between batches."""
        raise NotImplementedError

    def has_workers(self) -> bool:
        """Tell whether any worker is there; asked only when nothing has come back for long, so it may take seconds."""
        return self.count_workers() > 0

    def accepts(self, payload: Payload) -> bool:
        """Tell whether a payload can be sent; any other is made in this process."""
        return is_picklable(payload)


def is_picklable(payload: Payload) -> bool:
    """Tell whether a payload can be sent as a pickle."""
    try:
        pickle.dumps(payload)
    except Exception:  # noqa: BLE001  # objects of the user's raise anything
        return False
    return True


def payload_of(work: SourceWork) -> Payload | None:
    """Return the payload for some work; None if another process could not find its source or generators."""
    reference = work.source.reference if work.source else None
    if work.source is not None and reference is None:
        return None
    calls = []
    for file, kwargs in work.files:
        if not isinstance(file, LazyImageCacheFile) or not file.generator_id:
            return None
        calls.append((file.generator_id, {name: value for name, value in kwargs.items() if name != "source"}))
    return Payload(reference, work.source.name if work.source else None, work.weight, tuple(calls))


def batch_of(kit: bytes, payloads: list[Payload], force: bool) -> Batch:
    """Return a new batch."""
    return Batch(secrets.token_hex(16), kit, tuple(payloads), force)


def make_batch(batch: Batch) -> Made:
    """Make what a batch names; called in the other process.

    Raises:
        CannotRebuild: The kit cannot be rebuilt here.
    """
    return make_payloads(_load_kit(batch.kit), batch.payloads, batch.force)


def make_payloads(kit: ImageKit, payloads: tuple[Payload, ...], force: bool) -> Made:
    """Make what payloads name, one after another."""
    begun = time.perf_counter()
    with kit.worker_context():
        outcomes = [_make_payload(kit, payload, force) for payload in payloads]
    return Made(time.perf_counter() - begun, outcomes)


def _make_payload(kit: ImageKit, payload: Payload, force: bool) -> list[Outcome]:
    try:
        return make_work(kit, _work_of(kit, payload), force=force, stopped=lambda: False)
    except Exception as error:  # noqa: BLE001  # a generator's constructor may raise anything; the rest is made
        return failures(payload, error)


def _work_of(kit: ImageKit, payload: Payload) -> SourceWork:
    source = None if payload.source is None else kit.sources.by_reference(payload.source)
    work = SourceWork(source, payload.weight)
    for id, kwargs in payload.calls:
        keywords = kwargs if source is None else {**kwargs, "source": _known_by(source)}
        work.files.append((kit.cachefile(id, **keywords), keywords))
    return work


def stranger_among(outcomes: list[Outcome], payload: Payload, kit: ImageKit) -> str | None:
    """Return the name of a file that a kit would not have made of a payload; None if it would have made all."""
    try:
        expected = {str(file.name) for file, _ in _work_of(kit, payload).files}
    except Exception:  # noqa: BLE001  # sources and specs may raise anything; whether they do is in the outcomes
        return None
    return next((each.name for each in outcomes if each.status == "generated" and each.name not in expected), None)


def failures(payload: Payload, error: BaseException) -> list[Outcome]:
    """Return outcomes that say that nothing of a payload could be made."""
    reason = error if isinstance(error, Exception) else RuntimeError(f"{type(error).__name__}: {error}")
    source = {} if payload.name is None else {"source": payload.name}
    return [failed(id, {**kwargs, **source}, reason) for id, kwargs in payload.calls]


def _known_by(source: Source) -> Any:
    # A name stays a name, so that the answer can be remembered for templates, which use the same name.
    return source.original if isinstance(source.original, str) and source.original == source.reference else source


@lru_cache(maxsize=8)
def _load_kit(portable: bytes) -> Any:
    try:
        kit, path = pickle.loads(portable)
        if isinstance(kit, str):
            sys.path[:0] = [folder for folder in path if folder not in sys.path]
            kit = load_kit(kit)
    except Exception as error:
        raise CannotRebuild(f"{type(error).__name__}: {error}") from error
    return kit


def portable_kit(kit: ImageKit) -> bytes:
    """Return what leads to a kit in another process: where to import it from, or else the kit by value.

    Raises:
        CannotRebuild: The kit cannot be rebuilt elsewhere.
    """
    reference = getattr(kit, "import_name", None)
    try:
        return pickle.dumps((reference or kit, [os.path.abspath(folder) for folder in sys.path]))
    except ImageKitError:
        raise
    except Exception as error:
        raise CannotRebuild(str(error)) from error
