"""`OnRequest` in Django: pages render at once, and the route makes each image when it is first asked for."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client, override_settings
from PIL import Image

import drawing
from jinja_imagekit.django import get_kit
from jinja_imagekit.django.cachefiles import ImageCacheFile
from jinja_imagekit.django.cachefiles.strategies import OnRequest
from jinja_imagekit.django.signals import content_required, existence_required
from jinja_imagekit.django.specs import ImageSpec


@pytest.fixture
def client(media: Path) -> Iterator[Client]:
    """Return a visitor of the site."""
    with override_settings(ROOT_URLCONF="album.routed_urls", IMAGEKIT_DEFAULT_CACHEFILE_STRATEGY="OnRequest"):
        yield Client()


def made(media: Path) -> list[Path]:
    """Return the cache files that exist."""
    return [path for path in (media / "CACHE").rglob("*.*") if path.is_file()]


def test_a_page_and_its_image(client: Client, make_photo: Any, media: Path) -> None:
    """The image of a model's field is made by the first who asks, with the size that the page says."""
    make_photo()
    page = client.get("/page").content.decode()
    [(url, width, height)] = re.findall(r'src="([^"]+)" width="(\d+)" height="(\d+)"', page)
    assert made(media) == []
    answer = client.get(url)
    with Image.open(io.BytesIO(answer.content)) as image:
        assert image.size == (int(width), int(height))
    assert client.get("/page").content.decode() == page
    assert len(made(media)) == 1


def test_nothing_is_made_that_no_page_has_named(client: Client, make_photo: Any, media: Path) -> None:
    """Nor is anything else of the media folder served by the route."""
    make_photo()
    url = re.findall(r'src="([^"]+)"', client.get("/page").content.decode())[0]
    for path in (
        url.replace(".webp", ".png"),
        "/media/CACHE/images/x.webp",
        "/media/CACHE/images/../../photos/canal.jpg",
    ):
        assert client.get(path).status_code == 404
    assert client.get("/media/photos/canal.jpg").status_code == 404
    assert made(media) == []


def test_a_photo_that_was_replaced_after_the_page_was_rendered(client: Client, make_photo: Any, media: Path) -> None:
    """The old URL leads to the new image."""
    photo = make_photo()
    url = re.findall(r'src="([^"]+)"', client.get("/page").content.decode())[0]
    Path(photo.image.path).write_bytes(drawing.jpeg(200, 160, 2))
    answer = client.get(url)
    assert answer.status_code == 302
    assert answer["Cache-Control"] == "no-store"
    assert client.get(answer["Location"]).status_code == 200


def test_receivers_still_hear_of_each_use(client: Client, make_photo: Any, media: Path) -> None:
    """The signals are sent, and nothing is made for them."""
    make_photo()
    heard: list[str] = []

    def receiver(sender: Any, file: Any, signal: Any, **_: Any) -> None:
        heard.append("existence" if signal is existence_required else "content")

    existence_required.connect(receiver)
    content_required.connect(receiver)
    try:
        url = re.findall(r'src="([^"]+)"', client.get("/page").content.decode())[0]
    finally:
        existence_required.disconnect(receiver)
        content_required.disconnect(receiver)
    assert heard == ["existence"]
    assert made(media) == []
    assert client.get(url).status_code == 200


def test_without_the_route_images_are_made_at_once(make_photo: Any, media: Path) -> None:
    """Nobody would make them later."""
    with override_settings(IMAGEKIT_DEFAULT_CACHEFILE_STRATEGY=OnRequest):
        file = get_kit().cachefile("imagekit:thumbnail", source=make_photo().image, width=20)
        assert file.url
        assert len(made(media)) == 1


def test_what_could_not_be_made_later_is_made_at_once(client: Client, make_photo: Any, media: Path) -> None:
    """A spec that is not registered leads nowhere."""

    class Own(ImageSpec):
        format = "PNG"

    file = ImageCacheFile(Own(make_photo().image))
    assert file.url
    assert len(made(media)) == 1
