"""Images in HTML that something else wrote become pictures, and nothing else changes."""

from __future__ import annotations

import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from core_site import Site, photo_bytes, settled
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from jinja_imagekit.exceptions import ImageKitError, InvalidSetting, MissingAlt

PAGE = "blog/walk/index.html"

RULES: dict[str, Any] = {"*": {"formats": ("WEBP",), "widths": (40, 80)}}
"""One format and two sizes, so that tests are quick and their HTML can be read."""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path, html_rules=RULES)
    site.write("blog/walk/canal.jpg", 120, 90)
    site.write("photos/dunes.jpg", 400, 300, seed=1)
    return site


def without_urls(html: str) -> str:
    return re.sub(r"(?:\.\./)*/?CACHE/images/(\S+?)/[0-9a-f]{32}\.(\w+)", r"\1.\2", html)


def transformed(site: Site, html: str, **options: Any) -> str:
    return without_urls(site.kit.transform(html, page=PAGE, **options))


class Elements(HTMLParser):
    """Collects start tags with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a start tag."""
        self.found.append((tag, dict(attrs)))


def images(html: str) -> list[dict[str, str | None]]:
    return [attributes for tag, attributes in Elements(html).found if tag == "img"]


def test_an_image_becomes_a_picture_with_its_authors_attributes(site: Site) -> None:
    """What `{% picture %}` gives, with all that the author wrote, and a mark for the next run."""
    html = '<p><img src="canal.jpg" alt="A &quot;canal&quot;" class="card" data-id="7" hidden></p>'
    expected = (
        '<p><img src="blog/walk/canal.webp" srcset="blog/walk/canal.webp 40w, blog/walk/canal.webp 80w"'
        ' sizes="auto, (min-width: 120px) 120px, 100vw" width="120" height="90" loading="lazy" decoding="async"'
        ' alt="A &#34;canal&#34;" class="card" data-id="7" hidden data-imagekit-src="canal.jpg"'
        ' style="contain-intrinsic-size:120px 90px"></p>'
    )
    assert transformed(site, html) == expected
    html = transformed(site, html, rules={"*": {"formats": ("AVIF", "WEBP"), "widths": (40,)}})
    assert html.startswith('<p><picture><source type="image/avif" srcset="blog/walk/canal.avif"><img src="blog')
    assert html.endswith("></picture></p>")


@pytest.mark.parametrize(
    ("url", "source"),
    [
        ("canal.jpg", "blog/walk/canal.jpg"),
        (" ./canal.jpg?v=2#top ", "blog/walk/canal.jpg"),
        ("../walk/canal.jpg", "blog/walk/canal.jpg"),
        ("c%61nal.jpg", "blog/walk/canal.jpg"),
        ("/photos/dunes.jpg", "photos/dunes.jpg"),
        ("photos/dunes.jpg", "photos/dunes.jpg"),
        ("../../../../photos/dunes.jpg", "photos/dunes.jpg"),
        ("https://example.org/site/photos/dunes.jpg", "photos/dunes.jpg"),
        ("/site/photos/dunes.jpg", "photos/dunes.jpg"),
        ("//example.org/site/photos/dunes.jpg", "photos/dunes.jpg"),
    ],
)
def test_a_source_is_found_beside_the_page_below_the_site_and_in_the_source_folders(
    site: Site, url: str, source: str
) -> None:
    """As a browser would find it, whatever path the site is served from."""
    kit = site.new_kit(site_url="https://example.org/site/")
    html = kit.transform(f'<img src="{url}" alt="">', page=PAGE)
    assert f"/CACHE/images/{source.removesuffix('.jpg')}/" in html


