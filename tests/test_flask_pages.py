"""In Flask each request is a page: its order decides what loads first, and URLs can be relative to it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import flask
import pytest
from core_site import photo_bytes, settled

from jinja_imagekit.flask import ImageKit

PICTURE = "{% picture '300x' 'canal.jpg' formats='WEBP' widths=(100, 200) alt='' %}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    settled(tmp_path / "static/canal.jpg", photo_bytes(300, 225))
    return tmp_path


def app_in(folder: Path, **config: Any) -> flask.Flask:
    app = flask.Flask("mysite", root_path=str(folder), instance_path=str(folder / "instance"))
    app.config.update({f"IMAGEKIT_{name.upper()}": value for name, value in config.items()})
    images = ImageKit(app)

    @app.get("/blog/<name>/")
    def page(name: str) -> str:
        body = images.kit.transform('<img src="/canal.jpg" alt="">')
        return flask.render_template_string(f"{PICTURE}|{body}|{PICTURE}|{PICTURE}")

    return app


def test_the_first_large_picture_of_a_response_is_loaded_first(folder: Path) -> None:
    """In each response anew; what a script fetches is a part of a page that has been shown."""
    client = app_in(folder, html_rules={"*": {"formats": ["WEBP"], "widths": [100, 200]}}).test_client()
    for _ in range(2):
        html = client.get("/blog/canal/").text
        # A body is transformed before the template is rendered.
        assert re.findall(r'high|loading="lazy"', html.split("|")[1]) == ["high"]
        assert html.count("high") == 1
        assert re.findall(r'loading="\w+"', html) == ['loading="lazy"']
        assert 'loading="lazy"' in html.split("|")[3]
    part = client.get("/blog/canal/", headers={"Sec-Fetch-Dest": "empty"}).text
    assert part.count('loading="lazy"') == 4


def test_urls_can_be_relative_to_the_request(folder: Path) -> None:
    """Also where a dispatcher mounts the app."""
    client = app_in(folder, urls="relative").test_client()
    assert 'src="../../CACHE/images/canal/' in client.get("/blog/canal/").text
    html = client.get("/blog/canal/", environ_overrides={"SCRIPT_NAME": "/mounted"}).text
    assert 'src="../../CACHE/images/canal/' in html
    url = re.findall(r'src="\.\./\.\.(/CACHE\S+)"', html)[0]
    with client.get(url) as response:
        assert response.status_code == 200
