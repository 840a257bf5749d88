"""The Pelican plugin: one kit for the whole site, whose images are made once all pages are written.

Name it in `pelicanconf.py`, along with any settings, prefixed with `IMAGEKIT_`:

    PLUGINS = ["jinja_imagekit.pelican"]
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pelican import signals
from pelican.contents import Content
from pelican.settings import read_settings

from ..exceptions import InvalidSetting
from .names import mark_names
from .options import SiteOptions
from .site import SITE, Site

if TYPE_CHECKING:
    from ..kit import ImageKit

__all__ = ["kit", "register"]


def register() -> None:
    """Connect the plugin to Pelican's signals; Pelican calls this."""
    signals.initialized.connect(_prepare)
    signals.get_generators.connect(_begin)
    signals.generator_init.connect(_install)
    signals.content_object_init.connect(_mark_names)
    signals.all_generators_finalized.connect(_rewrite_bodies)
    signals.feed_generated.connect(_rewrite_feed)
    signals.content_written.connect(_link_page)
    signals.feed_written.connect(_link_feed)
    signals.finalized.connect(_finish)


def kit(settings_file: str = "pelicanconf.py") -> ImageKit:
    """Return the kit of a Pelican site, for the command: `jinja-imagekit --kit jinja_imagekit.pelican:kit list`.

    Args:
        settings_file: The site's settings file.

    Raises:
        FileNotFoundError: There is no such file.
        InvalidSetting: A setting is unknown, or its value unusable.
    """
    return SiteOptions.from_pelican(read_settings(settings_file)).make_kit()


def _site(settings: Mapping[str, Any]) -> Site | None:
    # Signals reach every site built in this process, and another one may not use the plugin.
    site = settings.get(SITE)
    return site if isinstance(site, Site) else None


def _prepare(pelican: Any) -> None:
    times = pelican.settings["PLUGINS"].count(__name__)
    if times > 1:
        raise InvalidSetting("PLUGINS", f"{__name__!r} is listed {times} times; list it once")
    if times:
        pelican.settings[SITE] = Site()


def _begin(pelican: Any) -> None:
    site = _site(pelican.settings)
    if site:
        site.begin(pelican.settings)


def _install(generator: Any) -> None:
    site = _site(generator.settings)
    if site:
        site.install(generator.env)


def _mark_names(content: Content) -> None:
    if _site(content.settings):
        mark_names(content)


def _rewrite_bodies(generators: Iterable[Any]) -> None:
    for generator in generators:
        site = _site(generator.settings)
        if site:
            site.rewrite_bodies(content for content in generator.context["generated_content"].values() if content)
        # All generators share one context.
        return


def _rewrite_feed(context: Mapping[str, Any], feed: Any) -> None:
    site = _site(context)
    if site:
        site.rewrite_feed(feed.items)


def _link_page(path: str, context: Mapping[str, Any]) -> None:
    site = _site(context)
    if site:
        site.links.link_page(path, context)


def _link_feed(path: str, context: Mapping[str, Any], feed: object) -> None:
    site = _site(context)
    if site:
        site.links.link_feed(path)


def _finish(pelican: Any) -> None:
    site = _site(pelican.settings)
    if site:
        site.finish(pelican.output_path)
