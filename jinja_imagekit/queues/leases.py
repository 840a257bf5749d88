"""Claims that end with the process that holds them, since each is renewed only while it lives."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ..state import Records

LEASE_SECONDS = 15.0
"""Seconds for which a killed process's claim keeps others from making its image."""

BEAT_SECONDS = 4.0
"""Seconds between renewals: two in a row may fail, say while the state store is locked, before a claim is lost."""


class Leases:
    """This process's claims on cache files that it is making or about to make."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._changed = threading.Condition()
        self._held: dict[tuple[int, str], Records] = {}
        self._thread: threading.Thread | None = None
        self._process = os.getpid()

    def hold(self, records: Records, name: str) -> None:
        """Claim a file and renew the claim until it is dropped or this process ends."""
        if self._process != os.getpid():
            # The renewing thread is the parent's, and so are its claims.
            self._forget()
        records.renew(name, LEASE_SECONDS)
        with self._changed:
            self._held[id(records), name] = records
            if self._thread is None:
                self._thread = threading.Thread(target=self._renew_all, name="imagekit-leases", daemon=True)
                self._thread.start()

    def drop(self, records: Records, name: str) -> None:
        """End a claim."""
        with self._changed:
            self._held.pop((id(records), name), None)
            self._changed.notify_all()
            # Within the lock, or else a renewal under way would bring the claim back.
            records.release(name)

    @contextmanager
    def holding(self, records: Records, name: str) -> Iterator[None]:
        """Hold a claim within the block."""
        self.hold(records, name)
        try:
            yield
        finally:
            self.drop(records, name)

    def _renew_all(self) -> None:
        with self._changed:
            while self._held:
                self._changed.wait_for(lambda: not self._held, BEAT_SECONDS)
                for (_, name), records in self._held.items():
                    records.renew(name, LEASE_SECONDS)
            self._thread = None


leases = Leases()
"""This process's."""
