"""The parts of a tag in any template language, and how they are read from Jinja's tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Generic, NamedTuple, NoReturn, TypeVar

from jinja2 import TemplateSyntaxError, nodes
from jinja2.lexer import Token, TokenStream, describe_token
from jinja2.parser import Parser

from ..exceptions import InvalidAttribute, UnknownKeyword, nearest
from ..html import check_attribute_name
from ..pictures.calls import PICTURE_KEYWORDS

# Types of two tokens of our own. Jinja's expressions end at a type that they do not know, and its errors show it.
DELIMITER = "--"
BOUNDARY = "end of argument"

_OPENING = frozenset({"lparen", "lbracket", "lbrace"})
_CLOSING = frozenset({"rparen", "rbracket", "rbrace"})
_LITERALS = frozenset({"string", "integer", "float"})
_NAME_JOINTS = {"sub": "-", "colon": ":", "dot": "."}

E = TypeVar("E")


class TagForm(NamedTuple):
    """What one tag takes before its keywords.

    Attributes:
        fewest: The number of positional arguments.
        most: The number of positional arguments when the generator's id is given.
        takes: What they are, in words.
        example: A complete tag.
        keywords: The tag's own keywords, in addition to the generator's.
        positional: The generator's keywords that the arguments stand for, which may not be given by name too.
    """

    fewest: int
    most: int
    takes: str
    example: str
    keywords: tuple[str, ...] = ("on_error",)
    positional: tuple[str, ...] = ()


class TagFunctions(NamedTuple):
    """The names of the filters that a compiled tag calls.

    Attributes:
        html: Returns what the tag writes.
        file: Returns what the tag assigns.
    """

    html: str
    file: str


_HERO = "{% generateimage 'blog:hero' source=photo -- alt=title %}"

FORMS = {
    "generateimage": TagForm(1, 1, "one argument, the generator's id", _HERO, ("on_error", *PICTURE_KEYWORDS)),
    "thumbnail": TagForm(
        2,
        3,
        "two or three arguments (a generator's id, which may be left out, the dimensions and the source)",
        "{% thumbnail '400x300' photo -- alt=title %}",
        ("on_error", "srcset", *PICTURE_KEYWORDS),
        ("source", "width", "height"),
    ),
    "picture": TagForm(
        2,
        3,
        "two or three arguments (a generator's id, which may be left out, the dimensions and the source)",
        "{% picture '800x' photo -- alt=title %}",
        ("on_error", *PICTURE_KEYWORDS),
        ("source", "width", "height"),
    ),
}
"""The tags by name."""

_ATTRIBUTE = re.compile(
    "alt|class|crossorigin|decoding|dir|draggable|fetchpriority|hidden|id|ismap|itemprop|lang|loading|referrerpolicy|role|"
    "style|tabindex|title|usemap|on[a-z]+|(aria|data)_.*"
)
"""Attributes of an `<img>` that the tags do not write themselves, spelt as keywords."""


_INTERNAL = ("largest",)
"""Keywords of generators that pictures pass, and nobody else."""

PLAIN_SPEC = ("width", "height", "format")
"""Keywords that a picture passes to its generator."""


class Asker(NamedTuple):
    """The tag or filter of a template that asks for an image.

    Attributes:
        name: Its name, one of `FORMS`.
        is_filter: Whether it is the filter of that name.
    """

    name: str
    is_filter: bool = False

    def explain(self, error: UnknownKeyword) -> None:
        """Add to an error who passed the keyword, which keyword is nearest, and where HTML attributes go."""
        form, keyword = FORMS[self.name], error.option
        error.asked_by = f"The filter {self.name}" if self.is_filter else f"{{% {self.name} %}}"
        if self.name == "picture" and keyword in PLAIN_SPEC:
            error.expected = f"a picture passes its generator {', '.join(PLAIN_SPEC)}, which {error.generator!r} lacks"
            error.advice = (
                "Have its constructor take them, or write for a spec of one size: "
                f"{{% generateimage {error.generator!r} source=photo widths='400 800' -- alt=title %}}"
            )
            return
        if keyword == "src" and form.positional:
            error.advice = f"The source is passed without a name, for example: {self._example(form)}"
            return
        if keyword in form.positional:
            error.advice = f"{error.asked_by} is for generators that take a size; for any other, write {_HERO}"
            return
        attributes = (
            f"Filters do not write HTML attributes; the tag does: {form.example}"
            if self.is_filter
            else f"HTML attributes come after '--': {form.example}"
        )
        if _ATTRIBUTE.fullmatch(keyword):
            error.advice = attributes
        else:
            known = {*error.known, *form.keywords}.difference(form.positional, _INTERNAL)
            error.advice = f"{nearest(keyword, known)} {attributes}"

    def _example(self, form: TagForm) -> str:
        return f"{{{{ photo | {self.name}('400x300') }}}}" if self.is_filter else form.example


class TagArguments(Generic[E]):
    """The parts of one tag, and the errors for parts that cannot be right.

    A template language's own reader fills it in, part by part, and calls `check` at the end.

    Args:
        name: The tag's name, one of `FORMS`.

    Attributes:
        name: The tag's name.
        arguments: Positional expressions.
        keywords: Expressions by name, before the delimiter.
        attributes: Expressions by HTML attribute name, after the delimiter.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.arguments: list[E] = []
        self.keywords: dict[str, E] = {}
        self.attributes: dict[str, E] = {}

    def fail(self, problem: str, lineno: int | None = None) -> NoReturn:
        """Raise the template language's own error for this tag."""
        raise NotImplementedError

    def check_keyword(self, name: str, lineno: int | None = None) -> None:
        """Refuse a keyword that was already given."""
        if name in self.keywords:
            self.fail(f"{name}= is given twice", lineno)

    def check_attribute(self, name: str, lineno: int | None = None) -> None:
        """Refuse an HTML attribute that is invalid, belongs to the tag, or was given before."""
        try:
            check_attribute_name(name)
        except InvalidAttribute as error:
            self.fail(error.message(), lineno)
        if name.lower() == "src":
            self.fail("src is the image's own URL; to write another one, use 'as name' and your own <img>", lineno)
        if name.lower() in map(str.lower, self.attributes):
            self.fail(f"the attribute {name} is given twice", lineno)

    def refuse_empty(self, name: str, lineno: int | None = None) -> NoReturn:
        """Refuse a name with nothing after its `=`."""
        self.fail(f"{name}= has no value", lineno)

    def refuse_no_attributes(self, lineno: int | None = None) -> NoReturn:
        """Refuse a delimiter with nothing after it."""
        self.fail("HTML attributes are missing after '--'; without any, leave out the '--'", lineno)

    def refuse_both(self, lineno: int | None = None) -> NoReturn:
        """Refuse both a target and attributes."""
        self.fail("'as name' assigns the image and writes no HTML, so it takes no attributes after '--'", lineno)

    def check(self, *, assigns: bool) -> None:
        """Refuse too few or too many arguments, and keywords that duplicate one of them."""
        form = FORMS[self.name]
        if "src" in self.keywords and form.positional and len(self.arguments) < form.fewest:
            self.fail(f"src= is given without a name; write for example {form.example}")
        if not form.fewest <= len(self.arguments) <= form.most:
            self.fail(f"takes {form.takes}, not {len(self.arguments)}; write for example {form.example}")
        for name in form.positional:
            if name in self.keywords:
                self.fail(f"{name}= is given without a name; write for example {form.example}")
        if assigns and "srcset" in self.keywords:
            self.fail("srcset= is for the <img> that the tag writes; 'as name' writes none")


