"""A site that Pelican builds: its kit, from the beginning of a run to its end."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any

from jinja2 import Environment
from pelican.contents import Content
from pelican.log import console

from .. import ext
from ..exceptions import ImageKitError
from ..kit import ImageKit
from ..pregenerate import Outcome, Report
from ..wording import counted, seconds_in_words
from .bodies import BodyRewriter
from .names import SourceNames
from .options import SiteOptions
from .pages import SiteLinks, mend_pages

logger = logging.getLogger("jinja_imagekit.pelican")

INTERVAL_SECONDS = 1.0
"""Between two lines; Pelican's own spinner keeps the last line of a terminal."""

SITE = "IMAGEKIT"
"""The key of Pelican's settings under which the site is kept, for that is all that every signal can reach."""


class Site:
    """The images of one site, run by run: `pelican --autoreload` runs many times.

    Attributes:
        kit: The kit of the run.
        links: How URLs begin.
    """

    kit: ImageKit
    links: SiteLinks

    def begin(self, config: Mapping[str, Any]) -> None:
        """Begin a run: the environments of all of Pelican's generators get one new kit.

        Args:
            config: Pelican's settings.

        Raises:
            ImageKitError: A setting cannot be used.
        """
        # What a run that failed had noted is not part of this one.
        self._close()
        options = SiteOptions.from_pelican(config)
        self.links = SiteLinks(config)
        self.kit = options.make_kit()
        self._names = SourceNames(self.kit.settings, config.get("SITEURL") or "")
        self._bodies = BodyRewriter(self.kit, options.classes, self._names)

    def install(self, environment: Environment) -> None:
        """Add the tags and filters to the environment of a generator."""
        self.kit.install(environment)
        ext.install(environment, self.kit, locate=self._names.locate)

    def rewrite_bodies(self, contents: Iterable[Content]) -> None:
        """Rewrite the images in articles and pages.

        Raises:
            ImageKitError: An image could not be made.
        """
        for content in contents:
            self._bodies.rewrite(content)

    def finish(self, folder: str) -> None:
        """End the run: make the images that the pages need, and put them into the output folder.

        Args:
            folder: Pelican's output folder.

        Raises:
            ImageKitError: An image could not be made, and `IMAGEKIT_ON_ERROR` is "raise".
            StorageError: The output folder is not writable.
        """
        progress = Progress()
        known = {(each.generator_id, each.source, each.reason) for each in self.kit.renders.failed}
        report = self.kit.finish(on_progress=progress)
        progress.done(report)
        # What failed while pages were rendered has been told, and they show something else.
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
        # Pelican's cache of articles holds the settings, and with them this; each run has its own.
        return Site, ()


def _described(outcome: Outcome) -> str:
    what = f"{outcome.source} [generator {outcome.generator_id!r}]" if outcome.source else outcome.generator_id
    return f"{what or outcome.name}: {outcome.reason}"


class Progress:
    """Prints a line a second while images are made, and one at the end."""

    def __init__(self) -> None:
        self._printed = time.monotonic()

    def __call__(self, outcome: Outcome, settled: int, total: int) -> None:
        """Take note of a file that is settled."""
        now = time.monotonic()
        if settled < total and now - self._printed >= INTERVAL_SECONDS:
            self._printed = now
            console.print(f"Images: {settled:,} of {total:,} ({settled / total:.0%})")

    def done(self, report: Report) -> None:
        """Say what became of all of them."""
        if report.total:
            failed = f", {len(report.failed):,} failed" if report.failed else ""
            console.print(
                f"Images: {counted(report.total, 'image')} on the site, {len(report.generated):,} made, "
                f"{len(report.skipped):,} unchanged{failed}, in {seconds_in_words(report.seconds)}."
            )
