"""The settings `IMAGEKIT_…`: defaults, when they are read, and what the check says of them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from album.models import Photo
from django.conf import settings
from django.core.cache import caches
from django.core.checks import run_checks
from django.test import override_settings

from jinja_imagekit.django import conf, get_kit
from jinja_imagekit.django._engine.caches import CacheStore, state_key
from jinja_imagekit.exceptions import InvalidSetting
from jinja_imagekit.settings import Settings


def messages() -> list[str]:
    # The cache of the tests is in memory, which W003 says.
    return [
        f"{message.id} {message.msg} {message.hint or ''}"
        for message in run_checks()
        if "imagekit" in message.id and message.id != "imagekit.W003"
    ]


def test_defaults_stand_in_djangos_settings() -> None:
    """A project may read each setting, whether it sets it or not."""
    assert settings.IMAGEKIT_CACHEFILE_DIR == "CACHE/images"
    assert settings.IMAGEKIT_CACHE_PREFIX == "imagekit:"
    assert settings.IMAGEKIT_SPEC_CACHEFILE_NAMER == "jinja_imagekit.django.cachefiles.namers.source_name_as_path"
    assert settings.IMAGEKIT_USE_MEMCACHED_SAFE_CACHE_KEY is True
    assert all(hasattr(settings, f"IMAGEKIT_{name}") for name in conf.DEFAULTS)


@pytest.mark.parametrize(
    ("namer", "pattern"),
    [
        ("hash", "CACHE/images/{hash}.jpg"),
        ("source_name_as_path", "CACHE/images/photos/canal/{hash}.jpg"),
        ("source_name_dot_hash", "CACHE/images/photos/canal.{hash:.16}.jpg"),
    ],
)
def test_namers(namer: str, pattern: str, make_photo: Any) -> None:
    """The setting names the namer, which includes the folder of cache files in what it returns."""
    photo = make_photo()
    with override_settings(IMAGEKIT_SPEC_CACHEFILE_NAMER=f"jinja_imagekit.django.cachefiles.namers.{namer}"):
        file = photo.thumbnail
        assert file.name == pattern.format(hash=file.generator.get_hash())
        assert file.url.endswith(file.name)


def test_namer_of_a_projects_own(make_photo: Any) -> None:
    """A namer may be any callable, and the whole name is its own."""
    with override_settings(IMAGEKIT_SPEC_CACHEFILE_NAMER=lambda spec: f"own/{spec.source.instance.pk}.jpg"):
        photo = make_photo()
        assert photo.thumbnail.url == f"/media/own/{photo.pk}.jpg"


def test_settings_of_the_engine_have_the_prefix(make_photo: Any) -> None:
    """Whatever a kit can be told is a setting with the prefix."""
    photo = make_photo()
    with override_settings(IMAGEKIT_MAX_SOURCE_PIXELS=100), pytest.raises(ValueError, match="max_source_pixels"):
        _ = photo.thumbnail.url
    with override_settings(IMAGEKIT_BACKGROUND="black"):
        assert get_kit().settings.background == "black"


def test_unknown_settings_are_said_by_the_check() -> None:
    """A mistyped name is a warning with the nearest one; an unusable value is an error."""
    assert messages() == []
    with override_settings(IMAGEKIT_CACHE_FILE_DIR="x"):
        assert "There is no setting IMAGEKIT_CACHE_FILE_DIR. Did you mean 'IMAGEKIT_CACHEFILE_DIR'?" in messages()[0]
    with override_settings(IMAGEKIT_DEFAULT_IMAGE_CACHE_BACKEND="x"):
        assert "It is called IMAGEKIT_DEFAULT_CACHEFILE_BACKEND." in messages()[0]
    for name, value in (
        ("CACHEFILE_DIR", "/etc"),
        ("COMPATIBILITY", "5.0"),
        ("CACHE_BACKEND", "nowhere"),
        ("DEFAULT_FILE_STORAGE", "nowhere.Storage"),
        ("DEFAULT_CACHEFILE_BACKEND", "nowhere.Backend"),
        ("DEFAULT_CACHEFILE_STRATEGY", "nowhere.Strategy"),
    ):
        with override_settings(**{f"IMAGEKIT_{name}": value}):
            assert [message[:13] for message in messages()] == ["imagekit.E001"], name


def test_unknown_compatibility_is_an_error() -> None:
    """Only one version can be asked for."""
    with (
        override_settings(IMAGEKIT_COMPATIBILITY="6.0"),
        pytest.raises(InvalidSetting, match=r"must be '6\.1' or None"),
    ):
        conf.is_compatible()


def test_known_names_are_all_settings() -> None:
    """Each setting of a kit is one of Django's, but for those that Django's own parts decide."""
    known = set(conf.known_names())
    left_out = {name for name in Settings.names() if f"IMAGEKIT_{name.upper()}" not in known}
    assert left_out == {"location", "base_url", "file_permissions", "directory_permissions"}


def test_state_may_be_kept_on_disk(make_photo: Any, tmp_path: Path) -> None:
    """Where there is no cache that processes share, the state store on disk may take its place."""
    store = "jinja_imagekit.state.DiskStore.from_settings"
    with override_settings(IMAGEKIT_STATE_STORE=store, IMAGEKIT_STATE_DIR=str(tmp_path / "state")):
        photo = make_photo()
        assert photo.thumbnail.url
        assert get_kit().records.get(photo.thumbnail.name).width == 50
        assert (tmp_path / "state" / "state").is_dir()
        get_kit().close()


LOCMEM = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
FILES = {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": "cache"}
ROOMY = {**FILES, "OPTIONS": {"MAX_ENTRIES": 100_000}}


@pytest.mark.parametrize("cache", [LOCMEM, FILES])
def test_state_is_kept_on_disk_where_the_default_cache_is_not_fit_for_it(
    cache: dict[str, Any], make_photo: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a default cache that is small or each process's own, another process knows all without a look at a file."""
    photo = make_photo()
    # A file that was written a moment ago may be written again under the same time.
    time.sleep(0.03)
    with override_settings(CACHES={"default": cache}, IMAGEKIT_CACHE_BACKEND=None, BASE_DIR=tmp_path):
        url, size = photo.thumbnail.url, (photo.thumbnail.width, photo.thumbnail.height)
        assert (tmp_path / ".imagekit" / "state").is_dir()
        assert not any("imagekit.W003" in message.id for message in run_checks() if message.id)
        # Another setting makes a new kit, which knows no more than another process would.
        with override_settings(IMAGEKIT_FSYNC=True):
            opened: list[str] = []
            monkeypatch.setattr("os.open", lambda path, *_, **__: opened.append(path))
            photo = Photo.objects.get()
            assert (photo.thumbnail.url, photo.thumbnail.width, photo.thumbnail.height) == (url, *size)
            assert opened == []


