"""Looks at pages in a headless browser: do the images load, does the layout stay, is the console clean."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

IMAGE_DELAY = 0.05
"""Seconds by which each image is held back, so that the page is laid out and painted before any is there."""

PATIENCE = 30_000
"""Milliseconds after which a page that is not done counts as broken."""

_WATCH_LAYOUT = """
window.layoutShifts = [];
new PerformanceObserver(list => {
  for (const entry of list.getEntries())
    window.layoutShifts.push({value: entry.value, nodes: entry.sources.map(s => s.node ? s.node.nodeName : '?')});
}).observe({type: 'layout-shift', buffered: true});
"""

_SCROLL_THROUGH = """async () => {
  for (let y = 0; y < document.body.scrollHeight; y += innerHeight / 2) {
    scrollTo(0, y);
    await new Promise(done => setTimeout(done, 40));
  }
  await Promise.all([...document.images].map(each => each.complete || new Promise(done => {
    each.addEventListener('load', done);
    each.addEventListener('error', done);
  })));
  await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
}"""

_IMAGES = """() => [...document.images].map(each => ({
  src: each.getAttribute('src'),
  shown: each.currentSrc,
  alt: each.getAttribute('alt'),
  natural: [each.naturalWidth, each.naturalHeight],
  written: [each.getAttribute('width'), each.getAttribute('height')],
  box: [each.getBoundingClientRect().width, each.getBoundingClientRect().height],
  fit: getComputedStyle(each).objectFit,
}))"""


_LOADING = """async () => {
  const facts = [];
  for (const each of document.images) {
    const file = new Image();
    file.src = each.currentSrc;
    await file.decode().catch(() => {});
    facts.push({
      shown: each.currentSrc,
      file: [file.naturalWidth, file.naturalHeight],
      loading: each.loading,
      priority: each.fetchPriority,
      fit: getComputedStyle(each).objectFit,
    });
  }
  return facts;
}"""

_PLACES = """() => [...document.images].map(each => {
  const box = each.getBoundingClientRect();
  return [box.x, box.y, box.width, box.height];
})"""

LARGE = 50_000
"""Square CSS pixels: a smaller image is hardly what a page is waited for (WordPress, since 6.3)."""

NEUTRAL = 2
"""How many images after the first large one may load at once: on a wider window they are in sight."""

SMALL = 200
"""Pixels: a file of which no side is longer costs little, whatever it is shown at."""

OVERSIZE = 1.5
"""How many times as wide as it is shown a file may be: the candidates of a picture are at most half as wide again."""


class SeenImage(NamedTuple):
    """An `<img>` as the browser has it.

    Attributes:
        src: What the page says.
        shown: The URL that was chosen, from `srcset` too.
        alt: Its text; None without the attribute.
        natural: Width and height of the file in CSS pixels; 0 and 0 when it did not load.
        written: The attributes `width` and `height`, or None.
        box: Width and height at which it is laid out, in CSS pixels.
        fit: `object-fit`.
    """

    src: str
    shown: str
    alt: str | None
    natural: tuple[int, int]
    written: tuple[str | None, str | None]
    box: tuple[float, float]
    fit: str


class Visit(NamedTuple):
    """What was seen of a page.

    Attributes:
        url: Its URL.
        images: Its images.
        shifts: Layout shifts and the elements that moved.
        messages: What stands on the console, and requests that failed.
    """

    url: str
    images: list[SeenImage]
    shifts: list[dict[str, Any]]
    messages: list[str]


def chromium_path() -> str | None:
    """Return the path of a Chromium on this machine."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next(filter(None, map(shutil.which, names)), None)


