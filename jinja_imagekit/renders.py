"""What a render needs: the cache files that its pages name, noted while they render and kept for later runs."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any, NamedTuple, Protocol

from .cachefiles.references import Reference, confined, is_confined, reference_to
from .exceptions import ImageKitError
from .folders import write_whole
from .settings import Settings

logger = logging.getLogger("jinja_imagekit.renders")

VERSION = 1
"""Of the file's form; a file of another version is not read."""

FILE_NAME = "renders.json"


class NotedFile(Protocol):
    """What is noted of a cache file."""

    @property
    def name(self) -> str | None:
        """Its name in its storage."""

    @property
    def reference(self) -> Reference | None:
        """What leads to it in a later run."""


class Note(NamedTuple):
    """A cache file that a render needs.

    Attributes:
        reference: What leads to it in a later run; None where nothing does, since it was made of an upload or bytes.
        served: Whether a page names it by its URL or path, rather than holding its content.
    """

    reference: Reference | None
    served: bool = True


Notes = Mapping[str, Note]
"""Cache files by name."""


class Renders:
    """Notes the cache files that a render needs, and keeps those of the last render that was finished.

    Args:
        settings: The kit's settings; `renders.json` is kept in the `state_dir`.

    Example:
        >>> renders = Renders(Settings())
        >>> renders.note_call("CACHE/images/canal/5ff3.webp", "blog:hero", {"source": "canal.jpg"})
        >>> list(renders.noted)
        ['CACHE/images/canal/5ff3.webp']
    """

    def __init__(self, settings: Settings) -> None:
        self.path = settings.state_dir / FILE_NAME
        self._settings = settings
        self._noted: dict[str, Note] = {}
        self._finished: Notes | None = None
        self._is_written = False

    @property
    def noted(self) -> Notes:
        """What the render that is under way needs so far."""
        return self._noted

    def note(self, file: NotedFile, served: bool = True) -> None:
        """Note that a page needs a cache file.

        Args:
            file: The cache file.
            served: Whether the page names it by its URL or path.
        """
        name = file.name
        known = self._noted.get(name) if name else None
        if name and (known is None or served > known.served):
            self._noted[name] = Note(file.reference, served)

    def note_call(self, name: str, generator_id: str, kwargs: Mapping[str, Any]) -> None:
        """Note that a page names the file to which a generator's id and keywords lead, its source given by name."""
        known = self._noted.get(name)
        if known is None or not known.served:
            self._noted[name] = Note(reference_to(generator_id, kwargs, None))

    def finish(self) -> Notes:
        """Write down what the render needs, begin a new one, and return it.

        A second call without a render between the two changes nothing.
        """
        noted, self._noted = self._noted, {}
        # Another thread may still be about to note something in the old dict.
        noted = dict(noted)
        if noted or self._finished is None:
            self._finished = noted
            self._is_written = self._write({name: self._kept(note) for name, note in noted.items()})
        return noted

    def last(self) -> Notes | None:
        """Return what the render that was last finished needs, by whatever process; None where there was none.

        Raises:
            ImageKitError: What was written down is damaged, or cannot be read.
        """
        if self._finished is not None and not self._is_written:
            return self._finished
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return self._finished
        except (OSError, ValueError) as error:
            raise ImageKitError(f"{self.path} cannot be read ({error}): render again, and finish().") from error
        try:
            return _parsed(text)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ImageKitError(
                f"{self.path} is damaged, or of another version of this library: render again, and finish()."
            ) from error

    def _write(self, notes: Notes) -> bool:
        try:
            write_whole(self.path, _text(notes))
        except OSError as error:
            logger.warning(
                "What the pages need cannot be written to %s (%s): a later generate or prune will not know of it. "
                "Make the folder writable, or set state_dir to one that is.",
                self.path,
                error,
            )
            return False
        return True

    def _kept(self, note: Note) -> Note:
        # What is read back could have been forged, and must not lead out of the source folders.
        return note._replace(reference=note.reference and confined(note.reference, self._name_of))

    def _name_of(self, path: Path) -> str | None:
        folders = [("", folder) for folder in self._settings.source_dirs] + [*self._settings.source_prefixes]
        for prefix, folder in folders:
            root = os.path.realpath(folder)
            if path.is_relative_to(root):
                name = PurePath(prefix, path.relative_to(root))
                found = next(filter(os.path.lexists, self._settings.source_paths(name.parts)), "")
                return name.as_posix() if os.path.realpath(found) == str(path) else None
        return None


def _text(notes: Notes) -> str:
    # One line a file, so that two versions can be compared by eye.
    lines = [f"{json.dumps(name)}: {json.dumps(_entry(notes[name]), sort_keys=True)}" for name in sorted(notes)]
    return f'{{"version": {VERSION}, "files": {{\n' + ",\n".join(lines) + "\n}}\n"


def _entry(note: Note) -> dict[str, Any]:
    served = {} if note.served else {"served": False}
    if note.reference is None:
        return served
    return {"generator": note.reference.generator_id, "kwargs": note.reference.kwargs, **served}


def _parsed(text: str) -> Notes:
    match json.loads(text):
        case {"version": version, "files": dict(files)} if version == VERSION:
            return {name: _note(entry) for name, entry in files.items()}
    raise ValueError("no record of a render")


def _note(entry: dict[str, Any]) -> Note:
    served = entry.get("served") is not False
    if "generator" not in entry:
        return Note(None, served)
    match entry:
        case {"generator": str(id), "kwargs": dict(kwargs)} if is_confined(Reference(id, kwargs)):
            return Note(Reference(id, kwargs), served)
    raise ValueError("no record of a cache file")