class TagReader(TagArguments[nodes.Expr]):
    """One of Jinja's tags, read to its end: its arguments, and what follows them.

    An argument is any Jinja expression. Where Jinja would read two of them as one (`'100x100' 'photo.jpg'`,
    `'10x10' (photo)`, `photo -- alt`), they are kept apart.

    Args:
        parser: Jinja's parser, positioned at the tag's name.

    Attributes:
        lineno: The tag's first line.
        target: What `as` assigns to, or None.

    Raises:
        TemplateSyntaxError: The tag is malformed; the message says how to write it.
    """

    def __init__(self, parser: Parser) -> None:
        token = next(parser.stream)
        super().__init__(str(token.value))
        self.lineno = token.lineno
        self.target: nodes.Expr | None = None
        self._parser = parser
        template_stream = parser.stream
        tokens = self._take_tokens()
        self._stream = TokenStream(_separate(tokens), parser.name, parser.filename)
        parser.stream = self._stream
        try:
            self._read_arguments()
        finally:
            parser.stream = template_stream
        self.check(assigns=self.target is not None)

    def fail(self, problem: str, lineno: int | None = None) -> NoReturn:
        """Raise a `TemplateSyntaxError` about this tag."""
        self._parser.fail(f"{{% {self.name} %}}: {problem}", lineno or self.lineno)

    def _take_tokens(self) -> list[Token]:
        stream = self._parser.stream
        tokens = []
        try:
            while stream.current.type not in ("block_end", "eof"):
                tokens.append(next(stream))
        except TemplateSyntaxError as error:
            if not (error.message or "").startswith("unexpected char"):
                raise
            self.fail(f"{error.message}. Quote attribute names with such a character: '@click'='…'.", error.lineno)
        return [*tokens, stream.current]

    def _read_arguments(self) -> None:
        while not self._at_end():
            if self._skip(DELIMITER):
                return self._read_attributes()
            if self._at_assignment():
                self._read_target()
            elif self._at_name():
                self._read_keyword()
            else:
                self._refuse_comma()
                self.arguments.append(self._parser.parse_expression())
                if self._stream.current.type == "assign":
                    self.fail(
                        "keywords have plain names; HTML attributes come after '--', as in: -- data-id=3",
                        self._stream.current.lineno,
                    )
        return None

    def _read_keyword(self) -> None:
        token = self._stream.current
        self.check_keyword(token.value, token.lineno)
        next(self._stream)
        self.keywords[token.value] = self._read_value(token.value)

    def _read_target(self) -> None:
        lineno = next(self._stream).lineno
        self._skip(BOUNDARY)
        self.target = self._parser.parse_assign_target(with_tuple=False, with_namespace=True)
        if self._stream.current.type == DELIMITER:
            self.refuse_both(lineno)
        if not self._at_end():
            self.fail("'as name' comes last", lineno)

    def _read_attributes(self) -> None:
        if self._at_end():
            self.refuse_no_attributes()
        while not self._at_end():
            token = self._stream.current
            if token.type == DELIMITER:
                self.fail("a second '--'; quote an attribute name that contains one: 'data--x'=…", token.lineno)
            if self._at_assignment():
                self.refuse_both(token.lineno)
            self._refuse_comma()
            name = self._read_attribute_name()
            if self._stream.current.type == "assign":
                self.attributes[name] = self._read_value(name)
            else:
                self.attributes[name] = nodes.Const(True, lineno=token.lineno)

    def _read_attribute_name(self) -> str:
        token = self._stream.current
        quoted = token.type == "string" and self._stream.look().type == "assign"
        if not quoted and token.type != "name":
            self.fail(
                f"unexpected {describe_token(token)!r}: HTML attributes are written name=value; quote names with "
                "characters other than letters, digits, '_', '-', ':' and '.', as in: '@click'='…'",
                token.lineno,
            )
        name = str(next(self._stream).value)
        while not quoted and self._stream.current.type in _NAME_JOINTS:
            name += _NAME_JOINTS[next(self._stream).type]
            part = next(self._stream)
            if part.type != "name":
                self.fail(f"the attribute name that begins with {name!r} must be quoted: '{name}…'=…", part.lineno)
            name += part.value
        self.check_attribute(name, token.lineno)
        return name

    def _read_value(self, name: str) -> nodes.Expr:
        assign = self._stream.expect("assign")
        if self._stream.current.type in (BOUNDARY, DELIMITER, "block_end"):
            self.refuse_empty(name, assign.lineno)
        return self._parser.parse_expression()

    def _refuse_comma(self) -> None:
        if self._stream.current.type == "comma":
            self.fail("arguments are separated by spaces, not by commas", self._stream.current.lineno)

    def _skip(self, token_type: str) -> bool:
        return self._stream.skip_if(token_type)

    def _at_end(self) -> bool:
        while self._skip(BOUNDARY):
            pass
        return self._stream.current.type in ("block_end", "eof")

    def _at_name(self) -> bool:
        return self._stream.current.type == "name" and self._stream.look().type == "assign"

    def _at_assignment(self) -> bool:
        return self._stream.current.test("name:as") and self._stream.look().type != "assign"


