"""A Flask app serves its cache files as they may be kept for ever, and nothing else of its disk."""

from __future__ import annotations

import html
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any
from urllib.parse import quote, unquote

import flask
import pytest
from core_site import Counter, photo_bytes, settled
from flask_site import add_page, get, make_app, serving
from PIL import Image
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from jinja_imagekit import ImageSpec
from jinja_imagekit.processors import ResizeToFill

THUMBNAIL = "{% thumbnail '40x30' 'photos/canal.jpg' format='WEBP' -- alt='' %}"

THREADS = 16


def sources(page: bytes | str) -> list[str]:
    text = page.decode() if isinstance(page, bytes) else page
    return [html.unescape(url) for url in re.findall(r'(?:src="|srcset="[^"]* 1x, )([^" ]+)', text)]


def status_of(app: flask.Flask, url: str) -> int:
    with app.test_client().get(url) as response:
        return response.status_code


@pytest.mark.parametrize(
    "path",
    [
        "/CACHE/../app.py",
        "/CACHE/images/../../app.py",
        "/CACHE/images/../../../app.py",
        "/CACHE/images/%2e%2e/%2e%2e/%2e%2e/app.py",
        "/CACHE/images/..%2f..%2f..%2fapp.py",
        "/CACHE/images/%252e%252e/%252e%252e/app.py",
        "/CACHE/images/..%5c..%5c..%5capp.py",
        "/CACHE/images//etc/passwd",
        "/CACHE/images/%2fetc/passwd",
        "/CACHE/images/C:/windows/win.ini",
        "/CACHE/images/link.jpg",
        "/CACHE/images/folder/secret.jpg",
        "/CACHE/images/photos",
        "/CACHE/images/photos/",
        "/CACHE/images/",
        "/CACHE/images/none.jpg",
        "/CACHE/images/a%00.jpg",
        "/CACHE/images/%ff.jpg",
        "/CACHE/images/.imagekit-tmp/x.jpg",
        "/CACHE/images/pipe.jpg",
        "/CACHE/images/" + "x" * 5000,
        "/CACHE/outside.txt",
        "/imagekit.txt",
    ],
)
def test_nothing_but_cache_files_is_served(tmp_path: Path, path: str, caplog: pytest.LogCaptureFixture) -> None:
    """Dots, links, folders, pipes and what lies beside the folder are not found, however they are written."""
    app = make_app(tmp_path)
    app.testing = False
    add_page(app, THUMBNAIL)
    app.test_client().get("/")
    folder = tmp_path / "instance/imagekit/CACHE/images"
    (tmp_path / "app.py").write_text("SECRET")
    (tmp_path / "instance/imagekit/imagekit.txt").write_text("SECRET")
    (tmp_path / "instance/imagekit/CACHE/outside.txt").write_text("SECRET")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/secret.jpg").write_text("SECRET")
    (folder / "link.jpg").symlink_to(tmp_path / "app.py")
    (folder / "folder").symlink_to(tmp_path / "secrets")
    (folder / ".imagekit-tmp").mkdir()
    (folder / ".imagekit-tmp/x.jpg").write_text("SECRET")
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "pipe.jpg")
    with serving(app) as port:
        status, headers, body = get(port, path)
        if status == 308:
            # Werkzeug has slashes in a row written as one.
            status, _, body = get(port, headers["location"])
    assert status == 404
    assert b"SECRET" not in body


def test_a_folder_within_static_is_served_by_flask_itself(tmp_path: Path) -> None:
    """There is one route to a file, and it is the static one."""
    app = make_app(tmp_path, IMAGEKIT_LOCATION="static/made")
    add_page(app, THUMBNAIL)
    (url,) = sources(app.test_client().get("/").text)
    assert url.startswith("/static/made/CACHE/images/photos/canal/")
    assert status_of(app, url) == 200
    assert not [rule for rule in app.url_map.iter_rules() if "imagekit" in rule.endpoint]


def test_another_host_is_none_of_the_apps_business(tmp_path: Path) -> None:
    """Files that a content delivery network serves have no route."""
    app = make_app(tmp_path, IMAGEKIT_BASE_URL="//cdn.example/shop/")
    add_page(app, THUMBNAIL)
    (url,) = sources(app.test_client().get("/").text)
    assert url.startswith("//cdn.example/shop/CACHE/images/")
    assert status_of(app, url.removeprefix("//cdn.example/shop")) == 404


@pytest.mark.parametrize("config", [{}, {"IMAGEKIT_BASE_URL": "/shop/media/"}, {"IMAGEKIT_CACHEFILE_DIR": ""}])
def test_an_app_below_another_root(tmp_path: Path, config: dict[str, Any]) -> None:
    """URLs hold the root; they work where the app is mounted there, and on Flask's own server, which mounts nothing."""
    app = make_app(tmp_path, APPLICATION_ROOT="/shop", **config)
    add_page(app, THUMBNAIL)
    (url,) = sources(app.test_client().get("/", base_url="http://localhost/").text)
    assert url.startswith("/shop/")
    mounted = flask.Flask("other", root_path=str(tmp_path))
    mounted.wsgi_app = DispatcherMiddleware(mounted.wsgi_app, {"/shop": app})  # type: ignore[method-assign]
    assert status_of(mounted, url) == 200
    with serving(app) as port:
        assert get(port, url)[0] == 200