@pytest.mark.parametrize(
    "html",
    [
        '<img src="gone.jpg" alt="">',
        '<img src="https://elsewhere.example/photos/dunes.jpg">',
        '<img src="data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==">',
        '<img src="">',
        "<img>",
        '<img src="#canal.jpg">',
        '<img src="http://[">',
        '<img src="../../../../../etc/passwd">',
        '<img src="canal.jpg" data-imagekit="off">',
        '<img src="canal.jpg" srcset="canal.jpg 1x">',
        '<img src="canal.jpg" data-src="canal.jpg">',
        '<img src="canal.jpg" a"b="1">',
        '<pre><code><img src="canal.jpg"></code></pre>',
        '<code><img src="canal.jpg"></code>',
        '<!-- <img src="canal.jpg"> -->',
        '<script>"<img src=canal.jpg>"</script>',
        '<textarea><img src="canal.jpg"></textarea>',
        '<template><template></template><img src="canal.jpg"></template>',
        '<style>a{background:url("canal.jpg")}</style>',
        '<title><img src="canal.jpg"></title>',
        '<svg><image href="canal.jpg"/></svg>',
        '<p title="<img src=canal.jpg>">',
        '<img src="canal.jpg',
        '<img src="canal.jpg" <p>',
        '<a href="canal.jpg">A canal</a>',
        '<div style="list-style-image: url(canal.jpg)">',
        "<![CDATA[<img src=canal.jpg>",
    ],
)
def test_what_is_none_of_ours_stays_as_it_is(site: Site, html: str) -> None:
    """Other sites' images, scripts' own, what shows or holds code, and broken HTML."""
    assert transformed(site, html) == html


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ('width="60"', ("60", "45")),
        ('width="60px" height=20', ("60px", "20")),
        ("height=45", ("60", "45")),
        ('width="50%"', ("50%", None)),
        ("", ("120", "90")),
    ],
)
def test_the_authors_size_is_the_layout(site: Site, attributes: str, expected: tuple[str, str | None]) -> None:
    """A width in pixels is the layout's, with both nothing is cropped, and a share of something stays."""
    kit = site.new_kit(html_rules={})
    (image,) = images(kit.transform(f'<img src="canal.jpg" alt="" {attributes}>', page=PAGE))
    assert (image["width"], image.get("height")) == expected
    layout = expected[0].removesuffix("px") if expected[0] != "50%" else "120"
    assert str(image["sizes"]).endswith(f"(min-width: {layout}px) {layout}px, 100vw")
    record = kit.records.get(str(image["src"]).removeprefix("/"))
    assert record is not None
    assert record.width * 90 == record.height * 120


def test_cache_files_may_lie_in_the_folder_itself(site: Site) -> None:
    """Without a folder of their own, what is a source is still told from what is none."""
    html = site.new_kit(cachefile_dir="").transform('<img src="canal.jpg" alt="">', page=PAGE)
    assert re.search(r' src="/blog/walk/canal/[0-9a-f]{32}\.webp"', html)


def test_rules_go_by_class(site: Site) -> None:
    """A size, a generator, a dict or False for a class; the first class that has a rule counts."""
    rules = {
        "*": False,
        "card": "30x20",
        "spec": {"generator": "card", "priority": True},
        "img": {"element": "img", "size": "50x", "loading": "eager"},
        "natural": True,
    }
    html = "".join(f'<img src="canal.jpg" alt="" class="x {name}">' for name in ("card spec", "spec", "img", "natural"))
    found = images(transformed(site, html + '<img src="canal.jpg" alt="">', rules=rules))
    sizes = [(image.get("width"), image.get("height")) for image in found]
    assert sizes == [("30", "20"), ("24", "16"), ("50", "38"), ("120", "90"), (None, None)]
    assert [image.get("fetchpriority") for image in found] == [None, "high", None, None, None]
    assert found[1]["src"] == "blog/walk/canal.jpg"
    assert found[2]["loading"] == "eager"
    assert transformed(site, html, rules=rules).count("<picture>") == 2


def test_an_attribute_overrides_the_rule(site: Site) -> None:
    """`data-imagekit-…` says of one image what a rule would say, and stays for the next run."""
    html = '<img src="canal.jpg" alt="" data-imagekit-size="30x30" data-imagekit-priority>'
    out = transformed(site, html)
    (image,) = images(out)
    assert (image["width"], image["height"], image["fetchpriority"]) == ("30", "30", "high")
    assert image["data-imagekit-size"] == "30x30"
    with pytest.raises(ImageKitError, match=r"blog/walk/index\.html, line 2: .*layout"):
        transformed(site, '\n<img src="canal.jpg" data-imagekit-layout="wide">')


