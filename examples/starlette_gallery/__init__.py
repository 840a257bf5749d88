"""A walk in eight days, in Starlette: `uvicorn --app-dir examples starlette_gallery:app`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.templating import Jinja2Templates

import drawing
from jinja_imagekit.exceptions import UnreadableImage
from jinja_imagekit.starlette import ImageKit

DAYS = (
    ("col", "Over the col", "19 km", 5),
    ("larches", "Down through larches", "14 km", 7),
    ("tarn", "Two tarns", "17 km", 8),
    ("scree", "Scree all morning", "11 km", 9),
    ("hut", "The hut was full", "21 km", 12),
    ("mist", "Mist until noon", "12 km", 16),
    ("ridge", "The long ridge", "23 km", 18),
)
HERE = Path(__file__).parent
INSTANCE = Path(os.environ.get("GALLERY_INSTANCE", HERE / "instance"))

photos, uploads = INSTANCE / "photos", INSTANCE / "uploads"
photos.mkdir(parents=True, exist_ok=True)
for stem, _, _, seed in (("start", "", "", 6), *DAYS):
    if not (photos / f"{stem}.jpg").exists():
        (photos / f"{stem}.jpg").write_bytes(drawing.jpeg(2000, 1250, seed, quality=88))

images = ImageKit(
    source_prefixes={"photos": photos, "uploads": uploads},
    location=INSTANCE / "made",
    state_dir=INSTANCE / "state",
    max_source_pixels=60_000_000,
)
templates = images.install(Jinja2Templates(HERE / "templates"))


def show(request: Request, **context: Any) -> Response:
    """Return the page: nothing is made for it, so that it is there at once."""
    visitors = sorted(uploads.glob("*"), key=lambda path: path.stat().st_mtime, reverse=True)
    walk = {"days": DAYS, "visitors": [f"uploads/{path.name}" for path in visitors], **context}
    return templates.TemplateResponse(request, "walk.html", walk, status_code=422 if context else 200)


async def index(request: Request) -> Response:
    """Show the walk."""
    return show(request)


async def add(request: Request) -> Response:
    """Take a photo of somebody who walked it too."""
    async with request.form(max_files=1, max_part_size=25_000_000) as form:
        try:
            photo = await images.process_in_thread(form.get("photo"), format="JPEG")
        except UnreadableImage as error:
            return show(request, error=error.reason.rstrip("."))
    photo.save(uploads / photo.unique_name)
    return RedirectResponse(request.url_for("index"), 303)


app = Starlette(routes=[Route("/", index), Route("/", add, methods=["POST"])])
images.init_app(app)
