"""In ASGI applications each request is a page: its order decides what loads first, and URLs can be relative to it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette")
pytest.importorskip("httpx")

from core_site import Site
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from jinja_imagekit.asgi import ImageKitMiddleware


def client(root: Path, **settings: Any) -> TestClient:
    site = Site(root, html_rules={"*": {"formats": ("WEBP",), "widths": (100, 200)}}, **settings)
    site.write("canal.jpg", 300, 225)

    async def page(request: Request) -> Response:
        return HTMLResponse(site.kit.transform('<img src="/canal.jpg" alt="">' * 5))

    app = Starlette(routes=[Route("/blog/{name}/", page)])
    return TestClient(Starlette(routes=[Mount("/shop", ImageKitMiddleware(app, site.kit))]))


def test_the_first_large_picture_of_a_response_is_loaded_first(tmp_path: Path) -> None:
    """In each response anew, but not in what a script fetches."""
    with client(tmp_path) as browser:
        for _ in range(2):
            html = browser.get("/shop/blog/canal/").text
            assert [bool(re.search("high|lazy", tag)) for tag in html.split("<img")[1:]] == [
                *(True, False, False),
                *(True, True),
            ]
            assert html.count("high") == 1
        html = browser.get("/shop/blog/canal/", headers={"Sec-Fetch-Dest": "empty"}).text
        assert html.count('loading="lazy"') == 5


def test_urls_can_be_relative_to_the_request(tmp_path: Path) -> None:
    """Also where the application is mounted."""
    with client(tmp_path, urls="relative") as browser:
        url = re.findall(r'src="\.\./\.\.(/CACHE\S+)"', browser.get("/shop/blog/canal/").text)[0]
        assert browser.get(f"/shop{url}").status_code == 200
