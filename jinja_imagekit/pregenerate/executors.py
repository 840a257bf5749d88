"""Runs a plan in other processes, or on other machines: plain values go out, outcomes come back."""

from __future__ import annotations

import os
import pickle
import sys
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache
from importlib import import_module
from multiprocessing import get_context
from typing import Any, NamedTuple

from ..cachefiles import LazyImageCacheFile
from ..exceptions import ImageKitError
from ..sources import Source
from .making import make_work
from .plan import Plan, PregenerateHost, SourceWork, failed
from .report import GenerationInterrupted, Outcome, Report
from .run import Progress, available_cores, report_progress

AHEAD = 2
"""Payloads that wait at each worker of a foreign executor, so that none waits for the network."""


class Payload(NamedTuple):
    """All that is to be made of one source, as plain values.

    Attributes:
        kit: What leads to the kit in the other process.
        source: The source's reference; None for generators without one.
        calls: Generator ids and their keywords without the source.
        force: Make what exists as well.
    """

    kit: bytes
    source: str | None
    calls: tuple[tuple[str, dict[str, Any]], ...]
    force: bool


def make_payload(payload: Payload) -> list[Outcome]:
    """Make what a payload names; called in the other process."""
    host = _load_kit(payload.kit)
    source = None if payload.source is None else host.sources.by_reference(payload.source)
    work = SourceWork(source)
    for id, kwargs in payload.calls:
        keywords = kwargs if source is None else {**kwargs, "source": _known_by(source)}
        work.files.append((host.cachefile(id, **keywords), keywords))
    return make_work(host, work, force=payload.force, stopped=lambda: False)


def _known_by(source: Source) -> Any:
    # A name stays a name, so that the answer can be remembered for templates, which say it the same way.
    return source.original if isinstance(source.original, str) and source.original == source.reference else source


@lru_cache(maxsize=8)
def _load_kit(payload: bytes) -> Any:
    kit, path = pickle.loads(payload)
    if isinstance(kit, str):
        sys.path[:0] = [folder for folder in path if folder not in sys.path]
        module, _, attribute = kit.partition(":")
        kit = getattr(import_module(module), attribute)
        kit = kit() if not hasattr(kit, "cachefile") else kit
    return kit


def portable_kit(host: PregenerateHost) -> bytes:
    """Return what leads to a kit in another process: where to import it from, else the kit by value.

    Raises:
        ImageKitError: The kit cannot be rebuilt elsewhere.
    """
    reference = getattr(host, "import_name", None)
    try:
        return pickle.dumps((reference or host, [os.path.abspath(folder) for folder in sys.path]))
    except ImageKitError:
        raise
    except Exception as error:
        raise ImageKitError(f"This kit cannot be rebuilt in another process: {error}") from error


class _Run:
    """Payloads on their way through an executor, of which at most so many are out at once."""

    def __init__(self, host: PregenerateHost, plan: Plan, force: bool) -> None:
        kit = portable_kit(host)
        self.local: list[SourceWork] = []
        self.waiting: deque[tuple[Payload, SourceWork]] = deque()
        for work in plan.works:
            payload = _payload(work, kit, force)
            if payload is None:
                self.local.append(work)
            else:
                self.waiting.append((payload, work))
        self.out: dict[Future[list[Outcome]], tuple[Payload, SourceWork]] = {}
        self.suspects: list[tuple[Payload, SourceWork]] = []

    def outcomes(self, executor: Executor, most: int) -> Iterator[list[Outcome]]:
        """Send out what waits, and yield what comes back; what a dead worker had becomes suspect."""
        while self.waiting or self.out:
            while self.waiting and len(self.out) < most:
                payload, work = self.waiting.popleft()
                try:
                    self.out[executor.submit(make_payload, payload)] = payload, work
                except BrokenProcessPool:
                    self.waiting.appendleft((payload, work))
                    break
            done, _ = wait(self.out, return_when=FIRST_COMPLETED)
            for future in done:
                sent = self.out.pop(future)
                error = future.exception()
                if error is None:
                    yield future.result()
                elif isinstance(error, Exception) and not isinstance(error, ImageKitError):
                    self.suspects.append(sent)
                else:
                    yield _failures(sent[1], error)
            if self.suspects and isinstance(executor, ProcessPoolExecutor):
                # The pool is broken: what was out with the culprit is suspect too.
                self.suspects.extend(self.out.values())
                self.out.clear()
                return


