"""Says on Pelican's console how far the images are."""

from __future__ import annotations

import time

from pelican.log import console

from ..pregenerate import Outcome, Report
from ..wording import counted, seconds_in_words

INTERVAL_SECONDS = 1.0
"""Between two lines; Pelican's own spinner keeps the last line of a terminal."""


class Progress:
    """Prints a line a second while images are made, and one at the end."""

    def __init__(self) -> None:
        self._printed = time.monotonic()

    def __call__(self, outcome: Outcome, settled: int, total: int) -> None:
        """Take note of a file that is settled."""
        now = time.monotonic()
        if settled < total and now - self._printed >= INTERVAL_SECONDS:
            self._printed = now
            console.print(f"Images: {settled:,} of {total:,} ({settled / total:.0%})")

    def done(self, report: Report) -> None:
        """Say what became of all of them."""
        if report.total:
            failed = f", {len(report.failed):,} failed" if report.failed else ""
            console.print(
                f"Images: {counted(report.total, 'image')} on the site, {len(report.generated):,} made, "
                f"{len(report.skipped):,} unchanged{failed}, in {seconds_in_words(report.seconds)}."
            )