@pytest.mark.parametrize("word", ["false", "False", "0"])
def test_an_image_of_its_own_can_say_no(word: str, site: Site) -> None:
    """As Python, Jinja or HTML write it; another word is an error, and counts as no yes."""
    html = '<img src="canal.jpg" alt="" data-imagekit-size="50x50" data-imagekit-{}="{}">'
    (image,) = images(transformed(site, html.format("crop", word)))
    assert image["width"] != image["height"]
    (image,) = images(transformed(site, html.format("priority", word)))
    assert "fetchpriority" not in image
    for name in ("crop", "upscale", "priority", "hdr", "still"):
        with pytest.raises(ImageKitError, match=f"line 1: .*{name}='no' cannot be used: give True or False"):
            transformed(site, html.format(name, "no"))


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"card": {"layuot": "full"}}, "layuot.*Did you mean 'layout'"),
        ({"card": 7}, "'card' is 7"),
        ({"card": {"element": "image"}}, "element.*Did you mean 'img'"),
        ({"card": {"loading": "soon"}}, "'loading' of 'card' is 'soon'"),
        ({"card": {"link": "wide"}}, "'link' of 'card' is 'wide'"),
        ({"card": {"generator": "nope"}}, "nope"),
        ({"card": {"size": "30x", "width": 3}}, "leave it out"),
    ],
)
def test_a_wrong_rule_is_an_error_before_any_page(site: Site, rules: dict[str, Any], message: str) -> None:
    """The message names the class, and what is nearest."""
    with pytest.raises(ImageKitError, match=message):
        site.kit.transform("<p>", rules=rules, page=PAGE)
    with pytest.raises(InvalidSetting, match="html_rules"):
        site.new_kit(html_rules=["card"])


def test_in_an_authors_picture_only_urls_change(site: Site) -> None:
    """Pictures don't nest, and what its sources say about media and types stays true."""
    html = (
        '<picture>\n<source media="print" srcset="canal.jpg 1x, /photos/dunes.jpg 2x , gone.jpg 3x">'
        '<img src="canal.jpg" alt="A"></picture>'
    )
    assert transformed(site, html) == (
        '<picture>\n<source media="print" srcset="blog/walk/canal.jpg 1x, photos/dunes.jpg 2x , gone.jpg 3x"'
        ' data-imagekit-src="canal.jpg 1x, /photos/dunes.jpg 2x , gone.jpg 3x">'
        '<img src="blog/walk/canal.jpg" data-imagekit-src="canal.jpg" data-imagekit-own="picture" alt="A"></picture>'
    )
    assert transformed(site, '<picture><img src="canal.jpg">').startswith("<picture><img src=")


def test_noscript_has_the_same_image_once(site: Site) -> None:
    """What a script loads is left to the script; what stands in for it without scripts is one file."""
    html = '<img data-src="canal.jpg" src="/x.gif"><noscript><img src="canal.jpg" width=60></noscript>'
    expected = '<img src="blog/walk/canal.jpg" data-imagekit-src="canal.jpg" data-imagekit-own="picture" width=60>'
    assert transformed(site, html) == f'<img data-src="canal.jpg" src="/x.gif"><noscript>{expected}</noscript>'


def test_an_image_map_keeps_its_pixels(site: Site) -> None:
    """Its areas are measured on the image as it is, whatever the rule says."""
    rules = {"*": "30x30"}
    (image,) = images(transformed(site, '<img src="canal.jpg" usemap="#m" alt="">', rules=rules))
    assert (image["width"], image["height"]) == ("120", "90")


@pytest.mark.parametrize("end", ['<picture><img src="canal.jpg"></picture></picture>', "<p>And no end."])
def test_a_picture_of_the_authors_without_an_end_of_its_own_keeps_its_image(site: Site, end: str) -> None:
    """Where pictures are nested, or one is never closed, only URLs change in it: no other picture is put inside."""
    html = f'<picture><source srcset="canal.jpg" media="print"><img src="canal.jpg">{end}'
    new = transformed(site, html)
    assert new.count("<picture") == html.count("<picture")
    assert new.count('data-imagekit-src="canal.jpg"') == html.count("canal.jpg")
    assert transformed(site, new) == new