def _separate(tokens: list[Token]) -> Iterator[Token]:
    """Yield a tag's tokens with marks of our own wherever Jinja would read beyond the end of an argument."""
    depth = 0
    before = Token(0, BOUNDARY, "")
    rest = iter(range(len(tokens)))
    for index in rest:
        token = tokens[index]
        after = tokens[index + 1] if index + 1 < len(tokens) else Token(token.lineno, "eof", "")
        if depth == 0 and token.type == "sub" and after.type in ("sub", "block_end"):
            # `--%}` arrives as a single minus, since the other belongs to the end of the block.
            token = Token(token.lineno, DELIMITER, DELIMITER)
            if after.type == "sub":
                next(rest)
        elif depth == 0 and _begins_argument(before, token, after):
            yield Token(token.lineno, BOUNDARY, "")
        depth += (token.type in _OPENING) - (token.type in _CLOSING)
        yield token
        before = token


def _begins_argument(before: Token, token: Token, after: Token) -> bool:
    if token.type in ("string", "lbracket") and before.type == "string":
        return True
    if token.type == "lparen" and (before.type in _LITERALS or before.type == "rparen"):
        return True
    if before.type in _NAME_JOINTS:
        return False
    if token.type in ("name", "string") and after.type == "assign":
        return True
    return before.type != "assign" and token.test("name:as") and after.type == "name"


