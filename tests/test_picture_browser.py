"""Pictures in a real browser: which file it fetches, whether anything moves, and what stands there before."""

from __future__ import annotations

import io
import math
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import pytest
from browser import check, visit
from core_site import settled
from jinja2 import Environment
from PIL import Image

import drawing
from jinja_imagekit import ImageKit

USUAL_CSS = "body{margin:0}img{width:auto;height:auto;max-width:100%;vertical-align:top}"
"""What many style sheets say of images; `auto` sizes collapse under it unless something is done."""


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder with AVIF's media type and, for pages, the content policy that is strictest and usual."""

    extensions_map = {**SimpleHTTPRequestHandler.extensions_map, ".avif": "image/avif", ".webp": "image/webp"}

    def end_headers(self) -> None:
        """Send the policy for pages whose name asks for it."""
        if "strict" in self.path:
            self.send_header("Content-Security-Policy", "default-src 'self'")
        super().end_headers()

    def log_message(self, *args: Any) -> None:
        """Keep quiet."""


class Website:
    """A folder that is served: pages are rendered into it.

    Attributes:
        kit: Its kit.
        url: Where it is served.
    """

    def __init__(self, root: Path, url: str, **settings: Any) -> None:
        self.root, self.url = root, url
        self.images = root / "images"
        self.images.mkdir(exist_ok=True)
        (root / "www").mkdir(exist_ok=True)
        (root / "www" / "favicon.ico").write_bytes(b"")
        folders = {"source_dirs": [self.images], "location": root / "www", "state_dir": root / "state"}
        self.kit = ImageKit(**folders, **settings)

    def photo(self, name: str, width: int, height: int, seed: int = 0) -> None:
        """Draw a source that is quick to encode: wide stripes."""
        image = drawing.photo(max(1, width // 8), max(1, height // 8), seed).resize((width, height))
        settled(self.images / name, drawing.encoded(image, "JPEG"))

    def page(self, name: str, body: str, css: str = USUAL_CSS, head: str = "") -> str:
        """Write a page and return its URL."""
        environment = self.kit.install(Environment(autoescape=True))
        html = environment.from_string(
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Pictures</title>'
            f'<link rel="icon" href="data:,">{head}<style>{css}</style><body>{body}'
        ).render()
        path = self.root / "www" / name
        path.write_text(html, encoding="utf-8")
        return f"{self.url}/{name}"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """Serve a folder, and return it and its URL."""
    root = tmp_path_factory.mktemp("website")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=root / "www"))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield root, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def website(served: tuple[Path, str]) -> Website:
    """Return a website with some photos of 1600 × 1200 pixels."""
    website = Website(*served)
    for seed in range(12):
        website.photo(f"{seed}.jpg", 1600, 1200, seed)
    return website


LAYOUTS = "constrained", "full", "fixed"

TAG = "{{% picture '400x' '{number}.jpg' layout='{layout}' priority={eager} -- alt='' id='{id}' class='{layout}' %}}"


@pytest.fixture(scope="module")
def choices(website: Website) -> str:
    """Return the URL of a page with a picture for each layout, lazy and eager, on the page and in a narrow column."""
    body = ""
    # Each shows another photo: Chromium fetches no smaller file of one that it has already.
    for number, (layout, eager, place) in enumerate(product(LAYOUTS, ("true", "false"), ("page", "column"))):
        tag = TAG.format(number=number, layout=layout, eager=eager, id=f"{layout}-{eager}-{place}")
        body += f"<div class={place}>{tag}</div>"
    css = f"{USUAL_CSS}.column{{width:180px}}img.full{{width:100%}}"
    return website.page("choices.html", body, css)


def chosen_by_chromium(densities: list[float], wanted: float) -> float:
    """Return the density that Chromium chooses, as its `html_srcset_parser.cc` does it."""
    for current, following in pairwise(densities):
        if following < wanted:
            continue
        return following if (current < wanted <= 1) or wanted >= math.sqrt(current * following) else current
    return densities[-1]


def _watched(page: Any) -> tuple[list[str], list[str]]:
    """Return the URLs of images that a page will fetch, and what will stand on its console."""
    fetched: list[str] = []
    messages: list[str] = []
    page.on("request", lambda request: request.resource_type == "image" and fetched.append(request.url))
    page.on("console", lambda message: messages.append(message.text))
    return fetched, messages


_FACTS = """() => [...document.images].map(each => ({
  id: each.id, shown: each.currentSrc, box: each.getBoundingClientRect().width,
  srcset: each.previousElementSibling.srcset,
}))"""


