"""Source groups: what a glob takes for a source, what it never does, and what it says when it finds nothing."""

from __future__ import annotations

import json
import logging
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from core_site import Card, Site, photo_bytes, settled

from jinja_imagekit import ImageKit
from jinja_imagekit.cli import commands
from jinja_imagekit.exceptions import ImageKitError, SourceNotAllowed
from jinja_imagekit.pregenerate import registered_items
from jinja_imagekit.sourcegroups import GlobSourceGroup
from jinja_imagekit.storages.folder import FileSystemStorage


def grown(kit: ImageKit, rounds: int = 3) -> list[int]:
    """Return how many images each of several pregenerations makes."""
    return [len(kit.generate(force=number == 0).generated) for number in range(rounds)]


@pytest.mark.parametrize("settings", [{}, {"cachefile_dir": ""}, {"cachefile_dir": "thumbs"}])
def test_a_glob_does_not_eat_its_own_results(tmp_path: Path, settings: dict[str, Any]) -> None:
    """Where results lie below the sources, the next run makes nothing of them."""
    settled(tmp_path / "a.jpg", photo_bytes())
    kit = ImageKit(source_dirs=[tmp_path], location=tmp_path, state_dir=tmp_path / "state", **settings)
    kit.register.generator("card", Card)
    kit.register.source_group("card", GlobSourceGroup("**/*.jpg"))
    assert grown(kit) == [1, 0, 0]


@pytest.mark.parametrize("group", [GlobSourceGroup("**/*.jpg"), "own folders", "paths"])
def test_nor_results_that_were_published_or_are_kept_elsewhere(tmp_path: Path, group: Any) -> None:
    """A published copy and a spec's own storage are known by the names of what was made."""
    settled(tmp_path / "photos/a.jpg", photo_bytes())

    class Elsewhere(Card):
        format = "PNG"
        cachefile_storage = FileSystemStorage(tmp_path / "elsewhere", "/elsewhere/")

    class Paths:
        def files(self) -> Any:
            return sorted(tmp_path.rglob("*.jpg")) + sorted(tmp_path.rglob("*.png"))

    if group == "own folders":
        group = GlobSourceGroup("**/*", [tmp_path])
    elif group == "paths":
        group = Paths()
    kit = ImageKit(source_dirs=[tmp_path], location=tmp_path / "made", state_dir=tmp_path / ".state")
    kit.register.generator("card", Card)
    kit.register.generator("elsewhere", Elsewhere)
    for id in ("card", "elsewhere"):
        kit.register.source_group(id, group)
    assert len(kit.generate().generated) == 2
    shutil.copytree(tmp_path / "made", tmp_path / "public")
    assert grown(kit, 2) == [2, 0]


@pytest.mark.parametrize("namer", ["hash", "source_name_as_path", "source_name_dot_hash"])
def test_a_published_copy_is_no_source_after_the_loss_of_the_state(tmp_path: Path, namer: str) -> None:
    """Its name tells what it is, whichever built-in namer gave it; a photo with a name of its own is a source."""
    site = Site(tmp_path, cachefile_namer=f"jinja_imagekit.cachefiles.namers.{namer}")
    site.write("a.jpg")
    for _ in range(2):
        kit = site.new_kit()
        kit.register.source_group("card", GlobSourceGroup("**/*.jpg"))
        assert kit.generate().total == 1
        kit.close()
        shutil.copytree(site.output, site.images / "public", dirs_exist_ok=True)
        shutil.rmtree(site.state)
    site.write("public/CACHE/images/dunes.jpg")
    kit = site.new_kit()
    kit.register.source_group("card", GlobSourceGroup("**/*.jpg"))
    assert kit.generate().total == 2


def test_a_link_to_a_result_is_not_a_source(tmp_path: Path) -> None:
    """What leads to a cache file by another name is the same file."""
    site = Site(tmp_path)
    site.write("a.jpg")
    site.kit.register.source_group("card", GlobSourceGroup("*.jpg"))
    site.kit.generate()
    made = next(path for path in site.output.rglob("*.jpg"))
    (site.images / "b.jpg").symlink_to(made)
    assert site.kit.generate().total == 1


