"""A Sphinx extension: the images of documents and themes as pictures, made at the end of a build."""

from __future__ import annotations

import os
import posixpath
import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from sphinx.application import Sphinx
from sphinx.builders.html import StandaloneHTMLBuilder
from sphinx.errors import ConfigError
from sphinx.util import logging
from sphinx.util.typing import ExtensionMetadata

from . import __version__
from .builds.finish import leave_untold
from .exceptions import ImageKitError, InvalidSetting
from .html import KEEPS_SHAPE, escape_value
from .kit import ImageKit
from .loading import load
from .markup.tokens import Tag, attributes_of, tags
from .markup.transform import Edit, Transform, edited
from .registry import GeneratorRegistry
from .settings import Settings, below
from .wording import counted, seconds_in_words

__all__ = ["setup"]

logger = logging.getLogger(__name__)

PREFIX = "imagekit_"
"""The prefix of settings in `conf.py`."""

DOCTREES = "_doctrees"
"""The first segment of the names of images that Sphinx fetched or converted itself."""


STYLESHEET = "imagekit.css"


class Site:
    """The images of one build.

    Args:
        app: The application, whose builder writes HTML.

    Attributes:
        kit: The kit of the build.
    """

    def __init__(self, app: Sphinx, builder: StandaloneHTMLBuilder) -> None:
        self._builder = builder
        self._srcdir = Path(app.srcdir)
        self._doctreedir = Path(app.doctreedir)
        self._pages = ExitStack()
        self._sources: dict[str, str] = {}
        self._page = ""
        try:
            registries = [_registry(path) for path in app.config.imagekit_generators]
            self.kit = ImageKit(_settings(app), generators=registries)
            self._transform = Transform(self.kit, locate=self._locate, marks=False)
        except ImageKitError as error:
            raise ConfigError(str(error)) from error
        # The build's end makes what pages lack.
        leave_untold(self.kit)
        environment = getattr(builder.templates, "environment", None)
        if environment is not None:
            self.kit.install(environment)

    def write(self, page: str, context: dict[str, Any]) -> None:
        """Begin to write a page, whose body has been rendered.

        Args:
            page: The page's name.
            context: The context of its template.
        """
        path = Path(self._builder.get_outfilename(page)).relative_to(self._builder.outdir)
        self._page = path.as_posix()
        # It lasts until the next page begins, while the theme's templates are rendered.
        self._pages.close()
        self._pages.enter_context(self.kit.page(self._page))
        body = context.get("body")
        if isinstance(body, str) and "<img" in body:
            self._transform.failures = []
            context["body"] = self._transform.html(_with_widths(body))
            for failure in self._transform.failures:
                logger.warning("%s: %s", failure.url, failure.reason, location=page, type="imagekit")

    def finish(self) -> None:
        """Make the images that pages lack."""
        self._pages.close()
        try:
            report = self.kit.finish()
        finally:
            self.kit.close()
        for failed in report.failed:
            logger.warning("%s: %s", failed.source or failed.name, failed.reason, type="imagekit")
        if report.generated:
            made = f"{counted(len(report.generated), 'image')} made in {seconds_in_words(report.seconds)}"
            logger.info("%s, %s up to date", made, len(report.skipped))

    def _locate(self, url: str) -> str | None:
        """Return the name of the source that Sphinx will copy to where a URL leads."""
        path = posixpath.normpath(posixpath.join(posixpath.dirname(self._page), unquote(urlsplit(url).path)))
        folder, _, copied = path.rpartition("/")
        if folder != self._builder.imagedir:
            return None
        images = self._builder.images
        if len(self._sources) != len(images):
            self._sources = {name: source for source, name in images.items()}
        source = self._sources.get(copied)
        if source is None:
            return None
        found = Path(os.path.normpath(self._srcdir / source))
        if found.is_relative_to(self._srcdir):
            return found.relative_to(self._srcdir).as_posix()
        if found.is_relative_to(self._doctreedir):
            return posixpath.join(DOCTREES, found.relative_to(self._doctreedir).as_posix())
        return None


def _settings(app: Sphinx) -> Settings:
    given = {name: app.config[f"{PREFIX}{name}"] for name in Settings.names()}
    given = {name: value for name, value in given.items() if value is not None}
    baseurl = app.config.html_baseurl or ""
    srcdir, doctreedir = Path(app.srcdir), Path(app.doctreedir)
    defaults: dict[str, Any] = {
        "source_prefixes": {DOCTREES: doctreedir},
        "location": Path(app.outdir),
        "cachefile_dir": "_images/imagekit",
        "state_dir": doctreedir / "imagekit",
        "default_cachefile_strategy": "Deferred",
        "keep_notes": True,
        "urls": "relative",
        "site_url": baseurl if urlsplit(baseurl).scheme else "",
        "base_url": urlsplit(baseurl).path or "/",
    }
    settings = Settings.from_keywords({**defaults, **given})
    return settings.replace(source_dirs=(srcdir, *(below(srcdir, folder) for folder in settings.source_dirs)))


def _registry(path: str) -> GeneratorRegistry:
    registry = load("imagekit_generators", path)
    if not isinstance(registry, GeneratorRegistry):
        raise InvalidSetting("imagekit_generators", f"{path!r} is not a GeneratorRegistry, but {registry!r:.80}")
    return registry


def _write(path: Path, text: str) -> None:
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


_WIDTH = re.compile(r"(?:^|;)\s*width\s*:\s*([0-9]+(?:\.[0-9]+)?)(?:px)?\s*(?:;|$)", re.IGNORECASE)


def _with_widths(body: str) -> str:
    """Return a body in which the `:width:` of an image, which docutils writes as a style, is an attribute."""
    return edited(body, [edit for tag in tags(body) if tag.name == "img" for edit in _widened(tag)])


def _widened(tag: Tag) -> list[Edit]:
    attributes = attributes_of(tag)
    style = attributes.get("style") or ""
    match = _WIDTH.search(style)
    if match is None or "width" in attributes:
        return []
    # A height, too, would hold where a narrow screen makes the image less wide.
    others = (part.strip() for part in style.split(";"))
    left = "; ".join(part for part in others if part and not re.match(r"(?:width|height)\s*:", part, re.IGNORECASE))
    rest = {name: value or "" for name, value in attributes.items() if name != "style"}
    rest |= {"width": str(round(float(match[1]))), **({"style": left} if left else {})}
    written = "".join(f' {name}="{escape_value(value)}"' for name, value in rest.items())
    return [Edit(tag.start, tag.end, f"<img{written}>")]


def _begin(app: Sphinx) -> None:
    builder = app.builder
    # E-books and help files are read by programs that know few formats.
    if isinstance(builder, StandaloneHTMLBuilder) and not builder.embedded:
        site = Site(app, builder)
        app.add_css_file(STYLESHEET, priority=100)
        _write(Path(app.outdir, "_static", STYLESHEET), KEEPS_SHAPE)
        app.connect("html-page-context", lambda _, page, __, context, ___: site.write(page, context), priority=900)
        app.connect("build-finished", lambda _, error: None if error else site.finish())


def setup(app: Sphinx) -> ExtensionMetadata:
    """Add the extension; Sphinx calls this."""
    app.add_config_value("imagekit_generators", (), "html", (list, tuple))
    for name in Settings.names():
        # A change of them concerns what is written, not what is read.
        app.add_config_value(f"{PREFIX}{name}", None, "html")
    app.connect("builder-inited", _begin)
    return {"version": __version__, "parallel_read_safe": True, "parallel_write_safe": True}
