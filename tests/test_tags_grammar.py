"""The grammar of the tags: what is one argument, what ends it, and what a malformed tag is told."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from jinja2 import Environment, TemplateSyntaxError
from PIL import Image

from jinja_imagekit.kit import ImageKit


class Probe:
    """A generator without a source; it keeps the keywords that a template gave."""

    def __init__(self, keywords: dict[str, Any]) -> None:
        self.keywords = keywords

    def fingerprint(self) -> object:
        """Tell two probes apart by their keywords."""
        return repr(sorted(self.keywords.items()))

    def generate(self) -> BinaryIO:
        """Return a PNG of one pixel."""
        content = io.BytesIO()
        Image.new("RGB", (1, 1)).save(content, "PNG")
        content.seek(0)
        return content


class Page:
    """Renders sources, and knows the keywords with which the generator `probe` was made last."""

    def __init__(self, root: Path) -> None:
        kit = ImageKit(source_dirs=[root / "images"], location=root / "out", state_dir=root / "state")
        kit.register.generator("probe", self._make)
        self.environment = kit.install(Environment(autoescape=True))
        self.keywords: dict[str, Any] = {}

    def _make(self, /, **keywords: Any) -> Probe:
        self.keywords = keywords
        return Probe(keywords)

    def render(self, source: str, **context: Any) -> str:
        """Render a template."""
        names = {"a": "A", "b": "B", "n": 5, "no": False, "f": lambda *values: ",".join(map(str, values))}
        return self.environment.from_string(source).render({**names, **context})


@pytest.fixture
def page(tmp_path: Path, images_dir: Path) -> Page:
    """Return a page with a kit whose generator `probe` takes any keywords."""
    assert images_dir == tmp_path / "images"
    return Page(tmp_path)


EXPRESSIONS = [
    ("1", 1),
    ("-1", -1),
    ("1.5", 1.5),
    ("none", None),
    ("'s'", "s"),
    ("'s'|upper", "S"),
    ("'a-b'|replace('-', '+')", "a+b"),
    ("a", "A"),
    ("a|lower", "a"),
    ("a ~ ' ' ~ b", "A B"),
    ("'x' ~ a", "xA"),
    ("a if no else b", "B"),
    ("(a if no else b)", "B"),
    ("n-1", 4),
    ("n - 1", 4),
    ("n * 2 + 1", 11),
    ("-n", -5),
    ("not no", True),
    ("a == b", False),
    ("n > 1 and n < 9", True),
    ("a is defined", True),
    ("(n is divisibleby 5)", True),
    ("a in 'ABC'", True),
    ("(1, 2)", (1, 2)),
    ("(n - -1)", 6),
    ("[1, 2][1]", 2),
    ("{'k': 3}['k']", 3),
    ("f(1, 2)", "1,2"),
    ("f(1)|length", 1),
    ("'%s' % n", "5"),
    ("'ab'.upper()", "AB"),
    ("missing|default('d')", "d"),
]
BEHIND = ["", " y=2", " -- alt='z'", " --alt='z'", " -- hidden", " as t", " y=2 as t", " -- data-id=3", "\n", " -"]


@pytest.mark.parametrize("behind", BEHIND)
def test_every_expression_ends_where_the_next_part_begins(page: Page, behind: str) -> None:
    """A value is any expression of Jinja's, and stops at a name with `=`, at `--`, at `as` and at the end."""
    for index, (expression, value) in enumerate(EXPRESSIONS):
        page.render(f"{{% generateimage 'probe' i={index} x={expression}{behind}%}}{{{{ t.url if t }}}}")
        assert page.keywords.pop("i") == index
        assert page.keywords.pop("x") == value, expression
        assert page.keywords == ({"y": 2} if "y=2" in behind else {})


@pytest.mark.parametrize(
    ("expression", "value"), [(e, v) for e, v in EXPRESSIONS if not isinstance(v, bool) and v is not None]
)
def test_every_expression_is_an_attribute_value(page: Page, expression: str, value: object) -> None:
    """HTML attributes take the same expressions, one behind the other."""
    html = page.render(f"{{% generateimage 'probe' -- title={expression} class='c' data-x={expression} hidden %}}")
    text = str(value).replace("'", "&#39;")
    assert f' title="{text}" class="c" data-x="{text}" hidden>' in html


