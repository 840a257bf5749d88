"""What authors and templates of a Pelican site call their images."""

from __future__ import annotations

import html
import posixpath
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import pytest
from pelican_site import PelicanSite

import drawing
from jinja_imagekit.exceptions import ImageKitError, SourceNotAllowed, SourceNotFound


@pytest.fixture
def site(tmp_path: Path) -> PelicanSite:
    site = PelicanSite(tmp_path)
    site.template("article.html", "{% thumbnail '40x30' article.photo %}")
    site.template("index.html", "{% for each in articles %}{{ each.photo | thumbnail('20x15') }}{% endfor %}")
    return site


def source_folders(html: str) -> list[str]:
    """Return of which sources a page shows images: their names without an extension."""
    return [unquote(each) for each in re.findall(r"CACHE/images/(.+?)/[0-9a-f]{32}", html)]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("canal.jpg", "walks/canal/canal"),
        ("./canal.jpg", "walks/canal/canal"),
        ("{static}canal.jpg", "walks/canal/canal"),
        ("{attach}canal.jpg", "walks/canal/canal"),
        ("|static|canal.jpg", "walks/canal/canal"),
        ("{static}/images/dunes.jpg", "images/dunes"),
        ("{static}../../images/dunes.jpg", "images/dunes"),
        ("../../images/dunes.jpg", "images/dunes"),
        ("images/dunes.jpg", "images/dunes"),
        ("/images/dunes.jpg", "images/dunes"),
        ("https://walks.example/images/dunes.jpg", "images/dunes"),
        ("/images/two%20words.jpg", "images/two words"),
        ("/images/two words.jpg", "images/two words"),
        ("{static}/images/dunes.jpg?v=1", "images/dunes"),
        ("{static}/images/dunes.jpg#left", "images/dunes"),
        ("/images/100%25.jpg", "images/100_25"),
        ("both.jpg", "walks/canal/both"),
        ("/both.jpg", "both"),
    ],
)
def test_metadata_names_an_image(site: PelicanSite, name: str, found: str) -> None:
    """A name is looked for beside the article, then in the content folder, on the article's page and on others."""
    for photo in (
        "walks/canal/canal.jpg",
        "walks/canal/both.jpg",
        "both.jpg",
        "images/dunes.jpg",
        "images/two words.jpg",
        "images/100%25.jpg",
    ):
        site.photo(photo, width=80, height=60)
    site.article("walks/canal/canal.md", Photo=name)
    site.build(SITEURL="https://walks.example")
    assert source_folders(site.page("canal.html")) == [found]
    assert source_folders(site.page("index.html")) == [found]


def test_metadata_still_reads_as_it_was_written(site: PelicanSite) -> None:
    """A theme that prints a name prints what the author wrote."""
    site.photo("walks/canal.jpg")
    site.article("walks/walk.md", Photo="{static}canal.jpg", Miles="7")
    site.template("article.html", "{{ article.photo }} {{ article.photo | upper }} {{ article.miles }}")
    site.template("index.html", "")
    site.build()
    assert site.page("walk.html") == "{static}canal.jpg {STATIC}CANAL.JPG 7"


def test_a_template_of_an_article_looks_beside_it(site: PelicanSite) -> None:
    """Names that a template makes itself, such as the parts of a list, are looked for beside the article as well."""
    site.photo("walks/a.jpg")
    site.photo("walks/b.jpg")
    site.photo("logo.png")
    site.article("walks/walk.md", Gallery="a.jpg, b.jpg")
    site.template(
        "article.html",
        "{% for name in article.gallery.split(', ') %}{{ name | thumbnail('20x20') }}{% endfor %}"
        "{% generateimage 'imagekit:thumbnail' source='logo.png' width=20 as logo %}{{ logo }}"
        "{% thumbnail '10x10' 'a.jpg' as small %}{{ small }}"
        "{{ 'b.jpg' | generateimage('imagekit:thumbnail', width=9) }}",
    )
    site.template("index.html", "")
    site.build()
    assert source_folders(site.page("walk.html")) == ["walks/a", "walks/b", "logo", "walks/a", "walks/b"]


