"""Colours beyond sRGB: which images get them, in which files, and what exiftool and Chromium read in these."""

from __future__ import annotations

import io
import os
import re
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
from core_site import Site, settled
from jinja2 import Environment
from PIL import Image
from test_images_colours import near, png
from test_picture_browser import Website, served

import drawing
from colour_profiles import rgb_profile
from jinja_imagekit import ImageSpec
from jinja_imagekit.exceptions import InvalidOption, InvalidSetting
from jinja_imagekit.images import Limits, Original, PixelRules, encode, read_header
from jinja_imagekit.images.primaries import display_p3
from jinja_imagekit.pictures.media_queries import both
from jinja_imagekit.processors import ResizeToFit
from jinja_imagekit.settings import Settings
from jinja_imagekit.sources import Source

__all__ = ["served"]

VIVID = ((255, 0, 0), (0, 255, 0), (255, 120, 0), (120, 120, 120))
"""Samples of Display P3, of which only the grey is in sRGB."""

WRITTEN = ("JPEG", "PNG", "WEBP", "AVIF")


def blocks(*colours: tuple[int, int, int]) -> Image.Image:
    """Return blocks of 40 × 40 pixels, one a colour."""
    image = Image.new("RGB", (40 * len(colours), 40))
    for place, colour in enumerate(colours):
        image.paste(colour, (40 * place, 0, 40 * place + 40, 40))
    return image


def vivid(format: str = "PNG", profile: bytes | None = None) -> bytes:
    """Return a file in Display P3, or in another profile."""
    return drawing.encoded(blocks(*VIVID), format, icc_profile=profile or rgb_profile("p3"))


def made(data: bytes, format: str, **rules: Any) -> bytes:
    """Return an image in a format, by rules."""
    frames = Original(data, name="test", limits=Limits()).frames(PixelRules(**rules))
    return encode(frames, format, {}, rules=PixelRules(**rules), limits=Limits())


def middles(data: bytes) -> list[tuple[int, ...]]:
    """Return the samples in the middle of each block of a file, as they are."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    return [tuple(image.getpixel((x, 20))) for x in range(20, image.width, 40)]  # type: ignore[arg-type]  # RGB


def profile_of(file: bytes | Path) -> bytes | None:
    """Return the ICC profile of a file."""
    data = file if isinstance(file, bytes) else file.read_bytes()
    profile: bytes | None = Image.open(io.BytesIO(data)).info.get("icc_profile")
    return profile


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Return a site with a photo in Display P3, and one in sRGB."""
    site = Site(tmp_path)
    settled(site.images / "vivid.png", vivid())
    settled(site.images / "plain.png", drawing.encoded(blocks(*VIVID), "PNG"))
    return site


def render(kit: Any, text: str) -> str:
    """Return what a template prints."""
    return str(kit.install(Environment(autoescape=True)).from_string(text).render())


def sources(html: str) -> list[tuple[str, str, str]]:
    """Return media query, type and URL of what each element offers."""
    found = re.findall(r"<(?:source|img)[^>]*>", html)

    def value(tag: str, name: str) -> str:
        match = re.search(rf' {name}="([^"]*)"', tag)
        return match[1] if match else ""

    return [(value(each, "media"), value(each, "type"), value(each, "srcset") or value(each, "src")) for each in found]


def test_wide_sources_are_offered_in_both_gamuts(site: Site) -> None:
    """Wide screens get Display P3 in each format, all others what they get without it, under the same names."""
    usual = sources(render(site.kit, "{% picture '80x' 'vivid.png' widths=[80] -- alt='' %}"))
    offered = sources(render(site.kit, "{% picture '80x' 'vivid.png' widths=[80] gamut='p3' -- alt='' %}"))
    assert offered[2:] == usual
    assert [each[:2] for each in offered[:2]] == [
        ("(color-gamut: p3)", "image/avif"),
        ("(color-gamut: p3)", "image/webp"),
    ]
    assert len({url for _, _, url in offered}) == 4
    files = site.files()
    profiles = [profile_of(files[url[1:]]) for _, _, url in offered]
    assert profiles == [display_p3(), display_p3(), None, None]


