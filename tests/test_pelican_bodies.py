"""Images in the text of articles become what their class stands for, and nothing else changes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup
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
    """A class with widths and a format writes srcset and sizes; nothing is wider than the photo."""
    wide = {
        "size": "100x50",
        "widths": (50, 100, 200, 400, 800, 1600),
        "sizes": "50vw",
        "crop": False,
        "format": "JPEG",
    }
    site.article("walks/walk.md", "![](canal.jpg){.hero}\n\n![](canal.jpg){.hero srcset=mine.jpg}")
    site.build(IMAGEKIT_CLASSES={"hero": wide})
    first, second = re.findall("<img.*?>", without_urls(site.page("walk.html")))
    assert first == (
        '<img src="walks/canal.jpg" srcset="walks/canal.jpg 50w, walks/canal.jpg 100w, walks/canal.jpg 200w,'
        ' walks/canal.jpg 320w" sizes="auto, 50vw" width="67" height="50" loading="lazy" decoding="async" alt=""'
        ' class="hero" style="contain-intrinsic-size:67px 50px">'
    )
    assert second == '<img alt="" class="hero" src="walks/canal.jpg" width="67" height="50" srcset="mine.jpg">'
    files = re.findall(r"(/CACHE\S+) (\d+)w", site.page("walk.html"))
    assert {url[1:] for url, _ in files} <= set(site.published())
    for url, width in files:
        with Image.open(site.output / url[1:]) as image:
            assert image.width == int(width)


PICTURES: dict[str, Any] = {
    "plain": {"size": "100x", "layout": "constrained"},
    "full": {"size": "100x", "layout": "full", "formats": ["WEBP", "JPEG"], "priority": True},
    "fixed": {"size": "80x60", "layout": "fixed", "quality": 40, "focus": "20% 80%"},
    "widths": {"size": "100x", "widths": "50 200", "sizes": "50vw"},
    "art": {"size": "200x50", "at": {"(max-width: 600px)": {"size": "60x60", "focus": (0.1, 0.9)}}, "priority": True},
    "blur": {"size": "100x", "placeholder": "blur", "loading": "eager", "decoding": "sync"},
    "one": {"size": "40x", "format": "PNG", "widths": (40,)},
    "spec": {"generator": "blog:card", "widths": "32 64", "focus": "tl"},
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_class_with_keywords_of_a_picture_writes_what_the_tag_writes(site: PelicanSite, name: str) -> None:
    """The `<img>` of the text becomes the HTML that a template would have, with the author's attributes on it."""
    words = {key: value for key, value in PICTURES[name].items() if key not in ("size", "generator")}
    attributes = {key: words.pop(key) for key in ("loading", "decoding") if key in words}
    keywords = " ".join(f"{key}={value!r}" for key, value in words.items())
    given = " ".join(f"{key}={value!r}" for key, value in attributes.items())
    beginning = f"picture {PICTURES[name].get('size')!r} 'images/dunes.jpg'"
    if name == "spec":
        beginning = "generateimage 'blog:card' source='images/dunes.jpg'"
    tag = f"{{% {beginning} {keywords} -- {given} alt='Dunes' class={name!r} data-x='1' hidden %}}"
    site.template("article.html", f"{{{{ article.content }}}}|<p>{tag}</p>")
    site.article("walks/walk.md", f'<p><img src="/images/dunes.jpg" alt="Dunes" class="{name}" data-x="1" hidden></p>')
    site.build(IMAGEKIT_CLASSES=PICTURES, IMAGEKIT_SPECS=SPECS)
    body, tag = site.page("walk.html").split("|")
    assert body == tag
    assert ("<picture>" in body) == (name not in ("one", "spec"))
    urls = re.findall(r"/(CACHE[^\s\"]+)", body)
    assert urls
    assert set(urls) == set(site.published())


