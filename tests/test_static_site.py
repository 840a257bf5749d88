"""The static example site builds, and every image on its pages is right."""

from __future__ import annotations

import html
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import sysconfig
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from browser import check_access, started_browser
from PIL import Image, ImageChops, ImageFilter, ImageStat

import drawing

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"

SCALE = 4
"""The site's photos are drawn this many times smaller, so that a build takes seconds."""


class Images(HTMLParser):
    """Collects the attributes of the `<img>` elements of a page."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: list[dict[str, str]] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.found.append({name: value or "" for name, value in attrs})


def load_collection(site: Path) -> Any:
    module_spec = importlib.util.spec_from_file_location("static_site_collection", site / "collection.py")
    assert module_spec
    assert module_spec.loader
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[module_spec.name] = module
    module_spec.loader.exec_module(module)
    return module


def run(site: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=site, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a built copy of the example, with photos a quarter as wide."""
    examples = tmp_path_factory.mktemp("site") / "examples"
    ignored = shutil.ignore_patterns("output", ".imagekit", "content", "__pycache__")
    shutil.copytree(EXAMPLES, examples, ignore=ignored)
    folder = examples / "static_site"
    photo = drawing.photo

    def smaller(width: int, height: int, seed: int = 0) -> Image.Image:
        # The animations are small already, and their ball is placed for that size.
        return photo(width, height, seed) if width <= 600 else photo(width // SCALE, height // SCALE, seed)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing, "photo", smaller)
        patch.setattr(sys, "path", [*sys.path])
        load_collection(folder).draw_missing(folder / "content/images")
    result = run(folder, sys.executable, "build.py")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 photos drawn" in result.stdout
    return folder


def pages(site: Path) -> list[Path]:
    return sorted((site / "output").rglob("*.html"))


def result_of(site: Path, name: str) -> Image.Image:
    """Return what the first page shows of a picture."""
    stem = Path(name).stem
    source = next(each["src"] for each in Images(site / "output/index.html").found if f"/{stem}/" in each["src"])
    with Image.open(site / "output" / source.lstrip("/")) as image:
        image.load()
        return image.copy()


def expected(width: int, height: int, seed: int, size: tuple[int, int]) -> Image.Image:
    return drawing.photo(width // SCALE, height // SCALE, seed).resize(size, Image.Resampling.LANCZOS)


def difference(first: Image.Image, second: Image.Image) -> float:
    # Grain depends on the encoder; colours and tones are what is compared.
    calm = [image.filter(ImageFilter.GaussianBlur(3)) for image in (first, second)]
    return max(ImageStat.Stat(ImageChops.difference(*calm)).mean)


def test_each_picture_has_a_page_and_a_place_on_the_first(site: Path) -> None:
    """The first page shows the hero and all pictures, and each picture has its own page."""
    pictures = load_collection(site).PICTURES
    assert len(pictures) >= 12
    assert len(Images(site / "output/index.html").found) == 1 + len(pictures)
    assert {page.stem for page in pages(site)} == {"index", *(picture.slug for picture in pictures)}


def test_every_image_on_the_pages_exists_with_the_size_that_is_written(site: Path) -> None:
    """Width and height in the HTML are those of the file; each candidate of a srcset exists too."""
    for page in pages(site):
        for attributes in Images(page).found:
            with Image.open(page.parent / attributes["src"]) as image:
                assert image.size == (int(attributes["width"]), int(attributes["height"])), page
            for candidate in filter(None, attributes.get("srcset", "").split(", ")):
                assert (page.parent / candidate.split()[0]).is_file(), page


def test_a_second_build_makes_no_image(site: Path) -> None:
    """Nothing changed, so nothing is written again."""
    cached = sorted((site / "output/CACHE").rglob("*.*"))
    before = [path.stat().st_mtime_ns for path in cached]
    result = run(site, sys.executable, "build.py")
    assert "0 images made" in result.stdout, result.stdout + result.stderr
    assert [path.stat().st_mtime_ns for path in cached] == before


def test_the_command_finds_the_sites_kit(site: Path) -> None:
    """`jinja-imagekit --kit mysite:kit generate` makes what was deleted, and ends with status 0."""
    victim = next((site / "output/CACHE/images/photos/embers").glob("*"))
    victim.unlink()
    command = Path(sysconfig.get_path("scripts")) / "jinja-imagekit"
    result = run(site, str(command), "--kit", "mysite:kit", "generate")
    assert result.returncode == 0, result.stdout + result.stderr
    assert victim.is_file()


@pytest.mark.parametrize("name", ["upright-phone", "front-camera"])
def test_turned_photos_are_upright(site: Path, name: str) -> None:
    """The corner marks are where they are on the upright picture, and no orientation tag is left."""
    image = result_of(site, name).convert("RGB")
    width, height = image.size
    inset = min(image.size) // 16
    places = {
        "top-left": (inset, inset),
        "top-right": (width - inset, inset),
        "bottom-left": (inset, height - inset),
    }
    for corner, place in places.items():
        pixel = image.getpixel(place)
        assert isinstance(pixel, tuple)
        assert max(abs(a - b) for a, b in zip(pixel, drawing.CORNERS[corner], strict=True)) < 25, corner
    assert 0x0112 not in result_of(site, name).getexif()


@pytest.mark.parametrize(
    ("name", "seed"), [("wide-gamut", 6), ("red-for-blue", 21), ("four-inks", 17), ("on-press", 25), ("private", 18)]
)
def test_colours_are_those_of_the_original(site: Path, name: str, seed: int) -> None:
    """Whatever profile or ink a photo was stored in, its sRGB result looks like what was drawn."""
    image = result_of(site, name)
    assert image.mode == "RGB"
    assert "icc_profile" not in image.info
    assert difference(image, expected(1500, 1000, seed, image.size)) < 3


@pytest.mark.parametrize(
    ("name", "size", "seed"), [("grey-profile", (1500, 1000), 13), ("sixteen-bits", (1000, 750), 15)]
)
def test_greys_are_neither_black_nor_white(site: Path, name: str, size: tuple[int, int], seed: int) -> None:
    """A linear grey is brightened by its profile, and sixteen bits are scaled."""
    image = result_of(site, name).convert("L")
    assert difference(image, expected(*size, seed, image.size).convert("L")) < 3


@pytest.mark.parametrize("name", ["soft-edge", "grey-soft-edge", "palette", "rolling-through"])
def test_transparency_is_kept(site: Path, name: str) -> None:
    """The corner of the result is transparent, something else is not."""
    alpha = result_of(site, name).convert("RGBA").getchannel("A")
    assert alpha.getpixel((0, 0)) == 0
    assert alpha.getextrema()[1] == 255


@pytest.mark.parametrize("name", ["rolling", "rolling-through"])
def test_animations_move_on(site: Path, name: str) -> None:
    """All seven frames are in the result, in its card and on its page."""
    files = list((site / "output/CACHE/images/special" / name).glob("*"))
    assert files
    for file in files:
        with Image.open(file) as image:
            assert getattr(image, "n_frames", 1) == 7, file.name


def test_no_result_tells_where_a_photo_was_taken(site: Path) -> None:
    """No file on the site holds a position, a camera or a name."""
    files = list((site / "output/CACHE").rglob("*.*"))
    assert len(files) >= 20
    for file in files:
        data = file.read_bytes()
        assert b"Ann Author" not in data
        assert b"Camera Works" not in data


PROBE = """
<script>
addEventListener('load', () => {
  const seen = [...document.images].map(i => [i.src, i.naturalWidth, i.naturalHeight, i.width, i.height]);
  document.body.innerHTML = '<pre id="seen"></pre>';
  document.getElementById('seen').textContent = JSON.stringify(seen);
});
</script>
"""

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium; .ci/run installs it on Debian")
@pytest.mark.parametrize("page", ["index.html", "pictures/palette.html", "pictures/upright-phone.html"])
def test_a_browser_shows_every_image(site: Path, page: str, tmp_path: Path) -> None:
    """Opened as a file, each image of a page is decoded, and laid out in its own proportions."""
    copy = shutil.copytree(site / "output", tmp_path / "output")
    text = (copy / page).read_text(encoding="utf-8").replace('loading="lazy"', "")
    (copy / page).write_text(text.replace("</body>", PROBE + "</body>"), encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command = [str(CHROMIUM), *options, "--virtual-time-budget=20000", "--dump-dom", (copy / page).as_uri()]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    found = re.search(r'<pre id="seen">(.*?)</pre>', result.stdout, re.DOTALL)
    assert found, result.stdout[-2000:] + result.stderr[-2000:]
    seen = json.loads(html.unescape(found[1]))
    assert seen
    for source, natural_width, natural_height, width, height in seen:
        assert natural_width > 0, f"{source} did not load"
        is_hero = page == "index.html" and "first-light" in source and width > 600
        assert is_hero or width / height == pytest.approx(natural_width / natural_height, rel=0.03), source


def test_the_pages_are_accessible(site: Path) -> None:
    """axe finds nothing on the first page and those of pictures, on a phone in the dark and on a desk in the light."""
    with started_browser() as browser:
        check_access(browser, *(page.as_uri() for page in pages(site)[:3]))
