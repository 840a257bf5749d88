"""The subcommands, each of which gets the kit and its imports only when it runs, so that `--help` is quick."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..json_output import json_text
from ..wording import counted, printable, seconds_in_words, size_in_words

if TYPE_CHECKING:
    from ..exceptions import NotRegistered
    from ..kit import ImageKit
    from ..large import LargeList
    from ..markup.lint import Finding
    from ..markup.site import SiteReport
    from ..pregenerate import Outcome, Plan, Report
    from ..pregenerate.progress import Quiet
    from ..state import Record

GetKit = Callable[[], "ImageKit"]
"""Returns the kit, when it is needed."""

LONG_SECONDS = 10.0
"""A run that took longer says what took longest, and what became largest."""

INTERRUPTED = 130
"""Exit status after Ctrl-C: 128 plus the number of SIGINT, as in shells."""

TERMINATED = 143
"""Exit status after SIGTERM, with which supervisors and build servers end processes."""


class Terminated(KeyboardInterrupt):
    """SIGTERM was received; the run ends as after Ctrl-C, and leaves nothing half written."""


def subcommands(get_kit: GetKit) -> list[click.Command]:
    """Return all subcommands for a kit."""
    return [make(get_kit) for make in (_generate, _html, _list, _prune, _clear, _doctor)]


def _in_existing_folder(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    # Work of minutes should not end with a page in a mistyped folder.
    if value and not Path(value).parent.is_dir():
        raise click.BadParameter(f"the folder {str(Path(value).parent)!r} does not exist.")
    return value


def _of_a_cluster(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    if value is not None:
        from ..exceptions import InvalidOption
        from ..pregenerate.clusters import scheme_and_address

        try:
            scheme_and_address(value)
        except InvalidOption as error:
            raise click.BadParameter(printable(error.expected)) from error
    return value


_report_option = click.option(
    "--report",
    "page",
    # Resolved before looking for the kit, which may change the current folder.
    type=click.Path(dir_okay=False, writable=True, resolve_path=True),
    callback=_in_existing_folder,
    help="Write a report: JSON if FILE ends in .json, else HTML.",
    metavar="FILE",
)


def _generate(get_kit: GetKit) -> click.Command:
    @click.command("generate")
    @click.argument("patterns", nargs=-1, metavar="[PATTERN]...")
    @click.option("--force", is_flag=True, help="Make files even if they are up to date.")
    @click.option(
        "-j", "--workers", type=click.IntRange(min=1), metavar="N", help="How many at a time.  [default: cores]"
    )
    @click.option("--processes", is_flag=True, help="Work in processes instead of threads.")
    @click.option(
        "--executor", metavar="URL", callback=_of_a_cluster, help="Work on a cluster: dask://…, celery://… or ray://…"
    )
    @click.option("-n", "--dry-run", is_flag=True, help="List what would be made, and make nothing.")
    @click.option("--json", "as_json", is_flag=True, help="Write the outcome of each file as JSON.")
    @click.option("-q", "--quiet", is_flag=True, help="Write only failures.")
    @click.option("--strict", is_flag=True, help="Fail if a folder is missing or a pattern matches no file.")
    @_report_option
    @click.option(
        "--manifest",
        type=click.Path(dir_okay=False, writable=True, resolve_path=True),
        callback=_in_existing_folder,
        help="Write what is known about all pictures of the last render as JSON.",
    )
    def generate(
        patterns: tuple[str, ...],
        dry_run: bool,
        as_json: bool,
        quiet: bool,
        strict: bool,
        page: str | None,
        manifest: str | None,
        **options: Any,
    ) -> None:
        """Make the missing images of all source groups and registered cache files.

        A PATTERN chooses generators: an id, the first segments of one, '*' within a segment, '**' for anything.
        """
        if dry_run and page:
            raise click.UsageError("--report shows what was done, but --dry-run does nothing: leave one of them out.")
        kit = get_kit()
        if dry_run:
            report = _planned(kit, patterns, options["force"])
        else:
            report = _generated(kit, patterns, quiet=quiet or as_json, as_json=as_json, **options)
        _show_report(report, as_json=as_json, quiet=quiet, dry_run=dry_run)
        if page:
            _write_page(kit, report, page)
        if manifest:
            kit.pictures.write_manifest(Path(manifest))
        kit.close()
        if not report.ok or (strict and report.warnings):
            click.get_current_context().exit(1)

    return generate


def _html(get_kit: GetKit) -> click.Command:
    @click.command("html")
    @click.argument(
        "folder",
        # Resolved before looking for the kit, which may change the current folder.
        type=click.Path(exists=True, file_okay=False, resolve_path=True),
    )
    @click.option("--check", is_flag=True, help="Say what is wrong with the images of the pages, and change nothing.")
    @click.option("-n", "--dry-run", is_flag=True, help="List the pages that would change, and change nothing.")
    @click.option(
        "-j", "--workers", type=click.IntRange(min=1), metavar="N", help="How many images at a time.  [default: cores]"
    )
    @click.option("--json", "as_json", is_flag=True, help="Write everything as JSON.")
    @click.option("-q", "--quiet", is_flag=True, help="Write only failures.")
    @click.option("--strict", is_flag=True, help="Fail if --check finds anything.")
    @_report_option
    def html(
        folder: str,
        check: bool,
        dry_run: bool,
        workers: int | None,
        as_json: bool,
        quiet: bool,
        strict: bool,
        page: str | None,
    ) -> None:
        """Rewrite the images of all pages and feeds in FOLDER, whatever wrote them, by the site's rules.

        What has been rewritten is recognized: over an unchanged site nothing changes. Without a kit, FOLDER has the
        images too, and URLs are relative.
        """
        if check and dry_run:
            raise click.UsageError("--check and --dry-run both change nothing: leave one of them out.")
        if strict and not check:
            raise click.UsageError("--strict is about what --check finds: pass --check too.")
        from ..markup.site import SiteFolder
        from ..pregenerate.progress import progress_display
        from .finding import html_rules, kit_or_default

        kit = kit_or_default(get_kit, folder)
        site = SiteFolder(kit, folder, html_rules() or None)
        if check:
            report = site.check()
        elif dry_run:
            report = site.foresee()
        else:
            with progress_display(quiet=quiet or as_json) as display:
                report = site.rewrite(workers=workers, on_progress=display)
        _show_pages(report, as_json=as_json, quiet=quiet)
        if page:
            _write_page(kit, report.images, page, report.findings, folder)
        kit.close()
        if not report.ok or (strict and report.findings):
            click.get_current_context().exit(1)

    return html


def _show_pages(report: SiteReport, *, as_json: bool, quiet: bool) -> None:
    if as_json:
        click.echo(json.dumps({"ok": report.ok, **report.as_dict()}, indent=2))
        return
    for failure in report.failures:
        line = f"{failure.page}:{failure.line}: {failure.url!r} stays as it is: {failure.reason}"
        click.echo(printable(line), err=True)
    for finding in report.findings:
        click.echo(printable(f"{finding.page}:{finding.line}: {finding.kind}: {finding.url!r}: {finding.message}"))
    if not quiet:
        for page in report.changed if report.dry_run else ():
            click.echo(printable(f"would change {page}"))
        click.echo(report.summary())


def echo_json(value: object) -> None:
    """Write a value as `json_text` has it, part by part."""
    for part in json_text(value):
        click.echo(part, nl=False)
    click.echo()


def _generated(kit: ImageKit, patterns: tuple[str, ...], *, quiet: bool, as_json: bool, **options: Any) -> Report:
    from ..exceptions import NotRegistered
    from ..pregenerate import GenerationInterrupted
    from ..pregenerate.progress import progress_display

    try:
        with progress_display(quiet=quiet) as display:
            return kit.generate(patterns, on_progress=_Display(display), **options)
    except NotRegistered as error:
        raise _unknown_pattern(error, patterns) from error
    except GenerationInterrupted as interruption:
        _show_report(interruption.report, as_json=as_json, quiet=False, interrupted=True)
        is_term = isinstance(interruption.__cause__, Terminated)
        click.get_current_context().exit(TERMINATED if is_term else INTERRUPTED)


class _Display:
    """A display of progress in the command's own process, which prepares for work when there is some."""

    def __init__(self, display: Quiet) -> None:
        self._display = display

    def begin(self, plan: Plan) -> None:
        """Learn what is to be made, before the first file is settled."""
        if plan.works:
            from ..memory import keep_memory

            keep_memory()
        self._display.begin(plan)

    def __call__(self, outcome: Outcome, settled: int, total: int) -> None:
        """Learn that a file is settled."""
        self._display(outcome, settled, total)


