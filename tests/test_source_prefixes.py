"""Folders with a prefix: names that begin with it are looked up there, and lead to nothing outside."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from core_site import Site, settled
from jinja2 import Environment

from jinja_imagekit import ImageKit
from jinja_imagekit.exceptions import InvalidSetting, SourceNotAllowed, SourceNotFound
from jinja_imagekit.sourcegroups import GlobSourceGroup


class PrefixedSite(Site):
    """A site with a source folder, and a folder of uploads under a prefix."""

    def __init__(self, root: Path, **settings: Any) -> None:
        self.uploads = root / "srv"
        super().__init__(root, source_prefixes={"uploads": self.uploads}, **settings)
        self.upload = settled(self.uploads / "a/cat.jpg", self.write("seed.jpg", seed=3).read_bytes())


@pytest.fixture
def site(tmp_path: Path) -> PrefixedSite:
    return PrefixedSite(tmp_path)


def test_a_prefix_stands_for_its_folder(site: PrefixedSite) -> None:
    """The name keeps its prefix, and so does the cache file's."""
    source = site.kit.source("uploads/a/cat.jpg")
    assert source is not None
    assert source.name == "uploads/a/cat.jpg"
    assert source.read() == site.upload.read_bytes()
    assert "/uploads/a/cat/" in site.kit.cachefile("card", source="uploads/a/cat.jpg").url


def test_a_source_folder_goes_before_a_prefix(site: PrefixedSite) -> None:
    """A site overrides an image by a file of the same name in its own folder, even after the first was shown."""
    env = site.kit.install(Environment(autoescape=True))
    template = env.from_string("{% generateimage 'card' source='uploads/a/cat.jpg' as card %}{{ card.url }}")
    first = template.render()
    assert template.render() == first
    site.write("uploads/a/cat.jpg", seed=9)
    assert template.render() != first


@pytest.mark.parametrize("name", ["uploads/../images/seed.jpg", "uploads//../../images/seed.jpg", "uploads/leak.jpg"])
def test_nothing_outside_the_folder_is_read(site: PrefixedSite, name: str) -> None:
    """Neither dots nor a symbolic link lead out of the folder of a prefix."""
    (site.uploads / "leak.jpg").symlink_to(site.images / "seed.jpg")
    with pytest.raises(SourceNotAllowed):
        site.kit.source(name)


@pytest.mark.parametrize("name", ["uploads", "a/cat.jpg", "upload/a/cat.jpg", "uploads/b.jpg"])
def test_other_names_are_not_found(site: PrefixedSite, name: str) -> None:
    """The prefix alone is no name, and the folder's files have no name without it."""
    with pytest.raises(SourceNotFound):
        site.kit.source(name)


def test_a_path_below_the_folder_is_named_with_the_prefix(site: PrefixedSite) -> None:
    """A path and a name of the same file lead to the same cache file."""
    by_path = site.kit.cachefile("card", source=site.upload)
    assert by_path.name == site.kit.cachefile("card", source="uploads/a/cat.jpg").name


def test_a_new_process_answers_without_opening_anything(site: PrefixedSite) -> None:
    """What is known of a file under a prefix holds in the next process."""
    name = site.kit.cachefile("card", source="uploads/a/cat.jpg")
    site.kit.generate()
    site.kit.register.cachefiles("card", [{"source": "uploads/a/cat.jpg"}])
    assert len(site.kit.generate().generated) == 1
    known = site.new_kit().known_files.find("card", {"source": "uploads/a/cat.jpg"})
    assert known is not None
    assert known.name == name.name


def test_a_glob_looks_below_a_prefix(site: PrefixedSite) -> None:
    """A pattern that begins with the prefix lists its files, those of the source folders first and once."""
    settled(site.uploads / "a/dog.jpg", site.upload.read_bytes())
    site.write("uploads/a/cat.jpg", seed=5)
    site.kit.register.source_group("card", GlobSourceGroup("uploads/**/*.jpg"))
    report = site.kit.generate()
    assert sorted(str(outcome.source) for outcome in report.generated) == ["uploads/a/cat.jpg", "uploads/a/dog.jpg"]


def test_a_render_that_was_written_down_finds_its_sources_again(tmp_path: Path) -> None:
    """Names and paths below a prefix outlive the process that rendered."""
    site = PrefixedSite(tmp_path, default_cachefile_strategy="jinja_imagekit.cachefiles.strategies.Deferred")
    second = settled(site.uploads / "b.jpg", site.write("b.jpg", seed=4).read_bytes())
    urls = [site.kit.cachefile("card", source=source).url for source in ("uploads/a/cat.jpg", second)]
    site.kit.finish()
    for name in site.files():
        (site.output / name).unlink()
    assert len(site.new_kit().generate().generated) == len(urls)
    assert all((site.output / url.lstrip("/")).is_file() for url in urls)


def test_a_prefix_of_several_segments(tmp_path: Path) -> None:
    """It stands for its folder as one of one segment does, for names, paths, patterns and other processes."""
    site = Site(tmp_path, source_prefixes={"shop/goods": tmp_path / "goods"})
    hat = settled(tmp_path / "goods/hats/a.jpg", site.write("seed.jpg", seed=3).read_bytes())
    by_name = site.kit.cachefile("card", source="shop/goods/hats/a.jpg")
    assert site.kit.cachefile("card", source=hat).name == by_name.name
    assert site.kit.settings.source_paths(["shop", "goods", "hats", "a.jpg"])[1:] == [str(hat)]
    for name in ("shop/hats/a.jpg", "goods/hats/a.jpg", "shop/goods", "shop/goods2/hats/a.jpg"):
        with pytest.raises(SourceNotFound):
            site.kit.source(name)
    site.kit.register.source_group("card", GlobSourceGroup("shop/goods/**/*.jpg"))
    assert [str(outcome.source) for outcome in site.kit.generate().generated] == ["shop/goods/hats/a.jpg"]


def test_a_prefix_can_be_added_later(site: PrefixedSite, tmp_path: Path) -> None:
    """A host that learns of its folders late adds them; other processes learn of them too."""
    settled(tmp_path / "shop/hat.jpg", site.upload.read_bytes())
    with pytest.raises(SourceNotFound):
        site.kit.source("shop/hat.jpg")
    site.kit.add_source_prefix("shop", tmp_path / "shop")
    assert site.kit.source("shop/hat.jpg") is not None
    assert site.kit.source("uploads/a/cat.jpg") is not None
    assert pickle.loads(pickle.dumps(site.kit)).source("shop/hat.jpg") is not None


@pytest.mark.parametrize("prefixes", [{"a//b": "x"}, {"/a": "x"}, {"a/../b": "x"}, {"..": "x"}, {"c:": "x"}])
def test_prefixes_that_no_name_has_are_refused(prefixes: Any) -> None:
    """Each segment of a prefix is one of a name."""
    with pytest.raises(InvalidSetting, match="source_prefixes"):
        ImageKit(source_prefixes=prefixes)


@pytest.mark.parametrize("prefixes", [{"": "x"}, {3: "x"}, {"a": ""}, 7, "ab"])
def test_unusable_prefixes_are_refused(prefixes: Any) -> None:
    """A prefix is the beginning of a name, and its folder a path."""
    with pytest.raises(InvalidSetting, match="source_prefixes"):
        ImageKit(source_prefixes=prefixes)
