"""`OnRequest`: pages render at once, and the route of the host makes each image when it is first asked for."""

from __future__ import annotations

import html
import io
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import flask
import pytest
from core_site import Site, photo_bytes, settled
from flask_site import add_page, get, make_app, serving
from PIL import Image

from jinja_imagekit import ImageKit, ImageSpec
from jinja_imagekit.cachefiles.strategies import OnRequest
from jinja_imagekit.exceptions import InvalidStrategy, UnreadableImage
from jinja_imagekit.flask import ImageKit as FlaskImageKit

THUMBNAIL = "{% thumbnail '40x30' 'photos/canal.jpg' format='WEBP' -- alt='' %}"


def urls_of(page: bytes | str) -> list[str]:
    """Return the URLs of all candidates on a page."""
    text = page.decode() if isinstance(page, bytes) else page
    found = re.findall(r'(?:src|srcset)="([^"]+)"', text)
    return [html.unescape(each.split()[0]) for value in found for each in value.split(", ")]


def app_on_request(root: Path, images: FlaskImageKit | None = None, **config: object) -> flask.Flask:
    return make_app(root, images=images, IMAGEKIT_DEFAULT_CACHEFILE_STRATEGY="OnRequest", **config)


def images_in(folder: Path) -> list[Path]:
    """Return the cache files that exist, without what is promised."""
    return [path for path in folder.rglob("*.*") if path.is_file() and ".imagekit" not in str(path.relative_to(folder))]


def test_a_page_renders_without_making_anything_and_its_images_follow(tmp_path: Path) -> None:
    """Size and URL are right before the image exists; the first who asks has it made, byte for byte as at once."""
    app = app_on_request(tmp_path / "later")
    at_once = make_app(tmp_path / "at_once")
    add_page(app, THUMBNAIL)
    add_page(at_once, THUMBNAIL)
    with serving(app) as port:
        page = get(port, "/")[2]
        assert images_in(tmp_path / "later/instance") == []
        [url] = urls_of(page)
        status, headers, image = get(port, url)
        assert (status, headers["content-type"]) == (200, "image/webp")
        assert "immutable" in headers["cache-control"]
        assert get(port, url)[2] == image
        assert get(port, url, If_None_Match=headers["etag"])[0] == 304
        assert get(port, "/")[2] == page
    expected = at_once.test_client().get("/").data
    assert page == expected
    assert [path.read_bytes() for path in images_in(tmp_path / "at_once/instance/imagekit")] == [image]


def test_every_candidate_of_a_picture_can_be_asked_for(tmp_path: Path) -> None:
    """None is made before, each has the width that its descriptor says, and those that nobody wants are never made."""
    app = app_on_request(tmp_path)
    add_page(app, "{% picture '60x' 'photos/canal.jpg' widths=[30, 60, 90] formats=['WEBP', 'JPEG'] -- alt='' %}")
    client = app.test_client()
    page = client.get("/").text
    candidates = dict(re.findall(r"(/\S+) (\d+)w", page))
    assert len(candidates) == 6
    assert images_in(tmp_path / "instance") == []
    for url, width in candidates.items():
        with client.get(url) as response, Image.open(io.BytesIO(response.data)) as image:
            assert image.width == int(width)
    assert len(images_in(tmp_path / "instance/imagekit")) == 6


def test_nothing_is_made_that_no_page_has_named(tmp_path: Path) -> None:
    """A name that is nearly right, another format of it, or a way out of the folder is a 404 and leaves no trace."""
    app = app_on_request(tmp_path)
    add_page(app, THUMBNAIL)
    client = app.test_client()
    [url] = urls_of(client.get("/").text)
    before = sorted(tmp_path.rglob("*"))
    stem, digit = url[:-6], url[-6]
    wrong = [f"{stem}{'0' if digit != '0' else '1'}.webp", url.replace(".webp", ".png"), url + "/x", url + ".json"]
    hidden = ["/CACHE/images/../../.imagekit-promised" + url, "/CACHE/images/.imagekit-promised" + url]
    for path in [*wrong, *hidden]:
        assert client.get(path).status_code == 404
    assert sorted(tmp_path.rglob("*")) == before


