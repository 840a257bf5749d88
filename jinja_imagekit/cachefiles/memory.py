"""Remembers what was read of source files, in the process and in the state store."""

from __future__ import annotations

from dataclasses import asdict

from ..images import Header
from ..sources import Signature, SourceFacts
from ..state import KnownSource, Records

MOST_FILES = 50_000
"""Files that one process remembers: about 500 bytes each, 25 MB in all."""


class RecordedSourceMemory:
    """A `SourceMemory` over the state store.

    Args:
        records: What is known of cache files and sources.
    """

    def __init__(self, records: Records) -> None:
        self._records = records
        self._facts: dict[str, tuple[Signature, SourceFacts]] = {}

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
        header = None if facts.header is None else asdict(facts.header)
        self._records.put_source_facts({path: KnownSource(signature, facts.digest, header, facts.problem)})

    def _read(self, path: str, signature: Signature) -> SourceFacts | None:
        known = self._records.source_facts(path)
        if known is None or known.signature != signature:
            return None
        try:
            header = None if known.header is None else Header(**known.header)
        except TypeError:
            return None
        return SourceFacts(known.digest, header, known.problem)

    def _keep(self, path: str, signature: Signature, facts: SourceFacts) -> None:
        if len(self._facts) >= MOST_FILES:
            self._facts.clear()
        self._facts[path] = signature, facts
