"""Writes the files that a new site starts from."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import NamedTuple

import click

from ..wording import printable
from .finding import read_table

SUFFIX = ".txt"
"""Starters are named so, since they are no modules of this package."""


class Starter(NamedTuple):
    """What a kind of site starts with, besides its files.

    Attributes:
        table: What `pyproject.toml` says under `[tool.jinja-imagekit]`.
        photos: The folder for photos.
        next: The command that shows the site.
    """

    table: str
    photos: str
    next: str


STARTERS = {
    "plain": Starter(
        'kit = "mysite:kit"\nbuild = "build:build"\noutput = "output"\n', "content/images", "jinja-imagekit serve"
    ),
    "flask": Starter('kit = "app:app"\n', "static/photos", "flask run"),
    "pelican": Starter("", "content", "pelican --listen --autoreload"),
}


def write_site(folder: Path, kind: str) -> None:
    """Write the files that a kind of site starts from into a folder, and say what was written, and what to do next.

    Raises:
        ClickException: A file cannot be written.
    """
    starter = STARTERS[kind]
    for name, content in _files(files(__package__) / "starters" / kind):
        _write(folder / name, content)
    (folder / starter.photos).mkdir(parents=True, exist_ok=True)
    if starter.table:
        _write_table(folder / "pyproject.toml", starter.table)
    place = "" if folder == Path(".") else f"in {folder}, "
    click.echo(printable(f"Now put photos into {folder / starter.photos}, and {place}run: {starter.next}"))


def _files(folder: Traversable, above: str = "") -> Iterator[tuple[str, str]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _files(entry, f"{above}{entry.name}/")
        else:
            yield above + entry.name.removesuffix(SUFFIX), entry.read_text(encoding="utf-8")


def _write(path: Path, content: str) -> None:
    if path.exists():
        click.echo(printable(f"{path} is there already, and stays as it is."), err=True)
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8", newline="\n")
    except OSError as error:
        raise click.ClickException(printable(f"{path} cannot be written: {error.strerror}")) from error
    else:
        click.echo(printable(f"wrote {path}"))


def _write_table(path: Path, table: str) -> None:
    text = f"[tool.jinja-imagekit]\n{table}"
    if not path.exists():
        _write(path, text)
    elif read_table(path):
        click.echo(printable(f"{path} has a table [tool.jinja-imagekit] already, which stays as it is."), err=True)
    else:
        with path.open("a", encoding="utf-8", newline="\n") as file:
            file.write(f"\n{text}")
        click.echo(printable(f"added [tool.jinja-imagekit] to {path}"))