def test_promises_outlive_the_state_and_the_process(tmp_path: Path) -> None:
    """A page that a proxy kept shows its images after the state was deleted and the server started again."""
    app = app_on_request(tmp_path)
    add_page(app, THUMBNAIL)
    [url] = urls_of(app.test_client().get("/").text)
    app.extensions["imagekit"].close()
    shutil.rmtree(tmp_path / "instance/.imagekit", ignore_errors=True)
    with app_on_request(tmp_path).test_client().get(url) as response:
        assert response.status_code == 200
    promised = tmp_path / "instance/imagekit/.imagekit-promised/CACHE"
    assert [path for path in promised.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("tag", [THUMBNAIL, "{% picture '40x30' 'photos/canal.jpg' widths=[40] -- alt='' %}"])
def test_a_damaged_file_is_made_again(tmp_path: Path, tag: str) -> None:
    """The route serves what is there, so that a file that was cut off is whole again once a page has named it."""
    app = app_on_request(tmp_path)
    add_page(app, tag)
    client = app.test_client()
    urls = urls_of(client.get("/").text)
    images = [client.get(url).data for url in urls]
    for path in images_in(tmp_path / "instance/imagekit"):
        os.truncate(path, 100)
    assert urls_of(client.get("/").text) == urls
    assert [client.get(url).data for url in urls] == images


def test_who_may_read_the_state_may_read_what_is_promised(tmp_path: Path) -> None:
    """The names of sources are in there, and a web server might serve the folder."""
    app = app_on_request(tmp_path)
    add_page(app, THUMBNAIL)
    app.test_client().get("/")
    promised = tmp_path / "instance/imagekit/.imagekit-promised"
    assert promised.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in promised.rglob("*.webp")} == {0o600}


class Busy:
    """A processor that counts how often it is called, and by how many threads at a time at most."""

    def __init__(self) -> None:
        self.calls = self.now = self.most = 0
        self._mutex = threading.Lock()

    def process(self, image: Image.Image) -> Image.Image:
        """Be busy for a moment."""
        with self._mutex:
            self.calls, self.now = self.calls + 1, self.now + 1
            self.most = max(self.most, self.now)
        time.sleep(0.02)
        with self._mutex:
            self.now -= 1
        return image

    def output_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the size, which stays."""
        return size

    def fingerprint(self) -> str:
        """Return what stands for all of them."""
        return "busy"


def busy_app(root: Path, busy: Busy, photos: int, strategy: object = "OnRequest") -> flask.Flask:
    """Return an app whose page shows several photos that keep a maker busy."""
    images = FlaskImageKit()
    images.spec("busy", processors=[busy], format="WEBP")
    app = make_app(root, images=images, IMAGEKIT_DEFAULT_CACHEFILE_STRATEGY=strategy)
    for seed in range(photos):
        settled(root / f"static/photos/{seed}.jpg", photo_bytes(seed=seed))
    tag = "{%% generateimage 'busy' source='photos/%d.jpg' -- alt='' %%}"
    add_page(app, "".join(tag % seed for seed in range(photos)))
    return app


def test_one_maker_however_many_ask(tmp_path: Path) -> None:
    """Sixteen who ask at once get the same image, which is made once."""
    busy = Busy()
    barrier = Barrier(16)
    with serving(busy_app(tmp_path, busy, 1)) as port:
        [url] = urls_of(get(port, "/")[2])
        assert busy.calls == 0

        def ask(_: int) -> bytes:
            barrier.wait()
            return get(port, url)[2]

        with ThreadPoolExecutor(16) as pool:
            assert len(set(pool.map(ask, range(16)))) == 1
    assert busy.calls == 1


def test_only_so_many_are_made_at_a_time(tmp_path: Path) -> None:
    """`at_a_time` counts for all who ask; the others wait."""
    busy = Busy()
    with serving(busy_app(tmp_path, busy, 8, OnRequest(at_a_time=2))) as port:
        urls = urls_of(get(port, "/")[2])
        with ThreadPoolExecutor(8) as pool:
            assert [status for status, _, _ in pool.map(lambda url: get(port, url), urls)] == [200] * 8
    assert busy.calls == 8
    assert busy.most <= 2


def test_at_least_one_is_made_at_a_time() -> None:
    """None at a time would be none at all."""
    with pytest.raises(InvalidStrategy, match="at least one file at a time, not 0"):
        OnRequest(at_a_time=0)


COUNT_IN_SLOTS = """
import sys, time
from pathlib import Path
from jinja_imagekit.state.locks import Slots

root, count = Path(sys.argv[1]), int(sys.argv[2])
slots = Slots(str(root / "slots"), count)
for turn in range(4):
    with slots.hold():
        mark = root / f"{sys.argv[3]}-{turn}"
        mark.touch()
        print(len(list(root.glob("*-*"))), flush=True)
        time.sleep(0.01)
        mark.unlink()
