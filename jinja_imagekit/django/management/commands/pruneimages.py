"""`manage.py pruneimages`: deletes the images whose originals are gone."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ....exceptions import ImageKitError
from ..._engine.current import get_kit
from ..._engine.removing import prune


class Command(BaseCommand):
    """Deletes cache files that are no longer needed."""

    help = (
        "Delete the images whose originals are gone, and those of model fields that no row needs any more. What tags "
        "made from an existing original stays."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the command's arguments."""
        parser.add_argument("--dry-run", action="store_true", help="only say what would be deleted")

    def handle(self, *args: Any, **options: Any) -> None:
        """Delete the images, and say which.

        Raises:
            CommandError: The images cannot be listed, or one cannot be deleted.
        """
        try:
            report = prune(get_kit(), dry_run=options["dry_run"])
        except ImageKitError as error:
            raise CommandError(str(error)) from error
        if options["verbosity"] > 1 or (options["dry_run"] and options["verbosity"]):
            for name in report.removed:
                self.stdout.write(name)
        if options["verbosity"]:
            done = "would be deleted" if options["dry_run"] else "deleted"
            self.stdout.write(f"{len(report.removed)} {done} ({report.bytes / 1e6:.1f} MB), {report.kept} kept")