@pytest.mark.parametrize("density", [1, 2, 3])
@pytest.mark.parametrize("window", [400, 800, 1600])
def test_which_file_the_browser_fetches(
    browser: Any, website: Website, choices: str, density: int, window: int
) -> None:
    """A lazy picture is fetched for the width at which it stands, an eager one for what `sizes` says; each once."""
    context = browser.new_context(viewport={"width": window, "height": 6000}, device_scale_factor=density)
    page = context.new_page()
    fetched, _ = _watched(page)
    page.goto(choices, wait_until="load")
    page.wait_for_function("[...document.images].every(each => each.complete && each.naturalWidth)")
    facts = {each.pop("id"): each for each in page.evaluate(_FACTS)}
    context.close()
    assert len(facts) == 12
    for id, found in facts.items():
        layout, eager, place = id.split("-")
        available = 180 if place == "column" else window
        listed = [entry.split() for entry in found["srcset"].split(", ")]
        if layout == "fixed":
            assert found["box"] == min(400, available), id
            densities = [float(label[:-1]) for _, label in listed]
        else:
            assert found["box"] == (available if layout == "full" else min(400, available)), id
            slot = found["box"]
            if eager == "true":
                slot = window if layout == "full" else min(400, window)
            densities = [int(label[:-1]) / slot for _, label in listed]
        url = listed[densities.index(chosen_by_chromium(densities, density))][0]
        assert found["shown"].endswith(url), f"{id}: {found}"
    assert sorted(set(fetched)) == sorted({each["shown"] for each in facts.values()})


LAZY_PAGE = (
    "".join(
        f"<p>{{% picture '{dimensions}' '{name}.jpg' {more} -- alt='A hill' %}}</p>"
        for dimensions, name, more in [
            ("800x", 0, ""),
            ("300x300", 1, ""),
            ("x200", 2, ""),
            ("600x200", 3, "layout='fixed'"),
            ("800x", 1, "widths=[800]"),
            ("500x", 3, "placeholder='blur'"),
            ("500x", 3, "placeholder='color'"),
        ]
    )
    * 2
)


@pytest.mark.parametrize(("window", "density"), [(400, 2), (1280, 1)])
def test_nothing_moves_while_pictures_load(browser: Any, website: Website, window: int, density: int) -> None:
    """A lazy picture has its place before it loads, whatever a usual style sheet says; the console is clean."""
    seen = visit(browser, website.page("lazy.html", LAZY_PAGE), width=window, density=density)
    check(seen)
    for image in seen.images:
        width, height = image.box
        assert width <= window
        assert height > 0


@pytest.mark.parametrize(
    ("window", "box"), [(500, (400, 400)), (600, (400, 400)), (602, (602, 301)), (1000, (800, 400))]
)
def test_an_art_directed_picture_has_the_place_of_its_medium(
    browser: Any, website: Website, window: int, box: tuple[int, int]
) -> None:
    """A lazy one too: it is laid out in the proportions of the source that the window chooses, and stays."""
    tag = "{% picture '800x400' '2.jpg' at={'(max-width: 600px)': '400x400'} -- alt='A hill' %}"
    seen = visit(browser, website.page("directed.html", tag + "<p>More</p>"), width=window)
    assert seen.images[0].box == box
    assert not seen.shifts
    assert not seen.messages


def test_a_lazy_picture_keeps_its_size(browser: Any, website: Website) -> None:
    """Before and after it loads it is as large as it says, and in a narrow column in proportion."""
    url = website.page(
        "size.html",
        "{% picture '800x' '0.jpg' -- alt='' %}<div style='width:180px'>{% picture '800x' '1.jpg' -- alt='' %}</div>"
        "<div style='height:9000px'></div>{% picture '800x' '2.jpg' -- alt='' %}"
        "<div style='width:180px'>{% picture '800x' '3.jpg' -- alt='' %}</div>",
    )
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.goto(url, wait_until="load")
    page.wait_for_function("[0, 1].every(each => document.images[each].complete)")
    boxes = page.evaluate("[...document.images].map(each => [each.offsetWidth, each.offsetHeight, each.complete])")
    assert boxes == [[800, 600, True], [180, 135, True], [800, 600, False], [180, 135, False]]
    context.close()


def test_art_direction_swaps_at_its_breakpoint(browser: Any, website: Website) -> None:
    """On the one side of the breakpoint the browser shows and preloads one crop, on the other the other one."""
    tag = "picture '600x200' '0.jpg' at={'(max-width: 600px)': '200x200'} priority=true alt=''"
    url = website.page(
        "art.html", f"{{% {tag} as p %}}{{{{ p }}}}", head=f"{{% {tag} as early %}}{{{{ early.preload }}}}"
    )
    for window, ratio in ((600, 1), (601, 3)):
        context = browser.new_context(viewport={"width": window, "height": 800})
        page = context.new_page()
        fetched: list[str] = []
        page.on(
            "request", lambda request, fetched=fetched: request.resource_type == "image" and fetched.append(request.url)
        )
        messages: list[str] = []
        page.on("console", lambda message, messages=messages: messages.append(message.text))
        page.goto(url, wait_until="load")
        box = page.evaluate("[document.images[0].offsetWidth, document.images[0].offsetHeight]")
        assert box[0] == pytest.approx(box[1] * ratio, abs=ratio)
        assert len(set(fetched)) == 1
        # Chromium says after some seconds where something was preloaded and not used.
        page.wait_for_timeout(100)
        assert not messages
        context.close()


