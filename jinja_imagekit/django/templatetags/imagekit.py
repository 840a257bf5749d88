"""The tags of Django's templates, `generateimage`, `thumbnail` and `picture`; they write what Jinja's write."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NoReturn

from django import template
from django.template import TemplateSyntaxError
from django.template.base import FilterExpression, Parser, Token
from markupsafe import Markup

from ...exceptions import ImageKitError, UnknownKeyword
from ...ext.files import TemplatePicture
from ...ext.grammar import Asker, TagArguments
from ...ext.runtime import TemplateRuntime
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
    "picture",
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
    """Return width and height in pixels for `'100x50'`, `'100x'` or `'x50'`; None for an omitted side.

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
        # The file does this itself.
        return None

    def file(self, generator_id: str, kwargs: dict[str, Any]) -> ImageCacheFile:  # type: ignore[override]  # a Django file
        """Return a cache file in the form that a template gets; nothing has been opened yet."""
        return self.django_file(generator_id, self._cropped(generator_id, kwargs))

    def django_file(self, id: str, kwargs: dict[str, Any]) -> ImageCacheFile:
        """Return a generator's cache file as Django knows it, with the policy among the keywords."""
        self._kit.registered(id)
        policy, options = self._split(kwargs)
        file: ImageCacheFile = get_kit().django_file(id, **options)
        file.on_error = policy
        return file

    def srcset(self, urls: Mapping[str, str]) -> str:
        """Return the value of `srcset` for URLs by pixel density, spelt as in django-imagekit, which tests look for."""
        # It writes whole densities other than 1 as floats: "2.0x".
        spelt = [(url, re.sub("^(?!1x)([0-9]+)x$", r"\1.0x", density)) for density, url in urls.items()]
        return " , ".join(f"{url} {density}" for url, density in spelt)


@lru_cache(maxsize=1)
def _runtime(kit: Any) -> DjangoRuntime:
    return DjangoRuntime(kit)


class Arguments(TagArguments[FilterExpression | bool]):
    """What stands in a tag of Django's, and the name that `as` assigns to.

    Args:
        parser: Django's parser.
        token: The tag.

    Raises:
        TemplateSyntaxError: The tag cannot be read.
    """

    def __init__(self, parser: Parser, token: Token) -> None:
        self._parser = parser
        name, *bits = token.split_contents()
        super().__init__(name)
        self.target: str | None = None
        if len(bits) >= 2 and bits[-2] == ASSIGNMENT_DELIMETER:
            self.target = bits[-1]
            del bits[-2:]
        if HTML_ATTRS_DELIMITER in bits:
            position = bits.index(HTML_ATTRS_DELIMITER)
            self._read_attributes(bits[position + 1 :])
            del bits[position:]
        for bit in bits:
            self._read_argument(bit)
        self.check(assigns=self.target is not None)

    def fail(self, problem: str, lineno: int | None = None) -> NoReturn:
        """Raise the error of a problem with this tag; Django itself says in which line it stands."""
        raise TemplateSyntaxError(f"{{% {self.name} %}}: {problem}")

    def _read_argument(self, bit: str) -> None:
        match = _KEYWORD.fullmatch(bit)
        if match is None:
            if self.keywords:
                self.fail(f"{bit} comes after a keyword; arguments without a name come first")
            self.arguments.append(self._parser.compile_filter(bit))
            return
        name, value = match.groups()
        self.check_keyword(name)
        self.keywords[name] = self._value(name, value)

    def _read_attributes(self, bits: list[str]) -> None:
        if self.target is not None:
            self.refuse_both()
        if not bits:
            self.refuse_no_attributes()
        for bit in bits:
            match = _ATTRIBUTE.fullmatch(bit)
            if match is None:
                self.fail(f"{bit} cannot be an HTML attribute; write name=value")
            name, value = match.groups()
            if value is None and not _PLAIN_ATTRIBUTE.fullmatch(name):
                self.fail(f"{bit} has no name: HTML attributes are written name=value")
            name = name.strip("\"'")
            self.check_attribute(name)
            self.attributes[name] = True if value is None else self._value(name, value)

    def _value(self, name: str, text: str) -> FilterExpression:
        if not text:
            self.refuse_empty(name)
        return self._parser.compile_filter(text)


