"""Tests of pictures in templates: their HTML, what is made for it and when, and what is refused."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from core_site import Site, photo_bytes, settled
from jinja2 import Environment, StrictUndefined
from jinja2.nativetypes import NativeEnvironment
from jinja2.sandbox import SandboxedEnvironment
from PIL import Image

import drawing
from jinja_imagekit import ImageKit, ImageSpec, processors
from jinja_imagekit.exceptions import (
    ImageKitError,
    InvalidOption,
    InvalidSetting,
    MissingAlt,
    MissingSource,
    SourceNotFound,
    UnknownFormat,
    UnreadableImage,
)
from jinja_imagekit.images import Original
from jinja_imagekit.processors import Adjust, ResizeToFill, ResizeToFit

DEFERRED = "jinja_imagekit.cachefiles.strategies.Deferred"
URL = re.compile(r'/CACHE/images/[^\s",()]+')


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Return a site with a photo of 240 × 180 pixels."""
    site = Site(tmp_path)
    site.write("canal.jpg", 240, 180)
    return site


def render(kit: ImageKit, template: str, environment: type[Environment] = Environment, /, **values: Any) -> str:
    """Render a template with tags for a kit."""
    return str(kit.install(environment(autoescape=True)).from_string(template).render(**values))


def named(site: Site, html: str) -> str:
    """Return HTML with each URL replaced by the size and format of the file behind it."""

    def name(match: re.Match[str]) -> str:
        with Image.open(site.output / match.group(0).lstrip("/")) as image:
            return f"{image.width}x{image.height}.{str(image.format).lower()}"

    return URL.sub(name, html)


def sizes_of(site: Site) -> list[tuple[int, int]]:
    """Return the sizes of all files that were made."""
    return sorted(Image.open(path).size for path in site.output.rglob("*.*"))


LAZY = (
    '<picture><source type="image/avif"'
    ' srcset="40x30.avif 40w, 60x45.avif 60w, 80x60.avif 80w, 120x90.avif 120w, 160x120.avif 160w"'
    ' sizes="auto, (min-width: 80px) 80px, 100vw">'
    '<img src="80x60.webp"'
    ' srcset="40x30.webp 40w, 60x45.webp 60w, 80x60.webp 80w, 120x90.webp 120w, 160x120.webp 160w"'
    ' sizes="auto, (min-width: 80px) 80px, 100vw" width="80" height="60" loading="lazy" decoding="async"'
    ' alt="A canal" style="contain-intrinsic-size:80px 60px"></picture>'
)


@pytest.mark.parametrize(
    "template",
    [
        "{% picture '80x' 'canal.jpg' -- alt='A canal' %}",
        "{% picture 'imagekit:thumbnail' '80x' 'canal.jpg' -- alt='A canal' %}",
        "{% picture '80x' 'canal.jpg' alt='A canal' %}",
        "{% picture '80x' 'canal.jpg' alt='A canal' as p %}{{ p }}",
        "{% picture '80x' 'canal.jpg' as p %}{{ p.html(alt='A canal') }}",
        "{% picture '80x' 'canal.jpg' as p %}{{ p.html('A canal') }}",
        "{{ 'canal.jpg' | picture('80x', alt='A canal') }}",
        "{{ 'canal.jpg' | picture('80x', 'imagekit:thumbnail', alt='A canal') }}",
        "{{ kit.picture('80x', 'canal.jpg', alt='A canal') }}",
    ],
)
def test_html_of_a_picture_below_the_fold(site: Site, template: str) -> None:
    """Tag, assignment, filter and kit give the same HTML: lazy, with `auto`, every file there in its size."""
    assert named(site, render(site.kit, template, kit=site.kit)) == LAZY
    assert named(site, render(site.kit, template, kit=site.kit)) == LAZY


def test_html_of_the_first_picture(site: Site) -> None:
    """With priority there is neither `lazy` nor `auto`, and each medium says its own size."""
    html = render(
        site.kit,
        "{% picture '120x40' 'canal.jpg' at={'(max-width: 600px)': '40x40'} focus='70% 30%' priority=true"
        " -- alt='x' class='hero' %}",
    )
    assert named(site, html) == (
        '<picture><source media="(max-width: 600px)" type="image/avif" srcset="20x20.avif 20w, 30x30.avif 30w,'
        ' 40x40.avif 40w, 60x60.avif 60w, 80x80.avif 80w" sizes="(min-width: 40px) 40px, 100vw" width="40" height="40">'
        '<source media="(max-width: 600px)" type="image/webp" srcset="20x20.webp 20w, 30x30.webp 30w, 40x40.webp 40w,'
        ' 60x60.webp 60w, 80x80.webp 80w" sizes="(min-width: 40px) 40px, 100vw" width="40" height="40">'
        '<source type="image/avif" srcset="60x20.avif 60w, 90x30.avif 90w, 120x40.avif 120w, 180x60.avif 180w,'
        ' 240x80.avif 240w" sizes="(min-width: 120px) 120px, 100vw">'
        '<img src="120x40.webp" srcset="60x20.webp 60w, 90x30.webp 90w, 120x40.webp 120w, 180x60.webp 180w,'
        ' 240x80.webp 240w" sizes="(min-width: 120px) 120px, 100vw" width="120" height="40" fetchpriority="high"'
        ' alt="x" class="hero"></picture>'
    )


def test_preload(site: Site) -> None:
    """Only a picture with priority is preloaded, in its preferred format."""
    html = render(site.kit, "{% picture '80x' 'canal.jpg' alt='' priority=true as p %}{{ p.preload }}")
    assert named(site, html) == (
        '<link rel="preload" as="image" type="image/avif" href="80x60.avif" imagesrcset="40x30.avif 40w,'
        ' 60x45.avif 60w, 80x60.avif 80w, 120x90.avif 120w, 160x120.avif 160w"'
        ' imagesizes="(min-width: 80px) 80px, 100vw" fetchpriority="high">'
    )
    assert render(site.kit, "{% picture '80x' 'canal.jpg' alt='' as p %}{{ p.preload }}") == ""


@pytest.mark.parametrize(
    ("queries", "expected"),
    [
        (["(max-width: 600px)"], ["(max-width: 600px)", "not all and (max-width: 600px)"]),
        (
            ["(max-width: 400px)", "(max-width: 600px)"],
            [
                "(max-width: 400px)",
                "(not (max-width: 400px)) and (max-width: 600px)",
                "(not (max-width: 400px)) and (not (max-width: 600px))",
            ],
        ),
        (["(a) and (b)"], ["(a) and (b)", "not all and (a) and (b)"]),
        (["(a) or (b)"], ["(a) or (b)", "(not ((a) or (b)))"]),
        (["(a), (b) and (c)"], ["(a), (b) and (c)", "(not ((a) or ((b) and (c))))"]),
        (["screen and (a)"], ["screen and (a)", "not all and (a)"]),
        (["screen", "(a)"], ["screen"]),
        (["ALL"], ["ALL"]),
        (["(a)", "screen"], ["(a)", "not all and (a)"]),
        (["not all and (a)"], ["not all and (a)", "(not (not (a)))"]),
        (["not all and (a) and (b)"], ["not all and (a) and (b)", "(not (not ((a) and (b))))"]),
        (["(a)", "not screen and (b)"], ["(a)", "(not (a)) and (not (b))", "(not (a)) and (not (not (b)))"]),
        (["not print"], ["not print"]),
        (["not screen"], [""]),
        (["print and (a), screen and (b)"], ["print and (a), screen and (b)", "not all and (b)"]),
        (["print"], [""]),
        (["print", "(a)"], ["(a)", "not all and (a)"]),
        (["(a)", "(b) or (c)"], ["(a)", "(not (a)) and ((b) or (c))", "(not (a)) and (not ((b) or (c)))"]),
    ],
)
def test_preloads_of_several_media_exclude_each_other(site: Site, queries: list[str], expected: list[str]) -> None:
    """Whatever the window, one link holds at most, so that nothing is loaded twice; paper preloads nothing."""
    at = dict.fromkeys(queries, "40x40")
    links = site.kit.picture("80x", "canal.jpg", alt="", priority=True, at=at).preload
    found = re.findall(r"<link[^>]*>", links)
    assert [(re.search(r' media="([^"]*)"', link) or [""] * 2)[1] for link in found] == expected


def test_the_height_that_was_asked_for(tmp_path: Path) -> None:
    """It is that of the page and of the file, which is the thumbnail's own."""
    site = Site(tmp_path)
    site.write("tall.jpg", 900, 1600)
    for dimensions, options in (("x600", {}), ("900x600", {"crop": False})):
        picture = site.kit.picture(dimensions, "tall.jpg", formats=["JPEG"], alt="", **options)
        assert (picture.width, picture.height) == (338, 600)
        assert 'src="338x600.jpeg"' in named(site, str(picture))


