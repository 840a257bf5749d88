"""What an editor wrote names images by `STATIC_URL` and `MEDIA_URL`; the transform and the tags find those sources."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.staticfiles.storage import StaticFilesStorage
from django.test import override_settings
from django.urls import set_script_prefix

import drawing
from jinja_imagekit.django import get_kit


def draw(path: Path, seed: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(drawing.jpeg(60, 40, seed))
    return path


def transformed(url: str) -> str:
    """Return what the transform makes of an image's URL; the URL itself where it is no source."""
    html = get_kit().transform(f'<img src="{url}" alt="">', rules={"*": {"formats": ("PNG",), "widths": (20,)}})
    found = re.search(r' src="([^"]+)"', html)
    assert found, html
    return found[1]


@pytest.fixture
def static(tmp_path: Path) -> Iterator[Path]:
    """Return a folder with static files of its own and, below a prefix, of others; and one where all are collected."""
    folders = [str(tmp_path / "assets"), ("theme", str(tmp_path / "theme"))]
    draw(tmp_path / "assets/photos/canal.jpg")
    draw(tmp_path / "theme/hat.jpg", 2)
    draw(tmp_path / "collected/photos/canal.0a1b2c.jpg", 3)
    with override_settings(
        INSTALLED_APPS=[*settings.INSTALLED_APPS, "django.contrib.staticfiles"],
        STATICFILES_DIRS=folders,
        STATIC_ROOT=str(tmp_path / "collected"),
    ):
        yield tmp_path


@pytest.mark.parametrize("root", ["/static/", "https://cdn.example/assets/"])
def test_static_files_by_their_urls(static: Path, root: str) -> None:
    """Of a folder, of one with a prefix, and what was collected under a name with a digest, also on another host."""
    with override_settings(STATIC_URL=root):
        storage = StaticFilesStorage()
        assert "/CACHE/images/static/photos/canal/" in transformed(storage.url("photos/canal.jpg"))
        assert "/CACHE/images/static/theme/hat/" in transformed(storage.url("theme/hat.jpg"))
        assert "/CACHE/images/static/photos/canal.0a1b2c/" in transformed(storage.url("photos/canal.0a1b2c.jpg"))
        for url in (f"{root}hat.jpg", f"{root}../theme/hat.jpg", f"{root}theme/", "https://other.example/hat.jpg"):
            assert transformed(url) == url


def test_static_files_by_their_names(static: Path, render: Callable[..., str]) -> None:
    """A template names them as `{% static %}` does, after `static/`."""
    assert "/media/CACHE/images/static/photos/canal/" in render("{% thumbnail '30x' 'static/photos/canal.jpg' %}")


def test_below_a_script_prefix(static: Path) -> None:
    """With URLs that Django writes below where the project is mounted."""
    with override_settings(STATIC_URL="static/", MEDIA_URL="media/", IMAGEKIT_SOURCE_DIRS=[settings.MEDIA_ROOT]):
        set_script_prefix("/shop/")
        try:
            draw(Path(settings.MEDIA_ROOT) / "photos/dunes.jpg", 4)
            canal, dunes = transformed("/shop/static/photos/canal.jpg"), transformed("/shop/media/photos/dunes.jpg")
            assert canal.startswith("/shop/media/CACHE/images/static/photos/canal/")
            assert dunes.startswith("/shop/media/CACHE/images/photos/dunes/")
        finally:
            set_script_prefix("/")


def test_uploads_only_where_they_are_sources(media: Path, make_photo: Any) -> None:
    """Some may be shown to a few only, which a project knows and nobody else."""
    url = make_photo().image.url
    assert transformed(url) == url
    with override_settings(IMAGEKIT_SOURCE_DIRS=[str(media)]):
        made = transformed(url)
        assert made.startswith("/media/CACHE/images/")
        assert transformed(made) == made


def test_without_static_files(tmp_path: Path) -> None:
    """A project without `django.contrib.staticfiles` has no such sources."""
    draw(tmp_path / "collected/a.jpg")
    with override_settings(STATIC_ROOT=str(tmp_path / "collected")):
        assert transformed("/static/a.jpg") == "/static/a.jpg"
