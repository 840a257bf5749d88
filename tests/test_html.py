"""The HTML of an image: what a browser reads is what was given, and nothing breaks out of an attribute."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup

from jinja_imagekit.exceptions import InvalidAttribute, InvalidOption
from jinja_imagekit.html import attribute_text, check_attribute_name, img_tag

FORBIDDEN = tuple(" \t\n\f\r\"'<>/=\x00\x1f\x7f\x80\x9f\u00a0\u2028\ufdd0\ufffe\uffff\U0001fffe\U0010ffff\ud800")

NAMES = st.text(st.characters(exclude_categories=("Cc", "Cs", "Cn", "Z"), exclude_characters="\"'<>/="), min_size=1)
VALUES = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\r\x00"))


class Reader(HTMLParser):
    """Collects the start tags of a page, as a browser would read them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attrs))

    def handle_data(self, data: str) -> None:
        self.text += data


class Claims:
    """An object that says it is HTML already, and is not."""

    def __html__(self) -> str:
        return '"><script>'

    def __str__(self) -> str:
        return Markup('" onload="x')


def read_img(page: str) -> dict[str, str | None]:
    """Return the attributes of a page's only element."""
    reader = Reader(page)
    assert [tag for tag, _ in reader.tags] == ["img"]
    assert reader.text == ""
    return dict(reader.tags[0][1])


def test_url_and_size_are_written() -> None:
    """An image without attributes has its URL, width and height."""
    assert img_tag("/a.jpg", 40, 30) == '<img src="/a.jpg" width="40" height="30">'


def test_unknown_size_is_left_out() -> None:
    """None as width or height writes neither `None` nor an empty attribute."""
    assert img_tag("/a.jpg", None, None) == '<img src="/a.jpg">'


def test_attributes_follow_in_the_authors_order() -> None:
    """The image's own attributes come first, then the author's as they were given."""
    html = img_tag("/a.jpg", 4, 3, {"class": "b", "alt": "c", "id": "d"}, "/b.jpg 2x")
    assert html == '<img src="/a.jpg" srcset="/b.jpg 2x" width="4" height="3" class="b" alt="c" id="d">'


@pytest.mark.parametrize("name", ["width", "height", "WIDTH"])
def test_either_side_given_by_the_author_replaces_both(name: str) -> None:
    """With a width of the author's own, the image's height would distort it."""
    assert img_tag("/a.jpg", 40, 30, {name: "100%"}) == f'<img src="/a.jpg" {name}="100%">'


def test_width_of_none_leaves_the_size_out() -> None:
    """An author who wants no size at all says `width=none`."""
    assert img_tag("/a.jpg", 40, 30, {"width": None}) == '<img src="/a.jpg">'


def test_authors_srcset_replaces_ours() -> None:
    """A `srcset` that is written by hand goes before the one that was worked out."""
    assert img_tag("/a.jpg", None, None, {"srcset": "/x 3x"}, "/b.jpg 2x") == '<img src="/a.jpg" srcset="/x 3x">'


@pytest.mark.parametrize("name", ["src", "SRC"])
def test_src_as_an_attribute_is_refused(name: str) -> None:
    """Two `src` in one element would be an error in HTML."""
    with pytest.raises(InvalidOption, match="src is the image's own URL"):
        img_tag("/a.jpg", 4, 3, {name: "/b.jpg"})


def test_true_false_and_none_are_present_and_absent() -> None:
    """`True` writes the bare name; `False` and `None` nothing; 0, 1 and the empty string are values."""
    attributes = {"a": True, "b": False, "c": None, "d": 0, "e": 1, "f": ""}
    assert attribute_text(attributes) == ' a d="0" e="1" f=""'


