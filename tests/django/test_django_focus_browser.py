"""The admin's field for the focal point, in a browser: by mouse, by keyboard, without inline scripts or styles."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from album.models import Portrait
from browser import started_browser
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.files.base import ContentFile
from django.db import DEFAULT_DB_ALIAS, connections
from django.test import Client, override_settings
from django.test.testcases import LiveServerThread
from PIL import Image

import drawing


class Server(LiveServerThread):
    """Serves the project of the tests, as `runserver` does."""

    def __init__(self) -> None:
        super().__init__(
            "127.0.0.1", StaticFilesHandler, connections_override={DEFAULT_DB_ALIAS: connections[DEFAULT_DB_ALIAS]}
        )


@pytest.fixture
def url(media: Path) -> Iterator[str]:
    """Return the URL of the project's server, which shares the test's transaction."""
    connection = connections[DEFAULT_DB_ALIAS]
    connection.inc_thread_sharing()
    server = Server()
    server.daemon = True
    with override_settings(ALLOWED_HOSTS=["127.0.0.1"], MIDDLEWARE=[*settings.MIDDLEWARE, "album.parts.with_policy"]):
        server.start()
        server.is_ready.wait()
        if server.error:
            raise server.error
        yield f"http://127.0.0.1:{server.port}/admin/album/portrait"
        server.terminate()
        connection.dec_thread_sharing()


@pytest.fixture
def browse(url: str) -> Callable[[Callable[[Any], None]], None]:
    """Return a function that calls another with a page logged into the admin, whose console must stay silent."""
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    cookie = {"name": settings.SESSION_COOKIE_NAME, "value": client.cookies[settings.SESSION_COOKIE_NAME].value}

    def visit(steps: Callable[[Any], None]) -> None:
        complaints: list[str] = []
        with started_browser() as browser:
            context = browser.new_context(viewport={"width": 1000, "height": 900})
            context.add_cookies([{**cookie, "url": f"{url.partition('/admin')[0]}/"}])
            page = context.new_page()
            page.route("**/favicon.ico", lambda route: route.fulfill(status=204))
            page.on("console", lambda message: complaints.append(message.text))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            steps(page)
        assert complaints == []

    def start(steps: Callable[[Any], None]) -> None:
        # Playwright has an event loop in its thread, where Django has no database.
        with ThreadPoolExecutor(1) as pool:
            pool.submit(visit, steps).result()

    return start


def portrait(**fields: Any) -> Portrait:
    made = Portrait(**fields)
    content = drawing.encoded(drawing.with_corners(drawing.photo(400, 200)), "PNG")
    made.image.save("canal.png", ContentFile(content), save=True)
    return made


def text(page: Any) -> str:
    return str(page.input_value("#id_focus"))


def click(page: Any, across: float, down: float) -> None:
    box = page.locator(".imagekit-focus-image").bounding_box()
    page.mouse.click(box["x"] + box["width"] * across, box["y"] + box["height"] * down)


def point(page: Any) -> tuple[float, float]:
    """Return where on the image the point's centre is, as fractions."""
    box, own = (page.locator(each).bounding_box() for each in (".imagekit-focus-image", ".imagekit-focus-point"))
    return (
        round((own["x"] + own["width"] / 2 - box["x"]) / box["width"], 2),
        round((own["y"] + own["height"] / 2 - box["y"]) / box["height"], 2),
    )


def test_editor_clicks_on_what_crops_keep(url: str, browse: Any) -> None:
    """A click moves the point and writes the percentages, which are saved and cut the image."""
    made = portrait()

    def steps(page: Any) -> None:
        page.goto(f"{url}/{made.pk}/change/")
        assert page.get_attribute(".imagekit-focus-point", "aria-valuetext") == "automatic"
        assert point(page) == (0.5, 0.5)
        click(page, 0.1, 0.3)
        assert text(page) == "10% 30%"
        assert point(page) == (0.1, 0.3)
        page.mouse.down()
        box = page.locator(".imagekit-focus-image").bounding_box()
        # Whoever drags beyond the edge means the edge.
        page.mouse.move(box["x"] - 50, box["y"] + box["height"] / 2)
        page.mouse.up()
        assert text(page) == "0% 50%"
        page.click("[name=_save]")
        page.wait_for_selector(".success")

    browse(steps)
    saved = Portrait.objects.get()
    assert saved.focus == "0% 50%"
    with Image.open(saved.square.path) as image:
        found: Any = image.convert("RGB").getpixel((2, 2))
    assert max(abs(a - b) for a, b in zip(found, drawing.CORNERS["top-left"], strict=True)) < 60


def test_point_works_by_keyboard_alone(url: str, browse: Any) -> None:
    """Tab reaches the point; arrows move it, by more with Shift; Delete takes it away; the text may be typed."""
    made = portrait(focus="50% 50%")

    def steps(page: Any) -> None:
        page.goto(f"{url}/{made.pk}/change/")
        page.focus("#id_focus")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.getAttribute('role')") == "slider"
        for key in ("ArrowRight", "Shift+ArrowRight", "ArrowUp", "Shift+ArrowDown"):
            page.keyboard.press(key)
        assert text(page) == "61% 59%"
        assert page.get_attribute(".imagekit-focus-point", "aria-valuetext") == "61% 59%"
        page.keyboard.press("Delete")
        assert text(page) == ""
        page.fill("#id_focus", "20% 0% 40% 50%")
        assert point(page) == (0.3, 0.25)

    browse(steps)


def test_chosen_file_is_shown_before_it_is_saved(url: str, browse: Any, tmp_path: Path) -> None:
    """A file that was chosen is shown, and a click on it counts; the point of the image before is not its own."""
    file = tmp_path / "new.jpg"
    file.write_bytes(drawing.jpeg(300, 600))

    def steps(page: Any) -> None:
        page.goto(f"{url}/add/")
        assert not page.is_visible(".imagekit-focus-image")
        page.set_input_files("#id_image", file)
        page.wait_for_selector(".imagekit-focus-image canvas")
        click(page, 0.5, 0.25)
        assert text(page) == "50% 25%"
        page.click("[name=_continue]")
        page.wait_for_selector(".success")
        assert text(page) == "50% 25%"
        assert page.is_visible(".imagekit-focus-image img")
        page.set_input_files("#id_image", file)
        page.wait_for_selector(".imagekit-focus-image canvas")
        assert text(page) == ""
        page.set_input_files("#id_image", [])
        page.wait_for_selector(".imagekit-focus-image img")
        assert text(page) == "50% 25%"

    browse(steps)
    assert Portrait.objects.get().focus == "50% 25%"
