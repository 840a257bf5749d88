"""Starlette and FastAPI: templates, cache files, uploads, and an event loop that nothing blocks."""

from __future__ import annotations

import asyncio
import html
import io
import re
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import fastapi
import pytest
import uvicorn
from core_site import photo_bytes, settled
from flask_site import get
from jinja2 import DictLoader, Environment, TemplateNotFound
from PIL import Image
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.templating import Jinja2Templates
from starlette.testclient import TestClient

from jinja_imagekit.cachefiles.strategies import JustInTime, OnRequest
from jinja_imagekit.exceptions import UnreadableImage
from jinja_imagekit.starlette import ImageKit

THUMBNAIL = "{% thumbnail '40x30' 'canal.jpg' format='WEBP' -- alt='' %}"


class Site:
    """An application in a folder, with one photo and a page of each name.

    Attributes:
        images: Its kit.
        app: The application.
        templates: Its templates.
    """

    def __init__(self, root: Path, app: Any = None, is_async: bool = False, **values: Any) -> None:
        self.root = root
        settled(root / "photos/canal.jpg", photo_bytes(seed=1))
        folders = {"source_dirs": [root / "photos"], "location": root / "made", "state_dir": root / "state"}
        self.app = Starlette() if app is None else app
        self.images = ImageKit(self.app, **{**folders, **values})
        self.pages: dict[str, str] = {}
        env = Environment(loader=DictLoader(self.pages), autoescape=True, enable_async=is_async)
        self.templates = self.images.install(Jinja2Templates(env=env))

    def add_page(self, text: str, path: str = "/", **context: Any) -> None:
        """Add a page that is rendered in an `async def`."""
        self.pages[path] = text

        async def page(request: Request) -> Response:
            return self.templates.TemplateResponse(request, path, context)

        self.app.router.routes.append(Route(path, page))

    def made(self) -> list[Path]:
        """Return the cache files that exist."""
        return sorted((self.root / "made/CACHE").rglob("*.*"))


@contextmanager
def serving(app: Any, **options: Any) -> Iterator[int]:
    """Serve an application by a real server, and yield the port."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="on", **options))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


def url_in(page: bytes | str) -> str:
    text = page.decode() if isinstance(page, bytes) else page
    found = re.search('src="([^"]+)"', text)
    assert found, text
    return html.unescape(found[1])


def test_a_page_and_its_image_over_http(tmp_path: Path) -> None:
    """The page makes nothing; the image is made when it is asked for."""
    site = Site(tmp_path)
    site.add_page(THUMBNAIL)
    with serving(site.app) as port:
        status, headers, page = get(port, "/")
        assert (status, int(headers["content-length"])) == (200, len(page))
        assert site.made() == []
        status, _, image = get(port, url_in(page))
        [made] = site.made()
        assert (status, image) == (200, made.read_bytes())


@pytest.mark.parametrize(
    "path",
    [
        "/CACHE/images/nothing.webp",
        "/CACHE/images/../../state/x",
        "/CACHE/images/%2e%2e/%2e%2e/photos/canal.jpg",
        "/CACHE/images//etc/passwd",
        "/CACHE/images/a%00b.webp",
        "/CACHE/images/",
        "/CACHE/images",
        "/.imagekit-promised/CACHE/images/x",
    ],
)
def test_nothing_else_of_the_disk_is_served(tmp_path: Path, path: str) -> None:
    """What is no cache file is the application's, with its own page for what is not found."""

    async def missing(request: Request, error: Exception) -> Response:
        return PlainTextResponse("our own page", 404)

    site = Site(tmp_path, Starlette(exception_handlers={404: missing}))
    site.add_page(THUMBNAIL)
    with serving(site.app) as port:
        get(port, "/")
        status, _, body = get(port, path)
        assert (status, body) == (404, b"our own page")


def test_urls_begin_where_the_application_is_mounted(tmp_path: Path) -> None:
    """In an application of its own, below one or two others, and behind a proxy that says so."""
    site = Site(tmp_path)
    site.add_page(THUMBNAIL)
    inner = Starlette(routes=[Mount("/b c", site.app)])
    for app, root in (
        (site.app, ""),
        (Starlette(routes=[Mount("/shop", site.app)]), "/shop"),
        (Starlette(routes=[Mount("/a", inner)]), "/a/b%20c"),
    ):
        client = TestClient(app)
        url = url_in(client.get(f"{root}/").text)
        assert url.startswith(f"{root}/CACHE/images/")
        assert client.get(url).status_code == 200
    with serving(site.app, root_path="/proxied") as port:
        url = url_in(get(port, "/")[2])
        assert url.startswith("/proxied/CACHE/")
        assert get(port, url.removeprefix("/proxied"))[0] == 200