"""


def test_the_limit_counts_for_all_processes_of_a_machine(tmp_path: Path) -> None:
    """Of four processes that want to work, two do at a time, whatever becomes of the others."""
    command = [sys.executable, "-c", COUNT_IN_SLOTS, str(tmp_path), "2"]
    workers = [subprocess.Popen([*command, str(number)], stdout=subprocess.PIPE, text=True) for number in range(4)]
    outputs = [worker.communicate(timeout=60)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * 4
    counts = [int(line) for output in outputs for line in output.split()]
    assert len(counts) == 16
    assert max(counts) <= 2


def test_a_source_that_is_its_own_cache_file_does_not_block_those_who_ask_for_it(tmp_path: Path) -> None:
    """One slot is enough for an image that is made of another, both asked for at once."""
    app = make_app(tmp_path, IMAGEKIT_DEFAULT_CACHEFILE_STRATEGY=OnRequest(at_a_time=1))
    nested = "{% thumbnail '80x60' 'photos/canal.jpg' as large %}{% thumbnail '40x30' large -- alt='' %}"
    add_page(app, nested + "<img src='{{ large.url }}' alt=''>".replace("'", '"'))
    with serving(app) as port:
        urls = urls_of(get(port, "/")[2])
        assert len(urls) == 2
        with ThreadPoolExecutor(2) as pool:
            assert [status for status, _, _ in pool.map(lambda url: get(port, url), urls)] == [200, 200]


def test_a_source_that_was_replaced_after_the_page_was_rendered(tmp_path: Path) -> None:
    """The old URL leads to the new image, which nobody may keep under that name."""
    app = app_on_request(tmp_path)
    add_page(app, THUMBNAIL)
    client = app.test_client()
    [url] = urls_of(client.get("/").text)
    settled(tmp_path / "static/photos/canal.jpg", photo_bytes(seed=5))
    response = client.get(url)
    assert response.status_code == 302
    assert response.headers["Cache-Control"] == "no-store"
    [new] = urls_of(client.get("/").text)
    assert response.headers["Location"] == new != url
    with client.get(new) as response:
        assert response.status_code == 200


def test_an_image_that_cannot_be_made(tmp_path: Path) -> None:
    """It is a 404 for who asks; the next page knows, and does what `on_error` says."""
    app = app_on_request(tmp_path, IMAGEKIT_ON_ERROR="omit")
    photo = tmp_path / "static/photos/canal.jpg"
    settled(photo, photo_bytes(seed=1)[:-300])
    add_page(app, f"<p>{THUMBNAIL}</p>")
    client = app.test_client()
    [url] = urls_of(client.get("/").text)
    assert client.get(url).status_code == 404
    assert client.get("/").text == "<p></p>"


def test_what_is_bound_to_fail_fails_while_the_page_renders(tmp_path: Path) -> None:
    """A file that is no image at all is an error of the page, as by the other strategies."""
    app = app_on_request(tmp_path)
    settled(tmp_path / "static/photos/canal.jpg", b"no image")
    add_page(app, THUMBNAIL)
    with pytest.raises(UnreadableImage):
        app.test_client().get("/")


def test_what_could_not_be_made_later_is_made_at_once(tmp_path: Path) -> None:
    """An open file, bytes, a path outside of the source folders, and what has no known size."""

    class Trimmed(ImageSpec):
        processors = [Unforeseen()]

    images = FlaskImageKit()
    images.register.generator("trimmed", Trimmed)
    app = app_on_request(tmp_path, images)
    elsewhere = settled(tmp_path / "elsewhere.jpg", photo_bytes(seed=3))
    with app.test_request_context():
        kit = images.kit
        for source in (io.BytesIO(photo_bytes(seed=2)), photo_bytes(seed=4), elsewhere):
            file = kit.cachefile("imagekit:thumbnail", source=source, width=20)
            assert Path(file.path).is_file()
        file = kit.cachefile("trimmed", source="photos/canal.jpg")
        assert file.url
        assert Path(file.path).is_file()
        inside = kit.cachefile("imagekit:thumbnail", source=tmp_path / "static/photos/canal.jpg", width=20)
        assert not Path(inside.path).exists()


class Unforeseen:
    """A processor that does not say what size its results have."""

    def process(self, image: Image.Image) -> Image.Image:
        """Return the image."""
        return image


def test_content_is_made_when_a_template_asks_for_it(tmp_path: Path) -> None:
    """The size in bytes is known only of a file that exists."""
    app = app_on_request(tmp_path)
    add_page(app, "{% thumbnail '40x30' 'photos/canal.jpg' as t %}{{ t.size }}")
    [path] = images_in(tmp_path / "instance/imagekit") if int(app.test_client().get("/").text) else []
    assert path.stat().st_size == int(app.test_client().get("/").text)


def test_a_kit_that_nobody_serves_makes_everything_at_once(tmp_path: Path) -> None:
    """Its URLs work too."""
    site = Site(tmp_path, default_cachefile_strategy="OnRequest")
    site.write("a.jpg")
    assert Path(site.kit.cachefile("card", source="a.jpg").path).is_file()


def test_a_location_in_the_static_folder_has_a_route_of_its_own(tmp_path: Path) -> None:
    """The static route would only know what exists."""
    app = app_on_request(tmp_path, IMAGEKIT_LOCATION="static/made")
    add_page(app, THUMBNAIL)
    client = app.test_client()
    [url] = urls_of(client.get("/").text)
    assert url.startswith("/static/made/CACHE/")
    with client.get(url) as response:
        assert response.status_code == 200


def test_a_delivery_network_fetches_the_images_from_the_app(tmp_path: Path) -> None:
    """With a `base_url` of another host, the path of its URLs is the app's."""
    app = app_on_request(tmp_path, IMAGEKIT_BASE_URL="https://cdn.example/pictures/")
    add_page(app, THUMBNAIL)
    client = app.test_client()
    [url] = urls_of(client.get("/").text)
    with client.get(url.removeprefix("https://cdn.example")) as response:
        assert response.status_code == 200


