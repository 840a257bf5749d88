"""Images in the text of articles become what their class stands for, and nothing else changes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pelican_site import PelicanSite
from PIL import Image

from jinja_imagekit.exceptions import ImageKitError, InvalidOption, InvalidSetting, NotRegistered
from jinja_imagekit.markup import rewrite_images
from jinja_imagekit.processors import Adjust, ResizeToFill

CLASSES: dict[str, Any] = {
    "card": "blog:card",
    "wide": "120x40",
    "dense": {"size": "100x", "srcset": "2", "format": "WEBP"},
    "small": {"generator": "imagekit:thumbnail", "width": 32},
}
SPECS = {"blog:card": {"processors": [ResizeToFill(64, 48), Adjust(color=0)], "format": "WEBP"}}


@pytest.fixture
def site(tmp_path: Path) -> PelicanSite:
    site = PelicanSite(tmp_path)
    site.photo("walks/canal.jpg", seed=1)
    site.photo("images/dunes.jpg", seed=2)
    return site


def built(site: PelicanSite, text: str, **metadata: str) -> str:
    site.article("walks/walk.md", text, **metadata)
    site.build(IMAGEKIT_CLASSES=CLASSES, IMAGEKIT_SPECS=SPECS)
    return site.page("walk.html")


def without_urls(html: str) -> str:
    return re.sub(r"/CACHE/images/(\S+?)/[0-9a-f]{32}\.(\w+)", r"\1.\2", html)


def test_markdown(site: PelicanSite) -> None:
    """An image with a class from an attribute list gets the spec's URL and size."""
    html = built(site, "![The canal](canal.jpg){.card}\n\n![Dunes]({static}/images/dunes.jpg){.wide}")
    assert without_urls(html) == (
        '<p><img alt="The canal" class="card" src="walks/canal.webp" width="64" height="48"></p>\n'
        '<p><img alt="Dunes" class="wide" src="images/dunes.jpg" width="120" height="40"></p>'
    )
    assert len(site.published()) == 2


@pytest.mark.filterwarnings("ignore:.*Docutils:DeprecationWarning")  # of some versions of Pelican
@pytest.mark.filterwarnings("ignore:.*Docutils:PendingDeprecationWarning")
def test_restructured_text(site: PelicanSite) -> None:
    """An image directive's class does the same."""
    text = "Walk\n####\n:date: 2026-01-02\n:slug: walk\n\n.. image:: canal.jpg\n   :class: card\n   :alt: The canal\n"
    site.write("content/walks/walk.rst", text)
    site.build(IMAGEKIT_CLASSES=CLASSES, IMAGEKIT_SPECS=SPECS)
    expected = '<img alt="The canal" class="card" src="walks/canal.webp" width="64" height="48" />'
    assert expected in without_urls(site.page("walk.html"))


def test_keywords_are_those_of_the_tags(site: PelicanSite) -> None:
    """A dict gives what a template would give: a size with densities and a format, or a generator with keywords."""
    html = built(site, "![](canal.jpg){.dense} ![](canal.jpg){.small}")
    first, second = re.findall("<img.*?>", without_urls(html))
    assert first == (
        '<img alt="" class="dense" src="walks/canal.webp" srcset="walks/canal.webp 1x, walks/canal.webp 2x"'
        ' width="100" height="75">'
    )
    assert second == '<img alt="" class="small" src="walks/canal.jpg" width="32" height="24">'


def test_widths_are_offered_to_the_browser(site: PelicanSite) -> None:
    """A class with widths writes srcset and sizes; what the photo is too small for is offered once."""
    wide = {
        "size": "100x50",
        "widths": (50, 100, 200, 400, 800, 1600),
        "sizes": "50vw",
        "upscale": False,
        "crop": False,
    }
    site.article("walks/walk.md", "![](canal.jpg){.hero}\n\n![](canal.jpg){.hero srcset=mine.jpg}")
    site.build(IMAGEKIT_CLASSES={"hero": wide})
    first, second = re.findall("<img.*?>", without_urls(site.page("walk.html")))
    assert first == (
        '<img alt="" class="hero" src="walks/canal.jpg" width="67" height="50"'
        ' srcset="walks/canal.jpg 33w, walks/canal.jpg 67w, walks/canal.jpg 133w, walks/canal.jpg 267w,'
        ' walks/canal.jpg 320w" sizes="50vw">'
    )
    assert second.startswith('<img alt="" class="hero" src="walks/canal.jpg" width="67" height="50"')
    assert second.count("srcset") == 1
    files = re.findall(r"(/CACHE\S+) (\d+)w", site.page("walk.html"))
    assert {url[1:] for url, _ in files} == set(site.published())
    for url, width in files:
        with Image.open(site.output / url[1:]) as image:
            assert image.width == int(width)


def test_widths_without_a_height_keep_the_photos_proportions(site: PelicanSite) -> None:
    """A size that is a width alone is offered in other widths alone."""
    site.article("walks/walk.md", "![](canal.jpg){.hero}")
    site.build(IMAGEKIT_CLASSES={"hero": {"size": "100x", "widths": [50, 200]}})
    assert 'srcset="walks/canal.jpg 50w, walks/canal.jpg 200w" sizes="100vw"' in without_urls(site.page("walk.html"))


