"""The subcommands for people who work on a site: one writes it, one shows it."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import click

from ..wording import without_credentials
from .finding import find_kit, site_table

HOSTS = ("plain", "flask", "pelican")

NO_BUILD = (
    'What renders the pages? Pass --build module:function, or write build = "module:function" under '
    "[tool.jinja-imagekit] in pyproject.toml."
)


@click.command("init")
@click.argument("folder", default=".", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--for",
    "kind",
    type=click.Choice(HOSTS),
    default="plain",
    show_default=True,
    help="The host.",
)
def init(folder: Path, kind: str) -> None:
    """Write a small site that works into FOLDER, to start from.

    Files that are there already stay as they are.
    """
    from .starting import write_site

    write_site(folder, kind)


def make_serve(reference: Callable[[], str | None]) -> click.Command:
    """Return the subcommand.

    Args:
        reference: Returns what the command line or the environment calls the kit, if anything.
    """

    @click.command("serve")
    @click.option("--build", metavar="MODULE:FUNCTION", help="What renders the pages.")
    @click.option("--folder", type=click.Path(file_okay=False), help="The folder of the pages.  [default: output]")
    @click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
    @click.option("-p", "--port", type=click.IntRange(1, 65535), default=8000, show_default=True, help="The port.")
    @click.option("--watch/--no-watch", default=True, help="Build again when a file changes.  [default: watch]")
    def serve_site(build: str | None, folder: str | None, host: str, port: int, watch: bool) -> None:
        """Build a plain site, and serve it while you work on it.

        Images are made when the browser asks for them, and a change of any file builds the pages again.
        """
        from .serve import Served, check_is_free, serve, shown, watch_and_serve

        kit = find_kit(reference())
        table = site_table()
        build = build or table.get("build")
        if not isinstance(build, str):
            raise click.UsageError(NO_BUILD)
        served = Served(reference(), build, os.path.abspath(folder or str(table.get("output", "output"))), host, port)
        check_is_free(served)
        click.echo(f"Serving {shown(served.folder)} at {served.url}; Ctrl-C ends it.")
        if watch and find_spec("watchfiles") is None:
            click.echo("Built once, since files are not watched without: pip install 'jinja-imagekit[serve]'", err=True)
            watch = False
        if not watch:
            serve(served)
            return
        for bucket in kit.settings.buckets:
            click.echo(f"{without_credentials(bucket)} is not watched: start again when an image there has changed.")
        watch_and_serve(served, kit)

    return serve_site
