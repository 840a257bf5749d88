"""The pages of a whole site: which have to be rewritten, and what their images need."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from blake3 import blake3

from ..atomic_files import replace_whole
from ..builds.finish import finish_pages, name_of
from ..exceptions import ImageKitError, StorageError
from ..generatorlibrary import THUMBNAIL_ID
from ..imageinfo import SIDECAR_FILE
from ..pages import Page
from ..pregenerate.plan import Item, Plan, dry_run, make_plan
from ..pregenerate.report import Report
from ..pregenerate.run import Progress, run_plan
from ..sources import signature_of
from ..sources.base import RACY_NS
from ..wording import counted, seconds_in_words
from .files import Text, may_be_page, pages_in, path_of
from .lint import Finding, lint
from .transform import Failure, Transform

if TYPE_CHECKING:
    from ..kit import ImageKit

VERSION = 1
"""Of what is remembered of a page, and of what is written into one: another version rewrites all pages."""


@dataclass(slots=True)
class SiteReport:
    """What became of the pages of a folder.

    Attributes:
        pages: How many pages and feeds there are.
        changed: Those that were rewritten, or would be.
        failures: Images that were left as they are, since they could not be made.
        findings: What is wrong with the images of the pages, where that was asked for.
        images: What was made, or would be.
        seconds: How long it took.
        dry_run: Whether nothing was written.
        check: Whether it was only asked what is wrong.
    """

    pages: int = 0
    changed: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    images: Report = field(default_factory=lambda: Report([], 0.0))
    seconds: float = 0.0
    dry_run: bool = False
    check: bool = False

    @property
    def ok(self) -> bool:
        """Whether no image failed."""
        return not self.failures

    def summary(self) -> str:
        """Return the report in one line."""
        pages, took = counted(self.pages, "page"), f"in {seconds_in_words(self.seconds)}"
        if self.check:
            return f"{pages}, {counted(len(self.findings), 'finding')}, {took}"
        made, changed = counted(len(self.images.generated), "image"), len(self.changed)
        if self.dry_run:
            return f"{pages}, {changed:,} to change, {made} to make, {took}"
        failed = f", {len(self.failures):,} failed" if self.failures else ""
        return f"{pages}, {changed:,} changed, {made} made{failed}, {took}"

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values, for JSON."""
        return {
            "pages": self.pages,
            "changed": self.changed,
            "failures": [failure._asdict() for failure in self.failures],
            "findings": [finding._asdict() for finding in self.findings],
            "images": self.images.as_dict(),
            "seconds": self.seconds,
            "dry_run": self.dry_run,
        }


