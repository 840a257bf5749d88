"""A small gallery with upload: `flask --app examples/flask_gallery run`."""

from __future__ import annotations

from pathlib import Path

from flask import Flask, Response, abort, redirect, render_template, request, url_for
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.wrappers import Response as BaseResponse

from jinja_imagekit.exceptions import UnreadableImage
from jinja_imagekit.flask import ImageKit

from .wall import draw_missing, hang, pictures

images = ImageKit()  # its specs are in imagegenerators.py, which is found by its name


def create_app(instance_path: str | None = None, photo_width: int = 1800) -> Flask:
    """Return the gallery; the photos that it draws for itself are `photo_width` pixels wide."""
    app = Flask(__name__, instance_path=instance_path or str(Path(__file__).parent / "instance"))
    instance = Path(app.instance_path)
    app.config.update(
        MAX_CONTENT_LENGTH=25_000_000,
        # Beside the static folder: what is uploaded, and what the gallery draws for itself.
        IMAGEKIT_SOURCE_PREFIXES={"photos": instance / "photos", "uploads": instance / "uploads"},
        IMAGEKIT_MAX_SOURCE_PIXELS=60_000_000,
    )
    images.init_app(app)
    draw_missing(instance / "photos", photo_width)
    uploads = instance / "uploads"

    def show_wall(error: str = "", title: str = "", status: int = 200) -> Response:
        return Response(render_template("wall.html", pictures=pictures(uploads), error=error, title=title), status)

    @app.get("/")
    def index() -> Response:
        return show_wall()

    @app.post("/")
    def add() -> BaseResponse:
        title = request.form.get("title", "").strip()[:80]
        try:
            picture = images.kit.process(request.files.get("photo"), "gallery:upload")
        except UnreadableImage as error:
            # Empty, broken, enormous or no image at all: the form says why.
            return show_wall(f"That picture cannot be hung: {error.reason.rstrip('.')}.", title, 422)
        return redirect(url_for("single", name=hang(uploads, picture, title)), 303)

    @app.get("/pictures/<path:name>")
    def single(name: str) -> str:
        all_pictures = pictures(uploads)
        here = next((place for place, picture in enumerate(all_pictures) if picture.name == name), None)
        if here is None:
            abort(404)
        neighbours = (all_pictures[here - 1], all_pictures[(here + 1) % len(all_pictures)])
        return render_template("picture.html", picture=all_pictures[here], neighbours=neighbours)

    @app.errorhandler(RequestEntityTooLarge)
    def too_large(error: RequestEntityTooLarge) -> Response:
        return show_wall("That picture cannot be hung: it has more than 25 MB.", status=413)

    return app
