"""Pruning: cache files that no registration and no recorded render needs are deleted, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jinja_imagekit import large
from jinja_imagekit.exceptions import ImageKitError
from jinja_imagekit.kit import ImageKit
from jinja_imagekit.processors import ResizeToFit
from jinja_imagekit.sourcegroups import GlobSourceGroup

MakeKit = Callable[..., ImageKit]


@pytest.fixture
def make_kit(tmp_path: Path, write_photo: Any) -> MakeKit:
    """Return a function that makes a kit over three photos, as a new process would make it."""
    for seed in range(3):
        write_photo(f"photos/{seed}.jpg", 80, 60, seed=seed)

    def make(**values: Any) -> ImageKit:
        kit = ImageKit(
            source_dirs=[tmp_path / "images"], location=tmp_path / "cache", state_dir=tmp_path / "state", **values
        )
        kit.spec("card", processors=[ResizeToFit(40, 40)])
        kit.spec("tiny", processors=[ResizeToFit(9, 9)])
        return kit

    return make


def use(kit: ImageKit, id: str, *numbers: int) -> list[str]:
    """Ask for some photos' images as a page does, and return the names of their cache files in order."""
    files = [kit.cachefile(id, source=f"photos/{number}.jpg") for number in numbers]
    assert all(file.url for file in files)
    return sorted(str(file.name) for file in files)


def keys(kit: ImageKit) -> str:
    return " ".join(kit.records.store.keys())