def test_a_camera_s_capital_letters_match(tmp_path: Path) -> None:
    """Letters match in both cases, in folders as well; a folder that cannot match is not opened."""
    site = Site(tmp_path)
    for name in ("Photos/CANAL.JPG", "photos/bridge.jpg", "photos/deep/lock.JPG", "other/x.jpg"):
        site.write(name)
    closed = site.images / "other/closed"
    closed.mkdir()
    names = GlobSourceGroup("photos/*.jpg").names_in([site.images])
    assert list(names) == ["Photos/CANAL.JPG", "photos/bridge.jpg"]
    assert list(GlobSourceGroup("photos/**/l*.jpg").names_in([site.images])) == ["photos/deep/lock.JPG"]


def test_a_folder_that_cannot_be_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody may take what is in there for gone."""
    site = Site(tmp_path)
    site.write("closed/a.jpg")
    scandir = os.scandir

    def refuse(folder: str) -> Any:
        if str(folder).endswith("closed"):
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(SourceNotAllowed, match="the folder cannot be read: Permission denied"):
        list(GlobSourceGroup("**/*.jpg").names_in([site.images]))


class Failing:
    """A source group that cannot list its sources."""

    def files(self) -> Any:
        """Raise."""
        raise ConnectionError("the shop is closed")


def test_a_group_that_fails_does_not_keep_the_others(tmp_path: Path) -> None:
    """Its failure is one line of the report, and all else is made."""
    site = Site(tmp_path)
    site.write("a.jpg")
    site.kit.register.source_group("card", Failing())
    site.kit.register.source_group("card", GlobSourceGroup("*.jpg"))
    report = site.kit.generate()
    assert [each.reason for each in report.failed] == ["ConnectionError: the shop is closed"]
    assert len(report.generated) == 1
    assert any("the shop is closed" in finding.detail for finding in site.kit.doctor())


@pytest.fixture
def mistaken(tmp_path: Path) -> ImageKit:
    """Return a kit with a folder that does not exist and a glob that matches nothing, and one image to make."""
    site = Site(tmp_path)
    site.write("a.jpg")
    kit = site.new_kit(source_dirs=[site.images, tmp_path / "image"], source_prefixes={"shop": tmp_path / "nowhere"})
    kit.register.source_group("card", GlobSourceGroup("*.jpg"))
    kit.register.source_group("card", GlobSourceGroup("photos/*.jpg"))
    kit.register.source_group("card", GlobSourceGroup("*.jpg", [tmp_path / "own"]))
    return kit


def test_missing_folders_and_empty_globs_are_warned_of_once(
    mistaken: ImageKit, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each is one line in the log and in the report, which names the nearest folder; the rest is made."""
    with caplog.at_level(logging.WARNING):
        report = mistaken.generate()
    assert len(report.generated) == 1
    assert list(report.warnings) == [record.getMessage() for record in caplog.records]
    assert list(report.warnings) == [
        f"The source folder '{tmp_path}/image' does not exist. Did you mean '{tmp_path}/images'?",
        f"The source folder '{tmp_path}/nowhere' does not exist.",
        "GlobSourceGroup('photos/*.jpg') of 'card' matches no file.",
        f"The source folder '{tmp_path}/own' does not exist.",
        "GlobSourceGroup('*.jpg') of 'card' matches no file.",
    ]


def test_strict_makes_them_an_error(mistaken: ImageKit) -> None:
    """`generate --strict` ends with status 1, and so does `doctor`; `--json` lists them."""
    group = commands(lambda: mistaken)
    assert CliRunner().invoke(group, ["generate"]).exit_code == 0
    assert CliRunner().invoke(group, ["generate", "--strict", "--dry-run"]).exit_code == 1
    result = CliRunner().invoke(group, ["generate", "--strict", "--json"])
    assert result.exit_code == 1
    assert len(json.loads(result.stdout)["warnings"]) == 5
    findings = [each for each in mistaken.doctor() if each.kind == "sources"]
    assert len(findings) == 5
    assert CliRunner().invoke(group, ["doctor"]).exit_code == 1


