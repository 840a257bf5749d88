"""Remembers what source files hold, in the process and in the state store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .. import images
from ..settings import DECODED_FORMATS, PLUGIN_FORMATS
from ..state import KnownSource, Records
from .base import Signature, SourceFacts

if TYPE_CHECKING:
    from ..images import Header

MOST_FILES = 50_000
"""Files that one process remembers: about 500 bytes each, 25 MB in all."""


MOST_UNSAVED = 64
"""Files whose facts are written together in a build; a file that is forgotten by accident is read again."""


class RecordedSourceMemory:
    """A `SourceMemory` over the state store.

    Args:
        records: What is known about cache files and sources.
        gathers: Tells whether facts are gathered for a common write, which `save` does.
    """

    def __init__(self, records: Records, gathers: Callable[[], bool] = lambda: False) -> None:
        self._records = records
        self._gathers = gathers
        # A list, since threads append to it and pop from it in one step.
        self._runs: list[None] = []
        self._facts: dict[str, tuple[Signature, SourceFacts]] = {}
        self._unsaved: dict[str, KnownSource] = {}

    def recall(self, path: str, signature: Signature) -> SourceFacts | None:
        """Return the facts of this version of the file, if they are known."""
        known = self._facts.get(path)
        if known is None or known[0] != signature:
            facts = self._read(path, signature)
            if facts is None:
                return None
            self._keep(path, signature, facts)
            return facts
        return known[1]

    def remember(self, path: str, signature: Signature, facts: SourceFacts) -> None:
        """Keep the facts of this version of the file."""
        self._keep(path, signature, facts)
        # Whether a file can be read depends on the settings too, so problems are looked for each time.
        if facts.header is not None:
            self._unsaved[path] = KnownSource(signature, facts.digest, _plain(facts.header))
            if len(self._unsaved) >= MOST_UNSAVED or not (self._runs or self._gathers()):
                self.save()

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """Gather facts within the block, and write down what is left at its end."""
        self._runs.append(None)
        try:
            yield
        finally:
            self._runs.pop()
            self.save()

    def save(self) -> None:
        """Write down what has been gathered."""
        unsaved, self._unsaved = self._unsaved, {}
        if unsaved:
            self._records.put_source_facts(unsaved)

    def _read(self, path: str, signature: Signature) -> SourceFacts | None:
        known = self._records.source_facts(path)
        if known is not None and known.signature != signature:
            # What was read ahead may be older than what is known now.
            known = self._records.source_facts(path)
        if known is None or known.signature != signature:
            return None
        header = _header(known.header)
        return None if header is None else SourceFacts(known.digest, header, None)

    def _keep(self, path: str, signature: Signature, facts: SourceFacts) -> None:
        if len(self._facts) >= MOST_FILES:
            self._facts.clear()
        self._facts[path] = signature, facts


def _plain(header: Header) -> dict[str, Any]:
    return {name: getattr(header, name) for name in header.__slots__}


def _header(plain: Mapping[str, Any] | None) -> Header | None:
    """Return the header that plain values describe; None if this library did not write them."""
    try:
        header = images.Header(**(plain or {}))
        subject = tuple(header.subject) if header.subject else None
    except TypeError:
        return None
    if subject and not (len(subject) == 4 and all(type(side) is float and 0 <= side <= 1 for side in subject)):
        return None
    counts = (header.width, header.height, header.orientation, header.frames)
    # Version 0.2 wrote no `is_wide`: such files are looked at again.
    flags = (header.has_alpha, (plain or {}).get("is_wide"))
    sound = all(type(count) is int and count > 0 for count in counts) and all(type(flag) is bool for flag in flags)
    if not sound or header.format not in (*DECODED_FORMATS, *PLUGIN_FORMATS):
        return None
    return replace(header, subject=subject)  # type: ignore[arg-type]  # it has four sides
