"""The Jinja extension: the tags and filters `generateimage` and `thumbnail`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jinja2 import Environment, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser

from .calls import FILTERS, GENERATEIMAGE_FILE, GENERATEIMAGE_TAG, THUMBNAIL_FILE, THUMBNAIL_TAG
from .grammar import TagReader
from .runtime import TemplateRuntime

if TYPE_CHECKING:
    from ..kit import ImageKit

__all__ = ["ImageKitExtension", "TemplateRuntime", "install"]


def install(environment: Environment, kit: ImageKit) -> None:
    """Add the tags and filters to an environment, for the images of a kit; what `ImageKit.install` does.

    Args:
        environment: A Jinja environment of any class. Overlays made of it afterwards have the tags as well.
        kit: The kit; a second call replaces it.

    Example:
        >>> from jinja_imagekit import ImageKit
        >>> environment = Environment(autoescape=True)
        >>> install(environment, ImageKit(source_dirs=["content/images"]))
        >>> "thumbnail" in environment.filters
        True
    """
    environment.add_extension(ImageKitExtension)
    environment.imagekit = TemplateRuntime(kit, sandboxed=environment.sandboxed)  # type: ignore[attr-defined]  # Jinja's way


class ImageKitExtension(Extension):
    """Compiles the tags to calls of the runtime that `ImageKit.install` puts on the environment.

    Compiled templates hold no trace of a kit or of its settings: they may outlive both in a bytecode cache.
    """

    tags = {"generateimage", "thumbnail"}  # noqa: RUF012  # as Jinja declares it

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        environment.filters.update(FILTERS)

    def parse(self, parser: Parser) -> nodes.Node:
        """Return the nodes of one tag.

        Raises:
            TemplateSyntaxError: The tag is malformed; the message says how to write it.
        """
        tag = TagReader(parser)
        arguments = _generateimage_arguments(tag) if tag.name == "generateimage" else _thumbnail_arguments(tag)
        arguments.append(_dict_node(tag.keywords, tag.lineno))
        if tag.target is not None:
            function = GENERATEIMAGE_FILE if tag.name == "generateimage" else THUMBNAIL_FILE
            return nodes.Assign(tag.target, _call(function, arguments, tag.lineno), lineno=tag.lineno)
        arguments.append(_dict_node(tag.attributes, tag.lineno))
        function = GENERATEIMAGE_TAG if tag.name == "generateimage" else THUMBNAIL_TAG
        return nodes.Output([_call(function, arguments, tag.lineno)], lineno=tag.lineno)


def _generateimage_arguments(tag: TagReader) -> list[nodes.Expr]:
    if len(tag.arguments) != 1:
        tag.fail(
            f"takes one argument, the generator's id, not {len(tag.arguments)}; all others are named, "
            "as in: {% generateimage 'blog:hero' source=photo %}"
        )
    return list(tag.arguments)


def _thumbnail_arguments(tag: TagReader) -> list[nodes.Expr]:
    if not 2 <= len(tag.arguments) <= 3:
        tag.fail(
            f"takes two or three arguments (a generator's id, which may be left out, the dimensions and the source), "
            f"not {len(tag.arguments)}, as in: {{% thumbnail '400x300' photo %}}"
        )
    for name in ("source", "width", "height"):
        if name in tag.keywords:
            tag.fail(f"{name}= is given without a name, as in: {{% thumbnail '400x300' photo %}}")
    if tag.target is not None and "srcset" in tag.keywords:
        tag.fail("srcset= is for the <img> that the tag writes; 'as name' writes none")
    default_id = [nodes.Const(None, lineno=tag.lineno)] if len(tag.arguments) == 2 else []
    return [*default_id, *tag.arguments]


def _dict_node(values: dict[str, nodes.Expr], lineno: int) -> nodes.Dict:
    pairs = [nodes.Pair(nodes.Const(name, lineno=lineno), value, lineno=lineno) for name, value in values.items()]
    return nodes.Dict(pairs, lineno=lineno)


def _call(function: str, arguments: list[nodes.Expr], lineno: int) -> nodes.Filter:
    # Jinja calls a filter directly; a call goes through Context.call, which takes 4 µs and asks the sandbox.
    return nodes.Filter(arguments[0], function, arguments[1:], [], None, None, lineno=lineno)
