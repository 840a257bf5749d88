"""Litestar: a plain kit, whose middleware goes around the application."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Annotated, Any

import httpx2
import pytest
from core_site import photo_bytes, settled
from flask_site import get
from litestar import Litestar, MediaType
from litestar import get as on_get
from litestar import post as on_post
from litestar.datastructures import UploadFile
from litestar.enums import RequestEncodingType
from litestar.exceptions import HTTPException
from litestar.params import Body
from litestar.plugins.jinja import JinjaTemplateEngine
from litestar.response import Template
from litestar.template.config import TemplateConfig
from test_starlette import serving

from jinja_imagekit import ImageKit
from jinja_imagekit.asgi import ImageKitMiddleware
from jinja_imagekit.exceptions import UnreadableImage

PAGE = "{% thumbnail '40x30' 'canal.jpg' format='WEBP' -- alt='' %}{% picture '80x' 'canal.jpg' -- alt='' %}"


@pytest.fixture
def served(tmp_path: Path) -> Any:
    """Return an application as the guide has it."""
    settled(tmp_path / "photos/canal.jpg", photo_bytes(seed=1))
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates/page.html").write_text(PAGE)
    kit = ImageKit(
        source_dirs=[tmp_path / "photos"],
        location=tmp_path / "made",
        state_dir=tmp_path / "state",
        default_cachefile_strategy="OnRequest",
        keep_notes=False,
    )

    @on_get("/")
    async def page() -> Template:
        return Template("page.html")

    @on_post("/", media_type=MediaType.TEXT, status_code=200)
    async def upload(data: Annotated[UploadFile, Body(media_type=RequestEncodingType.MULTI_PART)]) -> str:
        try:
            picture = await asyncio.to_thread(kit.process, data, format="WEBP")
        except UnreadableImage as error:
            raise HTTPException(error.reason, status_code=422) from error
        return picture.name

    def install(engine: JinjaTemplateEngine) -> None:
        kit.install(engine.engine)

    config = TemplateConfig(directory=tmp_path / "templates", engine=JinjaTemplateEngine, engine_callback=install)
    return ImageKitMiddleware(Litestar([page, upload], template_config=config), kit)


def test_a_page_its_images_and_an_upload(served: Any, tmp_path: Path) -> None:
    """On a real server, with URLs below where the application is mounted."""
    with serving(served) as port:
        text = get(port, "/")[2].decode()
        urls = re.findall(r"/CACHE/[^\s\"]+", text)
        assert len(urls) > 3
        assert not (tmp_path / "made/CACHE").exists()
        for url in urls:
            status, headers, _ = get(port, url)
            assert status == 200
            assert "immutable" in headers["cache-control"]
            assert get(port, url, If_None_Match=headers["etag"])[0] == 304
        assert get(port, "/CACHE/images/none.webp")[0] == 404
        assert post(port, photo_bytes()) == (200, b"me.webp")
        assert post(port, b"no image")[0] == 422
    with serving(served, root_path="/shop") as port:
        assert 'src="/shop/CACHE/' in get(port, "/")[2].decode()


def post(port: int, photo: bytes) -> tuple[int, bytes]:
    """Upload a photo in a form."""
    answer = httpx2.post(f"http://127.0.0.1:{port}/", files={"data": ("me.jpg", photo, "image/jpeg")})
    return answer.status_code, answer.content