def test_only_lazy_pictures_have_auto_sizes(site: Site) -> None:
    """An `auto` of the author is left out of pictures with priority, of links, and of what templates read."""
    for sizes, rest in (("auto", "(min-width: 80px) 80px, 100vw"), ("auto, 50vw", "50vw"), ("AUTO,50vw", "50vw")):
        picture = site.kit.picture("80x", "canal.jpg", sizes=sizes, alt="", priority=True)
        assert picture.sizes == rest
        assert set(re.findall(r' (?:image)?sizes="([^"]*)"', f"{picture}{picture.preload}")) == {rest}
        lazy = site.kit.picture("80x", "canal.jpg", sizes=sizes, alt="")
        assert set(re.findall(r' sizes="([^"]*)"', str(lazy))) == {f"auto, {rest}"}
        given = site.kit.picture("80x", "canal.jpg", alt="", priority=True).html_with({"sizes": sizes})
        assert set(re.findall(r' sizes="([^"]*)"', given)) == {rest}


def test_styles_of_art_direction_say_the_size_if_they_can(site: Site) -> None:
    """Below and above a width of the window, and of equal shapes; of others they would be wrong."""
    html = render(site.kit, "{% picture '120x40' 'canal.jpg' at={'(a)': '40x40'} -- alt='' %}")
    assert "contain" not in html
    assert "auto" not in html
    html = render(site.kit, "{% picture '120x40' 'canal.jpg' at={'(max-width: 600px)': '40x60'} -- alt='' %}")
    width, height = "clamp(40px,40px + (100vw - 600px)*9999,120px)", "clamp(40px,60px - (100vw - 600px)*9999,60px)"
    assert f"contain-intrinsic-size:{width} {height}" in html
    assert html.count('sizes="auto, ') == 4
    html = render(site.kit, "{% picture '80x' 'canal.jpg' at={'(a)': {'still': true}} -- alt='' %}")
    assert "contain-intrinsic-size:80px 60px" in html
    assert "auto, " in html


def test_densities_of_image_sets_are_those_of_the_files(site: Site) -> None:
    """A file narrower than the picture has a density below 1."""
    assert " 0.5x type" in site.kit.picture("200x", "canal.jpg", widths=[50, 100]).image_set
    assert " 1x type" not in site.kit.picture("200x", "canal.jpg", widths=[50, 100]).image_set


def test_what_a_picture_tells(site: Site) -> None:
    """URL, sizes and candidates are there as data; `srcset` is that of the `<img>`."""
    picture = site.kit.picture("80x", "canal.jpg", alt="A canal")
    assert (picture.width, picture.height, picture.alt) == (80, 60, "A canal")
    assert picture.sizes == "(min-width: 80px) 80px, 100vw"
    assert named(site, picture.url) == "80x60.webp"
    assert named(site, picture.srcset).startswith("40x30.webp 40w, ")
    (source,) = picture.sources
    assert (source.type, source.media, source.sizes) == ("image/avif", "", picture.sizes)
    assert named(site, source.src) == "80x60.avif"
    assert named(site, source.srcset).endswith("160x120.avif 160w")
    assert named(site, picture.image_set) == (
        'image-set(url("80x60.avif") 1x type("image/avif"), url("120x90.avif") 1.5x type("image/avif"),'
        ' url("160x120.avif") 2x type("image/avif"), url("80x60.webp") 1x type("image/webp"),'
        ' url("120x90.webp") 1.5x type("image/webp"), url("160x120.webp") 2x type("image/webp"))'
    )


def test_sizes_and_colours_make_no_images(site: Site) -> None:
    """They come from the header, and from one small decode that is remembered."""
    picture = site.kit.picture("80x", "canal.jpg", alt="A canal")
    assert (picture.width, picture.height, picture.alt) == (80, 60, "A canal")
    assert picture.sizes
    assert picture.color
    assert picture.placeholder
    assert not site.files()


def test_a_picture_as_plain_values(site: Site) -> None:
    """Each candidate has its URL, type and size, and the bytes of its file."""
    told = site.kit.picture("80x", "canal.jpg", alt="A canal").as_dict()
    assert told["source"] == "canal.jpg"
    assert (told["width"], told["height"], told["alt"]) == (80, 60, "A canal")
    for candidate in told["candidates"]:
        path = site.output / candidate["url"].lstrip("/")
        with Image.open(path) as image:
            assert image.size == (candidate["width"], candidate["height"])
            assert candidate["type"] == f"image/{str(image.format).lower()}"
        assert candidate["bytes"] == path.stat().st_size
    assert len(told["candidates"]) == 10


def test_bytes_are_unknown_until_a_file_is_made(tmp_path: Path) -> None:
    """A build that makes its images at the end knows all but their bytes before."""
    site = Site(tmp_path, default_cachefile_strategy=DEFERRED)
    site.write("canal.jpg", 240, 180)
    picture = site.kit.picture("80x", "canal.jpg", alt="")
    assert {each["bytes"] for each in picture.as_dict()["candidates"]} == {None}
    assert not site.files()
    assert site.kit.finish().ok
    assert None not in {each["bytes"] for each in picture.as_dict()["candidates"]}


def test_deferred_pictures_are_made_at_the_end(tmp_path: Path) -> None:
    """Pages render from the header alone; what they name is there after `finish()`, in the size that they say."""
    site = Site(tmp_path, default_cachefile_strategy=DEFERRED)
    site.write("canal.jpg", 240, 180)
    html = render(site.kit, "{% picture '80x' 'canal.jpg' -- alt='A canal' %}")
    assert not site.files()
    report = site.kit.finish()
    assert report.ok
    assert len(report.generated) == 10
    assert named(site, html) == LAZY
    assert not site.new_kit().generate().generated


def test_printing_a_picture_decodes_its_source_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five widths in two formats are one piece of work: the source is decoded once, and resized once for each width."""
    decoded, resized = [], []
    decode, run = Original._decode, processors.run
    monkeypatch.setattr(Original, "_decode", lambda self, *args: decoded.append(args) or decode(self, *args))
    monkeypatch.setattr(processors, "run", lambda *args, **kwargs: resized.append(args) or run(*args, **kwargs))
    site.write("large.jpg", 1600, 1200)
    render(site.kit, "{% picture '200x150' 'large.jpg' -- alt='' %}{% picture '80x' 'canal.jpg' -- alt='' %}")
    assert len(site.files()) == 20
    assert [args[1] for args in decoded] == [2, 1]
    assert len(resized) == 10


def test_bytes_do_not_depend_on_neighbours(site: Site) -> None:
    """A candidate that is made alone has the bytes that it has when all are made together."""
    site.write("large.jpg", 1600, 1200)
    picture = site.kit.picture("200x150", "large.jpg", alt="")
    kwargs = [each.kwargs for each in picture.candidates()]
    render(site.kit, "{% picture '200x150' 'large.jpg' -- alt='' %}")
    together = site.files()
    for name in together:
        (site.output / name).unlink()
    for each in kwargs:
        site.new_kit().cachefile("imagekit:thumbnail", **each).generate()
    assert site.files() == together


def test_all_sizes_of_a_crop_are_cut_alike(tmp_path: Path) -> None:
    """Where the crop goes is judged once for the picture, or small screens would see another part than large ones."""
    site = Site(tmp_path)
    site.images.mkdir(exist_ok=True)
    for seed in range(3):
        image = drawing.photo(900, 300, seed)
        settled(site.images / f"{seed}.png", drawing.encoded(image, "PNG"))
        picture = site.kit.picture("100x100", f"{seed}.png", alt="", formats=("PNG",))
        files = [site.output / each["url"].lstrip("/") for each in picture.as_dict()["candidates"]]
        views = [Image.open(path).convert("L").resize((20, 20), Image.Resampling.BOX) for path in files]
        for view in views[1:]:
            pairs = zip(views[0].tobytes(), view.tobytes(), strict=True)
            assert sum(abs(a - b) for a, b in pairs) / 400 < 6


@pytest.mark.parametrize("focus", ["0% 50%", (1, 0.5), (0.0, 0.0, 0.2, 1.0), "r"])
def test_a_crop_keeps_its_focus(site: Site, focus: Any) -> None:
    """A picture of a source with one red side shows the side that is asked for."""
    image = Image.new("RGB", (300, 100), "white")
    image.paste("red", (0, 0, 60, 100))
    settled(site.images / "flag.png", drawing.encoded(image, "PNG"))
    picture = site.kit.picture("50x50", "flag.png", alt="", focus=focus, formats="PNG")
    with Image.open(site.output / picture.url.lstrip("/")) as shown:
        left = shown.convert("RGB").getpixel((2, 25))
    assert (left == (255, 0, 0)) == (focus in ("0% 50%", (0.0, 0.0, 0.2, 1.0)))


def test_focus_goes_before_anchor(site: Site) -> None:
    """The older name still works, and the newer one wins."""
    plain = site.kit.picture("50x20", "canal.jpg", alt="", focus="t").url
    assert site.kit.picture("50x20", "canal.jpg", alt="", anchor="t").url == plain
    assert site.kit.picture("50x20", "canal.jpg", alt="", anchor="b", focus="t").url == plain


@pytest.mark.parametrize(
    ("size", "dimensions", "html"),
    [
        ((30, 20), "80x", '<picture><source type="image/avif" srcset="15x10.avif 15w, 23x15.avif 23w, 30x20.avif 30w"'),
        ((640, 427), "800x600", 'width="569" height="427"'),
    ],
)
def test_a_small_source_is_shown_as_it_is(tmp_path: Path, size: tuple[int, int], dimensions: str, html: str) -> None:
    """Nothing is enlarged, and the proportions stay those that were asked for."""
    site = Site(tmp_path)
    site.write("small.jpg", *size)
    assert html in named(site, str(site.kit.picture(dimensions, "small.jpg", alt="")))


def test_a_single_candidate_has_neither_sizes_nor_descriptor(site: Site) -> None:
    """The validator objects to more."""
    html = named(site, render(site.kit, "{% picture '80x' 'canal.jpg' widths='80' -- alt='' %}"))
    assert html == (
        '<picture><source type="image/avif" srcset="80x60.avif">'
        '<img src="80x60.webp" width="80" height="60" loading="lazy" decoding="async" alt=""'
        ' style="contain:size;contain-intrinsic-size:80px 60px"></picture>'
    )
    html = named(site, render(site.kit, "{% picture '80x' 'canal.jpg' widths=[80] formats='JPEG' -- alt='' %}"))
    assert html == (
        '<img src="80x60.jpeg" width="80" height="60" loading="lazy" decoding="async" alt=""'
        ' style="contain:size;contain-intrinsic-size:80px 60px">'
    )


def test_fixed_pictures_have_densities(site: Site) -> None:
    """They are labelled by what the file is."""
    html = named(site, render(site.kit, "{% picture '80x' 'canal.jpg' layout='fixed' formats='JPEG' -- alt='' %}"))
    assert html.startswith('<img src="80x60.jpeg" srcset="80x60.jpeg 1x, 160x120.jpeg 2x" width="80" height="60" ')
    assert "sizes" not in html
    html = named(site, render(site.kit, "{% picture '150x' 'canal.jpg' layout='fixed' formats='JPEG' -- alt='' %}"))
    assert 'srcset="150x112.jpeg 1x, 240x180.jpeg 1.6x"' in html


def test_full_pictures_are_as_wide_as_the_window(tmp_path: Path) -> None:
    """Their `src` is the candidate nearest to 1280 pixels."""
    site = Site(tmp_path)
    site.write("wide.jpg", 2000, 200)
    picture = site.kit.picture("1600x", "wide.jpg", alt="", layout="full", formats="JPEG")
    assert picture.sizes == "100vw"
    assert (picture.width, picture.height) == (1280, 128)
    assert re.findall(r" (\d+)w", picture.srcset) == ["640", "960", "1280", "1920"]


def test_widths_and_sizes_of_the_authors(site: Site) -> None:
    """They go before the layout's; widths that the source is too small for are cut."""
    picture = site.kit.picture("80x", "canal.jpg", alt="", widths=[200, 50, 900], sizes="50vw")
    assert re.findall(r" (\d+)w", picture.srcset) == ["50", "200"]
    assert picture.sizes == "50vw"


