"""HTML is split into tags as browsers split it, and a tag's attributes are what browsers take them for."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from jinja_imagekit.markup.feeds import Escaped
from jinja_imagekit.markup.tokens import attributes_of, tags
from jinja_imagekit.markup.transform import Edit, edited, srcset_urls


def found(html: str, *, is_xml: bool = False) -> list[str]:
    return [tag.name for tag in tags(html, is_xml=is_xml)]


@pytest.mark.parametrize(
    ("html", "names"),
    [
        ("<p title='>'><b>", ["p", "b"]),
        ("<p title=it's><b>", ["p", "b"]),
        ("<p title='><b>", []),
        ("<p a=\"'>'\"><b>", ["p", "b"]),
        ("<a\nb><img/src=x>", ["a", "img"]),
        ("<IMG><Img>", ["img", "img"]),
        ("<3><><><p>", ["p"]),
        ("</ p><p></p >", ["p", "/p"]),
        ("<p <b>", ["p"]),
        ("<!-- <i> --><p>", ["p"]),
        ("<!--><p>-->", ["p"]),
        ("<!---><p>", ["p"]),
        ("<!-- --!><p>", ["p"]),
        ("<!-- <p>", []),
        ("<!doctype html><?php '<i>' ?><p>", ["p"]),
        ("<script>'<i>'</script><p>", ["script", "/script", "p"]),
        ("<script></scripts><i></SCRIPT ><p>", ["script", "/script", "p"]),
        ("<script><!-- <script></script><i> --></script><p>", ["script", "/script", "p"]),
        ("<script><!-- </script><p>", ["script", "/script", "p"]),
        ("<script><!--></script><p>", ["script", "/script", "p"]),
        ("<script><i>", ["script"]),
        ("<textarea><i></textarea><title><i></title>", ["textarea", "/textarea", "title", "/title"]),
        ("<style><i></style><p>", ["style", "/style", "p"]),
        ("<plaintext><p>", ["plaintext"]),
        ("<![CDATA[<i>]]><p>", ["p"]),
        ("<svg><![CDATA[<i>]]></svg><![CDATA[><p>", ["svg", "/svg", "p"]),
    ],
)
def test_tags(html: str, names: list[str]) -> None:
    """Comments, raw text, scripts in comments, CDATA in drawings, quotes; what never ends is no tag."""
    assert found(html) == names


def test_tags_of_xml() -> None:
    """Elements have content there and CDATA sections are everywhere, but a script may have been written for HTML."""
    html = "<script><i/></script><script/><![CDATA[<b>]]><title><u/></title><style><![CDATA[</style><b>]]></style><p>"
    assert found(html, is_xml=True) == [
        *("script", "/script", "script"),
        *("title", "u", "/title"),
        *("style", "/style", "p"),
    ]
    assert found("<script><![CDATA[", is_xml=True) == found("<script><i>", is_xml=True) == ["script"]


@pytest.mark.parametrize(
    ("tag", "attributes"),
    [
        ("<img a=1 A=2>", {"a": "1"}),
        ("<img a = '1' b= \"2\" c=3/>", {"a": "1", "b": "2", "c": "3/"}),
        ("<img a b= >", {"a": None, "b": ""}),
        ("<img =a=b>", {"=a": "b"}),
        ("<img ==x =>", {"=": "x"}),
        ("<img a='1'b='2'/c>", {"a": "1", "b": "2", "c": None}),
        ("<img a=\xa0b>", {"a": "\xa0b"}),
        ("<img a='?x=1&copy=2&amp;y&eacute;&#65;&#x42&notit;&lt'>", {"a": "?x=1&copy=2&y\xe9AB&notit;<"}),
    ],
)
def test_attributes(tag: str, attributes: dict[str, str | None]) -> None:
    """The first of a name counts, and a character reference in a query is none."""
    assert attributes_of(next(tags(tag))) == attributes


@given(st.lists(st.sampled_from(["<", ">", "'", '"', "=", "/", "!", "-", "a", " ", "<a ", "</", "<!--", "<script>"])))
def test_tags_are_where_they_say(pieces: list[str]) -> None:
    """In their order, without overlap, and each is what stands there."""
    html, at = "".join(pieces), 0
    for tag in tags(html):
        assert at <= tag.start < tag.end
        assert html[tag.start : tag.end] == tag.text
        assert tag.text.startswith("<")
        assert tag.text.endswith(">")
        at = tag.end


@pytest.mark.parametrize(
    ("srcset", "urls"),
    [
        ("a.jpg", ["a.jpg"]),
        ("a.jpg 1x, b.jpg 2x", ["a.jpg", "b.jpg"]),
        (" a.jpg,b.jpg 2x,, c.jpg , ", ["a.jpg,b.jpg", "c.jpg"]),
        ("a.jpg, b.jpg", ["a.jpg", "b.jpg"]),
        ("data:image/png;base64,AA== 1x,\nb.jpg 400w 300h", ["data:image/png;base64,AA==", "b.jpg"]),
        ("a.jpg calc(1, 2), b.jpg", ["a.jpg", "b.jpg"]),
    ],
)
def test_urls_of_a_srcset(srcset: str, urls: list[str]) -> None:
    """A URL ends at white space, and a comma within it is a part of it."""
    assert [srcset[start:end] for start, end in srcset_urls(srcset)] == urls


_ESCAPED = ["&lt;", "&gt;", "&amp;", "&quot;", "&#233;", "&#x1F600;", "&nbsp;", "&", "x", "\u00e9", ";"]


@given(st.lists(st.sampled_from(_ESCAPED)))
def test_a_change_of_escaped_html_is_one_of_its_file(pieces: list[str]) -> None:
    """Each tag's place in the HTML is that of its escaped form; what is not replaced stays as it is written."""
    raw = "".join([*pieces, "&lt;img&gt;", *pieces])
    inner = Escaped(raw)
    image = [tag for tag in tags(inner.text) if tag.text == "<img>"]
    assume(image)
    edit = inner.edit(Edit(image[0].start, image[0].end, "<b>"), 0)
    assert edited(raw, [edit]) == "".join([*pieces, "&lt;b&gt;", *pieces])
