"""The subcommand `doctor`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from .finding import GetKit
from .group import printable

if TYPE_CHECKING:
    from ..doctor import Finding


def doctor_command(get_kit: GetKit) -> click.Command:
    """Return the subcommand `doctor`."""

    @click.command("doctor")
    @click.option("--fix", is_flag=True, help="Mend what can be: delete what is damaged, so that it is made again.")
    @click.option("--json", "as_json", is_flag=True, help="Write the findings as JSON.")
    def doctor(fix: bool, as_json: bool) -> None:
        """Compare what is known of the cache files with the files themselves.

        Finds what is missing, truncated, unreadable, foreign, not generated, or left by a process that died. The exit
        status is 1 when something was found that was not fixed.
        """
        kit = get_kit()
        findings = kit.doctor(fix=fix)
        kit.close()
        if as_json:
            click.echo(json.dumps([finding._asdict() for finding in findings], indent=2))
        else:
            _show(findings)
        if not all(finding.fixed for finding in findings):
            click.get_current_context().exit(1)

    return doctor


def _show(findings: list[Finding]) -> None:
    from ..pregenerate.wording import counted

    for finding in findings:
        end = " (fixed)" if finding.fixed else ""
        click.echo(printable(f"{finding.kind} {finding.name}: {finding.detail}{end}"))
    fixed = sum(finding.fixed for finding in findings)
    click.echo(f"{counted(len(findings), 'finding')}, {fixed:,} fixed" if findings else "All is as it should be.")