def test_a_transparent_source_gets_no_jpeg(site: Site) -> None:
    """A PNG takes its place."""
    settled(site.images / "logo.png", drawing.encoded(Image.new("RGBA", (100, 80), (255, 0, 0, 90)), "PNG"))
    picture = site.kit.picture("50x", "logo.png", alt="", formats=("WEBP", "JPEG"))
    assert [source.type for source in picture.sources] == ["image/webp"]
    assert picture.url.endswith(".png")
    assert site.kit.picture("50x", "canal.jpg", alt="", formats=("WEBP", "JPEG")).url.endswith(".jpg")


def test_an_animation_gets_formats_that_move(site: Site) -> None:
    """A format that cannot move gives way to the source's; `still` shows the first frame in any format."""
    frames = [Image.new("RGB", (100, 80), colour) for colour in ("red", "blue", "green")]
    frames[0].save(site.images / "wheel.gif", save_all=True, append_images=frames[1:], duration=100)
    settled(site.images / "wheel.gif", (site.images / "wheel.gif").read_bytes())
    still = {"(prefers-reduced-motion)": {"still": True}}
    picture = site.kit.picture("50x", "wheel.gif", alt="", formats=("WEBP", "JPEG"), at=still)
    for candidate in picture.as_dict()["candidates"]:
        with Image.open(site.output / candidate["url"].lstrip("/")) as image:
            assert (getattr(image, "n_frames", 1) > 1) == ("media" not in candidate)
    assert picture.url.endswith(".gif")
    assert [source.type for source in picture.sources] == ["image/webp", "image/png", "image/webp"]


def test_a_drawing_stays_a_drawing(site: Site) -> None:
    """An SVG is as sharp at any size: one image, in no other format."""
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" width="120" height="80"><path d="M0 0h9v9z"/></svg>'
    settled(site.images / "logo.svg", svg)
    html = render(site.kit, "{% picture '60x60' 'logo.svg' -- alt='' %}")
    assert re.fullmatch(
        r'<img src="/CACHE/images/logo/\w+\.svg" width="60" height="40" loading="lazy" decoding="async" alt=""'
        r' style="contain:size;contain-intrinsic-size:60px 40px">',
        html,
    )


def test_art_direction_with_another_source(site: Site) -> None:
    """A dark page may show another photo; what an entry does not say is as for the picture."""
    site.write("night.jpg", 100, 75, seed=1)
    picture = site.kit.picture(
        "80x", "canal.jpg", alt="", at={"(prefers-color-scheme: dark)": {"source": "night.jpg"}}, formats="JPEG"
    )
    (dark,) = picture.sources
    assert (dark.width, dark.height) == (80, 60)
    assert "/night/" in dark.src
    assert re.findall(r" (\d+)w", dark.srcset) == ["40", "60", "80"]
    assert "/canal/" in picture.url


def test_a_side_of_the_authors_leaves_the_other_in_proportion(site: Site) -> None:
    """So that nothing shifts while the page loads."""

    def box(attributes: str) -> list[str]:
        html = render(site.kit, f"{{% picture '80x' 'canal.jpg' formats='JPEG' -- alt='' {attributes} %}}")
        return re.findall(r' (?:width|height)="([^"]*)"|intrinsic-size:([^"]*)"', html)[0:3]

    assert box("width=40") == [("40", ""), ("30", ""), ("", "40px 30px")]
    assert box("height='90'") == [("120", ""), ("90", ""), ("", "120px 90px")]
    assert box("width=10 height=20") == [("10", ""), ("20", ""), ("", "10px 20px")]


def test_attributes_of_the_authors(site: Site) -> None:
    """Loading is theirs to say, and `auto` goes with it; a style joins the picture's own."""
    template = "{% picture '80x' 'canal.jpg' formats='JPEG' -- alt='' $ %}"

    def tail(attributes: str) -> str:
        return render(site.kit, template.replace("$", attributes)).partition(' height="60"')[2]

    assert tail("loading='eager' data-id=3 hidden") == ' loading="eager" decoding="async" alt="" data-id="3" hidden>'
    assert tail("style='margin:0' loading='lazy'").endswith('style="contain-intrinsic-size:80px 60px;margin:0">')
    assert 'sizes="auto, 50vw"' in render(site.kit, template.replace("$", "sizes='50vw'"))
    assert 'fetchpriority="low"' in tail("fetchpriority='low'")


def test_auto_sizes_can_be_turned_off(tmp_path: Path) -> None:
    """A setting, for sites whose style sheets know better."""
    site = Site(tmp_path, auto_sizes=False)
    site.write("canal.jpg", 240, 180)
    html = render(site.kit, "{% picture '80x' 'canal.jpg' -- alt='' %}")
    assert "auto" not in html
    assert 'style="contain:size;contain-intrinsic-size:80px 60px"' in html
    assert 'loading="lazy"' in html


MISSING = [
    "{% picture '80x' 'canal.jpg' %}",
    "{% picture '80x' 'canal.jpg' -- class='a' %}",
    "{% picture '80x' 'canal.jpg' alt=none %}",
    "{% picture '80x' 'canal.jpg' alt=title %}",
    "{% picture '80x' 'canal.jpg' -- alt=title %}",
    "{% picture '80x' 'canal.jpg' -- alt=none %}",
    "{% picture '80x' 'canal.jpg' as p %}{{ p }}",
    "{{ 'canal.jpg' | picture('80x') }}",
]


@pytest.mark.parametrize("template", MISSING)
def test_a_picture_without_alternative_text_is_an_error(site: Site, template: str) -> None:
    """It is told with template and line; an undefined value and None are no text."""
    with pytest.raises(MissingAlt, match=r"80x of canal.jpg has no alternative text.*line 2\]"):
        render(site.kit, f"\n{template}")


