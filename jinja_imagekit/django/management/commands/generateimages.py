"""`manage.py generateimages`: makes everything that source groups and registrations name, on all cores."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ....exceptions import ImageKitError
from ....pregenerate import GenerationInterrupted, Outcome
from ....registry import id_pattern
from ..._engine.current import get_kit


class Command(BaseCommand):
    """Makes cache files in advance."""

    help = (
        "Make the images of the generators whose ids match, or of all. In an id pattern, * stands for anything within "
        "a segment and ** for anything; segments are separated by colons, and the first segments of an id stand for "
        "the whole: 'a' matches 'a', 'a:b' and 'a:b:c'."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the command's arguments."""
        parser.add_argument("generator_id", nargs="*", help="an id or a pattern; <app>:<model>:<field> for model specs")
        parser.add_argument("--force", action="store_true", help="make existing images too")
        parser.add_argument("--workers", type=int, help="how many threads; by default as many as cores")

    def handle(self, *args: Any, **options: Any) -> None:
        """Make the images, and report on each.

        Raises:
            CommandError: A pattern matches nothing, or an image could not be made; the others are.
        """
        self._verbosity = options["verbosity"]
        try:
            report = get_kit().generate(
                options["generator_id"],
                force=options["force"],
                workers=options["workers"],
                on_progress=self._say,
            )
        except GenerationInterrupted as error:
            raise CommandError(f"interrupted: {error.report}", returncode=130) from error
        except ImageKitError as error:
            raise CommandError(str(error)) from error
        counts = f"{len(report.generated)} generated, {len(report.skipped)} there already, {len(report.failed)} failed"
        if self._verbosity:
            self.stdout.write(f"{counts} ({report.seconds:.1f} s)")
        if report.failed:
            raise CommandError(counts)

    def compile_patterns(self, generator_ids: Iterable[str]) -> list[re.Pattern[str]]:
        """Return the regular expressions of id patterns."""
        return [self.compile_pattern(each) for each in generator_ids]

    @staticmethod
    def compile_pattern(generator_id: str) -> re.Pattern[str]:
        """Return the regular expression of an id pattern."""
        return id_pattern(generator_id)

    def _say(self, outcome: Outcome, settled: int, total: int) -> None:
        if outcome.status == "failed":
            self.stderr.write(
                f"[{settled}/{total}] {outcome.generator_id}: {outcome.source}: {outcome.reason}", self.style.ERROR
            )
        elif self._verbosity > 1 or (self._verbosity == 1 and outcome.status == "generated"):
            self.stdout.write(f"[{settled}/{total}] {outcome.generator_id}: {outcome.name} {outcome.status}")
