"""The tags `{% generateimage %}` and `{% thumbnail %}` of Django's templates; they write what Jinja's write."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from django import template
from django.template import TemplateSyntaxError
from django.template.base import FilterExpression, Parser, Token
from markupsafe import Markup

from ...exceptions import ImageKitError, InvalidAttribute
from ...ext.runtime import TemplateRuntime
from ...html import check_attribute_name
from ...stand_ins import checked_policy
from .._engine.current import get_kit
from ..cachefiles import ImageCacheFile
from ..registry import generator_registry

__all__ = [
    "ASSIGNMENT_DELIMETER",
    "DEFAULT_THUMBNAIL_GENERATOR",
    "HTML_ATTRS_DELIMITER",
    "ImageCacheFile",
    "generateimage",
    "generator_registry",
    "get_cachefile",
    "parse_dimensions",
    "register",
    "thumbnail",
]

register = template.Library()

ASSIGNMENT_DELIMETER = "as"
HTML_ATTRS_DELIMITER = "--"
DEFAULT_THUMBNAIL_GENERATOR = "imagekit:thumbnail"

_KEYWORD = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_ATTRIBUTE = re.compile(r"""("[^"]*"|'[^']*'|[^\s"'=]+)(?:=(.*))?""", re.DOTALL)
_PLAIN_ATTRIBUTE = re.compile(r"[A-Za-z_:@][\w:@.\-]*")


def parse_dimensions(dimensions: str) -> dict[str, int | None]:
    """Return width and height in pixels of `'100x50'`, `'100x'` or `'x50'`; None for a side that is left out.

    Raises:
        InvalidOption: The dimensions cannot be used.
    """
    _, options = _runtime(get_kit()).thumbnail_call(None, dimensions, None, {})
    return {side: options.get(side) for side in ("width", "height")}


def get_cachefile(
    context: Any, generator_id: Any, generator_kwargs: Mapping[str, Any], source: Any = None
) -> ImageCacheFile:
    """Return the cache file of a generator whose id and keywords are expressions of a template."""
    kwargs = {name: value.resolve(context) for name, value in generator_kwargs.items()}
    file: ImageCacheFile = get_kit().django_file(generator_id.resolve(context), **kwargs)
    return file


class DjangoRuntime(TemplateRuntime):
    """What the tags do, with cache files that know Django's signals, strategies and backends."""

    def _remember(self, file: Any, kwargs: dict[str, Any]) -> None:
        # The file does so itself.
        return None

    def srcset(self, urls: Mapping[str, str]) -> str:
        """Return the value of `srcset` for URLs by pixel density, spelt as in django-imagekit, which tests look for."""
        # It writes whole densities beside 1 as floats: "2.0x".
        spelt = [(url, re.sub("^(?!1x)([0-9]+)x$", r"\1.0x", density)) for density, url in urls.items()]
        return " , ".join(f"{url} {density}" for url, density in spelt)


@lru_cache(maxsize=1)
def _runtime(kit: Any) -> DjangoRuntime:
    return DjangoRuntime(kit)


class Arguments:
    """What stands in a tag: positional arguments, keywords, HTML attributes, and the name behind `as`.

    Args:
        parser: Django's parser.
        token: The tag.

    Raises:
        TemplateSyntaxError: The tag cannot be read.
    """

    def __init__(self, parser: Parser, token: Token) -> None:
        self._parser = parser
        self.tag_name, *bits = token.split_contents()
        self.target: str | None = None
        self.positional: list[FilterExpression] = []
        self.keywords: dict[str, FilterExpression] = {}
        self.attributes: dict[str, FilterExpression | bool] = {}
        if len(bits) >= 2 and bits[-2] == ASSIGNMENT_DELIMETER:
            self.target = bits[-1]
            del bits[-2:]
        if HTML_ATTRS_DELIMITER in bits:
            position = bits.index(HTML_ATTRS_DELIMITER)
            self._read_attributes(bits[position + 1 :])
            del bits[position:]
        for bit in bits:
            self._read_argument(bit)

    def fail(self, problem: str) -> TemplateSyntaxError:
        """Return the error of a problem with this tag."""
        return TemplateSyntaxError(f"{{% {self.tag_name} %}}: {problem}")

    def _read_argument(self, bit: str) -> None:
        match = _KEYWORD.fullmatch(bit)
        if match is None:
            if self.keywords:
                raise self.fail(f"{bit} stands behind a keyword; arguments without a name come first")
            self.positional.append(self._parser.compile_filter(bit))
            return
        name, value = match.groups()
        if name in self.keywords:
            raise self.fail(f"{name}= is given twice")
        self.keywords[name] = self._value(name, value)

    def _read_attributes(self, bits: list[str]) -> None:
        if self.target is not None:
            raise self.fail("'as name' assigns the image and writes no HTML, so it takes no attributes after '--'")
        if not bits:
            raise self.fail("HTML attributes are missing after '--'; leave it out where there are none")
        for bit in bits:
            match = _ATTRIBUTE.fullmatch(bit)
            if match is None:
                raise self.fail(f"{bit} is no HTML attribute; write name=value")
            name, value = match.groups()
            if value is None and not _PLAIN_ATTRIBUTE.fullmatch(name):
                raise self.fail(f"{bit} has no name: HTML attributes are written name=value")
            name = name.strip("\"'")
            self._check_attribute(name)
            self.attributes[name] = True if value is None else self._value(name, value)

    def _check_attribute(self, name: str) -> None:
        try:
            check_attribute_name(name)
        except InvalidAttribute as error:
            raise self.fail(error.message()) from error
        if name.lower() == "src":
            raise self.fail("src is the image's own URL; to write another one, use 'as name' and your own <img>")
        if name.lower() in map(str.lower, self.attributes):
            raise self.fail(f"the attribute {name} is given twice")

    def _value(self, name: str, text: str) -> FilterExpression:
        if not text:
            raise self.fail(f"{name}= has no value")
        return self._parser.compile_filter(text)


