"""Publishing: the files that the last render needs, in a folder that may be deleted or shared with other files."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jinja_imagekit.exceptions import ImageKitError, StorageError
from jinja_imagekit.kit import ImageKit
from jinja_imagekit.processors import ResizeToFit

MakeKit = Callable[..., ImageKit]


@pytest.fixture
def make_kit(tmp_path: Path, write_photo: Any) -> MakeKit:
    """Return a function that makes a kit over three photos, as a new process would make it."""
    for seed in range(3):
        write_photo(f"{seed}.jpg", 80, 60, seed=seed)

    def make(**values: Any) -> ImageKit:
        kit = ImageKit(
            source_dirs=[tmp_path / "images"], location=tmp_path / "cache", state_dir=tmp_path / "state", **values
        )
        kit.spec("card", processors=[ResizeToFit(40, 40)])
        return kit

    return make


def render(kit: ImageKit, *numbers: int) -> list[str]:
    """Render a page of some photos, finish, and return the names of their cache files in order."""
    files = [kit.cachefile("card", source=f"{number}.jpg") for number in numbers]
    assert all(file.url for file in files)
    assert kit.finish().ok
    return sorted(str(file.name) for file in files)


def files_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


def forbid_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this a file system without hard links."""

    def link(*_: Any, **__: Any) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", link)


