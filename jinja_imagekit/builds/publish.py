"""Puts the files that a render needs into a folder or a storage, and removes what earlier publishes put there."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import no_links
from ..atomic_files import PREFIX, remove_empty_folders, temporary_name, write_whole
from ..exceptions import StorageError
from ..interfaces import Storage, StoredFile
from ..no_links import Modes
from ..storages.folder import FileSystemStorage, check_name
from .notes import Notes, own_name

if TYPE_CHECKING:
    from ..kit import ImageKit

__all__ = ["PublishReport"]

logger = logging.getLogger("jinja_imagekit.publishing")

UPLOADS = 16
"""How many files are uploaded at a time: each spends most of its time waiting for an answer."""

VERSION = 1
"""Version of the manifest format; manifests of other versions are not read."""


@dataclass(slots=True)
class PublishReport:
    """What a publish did, as names of cache files.

    Attributes:
        put: Files that were linked or copied into the folder.
        unchanged: Files that were already there.
        removed: Files of an earlier publish that the pages no longer need.
        foreign: Files that have a cache file's name but are not ours, or were changed since; they stay.
        missing: Files that the pages need but that do not exist; `kit.finish()` says why.
    """

    put: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether all files that the pages need are in the folder."""
        return not self.missing

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values, for JSON."""
        return asdict(self)


class Put(NamedTuple):
    """What is remembered about a file that was put into the folder.

    Attributes:
        size: Its size in bytes.
        modified_ns: When it was last changed, in nanoseconds since the epoch.
        source_modified_ns: The same for the cache file that it was made from.
    """

    size: int
    modified_ns: int
    source_modified_ns: int

    def is_still(self, found: StoredFile) -> bool:
        """Tell whether a file is unchanged since it was put there."""
        return (self.size, self.modified_ns) == found

    def is_of(self, content: StoredFile, found: StoredFile) -> bool:
        """Tell whether both a file and the cache file that it was made from are unchanged."""
        return self.is_still(found) and (self.size, self.source_modified_ns) == content


Manifest = dict[str, Put]
"""What earlier publishes put into a folder, by name."""


def publish_files(
    kit: ImageKit, notes: Notes, folder: str | os.PathLike[str], *, dry_run: bool = False
) -> PublishReport:
    """Put the files that a render needs into a folder, and remove those of earlier publishes that it does not need.

    Files are hard links if the file system supports them, else copies. A link shares its content with the cache file;
    that is safe, since cache files are replaced and never written into.

    Args:
        kit: The kit.
        notes: What the render needs.
        folder: The folder; it is created if it is missing.
        dry_run: Only say what would be put there and removed.

    Raises:
        StorageError: The folder is not writable, or a symbolic link in it leads out of it.
    """
    try:
        return _Publication(kit, notes, folder).run(dry_run)
    except StorageError:
        raise
    except OSError as error:
        # While a file is read or copied, or its time is set.
        path = str(error.filename or folder)
        raise StorageError(path, f"publishing failed here ({error.strerror}); publish again.") from error


def upload_files(
    kit: ImageKit, notes: Notes, target: Storage, where: str, *, dry_run: bool = False, progress: bool = False
) -> PublishReport:
    """Put the files that a render needs into a storage, and remove those of earlier publishes that it does not need.

    Several are uploaded at a time. What is there under its name, with its size, is not uploaded again: names hold a
    digest.

    Args:
        kit: The kit.
        notes: What the render needs.
        target: The storage.
        where: What tells it from others in the list of what was put there.
        dry_run: Only say what would be put there and removed.
        progress: Show a bar on a terminal.

    Raises:
        StorageError: A file cannot be uploaded or deleted, or the storage does not respond; publish again.
    """
    return _Upload(kit, notes, target, where).run(dry_run, progress)


class _Target:
    """Where files are published, and the list of what earlier publishes put there."""

    def __init__(self, kit: ImageKit, notes: Notes, root: str) -> None:
        self.settings = kit.settings
        self.root = root
        self.storage = kit.storage
        digest = hashlib.blake2b(self.root.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
        # Another kit may publish into the same place.
        self.manifest_file = self.settings.state_dir / "published" / own_name(f"{digest}.json", self.settings)
        self.wanted = sorted(name for name, note in notes.items() if note.served)
        self.earlier = self._read_manifest()
        self.report = PublishReport()

    def _superfluous(self) -> dict[str, Put]:
        kept = set(self.wanted)
        return {name: put for name, put in self.earlier.items() if name not in kept}

    def _miss(self, name: str, manifest: Manifest) -> None:
        self.report.missing.append(name)
        logger.warning("A page refers to %s, which does not exist: kit.finish() says why", name)
        if name in self.earlier:
            manifest[name] = self.earlier[name]

    def _leave(self, name: str) -> None:
        self.report.foreign.append(name)
        logger.warning("%s is left alone: no publish put it into %s, or it has been changed since", name, self.root)

    def _read_manifest(self) -> Manifest:
        try:
            found = json.loads(self.manifest_file.read_text(encoding="utf-8"))
            if found["version"] != VERSION or found["folder"] != self.root:
                return {}
            # What is wanted is checked where it is looked for.
            wanted = set(self.wanted)
            return {
                name if name in wanted else check_name(name): Put(*map(int, put))
                for name, put in found["files"].items()
            }
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            logger.warning(
                "%s cannot be read (%s): what earlier publishes put into %s stays there.",
                self.manifest_file,
                error,
                self.root,
            )
            return {}

    def _write_manifest(self, manifest: Manifest) -> None:
        if manifest == self.earlier and self.manifest_file.exists():
            return
        text = json.dumps({"version": VERSION, "folder": self.root, "files": manifest}, sort_keys=True)
        try:
            write_whole(self.manifest_file, text, self.settings)
        except OSError as error:
            raise StorageError(
                str(self.manifest_file),
                f"what is put into {self.root} cannot be recorded here ({error.strerror}): make the folder writable, "
                "or set state_dir to one that is.",
            ) from error


class _Publication(_Target):
    def __init__(self, kit: ImageKit, notes: Notes, folder: str | os.PathLike[str]) -> None:
        # Resolved, so that a folder has one manifest whatever it is called.
        super().__init__(kit, notes, os.path.realpath(folder))
        settings = kit.settings
        self.is_own = self.root == os.path.realpath(settings.location)
        """Whether the folder is the cache's own, where nothing is put."""
        self.target = _Folder(
            self.root,
            file_permissions=settings.file_permissions,
            directory_permissions=settings.directory_permissions,
            fsync=settings.fsync,
        )
        # Names come in order, so that those of a folder follow one another.
        self._real = lru_cache(maxsize=64)(os.path.realpath)

    def run(self, dry_run: bool) -> PublishReport:
        manifest: Manifest = {}
        pending: dict[str, StoredFile] = {}
        there = self.target.stats(self.wanted)
        for name, content, found in zip(self.wanted, _stats(self.storage, self.wanted), there, strict=True):
            if content is None:
                self._miss(name, manifest)
            elif self._is_unchanged(name, content, found):
                manifest[name] = self.earlier[name]
                self.report.unchanged.append(name)
            elif not self._settle(name, content, found, manifest):
                pending[name] = content
        superfluous = self._superfluous()
        if dry_run:
            self.report.put = list(pending)
            there = self.target.stats(superfluous)
            self.report.removed = [
                name
                for (name, put), found in zip(superfluous.items(), there, strict=True)
                if found is not None and put.is_still(found)
            ]
            return self.report
        if pending:
            # Written before the files, so that what a killed publish has put there is still known to be ours.
            planned = {name: _planned(content) for name, content in pending.items()}
            self._write_manifest({**self.earlier, **manifest, **planned})
        for name, content in pending.items():
            manifest[name] = self._put(name, content)
        self._remove(superfluous)
        self._write_manifest(manifest)
        self.target.sweep()
        return self.report

    def _is_unchanged(self, name: str, content: StoredFile, found: StoredFile | None) -> bool:
        """Tell whether an earlier publish put a file there, and neither it nor the cache file has changed since."""
        known = self.earlier.get(name)
        return known is not None and found is not None and not self.is_own and known.is_of(content, found)

    def _settle(self, name: str, content: StoredFile, found: StoredFile | None, manifest: Manifest) -> bool:
        """Deal with a file that is already in the folder; return False if it is yet to be put there."""
        if found is None and not os.path.lexists(self.target.path(name)):
            return False
        if found is None:
            self._leave(name)
            return True
        known = self.earlier.get(name)
        linked = self._is_same_file(name)
        if linked and self._is_in_cache(name):
            # The folder is the cache's own: nothing was put there, and nothing may be removed.
            self.report.unchanged.append(name)
        elif linked or (known and known.is_of(content, found)):
            manifest[name] = Put(*found, content.modified_ns)
            self.report.unchanged.append(name)
        elif known and known.is_still(found):
            return False
        elif found.size == content.size and self._has_same_content(name):
            self.report.unchanged.append(name)
        else:
            self._leave(name)
        return True

    def _is_same_file(self, name: str) -> bool:
        path = self.storage.path(name)
        return path is not None and os.path.samefile(path, self.target.path(name))

    def _is_in_cache(self, name: str) -> bool:
        path = self.storage.path(name) or ""
        return bool(self._real(os.path.dirname(path)) == self._real(os.path.dirname(self.target.path(name))))

    def _has_same_content(self, name: str) -> bool:
        with self.storage.open(name) as ours, self.target.open(name) as theirs:
            return ours.read() == theirs.read()

    def _put(self, name: str, content: StoredFile) -> Put:
        path = self.storage.path(name)
        if path is None or not self.target.link(name, path):
            with self.storage.open(name) as file:
                self.target.save(name, file.read())
            if content.modified_ns:
                os.utime(self.target.path(name), ns=(content.modified_ns, content.modified_ns))
        self.report.put.append(name)
        found = self.target.stat(name)
        return Put(*found, content.modified_ns) if found else _planned(content)

    def _remove(self, superfluous: Mapping[str, Put]) -> None:
        for name, put in superfluous.items():
            found = self.target.stat(name)
            if found is None:
                continue
            if put.is_still(found):
                self.target.delete(name)
                self.report.removed.append(name)
            else:
                self._leave(name)
        remove_empty_folders(self.root, self.report.removed)


