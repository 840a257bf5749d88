"""The doctor: what it finds on a disk that somebody has tampered with, and what it mends."""

from __future__ import annotations

import errno
import io
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment

import drawing
from jinja_imagekit import ImageKit
from jinja_imagekit.atomic_files import PREFIX, temporary_name
from jinja_imagekit.doctor import Finding
from jinja_imagekit.exceptions import ImageKitError
from jinja_imagekit.processors import ResizeToFill, ResizeToFit
from jinja_imagekit.sourcegroups import GlobSourceGroup

NAMES = ("canal", "dunes", "harbour")


@pytest.fixture
def kit(tmp_path: Path) -> ImageKit:
    """Return a kit that has made a card of each of three photos."""
    (tmp_path / "images").mkdir()
    for seed, name in enumerate(NAMES):
        (tmp_path / f"images/{name}.jpg").write_bytes(drawing.jpeg(240, 160, seed))
    kit = ImageKit(source_dirs=[tmp_path / "images"], location=tmp_path / "output", state_dir=tmp_path / "state")
    kit.spec("blog:card", processors=[ResizeToFill(120, 80)], format="JPEG")
    kit.register.cachefiles("blog:card", [{"source": f"{name}.jpg"} for name in NAMES])
    assert kit.generate().ok
    return kit


def card(kit: ImageKit, name: str) -> Path:
    return Path(kit.cachefile("blog:card", source=f"{name}.jpg").path)


def kinds(findings: list[Finding]) -> dict[str, str]:
    return {Path(finding.name).name: finding.kind for finding in findings}


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200])


