"""Makes everything wanted from one source, reading it once and decoding it once for each scale."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

from ..cachefiles import ImageCacheFile
from ..cachefiles.backends import Simple, in_the_making
from ..exceptions import ImageKitError, UnreadableImage
from ..images.rules import Limits
from ..memory import LARGE_BYTES, return_memory
from ..specs import ImageSpec
from .plan import SourceWork, failed, skipped
from .report import Outcome

if TYPE_CHECKING:
    from ..images import Original
    from ..kit import ImageKit

Stopped = Callable[[], bool]
Spread = Callable[[list[Callable[[], None]]], None]
"""Runs pieces of work, perhaps some of them on other threads, and returns when all are done."""


def in_turn(pieces: list[Callable[[], None]]) -> None:
    """Run pieces of work one after another."""
    for piece in pieces:
        piece()


def make_work(
    kit: ImageKit, work: SourceWork, *, force: bool = False, stopped: Stopped, spread: Spread = in_turn
) -> list[Outcome]:
    """Make the cache files of one source, and record them together.

    Args:
        kit: The kit.
        work: The source and its files.
        force: Make existing files too.
        stopped: Tells whether to abandon the rest.
        spread: Runs the pieces of work, one for each file.

    Returns:
        An outcome for each file that was not abandoned.
    """
    making = _Making(kit, work, force, stopped)
    return making.run(spread)


class _Making:
    def __init__(self, kit: ImageKit, work: SourceWork, force: bool, stopped: Stopped) -> None:
        self.kit = kit
        self.work = work
        self.force = force
        self.stopped = stopped
        self.outcomes: list[Outcome] = []
        self.made: list[tuple[ImageCacheFile, dict[str, Any], Any, float]] = []
        self.original: Original | None = None
        self.seconds: dict[int, float] = {}
        self.is_unready = False

    def run(self, spread: Spread) -> list[Outcome]:
        try:
            self._read_source()
        except Exception as error:  # noqa: BLE001  # an upload's read() may raise anything; other sources are made
            # Bytes that are no image have a digest all the same; what cannot be had is not asked for again.
            named = isinstance(error, UnreadableImage)
            return [self._failed(file, kwargs, error, named=named) for file, kwargs in self.work.files]
        with ExitStack() as locks:
            wanted = self._wanted(locks)
            self._prepare([file for file, _ in wanted], spread)
            spread([lambda file=file, kwargs=kwargs: self._make(file, kwargs) for file, kwargs in wanted])  # type: ignore[misc]
            self._record()
        is_large, self.original = self._is_large, None
        if is_large:
            return_memory()
        return self.outcomes

    def _read_source(self) -> None:
        source = self.work.source
        if source is not None and any(_shares_source(file) for file, _ in self.work.files):
            self.original = source.as_original(Limits.from_settings(self.kit.settings))
            self.original.is_shared = len(self.work.files) > 1
            for file, _ in self.work.files:
                if _shares_source(file):
                    file.generator.share_source(source)
                    # The source may have been replaced since the plan was made.
                    file.rename()

    def _wanted(self, locks: ExitStack) -> list[tuple[ImageCacheFile, dict[str, Any]]]:
        """Lock the files, ordered by name so that two runs cannot wait for each other, and drop those up to date."""
        named: dict[str, tuple[ImageCacheFile, dict[str, Any]]] = {}
        for file, kwargs in self.work.files:
            try:
                name = file.name
            except Exception as error:  # noqa: BLE001  # a spec's properties may raise anything
                self.outcomes.append(failed(file.generator_id or "", kwargs, error))
                continue
            if name and name not in named:
                named[name] = file, kwargs
            else:
                # It occurs twice, or its spec has no source.
                self.outcomes.append(skipped(file))
        wanted = []
        for name in sorted(named):
            file, kwargs = named[name]
            locks.enter_context(file.records.store.lock(name))
            if not self.force and file.cachefile_backend.exists(file):
                self.outcomes.append(skipped(file))
            else:
                wanted.append(named[name])
        return wanted

    def _prepare(self, files: list[ImageCacheFile], spread: Spread) -> None:
        """Resize to all sizes before anything is encoded, so that encoders do not work beside the decoded image."""
        if self.original is None or len(files) < 2 or not all(map(_shares_source, files)):
            return
        with suppress(Exception):  # a spec's properties may raise anything
            self.original.gamuts = frozenset(file.generator.pixel_rules.gamut for file in files)
        prepared: list[bool] = []
        # The largest results take most memory on the way, and there is most before others have been made.
        files = sorted(files, key=_pixels, reverse=True)
        spread([lambda file=file: prepared.append(self._is_prepared(file)) for file in files])  # type: ignore[misc]
        if all(prepared):
            self.original.release()
            if self._is_large:
                return_memory()

    @property
    def _is_large(self) -> bool:
        return self.original is not None and self.original.decoded_bytes >= LARGE_BYTES

    def _is_prepared(self, file: ImageCacheFile) -> bool:
        if self.stopped() or self.is_unready:
            return False
        begun = time.perf_counter()
        try:
            with in_the_making(file):
                return bool(file.generator.prepare(self.original))
        except Exception:  # noqa: BLE001  # a processor may raise anything; whoever makes the file gets it again
            self.is_unready = True
            return False
        finally:
            self.seconds[id(file)] = time.perf_counter() - begun

    def _make(self, file: ImageCacheFile, kwargs: dict[str, Any]) -> None:
        if self.stopped():
            return
        # Another spec's processor may have asked for it in the meantime.
        if not self.force and _was_made(file):
            self.outcomes.append(skipped(file))
            return
        begun = time.perf_counter()
        maker = Simple()
        try:
            data = self._render(file)
            record = maker.describe(file, data)
            record = record.as_saved(file.storage.save(record.name, data))
            file.made = record
        except Exception as error:  # noqa: BLE001  # a processor may raise anything; the rest is made
            self.outcomes.append(self._failed(file, kwargs, maker.remember_failure(file, error), named=True))
            return
        seconds = time.perf_counter() - begun + self.seconds.get(id(file), 0.0)
        self.made.append((file, kwargs, record, seconds))

    @staticmethod
    def _failed(file: ImageCacheFile, kwargs: dict[str, Any], error: Exception, *, named: bool) -> Outcome:
        outcome = failed(file.generator_id or "", kwargs, error)
        with suppress(Exception):  # a spec's properties may raise anything
            outcome = outcome._replace(name=str(file.name or "") or None) if named else outcome
        return outcome

    def _render(self, file: ImageCacheFile) -> bytes:
        if self.original is not None and _shares_source(file):
            with in_the_making(file):
                rendered: bytes = file.generator.render(self.original)
            return rendered
        return Simple().render(file)

    def _record(self) -> None:
        if not self.made:
            return
        size = self.work.weight
        answers = self.kit.known_files.answers([(file, kwargs) for file, kwargs, _, _ in self.made])
        self.kit.records.put(*(record for _, _, record, _ in self.made), answers=answers)
        for file, _, record, seconds in self.made:
            self.outcomes.append(
                Outcome(
                    "generated",
                    file.generator_id or record.generator,
                    self._source_name(),
                    record.name,
                    seconds=seconds,
                    source_size=size,
                    size=record.size,
                    width=record.width,
                    height=record.height,
                    lost=self._lost(file),
                )
            )

    def _lost(self, file: ImageCacheFile) -> str:
        spec = file.generator
        if self.original is None or not isinstance(spec, ImageSpec):
            return ""
        return " and ".join(spec.losses(self.original))

    def _source_name(self) -> str | None:
        return self.work.source.name if self.work.source else None


def _was_made(file: ImageCacheFile) -> bool:
    """Tell whether a file has come into existence; if that takes a network, it is simply made again instead."""
    try:
        stored = file.storage.stat(str(file.name)) if file.storage.is_local else None
        return stored is not None and file.cachefile_backend.exists(file)
    except ImageKitError:
        return False


def _pixels(file: ImageCacheFile) -> int:
    """Return how many pixels a file will have, as far as its spec can tell."""
    try:
        width, height = file.generator.output_size() or (0, 0)
    except Exception:  # noqa: BLE001  # a spec's properties may raise anything; whoever makes the file gets it again
        return 0
    return int(width * height)


def _shares_source(file: ImageCacheFile) -> bool:
    """Tell whether a file's spec makes its image from decoded pixels that other specs may share."""
    generator = file.generator
    return isinstance(generator, ImageSpec) and generator.shares_source()