def test_state_is_kept_in_the_cache_that_is_fit_or_chosen(make_photo: Any, tmp_path: Path) -> None:
    """A default cache that holds enough keeps the state, and so does whatever cache the setting names."""
    photo = make_photo()
    for chosen in (
        {"CACHES": {"default": {**ROOMY, "LOCATION": str(tmp_path / "cache")}}, "IMAGEKIT_CACHE_BACKEND": None},
        {"CACHES": {"default": LOCMEM}, "IMAGEKIT_CACHE_BACKEND": "default"},
    ):
        with override_settings(BASE_DIR=tmp_path, **chosen):
            assert photo.thumbnail.url
            assert isinstance(get_kit().records.store, CacheStore)
            assert caches["default"].get(state_key(photo.thumbnail.name))
            ids = [message.id for message in run_checks()]
            assert ("imagekit.W003" in ids) is (chosen["IMAGEKIT_CACHE_BACKEND"] is not None)
    assert not (tmp_path / ".imagekit").exists()


def test_state_folder_where_the_project_cannot_be_written(
    make_photo: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lies among the machine's temporary files then, for this user alone; a stranger's folder is not taken."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    with override_settings(IMAGEKIT_CACHE_BACKEND=None, BASE_DIR=tmp_path / "missing"):
        assert make_photo().thumbnail.url
        (folder,) = (tmp_path / "temporary").iterdir()
        assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o777)
    with override_settings(IMAGEKIT_CACHE_BACKEND=None, BASE_DIR=None):
        assert isinstance(get_kit().records.store, CacheStore)


def test_state_of_files_elsewhere_stays_in_the_cache(tmp_path: Path) -> None:
    """A storage in memory is gone with its process, and so is what is known of it."""
    memory = {"default": {"BACKEND": "django.core.files.storage.InMemoryStorage"}}
    with override_settings(STORAGES=memory, IMAGEKIT_CACHE_BACKEND=None, BASE_DIR=tmp_path):
        assert isinstance(get_kit().records.store, CacheStore)
        assert "imagekit.W003" in [message.id for message in run_checks()]
