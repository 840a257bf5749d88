"""What processors make of pixels: pilkit's result where pilkit is right, and ours where it is not."""

from __future__ import annotations

from typing import Any

import pilkit.processors
import pytest
from PIL import Image, ImageChops, ImageDraw, ImageStat

import drawing
from jinja_imagekit import processors
from jinja_imagekit.processors import (
    AddBorder,
    Adjust,
    ColorOverlay,
    Convert,
    Crop,
    Duotone,
    GaussianBlur,
    MakeOpaque,
    Reflection,
    Resize,
    ResizeCanvas,
    ResizeToFill,
    ResizeToFit,
    SetOpacity,
    SmartCrop,
    SmartResize,
    Thumbnail,
    Transpose,
    TrimBorderColor,
)

PHOTO = drawing.photo(331, 247, seed=5)
CUT_OUT = drawing.cut_out(PHOTO)

AS_PILKIT: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("Resize", (100, 150), {}),
    ("Resize", (500, 300), {}),
    ("Resize", (500, 100, False), {}),
    ("ResizeToCover", (100, 100), {}),
    ("ResizeToCover", (400, 100), {"upscale": False}),
    ("ResizeToFill", (100, 100), {}),
    ("ResizeToFill", (100, 37, "t"), {}),
    ("ResizeToFill", (31, 100, "br"), {}),
    ("ResizeToFill", (40, 100, (0.3, 0.9)), {}),
    ("ResizeToFill", (400, 300, "r"), {}),
    ("ResizeToFill", (400, 200, "l"), {"upscale": False}),
    ("SmartResize", (50, 100), {}),
    ("SmartResize", (120, 40), {}),
    ("SmartCrop", (200, 90), {}),
    ("SmartCrop", (90, 400), {}),
    ("Crop", (200, 90), {}),
    ("Crop", (200, 90, "br"), {}),
    ("Crop", (200, 900, (0.25, 1)), {}),
    ("Crop", (200, 90), {"x": -20, "y": -30}),
    ("Adjust", (0.5, 1.2, 1.3, 1.5), {}),
    ("Adjust", (), {"contrast": 0.4}),
    ("Adjust", (0.2,), {}),
    ("Reflection", (), {"size": 0.4}),
    ("Reflection", ("#306090", 1, 0.9), {}),
    ("Transpose", (Transpose.ROTATE_90,), {}),
    ("Transpose", (Transpose.FLIP_VERTICAL, Transpose.ROTATE_270, Transpose.FLIP_HORIZONTAL), {}),
    ("ColorOverlay", ("#c04020", 0.3), {}),
    ("MakeOpaque", (), {}),
    ("Convert", ("L",), {}),
    ("GaussianBlur", (3,), {}),
    ("AddBorder", (7, "red"), {}),
    ("AddBorder", ((1, 2, 3, 4),), {}),
    ("ResizeCanvas", (400, 200, "green", "tl"), {}),
    ("ResizeCanvas", (200, 400), {"x": -30, "y": 12}),
    ("ResizeToFit", (100, 100), {}),
    ("ResizeToFit", (None, 333), {}),
    ("ResizeToFit", (500,), {"upscale": False}),
    ("ResizeToFit", (200, 200, True, "navy", "b"), {}),
    ("Thumbnail", (100, 60, "entropy"), {}),
    ("Thumbnail", (100, 60, "tl"), {}),
    ("Thumbnail", (100, 60), {"crop": False}),
    ("Thumbnail", (1000,), {}),
]


def difference(first: Image.Image, second: Image.Image) -> float:
    """Return the greatest mean difference of a band, in levels; alpha is compared after premultiplying."""
    assert first.size == second.size
    bands = [image.convert("RGBA").convert("RGBa") for image in (first, second)]
    return max(max(ImageStat.Stat(band).mean) for band in ImageChops.difference(*bands).split())


