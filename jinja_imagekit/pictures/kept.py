"""What a kit keeps of its pictures: their HTML, the style sheet of their classes, the manifest that tells of all."""

from __future__ import annotations

import json
import logging
import os
import re
import threading
from collections.abc import Hashable, Iterable, Mapping
from hashlib import blake2b
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from markupsafe import Markup

from .. import images
from ..atomic_files import write_whole
from ..builds.notes import Notes, own_name
from ..exceptions import ImageKitError, StorageError
from ..pregenerate.run import available_cores
from ..sources import Signature
from .files import Shown

if TYPE_CHECKING:
    from ..cachefiles.known import Place
    from ..kit import ImageKit
    from .picture import Picture

logger = logging.getLogger("jinja_imagekit.pictures")

MANIFEST = "images.json"
"""The file in `state_dir` that tells of all pictures of a site."""

MANIFEST_VERSION = 1
"""Of the manifest's form; one of another version is not read."""

STYLESHEET = "imagekit.css"
"""The file in `cachefile_dir` that holds the classes of pictures."""

_CLASS = re.compile("imagekit-[0-9a-f]{12}")

_UNSAFE_CSS = re.compile(r"[{}<>@\\]|url|import", re.IGNORECASE)
"""What no declaration of ours holds; a forged one could end its rule, or load something."""

MOST_PICTURES = 10_000
"""How many pictures' HTML a process keeps: about 3 kB each, 30 MB in all."""


_ANY_SIZE = -1
"""Of a style sheet, to which other pages add."""


class _KnownHtml(NamedTuple):
    """A picture's HTML, which is right as long as its sources and files are unchanged."""

    html: Markup
    sources: tuple[tuple[Place, Signature], ...]
    files: tuple[tuple[str, int], ...]
    absent: tuple[str, ...]
    picture: Picture
    shown: Shown
    turns: int

    def is_current(self) -> bool:
        """Tell whether everything is unchanged, by one stat of each file, or by what a bucket has said of late."""
        if any(place.version() != signature for place, signature in self.sources):
            return False
        try:
            for path, size in self.files:
                if os.lstat(path).st_size != size and size != _ANY_SIZE:
                    return False
        except OSError:
            return False
        return not self.absent or not any(map(os.path.lexists, self.absent))