def test_an_article_without_an_image_has_none(site: PelicanSite) -> None:
    """Metadata that is missing or empty makes a cache file that is false."""
    site.article("walk.md", Photo="")
    site.template("article.html", "{% thumbnail '20x20' article.photo as a %}{{ 'one' if a else 'none' }}")
    site.template("index.html", "{% thumbnail '20x20' articles[0].cover as a %}{{ 'one' if a else 'none' }}")
    site.build()
    assert site.page("walk.html") == site.page("index.html") == "none"


def test_further_folders_hold_images_too(site: PelicanSite) -> None:
    """IMAGEKIT_SOURCE_DIRS names folders, relative to the content folder, that are looked into after it."""
    site.photo("../library/dunes.jpg")
    site.article("walk.md", Photo="dunes.jpg")
    site.build(IMAGEKIT_SOURCE_DIRS=["../library"])
    assert source_folders(site.page("walk.html")) == ["dunes"]


@pytest.mark.parametrize(
    "name",
    ["../../secret.jpg", "{static}../../secret.jpg", "{static}/../secret.jpg", "..%2F..%2Fsecret.jpg", "secret.jpg\\0"],
)
def test_a_name_does_not_lead_out_of_the_content_folder(site: PelicanSite, name: str) -> None:
    """Whatever an author or a template writes, only the content folder is read."""
    site.photo("../secret.jpg")
    site.article("walks/walk.md")
    site.template("article.html", f"{{% thumbnail '20x20' '{name}' %}}")
    site.template("index.html", "")
    with pytest.raises(ImageKitError, match="secret"):
        site.build()
    assert not site.published()


def test_a_symbolic_link_does_not_lead_out_of_the_content_folder(site: PelicanSite) -> None:
    """A link beside an article is followed only within the content folder."""
    secret = site.photo("../secret.jpg")
    try:
        (site.folder / "content/link.jpg").symlink_to(secret)
    except OSError:
        pytest.skip("this machine lets nobody make symbolic links")
    site.article("walk.md", Photo="link.jpg")
    with pytest.raises(SourceNotAllowed, match="symbolic link"):
        site.build()


def test_a_missing_image_says_where_it_was_looked_for(site: PelicanSite) -> None:
    """The error names the image as the article does, both places, and the line of the template."""
    site.article("walks/walk.md", Photo="gone.jpg")
    with pytest.raises(SourceNotFound) as caught:
        site.build()
    text = str(caught.value)
    assert "'gone.jpg'" in text
    assert "walks/gone.jpg and gone.jpg" in text
    assert re.search(r"template '(article|index)\.html', line 1", text)


def test_attached_images_are_there_or_nowhere(site: PelicanSite) -> None:
    """What a link of Pelican's leads to is looked for where Pelican looks, and not in the content folder as well."""
    site.photo("canal.jpg")
    site.article("walks/walk.md", Photo="{attach}canal.jpg")
    with pytest.raises(SourceNotFound, match=r"looked for walks/canal\.jpg below"):
        site.build()


@pytest.mark.parametrize("settings", [{}, {"RELATIVE_URLS": True}, {"SITEURL": "https://walks.example"}])
@pytest.mark.parametrize("name", ["a#1.jpg", "50%.jpg", "why?.jpg", '"q".jpg', "<b>.jpg", "a&amp;b.jpg", "é + ï.jpg"])
def test_names_that_urls_have_other_uses_for(site: PelicanSite, name: str, settings: dict[str, Any]) -> None:
    """A photo of any name that a disk allows has URLs that lead to files, in metadata and in the text."""
    site.photo(f"walks/{name}", width=80, height=60)
    site.template("article.html", "{{ article.content }}{% thumbnail '40x30' article.photo srcset='2' -- alt='' %}")
    site.article("walks/walk.md", f"![]({quote(name)}){{.card}}", Photo=name)
    site.build(IMAGEKIT_CLASSES={"card": "20x15"}, **settings)
    texts = re.findall(r'(?:src="|srcset="[^"]* 1x, )([^" ]+)', site.page("walk.html"))
    paths = [posixpath.normpath(unquote(urlsplit(html.unescape(text)).path).lstrip("/")) for text in texts]
    assert len(set(paths)) == 3
    assert sorted(paths) == site.published()


