"""The subcommand `list`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from .finding import GetKit
from .group import printable

if TYPE_CHECKING:
    from ..kit import ImageKit


def list_command(get_kit: GetKit) -> click.Command:
    """Return the subcommand `list`."""

    @click.command("list")
    @click.option("--sources", is_flag=True, help="Name each source.")
    @click.option("--json", "as_json", is_flag=True, help="Write everything as JSON.")
    def list_ids(sources: bool, as_json: bool) -> None:
        """List the generators' ids, their source groups, and how many images each is to make."""
        kit = get_kit()
        entries = [_entry(kit, id) for id in kit.generators.get_ids()]
        if as_json:
            click.echo(json.dumps(entries, indent=2))
        else:
            for entry in entries:
                _show(entry, sources)

    return list_ids


def _entry(kit: ImageKit, id: str) -> dict[str, Any]:
    from ..hashing import class_path
    from ..pregenerate.plan import sources_of

    groups = [
        {"source_group": repr(group), "sources": [str(source) for source in sources_of(group, kit)]}
        for group in kit.source_groups.groups_of(id)
    ]
    registered = [str(each) for each in kit.cachefile_registry.get(id)]
    return {
        "id": id,
        "generator": class_path(kit.registered(id)),
        "images": sum(len(group["sources"]) for group in groups) + len(registered),
        "source_groups": groups,
        "cachefiles": registered,
    }


def _show(entry: dict[str, Any], with_sources: bool) -> None:
    from ..pregenerate.wording import counted

    click.echo(printable(f"{entry['id']} ({entry['generator']}): {counted(entry['images'], 'image')}"))
    for group in entry["source_groups"]:
        click.echo(printable(f"  {group['source_group']}: {counted(len(group['sources']), 'source')}"))
        for source in group["sources"] if with_sources else ():
            click.echo(printable(f"    {source}"))
    if entry["cachefiles"]:
        click.echo(f"  {counted(len(entry['cachefiles']), 'registered cache file')}")
        for file in entry["cachefiles"] if with_sources else ():
            click.echo(printable(f"    {file}"))