def pilkits(name: str, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """Return pilkit's processor; what it calls "auto" is called by what it does here."""
    return getattr(pilkit.processors, name)(*("auto" if each == "entropy" else each for each in args), **keywords)


@pytest.mark.parametrize(("name", "args", "keywords"), AS_PILKIT)
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_opaque_images_come_out_as_from_pilkit(
    mode: str, name: str, args: tuple[Any, ...], keywords: dict[str, Any]
) -> None:
    """Where pilkit's pixels are right, ours are the same within rounding."""
    image = PHOTO.convert(mode)
    ours = getattr(processors, name)(*args, **keywords).process(image)
    theirs = pilkits(name, args, keywords)
    assert difference(ours, theirs.process(image)) < 1.0


KEEPING_ALPHA = (
    "Resize",
    "ResizeToCover",
    "ResizeToFill",
    "SmartResize",
    "SmartCrop",
    "Crop",
    "Transpose",
    "Thumbnail",
)


@pytest.mark.parametrize(("name", "args", "keywords"), [case for case in AS_PILKIT if case[0] in KEEPING_ALPHA])
def test_cut_outs_come_out_as_from_pilkit(name: str, args: tuple[Any, ...], keywords: dict[str, Any]) -> None:
    """Transparency is resized and cropped with the picture."""
    ours = getattr(processors, name)(*args, **keywords).process(CUT_OUT)
    theirs = pilkits(name, args, keywords).process(CUT_OUT)
    assert ours.mode == "RGBA"
    assert difference(ours, theirs) < 1.0


@pytest.mark.parametrize(("name", "args", "keywords"), AS_PILKIT)
def test_an_opaque_image_gets_no_needless_alpha(name: str, args: tuple[Any, ...], keywords: dict[str, Any]) -> None:
    """An alpha channel appears only where a transparent canvas shows."""
    result = getattr(processors, name)(*args, **keywords).process(PHOTO)
    shows_canvas = name in ("AddBorder", "ResizeCanvas") and result.getpixel((result.width - 1, 0))[3:] == (0,)
    assert result.mode == ("RGBA" if shows_canvas else "L" if name == "Convert" else "RGB")


MODES = ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "I", "F", "I;16", "La", "RGBa"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "processor",
    [
        Resize(50, 40),
        ResizeToFill(50, 40),
        SmartResize(50, 40),
        ResizeToFit(50, 50, mat_color="red"),
        Thumbnail(50, 40),
        Crop(50, 40),
        SmartCrop(50, 40),
        TrimBorderColor(),
        Adjust(0.9, 1.1, 1.2, 1.3),
        Reflection(size=0.3),
        Transpose(Transpose.ROTATE_90),
        Transpose(),
        ColorOverlay("red"),
        MakeOpaque(),
        Convert("RGB"),
        Convert("CMYK"),
        GaussianBlur(2),
        AddBorder(3, "red"),
        ResizeCanvas(300, 300),
        SetOpacity(0.5),
        Duotone("navy", "#ffeecc"),
        processors.OverlayImage(PHOTO.resize((20, 20))),
    ],
    ids=lambda processor: type(processor).__name__,
)
def test_any_mode_is_taken(mode: str, processor: Any) -> None:
    """A custom processor before ours may leave any of Pillow's modes behind; its picture survives."""
    image = in_mode(mode)
    before = image.tobytes()
    result = processor.process(image)
    expected = processor.process(Convert("RGB").process(image))
    assert result.size == expected.size
    assert image.tobytes() == before
    # Grey and colour of one picture differ in entropy, and so in what is cut off.
    is_smart = isinstance(processor, (SmartCrop, SmartResize, Thumbnail))
    if mode not in ("LA", "RGBA", "PA", "La", "RGBa", "1", "F") and not is_smart:
        assert difference(Convert("RGB").process(result), Convert("RGB").process(expected)) < 6


