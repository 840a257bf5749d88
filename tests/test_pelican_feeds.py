"""Images in feeds and in `og:image`: one absolute URL each, in a format that everything shows."""

from __future__ import annotations

import html
import re
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from pelican_site import PelicanSite, pelican
from PIL import Image

import drawing
from jinja_imagekit import ImageSpec
from jinja_imagekit.exceptions import ImageKitError
from jinja_imagekit.processors import ResizeToFill

SITE = "https://walks.example/blog"
PICTURE: dict[str, Any] = {"*": {"size": "100x", "layout": "constrained", "loading": "eager"}}
FEEDS: dict[str, Any] = {"FEED_ALL_ATOM": "all.atom", "FEED_ALL_RSS": "all.rss"}
WHERE = pytest.mark.parametrize(
    "settings",
    [
        {"SITEURL": SITE},
        {"SITEURL": SITE, "RELATIVE_URLS": True},
        {"SITEURL": "", "FEED_DOMAIN": SITE},
        {"SITEURL": SITE, "IMAGEKIT_BASE_URL": "/blog/", "RELATIVE_URLS": True},
    ],
    ids=["site-url", "relative", "feed-domain", "base-url"],
)


class Own(ImageSpec):
    """An image that is made without processors."""

    format = "WEBP"

    def generate(self) -> Any:
        """Return a square, whatever the source is."""
        return BytesIO(drawing.encoded(Image.new("RGB", (30, 30)), "WEBP"))


SPECS = {"blog:card": {"processors": [ResizeToFill(64, 48)], "format": "WEBP", "options": {"method": 2}}, "own": Own}


@pytest.fixture
def site(tmp_path: Path) -> PelicanSite:
    site = PelicanSite(tmp_path)
    site.photo("walks/canal.jpg", seed=1)
    return site


def bodies(site: PelicanSite) -> list[str]:
    """Return the HTML of the only article in the Atom feed and in the RSS feed."""
    atom = ElementTree.fromstring(site.page("all.atom")).find(".//{*}content")
    rss = ElementTree.fromstring(site.page("all.rss")).find(".//item/description")
    assert atom is not None
    assert rss is not None
    return [str(atom.text), str(rss.text)]


def file_of(site: PelicanSite, url: str) -> tuple[str | None, tuple[int, int]]:
    """Return format and size in pixels of the published file behind an absolute URL."""
    assert url.startswith(f"{SITE}/CACHE/images/")
    with Image.open(site.output / url.removeprefix(f"{SITE}/")) as image:
        return image.format, image.size


@WHERE
def test_a_picture_is_one_img_in_a_feed(site: PelicanSite, settings: dict[str, Any]) -> None:
    """It is an absolute JPEG with the author's attributes; pages keep their picture."""
    site.article("walks/walk.md", '<img src="canal.jpg" alt="A &amp; B" class="x" title="T">')
    site.build(IMAGEKIT_CLASSES=PICTURE, **FEEDS, **settings)
    for body in bodies(site):
        found = re.fullmatch(
            r'<p><img src="(\S+)" width="100" height="75" alt="A &amp; B" class="x" title="T"></p>', body
        )
        assert found, body
        assert file_of(site, found[1]) == ("JPEG", (100, 75))
    page = site.page("walk.html")
    assert page.count("<source") == 1
    assert ".jpg" not in page
    assert "__imagekit" not in page + site.page("all.atom") + site.page("all.rss")


def test_each_kind_of_class_gives_a_jpeg_or_a_png(site: PelicanSite) -> None:
    """Thumbnails and specs in a modern format too; what is transparent is a PNG, and a JPEG of the page is used."""
    classes = {
        "picture": {"size": "100x", "at": {"(max-width: 9px)": "40x40"}},
        "thumb": {"size": "40x40", "format": "WEBP", "srcset": "2"},
        "jpeg": {"size": "50x40", "srcset": "2"},
        "spec": "blog:card",
        "wide": {"generator": "blog:card", "widths": "32 64"},
    }
    (site.folder / "content/walks/cut.png").write_bytes(drawing.alpha_png(drawing.cut_out(drawing.photo(120, 90))))
    images = [f"![](canal.jpg){{.{name}}}" for name in classes]
    site.article("walks/walk.md", "\n".join([*images, "![](cut.png){.picture}", "![](cut.png){.spec}"]))
    site.build(IMAGEKIT_CLASSES=classes, IMAGEKIT_SPECS=SPECS, SITEURL=SITE, **FEEDS)
    for body in bodies(site):
        assert not re.search("sizes|<source|<picture|style|loading|decoding", body)
        (dense,) = re.findall('srcset="(.*?) 1x, (.*?) 2x"', body)
        assert [file_of(site, url) for url in dense] == [("JPEG", (50, 40)), ("JPEG", (100, 80))]
        made = [file_of(site, url) for url in re.findall(' src="(.*?)"', body)]
        sizes = [(100, 75), (40, 40), (50, 40), (64, 48), (64, 48)]
        assert made == [*(("JPEG", size) for size in sizes), ("PNG", (100, 75)), ("PNG", (64, 48))]
        assert re.findall('src="(.*?)"', body)[2] in site.page("walk.html")


def test_a_generator_that_makes_its_own_image_keeps_its_format(site: PelicanSite) -> None:
    """Its URL is absolute nevertheless."""
    site.article("walks/walk.md", "![](canal.jpg){.own}")
    site.build(IMAGEKIT_CLASSES={"own": "own"}, IMAGEKIT_SPECS=SPECS, SITEURL=SITE, RELATIVE_URLS=True, **FEEDS)
    for body in bodies(site):
        assert file_of(site, re.findall('src="(.*?)"', body)[0])[0] == "WEBP"