@pytest.mark.parametrize(
    ("attribute", "told"),
    [
        ("size='300'", "300"),
        ("size", "True"),
        ("size='nonsense'", "nonsense"),
        ("fine-print='1'", "fine_print"),
        ("fine:print='1'", "fine:print"),
        ("options='90'", "options"),
    ],
)
def test_an_attribute_of_an_image_that_is_no_keyword_or_value_is_an_error(
    site: Site, attribute: str, told: str
) -> None:
    """It names the page, the line and what was wrong."""
    with pytest.raises(ImageKitError, match=f"(?s)line 2.*{re.escape(told)}"):
        transformed(site, f"<p>\n<img src=canal.jpg alt='' data-imagekit-{attribute}>")


def test_attributes_say_keywords_with_hyphens(site: Site) -> None:
    """As HTML's own names have them."""
    kit = site.new_kit(missing_alt="error")
    with pytest.raises(ImageKitError, match="alternative text"):
        kit.transform("<img src=canal.jpg>", page=PAGE)
    assert "CACHE" in kit.transform("<img src=canal.jpg data-imagekit-missing-alt='ignore'>", page=PAGE)


def test_base_href(site: Site) -> None:
    """URLs are relative to it, from its place on, and so are those that are written."""
    html = '<base href="/photos/"><base href="/x/"><img src="dunes.jpg" alt="">'
    assert 'src="photos/dunes.webp"' in transformed(site, html)
    out = site.new_kit(urls="relative").transform(html, page=PAGE)
    assert 'src="../CACHE/images/photos/dunes/' in out
    out = site.kit.transform('<base href="https://elsewhere.example/"><img src="photos/dunes.jpg">', page="index.html")
    assert "CACHE" in out


def test_a_base_below_a_host_that_may_be_another(site: Site) -> None:
    """Without `site_url` no URL is known to lead back from it, so that images stay; with it, they are found."""
    html = '<base href="https://example.org/walks/"><img src="photos/dunes.jpg" alt="">'
    assert site.kit.transform(html, page="index.html") == html
    kit = site.new_kit(site_url="https://example.org/walks/")
    assert "CACHE" in kit.transform(html, page="index.html")


def test_posters_backgrounds_and_shared_images(site: Site) -> None:
    """A URL in `poster`, `style` and `og:image` is one file, in a format that is shown there."""
    kit = site.new_kit(site_url="https://example.org")
    html = (
        '<meta property="og:image" content="canal.jpg"><meta property="og:image:width" content="1">'
        '<meta name="twitter:image" content="https://example.org/photos/dunes.jpg">'
        '<video poster="canal.jpg"></video>'
        "<p style='color:red; background: #fff url( \"canal.jpg\" ) no-repeat,url(gone.jpg);margin:0'>"
    )
    assert without_urls(kit.transform(html, page=PAGE)) == (
        '<meta property="og:image" content="https://example.orgblog/walk/canal.jpg" data-imagekit-src="canal.jpg">'
        '<meta property="og:image:width" content="120" data-imagekit-src="1">'
        '<meta name="twitter:image" content="https://example.orgphotos/dunes.jpg"'
        ' data-imagekit-src="https://example.org/photos/dunes.jpg">'
        '<video poster="blog/walk/canal.webp" data-imagekit-src="canal.jpg"></video>'
        '<p style="color:red; background: #fff url(blog/walk/canal.webp) no-repeat,url(gone.jpg);margin:0"'
        ' data-imagekit-style="color:red; background: #fff url( &#34;canal.jpg&#34; ) no-repeat,url(gone.jpg);margin:0'
        '">'
    )


def test_a_rule_links_a_smaller_file_instead_of_the_original(site: Site) -> None:
    """The link to a photo publishes it with its metadata, unless `link` says otherwise."""
    html = '<a href="/photos/dunes.jpg"><img src="canal.jpg" class="zoom" alt=""></a><a href="/photos/dunes.jpg">x</a>'
    rules = {**RULES, "zoom": {**RULES["*"], "link": "200x"}}
    kit = site.kit
    out = kit.transform(html, page=PAGE, rules=rules)
    url = re.findall('href="/(CACHE.*?)" data-imagekit-src="/photos/dunes.jpg"', out)
    assert len(url) == 1
    assert out.endswith('<a href="/photos/dunes.jpg">x</a>')
    record = kit.records.get(url[0])
    assert record is not None
    assert (record.width, record.height) == (200, 150)


