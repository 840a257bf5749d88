"""The MkDocs plugin, which is ProperDocs' too: images in pages are pictures, and templates have the tags.

Name it in `mkdocs.yml`, along with any settings of the kit:

    plugins:
      - search
      - imagekit:
          html_rules: {"*": {size: 720x}}
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urljoin, urlsplit

import jinja2
from mkdocs.config.base import ConfigErrors, ConfigWarnings
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.plugins import BasePlugin, event_priority
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page as DocsPage

from .builds.finish import leave_untold
from .exceptions import ImageKitError, InvalidSetting
from .html import KEEPS_SHAPE
from .kit import ImageKit as Kit
from .loading import load
from .markup.transform import Transform
from .pages import NEUTRAL, Page
from .registry import GeneratorRegistry
from .settings import Settings, below

__all__ = ["ImageKitPlugin"]

logger = logging.getLogger("mkdocs.plugins.imagekit")

OWN_OPTIONS = ("generators", "specs")
"""The plugin's own options; all others are the kit's settings."""

STYLESHEET = "css/imagekit.css"

LAST = 1_000
"""Plugins that change a page's HTML go first."""


class SiteKit(Kit):
    """A kit whose pages are those of the site that is being built.

    Attributes:
        now: The page that is being rendered.
    """

    now: Page | None = None

    def current_page(self) -> Page | None:
        """Return the page that is being written."""
        return super().current_page() or self.now


class ImageKitPlugin(BasePlugin):  # type: ignore[type-arg, no-untyped-call]  # its options are the settings
    """Makes pictures of a site's images, with one kit for each build.

    Attributes:
        kit: The kit of the build.
    """

    kit: SiteKit

    def __init__(self) -> None:
        self._given: dict[str, Any] = {}
        self._is_dirty = False
        self._files: dict[str, str] = {}

    def load_config(
        self, options: dict[str, Any], config_file_path: str | None = None
    ) -> tuple[ConfigErrors, ConfigWarnings]:
        """Check the options, which MkDocs reads from `mkdocs.yml`."""
        self._given = dict(options)
        try:
            self._settings(Path("docs"), Path("."), "")
            self._registries()
        except ImageKitError as error:
            name = error.setting if isinstance(error, InvalidSetting) else "imagekit"
            return [(name, error)], []
        return [], []

    def on_startup(self, *, command: Literal["build", "gh-deploy", "serve"], dirty: bool) -> None:
        """Learn whether only changed pages will be written."""
        self._is_dirty = dirty

    def on_config(self, config: MkDocsConfig) -> None:
        """Begin a build with a kit of its own."""
        self._close()
        root = Path(os.path.dirname(os.path.abspath(config.config_file_path or "mkdocs.yml")))
        self.kit = SiteKit(
            self._settings(Path(config.docs_dir), root, config.site_url or ""), generators=self._registries()
        )
        for id, spec in (self._given.get("specs") or {}).items():
            if isinstance(spec, Mapping):
                self.kit.spec(id, **spec)
            else:
                self.kit.register.generator(id, load("specs", spec) if isinstance(spec, str) else spec)
        leave_untold(self.kit)
        config.extra_css.insert(0, STYLESHEET)

    def on_files(self, files: Files, *, config: MkDocsConfig) -> None:
        """Add a stylesheet of one rule."""
        files.append(File.generated(config, STYLESHEET, content=KEEPS_SHAPE))

    def on_pre_build(self, *, config: MkDocsConfig) -> None:
        """Give the tags to the environments of other plugins, such as macros."""
        for plugin in config.plugins.values():
            environment = getattr(plugin, "env", None)
            if isinstance(environment, jinja2.Environment):
                self.kit.install(environment)

    def on_env(self, env: jinja2.Environment, *, config: MkDocsConfig, files: Files) -> None:
        """Give the tags to the theme's templates."""
        self.kit.install(env)
        self._files = {file.dest_uri: file.abs_src_path for file in files if file.abs_src_path}
        self._transform = Transform(self.kit, locate=self._locate, marks=False)

    def on_pre_page(self, page: DocsPage, *, config: MkDocsConfig, files: Files) -> None:
        """Begin a page."""
        self._begin(page)

    def on_page_context(self, context: Any, *, page: DocsPage, config: MkDocsConfig, nav: Any) -> None:
        """Begin to render a page."""
        self._begin(page)

    @event_priority(-LAST)
    def on_post_page(self, output: str, *, page: DocsPage, config: MkDocsConfig) -> str:
        """Rewrite the images of a page."""
        self.kit.now = None
        try:
            return self._transform.html(output, page.file.dest_uri)
        except ImageKitError as error:
            raise PluginError(f"{page.file.src_uri}: {error}") from error

    @event_priority(-LAST)
    def on_post_build(self, *, config: MkDocsConfig) -> None:
        """Make the images that the pages need, and put them into the site."""
        self.kit.now = None
        try:
            if self._is_dirty:
                self.kit.renders.carry_over()
            report = self.kit.finish()
            for failed in report.failed:
                logger.warning("An image could not be made: %s: %s", failed.source or failed.name, failed.reason)
            self.kit.publish(config.site_dir)
        except ImageKitError as error:
            raise PluginError(str(error)) from error
        finally:
            self._close()
        if report.total:
            logger.info("Images: %d on the site, %d made.", report.total, len(report.generated))

    def on_build_error(self, *, error: Exception) -> None:
        """Leave nothing open."""
        self._close()

    def _begin(self, page: DocsPage) -> None:
        # What comes first is decided when the page is whole.
        self.kit.now = Page(page.file.dest_uri, self.kit.settings.site_root)
        self.kit.now.turns = NEUTRAL + 1

    def _locate(self, url: str) -> Path | None:
        """Return the file that another plugin has put at a URL, which the source folders lack."""
        page = self.kit.current_page()
        path = urlsplit(urljoin(page.folder if page else "/", url)).path
        root = self.kit.settings.site_root
        name = unquote(path).removeprefix(root if path.startswith(root) else "/").lstrip("/")
        found = self._files.get(name)
        if found is None or urlsplit(url).netloc or self.kit.sources.lookup(name) is not None:
            return None
        return Path(found)

    def _settings(self, docs: Path, root: Path, site_url: str) -> Settings:
        given = {name: value for name, value in self._given.items() if name not in OWN_OPTIONS}
        is_web = site_url.startswith(("https://", "http://"))
        defaults: dict[str, Any] = {
            "location": ".imagekit/files",
            "state_dir": ".imagekit/state",
            "base_url": urlsplit(site_url).path or "/",
            "site_url": site_url if is_web else "",
            "urls": "relative",
            "default_cachefile_strategy": "Deferred",
        }
        settings = Settings.from_keywords({**defaults, **given})
        return settings.replace(
            source_dirs=(docs, *(below(root, folder) for folder in settings.source_dirs)),
            location=root / settings.location,
            state_dir=root / settings.state_dir,
        )

    def _registries(self) -> list[GeneratorRegistry]:
        found = []
        for each in self._given.get("generators") or ():
            registry = load("generators", each) if isinstance(each, str) else each
            if not isinstance(registry, GeneratorRegistry):
                raise InvalidSetting("generators", f"{each!r} is not a GeneratorRegistry, such as 'theme:generators'")
            found.append(registry)
        return found

    def _close(self) -> None:
        if "kit" in vars(self):
            self.kit.close()
