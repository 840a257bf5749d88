"""Deleting cache files: whatever deletes one forgets all that is known of it, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from core_site import Card, Site, Wide
from jinja2 import Environment

from jinja_imagekit import ImageKit
from jinja_imagekit.exceptions import NotRegistered, StorageError
from jinja_imagekit.storages.folder import FileSystemStorage

Delete = Callable[[ImageKit, str], object]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Return a site with two photos."""
    site = Site(tmp_path)
    site.write("photos/a.jpg")
    site.write("b.jpg", seed=1)
    return site


def render(kit: ImageKit, source: str) -> str:
    """Show a photo's card as a page does, twice, so that all is known of it, and return its URL."""
    template = kit.install(Environment()).from_string("{% generateimage 'card' source=source as card %}{{ card.url }}")
    template.render(source=source)
    return template.render(source=source)


def known_of(kit: ImageKit, name: str) -> list[str]:
    """Return the keys of all that is known of a cache file, the calls that lead to it among them."""
    store = kit.records.store
    return sorted(key.split(":")[1] for key in store.keys() if name in key or name in str(store.get(key)))  # noqa: SIM118  # a store is not a dict


def by_the_file(kit: ImageKit, source: str) -> None:
    kit.cachefile("card", source=source).delete()


def by_prune(kit: ImageKit, source: str) -> None:
    kit.renders.finish()
    render(kit, "b.jpg")
    kit.renders.finish()
    kit.prune()


def by_doctor(kit: ImageKit, source: str) -> None:
    path = Path(kit.cachefile("card", source=source).path)
    path.write_bytes(path.read_bytes()[:100])
    assert any(finding.fixed for finding in kit.doctor(fix=True))


@pytest.mark.parametrize("delete", [by_the_file, by_prune, by_doctor])
def test_all_that_is_known_of_a_file_goes_with_it(site: Site, delete: Delete) -> None:
    """File, folder, record, failure and the calls that lead to it; another file keeps everything."""
    kit = site.kit
    urls = [render(kit, source) for source in ("photos/a.jpg", "photos/./a.jpg", "b.jpg")]
    name, other = urls[0].lstrip("/"), urls[2].lstrip("/")
    kit.records.fail(name, "once")
    assert known_of(kit, name) == ["failure", "file", "known"]
    delete(kit, "photos/a.jpg")
    assert known_of(kit, name) == []
    assert known_of(kit, other) == ["file", "known"]
    assert list(site.files()) == [other]
    assert not (site.output / name).parent.parent.exists()
    assert render(kit, "photos/a.jpg") == urls[0]
    assert (site.output / name).is_file()


def test_the_doctor_forgets_the_calls_that_lead_to_what_failed(site: Site) -> None:
    """A file that could not be made again is as unknown as one that is gone, so that the next page tries it."""
    kit = site.kit
    name, other = (render(kit, source).lstrip("/") for source in ("photos/a.jpg", "b.jpg"))
    kit.records.fail(name, "it is damaged")
    assert [(each.kind, each.name, each.fixed) for each in kit.doctor(fix=True)] == [("failed", name, True)]
    assert known_of(kit, name) == []
    assert known_of(kit, other) == ["file", "known"]


def test_clear_takes_the_files_of_the_ids_that_a_pattern_matches(site: Site) -> None:
    """It returns their records; without a pattern it takes all, and one that matches nothing is an error."""
    kit = site.kit
    kit.register.generator("blog:wide", Wide)
    card = render(kit, "photos/a.jpg").lstrip("/")
    wide = kit.cachefile("blog:wide", source="b.jpg")
    assert wide.url
    with pytest.raises(NotRegistered, match="blgo"):
        kit.clear("blgo")
    foreseen = kit.clear("blog", dry_run=True)
    assert [record.name for record in foreseen] == [wide.name]
    assert len(site.files()) == 2
    assert kit.clear("blog") == foreseen
    assert list(site.files()) == [card]
    assert known_of(kit, str(wide.name)) == []
    assert [record.name for record in kit.clear()] == [card]
    assert (site.files(), known_of(kit, card)) == ({}, [])
    assert kit.clear() == []


class Elsewhere(Card):
    """A card that is kept in a storage of its own, and is another with each quality."""

    def __init__(self, source: Any = None, quality: int = 80) -> None:
        super().__init__(source)
        self.options = {"quality": quality}


def test_files_in_a_storage_of_their_own_are_cleared_and_pruned_there(site: Site) -> None:
    """Records and files go together."""
    storage = FileSystemStorage(site.root / "elsewhere", "https://cdn.example/")
    site.kit.register.generator("elsewhere", type("Kept", (Elsewhere,), {"cachefile_storage": storage}))
    first, second = (site.kit.cachefile("elsewhere", source="b.jpg", quality=quality) for quality in (50, 60))
    assert first.url
    site.kit.finish()
    assert second.url
    site.kit.finish()
    report = site.kit.prune()
    assert (report.removed, report.forgotten, report.kept) == ([first.name], 0, 1)
    assert report.bytes > 0
    assert list(storage.names()) == [second.name]
    assert known_of(site.kit, str(first.name)) == []
    assert [record.name for record in site.kit.clear("elsewhere")] == [second.name]
    assert list(storage.names()) == []
    assert known_of(site.kit, str(second.name)) == []


def test_where_only_the_source_tells_the_storage_files_and_records_stay(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither prune nor clear nor doctor finds them; the file itself is deleted as any."""
    storage = FileSystemStorage(site.root / "elsewhere", "https://cdn.example/")
    site.kit.register.generator(
        "varies", type("Varies", (Elsewhere,), {"cachefile_storage": property(lambda spec: storage)})
    )
    file = site.kit.cachefile("varies", source="b.jpg")
    assert file.url
    site.kit.finish()
    render(site.kit, "b.jpg")
    site.kit.finish()
    assert site.kit.doctor() == []
    assert (site.kit.prune().removed, site.kit.clear("varies")) == ([], [])
    assert "'varies' are kept" in caplog.text
    assert (list(storage.names()), known_of(site.kit, str(file.name))) == ([file.name], ["file"])
    file.delete()
    assert (list(storage.names()), known_of(site.kit, str(file.name))) == ([], [])


def test_a_file_that_cannot_be_deleted_keeps_its_record(site: Site) -> None:
    """Those before it are forgotten, so that files and records still agree."""

    class Stubborn(FileSystemStorage):
        def delete(self, name: str) -> None:
            if "photos" in name:
                raise StorageError(name, "it is nailed down.")
            super().delete(name)

    kit = site.new_kit(default_file_storage=Stubborn(site.output))
    names = [render(kit, source).lstrip("/") for source in ("b.jpg", "photos/a.jpg")]
    with pytest.raises(StorageError, match="nailed"):
        kit.clear()
    assert list(site.files()) == [names[1]]
    assert (known_of(kit, names[0]), known_of(kit, names[1])) == ([], ["file"])


def test_clear_reaches_no_file_that_has_no_record(site: Site) -> None:
    """Whatever else stands in the folder is somebody else's."""
    assert render(site.kit, "b.jpg")
    theirs = site.output / "CACHE/images/b/logo.png"
    theirs.write_bytes(b"theirs")
    site.kit.clear()
    assert list(site.files()) == ["CACHE/images/b/logo.png"]
