"""Namers: what files are called, the same everywhere, and namers of one's own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from core_site import Card, Chart, Site, Wide, photo_bytes

from jinja_imagekit import BytesSource, ImageKit, ImageSpec
from jinja_imagekit.cachefiles import namers
from jinja_imagekit.exceptions import InvalidOption, InvalidSetting, StorageError
from jinja_imagekit.sourcegroups import GlobSourceGroup

SOURCE = b"\x89PNG\r\n\x1a\n" + bytes.fromhex(
    "0000000d49484452000000010000000108020000009077"
    "53de0000000c4944415408d763f8cfc000000301010018dd8db00000000049454e44ae426082"
)
"""One red pixel, as a constant: what encoders of other versions write differs."""

GOLDEN = {
    "card": "CACHE/images/canal/574de63645a103c84aaeeac8dfa3208f.jpg",
    "wide": "CACHE/images/canal/c42be0876bfb79ef7bd7766ec88beb85.png",
    "kept format": "CACHE/images/canal/1eb9b6c9ac033f3b354d27dc22a9c91d.png",
    "keywords": "CACHE/images/canal/856880523c2dc6e75d67b4239c181bc5.webp",
    "thumbnail": "CACHE/images/canal/8b503c962c7679808a1ccaa3900476ab.png",
    "chart": "CACHE/images/f284df003d88ea000a38ba14b06bf0a7.png",
}


def golden_names() -> dict[str, str]:
    """Return the names of some files."""
    kit = ImageKit()
    source = BytesSource(SOURCE, name="photos/canal.png")
    made = {
        "card": Card(source=source),
        "wide": Wide(source=source),
        "kept format": ImageSpec(source=source),
        "keywords": kit.spec(format="WEBP", options={"quality": 70, "method": 2}, keep_metadata=("artist",))(source),
        "thumbnail": kit.generator("imagekit:thumbnail", source=source, width=40, height=30, anchor="tl", quality=70),
        "chart": Chart((1, 2, 3)),
    }
    return {label: str(kit.cachefile_of(generator).name) for label, generator in made.items()}


def test_golden_names() -> None:
    """These names may change only together with hashing.VERSION: every file of every site would be made again."""
    assert golden_names() == GOLDEN


@pytest.mark.parametrize("seed", ["1", "2"])
def test_the_same_in_every_process(seed: str) -> None:
    """Whatever the process's hash seed."""
    script = "import sys; sys.path[:0] = sys.argv[1:]\nfrom test_namers import golden_names\nprint(golden_names())"
    here = Path(__file__).parent
    command = [sys.executable, "-c", script, str(here), str(here.parent / "examples")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed})
    assert eval(done.stdout) == GOLDEN


def own_namer(generator: Any) -> str:
    """Name a file for its source's size."""
    return f"own/{generator.source.size()[0]}.jpg"


