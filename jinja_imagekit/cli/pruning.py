"""The subcommand `prune`."""

from __future__ import annotations

import click

from .finding import GetKit
from .group import printable


def prune_command(get_kit: GetKit) -> click.Command:
    """Return the subcommand `prune`."""

    @click.command("prune")
    @click.option("--dry-run", is_flag=True, help="List what would be deleted, and delete nothing.")
    def prune(dry_run: bool) -> None:
        """Delete the cache files that no registration and no recorded render needs."""
        from ..pregenerate.wording import counted, size_in_words

        kit = get_kit()
        report = kit.prune(dry_run=dry_run)
        kit.close()
        for name in report.removed:
            click.echo(printable(f"{'would delete' if dry_run else 'deleted'} {name}"))
        done = "to delete" if dry_run else "deleted"
        click.echo(f"{counted(len(report.removed), 'cache file')} {done} ({size_in_words(report.bytes)})")

    return prune