@pytest.mark.parametrize("character", FORBIDDEN, ids=ascii)
def test_forbidden_characters_in_names_are_refused(character: str) -> None:
    """A name that holds a space, quote, angle bracket, slash, equals sign, control or noncharacter is an error."""
    for name in (character, f"a{character}", f"{character}a", f"a{character}b"):
        with pytest.raises(InvalidAttribute, match="is not an HTML attribute name"):
            attribute_text({name: "x"})


def test_empty_name_is_refused() -> None:
    """An attribute without a name is an error, not a stray equals sign."""
    with pytest.raises(InvalidAttribute):
        check_attribute_name("")


@pytest.mark.parametrize(
    "name", ["data-id", "aria-label", "x-on:click.prevent", "@click", ":class", "(tap)", "é", "日本"]
)
def test_names_that_frameworks_use_are_allowed(name: str) -> None:
    """Hyphens, colons, dots, at-signs and letters of any script are fine in a name."""
    assert attribute_text({name: "x"}) == f' {name}="x"'


@pytest.mark.parametrize("value", ['"><script>', "it's", "`", "&quot;", "a &amp; b", 3.5])
def test_values_are_escaped(value: object) -> None:
    """The browser reads the very text."""
    assert read_img(img_tag("/a.jpg", None, None, {"alt": value})) == {"src": "/a.jpg", "alt": str(value)}


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (Markup("it&#39;s Tom &amp; Jerry"), "it's Tom & Jerry"),
        (Markup('" onload="x'), '" onload="x'),
        (Markup("<b>"), "<b>"),
        (Claims(), '"><script>'),
    ],
)
def test_html_is_not_escaped_twice(value: object, read: str) -> None:
    """Visitors read what Markup says, as translations give it; nothing of it ends the attribute."""
    assert read_img(img_tag("/a.jpg", None, None, {"alt": value})) == {"src": "/a.jpg", "alt": read}


def test_only_the_quotes_of_html_change() -> None:
    """Every other character of Markup is written as it stands."""
    assert attribute_text({"alt": Markup("""<i> & &lt; ' " </i>""")}) == """ alt="<i> & &lt; ' &#34; </i>\""""


def test_url_that_its_storage_marks_as_html_is_text() -> None:
    """A URL is escaped whatever class it is of, and whichever was written first."""
    for url in ("/a?b&amp;c", Markup("/a?b&amp;c")):
        assert read_img(img_tag(url, None, None)) == {"src": "/a?b&amp;c"}


def test_url_cannot_break_out() -> None:
    """A storage's URL is escaped as every value is."""
    assert read_img(img_tag('/"onload="x.jpg', None, None, srcset='"2x')) == {"src": '/"onload="x.jpg', "srcset": '"2x'}


def test_result_is_safe_markup() -> None:
    """Autoescaping leaves the element as it is."""
    assert type(img_tag("/a.jpg", 4, 3, {"alt": "x"})) is Markup
    assert type(attribute_text({"alt": "x"})) is str


@settings(deadline=None)
@given(st.dictionaries(NAMES, VALUES, max_size=5))
def test_a_parser_reads_back_what_was_written(attributes: dict[str, str]) -> None:
    """For any allowed names and any values, a parser finds the same attributes, and nothing else."""
    attributes = {name: value for name, value in attributes.items() if name.lower() not in ("src", "width", "height")}
    read = Reader(img_tag("/a.jpg", None, None, attributes))
    assert read.text == ""
    assert read.tags == [("img", [("src", "/a.jpg"), *((name.lower(), value) for name, value in attributes.items())])]


@settings(deadline=None)
@given(st.text(), st.text(), st.booleans())
def test_a_name_is_refused_or_read_back(name: str, value: str, markup: bool) -> None:
    """No name and no value whatsoever make a second attribute or element."""
    try:
        html = img_tag("/a.jpg", None, None, {name: Markup(value) if markup else value})
    except (InvalidAttribute, InvalidOption):
        return
    read = Reader(html)
    assert len(read.tags) == 1
    assert len(read.tags[0][1]) == 2
    assert read.text == ""