def _planned(kit: ImageKit, patterns: tuple[str, ...], force: bool) -> Report:
    from ..builds.finish import wanted_items
    from ..exceptions import NotRegistered
    from ..pregenerate import Plan, dry_run, make_plan

    plan = Plan()
    try:
        make_plan(kit, wanted_items(kit, patterns, plan), force, plan)
    except NotRegistered as error:
        raise _unknown_pattern(error, patterns) from error
    return dry_run(plan, force)


def _show_report(
    report: Report, *, as_json: bool, quiet: bool, dry_run: bool = False, interrupted: bool = False
) -> None:
    from ..pregenerate.progress import Quiet, label

    if as_json:
        facts = {"ok": report.ok and not interrupted, "dry_run": dry_run, "interrupted": interrupted}
        echo_json({**facts, **report.streamed()})
        return
    if dry_run:
        for outcome in () if quiet else report.generated:
            click.echo(printable(f"would make {outcome.name} ({label(outcome)})"))
        display = Quiet()
        for outcome in report.failed:
            display.echo_failure(outcome)
    if not quiet:
        if report.generated and report.seconds > LONG_SECONDS and not dry_run:
            slowest = max(report.generated, key=lambda outcome: outcome.seconds)
            largest = max(report.generated, key=lambda outcome: outcome.size)
            click.echo(printable(f"slowest: {label(slowest)}, {seconds_in_words(slowest.seconds)}"))
            click.echo(printable(f"largest: {label(largest)}, {size_in_words(largest.size)}"))
        click.echo(_summary(report, dry_run=dry_run, interrupted=interrupted))


