"""A site that Pelican builds: its kit, from the start of a run to its end."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any

from jinja2 import Environment
from pelican.contents import Content
from pelican.log import console

from .. import ext
from ..builds.finish import leave_untold
from ..exceptions import ImageKitError
from ..kit import ImageKit
from ..pregenerate import Outcome, Report
from ..wording import counted, seconds_in_words
from .bodies import BodyRewriter
from .names import SourceNames, said_of
from .options import SiteOptions
from .pages import SiteLinks, mend_pages

logger = logging.getLogger("jinja_imagekit.pelican")

INTERVAL_SECONDS = 1.0
"""Seconds between two lines; Pelican's own spinner occupies the terminal's last line."""

SITE = "IMAGEKIT"
"""The key under which the site is kept in Pelican's settings, which are all that every signal can reach."""


class Site:
    """A site's images, run by run, since `pelican --autoreload` runs many times.

    Attributes:
        kit: The kit of the run.
        links: How URLs begin.
    """

    kit: ImageKit
    links: SiteLinks

    def begin(self, config: Mapping[str, Any]) -> None:
        """Start a run, with one new kit for the environments of all Pelican's generators.

        Args:
            config: Pelican's settings.

        Raises:
            ImageKitError: A setting is unusable.
        """
        # The notes of a failed run are not part of this one.
        self._close()
        options = SiteOptions.from_pelican(config)
        self.links = SiteLinks(config)
        self.kit = options.make_kit()
        leave_untold(self.kit)
        self._names = SourceNames(self.kit.settings, config.get("SITEURL") or "", self.kit.sources.lookup)
        self._bodies = BodyRewriter(self.kit, options.classes, self._names)

    def install(self, environment: Environment) -> None:
        """Add the tags and filters to a generator's environment."""
        self.kit.install(environment)
        ext.install(environment, self.kit, locate=self._names.locate, says=said_of)

    def rewrite_bodies(self, contents: Iterable[Content]) -> None:
        """Rewrite the images in articles and pages.

        Raises:
            ImageKitError: An image could not be made.
        """
        for content in contents:
            self._bodies.rewrite(content)

    def rewrite_feed(self, items: Iterable[dict[str, Any]]) -> None:
        """Rewrite the images in a feed, whose readers know neither the site nor modern formats.

        Args:
            items: The feed's entries, as feedgenerator has them: HTML in `description` and `content`.

        Raises:
            ImageKitError: An image could not be made.
        """
        for item in items:
            for name in ("description", "content"):
                if isinstance(item.get(name), str):
                    item[name] = self._bodies.for_feed(item[name])

    def finish(self, folder: str) -> None:
        """End the run by making the images that the pages need, and putting them into the output folder.

        Args:
            folder: Pelican's output folder.

        Raises:
            ImageKitError: An image could not be made, and `IMAGEKIT_ON_ERROR` is "raise".
            StorageError: The output folder is not writable.
        """
        progress = ProgressLines()
        known = {(each.generator_id, each.source, each.reason) for each in self.kit.renders.failed}
        report = self.kit.finish(on_progress=progress)
        progress.done(report)
        # Failures during rendering have been reported, and the pages show something else.
        late = [each for each in report.failed if (each.generator_id, each.source, each.reason) not in known]
        if self.kit.settings.on_error != "raise":
            mend_pages(self.kit, self.links, late)
        try:
            self.kit.publish(folder)
        finally:
            self._close()
            self._tell_failures(late)

    def _tell_failures(self, failed: Iterable[Outcome]) -> None:
        lines = [_described(outcome) for outcome in failed]
        if lines and self.kit.settings.on_error == "raise":
            raise ImageKitError("\n  ".join([f"{counted(len(lines), 'image')} could not be made:", *lines]))
        for line in lines:
            logger.warning("An image could not be made: %s", line)

    def _close(self) -> None:
        if "kit" in vars(self):
            self.kit.close()

    def __reduce__(self) -> tuple[type[Site], tuple[()]]:
        # Pelican's cache of articles holds the settings, and this along with them; each run has its own.
        return Site, ()


def _described(outcome: Outcome) -> str:
    what = f"{outcome.source} [generator {outcome.generator_id!r}]" if outcome.source else outcome.generator_id
    return f"{what or outcome.name}: {outcome.reason}"


class ProgressLines:
    """Prints a line per second while images are made, and one at the end."""

    def __init__(self) -> None:
        self._printed = time.monotonic()

    def __call__(self, outcome: Outcome, settled: int, total: int) -> None:
        """Learn that a file is settled."""
        now = time.monotonic()
        if settled < total and now - self._printed >= INTERVAL_SECONDS:
            self._printed = now
            console.print(f"Images: {settled:,} of {total:,} ({settled / total:.0%})")

    def done(self, report: Report) -> None:
        """Print the overall result."""
        if report.total:
            failed = f", {len(report.failed):,} failed" if report.failed else ""
            console.print(
                f"Images: {counted(report.total, 'image')} on the site, {len(report.generated):,} made, "
                f"{len(report.skipped):,} unchanged{failed}, in {seconds_in_words(report.seconds)}."
            )
