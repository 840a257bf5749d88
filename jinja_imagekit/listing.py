"""Lists a folder where many of its entries are asked about: one by one at first, then all together."""

from __future__ import annotations

import os
from itertools import islice

WORTH = {32: 1_000, 320: 10_000}
"""How many entries are listed at most, by how many were asked about: to look at one takes as long as to list thirty."""


def all_entries(folder: str, asked: int) -> list[os.DirEntry[str]] | None:
    """Return all entries of a folder where that is worth it by now; None where it is not, or nothing can be listed.

    Args:
        folder: Its path.
        asked: How many of its entries have been asked about, this one included; it is listed at certain numbers alone.

    Example:
        >>> all_entries("/", 3) is None
        True
    """
    most = WORTH.get(asked)
    if most is None:
        return None
    try:
        with os.scandir(folder) as entries:
            found = list(islice(entries, most + 1))
    except OSError:
        return None
    return found if len(found) <= most else None
