"""`ImageKit`, which puts the parts together and owns all state."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urljoin

from .builds.finish import finish_render, keep_failures, leave_untold, tell_at_exit, wanted_items
from .builds.notes import BuildTool, Renders
from .cachefiles import ImageCacheFile, LazyImageCacheFile
from .cachefiles.backends import CacheFileBackend
from .cachefiles.strategies import Deferred, OnRequest, Strategy, load_strategy
from .cachefiles.warm import KnownFiles
from .exceptions import CannotRebuild, ImageKitError, InvalidSetting
from .generatorlibrary import library
from .images.rules import Limits, PixelRules
from .interfaces import SourceGroup, StateStore, Storage
from .loading import announce_kit, load, load_instance
from .once import made_once
from .pages import Page, current_page, writing
from .pregenerate import GenerationInterrupted, Plan, Report, make_plan, run_plan
from .pregenerate.run import Progress
from .registry import (
    CacheFileRegistry,
    GeneratorRegistry,
    Register,
    SourceGroupRegistry,
    Unregister,
    make_generator,
)
from .settings import Settings
from .sources import FileSource, Source, SourceFinder
from .sources.posters import Posters
from .sources.remembered import RecordedSourceMemory
from .specs import ADAPTING_KEYWORDS, ImageSpec, KeywordsOnly, has_prototype, spec_class
from .state import Record, Records
from .storages.folder import FileSystemStorage

# What a run that finds nothing to do never needs is imported where it is used: half of its time would be imports.
if TYPE_CHECKING:
    from concurrent.futures import Executor

    from jinja2 import Environment

    from .builds.prune import PruneReport
    from .builds.publish import PublishReport
    from .cachefiles.promises import Promises
    from .doctor import Finding
    from .imageinfo import ImageFacts, ImageInfo
    from .markup.names import Locate
    from .markup.transform import Transform
    from .pictures import Picture
    from .pictures.kept import Pictures
    from .serving import Serving
    from .sources.buckets import Bucket
    from .uploads import ProcessedFile

__all__ = ["ImageKit"]

MOST_PROTOTYPES = 1_000
"""How many specs a kit keeps as models for others: about 2 kB each."""

EnvironmentT = TypeVar("EnvironmentT", bound="Environment")


class ImageKit:
    """A site's images: its settings, its generators, and where everything is kept.

    Creating one opens and writes nothing; that waits for the first image.

    Args:
        settings: Settings made elsewhere, for example by `Settings.from_mapping`.
        generators: Registries of packages that ship specs. The kit's own registrations take precedence.
        import_name: Where other processes import this kit from, as `"module:attribute"`; without it, a kit is sent
            to them by value, which requires importable specs.
        **values: Settings by name, overriding those in `settings`.

    Raises:
        InvalidSetting: A setting is unknown (the message names the nearest), or its value is unusable.
        InvalidStrategy: `default_cachefile_strategy` is none.

    Example:
        >>> kit = ImageKit(source_dirs=["content/images"], location="output", base_url="/")
        >>> kit.settings.cachefile_dir
        'CACHE/images'
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        generators: Iterable[GeneratorRegistry] = (),
        import_name: str | None = None,
        **values: Any,
    ) -> None:
        self._begun_ns = time.time_ns()
        self.settings = settings.replace(**values) if settings else Settings.from_keywords(values)
        self.import_name = import_name
        if import_name:
            announce_kit(import_name)
        self._limits = Limits.from_settings(self.settings)
        # Errors in settings are raised here rather than by the first image; what a path leads to may need the kit.
        PixelRules.from_settings(self.settings)
        if not isinstance(self.settings.default_cachefile_strategy, str):
            _ = self.cachefile_strategy
        self._making = threading.RLock()
        self._previews = False
        self._parents = tuple(generators)
        self.generators = GeneratorRegistry((*self._parents, library()))
        self.source_groups = SourceGroupRegistry()
        self.cachefile_registry = CacheFileRegistry()
        registries = (self.generators, self.source_groups, self.cachefile_registry)
        self.register = Register(*registries)
        self.unregister = Unregister(*registries)
        tell_at_exit(self)

    @made_once
    def storage(self) -> Storage:
        """The default storage of cache files."""
        own = load_instance("default_file_storage", self.settings.default_file_storage)
        # Only the page tells what a relative URL begins with; each tag asks.
        seen = self._base_url if self.settings.urls == "relative" else None
        return own or FileSystemStorage.from_settings(self.settings, seen)

    def _base_url(self) -> str:
        """Return the URL from which the site serves cache files, as seen from the page that is being written."""
        return self.seen_from_page(self.settings.base_url)

    def seen_from_page(self, url: str) -> str:
        """Return a URL as the page that is being written refers to it: relative to it, with `urls="relative"`."""
        page = self.current_page() if self.settings.urls == "relative" else None
        return url if page is None else page.relative(url)

    def served_folders(self) -> Iterable[tuple[str, str | os.PathLike[str]]]:
        """Yield the folders that the host serves, and the URL that each begins at, with a slash at its end.

        `transform` looks there for what a URL means; only what lies in a source folder, too, is read.
        """
        return ()

    @made_once
    def records(self) -> Records:
        """What is known about cache files and sources."""
        return Records.from_settings(self._state_store(), self.settings)

    @made_once
    def cachefile_backend(self) -> CacheFileBackend:
        """The default backend of cache files."""
        backend = load_instance("default_cachefile_backend", self.settings.default_cachefile_backend)
        if not isinstance(backend, CacheFileBackend):
            raise InvalidSetting("default_cachefile_backend", f"must be a CacheFileBackend, not {backend!r}")
        return backend

    @made_once
    def cachefile_strategy(self) -> Strategy:
        """The default strategy of cache files."""
        return load_strategy(self.settings.default_cachefile_strategy)

    @made_once
    def sources(self) -> SourceFinder:
        """Finds sources by their names in templates."""
        settings, remote = self.settings, None
        memory, (dirs, prefixes) = self.source_memory, self._source_places()
        if settings.remote_hosts:
            # It needs an extra.
            from .sources.remote import RemoteSources

            remote = RemoteSources(settings, self._limits, lambda name: self.records.store.lock(name), memory)
        return SourceFinder(dirs, self._limits, memory, prefixes, remote, posters=self.posters)

    @made_once
    def posters(self) -> Posters | None:
        """Makes the images that stand for videos."""
        settings = self.settings
        if settings.video_poster is None:
            return None
        maker = load("video_poster", settings.video_poster)
        return Posters(maker, settings, lambda name: self.records.store.lock(name))

    def _source_places(self) -> tuple[list[Path | Bucket], list[tuple[str, Path | Bucket]]]:
        """Return the source folders and those with a prefix, in which URLs have become buckets."""
        settings, buckets = self.settings, {}
        if settings.buckets:
            # It needs an extra.
            from .sources.buckets import Bucket

            # A server's pages need few images at a time, of whose number in the bucket nobody knows.
            lists = settings.keep_notes is not False
            for url in settings.buckets:
                buckets[url] = Bucket(url, settings.bucket_max_age, lists=lists, lasts=lambda: self.renders.defers)
        dirs = [folder if isinstance(folder, Path) else buckets[folder] for folder in settings.source_dirs]
        prefixes = settings.source_prefixes
        return dirs, [(prefix, each if isinstance(each, Path) else buckets[each]) for prefix, each in prefixes]

    @made_once
    def source_memory(self) -> RecordedSourceMemory:
        """What is remembered about source files."""
        return RecordedSourceMemory(self.records, lambda: self.renders.defers)

    @made_once
    def known_files(self) -> KnownFiles:
        """Remembered answers, each verified by two stats."""
        # Whoever makes those is told when a generator is registered.
        _ = self._prototypes
        return KnownFiles(self)

    @made_once
    def image_facts(self) -> ImageFacts:
        """What is known about sources apart from their pixels: sidecar files and looks."""
        from .imageinfo import ImageFacts

        return ImageFacts(self)

    @made_once
    def promises(self) -> Promises:
        """What leads to the files that are made when they are first asked for."""
        from .cachefiles.promises import Promises

        return Promises(self)

    @made_once
    def serving(self) -> Serving:
        """What the route of a host needs to serve cache files; from then on, `OnRequest` leaves their making to it."""
        from .serving import Serving

        return Serving(self)

    @made_once
    def pictures(self) -> Pictures:
        """What is known about pictures."""
        from .pictures.kept import Pictures

        pictures = Pictures(self)
        self.generators.on_change(pictures.forget)
        return pictures

    @made_once
    def renders(self) -> Renders:
        """What the pages need, noted while they render and kept when `finish()` is called."""
        return self.make_renders()

    def make_renders(self, tool: BuildTool | None = None) -> Renders:
        """Return the notes of this kit's renders.

        Args:
            tool: A tool that may build the site by fetching its pages, if any.
        """
        defers = isinstance(self.cachefile_strategy, Deferred)
        return Renders(self.settings, defers, tool, self._begun_ns, _current_place)

    def _state_store(self) -> StateStore:
        store = load("state_store", self.settings.state_store)
        made: StateStore = store(self.settings) if callable(store) else store
        return made

    def generator(self, id: str, /, **kwargs: Any) -> Any:
        """Return the generator with this id, made with these keywords; `source` may be anything a template may pass.

        Raises:
            NotRegistered: Nothing is registered under the id; the message suggests the nearest.
            InvalidOption: The generator has no such keyword (the message says which is nearest), or needs another, or
                a generator itself is registered, which takes none.
            SourceError: The source cannot be found.
        """
        if not kwargs.keys().isdisjoint(ADAPTING_KEYWORDS):
            changes = [kwargs.pop(name, None) for name in ADAPTING_KEYWORDS]
            from .pictures.plan import adapted

            return adapted(self.generator(id, **kwargs), *changes)
        prototypes, key = self._prototypes, _prototype_key(id, kwargs)
        prototype = prototypes.get(key) if key else None
        if prototype is not None:
            return prototype.of_source(self.sources.find(kwargs.get("source")))
        registered = self.generators.find(id)
        if "source" in kwargs:
            kwargs["source"] = self.sources.find(kwargs["source"])
        # A class makes a new one each time; anything else may return one that others hold too.
        generator = self._bind(make_generator(id, registered, kwargs), is_own=isinstance(registered, type))
        if not key or not has_prototype(registered):
            return generator
        if len(prototypes) >= MOST_PROTOTYPES:
            prototypes.clear()
        # If something has been registered in the meantime, this goes into the old dict, which is no longer used.
        prototypes[key] = generator.as_prototype()
        return generator

    @made_once
    def _prototypes(self) -> dict[tuple[Any, ...], ImageSpec]:
        self.generators.on_change(self._forget_generators)
        return {}

    def _forget_generators(self) -> None:
        self._prototypes = {}
        if "known_files" in self.__dict__:
            self.known_files.forget()

    def registered(self, id: str) -> Any:
        """Return what is registered under an id: a generator, or a class or callable that makes one.

        Raises:
            NotRegistered: Nothing is; the message suggests the nearest id.
        """
        return self.generators.find(id)

    def _bind(self, generator: Any, *, is_own: bool = False) -> Any:
        """Return a generator with this kit's settings; a spec that others may hold is copied first."""
        if isinstance(generator, ImageSpec) and generator.settings is not self.settings:
            if not is_own:
                generator = copy(generator)
                if isinstance(generator.source, Source):
                    generator.source = generator.source.capped(self._limits)
            generator.settings = self.settings
        return generator

    def sweep(self) -> None:
        """Delete what dead writers left in the storage, if it can tell."""
        sweep = getattr(self.__dict__.get("storage"), "sweep", None)
        if sweep is not None:
            sweep()

    def source(self, value: object) -> Source | None:
        """Return the source that a value stands for; None for an empty value.

        Raises:
            SourceError: It does not exist, or may not be read.
        """
        return self.sources.find(value)

    def load_storage(self, value: Any) -> Storage:
        """Return the storage that a spec's `cachefile_storage` stands for; the kit's if it is None.

        Raises:
            InvalidSetting: A dotted path leads nowhere.
        """
        return load_instance("cachefile_storage", value) or self.storage

    def add_source_prefix(self, prefix: str, folder: str | os.PathLike[str]) -> None:
        """Look up names that begin with a prefix in one more folder; see the setting `source_prefixes`.

        Raises:
            InvalidSetting: The prefix is no beginning of a name.
        """
        self._change_sources(source_prefixes=(*self.settings.source_prefixes, (prefix, folder)))

    def add_source_dir(self, folder: str | os.PathLike[str]) -> None:
        """Look up names in one more folder, after those of the setting `source_dirs`."""
        self._change_sources(source_dirs=(*self.settings.source_dirs, folder))

    def _change_sources(self, **changes: Any) -> None:
        with self._making:
            self.settings = self.settings.replace(**changes)
            self.__dict__.pop("sources", None)
            self._forget_generators()

    def cachefile(self, id: str, /, **kwargs: Any) -> LazyImageCacheFile:
        """Return the cache file of a generator; nothing is opened until it is used.

        Args:
            id: The generator's id.
            **kwargs: The generator's keywords, such as `source`.

        Example:
            >>> kit = ImageKit(source_dirs=["content"])
            >>> kit.cachefile("imagekit:thumbnail", source="photos/canal.jpg", width=400)
            <LazyImageCacheFile: imagekit:thumbnail of photos/canal.jpg>
        """
        return LazyImageCacheFile(id, kit=self, kwargs=kwargs)

    def picture(self, dimensions: str, source: object, id: str | None = None, /, **kwargs: Any) -> Picture:
        """Return a picture: an image in several sizes and formats from which browsers choose. Nothing is opened yet.

        Args:
            dimensions: Width and height in pixels: `"800x600"`, `"800x"` or `"x600"`.
            source: The image to start from.
            id: The id of a generator that takes `width`, `height` and `format`; by default `imagekit:thumbnail`.
            **kwargs: `layout`, `widths`, `sizes`, `formats`, `at`, `focus`, `alt`, `priority`, `placeholder`
                and `missing_alt`, and the generator's own keywords.

        Raises:
            InvalidOption: A keyword has an unusable value.

        Example:
            >>> kit = ImageKit(source_dirs=["content"])
            >>> kit.picture("800x", "photos/canal.jpg", alt="A canal")
            <Picture: 800x of photos/canal.jpg>
        """
        from .pictures import Picture
        from .pictures.calls import picture_call

        return Picture(self, picture_call(self, id, dimensions, source, kwargs))

    def absolute_url(self, url: str) -> str:
        """Return a URL with that of the site, the setting `site_url`, in front.

        A data URI, one of another host, and an empty one stay as they are.

        Example:
            >>> ImageKit(source_dirs=["content"], site_url="https://example.org").absolute_url("/CACHE/a.jpg")
            'https://example.org/CACHE/a.jpg'
        """
        site_url, page = self.settings.site_url, self.current_page()
        if not site_url or not url:
            return url
        # A relative URL begins at its page.
        folder = page.folder if page and self.settings.urls == "relative" else ""
        return urljoin(urljoin(f"{site_url.rstrip('/')}/", folder), url)

    def url_for(
        self, dimensions: str, source: object, id: str | None = None, /, *, absolute: bool = False, **kwargs: Any
    ) -> str:
        """Return the URL of one image: that of a picture's `src`.

        Args:
            dimensions: As for `picture`.
            source: The image to start from.
            id: As for `picture`.
            absolute: Return a URL that begins with the setting `site_url`, of a JPEG, or a PNG with alpha: for
                `og:image`, feeds and mails.
            **kwargs: As for `picture`.

        Raises:
            InvalidOption: A keyword has an unusable value.
            ImageKitError: The image could not be made.

        Example:
            >>> kit.url_for("1200x630", "photos/canal.jpg", absolute=True)  # doctest: +SKIP
            'https://example.org/CACHE/images/photos/canal/5ff3.jpg'
        """
        picture = self.picture(dimensions, source, id, **kwargs)
        return picture.absolute_url if absolute else picture.url

    def page(self, path: str) -> AbstractContextManager[Page | None]:
        """Return a context in which a page is written, so that its pictures load in the order of the page.

        The first large picture is loaded at once and before others, the next two as the browser sees fit, the rest
        lazily; what an author says of one goes before. With `urls="relative"` URLs are relative to the page.

        Args:
            path: The page's path below the site's root.

        Example:
            >>> with kit.page("blog/canal/index.html"):  # doctest: +SKIP
            ...     html = template.render()
        """
        return writing(Page(path, self.settings.site_root))

    def current_page(self) -> Page | None:
        """Return the page that is being written; None outside of pages."""
        return current_page()

    def transform(
        self,
        html: str,
        *,
        page: str | None = None,
        rules: Mapping[str, Any] | None = None,
        locate: Locate | None = None,
    ) -> str:
        """Return HTML in which every image that is a source is what `{% picture %}` writes.

        What changes is marked with `data-imagekit-src`, so that a second time nothing changes unless a source has
        changed; every other character stays.

        Args:
            html: A page, or a part of one.
            page: The page's path below the site's root, such as `"blog/canal/index.html"`: its images are found beside
                it, and load in its order. None is the page that is being written, if any.
            rules: What images become, by their class; None for the setting `html_rules`.
            locate: Returns the source that a URL stands for, for hosts that know better; None leaves it to the kit,
                which looks beside the page, below the site's root and in the source folders.

        Raises:
            InvalidSetting: A rule is unusable.
            ImageKitError: An image could not be made; the message names the page and its line.

        Example:
            >>> kit.transform('<img src="photos/canal.jpg" alt="">', page="index.html")  # doctest: +SKIP
            '<picture><source type="image/avif" srcset="…'
        """
        from .markup.transform import Transform

        if rules is None and locate is None:
            return self._transform.html(html, page)
        return Transform(self, rules, locate=locate).html(html, page)

    @made_once
    def _transform(self) -> Transform:
        from .markup.transform import Transform

        return Transform(self)

    def imageinfo(self, source: object) -> ImageInfo:
        """Return the facts of an image, for templates; nothing is decoded but for its colour.

        Args:
            source: The image.

        Raises:
            MissingSource: There is no source.
            SourceError: It cannot be found.
        """
        from .imageinfo import ImageInfo

        return ImageInfo.of(self, source)

    def cachefile_of(self, generator: Any, **parts: Any) -> ImageCacheFile:
        """Return the cache file of a generator that you have created yourself.

        Args:
            generator: A spec, or any object with `generate()`.
            **parts: `name`, `storage`, `cachefile_backend` and `cachefile_strategy`, if different from the kit's.
        """
        bound = self._bind(generator)
        if bound is not generator and isinstance(bound.source, FileSource):
            # A spec created without the kit does not know its source folders.
            bound.source = self.sources.find(Path(bound.source.path))
        return ImageCacheFile(bound, kit=self, **parts)

    def spec(self, id: str | None = None, /, **attributes: Any) -> type[ImageSpec]:
        """Return a spec class made from keywords, registered if an id is given.

        Args:
            id: The id to register it under.
            **attributes: Attributes of `ImageSpec`.

        Raises:
            InvalidOption: `ImageSpec` has no such attribute.
            AlreadyRegistered: The id is taken.

        Example:
            >>> kit = ImageKit()
            >>> card = kit.spec("blog:card", format="WEBP", options={"quality": 70})
        """
        spec = spec_class(attributes)
        if id is not None:
            self.generators.register(id, spec)
        return spec

    def process(self, upload: object, id: str | None = None, /, **attributes: Any) -> ProcessedFile:
        """Check an upload and make a new image from it, for the application to store as it likes.

        Args:
            upload: An upload, or anything else that can be a source.
            id: The id of a generator.
            **attributes: Attributes of `ImageSpec`, instead of an id. Without either, the image is just encoded again,
                upright and without metadata.

        Raises:
            UnreadableImage: There is no upload, or no whole image in it; `ImageTooLarge` where it exceeds a cap.

        Example:
            >>> avatar = ImageKit().process(request.files["photo"], format="WEBP")  # doctest: +SKIP
        """
        from .uploads import process_upload

        return process_upload(self, upload, id, attributes)

    def source_saved(self, source_group: SourceGroup, source: object) -> None:
        """Tell the strategies that a source of a registered group was created or changed.

        Raises:
            ImageKitError: A strategy tried to make a file, and failed.
        """
        for id in self.source_groups.ids_of(source_group):
            file = self.cachefile(id, source=source)
            file.cachefile_strategy.on_source_saved(file)

    def generate(
        self,
        patterns: str | Iterable[str] = (),
        *,
        force: bool = False,
        workers: int | None = None,
        processes: bool = False,
        executor: Executor | str | None = None,
        progress: bool = False,
        on_progress: Progress | None = None,
    ) -> Report:
        """Make all missing cache files that are registered, or needed by the last finished render.

        Args:
            patterns: Id patterns: `*` stands for anything within a segment, `**` for anything, and the first
                segments of an id for all of it; none for all ids.
            force: Make existing files too.
            workers: How many threads or processes; by default as many as cores.
            processes: Use processes, for processors that hold the interpreter lock, or crash.
            executor: Use any `concurrent.futures.Executor` instead, or the cluster at an address, whose machines share
                the storage: `"dask://host:8786"`, `"celery://redis://host:6379/0"`, `"ray://host:10001"` (extras of
                these names). Workers of Dask, of Ray and of other executors trust whoever sends them work, which
                goes to them as a pickle; Celery's get JSON.
            progress: Show the command's bar on a terminal, and a line for each image elsewhere.
            on_progress: Called for each file with its outcome, how many are settled, and how many there are; it
                replaces the bar.

        Returns:
            What was generated, skipped and failed. A file that fails does not prevent the others from being made.

        Raises:
            NotRegistered: A pattern matches no id.
            GenerationInterrupted: Ctrl-C; what was made by then is whole.
            CannotRebuild: The kit cannot be rebuilt in another process.

        Example:
            >>> ImageKit(source_dirs=["content"]).generate().total
            0
        """
        with self._shown(progress, on_progress) as shown:
            plan, patterns = Plan(), [patterns] if isinstance(patterns, str) else list(patterns)
            make_plan(self, wanted_items(self, patterns, plan), force, plan)
            report = self._run(plan, force, workers, processes, executor, shown)
            keep_failures(self, report, of_all=not patterns)
            self._restore_styles()
            return report

    def _restore_styles(self) -> None:
        if self.renders.last_has_styles:
            self.pictures.restore_styles()

    def _run(
        self,
        plan: Plan,
        force: bool,
        workers: int | None,
        processes: bool,
        executor: Executor | str | None,
        on_progress: Progress | None,
    ) -> Report:
        if not plan.works or (not processes and executor is None):
            with self.source_memory.gathering():
                return run_plan(self, plan, force=force, workers=workers, on_progress=on_progress)
        if isinstance(executor, str):
            # It needs an extra.
            from .pregenerate.clusters import executor_at

            with executor_at(executor, self) as cluster:
                return self._run(plan, force, workers, processes, cluster, on_progress)
        from .pregenerate.executors import run_with_executor

        return run_with_executor(self, plan, force=force, executor=executor, workers=workers, on_progress=on_progress)

    @contextmanager
    def _shown(self, progress: bool, on_progress: Progress | None) -> Iterator[Progress | None]:
        """Show progress within the block, report an interruption, and tidy up."""
        try:
            if progress and on_progress is None:
                # Importing click would slow down every first page.
                from .pregenerate.progress import progress_display

                with progress_display() as shown:
                    yield shown
            else:
                yield on_progress
        except KeyboardInterrupt as interruption:
            if isinstance(interruption, GenerationInterrupted):
                raise
            # It came during planning.
            raise GenerationInterrupted(Report([], 0.0)) from interruption
        finally:
            self.sweep()

    def finish(
        self, *, workers: int | None = None, progress: bool = False, on_progress: Progress | None = None
    ) -> Report:
        """End the render of a whole site: make the missing files that its pages need.

        What the pages need is written to `renders.json` in the `state_dir`, so that `generate()` can make it again
        without rendering, and `publish()` and `prune()` know what is used. After that, a new render begins.

        Args:
            workers: How many threads; by default as many as cores.
            progress: Show the command's bar on a terminal, and a line for each image elsewhere.
            on_progress: Called for each file with its outcome, how many are settled, and how many there are; it
                replaces the bar.

        Returns:
            What was generated, skipped and failed: for each failure there is a page with a dead URL.

        Raises:
            GenerationInterrupted: Ctrl-C; what is needed is written down, and `generate()` makes the rest.

        Example:
            >>> kit = ImageKit(default_cachefile_strategy="jinja_imagekit.cachefiles.strategies.Deferred")
            >>> kit.renders.noted  # what templates have asked for
            {}
        """
        if self._previews:
            return Report((), 0.0)
        with self._shown(progress, on_progress) as shown:
            report = finish_render(self, workers=workers, on_progress=shown)
            keep_failures(self, report)
            return report

    def publish(
        self, target: str | os.PathLike[str] | Storage, *, dry_run: bool = False, progress: bool = False
    ) -> PublishReport:
        """Put exactly the files that the last render needs into a folder or a bucket, under the names of their URLs.

        In a folder, files are hard links if the file system supports them, else copies. To anything else they are
        uploaded, several at a time, and only those that are not there. What an earlier publish put there and is no
        longer needed is removed; what somebody else put there, or changed, stays. An unfinished render is finished
        first.

        Args:
            target: What `base_url` stands for: a folder, which is created if it is missing; a URL such as
                `"s3://bucket/site"` (the extra `fsspec`, and what it needs for the protocol); or a storage.
            dry_run: Only say what would be put there and removed.
            progress: Show a bar on a terminal while files are uploaded.

        Raises:
            ImageKitError: No render was ever finished, or its record is damaged.
            StorageError: A file cannot be written, or a symbolic link leads out of the folder.
        """
        from .builds.publish import PublishReport, publish_files, upload_files

        if self._previews:
            return PublishReport()
        if self.renders.unfinished():
            self.finish()
        notes = self.renders.last()
        if notes is None:
            raise ImageKitError("Nothing has been rendered yet: render the pages, call kit.finish(), then publish.")
        self._restore_styles()
        if isinstance(target, str) and "://" in target:
            # It needs an extra.
            from .storages.fsspec import FsspecStorage

            storage = FsspecStorage(target, self.settings.base_url)
            return upload_files(self, notes, storage, target, dry_run=dry_run, progress=progress)
        if isinstance(target, (str, os.PathLike)):
            return publish_files(self, notes, target, dry_run=dry_run)
        return upload_files(self, notes, target, repr(target), dry_run=dry_run, progress=progress)

    def preview(self) -> None:
        """Have images made when a browser asks for them, as `OnRequest` does, whatever the kit's strategy is.

        From now on `finish()` makes nothing and `publish()` puts nothing, so that the site's own build writes its pages
        at once; whoever serves them makes the images with `kit.serving`. It is called before anything is rendered.

        Example:
            >>> kit = ImageKit(default_cachefile_strategy="Deferred")
            >>> kit.preview()
            >>> kit.cachefile_strategy.__class__.__name__
            'OnRequest'
        """
        self._previews = True
        self.__dict__["cachefile_strategy"] = OnRequest()
        # From now on, what `OnRequest` promises is made by whoever serves it.
        _ = self.serving
        leave_untold(self)

    def prune(self, *, dry_run: bool = False, without_render: bool = False) -> PruneReport:
        """Delete the cache files that neither a registration nor a recorded render needs, and what is known about them.

        Only files that this library has a record of are deleted, below `cachefile_dir` or in the storage that their
        generator names.

        Args:
            dry_run: Only say what would be deleted.
            without_render: Proceed even if no render was ever finished, so that only what is registered counts as
                needed.

        Raises:
            ImageKitError: No render was finished, or the record of the last one is damaged, so that there is no telling
                what the pages need.
            StorageError: A file cannot be deleted.
        """
        from .builds.prune import prune_files

        return prune_files(self, dry_run=dry_run, without_render=without_render)

    def clear(self, patterns: str | Iterable[str] = (), *, dry_run: bool = False) -> Sequence[Record]:
        """Delete the cache files of some generators, and what is known about them; they are made again when needed.

        Args:
            patterns: Id patterns, as for `generate`; none for all. They may match generators that are no longer
                registered but left files.
            dry_run: Only say what would be deleted.

        Returns:
            The records of the files that were deleted: names, and sizes in bytes.

        Raises:
            NotRegistered: A pattern matches neither a generator nor a file.
            StorageError: A file cannot be deleted; those before it have been.

        Example:
            >>> ImageKit().clear("imagekit:thumbnail", dry_run=True)
            []
        """
        from .cachefiles.removal import clear_files

        return clear_files(self, [patterns] if isinstance(patterns, str) else patterns, dry_run=dry_run)

    def install(self, environment: EnvironmentT) -> EnvironmentT:
        """Add the tags and filters `thumbnail` and `generateimage` to a Jinja environment, and return it."""
        from . import ext

        ext.install(environment, self)
        # Spare the first page the imports of the state store, which opens nothing yet.
        _ = self.records
        return environment

    def doctor(self, *, fix: bool = False) -> list[Finding]:
        """Compare what is known about cache files with what is on disk.

        Args:
            fix: Repair what can be repaired; damaged files are deleted, and made again when next needed.

        Returns:
            What is missing, truncated, unreadable, foreign, or left by a writer that died.
        """
        from .doctor import examine

        return examine(self, fix=fix)

    def close(self) -> None:
        """Close the state store and the notes, which open again when they are used, and delete what dead writers left.

        Processes of `isolation` that have nothing to do end; they start again when they are needed.
        """
        self.sweep()
        if self.settings.isolation:
            from . import isolation

            isolation.close()
        if "renders" in self.__dict__:
            self.renders.close()
        if "source_memory" in self.__dict__:
            self.source_memory.save()
        if "records" in self.__dict__:
            self.records.store.close()

    def worker_context(self) -> AbstractContextManager[object]:
        """Return the context in which commands and queue workers make images; a host's kit may need one."""
        return nullcontext()

    def __repr__(self) -> str:
        return f"<ImageKit writing to {str(self.settings.location)!r}>"

    def __reduce__(self) -> tuple[Any, ...]:
        registries = (*self._parents, self.generators)
        found = {id: registry.find(id) for registry in registries for id in registry.get_ids()}
        generators = {id: KeywordsOnly.portable(generator) for id, generator in found.items()}
        try:
            import pickle

            payload = pickle.dumps((self.settings.with_absolute_paths(), generators))
        except Exception as error:
            raise CannotRebuild(str(error)) from error
        return _restore_kit, (payload,)


def _prototype_key(id: str, kwargs: dict[str, Any]) -> tuple[Any, ...] | None:
    """Return what specs with equal keywords, apart from the source, share; None if a keyword is not plain."""
    options = {name: value for name, value in kwargs.items() if name != "source"}
    types: list[Any] = []
    for value in options.values():
        kinds = (type(value),) if type(value) is not tuple else tuple(map(type, value))
        if not _PLAIN.issuperset(kinds):
            return None
        types.append(kinds)
    return id, *options.items(), *types


def _current_place() -> str | None:
    # Each tag asks, and only the extension knows; a page without templates need not import it.
    ext = sys.modules.get(f"{__package__}.ext")
    place: str | None = None if ext is None else ext.current_place()
    return place


_PLAIN = frozenset({type(None), bool, int, float, str})


def _restore_kit(payload: bytes) -> ImageKit:
    import pickle

    settings, generators = pickle.loads(payload)
    kit = ImageKit(settings)
    for id, generator in generators.items():
        kit.generators.register(id, KeywordsOnly.restored(generator), override=True)
    return kit