class Pictures:
    """What a process knows about a kit's pictures.

    Args:
        kit: The kit.

    Attributes:
        kept: The HTML of templates' calls. It is another dict once what that depends on has changed: who keeps some
            there takes the dict before looking at that.
    """

    def __init__(self, kit: ImageKit) -> None:
        self._kit = kit
        self.kept: dict[Hashable, _KnownHtml] = {}
        self._classes: dict[str, str] = {}
        self._writing = threading.Lock()
        self._noted: dict[tuple[str, ...], Picture] = {}

    def forget(self) -> None:
        """Forget the HTML of pictures, since generators have changed."""
        self.kept = {}

    @property
    def stylesheet(self) -> str:
        """The name of the style sheet in the kit's storage."""
        return f"{self._kit.settings.cachefile_dir}/{STYLESHEET}".lstrip("/")

    @property
    def stylesheet_url(self) -> str:
        """The URL of the style sheet that holds the classes of `picture_css="class"`; it is always the same."""
        return self._kit.storage.url(self.stylesheet)

    def class_of(self, declarations: str) -> str:
        """Return the class that has these declarations.

        A build writes the style sheet of its pages at its end. A server writes it anew if it lacks the class; the state
        holds all classes, so that it has those of every process.
        """
        renders = self._kit.renders
        name = self._classes.get(declarations)
        # Until a build's end; somebody may delete what a server wrote, which only a disk is asked each time.
        storage = self._kit.storage
        if name is None or not (renders.defers or not storage.is_local or storage.stat(self.stylesheet)):
            name = f"imagekit-{blake2b(declarations.encode(), digest_size=6).hexdigest()}"
            if not renders.defers:
                self._kit.records.store.set_many({f"{self._css_prefix}{name}": declarations})
                self._write_stylesheet(wanted=name)
            self._classes[declarations] = name
        renders.note_style(self.stylesheet, name, declarations)
        return name

    def _write_stylesheet(self, styles: Mapping[str, str] = MappingProxyType({}), wanted: str = "") -> None:
        """Write the style sheet with these classes, and with those of the state unless it is a build's.

        Args:
            styles: Declarations by class.
            wanted: A class; if the style sheet has it already, it is left as it is.

        Raises:
            StorageError: It cannot be written.
        """
        kit, store = self._kit, self._kit.records.store
        with self._writing, store.lock(f"{self._css_prefix}stylesheet"):
            written = self._written_stylesheet()
            if wanted and f".{wanted}{{" in written:
                return
            if not kit.renders.defers:
                found = store.get_many(store.keys(self._css_prefix))
                styles = {**styles, **{key.removeprefix(self._css_prefix): value for key, value in found.items()}}
            rules = [
                f".{name}{{{declarations}}}\n"
                for name, declarations in sorted(styles.items())
                if declarations and _CLASS.fullmatch(name) and not _UNSAFE_CSS.search(declarations)
            ]
            text = "".join(rules)
            # Its time stamp is that of its last change, for whoever copies what is newer.
            if text and text != written:
                kit.storage.save(self.stylesheet, text.encode())

    def _written_stylesheet(self) -> str:
        try:
            with self._kit.storage.open(self.stylesheet) as file:
                return file.read().decode(errors="replace")
        except StorageError:
            return ""

    @property
    def _css_prefix(self) -> str:
        return f"{self._kit.settings.cache_prefix}css:"

    def finish_styles(self, notes: Notes) -> None:
        """Write the style sheet that a finished render needs."""
        note = notes.get(self.stylesheet)
        if note is not None:
            self._write_stylesheet(note.styles)

    def restore_styles(self) -> None:
        """Write the style sheet that the last finished render needs, if it is missing or lacks a class.

        Raises:
            StorageError: It cannot be written.
        """
        try:
            note = (self._kit.renders.last() or {}).get(self.stylesheet)
        except ImageKitError:
            # The record is damaged, which `rendered_items` reports.
            return
        if note is not None:
            written = self._written_stylesheet()
            if not all(f".{name}{{" in written for name in note.styles):
                self._write_stylesheet(note.styles)

    def note(self, picture: Picture, shown: Shown) -> None:
        """Note a picture of a page and its files, for the manifest and the end of the render."""
        renders, told = self._kit.renders, None
        if shown.urls not in self._noted and renders.is_kept:
            if len(self._noted) >= MOST_PICTURES:
                self._noted.clear()
            self._noted[shown.urls] = picture
            # Another process may finish the render.
            told = picture._outline(shown)
        renders.note_picture([(each[0].name, each[1]) for each in shown.known if each], told)

    @property
    def manifest_path(self) -> Path:
        """Where the manifest of pictures is kept."""
        return self._kit.settings.state_dir / own_name(MANIFEST, self._kit.settings)

    def write_manifest(self, path: Path | None = None) -> None:
        """Write down all pictures of the render, and those of earlier ones whose files are all there still.

        Args:
            path: Where to write it as well; None for `images.json` in the `state_dir` alone.

        Raises:
            StorageError: A file cannot be written.
        """
        noted, self._noted = list(self._noted.values()), {}
        elsewhere = [entry for entry in self._kit.renders.pictures if _identity(entry)]
        if noted or elsewhere:
            # Only a build has a manifest.
            from concurrent.futures import ThreadPoolExecutor

            with ThreadPoolExecutor(available_cores()) as pool:
                told = [*pool.map(self._completed, elsewhere), *pool.map(_told, noted)]
            entries = {_identity(entry): entry for entry in (*self._kept_entries(), *told) if entry}
            try:
                self._write(self.manifest_path, entries.values())
            except StorageError as error:
                logger.warning("The manifest of pictures cannot be written. %s", error)
        if path is not None:
            if not self.manifest_path.exists():
                logger.warning(
                    "No picture is known: %s is missing. If pages show pictures, render them again, and finish().",
                    self.manifest_path,
                )
            self._write(path, map(self.with_bytes, self.read_manifest()))

    def read_manifest(self) -> list[dict[str, Any]]:
        """Return the pictures of the manifest; none where there is no manifest, or a damaged one."""
        try:
            manifest = json.loads(self.manifest_path.read_text(encoding="utf-8"))
            if manifest["version"] == MANIFEST_VERSION:
                return [entry for entry in manifest["pictures"] if _identity(entry)]
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            logger.warning("%s cannot be read (%s), and is replaced.", self.manifest_path, error)
        return []

    def with_bytes(self, entry: dict[str, Any]) -> dict[str, Any]:
        """Return what is told of a picture with the sizes of its files, as far as they have been made."""
        for candidate in entry["candidates"]:
            record = self._kit.records.get(candidate["name"])
            candidate["bytes"] = candidate.get("bytes") if record is None else record.size
        return entry

    def _completed(self, entry: dict[str, Any]) -> dict[str, Any]:
        """Return what another process told of a picture, with what it did not look up."""
        try:
            source = self._kit.source(entry["source"])
            if source is not None and not source.is_vector:
                look = self._kit.image_facts.look(source)
                entry["color"] = look.color
                entry["placeholder"] = None if look.may_show_what_is_below(source.header) else look.blur
                entry["alt"] = entry["alt"] or self._kit.image_facts.sidecar(source).alt
        except (ImageKitError, KeyError) as error:
            logger.info("The manifest tells no colour of %s: %s", entry["source"], error)
        return self.with_bytes(entry)

    def prune_manifest(self) -> None:
        """Drop pictures from the manifest whose files are gone.

        Raises:
            StorageError: It cannot be written.
        """
        kept = self._kept_entries()
        if len(kept) < len(self.read_manifest()):
            self._write(self.manifest_path, kept)

    def _kept_entries(self) -> list[dict[str, Any]]:
        storage = self._kit.storage

        def exists(entry: dict[str, Any]) -> bool:
            return all(storage.stat(each["name"]) is not None for each in entry["candidates"])

        try:
            return list(filter(exists, self.read_manifest()))
        except StorageError as error:
            logger.warning("%s holds a name that is refused (%s), and is replaced.", self.manifest_path, error)
            return []

    def _write(self, path: Path, entries: Iterable[dict[str, Any]]) -> None:
        # One line a picture, so that two versions can be compared by eye.
        lines = sorted(json.dumps(entry, ensure_ascii=False) for entry in entries)
        text = f'{{"version": {MANIFEST_VERSION}, "pictures": [\n' + ",\n".join(lines) + "\n]}\n"
        try:
            # What is no Unicode, from a page's alt, becomes an escape of JSON.
            write_whole(path, text.encode("utf-8", "backslashreplace").decode())
        except OSError as error:
            raise StorageError(str(path), error.strerror or str(error)) from error

    def find_html(self, call: Hashable) -> Markup | None:
        """Return the HTML kept for a template's call, if it is still right; its files count as needed."""
        page, known = self._kit.current_page(), self.kept.get((call, self.base_url))
        if known is None or not known.is_current():
            return None
        if page is not None:
            # As if it had been written anew.
            page.turns = known.turns
        shown = known.shown
        if shown.urls not in self._noted or not self._kit.renders.are_noted(shown.names):
            self.note(known.picture, shown)
            if known.picture._style is not None:
                self._kit.renders.note_style(self.stylesheet, *known.picture._style)
        return known.html

    @property
    def base_url(self) -> object:
        """What URLs begin with, if the kit's storage knows."""
        # A request may have a base URL of its own, where an app is mounted in several places.
        return getattr(self._kit.storage, "base_url", None)

    def keep_html(self, kept: dict[Hashable, _KnownHtml], call: Hashable, markup: Markup, picture: Picture) -> None:
        """Keep the HTML of a template's call in the `kept` of then, if all its files are known to exist."""
        shown = picture._shown()
        sources, files = {}, []
        absent: dict[str, None] = {}
        for each in shown.known:
            if each is None:
                return
            known = each[0]
            sources[known.source] = known.signature
            if not known.is_promised:
                files.append((known.path, known.size))
            absent.update(dict.fromkeys(known.source.absent))
        if not sources:
            return
        if self._kit.settings.picture_css == "class" and not self._kit.renders.defers:
            files.append((self._kit.storage.path(self.stylesheet) or "", _ANY_SIZE))
        if len(kept) >= MOST_PICTURES:
            kept.clear()
        page = self._kit.current_page()
        kept[call, self.base_url] = _KnownHtml(
            markup, tuple(sources.items()), tuple(files), tuple(absent), picture, shown, page.turns if page else 0
        )


