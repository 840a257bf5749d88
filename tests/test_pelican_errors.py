"""What a Pelican site does about bad images, and about mistakes in its settings."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import Any

import pytest
from pelican_site import PLUGIN, PelicanSite

from jinja_imagekit import GeneratorRegistry, ImageSpec
from jinja_imagekit.exceptions import ImageKitError, InvalidSetting, StorageError, UnreadableImage
from jinja_imagekit.processors import ResizeToFill


@pytest.fixture
def site(tmp_path: Path) -> PelicanSite:
    """A site whose article shows a good photo, and another that each test spoils."""
    site = PelicanSite(tmp_path)
    site.photo("good.jpg", seed=1)
    site.photo("bad.jpg", seed=2)
    site.article("walk.md", "![bad](bad.jpg){.card}", Photo="good.jpg", Other="bad.jpg")
    site.template(
        "article.html",
        "{{ article.content }}{% thumbnail '40x30' article.photo %}{% thumbnail '60x40' article.other srcset='2' %}"
        "{% thumbnail '20x10' article.other as other %}<a style=\"background: url('{{ other.url }}')\"></a>",
    )
    site.config["IMAGEKIT_CLASSES"] = {"card": "50x50"}
    return site


def truncate(path: Path) -> None:
    """Cut a photo off: its header promises an image that its data do not hold."""
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def test_a_file_that_is_not_an_image_ends_the_build(site: PelicanSite) -> None:
    """What the header tells is told while the page is rendered, with the line of the template."""
    (site.folder / "content/bad.jpg").write_text("no image")
    site.article("walk.md", "", Photo="good.jpg", Other="bad.jpg")
    with pytest.raises(UnreadableImage, match=r"'bad\.jpg'.*template 'article\.html', line 1"):
        site.build()


def test_a_truncated_photo_ends_the_build_when_the_images_are_made(site: PelicanSite) -> None:
    """All good images are made and published; the error names the bad one, once for all sizes of it."""
    truncate(site.folder / "content/bad.jpg")
    with pytest.raises(ImageKitError) as caught:
        site.build()
    text = str(caught.value)
    assert "1 image could not be made:" in text
    assert text.count("bad.jpg [generator 'imagekit:thumbnail']: ") == 1
    assert text.count("[walk.md, line 7; template 'article.html', line 1]") == 1
    assert len(site.published()) == 1


@pytest.mark.parametrize("kind", ["text", "truncated", "missing"])
@pytest.mark.parametrize("root", [{}, {"RELATIVE_URLS": True}], ids=["absolute", "relative"])
def test_placeholders_stand_in_wherever_a_bad_image_is_found_out(
    site: PelicanSite, kind: str, root: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """With IMAGEKIT_ON_ERROR = "placeholder" the build passes with a warning, and no URL of the page is dead."""
    photo = site.folder / "content/bad.jpg"
    if kind == "text":
        photo.write_text("no image")
    elif kind == "truncated":
        truncate(photo)
    else:
        photo.unlink()
    with caplog.at_level(logging.WARNING):
        site.build(IMAGEKIT_ON_ERROR="placeholder", **root)
    html = site.page("walk.html")
    assert html.count("data:image/svg+xml,") >= 3
    urls = re.findall(r"[^\s\"'(,]*CACHE/images/[^\s\"')]+", html)
    assert len(urls) == 1
    assert (site.output / urls[0].removeprefix("/")).is_file()
    assert 'width="60" height="40"' in html
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert any("bad.jpg" in text for text in warnings), warnings


@pytest.mark.parametrize("kind", ["text", "truncated"])
def test_bad_images_are_left_out(site: PelicanSite, kind: str) -> None:
    """With IMAGEKIT_ON_ERROR = "omit" there is no tag in the place of a bad image, found out early or late."""
    photo = site.folder / "content/bad.jpg"
    photo.write_text("no image") if kind == "text" else truncate(photo)
    site.build(IMAGEKIT_ON_ERROR="omit")
    html = site.page("walk.html")
    assert html.count("<img") == 1
    assert html.startswith("<p></p>")


def test_feeds_have_placeholders_too(site: PelicanSite) -> None:
    """What is found out late is mended in feeds as it is on pages."""
    truncate(site.folder / "content/bad.jpg")
    site.build(IMAGEKIT_ON_ERROR="placeholder", FEED_ALL_ATOM="all.atom", SITEURL="https://walks.example")
    assert "data:image/svg+xml," in site.page("all.atom")
    assert "CACHE/images/bad" not in site.page("all.atom") + site.page("walk.html")


def test_a_placeholder_gives_its_reason_while_the_site_has_no_url(site: PelicanSite) -> None:
    """In development a placeholder says what is wrong; a site that is published keeps that to itself."""
    site.photo("late.jpg")
    truncate(site.folder / "content/late.jpg")
    site.template("article.html", "{{ 'gone.jpg' | thumbnail('300x200') }}{{ 'late.jpg' | thumbnail('240x200') }}")
    site.article("walk.md")
    site.build(IMAGEKIT_ON_ERROR="placeholder")
    for name in ("gone.jpg", "late.jpg"):
        assert name in site.page("walk.html")
    site.build(IMAGEKIT_ON_ERROR="placeholder", SITEURL="https://walks.example")
    for name in ("gone.jpg", "late.jpg"):
        assert name not in site.page("walk.html")


def test_a_tag_may_have_a_policy_of_its_own(site: PelicanSite) -> None:
    """on_error= at a tag lets this image fail, while all others end the build."""
    site.article("walk.md", Photo="good.jpg")
    site.template(
        "article.html", "{% thumbnail '40x30' 'gone.jpg' on_error='omit' %}{{ article.photo | thumbnail('9x9') }}"
    )
    site.build()
    assert site.page("walk.html").count("<img") == 1


def test_an_output_folder_that_cannot_be_written_is_told(site: PelicanSite) -> None:
    """The error names the folder; what stands in its place stays."""
    site.write("output/CACHE", "a file")
    with pytest.raises(StorageError, match="CACHE"):
        site.build()
    assert site.page("CACHE") == "a file"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_an_output_folder_without_permission_is_told(site: PelicanSite) -> None:
    """The same, where the file system forbids it."""
    (site.output / "CACHE").mkdir(parents=True)
    (site.output / "CACHE").chmod(0o500)
    with pytest.raises(StorageError, match="CACHE"):
        site.build()


def test_a_cache_folder_that_cannot_be_written_is_told(site: PelicanSite) -> None:
    """Pelican's CACHE_PATH holds the images: what keeps them from being written there ends the build."""
    site.write("cache/imagekit/files", "a file")
    with pytest.raises(ImageKitError, match="files"):
        site.build()