def test_a_prune_does_not_take_a_lost_folder_for_an_empty_one(tmp_path: Path) -> None:
    """Where a disk is not mounted, what its images need stays."""
    site = Site(tmp_path)
    site.write("a.jpg")
    site.kit.register.source_group("card", GlobSourceGroup("*.jpg"))
    site.kit.generate()
    site.kit.finish()
    site.images.rename(tmp_path / "unplugged")
    with pytest.raises(ImageKitError, match=r"does not exist.*nothing is deleted"):
        site.kit.prune()
    assert len(site.files()) == 1


@pytest.mark.parametrize("value", [True, -1])
def test_a_keyword_that_fits_no_more_costs_one_image(tmp_path: Path, value: object) -> None:
    """What pages asked for before a spec changed is one failure each, and the rest is made."""
    site = Site(tmp_path)
    site.write("a.jpg")
    kit = site.new_kit(keep_notes=True)

    class Sized(Card):
        format = "PNG"

        def __init__(self, width: int = 20, source: Any = None) -> None:
            super().__init__(source)
            self.width = width

    kit.register.generator("sized", Sized)
    for id, keywords in (("sized", {"width": 30}), ("card", {}), ("imagekit:thumbnail", {"width": 9, "height": 9})):
        assert kit.cachefile(id, source="a.jpg", **keywords).url
    kit.finish()
    notes = site.state / "renders.json"
    notes.write_text(notes.read_text("utf-8").replace('"height":9', f'"height":{json.dumps(value)}'), "utf-8")
    again = site.new_kit(keep_notes=True)
    again.register.generator("sized", Card)
    report = again.generate(force=True)
    assert sorted(each.generator_id for each in report.failed) == ["imagekit:thumbnail", "sized"]
    assert any("width=30 cannot be used: 'sized' takes no such keyword" in each.reason for each in report.failed)
    assert [each.generator_id for each in report.generated] == ["card"]
    assert again.doctor() is not None
    assert again.prune(dry_run=True) is not None


def test_names_are_in_order_whatever_their_folders(tmp_path: Path) -> None:
    """Folder by folder, names come in the order that sorting all of them would give, each once, from two folders."""
    names = ["a/x.jpg", "a-b/x.jpg", "a.jpg", "a/b/c.jpg", "B/y.jpg", "a b/z.jpg", "é/1.jpg"]
    for folder, some in ((tmp_path / "one", names[:5]), (tmp_path / "two", names[2:])):
        for name in some:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()
    group = GlobSourceGroup("**/*.jpg")
    assert list(group.names_in([tmp_path / "one", tmp_path / "two"])) == sorted(names)
    found = GlobSourceGroup("**/*.jpg", [tmp_path / "one", tmp_path / "two"]).files()
    assert tmp_path / "one/a.jpg" in set(found)


def test_folders_are_listed_one_after_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first source is there before the last folder has been opened, with all generators that have the pattern."""
    site = Site(tmp_path)
    for number in range(5):
        site.write(f"{number}/a.jpg")
    for id in ("one", "two"):
        site.kit.spec(id, format="PNG")
        site.kit.register.source_group(id, GlobSourceGroup("**/*.jpg"))
    opened: list[str] = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda folder: (opened.append(str(folder)), scandir(folder))[1])
    items = registered_items(site.kit, ["one", "two"])
    first = [next(items), next(items), next(items)]
    assert [(item.generator_id, item.kwargs["source"]) for item in first] == [
        ("one", "0/a.jpg"),
        ("two", "0/a.jpg"),
        ("one", "1/a.jpg"),
    ]
    assert len(opened) == 3
