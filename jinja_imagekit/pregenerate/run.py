"""Runs a plan on threads: large sources first, and idle threads help with the files of the last ones."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import chain
from typing import TYPE_CHECKING, Any

from ..state.locks import this_thread, working_for
from .making import make_work
from .plan import Plan, SourceWork
from .report import GenerationInterrupted, Outcome, Outcomes, Report

if TYPE_CHECKING:
    from ..kit import ImageKit

Progress = Callable[[Outcome, int, int], None]
"""Called with an outcome, how many files are settled, and how many there are."""

GRACE_SECONDS = 0.8
"""How long an interrupted run waits for files that are being written."""


def available_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_plan(
    kit: ImageKit,
    plan: Plan,
    *,
    force: bool = False,
    workers: int | None = None,
    on_progress: Progress | None = None,
) -> Report:
    """Make what a plan names, on threads, since Pillow releases the interpreter lock while it works.

    Args:
        kit: The kit.
        plan: What to make.
        force: Make existing files too.
        workers: How many threads; by default as many as cores.
        on_progress: Called in this thread for each file once it is settled.

    Raises:
        GenerationInterrupted: Ctrl-C; what was made by then is whole and recorded.
    """
    begun, total = time.perf_counter(), plan.total
    # What has nothing to do needs no thread.
    size = min(workers or available_cores(), total - len(plan.outcomes))
    crew = Crew(kit, plan.works, force, size)
    outcomes = begin_progress(plan, on_progress)
    try:
        crew.start()
        for outcome in crew.outcomes():
            outcomes.append(outcome)
            if on_progress:
                on_progress(outcome, len(outcomes), total)
    except KeyboardInterrupt as interruption:
        crew.stop(GRACE_SECONDS)
        outcomes.extend(crew.settled())
        raise GenerationInterrupted(
            Report(outcomes, time.perf_counter() - begun, plan.warnings.values())
        ) from interruption
    except BaseException:
        crew.stop(GRACE_SECONDS)
        raise
    return Report(outcomes, time.perf_counter() - begun, plan.warnings.values())


def begin_progress(plan: Plan, on_progress: Progress | None) -> Outcomes:
    """Report what a plan has already settled, and return it, for others to be added."""
    settled, total = plan.outcomes, plan.total
    begin = getattr(on_progress, "begin", None)
    if on_progress and begin:
        # This library's own displays are given the whole plan, from which they tell how long the rest takes.
        begin(plan)
        for count, outcome in enumerate(chain(settled.generated, settled.failed), len(settled.skipped) + 1):
            on_progress(outcome, count, total)
    elif on_progress:
        for count, outcome in enumerate(settled, 1):
            on_progress(outcome, count, total)
    return settled.copy()


class Crew:
    """Threads that share the sources among them and, when none is left, the files of a source.

    Args:
        kit: The kit.
        works: What to make, the largest source first.
        force: Make existing files too.
        size: How many threads.
    """

    def __init__(self, kit: ImageKit, works: list[SourceWork], force: bool, size: int) -> None:
        self._kit = kit
        self._works = deque(works)
        self._force = force
        self._pieces: deque[_Piece] = deque()
        self._news = threading.Condition()
        self._busy = 0
        self._stopping = threading.Event()
        self._outcomes: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._labour, name=f"imagekit-{number}", daemon=True) for number in range(size)
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def outcomes(self) -> Any:
        """Yield outcomes until all work is done; a thread's own error is raised here."""
        running = len(self._threads)
        while running:
            settled = self._outcomes.get()
            if settled is None:
                running -= 1
            elif isinstance(settled, BaseException):
                raise settled
            else:
                yield from settled

    def settled(self) -> list[Outcome]:
        """Return the outcomes that have not been taken yet."""
        left: list[Outcome] = []
        while not self._outcomes.empty():
            settled = self._outcomes.get()
            left.extend(settled if isinstance(settled, list) else [])
        return left

    def stop(self, seconds: float) -> None:
        """Abandon the rest, and wait this long for files that are being written."""
        self._stopping.set()
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _labour(self) -> None:
        try:
            while not self._stopping.is_set():
                task = self._next_task()
                if task is None:
                    break
                task()
        except BaseException as error:  # noqa: BLE001  # raised in the thread that waits for outcomes
            self._outcomes.put(error)
        self._outcomes.put(None)

    def _next_task(self) -> Callable[[], None] | None:
        """Return the next source, or else a file of another thread's source; None when all is done."""
        with self._news:
            while True:
                if self._works:
                    work = self._works.popleft()
                    self._busy += 1
                    return lambda: self._make(work)
                if self._pieces:
                    return self._pieces.pop()
                if not self._busy or self._stopping.is_set():
                    return None
                self._news.wait()

    def _make(self, work: SourceWork) -> None:
        try:
            stopped = self._stopping.is_set
            self._outcomes.put(make_work(self._kit, work, force=self._force, stopped=stopped, spread=self._spread))
        finally:
            with self._news:
                self._busy -= 1
                self._news.notify_all()

    def _spread(self, pieces: list[Callable[[], None]]) -> None:
        """Run the pieces of one source here, and let idle threads take some of them."""
        if len(pieces) < 2 or len(self._threads) < 2:
            for piece in pieces:
                piece()
            return
        own = [_Piece(piece) for piece in pieces]
        with self._news:
            self._pieces.extendleft(own)
            self._news.notify_all()
        for piece in own:
            piece()
        for piece in own:
            piece.done.wait()
        with self._news:
            for piece in own:
                if piece in self._pieces:
                    self._pieces.remove(piece)


class _Piece:
    """A callable that runs only once, for its first caller."""

    def __init__(self, run: Callable[[], None]) -> None:
        self._run = run
        self._claim = threading.Lock()
        self._owner = this_thread()
        self.done = threading.Event()

    def __call__(self) -> None:
        if not self._claim.acquire(blocking=False):
            return
        try:
            # The owner waits for it, holding the locks of all files of the source.
            with working_for(self._owner):
                self._run()
        finally:
            self.done.set()
