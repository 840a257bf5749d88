"""The subcommand `generate`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from .finding import GetKit
from .group import INTERRUPTED, printable, unknown_pattern
from .progress import echo_failure, label, progress_display

if TYPE_CHECKING:
    from ..kit import ImageKit
    from ..pregenerate import Report


def generate_command(get_kit: GetKit) -> click.Command:
    """Return the subcommand `generate`."""

    @click.command("generate")
    @click.argument("patterns", nargs=-1, metavar="[PATTERN]...")
    @click.option("--force", is_flag=True, help="Make even what is fresh.")
    @click.option("--workers", type=click.IntRange(min=1), metavar="N", help="How many at a time.  [default: cores]")
    @click.option("--processes", is_flag=True, help="Work in processes instead of threads.")
    @click.option("--dry-run", is_flag=True, help="List what would be made, and make nothing.")
    @click.option("--json", "as_json", is_flag=True, help="Write the outcome of each file as JSON.")
    @click.option("--quiet", is_flag=True, help="Write nothing but failures.")
    @click.option(
        "--report", "page", type=click.Path(dir_okay=False, writable=True), help="Write an HTML page of what was done."
    )
    def generate(
        patterns: tuple[str, ...], dry_run: bool, as_json: bool, quiet: bool, page: str | None, **options: Any
    ) -> None:
        """Make the images of all source groups and registered cache files that are not there yet.

        A PATTERN chooses generators: an id, the first segments of one, '*' within a segment, '**' for anything.
        """
        if dry_run and page:
            raise click.UsageError("--report shows what was done, and --dry-run does nothing: leave one of them out.")
        kit = get_kit()
        if dry_run:
            report = _plan(kit, patterns, options["force"])
        else:
            report = _generate(kit, patterns, quiet=quiet or as_json, as_json=as_json, **options)
        _show(report, as_json=as_json, quiet=quiet, dry_run=dry_run)
        if page:
            _write_page(kit, report, page)
        kit.close()
        if not report.ok:
            click.get_current_context().exit(1)

    return generate


def _generate(kit: ImageKit, patterns: tuple[str, ...], *, quiet: bool, as_json: bool, **options: Any) -> Report:
    from ..exceptions import NotRegistered
    from ..pregenerate import GenerationInterrupted

    try:
        with progress_display(quiet=quiet) as display:
            return kit.generate(patterns, on_progress=display, **options)
    except NotRegistered as error:
        raise unknown_pattern(error, patterns) from error
    except GenerationInterrupted as interruption:
        _show(interruption.report, as_json=as_json, quiet=False, interrupted=True)
        click.get_current_context().exit(INTERRUPTED)


def _plan(kit: ImageKit, patterns: tuple[str, ...], force: bool) -> Report:
    from ..builds.finish import wanted_items
    from ..exceptions import NotRegistered
    from ..pregenerate import make_plan
    from ..pregenerate.foresight import foresee

    try:
        plan = make_plan(kit, wanted_items(kit, patterns), force)
    except NotRegistered as error:
        raise unknown_pattern(error, patterns) from error
    return foresee(plan, force)


def _show(report: Report, *, as_json: bool, quiet: bool, dry_run: bool = False, interrupted: bool = False) -> None:
    if as_json:
        facts = {"ok": report.ok and not interrupted, "dry_run": dry_run, "interrupted": interrupted}
        click.echo(json.dumps({**facts, **report.as_dict()}, indent=2))
        return
    if dry_run:
        for outcome in report.generated:
            click.echo(printable(f"would make {outcome.name} ({label(outcome)})"))
        for outcome in report.failed:
            echo_failure(outcome)
    if not quiet:
        click.echo(_summary(report, dry_run=dry_run, interrupted=interrupted))


def _write_page(kit: ImageKit, report: Report, page: str) -> None:
    from ..pregenerate.html_report import write_html_report

    try:
        write_html_report(kit, report, page)
    except OSError as error:
        raise click.ClickException(f"The report cannot be written to {page}: {error.strerror or error}.") from error


def _summary(report: Report, *, dry_run: bool, interrupted: bool) -> str:
    from ..pregenerate.wording import counted, seconds_in_words

    made, fresh, failed = len(report.generated), len(report.skipped), len(report.failed)
    if dry_run:
        return f"{counted(made, 'image')} to make, {fresh:,} fresh already, {failed:,} cannot be made"
    counts = f"{counted(made, 'image')} made, {fresh:,} fresh already, {failed:,} failed"
    took = f"in {seconds_in_words(report.seconds)}"
    pace = f", {made / report.seconds:.1f}/s" if made and report.seconds else ""
    start = "Interrupted; what was made is whole and stays: " if interrupted else ""
    return f"{start}{counts}, {took}{pace}"