def tag_nodes(tag: TagReader, functions: TagFunctions) -> nodes.Node:
    """Return what Jinja compiles a tag to: a call whose result is written or assigned.

    Args:
        tag: The tag.
        functions: The names of the filters to call.
    """
    arguments = list(tag.arguments)
    if len(arguments) < FORMS[tag.name].most:
        arguments.insert(0, nodes.Const(None, lineno=tag.lineno))
    arguments.append(_dict_node(tag.keywords, tag.lineno))
    if tag.target is not None:
        return nodes.Assign(tag.target, _call(functions.file, arguments, tag.lineno), lineno=tag.lineno)
    arguments.append(_dict_node(tag.attributes, tag.lineno))
    return nodes.Output([_call(functions.html, arguments, tag.lineno)], lineno=tag.lineno)


def _dict_node(values: dict[str, nodes.Expr], lineno: int) -> nodes.Dict:
    pairs = [nodes.Pair(nodes.Const(name, lineno=lineno), value, lineno=lineno) for name, value in values.items()]
    return nodes.Dict(pairs, lineno=lineno)


def _call(function: str, arguments: list[nodes.Expr], lineno: int) -> nodes.Filter:
    # Jinja calls filters directly; calls go through Context.call, which takes 4 µs and consults the sandbox.
    return nodes.Filter(arguments[0], function, arguments[1:], [], None, None, lineno=lineno)