@pytest.mark.parametrize("ending", ["-- class='x' %}", "as p %}{{ p }}"])
def test_sources_of_an_art_direction_are_found_as_all_others(site: PelicanSite, ending: str) -> None:
    """A name within `at` is looked for beside the article as well."""
    site.photo("walks/canal.jpg", seed=1)
    site.photo("walks/dunes.jpg", seed=2)
    narrow = "{'(max-width: 600px)': {'source': 'dunes.jpg', 'size': '40x40'}}"
    site.template("article.html", f"{{% picture '80x60' article.photo alt='' at={narrow} {ending}")
    site.article("walks/walk.md", Photo="canal.jpg")
    site.build()
    assert set(source_folders(site.page("walk.html"))) == {"walks/canal", "walks/dunes"}


def test_front_matter_says_what_crops_keep_and_what_there_is_to_see(tmp_path: Path) -> None:
    """Beside `Photo` an article has `Photo_focus` and `Photo_alt`, for all pages; what a tag says goes before them."""
    site = PelicanSite(tmp_path)
    for name, seed in (("a.jpg", 1), ("b.jpg", 2)):
        site.photo(name, seed)
    site.article("one.md", Photo="a.jpg", Photo_focus="10% 90%", Photo_alt="A & B")
    site.article("two.md", Photo="a.jpg", Photo_focus="90% 10%", Photo_alt="Another")
    site.article("three.md", Photo="b.jpg")
    site.template(
        "article.html",
        "{% macro url(anchor) %}{{ article.photo | thumbnail('40x10', anchor=anchor) }}{% endmacro %}"
        "{% thumbnail '40x10' article.photo %}|{{ url('10% 90%') }}|{{ url('90% 10%') }}|"
        "{% picture '40x10' article.photo formats='JPEG' missing_alt='ignore' %}|"
        "{% picture '40x10' article.photo formats='JPEG' alt='Mine' %}",
    )
    site.template("index.html", "{% for each in articles %}{{ each.photo | thumbnail('40x10') }}{% endfor %}")
    site.build()
    own = {}
    for name in ("one", "two", "three"):
        thumbnail, *expected, picture, mine = site.page(f"{name}.html").split("|")
        own[name] = thumbnail
        alt = re.findall(r' alt="([^"]*)"', picture)
        assert alt == {"one": ["A &amp; B"], "two": ["Another"], "three": []}[name]
        assert ' alt="Mine"' in mine
        assert [thumbnail == each for each in expected] == [name == "one", name == "two"]
        assert site.page("index.html").count(thumbnail) == 1
    assert len(set(own.values())) == 3


def test_images_in_a_bucket(site: PelicanSite) -> None:
    """What the content folder lacks is looked up in the bucket, for metadata, templates and the bodies of articles."""
    files = pytest.importorskip("fsspec", reason="the extra fsspec is not installed").filesystem("memory")
    files.pipe_file("/site/photos/walks/canal.jpg", drawing.jpeg(80, 60, 1))
    site.template("article.html", "{% thumbnail '40x30' article.photo %}{{ article.content }}")
    site.article("walks/canal.md", '<img class="card" src="/walks/canal.jpg" alt="A canal">', Photo="canal.jpg")
    try:
        site.build(IMAGEKIT_SOURCE_DIRS=["memory://site/photos"], IMAGEKIT_CLASSES={"card": "64x48"})
    finally:
        files.rm("/site", recursive=True)
    assert source_folders(site.page("canal.html")) == ["walks/canal"] * 2