def test_the_order_of_the_page_decides_what_loads_first(site: Site) -> None:
    """The first large image at once, two more as the browser sees fit, the rest lazily; authors know better."""
    large, small = '<img src="/photos/dunes.jpg" alt="">', '<img src="canal.jpg" alt="">'
    html = small + large + small + '<img src="/photos/dunes.jpg" loading="lazy" alt="">' + large * 3
    found = images(transformed(site, html))
    assert [image.get("fetchpriority") for image in found] == [None, "high", None, None, None, None, None]
    assert [image.get("loading") for image in found] == ["lazy", None, None, "lazy", None, "lazy", "lazy"]
    assert [str(image["sizes"]).startswith("auto") for image in found] == [
        image.get("loading") == "lazy" for image in found
    ]
    elsewhere = '<img src="https://cdn.example/a.jpg" width=600 height=400>'
    assert "high" not in transformed(site, elsewhere + large)
    assert "high" not in without_urls(site.kit.transform(large))


def test_tags_and_bodies_share_the_order_of_a_page(site: Site) -> None:
    """Within `kit.page(…)`, a body takes its turn among the pictures of the template around it."""
    from jinja2 import Environment

    kit = site.kit
    template = kit.install(Environment(autoescape=True)).from_string(
        "{% picture '300x' 'photos/dunes.jpg' formats='WEBP' alt='' %}"
    )
    for _ in range(2):
        with kit.page(PAGE):
            head = template.render()
            body = kit.transform('<img src="/photos/dunes.jpg" alt="">' * 2, page=PAGE)
            tail = template.render()
        assert "high" in head
        assert [image.get("loading") for image in images(body)] == [None, None]
        assert 'loading="lazy"' in tail
    assert 'loading="lazy"' in template.render()


def test_urls_can_be_relative_to_the_page(site: Site) -> None:
    """A site then works below any path, and opened as files; what has to be absolute is."""
    kit = site.new_kit(urls="relative", site_url="https://example.org/docs", base_url="/docs/")
    html = '<img src="canal.jpg" alt=""><meta property="og:image" content="canal.jpg">'
    out = kit.transform(html, page=PAGE)
    assert 'src="../../CACHE/images/blog/walk/canal/' in out
    assert 'content="https://example.org/docs/CACHE/images/blog/walk/canal/' in out
    with kit.page("index.html"):
        assert kit.picture("40x", "photos/dunes.jpg").url.startswith("./CACHE/images/photos/dunes/")
    assert kit.picture("40x", "photos/dunes.jpg").url.startswith("/docs/CACHE/images/photos/dunes/")
    assert kit.url_for("40x", "photos/dunes.jpg", absolute=True).startswith("https://example.org/docs/CACHE/images/")
    assert kit.url_for("40x", "photos/dunes.jpg").endswith(".webp")
    assert 'src="/docs/CACHE/' in kit.transform('<img src="/docs/photos/dunes.jpg" alt="">', page="404.html")
    elsewhere = site.new_kit(urls="relative", base_url="https://cdn.example/")
    assert 'src="https://cdn.example/CACHE' in elsewhere.transform(html, page=PAGE)


def test_a_second_run_changes_nothing(site: Site) -> None:
    """Everything that was written is recognized, and each image's author's own attributes are told from ours."""
    html = (
        '<img src="canal.jpg"><img src="/photos/dunes.jpg" alt="" width="100" loading="eager" sizes="5px">'
        '<picture><source srcset="canal.jpg"><img src="canal.jpg" alt=""></picture><video poster="canal.jpg"></video>'
        '<img src="canal.jpg" class="card" width="50%" data-imagekit-size="40x20">'
        '<p style="background-image:url(canal.jpg)"><meta property="og:image" content="canal.jpg">'
        '<noscript><img src="canal.jpg" style="border:0"></noscript>'
        '<a href="canal.jpg"><img src="canal.jpg" class="zoom" style="border:0"></a>'
    )
    rules = {**RULES, "card": {"size": "60x", "placeholder": "blur"}, "zoom": {"link": True, "widths": (20, 40)}}
    for more in ({}, {"picture_css": "class"}, {"urls": "relative"}):
        kit = site.new_kit(html_rules=rules, site_url="https://example.org", **more)
        once = kit.transform(html, page=PAGE)
        assert kit.transform(once, page=PAGE) == once
        assert once.count("data-imagekit-src") == 10


