"""What a render needs: the cache files in its pages, noted while they render and kept for later runs."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from json.encoder import encode_basestring_ascii as quoted
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ..atomic_files import write_whole
from ..cachefiles.references import Reference, confined, is_confined, reference_to
from ..cachefiles.strategies import Deferred
from ..exceptions import ImageKitError, MissingSource, SourceNotFound
from ..settings import Settings
from .journal import Journal

if TYPE_CHECKING:
    from ..cachefiles import ImageCacheFile

logger = logging.getLogger("jinja_imagekit.renders")

VERSION = 1
"""Version of the file format; files of other versions are not read."""

FILE_NAME = "renders.json"

FOLDER_NAME = "notes"
"""The name of the folder beside it, where each process keeps notes of an unfinished render."""


_DEFAULT_PREFIX = Settings().cache_prefix


class Note(NamedTuple):
    """A cache file that a render needs.

    Attributes:
        reference: What leads to it in a later run; None if nothing does, because it was made from an upload or bytes.
        served: Whether a page refers to it by URL or path, rather than embedding its content.
        styles: The declarations of each class of pictures, if it is their style sheet.
        rewritten: Whether no template asked for it, but a page that was rewritten later.
    """

    reference: Reference | None
    served: bool = True
    styles: Mapping[str, str] = MappingProxyType({})
    rewritten: bool = False


Notes = Mapping[str, Note]
"""Cache files by name."""

MOST_NOTES = 20_000
"""How many cache files are noted unless `keep_notes` allows more: about 500 bytes each, 10 MB in all."""

MOST_FAILURES = 10_000
"""How many failures are kept: a server that takes names from visitors never finishes its render."""


class BuildTool(Protocol):
    """A tool that builds a site by fetching its pages, and must learn about the images they need."""

    @property
    def is_building(self) -> bool:
        """Whether it is fetching a page."""

    def needs(self, name: str) -> None:
        """Learn that the page needs a cache file, to which it refers by URL or path."""


class FailedFile(NamedTuple):
    """A cache file that a page needs but that could not be made, so that the page shows something else.

    Attributes:
        generator_id: Its generator's id.
        source: Its source's name; None if it has none.
        reason: Why it could not be made.
        reference: What leads to it in a later run; None if nothing does.
        lacks_source: Whether there was no such source, rather than a bad one.
    """

    generator_id: str
    source: str | None
    reason: str
    reference: Reference | None = None
    lacks_source: bool = False


Failures = tuple[FailedFile, ...]
"""The failures for which pages show something else."""

_Parsed = tuple[Notes, Failures]


class Renders:
    """Notes the cache files that a render needs, and keeps those of the last finished render.

    A build ends, and then its needs matter; a server's pages never end. The setting `keep_notes` says which it is.
    Deferred files are noted in any case, since nothing else would make them.

    Args:
        settings: The kit's settings; `renders.json` is kept in the `state_dir`.
        defers: Whether the kit's strategy makes files at the end of a render.
        tool: A tool that may build the site by fetching its pages, if any.
        begun_ns: When the kit was made, in nanoseconds since the epoch: notes of other processes from then on belong
            to the same render.

    Attributes:
        defers: Whether the kit's strategy makes files at the end of a render.
        pictures: What other processes noted of their pictures in the render that was finished last.

    Example:
        >>> renders = Renders(Settings())
        >>> renders.note_call("CACHE/images/canal/5ff3.webp", "blog:hero", {"source": "canal.jpg"})
        >>> list(renders.noted)
        ['CACHE/images/canal/5ff3.webp']
    """

    def __init__(
        self,
        settings: Settings,
        defers: bool = False,
        tool: BuildTool | None = None,
        begun_ns: int | None = None,
        where: Callable[[], str | None] = lambda: None,
    ) -> None:
        self.path = settings.state_dir / own_name(FILE_NAME, settings)
        self._settings = settings
        self._journal = Journal(settings.state_dir / own_name(FOLDER_NAME, settings))
        self._begun_ns = time.time_ns() if begun_ns is None else begun_ns
        self._noted: dict[str, Note] = {}
        self._failed: dict[object, FailedFile] = {}
        self._finished: Notes | None = None
        self._finished_failed: tuple[FailedFile, ...] = ()
        self._is_written = False
        self._last: tuple[object, _Parsed] | None = None
        self._tool = tool
        self.defers = defers
        self.pictures: list[dict[str, Any]] = []
        self._where = where
        self._places: dict[tuple[str, object], tuple[str, ...]] = {}
        self._keeps = defers or settings.keep_notes is not False
        self._most = None if defers or settings.keep_notes else MOST_NOTES
        self._are_too_many = False

    @property
    def noted(self) -> Notes:
        """What the current render needs so far.

        Raises:
            ImageKitError: There was too much to keep without `keep_notes`.
        """
        if self._are_too_many:
            raise ImageKitError(
                f"The pages need more than {MOST_NOTES:,} images, and their list is no longer kept, since that of a "
                "server would grow for ever. For a build, set keep_notes=True, and render again."
            )
        return self._noted

    def note(self, file: ImageCacheFile, served: bool = True) -> None:
        """Note that a page needs a cache file.

        Args:
            file: The cache file.
            served: Whether the page refers to it by URL or path.
        """
        name = file.name
        if not name:
            return
        self._look_for_fork()
        if served:
            self._tell(name)
        known = self._noted.get(name)
        if (known is None or served > known.served) and (self.is_kept or isinstance(file.cachefile_strategy, Deferred)):
            self._keep(name, file.reference, served)

    def is_noted(self, name: str) -> bool:
        """Tell whether `note_call` has nothing to add about a file; a cheap check before calling it."""
        if (self._tool is not None and self._tool.is_building) or self._journal.is_inherited:
            return False
        known = self._noted.get(name)
        return not self._keeps or (known is not None and known.served)

    def note_call(
        self, name: str, generator_id: str, kwargs: Mapping[str, Any], around: tuple[str, str] | None = None
    ) -> None:
        """Note that a page refers to the file of a generator's id and keywords, with the source given by name.

        Args:
            name: The name of the file.
            generator_id: The generator's id.
            kwargs: Its keywords.
            around: What `around_source` returns of them; None if nobody has asked.
        """
        self._look_for_fork()
        self._tell(name)
        known = self._noted.get(name)
        if (known is None or not known.served) and self.is_kept:
            told = quoted(kwargs["source"]).join(around) if around else ""
            self._keep(name, reference_to(generator_id, kwargs, None), True, told)

    def note_name(self, name: str) -> None:
        """Note that a page refers to an existing file, which will not be made again of its own accord."""
        self._look_for_fork()
        self._tell(name)
        if self.is_kept and name not in self._noted:
            self._keep(name, None, True)

    def are_noted(self, names: Iterable[str]) -> bool:
        """Tell whether `is_noted` says so of all these files."""
        if (self._tool is not None and self._tool.is_building) or self._journal.is_inherited:
            return False
        if self._keeps:
            for name in names:
                known = self._noted.get(name)
                if known is None or not known.served:
                    return False
        return True

    def note_style(self, name: str, style: str, declarations: str) -> None:
        """Note that a page needs a class of a style sheet, which may be written only at the render's end."""
        self.note_name(name)
        known = self._noted.get(name)
        if known is not None and style not in known.styles:
            styles = {style: declarations}
            if isinstance(known.styles, dict):
                known.styles.update(styles)
            else:
                self._noted[name] = known._replace(styles=styles)
            self._journal.append(_encode({"file": name, "styles": styles}))

    def note_picture(self, files: Iterable[tuple[str, Reference | None]], told: dict[str, Any] | None) -> None:
        """Note a picture of a page, in one write.

        Args:
            files: The names of its cache files, and what leads to each in a later run.
            told: What a manifest tells of it, for the process that finishes the render; None if that is noted.
        """
        self._look_for_fork()
        lines: list[str] = []
        is_kept, place = self.is_kept, self._place()
        for name, reference in files:
            self._tell(name)
            known = self._noted.get(name)
            if is_kept and (known is None or not known.served):
                lines += self._add(name, reference, True, place)
        if told is not None:
            lines.append(_encode({"picture": told}))
        self._journal.append(*lines)

    @property
    def is_kept(self) -> bool:
        """Whether what pages need is noted at all."""
        return self._keeps or (self._tool is not None and self._tool.is_building)

    def _tell(self, name: str) -> None:
        if self._tool is not None and self._tool.is_building:
            self._tool.needs(name)

    def _keep(self, name: str, reference: Reference | None, served: bool, told: str = "") -> None:
        self._journal.append(*self._add(name, reference, served, self._place(), told))

    def _place(self) -> str | None:
        # An image that is made while its page renders reports the page by itself.
        return self._where() if self.defers else None

    def _add(
        self, name: str, reference: Reference | None, served: bool, place: str | None, told: str = ""
    ) -> list[str]:
        """Note a file in this process, and return what the journal is to say of it."""
        if self._most is not None and len(self._noted) >= self._most:
            self._keeps, self._are_too_many, self._noted = False, True, {}
            return ['{"too_many":true}']
        if self._are_too_many:
            return []
        note = self._noted[name] = Note(reference, served)
        entry = told or _entry_text(self._kept(note))
        if place is not None and reference is not None:
            self._keep_place(reference, place)
            entry = f',"place":{quoted(place)}{entry}'
        return [f'{{"file":{quoted(name)}{entry}}}']

    def _keep_place(self, reference: Reference | None, place: object) -> None:
        if reference is not None and isinstance(place, str):
            key = reference.generator_id, _hashable(reference.kwargs.get("source"))
            known = self._places.get(key, ())
            if place not in known:
                self._places[key] = (*known, place)

    def _look_for_fork(self) -> None:
        """Start with nothing in a forked process: the parent knows its own notes, and never learns ours."""
        if self._journal.is_inherited:
            self._journal.begin_anew()
            self._noted, self._failed, self._places, self._are_too_many = {}, {}, {}, False

    def note_rewritten(self, kept: Iterable[str]) -> None:
        """Have the current render, which is of pages that were written before, stand beside the one that wrote them.

        Args:
            kept: What pages need that an earlier such render has noted.

        Raises:
            ImageKitError: As `noted`, and as `last`.
        """
        self._noted = {name: note._replace(rewritten=True) for name, note in self.noted.items()}
        names = set(kept)
        for name, note in (self.last() or {}).items():
            if note.styles:
                # Nor do pages that are not looked at again say which classes they have.
                _merge(self._noted, {name: note})
            elif not note.rewritten:
                self._noted[name] = note
            elif name in names:
                self._noted.setdefault(name, note)

    def carry_over(self) -> None:
        """Have the current render, which is of some pages only, add to the last one.

        Raises:
            ImageKitError: As `last`.
        """
        for name, note in (self.last() or {}).items():
            self._noted.setdefault(name, note)

    def places(self, generator_id: str, source: object) -> tuple[str, ...]:
        """Return where the pages asked for deferred images of a source."""
        return self._places.get((generator_id, _hashable(source)), ())

    def forget_places(self) -> None:
        """Forget where pages asked for images, since a new render begins."""
        self._places = {}

    def close(self) -> None:
        """Close the file of this process's notes; more notes open it again."""
        self._journal.close()

    @property
    def failed(self) -> tuple[FailedFile, ...]:
        """What the current render needs but could not be made."""
        return tuple(self._failed.values())

    def note_failure(self, file: ImageCacheFile, kwargs: Mapping[str, Any], error: ImageKitError) -> bool:
        """Note that a page shows something other than a cache file that could not be made; tell whether that is new.

        Args:
            file: The cache file.
            kwargs: Its generator's keywords.
            error: Why it could not be made.
        """
        self._look_for_fork()
        id, source = str(file.generator_id), kwargs.get("source")
        by_name = source is None or isinstance(source, str)
        reference = reference_to(id, kwargs, None) if by_name else None
        name = getattr(error, "source", None) or (str(source) if by_name and source else None)
        # Each request brings its own upload objects: they are identified by name.
        key = (id, repr(reference.kwargs)) if reference else (id, vars(file).get("name") or name)
        if key in self._failed:
            return False
        if len(self._failed) >= MOST_FAILURES:
            self._failed.clear()
        kept = reference if reference and is_confined(reference) else None
        failed = self._failed[key] = FailedFile(
            id, name, error.message(), kept, isinstance(error, (SourceNotFound, MissingSource))
        )
        self._journal.append(_encode({"failed": _failed_entry(failed)}))
        return True

    def unfinished(self, of_dead: bool = False) -> Notes:
        """Return what the pages of unfinished renders need, in this process and all others.

        Args:
            of_dead: Leave out the notes of processes that are still running, including this one.

        Raises:
            ImageKitError: As `noted`.
        """
        found: dict[str, Note] = {}
        for each in self._journal.others():
            if each.is_dead or not of_dead:
                _merge(found, _notes_of(each.lines))
        if not of_dead and not self._journal.is_inherited:
            _merge(found, self.noted)
        return found

    def finish(self, leads: Callable[[str, Note], bool] = lambda name, note: True) -> tuple[Notes, Failures]:
        """Write down and return what the render needs, in this process and all others, and start a new one.

        A second call without a render in between changes nothing. Notes from before this render, by a process that
        ended without finishing, count if they still lead to the same file.

        Args:
            leads: Tells whether a note's reference still leads to the file of this name.

        Returns:
            What the render needs, and what of that could not be made.

        Raises:
            ImageKitError: As `noted`.
        """
        self._look_for_fork()
        others = self._journal.others()
        new = [each for each in others if each.begun_ns >= self._begun_ns]
        self._are_too_many |= any("too_many" in line for each in new for line in each.lines)
        self.pictures = [line["picture"] for each in new for line in each.lines if "picture" in line]
        noted, self._noted = self.noted, {}
        # Another thread may be about to note something in the old dict.
        noted = dict(noted)
        failed, self._failed = {repr(each): each for each in self.failed}, {}
        if noted or failed or self._finished is None or any(each.news for each in others):
            earlier = self._finished_elsewhere()
            for each in others:
                first = len(each.lines) - each.news
                _merge(noted if each in new else earlier, _notes_of(each.lines[first:]))
                _merge(earlier, _notes_of(each.lines[:first]))
                failed |= {repr(failure): failure for failure in _failures_of(each.lines[first:])}
                for line in each.lines[first:]:
                    for note in _notes_of([line]).values():
                        self._keep_place(note.reference, line.get("place"))
            _merge(noted, {name: note for name, note in earlier.items() if name in noted or leads(name, note)})
            self._finished, self._finished_failed = noted, tuple(failed.values())
            kept = {name: self._kept(note) for name, note in noted.items()}
            self._is_written = self._write(kept, self._finished_failed)
        self._journal.finish(others)
        self._begun_ns = time.time_ns()
        return noted, tuple(failed.values())

    def _finished_elsewhere(self) -> dict[str, Note]:
        """Return what another process has written down while this one rendered pages of the same site."""
        try:
            is_newer = os.stat(self.path).st_mtime_ns > self._begun_ns
            return dict(self.last() or {}) if is_newer else {}
        except (OSError, ImageKitError):
            return {}

    def of_neighbours(self) -> set[str]:
        """Return what renders of kits with another `cache_prefix` need, finished or not, by name.

        Raises:
            ImageKitError: The record of one of them is damaged or cannot be read.
        """
        stem, _, extension = FILE_NAME.partition(".")
        found: set[str] = set()
        for path in self._settings.state_dir.glob(f"{stem}*.{extension}"):
            read = None if path == self.path else _read(path)
            found |= read[0].keys() if read else set()
        for folder in self._settings.state_dir.glob(f"{FOLDER_NAME}*"):
            if folder != self._journal.folder:
                for each in Journal(folder).others():
                    found |= _notes_of(each.lines).keys()
        return found

    def last(self) -> Notes | None:
        """Return what the render last finished by any process needs; None if there was none.

        Raises:
            ImageKitError: The file is damaged or cannot be read.
        """
        read = self._read()
        return None if read is None else read[0]

    @property
    def last_has_styles(self) -> bool:
        """Whether the render last finished by any process needs a style sheet of pictures, as far as is known."""
        try:
            return any(note.styles for note in (self.last() or {}).values())
        except ImageKitError:
            # The record is damaged, which whoever needs its files reports.
            return False

    def last_failed(self) -> tuple[FailedFile, ...]:
        """Return what the render last finished by any process needs but could not be made.

        Raises:
            ImageKitError: As `last`.
        """
        read = self._read()
        return () if read is None else read[1]

    def _read(self) -> _Parsed | None:
        own = None if self._finished is None else (self._finished, self._finished_failed)
        if own is not None and not self._is_written:
            return own
        return self._read_file() or own

    def _read_file(self) -> _Parsed | None:
        """Return what the file holds, which a run asks for several times; unchanged, it is parsed once."""
        try:
            found = os.stat(self.path)
        except OSError:
            return _read(self.path)
        version = _version(found)
        if self._last is None or self._last[0] != version:
            parsed = _read(self.path)
            self._last = (version, parsed) if parsed else None
            return parsed
        return self._last[1]

    def _write(self, notes: Notes, failed: Failures) -> bool:
        try:
            written = write_whole(self.path, _text(notes, failed), self._settings)
        except OSError as error:
            logger.warning(
                "What the pages need cannot be written to %s (%s): a later generate or prune will not know about it. "
                "Make the folder writable, or set state_dir to one that is.",
                self.path,
                error,
            )
            return False
        self._last = _version(written), (notes, failed)
        return True

    def _kept(self, note: Note) -> Note:
        # The file could be forged by the time it is read back, and must not lead out of the source folders.
        kept = note.reference and confined(note.reference, self.name_of)
        return note if kept is note.reference else note._replace(reference=kept)

    def name_of(self, path: Path) -> str | None:
        """Return the name by which templates find the file at a path; None if there is none."""
        folders = [("", folder) for folder in self._settings.source_dirs] + [*self._settings.source_prefixes]
        for prefix, folder in folders:
            if isinstance(folder, str):
                continue
            root = os.path.realpath(folder)
            if path.is_relative_to(root):
                name = PurePath(prefix, path.relative_to(root))
                found = next(filter(os.path.lexists, self._settings.source_paths(name.parts)), "")
                return name.as_posix() if os.path.realpath(found) == str(path) else None
        return None