def in_mode(mode: str) -> Image.Image:
    grey = PHOTO.convert("L").resize((120, 90))
    if mode == "I;16":
        return grey.convert("I").point(lambda value: value * 257).convert("I;16")
    if mode == "I":
        return grey.convert("I").point(lambda value: value * 257)
    if mode in ("La", "PA"):
        return grey.convert("LA").convert(mode)
    if mode == "RGBa":
        return grey.convert("RGBA").convert(mode)
    return grey.convert("RGB").convert(mode)


def test_transparent_colours_do_not_bleed() -> None:
    """The hidden colours of transparent pixels show in no result."""
    image = Image.new("RGBA", (60, 60), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (20, 20, 40, 40))
    for processor in (Resize(23, 23), GaussianBlur(3), ResizeToFill(31, 17), Reflection("white", 1, 0.8), Thumbnail(9)):
        on_black = Image.new("RGBA", processor.process(image).size, "black")
        on_black.alpha_composite(processor.process(image).crop((0, 0, *on_black.size)))
        red, _, blue, _ = on_black.crop((0, 0, on_black.width, min(on_black.height, 60))).split()
        assert ImageStat.Stat(red).extrema[0][1] <= 3, processor
        assert ImageStat.Stat(blue).extrema[0][1] > 100


def test_alpha_survives_effects() -> None:
    """Colour changes leave a cut-out cut out."""
    for processor in (ColorOverlay("red", 0.5), Adjust(0.5, 1.2, 1.3, 1.4)):
        assert processor.process(CUT_OUT).getchannel("A").tobytes() == CUT_OUT.getchannel("A").tobytes()


def test_a_cut_out_keeps_its_alpha_on_a_canvas() -> None:
    """An opaque canvas shows around an image with alpha, not through it."""
    image = Image.new("RGBA", (10, 10), (0, 0, 0, 0))
    result = AddBorder(2, "red").process(image)
    assert result.getpixel((0, 0)) == (255, 0, 0, 255)
    assert result.getpixel((5, 5))[3] == 0


def test_contrast_is_that_of_what_is_seen() -> None:
    """Transparent pixels do not count for the mean grey."""
    image = Image.new("RGBA", (20, 20), (255, 255, 255, 0))
    image.paste((100, 100, 100, 255), (0, 0, 10, 20))
    assert Adjust(contrast=0).process(image).getpixel((0, 0)) == (100, 100, 100, 255)
    assert Adjust(contrast=0.5).process(Image.new("LA", (3, 3), (9, 0))).mode == "LA"


def test_a_reflection_of_no_size_is_none() -> None:
    """`Reflection()`, whose default size is 0, leaves the image alone."""
    assert Reflection().process(PHOTO).tobytes() == PHOTO.tobytes()


def test_a_reflection_mirrors_and_fades() -> None:
    """It begins as the image's last row at its opacity, and ends as the background."""
    image = Image.new("RGB", (10, 100), "black")
    ImageDraw.Draw(image).rectangle((0, 90, 9, 99), "red")
    column = [Reflection("white", 0.5, 1.0).process(image).getpixel((5, row)) for row in (99, 100, 115, 149)]
    assert column[:1] == [(255, 0, 0)]
    assert column[1][0] == 255
    assert column[1][1] < 10
    assert 0 < column[2][0] < 200
    assert min(column[3]) > 240


def test_borders_are_trimmed() -> None:
    """A border of one colour goes, from the sides that were asked for, opaque or transparent."""
    bordered = AddBorder((5, 6, 7, 8), "#fefefe").process(PHOTO.crop((0, 150, 300, 247)))
    assert TrimBorderColor().process(bordered).size == (300, 97)
    assert TrimBorderColor(color="white", sides="lt").process(bordered).size == (306, 104)
    assert TrimBorderColor(tolerance=0).process(bordered).size == (300, 97)
    assert TrimBorderColor(tolerance=1).process(bordered) is bordered
    on_nothing = AddBorder(9).process(PHOTO)
    assert TrimBorderColor().process(on_nothing).size == PHOTO.size
    assert TrimBorderColor(color=(0, 0, 0, 0), tolerance=0).process(on_nothing).size == PHOTO.size


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (1, 50), (30, 30)])
def test_an_image_of_one_colour_is_not_trimmed_away(size: tuple[int, int]) -> None:
    """Where all is border, all stays."""
    assert TrimBorderColor().process(Image.new("RGB", size, "navy")).size == size


