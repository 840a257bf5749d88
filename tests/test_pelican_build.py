"""Pelican builds a site: one kit, images made at the end, published, and linked as the settings say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pelican_site import PelicanSite

from jinja_imagekit.exceptions import ImageKitError

from jinja_imagekit.pelican import site as site_module  # isort: skip
from pelican import signals  # isort: skip  # after pelican_site, which keeps Pelican's loggers to Pelican

SRC = re.compile(r'(?:src|href)="([^"]+)"')


@pytest.fixture
def site(tmp_path: Path) -> PelicanSite:
    return PelicanSite(tmp_path)


@pytest.fixture
def blog(site: PelicanSite) -> PelicanSite:
    """A site of two articles and a page, whose templates ask for five images."""
    site.photo("canal/canal.jpg", seed=1)
    site.photo("images/dunes.jpg", seed=2)
    site.article("canal/canal.md", Photo="canal.jpg")
    site.article("dunes.md", Photo="{static}/images/dunes.jpg", Date="2026-01-03")
    site.article("pages/about.md", Photo="/images/dunes.jpg")
    site.template("index.html", "{% for each in articles %}{% thumbnail '80x60' each.photo %}{% endfor %}")
    site.template("article.html", "{% thumbnail '160x120' article.photo -- alt=article.title %}{{ article.content }}")
    site.template("page.html", "{{ page.photo | thumbnail('40x30') }}")
    return site


def sources(html: str) -> list[str]:
    return SRC.findall(html)


def test_all_generators_share_one_kit(blog: PelicanSite, capsys: pytest.CaptureFixture[str]) -> None:
    """Articles, pages, index and template pages ask one kit, which makes what two of them need once."""
    blog.write("content/extra.html", "{% thumbnail '80x60' 'images/dunes.jpg' %}")
    blog.build(TEMPLATE_PAGES={"extra.html": "extra.html"})
    pages = [blog.page(name) for name in ("index.html", "canal.html", "dunes.html", "pages/about.html", "extra.html")]
    named = {url.removeprefix("/") for page in pages for url in sources(page)}
    assert len(named) == 5
    assert named == set(blog.published())
    assert "5 images on the site, 5 made" in capsys.readouterr().out


def test_no_image_is_made_before_all_pages_are_written(blog: PelicanSite) -> None:
    """Images wait for the end of the run, when they are made in parallel."""
    made_when_written: list[int] = []

    def count(path: str, context: Any) -> None:
        made_when_written.append(len(list((blog.folder / "cache").rglob("*.jpg"))))

    with signals.content_written.connected_to(count):
        blog.build()
    assert made_when_written == [0, 0, 0, 0]
    assert len(blog.published()) == 5


def test_a_long_run_says_how_far_it_is(
    blog: PelicanSite, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While images are made, the console has a line from time to time."""
    monkeypatch.setattr(site_module, "INTERVAL_SECONDS", 0)
    blog.build()
    assert re.findall(r"Images: (\d) of 5 \((\d+)%\)", capsys.readouterr().out) == [
        ("1", "20"),
        ("2", "40"),
        ("3", "60"),
        ("4", "80"),
    ]


