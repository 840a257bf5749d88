"""Which storage keeps the cache files of a generator, found by its id alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..exceptions import NotRegistered
from ..interfaces import Storage
from ..loading import load_instance

if TYPE_CHECKING:
    from ..kit import ImageKit


def storage_of(kit: ImageKit, generator_id: str) -> Storage:
    """Return the storage that a generator's class names, else the kit's.

    Args:
        kit: The kit.
        generator_id: An id, or whatever else a record calls the generator.
    """
    try:
        own = getattr(kit.registered(generator_id), "cachefile_storage", None)
    except NotRegistered:
        own = None
    # A property's answer depends on the source, which an id does not tell.
    return kit.storage if isinstance(own, property) else load_instance("cachefile_storage", own) or kit.storage
