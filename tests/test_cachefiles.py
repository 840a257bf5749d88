"""Cache files: what they tell, when they are true, how they heal, and what touches nothing."""

from __future__ import annotations

import io
import logging
import os
import pickle
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from core_site import BrokenCard, Card, Counter, Site, Wide, photo_bytes, settled
from jinja2 import Environment
from PIL import Image

from jinja_imagekit import BytesSource, ImageCacheFile, ImageKit, LazyImageCacheFile
from jinja_imagekit.cachefiles.backends import Simple
from jinja_imagekit.cachefiles.strategies import JustInTime, Optimistic
from jinja_imagekit.exceptions import (
    GenerationFailed,
    ImageKitError,
    MissingSource,
    NotRegistered,
    SourceNotFound,
    StorageError,
    UnreadableImage,
)
from jinja_imagekit.images import Original
from jinja_imagekit.processors import ResizeToFit
from jinja_imagekit.sources import FileSource
from jinja_imagekit.state import MemoryStore


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Return a site with one photo."""
    site = Site(tmp_path)
    site.write("photos/canal.jpg")
    return site


def card(site: Site, **keywords: Any) -> LazyImageCacheFile:
    """Return the card of the photo."""
    return site.kit.cachefile("card", **{"source": "photos/canal.jpg", **keywords})


def test_what_a_cache_file_tells(site: Site) -> None:
    """Name, URL, path, size in pixels and bytes, format, media type, and the content."""
    file = card(site)
    assert file.url == f"/{file.name}"
    assert str(file.name).startswith("CACHE/images/photos/canal/")
    assert file.path == str(site.output / str(file.name))
    assert (file.width, file.height, file.format, file.mimetype) == (24, 16, "JPEG", "image/jpeg")
    data = file.read()
    assert (file.size, data) == (len(data), Path(file.path).read_bytes())
    with file.open() as content, Image.open(content) as image:
        assert image.size == (24, 16)
    assert str(file.__html__()) == f'<img src="{file.url}" width="24" height="16">'
    assert file.source is not None
    assert file.source.name == "photos/canal.jpg"


def test_repr_and_str_touch_nothing(tmp_path: Path) -> None:
    """They open nothing, make nothing, and do not even look for the source; nor does making a cache file."""
    kit = ImageKit(source_dirs=[tmp_path / "none"], location=tmp_path / "out", state_dir=tmp_path / "state")
    file = kit.cachefile("imagekit:thumbnail", source="photos/canal.jpg", width=3)
    assert repr(file) == "<LazyImageCacheFile: imagekit:thumbnail of photos/canal.jpg>"
    assert str(file) == "imagekit:thumbnail of photos/canal.jpg"
    assert repr(kit.cachefile("no:such", source=3)) == "<LazyImageCacheFile: no:such>"
    assert repr(kit.cachefile_of(Card(source=photo_bytes()))) == "<ImageCacheFile: core_site.Card>"
    assert repr(kit) == f"<ImageKit writing to {str(tmp_path / 'out')!r}>"
    assert not list(tmp_path.iterdir())
    with pytest.raises(NotRegistered):
        _ = kit.cachefile("no:such").url


def test_str_is_the_name_once_that_is_known(site: Site) -> None:
    """A cache file whose name is known is called by it."""
    file = card(site)
    name = file.name
    assert str(file) == name
    assert repr(file) == f"<LazyImageCacheFile: {name}>"


def test_truth(site: Site) -> None:
    """A file without a source is false; one with a source is true, and made by then."""
    nothing = card(site, source=None)
    assert not nothing
    assert not site.output.exists()
    file = card(site)
    assert file
    assert (site.output / str(file.name)).exists()
    with pytest.raises(SourceNotFound):
        bool(card(site, source="none.jpg"))


@pytest.mark.parametrize("use", ["url", "path", "width", "size", "format", "open", "read", "generate", "__html__"])
def test_without_a_source(site: Site, use: str) -> None:
    """Everything but the truth of a file without a source is an error that says so; its name is None."""
    file = card(site, source="")
    assert file.name is None
    with pytest.raises(MissingSource, match=r"test the cache file's truth"):
        _ = getattr(file, use)()
    file.delete()


def test_a_cache_file_of_a_spec_made_by_hand(site: Site) -> None:
    """A spec of bytes, with a name, a strategy and a backend of its own."""
    spec = Card(source=BytesSource(photo_bytes(), name="me.jpg"))
    file = site.kit.cachefile_of(spec)
    assert str(file.name).startswith("CACHE/images/me/")
    assert (file.width, file.height) == (24, 16)
    named = site.kit.cachefile_of(spec, name="own/name.jpg", cachefile_strategy=Optimistic, cachefile_backend=Simple())
    assert named.url == "/own/name.jpg"
    assert not (site.output / "own").exists()
    assert isinstance(named.cachefile_strategy, Optimistic)
    named.generate()
    assert (site.output / "own/name.jpg").read_bytes() == file.read()


def test_force(site: Site) -> None:
    """`generate` leaves what exists; with `force` it is made again, over the same name."""
    file = card(site)
    file.generate()
    path = Path(file.path)
    before = path.stat()
    file.generate()
    assert path.stat().st_ino == before.st_ino
    content = path.read_bytes()
    file.generate(force=True)
    assert path.stat().st_ino != before.st_ino
    assert path.read_bytes() == content
    assert list(site.files()) == [file.name]


def test_delete(site: Site) -> None:
    """The file goes with all that is known of it, and comes back when it is used again."""
    file = card(site)
    file.delete()
    assert file.url
    file.delete()
    assert not site.files()
    assert site.kit.records.get(str(file.name)) is None
    assert file.width == 24
    assert len(site.files()) == 1


def _delete(path: Path) -> None:
    path.unlink()


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _replace(path: Path) -> None:
    path.write_bytes(b"somebody else's")


def _folder(path: Path) -> None:
    path.unlink()
    for parent in path.parents:
        if parent.name == "output":
            break
        parent.rmdir()


@pytest.mark.parametrize("harm", [_delete, _truncate, _empty, _replace, _folder])
@pytest.mark.parametrize("process", ["the same", "a new one"])
def test_a_harmed_file_heals(site: Site, harm: Any, process: str) -> None:
    """Deleted, truncated and foreign files are made again when they are next used, by whatever process."""
    file = card(site)
    content = file.read()
    site.kit.known_files.remember(file, {"source": "photos/canal.jpg"})
    assert site.kit.known_files.find("card", {"source": "photos/canal.jpg"})
    harm(Path(file.path))
    kit = site.kit if process == "the same" else site.new_kit()
    assert kit.known_files.find("card", {"source": "photos/canal.jpg"}) is None
    again = kit.cachefile("card", source="photos/canal.jpg")
    assert again.url == file.url
    assert site.files() == {file.name: content}


def test_a_file_that_nobody_knows_is_taken_for_what_its_name_says(site: Site) -> None:
    """Unless the setting says otherwise: then it is made again."""
    file = card(site)
    stranger = photo_bytes(30, 20, seed=3)
    settled(site.output / str(file.name), stranger)
    for adopts in (True, False):
        kit = site.new_kit(state_dir=site.root / f"state {adopts}", adopt_existing=adopts)
        again = kit.cachefile("card", source="photos/canal.jpg")
        assert ((again.width, again.height) == (30, 20)) is adopts
        assert (again.read() == stranger) is adopts


WHOLE = {format: photo_bytes(format=format) for format in ("JPEG", "PNG", "GIF", "WEBP", "AVIF")}


@pytest.mark.parametrize("format", WHOLE)
def test_only_a_whole_image_is_taken_for_a_cache_file(site: Site, format: str) -> None:
    """Where an end is missing, be it of a byte, what stands there is made again; so is what is not an image."""
    site.kit.spec("kept", processors=[ResizeToFit(20)], format=format)
    name, whole = str(site.kit.cachefile("kept", source="photos/canal.jpg").name), WHOLE[format]
    cuts = [whole[:-count] for count in (1, 2, 3, 12, len(whole) // 2)]
    for number, content in enumerate((b"", b"hello", bytes(len(whole)), *cuts)):
        kit = site.new_kit(state_dir=site.root / f"state {number}")
        kit.spec("kept", processors=[ResizeToFit(20)], format=format)
        settled(site.output / name, content)
        file = kit.cachefile("kept", source="photos/canal.jpg")
        assert file.name == name
        assert file.width == 20
        assert file.read() != content


def test_a_lost_state_makes_no_image_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the state folder was deleted, a run and pages decode nothing, and the records are there again."""
    site.write("b.png", seed=2, format="PNG")
    sources = [{"source": "photos/canal.jpg"}, {"source": "b.png"}]
    ids = ("card", *(f"as:{format.lower()}" for format in WHOLE))

    def new_kit() -> ImageKit:
        kit = site.new_kit()
        for id, format in zip(ids[1:], WHOLE, strict=True):
            kit.spec(id, processors=[ResizeToFit(20)], format=format)
        for id in ids:
            kit.register.cachefiles(id, sources)
        return kit

    kit = new_kit()
    assert len(kit.generate().generated) == 12
    before = sorted(kit.records.all(), key=lambda record: record.name)
    kit.close()
    shutil.rmtree(site.state)
    monkeypatch.setattr(Original, "frames", lambda *args, **options: pytest.fail("an image was decoded"))
    kit = new_kit()
    report = kit.generate()
    assert (len(report.skipped), report.generated, report.failed) == (12, [], [])
    assert sorted(kit.records.all(), key=lambda record: record.name) == before
    shutil.rmtree(site.state)
    page = new_kit().install(Environment()).from_string("{% generateimage 'card' source='b.png' %}")
    assert 'width="24" height="16"' in page.render()