def test_motion_and_colour_scheme(browser: Any, website: Website) -> None:
    """Who wants less motion sees the first frame, who wants it dark the dark photo."""
    frames = [Image.new("RGB", (100, 80), colour) for colour in ("red", "blue", "green")]
    frames[0].save(website.images / "wheel.gif", save_all=True, append_images=frames[1:], duration=100)
    settled(website.images / "wheel.gif", (website.images / "wheel.gif").read_bytes())
    url = website.page(
        "media.html",
        "{% picture '100x' 'wheel.gif' at={'(prefers-reduced-motion: reduce)': {'still': true}} -- alt='' %}"
        "{% picture '100x' '0.jpg' at={'(prefers-color-scheme: dark)': {'source': '1.jpg'}} -- alt='' %}",
    )
    shown = []
    for motion, scheme in (("reduce", "dark"), ("no-preference", "light")):
        context = browser.new_context(reduced_motion=motion, color_scheme=scheme)
        page = context.new_page()
        page.goto(url, wait_until="load")
        page.wait_for_function("[...document.images].every(each => each.complete && each.naturalWidth)")
        shown.append(page.evaluate("[...document.images].map(each => each.currentSrc)"))
        context.close()
    assert [_frames(website, urls[0]) for urls in shown] == [1, 3]
    assert ["/1/" in urls[1] for urls in shown] == [True, False]


def _frames(website: Website, url: str) -> int:
    with Image.open(website.root / "www" / url.removeprefix(f"{website.url}/")) as image:
        return int(getattr(image, "n_frames", 1))


def test_placeholders_under_the_strictest_usual_policy(browser: Any, website: Website) -> None:
    """Under `default-src 'self'` the style sheet of classes shows them, the place is kept, and nothing is blocked."""
    strict = Website(website.root, website.url, picture_css="class", picture_placeholder="blur")
    (website.root / "www" / "site.css").write_text(USUAL_CSS)
    body = "{% picture '400x' '0.jpg' -- alt='A hill' %}{% picture '300x' '1.jpg' widths=[300] -- alt='' %}"
    head = '<link rel="stylesheet" href="/site.css"><link rel="stylesheet" href="{{ sheet }}">'
    html = strict.kit.install(Environment(autoescape=True)).from_string(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Strict</title>{head}<body>{body}'
    )
    page_path = website.root / "www" / "strict.html"
    page_path.write_text(html.render(sheet=strict.kit.pictures.stylesheet_url), encoding="utf-8")
    context = browser.new_context(viewport={"width": 800, "height": 600})
    page = context.new_page()
    _, messages = _watched(page)
    held: list[Any] = []
    page.route("**/*.avif", lambda route: held.append(route))
    page.goto(f"{website.url}/strict.html", wait_until="domcontentloaded")
    # The page's policy would stop a script that waits in the page itself.
    styled = "getComputedStyle(document.images[0]).backgroundImage.includes('gradient')"
    deadline = time.monotonic() + 30
    while not page.evaluate(styled):
        assert time.monotonic() < deadline
        page.wait_for_timeout(50)
    boxes = page.evaluate("[...document.images].map(each => [each.offsetWidth, each.offsetHeight, each.complete])")
    assert boxes == [[400, 300, False], [300, 225, False]]
    assert not messages
    context.close()


def test_a_preview_stands_where_the_image_will_be(browser: Any, website: Website) -> None:
    """Without a policy it is a data URI in the page itself."""
    url = website.page("preview.html", "{% picture '400x' '0.jpg' placeholder='blur' -- alt='A hill' %}")
    context = browser.new_context(viewport={"width": 800, "height": 600})
    page = context.new_page()
    _, messages = _watched(page)
    held: list[Any] = []
    page.route("**/*.avif", lambda route: held.append(route))
    page.goto(url, wait_until="domcontentloaded")
    shown = page.evaluate("getComputedStyle(document.images[0]).backgroundImage")
    assert shown.startswith('url("data:image/webp;base64,')
    # What a reader sees: the middle of the picture is not the page's white.
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    assert shot.getpixel((200, 150)) != (255, 255, 255)
    assert not messages
    context.close()
