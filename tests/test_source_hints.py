"""Names that lead to no file: the error says where it looked, and what to do."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from core_site import Site, settled

from jinja_imagekit.exceptions import SourceError, SourceNotFound

COMPOSED = unicodedata.normalize("NFC", "été.jpg")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Return a site with images in several folders, one of which has a prefix."""
    (tmp_path / "content").mkdir()
    site = Site(tmp_path / "content")
    for name in ("canal.jpg", "photos/Bridge.JPG", "photos/lock.jpg", unicodedata.normalize("NFD", COMPOSED)):
        site.write(name)
    settled(tmp_path / "shop/hat.jpg", b"x")
    return site


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("cannal.jpg", "no such file in the source folder '{images}'. Did you mean 'canal.jpg'?"),
        ("photos/bridge.jpg", "Did you mean 'photos/Bridge.JPG'? Capital letters count."),
        ("canal.jpeg", "Did you mean 'canal.jpg'?"),
        ("canal.webp", "Did you mean 'canal.jpg'?"),
        ("lock.jpg", "Did you mean 'photos/lock.jpg'?"),
        ("images/canal.jpg", "Names are relative to '{images}': write 'canal.jpg'."),
        ("content/images/photos/lock.jpg", "Names are relative to '{images}': write 'photos/lock.jpg'."),
        ("photos\\lock.jpg", "Write it with '/': 'photos/lock.jpg'."),
        (COMPOSED, "in the Unicode form NFD: rename it."),
        ("https://example.com/canal.jpg", "it is a URL, but sources are only read from the source folders"),
        ("data:image/gif;base64,R0lGOD", "it is a URL"),
    ],
)
def test_each_way_to_mistake_a_name(site: Site, name: str, hint: str) -> None:
    """The message names the folder as the settings do, and the nearest name or what to write instead."""
    with pytest.raises(SourceNotFound) as caught:
        site.kit.source(name)
    assert hint.format(images=site.images) in str(caught.value)


def test_a_name_that_is_near_none(site: Site) -> None:
    """Nothing is suggested that nobody meant."""
    with pytest.raises(SourceNotFound, match=r"no such file in the source folder '[^']+'\.$"):
        site.kit.source("zzzzz.png")


def test_folders_with_and_without_a_prefix(site: Site, tmp_path: Path) -> None:
    """All folders that were looked in are named, a missing one as missing; names have their prefixes."""
    folders = [site.images, tmp_path / "gone"]
    kit = site.new_kit(source_dirs=folders, source_prefixes={"shop": tmp_path / "shop"})
    for name, hint in (
        ("shop/hatt.jpg", "Did you mean 'shop/hat.jpg'?"),
        ("shpo/hat.jpg", "Did you mean 'shop/hat.jpg'?"),
        ("cannal.jpg", f"('{site.images}', '{folders[1]}'), of which '{folders[1]}' does not exist"),
    ):
        with pytest.raises(SourceNotFound) as caught:
            kit.source(name)
        assert hint in str(caught.value)


def test_a_source_folder_that_does_not_exist(site: Site, tmp_path: Path) -> None:
    """The folder is at fault then, and not the name."""
    kit = site.new_kit(source_dirs=[tmp_path / "content/imagse"])
    with pytest.raises(SourceNotFound, match=r"imagse' does not exist. Did you mean 'images'\?"):
        kit.source("canal.jpg")
    with pytest.raises(SourceNotFound, match="See the setting source_dirs"):
        site.new_kit(source_dirs=[tmp_path / "qqqqq/wwwww"]).source("canal.jpg")


def test_a_path_that_leads_nowhere(site: Site) -> None:
    """A path names its neighbour."""
    with pytest.raises(SourceNotFound, match=r"there is no such file. Did you mean 'canal.jpg'\?"):
        site.kit.source(site.images / "cannal.jpg")


def test_hidden_files_are_not_told(site: Site) -> None:
    """What a suggestion names is what a site shows."""
    site.write(".secret/canall.jpg")
    with pytest.raises(SourceError, match=r"Did you mean 'canal.jpg'\?"):
        site.kit.source("canall.jpg")
