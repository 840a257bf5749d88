"""As few bytes as a simple source allows: palettes, grey and lossless coding stay, with the pixels that they had."""

from __future__ import annotations

import io
import random

import pytest
from PIL import Image, ImageChops, ImageDraw, ImageStat

import drawing
from jinja_imagekit import ImageSpec
from jinja_imagekit.exceptions import InvalidOption, InvalidSetting
from jinja_imagekit.images import Frames, Limits, Original, PixelRules, encode
from jinja_imagekit.processors import ResizeToFit
from jinja_imagekit.recipes import Recipe
from jinja_imagekit.settings import EFFORTS, Settings
from jinja_imagekit.specs import spec_class


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


def moving(count: int = 12) -> list[Image.Image]:
    """Draw a disc that moves over a picture."""
    still = drawing.photo(240, 180, seed=3).quantize(64).convert("RGB")
    frames = []
    for number in range(count):
        frame = still.copy()
        ImageDraw.Draw(frame).ellipse((10 * number, 40, 10 * number + 40, 80), fill=(200, 40 + 4 * number, 60))
        frames.append(frame)
    return frames


def animated(data: bytes) -> Frames:
    """Return all frames of a file."""
    return Original(data, name="test", limits=Limits()).frames(PixelRules(), animated=True)


def test_frames_of_a_resized_gif_are_their_differences() -> None:
    """What stands still costs nothing: twelve frames have less than twice the bytes of one."""
    source = drawing.animated("GIF", moving(), [80] * 12)
    one = drawing.animated("GIF", moving(1) + moving(2)[1:], [80, 80])
    result = made(source, width=120)
    assert len(result) < 2 * len(made(one, width=120))
    shown = animated(result)
    assert shown.durations == (80,) * 12
    for before, after in zip(moving(), shown.images, strict=True):
        assert error(before.resize((120, 90), Image.Resampling.LANCZOS), after) < 8


def test_gif_at_its_own_size_is_lossless_and_not_larger() -> None:
    """Frames that each have a palette keep their pixels; equal frames become one that is shown longer."""
    frames = moving(6)
    frames.insert(3, frames[2].copy())
    source = drawing.animated("GIF", [frame.quantize(200) for frame in frames], [80] * 7)
    result = made(source)
    wanted = [image.tobytes() for image in animated(source).images]
    assert [image.tobytes() for image in animated(result).images] == list(dict.fromkeys(wanted))
    assert sum(animated(result).durations) == 560
    assert len(result) <= len(source)


def sprites(seed: int) -> tuple[list[Image.Image], list[int]]:
    """Draw a few frames of which pixels come, change and go, and how long each is shown."""
    rng = random.Random(seed)
    size = width, height = rng.randrange(1, 40), rng.randrange(1, 40)
    colours = [tuple(rng.randrange(256) for _ in range(3)) for _ in range(rng.choice([2, 5, 40, 300]))]
    frames = []
    canvas = Image.new("RGBA", size)
    for _ in range(rng.randrange(1, 9)):
        canvas = Image.new("RGBA", size) if rng.random() < 0.3 else canvas.copy()
        pen = ImageDraw.Draw(canvas)
        for _ in range(rng.randrange(4)):
            left, top = rng.randrange(width), rng.randrange(height)
            box = left, top, min(width - 1, left + rng.randrange(12)), min(height - 1, top + rng.randrange(12))
            alpha = 255 if rng.random() < 0.7 else 0
            pen.rectangle(box, fill=(*rng.choice(colours), alpha) if alpha else (0, 0, 0, 0))
        frames.append(canvas)
    return frames, [rng.choice([0, 10, 50, 200]) for _ in frames]


@pytest.mark.parametrize("seed", range(60))
def test_gif_shows_just_the_frames_that_it_was_made_of(seed: int) -> None:
    """Whatever appears, changes and vanishes, each frame is shown as it was, for as long."""
    frames, durations = sprites(seed)
    looks = Frames(tuple(frames), frames[0].size, durations=tuple(durations), loop=0, are_as_coded=True)
    result = animated(encode(looks, "GIF", {}, rules=PixelRules(), limits=Limits()))
    wanted: list[tuple[bytes, int]] = []
    for frame, duration in zip(frames, durations, strict=True):
        same = bool(wanted) and wanted[-1][0] == frame.tobytes()
        earlier = wanted.pop()[1] if same else 0
        wanted.append((frame.tobytes(), earlier + duration))
    shown = [image.convert("RGBA").tobytes() for image in result.images]
    assert shown == [pixels for pixels, _ in wanted]
    assert list(result.durations or (wanted[0][1],)) == [duration for _, duration in wanted]


