"""Django's file fields as sources: files on this machine, files in any other storage, and uploads."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any, BinaryIO, cast

from django.apps import apps
from django.core.exceptions import SuspiciousFileOperation
from django.db.models.fields.files import FieldFile

from ...exceptions import SourceError, SourceNotAllowed, SourceNotFound
from ...images import Header, Limits
from ...sources import FileSource, Source, SourceFacts, SourceFinder, StreamSource
from ...state import KnownSource, Records
from .storages import local_path

_FIELD = "field:"
_UNVERSIONED = (0, 0, 0)
"""Stands where the size, time and inode of a local file would."""


class FieldSourceFinder(SourceFinder):
    """Finds sources as every kit does, and in Django's file fields.

    Args:
        *parts: What a `SourceFinder` takes.
        records: What is known of sources.
    """

    def __init__(self, *parts: Any, records: Records) -> None:
        super().__init__(*parts)
        self._records = records

    def find(self, value: object) -> Source | None:
        """Return the source that a value stands for; None for an empty value, an empty file field among them.

        Raises:
            SourceError: There is none, or it may not be read.
        """
        return self._of_field(value) if isinstance(value, FieldFile) else super().find(value)

    def by_reference(self, reference: str) -> Source:
        """Return the source of another process that has this `Source.reference`.

        Raises:
            SourceError: There is none any more.
        """
        if not reference.startswith(_FIELD):
            return super().by_reference(reference)
        label, key, attribute = reference.removeprefix(_FIELD).split(":", 2)
        instance = apps.get_model(label)._default_manager.filter(pk=key).first()
        source = self.find(getattr(instance, attribute, None))
        if source is None:
            raise SourceNotFound(reference, "there is no such record any more, or its field is empty")
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
            path, str(file.name), self._limits, original=file, reference=reference_of(file), memory=self._memory
        )


class StoredSource(Source):
    """A file in a storage that has no paths.

    It is read once: its content is taken to be what its name says, since asking such a storage for a time or size
    takes as long as a page should.

    Args:
        file: The field's file.
        limits: Caps on what is read.
        records: What is known of sources.
    """

    def __init__(self, file: FieldFile, limits: Limits, records: Records) -> None:
        super().__init__(limits)
        self.name = str(file.name)
        self.original = file
        self.reference = reference_of(file)
        self._storage = file.storage
        self._records = records

    @property
    def facts(self) -> SourceFacts:
        """The digest and header, read once for all processes that share a cache."""
        if self._facts is None:
            self._facts = self._recalled_facts() or self._read_facts()
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
        """Forget what is known of the file: it was saved anew."""
        self._records.forget_sources(self._key)

    @property
    def _key(self) -> str:
        field = self.original.field
        return f"{_FIELD}{field.model._meta.label}.{field.name}:{self.name}"

    def _recalled_facts(self) -> SourceFacts | None:
        known = self._records.source_facts(self._key)
        try:
            header = Header(**known.header) if known and known.header else None
        except TypeError:
            return None
        return SourceFacts(known.digest, header, known.problem) if known else None

    def _read_facts(self) -> SourceFacts:
        facts = self.facts_of(self.read())
        header = None if facts.header is None else asdict(facts.header)
        self._records.put_source_facts({self._key: KnownSource(_UNVERSIONED, facts.digest, header, facts.problem)})
        return facts


def reference_of(file: FieldFile) -> str | None:
    """Return what leads another process to a field's file: its model, key and field; None before it is saved."""
    instance: Any = getattr(file, "instance", None)
    field: Any = getattr(file, "field", None)
    if instance is None or field is None or instance.pk is None:
        return None
    return f"{_FIELD}{instance._meta.label}:{instance.pk}:{field.attname}"


class StoredName(str):
    """The path of a field's file on this machine, as a key under which answers are remembered.

    It is a type of its own, so that no string from a template is taken for it.
    """

    __slots__ = ()
