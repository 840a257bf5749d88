"""What Markdown wrote names images by the URLs from which the host serves them; the transform finds those sources."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import flask
import pytest
from core_site import photo_bytes, settled
from flask_site import make_app
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.testclient import TestClient
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from jinja_imagekit.flask import ImageKit as FlaskImageKit
from jinja_imagekit.starlette import ImageKit

RULES = {"*": {"formats": ("WEBP",), "widths": (20, 40)}}


def images_in(page: str) -> list[str]:
    """Return the URLs of the `<img>`s of a page."""
    return [html.unescape(url) for url in re.findall(r'<img[^>]* src="([^"]+)"', page)]


class TestFlask:
    """Static folders of the app and its blueprints."""

    def app(self, root: Path, body: str, images: FlaskImageKit, is_whole: bool = False, **config: Any) -> flask.Flask:
        """Return an app whose page is a transformed body in which {own} and {hat} are what `url_for` gives."""
        app = make_app(root, images=images, IMAGEKIT_HTML_RULES=RULES, **config)
        settled(root / "goods/static/hat.jpg", photo_bytes(seed=2))
        shop = flask.Blueprint("shop", "goods", root_path=str(root / "goods"), static_folder="static")
        section = flask.Blueprint("section", "section", root_path=str(root))
        section.register_blueprint(shop, url_prefix="/shop")
        app.register_blueprint(section, url_prefix="/section")

        @app.get("/")
        def page() -> str:
            own = flask.url_for("static", filename="photos/canal.jpg", _external=is_whole)
            hat = flask.url_for("section.shop.static", filename="hat.jpg", _external=is_whole)
            return images.kit.transform(body.format(own=own, hat=hat))

        return app

    @pytest.mark.parametrize("config", [{}, {"APPLICATION_ROOT": "/sub"}])
    @pytest.mark.parametrize("mount", ["", "/sub", "/été b"])
    @pytest.mark.parametrize("is_whole", [False, True])
    def test_static_urls(self, tmp_path: Path, mount: str, config: dict[str, Any], is_whole: bool) -> None:
        """Of the app and a nested blueprint, wherever the app is mounted, and with its host in front."""
        body = '<img src="{own}" alt=""><img src="{hat}?v=2" alt="">'
        app = self.app(tmp_path, body, FlaskImageKit(), is_whole, **config)
        served = flask.Flask("other")
        mounts = {mount.encode().decode("latin-1"): app} if mount else {}
        served.wsgi_app = DispatcherMiddleware(app.wsgi_app, mounts)  # type: ignore[method-assign]
        own, hat = images_in(served.test_client().get(f"{mount}/").text)
        assert "/CACHE/images/photos/canal/" in own
        assert "/CACHE/images/section.shop/hat/" in hat

    def test_relative_urls(self, tmp_path: Path) -> None:
        """They are seen from the page that is being answered."""
        app = self.app(tmp_path, '<img src="static/photos/canal.jpg" alt="">', FlaskImageKit())
        assert "/CACHE/images/photos/canal/" in images_in(app.test_client().get("/").text)[0]

    def test_what_the_host_does_not_serve_there_stays(self, tmp_path: Path) -> None:
        """Other folders, ways out of them, what is served but no source, and what templates have made."""
        secret = settled(tmp_path / "secret.jpg", photo_bytes(seed=3))
        (tmp_path / "static").mkdir()
        (tmp_path / "static/leak.jpg").symlink_to(secret)
        settled(tmp_path / "pictures/x.jpg", photo_bytes(seed=4))
        settled(tmp_path / "static/made/CACHE/images/y.webp", photo_bytes(format="WEBP"))
        urls = ("/static/../secret.jpg", "/static/%2e%2e/secret.jpg", "/static/leak.jpg", "/static/%00.jpg")
        urls += ("/other/static/photos/canal.jpg", "/static/made/CACHE/images/y.webp", "/static/photos/", "/static")
        body = "".join(f'<img src="{url}" alt="">' for url in urls)
        app = self.app(tmp_path, body, FlaskImageKit(), IMAGEKIT_LOCATION="static/made")
        assert app.test_client().get("/").text == body
        app = self.app(tmp_path, '<img src="{own}" alt="">', FlaskImageKit(), IMAGEKIT_SOURCE_DIRS=["pictures"])
        assert app.test_client().get("/").text == '<img src="/static/photos/canal.jpg" alt="">'


class TestStarlette:
    """`StaticFiles` among the routes."""

    def test_static_urls(self, tmp_path: Path) -> None:
        """In the application and below a path of its own, wherever it is mounted itself; not what is no source."""
        settled(tmp_path / "static/canal.jpg", photo_bytes(seed=1))
        settled(tmp_path / "goods/hat.jpg", photo_bytes(seed=2))
        settled(tmp_path / "private/x.jpg", photo_bytes(seed=3))

        async def page(request: Request) -> Response:
            named = (request.url_for("static", path="canal.jpg"), request.url_for("shop:goods", path="hat.jpg"))
            urls = [*named, *(each.path for each in named), request.url_for("private", path="x.jpg").path]
            urls += ["http://other.example/assets/canal.jpg"]
            return HTMLResponse(images.transform("".join(f'<img src="{url}" alt="">' for url in urls)))

        def files(name: str) -> StaticFiles:
            return StaticFiles(directory=tmp_path / name)

        shop = Mount("/shop", routes=[Mount("/pics", files("goods"), name="goods")], name="shop")
        private = Mount("/private", files("private"), name="private")
        app = Starlette(routes=[Route("/", page), Mount("/assets", files("static"), name="static"), shop, private])
        images = ImageKit(
            app,
            source_dirs=[tmp_path / "static"],
            source_prefixes={"goods": tmp_path / "goods"},
            location=tmp_path / "made",
            state_dir=tmp_path / "state",
            html_rules=RULES,
        )
        for served, root in ((app, ""), (Starlette(routes=[Mount("/été", app)]), "/%C3%A9t%C3%A9")):
            client = TestClient(served)
            *found, private, other = images_in(client.get(f"{root}/").text)
            canal, hat = found[:2]
            assert canal.startswith(f"{root}/CACHE/images/canal/")
            assert hat.startswith(f"{root}/CACHE/images/goods/hat/")
            assert found == [canal, hat] * 2
            assert private.endswith("/private/x.jpg")
            assert other == "http://other.example/assets/canal.jpg"
            assert client.get(hat).status_code == 200