class _Upload(_Target):
    def __init__(self, kit: ImageKit, notes: Notes, target: Storage, where: str) -> None:
        super().__init__(kit, notes, where)
        self.target = target
        self.stylesheet = kit.pictures.stylesheet

    def run(self, dry_run: bool, progress: bool) -> PublishReport:
        manifest: Manifest = {}
        pending: dict[str, StoredFile] = {}
        superfluous = self._superfluous()
        there = self._there([*self.wanted, *superfluous])
        for name, content in zip(self.wanted, _stats(self.storage, self.wanted), strict=True):
            found, known = there.get(name), self.earlier.get(name)
            if content is None:
                self._miss(name, manifest)
            elif found is None:
                pending[name] = content
            elif known and _is_still_there(known, found) and content.modified_ns == known.source_modified_ns:
                manifest[name] = Put(*found, content.modified_ns)
                self.report.unchanged.append(name)
            elif found.size == content.size and (name != self.stylesheet or self._has_same_content(name)):
                if known:
                    manifest[name] = Put(*found, content.modified_ns)
                self.report.unchanged.append(name)
            elif known and _is_still_there(known, found):
                pending[name] = content
            else:
                self._leave(name)
        doomed = [
            name for name, put in superfluous.items() if (found := there.get(name)) and _is_still_there(put, found)
        ]
        if dry_run:
            self.report.put, self.report.removed = list(pending), doomed
            return self.report
        if pending:
            # Written before the files, so that what a killed publish has put there is still known to be ours.
            planned = {name: Put(content.size, 0, content.modified_ns) for name, content in pending.items()}
            self._write_manifest({**self.earlier, **manifest, **planned})
            self._at_once(self._put, list(pending), progress)
            written = self._there(list(pending))
            for name, content in pending.items():
                manifest[name] = Put(*written.get(name, StoredFile(content.size, 0)), content.modified_ns)
            self.report.put = list(pending)
        self._at_once(self.target.delete, doomed, False)
        self.report.removed = doomed
        for name in superfluous.keys() - set(doomed) & there.keys():
            self._leave(name)
        self._write_manifest(manifest)
        return self.report

    def _there(self, names: list[str]) -> dict[str, StoredFile]:
        found = _stats(self.target, names)
        return {name: each for name, each in zip(names, found, strict=True) if each is not None}

    def _has_same_content(self, name: str) -> bool:
        with self.storage.open(name) as ours, self.target.open(name) as theirs:
            return ours.read() == theirs.read()

    def _put(self, name: str) -> None:
        with self.storage.open(name) as file:
            self.target.save(name, file.read())

    def _at_once(self, action: Callable[[str], Any], names: list[str], progress: bool) -> None:
        with ThreadPoolExecutor(UPLOADS) as pool:
            done = pool.map(action, names)
            if not progress:
                list(done)
                return
            # It is not needed otherwise, and would slow down every first page.
            import click

            with click.progressbar(done, len(names), "Uploading", show_pos=True, file=sys.stderr) as shown:
                for _ in shown:
                    pass