def _write_page(
    kit: ImageKit, report: Report, page: str, findings: Sequence[Finding] = (), folder: str | None = None
) -> None:
    write: Callable[..., None]
    if page.lower().endswith(".json"):
        from ..pregenerate.json_report import write_json_report as write
    else:
        from ..pregenerate.html_report import write_html_report as write

    try:
        write(kit, report, page, findings=[finding._asdict() for finding in findings], pages=folder)
    except OSError as error:
        raise click.ClickException(f"The report cannot be written to {page}: {error.strerror or error}.") from error


def _summary(report: Report, *, dry_run: bool, interrupted: bool) -> str:
    made, fresh, failed = len(report.generated), len(report.skipped), len(report.failed)
    if dry_run:
        return f"{counted(made, 'image')} to make, {fresh:,} fresh already, {failed:,} cannot be made"
    counts = f"{counted(made, 'image')} made, {fresh:,} fresh already, {failed:,} failed"
    took = f"in {seconds_in_words(report.seconds)}"
    pace = f", {made / report.seconds:.1f}/s" if made and report.seconds else ""
    start = "Interrupted; what has been made is whole and stays: " if interrupted else ""
    return f"{start}{counts}, {took}{pace}"


def _list(get_kit: GetKit) -> click.Command:
    @click.command("list")
    @click.argument("patterns", nargs=-1, metavar="[PATTERN]...")
    @click.option("--sources", is_flag=True, help="Name each source.")
    @click.option("--json", "as_json", is_flag=True, help="Write everything as JSON.")
    def list_ids(patterns: tuple[str, ...], sources: bool, as_json: bool) -> None:
        """List the generators' ids, their source groups, and how many images each is to make.

        Images that the last finished render needs are included. A PATTERN chooses generators, as for generate.
        """
        from ..exceptions import NotRegistered
        from ..registry import match_ids

        kit = get_kit()
        rendered = _rendered_by(kit)
        try:
            ids = match_ids(patterns, rendered) if patterns else list(rendered)
        except NotRegistered as error:
            raise _unknown_pattern(error, patterns) from error
        listed: dict[Any, LargeList[str]] = {}
        entries = (_entry(kit, id, rendered[id], listed) for id in ids)
        if as_json:
            echo_json(entries)
        else:
            for entry in entries:
                _show_entry(entry, sources)

    return list_ids