def test_the_star_is_for_images_that_no_other_class_covers(site: PelicanSite) -> None:
    """All images of the site but those that say no, or that an author put into a picture already."""
    kept = [
        '<img src="canal.jpg" alt="" data-imagekit="off">',
        '<picture><source srcset="a.avif"><img src="canal.jpg" alt=""></picture>',
        '<img src="https://elsewhere.example/a.jpg" alt="">',
    ]
    text = "\n".join(["![](canal.jpg)", "![](canal.jpg){.other}", "![](canal.jpg){.card}", *kept])
    site.article("walks/walk.md", text)
    default = {"size": "100x", "formats": "WEBP", "widths": (100,)}
    site.build(IMAGEKIT_CLASSES={"*": default, "card": "64x48"})
    first, second, third, *rest = without_urls(site.page("walk.html")).removeprefix("<p>").split("\n")
    lazily = 'src="walks/canal.webp" width="100" height="75" loading="lazy" decoding="async" alt=""'
    style = 'style="contain:size;contain-intrinsic-size:100px 75px"'
    assert first == f"<img {lazily} {style}>"
    assert second == f'<img {lazily} class="other" {style}>'
    assert third == '<img alt="" class="card" src="walks/canal.jpg" width="64" height="48">'
    assert "\n".join(rest) == "\n".join(kept) + "</p>"


def test_the_star_may_be_a_size(site: PelicanSite) -> None:
    """Without keywords of a picture it is a thumbnail, as for any class."""
    site.article("walks/walk.md", "![](canal.jpg)")
    site.build(IMAGEKIT_CLASSES={"*": "64x48"})
    assert without_urls(site.page("walk.html")) == '<p><img alt="" src="walks/canal.jpg" width="64" height="48"></p>'


def test_loading_and_decoding_are_the_classs_unless_the_author_gives_them(site: PelicanSite) -> None:
    """They are for thumbnails, for specs and for pictures."""
    small = {"loading": "lazy", "decoding": "async"}
    classes = {
        "thumb": {"size": "40x", **small},
        "spec": {"generator": "blog:card", **small},
        "picture": {"size": "40x", "widths": (40,), "formats": "WEBP", "loading": "eager", "decoding": "sync"},
    }
    images = [f"![]({{static}}/images/dunes.jpg){{.{name}}}" for name in classes]
    own = [f"![](canal.jpg){{.{name} loading=eager decoding=auto}}" for name in classes]
    site.article("walks/walk.md", "\n".join([*images, *own]))
    site.build(IMAGEKIT_CLASSES=classes, IMAGEKIT_SPECS=SPECS)
    tags = re.findall("<img.*?>", site.page("walk.html"))
    asked = [(re.findall('loading="(.*?)"', tag), re.findall('decoding="(.*?)"', tag)) for tag in tags]
    lazy, eager, given = (["lazy"], ["async"]), (["eager"], ["sync"]), (["eager"], ["auto"])
    assert asked == [lazy, lazy, eager, given, given, given]


@pytest.mark.parametrize("more", [{}, {"layout": "fixed"}])
def test_an_alternative_text_may_come_from_the_class(site: PelicanSite, more: dict[str, str]) -> None:
    """It is for images whose author gave none; an empty one is given."""
    site.article("walks/walk.md", '<img src="canal.jpg">\n<img src="canal.jpg" alt="">\n<img src="canal.jpg" alt>')
    site.build(IMAGEKIT_CLASSES={"*": {"size": "40x", "alt": "A photo", **more}})
    tags = re.findall("<img.*?>", site.page("walk.html"))
    assert ["A photo" in tag for tag in tags] == [True, False, False]
    assert all(len(re.findall(r"\balt\b", tag)) == 1 for tag in tags)


@pytest.mark.parametrize("more", [{}, {"layout": "fixed"}])
def test_a_missing_alternative_text_is_told_with_the_articles_line(site: PelicanSite, more: dict[str, str]) -> None:
    """`missing_alt` of a class goes before the setting, which an author's text satisfies."""
    site.article("walks/walk.md", 'Text.\n\n<img src="canal.jpg" class="a">')
    classes = {"a": {"size": "40x", "missing_alt": "error", **more}}
    with pytest.raises(ImageKitError, match=r"walks/walk\.md, line 7: <img src='canal\.jpg'>: .*alternative text"):
        site.build(IMAGEKIT_CLASSES=classes)
    site.build(IMAGEKIT_CLASSES={"a": {"size": "40x", "missing_alt": "ignore", **more}}, IMAGEKIT_MISSING_ALT="error")
    assert "alt" not in site.page("walk.html")
    site.article("walks/walk.md", '<img src="canal.jpg" class="a" alt="A canal">')
    site.build(IMAGEKIT_CLASSES={"a": {"size": "40x", **more}}, IMAGEKIT_MISSING_ALT="error")
    assert 'alt="A canal"' in site.page("walk.html")