def damage(path: Path) -> None:
    """Overwrite the middle of a JPEG, so that its size stays and its pixels cannot be decoded."""
    data = path.read_bytes()
    path.write_bytes(data[:100] + b"\xff\xd9" * ((len(data) - 100) // 2) + b"\0" * (len(data) % 2))


def swap(path: Path) -> None:
    """Put another image there, of the same number of bytes."""
    data = drawing.jpeg(32, 32, 5, quality=30)
    size = path.stat().st_size
    assert len(data) <= size
    path.write_bytes(data + b"\0" * (size - len(data)))


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def test_a_sound_cache_has_no_findings(kit: ImageKit) -> None:
    """What was made is as it is recorded."""
    assert kit.doctor() == []


@pytest.mark.parametrize(
    ("tamper", "kind"),
    [
        (Path.unlink, "missing"),
        (make_folder, "missing"),
        (shorten, "truncated"),
        (damage, "unreadable"),
        (swap, "foreign"),
        (lambda path: path.write_bytes(path.read_bytes() * 2), "foreign"),
    ],
    ids=["deleted", "a folder", "shortened", "damaged", "another image", "longer"],
)
def test_what_was_tampered_with_is_found_mended_and_made_again(
    kit: ImageKit, tamper: Callable[[Path], object], kind: str
) -> None:
    """Looking changes nothing; mending deletes and forgets; the next run makes the same bytes."""
    victim = card(kit, "dunes")
    whole = victim.read_bytes()
    tamper(victim)
    assert kinds(kit.doctor()) == {victim.name: kind}
    assert kinds(kit.doctor()) == {victim.name: kind}
    assert [finding.fixed for finding in kit.doctor(fix=True)] == [True]
    if victim.is_dir():
        victim.rmdir()
    assert kit.doctor() == []
    assert len(kit.generate().generated) == 1
    assert victim.read_bytes() == whole
    assert kit.doctor() == []


def test_lost_state_is_rebuilt_from_whole_images(kit: ImageKit, tmp_path: Path) -> None:
    """Images under names of this library's are recorded again, so that nothing need be made."""
    kit.records.forget(*(record.name for record in kit.records.all()))
    findings = kit.doctor(fix=True)
    assert {finding.kind for finding in findings} == {"foreign"}
    assert all(finding.fixed for finding in findings)
    assert {record.name for record in kit.records.all()} == {finding.name for finding in findings}
    report = kit.generate()
    assert (len(report.skipped), len(report.generated)) == (3, 0)
    file = kit.cachefile("blog:card", source="canal.jpg")
    assert (file.width, file.height, file.mimetype) == (120, 80, "image/jpeg")


def test_a_broken_file_that_nobody_recorded_is_deleted(kit: ImageKit) -> None:
    """Its name says that this library made it, and its content that it is worth nothing."""
    victim = card(kit, "canal")
    kit.records.forget(kit.cachefile("blog:card", source="canal.jpg").name or "")
    shorten(victim)
    assert [finding.fixed for finding in kit.doctor(fix=True)] == [True]
    assert not victim.exists()


def test_files_of_other_people_are_named_and_left(kit: ImageKit, tmp_path: Path) -> None:
    """What has neither a record nor a name of this library's may be anybody's; hidden files are passed over."""
    notes = tmp_path / "output/CACHE/images/notes.txt"
    notes.write_text("mine")
    (tmp_path / "output/CACHE/images/.gitkeep").write_text("")
    (tmp_path / "output/index.html").write_text("mine")
    for path in (tmp_path / "output").rglob("*"):
        os.utime(path, (1_600_000_000, 1_600_000_000))
    findings = kit.doctor(fix=True)
    assert kinds(findings) == {"notes.txt": "foreign"}
    assert not findings[0].fixed
    assert notes.read_text() == "mine"


def test_temporary_files_of_dead_writers_are_found_and_deleted(kit: ImageKit, tmp_path: Path) -> None:
    """A living writer's are left alone."""
    folder = tmp_path / "output" / PREFIX
    folder.mkdir(exist_ok=True)
    living = folder / temporary_name()
    living.write_bytes(b"half")
    dead = folder / f"{PREFIX}.elsewhere.1.1.{'0' * 16}"
    dead.write_bytes(b"half")
    os.utime(dead, (1_600_000_000, 1_600_000_000))
    assert kinds(kit.doctor()) == {dead.name: "temporary"}
    assert [finding.fixed for finding in kit.doctor(fix=True)] == [True]
    assert not dead.exists()
    assert living.exists()


def test_a_state_that_cannot_be_read_condemns_no_file(kit: ImageKit, tmp_path: Path) -> None:
    """Nothing is known of any file then, so nothing is called foreign, and nothing deleted."""
    before = {path: path.read_bytes() for path in (tmp_path / "output").rglob("*.jpg")}
    blocked = tmp_path / "blocked"
    blocked.write_text("no folder")
    other = ImageKit(kit.settings.replace(state_dir=blocked))
    findings = other.doctor(fix=True)
    assert [(finding.kind, finding.fixed) for finding in findings] == [("state", False)]
    assert {path: path.read_bytes() for path in before} == before


def test_cache_files_among_the_sites_own_are_told_by_their_names(tmp_path: Path) -> None:
    """With `cachefile_dir` empty, the pages of the site are nobody's findings."""
    kit = ImageKit(location=tmp_path, state_dir=tmp_path / "state", cachefile_dir="")
    (tmp_path / "index.html").write_text("mine")
    (tmp_path / f"{'0' * 32}.webp").write_bytes(b"no image")
    for path in tmp_path.iterdir():
        os.utime(path, (1_600_000_000, 1_600_000_000))
    assert kinds(kit.doctor()) == {f"{'0' * 32}.webp": "foreign"}


def failed(kit: ImageKit) -> list[str]:
    return [finding.name for finding in kit.doctor() if finding.kind == "failed"]


def again(kit: ImageKit, **settings: Any) -> ImageKit:
    """Return a kit that knows what a new process knows, once failures are no longer kept from being tried again."""
    new = ImageKit(kit.settings.replace(failure_timeout=0, **settings))
    new.spec("blog:card", processors=[ResizeToFill(120, 80)], format="JPEG")
    new.register.source_group("blog:card", GlobSourceGroup("*.jpg"))
    return new


def test_what_a_run_could_not_make_is_a_finding_until_it_is_made(kit: ImageKit, tmp_path: Path) -> None:
    """By whatever process and however much later; a repaired source is tried by --fix, and made."""
    broken = tmp_path / "images/broken.jpg"
    broken.write_text("no image")
    assert not again(kit).generate().ok
    (finding,) = again(kit).doctor()
    assert (finding.kind, finding.name, finding.fixed) == ("failed", "broken.jpg", False)
    assert "blog:card" in finding.detail
    assert [each.fixed for each in again(kit).doctor(fix=True)] == [False]
    assert failed(again(kit)) == ["broken.jpg"]
    # A run of something else says nothing about it.
    kit.spec("blog:other", format="PNG")
    kit.generate("blog:other")
    assert failed(again(kit)) == ["broken.jpg"]
    broken.write_bytes(drawing.jpeg(240, 160, 3))
    assert [each.fixed for each in again(kit).doctor(fix=True)] == [True]
    assert again(kit).doctor() == []


def test_what_nobody_wants_any_more_is_no_finding(kit: ImageKit, tmp_path: Path) -> None:
    """A source that is gone fails no more, nor does one that is registered no more."""
    for name in ("broken.jpg", "bad.jpg"):
        (tmp_path / "images" / name).write_text("no image")
    again(kit).generate()
    (tmp_path / "images/broken.jpg").unlink()
    assert failed(again(kit)) == ["bad.jpg"]
    (tmp_path / "images/bad.jpg").write_bytes(drawing.jpeg(240, 160, 3))
    again(kit).generate()
    assert failed(again(kit)) == []


def test_a_failure_lasts_until_its_source_is_gone_or_repaired(kit: ImageKit, tmp_path: Path) -> None:
    """What was tried and not noted is a finding, which a fix forgets; the fate of the source settles it too."""
    bad = tmp_path / "images/bad.jpg"

    def fail(content: bytes) -> None:
        bad.write_bytes(content)
        time.sleep(0.02)
        with pytest.raises(ImageKitError):
            kit.cachefile("imagekit:thumbnail", source="bad.jpg", width=9, format="PNG").generate()
        assert len(failed(kit)) == 1

    fail(b"no image")
    assert [each.fixed for each in kit.doctor(fix=True) if each.kind == "failed"] == [True]
    assert failed(kit) == []
    fail(b"nor is this")
    time.sleep(0.02)
    bad.write_bytes(drawing.jpeg(240, 160, 3))
    assert failed(kit) == []
    fail(b"this is none either")
    bad.unlink()
    assert failed(kit) == []


def test_what_pages_did_without_is_a_finding_while_its_source_is_there(kit: ImageKit, tmp_path: Path) -> None:
    """A bad source that was deleted since is the next render's affair; a source that was never there stays one."""
    bad = tmp_path / "images/bad.txt"
    bad.write_text("no image")
    page = "{% thumbnail '9x9' 'bad.txt' on_error='omit' %}{% thumbnail '9x9' 'never.jpg' on_error='omit' %}"
    kit.install(Environment(autoescape=True)).from_string(page).render()
    kit.finish()
    assert sorted(failed(again(kit))) == ["bad.txt", "never.jpg"]
    bad.unlink()
    assert failed(again(kit)) == ["never.jpg"]
    assert [each.source for each in again(kit).generate().failed] == ["never.jpg"]


def test_another_kits_files_are_not_foreign(kit: ImageKit, tmp_path: Path) -> None:
    """Two kits with a `cache_prefix` each may share all folders: neither takes the other's files for its own."""
    other = ImageKit(kit.settings.replace(cache_prefix="shop:"))
    other.spec("shop:tile", processors=[ResizeToFit(30)], format="PNG")
    other.register.source_group("shop:tile", GlobSourceGroup("*.jpg"))
    assert len(other.generate().generated) == 3
    for path in (tmp_path / "output").rglob("*.*"):
        os.utime(path, (1_600_000_000, 1_600_000_000))
    for each in (kit, other):
        assert each.doctor(fix=True) == []
        each.finish()
    assert kit.prune().removed == []
    assert len(list(kit.storage.names())) == 6


def test_a_disk_that_cannot_be_read_is_a_finding(kit: ImageKit, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error in the middle of a file ends no examination: the others are examined all the same."""

    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

    plain, victim = kit.storage.open, card(kit, "dunes")

    def opened(name: str) -> Any:
        return Failing() if name.endswith(victim.name) else plain(name)

    monkeypatch.setattr(kit.storage, "open", opened)
    (finding,) = kit.doctor()
    assert (Path(finding.name).name, finding.kind) == (victim.name, "unreadable")
    assert "Input/output error" in finding.detail