class ImageNode(template.Node):
    """A tag that writes an `<img>`, or assigns a cache file.

    Args:
        arguments: What stands in the tag.
        write: Writes the `<img>`: called with the runtime, the resolved positional arguments, keywords and attributes.
        call: Returns the generator's id and keywords, called with the runtime and the same but the attributes.
    """

    def __init__(self, arguments: Arguments, write: Callable[..., Markup], call: Callable[..., Any]) -> None:
        self._target = arguments.target
        self._positional = arguments.positional
        self._keywords = arguments.keywords
        self._attributes = arguments.attributes
        self._write = write
        self._call = call

    def render(self, context: Any) -> str:
        """Return the `<img>`; an assignment returns nothing.

        Raises:
            ImageKitError: The image could not be made, or a value cannot be used.
        """
        positional = [each.resolve(context) for each in self._positional]
        keywords = {name: each.resolve(context) for name, each in self._keywords.items()}
        kit = get_kit()
        try:
            if self._target is not None:
                id, options = self._call(_runtime(kit), positional, keywords)
                kit.registered(id)
                policy = options.pop("on_error", None)
                file = context[self._target] = kit.django_file(id, **options)
                file.on_error = checked_policy(policy, kit.settings.on_error)
                return ""
            attributes = {
                name: value if value is True else value.resolve(context)  # type: ignore[union-attr]  # never False
                for name, value in self._attributes.items()
            }
            return self._write(_runtime(kit), positional, keywords, attributes)
        except ImageKitError as error:
            if error.template is None:
                error.template, error.lineno = str(self.origin), self.token.lineno if self.token else None
            raise


def _write_image(runtime: DjangoRuntime, positional: list[Any], keywords: dict[str, Any], attributes: Any) -> Markup:
    return runtime.generateimage_tag(positional[0], keywords, attributes)


def _image_call(runtime: DjangoRuntime, positional: list[Any], keywords: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return positional[0], keywords


def _write_thumbnail(
    runtime: DjangoRuntime, positional: list[Any], keywords: dict[str, Any], attributes: Any
) -> Markup:
    id, dimensions, source = positional if len(positional) == 3 else (None, *positional)
    return runtime.thumbnail_tag(id, dimensions, source, keywords, attributes)


def _thumbnail_call(
    runtime: DjangoRuntime, positional: list[Any], keywords: dict[str, Any]
) -> tuple[str, dict[str, Any]]:
    id, dimensions, source = positional if len(positional) == 3 else (None, *positional)
    return runtime.thumbnail_call(id, dimensions, source, keywords)


@register.tag
def generateimage(parser: Parser, token: Token) -> ImageNode:
    """Write the image that a generator makes: `{% generateimage 'id' name=value … -- attribute=value … %}`.

    Attributes of the `<img>` stand behind `--`. With `as name` at the end, the cache file is assigned instead:

        {% generateimage 'blog:hero' source=article.photo as hero %}<a href="{{ hero.url }}">…</a>
    """
    arguments = Arguments(parser, token)
    if len(arguments.positional) != 1:
        raise arguments.fail(f"it takes one argument without a name, the generator's id, not {_count(arguments)}")
    return ImageNode(arguments, _write_image, _image_call)


@register.tag
def thumbnail(parser: Parser, token: Token) -> ImageNode:
    """Write a thumbnail: `{% thumbnail ['id'] 'WxH' source name=value … -- attribute=value … %}`.

    The keywords are `anchor`, `crop`, `upscale`, `format`, `quality`, and `srcset='1.5 2'` for further densities.
    """
    arguments = Arguments(parser, token)
    if len(arguments.positional) not in (2, 3):
        raise arguments.fail(
            "it takes a generator's id (which may be left out), the size as 'WxH' and the source, "
            f"not {_count(arguments)}"
        )
    return ImageNode(arguments, _write_thumbnail, _thumbnail_call)


def _count(arguments: Arguments) -> str:
    return f"{len(arguments.positional)} arguments"
