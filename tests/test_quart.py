"""Quart: a plain kit, whose middleware wraps the application."""

from __future__ import annotations

import asyncio
import io
import re
from pathlib import Path

import pytest
from core_site import photo_bytes, settled
from quart import Quart, render_template_string, request
from quart.datastructures import FileStorage

from jinja_imagekit import ImageKit
from jinja_imagekit.asgi import ImageKitMiddleware
from jinja_imagekit.exceptions import UnreadableImage

PAGE = "{% thumbnail '40x30' 'canal.jpg' format='WEBP' -- alt='' %}{% picture '80x' 'canal.jpg' -- alt='' %}"


@pytest.fixture
def site(tmp_path: Path) -> Quart:
    """Return an application as the guide has it."""
    settled(tmp_path / "photos/canal.jpg", photo_bytes(seed=1))
    app = Quart("album", root_path=str(tmp_path))
    kit = ImageKit(
        source_dirs=[tmp_path / "photos"],
        location=tmp_path / "made",
        state_dir=tmp_path / "state",
        default_cachefile_strategy="OnRequest",
        keep_notes=False,
    )
    kit.install(app.jinja_env)
    app.asgi_app = ImageKitMiddleware(app.asgi_app, kit)  # type: ignore[method-assign]  # as Quart's docs say

    @app.get("/")
    async def page() -> str:
        return await render_template_string(PAGE)

    @app.post("/")
    async def upload() -> tuple[dict[str, str], int]:
        photo = (await request.files).get("photo")
        try:
            picture = await asyncio.to_thread(kit.process, photo, format="WEBP")
        except UnreadableImage as error:
            return {"error": error.reason}, 422
        return {"name": picture.name}, 200

    return app


def test_a_page_and_its_images(site: Quart, tmp_path: Path) -> None:
    """In an asynchronous environment, with URLs below where the application is mounted."""

    async def visit() -> None:
        client = site.test_client()
        text = await (await client.get("/")).get_data(as_text=True)
        urls = re.findall(r"/CACHE/[^\s\"]+", text)
        assert len(urls) > 3
        assert not (tmp_path / "made/CACHE").exists()
        for url in urls:
            answer = await client.get(url)
            assert answer.status_code == 200
            assert "immutable" in answer.headers["Cache-Control"]
            again = await client.get(url, headers={"If-None-Match": answer.headers["ETag"]})
            assert again.status_code == 304
        assert (await client.get("/CACHE/images/none.webp")).status_code == 404
        mounted = await (await client.get("/shop/", root_path="/shop")).get_data(as_text=True)
        assert 'src="/shop/CACHE/' in mounted

    asyncio.run(visit())


def test_an_upload(site: Quart) -> None:
    """What is an image, and what is none."""

    async def send(name: str, data: bytes) -> tuple[int, dict[str, str]]:
        answer = await site.test_client().post("/", files={"photo": FileStorage(io.BytesIO(data), name)})
        return answer.status_code, await answer.get_json()

    assert asyncio.run(send("me.jpg", photo_bytes())) == (200, {"name": "me.webp"})
    assert asyncio.run(send("me.jpg", b"no image"))[0] == 422
