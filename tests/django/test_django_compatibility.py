"""`IMAGEKIT_COMPATIBILITY = "6.1"`: names and pixels are django-imagekit's, which runs beside it here."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings

import drawing

SCRIPT = Path(__file__).with_name("side_by_side.py")

needs_peer = pytest.mark.skipif(
    importlib.util.find_spec("imagekit") is None, reason="django-imagekit is not installed: pip install django-imagekit"
)


def draw_sources(folder: Path) -> None:
    folder.mkdir()
    photo = drawing.photo(120, 80, 1)
    for name, content in {
        "canal.jpeg": drawing.jpeg(240, 160, 1),
        "été.v2.JPG": drawing.jpeg(160, 240, 2),
        "alpha.png": drawing.alpha_png(photo),
        "grey_alpha.png": drawing.grey_alpha_png(photo),
        "palette.png": drawing.palette_png(photo),
        "turned.jpg": drawing.oriented(photo, 6),
        "wide.jpg": drawing.wide_gamut(photo),
        "cmyk.jpg": drawing.cmyk_jpeg(photo),
        "sixteen.png": drawing.sixteen_bit_png(photo),
        "transparent.gif": drawing.transparent_gif(photo),
        "moving.gif": drawing.animated("GIF", drawing.frames(60, 40, 3), [100] * 3),
    }.items():
        (folder / name).write_bytes(content)


def found_by(package: str, folder: Path) -> dict[str, str]:
    result = subprocess.run(
        [sys.executable, str(SCRIPT), package, str(folder)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    found: dict[str, str] = json.loads(result.stdout)
    return found


@needs_peer
def test_names_and_bytes_are_those_of_django_imagekit(tmp_path: Path) -> None:
    """The same specs over the same sources have the same names by each namer, and the same bytes."""
    draw_sources(tmp_path / "sources")
    theirs = found_by("imagekit", tmp_path / "sources")
    ours = found_by("jinja_imagekit.django", tmp_path / "sources")
    different = {key: (value, ours.get(key)) for key, value in theirs.items() if ours.get(key) != value}
    assert different == {}
    assert len([key for key in theirs if key.endswith("pixels")]) > 250
    assert len(theirs) > 3000


def test_files_of_django_imagekit_are_taken_over(make_photo: Any) -> None:
    """A file that stands under its old name is not made again, and its size is known."""
    with override_settings(IMAGEKIT_COMPATIBILITY="6.1"):
        photo = make_photo()
        storage = photo.thumbnail.storage
        path = Path(storage.path(photo.thumbnail.name))
        path.parent.mkdir(parents=True)
        path.write_bytes(drawing.jpeg(50, 40, 7))
        before = path.stat()
        assert photo.thumbnail.url.endswith(path.name)
        assert (photo.thumbnail.width, photo.thumbnail.height) == (50, 40)
        assert path.stat().st_mtime_ns == before.st_mtime_ns


def test_names_do_not_follow_the_content(make_photo: Any, media: Path) -> None:
    """As in django-imagekit, a file that is replaced under its name keeps its thumbnail; by default it does not."""
    photo = make_photo()
    new, old = [], []
    for names, version in ((new, None), (old, "6.1")):
        with override_settings(IMAGEKIT_COMPATIBILITY=version):
            for seed in (1, 2):
                (media / photo.image.name).write_bytes(drawing.jpeg(320, 240, seed))
                names.append(photo.thumbnail.name)
    assert new[0] != new[1]
    assert old[0] == old[1]


def test_tags_have_the_old_names(make_photo: Any, render: Any) -> None:
    """Tags give the URLs of django-imagekit, the first time and when they are known."""
    photo = make_photo()
    tag = "{% thumbnail '40x30' photo.image as th %}{{ th.url }} {{ th.name }} {% thumbnail '40x30' photo.image %}"
    with override_settings(IMAGEKIT_COMPATIBILITY="6.1"):
        pages = {render(tag, photo=photo) for _ in range(3)}
    assert len(pages) == 1
    assert render(tag, photo=photo) not in pages


def test_pixels_are_upright_by_default_and_stored_ones_in_compatibility(make_photo: Any) -> None:
    """A photo with an EXIF orientation is shown upright, unless the old pixels are asked for."""
    photo = make_photo(content=drawing.oriented(drawing.photo(80, 40), 6))
    thumbnail = "imagekit:thumbnail"
    from jinja_imagekit.django.cachefiles import LazyImageCacheFile

    upright = LazyImageCacheFile(thumbnail, source=photo.image, width=20)
    assert (upright.width, upright.height) == (20, 10)
    with override_settings(IMAGEKIT_COMPATIBILITY="6.1"):
        stored = LazyImageCacheFile(thumbnail, source=photo.image, width=20)
        assert (stored.width, stored.height) == (20, 40)