def test_a_name_without_a_hash_says_nothing_about_what_stands_there(site: Site) -> None:
    """A file that is always called the same may have been made of anything: without a record it is made again."""

    class Named(Card):
        cachefile_name = "CACHE/images/latest.jpg"

    site.kit.register.generator("named", Named)
    stranger = photo_bytes(30, 20, seed=3)
    settled(site.output / "CACHE/images/latest.jpg", stranger)
    assert site.kit.cachefile("named", source="photos/canal.jpg").read() != stranger


def test_a_replaced_source(site: Site) -> None:
    """A source that is replaced under its name has a new image, under a new name; the same content the old name."""
    first = card(site)
    old = first.url, first.read()
    site.write("photos/canal.jpg", seed=1)
    second = card(site)
    assert second.url != old[0]
    assert second.read() != old[1]
    site.write("photos/canal.jpg")
    third = card(site)
    assert (third.url, third.read()) == old
    assert len(site.files()) == 2


def test_a_source_that_is_replaced_between_naming_and_reading(site: Site) -> None:
    """The file is named for what it was made of, never for what was there before."""
    file = card(site)
    old_name = file.name
    site.write("photos/canal.jpg", seed=4)
    url = file.url
    assert url != f"/{old_name}"
    assert list(site.files()) == [file.name]
    assert file.name == card(site).name
    assert file.read() == Card(source=photo_bytes(seed=4)).generate().read()


