"""Facts about a source for pages: what its author wrote beside it, what the camera wrote into it, its colours."""

from __future__ import annotations

import json
import os
import re
import time
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from . import images
from .cachefiles.sources import CacheFileSource
from .exceptions import ImageKitError, MissingSource, SourceError, SourceNotAllowed, nearest
from .hashing import class_path
from .images import thumbhash
from .images.rules import Limits
from .interfaces import FocusDetector, Size
from .listing import WORTH, all_entries
from .loading import load
from .looks import Look, fitted, look_of, parsed_look, reduced
from .once import made_once
from .sources import FileSource, Signature, Source, VersionedSource, file_and_page, name_parts, signature_of
from .wording import counted

if TYPE_CHECKING:
    from .cachefiles.known import KnownFile
    from .kit import ImageKit

__all__ = ["ImageInfo"]

SIDECAR_SUFFIX = ".toml"
"""`canal.jpg.toml` beside `canal.jpg` holds what its author says about it."""

SIDECAR_FILE = "images.toml"
"""In a source folder, this file holds the same for all images, by name."""

SIDECAR_KEYS = ("focus", "alt", "caption", "credit")

MOST_SIDECAR_BYTES = 10_000_000
"""Maximum bytes of a sidecar file; one for 50,000 images has a tenth of that."""

DETECTED_PIXELS = 640
"""Longer side of the image that a `focus_detector` gets: a face in a group still has 20 pixels."""

MOST_REMEMBERED = 20_000
"""How many images' sidecar or look a process remembers: about 500 bytes each, 10 MB in all."""

SIDECAR_SECONDS = 1.0
"""Seconds after which a live site notices that a sidecar file was changed."""

_THUMBHASH = re.compile("[A-Za-z0-9+/]{7,48}={0,2}")


class Sidecar(NamedTuple):
    """What the author of a site wrote about an image.

    Attributes:
        focus: What a crop keeps, as written; None if not given.
        alt: The alternative text; None if there is none.
        caption: A caption; empty if there is none.
        credit: Who made it; empty if not given.
    """

    focus: Any = None
    alt: str | None = None
    caption: str = ""
    credit: str = ""


NO_SIDECAR = Sidecar()


@dataclass(slots=True)
class _Folder:
    """A folder that lacks sidecar files.

    Attributes:
        signature: The folder's version, by which a new file shows.
        absent: The paths at which there was none.
        has_none: Whether it is known to have none at all.
    """

    signature: Signature | None
    absent: set[str]
    has_none: bool = False


class _Said:
    """What authors say, as far as it was read; once a file has changed, another object takes the place of this one.

    So whoever reads takes the object first: what is read while a file changes goes where nobody looks.
    """

    def __init__(self) -> None:
        self.sidecars: dict[tuple[str, str], Sidecar] = {}
        self.all: dict[str, dict[str, Any]] | None = None
        self.files: dict[str, Signature | None] = {}
        self.folders: dict[str, _Folder] = {}
        self.focuses: dict[str, tuple[str, Signature, Any]] = {}
        self.silent: set[str] = set()


