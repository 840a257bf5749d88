"""As few bytes as a simple source allows: palettes, grey and lossless coding stay, with the pixels that they had."""

from __future__ import annotations

import io
import random

import pytest
from PIL import Image, ImageChops, ImageDraw, ImageStat

import drawing
from jinja_imagekit.exceptions import InvalidOption
from jinja_imagekit.images import Limits, Original
from jinja_imagekit.processors import ResizeToFit
from jinja_imagekit.recipes import Recipe


def screenshot(
    width: int = 640, height: int = 460, colours: tuple[str, ...] = ("black", "navy", "darkred")
) -> Image.Image:
    """Draw lines of text on white, as a screenshot has them."""
    rng = random.Random(1)
    image = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(image)
    for number in range(width // 6):
        place = rng.randrange(width), rng.randrange(height)
        pen.text(place, f"The quick brown fox {number}", fill=rng.choice(colours))
    return image


def made(data: bytes, format: str | None = None, width: int | None = None, **options: object) -> bytes:
    """Return what a recipe makes of a file: at its own size, or as wide as told."""
    processors = (ResizeToFit(width, width),) if width else ()
    return Recipe("test", processors, format, options).make(Original(data, name="test", limits=Limits()))


def opened(data: bytes) -> Image.Image:
    """Return an image file's pixels."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def error(first: Image.Image, second: Image.Image) -> float:
    """Return the greatest root mean square of the difference of a channel of two images, on green."""
    shown = []
    for image in (first, second):
        green = Image.new("RGBA", image.size, "green")
        shown.append(Image.alpha_composite(green, image.convert("RGBA")).convert("RGB"))
    return max(ImageStat.Stat(ImageChops.difference(*shown)).rms)


def test_palette_png_keeps_its_palette_when_it_is_resized() -> None:
    """A drawing of 64 colours stays one with a palette, in less than half the bytes of its true colours."""
    drawn = screenshot().quantize(64)
    source = drawing.encoded(drawn, "PNG", optimize=True)
    result = made(source, width=512)
    in_full = made(drawing.encoded(drawn.convert("RGB"), "PNG"), width=512)
    assert opened(result).mode == "P"
    assert len(result) < 0.5 * len(in_full)
    assert error(opened(result), opened(in_full)) < 4
    assert opened(result).convert("RGB").getpixel((0, 0)) == opened(in_full).getpixel((0, 0))


def test_large_areas_keep_their_very_colour() -> None:
    """A background that is a number in a style sheet does not shift by a level."""
    image = screenshot(colours=("black", "navy", "gray", "teal", "orange", "purple"))
    image.paste((245, 245, 246), (0, 300, 640, 460))
    result = opened(made(drawing.encoded(image.quantize(256), "PNG"), width=512))
    assert result.mode == "P"
    assert result.convert("RGB").getpixel((500, 330)) == (245, 245, 246)


def test_half_transparent_palette_is_kept() -> None:
    """A logo with soft edges in a palette looks the same, and is smaller than in true colours."""
    logo = Image.new("RGBA", (400, 300))
    pen = ImageDraw.Draw(logo)
    pen.ellipse((20, 20, 380, 280), fill=(200, 30, 40, 255))
    pen.rectangle((100, 100, 300, 200), fill=(255, 255, 255, 120))
    source = drawing.encoded(logo.quantize(64, Image.Quantize.FASTOCTREE), "PNG")
    result, in_full = made(source, width=200), made(drawing.encoded(logo, "PNG"), width=200)
    assert opened(result).mode == "P"
    assert error(opened(result), opened(in_full)) < 6


@pytest.mark.parametrize(
    "image", [screenshot(), screenshot().convert("1"), screenshot().quantize(20)], ids=["RGB", "1", "P"]
)
def test_few_colours_are_a_palette_without_loss(image: Image.Image) -> None:
    """At its own size a drawing has its very pixels, in hardly more bytes than an optimised source."""
    source = drawing.encoded(image, "PNG", optimize=True)
    result = made(source)
    assert opened(result).convert("RGB").tobytes() == image.convert("RGB").tobytes()
    assert len(result) <= 1.1 * len(source)


@pytest.mark.parametrize("seed", range(4))
def test_palette_of_close_colours_is_exact(seed: int) -> None:
    """Colours that differ by one level, and alphas too, are told apart."""
    rng = random.Random(seed)
    mode = "RGBA" if seed % 2 else "RGB"
    base = [rng.randrange(200) for _ in mode]
    colours = [tuple(level + rng.randrange(8) for level in base) for _ in range(200)]
    image = Image.new(mode, (50, 40))
    image.putdata([rng.choice(colours) for _ in range(2000)])
    result = opened(made(drawing.encoded(image, "PNG")))
    assert result.mode == "P"
    assert result.convert(mode).tobytes() == image.tobytes()


def test_one_bit_stays_black_and_white_or_becomes_a_few_greys() -> None:
    """A scan of one bit has one bit at its own size, and no more than 16 levels of grey when it is resized."""
    source = drawing.encoded(screenshot().convert("1"), "PNG")
    assert opened(made(source)).mode == "1"
    small = opened(made(source, width=320))
    levels = {pixel[1] for pixel in small.convert("L").getcolors()}
    assert 2 < len(levels) <= 16


def test_grey_stays_grey() -> None:
    """A grey photograph has one channel, and so has one that was saved with three."""
    grey = drawing.photo(200, 150).convert("L")
    for image in (grey, grey.convert("RGB"), grey.convert("RGBA")):
        result = opened(made(drawing.encoded(image, "PNG"), width=100))
        assert result.mode == "L"


def test_photograph_keeps_its_true_colours() -> None:
    """A source without a palette is never reduced to one that loses colours."""
    photo = drawing.photo(200, 150)
    assert opened(made(drawing.encoded(photo, "PNG"))).tobytes() == photo.tobytes()


def test_flat_png_is_smaller_than_pillow_writes_it() -> None:
    """A screenshot of many colours, which Pillow filters, is smaller without filters, and the same pixels."""
    image = screenshot().resize((600, 430), Image.Resampling.LANCZOS)
    source = drawing.encoded(image, "PNG", compress_level=6)
    result = made(source)
    assert opened(result).convert("RGB").tobytes() == image.tobytes()
    assert len(result) <= 0.85 * len(source)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_bits_ask_for_a_palette(bits: int) -> None:
    """The option says how many colours a PNG has at most: two to that power."""
    image = opened(made(drawing.jpeg(200, 150), "PNG", width=100, bits=bits))
    assert image.mode == "P"
    assert len(image.getcolors()) <= 2**bits


def test_dither_mixes_missing_colours() -> None:
    """With `dither`, means over areas are nearer to the source's."""
    source = drawing.encoded(Image.linear_gradient("L").convert("RGB").resize((256, 256)), "PNG")
    plain, dithered = (opened(made(source, bits=2, dither=dither)).convert("RGB") for dither in (False, True))
    wanted = opened(source).convert("RGB").reduce(16)
    assert error(dithered.reduce(16), wanted) < 0.5 * error(plain.reduce(16), wanted)


@pytest.mark.parametrize("bits", [0, 9, 2.5, "8"])
def test_impossible_bits_are_refused(bits: object) -> None:
    """More than eight bits have no palette."""
    with pytest.raises(InvalidOption, match="bits"):
        made(drawing.jpeg(20, 15), "PNG", bits=bits)


def test_lossless_webp_stays_lossless() -> None:
    """Its pixels are the same at its own size; resized, it is still coded without loss."""
    photo = drawing.photo(200, 150)
    source = drawing.encoded(photo, "WEBP", lossless=True)
    assert opened(made(source)).convert("RGB").tobytes() == photo.tobytes()
    assert b"VP8L" in made(source, width=100)[:64]
    assert b"VP8L" not in made(source, width=100, quality=80)[:64]
    assert b"VP8L" not in made(drawing.encoded(photo, "WEBP", quality=80))[:64]


def test_drawing_becomes_lossless_webp_where_that_is_smaller() -> None:
    """A screenshot has its very pixels in fewer bytes than with loss; a photograph has not, and is lossy."""
    image = screenshot()
    result = made(drawing.encoded(image, "PNG"), "WEBP")
    assert opened(result).convert("RGB").tobytes() == image.tobytes()
    assert len(result) < len(made(drawing.encoded(image, "PNG"), "WEBP", quality=80))
    assert b"VP8L" not in made(drawing.jpeg(200, 150), "WEBP")[:64]
