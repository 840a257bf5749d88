"""Django's file fields as sources: files on this machine or in any other storage, and uploads."""

from __future__ import annotations

import json
import logging
import os
import time
from contextlib import suppress
from dataclasses import asdict
from hashlib import blake2b
from typing import Any, BinaryIO, NamedTuple, cast

from django.apps import apps
from django.core.exceptions import ObjectDoesNotExist, SuspiciousFileOperation
from django.db.models.fields.files import FieldFile

from ...exceptions import SourceError, SourceNotAllowed, SourceNotFound
from ...images import Header, Limits
from ...sources import FileSource, Source, SourceFacts, SourceFinder, StreamSource
from ...sources.posters import Posters
from ...state import Records
from .. import conf
from .storages import local_path

logger = logging.getLogger("jinja_imagekit.django")

_FIELD = "field:"


class FieldSourceFinder(SourceFinder):
    """Finds sources as every kit does, and in Django's file fields.

    Args:
        *parts: What a `SourceFinder` takes.
        records: What is known about sources.
        posters: Makes the images that stand for videos.
    """

    def __init__(self, *parts: Any, records: Records, posters: Posters | None = None) -> None:
        super().__init__(*parts)
        self._posters = posters
        self._records = records

    def find(self, value: object) -> Source | None:
        """Return the source that a value stands for; None for an empty value, including an empty file field.

        Raises:
            SourceError: There is none, or it may not be read.
        """
        return self._of_field(value) if isinstance(value, FieldFile) else super().find(value)

    def by_reference(self, reference: str) -> Source:
        """Return the source of another process that has this `Source.reference`.

        Raises:
            SourceError: It no longer exists.
        """
        if not reference.startswith(_FIELD):
            return super().by_reference(reference)
        label, key, attribute = reference.removeprefix(_FIELD).split(":", 2)
        instance = apps.get_model(label)._default_manager.filter(pk=key).first()
        source = self.find(getattr(instance, attribute, None))
        if source is None:
            raise SourceNotFound(reference, "there is no longer such a record, or its field is empty")
        return source

    def _of_field(self, file: FieldFile) -> Source | None:
        if not file:
            return None
        if not getattr(file, "_committed", True):
            return StreamSource(file, self._limits)
        try:
            path = local_path(file.storage, str(file.name))
        except SuspiciousFileOperation as error:
            raise SourceNotAllowed(str(file.name), "it leads out of the storage of its field") from error
        if path is None:
            return StoredSource(file, self._limits, self._records)
        return self._local(file, os.path.realpath(path))

    def _local(self, file: FieldFile, path: str) -> FileSource:
        if os.path.exists(path):
            self._check_regular(path, str(file.name))
        return FileSource(
            path,
            str(file.name),
            self._limits,
            original=file,
            reference=reference_of(file),
            memory=self._memory,
            posters=self._posters,
        )