def leading_out(generator: Any) -> str:
    """Name a file outside the location."""
    return "../../x.jpg"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Return a site with one photo."""
    site = Site(tmp_path)
    site.write("photos/a b.tar.jpg")
    return site


@pytest.mark.parametrize(
    ("namer", "pattern"),
    [
        ("jinja_imagekit.cachefiles.namers.hash", "CACHE/images/{hash}.jpg"),
        ("jinja_imagekit.cachefiles.namers.source_name_as_path", "CACHE/images/photos/a b.tar/{hash}.jpg"),
        ("jinja_imagekit.cachefiles.namers.source_name_dot_hash", "CACHE/images/photos/a b.tar.{short}.jpg"),
        ("sharded_hash", "CACHE/images/{hash:.2}/{hash[2]}{hash[3]}/{hash}.jpg"),
        ("sharded_source_name", "CACHE/images/photos/{hash:.2}/a b.tar.{short}.jpg"),
        (namers.source_name_dot_hash, "CACHE/images/photos/a b.tar.{short}.jpg"),
        ("test_namers.own_namer", "CACHE/images/own/96.jpg"),
        (own_namer, "CACHE/images/own/96.jpg"),
    ],
)
def test_namers(site: Site, namer: object, pattern: str) -> None:
    """By dotted path or as a function; the file is where its name says, warm and cold."""
    kit = site.new_kit(spec_cachefile_namer=namer)
    file = kit.cachefile("card", source="photos/a b.tar.jpg")
    hash = file.generator.get_hash()
    assert file.name == pattern.format(hash=hash, short=hash[:16])
    assert Path(file.path).is_file()
    assert " " not in file.url
    kit.known_files.remember(file, {"source": "photos/a b.tar.jpg"})
    known = kit.known_files.find("card", {"source": "photos/a b.tar.jpg"})
    # What a namer of one's own depends on is unknown, so that its names are worked out each time.
    is_known = str(namer).startswith(("jinja_imagekit.", "sharded_"))
    assert (known and known.name) == (file.name if is_known else None)


def test_two_namers_over_one_state(site: Site) -> None:
    """What is remembered under one namer is not found under another."""
    one = site.new_kit(spec_cachefile_namer="jinja_imagekit.cachefiles.namers.hash")
    file = one.cachefile("card", source="photos/a b.tar.jpg")
    assert file.url
    one.known_files.remember(file, {"source": "photos/a b.tar.jpg"})
    assert one.known_files.find("card", {"source": "photos/a b.tar.jpg"})
    other = site.new_kit(spec_cachefile_namer="jinja_imagekit.cachefiles.namers.source_name_dot_hash")
    assert other.known_files.find("card", {"source": "photos/a b.tar.jpg"}) is None
    elsewhere = site.new_kit(spec_cachefile_namer="jinja_imagekit.cachefiles.namers.hash", cachefile_dir="thumbs")
    assert elsewhere.known_files.find("card", {"source": "photos/a b.tar.jpg"}) is None


@pytest.mark.parametrize(("folder", "prefix"), [("CACHE/images", "CACHE/images/"), ("", ""), ("x", "x/")])
def test_the_folder(site: Site, folder: str, prefix: str) -> None:
    """All names lie below `cachefile_dir`, which may be empty."""
    file = site.new_kit(cachefile_dir=folder).cachefile("card", source="photos/a b.tar.jpg")
    assert str(file.name).startswith(f"{prefix}photos/a b.tar/")
    assert file.url


@pytest.mark.parametrize("namer", ["source_name_as_path", "source_name_dot_hash"])
def test_a_source_without_a_name(namer: str) -> None:
    """Bytes without a name leave the hash."""
    spec = Card(source=photo_bytes())
    assert getattr(namers, namer)(spec) == namers.hash(spec) == f"{spec.get_hash()}.jpg"


def test_a_namer_that_needs_a_source() -> None:
    """A generator without one is an error that says so."""
    kit = ImageKit(cachefile_namer="jinja_imagekit.cachefiles.namers.source_name_as_path")
    with pytest.raises(InvalidOption, match=r"names cache files after their source, and it has none"):
        _ = kit.cachefile_of(Chart()).name


def test_a_namer_that_leads_out(site: Site) -> None:
    """A name that is not safe is refused before anything is written."""
    kit = site.new_kit(spec_cachefile_namer=leading_out)
    with pytest.raises(StorageError, match=r"not a safe name"):
        _ = kit.cachefile("card", source="photos/a b.tar.jpg").url
    assert not site.output.exists()


def test_a_namer_that_does_not_exist(site: Site) -> None:
    """The setting is named, with the nearest name."""
    kit = site.new_kit(spec_cachefile_namer="jinja_imagekit.cachefiles.namers.source_name_as_pth")
    with pytest.raises(InvalidSetting, match=r"'spec_cachefile_namer'.*Did you mean 'source_name_as_path'"):
        _ = kit.cachefile("card", source="photos/a b.tar.jpg").name


def test_long_and_awkward_source_names(site: Site) -> None:
    """Quotes, percent signs, umlauts and names of 200 characters give files that their URLs lead to."""
    for name in ('it\'s 100% \u00fcber "q" #1?.jpg', "n" * 200 + ".jpg", "\u65e5\u672c/\u8a9e.jpg"):
        site.write(name)
        file = site.kit.cachefile("card", source=name)
        assert file.url.isascii()
        assert not set("\"'<> #?") & set(file.url)
        assert (site.output / unquote(file.url).lstrip("/")).is_file()


@pytest.mark.parametrize("namer", ["source_name_as_path", "source_name_dot_hash"])
@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("photo #1?.jpg", "photo _1_"),
        ("100%20 <b>.jpg", "100_20 _b_"),
        ('a "q"|x*:y\x07.jpg', "a _q__x__y_"),
        ("trip. /day 1 .jpg", "trip__/day 1_"),
        ("con/nul.tar.jpg", "_con/_nul.tar"),
        ("com1 .jpg", "com1_"),
        ("COM¹.jpg", "_COM¹"),
        ("ordinary name.jpg", "ordinary name"),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
def test_names_that_urls_and_windows_have_other_uses_for(site: Site, namer: str, name: str, safe: str) -> None:
    """The cache file has a name that every file system and web server takes as it is, the same on each machine."""
    site.write(name)
    kit = site.new_kit(spec_cachefile_namer=f"jinja_imagekit.cachefiles.namers.{namer}")
    file = kit.cachefile("card", source=name)
    assert str(file.name).startswith(f"CACHE/images/{safe}{'/' if namer == 'source_name_as_path' else '.'}")
    assert unquote(file.url) == f"/{file.name}"
    assert Path(file.path).is_file()
    assert file.width == 24


class Upload:
    """An upload under a name that its visitor chose."""

    def __init__(self, filename: str) -> None:
        self.filename = filename

    def read(self, count: int = -1) -> bytes:
        """Return a photo."""
        return photo_bytes()


@pytest.mark.parametrize("namer", ["source_name_as_path", "source_name_dot_hash"])
@pytest.mark.parametrize("name", ["...", ". .", ".imagekit-tmp.jpg", "x" * 5000 + ".jpg", "\u8a9e" * 80, "a\ud800.jpg"])
def test_names_that_no_storage_takes(site: Site, namer: str, name: str) -> None:
    """An upload's name breaks no page: where no file can have it, the hash is left."""
    kit = site.new_kit(spec_cachefile_namer=f"jinja_imagekit.cachefiles.namers.{namer}")
    file = kit.cachefile("card", source=Upload(name))
    assert file.url == f"/CACHE/images/{file.generator.get_hash()}.jpg"
    assert Path(file.path).is_file()


