"""Which storage keeps the cache files of a generator, found by its id alone."""

from __future__ import annotations

from typing import Any, Protocol

from ..exceptions import NotRegistered
from ..interfaces import Storage
from ..loading import load_instance


class StorageHost(Protocol):
    """What the look-up needs of its kit."""

    @property
    def storage(self) -> Storage:
        """The storage of cache files that have none of their own."""

    def registered(self, id: str) -> Any:
        """Return what is registered under an id."""


def storage_of(host: StorageHost, generator_id: str) -> Storage:
    """Return the storage that a generator's class names, else the kit's.

    Args:
        host: The kit.
        generator_id: An id, or whatever else a record calls the generator.
    """
    try:
        own = getattr(host.registered(generator_id), "cachefile_storage", None)
    except NotRegistered:
        own = None
    # A property's answer depends on the source, which an id does not tell.
    return host.storage if isinstance(own, property) else load_instance("cachefile_storage", own) or host.storage