def test_an_attribute_that_html_does_not_allow_is_left_out_of_a_picture(site: PelicanSite) -> None:
    """A stray quote does not end a build that thumbnails would survive."""
    html = '<img src="canal.jpg" alt="x"" title="a &quot;b&quot; &amp; c">'
    site.article("walks/walk.md", f"<div>{html}</div>")
    site.build(IMAGEKIT_CLASSES={"*": {"size": "40x", "layout": "fixed"}})
    assert re.search('alt="x" title="a &#34;b&#34; &amp; c" style="[^"]*"></picture></div>', site.page("walk.html"))


def test_a_picture_that_cannot_be_made_is_omitted_as_a_whole(site: PelicanSite) -> None:
    """Whether it is found while the text is rewritten or when the files are made, no source stays behind."""
    site.write("content/walks/text.jpg", "no image")
    photo = site.photo("walks/broken.jpg", seed=7)
    data = photo.read_bytes()
    photo.write_bytes(data[: len(data) // 2] + b"\xff\xd9")
    site.article("walks/walk.md", "A ![](text.jpg) B ![](broken.jpg) C ![](canal.jpg) D")
    site.build(IMAGEKIT_CLASSES={"*": {"size": "100x", "layout": "fixed"}}, IMAGEKIT_ON_ERROR="omit")
    html = site.page("walk.html")
    assert html.startswith("<p>A  B  C <picture>")
    assert html.count("<source") == html.count("<picture") == html.count("<img") == 1


def test_a_picture_in_the_beginning_of_a_text_is_in_its_summary(site: PelicanSite) -> None:
    """Pelican cuts the text by words, and closes what is open."""
    site.template("index.html", "{% for each in articles %}{{ each.summary }}{% endfor %}")
    site.article("walks/walk.md", "One ![](canal.jpg) two three four")
    site.build(IMAGEKIT_CLASSES={"*": {"size": "100x", "layout": "fixed"}}, SUMMARY_MAX_LENGTH=2)
    assert re.fullmatch("<p>One <picture><source [^>]+><img [^>]+></picture> two.*</p>", site.page("index.html"))


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
        ({"size": "40x30", "widths": (600, "2x")}, InvalidOption, "write widths in pixels"),
        ({"size": "40x30", "widths": (600,), "srcset": "2"}, InvalidSetting, "write 'widths'"),
        ({"generator": "blog:card", "widths": "wide"}, InvalidOption, "write widths in pixels"),
        ({"generator": "blog:card", "formats": ["AVIF"]}, InvalidOption, "an <img> has none"),
        ({"size": "40x30", "widths": (70_000,)}, InvalidOption, "from 1 to 65535"),
        ({"size": "40x30", "layout": "ful"}, InvalidOption, "Did you mean 'full'?"),
        ({"size": "40x30", "missing_alt": "eror"}, InvalidSetting, "Did you mean 'error'?"),
        ({"size": "40x30", "layout": "full", "missing_alt": "eror"}, InvalidOption, "Did you mean 'error'?"),
        ({"size": "40x30", "loading": "lazily"}, InvalidSetting, "must be one of 'lazy', 'eager'"),
        ({"size": "40x30", "decoding": True}, InvalidSetting, "must be one of 'async', 'sync', 'auto'"),
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
    *("<picture>", "</picture>", "</picture\n>", "<PICTURE a>", "</picture", "<source>"),
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


@given(HTML)
def test_html_takes_the_place_of_an_image_and_of_the_picture_around_it(html: str) -> None:
    """However broken the text is: each that is asked about is replaced once, and the replacement is not looked at."""
    found: list[Any] = []

    def change(attributes: Any) -> Any:
        found.append(attributes)
        return Markup("(<picture><img src=new></picture>)")

    assert rewrite_images(html, change).count("(<picture><img src=new></picture>)") == len(found)


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>a<img src=a>b", "<p>aNEWb"),
        ("<p>a<picture><source srcset=b><img src=a></picture>b", "<p>aNEWb"),
        ("a<PICTURE class=x>\n<img src=a>\n</picture\n>b", "aNEWb"),
        ("<picture><img src=a><img src=b></picture>c", "NEWc"),
        ("<picture><img src=stays><img src=b></picture>c", "<picture><img src=stays>NEW</picture>c"),
        ("<picture><img src=a>c", "<picture>NEWc"),
        ("<img src=a></picture>c", "NEW</picture>c"),
        ("<picture></picture><img src=a><picture></picture>", "<picture></picture>NEW<picture></picture>"),
    ],
)
def test_what_goes_with_an_image_that_is_replaced(html: str, expected: str) -> None:
    """The picture around it, and nothing else."""
    assert rewrite_images(html, lambda found: {} if found["src"] == "stays" else Markup("NEW")) == expected


