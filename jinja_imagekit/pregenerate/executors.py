"""Runs a plan in other processes or on other machines: plain values go out, outcomes come back."""

from __future__ import annotations

import os
import pickle
import secrets
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from contextlib import contextmanager
from functools import lru_cache
from multiprocessing import active_children, get_context, parent_process
from typing import TYPE_CHECKING, Any, NamedTuple

from ..cachefiles import LazyImageCacheFile
from ..exceptions import CannotRebuild, ImageKitError
from ..loading import load_kit
from ..sources import Source
from .making import make_work
from .plan import Plan, SourceWork, failed
from .report import GenerationInterrupted, Outcome, Report
from .run import GRACE_SECONDS, Progress, available_cores, begin_progress

if TYPE_CHECKING:
    from ..kit import ImageKit

AHEAD = 2
"""Payloads queued for each worker of a foreign executor, so that none waits for the network."""

UNKNOWN_SIZE = 64
"""Payloads sent to a foreign executor at a time if its number of workers is not given."""

Sent = tuple["Payload", SourceWork]


class Payload(NamedTuple):
    """Everything to be made from one source, as plain values.

    Attributes:
        kit: What leads to the kit in the other process.
        source: The source's reference; None for generators without one.
        weight: The source's size in bytes.
        calls: Generator ids and their keywords without the source.
        force: Make existing files too.
    """

    kit: bytes
    source: str | None
    weight: int
    calls: tuple[tuple[str, dict[str, Any]], ...]
    force: bool


def make_payload(payload: Payload, submission: str = "") -> list[Outcome]:
    """Make what a payload names; called in the other process.

    Args:
        payload: What to make.
        submission: Distinguishes submissions: Dask would treat equal calls as one, and return its old result.
    """
    kit = _load_kit(payload.kit)
    with kit.worker_context():
        source = None if payload.source is None else kit.sources.by_reference(payload.source)
        work = SourceWork(source, payload.weight)
        for id, kwargs in payload.calls:
            keywords = kwargs if source is None else {**kwargs, "source": _known_by(source)}
            work.files.append((kit.cachefile(id, **keywords), keywords))
        return make_work(kit, work, force=payload.force, stopped=lambda: False)


def _known_by(source: Source) -> Any:
    # A name stays a name, so that the answer can be remembered for templates, which use the same name.
    return source.original if isinstance(source.original, str) and source.original == source.reference else source


@lru_cache(maxsize=8)
def _load_kit(payload: bytes) -> Any:
    try:
        kit, path = pickle.loads(payload)
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


class _Run:
    """Payloads on their way through executors.

    Attributes:
        local: Work that cannot be sent as plain values.
        suspects: Work that was out when a worker died; one of them may be the cause.
        is_broken: Whether the executor no longer accepts work.
        is_proven: Whether workers are known to start.
    """

    def __init__(self, kit: ImageKit, plan: Plan, force: bool) -> None:
        portable = portable_kit(kit)
        self.local: list[SourceWork] = []
        self.waiting: deque[Sent] = deque()
        for work in plan.works:
            payload = _payload(work, portable, force)
            if payload is None:
                self.local.append(work)
            else:
                self.waiting.append((payload, work))
        self.out: dict[Future[list[Outcome]], Sent] = {}
        self.suspects: list[Sent] = []
        self.is_broken = False
        self.is_proven = False

    def outcomes(self, executor: Executor, most: int) -> Iterator[list[Outcome]]:
        """Send out what is waiting, and yield what comes back, until all is done or the executor is broken.

        Args:
            executor: The executor.
            most: How many payloads are out at a time.

        Raises:
            CannotRebuild: A worker cannot rebuild the kit.
        """
        self.is_broken = False
        try:
            while self.out or (self.waiting and not self.is_broken):
                self._send(executor, most)
                done, _ = wait(self.out, return_when=FIRST_COMPLETED)
                for future in done:
                    yield from self._settle(future)
        finally:
            for future in self.out:
                future.cancel()

    def _send(self, executor: Executor, most: int) -> None:
        while self.waiting and len(self.out) < most and not self.is_broken:
            payload, work = self.waiting[0]
            try:
                self.out[_submit(executor, payload)] = payload, work
            except BrokenExecutor:
                self.is_broken = True
            else:
                self.waiting.popleft()

    def _settle(self, future: Future[list[Outcome]]) -> Iterator[list[Outcome]]:
        sent = self.out.pop(future)
        error = CancelledError() if future.cancelled() else future.exception()
        if error is None:
            self.is_proven = True
            yield future.result()
        elif isinstance(error, CannotRebuild):
            raise error
        elif isinstance(error, ImageKitError) or not isinstance(error, Exception):
            yield _failures(sent[1], error)
        else:
            self.is_broken = self.is_broken or isinstance(error, BrokenExecutor)
            self.suspects.append(sent)

    def take_suspects(self) -> list[Sent]:
        """Return the suspects, each of which is tried once more on its own."""
        suspects, self.suspects = self.suspects, []
        return suspects