class SiteFolder:
    """A folder of pages that something else wrote.

    Args:
        kit: The kit. The folder becomes its last source folder, unless it is below one.
        folder: The folder.
        rules: As `Rules` takes them; None for the setting `html_rules`.

    Raises:
        ImageKitError: A rule is unusable.
    """

    def __init__(self, kit: ImageKit, folder: str | os.PathLike[str], rules: Mapping[str, Any] | None = None) -> None:
        self._kit = kit
        self._folder = os.path.realpath(folder)
        if not any(_is_below(self._folder, os.path.realpath(each)) for each in kit.settings.source_folders):
            kit.add_source_dir(self._folder)
        self._transform = Transform(kit, rules)
        self._transform.failures = []
        self._memory = _Memory(kit, self._transform, self._folder)

    def rewrite(self, *, workers: int | None = None, on_progress: Progress | None = None) -> SiteReport:
        """Rewrite the pages whose images are not what they should be, after making what they need.

        Args:
            workers: How many threads make images; by default as many as cores.
            on_progress: Called for each image once it is settled.

        Raises:
            ImageKitError: Something is wrong that is not one image's fault.
            StorageError: A page cannot be read or written.
        """
        begun, report = time.perf_counter(), SiteReport()
        pending, items = self._survey(report)
        if pending:
            report.images = run_plan(self._kit, make_plan(self._kit, items), workers=workers, on_progress=on_progress)
            self._transform.unmade = {each.name: each.reason for each in report.images.failed if each.name}
            self._transform.items, self._transform.failures = None, report.failures
            for page in pending:
                if self._rewrite(page):
                    report.changed.append(page)
        self._finish()
        report.seconds = time.perf_counter() - begun
        return report

    def foresee(self) -> SiteReport:
        """Tell which pages would change, and which images would be made; nothing is made or written."""
        begun, report = time.perf_counter(), SiteReport(dry_run=True)
        wanted: dict[str, list[Item]] = {}
        pending, items = self._survey(report, wanted)
        report.images = dry_run(make_plan(self._kit, items, plan=Plan()))
        report.changed = [page for page in pending if not self._is_done(page, wanted[page])]
        report.seconds = time.perf_counter() - begun
        return report

    def check(self) -> SiteReport:
        """Tell what is wrong with the images of the pages; nothing is made or written."""
        begun, report = time.perf_counter(), SiteReport(dry_run=True, check=True)
        for page, data in self._pages():
            report.pages += 1
            folder = Page(page, self._kit.settings.site_root).folder
            source = partial(self._transform.names.source, folder=folder)
            exists = partial(self._exists, folder=folder)
            report.findings += lint(self._kit, Text.of(data).text, page, source, exists)
        report.seconds = time.perf_counter() - begun
        return report

    def _survey(self, report: SiteReport, wanted: dict[str, list[Item]] | None = None) -> tuple[list[str], list[Item]]:
        """Return the pages that are not known to be right, and what they need."""
        pending, items = [], []
        for page, data in self._pages():
            report.pages += 1
            if self._memory.knows(page, data):
                continue
            self._transform.items = []
            self._transform.html(Text.of(data).text, page)
            items += self._transform.items
            pending.append(page)
            if wanted is not None:
                wanted[page] = self._transform.items
        report.failures = [*(self._transform.failures or ())] if wanted is not None else []
        return pending, items

    def _rewrite(self, page: str) -> bool:
        path = path_of(self._folder, page)
        data = _read(path)
        text = Text.of(data)
        failed = len(self._transform.failures or ())
        self._transform.names.looked = {}
        new = self._transform.html(text.text, page)
        changed = new != text.text
        if changed:
            data = text.encoded(new)
            try:
                replace_whole(path, data)
            except OSError as error:
                raise StorageError(str(path), error.strerror or str(error)) from error
        if failed == len(self._transform.failures or ()):
            self._memory.learn(page, data, new)
        return changed

    def _is_done(self, page: str, items: Iterable[Item]) -> bool:
        """Tell whether a page names all that it needs, and has no image that no run has seen."""
        text = Text.of(_read(path_of(self._folder, page))).text
        names = self._memory.names_in(text)
        for item in items:
            try:
                if name_of(self._kit, item) not in names:
                    return False
            except ImageKitError:
                continue
        return True

    def _finish(self) -> None:
        self._memory.write()
        last = self._kit.renders.last()
        noted = {name for name, note in (last or {}).items() if note.rewritten and not note.styles}
        if self._memory.is_news or last is None or not noted <= self._memory.names:
            self._kit.renders.note_rewritten(self._memory.names)
            finish_pages(self._kit)
        # What built the site may have cleaned its folder.
        if self._serves_folder():
            self._kit.publish(self._folder)

    def _serves_folder(self) -> bool:
        """Tell whether the kit's URLs lead into the folder, and its files are elsewhere."""
        settings = self._kit.settings
        url = urlsplit(settings.base_url)
        is_here = not url.netloc and f"{url.path.rstrip('/')}/" in ("/", settings.site_root)
        is_elsewhere = not _is_below(os.path.realpath(settings.location), self._folder)
        return is_here and is_elsewhere and settings.default_file_storage is None

    def _exists(self, url: str, folder: str) -> bool | None:
        names = self._transform.names
        path = names.path_of(url.strip())
        if path is None or url.startswith("data:"):
            return None
        if names.source(url, folder) is not None or self._is_stored(path):
            return True
        return any(os.path.isfile(os.path.join(self._folder, name)) for name in names.names(path, folder))

    def _is_stored(self, path: str) -> bool:
        """Tell whether a path is that of a cache file, wherever the site serves them from."""
        base = f"{urlsplit(self._kit.settings.base_url).path.rstrip('/')}/"
        try:
            return path.startswith(base) and self._kit.storage.stat(path.removeprefix(base)) is not None
        except StorageError:
            return False

    def _pages(self) -> Iterator[tuple[str, bytes]]:
        for page in pages_in(self._folder, self._own_folder()):
            data = _read(path_of(self._folder, page))
            if may_be_page(page, data):
                yield page, data

    def _own_folder(self) -> str:
        settings = self._kit.settings
        path = os.path.join(os.path.realpath(settings.location), *settings.cachefile_dir.split("/"))
        return os.path.relpath(path, self._folder).replace(os.sep, "/") if _is_below(path, self._folder) else ""


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _read(path: os.PathLike[str]) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise StorageError(str(path), error.strerror or str(error)) from error


