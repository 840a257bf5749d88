"""Writes JSON piece by piece, since what a report lists may be millions of images."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

AT_A_TIME = 1_000
"""How many pieces, most of them a line, are written together."""


def json_text(value: object) -> Iterator[str]:
    """Yield, part by part, what `json.dumps(value, indent=2)` returns, with any iterable for a list.

    Args:
        value: Mappings and iterables of each other, of strings, numbers and None.

    Example:
        >>> print("".join(json_text({"squares": (n * n for n in (1, 2))})))
        {
          "squares": [
            1,
            4
          ]
        }
    """
    pieces = _pieces(value, "\n")
    while some := "".join(islice(pieces, AT_A_TIME)):
        yield some


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
