"""Reads values of a state store ahead of being asked for, since a site's pages mostly go through its folders."""

from __future__ import annotations

from ..interfaces import StateStore

MOST_AHEAD = 1_000
"""How many values are read ahead at a time."""

MOST_KEPT = 50_000
"""How many values that were read ahead are kept: about 300 bytes each, 15 MB in all."""

_WORTH = 8
"""How many values take as long to read as one takes to ask for, so that one of so many has to be wanted.

No fewer are read: those of other sizes of the same image come first.
"""


class ReadAhead:
    """Reads what follows a key in the store, as a disk does: twice as much each time, as long as that is worth it.

    What was read ahead may have been written again since: who finds it out of date asks the store.
    """

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._count = _WORTH
        self._read = 0
        self._used = 0

    def take(self, key: str, store: StateStore, prefix: str) -> tuple[str | None, bool]:
        """Return what the store knows under a key, and whether that was read ahead.

        Args:
            key: The key.
            store: The store.
            prefix: How all keys begin that may be asked for.
        """
        text = self._texts.pop(key, None)
        if text is not None:
            self._used += 1
            return text, True
        following = getattr(store, "following", None)
        if following is None:
            return store.get(key), False
        is_worth_it = self._used * _WORTH >= self._read
        self._count = min(self._count * 2, MOST_AHEAD) if is_worth_it else max(self._count // 2, _WORTH)
        found: dict[str, str] = following(key, self._count, prefix)
        text = found.pop(key, None)
        self._read, self._used = len(found), 0
        if len(self._texts) >= MOST_KEPT:
            self._texts = {}
        self._texts |= found
        return text, False