@pytest.mark.parametrize("namer", ["sharded_hash", "sharded_source_name"])
def test_files_in_many_folders_are_published_and_looked_after(tmp_path: Path, namer: str) -> None:
    """Publishing, the doctor, source groups and pruning know them; folders that are left empty are removed."""
    site = Site(tmp_path, spec_cachefile_namer=namer)
    for number in range(3):
        site.write(f"photos/{number}.jpg", seed=number)

    def kit_of(**settings: Any) -> ImageKit:
        kit = site.new_kit(**settings)
        # Results lie below this pattern's folders, too.
        kit.register.source_group("card", GlobSourceGroup("**/*.jpg"))
        return kit

    def render(kit: ImageKit, count: int) -> None:
        assert all(kit.cachefile("card", source=f"images/photos/{number}.jpg").url for number in range(count))
        kit.finish()

    kit = kit_of(source_dirs=[tmp_path])
    made = {str(outcome.source)[-5]: str(outcome.name) for outcome in kit.generate().generated}
    names = sorted(made.values())
    assert len(names) == len({name.rpartition("/")[0] for name in names}) == 3
    render(kit, 3)
    assert sorted(kit.publish(tmp_path / "public").put) == names
    assert kit.doctor() == []
    assert len(kit.generate().skipped) == kit.generate().total == 3
    (site.images / "photos/2.jpg").unlink()
    again = kit_of(source_dirs=[tmp_path])
    render(again, 2)
    assert again.prune().removed == [made["2"]]
    assert again.publish(tmp_path / "public").removed == [made["2"]]
    for folder in (site.output / "CACHE", tmp_path / "public"):
        assert [where for where, below, files in os.walk(folder) if not (below or files)] == []
