"""The subcommand `clear`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .finding import GetKit
from .group import unknown_pattern

if TYPE_CHECKING:
    from ..kit import ImageKit
    from ..state import Record


def clear_command(get_kit: GetKit) -> click.Command:
    """Return the subcommand `clear`."""

    @click.command("clear")
    @click.argument("patterns", nargs=-1, required=True, metavar="PATTERN...")
    @click.option("--yes", is_flag=True, help="Do not ask.")
    def clear(patterns: tuple[str, ...], yes: bool) -> None:
        """Delete the cache files of the generators that a PATTERN matches, and what is known of them.

        They are made again when they are next needed.
        """
        from ..pregenerate.wording import counted, size_in_words

        kit = get_kit()
        records = _matching(kit, patterns)
        what = f"{counted(len(records), 'cache file')} ({size_in_words(sum(record.size for record in records))})"
        ids = ", ".join(sorted({record.generator for record in records}))
        if records and not yes:
            click.confirm(f"Delete {what} of {ids}?", abort=True)
        _delete(kit, records)
        kit.close()
        click.echo(f"{what} deleted")

    return clear


def _matching(kit: ImageKit, patterns: tuple[str, ...]) -> list[Record]:
    from ..exceptions import NotRegistered
    from ..registry import match_ids

    records = list(kit.records.all())
    # A generator that is registered no longer may have left files.
    known = dict.fromkeys([*kit.generators.get_ids(), *(record.generator for record in records)])
    try:
        ids = set(match_ids(patterns, known))
    except NotRegistered as error:
        raise unknown_pattern(error, patterns) from error
    return [record for record in records if record.generator in ids]


def _delete(kit: ImageKit, records: list[Record]) -> None:
    from ..atomic_files import remove_empty_folders
    from ..cachefiles.storages import storage_of

    by_generator: dict[str, list[str]] = {}
    for record in records:
        by_generator.setdefault(record.generator, []).append(record.name)
    for generator, names in by_generator.items():
        storage = storage_of(kit, generator)
        for name in names:
            storage.delete(name)
        kit.records.forget(*names)
        location = getattr(storage, "location", None)
        if location is not None:
            remove_empty_folders(str(location), names)
