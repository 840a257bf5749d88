"""How well results keep what one sees: chroma, effort, quality by a target and by size, and the encoders."""

from __future__ import annotations

import math
from io import BytesIO

import pytest
from PIL import Image, ImageChops, ImageStat

import drawing
from jinja_imagekit import ImageKit
from jinja_imagekit.exceptions import InvalidOption, InvalidSetting
from jinja_imagekit.generatorlibrary import Thumbnail
from jinja_imagekit.images import Frames, Limits, PixelRules, encode
from jinja_imagekit.settings import EFFORTS, Settings
from jinja_imagekit.specs import spec_class

RULES, LIMITS = PixelRules(), Limits()
RED, BLUE = (255, 0, 0), (0, 0, 255)


def made(image: Image.Image, format: str, rules: PixelRules = RULES, **options: object) -> bytes:
    """Encode one image."""
    return encode(Frames((image,), image.size), format, options, rules=rules, limits=LIMITS)


def opened(data: bytes) -> Image.Image:
    """Return a file's pixels."""
    return Image.open(BytesIO(data)).convert("RGB")


def psnr(image: Image.Image, data: bytes) -> float:
    """Return the peak signal-to-noise ratio of a file against the image that it was made of, in dB."""
    squares = ImageStat.Stat(ImageChops.difference(image, opened(data))).sum2
    return 10 * math.log10(255**2 * 3 * image.width * image.height / sum(squares))


@pytest.mark.parametrize(("format", "full"), [("JPEG", 0), ("AVIF", "4:4:4")])
def test_saturated_edges_keep_their_chroma(format: str, full: object) -> None:
    """Red text on blue is written at the full resolution of chroma, which is mud at half of it."""
    text = drawing.lettering(200, 150, RED, BLUE)
    data = made(text, format)
    assert data == made(text, format, subsampling=full)
    assert psnr(text, data) > psnr(text, made(text, format, subsampling="4:2:0")) + 10


@pytest.mark.parametrize("format", ["JPEG", "AVIF"])
def test_small_saturated_caption_on_a_large_photo_keeps_its_chroma(format: str) -> None:
    """One line of red text is enough, however small its share of the image."""
    photo = drawing.photo(600, 450)
    photo.paste(drawing.lettering(200, 30, RED, BLUE, size=14), (380, 400))
    assert made(photo, format) != made(photo, format, subsampling="4:2:0")


@pytest.mark.parametrize("format", ["JPEG", "AVIF"])
@pytest.mark.parametrize("image", [drawing.photo(320, 240, seed) for seed in range(3)])
def test_photo_has_half_the_chroma(format: str, image: Image.Image) -> None:
    """A photograph costs no byte more for the sake of edges that it does not have."""
    assert made(image, format) == made(image, format, subsampling="4:2:0")


@pytest.mark.parametrize("format", ["JPEG", "AVIF"])
def test_stated_subsampling_wins(format: str) -> None:
    """Whoever states a subsampling gets it, for text and for photographs."""
    text, photo = drawing.lettering(200, 150, RED, BLUE), drawing.photo(160, 120)
    assert len(made(text, format, subsampling="4:2:0")) < len(made(text, format))
    assert len(made(photo, format, subsampling="4:4:4")) > len(made(photo, format))


def test_text_without_colour_has_no_chroma_to_keep() -> None:
    """Black text on white, grey images and transparent ones of one colour are written as before."""
    text = drawing.lettering(200, 150, (0, 0, 0), (255, 255, 255))
    assert made(text, "JPEG") == made(text, "JPEG", subsampling="4:2:0")
    assert Image.open(BytesIO(made(text.convert("L"), "JPEG"))).mode == "L"


@pytest.mark.parametrize("format", ["JPEG", "WEBP", "AVIF", "PNG"])
def test_more_effort_takes_fewer_bytes(format: str) -> None:
    """Fast is the largest, and nothing is smaller than small, give or take a byte in a thousand."""
    ink, paper = (60, 60, 60), (255, 255, 255)
    image = drawing.lettering(320, 240, ink, paper) if format == "PNG" else drawing.photo(320, 240)
    fast, balanced, small = (len(made(image, format, PixelRules(effort=each))) for each in EFFORTS)
    assert fast > small
    assert fast >= balanced >= 0.999 * small


def test_stated_option_goes_before_the_effort() -> None:
    """An option of the encoder says more than the effort, which leaves it alone."""
    photo = drawing.photo(160, 120)
    assert made(photo, "WEBP", PixelRules(effort="small"), method=2, quality=80) == made(
        photo, "WEBP", PixelRules(effort="fast")
    )
    assert made(photo, "GIF", PixelRules(effort="small")) == made(photo, "GIF", PixelRules(effort="fast"))


def test_effort_of_setting_spec_and_keyword() -> None:
    """The setting is for all, a spec's attribute for its own, a tag's keyword for one; each gives another name."""
    photo = drawing.jpeg(160, 120)
    small = spec_class({"format": "WEBP", "effort": "small"})
    assert small(BytesIO(photo)).generate().read() == made(opened(photo), "WEBP", PixelRules(effort="small"))
    kits = [ImageKit(effort=effort, state_store="MemoryStore") for effort in ("balanced", "small")]
    names = [kit.cachefile("imagekit:thumbnail", width=80, source=photo).name for kit in kits]
    asked = kits[0].cachefile("imagekit:thumbnail", width=80, source=photo, effort="small").name
    assert names[0] != names[1] == asked


def test_unknown_effort_is_refused() -> None:
    """A mistyped effort names the right one: as a setting, on a spec and as a keyword."""
    with pytest.raises(InvalidSetting, match="must be one of fast, balanced, small"):
        Settings(effort="tiny")
    with pytest.raises(InvalidOption, match="Did you mean 'small'"):
        Thumbnail(width=80, effort="smal")
