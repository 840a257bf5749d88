"""Images of a Flask app made by the workers of a queue."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

flask = pytest.importorskip("flask", reason="Flask is not installed: pip install 'jinja-imagekit[flask]'")

from queue_site import ListQueue  # noqa: E402

import drawing  # noqa: E402
from jinja_imagekit import ImageSpec  # noqa: E402
from jinja_imagekit.flask import ImageKit  # noqa: E402
from jinja_imagekit.processors import ResizeToFill  # noqa: E402


def test_a_worker_makes_an_image_within_a_context_of_its_own_app(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The app that a factory makes in the worker has the kit, and a spec may look at the app's configuration."""
    (tmp_path / "static").mkdir()
    drawing.photo(80, 60).save(tmp_path / "static" / "canal.jpg")
    queue = ListQueue()
    images = ImageKit(import_name="flask_queue_site:create_app")

    @images.register.generator("card")
    class Card(ImageSpec):
        format = "PNG"

        @property
        def processors(self) -> Any:
            """As wide as the app says."""
            return (ResizeToFill(flask.current_app.config["CARD_WIDTH"], 20),)

    def create_app() -> Any:
        app = flask.Flask("flask_queue_site", root_path=str(tmp_path), instance_path=str(tmp_path / "instance"))
        app.config.update(CARD_WIDTH=30, IMAGEKIT_DEFAULT_CACHEFILE_BACKEND=queue)
        images.init_app(app)
        return app

    module = ModuleType("flask_queue_site")
    vars(module).update(create_app=create_app)
    monkeypatch.setitem(sys.modules, "flask_queue_site", module)
    app = create_app()
    page = "{% generateimage 'card' source='canal.jpg' as card %}{{ 'made' if card else 'none yet' }}"
    with app.test_request_context():
        assert flask.render_template_string(page) == "none yet"
    queue.work()
    with app.test_request_context():
        assert flask.render_template_string(page) == "made"
        assert images.kit.cachefile("card", source="canal.jpg").width == 30
    assert not queue.messages