class StoredSource(Source):
    """A file in a storage without paths, such as S3.

    It is read once for all processes that share a state store, and assumed unchanged for a while: asking such a storage
    takes as long as a page should. After that, and after each save of its model, the storage is asked whether the file
    has changed; only then is it read again.

    Args:
        file: The field's file.
        limits: Caps on what is read.
        records: What is known about sources.
    """

    def __init__(self, file: FieldFile, limits: Limits, records: Records) -> None:
        super().__init__(limits)
        self.name = str(file.name)
        self.original = file
        self.reference = reference_of(file)
        self._storage = file.storage
        self._store = records.store
        field: Any = file.field
        prefix = conf.value("CACHE_PREFIX")
        self._key = f"{prefix}stored:{field.model._meta.label}.{field.name}:{self.name}"

    @property
    def facts(self) -> SourceFacts:
        """The digest and header.

        Raises:
            SourceNotFound: There is no such file.
            SourceError: It cannot be read.
        """
        if self._facts is None:
            known = self._known()
            is_fresh = known is not None and 0 <= time.time() - known.checked < self._seconds()
            self._facts = known.facts if known is not None and is_fresh else self._checked(known)
        return self._facts

    def open(self) -> BinaryIO:
        """Return the file, open for reading.

        Raises:
            SourceNotFound: There is no such file.
            SourceError: It cannot be read.
        """
        try:
            opened: Any = self._storage.open(self.name, "rb")
        except FileNotFoundError as error:
            raise SourceNotFound(self.name, "there is no such file in the storage of its field") from error
        except Exception as error:
            raise SourceError(self.name, f"its storage cannot open it: {type(error).__name__}: {error}") from error
        return cast(BinaryIO, opened)

    def forget(self) -> None:
        """Forget what is known about the file, since it was saved again."""
        self._facts = None
        self._store.delete_many([self._key])

    def expire(self) -> None:
        """Have the storage asked when the file is next needed, since it may have been saved again."""
        known = self._known()
        self._facts = None
        if known is not None:
            # A size alone does not identify a file: without a version, the file is read.
            self._keep(known._replace(checked=0.0, version="" if known.is_weak else known.version))

    def has_changed(self) -> bool:
        """Tell whether the file differs from the one whose facts are known, by asking the storage once."""
        known = self._known()
        if known is None or known.is_weak:
            return known is not None
        try:
            return known.version != version_of(self._storage, self.name)
        except Exception:  # noqa: BLE001  # each storage's client has its own errors, which a page will meet too
            return False

    def _checked(self, known: _Known | None) -> SourceFacts:
        now = time.time()
        try:
            version = version_of(self._storage, self.name)
        except FileNotFoundError as error:
            raise SourceNotFound(self.name, "there is no such file in the storage of its field") from error
        except Exception as error:
            if known is None:
                raise SourceError(self.name, f"its storage cannot be asked: {type(error).__name__}: {error}") from error
            logger.warning("%s: its storage cannot be asked whether it is another file: %s", self.name, error)
            version = known.version
        if known is None or version != known.version:
            facts = self.facts_of(self.read())
            # A file written a moment ago may be written again with the same time stamp.
            is_settled = now - _written_at(version) > RACY_SECONDS
            known = _Known(version if is_settled else "", now, facts)
        self._keep(known._replace(checked=now))
        return known.facts

    def _known(self) -> _Known | None:
        text = self._store.get(self._key)
        if text is None:
            return None
        try:
            version, checked, digest, header, problem = json.loads(text)
            facts = SourceFacts(str(digest), Header(**header) if header else None, problem)
            return _Known(str(version), float(checked), facts)
        except (ValueError, TypeError, RecursionError):
            return None

    def _keep(self, known: _Known) -> None:
        facts = known.facts
        header = None if facts.header is None else asdict(facts.header)
        value = [known.version, known.checked, facts.digest, header, facts.problem]
        self._store.set_many({self._key: json.dumps(value, separators=(",", ":"))})

    def _seconds(self) -> float:
        # Staggered, so that a page does not have to ask about all the images of another page at once.
        spread = int.from_bytes(blake2b(self._key.encode(errors="replace"), digest_size=1).digest()) / 255
        return float(conf.value("STORED_SOURCE_TIMEOUT")) * (0.5 + spread / 2)


class _Known(NamedTuple):
    """What is known about a file in a storage.

    Attributes:
        version: What its storage said about its version; "" if that does not identify it.
        checked: When the storage was last asked, in seconds since the epoch.
        facts: What was read from it.
    """

    version: str
    checked: float
    facts: SourceFacts

    @property
    def is_weak(self) -> bool:
        """Whether a different file could well have the same version."""
        return not self.version.startswith((_TAG, _TIME))


RACY_SECONDS = 2.0
"""A file written within this time may be written again with the same time stamp: S3's are in whole seconds."""

_TAG, _TIME, _SIZE = "tag:", "time:", "size:"


def version_of(storage: Any, name: str) -> str:
    """Return what a storage says about a file's version (ETag, time, or at least size) when asked once.

    Raises:
        Exception: Whatever the storage raises, such as `FileNotFoundError`.
    """
    # In django-storages' S3 and Google backends, opening a file without reading it only fetches its metadata.
    if hasattr(storage, "bucket_name") and hasattr(storage, "bucket"):
        with storage.open(name, "rb") as file:
            found = getattr(file, "obj", None) or getattr(file, "blob", None)
            tag = getattr(found, "e_tag", None) or getattr(found, "etag", None)
        if tag:
            return f"{_TAG}{tag}"
    with suppress(NotImplementedError):
        return f"{_TIME}{storage.get_modified_time(name).timestamp():.6f}"
    with suppress(NotImplementedError):
        return f"{_SIZE}{storage.size(name)}"
    return _SIZE


def _written_at(version: str) -> float:
    return float(version.removeprefix(_TIME)) if version.startswith(_TIME) else 0.0


def reference_of(file: FieldFile) -> str | None:
    """Return what leads another process to a field's file: its model, key and field; None before it is saved."""
    instance: Any = getattr(file, "instance", None)
    field: Any = getattr(file, "field", None)
    # django-cleanup substitutes an object of its own for an instance.
    if field is None or getattr(instance, "pk", None) is None:
        return None
    return f"{_FIELD}{instance._meta.label}:{instance.pk}:{field.attname}"


def source_of(instance: Any, path: str) -> Any:
    """Return the file of a field, perhaps of a related instance: `"image"` or `"album.photo"`; None where one lacks."""
    value = instance
    for name in path.split("."):
        try:
            value = getattr(value, name)
        except ObjectDoesNotExist:
            return None
        if value is None:
            return None
    return value


class StoredName(str):
    """The path of a field's file on this machine, as a key under which answers are remembered.

    It is a separate type, so that no string from a template is mistaken for it.
    """

    __slots__ = ()
