"""What pictures write is valid HTML, as the Nu validator reads it, for sources and keywords of every kind."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from core_site import settled
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jinja2 import Environment
from PIL import Image

import drawing
from jinja_imagekit import ImageKit

ROOT = Path(__file__).resolve().parents[1]

PAGES = 200

HEALTH = list(HealthCheck)

SOURCES = {
    "wide.jpg": (900, 300),
    "tall.jpg": (300, 900),
    "large.jpg": (2400, 1800),
    "small.jpg": (40, 30),
    "dot.jpg": (1, 1),
    "thin.png": (1, 400),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with sources of all kinds."""
    folder = tmp_path_factory.mktemp("sources")
    for name, size in SOURCES.items():
        format = "PNG" if name.endswith("png") else "JPEG"
        settled(folder / name, drawing.encoded(Image.new("RGB", size, "teal"), format))
    exif = Image.Exif()
    exif[0x0112] = 6
    settled(folder / "turned.jpg", drawing.encoded(Image.new("RGB", (400, 300)), "JPEG", exif=exif.tobytes()))
    settled(folder / "clear.png", drawing.encoded(Image.new("RGBA", (300, 200), (9, 9, 9, 9)), "PNG"))
    frames = [Image.new("RGB", (200, 100), colour) for colour in ("red", "blue")]
    frames[0].save(folder / "wheel.gif", save_all=True, append_images=frames[1:], duration=90)
    settled(folder / "wheel.gif", (folder / "wheel.gif").read_bytes())
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" width="120" height="80"><path d="M0 0h9v9z"/></svg>'
    settled(folder / "logo.svg", svg)
    return folder


names = st.sampled_from([*SOURCES, "turned.jpg", "clear.png", "wheel.gif", "logo.svg"])
sides = st.integers(1, 2000)
dimensions = st.one_of(
    st.builds("{}x{}".format, sides, sides), st.builds("{}x".format, sides), st.builds("x{}".format, sides)
)
formats = st.lists(st.sampled_from(["AVIF", "WEBP", "JPEG", "PNG", "GIF"]), min_size=1, max_size=3, unique=True)
focus = st.sampled_from(["auto", "70% 30%", (0.1, 0.9), (0.2, 0.1, 0.6, 0.9), "tl"])
QUERIES = (
    "(max-width: 600px)",
    "(min-width: 601px) and (max-width: 900px)",
    "print",
    "(prefers-color-scheme: dark)",
    "(prefers-reduced-motion: reduce)",
    "screen and (orientation: portrait), (max-width: 10em)",
)
queries = st.sampled_from(QUERIES)
directions = st.one_of(
    dimensions,
    st.fixed_dictionaries(
        {},
        optional={
            "size": dimensions,
            "source": names,
            "focus": focus,
            "widths": st.lists(sides, min_size=1, max_size=3),
            "sizes": st.just("50vw"),
            "formats": formats,
            "still": st.booleans(),
        },
    ),
)


def without_sizes(given: dict[str, Any]) -> dict[str, Any]:
    """Return keywords without `sizes`, beside which a fixed width is an error."""
    kept = {name: value for name, value in given.items() if name != "sizes"}
    if "at" in kept:
        entries = kept["at"].items()
        kept["at"] = {query: without_sizes(each) if isinstance(each, dict) else each for query, each in entries}
    return kept


keywords = st.fixed_dictionaries(
    {},
    optional={
        "layout": st.sampled_from(["constrained", "full", "fixed"]),
        "widths": st.lists(sides, min_size=1, max_size=6),
        "sizes": st.sampled_from(["50vw", "(min-width: 60em) 400px, calc(100vw - 2em)"]),
        "formats": formats,
        "at": st.dictionaries(queries, directions, max_size=3),
        "focus": focus,
        "priority": st.booleans(),
        "placeholder": st.sampled_from(["blur", "color", "none"]),
        "quality": st.integers(1, 100),
        "crop": st.sampled_from([None, False]),
    },
).map(lambda given: without_sizes(given) if given.get("layout") == "fixed" else given)
# Of an author's own words the validator has opinions, such as that none begins with a combining accent.
TEXT = st.text(st.characters(codec="latin-1", exclude_categories=["C"]), max_size=20)