def test_the_plugin_is_named_once(site: PelicanSite) -> None:
    """Naming it twice is told, and how to put it right."""
    with pytest.raises(InvalidSetting, match=r"'PLUGINS'.*listed 2 times; list it once"):
        site.build(PLUGINS=[PLUGIN, PLUGIN])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"IMAGEKIT_ON_EROR": "omit"}, "Did you mean 'IMAGEKIT_ON_ERROR'?"),
        ({"IMAGEKIT_CLASES": {}}, "Did you mean 'IMAGEKIT_CLASSES'?"),
        ({"IMAGEKIT_ON_ERROR": "warn"}, "must be one of raise, placeholder, original, omit"),
        ({"IMAGEKIT_SOURCE_DIRS": "images"}, "must be a list or tuple"),
        ({"IMAGEKIT_CLASSES": ["card"]}, "must be a dict with strings as keys"),
        ({"IMAGEKIT_SPECS": {1: "card"}}, "must be a dict with strings as keys"),
        ({"IMAGEKIT_GENERATORS": "imagegenerators"}, "must be a list"),
        ({"IMAGEKIT_GENERATORS": ["json"]}, "is not a GeneratorRegistry"),
        ({"IMAGEKIT_GENERATORS": ["no_such_module"]}, "'no_such_module' is not a dotted path"),
        ({"IMAGEKIT_GENERATORS": ["json.generators"]}, "has no 'generators'"),
        ({"IMAGEKIT_SPECS": {"blog:card": {"procesors": []}}}, "Did you mean 'processors'?"),
    ],
)
def test_mistakes_in_the_settings_are_told(site: PelicanSite, settings: dict[str, Any], words: str) -> None:
    """Each has a message that says what is wrong, before anything is built."""
    with pytest.raises(ImageKitError, match=re.escape(words)):
        site.build(**settings)
    assert not site.output.exists()


def test_what_a_module_of_specs_lacks_is_told(site: PelicanSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that is there but imports what is not is not a missing module."""
    site.write("pelican_test_broken.py", "import no_such_package")
    monkeypatch.syspath_prepend(str(site.folder))
    with pytest.raises(
        ImageKitError, match=r"importing 'pelican_test_broken' failed: No module named 'no_such_package'"
    ):
        site.build(IMAGEKIT_GENERATORS=["pelican_test_broken"])


def test_specs_come_from_registries_modules_and_the_settings(
    site: PelicanSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A registry, a module that has one, a dotted path, a class and a dict: each gives a generator."""
    code = """
from jinja_imagekit import GeneratorRegistry
from pelican_test_specs import Card
generators = GeneratorRegistry()
generators.register("{id}", Card)
"""
    spec = "from jinja_imagekit import ImageSpec\nclass Card(ImageSpec):\n    format = 'WEBP'\n"
    site.write("pelican_test_specs.py", spec)
    site.write("pelican_test_first.py", code.format(id="first"))
    site.write("pelican_test_second.py", code.format(id="second"))
    monkeypatch.syspath_prepend(str(site.folder))

    class Small(ImageSpec):
        processors = [ResizeToFill(8, 8)]

    own = GeneratorRegistry()
    own.register("own", Small)
    ids = ("first", "second", "own", "class", "dict")
    tags = "".join(f"{{% generateimage '{id}' source=article.photo %}}" for id in ids)
    site.template("article.html", tags)
    site.article("walk.md", Photo="good.jpg")
    site.build(
        IMAGEKIT_GENERATORS=["pelican_test_first", "pelican_test_second.generators", own],
        IMAGEKIT_SPECS={"class": Small, "dict": {"processors": [ResizeToFill(9, 9)]}},
    )
    assert re.findall(r'width="(\d+)"', site.page("walk.html")) == ["320", "320", "8", "8", "9"]
