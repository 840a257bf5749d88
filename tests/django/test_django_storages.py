"""Django's storages under cache files: any kind of them, none of which gets to serve an old file."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from album.models import Card, Photo
from album.parts import BucketStorage, PathlessStorage, RenamingStorage, StubbornStorage
from contracts.storage import StorageContract
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, default_storage, storages
from django.forms import modelform_factory
from django.test import override_settings

import drawing
from jinja_imagekit.django._engine.current import current
from jinja_imagekit.django._engine.storages import DjangoStorage, engine_storage
from jinja_imagekit.django.cachefiles import ImageCacheFile
from jinja_imagekit.django.utils import get_storage
from jinja_imagekit.exceptions import InvalidOption, StorageError
from jinja_imagekit.interfaces import Storage
from jinja_imagekit.storages.folder import FileSystemStorage as EngineFileSystemStorage


class TestFileSystem(StorageContract):
    """Django's file system storage keeps the contract."""

    @pytest.fixture
    def storage(self, tmp_path: Path) -> Storage:
        """A storage in a folder that is not there yet."""
        return engine_storage(FileSystemStorage(tmp_path / "out", "/media/"))


class TestDefault(StorageContract):
    """So does the default one, which is lazy."""

    @pytest.fixture
    def storage(self, media: Path) -> Storage:
        """The default storage."""
        return engine_storage(default_storage)


class WholeFileContract(StorageContract):
    """The contract but for two parts: such storages write their URLs, and cannot replace a file under its readers."""

    def test_url_is_percent_encoded(self, storage: Storage) -> None:
        """The URL is what the Django storage says."""
        assert storage.url("a b.jpg") == "/media/a%20b.jpg"

    def test_readers_see_whole_files_while_threads_write(self, storage: Storage) -> None:
        """A file that was replaced is the last one written."""
        for number in range(5):
            storage.save("a.jpg", b"x" * number)
        with storage.open("a.jpg") as file:
            assert file.read() == b"xxxx"


class TestRenaming(WholeFileContract):
    """A storage that renames every file keeps it."""

    @pytest.fixture
    def storage(self, tmp_path: Path) -> Storage:
        """A storage that renames, with a method of its own to open files, so that it is not replaced."""
        kind = type("Opening", (RenamingStorage,), {"_open": lambda self, *args: FileSystemStorage._open(self, *args)})
        return engine_storage(kind(tmp_path / "out", "/media/"))


class TestPathless(WholeFileContract):
    """A storage without paths keeps it."""

    @pytest.fixture
    def storage(self) -> Storage:
        """A storage in memory."""
        return engine_storage(PathlessStorage(base_url="/media/"))


def test_plain_storages_are_replaced_by_the_engines(tmp_path: Path) -> None:
    """Where nothing but a folder is meant, files are replaced atomically; permissions are kept."""
    plain = engine_storage(FileSystemStorage(tmp_path, "/m/", 0o600, 0o700))
    assert type(plain) is EngineFileSystemStorage
    assert (plain.location, plain.base_url) == (tmp_path, "/m/")
    assert (plain.file_permissions, plain.directory_permissions) == (0o600, 0o700)
    assert type(engine_storage(type("Signed", (FileSystemStorage,), {"url": str})(tmp_path))) is DjangoStorage


@pytest.mark.parametrize("kind", [RenamingStorage, PathlessStorage, FileSystemStorage])
def test_forced_generation_overwrites(kind: Any, jpeg: bytes, tmp_path: Path) -> None:
    """What `generate(force=True)` makes is served under the same name, and no second file appears."""
    storage = kind(location=str(tmp_path)) if kind is not PathlessStorage else kind(base_url="/m/")
    file = ImageCacheFile(Card(source=ContentFile(jpeg, "a.jpg")), name="CACHE/a.jpg", storage=storage)
    file.generate()
    storage.delete("CACHE/a.jpg")
    storage.save("CACHE/a.jpg", ContentFile(b"old")) if kind is not RenamingStorage else None
    file.generate(force=True)
    with file.open() as opened:
        assert opened.read(3) == b"\xff\xd8\xff"
    assert file.name == "CACHE/a.jpg"
    assert storage.listdir("CACHE") == ([], ["a.jpg"])


def test_storage_that_cannot_keep_a_name_is_an_error(jpeg: bytes) -> None:
    """A storage that saves everything elsewhere is told of, rather than a URL handed out that leads nowhere."""
    file = ImageCacheFile(Card(source=ContentFile(jpeg, "a.jpg")), storage=StubbornStorage(base_url="/m/"))
    with pytest.raises(StorageError, match="StubbornStorage saves it as"):
        _ = file.url


