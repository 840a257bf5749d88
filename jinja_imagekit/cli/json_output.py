"""Writes JSON piece by piece, since what a report lists may be millions of images."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

import click

AT_A_TIME = 1_000
"""How many pieces, most of them a line, are written together."""


def echo_json(value: object) -> None:
    """Write a value as `json.dumps(value, indent=2)` has it, with any iterable for a list.

    Args:
        value: Mappings and iterables of each other, of strings, numbers and None.
    """
    pieces = _pieces(value, "\n")
    while some := "".join(islice(pieces, AT_A_TIME)):
        click.echo(some, nl=False)
    click.echo()


def _pieces(value: object, line: str) -> Iterator[str]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        yield json.dumps(value)
        return
    begin, end = "{}" if isinstance(value, Mapping) else "[]"
    between = begin
    for each in value:
        yield f"{between}{line}  "
        between = ","
        if isinstance(value, Mapping):
            yield f"{json.dumps(each)}: "
            yield from _pieces(value[each], f"{line}  ")
        else:
            yield from _pieces(each, f"{line}  ")
    yield f"{line}{end}" if between == "," else f"{begin}{end}"
