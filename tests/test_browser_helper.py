"""The browser helper sees what is wrong with a page, so that pages which pass are right."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import check, check_loading, visit
from core_site import photo_bytes


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files, and writes nothing to the terminal."""

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def folder_url(tmp_path: Path) -> Iterator[str]:
    """Serve `tmp_path`, in which there is one photo."""
    (tmp_path / "photo.jpg").write_bytes(photo_bytes(96, 72))
    (tmp_path / "favicon.ico").write_bytes(b"")
    handler = functools.partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/page.html"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("<img src=photo.jpg width=96 height=72 alt=''><p>text", None),
        ("<img src=photo.jpg width=48 height=36 alt=''><p>text", None),
        ("<img src=photo.jpg width=96 height=96 alt=''>", "of another ratio"),
        ("<img src=photo.jpg width=96 height=72 alt='' style='height: 200px'>", "squeezed"),
        ("<img src=photo.jpg width=96 alt=''>", "has no height"),
        ("<img src=photo.jpg alt=''>", "has no width"),
        ("<img src=photo.jpg width=96 height=72>", "has no alt"),
        ("<img src=none.jpg width=96 height=72 alt=''>", "did not load"),
        ("<img src=photo.jpg width=96 height=72 alt='' style='height: auto; width: auto' "
         "onload='this.style.marginBottom=\"300px\"'><p>text", "moves while it loads"),
        ("<img src=photo.jpg width=96 height=72 alt=''><script>console.warn('odd')</script>", "warning: odd"),
        ("<img src=photo.jpg width=96 height=72 alt=''><script>throw Error('odd')</script>", "odd"),
        ("<img src=photo.jpg width=96 height=72 alt=''><script src=none.js></script>", "404"),
        ("nothing", "has no image"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_seen(browser: Any, tmp_path: Path, folder_url: str, body: str, complaint: str | None) -> None:
    """One page for each fault, and two without any."""
    (tmp_path / "page.html").write_text(f"<!doctype html><title>page</title>{body}", encoding="utf-8")
    seen = visit(browser, folder_url)
    if complaint is None:
        check(seen)
    else:
        with pytest.raises(AssertionError, match=complaint):
            check(seen)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("<img src=large.jpg width=400 height=300 fetchpriority=high>", None),
        ("<img src=large.jpg width=400 height=300>", "nothing large in sight has priority"),
        ("<img src=large.jpg width=400 height=300 fetchpriority=high loading=lazy>", "the largest in sight is lazy"),
        ("<img src=large.jpg width=200 height=150>", "large.jpg is 2.00 times as large as it is shown"),
        ("<img src=photo.jpg width=24 height=18>", None),
        ("<div style='height: 2000px'></div>" + "<img src=photo.jpg width=96 height=72>" * 2, None),
        ("<div style='height: 2000px'></div>" + "<img src=photo.jpg width=96 height=72>" * 3, "3 images below"),
    ],
)  # fmt: skip
def test_what_loads_too_early_too_late_or_too_large_is_seen(
    browser: Any, tmp_path: Path, folder_url: str, body: str, complaint: str | None
) -> None:
    """One page for each fault, and three without any."""
    (tmp_path / "large.jpg").write_bytes(photo_bytes(400, 300))
    (tmp_path / "page.html").write_text(f"<!doctype html><title>page</title>{body}", encoding="utf-8")
    if complaint is None:
        check_loading(browser, folder_url)
    else:
        with pytest.raises(AssertionError, match=complaint):
            check_loading(browser, folder_url)
