"""Thumbnails that go: one by one, with their original, and by the command."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from album.models import Photo
from album.parts import PathlessStorage
from django.core.cache import caches
from django.core.management import CommandError, call_command
from django.dispatch import Signal
from django.template import Context, Template
from django.test import TestCase, override_settings

import drawing
from jinja_imagekit.django._engine import originals
from jinja_imagekit.django._engine.current import current


def made(media: Path) -> set[str]:
    return {str(path.relative_to(media)) for path in (media / "CACHE").rglob("*.*")} if media.exists() else set()


@pytest.fixture
def on_disk(tmp_path: Path) -> Iterator[None]:
    """Keep the state on disk, as is the default."""
    with override_settings(IMAGEKIT_CACHE_BACKEND=None, BASE_DIR=tmp_path):
        yield


def render(photo: Any) -> str:
    return Template("{% load imagekit %}{% thumbnail '9x9' photo.image %}").render(Context({"photo": photo}))


def test_a_thumbnail_is_deleted_and_made_again(make_photo: Any, media: Path) -> None:
    """Its file goes, and what is known of it; a template cannot have it deleted."""
    photo = make_photo()
    url = photo.thumbnail.url
    assert len(made(media)) == 1
    assert Template("{{ photo.thumbnail.delete }}").render(Context({"photo": photo})) == ""
    assert len(made(media)) == 1
    photo.thumbnail.delete()
    assert made(media) == set()
    photo.thumbnail.delete()
    assert photo.thumbnail.url == url
    assert len(made(media)) == 1


@pytest.mark.parametrize("store", ["disk", "cache"])
def test_thumbnails_go_with_their_row(store: str, make_photo: Any, media: Path, request: Any) -> None:
    """When a row is deleted and the setting says so, its thumbnails go after the commit, those of tags too."""
    if store == "disk":
        request.getfixturevalue("on_disk")
    photo, other = make_photo(), make_photo("other.jpg")
    assert photo.thumbnail.url
    assert photo.named.url
    assert render(photo)
    assert other.thumbnail.url
    kept = other.thumbnail.name
    assert len(made(media)) == 4
    with TestCase.captureOnCommitCallbacks(execute=True):
        photo.delete()
    assert len(made(media)) == 4
    photo = Photo.objects.create(image=photo.image.name)
    with override_settings(IMAGEKIT_DELETE_WITH_SOURCE=True):
        with TestCase.captureOnCommitCallbacks(execute=True):
            photo.delete()
            assert len(made(media)) == 4
        assert made(media) == {kept}


def test_rows_that_share_a_file_keep_its_thumbnails(make_photo: Any, media: Path) -> None:
    """They go with the last one."""
    photo = make_photo()
    twin = Photo.objects.create(image=photo.image.name)
    assert photo.thumbnail.url
    with override_settings(IMAGEKIT_DELETE_WITH_SOURCE=True):
        with TestCase.captureOnCommitCallbacks(execute=True):
            photo.delete()
        assert len(made(media)) == 1
        with TestCase.captureOnCommitCallbacks(execute=True):
            twin.delete()
        assert made(media) == set()


def test_thumbnails_go_with_a_file_that_django_cleanup_deletes(
    make_photo: Any, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That app tells of a file before it deletes it, with an instance of its own making."""
    signals = ModuleType("django_cleanup.signals")
    signals.cleanup_pre_delete = Signal()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "django_cleanup", ModuleType("django_cleanup"))
    monkeypatch.setitem(sys.modules, "django_cleanup.signals", signals)
    monkeypatch.setattr("django.apps.apps.is_installed", lambda name: name == "django_cleanup")
    originals.watch()
    photo = make_photo()
    assert photo.thumbnail.url
    file = photo.image
    file.instance = object()
    for wanted in (False, True):
        with override_settings(IMAGEKIT_DELETE_WITH_SOURCE=wanted):
            signals.cleanup_pre_delete.send(sender=None, file=file)  # type: ignore[attr-defined]
            assert bool(made(media)) is not wanted


def prune(*arguments: str, **options: Any) -> str:
    output = StringIO()
    call_command("pruneimages", *arguments, stdout=output, **options)
    return output.getvalue()


@pytest.mark.parametrize("store", ["disk", "cache"])
def test_the_command_deletes_what_no_row_needs(store: str, make_photo: Any, media: Path, request: Any) -> None:
    """Images of deleted and of replaced originals go; those of rows stay, and what tags made of what is there."""
    if store == "disk":
        request.getfixturevalue("on_disk")
    gone, replaced, kept = (make_photo(f"{name}.jpg") for name in ("gone", "replaced", "kept"))
    for photo in (gone, replaced, kept):
        assert photo.thumbnail.url
        assert render(photo)
    stays = made(media)
    assert len(stays) == 6
    old = replaced.thumbnail.name
    stays -= {gone.thumbnail.name, old} | {name for name in stays if "/gone/" in name}
    gone.delete()
    (media / replaced.image.name).write_bytes(drawing.jpeg(320, 240, 7))
    assert "3 would be deleted" in prune("--dry-run")
    assert len(made(media)) == 6
    assert old in prune(verbosity=2)
    assert made(media) == stays
    assert prune().startswith("0 deleted (0.0 MB), 3 kept")


def test_command_goes_by_the_folders_of_images_that_the_cache_forgot(make_photo: Any, media: Path) -> None:
    """Of an image that nothing is known about, the folder tells whether its original is gone."""
    gone, kept = make_photo("gone.jpg"), make_photo("kept.jpg")
    for photo in (gone, kept):
        assert photo.thumbnail.url
        assert render(photo)
    (media / "CACHE/images/by-hand.png").write_bytes(b"")
    stays = {name for name in made(media) if "/gone/" not in name}
    gone.delete()
    caches["default"].clear()
    current.forget_if_changed(setting="MEDIA_ROOT")
    with override_settings(IMAGEKIT_SPEC_CACHEFILE_NAMER="jinja_imagekit.django.cachefiles.namers.hash"):
        assert prune().startswith("0 deleted")
    assert prune().startswith("2 deleted")
    assert made(media) == stays


def test_the_command_says_where_nothing_can_be_listed(
    make_photo: Any, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither one of Django's caches nor every storage tells what it holds."""

    def refuse(*_: Any) -> Any:
        raise NotImplementedError("subclasses of Storage must provide a listdir() method")

    storage = PathlessStorage()
    monkeypatch.setattr(storage, "listdir", refuse)
    with override_settings(IMAGEKIT_DEFAULT_FILE_STORAGE=storage):
        photo = make_photo()
        assert photo.thumbnail.url
        with pytest.raises(CommandError, match="IMAGEKIT_STATE_STORE"):
            prune()
        assert storage.exists(photo.thumbnail.name)
