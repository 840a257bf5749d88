"""Runs a plan in other processes or on other machines: batches of plain values go out, outcomes come back."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
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
from multiprocessing import active_children, get_context, parent_process
from typing import TYPE_CHECKING

from ..exceptions import CannotRebuild
from .batches import (
    ClusterExecutor,
    Made,
    Payload,
    batch_of,
    failures,
    is_picklable,
    make_batch,
    payload_of,
    portable_kit,
    stranger_among,
)
from .making import make_work
from .plan import Plan, SourceWork
from .report import GenerationInterrupted, Outcome, Report
from .run import GRACE_SECONDS, Progress, available_cores, begin_progress

if TYPE_CHECKING:
    from ..kit import ImageKit

logger = logging.getLogger("jinja_imagekit.pregenerate")

AHEAD = 2
"""Batches that are out for each worker: the one that it is at, and one so that it does not wait for the network."""

UNKNOWN_SIZE = 64
"""Batches that are out at a time if the executor does not tell how many workers it has."""

BATCH_SECONDS = 1.0
"""How long a batch should take: long beside a message's way there and back, and short enough to be done again."""

BATCH_SOURCES = 250
"""Most sources of a batch, which bounds its messages."""

FILE_BYTES = 300_000
"""The cost of making a file, besides reading its source, in bytes of source: for a photo both take about as long."""

QUIET_SECONDS = 20.0
"""Seconds without a result, after which a cluster is asked whether any worker is left."""

COMPARED_BATCHES = 100
"""Batches whose first source is looked at here, too, to see whether workers make what this machine would."""