@pytest.mark.parametrize(
    ("arguments", "source"),
    [
        ("'8x8' 'a.jpg'", "a.jpg"),
        ("'8x8' \"a.jpg\"", "a.jpg"),
        ("'8x8''a.jpg'", "a.jpg"),
        ("'imagekit:thumbnail' '8x8' 'a.jpg'", "a.jpg"),
        ("'8x8' ('a' ~ '.jpg')", "a.jpg"),
        ("'8x8' 'a' ~ '.jpg'", "a.jpg"),
        ("('8' ~ 'x8') ('a.jpg')", "a.jpg"),
        ("8 ~ 'x' ~ 8 photo", "a.jpg"),
        ("size photo", "a.jpg"),
        ("size photos[0]", "a.jpg"),
        ("'8x8' ['b.jpg', 'a.jpg'][1]", "a.jpg"),
        ("'8x8' photos|first", "a.jpg"),
        ("'8X8'|lower photo", "a.jpg"),
        ("'8x8' 'A.JPG'|lower", "a.jpg"),
        ("'8x8' get('a.jpg')", "a.jpg"),
        ("'8x8' article.photo", "a.jpg"),
        ("'8x8' article['photo']", "a.jpg"),
        ("'8x8' none or photo", "a.jpg"),
        ("'8x8' crop=true photo", "a.jpg"),
        ("\n  '8x8'\n  photo\n  anchor='tl'\n", "a.jpg"),
    ],
)
def test_arguments_side_by_side_are_separate(page: Page, write_photo: Any, arguments: str, source: str) -> None:
    """What Jinja would join, call or subtract stays two arguments in a tag, whatever comes behind them."""
    write_photo(source, 32, 24)
    context = {"size": "8x8", "photo": "a.jpg", "photos": ["a.jpg"], "get": str, "article": {"photo": "a.jpg"}}
    for behind in ("", " -- alt='x'", " as t", " format='png'", " upscale=not no -- alt='x'"):
        html = page.render(f"{{% thumbnail {arguments}{behind} %}}{{{{ t }}}}", **context)
        assert '<img src="/CACHE/images/a/' in html


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("data-id", "data-id"),
        ("aria-label", "aria-label"),
        ("x-on:click", "x-on:click"),
        ("x-on:click.prevent", "x-on:click.prevent"),
        ("a-b-c-d", "a-b-c-d"),
        ("as", "as"),
        ("is", "is"),
        ("in", "in"),
        ("if", "if"),
        ("not", "not"),
        ("for", "for"),
        ("file", "file"),
        ("self", "self"),
        ("source", "source"),
        ("context", "context"),
        ("attributes", "attributes"),
        ("true", "true"),
        ("'@click'", "@click"),
        ("':class'", ":class"),
        ("'data-007'", "data-007"),
        ("'data--x'", "data--x"),
    ],
)
def test_attribute_names(page: Page, name: str, written: str) -> None:
    """Names hold hyphens, colons and dots, may be words of Jinja's, and any other is quoted."""
    html = page.render(f"{{% generateimage 'probe' -- alt=a {name}=b|lower title='t' %}}")
    assert html.endswith(f' alt="A" {written}="b" title="t">')
    assert page.render(f"{{% generateimage 'probe' -- {name}='x' %}}").endswith(f' {written}="x">')


@pytest.mark.parametrize("name", ["hidden", "data-id", "x-on:click.prevent"])
def test_bare_attributes(page: Page, name: str) -> None:
    """A name without a value is written bare, wherever it stands."""
    assert page.render(f"{{% generateimage 'probe' -- {name} %}}").endswith(f" {name}>")
    assert page.render(f"{{% generateimage 'probe' -- {name} alt=a %}}").endswith(f' {name} alt="A">')
    assert page.render(f"{{% generateimage 'probe' -- alt=a {name} %}}").endswith(f' alt="A" {name}>')