def test_what_the_author_gave_stays(site: PelicanSite) -> None:
    """A width, a height or a srcset of the author's keeps the image's own out."""
    html = built(
        site,
        '<img class="wide" src="canal.jpg" width="50%">\n'
        "<IMG data-x = \"a > b\" SRC='canal.jpg' class='first wide' srcset='canal.jpg 2x' alt='&lt;&amp;' hidden/>",
    )
    assert without_urls(html).removeprefix("<p>").removesuffix("</p>").splitlines() == [
        '<img class="wide" src="walks/canal.jpg" width="50%">',
        '<IMG data-x = "a > b" SRC="walks/canal.jpg" width="120" height="40"'
        " class='first wide' srcset='canal.jpg 2x' alt='&lt;&amp;' hidden/>",
    ]


def test_a_summary_is_rewritten_as_well(site: PelicanSite) -> None:
    """Pelican shows a summary in lists and feeds, from the metadata or from the beginning of the text."""
    site.template("index.html", "{% for each in articles %}{{ each.summary }}{% endfor %}")
    built(site, "![](canal.jpg){.card} Text.")
    assert 'src="walks/canal.webp"' in without_urls(site.page("index.html"))
    built(site, "Text.", Summary='<img class="wide" src="{static}canal.jpg">')
    assert 'src="walks/canal.jpg" width="120"' in without_urls(site.page("index.html"))


@pytest.mark.parametrize(
    "text",
    [
        '<p><img src="canal.jpg" alt="no class"></p>',
        '<p><img class="cards" src="canal.jpg"></p>',
        '<p><img class="card" src="https://elsewhere.example/a.jpg"></p>',
        '<p><img class="card" src="//elsewhere.example/a.jpg"></p>',
        '<p><img class="card" src="http://[elsewhere/a.jpg"></p>',
        '<p><img class="card" src="data:image/gif;base64,R0lGODlhAQABAAAAACw="></p>',
        '<p><img class="card"></p>',
        '<p><img class="card" src=""></p>',
        '<!-- <img class="card" src="canal.jpg"> -->',
        '<script>let a = \'<img class="card" src="canal.jpg">\'</script>',
        '<p><code>&lt;img class="card" src="canal.jpg"&gt;</code></p>',
    ],
)
def test_everything_else_is_left_as_it_is(site: PelicanSite, text: str) -> None:
    """Other classes, other sites' images, comments, scripts and code are no images to rewrite."""
    with_plugin = built(site, text)
    site.build(PLUGINS=[])
    assert with_plugin == site.page("walk.html")
    assert not site.published()


def test_without_the_setting_nothing_is_rewritten(site: PelicanSite) -> None:
    """Rewriting is opted in to, class by class."""
    site.article("walks/walk.md", "![](canal.jpg){.card}")
    site.build()
    assert site.page("walk.html") == '<p><img alt="" class="card" src="canal.jpg"></p>'


def test_a_missing_image_is_an_error_that_names_the_article(site: PelicanSite) -> None:
    """The message has the article's file, the image's name, and where it was looked for."""
    with pytest.raises(ImageKitError) as caught:
        built(site, "![](gone.jpg){.card}")
    assert "walks/walk.md" in str(caught.value)
    assert "'gone.jpg'" in str(caught.value)
    assert "walks/gone.jpg and gone.jpg" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("![](gone.jpg){.card}", 5),
        ("Text.\n\n![](canal.jpg){.card}\n![](gone.jpg){.card}", 8),
        ("![](gone.jpg)\n\n![](gone.jpg){.card}", 7),
        ("A\n\n![x]({static}/images/gone.jpg){.wide}", 7),
        ("A\n\n![x](<a gone.jpg>){.wide}", 7),
        ('A\nB\n<img class="card" src="a&amp;gone.jpg">', 7),
    ],
)
def test_the_error_names_the_line_of_the_article(site: PelicanSite, text: str, line: int) -> None:
    """It is the line of the file in which the image stands, front matter counted."""
    with pytest.raises(ImageKitError) as caught:
        built(site, text)
    assert re.match(rf"walks/walk\.md, line {line}: <img src='[^']*gone\.jpg'>: ", str(caught.value))
    assert (site.folder / "content/walks/walk.md").read_text().splitlines()[line - 1].count("gone.jpg") == 1


