"""The Jinja extension: the tags and filters `generateimage`, `thumbnail` and `picture`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jinja2 import Environment, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser

from .calls import FILTERS, TAGS
from .error_places import current_place, placed_at
from .grammar import TagReader, tag_nodes
from .runtime import Locate, Says, TemplateRuntime

if TYPE_CHECKING:
    from ..kit import ImageKit

__all__ = ["ImageKitExtension", "TemplateRuntime", "current_place", "install", "placed_at"]


def install(environment: Environment, kit: ImageKit, *, locate: Locate | None = None, says: Says | None = None) -> None:
    """Add the tags and filters to an environment, for the images of a kit; what `ImageKit.install` does.

    Args:
        environment: A Jinja environment of any class. Overlays made from it afterwards have the tags too.
        kit: The kit; a second call replaces it.
        locate: See `TemplateRuntime`.
        says: See `TemplateRuntime`.

    Example:
        >>> from jinja_imagekit import ImageKit
        >>> environment = Environment(autoescape=True)
        >>> install(environment, ImageKit(source_dirs=["content/images"]))
        >>> "thumbnail" in environment.filters
        True
    """
    environment.add_extension(ImageKitExtension)
    environment.imagekit = TemplateRuntime(  # type: ignore[attr-defined]  # Jinja's idiom
        kit, sandboxed=environment.sandboxed, locate=locate, says=says
    )


class ImageKitExtension(Extension):
    """Compiles the tags to calls of the runtime that `ImageKit.install` puts on the environment.

    Compiled templates hold no trace of a kit or its settings, since they may outlive both in a bytecode cache.
    """

    tags = set(TAGS)  # noqa: RUF012  # as Jinja declares it

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        environment.filters.update(FILTERS)

    def parse(self, parser: Parser) -> nodes.Node:
        """Return the nodes of one tag.

        Raises:
            TemplateSyntaxError: The tag is malformed; the message says how to write it.
        """
        tag = TagReader(parser)
        return tag_nodes(tag, TAGS[tag.name])