def test_a_changed_source_is_renewed(site: Site) -> None:
    """So is what the rules or the settings say now."""
    html = '<p>a</p><img src="canal.jpg" alt="A"><video poster="canal.jpg"></video><p>b</p>'
    once = site.kit.transform(html, page=PAGE)
    settled(site.images / "blog/walk/canal.jpg", photo_bytes(200, 100, seed=5))
    kit = site.new_kit()
    twice = kit.transform(once, page=PAGE)
    assert twice == kit.transform(html, page=PAGE)
    (old,), (new,) = images(once), images(twice)
    assert old["src"] != new["src"]
    assert (new["width"], new["height"]) == ("200", "100")
    other = kit.transform(twice, page=PAGE, rules={"*": "40x40"})
    assert other == kit.transform(html, page=PAGE, rules={"*": "40x40"})
    os.unlink(site.images / "blog/walk/canal.jpg")
    assert site.new_kit().transform(twice, page=PAGE) == twice


def test_xhtml_stays_well_formed(site: Site) -> None:
    """Elements are closed as XML wants it, and CDATA sections are no tags."""
    from xml.etree import ElementTree

    head = '<?xml version="1.0"?>\r\n<html xmlns="http://www.w3.org/1999/xhtml"><body>'
    script = '<script><![CDATA[<img src="canal.jpg"/>]]></script>'
    html = f'{head}{script}<img src="canal.jpg" alt="a&lt;b"/><br/></body></html>'
    out = site.kit.transform(html, page=PAGE, rules={"*": {"widths": (20, 40)}})
    found = ElementTree.fromstring(out)
    assert len(list(found.iter("{http://www.w3.org/1999/xhtml}source"))) == 1
    assert out.startswith(f"{head}{script}<picture><source ")
    assert site.kit.transform(out, page=PAGE, rules={"*": {"widths": (20, 40)}}) == out


def test_line_ends_and_other_characters_stay(site: Site) -> None:
    """CRLF, NUL, a byte-order mark and half a surrogate pair."""
    html = '\ufeff<p>\r\n\0\udce9é&nbsp;<img src="canal.jpg" alt="">\r\n</p>\r'
    out = site.kit.transform(html, page=PAGE)
    before, after = html.split('<img src="canal.jpg" alt="">')
    assert out.startswith(before + "<img ")
    assert out.endswith(">" + after)


def test_a_bad_image_is_an_error_that_names_page_and_line(site: Site) -> None:
    """Or whatever `on_error` says."""
    settled(site.images / "bad.jpg", b"\xff\xd8 not a JPEG")
    html = '<p>\n<img src="/bad.jpg" alt="Bad">'
    with pytest.raises(ImageKitError, match=r"blog/walk/index\.html, line 2: <img> of '/bad\.jpg': .*bad\.jpg"):
        site.kit.transform(html, page=PAGE)
    out = site.new_kit(on_error="placeholder").transform(html, page=PAGE)
    assert 'src="data:image/svg+xml' in out
    assert site.new_kit(on_error="omit").transform(html, page=PAGE) == "<p>\n"


def test_alternative_text_may_be_missing_unless_a_setting_minds(site: Site) -> None:
    """Somebody else's page is not an error; a sidecar file helps."""
    html = '<img src="canal.jpg">'
    assert "alt" not in images(transformed(site, html))[0]
    with pytest.raises(ImageKitError) as caught:
        site.new_kit(missing_alt="error").transform(html, page=PAGE)
    assert isinstance(caught.value.__cause__, MissingAlt)
    settled(site.images / "blog/walk/canal.jpg.toml", b'alt = "From the sidecar"')
    kit = site.new_kit()
    once = kit.transform(html, page=PAGE)
    assert images(once)[0]["alt"] == "From the sidecar"
    assert kit.transform(once, page=PAGE) == once