def _stats(storage: Storage, names: list[str]) -> Iterable[StoredFile | None]:
    """Return what a storage says of files, many at a time where it can."""
    many = getattr(storage, "stats", None)
    found: Iterable[StoredFile | None] = many(names) if many else map(storage.stat, names)
    return found


def _is_still_there(put: Put, found: StoredFile) -> bool:
    """Tell whether a file in a storage is the one that was put there; one that a killed publish put there is."""
    return put.size == found.size and put.modified_ns in (0, found.modified_ns)


class _Folder(FileSystemStorage):
    """A folder of published files."""

    def link(self, name: str, path: str) -> bool:
        """Put a hard link to a file here, replacing any file; return False if that is impossible.

        Raises:
            StorageError: The name is unsafe, or a symbolic link leads out of the folder.
        """
        folder, last = self._resolved(name)
        beside, made = os.path.join(os.path.realpath(self._root), PREFIX), Modes(self.directory_permissions)
        try:
            with no_links.folder(beside, make=made) as source, no_links.folder(folder, make=made) as target:
                temporary = temporary_name() if source is not None else os.path.join(beside, temporary_name())
                try:
                    os.link(path, temporary, dst_dir_fd=source, follow_symlinks=False)
                    self._rename(temporary, os.path.join(folder, last), source, target)
                except BaseException:
                    with suppress(OSError):
                        os.unlink(temporary, dir_fd=source)
                    raise
        except BaseException as error:
            # Another file system, one without links, too many links, or somebody else's file.
            if isinstance(error, (OSError, NotImplementedError)):
                return False
            raise
        return True


def _planned(content: StoredFile) -> Put:
    return Put(content.size, content.modified_ns, content.modified_ns)