def test_clear_and_prune_forget_what_was_promised(tmp_path: Path) -> None:
    """A page that is rendered afterwards promises it again."""
    app = app_on_request(tmp_path)
    add_page(app, THUMBNAIL)
    client = app.test_client()
    kit: ImageKit = app.extensions["imagekit"]
    [url] = urls_of(client.get("/").text)
    assert [name for name, _, _ in kit.promises.all()] == [url.lstrip("/")]
    kit.clear("imagekit:thumbnail", dry_run=True)
    assert list(kit.promises.all())
    kit.clear("imagekit:thumbnail")
    assert client.get(url).status_code == 404
    client.get("/")
    kit.prune(without_render=True, dry_run=True)
    assert list(kit.promises.all())
    kit.prune(without_render=True)
    assert list(kit.promises.all()) == []
    client.get("/")
    with client.get(url) as response:
        assert response.status_code == 200


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"generator": "imagekit:thumbnail"}',
        '{"generator": "gone", "kwargs": {"source": "photos/canal.jpg"}}',
        '{"generator": "imagekit:thumbnail", "kwargs": {"source": "../secret.jpg", "width": 10}}',
        '{"generator": "imagekit:thumbnail", "kwargs": {"source": {"path": "SECRET"}, "width": 10}}',
        '{"generator": "imagekit:thumbnail", "kwargs": {"source": {"source": "file://SECRET"}, "width": 10}}',
        '{"generator": "imagekit:thumbnail", "kwargs": {"source": "photos/canal.jpg", "width": {"path": "SECRET"}}}',
        "[" * 100_000,
    ],
)
def test_a_forged_promise_shows_nothing_that_pages_could_not(tmp_path: Path, content: str) -> None:
    """Whoever can write there still reads no file outside of the source folders through it."""
    secret = settled(tmp_path / "secret.jpg", photo_bytes(seed=3))
    app = app_on_request(tmp_path)
    forged = tmp_path / "instance/imagekit/.imagekit-promised/CACHE/images/forged.jpg"
    forged.parent.mkdir(parents=True)
    forged.write_text(content.replace("SECRET", str(secret)))
    assert app.test_client().get("/CACHE/images/forged.jpg").status_code == 404
    assert images_in(tmp_path / "instance/imagekit") == []


def test_frozen_flask_finds_what_is_made_on_request(tmp_path: Path) -> None:
    """The freezer asks for each image that a page names."""
    from flask_frozen import Freezer

    app = app_on_request(tmp_path, FREEZER_DESTINATION=str(tmp_path / "build"), FREEZER_IGNORE_MIMETYPE_WARNINGS=True)
    add_page(app, THUMBNAIL)
    Freezer(app).freeze()
    [url] = urls_of((tmp_path / "build/index.html").read_text())
    assert (tmp_path / "build" / url.lstrip("/")).read_bytes()[:4] == b"RIFF"


def test_a_page_costs_no_image_where_the_disk_takes_no_promise(tmp_path: Path) -> None:
    """Where a promise cannot be written, the image is made at once, or says why not."""
    app = app_on_request(tmp_path)
    add_page(app, THUMBNAIL)
    (tmp_path / "instance/imagekit").mkdir(parents=True)
    (tmp_path / "instance/imagekit/.imagekit-promised").write_text("a file in the way")
    client = app.test_client()
    [url] = urls_of(client.get("/").text)
    assert len(images_in(tmp_path / "instance/imagekit")) == 1
    with client.get(url) as response:
        assert response.status_code == 200


def test_an_asynchronous_backend_leaves_the_making_to_the_route(tmp_path: Path) -> None:
    """Nothing is scheduled for what a browser may never ask for."""
    app = app_on_request(tmp_path, IMAGEKIT_DEFAULT_CACHEFILE_BACKEND="Threads")
    add_page(app, THUMBNAIL)
    client = app.test_client()
    [url] = urls_of(client.get("/").text)
    assert images_in(tmp_path / "instance/imagekit") == []
    with client.get(url) as response:
        assert response.status_code == 200