def test_a_source_that_is_replaced_before_a_planned_file_is_made(site: Site) -> None:
    """The same in a pregeneration, between the plan and the run."""
    from jinja_imagekit.pregenerate import Item, make_plan, run_plan

    assert site.kit.source("photos/canal.jpg").digest  # type: ignore[union-attr]
    plan = make_plan(site.kit, [Item("card", {"source": "photos/canal.jpg"})])
    site.write("photos/canal.jpg", seed=4)
    report = run_plan(site.kit, plan)
    assert report.ok
    assert site.files() == {card(site).name: Card(source=photo_bytes(seed=4)).generate().read()}
    assert report.generated[0].name == card(site).name


def test_racing_threads_make_one_image(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen threads that ask for one cold image get the same one, made once."""
    made = Counter()
    generate = Card.generate
    monkeypatch.setattr(Card, "generate", lambda self: (made(), generate(self))[1])
    ready = threading.Barrier(16)

    def ask(_: int) -> tuple[str, int, bytes]:
        ready.wait()
        file = card(site)
        return file.url, file.width, file.read()

    with ThreadPoolExecutor(16) as pool:
        answers = set(pool.map(ask, range(16)))
    assert len(answers) == 1
    assert made.count == 1
    assert len(site.files()) == 1


def test_racing_kits_make_one_image(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kits that share nothing but folders, as processes do, make it once too."""
    made = Counter()
    generate = Card.generate
    monkeypatch.setattr(Card, "generate", lambda self: (made(), generate(self))[1])
    ready = threading.Barrier(6)

    def ask(_: int) -> str:
        kit = site.new_kit()
        ready.wait()
        try:
            return kit.cachefile("card", source="photos/canal.jpg").url
        finally:
            kit.close()

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(ask, range(6)))) == 1
    assert made.count == 1