def test_a_bad_image_is_named_with_its_generator(site: PelicanSite) -> None:
    """The error has the article, its line, the image, and the generator that met it."""
    site.write("content/walks/text.jpg", "no image")
    with pytest.raises(ImageKitError) as caught:
        built(site, "![](text.jpg){.wide}")
    text = str(caught.value)
    assert text.startswith("walks/walk.md, line 5: <img src='text.jpg'>: Source 'walks/text.jpg': ")
    assert text.endswith(" [generator 'imagekit:thumbnail']")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"size": "40x30", "qualty": 3}, "'card' has the keyword 'qualty', which 'imagekit:thumbnail' does not take"),
        ({"size": "40x30", "qualty": 3}, "Did you mean 'quality'?"),
        ({"size": "40x30", "width": 40}, "'width', which each image or the 'size' gives"),
        ({"generator": "blog:card", "source": "a.jpg"}, "'source', which each image"),
        ({"size": "40x30", "width2": [40]}, "Did you mean 'widths'?"),
        ({"size": "40x30", "on_eror": "omit"}, "Did you mean 'on_error'?"),
        ({"generator": "blog:card", "tint": "red"}, "which 'blog:card' does not take"),
    ],
)
def test_an_unknown_keyword_is_told_before_anything_is_read(site: PelicanSite, value: Any, words: str) -> None:
    """The error names the setting, the class, the keyword and the nearest one."""
    with pytest.raises(InvalidSetting, match=re.escape(words)) as caught:
        site.build(IMAGEKIT_CLASSES={"card": value}, IMAGEKIT_SPECS=SPECS)
    assert str(caught.value).startswith("Setting 'IMAGEKIT_CLASSES': 'card' has the keyword ")
    assert not site.output.exists()


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        ("blog:crad", NotRegistered, "Did you mean 'blog:card'"),
        ("0x50", InvalidOption, "between 1 and"),
        ({"size": "big"}, InvalidOption, "'400x300'"),
        ({"format": "WEBP"}, InvalidSetting, "write a generator's id"),
        (7, InvalidSetting, "write a generator's id"),
        ({"size": "40x30", "widths": "600"}, InvalidSetting, "'widths' lists widths in pixels"),
        ({"size": "40x30", "widths": (600, "2x")}, InvalidSetting, "'widths' lists widths in pixels"),
        ({"size": "40x30", "widths": (600,), "srcset": "2"}, InvalidSetting, "instead of 'srcset'"),
        ({"generator": "blog:card", "widths": (600,)}, InvalidSetting, "along with a 'size'"),
        ({"size": "40x30", "widths": (70_000,)}, InvalidOption, "between 1 and"),
        ({"size": "40x30", "anchor": "nowhere"}, InvalidOption, "anchor='nowhere'"),
        ({"size": "40x30", "on_error": "ignore"}, InvalidOption, "on_error='ignore'"),
    ],
)
def test_a_class_that_cannot_be_used_is_told_at_once(
    site: PelicanSite, value: Any, error: type[Exception], words: str
) -> None:
    """A mistake in the setting ends the build before anything is read."""
    with pytest.raises(error, match=re.escape(words)):
        site.build(IMAGEKIT_CLASSES={"card": value}, IMAGEKIT_SPECS=SPECS)
    assert not site.output.exists()


PIECES = (
    *("<img", "<IMG ", " src=a.jpg", " src='a b'", ' class="x"', " alt", " =", "/", ">", '"', "'", "<", " "),
    *("<!--", "-->", "<p>", "<script>", "</script>", "<![CDATA[", "]]>", "&amp;", "&lt;img>", "\n", "\r\n", "é", "😀"),
)
HTML = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)


@given(HTML)
def test_html_of_any_kind_stays_byte_for_byte_where_nothing_is_to_change(html: str) -> None:
    """Finding images changes nothing, however broken the text is."""
    assert rewrite_images(html, lambda attributes: {}) == html


@given(HTML)
def test_only_tags_change(html: str) -> None:
    """A new value stands in tags that are found; all around them stays."""
    found: list[Any] = []

    def change(attributes: Any) -> Any:
        found.append(attributes)
        return {"src": "new"}

    assert rewrite_images(html, change).count('src="new"') == len(found)


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("<img src=a.jpg>", '<img src="b" width="1">'),
        ("<img src='a.jpg' alt=x>", '<img src="b" width="1" alt=x>'),
        ('<img\n  alt=\'src="c"\'\n  src = "a.jpg"\n/>', '<img\n  alt=\'src="c"\'\n  src="b" width="1"\n/>'),
        ('<img width=9 src="a.jpg"/>', '<img width="1" src="b"/>'),
        ("<img src=a.jpg src=c.jpg>", '<img src="b" width="1" src=c.jpg>'),
        ("<ImG SRC>", '<ImG SRC="b" width="1">'),
        ("é\n😀 <img src=a>\n", 'é\n😀 <img src="b" width="1">\n'),
    ],
)
def test_values_are_replaced_where_they_stand(tag: str, expected: str) -> None:
    """Old values are replaced in their places, new attributes follow src, the rest keeps its spelling."""
    assert rewrite_images(tag, lambda attributes: {"src": "b", "width": "1"}) == expected


def test_values_are_escaped() -> None:
    """What stands in a URL cannot end its attribute."""
    assert rewrite_images("<img src=a>", lambda attributes: {"src": 'a"&<b'}) == '<img src="a&#34;&amp;&lt;b">'


def test_an_image_can_be_taken_out() -> None:
    """None for new values removes the tag."""
    assert rewrite_images("<p>a <img src=a.jpg> b</p>", lambda attributes: None) == "<p>a  b</p>"