def test_images_that_are_not_the_kits_stay_as_they_are_in_feeds(site: PelicanSite) -> None:
    """Other sites' images and an author's own picture are the author's business."""
    kept = (
        '<p><img src="https://elsewhere.example/a.webp" loading="lazy">'
        '<picture><source srcset="https://elsewhere.example/a.avif"><img src="https://elsewhere.example/a.jpg"></picture></p>'
    )
    site.article("walks/walk.md", kept)
    site.build(IMAGEKIT_CLASSES=PICTURE, SITEURL=SITE, **FEEDS)
    assert bodies(site) == [kept, kept]


def test_a_summary_in_a_feed_has_a_jpeg_too(site: PelicanSite) -> None:
    """Readers show either of the two."""
    site.article("walks/walk.md", "One ![](canal.jpg) two three four")
    site.build(IMAGEKIT_CLASSES=PICTURE, SITEURL=SITE, SUMMARY_MAX_LENGTH=2, RSS_FEED_SUMMARY_ONLY=True, **FEEDS)
    summary = ElementTree.fromstring(site.page("all.rss")).findtext(".//item/description") or ""
    assert re.fullmatch(rf'<p>One <img src="{SITE}/CACHE/\S+\.jpg" width="100" height="75" alt=""> two.*</p>', summary)
    assert html.escape(summary, quote=False) in site.page("all.atom")


def test_without_feeds_no_file_is_made_for_them(site: PelicanSite) -> None:
    """A JPEG beside the formats of the pages is made where a feed shows the article."""
    site.article("walks/walk.md", "![](canal.jpg)")
    site.build(IMAGEKIT_CLASSES=PICTURE, SITEURL=SITE)
    assert {Path(name).suffix for name in site.published()} == {".avif", ".webp"}


def test_a_second_build_keeps_what_feeds_need(site: PelicanSite, capsys: pytest.CaptureFixture[str]) -> None:
    """An unchanged site makes nothing, and prunes none of its images."""
    site.article("walks/walk.md", "![](canal.jpg)")
    site.build(IMAGEKIT_CLASSES=PICTURE, SITEURL=SITE, **FEEDS)
    first = bodies(site), site.published()
    capsys.readouterr()
    site.build(IMAGEKIT_CLASSES=PICTURE, SITEURL=SITE, **FEEDS)
    assert (bodies(site), site.published()) == first
    assert " 0 made" in capsys.readouterr().out


@WHERE
def test_og_image_is_absolute(site: PelicanSite, settings: dict[str, Any]) -> None:
    """`absolute_url` of a picture is a JPEG's, on pages with relative links too; its other files are not made."""
    site.template(
        "article.html",
        "{% picture '120x63' article.photo as p %}<meta property='og:image' content='{{ p.absolute_url }}'>"
        "{% thumbnail '40x' article.photo -- alt='' %}",
    )
    site.article("walks/walk.md", Photo="canal.jpg")
    site.build(**settings, ARTICLE_SAVE_AS="a/{slug}.html", ARTICLE_URL="a/{slug}.html")
    page = site.page("a/walk.html")
    (url,) = re.findall("content='(.*?)'", page)
    assert file_of(site, url) == ("JPEG", (120, 63))
    assert len(site.published()) == 2
    (other,) = re.findall('src="(.*?)"', page)
    assert other.startswith(SITE) == (settings == {"SITEURL": SITE})


def test_while_the_site_has_no_url_nothing_is_absolute(site: PelicanSite) -> None:
    """In development a URL leads to the image all the same."""
    site.template("article.html", "{% picture '120x63' article.photo as p %}{{ p.absolute_url }}")
    site.article("walks/walk.md", Photo="canal.jpg")
    site.build()
    assert site.published() == [site.page("walk.html").removeprefix("/")]


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("policy", ["placeholder", "omit"])
def test_no_absolute_url_leads_to_a_file_that_could_not_be_made(site: PelicanSite, policy: str, relative: bool) -> None:
    """What is found out late is mended in feeds and in `og:image` too."""
    photo = site.folder / "content/walks/canal.jpg"
    data = photo.read_bytes()
    photo.write_bytes(data[: len(data) // 2] + b"\xff\xd9")
    site.template(
        "article.html", "{% picture '120x63' article.photo as p %}<i title='{{ p.absolute_url }}'>{{ article.content }}"
    )
    site.article("walks/walk.md", "![](canal.jpg)", Photo="canal.jpg")
    settings = {**FEEDS, "IMAGEKIT_CLASSES": PICTURE, "SITEURL": SITE, "RELATIVE_URLS": relative}
    site.build(IMAGEKIT_ON_ERROR=policy, **settings)
    for name in ("walk.html", "all.atom", "all.rss"):
        assert "CACHE" not in site.page(name)
        assert "https:data" not in site.page(name)
        assert "blogdata" not in site.page(name)
    assert not site.published()


def test_an_error_in_a_feed_names_the_article(site: PelicanSite) -> None:
    """A photo that went away after its page was planned is told with the file and line."""
    site.article("walks/walk.md", "Text.\n\n![](canal.jpg){.card}")
    photo = site.folder / "content/walks/canal.jpg"
    run = site.pelican(IMAGEKIT_SPECS=SPECS, IMAGEKIT_CLASSES={"card": "blog:card"}, SITEURL=SITE, **FEEDS)

    def remove(generators: Any) -> None:
        photo.unlink()

    pelican.signals.all_generators_finalized.connect(remove)
    try:
        with pytest.raises(ImageKitError, match=r"walks/walk\.md, line 7: <img src='canal\.jpg'>: "):
            run.run()
    finally:
        pelican.signals.all_generators_finalized.disconnect(remove)
