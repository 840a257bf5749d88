"""What the routes of hosts serve: where cache files are, how they may be kept, and the making of promised ones."""

from __future__ import annotations

import logging
from functools import cached_property
from typing import TYPE_CHECKING

from .cachefiles.backends import Simple, name_of
from .cachefiles.references import NotPlain, keywords_of
from .cachefiles.strategies import OnRequest
from .exceptions import ImageKitError, StorageError
from .images import mimetype_of_name
from .pregenerate.run import available_cores
from .state.locks import Slots

if TYPE_CHECKING:
    from .kit import ImageKit

__all__ = ["Serving"]

logger = logging.getLogger("jinja_imagekit.serving")

YEAR = 31_536_000
"""Seconds: the longest time that HTTP caches keep a response (RFC 2616, 14.21). Names hold a digest."""


class Serving:
    """What a host's route needs to serve a kit's cache files; from now on, `OnRequest` promises files.

    Args:
        kit: The kit.
    """

    def __init__(self, kit: ImageKit) -> None:
        self._kit = kit
        kit.promises.are_served = True

    def find(self, name: str) -> str | None:
        """Return the path of an existing cache file; None if there is none on this machine.

        Args:
            name: Its name in the kit's storage, which comes from a visitor.
        """
        storage = self._kit.storage
        try:
            return storage.path(name) if storage.stat(name) else None
        except StorageError:
            return None

    def is_promised(self, name: str) -> bool:
        """Tell whether a page was promised a file of this name."""
        return self._kit.promises.find(name) is not None

    def make(self, name: str) -> str | None:
        """Make a file that a page was promised, and return its name; None for any other, or if it cannot be made.

        Whoever asks for a file that is being made waits for it, and only as many are made at a time as `OnRequest`
        says. The name is another one if the source or the spec has changed since the page was rendered.

        Args:
            name: What the page calls it, which comes from a visitor.
        """
        reference = self._kit.promises.find(name)
        if reference is None:
            return None
        try:
            file = self._kit.cachefile(reference.generator_id, **keywords_of(reference, self._kit))
            made = name_of(file)
            # Those who wait for the same file hold no slot meanwhile. It is not the lock under which a file is made: a
            # file whose source is another one takes that of its source, while it holds a slot.
            with file.records.store.lock(f"\0request:{made}"):
                if not file.cachefile_backend.exists(file):
                    with self._slots.hold():
                        Simple().generate(file)
            made = name_of(file)
        except (ImageKitError, NotPlain) as error:
            logger.error("Cache file %r could not be made for who asked for it: %s", name, error)
            return None
        if made == name:
            self._kit.promises.drop(name)
        return made

    @staticmethod
    def mimetype(name: str) -> str:
        """Return the media type of a cache file."""
        return mimetype_of_name(name)

    def headers(self, name: str) -> dict[str, str]:
        """Return the headers with which an existing cache file is sent, besides those that tell of its content."""
        # The style sheet is the only file whose content changes under its name.
        changes = name == self._kit.pictures.stylesheet
        return {
            "Cache-Control": "no-cache" if changes else f"public, max-age={YEAR}, immutable",
            "X-Content-Type-Options": "nosniff",
            # An SVG opened on its own could run scripts in the site's origin.
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
        }

    @property
    def at_a_time(self) -> int:
        """How many files are made at a time."""
        strategy = self._kit.cachefile_strategy
        return (strategy.at_a_time if isinstance(strategy, OnRequest) else None) or available_cores()

    @cached_property
    def _slots(self) -> Slots:
        settings = self._kit.settings
        return Slots(
            self._kit.promises.slots,
            self.at_a_time,
            settings.state_directory_permissions,
            settings.state_file_permissions,
        )