class _Memory:
    """Which pages are as they should be, as long as they, the rules and the files that they name are unchanged.

    Attributes:
        names: The cache files that pages name.
        is_news: Whether a page was looked at anew.
    """

    def __init__(self, kit: ImageKit, transform: Transform, folder: str) -> None:
        self._kit = kit
        self._transform = transform
        self._prefix = f"{kit.settings.cache_prefix}page:{blake3(os.fsencode(folder)).hexdigest(8)}:"
        self._recipe = _recipe(kit, transform)
        own = quote(kit.settings.cachefile_dir)
        self._names = re.compile(rf"{re.escape(own)}/[^\s\"'<>(),;\\&?#]+") if own else None
        self._news: dict[str, str] = {}
        self._known: dict[str, str] | None = None
        self._there: set[str] = set()
        self.names: set[str] = set()
        self.is_news = False

    def names_in(self, text: str) -> set[str]:
        """Return the names of the cache files that a page may refer to."""
        return set(map(unquote, self._names.findall(text))) if self._names else set()

    def knows(self, page: str, data: bytes) -> bool:
        """Tell whether a page is known to be as it should be."""
        if self._known is None:
            self._begin()
        try:
            digest, facts, names = json.loads((self._known or {}).get(self._prefix + page, "[]"))
            is_right = digest == self._digest(data) and self._there.issuperset(names) and _hold(facts)
        except (ValueError, TypeError):
            return False
        if is_right:
            self.names.update(names)
        return is_right

    def learn(self, page: str, data: bytes, text: str) -> None:
        """Remember a page that has been looked at."""
        self.is_news = True
        names = self.names_in(text)
        self.names |= names
        looked = self._transform.names.looked or {}
        now = time.time_ns()
        # A file that has just changed may change again without a trace.
        settled = all(facts is None or now - max(facts[1], facts[3]) > RACY_NS for facts in looked.values())
        if self._recipe and settled and "data-imagekit-generator" not in text:
            self._news[self._prefix + page] = json.dumps(
                [self._digest(data), looked, sorted(names)], separators=(",", ":")
            )

    def write(self) -> None:
        """Keep what was learnt for the next run."""
        self._kit.records.store.set_many(self._news)

    def _begin(self) -> None:
        store, self._known = self._kit.records.store, {}
        if not self._recipe:
            return
        self._known = store.get_many(list(store.keys(self._prefix)))
        if self._known:
            last: Mapping[str, Any] = {}
            with suppress(ImageKitError):
                last = self._kit.renders.last() or {}
            self._there = set(self._kit.storage.names(self._kit.settings.cachefile_dir)).intersection(last)

    def _digest(self, data: bytes) -> str:
        return blake3(self._recipe.encode() + data).hexdigest(16)


def _recipe(kit: ImageKit, transform: Transform) -> str:
    """Return what all pages depend on beside themselves and their sources; empty if that has no name."""
    if kit.settings.buckets:
        # No stat tells whether an image there has changed.
        return ""
    thumbnails: list[tuple[str, dict[str, Any]]] = [
        (THUMBNAIL_ID, {"width": 1, "height": None, "format": format}) for format in kit.settings.picture_formats
    ]
    recipes = [kit.known_files.recipe(id, kwargs) for id, kwargs in (*thumbnails, *transform.rules.generators())]
    if None in recipes:
        return ""
    sidecars = [signature_of(os.path.join(folder, SIDECAR_FILE)) for folder in kit.settings.source_folders]
    return repr([VERSION, recipes, kit.settings, transform.rules.words, sidecars])


def _hold(facts: Mapping[str, Any]) -> bool:
    stat = os.stat
    for path, known in facts.items():
        try:
            found = stat(path)
        except OSError:
            if known is not None:
                return False
        else:
            if known != [found.st_size, found.st_mtime_ns, found.st_ino, found.st_ctime_ns]:
                return False
    return True
