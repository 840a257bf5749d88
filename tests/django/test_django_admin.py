"""The admin's list: thumbnails in it, and no image that keeps the page from being shown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from album.models import Photo
from django.contrib.auth.models import User
from django.test import Client, override_settings

from jinja_imagekit.django.admin import AdminThumbnail


@pytest.fixture
def client() -> Iterator[Client]:
    """Return a browser that is logged into the admin."""
    browser = Client()
    browser.force_login(User.objects.create_superuser("root"))
    return browser


def list_page(client: Client) -> str:
    response = client.get("/admin/album/photo/")
    assert response.status_code == 200
    return response.content.decode()


def test_list_shows_thumbnails_that_lead_to_the_original(make_photo: Any, client: Client) -> None:
    """Each column shows its image: by field, by callable, by the image field itself, by a template."""
    photo = make_photo()
    page = list_page(client)
    link = f'<a href="/media/photos/canal.jpg"><img src="{photo.thumbnail.url}" alt=""></a>'
    assert link in page
    assert photo.by_width.url in page
    assert f'<b data-original="/media/photos/canal.jpg" data-id="{photo.pk}">{photo.thumbnail.url}</b>' in page
    assert 'width="12" height="12"' in page
    assert "Thumbnail" in page


def test_error_of_a_storage_is_said_in_its_cell(make_photo: Any, client: Client, monkeypatch: Any) -> None:
    """A storage whose client raises errors of its own breaks no list either."""
    make_photo()

    def refuse(self: Any, name: str) -> str:
        raise RuntimeError("the bucket is gone")

    monkeypatch.setattr("django.core.files.storage.FileSystemStorage.url", refuse)
    assert "the bucket is gone" in list_page(client)


@pytest.mark.parametrize("trouble", ["empty", "gone", "no image", "unwritable", "cache"])
def test_no_image_breaks_the_list(trouble: str, make_photo: Any, client: Client, media: Path, caplog: Any) -> None:
    """An empty field, a lost or broken original, a failing cache: the page is shown, and the good images are on it."""
    photo = Photo.objects.create() if trouble == "empty" else make_photo()
    if trouble == "gone":
        (media / photo.image.name).unlink()
    elif trouble == "no image":
        (media / photo.image.name).write_bytes(b"no image")
    elif trouble == "unwritable":
        (media / "CACHE").write_text("a file stands where the folder should be")
    alias = "broken" if trouble == "cache" else "default"
    with override_settings(IMAGEKIT_CACHE_BACKEND=alias):
        good = make_photo("good.jpg")
        page = list_page(client)
    if trouble not in ("unwritable",):
        assert good.thumbnail.url in page
    if trouble in ("gone", "no image", "unwritable"):
        assert "No image" in page
        assert 'class="help" title="' in page
        assert "cannot be shown" in caplog.text


def test_unknown_generator_is_said_in_its_cell(make_photo: Any, client: Client) -> None:
    """The column of a generator that nobody registered says so, and the others are shown."""
    photo = make_photo()
    page = list_page(client)
    assert "No generator is registered as &#x27;album:no-such-generator&#x27;" in page
    assert photo.thumbnail.url in page


def test_unknown_field_is_an_error(make_photo: Any) -> None:
    """A column of a field that the model lacks is a mistake of the admin's author, and says so."""
    with pytest.raises(AttributeError, match="Photo has no image field 'thumb'"):
        AdminThumbnail("thumb")(make_photo())


def test_absolute_url_of_the_model(make_photo: Any, monkeypatch: Any) -> None:
    """The thumbnail leads to the page of the model instance where it has one."""
    monkeypatch.setattr(Photo, "get_absolute_url", lambda self: "/photos/7/", raising=False)
    assert '<a href="/photos/7/">' in AdminThumbnail("thumbnail")(make_photo())