def _submit(executor: Executor, payload: Payload) -> Future[list[Outcome]]:
    return executor.submit(make_payload, payload, secrets.token_hex(8))


def _payload(work: SourceWork, kit: bytes, force: bool) -> Payload | None:
    """Return the payload for some work; None if it does not consist of plain values, and is done in this process."""
    reference = work.source.reference if work.source else None
    if work.source is not None and reference is None:
        return None
    calls = []
    for file, kwargs in work.files:
        if not isinstance(file, LazyImageCacheFile) or not file.generator_id:
            return None
        calls.append((file.generator_id, {name: value for name, value in kwargs.items() if name != "source"}))
    payload = Payload(kit, reference, work.weight, tuple(calls), force)
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
    kit: ImageKit,
    plan: Plan,
    *,
    force: bool = False,
    executor: Executor | None = None,
    workers: int | None = None,
    on_progress: Progress | None = None,
) -> Report:
    """Make what a plan names in other processes.

    A worker that dies costs only its own source, which is tried once more, on its own, and then reported. What cannot
    be sent as plain values (uploads, bytes, cache files of unregistered generators) is made in this process. If an
    executor breaks when a worker dies, as those of `concurrent.futures` do, this library's own processes make the rest.

    Args:
        kit: The kit.
        plan: What to make.
        force: Make existing files too.
        executor: Any `concurrent.futures.Executor`; by default a process pool of its own.
        workers: How many processes, by default as many as cores; or how many workers the executor has.
        on_progress: Called in this thread for each file once it is settled.

    Raises:
        CannotRebuild: The kit cannot be rebuilt in another process.
        GenerationInterrupted: Ctrl-C; what was made by then is whole and recorded.
    """
    begun = time.perf_counter()
    run = _Run(kit, plan, force)
    outcomes = begin_progress(plan, on_progress)

    def settle(settled: list[Outcome]) -> None:
        for outcome in settled:
            outcomes.append(outcome)
            if on_progress:
                on_progress(outcome, len(outcomes), plan.total)

    try:
        for settled in _all_outcomes(run, executor, workers):
            settle(settled)
        for work in run.local:
            settle(make_work(kit, work, force=force, stopped=lambda: False))
    except KeyboardInterrupt as interruption:
        raise GenerationInterrupted(
            Report(outcomes, time.perf_counter() - begun, plan.warnings.values())
        ) from interruption
    return Report(outcomes, time.perf_counter() - begun, plan.warnings.values())


def _all_outcomes(run: _Run, executor: Executor | None, workers: int | None) -> Iterator[list[Outcome]]:
    if executor is not None:
        yield from run.outcomes(executor, workers * AHEAD if workers else UNKNOWN_SIZE)
        if not run.is_broken:
            for suspect in run.take_suspects():
                yield _alone(executor, suspect)
            return
    workers = workers or available_cores()
    while run.waiting or run.suspects:
        for suspect in run.take_suspects():
            with _pool(1) as pool:
                outcomes = _alone(pool, suspect)
            if not run.is_proven and all(outcome.status == "failed" for outcome in outcomes):
                _check_workers_start()
            run.is_proven = True
            yield outcomes
        if run.waiting:
            with _pool(workers) as pool:
                yield from run.outcomes(pool, workers)


def _alone(executor: Executor, suspect: Sent) -> list[Outcome]:
    payload, work = suspect
    try:
        return _submit(executor, payload).result()
    except CannotRebuild:
        raise
    except BrokenExecutor:
        return _failures(work, RuntimeError("the worker process died twice making it (killed, out of memory?)"))
    except Exception as error:  # noqa: BLE001  # whatever a foreign executor raises when a worker dies
        return _failures(work, error)


def _check_workers_start() -> None:
    """Raise an error if not even an idle worker process survives."""
    with _pool(1) as pool:
        try:
            pool.submit(os.getpid).result()
        except BrokenExecutor as error:
            raise CannotRebuild(
                "worker processes die while they start. A script that makes images in processes must start its work "
                "below `if __name__ == '__main__':`"
            ) from error


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    others = set(active_children())
    # A fork would copy the locks of this process's threads; a fresh interpreter does not.
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_begin_worker)
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        deadline = time.monotonic() + GRACE_SECONDS
        for process in set(active_children()) - others:
            process.join(max(0.0, deadline - time.monotonic()))
            # Files get their names only when they are whole, so none is harmed.
            process.terminate()
        raise
    pool.shutdown()


def _begin_worker() -> None:
    # Ctrl-C reaches all processes of a terminal; the one that hands out the work decides about the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