def test_a_host_can_find_sources_itself(site: Site) -> None:
    """Where the names in its pages are not those of files yet."""
    path = site.images / "photos/dunes.jpg"
    out = site.kit.transform(
        '<img src="_images/dunes.jpg" alt=""><img src="canal.jpg" alt="">',
        page=PAGE,
        locate=lambda url: path if url.startswith("_images/") else None,
    )
    assert [re.sub("/[0-9a-f]+.webp", "", str(image["src"])) for image in images(out)] == [
        "/CACHE/images/photos/dunes",
        "/CACHE/images/blog/walk/canal",
    ]


def test_a_drawing_without_a_size_keeps_what_a_style_sheet_gives_it(site: Site) -> None:
    """It is as wide as there is room, and with a size of its own or the author's a picture."""
    for name, width in (("view.svg", ""), ("sized.svg", 'width="40" height="20"')):
        settled(site.images / name, f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 4 2" {width}/>'.encode())
    html = '<img src="/view.svg" alt="">'
    out = site.kit.transform(html, page=PAGE)
    assert without_urls(out) == '<img src="view.svg" data-imagekit-src="/view.svg" data-imagekit-own="picture" alt="">'
    assert site.kit.transform(out, page=PAGE) == out
    assert 'width="40" height="20"' in transformed(site, '<img src="/sized.svg" alt="">')
    assert 'width="90" height="45"' in transformed(site, '<img src="/view.svg" alt="" width="90">')


def test_what_a_rule_leaves_alone_is_left_alone_everywhere(site: Site) -> None:
    """Also in an author's picture, a poster, a style and `<meta>`, where the rule for all others is False."""
    html = (
        '<meta property="og:image" content="canal.jpg"><video poster="canal.jpg"></video>'
        '<p style="background:url(canal.jpg)"><picture><source srcset="canal.jpg"><img src="canal.jpg"></picture>'
        '<noscript><img src="canal.jpg"></noscript>'
    )
    assert transformed(site, html, rules={"*": False, "card": True}) == html
    html = '<picture><source srcset="canal.jpg"><img src="canal.jpg" class="raw"></picture>'
    assert transformed(site, html, rules={"raw": False}) == html
    assert transformed(site, '<p style="background:url(canal.jpg)" class="card">', rules={"*": False, "card": True})


def test_a_picture_of_python_shows_the_urls_of_the_page_it_is_on(site: Site) -> None:
    """With relative URLs, one that is made once may be printed on several pages; the manifest has one entry."""
    kit = site.new_kit(urls="relative", keep_notes=True)
    picture = kit.picture("40x", "photos/dunes.jpg", widths=(40,), formats="WEBP", alt="")
    for page, up in (("index.html", "./"), ("a/b/c.html", "../../"), ("index.html", "./")):
        with kit.page(page):
            assert f'src="{up}CACHE' in picture.html()
    kit.finish()
    (entry,) = kit.pictures.read_manifest()
    assert entry["url"].startswith("/CACHE/")


_PIECES = st.sampled_from(
    [
        *("<img src=canal.jpg alt=x>", "<img src='gone.jpg'>", "<picture>", "</picture>", "<source srcset=canal.jpg>"),
        *("<pre>", "</pre>", "<!--", "-->", "<script>", "</script>", "<p title='", "'", '"', ">", "<", "</", "<a b="),
        *("<![CDATA[", "]]>", "<svg>", "</svg>", "<textarea>", "</textarea>", "&amp;", "=", "/>", "<base href=/x/>"),
        *("<noscript>", "</noscript>", "<video poster=canal.jpg>", 'style="background:url(canal.jpg)"', "<template>"),
        *("\0", "é\r\n"),
    ]
)


@hypothesis_settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.lists(_PIECES | st.text(max_size=5), max_size=14))
def test_whatever_the_html_nothing_else_changes(site: Site, pieces: list[str]) -> None:
    """What is cut out of the result is what was written, what stands between is the page's, in its order."""
    html = "".join(pieces)
    once = site.kit.transform(html, page=PAGE)
    assert site.kit.transform(once, page=PAGE) == once
    if "data-imagekit" not in once:
        assert once == html
    kept = re.split(
        r"<(?:img|source|video)\b[^>]*data-imagekit[^>]*>|style=\"[^\"]*\" data-imagekit-style=\"[^\"]*\"", once
    )
    at = 0
    for part in kept:
        found = html.find(part, at)
        assert found >= 0, part
        at = found + len(part)