def test_gif_has_a_palette_for_each_scene() -> None:
    """A cut to other colours brings them in full."""
    first = drawing.photo(160, 120, seed=1).convert("L").convert("RGB")
    second = Image.merge("RGB", (Image.new("L", (160, 120), 255), *drawing.photo(160, 120, seed=2).split()[:2]))
    source = drawing.animated("WEBP", [first, first, second, second], [100, 100, 100, 120])
    result = animated(made(source, "GIF"))
    assert error(animated(source).images[0], result.images[0]) < 8
    assert error(animated(source).images[-1], result.images[-1]) < 8


def test_gif_dithers_when_asked_to() -> None:
    """With `dither`, a gradient of 256 levels of each colour has means nearer to the source's."""
    wide = Image.merge("RGB", [Image.linear_gradient("L").rotate(angle) for angle in (0, 90, 180)])
    source = drawing.encoded(wide, "PNG")
    plain, dithered = (opened(made(source, "GIF", dither=dither)).convert("RGB") for dither in (False, True))
    assert error(dithered.reduce(8), wide.reduce(8)) < error(plain.reduce(8), wide.reduce(8))


@pytest.mark.parametrize("effort", EFFORTS)
def test_oxipng_writes_the_same_pixels_in_fewer_bytes(effort: str) -> None:
    """With the setting `png_optimizer` a PNG is smaller, and nothing else changes."""
    image = screenshot().resize((300, 216), Image.Resampling.LANCZOS)
    source = Original(drawing.encoded(image, "PNG"), name="test", limits=Limits())
    plain, smaller = (
        Recipe("test", rules=PixelRules(effort=effort, png_optimizer=each)).make(source) for each in ("none", "oxipng")
    )
    assert opened(smaller).convert("RGB").tobytes() == image.tobytes()
    assert len(smaller) < 0.98 * len(plain)


def test_optimizer_is_in_the_name_and_on_a_spec() -> None:
    """Nobody gets other bytes under a name that is there already."""
    recipes = {ImageSpec.get_recipe(each()) for each in (ImageSpec, spec_class({"png_optimizer": "oxipng"}))}
    assert len(recipes) == 2


def test_optimizer_that_is_not_installed_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The setting never falls back in silence; the error says what to install."""
    monkeypatch.setattr("jinja_imagekit.settings.find_spec", lambda name: None)
    with pytest.raises(InvalidSetting, match=r"pip install 'jinja-imagekit\[oxipng\]'"):
        Settings(png_optimizer="oxipng")
    with pytest.raises(InvalidSetting, match="none, oxipng"):
        Settings(png_optimizer="optipng")


def test_half_transparent_colours_that_no_palette_holds_stay_true() -> None:
    """Faint lines do not vanish for the sake of a palette."""
    image = Image.new("RGBA", (400, 300))
    pen = ImageDraw.Draw(image)
    rng = random.Random(2)
    for number in range(400):
        colour = (*(rng.randrange(256) for _ in range(3)), rng.randrange(10, 255))
        place = rng.randrange(400), rng.randrange(300)
        pen.line((*place, rng.randrange(400), rng.randrange(300)), fill=colour, width=1 + number % 3)
    source = drawing.encoded(image.quantize(256, Image.Quantize.FASTOCTREE), "PNG")
    assert opened(made(source, width=200)).mode == "RGBA"


def test_animations_may_have_another_format() -> None:
    """With `animated_format` a GIF that moves becomes such a WebP; stills and asked formats stay what they are."""
    gif = drawing.animated("GIF", moving(4), [80] * 4)
    still = drawing.encoded(moving(1)[0].quantize(64), "GIF")
    spec = spec_class({"animated_format": "WEBP"})
    assert spec(gif).output_format == "WEBP"
    assert Image.open(spec(gif).generate()).format == "WEBP"
    assert len(animated(spec(gif).generate().read()).images) == 4
    assert Image.open(spec(still).generate()).format == spec(still).output_format == "GIF"
    for attributes in ({"format": "PNG"}, {"keep_animation": False}):
        other = spec_class({"animated_format": "WEBP", **attributes})(gif)
        assert Image.open(other.generate()).format == other.output_format != "WEBP"