class ImageNode(template.Node):
    """A tag that writes HTML, or assigns a cache file or picture.

    Args:
        arguments: What stands in the tag.
        write: Writes the HTML: called with the runtime, the resolved positional arguments, keywords and attributes.
        give: Returns what `as` assigns, called with the runtime and the same but the attributes.
    """

    def __init__(self, arguments: Arguments, write: Callable[..., Markup], give: Callable[..., Any]) -> None:
        self._asker = Asker(arguments.name)
        self._target = arguments.target
        self._positional = arguments.arguments
        self._keywords = arguments.keywords
        self._attributes = arguments.attributes
        self._write = write
        self._give = give

    def render(self, context: Any) -> str:
        """Return the HTML; an assignment returns nothing.

        Raises:
            ImageKitError: The image could not be made, or a value cannot be used.
        """
        positional = [_resolved(each, context) for each in self._positional]
        keywords = {name: _resolved(each, context) for name, each in self._keywords.items()}
        runtime = _runtime(get_kit())
        try:
            if self._target is not None:
                given = context[self._target] = self._give(runtime, positional, keywords)
                if isinstance(given, TemplatePicture):
                    given.asker = self._asker
                return ""
            attributes = {name: _resolved(value, context) for name, value in self._attributes.items()}
            return self._write(runtime, positional, keywords, attributes)
        except ImageKitError as error:
            if isinstance(error, UnknownKeyword):
                self._asker.explain(error)
            if error.template is None:
                error.template, error.lineno = str(self.origin), self.token.lineno if self.token else None
            raise


def _resolved(value: FilterExpression | bool, context: Any) -> Any:
    if isinstance(value, bool):
        return value
    resolved = value.resolve(context)
    # Django takes what a template says in quotes for HTML; here it is text, as in Jinja.
    is_literal = isinstance(value.var, str) and not value.filters
    return str.__str__(resolved) if is_literal else resolved


def _write_image(runtime: DjangoRuntime, positional: list[Any], keywords: dict[str, Any], attributes: Any) -> Markup:
    return runtime.generateimage_tag(positional[0], keywords, attributes)


def _give_image(runtime: DjangoRuntime, positional: list[Any], keywords: dict[str, Any]) -> Any:
    return runtime.spec_image(positional[0], keywords)


def _with_id(positional: list[Any]) -> tuple[Any, Any, Any]:
    """Return generator id, dimensions and source, the first of which may be left out."""
    id, dimensions, source = positional if len(positional) == 3 else (None, *positional)
    return id, dimensions, source


def _write_thumbnail(
    runtime: DjangoRuntime, positional: list[Any], keywords: dict[str, Any], attributes: Any
) -> Markup:
    return runtime.thumbnail_tag(*_with_id(positional), keywords, attributes)


def _give_thumbnail(runtime: DjangoRuntime, positional: list[Any], keywords: dict[str, Any]) -> Any:
    return runtime.thumbnail_image(*_with_id(positional), keywords)


def _write_picture(runtime: DjangoRuntime, positional: list[Any], keywords: dict[str, Any], attributes: Any) -> Markup:
    return runtime.picture_tag(*_with_id(positional), keywords, attributes)


def _give_picture(runtime: DjangoRuntime, positional: list[Any], keywords: dict[str, Any]) -> TemplatePicture:
    return runtime.picture(*_with_id(positional), keywords)


@register.tag
def generateimage(parser: Parser, token: Token) -> ImageNode:
    """Write the image that a generator makes: `{% generateimage 'id' name=value … -- attribute=value … %}`.

    Attributes of the `<img>` stand behind `--`. With `as name` at the end, the cache file is assigned instead:

        {% generateimage 'blog:hero' source=article.photo as hero %}<a href="{{ hero.url }}">…</a>
    """
    return ImageNode(Arguments(parser, token), _write_image, _give_image)


@register.tag
def thumbnail(parser: Parser, token: Token) -> ImageNode:
    """Write a thumbnail: `{% thumbnail ['id'] 'WxH' source name=value … -- attribute=value … %}`.

    The keywords are `anchor`, `crop`, `upscale`, `format`, `quality`, and `srcset='1.5 2'` for further densities.
    """
    return ImageNode(Arguments(parser, token), _write_thumbnail, _give_thumbnail)


@register.tag
def picture(parser: Parser, token: Token) -> ImageNode:
    """Write a responsive picture: `{% picture ['id'] 'WxH' source name=value … -- attribute=value … %}`.

    The keywords are `layout`, `widths`, `sizes`, `formats`, `at`, `focus`, `alt`, `priority`, `placeholder`, and those
    of `{% thumbnail %}`. With `as name` at the end, the picture is assigned instead:

        {% picture '800x' article.photo alt=article.title priority=True as p %}{{ p.preload }}{{ p }}
    """
    return ImageNode(Arguments(parser, token), _write_picture, _give_picture)