@pytest.mark.parametrize("template", MISSING)
def test_missing_alternative_texts_are_warned_of_or_ignored(
    tmp_path: Path, template: str, caplog: pytest.LogCaptureFixture
) -> None:
    """As the setting says."""
    site = Site(tmp_path, missing_alt="warn")
    site.write("canal.jpg", 240, 180)
    assert " alt" not in render(site.kit, template)
    assert [record.getMessage().endswith("line 1]") for record in caplog.records] == [True]
    caplog.clear()
    assert " alt" not in render(site.new_kit(missing_alt="ignore"), template)
    assert not caplog.records


@pytest.mark.parametrize("alt", ["alt=''", "alt"])
def test_decoration_has_an_empty_text(site: Site, alt: str) -> None:
    """An empty text is given."""
    assert ' alt=""' in render(site.kit, f"{{% picture '80x' 'canal.jpg' -- {alt} %}}")
    assert ' alt=""' in render(site.kit, "{% picture '80x' 'canal.jpg' alt='' %}")


def test_data_needs_no_alternative_text(site: Site) -> None:
    """It is asked for when the HTML is printed."""
    assert "80" in render(site.kit, "{% picture '80x' 'canal.jpg' as p %}{{ p.width }}{{ p.url and '' }}")


def test_text_is_escaped(site: Site) -> None:
    """Whatever an author writes, an attribute ends where it should."""
    html = render(site.kit, "{% picture '80x' 'canal.jpg' -- alt=text sizes=text %}", text='"><script>')
    assert "<script>" not in html
    assert 'alt="&#34;&gt;&lt;script&gt;"' in html


def test_thumbnails_of_several_sizes(site: Site) -> None:
    """`{% thumbnail %}` with a picture's keywords is an `<img>` in one format, and asks for no text."""
    html = named(site, render(site.kit, "{% thumbnail '80x' 'canal.jpg' widths='80 160' %}"))
    assert html == (
        '<img src="80x60.jpeg" srcset="80x60.jpeg 80w, 160x120.jpeg 160w" sizes="auto, (min-width: 80px) 80px, 100vw"'
        ' width="80" height="60" loading="lazy" decoding="async" style="contain-intrinsic-size:80px 60px">'
    )
    html = named(site, render(site.kit, "{% thumbnail '80x' 'canal.jpg' priority=true format='WEBP' -- alt='' %}"))
    assert html == '<img src="80x60.webp" width="80" height="60" fetchpriority="high" alt="">'
    html = render(site.kit, "{% thumbnail '80x' 'canal.jpg' layout='fixed' as p %}{{ p.srcset }}|{{ p.sizes }}")
    assert re.fullmatch(r"80x60.jpeg 1x, 160x120.jpeg 2x\|", named(site, html))
    html = render(site.kit, "{{ 'canal.jpg' | thumbnail('80x', widths=[40, 80]) }}")
    assert named(site, html).startswith('<img src="80x60.jpeg" srcset="40x30.jpeg 40w, ')


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{% picture '80' 'canal.jpg' %}", "write width and height in pixels"),
        ("{% picture '80x' 'canal.jpg' layout='fluid' %}", "Did you mean 'fixed'"),
        ("{% picture '80x' 'canal.jpg' widths='a' %}", "write widths in pixels as '400 800'"),
        ("{% picture '80x' 'canal.jpg' widths=[] %}", "write widths in pixels"),
        ("{% picture '80x' 'canal.jpg' widths=[0] %}", "write widths in pixels"),
        ("{% picture '80x' 'canal.jpg' widths=true %}", "write widths in pixels"),
        ("{% picture '80x' 'canal.jpg' sizes='' %}", "write it as in HTML"),
        ("{% picture '80x' 'canal.jpg' formats=[] %}", "the preferred one first"),
        ("{% picture '80x' 'canal.jpg' formats=3 %}", "the preferred one first"),
        ("{% picture '80x' 'canal.jpg' at='(a)' %}", "write a dict of media queries"),
        ("{% picture '80x' 'canal.jpg' at={'': '8x8'} %}", "a media query is a string"),
        ("{% picture '80x' 'canal.jpg' at={'(a)': {'szie': '8x8'}} %}", "Did you mean 'size'"),
        ("{% picture '80x' 'canal.jpg' at={'(a)': '8'} -- alt='' %}", "write width and height in pixels"),
        ("{% picture '80x' 'canal.jpg' focus='leftish' %}", "write a point as '70% 30%'"),
        ("{% picture '80x' 'canal.jpg' placeholder='blurr' %}", "Did you mean 'blur'"),
        ("{% picture '80x' 'canal.jpg' -- alt='' srcset='a' %}", "the picture sets it"),
        ("{% thumbnail '80x' 'canal.jpg' formats='WEBP' %}", "use {% picture %}"),
        ("{% thumbnail '80x' 'canal.jpg' at={'(a)': '8x8'} %}", "use {% picture %}"),
    ],
)
def test_unusable_keywords(site: Site, template: str, message: str) -> None:
    """Each mistake says how to write it, and where it stands."""
    with pytest.raises(InvalidOption, match=re.escape(message)) as caught:
        render(site.kit, template)
    assert caught.value.template


def test_unknown_formats(site: Site) -> None:
    """A format that is not written is told with the nearest that is."""
    with pytest.raises(UnknownFormat, match="'WEBP'"):
        render(site.kit, "{% picture '80x' 'canal.jpg' formats='WEPB' -- alt='' %}")


@pytest.mark.parametrize(
    ("name", "value"),
    [("picture_formats", ()), ("picture_placeholder", "blurr"), ("picture_css", "file"), ("missing_alt", "no")],
)
def test_settings_are_checked(name: str, value: object) -> None:
    """A setting that cannot be used is told at once."""
    with pytest.raises(InvalidSetting, match=name):
        ImageKit(**{name: value})


@pytest.mark.parametrize("source", ["none.jpg", "broken.jpg"])
def test_something_stands_in_for_a_picture_that_cannot_be_made(tmp_path: Path, source: str) -> None:
    """One `<img>` with the size that was asked for, or nothing, as `on_error` says."""
    site = Site(tmp_path)
    settled(site.images / "broken.jpg", photo_bytes(240, 180)[:900])
    template = "{% picture '80x60' source on_error=policy -- alt='A canal' class='a' %}"
    html = render(site.kit, template, source=source, policy="placeholder")
    assert re.fullmatch(r'<img src="data:[^"]*" width="80" height="60" alt="A canal" class="a">', html)
    assert render(site.kit, template, source=source, policy="omit") == ""
    with pytest.raises(ImageKitError, match="line 1"):
        render(site.kit, template, source=source, policy=None)
    told = render(
        site.new_kit(on_error="omit"), "{% picture '80x' s as p %}{{ p.srcset }}{{ p.preload }}{{ p.url }}", s=source
    )
    assert told == ""


@pytest.fixture
def truncated(tmp_path: Path) -> Callable[..., ImageKit]:
    """Return what gives a deferring kit over a photo whose header is sound but whose pixels are missing."""
    site = Site(tmp_path, default_cachefile_strategy=DEFERRED)
    settled(site.images / "bad.jpg", drawing.jpeg(800, 600)[:3000])
    return site.new_kit


@pytest.mark.parametrize("css", ["style", "class"])
@pytest.mark.parametrize("placeholder", ["blur", "color"])
def test_something_stands_in_where_a_placeholder_cannot_be_made(
    truncated: Callable[..., ImageKit], css: str, placeholder: str
) -> None:
    """The policy covers the look at the pixels, and nothing else is wanted of such a source; an error has its line."""
    kit = truncated(picture_placeholder=placeholder, picture_css=css)
    template = "\n{% picture '300x200' 'bad.jpg' on_error=policy -- alt='q' %}"
    html = render(kit, template, policy="placeholder").strip()
    assert re.fullmatch(r'<img src="data:image/svg[^"]*" width="300" height="200" alt="q">', html)
    assert render(kit, template, policy="omit").strip() == ""
    assert not kit.renders.noted
    with pytest.raises(UnreadableImage, match=r"<template>.*line 2"):
        render(kit, template, policy="raise")


@pytest.mark.parametrize("strategy", [DEFERRED, "jinja_imagekit.cachefiles.strategies.JustInTime"])
@pytest.mark.parametrize("told", ["color", "placeholder", "as_dict()"])
def test_something_stands_in_where_a_colour_cannot_be_told(
    truncated: Callable[..., ImageKit], strategy: str, told: str
) -> None:
    """Asked for its colours, such a picture is empty, or what stands in for it; an error has its line."""
    kit = truncated(default_cachefile_strategy=strategy)
    template = "\n{% picture '300x200' 'bad.jpg' on_error=policy alt='q' as p %}{{ p." + told + " }}|{{ p.url[:10] }}"
    told_of = {"as_dict()": "&#39;url&#39;: &#39;data:image"}.get(told, "\n|data:image")
    assert told_of in render(kit, template, policy="placeholder")
    assert "data:image" not in render(kit, template, policy="omit")
    with pytest.raises(UnreadableImage, match=r"<template>.*line 2"):
        render(kit, template, policy="raise")