@pytest.mark.parametrize("most", [large.MOST_NAMES, 1])
def test_what_nothing_needs_is_deleted(
    make_kit: MakeKit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """Of three files one is registered, one was rendered, and one is deleted with all that is known of it."""
    # Above this number, names are in a temporary file.
    monkeypatch.setattr(large, "MOST_NAMES", most)
    kit = make_kit()
    kit.register.source_group("card", GlobSourceGroup("photos/0.jpg"))
    kit.generate()
    (needless,) = use(kit, "tiny", 1)
    kit.finish()
    (rendered,) = use(kit, "card", 2)
    kit.finish()
    kit = make_kit()
    kit.register.source_group("card", GlobSourceGroup("photos/0.jpg"))
    size = (tmp_path / "cache" / needless).stat().st_size
    foreseen = kit.prune(dry_run=True)
    assert (foreseen.removed, foreseen.bytes, foreseen.kept, foreseen.dry_run) == ([needless], size, 2, True)
    assert (tmp_path / "cache" / needless).exists()
    report = kit.prune()
    assert (report.removed, report.bytes, report.kept) == ([needless], size, 2)
    assert needless not in list(kit.storage.names())
    assert rendered in list(kit.storage.names())
    assert kit.records.get(needless) is None
    assert kit.prune().removed == []


def test_a_render_under_way_keeps_its_files(make_kit: MakeKit) -> None:
    """It need not be finished."""
    kit = make_kit()
    use(kit, "card", 0, 1)
    kit.finish()
    names = use(kit, "tiny", 2)
    report = kit.prune()
    assert (report.removed, report.kept) == ([], 3)
    assert names[0] in list(kit.storage.names())


def test_a_source_that_is_gone_loses_its_files(make_kit: MakeKit, images_dir: Path, tmp_path: Path) -> None:
    """With the folder that held them alone, and the answers that led to them."""
    kit = make_kit()
    kit.register.source_group("card", GlobSourceGroup("photos/*.jpg"))
    kit.generate()
    assert any("known:photos/1.jpg:" in key for key in keys(kit).split())
    (images_dir / "photos/1.jpg").unlink()
    report = kit.prune(without_render=True)
    assert [name.split("/")[-2] for name in report.removed] == ["1"]
    assert not (tmp_path / "cache/CACHE/images/photos/1").exists()
    left = [key for key in keys(kit).split() if "known:" in key]
    assert left
    assert not any(key.endswith("photos/1.jpg") for key in left)


def test_a_source_that_changed_loses_its_old_files(make_kit: MakeKit, write_photo: Any) -> None:
    """The new content has files of another name."""
    kit = make_kit()
    kit.register.cachefiles("card", [{"source": "photos/0.jpg"}])
    (old,) = [outcome.name for outcome in kit.generate().generated]
    write_photo("photos/0.jpg", 90, 60, seed=7)
    (new,) = [outcome.name for outcome in kit.generate().generated]
    assert kit.prune(without_render=True).removed == [old]
    assert list(kit.storage.names()) == [new]


def test_files_without_a_record_stay(make_kit: MakeKit, tmp_path: Path) -> None:
    """Whatever they are called, below the cache folder and beside it."""
    kit = make_kit()
    use(kit, "card", 0)
    kit.finish()
    (name,) = use(kit, "card", 1)
    kit.finish()
    foreign = [tmp_path / "cache" / each for each in ("index.html", "CACHE/images/mine.jpg", f"{name}.bak")]
    for path in foreign:
        path.write_text("mine")
    assert len(kit.prune().removed) == 1
    assert all(path.exists() for path in foreign)


def test_a_state_store_that_was_lost_deletes_nothing(make_kit: MakeKit) -> None:
    """Without records, no file is known to be ours."""
    from jinja_imagekit.state import MemoryStore

    names = use(make_kit(), "card", 0, 1)
    kit = make_kit(state_store=lambda settings: MemoryStore())
    assert kit.prune(without_render=True).removed == []
    assert list(kit.storage.names()) == names


def test_a_damaged_record_of_the_render_stops_the_prune(make_kit: MakeKit) -> None:
    """Nobody can tell what the pages need."""
    kit = make_kit()
    names = use(kit, "card", 0)
    kit.finish()
    kit.renders.path.write_text("{")
    with pytest.raises(ImageKitError, match="damaged"):
        make_kit().prune()
    assert list(kit.storage.names()) == names


def test_without_a_finished_render_nothing_is_deleted(make_kit: MakeKit) -> None:
    """What templates use is not known then, in this process or another; the message says what to do."""
    kit = make_kit()
    kit.register.cachefiles("card", [{"source": "photos/0.jpg"}])
    kit.generate()
    used = use(make_kit(), "tiny", 1)
    for each in (kit, make_kit()):
        with pytest.raises(ImageKitError, match=r"call kit\.finish\(\).*--without-render"):
            each.prune()
    assert used[0] in list(kit.storage.names())
    assert kit.prune(dry_run=True).removed == []


def test_without_a_render_only_registrations_count_where_one_says_so(make_kit: MakeKit) -> None:
    """A site that has all its images registered renders nothing."""
    kit = make_kit()
    kit.register.cachefiles("card", [{"source": "photos/0.jpg"}])
    kit.generate()
    make_kit().cachefile("tiny", source="photos/1.jpg").generate()
    report = kit.prune(without_render=True)
    assert (len(report.removed), report.kept) == (1, 1)


def test_kits_of_one_state_folder_prune_what_is_theirs(make_kit: MakeKit, tmp_path: Path) -> None:
    """Each has a `cache_prefix` and a render of its own: a prune of one leaves the other's images, and its own."""
    used = {}
    for prefix in ("imagekit:", "shop:", "шоп:", "shop/"):
        kit = make_kit(cache_prefix=prefix, cachefile_dir=f"CACHE/{len(used)}")
        used[prefix] = use(kit, "card", len(used) % 3)
        kit.finish()
        kit.publish(tmp_path / "site")
    for number, prefix in enumerate(used):
        kit = make_kit(cache_prefix=prefix, cachefile_dir=f"CACHE/{number}")
        assert kit.prune().removed == []
        assert list(kit.renders.last() or ()) == used[prefix]
        assert kit.publish(tmp_path / "site").removed == []
    for names in used.values():
        assert (tmp_path / "cache" / names[0]).exists()
        assert (tmp_path / "site" / names[0]).exists()


def test_what_kits_of_one_folder_both_need_stays_until_neither_does(make_kit: MakeKit, tmp_path: Path) -> None:
    """A kit's prune keeps what a kit with another prefix needs, whether that one finished its render or not."""
    first, second = make_kit(cache_prefix="one:"), make_kit(cache_prefix="two:")
    names = use(first, "card", 0, 1, 2)
    use(second, "card", 1)
    first.finish()
    second.finish()
    use(second, "card", 2)
    first = make_kit(cache_prefix="one:")
    use(first, "card", 0)
    first.finish()
    assert first.prune().removed == []
    assert all((tmp_path / "cache" / name).exists() for name in names)
    second.finish()
    second = make_kit(cache_prefix="two:")
    use(second, "card", 0)
    second.finish()
    assert len(first.prune().removed) == 2
    (tmp_path / "state" / "renders-two-damaged.json").write_text("{")
    with pytest.raises(ImageKitError, match=r"renders-two-damaged\.json is damaged"):
        make_kit(cache_prefix="one:").prune()


def test_a_source_that_cannot_be_read_keeps_its_files(
    make_kit: MakeKit, images_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its name says what it is made of, and that cannot be told for the moment."""
    kit = make_kit()
    kit.register.cachefiles("card", lambda: [{"source": "photos/0.jpg"}])
    kit.generate()
    (images_dir / "photos/0.jpg").unlink()
    report = kit.prune(without_render=True)
    assert (report.removed, report.kept) == ([], 1)
    assert "are kept" in caplog.text


def test_records_of_files_that_are_gone_are_forgotten(make_kit: MakeKit) -> None:
    """Unless something needs them."""
    kit = make_kit()
    (gone,) = use(kit, "card", 0)
    kit.finish()
    (needed,) = use(kit, "card", 1)
    kit.finish()
    for name in (gone, needed):
        kit.storage.delete(name)
    assert kit.prune(dry_run=True).forgotten == 1
    assert gone in keys(kit)
    assert kit.prune().forgotten == 1
    assert gone not in keys(kit)
    assert kit.records.get(needed) is not None


def test_what_is_made_while_a_prune_runs_stays(make_kit: MakeKit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process's page needs it, which this one cannot know."""
    kit, other = make_kit(), make_kit()
    names = kit.storage.names

    def names_and_a_new_one(prefix: str = "") -> Any:
        time.sleep(0.05)
        use(other, "tiny", 1)
        return names(prefix)

    monkeypatch.setattr(kit.storage, "names", names_and_a_new_one)
    assert kit.prune(without_render=True).removed == []


def test_a_published_copy_outlives_the_prune(make_kit: MakeKit, tmp_path: Path) -> None:
    """A hard link keeps the content; the next publish takes it away."""
    kit = make_kit()
    (name,) = use(kit, "card", 0)
    kit.publish(tmp_path / "site")
    use(kit, "card", 1)
    kit.finish()
    assert kit.prune().removed == [name]
    assert (tmp_path / "site" / name).stat().st_size > 0
    assert kit.publish(tmp_path / "site").removed == [name]