PAGE = (
    "{% thumbnail '12x8' 'photos/canal.jpg' srcset='2' -- alt='' %}{{ 'photos/canal.jpg' | thumbnail('24x24') }}"
    "{% picture '20x' 'photos/canal.jpg' formats=['PNG'] widths=[20] alt='' %}"
)


@pytest.mark.parametrize(
    ("root", "mount"),
    [("/", ""), ("/", "/sub"), ("/", "/sub/deep"), ("/", "/été"), ("/", "/a b"), ("/shop", "/sub"), ("/shop", "/shop")],
)
@pytest.mark.parametrize("config", [{}, {"IMAGEKIT_LOCATION": "static/made"}, {"IMAGEKIT_CACHEFILE_DIR": ""}])
def test_urls_begin_where_the_app_is_mounted(tmp_path: Path, config: dict[str, Any], root: str, mount: str) -> None:
    """Below a dispatcher's or a proxy's path they begin as those of `url_for`, cold and warm, and lead to the file."""
    app = make_app(tmp_path, APPLICATION_ROOT=root, **config)
    add_page(app, PAGE)
    add_page(app, "{{ url_for('static', filename='photos/canal.jpg') }}", "/static-url", "static_url")
    served = flask.Flask("other", root_path=str(tmp_path))
    # WSGI has the bytes of a path as Latin-1.
    mounts = {mount.encode().decode("latin-1"): app} if mount else {}
    served.wsgi_app = DispatcherMiddleware(app.wsgi_app, mounts)  # type: ignore[method-assign]
    elsewhere = served.test_client().get("/").text
    for _ in range(3):
        urls = sources(served.test_client().get(f"{mount}/").text)
        assert len(urls) == 4
        for url in urls:
            assert url.startswith(f"{quote(mount)}/")
            assert status_of(served, unquote(url)) == 200
    static = served.test_client().get(f"{mount}/static-url").text
    assert status_of(served, unquote(static)) == 200
    assert sources(served.test_client().get("/").text) == sources(elsewhere)


def test_a_base_url_that_was_given_is_written_as_it_is(tmp_path: Path) -> None:
    """Whoever serves the files from a path of the domain says so, and a mount changes nothing about that."""
    app = make_app(tmp_path, IMAGEKIT_BASE_URL="/media/")
    add_page(app, THUMBNAIL)
    for mount in ("", "/sub"):
        (url,) = sources(app.test_client().get("/", base_url=f"http://localhost{mount}/").text)
        assert url.startswith("/media/CACHE/images/")


@pytest.mark.parametrize(
    "name", ["a#1.jpg", "why?.jpg", "50%.jpg", "50%25.jpg", '"q".jpg', "<b>.jpg", "a&amp;b.jpg", "é +.jpg"]
)
def test_names_that_urls_have_other_uses_for(tmp_path: Path, name: str) -> None:
    """A source of any name that a disk allows has a URL that leads to its image."""
    app = make_app(tmp_path)
    settled(tmp_path / "static" / name, photo_bytes(seed=3))
    app.add_url_rule("/", "page", lambda: flask.render_template_string("{% thumbnail '9x9' name %}", name=name))
    for _ in range(2):
        (url,) = sources(app.test_client().get("/").text)
        with serving(app) as port:
            assert get(port, url)[0] == 200


def test_what_was_deleted_is_made_when_its_page_is_shown_again(tmp_path: Path) -> None:
    """The URL is dead only until then."""
    app = make_app(tmp_path)
    add_page(app, THUMBNAIL)
    (url,) = sources(app.test_client().get("/").text)
    (tmp_path / "instance/imagekit" / url.lstrip("/")).unlink()
    assert status_of(app, url) == 404
    assert sources(app.test_client().get("/").text) == [url]
    assert status_of(app, url) == 200


def test_sixteen_readers_of_a_cold_page(tmp_path: Path) -> None:
    """No request fails, and each image is made once, though the first of them are at work at the same time."""
    made = Counter()

    class Counted:
        def process(self, image: Image.Image) -> Image.Image:
            made()
            return image

        def fingerprint(self) -> str:
            return "counted"

    class CountedCard(ImageSpec):
        processors = (Counted(), ResizeToFill(24, 16))
        format = "WEBP"

    app = make_app(tmp_path)
    app.extensions["imagekit"].register.generator("counted", CountedCard)
    names = [f"photos/{number}.jpg" for number in range(12)]
    for seed, name in enumerate(names):
        settled(tmp_path / "static" / name, photo_bytes(seed=seed))
    template = "{% for name in names %}{% generateimage 'counted' source=name -- alt='' %}{% endfor %}"
    app.add_url_rule("/", "page", lambda: flask.render_template_string(template, names=names))
    together = Barrier(THREADS)

    def read(_: int) -> list[tuple[int, int]]:
        together.wait()
        status, _headers, page = get(port, "/")
        return [(status, 0), *((answer[0], len(answer[2])) for answer in (get(port, url) for url in sources(page)))]

    with serving(app) as port, ThreadPoolExecutor(THREADS) as pool:
        answers = [*pool.map(read, range(THREADS))]
    assert all(status == 200 for answer in answers for status, _ in answer)
    assert all(len(answer) == 1 + len(names) for answer in answers)
    assert made.count == len(names)
    assert len(made.threads) > 1
