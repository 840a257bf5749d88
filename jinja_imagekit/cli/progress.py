"""Shows a pregeneration while it runs: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

from .group import printable

if TYPE_CHECKING:
    from ..pregenerate import Outcome

_REDRAW_SECONDS = 0.1


class Quiet:
    """Shows failures alone, on standard error."""

    def __enter__(self) -> Quiet:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def __call__(self, outcome: Outcome, settled: int, total: int) -> None:
        """Take note of a file that is settled."""
        if outcome.status == "failed":
            echo_failure(outcome)


class Lines(Quiet):
    """Writes a line for each image that was made."""

    def __call__(self, outcome: Outcome, settled: int, total: int) -> None:
        """Take note of a file that is settled."""
        super().__call__(outcome, settled, total)
        if outcome.status == "generated":
            from ..pregenerate.wording import size_in_words

            result = f"{outcome.width} × {outcome.height}, {size_in_words(outcome.size)}"
            click.echo(printable(f"made {outcome.name} ({label(outcome)}; {result})"))


class Bar(Quiet):
    """Draws a bar on standard error, with images per second and the time left; failures follow at the end."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._failures: list[Outcome] = []
        self._made = 0
        self._shown = 0
        self._begun = self._drawn = time.monotonic()
        self._left = 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.__exit__(kind, error, trace)
        for outcome in self._failures:
            echo_failure(outcome)

    def __call__(self, outcome: Outcome, settled: int, total: int) -> None:
        """Take note of a file that is settled."""
        self._made += outcome.status == "generated"
        self._left = total - settled
        if outcome.status == "failed":
            self._failures.append(outcome)
        now = time.monotonic()
        if self._bar is None:
            self._bar = self._open(total)
        elif now - self._drawn < _REDRAW_SECONDS and settled < total:
            return
        self._drawn = now
        self._bar.update(settled - self._shown, self)
        self._shown = settled

    def _open(self, total: int) -> Any:
        bar: Any = click.progressbar(
            length=total, label="Images", show_pos=True, show_eta=False, item_show_func=self._pace, file=sys.stderr
        )
        return bar.__enter__()

    def _pace(self, item: Any) -> str | None:
        # What was fresh took no time: only images that were made tell how long the rest takes.
        seconds = time.monotonic() - self._begun
        if not self._made or not seconds:
            return None
        rate = self._made / seconds
        left = round(self._left / rate)
        return f"{rate:.1f}/s" + (f", {left // 60}:{left % 60:02} left" if left else "")


def progress_display(*, quiet: bool) -> Quiet:
    """Return what shows the progress of a run.

    Args:
        quiet: Show failures alone.
    """
    if quiet:
        return Quiet()
    return Bar() if sys.stderr.isatty() else Lines()


def echo_failure(outcome: Outcome) -> None:
    """Say on standard error what failed, and why."""
    click.echo(printable(f"failed {label(outcome)}: {outcome.reason}"), err=True)


def label(outcome: Outcome) -> str:
    """Return what a cache file is called before it has a name."""
    return f"{outcome.generator_id} of {outcome.source}" if outcome.source else outcome.generator_id