def test_a_source_is_decoded_once_for_both_gamuts(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """And its files are those that it has alone."""
    originals: list[Original] = []
    plain = Source.as_original
    monkeypatch.setattr(Source, "as_original", lambda *given: originals.append(plain(*given)) or originals[-1])
    render(site.kit, "{% picture '80x' 'vivid.png' widths=[40, 80] gamut='p3' -- alt='' %}")
    assert [each.decodes for each in originals] == [1]
    together = site.files()
    assert len(together) == 8
    for name in together:
        os.unlink(site.output / name)
    alone = site.new_kit()
    for gamut in ("srgb", "p3"):
        for format in ("AVIF", "WEBP"):
            keywords = f"gamut='{gamut}' widths=[40, 80] formats='{format}'"
            render(alone, f"{{% picture '80x' 'vivid.png' {keywords} -- alt='' %}}")
    assert {name: data for name, data in site.files().items() if name in together} == together


def test_sources_within_srgb_are_offered_once(site: Site) -> None:
    """Nothing is gained by a second file, and the names are the usual ones."""
    usual = render(site.kit, "{% picture '80x' 'plain.png' -- alt='' %}")
    assert render(site.kit, "{% picture '80x' 'plain.png' gamut='p3' -- alt='' %}") == usual
    assert render(site.new_kit(gamut="p3"), "{% picture '80x' 'plain.png' -- alt='' %}") == usual


def test_the_setting_is_for_all_pictures_and_a_keyword_for_one(site: Site) -> None:
    """The keyword goes before the setting; a single image is in Display P3 itself."""
    kit = site.new_kit(gamut="p3")
    tag = "{{% picture '80x' 'vivid.png' widths=[80] {} -- alt='' %}}"
    assert render(kit, tag.format("")) == render(site.kit, tag.format("gamut='p3'"))
    assert render(kit, tag.format("gamut='srgb'")) == render(site.kit, tag.format(""))
    for keyword, profile in (("", display_p3()), ("gamut='srgb'", None)):
        html = render(kit, f"{{% thumbnail '80x' 'vivid.png' {keyword} format='JPEG' -- alt='' %}}")
        [(_, _, url)] = sources(html)
        assert profile_of(site.output / url[1:]) == profile
    several = sources(render(site.kit, "{% thumbnail '80x' 'vivid.png' gamut='p3' widths=[40, 80] -- alt='' %}"))
    urls = [each.split()[0] for each in several[0][2].split(", ")]
    assert [profile_of(site.output / url[1:]) for url in urls] == [display_p3()] * 2


def test_specs_have_a_gamut(site: Site) -> None:
    """A spec's own is that of its images; a picture of it is in both, and feeds get sRGB."""

    class Small(ImageSpec):
        """A small image in Display P3."""

        processors = (ResizeToFit(80, 80),)
        gamut = "p3"

    class Sized(ImageSpec):
        """An image as wide as asked."""

        def __init__(self, source: Any = None, width: int = 10, height: Any = None, format: str = "PNG") -> None:
            super().__init__(source)
            self.processors, self.format = (ResizeToFit(width, height),), format

    site.kit.register.generator("small", Small)
    site.kit.register.generator("sized", Sized)
    for source, profile in (("vivid.png", display_p3()), ("plain.png", None)):
        file = site.kit.cachefile("small", source=source)
        assert profile_of(site.output / file.url[1:]) == profile
    usual = sources(render(site.kit, "{% picture 'sized' '80x' 'vivid.png' widths=[80] -- alt='' %}"))
    offered = sources(render(site.kit, "{% picture 'sized' '80x' 'vivid.png' widths=[80] gamut='p3' -- alt='' %}"))
    assert offered[2:] == usual
    picture = site.kit.picture("80x", "vivid.png", gamut="p3", alt="")
    assert picture.absolute_url.endswith(".jpg")
    assert profile_of(site.output / picture.absolute_url[1:]) is None


def test_a_wrong_gamut_is_an_error(site: Site) -> None:
    """The message says which there are."""
    with pytest.raises(InvalidOption, match="gamut"):
        site.kit.picture("80x", "vivid.png", gamut="p4")
    with pytest.raises(InvalidSetting, match="one of srgb, p3"):
        Settings(gamut="wide")


@pytest.mark.parametrize(
    ("data", "wide"),
    [
        (vivid(), True),
        (vivid("JPEG", rgb_profile("wide")), True),
        (vivid("JPEG", rgb_profile("swapped")), False),
        (vivid("JPEG", rgb_profile("p3")[:200]), False),
        (drawing.encoded(blocks(*VIVID), "PNG"), False),
        (png("RGB", (200, 40, 40), (b"cICP", bytes((12, 13, 0, 1)))), True),
        (png("RGB", (200, 40, 40), (b"cICP", bytes((9, 16, 0, 1)))), True),
        (png("RGB", (200, 40, 40), (b"cICP", bytes((1, 13, 0, 1)))), False),
        (drawing.cmyk_jpeg(blocks(*VIVID), profiled=True), False),
    ],
)
def test_the_profile_says_what_is_wide(data: bytes, wide: bool) -> None:
    """Primaries decide, in a profile or by their numbers; no pixel is looked at."""
    assert read_header(data, name="test", limits=Limits()).is_wide is wide


def test_samples_stay_where_the_source_is_in_display_p3() -> None:
    """A GIF holds no profile, so that it is in sRGB whatever is asked."""
    profile = display_p3()
    assert middles(made(vivid(profile=profile), "PNG", gamut="p3")) == list(VIVID)
    by_number = png("RGB", (200, 40, 40), (b"cICP", bytes((12, 13, 0, 1))))
    same = Image.open(io.BytesIO(made(by_number, "WEBP", gamut="p3"))).getpixel((0, 0))
    assert near(same, (200, 40, 40), 1)  # type: ignore[arg-type]  # RGB
    for format in ("GIF", "PNG"):
        gamut = "p3" if format == "GIF" else "srgb"
        assert near(middles(made(vivid(profile=profile), format, gamut=gamut))[2], (255, 116, 0), 8)


def test_the_background_is_the_same_colour() -> None:
    """Red of sRGB is not the red of Display P3."""
    image = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    data = drawing.encoded(image, "PNG", icc_profile=rgb_profile("p3"))
    assert near(middles(made(data, "JPEG", gamut="p3", background="red"))[0], (234, 51, 35), 3)
    assert near(middles(made(data, "JPEG", background="red"))[0], (254, 0, 0), 3)


def test_what_an_older_version_remembered_is_looked_at_again(site: Site) -> None:
    """It did not write down whether sources are wide."""
    site.kit.picture("80x", "vivid.png", alt="").width  # noqa: B018  # looks at the source
    known = site.kit.records.source_facts(str(site.images / "vivid.png"))
    assert known is not None
    assert known.header is not None
    assert known.header.pop("is_wide") is True
    site.kit.records.put_source_facts({str(site.images / "vivid.png"): known})
    html = render(site.new_kit(), "{% picture '80x' 'vivid.png' gamut='p3' -- alt='' %}")
    assert "(color-gamut: p3)" in html


QUERIES = {
    "": "(color-gamut: p3)",
    "(max-width: 600px)": "(max-width: 600px) and (color-gamut: p3)",
    "screen": "screen and (color-gamut: p3)",
    "only screen and (a)": "only screen and (a) and (color-gamut: p3)",
    "(a) or (b)": "((a) or (b)) and (color-gamut: p3)",
    "not (a)": "(not (a)) and (color-gamut: p3)",
    "(a), screen and (b)": "(a) and (color-gamut: p3), screen and (b) and (color-gamut: p3)",
    "not print": "(color-gamut: p3)",
    "not screen and (a)": "(not (a)) and (color-gamut: p3)",
}


def test_art_direction_goes_with_gamuts(site: Site) -> None:
    """Each medium is there twice, first for wide screens."""
    html = render(
        site.kit,
        "{% picture '80x' 'vivid.png' at={'(max-width: 9px)': '20x20'} formats='WEBP' gamut='p3' -- alt='' %}",
    )
    media = [each[0] for each in sources(html)]
    assert media == ["(max-width: 9px) and (color-gamut: p3)", "(max-width: 9px)", "(color-gamut: p3)", ""]


@pytest.mark.parametrize("format", WRITTEN)
def test_exiftool_reads_the_profile(format: str, tmp_path: Path) -> None:
    """It is there in each format that holds one, and only where it was asked for."""
    program = shutil.which("exiftool")
    if program is None:
        pytest.skip("exiftool is not installed (Debian: libimage-exiftool-perl)")
    said = []
    for gamut in ("srgb", "p3"):
        path = tmp_path / f"{gamut}{format}"
        path.write_bytes(made(vivid(), format, gamut=gamut))
        command = [program, "-s3", "-ICC_Profile:ProfileDescription", str(path)]
        said.append(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())
    assert said == ["", "Display P3"]


_SAMPLES = """async names => {
  const all = [];
  for (const name of names) {
    const image = new Image();
    image.src = name;
    await image.decode();
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    const context = canvas.getContext('2d', {colorSpace: 'display-p3'});
    context.drawImage(image, 0, 0);
    const samples = [];
    for (let x = 20; x < canvas.width; x += 40)
      samples.push([...context.getImageData(x, 20, 1, 1, {colorSpace: 'display-p3'}).data].slice(0, 3));
    all.push(samples);
  }
  return all;
}"""


def test_chromium_reads_the_right_colours(browser: Any, served: tuple[Path, str]) -> None:
    """What it decodes of each format is what it decodes of the source; in sRGB the vivid ones are paler."""
    website = Website(*served)
    url = website.page("canvas.html", "")
    folder = website.root / "www"
    (folder / "source.png").write_bytes(vivid())
    names = {format: f"vivid.{format.lower()}" for format in ("JPEG", "PNG", "WEBP", "AVIF")}
    for format, name in names.items():
        (folder / name).write_bytes(made(vivid(), format, gamut="p3"))
    (folder / "srgb.png").write_bytes(made(vivid(), "PNG"))
    context = browser.new_context()
    page = context.new_page()
    page.goto(url)
    source, *results, plain = page.evaluate(_SAMPLES, ["source.png", *names.values(), "srgb.png"])
    context.close()
    for samples in results:
        assert all(near(sample, wanted, 4) for sample, wanted in zip(samples, source, strict=True)), (samples, source)
    assert near(plain[0], (234, 51, 35), 4)
    assert near(plain[3], source[3], 2)


def test_chromium_takes_and_preloads_the_gamut_of_its_screen(browser: Any, served: tuple[Path, str]) -> None:
    """One file is fetched, by the preload too, whichever side of the breakpoint and whatever the screen."""
    website = Website(*served)
    settled(website.images / "vivid.png", vivid())
    tag = "picture '80x' 'vivid.png' at={'(max-width: 600px)': '40x40'} gamut='p3' priority=true alt=''"
    url = website.page(
        "gamut.html", f"{{% {tag} as p %}}{{{{ p }}}}", head=f"{{% {tag} as early %}}{{{{ early.preload }}}}"
    )
    seen = {}
    for window in (500, 800):
        for gamut in ("srgb", "p3"):
            context = browser.new_context(viewport={"width": window, "height": 600})
            page = context.new_page()
            emulated = {"features": [{"name": "color-gamut", "value": gamut}]}
            context.new_cdp_session(page).send("Emulation.setEmulatedMedia", emulated)
            fetched: list[str] = []
            page.on("request", lambda each, fetched=fetched: each.resource_type == "image" and fetched.append(each.url))
            page.goto(url, wait_until="load")
            assert len(set(fetched)) == 1, fetched
            path = website.root / "www" / fetched[0].removeprefix(website.url + "/")
            with Image.open(path) as image:
                seen[window, gamut] = image.width, image.info.get("icc_profile")
            context.close()
    profiles = {gamut: profile for (_, gamut), (_, profile) in seen.items()}
    assert profiles == {"srgb": None, "p3": display_p3()}
    assert [seen[window, "p3"][0] for window in (500, 800)] == [seen[window, "srgb"][0] for window in (500, 800)]
    assert seen[500, "p3"][0] < seen[800, "p3"][0]


def test_queries_are_those_that_chromium_reads(browser: Any) -> None:
    """Each combined query is one, and is written as it stands."""
    context = browser.new_context()
    page = context.new_page()
    for query, combined in QUERIES.items():
        assert both(query, "(color-gamut: p3)") == combined
        for text in combined.replace("(a)", "(width)").replace("(b)", "(height)").split(", "):
            assert "not all" not in page.evaluate("text => matchMedia(text).media", text), text
    context.close()


def test_the_profile_has_no_tag_beyond_its_end() -> None:
    """All of it is there, in a size that costs little."""
    profile = display_p3()
    assert int.from_bytes(profile[:4], "big") == len(profile) < 500
    for at in range(132, 132 + 12 * int.from_bytes(profile[128:132], "big"), 12):
        start, length = struct.unpack_from(">II", profile, at + 4)
        assert start % 4 == 0
        assert start + length <= len(profile)