def test_keywords_of_any_name_reach_the_generator(page: Page) -> None:
    """Keywords collide with nothing in this library."""
    page.render(
        "{% generateimage 'probe' file=1 kwargs=2 attributes=3 context=4 generator_id=5 as=6 make=7 id=8 self=9 %}"
    )
    names = ("file", "kwargs", "attributes", "context", "generator_id", "as", "make", "id", "self")
    assert page.keywords == dict(zip(names, range(1, 10), strict=True))


@pytest.mark.parametrize(
    "tag",
    [
        "{%- generateimage 'probe' -- alt='x' -%}",
        "{%+ generateimage 'probe' -- alt='x' +%}",
        "{%- generateimage 'probe' --alt='x'-%}",
        "{%- generateimage 'probe'--alt='x'-%}",
    ],
)
def test_whitespace_control(page: Page, tag: str) -> None:
    """The minus of `-%}` is none of the delimiter's."""
    assert page.render(tag).endswith(' alt="x">')


def test_line_statements(tmp_path: Path) -> None:
    """The tags work as line statements too."""
    kit = ImageKit(location=tmp_path / "out", state_dir=tmp_path / "state")
    kit.register.generator("probe", lambda: Probe({}))
    environment = kit.install(Environment(line_statement_prefix="#"))
    assert environment.from_string("# generateimage 'probe' -- alt='x'\n").render().endswith(' alt="x">')


def test_own_delimiters_of_blocks(tmp_path: Path) -> None:
    """The tags work with other block delimiters than Jinja's own."""
    kit = ImageKit(location=tmp_path / "out", state_dir=tmp_path / "state")
    kit.register.generator("probe", lambda: Probe({}))
    environment = kit.install(Environment(block_start_string="<%", block_end_string="%>"))
    assert environment.from_string("<% generateimage 'probe' -- alt='x' %>").render().endswith(' alt="x">')


