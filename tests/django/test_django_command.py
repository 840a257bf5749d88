"""`manage.py generateimages`: what it makes, says, and returns."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from album.models import Photo
from album.parts import QueueBackend
from django.core.management import CommandError, call_command
from django.test import override_settings

from jinja_imagekit.django import register, unregister
from jinja_imagekit.django.cachefiles import ImageCacheFile, LazyImageCacheFile
from jinja_imagekit.django.registry import cachefile_registry


def run(*arguments: str, **options: Any) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("generateimages", *arguments, stdout=out, stderr=err, no_color=True, **options)
    return out.getvalue(), err.getvalue()


def test_all_images_are_made_once(make_photo: Any, media: Path) -> None:
    """All spec fields of all photos are made, a second run finds them there, and tags find them known."""
    photos = [make_photo(f"{number}.jpg") for number in range(3)]
    Photo.objects.create()
    out, err = run()
    assert "9 generated, 0 there already, 0 failed" in out
    assert err == ""
    assert all((media / photo.thumbnail.name).exists() for photo in photos)
    assert "0 generated, 9 there already, 0 failed" in run()[0]
    assert "9 generated" in run(force=True)[0]


def test_patterns_choose_generators(make_photo: Any, media: Path) -> None:
    """A pattern stands for ids; one that matches nothing is an error that names the nearest."""
    photo = make_photo()
    assert "1 generated" in run("album:card")[0]
    assert not (media / photo.thumbnail.name).exists()
    assert "1 generated, 1 there already" in run("album:*:thumbnail", "album:c*")[0]
    assert "1 generated" in run("album:photo", workers=1)[0]
    with pytest.raises(CommandError, match=r"'album:photos'.*Did you mean"):
        run("album:photos")


def test_failures_are_named_and_the_rest_is_made(make_photo: Any, media: Path) -> None:
    """A broken original fails the run, which says what it was and makes the other images."""
    broken, good = make_photo("broken.jpg"), make_photo("good.jpg")
    (media / broken.image.name).write_bytes(b"no image")
    out, err = StringIO(), StringIO()
    with pytest.raises(CommandError, match="1 generated, 0 there already, 1 failed"):
        call_command("generateimages", "album:photo:thumbnail", stdout=out, stderr=err, no_color=True)
    assert "photos/broken.jpg" in err.getvalue()
    assert (media / good.thumbnail.name).exists()


def test_verbosity(make_photo: Any) -> None:
    """Nothing is said at verbosity 0, and what was there already at 2."""
    make_photo()
    assert run(verbosity=0) == ("", "")
    assert "skipped" in run(verbosity=2)[0]


def test_registered_cache_files_are_made(make_photo: Any, media: Path) -> None:
    """Registrations name files by keywords, as cache files, or as a callable of either."""
    photo = make_photo()
    square = LazyImageCacheFile("album:square", source=photo.image, width=7)

    def more() -> list[Any]:
        return [{"source": photo.image, "width": 9}, square]

    listed = [{"source": photo.image, "width": 8}]
    register.cachefiles("album:square", more)
    register.cachefiles("album:square", listed)
    try:
        assert "3 generated" in run("album:square")[0]
        assert (media / square.name).exists()
        assert sorted(file.width for file in cachefile_registry.get("album:square")) == [7, 8, 9]
    finally:
        unregister.cachefiles("album:square", more)
        unregister.cachefiles("album:square", listed)


def test_asynchronous_backend_is_asked(make_photo: Any) -> None:
    """With a backend of a queue, the command puts the files into the queue, and the worker makes them."""
    photo = make_photo()
    QueueBackend.queue.clear()
    with override_settings(IMAGEKIT_DEFAULT_CACHEFILE_BACKEND="album.parts.QueueBackend"):
        _out, _ = run("album:card", "album:photo:thumbnail")
        assert len(QueueBackend.queue) == 2
        assert not photo.thumbnail
        for file in QueueBackend.queue:
            file.cachefile_backend.generate_now(file)
        assert photo.thumbnail
        assert len(QueueBackend.queue) == 2
        assert isinstance(photo.thumbnail, ImageCacheFile)