def _rendered_by(kit: ImageKit) -> dict[str, list[str]]:
    """Return the images of the last render that are not registered, by their generators' ids."""
    from ..builds.finish import rendered_beside

    found: dict[str, list[str]] = {id: [] for id in kit.generators.get_ids()}
    for item in rendered_beside(kit):
        found[item.generator_id].append(str(item.kwargs.get("source", "")))
    return found


def _entry(kit: ImageKit, id: str, rendered: list[str], listed: dict[Any, LargeList[str]]) -> dict[str, Any]:
    from ..hashing import class_path
    from ..large import LargeList
    from ..pregenerate.plan import sources_of
    from ..sourcegroups import GlobSourceGroup

    groups = []
    for group in kit.source_groups.groups_of(id):
        # Folders are searched once for a pattern that several generators have.
        key = group if type(group) is GlobSourceGroup else object()
        if key not in listed:
            listed[key] = LargeList(str(source) for source in sources_of(group, kit))
        groups.append({"source_group": repr(group), "sources": listed[key]})
    registered = [str(each) for each in kit.cachefile_registry.get(id)]
    return {
        "id": id,
        "generator": class_path(kit.registered(id)),
        "images": sum(len(group["sources"]) for group in groups) + len(registered) + len(rendered),
        "source_groups": groups,
        "cachefiles": registered,
        "rendered": rendered,
    }


def _show_entry(entry: dict[str, Any], with_sources: bool) -> None:
    click.echo(printable(f"{entry['id']} ({entry['generator']}): {counted(entry['images'], 'image')}"))
    for group in entry["source_groups"]:
        click.echo(printable(f"  {group['source_group']}: {counted(len(group['sources']), 'source')}"))
        for source in group["sources"] if with_sources else ():
            click.echo(printable(f"    {source}"))
    for kind, noun, rest in (("cachefiles", "registered cache file", ""), ("rendered", "image", " of the last render")):
        if entry[kind]:
            click.echo(f"  {counted(len(entry[kind]), noun)}{rest}")
            for name in entry[kind] if with_sources else ():
                click.echo(printable(f"    {name}"))


