"""What a phone loads of a page: as Chromium does, and with the bytes of the files that the page means."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser import PATIENCE, started_browser
from jinja2 import Environment

import drawing
from jinja_imagekit import ImageKit
from jinja_imagekit.markup.weight import PHONE, weigh, weigh_folder

PHOTOS = {f"{width}.{format}": width for format in ("jpg", "webp") for width in (200, 400, 600, 800, 1000, 1600)}
WIDTHS = ", ".join(f"{width}.jpg {width}w" for width in (200, 400, 600, 800, 1000, 1600))
WEBP = WIDTHS.replace("jpg", "webp")

PAGES = {
    "by_width": f'<img src="200.jpg" srcset="{WIDTHS}" sizes="100vw">',
    "without_sizes": f'<img src="200.jpg" srcset="{WIDTHS}">',
    "between_two": f'<img src="200.jpg" srcset="{WIDTHS}" sizes="350px">',
    "near_a_lower_one": f'<img src="200.jpg" srcset="{WIDTHS}" sizes="225px">',
    "by_condition": f'<img src="200.jpg" srcset="{WIDTHS}" sizes="(min-width: 30em) 800px, (max-width: 25em) 300px">',
    "by_range": f'<img src="200.jpg" srcset="{WIDTHS}" sizes="(width > 400px) 800px, (width <= 400px) 100px">',
    "calculated": f'<img src="200.jpg" srcset="{WIDTHS}" sizes="(max-width: 50em) calc(50vw - 2rem), 100vw">',
    "smallest_of": f'<img src="200.jpg" srcset="{WIDTHS}" sizes="min(100vw, 20rem)">',
    "negative_condition": f'<img src="200.jpg" srcset="{WIDTHS}" sizes="(min-width: 401px) 100vw, 50vw">',
    "no_length": f'<img src="200.jpg" srcset="{WIDTHS}" sizes="200">',
    "larger_than_all": f'<img src="200.jpg" srcset="{WIDTHS}" sizes="2000px">',
    "by_density": '<img src="200.jpg" srcset="400.jpg 1.5x, 800.jpg 3x">',
    "src_alone": '<img src="600.jpg" loading="lazy">',
    "srcset_alone": '<img srcset="600.jpg">',
    "first_type": f'<picture><source type="image/tiff" srcset="1600.jpg"><source type="image/webp" srcset="{WEBP}" '
    f'sizes="50vw"><img src="1000.jpg" srcset="{WIDTHS}"></picture>',
    "first_medium": '<picture><source media="(min-width: 600px)" srcset="1600.webp"><source media="screen and '
    '(orientation: portrait)" srcset="600.webp"><img src="200.jpg"></picture>',
    "no_medium": '<picture><source media="print" srcset="1600.webp"><img src="200.jpg"></picture>',
    "not_loaded": '<noscript><img src="1600.jpg"></noscript><template><img src="1600.jpg"></template>'
    '<pre><img src="200.jpg"></pre>',
    "two_images": '<img src="a.jpg" hidden srcset=""><img src="1000.jpg">'.replace("a.jpg", "data:image/gif;base64,R0"),
}


@pytest.mark.parametrize("name", sorted(PAGES))
def test_an_image_of_each_kind_counts_once(name: str) -> None:
    """Whatever a page says, one file is loaded for an image of it."""
    weight = weigh(PAGES[name], name, PHOTOS.get)
    assert weight.in_all == weight.heaviest_size == PHOTOS[weight.heaviest]
    assert weight.at_once == (0 if "lazy" in PAGES[name] else weight.in_all)
    assert weight.offered >= weight.in_all


def test_chromium_loads_the_same_files(tmp_path: Path) -> None:
    """The file that is expected is the one that a browser with the phone's window loads."""
    for name in PHOTOS:
        side = PHOTOS[name]
        format = "JPEG" if name.endswith("jpg") else "WEBP"
        (tmp_path / name).write_bytes(drawing.encoded(drawing.photo(side, side // 2), format))
    expected, loaded = {}, {}
    with started_browser() as browser:
        context = browser.new_context(
            viewport={"width": PHONE.width, "height": PHONE.height}, device_scale_factor=PHONE.density
        )
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        for name, html in PAGES.items():
            path = tmp_path / f"{name}.html"
            path.write_text(f"<!doctype html><meta name=viewport content='width=device-width'><title>x</title>{html}")
            page.goto(path.as_uri(), wait_until="load")
            urls = page.evaluate(
                "[...document.images].map(image => image.currentSrc).filter(url => !/^data/.test(url))"
            )
            loaded[name] = {url.rpartition("/")[2] for url in urls}
            expected[name] = {weigh(html, name, PHOTOS.get).heaviest}
        context.close()
    assert loaded == expected


def test_a_folder_of_pages_is_weighed_by_its_files(tmp_path: Path) -> None:
    """Files that templates made and others that lie in the folder count, those of other sites are told apart."""
    (tmp_path / "images").mkdir()
    (tmp_path / "images/canal.jpg").write_bytes(drawing.jpeg(900, 600, 1))
    kit = ImageKit(source_dirs=[tmp_path / "images"], location=tmp_path / "site", state_dir=tmp_path / "state")
    env = kit.install(Environment(autoescape=True))
    picture = "{% picture '400x' 'canal.jpg' formats='JPEG' -- alt='' %}"
    template = env.from_string(f"{picture}{picture}<img src='../logo.png'><img src='https://example.org/a.png'>")
    (tmp_path / "site/blog").mkdir(parents=True)
    with kit.page("blog/index.html"):
        (tmp_path / "site/blog/index.html").write_text(template.render())
    (tmp_path / "site/logo.png").write_bytes(b"x" * 1234)
    (tmp_path / "site/plain.html").write_text("<p>no image")
    (weight,) = weigh_folder(kit)
    made = {path.stat().st_size for path in (tmp_path / "site/CACHE").rglob("*.jpg")}
    assert (weight.page, weight.images, weight.unknown) == ("blog/index.html", 4, 1)
    assert weight.in_all - 1234 in made
    assert weight.heaviest_size == weight.in_all - 1234
    assert weight.offered == sum(made) + 1234
    assert weight.at_once == weight.in_all


def test_an_image_counts_at_once_unless_all_its_places_are_lazy() -> None:
    """One that is both lazy and not is loaded at once, and only once."""
    html = '<img src="400.jpg" loading="lazy"><img src="600.jpg" loading="LAZY"><img src="400.jpg">'
    weight = weigh(html, "index.html", PHOTOS.get)
    assert (weight.images, weight.at_once, weight.in_all, weight.offered) == (3, 400, 1000, 1000)