@pytest.mark.parametrize("links", [True, False])
def test_exactly_the_files_of_the_last_render(
    make_kit: MakeKit, tmp_path: Path, links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second publish changes nothing, a deleted folder is filled again, a smaller render takes away."""
    if not links:
        forbid_links(monkeypatch)
    site = tmp_path / "site"
    names = render(make_kit(), 0, 1)
    kit = make_kit()
    assert kit.publish(site).put == names
    assert files_in(site) == names
    assert all((site / name).read_bytes() == (tmp_path / "cache" / name).read_bytes() for name in names)
    assert all((site / name).samefile(tmp_path / "cache" / name) == links for name in names)
    again = kit.publish(site)
    assert (again.put, again.unchanged, again.ok) == ([], names, True)
    shutil.rmtree(site)
    assert kit.publish(site).put == names
    (kept,) = render(kit, 1)
    report = make_kit().publish(site)
    assert (report.put, report.unchanged, report.removed) == ([], [kept], [name for name in names if name != kept])
    assert files_in(site) == [kept]
    assert not any(path.is_dir() and not any(path.iterdir()) for path in site.rglob("*"))


def test_a_render_that_is_not_finished_is_finished_first(make_kit: MakeKit, tmp_path: Path) -> None:
    """Deferred images are made before they are published."""
    kit = make_kit(default_cachefile_strategy="jinja_imagekit.cachefiles.strategies.Deferred")
    file = kit.cachefile("card", source="0.jpg")
    assert file.url
    assert kit.publish(tmp_path / "site").put == [file.name]


def test_nothing_rendered_is_an_error(make_kit: MakeKit, tmp_path: Path) -> None:
    """An empty folder would be the wrong answer; so it would be to a damaged record."""
    kit = make_kit()
    with pytest.raises(ImageKitError, match=r"finish\(\)"):
        kit.publish(tmp_path / "site")
    kit.renders.path.parent.mkdir(exist_ok=True)
    kit.renders.path.write_text("{")
    with pytest.raises(ImageKitError, match="damaged"):
        kit.publish(tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_files_of_others_stay(make_kit: MakeKit, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What the user put there, replaced or changed is neither overwritten nor deleted."""
    kit, site = make_kit(), tmp_path / "site"
    first, second = render(kit, 0, 1)
    (site / first).parent.mkdir(parents=True)
    (site / first).write_text("the user's own")
    (site / "CACHE/images/notes.txt").write_text("a note")
    assert kit.publish(site).foreign == [first]
    (site / second).unlink()
    (site / second).write_text("optimised")
    render(kit, 2)
    report = kit.publish(site)
    assert (report.removed, report.foreign) == ([], [second])
    assert (site / first).read_text() == "the user's own"
    assert (site / second).read_text() == "optimised"
    assert (site / "CACHE/images/notes.txt").exists()
    assert "left alone" in caplog.text


def test_the_same_content_from_elsewhere_is_not_taken_over(make_kit: MakeKit, tmp_path: Path) -> None:
    """A file that was copied there by hand does its job, and stays when it is needed no more."""
    kit, site = make_kit(), tmp_path / "site"
    (name,) = render(kit, 0)
    (site / name).parent.mkdir(parents=True)
    (site / name).write_bytes((tmp_path / "cache" / name).read_bytes())
    assert kit.publish(site).unchanged == [name]
    render(kit, 1)
    assert kit.publish(site).removed == []
    assert (site / name).exists()


@pytest.mark.parametrize("links", [True, False])
def test_a_cache_file_that_was_made_anew_is_put_anew(
    make_kit: MakeKit, tmp_path: Path, links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The published one is the old file until then, whole: making an image never writes into a file."""
    if not links:
        forbid_links(monkeypatch)
    kit, site = make_kit(), tmp_path / "site"
    (name,) = render(kit, 0)
    kit.publish(site)
    old = (site / name).read_bytes()
    kit.storage.save(name, b"newer")
    assert (site / name).read_bytes() == old
    assert kit.publish(site).put == [name]
    assert (site / name).read_bytes() == b"newer"
    assert not list(site.rglob(".imagekit-tmp*"))


def test_the_cache_itself_is_left_alone(make_kit: MakeKit, tmp_path: Path) -> None:
    """Publishing into `location`, or into a link to it, puts and removes nothing."""
    kit = make_kit()
    names = render(kit, 0, 1)
    (tmp_path / "link").symlink_to(tmp_path / "cache")
    for folder in (tmp_path / "cache", tmp_path / "link"):
        report = kit.publish(folder)
        assert (report.put, report.unchanged) == ([], names)
    render(kit, 0)
    assert kit.publish(tmp_path / "cache").removed == []
    assert files_in(tmp_path / "cache") == names


def test_no_link_leads_out_of_the_folder(make_kit: MakeKit, tmp_path: Path) -> None:
    """A symbolic link in the way is an error when files are put there, and when they are removed."""
    kit, site, outside = make_kit(), tmp_path / "site", tmp_path / "outside"
    outside.mkdir()
    site.mkdir()
    (name,) = render(kit, 0)
    (site / "CACHE").symlink_to(outside)
    with pytest.raises(StorageError, match="symbolic link"):
        kit.publish(site)
    assert files_in(outside) == []
    (site / "CACHE").unlink()
    kit.publish(site)
    shutil.move(site / "CACHE", outside / "CACHE")
    (site / "CACHE").symlink_to(outside / "CACHE")
    render(kit, 1)
    with pytest.raises(StorageError, match="symbolic link"):
        kit.publish(site)
    assert (outside / name).exists()


def test_a_link_under_a_files_name_is_the_users(make_kit: MakeKit, tmp_path: Path) -> None:
    """It stays, and what it leads to is not written."""
    kit, site = make_kit(), tmp_path / "site"
    (name,) = render(kit, 0)
    (site / name).parent.mkdir(parents=True)
    (tmp_path / "mine.jpg").write_text("mine")
    (site / name).symlink_to(tmp_path / "mine.jpg")
    assert kit.publish(site).foreign == [name]
    assert (tmp_path / "mine.jpg").read_text() == "mine"
    assert (site / name).is_symlink()


def test_a_missing_file_is_said_and_the_published_one_stays(
    make_kit: MakeKit, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The page that names it is better off with the old copy; it is still known to be ours."""
    kit, site = make_kit(), tmp_path / "site"
    (name,) = render(kit, 0)
    kit.publish(site)
    kit.storage.delete(name)
    report = kit.publish(site)
    assert (report.missing, report.ok) == ([name], False)
    assert (site / name).exists()
    render(kit, 1)
    assert kit.publish(site).removed == [name]


def test_a_publish_that_dies_is_known_to_the_next(
    make_kit: MakeKit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it has put there is removed when it is needed no more."""
    kit, site = make_kit(), tmp_path / "site"
    names = render(kit, 0, 1)
    replace = os.replace

    def die_at_second(source: Any, target: Any, **folders: Any) -> None:
        if names[1].endswith(str(target)):
            raise KeyboardInterrupt
        replace(source, target, **folders)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", die_at_second)
        with pytest.raises(KeyboardInterrupt):
            kit.publish(site)
    assert files_in(site) == [names[0]]
    render(kit, 2)
    assert kit.publish(site).removed == [names[0]]


def test_two_folders_are_told_apart(make_kit: MakeKit, tmp_path: Path) -> None:
    """Each is cleaned by what was put into it."""
    kit = make_kit()
    (name,) = render(kit, 0)
    kit.publish(tmp_path / "a")
    render(kit, 1)
    assert kit.publish(tmp_path / "b").removed == []
    assert kit.publish(tmp_path / "a").removed == [name]


@pytest.mark.parametrize("text", ["{", "[]", '{"version": 1, "folder": "/", "files": {}}'])
def test_a_damaged_manifest_removes_nothing(
    make_kit: MakeKit, tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody can tell any more what was put there; links to cache files are recognised all the same."""
    kit, site = make_kit(), tmp_path / "site"
    first, second = render(kit, 0, 1)
    kit.publish(site)
    (manifest,) = (tmp_path / "state/published").iterdir()
    manifest.write_text(text)
    with caplog.at_level(logging.WARNING):
        assert kit.publish(site).unchanged == [first, second]
    render(kit, 2)
    assert kit.publish(site).removed == [first, second]


def test_a_forged_record_publishes_nothing_from_elsewhere(make_kit: MakeKit, tmp_path: Path) -> None:
    """A name that climbs out of the cache is refused."""
    kit = make_kit()
    (tmp_path / "secret").write_text("x")
    kit.renders.path.parent.mkdir(exist_ok=True)
    kit.renders.path.write_text('{"version": 1, "files": {"../secret": {}}}')
    with pytest.raises(StorageError):
        kit.publish(tmp_path / "site")
    assert not (tmp_path / "site").exists() or not files_in(tmp_path / "site")


def test_a_state_folder_that_cannot_be_written_is_an_error(make_kit: MakeKit, tmp_path: Path) -> None:
    """What is not noted could never be removed."""
    kit = make_kit()
    render(kit, 0)
    (tmp_path / "state/published").write_text("no folder")
    with pytest.raises(StorageError, match="state_dir"):
        kit.publish(tmp_path / "site")


def test_a_disk_that_fails_while_files_are_copied_is_one_error(
    make_kit: MakeKit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is this library's, and says what failed; the next publish puts what is missing."""
    kit = make_kit()
    names = render(kit, 0, 1)
    forbid_links(monkeypatch)

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "utime", fail)
        with pytest.raises(StorageError, match="Input/output error"):
            kit.publish(tmp_path / "site")
    assert kit.publish(tmp_path / "site").ok
    assert files_in(tmp_path / "site") == names