def test_storage_without_paths(jpeg: bytes) -> None:
    """URL, size and content work without a path; the path says that there is none."""
    file = ImageCacheFile(Card(source=ContentFile(jpeg, "a.jpg")), storage=PathlessStorage(base_url="/m/"))
    assert file.url.startswith("/m/CACHE/images/a/")
    assert (file.width, file.height) == (100, 60)
    with file.open() as opened:
        assert len(opened.read()) == file.size
    with pytest.raises(InvalidOption, match="keeps no files on this machine"):
        _ = file.path


def test_sources_in_a_storage_without_paths_are_read_once(make_photo: Any, monkeypatch: Any) -> None:
    """A field in such a storage is a source; once its digest is known, it is not read again."""
    storage = PathlessStorage(base_url="/m/")
    from album.models import Photo

    field = Photo._meta.get_field("image")
    monkeypatch.setattr(field, "storage", storage)
    photo = make_photo()
    url = photo.thumbnail.url

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("opened")

    with monkeypatch.context() as patch:
        patch.setattr(storage, "open", refuse)
        assert Photo.objects.get().thumbnail.url == url


@pytest.fixture(params=["tag", "time", "size"])
def bucket(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> BucketStorage:
    """Have photos in a storage that saves under the old name, and return it."""
    storage = BucketStorage(request.param)
    monkeypatch.setattr(Photo._meta.get_field("image"), "storage", storage)
    return storage


@pytest.mark.parametrize("way", ["save", "save and save", "assignment", "form"])
def test_file_saved_under_its_old_name_is_another(
    way: str, bucket: BucketStorage, make_photo: Any, jpeg: bytes
) -> None:
    """Whatever way a new file gets in, the thumbnail is made of it, here and elsewhere."""
    photo = make_photo()
    before = photo.thumbnail.url
    content = ContentFile(drawing.jpeg(320, 240, 5), "canal.jpg")
    if way == "save":
        photo.image.save("canal.jpg", content)
    elif way == "save and save":
        photo.image.save("canal.jpg", content, save=False)
        photo.save(update_fields=["image"])
    elif way == "assignment":
        photo.image = content
        photo.save()
    else:
        content.seek(0)
        form = modelform_factory(Photo, fields=["image"])({}, {"image": content}, instance=photo)
        form.save()
    assert photo.image.name == "photos/canal.jpg"
    assert photo.thumbnail.url != before
    assert Photo.objects.get().thumbnail.url == photo.thumbnail.url
    assert photo.thumbnail.width == 50


def test_file_saved_by_nobody_here_is_noticed_in_time(
    bucket: BucketStorage, make_photo: Any, jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that another program replaced is noticed after the timeout, and nothing is asked before."""
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now)
    photo = make_photo()
    before = photo.thumbnail.url
    bucket.save("photos/canal.jpg", ContentFile(drawing.jpeg(330, 240, 5)))
    bucket.asked.clear()
    assert Photo.objects.get().thumbnail.url == before
    assert bucket.asked == []
    now += 3600
    assert Photo.objects.get().thumbnail.url != before


def test_unchanged_file_is_asked_for_and_not_read(
    bucket: BucketStorage, make_photo: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the timeout, and after a save of the model, the storage is asked once, and the file is not read."""
    if bucket.kind == "size":
        pytest.skip("a size alone does not tell that a file is the same")
    now = time.time() + 60
    monkeypatch.setattr("time.time", lambda: now)
    photo = make_photo()
    before = photo.thumbnail.url
    bucket.read.clear()
    now += 3600
    for _ in range(2):
        bucket.asked.clear()
        assert Photo.objects.get().thumbnail.url == before
        assert len(bucket.asked) == 1
        assert Photo.objects.get().thumbnail.url == before
        assert len(bucket.asked) == 1
        Photo.objects.get().save()
    assert bucket.read == []


def test_storage_that_is_away_costs_no_known_thumbnail(
    bucket: BucketStorage, make_photo: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A storage that cannot be asked is told of, and what is known still holds."""
    photo = make_photo()
    before = photo.thumbnail.url
    now = time.time() + 3600

    def fail(*_: Any, **__: Any) -> Any:
        raise ConnectionError("the storage is away")

    monkeypatch.setattr("time.time", lambda: now)
    for name in ("open", "get_modified_time", "size"):
        monkeypatch.setattr(bucket, name, fail)
    assert Photo.objects.get().thumbnail.url == before
    assert "the storage is away" in caplog.text


def test_file_saved_under_its_old_name_is_a_saved_source(bucket: BucketStorage, make_photo: Any, jpeg: bytes) -> None:
    """Strategies hear of a file that was saved under its old name, and of none that was not."""
    with override_settings(IMAGEKIT_DEFAULT_CACHEFILE_STRATEGY="imagekit.cachefiles.strategies.Optimistic"):
        photo = make_photo()
        made = {*bucket_names(default_storage)}
        photo.refresh_from_db()
        photo.save()
        if bucket.kind == "tag":
            assert {*bucket_names(default_storage)} == made
        photo.image.save("canal.jpg", ContentFile(drawing.jpeg(320, 240, 5)))
        assert len({*bucket_names(default_storage)} - made) == len(made) > 0


def bucket_names(storage: Any) -> list[str]:
    return list(engine_storage(storage).names("CACHE"))


def test_storages_by_alias_and_path(media: Path) -> None:
    """The setting names an alias of `STORAGES` or a dotted path; whatever else is an error."""
    aliases = {"default": {"BACKEND": "django.core.files.storage.FileSystemStorage"}}
    aliases["own"] = {"BACKEND": "album.parts.RenamingStorage", "OPTIONS": {"location": str(media / "own")}}
    assert get_storage() is storages["default"]
    with override_settings(STORAGES=aliases, IMAGEKIT_DEFAULT_FILE_STORAGE="own"):
        assert isinstance(get_storage(), RenamingStorage)
    with override_settings(IMAGEKIT_DEFAULT_FILE_STORAGE="album.parts.PathlessStorage"):
        assert isinstance(get_storage(), PathlessStorage)
        assert get_storage() is get_storage()
    with override_settings(IMAGEKIT_DEFAULT_FILE_STORAGE="album.parts.Missing"), pytest.raises(ImproperlyConfigured):
        get_storage()


def test_storage_of_a_spec(jpeg: bytes, tmp_path: Path) -> None:
    """A spec may have a storage of its own, by object or alias."""
    storage = FileSystemStorage(tmp_path / "own", "/own/")
    spec = type("Own", (Card,), {"cachefile_storage": storage})(source=ContentFile(jpeg, "a.jpg"))
    assert ImageCacheFile(spec).url.startswith("/own/CACHE")
    assert (tmp_path / "own" / ImageCacheFile(spec).name).exists()


@pytest.fixture
def kept_on_disk(bucket: BucketStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BucketStorage]:
    """Have photos and cache files in a bucket and the state where a project without a suitable cache has it."""
    monkeypatch.delattr("django.core.mail.outbox")
    state = str(tmp_path / "state")
    with override_settings(IMAGEKIT_CACHE_BACKEND=None, IMAGEKIT_STATE_DIR=state, IMAGEKIT_DEFAULT_FILE_STORAGE=bucket):
        yield bucket


def test_new_process_asks_a_bucket_nothing_that_is_known(
    kept_on_disk: BucketStorage, make_photo: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With Django's default cache, what is known about a bucket's files is on disk, and outlives the process."""
    photo = make_photo()
    url, width = photo.thumbnail.url, photo.thumbnail.width
    # What a process remembers goes with its kit.
    current.forget_if_changed(setting="MEDIA_ROOT")
    for name in ("open", "exists", "size", "get_modified_time"):
        monkeypatch.setattr(kept_on_disk, name, lambda *_: pytest.fail("the bucket is asked"))
    again = Photo.objects.get()
    assert (again.thumbnail.url, again.thumbnail.width) == (url, width)


def test_file_that_another_machine_deleted_is_made_again_in_time(
    kept_on_disk: BucketStorage, make_photo: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a day, a URL whose file has gone leads to a file again."""
    photo = make_photo()
    url, name = photo.thumbnail.url, photo.thumbnail.name
    kept_on_disk.delete(name)
    current.forget_if_changed(setting="MEDIA_ROOT")
    assert Photo.objects.get().thumbnail.url == url
    assert not kept_on_disk.exists(name)
    now = time.time() + 86_401
    monkeypatch.setattr("time.time", lambda: now)
    current.forget_if_changed(setting="MEDIA_ROOT")
    assert Photo.objects.get().thumbnail.url == url
    assert kept_on_disk.exists(name)