def _prune(get_kit: GetKit) -> click.Command:
    @click.command("prune")
    @click.option("-n", "--dry-run", is_flag=True, help="List what would be deleted, and delete nothing.")
    @click.option("--yes", is_flag=True, help="Do not ask.")
    @click.option("--without-render", is_flag=True, help="Only registrations count, even if no render was finished.")
    @click.option("--json", "as_json", is_flag=True, help="Write what was deleted as JSON.")
    def prune(dry_run: bool, yes: bool, without_render: bool, as_json: bool) -> None:
        """Delete the cache files that neither a registration nor a recorded render needs.

        Without a finished render there is no telling what the pages use, and nothing is deleted.
        """
        kit = get_kit()
        if not (dry_run or yes or as_json):
            # Without a render nothing is asked, since nothing will be deleted.
            is_refused = kit.renders.last() is None and not without_render
            planned = None if is_refused else kit.prune(dry_run=True, without_render=without_render)
            if planned and planned.removed:
                files = f"{counted(len(planned.removed), 'cache file')} ({size_in_words(planned.bytes)})"
                click.confirm(f"Delete {files} that no page needs?", abort=True)
        report = kit.prune(dry_run=dry_run, without_render=without_render)
        kit.close()
        if as_json:
            echo_json({each.name: getattr(report, each.name) for each in fields(report)})
            return
        for name in report.removed:
            click.echo(printable(f"{'would delete' if dry_run else 'deleted'} {name}"))
        done = "to delete" if dry_run else "deleted"
        click.echo(f"{counted(len(report.removed), 'cache file')} {done} ({size_in_words(report.bytes)})")
        if report.downloads:
            click.echo(f"{counted(report.downloads, 'download')} {done}")

    return prune


def _clear(get_kit: GetKit) -> click.Command:
    @click.command("clear")
    @click.argument("patterns", nargs=-1, required=True, metavar="PATTERN...")
    @click.option("-n", "--dry-run", is_flag=True, help="List what would be deleted, and delete nothing.")
    @click.option("--yes", is_flag=True, help="Do not ask.")
    def clear(patterns: tuple[str, ...], dry_run: bool, yes: bool) -> None:
        """Delete the cache files of the generators that a PATTERN matches, and what is known about them.

        They are made again when next needed.
        """
        from ..exceptions import NotRegistered

        kit = get_kit()
        try:
            records = kit.clear(patterns, dry_run=True)
        except NotRegistered as error:
            raise _unknown_pattern(error, patterns) from error
        if dry_run:
            for record in records:
                click.echo(printable(f"would delete {record.name}"))
            click.echo(f"{_in_words(records)} to delete")
            return
        ids = ", ".join(sorted({record.generator for record in records}))
        if records and not yes:
            click.confirm(f"Delete {_in_words(records)} of {ids}?", abort=True)
        deleted = kit.clear(patterns)
        kit.close()
        click.echo(f"{_in_words(deleted)} deleted")

    return clear


def _in_words(records: Sequence[Record]) -> str:
    return f"{counted(len(records), 'cache file')} ({size_in_words(sum(record.size for record in records))})"


def _doctor(get_kit: GetKit) -> click.Command:
    @click.command("doctor")
    @click.option("--fix", is_flag=True, help="Repair what can be repaired: damaged files are deleted, and made again.")
    @click.option("--json", "as_json", is_flag=True, help="Write the findings as JSON.")
    def doctor(fix: bool, as_json: bool) -> None:
        """Compare what is known about the cache files with the files themselves.

        Finds what is missing, truncated, unreadable, foreign, not generated, or left by a process that died. The exit
        status is 1 if something was found that was not fixed.
        """
        kit = get_kit()
        findings = kit.doctor(fix=fix)
        kit.close()
        if as_json:
            click.echo(json.dumps([finding._asdict() for finding in findings], indent=2))
        else:
            for finding in findings:
                end = " (fixed)" if finding.fixed else ""
                click.echo(printable(f"{finding.kind} {finding.name}: {finding.detail}{end}"))
            fixed = sum(finding.fixed for finding in findings)
            click.echo(
                f"{counted(len(findings), 'finding')}, {fixed:,} fixed"
                if findings
                else "Everything is as it should be."
            )
        if not all(finding.fixed for finding in findings):
            click.get_current_context().exit(1)

    return doctor


def _unknown_pattern(error: NotRegistered, patterns: tuple[str, ...]) -> Exception:
    """Return a usage error if a pattern on the command line matches nothing, or else the error itself."""
    return click.UsageError(printable(str(error))) if error.id in patterns else error