def test_a_deleted_output_folder_is_filled_again_without_making_anything(
    blog: PelicanSite, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where Pelican deletes its output, images are put back from the cache."""
    blog.build(DELETE_OUTPUT_DIRECTORY=True)
    first = blog.published()
    blog.write("output/stale.html", "")
    blog.build(DELETE_OUTPUT_DIRECTORY=True)
    assert not (blog.output / "stale.html").exists()
    assert blog.published() == first
    assert "0 made, 5 unchanged" in capsys.readouterr().out


def test_a_changed_photo_gives_new_images_and_takes_the_old_ones_away(
    blog: PelicanSite, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only what depends on the photo is made, and what no page names any more leaves the output folder."""
    blog.build()
    first = set(blog.published())
    blog.photo("canal/canal.jpg", seed=9)
    blog.build()
    second = set(blog.published())
    assert len(second) == 5
    assert len(first - second) == len(second - first) == 2
    assert "2 made, 3 unchanged" in capsys.readouterr().out


def test_urls_begin_with_the_sites_url(blog: PelicanSite) -> None:
    """With SITEURL, pages name their images by whole URLs, as they do their links."""
    blog.build(SITEURL="https://walks.example/blog")
    urls = sources(blog.page("index.html"))
    assert len(urls) == 2
    assert all(url.startswith("https://walks.example/blog/CACHE/images/") for url in urls)
    assert all((blog.output / url.removeprefix("https://walks.example/blog/")).is_file() for url in urls)


def test_relative_urls_lead_from_each_page_to_its_images(blog: PelicanSite) -> None:
    """With RELATIVE_URLS, each page names its images from where it lies."""
    blog.build(RELATIVE_URLS=True, ARTICLE_SAVE_AS="a/b/{slug}.html", ARTICLE_URL="a/b/{slug}.html")
    for name in ("index.html", "a/b/canal.html", "pages/about.html"):
        urls = sources(blog.page(name))
        assert urls
        for url in urls:
            assert not url.startswith("/")
            assert (blog.output / name).parent.joinpath(url).resolve().is_file()


@pytest.mark.parametrize(
    "settings",
    [
        {"SITEURL": "https://walks.example"},
        {"SITEURL": "https://walks.example", "RELATIVE_URLS": True},
        {"SITEURL": "", "FEED_DOMAIN": "https://walks.example"},
    ],
    ids=["site-url", "relative", "feed-domain"],
)
def test_feeds_hold_absolute_urls(blog: PelicanSite, settings: dict[str, Any]) -> None:
    """Whatever pages do, a feed is read elsewhere: its images are named by whole URLs, srcset included."""
    blog.article("canal/canal.md", "![](canal.jpg){.card}", Photo="canal.jpg")
    classes = {"card": {"size": "100x", "srcset": "2"}}
    blog.build(FEED_ALL_ATOM="all.atom", FEED_ALL_RSS="all.rss", IMAGEKIT_CLASSES=classes, **settings)
    for feed in ("all.atom", "all.rss"):
        text = blog.page(feed)
        urls = re.findall(r'[^\s";]*CACHE/images/[^\s"&]+', text)
        assert len(urls) >= 3
        assert all(url.startswith("https://walks.example/CACHE/images/") for url in urls), urls
    pages_are_absolute = "https" in blog.page("canal.html")
    assert pages_are_absolute is (settings["SITEURL"] != "" and "RELATIVE_URLS" not in settings)


def test_a_base_url_of_the_users_is_kept(blog: PelicanSite) -> None:
    """IMAGEKIT_BASE_URL names another host, on pages with relative links too."""
    blog.build(IMAGEKIT_BASE_URL="https://cdn.example/", RELATIVE_URLS=True)
    urls = sources(blog.page("index.html"))
    assert urls
    assert all(url.startswith("https://cdn.example/CACHE/") for url in urls)


def test_cached_articles_lead_to_the_same_pages(site: PelicanSite) -> None:
    """Articles that Pelican takes from its own cache are rewritten and published like those that it reads."""
    site.photo("walk/a.jpg")
    site.article("walk/walk.md", "![](a.jpg){.card}", Photo="a.jpg")
    site.template("article.html", "{% thumbnail '20x20' article.photo %}{{ article.content }}")
    settings: dict[str, Any] = {
        "CACHE_CONTENT": True,
        "LOAD_CONTENT_CACHE": True,
        "CONTENT_CACHING_LAYER": "generator",
        "DELETE_OUTPUT_DIRECTORY": True,
        "IMAGEKIT_CLASSES": {"card": "64x48"},
    }
    site.build(**settings)
    first, published = site.page("walk.html"), site.published()
    assert len(published) == 2
    site.build(**settings)
    assert site.page("walk.html") == first
    assert site.published() == published


def test_a_run_that_failed_leaves_nothing_to_the_next(blog: PelicanSite) -> None:
    """With --autoreload one process runs many times: what a run noted before it failed is forgotten."""
    blog.template("page.html", "{% thumbnail '40x30' 'images/gone.jpg' %}")
    running = blog.pelican()
    with pytest.raises(ImageKitError, match=r"gone\.jpg"):
        running.run()
    (blog.folder / "content/canal/canal.jpg").unlink()
    (blog.folder / "content/canal/canal.md").unlink()
    blog.template("page.html", "")
    running.run()
    assert len(blog.published()) == 2


def test_a_site_without_the_plugin_is_left_alone(blog: PelicanSite, tmp_path: Path) -> None:
    """Pelican's signals reach all sites of a process; only those that name the plugin have it."""
    blog.build()
    other = PelicanSite(tmp_path / "other")
    other.photo("a.jpg")
    other.article("walk.md", "![](a.jpg){.card}", Photo="a.jpg")
    other.build(PLUGINS=[], IMAGEKIT_CLASSES={"card": "20x20"})
    assert other.page("walk.html") == '<p><img alt="" class="card" src="a.jpg"></p>'
    assert not other.published()