def test_a_crop_stays_inside_the_image() -> None:
    """Pixels cut off at the left may not leave an empty strip at the right."""
    result = Crop(100, 100, x=-5000, y=-10).process(PHOTO)
    assert result.tobytes() == PHOTO.crop((231, 10, 331, 110)).tobytes()


def test_conversion_puts_transparency_on_white() -> None:
    """A logo in black and white is not a black square."""
    logo = Image.new("RGBA", (10, 10), (0, 0, 0, 0))
    assert Convert("L").process(logo).getpixel((5, 5)) == 255
    assert Convert("RGB").process(logo).getpixel((5, 5)) == (255, 255, 255)
    assert Convert("LA").process(logo).getpixel((5, 5))[1] == 0
    assert Convert("P").process(logo).convert("RGBA").getpixel((5, 5))[3] == 0


def test_auto_transpose_follows_the_orientation_of_any_format() -> None:
    """On its own it reads the EXIF tag; an image that carries none stays."""
    exif = Image.Exif()
    exif[0x0112] = 6
    image = PHOTO.copy()
    image.info["exif"] = exif.tobytes()
    assert Transpose().process(image).size == (247, 331)
    assert Transpose(Transpose.AUTO, Transpose.ROTATE_90).process(PHOTO).size == PHOTO.size


def test_an_opaque_result_has_no_alpha() -> None:
    """What was made opaque has the background's colour where it was transparent."""
    result = MakeOpaque("#204060").process(Image.new("RGBA", (4, 4), (255, 0, 0, 0)))
    assert (result.mode, result.getpixel((0, 0))) == ("RGB", (0x20, 0x40, 0x60))
    assert MakeOpaque("white").process(Image.new("LA", (4, 4), (7, 0))).mode == "L"


def test_duotone_has_its_two_colours_at_the_ends_and_keeps_alpha() -> None:
    """Black becomes the dark one, white the light one, grey what lies between; hues do not count."""
    ramp = Image.frombytes("L", (3, 1), bytes((0, 128, 255)))
    result = Duotone("#102030", "#f0e0d0").process(ramp)
    assert [result.getpixel((at, 0)) for at in (0, 2)] == [(0x10, 0x20, 0x30), (0xF0, 0xE0, 0xD0)]
    assert all(abs(level - 128) <= 1 for level in result.getpixel((1, 0)))
    half = Duotone("black").process(Image.new("RGBA", (2, 2), (255, 0, 0, 77)))
    assert half.getpixel((0, 0)) == (76, 76, 76, 77)


def test_opacity_multiplies_alpha() -> None:
    """Half of half is a quarter."""
    half = SetOpacity(0.5).process(PHOTO)
    assert half.getpixel((0, 0))[3] == 128
    assert SetOpacity(0.5).process(half).getpixel((0, 0))[3] == 64
    assert SetOpacity(1).process(PHOTO) is PHOTO
    assert SetOpacity(0.5).process(PHOTO.convert("L")).mode == "LA"


def test_a_large_reduction_is_as_good_as_lanczos_alone() -> None:
    """The quick averaging before a great reduction is not seen."""
    image = drawing.photo(2400, 1600, seed=2)
    quick = ResizeToFit(120, 80).process(image)
    assert difference(quick, image.resize((120, 80), Image.Resampling.LANCZOS)) < 0.7


def test_a_narrow_image_is_enlarged_without_a_giant_between() -> None:
    """A strip of 4000 × 1 would cover 400 × 300 at 1,200,000 × 300 pixels; only what stays is made."""
    strip = drawing.photo(4000, 40, seed=2).resize((4000, 1))
    for processor in (SmartResize(400, 300), ResizeToFill(400, 300, "l")):
        assert processor.process(strip).size == (400, 300)