attributes = st.fixed_dictionaries(
    {"alt": TEXT},
    optional={
        "class": st.just("wide"),
        "width": st.integers(1, 500),
        "height": st.integers(1, 500),
        "loading": st.sampled_from(["lazy", "eager"]),
        "decoding": st.sampled_from(["sync", "auto"]),
        "style": st.just("margin:0"),
        "hidden": st.booleans(),
        "title": TEXT,
    },
)

TEMPLATE = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Pictures</title>{head}</head>
<body><p>{body}</p></body></html>
"""


def validator() -> list[str]:
    """Return the command of the Nu validator; the test is skipped where there is none."""
    jar = Path(
        os.environ.get("VNU_JAR", ROOT / "build" / "validator" / "node_modules" / "vnu-jar" / "build/dist/vnu.jar")
    )
    java = shutil.which("java")
    if java is None or not jar.is_file():
        pytest.skip("there is no Nu validator: .ci/run installs it where npm and Java are")
    return [java, "-Xss8m", "-jar", str(jar), "--format", "json", "--exit-zero-always"]


@pytest.mark.parametrize("css", ["style", "class"])
def test_pages_are_valid(folder: Path, tmp_path: Path, css: str) -> None:
    """The validator finds nothing in 200 pages of pictures, their preloads and thumbnails of several sizes."""
    command = validator()
    kit = ImageKit(
        source_dirs=[folder],
        location=tmp_path / "out",
        state_dir=tmp_path / "state",
        default_cachefile_strategy="jinja_imagekit.cachefiles.strategies.Deferred",
        picture_css=css,
        keep_notes=False,
    )
    kit.install(Environment(autoescape=True))
    pages = tmp_path / "pages"
    pages.mkdir()
    written = []

    # In the order of their seed, so that a failure is the same everywhere.
    @settings(max_examples=PAGES, derandomize=True, database=None, deadline=None, suppress_health_check=HEALTH)
    @given(names, dimensions, keywords, attributes)
    def write(name: str, size: str, kwargs: dict[str, Any], attributes: dict[str, Any]) -> None:
        picture = kit.picture(size, name, **kwargs)
        page = TEMPLATE.format(head=picture.preload, body=picture.html_with(attributes))
        path = pages / f"{len(written)}.html"
        path.write_text(page, "utf-8")
        written.append(path)

    write()
    assert len(written) >= PAGES
    done = subprocess.run([*command, *map(str, written)], capture_output=True, text=True, check=True, timeout=300)
    messages = [each for each in json.loads(done.stderr)["messages"] if not is_mistaken(each)]
    shown = [f"{each['url'].rsplit('/', 1)[-1]}: {each['message']} … {each.get('extract', '')}" for each in messages]
    assert not shown, "\n".join(shown[:10])


def is_mistaken(message: dict[str, Any]) -> bool:
    """Tell whether the validator is wrong, as it is until 26.9 where a `<picture>` has several `<source>`s.

    It looks for the `<img>` of a source in the next element alone, though HTML (4.8.4.2.2 "Sizes attributes") allows
    `auto` on each source of an image that loads lazily; without it a browser takes the window's width for the image's.
    And it blames each source without `sizes` for the width descriptors that another one has.
    """
    path = Path(message["url"].removeprefix("file:"))
    if "attribute value starting with “auto” is only valid for lazy-loaded images" in message["message"]:
        return ' loading="lazy" ' in path.read_text("utf-8").rpartition("<img ")[2]
    if "any image candidate string with a width descriptor" in message["message"]:
        blamed = message["extract"][message["hiliteStart"] :][: message["hiliteLength"]]
        srcset = blamed.partition('srcset="')[2].partition('"')[0]
        return blamed.startswith("<source") and not re.search(r" \d+w", srcset)
    return False
