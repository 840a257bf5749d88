"""Shows the progress of a pregeneration: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

from ..wording import printable, size_in_words
from .run import available_cores

if TYPE_CHECKING:
    from .plan import Plan, SourceWork
    from .report import Outcome

_REDRAW_SECONDS = 0.1

_ESTIMATE_AFTER = 3
"""How many files are made before the time left is shown: two would say nothing."""

_BYTES_A_FILE = 300_000
"""The cost of making a file, besides reading its source, in bytes of source: for a photo both take about as long."""

_MOST_NAME = 40
"""Maximum length in characters of a file's label beside the bar."""


class Quiet:
    """Shows only failures, on standard error."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def __enter__(self) -> Quiet:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def begin(self, plan: Plan) -> None:
        """Learn what is to be made, before the first file is settled."""

    def __call__(self, outcome: Outcome, settled: int, total: int) -> None:
        """Learn that a file is settled."""
        if outcome.status == "failed":
            self.echo_failure(outcome)

    def echo_failure(self, outcome: Outcome) -> None:
        """Say what failed, and why; once for all sizes and formats of an image."""
        line = printable(f"failed {label(outcome)}: {outcome.reason}")
        if line not in self._said:
            self._said.add(line)
            click.echo(line, err=True)


class Lines(Quiet):
    """Writes a line for each image made."""

    def __call__(self, outcome: Outcome, settled: int, total: int) -> None:
        """Learn that a file is settled."""
        super().__call__(outcome, settled, total)
        if outcome.status == "generated":
            result = f"{outcome.width} × {outcome.height}, {size_in_words(outcome.size)}"
            click.echo(printable(f"made {outcome.name} ({label(outcome)}; {result})"))


class Bar(Quiet):
    """Draws a bar on standard error, with the last file, images per second and the time left; failures follow."""

    def __init__(self) -> None:
        super().__init__()
        self._bar: Any = None
        self._failures: list[Outcome] = []
        self._shown = 0
        self._drawn = time.monotonic()
        self._pace = Pace()

    def begin(self, plan: Plan) -> None:
        """Learn what is to be made."""
        self._pace = Pace(plan)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.__exit__(kind, error, trace)
        for outcome in self._failures:
            self.echo_failure(outcome)

    def __call__(self, outcome: Outcome, settled: int, total: int) -> None:
        """Learn that a file is settled."""
        now = time.monotonic()
        self._pace.settle(outcome, now)
        if outcome.status == "failed":
            self._failures.append(outcome)
        if self._bar is None:
            self._bar = self._open(total)
        elif now - self._drawn < _REDRAW_SECONDS and settled < total:
            return
        self._drawn = now
        self._bar.update(settled - self._shown, outcome)
        self._shown = settled

    def _open(self, total: int) -> Any:
        bar: Any = click.progressbar(
            length=total, label="Images", show_pos=True, show_eta=False, item_show_func=self._beside, file=sys.stderr
        )
        return bar.__enter__()

    def _beside(self, outcome: Outcome | None) -> str | None:
        if outcome is None:
            return None
        name = label(outcome)
        name = name if len(name) <= _MOST_NAME else f"…{name[1 - _MOST_NAME :]}"
        return "  ".join(filter(None, (self._pace.in_words(), printable(name))))


class Pace:
    """How fast images are made, and how long the rest takes.

    Files that are up to date take no time, so only those that are made count. A large source takes longer than a small
    one, so each file counts by its share of its source's bytes. The first source of each core is left out: they all
    start at once, and those still running when the first one is done would count for too much.

    Args:
        plan: What is to be made.
        cores: How many sources are worked on at a time.
    """

    def __init__(self, plan: Plan | None = None, cores: int | None = None) -> None:
        works = plan.works if plan else ()
        self._costs = {work.source.name if work.source else None: _cost(work) for work in works}
        self._left = sum(_cost(work) * len(work.files) for work in works)
        self._cores = cores or available_cores()
        self._first: set[str | None] = set()
        self._begun = self._last = 0.0
        self._made = 0
        self._done = 0.0

    def settle(self, outcome: Outcome, now: float) -> None:
        """Learn that a file was settled, at a time of `time.monotonic()`."""
        cost = self._costs.get(outcome.source, 0.0)
        self._left = max(0.0, self._left - cost)
        if outcome.status != "generated":
            return
        if len(self._first) < self._cores or outcome.source in self._first:
            self._first.add(outcome.source)
            self._begun = self._last = now
        else:
            self._made += 1
            self._done += cost
            self._last = now

    def per_second(self) -> float | None:
        """Return how many images are made per second; None if it is too early to tell."""
        if self._made < _ESTIMATE_AFTER or self._last <= self._begun:
            return None
        return self._made / (self._last - self._begun)

    def seconds_left(self) -> float | None:
        """Return how many seconds the rest takes; None if it is too early to tell."""
        if not self._done or self.per_second() is None:
            return None
        return self._left * (self._last - self._begun) / self._done

    def in_words(self) -> str:
        """Return images per second and the time left, as far as they are known."""
        rate, seconds = self.per_second(), self.seconds_left()
        left = round(seconds or 0)
        return "" if rate is None else f"{rate:.1f}/s" + (f", {left // 60}:{left % 60:02} left" if left else "")


def _cost(work: SourceWork) -> float:
    """Return what one file of a source costs, in bytes of the source."""
    return work.weight / len(work.files) + _BYTES_A_FILE


def progress_display(*, quiet: bool = False) -> Quiet:
    """Return a context manager that shows the progress of a run.

    Args:
        quiet: Show only failures.
    """
    if quiet:
        return Quiet()
    return Bar() if sys.stderr.isatty() else Lines()


def label(outcome: Outcome) -> str:
    """Return a label for a cache file that may not have a name yet."""
    return f"{outcome.generator_id} of {outcome.source}" if outcome.source else outcome.generator_id