def test_a_base_url_is_below_the_root_and_one_of_another_host_is_used_as_it_is(tmp_path: Path) -> None:
    """A delivery network fetches from the application."""
    site = Site(tmp_path / "a", base_url="/media/")
    site.add_page(THUMBNAIL)
    client = TestClient(Starlette(routes=[Mount("/shop", site.app)]))
    url = url_in(client.get("/shop/").text)
    assert url.startswith("/shop/media/CACHE/")
    assert client.get(url).status_code == 200
    site = Site(tmp_path / "b", base_url="https://cdn.example/media/")
    site.add_page(THUMBNAIL)
    client = TestClient(site.app)
    url = url_in(client.get("/").text)
    assert url.startswith("https://cdn.example/media/CACHE/")
    assert client.get(url.removeprefix("https://cdn.example")).status_code == 200


class Blocking:
    """A processor that waits until somebody else was served meanwhile."""

    def __init__(self) -> None:
        self.begun, self.released = threading.Event(), threading.Event()

    def process(self, image: Image.Image) -> Image.Image:
        """Wait, for a minute at most."""
        self.begun.set()
        assert self.released.wait(60)
        return image

    def output_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the size, which stays."""
        return size

    def fingerprint(self) -> str:
        """Return what stands for all of them."""
        return "blocking"


@pytest.mark.parametrize("is_async", [False, True], ids=["templates", "asynchronous templates"])
@pytest.mark.parametrize("strategy", [JustInTime, OnRequest])
def test_no_image_in_the_making_keeps_another_visitor_waiting(tmp_path: Path, strategy: Any, is_async: bool) -> None:
    """Neither a page that makes its images, nor an image that is made when it is asked for, blocks the event loop."""
    blocking = Blocking()
    site = Site(tmp_path, is_async=is_async, default_cachefile_strategy=strategy)
    site.images.spec("blocking", processors=[blocking])
    site.add_page("{% generateimage 'blocking' source='canal.jpg' -- alt='' %}")
    site.add_page("other", "/other")
    with serving(site.app) as port:
        answers: list[int] = []

        def visit() -> None:
            answers.append(get(port, url_in(get(port, "/")[2]))[0])

        visitor = threading.Thread(target=visit)
        visitor.start()
        assert blocking.begun.wait(60)
        assert get(port, "/other")[2] == b"other"
        assert answers == []
        blocking.released.set()
        visitor.join()
        assert answers == [200]


def test_those_who_ask_for_the_same_image_wait_for_one_maker(tmp_path: Path) -> None:
    """Sixty who ask at once take no thread each, and if one of them goes away, the others get the image."""
    blocking = Blocking()
    site = Site(tmp_path)
    site.images.spec("blocking", processors=[blocking])
    site.add_page("{% generateimage 'blocking' source='canal.jpg' -- alt='' %}")

    async def ask() -> list[int]:
        import httpx2

        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(site.app), base_url="http://test") as client:
            url = url_in((await client.get("/")).text)
            asking = [asyncio.create_task(client.get(url)) for _ in range(60)]
            await asyncio.to_thread(blocking.begun.wait, 60)
            asking[0].cancel()
            blocking.released.set()
            return [(await each).status_code for each in asking[1:]]

    assert asyncio.run(ask()) == [200] * 59


def test_fastapi_in_both_kinds_of_handlers(tmp_path: Path) -> None:
    """Responses that are rendered later have their status, headers, cookies, context and background tasks."""
    app = fastapi.FastAPI()
    site = Site(tmp_path, app)
    site.pages["page"] = THUMBNAIL + "{{ word }} {{ url_for('later') }}"
    site.templates.context_processors.append(lambda request: {"word": "said"})
    done: list[str] = []

    def answer(request: fastapi.Request) -> Response:
        task = BackgroundTask(done.append, request.url.path)
        response = site.templates.TemplateResponse(
            request, "page", {}, status_code=203, headers={"X-Own": "yes"}, media_type="text/x-own", background=task
        )
        response.set_cookie("a", "b")
        return response

    @app.get("/later")
    async def later(request: fastapi.Request) -> Response:
        return answer(request)

    @app.get("/at-once")
    def at_once(request: fastapi.Request) -> Response:
        return answer(request)

    client = TestClient(app)
    answers = [client.get(path) for path in ("/later", "/at-once")]
    for each in answers:
        assert each.status_code == 203
        assert "said http://testserver/later" in each.text
        assert each.headers["content-type"].startswith("text/x-own")
        assert (each.headers["x-own"], each.cookies["a"]) == ("yes", "b")
        assert int(each.headers["content-length"]) == len(each.content)
        assert each.context["word"] == "said"  # type: ignore[attr-defined]  # the test client's own
    assert answers[0].text == answers[1].text
    assert done == ["/later", "/at-once"]


def test_an_error_of_a_page_reaches_the_handlers(tmp_path: Path) -> None:
    """One in a template that is rendered later, and that of a template that does not exist."""

    async def teapot(request: Request, error: Exception) -> Response:
        return PlainTextResponse(str(error), 418)

    site = Site(tmp_path, Starlette(exception_handlers={UnreadableImage: teapot, TemplateNotFound: teapot}))
    settled(tmp_path / "photos/broken.jpg", b"no image")
    site.add_page("{% thumbnail '40x30' 'broken.jpg' -- alt='' %}")

    async def missing(request: Request) -> Response:
        return site.templates.TemplateResponse(request, "missing.html")

    site.app.router.routes.append(Route("/missing", missing))
    client = TestClient(site.app)
    answer = client.get("/")
    assert answer.status_code == 418
    assert "broken.jpg" in answer.text
    assert client.get("/missing").status_code == 418


def test_an_upload(tmp_path: Path) -> None:
    """It is read as it is passed on by FastAPI, and made in a thread; what is no image is an error with its reason."""
    app = fastapi.FastAPI()
    site = Site(tmp_path, app)

    @app.post("/")
    async def take(photo: fastapi.UploadFile) -> dict[str, Any]:
        try:
            picture = await site.images.process_in_thread(photo, format="WEBP")
        except UnreadableImage as error:
            raise HTTPException(422, error.reason) from error
        return {"name": picture.name, "width": picture.width}

    client = TestClient(app)
    answer = client.post("/", files={"photo": ("C:\\me & you.jpg", photo_bytes(), "image/jpeg")})
    assert answer.json() == {"name": "me-you.webp", "width": 96}
    answer = client.post("/", files={"photo": ("me.jpg", io.BytesIO(b"x" * 2_000_000), "image/jpeg")})
    assert answer.status_code == 422
    assert answer.json()["detail"]


def test_the_kit_closes_with_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And an application with a lifespan of its own keeps it."""
    said: list[str] = []

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        said.append("begun")
        yield
        said.append("ended")

    site = Site(tmp_path, Starlette(lifespan=lifespan))
    monkeypatch.setattr(type(site.images), "close", lambda kit: said.append("closed"))
    site.add_page(THUMBNAIL)
    with serving(site.app) as port:
        assert get(port, "/")[0] == 200
    assert said == ["begun", "ended", "closed"]


def test_settings_of_its_own_and_from_elsewhere(tmp_path: Path) -> None:
    """Images are made on request unless told otherwise; settings that were made elsewhere are used as they are."""
    kit = ImageKit(source_dirs=[tmp_path])
    assert isinstance(kit.cachefile_strategy, OnRequest)
    assert kit.settings.keep_notes is False
    assert isinstance(ImageKit(default_cachefile_strategy="JustInTime").cachefile_strategy, JustInTime)
    elsewhere = kit.settings.replace(default_cachefile_strategy=JustInTime)
    assert isinstance(ImageKit(settings=elsewhere).cachefile_strategy, JustInTime)


def test_it_installs_into_plain_environments_too(tmp_path: Path) -> None:
    """Such as those of mails."""
    site = Site(tmp_path)
    env = site.images.install(Environment(autoescape=True))
    assert "CACHE/images" in env.from_string(THUMBNAIL).render()
