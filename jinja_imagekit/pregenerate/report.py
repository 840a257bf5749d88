"""What a pregeneration did, file by file."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, Literal, NamedTuple

from ..large import LargeList
from ..wording import counted

__all__ = ["GenerationInterrupted", "Outcome", "Report"]

Status = Literal["generated", "skipped", "failed"]


class Outcome(NamedTuple):
    """What became of one cache file.

    Attributes:
        status: "generated", "skipped" (it already existed) or "failed".
        generator_id: The generator's id.
        source: The source's name, or None.
        name: The cache file's name, or None if the source could not even be read.
        reason: Why it failed.
        seconds: How long it took, not counting waits.
        source_size: Bytes of the source.
        size: Bytes of the result.
        width: Width of the result in pixels.
        height: Height of the result in pixels.
        lost: What told how the source was made and is not in the result, such as "its C2PA manifest".
    """

    status: Status
    generator_id: str
    source: str | None
    name: str | None
    reason: str = ""
    seconds: float = 0.0
    source_size: int = 0
    size: int = 0
    width: int = 0
    height: int = 0
    lost: str = ""


class Outcomes:
    """What became of cache files so far; there may be millions.

    Args:
        outcomes: What is known already.

    Attributes:
        generated: Outcomes of files that were made.
        skipped: Outcomes of files that already existed.
        failed: Outcomes of files that could not be made.
    """

    def __init__(self, outcomes: Iterable[Outcome] = ()) -> None:
        self.generated = LargeList(make=Outcome._make)
        self.skipped = LargeList(make=Outcome._make)
        self.failed: list[Outcome] = []
        self.extend(outcomes)

    def append(self, outcome: Outcome) -> None:
        """Add an outcome."""
        getattr(self, outcome.status).append(outcome)

    def extend(self, outcomes: Iterable[Outcome]) -> None:
        """Add outcomes."""
        for outcome in outcomes:
            self.append(outcome)

    def copy(self) -> Outcomes:
        """Return the same outcomes, to which others can be added."""
        other = Outcomes()
        other.generated, other.skipped = self.generated.copy(), self.skipped.copy()
        other.failed = [*self.failed]
        return other

    def __iter__(self) -> Iterator[Outcome]:
        return chain(self.skipped, self.generated, self.failed)

    def __len__(self) -> int:
        return len(self.generated) + len(self.skipped) + len(self.failed)


class Report:
    """What a pregeneration did.

    Args:
        outcomes: One for each cache file.
        seconds: How long the whole run took.

    Attributes:
        generated: Outcomes of files that were made, in order; a sequence that takes little memory, whatever its length.
        skipped: Outcomes of files that already existed; such a sequence, too.
        failed: Outcomes of files that could not be made.
        warnings: What looks like a mistake: a source folder that does not exist, a pattern that matches no file; and
            the sources whose images do not tell how they were made, though the sources do.

    Example:
        >>> report = Report([Outcome("failed", "blog:hero", "a.jpg", None, "it is empty")], 0.2)
        >>> report.ok, len(report.failed)
        (False, 1)
    """

    def __init__(self, outcomes: Iterable[Outcome], seconds: float, warnings: Iterable[str] = ()) -> None:
        settled = outcomes if isinstance(outcomes, Outcomes) else Outcomes(outcomes)
        self.generated = settled.generated
        self.skipped = settled.skipped
        self.failed = settled.failed
        self.seconds = seconds
        lost = dict.fromkeys((each.source, each.lost) for each in self.generated if each.lost)
        self.warnings = (*warnings, *(f"Images made of {source} lack {what}." for source, what in lost))

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return not self.failed

    @property
    def total(self) -> int:
        """How many cache files there were in all."""
        return len(self.generated) + len(self.skipped) + len(self.failed)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values, for JSON."""
        return {name: value if name == "seconds" else list(value) for name, value in self.streamed().items()}

    def streamed(self) -> dict[str, Any]:
        """Return what `as_dict` does, with iterators instead of lists, for whom takes them one after another."""
        return {
            "seconds": self.seconds,
            "generated": map(Outcome._asdict, self.generated),
            "skipped": map(Outcome._asdict, self.skipped),
            "failed": map(Outcome._asdict, self.failed),
            "warnings": iter(self.warnings),
        }

    def __repr__(self) -> str:
        counts = f"{len(self.generated)} generated, {len(self.skipped)} skipped, {len(self.failed)} failed"
        return f"<Report: {counts} in {self.seconds:.1f} s>"


class GenerationInterrupted(KeyboardInterrupt, SystemExit):
    """A pregeneration was interrupted; what it has made is whole and stays.

    If it is not caught, the process ends with a line that says so, and with status 130, as shells have it.

    Attributes:
        report: How far it got.
    """

    def __init__(self, report: Report) -> None:
        super().__init__(repr(report))
        self.report = report
        self._line = (
            f"Interrupted; what has been made is whole and stays: {counted(len(report.generated), 'image')} made, "
            f"{len(report.failed):,} failed. The next run makes the rest."
        )

    @property
    def code(self) -> int:  # type: ignore[override]  # it must be a property, for what it does
        """The process's exit status. Only whoever ends the process asks for it, and has the line written by that."""
        print(self._line, file=sys.stderr)
        return 128 + signal.SIGINT