@contextmanager
def started_browser() -> Iterator[Any]:
    """Start a headless Chromium, for as long as the block lasts; where there is none, the test is skipped."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pip install .[test]")
    path = chromium_path()
    if path is None:
        pytest.skip("there is no Chromium on this machine: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        # In a container there may be neither a sandbox for root nor much of /dev/shm.
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        try:
            yield browser
        finally:
            browser.close()


def visit(browser: Any, url: str, width: int = 1200, height: int = 800, density: float = 1) -> Visit:
    """Open a page, scroll through it until all its images are there, and return what was seen.

    Args:
        browser: What `started_browser` yields.
        url: The page.
        width: Of the window, in CSS pixels.
        height: Of the window, in CSS pixels.
        density: Device pixels for each CSS pixel.
    """
    messages: list[str] = []
    context = browser.new_context(viewport={"width": width, "height": height}, device_scale_factor=density)
    try:
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.add_init_script(_WATCH_LAYOUT)
        page.on("console", lambda message: messages.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: messages.append(f"error: {error}"))
        page.on("requestfailed", lambda request: messages.append(f"failed: {request.url}"))
        page.on("response", lambda answer: answer.status >= 400 and messages.append(f"{answer.status}: {answer.url}"))
        page.route("**/*", _hold_images_back)
        page.goto(url, wait_until="load")
        page.evaluate(_SCROLL_THROUGH)
        images = [_seen(facts) for facts in page.evaluate(_IMAGES)]
        return Visit(url, images, page.evaluate("layoutShifts"), messages)
    finally:
        context.close()


def check_loading(browser: Any, url: str, width: int = 1280, height: int = 800, density: float = 1) -> None:
    """Assert that a page loads what is in sight first, the rest when it is near, and nothing larger than it is shown.

    Args:
        browser: What `started_browser` yields.
        url: The page.
        width: Of the window, in CSS pixels.
        height: Of the window, in CSS pixels.
        density: Device pixels for each CSS pixel.
    """
    context = browser.new_context(viewport={"width": width, "height": height}, device_scale_factor=density)
    try:
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(url, wait_until="load")
        places = page.evaluate(_PLACES)
        page.evaluate(_SCROLL_THROUGH)
        images = page.evaluate(_LOADING)
    finally:
        context.close()
    faults = []
    areas = [box[2] * box[3] for box in places]
    # What is half in sight is what the page is waited for.
    large = [place for place, box in enumerate(places) if box[1] + box[3] / 2 < height and areas[place] >= LARGE]
    if large and not any(images[place]["priority"] == "high" for place in large):
        faults.append("nothing large in sight has priority")
    if large and images[max(large, key=areas.__getitem__)]["loading"] == "lazy":
        faults.append("the largest in sight is lazy")
    early = [image for image, box in zip(images, places, strict=True) if box[1] > height and image["loading"] != "lazy"]
    if len(early) > NEUTRAL:
        faults.append(f"{len(early)} images below the fold are not lazy")
    for image, box in zip(images, places, strict=True):
        sides = [file / (shown * density) for file, shown in zip(image["file"], box[2:], strict=True) if shown]
        # A file that is cropped to its box is as large as its longer side needs.
        excess = (min if image["fit"] == "cover" else max)(sides, default=0)
        if excess > OVERSIZE + 0.02 and max(image["file"]) > SMALL:
            faults.append(f"{image['shown'].rpartition('/')[2]} is {excess:.2f} times as large as it is shown")
    assert not faults, f"{url} at {width} pixels: {'; '.join(faults)}"


def check_access(browser: Any, *urls: str) -> None:
    """Assert that axe finds nothing on pages, on a phone in the dark and on a desk in the light.

    Args:
        browser: What `started_browser` yields.
        urls: The pages.
    """
    axe = pytest.importorskip("axe_playwright_python", reason="axe is not installed: pip install .[test]")
    script = Path(axe.__file__).with_name("axe.min.js").read_text(encoding="utf-8")
    faults = []
    for width, scheme in ((400, "dark"), (1280, "light")):
        # The page's own policy would keep axe out.
        context = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, reduced_motion="reduce", bypass_csp=True
        )
        try:
            page = context.new_page()
            page.set_default_timeout(PATIENCE)
            for url in urls:
                page.goto(url, wait_until="load")
                page.evaluate(script)
                for rule in page.evaluate("axe.run().then(found => found.violations)"):
                    places = "; ".join(node["html"][:200] for node in rule["nodes"][:3])
                    faults.append(f"{url} at {width} pixels: {rule['help']} ({rule['id']}): {places}")
        finally:
            context.close()
    assert not faults, "\n".join(faults)


def _hold_images_back(route: Any) -> None:
    if route.request.resource_type == "image":
        time.sleep(IMAGE_DELAY)
    route.continue_()


def _seen(facts: dict[str, Any]) -> SeenImage:
    return SeenImage(**{name: tuple(value) if isinstance(value, list) else value for name, value in facts.items()})


def check(seen: Visit) -> None:
    """Assert that all images of a page loaded in the ratio that is written, that nothing moved or complained."""
    assert seen.images, f"{seen.url} has no image"
    for image in seen.images:
        assert min(image.natural) > 0, f"{seen.url}: {image.shown or image.src} did not load"
        width, height = image.written
        assert width, f"{seen.url}: {image.src} has no width"
        assert height, f"{seen.url}: {image.src} has no height"
        assert image.alt is not None, f"{seen.url}: {image.src} has no alt"
        _check_ratio(image, int(width), int(height), seen.url)
    assert not seen.shifts, f"{seen.url} moves while it loads: {seen.shifts}"
    assert not seen.messages, f"{seen.url}: {seen.messages}"


def _check_ratio(image: SeenImage, width: int, height: int, url: str) -> None:
    # Sizes are whole pixels, so that each may be off by one half.
    natural_width, natural_height = image.natural
    # Those of a file whose width is rounded to CSS pixels, by one.
    tolerance = width / 2 + natural_width + height / 2 + natural_height
    assert abs(natural_width * height - natural_height * width) <= tolerance, f"{url}: {image} is of another ratio"
    if image.fit == "fill":
        box_width, box_height = image.box
        assert abs(box_width * height - box_height * width) <= box_width + box_height, f"{url}: {image} is squeezed"