def test_values_are_escaped() -> None:
    """What stands in a URL cannot end its attribute."""
    assert rewrite_images("<img src=a>", lambda attributes: {"src": 'a"&<b'}) == '<img src="a&#34;&amp;&lt;b">'


def test_an_image_can_be_taken_out() -> None:
    """None for new values removes the tag."""
    assert rewrite_images("<p>a <img src=a.jpg> b</p>", lambda attributes: None) == "<p>a  b</p>"


def test_all_images_of_a_site_need_one_word(site: PelicanSite) -> None:
    """`"*": True` makes pictures up to their own size, of the author's width where there is one."""
    site.article("walks/walk.md", '![](canal.jpg)\n\n<img src="canal.jpg" width="100" alt="">')
    site.build(IMAGEKIT_CLASSES={"*": True}, IMAGEKIT_PICTURE_FORMATS=("WEBP",))
    html = site.page("walk.html")
    assert re.findall(r'width="(\d+)" height="(\d+)"', html) == [("320", "240"), ("100", "75")]
    assert "(min-width: 100px) 100px, 100vw" in html


def test_a_text_field_shows_its_html(site: PelicanSite) -> None:
    """What `<textarea>` and `<title>` hold is text, and what is quoted in an attribute is a value."""
    text = "<textarea><img class=card src=canal.jpg></textarea>\n<p title='<img class=card src=canal.jpg>'>x</p>"
    site.article("walks/walk.md", text)
    site.build(IMAGEKIT_CLASSES=CLASSES, IMAGEKIT_SPECS=SPECS)
    assert text in site.page("walk.html")
    assert site.published() == []


@pytest.mark.parametrize(
    "url", ["{static}/images/dunes.jpg?v=1", "{static}../images/dunes.jpg#top", "{attach}canal.jpg?x"]
)
def test_a_query_does_not_matter(site: PelicanSite, url: str) -> None:
    """The name before it is that of a file, with Pelican's own links, too."""
    html = built(site, f"![Dunes]({url}){{.wide}}")
    assert re.search(r'src="(images/dunes|walks/canal)\.jpg" width="120"', without_urls(html))


def test_one_image_of_a_page_goes_before_all_others(site: PelicanSite) -> None:
    """The first large one of an article on its page, and of all articles on a page that shows them all."""
    for slug in ("walk", "lock"):
        site.article(f"walks/{slug}.md", "![](canal.jpg)\n\n![](canal.jpg)\n\n![](canal.jpg)\n\n![](canal.jpg)")
    site.template("article.html", "{{ article.content }}")
    site.template("index.html", "{% for article in articles %}{{ article.content }}{% endfor %}")
    site.build(IMAGEKIT_CLASSES={"*": {"size": "300x", "formats": "WEBP", "widths": (300,)}})
    for name, count in (("walk.html", 4), ("index.html", 8)):
        found = re.findall("<img[^>]*>", site.page(name))
        assert len(found) == count
        assert ["high" in image for image in found] == [True, *[False] * (count - 1)]
        assert 'loading="lazy"' in found[3]
        assert "data-imagekit" not in site.page(name)
    assert 'loading="lazy" decoding="async"' in found[4]


def test_images_alone_can_have_relative_urls(site: PelicanSite) -> None:
    """`IMAGEKIT_URLS` says so, whatever Pelican's own links begin with."""
    site.article("walks/walk.md", "![](canal.jpg){.wide}")
    site.template("article.html", "{{ SITEURL }}{{ article.content }}")
    elsewhere = {"SITEURL": "https://example.org", "ARTICLE_SAVE_AS": "a/b/{slug}.html"}
    site.build(IMAGEKIT_CLASSES=CLASSES, IMAGEKIT_SPECS=SPECS, IMAGEKIT_URLS="relative", **elsewhere)
    html = site.page("a/b/walk.html")
    assert html.startswith("https://example.org<p>")
    assert 'src="../../CACHE/images/walks/canal/' in html