MALFORMED = [
    ("generateimage", "takes one argument, the generator's id, not 0"),
    ("generateimage a=1", "takes one argument, the generator's id, not 0"),
    ("generateimage 'x' 'y'", "takes one argument, the generator's id, not 2"),
    ("thumbnail", "takes two or three arguments .* not 0"),
    ("thumbnail '8x8'", "takes two or three arguments .* not 1"),
    ("thumbnail '8x8' crop=1", "takes two or three arguments .* not 1"),
    ("thumbnail 'a' 'b' 'c' 'd'", "takes two or three arguments .* not 4"),
    ("thumbnail '8x8' p --", "attributes are missing after '--'"),
    ("thumbnail '8x8' p -", "attributes are missing after '--'"),
    ("thumbnail '8x8' p -- as x", "'as name' assigns the image and writes no HTML"),
    ("thumbnail '8x8' p -- alt='x' as x", "'as name' assigns the image and writes no HTML"),
    ("thumbnail '8x8' p as x -- alt='x'", "'as name' assigns the image and writes no HTML"),
    ("thumbnail '8x8' p as x crop=1", "'as name' comes last"),
    ("thumbnail '8x8' p as", "expected token|unexpected"),
    ("thumbnail '8x8' p as 'x'", "can't assign to 'const'"),
    ("thumbnail '8x8' p as true", "can't assign to 'const'"),
    ("thumbnail '8x8' p as x.y.z", "'as name' comes last"),
    ("thumbnail '8x8' p -- 'x'", "HTML attributes are written name=value"),
    ("thumbnail '8x8' p -- alt='x' 'y'", "HTML attributes are written name=value"),
    ("thumbnail '8x8' p -- alt='x' 5", "HTML attributes are written name=value"),
    ("thumbnail '8x8' p -- (x)", "HTML attributes are written name=value"),
    ("thumbnail '8x8' p -- :class='x'", "quote names with.*as in: '@click'"),
    ("thumbnail '8x8' p -- alt='x' -- b", "a second '--'"),
    ("thumbnail '8x8' p -- alt='x' alt='y'", "the attribute alt is given twice"),
    ("thumbnail '8x8' p -- alt='x' ALT='y'", "the attribute ALT is given twice"),
    ("thumbnail '8x8' p -- hidden hidden", "the attribute hidden is given twice"),
    ("thumbnail '8x8' p -- alt=", "alt= has no value"),
    ("thumbnail '8x8' p -- alt= title='x'", "alt= has no value"),
    ("thumbnail '8x8' p crop= -- alt='x'", "crop= has no value"),
    ("thumbnail '8x8' p crop=", "crop= has no value"),
    ("thumbnail '8x8' p crop=1 crop=2", "crop= is given twice"),
    ("thumbnail '8x8' p data-id=3", "HTML attributes come after '--'"),
    ("thumbnail '8x8', p", "separated by spaces, not by commas"),
    ("thumbnail '8x8' p -- alt='x', id='y'", "separated by spaces, not by commas"),
    ("thumbnail '8x8' p -- @click='x'", "unexpected char '@'.*Quote attribute names with such a character: '@click'"),
    ("thumbnail '8x8' p -- data-2x='x'", "must be quoted"),
    ("thumbnail '8x8' p -- src='x'", "src is the image's own URL"),
    ("thumbnail '8x8' p -- 'a b'='x'", "'a b' is not an HTML attribute name"),
    ("thumbnail '8x8' p -- 'a\\'b'='x'", "is not an HTML attribute name"),
    ("thumbnail '8x8' p -- 'a/b'='x'", "is not an HTML attribute name"),
    ("thumbnail '8x8' p -- 'a=b'='x'", "is not an HTML attribute name"),
    ("thumbnail '8x8' p -- 'a\\x00'='x'", "is not an HTML attribute name"),
    ("thumbnail '8x8' p -- ''='x'", "is not an HTML attribute name"),
    ("thumbnail '8x8' source=p", "takes two or three arguments"),
    ("thumbnail '8x8' src=p", "src= is given without a name; write for example {% thumbnail '400x300' photo"),
    ("picture '8x8' src=p", "src= is given without a name; write for example {% picture '800x' photo"),
    ("thumbnail '8x8' p source=q", "source= is given without a name"),
    ("thumbnail '8x8' p width=3", "width= is given without a name"),
    ("thumbnail '8x8' p srcset='2' as x", "srcset= is for the <img>"),
    ("thumbnail '8x8' (p", None),
    ("thumbnail '8x8' p ~ -- alt='x'", "unexpected '--'"),
]


@pytest.mark.parametrize(("tag", "message"), MALFORMED)
def test_malformed_tags_are_syntax_errors(page: Page, tag: str, message: str | None) -> None:
    """A malformed tag is refused when the template is compiled, on its line, with what to do."""
    with pytest.raises(TemplateSyntaxError, match=message) as caught:
        page.environment.from_string(f"one\ntwo\n{{% {tag} %}}")
    assert caught.value.lineno == 3


@pytest.mark.parametrize("end", ["--%}", "-- -%}", "-- +%}"])
def test_delimiter_at_the_end_of_the_block(page: Page, end: str) -> None:
    """`--` right before the end is told that attributes are missing, whatever the whitespace control."""
    with pytest.raises(TemplateSyntaxError, match="attributes are missing after '--'"):
        page.environment.from_string("{% thumbnail '8x8' p " + end)


def test_error_names_the_line_within_a_tag(page: Page) -> None:
    """In a tag of several lines, the error stands on the line of the culprit."""
    with pytest.raises(TemplateSyntaxError) as caught:
        page.environment.from_string("{% thumbnail '8x8'\n  p\n  crop=1\n  crop=2 %}")
    assert caught.value.lineno == 4


def test_unclosed_tag(page: Page) -> None:
    """A tag that is never closed is a syntax error, not a hang."""
    with pytest.raises(TemplateSyntaxError):
        page.environment.from_string("{% thumbnail '8x8' p")


def test_other_errors_of_the_lexer_are_left_as_they_are(page: Page) -> None:
    """A bracket that was never opened is Jinja's own error."""
    with pytest.raises(TemplateSyntaxError, match="unexpected '\\)'"):
        page.environment.from_string("{% thumbnail '8x8' p) %}")
