"""What the tests of Flask share: an app in a folder of its own, and a real server."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import flask
from core_site import photo_bytes, settled
from werkzeug.serving import make_server

from jinja_imagekit.flask import ImageKit

Answer = tuple[int, dict[str, str], bytes]
"""Status, headers by lower-case name, and body."""


def make_app(root: Path, name: str = "shop", images: ImageKit | None = None, **config: Any) -> flask.Flask:
    """Return an app whose folder is `root`, with one photo in its static folder, and an ImageKit."""
    app = flask.Flask(name, root_path=str(root), instance_path=str(root / "instance"))
    app.config.update(TESTING=True, **config)
    settled(root / "static/photos/canal.jpg", photo_bytes(seed=1))
    (images or ImageKit()).init_app(app)
    return app


def add_page(app: flask.Flask, template: str, url: str = "/", endpoint: str = "page") -> None:
    """Add a page with a template's text."""
    app.add_url_rule(url, endpoint, lambda: flask.render_template_string(template))


@contextmanager
def serving(app: flask.Flask) -> Iterator[int]:
    """Serve an app on this machine with many threads, and yield the port."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def get(port: int, path: str, method: str = "GET", **headers: str) -> Answer:
    """Ask for exactly this path, without any of the tidying that other clients do."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        connection.close()