@pytest.mark.parametrize("source", [None, ""])
@pytest.mark.parametrize(
    "template",
    [
        "{% picture '40x' source as p %}{% if p %}yes{% else %}no{% endif %}",
        "{{ 'yes' if source|picture('40x') else 'no' }}",
        "{% thumbnail '40x' source widths='20 40' as t %}{{ 'yes' if t else 'no' }}",
    ],
)
def test_a_picture_without_a_source_is_false(site: Site, template: str, source: str | None) -> None:
    """As a thumbnail is, whatever the policy; with a source it is true, unless it is left out of the page."""
    for policy in ("raise", "omit", "placeholder"):
        kit = site.new_kit(on_error=policy)
        assert render(kit, template, source=source) == "no"
        assert render(kit, template, source="canal.jpg") == "yes"
    assert render(site.new_kit(on_error="omit"), template, source="gone.jpg") == "no"
    assert render(site.new_kit(on_error="placeholder"), template, source="gone.jpg") == "yes"
    with pytest.raises(SourceNotFound, match="line 1"):
        render(site.kit, template, source="gone.jpg")


def test_an_empty_source_is_an_error(site: Site) -> None:
    """As for any other tag; a name that leads nowhere is another."""
    with pytest.raises(MissingSource):
        render(site.kit, "{% picture '80x' article.photo -- alt='' %}", article={})
    with pytest.raises(SourceNotFound):
        render(site.kit, "{% picture '80x' 'no.jpg' -- alt='' %}")


def test_pictures_of_uploads_and_paths(site: Site) -> None:
    """Whatever can be a source can be a picture; an upload is read once."""
    for source in (photo_bytes(240, 180), site.images / "canal.jpg", (site.images / "canal.jpg").open("rb")):
        assert named(site, render(site.kit, "{% picture '80x' s -- alt='A canal' %}", s=source)) == LAZY
        if hasattr(source, "close"):
            source.close()


def test_pictures_in_other_environments(site: Site) -> None:
    """A sandbox, native types, and templates that escape nothing print the same."""
    for kind in (SandboxedEnvironment, NativeEnvironment):
        assert named(site, render(site.kit, "{% picture '80x' 'canal.jpg' -- alt='A canal' %}", kind)) == LAZY
        assert named(site, render(site.kit, "{{ 'canal.jpg' | picture('80x', alt='A canal') }}", kind)) == LAZY
    plain = site.kit.install(Environment(autoescape=False))
    assert named(site, plain.from_string("{{ 'canal.jpg' | picture('80x', alt='A canal') }}").render()) == LAZY
    strict = site.kit.install(Environment(autoescape=True, undefined=StrictUndefined))
    with pytest.raises(Exception, match="'title' is undefined"):
        strict.from_string("{% picture '80x' 'canal.jpg' -- alt=title %}").render()


def test_a_sandbox_learns_no_paths(site: Site) -> None:
    """Nothing public on a picture names a file of the machine."""
    template = "{% picture '80x' 'canal.jpg' alt='' as p %}{{ p._kit }}{{ p.as_dict() }}{{ p.sources }}"
    told = render(site.kit, template, SandboxedEnvironment)
    assert told.startswith("{")
    assert str(site.root) not in told


