"""The Starlette gallery shows a walk at once, takes photos of others, and looks right in a browser."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import check, check_access, check_loading, visit
from core_site import photo_bytes
from PIL import Image
from starlette.testclient import TestClient
from test_starlette import serving

import drawing


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an instance folder with the gallery's own photos, a third as wide."""
    folder = tmp_path_factory.mktemp("drawn")
    (folder / "photos").mkdir()
    for seed, stem in enumerate(("start", "col", "larches", "tarn", "scree", "hut", "mist", "ridge")):
        (folder / f"photos/{stem}.jpg").write_bytes(drawing.jpeg(640, 400, seed))
    return folder


@pytest.fixture
def gallery(drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return the application, imported anew, without visitors' photos."""
    (tmp_path / "photos").symlink_to(drawn / "photos")
    monkeypatch.setenv("GALLERY_INSTANCE", str(tmp_path))
    sys.modules.pop("starlette_gallery", None)
    yield importlib.import_module("starlette_gallery").app
    sys.modules.pop("starlette_gallery", None)


def test_the_page_is_there_before_its_images(gallery: Any, tmp_path: Path) -> None:
    """Nothing is made for it, and the first picture comes first."""
    page = TestClient(gallery).get("/").text
    assert page.count("<picture") == 8
    assert page.count('fetchpriority="high"') == 1
    assert not (tmp_path / "made/CACHE").exists()


def test_a_photo_of_a_visitor(gallery: Any, tmp_path: Path) -> None:
    """It is kept upright and without metadata, and shown; what is no image is refused in words."""
    client = TestClient(gallery)
    data = drawing.oriented(drawing.photo(400, 700, 3), 6)
    answer = client.post("/", files={"photo": ("../My hut.JPG", data)}, follow_redirects=False)
    assert answer.status_code == 303
    [stored] = (tmp_path / "uploads").iterdir()
    with Image.open(stored) as image:
        assert image.size == (400, 700)
        assert not image.getexif()
    assert stored.stem in client.get("/").text
    for files in ({"photo": ("a.jpg", b"no image")}, {"photo": ("a.jpg", photo_bytes()[:-200])}, {"other": ("a", b"")}):
        answer = client.post("/", files=files)
        assert answer.status_code == 422
        assert "That photo cannot be taken: " in answer.text
    assert len([*(tmp_path / "uploads").iterdir()]) == 1


@pytest.mark.parametrize("width", [400, 1280])
def test_the_page_in_a_browser(browser: Any, gallery: Any, width: int) -> None:
    """On a cold start every image is made on request, nothing moves meanwhile, and the console is clean."""
    with serving(gallery) as port:
        url = f"http://127.0.0.1:{port}/"
        check(visit(browser, url, width=width))
        check_loading(browser, url, width=width)
        if width == 400:
            check_access(browser, url)