class _Run:
    """Batches on their way through executors.

    Attributes:
        local: Work that cannot be sent as plain values.
        suspects: Payloads that were out when a worker died; one of them may be the cause.
        is_broken: Whether the executor no longer does anything.
        is_proven: Whether workers are known to start.
        broken_by: Why the executor no longer does anything.
    """

    def __init__(self, kit: ImageKit, plan: Plan, force: bool) -> None:
        self.local: list[SourceWork] = []
        self.suspects: deque[Payload] = deque()
        self.is_broken = False
        self.is_proven = False
        self.broken_by = ""
        self._here = kit
        self._to_compare = COMPARED_BATCHES
        self._kit = portable_kit(kit)
        self._force = force
        # Payloads are made when they are sent, since there may be a million.
        self._works = iter(plan.works)
        self._left = len(plan.works)
        self._again: list[Payload] = []
        self._out: dict[Future[Made], list[Payload]] = {}
        # What a worker does in a second, in bytes; unknown before the first batch is back.
        self._pace = 0.0

    @property
    def is_waiting(self) -> bool:
        """Whether anything that is no suspect has yet to be sent."""
        return self._left > 0 or bool(self._again)

    def outcomes(self, executor: Executor, workers: int | None) -> Iterator[list[Outcome]]:
        """Send out what is waiting, and yield what comes back, until all is done or the executor is broken.

        Args:
            executor: The executor.
            workers: How many workers it has; None if that is unknown, or a cluster's own number counts.

        Raises:
            CannotRebuild: A worker cannot rebuild the kit.
        """
        self.is_broken = False
        while True:
            self._send(executor, workers)
            if not self._out:
                return
            for payloads, made in self._returned(executor):
                if isinstance(made, Made):
                    yield from made.outcomes
                else:
                    self.suspects.extend(payloads)

    def outcomes_of_suspects(self, executor: Executor) -> Iterator[list[Outcome]]:
        """Try each suspect once more, with nothing beside it, until all are done or the executor is broken.

        Args:
            executor: The executor.

        Raises:
            CannotRebuild: A worker cannot rebuild the kit.
        """
        self.is_broken = False
        while self.suspects and not self.is_broken:
            self._submit(executor, [self.suspects.popleft()])
            while self._out:
                for payloads, made in self._returned(executor):
                    if isinstance(made, Made):
                        yield from made.outcomes
                    else:
                        died = f"the worker process died twice making it (killed, out of memory?): {made}"
                        yield from (failures(each, RuntimeError(died)) for each in payloads)

    def abandon(self) -> None:
        """Have nothing done of what is out and has not been begun."""
        for future in self._out:
            future.cancel()

    def _send(self, executor: Executor, workers: int | None) -> None:
        accepts = is_picklable
        if isinstance(executor, ClusterExecutor):
            accepts, workers = executor.accepts, workers or max(1, executor.count_workers())
        most = workers * AHEAD if workers else UNKNOWN_SIZE
        while len(self._out) < most and not self.is_broken:
            payloads = self._next_payloads(accepts, most)
            if not payloads:
                return
            self._submit(executor, payloads)

    def _submit(self, executor: Executor, payloads: list[Payload]) -> None:
        try:
            self._out[executor.submit(make_batch, batch_of(self._kit, payloads, self._force))] = payloads
        except BrokenExecutor as error:
            self._again.extend(payloads)
            self._break(error)

    def _next_payloads(self, accepts: Callable[[Payload], bool], most: int) -> list[Payload]:
        """Return the payloads of the next batch: one of a large source, or many of small ones."""
        # Fewer towards the end, so that no worker is left with the last large batch.
        share = min(BATCH_SOURCES, 1 + (self._left + len(self._again)) // (2 * most))
        payloads: list[Payload] = []
        room = self._pace * BATCH_SECONDS
        while len(payloads) < share and (not payloads or room > 0):
            payload = self._again.pop() if self._again else self._next_payload(accepts)
            if payload is None:
                break
            payloads.append(payload)
            room -= _cost(payload)
        return payloads

    def _next_payload(self, accepts: Callable[[Payload], bool]) -> Payload | None:
        for work in self._works:
            self._left -= 1
            payload = payload_of(work)
            if payload is not None and accepts(payload):
                return payload
            self.local.append(work)
        return None

    def _returned(self, executor: Executor) -> Iterator[tuple[list[Payload], Made | BaseException]]:
        """Yield what has come back since, and wait for at least one batch; nothing if all workers are gone."""
        cluster = executor if isinstance(executor, ClusterExecutor) else None
        done, _ = wait(self._out, QUIET_SECONDS if cluster else None, FIRST_COMPLETED)
        if cluster and not done and not cluster.has_workers():
            self.abandon()
            self._again.extend(payload for payloads in self._out.values() for payload in payloads)
            self._out.clear()
            self._break("no worker of the cluster is left")
        for future in done:
            payloads = self._out.pop(future)
            error = CancelledError() if future.cancelled() else future.exception()
            if isinstance(error, CannotRebuild):
                raise error
            if error is None:
                self.is_proven = True
                self._learn(payloads, future.result())
                self._compare(payloads, future.result())
            # What goes wrong with a payload is among its outcomes, so it is the worker itself that has failed.
            if isinstance(error, BrokenExecutor):
                self._break(error)
            yield payloads, error or future.result()

    def _break(self, reason: object) -> None:
        self.is_broken, self.broken_by = True, str(reason)

    def _compare(self, payloads: list[Payload], made: Made) -> None:
        """Warn once if a worker makes files that nobody here asks for, as one with older code does."""
        if self._to_compare <= 0:
            return
        self._to_compare -= 1
        stranger = stranger_among(made.outcomes[0], payloads[0], self._here)
        if stranger:
            self._to_compare = 0
            logger.warning(
                "A worker has made %r of %s, which this machine would not: its code or settings are others, or the "
                "source has changed. Start workers anew with the site's present code, then generate again.",
                stranger,
                payloads[0].name or "no source",
            )

    def _learn(self, payloads: list[Payload], made: Made) -> None:
        pace = sum(map(_cost, payloads)) / max(made.seconds, 1e-6)
        self._pace = (self._pace + pace) / 2 if self._pace else pace


def _cost(payload: Payload) -> int:
    """Return what a payload costs, in bytes of source."""
    return payload.weight + FILE_BYTES * len(payload.calls)


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

    Work goes out in batches of about a second, a few for each worker at a time. What was in the hands of a worker that
    died is tried once more, each source on its own, and then reported. What cannot be sent as plain values (uploads,
    bytes, cache files of unregistered generators) is made in this process. If an executor breaks, as those of
    `concurrent.futures` do when a worker dies, or if no worker of a cluster is left, this library's own processes make
    the rest.

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
    begun, total = time.perf_counter(), plan.total
    run = _Run(kit, plan, force)
    outcomes = begin_progress(plan, on_progress)

    def settle(settled: list[Outcome]) -> None:
        for outcome in settled:
            outcomes.append(outcome)
            if on_progress:
                on_progress(outcome, len(outcomes), total)

    try:
        for settled in _all_outcomes(run, executor, workers):
            settle(settled)
        for work in run.local:
            settle(make_work(kit, work, force=force, stopped=lambda: False))
    except KeyboardInterrupt as interruption:
        raise GenerationInterrupted(
            Report(outcomes, time.perf_counter() - begun, plan.warnings.values())
        ) from interruption
    finally:
        run.abandon()
    return Report(outcomes, time.perf_counter() - begun, plan.warnings.values())


def _all_outcomes(run: _Run, executor: Executor | None, workers: int | None) -> Iterator[list[Outcome]]:
    if executor is not None:
        yield from run.outcomes(executor, workers)
        if not run.is_broken:
            yield from run.outcomes_of_suspects(executor)
        if run.is_broken and (run.is_waiting or run.suspects):
            logger.warning("The rest is made here: %s", run.broken_by)
    workers = workers or available_cores()
    while run.is_waiting or run.suspects:
        while run.suspects:
            with _pool(1) as pool:
                for outcomes in run.outcomes_of_suspects(pool):
                    if not run.is_proven and all(outcome.status == "failed" for outcome in outcomes):
                        _check_workers_start()
                    run.is_proven = True
                    yield outcomes
        if run.is_waiting:
            with _pool(workers) as pool:
                yield from run.outcomes(pool, workers)


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