def _version(found: os.stat_result) -> object:
    return found.st_ino, found.st_mtime_ns, found.st_size


def own_name(name: str, settings: Settings) -> str:
    """Return the name of a file or folder in the `state_dir` that kits with another `cache_prefix` must not share.

    Example:
        >>> own_name("renders.json", Settings()), own_name("renders.json", Settings(cache_prefix="shop:"))
        ('renders.json', 'renders-shop-c8410d53.json')
    """
    prefix = settings.cache_prefix
    if prefix == _DEFAULT_PREFIX:
        return name
    digest = hashlib.blake2b(prefix.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    stem, dot, extension = name.partition(".")
    return f"{stem}-{re.sub('[^A-Za-z0-9]+', '-', prefix)[:32].strip('-')}-{digest}{dot}{extension}"


def _hashable(source: object) -> object:
    return source if isinstance(source, str) else repr(source)


def _merge(into: dict[str, Note], notes: Notes) -> None:
    for name, note in notes.items():
        known = into.get(name)
        if known is None:
            into[name] = note
        elif (note.served and not known.served) or note.styles:
            styles = {**note.styles, **known.styles}
            into[name] = known._replace(served=note.served or known.served, styles=styles)


def _notes_of(lines: Iterable[dict[str, Any]]) -> dict[str, Note]:
    found: dict[str, Note] = {}
    for line in lines:
        name = line.get("file")
        if type(name) is str:
            with suppress(ValueError, TypeError, AttributeError):
                _merge(found, {name: _note(line)})
    return found


def _failures_of(lines: Iterable[dict[str, Any]]) -> Iterator[FailedFile]:
    for line in lines:
        if "failed" in line:
            with suppress(ValueError, TypeError):
                yield _failed_file(line["failed"])


def _text(notes: Notes, failed: Iterable[FailedFile]) -> str:
    # One line per file, so that two versions can be compared by eye.
    lines = [f"{quoted(name)}: {{{_entry_text(notes[name])[1:]}}}" for name in sorted(notes)]
    failures = sorted(_encode(_failed_entry(each)) for each in failed)
    end = '}, "failed": [\n' + ",\n".join(failures) + "\n]}\n" if failures else "}}\n"
    return f'{{"version": {VERSION}, "files": {{\n' + ",\n".join(lines) + "\n" + end


_encode = json.JSONEncoder(separators=(",", ":"), sort_keys=True).encode


def _entry_text(note: Note) -> str:
    """Return a note's members as JSON, each after a comma; to start an encoder takes longer than most of them."""
    entry = "" if note.served else ',"served":false'
    if note.rewritten:
        entry += ',"rewritten":true'
    if note.reference is not None:
        kwargs = [
            f"{quoted(name)}:{_KEYWORD_TEXTS.get(type(value), _encode)(value)}"
            for name, value in sorted(note.reference.kwargs.items())
        ]
        entry += f',"generator":{quoted(note.reference.generator_id)},"kwargs":{{{",".join(kwargs)}}}'
    elif note.styles:
        entry += f',"styles":{_encode(note.styles)}'
    return entry


def around_source(generator_id: str, options: Mapping[str, Any]) -> tuple[str, str]:
    """Return what the note of a file says before and after the name of its source.

    Args:
        generator_id: The generator's id.
        options: Its keywords but the source: texts without control characters, and numbers.
    """
    reference = Reference(generator_id, {**options, "source": "\0"})
    before, _, after = _entry_text(Note(reference)).partition(quoted("\0"))
    return before, after


_KEYWORD_TEXTS: Mapping[type, Callable[[Any], str]] = {
    str: quoted,
    int: int.__repr__,
    type(None): {None: "null"}.__getitem__,
    bool: {False: "false", True: "true"}.__getitem__,
}


def _failed_entry(failed: FailedFile) -> dict[str, Any]:
    entry: dict[str, Any] = {"generator": failed.generator_id, "source": failed.source, "reason": failed.reason}
    entry |= {"kwargs": failed.reference.kwargs} if failed.reference else {}
    return {**entry, "lacks_source": True} if failed.lacks_source else entry


def _read(path: Path) -> _Parsed | None:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ImageKitError(f"{path} cannot be read ({error}): render again, and finish().") from error
    try:
        return _parsed(text)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ImageKitError(
            f"{path} is damaged, or of another version of this library: render again, and finish()."
        ) from error


def _parsed(text: str) -> _Parsed:
    record: Any = json.loads(text)
    match record:
        case {"version": version, "files": dict(files)} if version == VERSION:
            notes = {name: _note(entry) for name, entry in files.items()}
            return notes, tuple(map(_failed_file, record.get("failed", ())))
    raise ValueError("not the record of a render")


def _failed_file(entry: Any) -> FailedFile:
    match entry:
        case {"generator": str(id), "source": str() | None as source, "reason": str(reason)}:
            reference = Reference(id, dict(entry["kwargs"])) if "kwargs" in entry else None
            if reference is None or is_confined(reference):
                return FailedFile(id, source, reason, reference, entry.get("lacks_source") is True)
    raise ValueError("not the record of a failed cache file")


def _note(entry: dict[str, Any]) -> Note:
    served, rewritten = entry.get("served") is not False, entry.get("rewritten") is True
    if "generator" not in entry:
        styles = entry.get("styles", {})
        return Note(None, served, {str(name): str(declarations) for name, declarations in styles.items()}, rewritten)
    match entry:
        case {"generator": str(id), "kwargs": dict(kwargs)} if is_confined(Reference(id, kwargs)):
            return Note(Reference(id, kwargs), served, rewritten=rewritten)
    raise ValueError("not the record of a cache file")
