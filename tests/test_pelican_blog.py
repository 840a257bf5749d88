"""The example blog builds with Pelican, and every image on its pages is right in a browser."""

from __future__ import annotations

import ast
import functools
import http.server
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import check, check_access, check_loading, visit

import drawing

ROOT = Path(__file__).resolve().parents[1]

SCALE = 3
"""The photos are drawn this many times smaller, so that a build takes seconds."""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files, and writes nothing to the terminal."""

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def photos(script: Path) -> dict[str, tuple[int, int, int]]:
    """Return the photos that the build would draw."""
    for node in ast.parse(script.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PHOTOS":
            found: dict[str, tuple[int, int, int]] = ast.literal_eval(node.value)
            return found
    raise AssertionError("build.py has no PHOTOS")


def build(blog: Path) -> str:
    result = subprocess.run(
        [sys.executable, str(blog / "build.py")],
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", "NO_COLOR": "1", "PYTHONUTF8": "1"},
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=300,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def blog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a built copy of the example, with photos a third as wide."""
    examples = tmp_path_factory.mktemp("blog") / "examples"
    ignored = shutil.ignore_patterns("output", ".cache", "*.jpg", "__pycache__")
    shutil.copytree(ROOT / "examples", examples, ignore=ignored)
    folder = examples / "pelican_blog"
    for name, (width, height, seed) in photos(folder / "build.py").items():
        target = folder / "content" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(drawing.jpeg(width // SCALE, height // SCALE, seed))
    assert "0 photos drawn" in build(folder)
    return folder


@pytest.fixture(scope="module")
def blog_url(blog: Path) -> Iterator[str]:
    """Serve the blog from a folder of the server, as relative URLs allow."""
    handler = functools.partial(Quiet, directory=str(blog))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/output"
        server.shutdown()
        thread.join()


def pages(blog: Path) -> list[str]:
    return sorted(path.relative_to(blog / "output").as_posix() for path in (blog / "output").rglob("*.html"))


def test_the_blog_has_a_page_for_each_post(blog: Path) -> None:
    """A dozen posts, a list of them, and a page about them."""
    assert len(pages(blog)) == 14


def test_every_image_is_right_in_a_browser(blog: Path, blog_url: str, browser: Any) -> None:
    """Each image of each page loads in the ratio written, nothing moves, the console is clean."""
    for page in pages(blog):
        check(visit(browser, f"{blog_url}/{page}"))


def test_the_pages_are_right_on_a_phone(blog_url: str, browser: Any) -> None:
    """The same in a narrow window with two device pixels a pixel, where srcset gives the larger files."""
    check(visit(browser, f"{blog_url}/index.html", 390, 844, 2))
    check_loading(browser, f"{blog_url}/index.html", 400)
    check_loading(browser, f"{blog_url}/index.html", 1280)
    seen = visit(browser, f"{blog_url}/walks/embers.html", 390, 844, 2)
    check(seen)
    small = [image for image in seen.images if image.written == ("160", "160")]
    assert len(small) == 4
    assert all(image.shown.rsplit("/", 1)[-1] != image.src.rsplit("/", 1)[-1] for image in small)


def test_the_blog_is_accessible(blog_url: str, browser: Any) -> None:
    """axe finds nothing on the list of walks, in an article with a portrait, and on the page about them."""
    check_access(
        browser, *(f"{blog_url}/{page}" for page in ("index.html", "walks/the-long-weir.html", "pages/about.html"))
    )


def test_the_feed_names_images_by_whole_urls(blog: Path) -> None:
    """Pages have relative URLs, the feed has the site's."""
    feed = (blog / "output/feed.atom").read_text(encoding="utf-8")
    urls = re.findall(r"[^\s\"'&;]*CACHE/images/[^\s\"'&]+", feed)
    assert len(urls) >= 9
    assert not [url for url in urls if url.endswith((".avif", ".webp"))]
    assert all(url.startswith("https://slow-miles.example/CACHE/") for url in urls)
    assert all((blog / "output" / url.removeprefix("https://slow-miles.example/")).is_file() for url in urls)


def test_each_article_has_an_image_to_share(blog: Path) -> None:
    """What is shared elsewhere is named by a whole URL, though all other links are relative."""
    for page in (blog / "output/walks").glob("*.html"):
        (url,) = re.findall(r'property="og:image" content="https://slow-miles\.example/(\S+\.jpg)"', page.read_text())
        assert (blog / "output" / url).is_file()


def test_the_pictures_of_the_text_are_pictures(blog: Path) -> None:
    """A plate and a strip, the latter in another shape on a phone."""
    plate = (blog / "output/walks/embers.html").read_text(encoding="utf-8")
    strip = (blog / "output/walks/the-drovers-road.html").read_text(encoding="utf-8")
    assert re.search(r'<picture><source type="image/avif".*?<img [^>]* class="plate"', plate)
    assert re.search(r'<picture><source media="\(max-width: 30rem\)" .*?<img [^>]* class="strip"', strip)


def test_exactly_what_the_pages_name_is_in_the_output(blog: Path) -> None:
    """No image is missing on a page or in the feed, and none lies there for nothing."""
    text = "".join((blog / "output" / page).read_text(encoding="utf-8") for page in [*pages(blog), "feed.atom"])
    named = {match.group() for match in re.finditer(r"CACHE/images/[^\s\"]+", text)}
    there = {path.relative_to(blog / "output").as_posix() for path in (blog / "output/CACHE").rglob("*.*")}
    assert named == there


def test_a_second_build_makes_nothing_and_writes_the_same(blog: Path) -> None:
    """Pelican deletes the output folder; the images come from the cache, the same files under the same names."""
    before = {path: path.read_bytes() for path in (blog / "output").rglob("*.*") if path.suffix != ".atom"}
    output = build(blog)
    assert re.search(r"\b0 made", output), output
    after = {path: path.read_bytes() for path in (blog / "output").rglob("*.*") if path.suffix != ".atom"}
    assert after == before