@pytest.mark.parametrize(
    "template",
    [
        "{% picture '80x' 'canal.jpg' -- alt='A canal' %}",
        "{% picture '80x' 'canal.jpg' alt='A canal' as p %}{{ p }}",
        "{{ 'canal.jpg' | picture('80x', alt='A canal') }}",
    ],
)
def test_pictures_in_async_templates(site: Site, template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Images are made in a thread, and the event loop goes on."""
    threads: list[Callable[..., Any]] = []
    to_thread = asyncio.to_thread

    def counted(function: Callable[..., Any], *args: Any) -> Any:
        threads.append(function)
        return to_thread(function, *args)

    monkeypatch.setattr(asyncio, "to_thread", counted)
    compiled = site.kit.install(Environment(autoescape=True, enable_async=True)).from_string(template)
    assert named(site, asyncio.run(compiled.render_async())) == LAZY
    assert len(threads) == 1


def test_a_changed_source_changes_the_picture(site: Site) -> None:
    """What is kept in the process is right as long as the source is the same."""
    before = render(site.kit, "{% picture '80x' 'canal.jpg' -- alt='A canal' %}")
    site.write("canal.jpg", 120, 90, seed=1)
    after = render(site.kit, "{% picture '80x' 'canal.jpg' -- alt='A canal' %}")
    assert before != after
    assert re.findall(r"(\d+)w", named(site, after))[-1] == "120"


def test_a_deleted_candidate_is_made_again(site: Site) -> None:
    """What is kept in the process is right as long as all files are there."""
    template = "{% picture '80x' 'canal.jpg' -- alt='A canal' %}"
    for _ in range(2):
        render(site.kit, template)
    next(site.output.rglob("*.avif")).unlink()
    assert named(site, render(site.kit, template)) == LAZY


def test_pictures_of_the_users_own_generators(site: Site) -> None:
    """A generator that takes width, height and format may have pictures; its labels are those of its files."""

    @site.kit.register.generator("grey")
    class Grey(ImageSpec):
        def __init__(
            self, width: int, height: int | None = None, format: str | None = None, source: Any = None
        ) -> None:
            super().__init__(source)
            self.processors = [ResizeToFit(width, height, upscale=False), Adjust(color=0)]
            self.format = format

    html = named(site, render(site.kit, "{% picture 'grey' '80x' 'canal.jpg' -- alt='A canal' %}"))
    assert html == LAZY


def test_placeholders_stand_in_attributes(site: Site) -> None:
    """A preview or a colour stands where the image will be, at the focus of the crop."""
    html = render(site.kit, "{% picture '80x80' 'canal.jpg' placeholder='blur' focus='70% 30%' -- alt='' %}")
    style = re.findall(r'style="([^"]*)"', html)[0]
    assert re.fullmatch(
        r"contain-intrinsic-size:80px 80px;background:url\(data:image/webp;base64,[\w+/=]+\) 70% 30%/cover no-repeat",
        style,
    )
    html = render(site.kit, "{% picture '80x' 'canal.jpg' placeholder='color' priority=true -- alt='' style='a:b' %}")
    assert re.search(r' style="background-color:#[0-9a-f]{6};a:b"', html)
    html = render(site.new_kit(picture_placeholder="color"), "{% picture '80x' 'canal.jpg' -- alt='' %}")
    assert "background-color" in html
    html = render(
        site.new_kit(picture_placeholder="color"), "{% picture '80x' 'canal.jpg' placeholder='none' alt='' %}"
    )
    assert "background" not in html


def test_nothing_stands_below_transparent_pixels(site: Site) -> None:
    """It would be seen when the image has loaded; so would a photo of the day below the one of the night."""
    settled(site.images / "logo.png", drawing.encoded(Image.new("RGBA", (100, 80), (255, 0, 0, 90)), "PNG"))
    site.write("night.jpg", 100, 75, seed=1)
    for template in (
        "{% picture '80x' 'logo.png' placeholder='blur' -- alt='' %}",
        "{% picture '80x' 'canal.jpg' placeholder='blur' at={'(a)': {'source': 'night.jpg'}} -- alt='' %}",
        "{% picture '80x' 'canal.jpg' placeholder='blur' at={'(a)': {'source': 'logo.png'}} -- alt='' %}",
    ):
        assert "background" not in render(site.kit, template)
    assert site.kit.picture("80x", "logo.png").placeholder == ""
    assert site.kit.picture("80x", "logo.png").color


def test_classes_take_the_place_of_styles(site: Site) -> None:
    """With `picture_css="class"` no page has a style attribute: the style sheet has them, at a URL that stays."""
    kit = site.new_kit(picture_css="class")
    html = render(kit, "{% picture '80x' 'canal.jpg' placeholder='blur' -- alt='' class='wide' %}")
    assert "style" not in html
    name = re.findall(r'class="(imagekit-[0-9a-f]{12}) wide"', html)[0]
    assert kit.pictures.stylesheet_url == "/CACHE/images/imagekit.css"
    rules = (site.output / "CACHE" / "images" / "imagekit.css").read_text()
    assert re.search(rf"^\.{name}{{contain-intrinsic-size:80px 60px;background:linear-gradient\(.*\)}}$", rules, re.M)
    assert "url(" not in rules


def test_the_style_sheet_has_the_classes_of_all_processes(site: Site) -> None:
    """Each worker's pages work with what another one wrote, and a lost style sheet comes back with the next class."""
    kits = [site.new_kit(picture_css="class") for _ in range(3)]
    path = site.output / "CACHE" / "images" / "imagekit.css"
    pages = [render(kit, f"{{% picture '{30 + n}x' 'canal.jpg' -- alt='' %}}") for n, kit in enumerate(kits)]
    names = [re.findall(r'class="([^"]*)"', page)[0] for page in pages]
    assert sorted(names) == re.findall(r"^\.([\w-]+)", path.read_text(), re.M)
    path.unlink()
    render(kits[0], "{% picture '60x' 'canal.jpg' -- alt='' %}")
    assert set(names) < set(re.findall(r"^\.([\w-]+)", path.read_text(), re.M))


def test_the_style_sheet_of_a_build_is_written_at_its_end(tmp_path: Path) -> None:
    """It is published with the images; it is no foreign file to the doctor, and pruning leaves it."""
    site = Site(tmp_path, default_cachefile_strategy=DEFERRED, picture_css="class")
    site.write("canal.jpg", 240, 180)
    html = render(site.kit, "{% picture '80x' 'canal.jpg' placeholder='color' -- alt='' %}")
    assert not site.files()
    assert site.kit.finish().ok
    name = re.findall(r'class="([^"]*)"', html)[0]
    assert f".{name}{{" in site.files()["CACHE/images/imagekit.css"].decode()
    assert not site.kit.doctor()
    site.kit.prune()
    site.kit.publish(tmp_path / "public")
    assert (tmp_path / "public" / "CACHE" / "images" / "imagekit.css").is_file()


def test_forged_classes_get_into_no_style_sheet(site: Site) -> None:
    """A rule that ends its own braces or loads something is left out, as is one with another name."""
    kit = site.new_kit(picture_css="class")
    kit.records.store.set_many(
        {
            "imagekit:css:imagekit-000000000000": "a:b}body{display:none",
            "imagekit:css:imagekit-000000000001": "background:url(//evil.example/)",
            "imagekit:css:body": "display:none",
        }
    )
    render(kit, "{% picture '80x' 'canal.jpg' -- alt='' %}")
    rules = (site.output / "CACHE" / "images" / "imagekit.css").read_text()
    assert rules.count("{") == 1
    assert "none" not in rules


def test_the_manifest_tells_of_all_pictures(tmp_path: Path) -> None:
    """`finish()` writes it; a later render of some pages leaves what it has of the others."""
    site = Site(tmp_path, default_cachefile_strategy=DEFERRED)
    for seed in range(3):
        site.write(f"{seed}.jpg", 240, 180, seed)
    template = "{% for name in names %}{% picture '80x' name ~ '.jpg' -- alt=name %}{% endfor %}"

    def told() -> dict[str, dict[str, Any]]:
        manifest = json.loads((site.state / "images.json").read_text())
        return {entry["source"]: entry for entry in manifest["pictures"]}

    render(site.kit, template, names=["0", "1"])
    site.kit.finish()
    assert sorted(told()) == ["0.jpg", "1.jpg"]
    for entry in told().values():
        assert re.fullmatch("#[0-9a-f]{6}", entry["color"])
        assert entry["placeholder"].startswith("data:image/webp")
        for candidate in entry["candidates"]:
            path = site.output / candidate["name"]
            assert path.stat().st_size == candidate["bytes"]
            assert candidate["url"] == f"/{candidate['name']}"
            with Image.open(path) as image:
                assert image.size == (candidate["width"], candidate["height"])
    kit = site.new_kit()
    render(kit, template, names=["2"])
    kit.finish()
    assert sorted(told()) == ["0.jpg", "1.jpg", "2.jpg"]
    gone = [path for path in site.output.rglob("*.*") if "/0/" in str(path)]
    for path in gone:
        path.unlink()
    kit = site.new_kit()
    render(kit, template, names=["2"])
    kit.finish()
    assert sorted(told()) == ["1.jpg", "2.jpg"]


def test_a_second_render_in_one_process_tells_of_the_same(site: Site) -> None:
    """What comes from memory is noted as well."""
    for _ in range(3):
        render(site.kit, "{% picture '80x' 'canal.jpg' -- alt='' %}")
        (site.state / "images.json").unlink(missing_ok=True)
        site.kit.finish()
        assert "canal.jpg" in (site.state / "images.json").read_text()


def test_a_damaged_manifest_is_begun_anew(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """A build does not fail for what an earlier one left."""
    for text in ("{", "[]", '{"version": 1, "pictures": [{"source": 1}, 3]}', '{"version": 9, "pictures": []}'):
        site.state.mkdir(exist_ok=True)
        (site.state / "images.json").write_text(text)
        render(site.kit, "{% picture '80x' 'canal.jpg' -- alt='' %}")
        site.kit.finish()
        assert json.loads((site.state / "images.json").read_text())["pictures"][0]["source"] == "canal.jpg"
    assert "is replaced" in caplog.text


def test_many_threads_print_one_picture_and_make_it_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes second waits for the first, and finds all files there."""
    decoded = []
    decode = Original._decode
    monkeypatch.setattr(Original, "_decode", lambda self, *args: decoded.append(args) or decode(self, *args))
    template = site.kit.install(Environment(autoescape=True)).from_string("{% picture '80x' 'canal.jpg' -- alt='' %}")
    with ThreadPoolExecutor(8) as pool:
        pages = set(pool.map(lambda _: template.render(), range(16)))
    assert len(pages) == 1
    assert len(decoded) == 1


HERO = "{% generateimage 'hero' source='canal.jpg' $ -- alt='' %}"


@pytest.fixture
def with_hero(site: Site) -> Site:
    """Return a site with a spec that crops."""
    site.kit.spec("hero", processors=[ResizeToFill(120, 60)], format="WEBP")
    return site


def test_several_sizes_of_a_spec(with_hero: Site) -> None:
    """`{% generateimage %}` offers what its spec makes, and the same narrower; nothing is cut anew."""
    html = named(with_hero, render(with_hero.kit, HERO.replace("$", "widths='40 60 120 240'")))
    assert html == (
        '<img src="120x60.webp" srcset="40x20.webp 40w, 60x30.webp 60w, 120x60.webp 120w"'
        ' sizes="auto, (min-width: 120px) 120px, 100vw" width="120" height="60" loading="lazy" decoding="async" alt=""'
        ' style="contain-intrinsic-size:120px 60px">'
    )
    plain = with_hero.kit.cachefile("hero", source="canal.jpg").url
    told = render(with_hero.kit, "{% generateimage 'hero' source='canal.jpg' layout='constrained' as p %}{{ p.url }}")
    assert told == plain
    html = named(with_hero, render(with_hero.kit, "{{ 'canal.jpg' | generateimage('hero', priority=true) }}"))
    assert html == '<img src="120x60.webp" width="120" height="60" fetchpriority="high">'


def test_several_sizes_of_a_spec_are_made_again_without_rendering(tmp_path: Path) -> None:
    """What a render noted of them leads to the same files in a later run."""
    site = Site(tmp_path, default_cachefile_strategy=DEFERRED)
    site.write("canal.jpg", 240, 180)
    for kit in (site.kit, other := site.new_kit()):
        kit.spec("hero", processors=[ResizeToFill(120, 60)], format="WEBP")
    html = render(site.kit, HERO.replace("$", "widths='40 120'"))
    assert site.kit.finish().ok
    made = site.files()
    for name in made:
        (site.output / name).unlink()
    assert len(other.generate().generated) == 2
    assert site.files() == made
    assert named(site, html).count(".webp") == 3


def test_the_focus_of_a_spec_and_of_a_thumbnail(site: Site) -> None:
    """`focus` alone says what is kept, and asks for no further sizes."""
    image = Image.new("RGB", (300, 100), "white")
    image.paste("red", (0, 0, 60, 100))
    settled(site.images / "flag.png", drawing.encoded(image, "PNG"))

    class Square(ImageSpec):
        @property
        def processors(self) -> Any:
            return [ResizeToFill(50, 50)]

    site.kit.register.generator("square", Square)
    for focus, is_red in (("0% 50%", True), ("(0.0, 0.0, 0.2, 1.0)", True), ("r", False), ("none", False)):
        value = focus if focus.startswith(("(", "none")) else repr(focus)
        for tag in (
            f"generateimage 'square' source='flag.png' focus={value}",
            f"thumbnail '50x50' 'flag.png' anchor='c' focus={value}",
        ):
            html = render(site.kit, f"{{% {tag} -- alt='' %}}")
            assert "loading" not in html
            with Image.open(site.output / re.findall(r'src="/([^"]*)"', html)[0]) as shown:
                assert (shown.convert("RGB").getpixel((2, 25)) == (255, 0, 0)) == is_red, tag


def test_generators_that_cannot_have_several_sizes(site: Site) -> None:
    """A spec that makes its image itself says nothing about its size beforehand."""

    @site.kit.register.generator("own")
    class Own(ImageSpec):
        def generate(self) -> Any:
            return BytesIO(photo_bytes(80, 60))

    with pytest.raises(InvalidOption, match="not known beforehand"):
        render(site.kit, "{% generateimage 'own' source='canal.jpg' widths='40 80' -- alt='' %}")
    with pytest.raises(InvalidOption, match="only an ImageSpec whose processors"):
        render(site.kit, "{% generateimage 'own' source='canal.jpg' focus='t' -- alt='' %}")


def test_a_generators_own_focus_is_its_own(site: Site) -> None:
    """A keyword that a generator has goes to it as it is."""
    seen = []

    @site.kit.register.generator("own")
    class Own(ImageSpec):
        def __init__(self, source: Any = None, focus: str = "") -> None:
            super().__init__(source)
            seen.append(focus)

    render(site.kit, "{% generateimage 'own' source='canal.jpg' focus='mine' -- alt='' %}")
    assert "mine" in seen


def test_the_seeds_tags_ask_for_a_text_where_the_setting_says_so(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """By default they ask for none."""
    for template in (
        "{% thumbnail '80x' 'canal.jpg' %}",
        "{% thumbnail '80x' 'canal.jpg' widths='40 80' %}",
        "{% generateimage 'card' source='canal.jpg' -- class='a' alt=none %}",
        "{{ 'canal.jpg' | thumbnail('80x') }}",
    ):
        assert "<img" in render(site.kit, template)
        with pytest.raises(MissingAlt, match=r"no alternative text.*line 1"):
            render(site.new_kit(missing_alt="error"), template)
        caplog.clear()
        assert "<img" in render(site.new_kit(missing_alt="warn"), template)
        assert "has no alternative text" in caplog.text
    assert render(site.new_kit(missing_alt="error"), "{% thumbnail '80x' 'canal.jpg' -- alt='' %}")


def _render_in_child(root: Path, number: int) -> None:
    site = Site(root, default_cachefile_strategy=DEFERRED)
    render(site.kit, f"{{% picture '80x' '{number}.jpg' -- alt='' %}}")


def test_the_manifest_tells_of_pictures_that_other_processes_rendered(tmp_path: Path) -> None:
    """Whoever finishes the render writes down the pictures of all."""
    site = Site(tmp_path, default_cachefile_strategy=DEFERRED)
    for number in range(3):
        site.write(f"{number}.jpg", 240, 180, number)
    render(site.kit, "{% picture '80x' '0.jpg' -- alt='' %}")
    children = [get_context("spawn").Process(target=_render_in_child, args=(tmp_path, number)) for number in (1, 2)]
    for child in children:
        child.start()
    for child in children:
        child.join()
        assert child.exitcode == 0
    assert site.kit.finish().ok
    told = {entry["source"]: entry for entry in json.loads((site.state / "images.json").read_text())["pictures"]}
    assert sorted(told) == ["0.jpg", "1.jpg", "2.jpg"]
    for entry in told.values():
        assert entry["color"]
        assert entry["placeholder"]
        assert None not in {candidate["bytes"] for candidate in entry["candidates"]}


def test_a_deleted_style_sheet_comes_back(site: Site) -> None:
    """Whether a page comes from memory or not, its classes are there."""
    kit = site.new_kit(picture_css="class")
    path = site.output / "CACHE" / "images" / "imagekit.css"
    for _ in range(3):
        for template in ("{% picture '80x' 'canal.jpg' -- alt='' %}", "{{ 'canal.jpg' | picture('80x', alt='') }}"):
            name = re.findall(r'class="([^"]*)"', render(kit, template))[0]
            assert f".{name}{{" in path.read_text()
            path.unlink()


@pytest.mark.parametrize(
    ("name", "keywords", "expected"),
    [
        ("canal.jpg", "layout='full'", "240x180.jpeg"),
        ("canal.jpg", "", "80x60.jpeg"),
        ("canal.jpg", "formats='AVIF JPEG'", "80x60.jpeg"),
        ("canal.jpg", "at={'(max-width: 9px)': '20x20'} focus='tl' priority=true", "80x60.jpeg"),
        ("cut.png", "", "80x60.png"),
        ("cut.png", "formats='WEBP PNG'", "80x60.png"),
        ("moving.gif", "", "80x60.png"),
        ("moving.webp", "layout='fixed'", "80x60.png"),
    ],
)
def test_an_absolute_url_is_of_a_jpeg_or_a_png(site: Site, name: str, keywords: str, expected: str) -> None:
    """For feeds, mails and og:image it names one still that everything shows, and makes no other file."""
    moving = drawing.frames(240, 180, 3)
    for format in ("gif", "webp"):
        (site.images / f"moving.{format}").write_bytes(drawing.animated(format.upper(), moving, [90] * 3))
    (site.images / "cut.png").write_bytes(drawing.alpha_png(drawing.cut_out(drawing.photo(240, 180))))
    kit = site.new_kit(site_url="https://example.org/ignored")
    url = render(kit, f"{{% picture '80x' {name!r} {keywords} as p %}}{{{{ p.absolute_url }}}}")
    assert url.startswith("https://example.org/CACHE/")
    assert named(site, url.removeprefix("https://example.org")) == expected
    (made,) = (site.output / "CACHE").rglob("*.*")
    with Image.open(made) as image:
        assert getattr(image, "n_frames", 1) == 1


def test_an_absolute_url_keeps_what_the_crop_keeps(site: Site) -> None:
    """It is cropped like the picture: at the call's focus, or else at the sidecar file's."""
    (site.images / "canal.jpg.toml").write_text("focus = '0% 100%'")
    kit = site.new_kit()

    def pixels(keywords: str) -> bytes:
        url = render(kit, f"{{% picture '60x60' 'canal.jpg' {keywords} as p %}}{{{{ p.absolute_url }}}}")
        with Image.open(site.output / url.lstrip("/")) as image:
            return image.tobytes()

    assert pixels("") == pixels("focus='bl'") != pixels("focus='br'")


def test_an_absolute_url_of_a_spec_is_in_another_format(site: Site) -> None:
    """A spec's processors make the JPEG, with the encoder's default options; a spec's own JPEG is used."""
    kit = site.new_kit(site_url="https://example.org")

    class Card(ImageSpec):
        """A card, whose options are WebP's."""

        format = "WEBP"
        options = {"method": 1}

        @property
        def processors(self) -> Any:  # type: ignore[override]  # a property, as upstream's docs have it
            """Return one processor."""
            return [ResizeToFill(40, 40)]

    kit.register.generator("app:card", Card)
    kit.spec("app:plain", processors=[ResizeToFill(30, 30)], format="JPEG")
    for id, expected in (("app:card", "40x40.jpeg"), ("app:plain", "30x30.jpeg")):
        tag = f"{{% generateimage {id!r} source='canal.jpg' layout='fixed' as p %}}"
        own, url = render(kit, f"{tag}{{{{ p.url }}}} {{{{ p.absolute_url }}}}").split()
        assert named(site, url.removeprefix("https://example.org")) == expected
        assert (url == f"https://example.org{own}") == (id == "app:plain")


def test_an_absolute_url_of_what_stands_in_or_is_an_svg(site: Site) -> None:
    """An SVG stays one; a placeholder is a data URI; base URLs of another host stay."""
    (site.images / "logo.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30"/>')
    kit = site.new_kit(site_url="https://example.org", on_error="placeholder")
    template = "{% picture '40x' name as p %}{{ p.absolute_url }}"
    assert re.fullmatch(r"https://example\.org/CACHE/\S+\.svg", render(kit, template, name="logo.svg"))
    assert render(kit, template, name="gone.jpg").startswith("data:image/svg+xml,")
    assert render(site.new_kit(site_url="https://example.org", on_error="omit"), template, name="gone.jpg") == ""
    elsewhere = site.new_kit(site_url="https://example.org", base_url="https://cdn.example/")
    assert render(elsewhere, template, name="canal.jpg").startswith("https://cdn.example/CACHE/")


@pytest.mark.parametrize("value", ["example.org", "//example.org", "/blog"])
def test_a_site_url_that_is_none_is_refused(value: str) -> None:
    """It would give URLs that look right and lead nowhere."""
    with pytest.raises(InvalidSetting, match="must begin with https://"):
        ImageKit(site_url=value)


def stylesheet_of(site: Site) -> Path:
    """Return where the style sheet of a site's pictures is."""
    return site.output / "CACHE" / "images" / "imagekit.css"


@pytest.fixture
def built(tmp_path: Path) -> Site:
    """Return a site whose one picture has a class, rendered and finished."""
    site = Site(tmp_path, default_cachefile_strategy=DEFERRED, picture_css="class")
    site.write("canal.jpg", 240, 180)
    render(site.kit, "{% picture '80x' 'canal.jpg' placeholder='color' -- alt='' %}")
    assert site.kit.finish().ok
    return site


@pytest.mark.parametrize("keeps_state", [True, False])
def test_generate_and_publish_restore_the_style_sheet(built: Site, keeps_state: bool) -> None:
    """As they do the images, even where of all that is known only `renders.json` is left."""
    before = stylesheet_of(built).read_bytes()
    kept = (built.state / "renders.json").read_bytes()
    for restore in (lambda kit: kit.generate(), lambda kit: kit.publish(built.root / "public")):
        shutil.rmtree(built.output)
        if not keeps_state:
            built.kit.close()
            shutil.rmtree(built.state)
            built.state.mkdir()
            (built.state / "renders.json").write_bytes(kept)
        kit = built.new_kit()
        restore(kit)
        assert stylesheet_of(built).read_bytes() == before
        kit.close()


def test_an_empty_manifest_is_told_of(built: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Where nothing is known about pictures any more, a file that says so is written, and a warning."""
    (built.state / "images.json").unlink()
    built.new_kit().pictures.write_manifest(built.root / "told.json")
    assert json.loads((built.root / "told.json").read_text())["pictures"] == []
    assert "render them again" in caplog.text


def test_a_build_writes_the_classes_of_its_own_pages(built: Site) -> None:
    """Classes that no page has any more are dropped; without a change, the style sheet is not written."""
    first = stylesheet_of(built).read_text()
    stamp = stylesheet_of(built).stat()
    same = built.new_kit()
    render(same, "{% picture '80x' 'canal.jpg' placeholder='color' -- alt='' %}")
    same.finish()
    now = stylesheet_of(built).stat()
    assert (now.st_mtime_ns, now.st_ino) == (stamp.st_mtime_ns, stamp.st_ino)
    other = built.new_kit()
    html = render(other, "{% picture '60x' 'canal.jpg' placeholder='color' -- alt='' %}")
    other.finish()
    assert re.findall(r"^\.([\w-]+)", stylesheet_of(built).read_text(), re.M) == re.findall(r'class="(.*?)"', html)
    assert stylesheet_of(built).read_text() != first


def test_pages_from_memory_keep_their_classes_in_the_next_render(built: Site) -> None:
    """A page whose HTML was worked out before another process finished still needs its class."""
    template = "{% picture '80x' 'canal.jpg' placeholder='color' -- alt='' %}"
    kit = built.new_kit()
    name = re.findall(r'class="(.*?)"', render(kit, template))[0]
    render(kit, template)
    other = built.new_kit()
    render(other, "{% picture '60x' 'canal.jpg' placeholder='color' -- alt='' %}")
    other.finish()
    render(kit, template)
    kit.finish()
    assert f".{name}{{" in stylesheet_of(built).read_text()


def test_pruning_drops_pictures_from_the_manifest(built: Site) -> None:
    """A manifest never lists files that pruning has deleted."""
    kit = built.new_kit()
    render(kit, "{% picture '60x' 'canal.jpg' -- alt='' %}")
    kit.finish()
    listed = json.loads((built.state / "images.json").read_text())["pictures"]
    assert sorted(entry["width"] for entry in listed) == [60, 80]
    assert kit.prune().removed
    (entry,) = json.loads((built.state / "images.json").read_text())["pictures"]
    assert entry["width"] == 60


@pytest.mark.parametrize("widths", ["'40, 80'", "'40,80'", "'40 80'", "[40, 80]"])
def test_ways_to_write_widths(site: Site, widths: str) -> None:
    """Commas separate as well as spaces do; a number alone is one width."""
    assert " 40w, " in render(site.kit, "{% picture '80x' 'canal.jpg' alt='' widths=" + widths + " %}")
    assert site.kit.picture("80x", "canal.jpg", alt="", widths=40).srcset == ""


def test_errors_say_what_is_wrong(with_hero: Site) -> None:
    """Two ways at once, a spec of one size, and a misspelt keyword each get advice that helps."""
    with pytest.raises(InvalidOption, match="beside keywords such as widths=") as raised:
        render(with_hero.kit, "{% thumbnail '40x' 'canal.jpg' widths='20 40' srcset='2' %}")
    assert "Did you mean" not in str(raised.value)
    with pytest.raises(InvalidOption, match="a picture passes its generator width, height, format") as raised:
        render(with_hero.kit, "{% picture 'card' '40x' 'canal.jpg' alt='' %}")
    assert "generateimage 'card'" in str(raised.value)
    with pytest.raises(InvalidOption) as raised:
        render(with_hero.kit, "{% picture '40x' 'canal.jpg' alt='' largist=1 %}")
    assert "largest" not in str(raised.value)


@pytest.mark.parametrize(
    "template",
    [
        "{% picture '80x' 'canal.jpg' layout='fixed' sizes='50vw' alt='' %}",
        "{% picture '80x' 'canal.jpg' layout='fixed' at={'print': {'sizes': '50vw'}} alt='' %}",
        "{% thumbnail '80x' 'canal.jpg' layout='fixed' widths=[40, 80] sizes='50vw' %}",
    ],
)
def test_a_fixed_width_and_sizes_exclude_each_other(site: Site, template: str) -> None:
    """One of them would be passed over in silence."""
    with pytest.raises(InvalidOption, match="layout='fixed' says that the width is always the same"):
        render(site.kit, template)


def test_an_opaque_image_with_an_alpha_channel_has_a_placeholder(site: Site) -> None:
    """Whether a page's ground may be seen is a matter of pixels; of an animation only one frame is known."""
    opaque, cut = drawing.photo(80, 60).convert("RGBA"), drawing.photo(80, 60).convert("RGBA")
    cut.putpixel((3, 3), (0, 0, 0, 250))
    settled(site.images / "opaque.png", drawing.encoded(opaque, "PNG"))
    settled(site.images / "cut.png", drawing.encoded(cut, "PNG"))
    frames = drawing.frames(80, 60, 3, transparent=True)
    settled(site.images / "moving.webp", drawing.animated("WEBP", [opaque, *frames], [50] * 4))
    shown = {}
    for kit in (site.kit, site.new_kit()):
        for name in ("opaque.png", "cut.png", "moving.webp"):
            picture = kit.picture("40x", name, alt="", placeholder="blur")
            shown[name] = "data:image/webp" in str(picture)
            assert bool(picture.placeholder) is shown[name]
        assert shown == {"opaque.png": True, "cut.png": False, "moving.webp": False}


def test_a_thumbnail_of_several_sizes_has_the_attributes_of_a_file(site: Site) -> None:
    """Format, media type and bytes are those of the image in `src`."""
    tag = "{% thumbnail '80x' 'canal.jpg' widths='80 160' as t %}"
    template = tag + "{{ t.format }} {{ t.mimetype }} {{ t.size }} {{ t.url }}"
    for environment in (Environment, SandboxedEnvironment):
        format, mimetype, size, url = render(site.kit, template, environment).split()
        assert (format, mimetype) == ("JPEG", "image/jpeg")
        assert int(size) == (site.output / url.lstrip("/")).stat().st_size
    kit = site.new_kit(default_cachefile_strategy=DEFERRED)
    assert kit.picture("70x", "canal.jpg", alt="").size is None


def test_the_manifest_has_the_alternative_text_of_an_attribute(site: Site) -> None:
    """`alt` after `--` is what the page says, and goes before the keyword and the sidecar file there, too."""
    settled(site.images / "canal.jpg.toml", b'alt = "From the sidecar"')
    kit = site.new_kit(default_cachefile_strategy=DEFERRED)
    render(kit, "{% picture '80x' 'canal.jpg' alt='From the keyword' -- alt='Tom &amp; \"Jerry\"' %}")
    render(kit, "{% picture '70x' 'canal.jpg' -- alt='A <canal>'|e %}{% picture '60x' 'canal.jpg' -- alt='' %}")
    render(kit, "{% picture '50x' 'canal.jpg' %}")
    kit.finish()
    manifest = json.loads((site.state / "images.json").read_text())
    said = {entry["width"]: entry["alt"] for entry in manifest["pictures"]}
    assert said == {80: 'Tom &amp; "Jerry"', 70: "A <canal>", 60: "", 50: "From the sidecar"}


def test_a_broken_source_is_one_failure_of_a_picture(site: Site) -> None:
    """However many sizes and formats it has, there is one thing to mend; another generator says it for itself."""
    whole = photo_bytes(240, 180)
    settled(site.images / "broken.jpg", whole[: len(whole) // 2] + b"\xff\xd9")
    kit = site.new_kit(default_cachefile_strategy=DEFERRED)
    kit.register.generator("small", kit.spec(processors=[ResizeToFit(20, 20)]))
    render(kit, "{% picture '80x' 'broken.jpg' alt='' %}{% generateimage 'small' source='broken.jpg' %}")
    report = kit.finish()
    assert [(each.generator_id, each.source) for each in report.failed] == [
        ("imagekit:thumbnail", "broken.jpg"),
        ("small", "broken.jpg"),
    ]
    assert report.failed[0].reason.count("10 files of it") == 1
    assert "files of it" not in report.failed[1].reason
