"""Flask, and ASGI applications of all kinds, answer alike to who asks for a cache file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from contracts.route import Hosted, RouteContract
from flask_site import add_page, get, make_app
from flask_site import serving as serving_wsgi
from starlette.applications import Starlette
from starlette.routing import Mount
from test_starlette import Site, serving

THUMBNAIL = "{% thumbnail '40x30' NAME format='WEBP' -- alt='' %}"


def hosted(port: int, page: str, source: Path, location: Path) -> Hosted:
    """Return the site of a server on this machine, of whose page the image has been promised."""

    def ask(method: str, url: str, headers: Mapping[str, str] | None = None) -> Any:
        return get(port, url, method, **headers or {})

    [url] = re.findall(r'src="([^"]+)"', get(port, page)[2].decode())
    return Hosted(ask, url, source, location)


class TestFlask(RouteContract):
    """Flask, by Werkzeug's own server."""

    @pytest.fixture
    def hosted(self, tmp_path: Path) -> Iterator[Hosted]:
        """Return the site."""
        app = make_app(tmp_path, IMAGEKIT_DEFAULT_CACHEFILE_STRATEGY="OnRequest")
        add_page(app, THUMBNAIL.replace("NAME", "'photos/canal.jpg'"))
        with serving_wsgi(app) as port:
            yield hosted(port, "/", tmp_path / "static/photos/canal.jpg", tmp_path / "instance/imagekit")


class TestAsgi(RouteContract):
    """An ASGI application, at the root of its server and below a path, by uvicorn."""

    @pytest.fixture(params=["", "/shop"])
    def hosted(self, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Hosted]:
        """Return the site."""
        site = Site(tmp_path)
        site.add_page(THUMBNAIL.replace("NAME", "'canal.jpg'"))
        app = Starlette(routes=[Mount(request.param, site.app)]) if request.param else site.app
        with serving(app) as port:
            yield hosted(port, f"{request.param}/", tmp_path / "photos/canal.jpg", tmp_path / "made")
