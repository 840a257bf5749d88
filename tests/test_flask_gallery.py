"""The Flask gallery takes uploads, says what is wrong with bad ones, and looks right in a browser."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flask
import pytest
from browser import check, check_access, check_loading, visit
from core_site import photo_bytes
from flask_site import serving
from PIL import Image
from werkzeug.test import TestResponse

import drawing
from flask_gallery import create_app

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an instance folder with the gallery's own photos, a third as wide."""
    folder = tmp_path_factory.mktemp("drawn")
    create_app(str(folder), photo_width=600)
    return folder


@pytest.fixture
def gallery(drawn: Path, tmp_path: Path) -> flask.Flask:
    """Return a gallery without uploads."""
    (tmp_path / "photos").symlink_to(drawn / "photos")
    return create_app(str(tmp_path), photo_width=600)


@pytest.fixture
def gallery_url(gallery: flask.Flask) -> Iterator[str]:
    """Serve the gallery."""
    with serving(gallery) as port:
        yield f"http://127.0.0.1:{port}"


def hang(app: flask.Flask, data: bytes, filename: str = "cat.jpg", title: str = "") -> TestResponse:
    form = {"photo": (io.BytesIO(data), filename), "title": title}
    return app.test_client().post("/", data=form, content_type="multipart/form-data")


def test_an_upload_hangs_first(gallery: flask.Flask, tmp_path: Path) -> None:
    """It is cropped to 3:2, upright and without metadata, and the wall shows it under its title."""
    data = drawing.oriented(drawing.photo(400, 700, 3), 6)
    answer = hang(gallery, data, "../My cat.JPG", "A <cat>")
    assert answer.status_code == 303
    (stored,) = (tmp_path / "uploads").glob("*.jpg")
    with Image.open(stored) as image:
        assert abs(image.width / image.height - 1.5) < 0.01
        assert not image.getexif()
    assert re.fullmatch(r"My-cat-[0-9a-f]{16}\.jpg", stored.name)
    page = gallery.test_client().get("/").text
    assert "A &lt;cat&gt;" in page
    assert page.index(stored.stem) < page.index("north-slope")
    assert gallery.test_client().get(answer.location).status_code == 200


@pytest.mark.parametrize(
    ("data", "filename", "reason"),
    [
        (b"", "cat.jpg", "the file is empty"),
        (b"", "", "no file was uploaded"),
        (b"hello", "cat.jpg", "it is not an image"),
        (photo_bytes()[:-200], "cat.jpg", "cannot be hung"),
        (drawing.encoded(Image.new("1", (10_000, 8_000)), "PNG"), "cat.png", "10,000 × 8,000 pixels"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>", "cat.svg", "cannot be hung"),
    ],
    ids=["empty", "none", "text", "truncated", "enormous", "svg"],
)
def test_a_bad_upload_is_an_error_of_the_form(
    gallery: flask.Flask, tmp_path: Path, data: bytes, filename: str, reason: str
) -> None:
    """The page says why, keeps the title, and nothing is stored."""
    answer = hang(gallery, data, filename, "My title")
    assert answer.status_code == 422
    error = re.search(r'role="alert">([^<]+)<', answer.text)
    assert error
    assert reason in error[1]
    assert 'value="My title"' in answer.text
    assert not (tmp_path / "uploads").exists()


def test_more_bytes_than_the_app_takes_are_an_error_of_the_form_too(gallery: flask.Flask) -> None:
    """Flask refuses them before they are read."""
    answer = gallery.test_client().post("/", data=bytes(25_000_001), content_type="multipart/form-data; boundary=x")
    assert answer.status_code == 413
    assert "That picture cannot be hung: it has more than 25 MB." in answer.text


def test_an_unknown_picture_is_not_found(gallery: flask.Flask) -> None:
    """Nor is a file that hangs nowhere."""
    for name in ("photos/none.jpg", "uploads/../photos/embers.jpg", "wall.css"):
        assert gallery.test_client().get(f"/pictures/{name}").status_code == 404


def test_the_galleries_images_can_be_made_before_anybody_comes(gallery: flask.Flask) -> None:
    """`flask imagekit generate` finds the specs and both folders."""
    hang(gallery, photo_bytes(300, 200))
    result = gallery.test_cli_runner().invoke(args=["imagekit", "generate", "gallery:lead"])
    assert result.exit_code == 0, result.output
    assert "9 images made" in result.output


def test_the_line_of_the_readme_finds_the_gallery(drawn: Path, tmp_path: Path) -> None:
    """`flask --app examples/flask_gallery` imports it by its folder, from wherever that is."""
    ignored = shutil.ignore_patterns("instance", "output", "content", "__pycache__", ".imagekit")
    shutil.copytree(EXAMPLES, tmp_path / "examples", ignore=ignored)
    shutil.copytree(drawn / "photos", tmp_path / "examples/flask_gallery/instance/photos")
    command = [Path(sysconfig.get_path("scripts")) / "flask", "--app", "examples/flask_gallery", "imagekit", "list"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert result.returncode == 0, result.stderr
    assert "gallery:lead" in result.stdout


@pytest.mark.parametrize(("width", "density"), [(1300, 1), (1300, 2), (400, 3)])
@pytest.mark.parametrize("path", ["/", "/pictures/photos/embers.jpg"])
def test_the_pages_in_a_browser(browser: Any, gallery_url: str, path: str, width: int, density: float) -> None:
    """On a cold start every image loads in the ratio written, nothing moves meanwhile, and the console is clean."""
    check(visit(browser, gallery_url + path, width=width, density=density))
    check_loading(browser, gallery_url + path, width=width, density=density)


def test_the_gallery_is_accessible(browser: Any, gallery_url: str) -> None:
    """axe finds nothing on the wall and on a picture's page, on a phone in the dark and on a desk in the light."""
    check_access(browser, f"{gallery_url}/", f"{gallery_url}/pictures/photos/embers.jpg")


def test_an_upload_in_a_browser(browser: Any, gallery_url: str, tmp_path: Path) -> None:
    """A visitor's text file is refused in words, a photo hangs."""
    (tmp_path / "cat.txt").write_text("meow")
    (tmp_path / "cat.jpg").write_bytes(drawing.jpeg(500, 400, 4))
    page = browser.new_page()
    try:
        page.goto(gallery_url)
        for name in ("cat.txt", "cat.jpg"):
            page.set_input_files("input[type=file]", tmp_path / name)
            page.fill("input[name=title]", "My cat")
            page.click("button")
            if name == "cat.txt":
                assert "cannot be hung" in page.text_content("[role=alert]")
                assert page.input_value("input[name=title]") == "My cat"
        assert page.text_content("h1") == "My cat"
        url = page.url
    finally:
        page.close()
    check(visit(browser, url))