def _told(picture: Picture) -> dict[str, Any] | None:
    try:
        return picture._as_dict()
    except ImageKitError as error:
        logger.info("%r is left out of the manifest: %s", picture, error)
        return None


def _identity(entry: Any) -> tuple[str, ...]:
    """Return what two entries of a manifest have in common that tell of one picture; empty for no entry."""
    match entry:
        case {"source": str() | None, "candidates": list(candidates)}:
            return tuple(str(each["url"]) for each in candidates if isinstance(each["name"], str))
    return ()


def outline(kit: ImageKit, shown: Shown, alt: str | None) -> dict[str, Any]:
    """Return what the manifest tells of a picture, but for what has to be looked up: bytes and colours."""
    if shown.plan is None:
        url, width, height = shown.stand_in
        return {"source": None, "url": url, "width": width, "height": height, "candidates": []}
    own, urls = shown.plan.own, shown.urls_anywhere(kit)
    groups = [(medium.media, group) for medium in shown.plan.media for group in medium.formats]
    files = iter(zip(shown.names, urls, strict=True))
    return {
        "source": own.source.name,
        "url": urls[own.src - len(own.formats[-1])],
        "width": own.width,
        "height": own.height,
        "sizes": own.sizes,
        "alt": alt,
        "color": None,
        "placeholder": None,
        "candidates": [
            {
                **({"media": media} if media else {}),
                "url": url,
                "name": name,
                "type": images.mimetype(candidate.format),
                "width": candidate.width,
                "height": candidate.height,
                "bytes": None,
            }
            for media, group in groups
            for candidate, (name, url) in zip(group, files, strict=False)
        ],
    }