def _payload(work: SourceWork, kit: bytes, force: bool) -> Payload | None:
    """Return the payload of some work; None where it is not made of plain values and is done in this process."""
    reference = work.source.reference if work.source else None
    if work.source is not None and reference is None:
        return None
    calls = []
    for file, kwargs in work.files:
        if not isinstance(file, LazyImageCacheFile) or not file.generator_id:
            return None
        calls.append((file.generator_id, {name: value for name, value in kwargs.items() if name != "source"}))
    payload = Payload(kit, reference, tuple(calls), force)
    try:
        pickle.dumps(payload)
    except Exception:  # noqa: BLE001  # whatever cannot be pickled is made here
        return None
    return payload


def _failures(work: SourceWork, error: BaseException) -> list[Outcome]:
    reason = error if isinstance(error, Exception) else RuntimeError(str(error))
    return [failed(file.generator_id or "", _described(work, kwargs), reason) for file, kwargs in work.files]


def _described(work: SourceWork, kwargs: dict[str, Any]) -> dict[str, Any]:
    return {**kwargs, "source": work.source.name} if work.source else kwargs


def run_with_executor(
    host: PregenerateHost,
    plan: Plan,
    *,
    force: bool = False,
    executor: Executor | None = None,
    workers: int | None = None,
    on_progress: Progress | None = None,
) -> Report:
    """Make what a plan names in other processes.

    A worker that dies costs its own source: that is tried once more, alone, and then reported. What cannot be sent
    as plain values (uploads, bytes, cache files of unregistered generators) is made in this process.

    Args:
        host: The kit.
        plan: What to make.
        force: Make what exists as well.
        executor: Any `concurrent.futures.Executor`; by default a process pool of its own.
        workers: How many processes, or payloads out at once; by default as many as cores.
        on_progress: Called in this thread for each file that is settled.

    Raises:
        ImageKitError: The kit cannot be rebuilt in another process.
        GenerationInterrupted: Ctrl-C; what was made until then is whole and recorded.
    """
    begun = time.perf_counter()
    run = _Run(host, plan, force)
    outcomes = report_progress(plan.outcomes, plan.total, on_progress)

    def settle(settled: list[Outcome]) -> None:
        for outcome in settled:
            outcomes.append(outcome)
            if on_progress:
                on_progress(outcome, len(outcomes), plan.total)

    try:
        for settled in _all_outcomes(run, executor, workers or available_cores()):
            settle(settled)
        for work in run.local:
            settle(make_work(host, work, force=force, stopped=lambda: False))
    except KeyboardInterrupt:
        raise GenerationInterrupted(Report(outcomes, time.perf_counter() - begun)) from None
    return Report(outcomes, time.perf_counter() - begun)


def _all_outcomes(run: _Run, executor: Executor | None, workers: int) -> Iterator[list[Outcome]]:
    if executor is not None:
        yield from run.outcomes(executor, workers * AHEAD)
        suspects, run.suspects = run.suspects, []
        for suspect in suspects:
            yield _alone(executor, suspect)
        return
    while run.waiting:
        with _pool(workers) as pool:
            yield from run.outcomes(pool, workers)
        suspects, run.suspects = run.suspects, []
        for suspect in suspects:
            with _pool(1) as pool:
                yield _alone(pool, suspect)


def _alone(executor: Executor, suspect: tuple[Payload, SourceWork]) -> list[Outcome]:
    payload, work = suspect
    try:
        return executor.submit(make_payload, payload).result()
    except BrokenProcessPool:
        return _failures(work, RuntimeError("the worker process died twice while it was made (killed, out of memory?)"))
    except Exception as error:  # noqa: BLE001  # whatever a foreign executor raises when a worker dies
        return _failures(work, error)


def _pool(workers: int) -> ProcessPoolExecutor:
    # A fork would copy the locks of this process's threads; a fresh interpreter copies nothing.
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