def test_a_failure_is_remembered_briefly(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second tag with a broken image tells the same without trying; later it is tried again."""
    now = [1000.0]
    kit = site.new_kit(state_store=MemoryStore(clock=lambda: now[0]))
    monkeypatch.setattr(kit.records, "_clock", lambda: now[0])
    kit.register.generator("broken", BrokenCard)
    tried = Counter()
    generate = BrokenCard.generate
    monkeypatch.setattr(BrokenCard, "generate", lambda self: (tried(), generate(self))[1])

    def ask() -> GenerationFailed:
        with pytest.raises(GenerationFailed) as caught:
            _ = kit.cachefile("broken", source="photos/canal.jpg").url
        return caught.value

    first, second = ask(), ask()
    assert tried.count == 1
    assert str(first) == str(second)
    assert "RuntimeError: the ink ran out" in str(first)
    assert "'photos/canal.jpg'" in str(first)
    assert "[generator 'broken']" in str(first)
    now[0] += 59
    ask()
    assert tried.count == 1
    now[0] += 2
    ask()
    assert tried.count == 2
    with pytest.raises(GenerationFailed):
        kit.cachefile("broken", source="photos/canal.jpg").generate(force=True)
    assert tried.count == 3


def test_failures_need_not_be_remembered(site: Site) -> None:
    """With a timeout of 0 each use tries again."""
    kit = site.new_kit(failure_timeout=0)
    settled(site.images / "bad.jpg", b"hello")
    with pytest.raises(UnreadableImage):
        _ = kit.cachefile("card", source="bad.jpg").url
    settled(site.images / "bad.jpg", photo_bytes())
    assert kit.cachefile("card", source="bad.jpg").url


def test_a_repaired_source_works_at_once(site: Site) -> None:
    """A failure belongs to a content: another content under the same name has none."""
    settled(site.images / "bad.jpg", photo_bytes()[:-700])
    for _ in range(2):
        with pytest.raises(UnreadableImage) as caught:
            _ = card(site, source="bad.jpg").url
        assert caught.value.source == "bad.jpg"
    settled(site.images / "bad.jpg", photo_bytes())
    assert card(site, source="bad.jpg").width == 24


def test_an_image_of_an_image_that_cannot_be_made(site: Site) -> None:
    """A thumbnail of a broken hero is an error that leads to the hero's source."""
    settled(site.images / "bad.jpg", b"hello")
    hero = card(site, source="bad.jpg")
    with pytest.raises(ImageKitError, match="not an image of a readable format"):
        _ = site.kit.cachefile("imagekit:thumbnail", source=hero, width=3, format="PNG").url
    assert not site.files()


def test_pickling(site: Site) -> None:
    """A kit, a lazy cache file and its kin can be sent to another process, and lead to the same file there."""
    lazy = card(site)
    again = pickle.loads(pickle.dumps(lazy))
    assert isinstance(again, LazyImageCacheFile)
    assert "generator" not in lazy.__dict__
    assert (again.name, again.url, again.width) == (lazy.name, lazy.url, lazy.width)
    assert again.read() == lazy.read()
    used = pickle.loads(pickle.dumps(lazy))
    assert used.url == lazy.url
    nested = site.kit.cachefile("imagekit:thumbnail", source=lazy, width=9)
    assert pickle.loads(pickle.dumps(nested)).url == nested.url
    again._kit.close()


@pytest.mark.parametrize(
    "parts",
    [{}, {"name": "x/y.jpg"}, {"cachefile_strategy": Optimistic}, {"cachefile_backend": Simple(), "name": "a.jpg"}],
)
def test_pickling_a_cache_file_made_by_hand(site: Site, parts: dict[str, Any]) -> None:
    """Its generator, name, strategy and backend go with it."""
    file = site.kit.cachefile_of(Card(source=site.images / "photos/canal.jpg"), **parts)
    again = pickle.loads(pickle.dumps(file))
    assert type(again) is ImageCacheFile
    assert (again.name, again.url) == (file.name, file.url)
    assert type(again.cachefile_strategy) is type(file.cachefile_strategy)
    assert type(again.cachefile_backend) is type(file.cachefile_backend)
    assert again.generator.get_hash() == file.generator.get_hash()


def test_pickling_a_cache_file_of_a_kit_s_generator(site: Site) -> None:
    """A generator whose source the kit found goes too, whether it was used before or not."""
    file = site.kit.cachefile_of(site.kit.generator("card", source="photos/canal.jpg"))
    fresh = pickle.loads(pickle.dumps(file))
    assert file.url
    used = pickle.loads(pickle.dumps(file))
    assert fresh.url == used.url == file.url


def test_a_broken_backend_setting_names_itself(site: Site) -> None:
    """A spec's own backend is taken before the kit's."""

    class Counted(Simple):
        calls = 0

        def generate(self, file: Any, force: bool = False) -> None:
            Counted.calls += 1
            super().generate(file, force)

    class OwnBackend(Card):
        cachefile_backend = Counted
        cachefile_strategy = JustInTime()

    file = site.kit.cachefile_of(OwnBackend(source=photo_bytes()))
    assert file.url
    assert Counted.calls == 1


def test_an_unwritable_location(site: Site, tmp_path: Path) -> None:
    """A folder that cannot be is an error that says what to do; it is not remembered, so that mending helps at once."""
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    kit = site.new_kit(location=blocked)
    with pytest.raises(StorageError, match=r"there is a folder where a file should be, or vice versa") as caught:
        _ = kit.cachefile("card", source="photos/canal.jpg").url
    assert isinstance(caught.value, OSError)
    assert caught.value.generator_id == "card"
    blocked.unlink()
    assert kit.cachefile("card", source="photos/canal.jpg").url


def test_no_permission_to_write(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the folder and the setting."""

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(os, "mkdir", refuse)
        with pytest.raises(StorageError, match=r"is not writable: check its permissions, or set location to a folder"):
            _ = card(site).url
    assert card(site).url


def test_a_state_folder_that_cannot_be(site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Pages render without state, one warning says so, and what was made is found again."""
    blocked = tmp_path / "no-folder"
    blocked.write_text("")
    with caplog.at_level(logging.WARNING, "jinja_imagekit"):
        for _ in range(2):
            kit = site.new_kit(state_dir=blocked)
            for _ in range(3):
                file = kit.cachefile("card", source="photos/canal.jpg")
                assert (file.url, file.width) == (file.url, 24)
            assert len(site.files()) == 1
            messages = [record.message for record in caplog.records if "The state store" in record.message]
            assert len(messages) == 1
            assert "state_dir" in messages[0]
            caplog.clear()


def test_a_file_is_believed_while_the_state_cannot_be_read(site: Site, tmp_path: Path) -> None:
    """When nothing can be known of files, a whole image under the right name is taken, and not made for each page."""
    made = card(site)
    inode = Path(made.path).stat().st_ino
    blocked = tmp_path / "no-folder"
    blocked.write_text("")
    kit = site.new_kit(state_dir=blocked)
    file = kit.cachefile("card", source="photos/canal.jpg")
    assert (file.url, file.width) == (made.url, 24)
    assert Path(file.path).stat().st_ino == inode


def test_a_vanished_state_folder_under_way(site: Site) -> None:
    """A state folder that is deleted while the site runs is rebuilt, and no page notices."""
    import shutil

    assert card(site).url
    shutil.rmtree(site.state)
    assert card(site).width == 24
    assert site.kit.cachefile("imagekit:thumbnail", source="photos/canal.jpg", width=5).width == 5
    kit = site.new_kit()
    assert {record.generator for record in kit.records.all()} == {"imagekit:thumbnail"}
    assert kit.cachefile("card", source="photos/canal.jpg").width == 24


def test_a_storage_that_says_nothing_of_paths(site: Site) -> None:
    """Where files have no path on this machine, `path` says to use something else, and a record is the truth."""

    class Remote:
        is_local = False

        def __init__(self) -> None:
            self.kept: dict[str, bytes] = {}
            self.stats = 0

        def save(self, name: str, content: bytes) -> None:
            self.kept[name] = content

        def open(self, name: str) -> Any:
            return io.BytesIO(self.kept[name])

        def stat(self, name: str) -> Any:
            self.stats += 1

        def path(self, name: str) -> None:
            return None

        def url(self, name: str) -> str:
            return f"https://cdn.example/{name}"

    remote = Remote()
    kit = site.new_kit(default_file_storage=remote)
    file = kit.cachefile("card", source="photos/canal.jpg")
    assert file.url.startswith("https://cdn.example/CACHE/images/photos/canal/")
    assert (file.width, file.read()) == (24, remote.kept[str(file.name)])
    # Whether there is one already, before the lock is taken and after; never again once it is recorded.
    assert remote.stats == 2
    assert kit.cachefile("card", source="photos/canal.jpg").url == file.url
    assert remote.stats == 2
    with pytest.raises(ImageKitError, match=r"use url or open\(\)"):
        _ = file.path


def test_no_reading_of_the_source_for_a_file_that_is_known(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new process that knows the source's version neither opens it nor decodes it."""
    assert card(site).url
    site.kit.close()
    kit = site.new_kit()
    monkeypatch.setattr(FileSource, "open", lambda self: pytest.fail("the source was opened"))
    file = kit.cachefile("card", source="photos/canal.jpg")
    assert (file.url, file.width, file.size > 0, file.mimetype) == (card(site).url, 24, True, "image/jpeg")


def test_several_generators_of_one_source(site: Site) -> None:
    """Each has a file of its own beside the others."""
    site.kit.register.generator("wide", Wide)
    files = [card(site), site.kit.cachefile("wide", source="photos/canal.jpg")]
    assert [(file.width, file.height) for file in files] == [(24, 16), (20, 15)]
    assert {Path(str(file.name)).parent.as_posix() for file in files} == {"CACHE/images/photos/canal"}