class ImageFacts:
    """What is known about a kit's sources apart from their pixels.

    A build reads sidecar files once; a server looks for changed ones every `SIDECAR_SECONDS`.

    Args:
        kit: The kit.
    """

    def __init__(self, kit: ImageKit) -> None:
        self._kit = kit
        self._said = _Said()
        self._next_look = 0.0
        self._looks: dict[str, Look] = {}

    def forget_sidecars(self) -> None:
        """Have sidecar files read again when next needed, since a new render begins."""
        self._said = _Said()

    def look_for_changes(self) -> None:
        """Forget sidecar files, and what pages say by them, if one was changed, added or removed on a live site."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + SIDECAR_SECONDS
        if not self._kit.renders.defers and self._has_changed():
            self._forget_pages()

    def _forget_pages(self) -> None:
        """Forget sidecar files, and what pages say by them, which nobody would look at again."""
        self.forget_sidecars()
        self._kit.pictures.forget()
        self._kit.known_files.forget_calls()

    def _has_changed(self) -> bool:
        said = self._said
        for path, seen in list(said.files.items()):
            if signature_of(path) != seen:
                return True
        # Whoever needs it next may take the time to ask.
        if said.all is not None and not all(bucket.knows(SIDECAR_FILE) for bucket in self._kit.sources.bucket_dirs):
            return True
        for path, folder in list(said.folders.items()):
            now = signature_of(path)
            if now != folder.signature:
                folder.signature, folder.has_none = now, False
                if any(map(os.path.lexists, tuple(folder.absent))):
                    return True
        return False

    def _has_sidecar(self, path: str) -> bool:
        """Tell whether a sidecar file exists, and have its place looked at again later."""
        folder, said = path.rpartition(os.sep)[0], self._said
        seen = said.folders.get(folder)
        if seen is None:
            seen = said.folders[folder] = _Folder(signature_of(folder), set())
        if not seen.has_none and os.path.lexists(path):
            said.files[path] = signature_of(path)
            return True
        if path not in seen.absent:
            seen.absent.add(path)
            if len(seen.absent) in WORTH:
                entries = all_entries(folder, len(seen.absent))
                seen.has_none = entries is not None and not any(each.name.endswith(SIDECAR_SUFFIX) for each in entries)
        return False

    def sidecar(self, source: Source) -> Sidecar:
        """Return what the author says about a source: its own file overrides that of the whole folder.

        Raises:
            ImageKitError: A sidecar file is damaged, or has invalid content.
        """
        if not isinstance(source, VersionedSource) or not self._kit.settings.source_dirs:
            return NO_SIDECAR
        self.look_for_changes()
        sidecars = self._said.sidecars
        known = sidecars.get((source.place, source.name))
        if known is None:
            if len(sidecars) >= MOST_REMEMBERED:
                self._forget_pages()
                sidecars = self._said.sidecars
            known = sidecars[source.place, source.name] = self._read_sidecar(source)
        return known

    def focus_of(self, source: object, generator_id: str) -> Any:
        """Return what crops of a source keep, as far as it says so itself; None for the files of this library's kits.

        Args:
            source: The source, as a template gave it.
            generator_id: The id of the generator that crops it.
        """
        return None

    def own_focus(self, source: object, *, read: bool = True) -> Any:
        """Return what crops of a source keep, as its author, or else the file itself, says; None if nobody does.

        Args:
            source: The source, as a template gave it.
            read: Open the source if it is not known yet.

        Raises:
            BlockingIOError: `read` is false, and the source is not known yet.
            ImageKitError: A sidecar file is damaged, or has invalid content.
        """
        self.look_for_changes()
        name, focuses = self._name_of(source), self._said.focuses
        known = None if name is None else focuses.get(name)
        if known is not None and signature_of(known[0]) == known[1]:
            return known[2]
        if not read and (self._must_ask or self._kit.sources.may_wait(source)):
            raise BlockingIOError
        try:
            found = self._kit.source(source)
        except ImageKitError:
            # Whoever makes the image says it, or shows something else.
            return None
        if found is None:
            return None
        # Before its metadata is read, which may be that of a later version.
        version = signature_of(found.path) if isinstance(found, FileSource) else None
        focus = self.sidecar(found).focus
        if focus is None:
            focus = self._found_focus(found, read)
        if name is not None and isinstance(found, FileSource) and not (found.absent or self._kit.settings.buckets):
            if len(focuses) >= MOST_REMEMBERED:
                focuses.clear()
            # The path of the link where it is one, since that may lead to another file later.
            place = self._kit.known_files.whereabouts(name)[1]
            if place is not None and version is not None and version.is_settled:
                focuses[name] = place.path, version, focus
        return focus

    def has_focus(self, source: object) -> bool:
        """Tell whether crops of a source are remembered to keep what it says itself.

        Args:
            source: The source, as a template gave it.
        """
        known = self._said.focuses.get(source) if type(source) is str else None
        return known is not None and known[2] is not None

    def is_silent(self, source: object, known: KnownFile) -> bool:
        """Tell whether neither its author nor the file says what crops of a source keep, as far as that is remembered.

        Args:
            source: The source, as a template gave it.
            known: A current file of it.

        Raises:
            ImageKitError: A sidecar file is damaged, or has invalid content.
        """
        if type(source) is not str or known.has_subject or self._kit.settings.focus_detector:
            return False
        path = known.source.path
        if path in self._said.silent:
            return True
        if len(self._said.silent) >= MOST_REMEMBERED:
            self._forget_pages()
        silent = self._said.silent
        if self._must_ask:
            return False
        tables = self._of_all()
        # Few sites have a file for all images.
        if (known.source.bucket is None and self._has_sidecar(f"{path}{SIDECAR_SUFFIX}")) or (
            tables and self._kit.known_files.whereabouts(source)[0] in tables
        ):
            return False
        silent.add(path)
        return True

    def _name_of(self, source: object) -> str | None:
        """Return what stands for a source as a template gave it; None where that may be another one each time."""
        return source if type(source) is str else None

    def _found_focus(self, source: Source, read: bool) -> Focused | None:
        """Return where a file says that its subject is, or the setting `focus_detector` does; None if neither does."""
        if isinstance(source, CacheFileSource):
            # It need not be there yet, and has no metadata of its source.
            return None
        if not read and not (isinstance(source, VersionedSource) and source.recalled_facts()):
            raise BlockingIOError
        settings = self._kit.settings
        try:
            if source.header.is_vector:
                return None
            subject = source.header.subject_as_shown(settings.auto_orient)
            return self._detected(source, read) if subject is None and settings.focus_detector else subject
        except SourceError:
            # Whoever makes the image says it, or shows something else.
            return None

    def _detected(self, source: Source, read: bool) -> Focused | None:
        """Return what the setting `focus_detector` finds in a source; remembered in the state."""
        kit = self._kit
        detector: FocusDetector = load("focus_detector", kit.settings.focus_detector)
        key = f"{kit.settings.cache_prefix}focus:{class_path(detector)}:{source.digest}"
        text = kit.records.store.get(key)
        if text is not None:
            return _parsed_focus(text)
        if not read:
            raise BlockingIOError
        image = reduced(source, kit.settings, DETECTED_PIXELS).convert("RGB")
        image.thumbnail((DETECTED_PIXELS, DETECTED_PIXELS), reducing_gap=2.0)
        focus = _around(detector(image), image.size)
        kit.records.store.set_many({key: json.dumps(focus)})
        return focus

    def look(self, source: Source) -> Look:
        """Return what a source looks like; worked out from one reduced decode, and remembered in the state.

        Raises:
            SourceError: The source cannot be read.
        """
        digest = source.digest
        look = self._looks.get(digest) or self.known_look(digest)
        if look is None:
            look = look_of(reduced(source, self._kit.settings))
            self._kit.records.store.set_many({self._key(digest): json.dumps(look, separators=(",", ":"))})
        if len(self._looks) >= MOST_REMEMBERED:
            self._looks.clear()
        self._looks[digest] = look
        return look

    def known_look(self, digest: str) -> Look | None:
        """Return what an image of this digest looks like, if the state knows."""
        text = self._kit.records.store.get(self._key(digest))
        return None if text is None else parsed_look(text)

    def thumbhash(self, source: Source) -> str:
        """Return the ThumbHash of a source as Base64; remembered in the state.

        Raises:
            SourceError: The source cannot be read.
        """
        key = f"{self._kit.settings.cache_prefix}thumbhash:{source.digest}"
        known = self._kit.records.store.get(key) or ""
        if not _THUMBHASH.fullmatch(known):
            image = reduced(source, self._kit.settings, thumbhash.PIXELS).convert("RGBA")
            known = b64encode(thumbhash.thumbhash(fitted(image, thumbhash.PIXELS))).decode()
            self._kit.records.store.set_many({key: known})
        return known

    def _key(self, digest: str) -> str:
        return f"{self._kit.settings.cache_prefix}look:{digest}"

    def _read_sidecar(self, source: VersionedSource) -> Sidecar:
        table = self._of_all().get(source.name, {})
        name = f"{source.name}{SIDECAR_SUFFIX}"
        beside = self._beside(source) if isinstance(source, FileSource) else None
        if beside is not None:
            table = {**table, **_checked(_toml(beside), name)}
        return Sidecar(**table) if table else NO_SIDECAR

    def _beside(self, source: FileSource) -> FileSource | None:
        """Return the sidecar file beside an image; another folder may have one for an image of the same name."""
        try:
            paths = self._kit.settings.source_paths(name_parts(source.name))
        except SourceNotAllowed:
            return None
        path = next((f"{path}{SIDECAR_SUFFIX}" for path in paths if os.path.lexists(path)), "")
        # Most images have none.
        if (
            not path
            or not self._has_sidecar(path)
            or os.path.realpath(path.removesuffix(SIDECAR_SUFFIX)) != source.path
        ):
            return None
        real = os.path.realpath(path)
        found = self._kit.sources.everywhere(f"{file_and_page(source.name)[0]}{SIDECAR_SUFFIX}", is_optional=True)
        return next((each for each in found if isinstance(each, FileSource) and each.path == real), None)

    def _of_all(self) -> dict[str, dict[str, Any]]:
        said = self._said
        if said.all is None:
            said.all = self._read_all()
        return said.all

    def _read_all(self) -> dict[str, dict[str, Any]]:
        # All of them, since each is looked at later.
        found = [self._has_sidecar(os.path.join(folder, SIDECAR_FILE)) for folder in self._kit.settings.source_folders]
        tables: dict[str, Any] = {}
        if any(found) or self._kit.sources.bucket_dirs:
            for file in self._kit.sources.everywhere(SIDECAR_FILE, is_optional=True):
                tables = {**_toml(file), **tables}
        return {name: _checked(table, f"{SIDECAR_FILE}, {name!r}") for name, table in tables.items()}

    def unread_sidecars(self) -> dict[str, str]:
        """Return the buckets that are known to have sidecar files beside images, each with what to do about it."""
        found = {}
        for bucket in self._kit.sources.buckets:
            names = [name for name in bucket.known_names() if name.endswith(SIDECAR_SUFFIX)]
            beside = sorted(name for name in names if bucket.latest(name.removesuffix(SIDECAR_SUFFIX)))
            if beside:
                found[f"{bucket.called}/{beside[0]}"] = (
                    f"In {bucket.called!r}, {counted(len(beside), 'sidecar file')} beside images, such as "
                    f"{beside[0]!r}, are not read, since each would cost requests: write the same into "
                    f"{SIDECAR_FILE} there."
                )
        return found

    @property
    def _must_ask(self) -> bool:
        """Whether a bucket has to be asked for its sidecar file."""
        return self._said.all is None and bool(self._kit.sources.bucket_dirs)


def _toml(file: VersionedSource) -> dict[str, Any]:
    # Few sites have sidecar files.
    import tomllib

    try:
        with file.open() as opened:
            return tomllib.loads(opened.read(MOST_SIDECAR_BYTES).decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ImageKitError(f"{file.name} cannot be read: {error}") from error


def _checked(table: Any, where: str) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise ImageKitError(f'{where}: write a table for each image, as in: ["photos/canal.jpg"]')
    for key, value in table.items():
        if key not in SIDECAR_KEYS:
            raise ImageKitError(f"{where}: there is no key {key!r}. {nearest(key, SIDECAR_KEYS)}")
        if key != "focus" and not isinstance(value, str):
            raise ImageKitError(f"{where}: {key} must be a string, not {value!r}")
    return table


Focused = tuple[float, float, float, float]
"""A box of left, top, right and bottom, as fractions."""


def _around(boxes: Iterable[Sequence[float]], size: Size) -> Focused | None:
    """Return the box around boxes in pixels, as fractions; None if there is none."""
    found = [tuple(map(float, box)) for box in boxes]
    if not found:
        return None
    sides = zip((min, min, max, max), zip(*found, strict=True), (*size, *size), strict=True)
    left, top, right, bottom = (round(min(1.0, max(0.0, of(side) / whole)), 4) for of, side, whole in sides)
    return (left, top, right, bottom) if left < right and top < bottom else None


def _parsed_focus(text: str) -> Focused | None:
    """Return the box that a text from the state describes; None if there is none."""
    try:
        left, top, right, bottom = json.loads(text)
        sound = 0 <= left < right <= 1 and 0 <= top < bottom <= 1
        return (float(left), float(top), float(right), float(bottom)) if sound else None
    except (ValueError, TypeError, RecursionError):
        return None


def _web_url(text: str) -> str:
    """Return a URL of the web, of which pages may make a link; empty for anything else."""
    return text if text.lower().startswith(("https://", "http://")) else ""


class ImageInfo:
    """Facts about an image, for templates; it is only decoded for its colour.

    Args:
        kit: The kit.
        source: The image.

    Example:
        >>> from jinja_imagekit import ImageKit
        >>> ImageKit().imageinfo(b"GIF89a…").format  # doctest: +SKIP
        'GIF'
    """

    def __init__(self, kit: ImageKit, source: Source) -> None:
        self._kit = kit
        self._source = source

    @classmethod
    def of(cls, kit: ImageKit, source: object) -> Self:
        """Return the facts of whatever may be a source; see `ImageKit.imageinfo`."""
        found = kit.source(source)
        if found is None:
            raise MissingSource("imageinfo", getattr(source, "why", ""))
        return cls(kit, found)

    @property
    def width(self) -> int:
        """Width in pixels, upright."""
        return self._source.size(self._kit.settings.auto_orient)[0]

    @property
    def height(self) -> int:
        """Height in pixels, upright."""
        return self._source.size(self._kit.settings.auto_orient)[1]

    @property
    def format(self) -> str:
        """Format, by Pillow's name."""
        return self._source.header.format

    @property
    def mimetype(self) -> str:
        """Media type, such as "image/jpeg"."""
        return images.FORMATS[self._source.header.format].mimetype

    @property
    def frames(self) -> int:
        """Number of frames; 1 if it is not animated."""
        return self._source.header.frames

    @property
    def has_alpha(self) -> bool:
        """Whether pixels may be transparent."""
        return self._source.header.has_alpha

    @made_once
    def _read(self) -> tuple[int, Mapping[str, str]]:
        data = self._source.read()
        limits = Limits.from_settings(self._kit.settings)
        return len(data), images.read_texts(data, name=self._source.name, limits=limits)

    @property
    def bytes(self) -> int:
        """Size of the file in bytes."""
        if isinstance(self._source, VersionedSource):
            return self._source.signature().size
        return self._read[0]

    @property
    def color(self) -> str:
        """The main colour, such as "#1f3a5c", from a single decode; empty for a drawing."""
        if self._source.is_vector:
            return ""
        return self._kit.image_facts.look(self._source).color

    @property
    def palette(self) -> tuple[str, ...]:
        """Up to five colours, the most frequent first, from the same decode as `color`; none for a drawing."""
        return () if self._source.is_vector else self._kit.image_facts.look(self._source).palette

    @property
    def thumbhash(self) -> str:
        """Its ThumbHash as Base64, which scripts and apps show as a blurred preview; empty for a drawing."""
        return "" if self._source.is_vector else self._kit.image_facts.thumbhash(self._source)

    @property
    def date(self) -> datetime | None:
        """When it was taken, in the camera's own time; None if unknown."""
        text = self._read[1].get("date", "")
        try:
            return datetime.strptime(text, "%Y:%m:%d %H:%M:%S")
        except ValueError:
            return None

    @property
    def camera(self) -> str:
        """The camera's make and model; empty if unknown."""
        make, model = (self._read[1].get(name, "") for name in ("make", "model"))
        return model if model.lower().startswith(make.lower().split(" ")[0]) else f"{make} {model}".strip()

    @property
    def copyright(self) -> str:
        """The copyright notice in the file; empty if there is none."""
        return self._read[1].get("copyright", "")

    @property
    def artist(self) -> str:
        """The artist named in the file; empty if there is none."""
        return self._read[1].get("artist", "")

    @property
    def description(self) -> str:
        """The description in the file; empty if there is none."""
        return self._read[1].get("description", "")

    @property
    def alt(self) -> str | None:
        """The alternative text in its sidecar file; None if there is none."""
        return self._kit.image_facts.sidecar(self._source).alt

    @property
    def caption(self) -> str:
        """The caption in its sidecar file; empty if there is none."""
        return self._kit.image_facts.sidecar(self._source).caption

    @property
    def credit(self) -> str:
        """The credit in its sidecar file, else the one in the file; empty if there is none."""
        return self._kit.image_facts.sidecar(self._source).credit or self._read[1].get("credit", "")

    @property
    def licence(self) -> str:
        """The URL of the licence that the file names; empty if there is none."""
        return _web_url(self._read[1].get("licence", ""))

    @property
    def licensor(self) -> str:
        """The URL that the file names where a licence can be had; empty if there is none."""
        return _web_url(self._read[1].get("licensor", ""))

    @property
    def source_type(self) -> str:
        """How an algorithm made it, by IPTC's term, such as "TrainedAlgorithmicMedia"; empty if none did."""
        term = self._read[1].get("source_type", "").rpartition("/")[2]
        return term[:1].upper() + term[1:]

    def __repr__(self) -> str:
        return f"<ImageInfo of {self._source.name}>"
