"""Resizing in linear light: what is fine and bright keeps its brightness."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageStat

import drawing
from jinja_imagekit.images import Limits, Original
from jinja_imagekit.processors import ResizeToFill, ResizeToFit
from jinja_imagekit.specs import spec_class


def made(source: bytes, *, linear: bool = True, **attributes: Any) -> Image.Image:
    """Return what a spec makes of a source as a PNG of 16 by 16 pixels."""
    stated = {"processors": [ResizeToFill(16, 16)], "format": "PNG", "linear_resize": linear, **attributes}
    with Image.open(io.BytesIO(spec_class(stated)(source=source).generate().read())) as image:
        # Few colours are written as a palette.
        return image.convert("RGBA" if image.has_transparency_data else "RGB")


def chequered(first: tuple[int, ...], second: tuple[int, ...], side: int = 128) -> Image.Image:
    """Return a chequerboard of fields of one pixel."""
    mode = "RGB" if len(first) == 3 else "RGBA"
    image = Image.new(mode, (2, 2), first)
    image.putpixel((1, 0), second)
    image.putpixel((0, 1), second)
    board = Image.new(mode, (side, side))
    for top in range(0, side, 2):
        for left in range(0, side, 2):
            board.paste(image, (left, top))
    return board


def centre(image: Image.Image) -> Any:
    """Return the colour of the pixel in the middle."""
    return image.getpixel((8, 8))


@pytest.mark.parametrize("format", ["PNG", "WEBP"])
def test_half_of_the_light_is_sample_188(format: str) -> None:
    """A chequerboard of black and white becomes the grey half as bright as white; of samples it would be 128."""
    board = drawing.encoded(chequered((0, 0, 0), (255, 255, 255)), format, lossless=True)
    assert centre(made(board)) == (188, 188, 188)
    assert centre(made(board, linear=False))[0] in (127, 128)


def test_a_jpeg_is_decoded_in_full() -> None:
    """The decoder's own reduction averages samples, so that none is asked for."""
    rows = Image.new("L", (1, 2), 0)
    rows.putpixel((0, 1), 255)
    striped = Image.new("L", (256, 256))
    for left in range(256):
        for top in range(0, 256, 2):
            striped.paste(rows, (left, top))
    data = drawing.encoded(striped, "JPEG", quality=100)
    assert abs(centre(made(data))[0] - 188) <= 1
    assert abs(centre(made(data, linear=False))[0] - 128) <= 1


def test_colours_of_transparent_pixels_count_nothing() -> None:
    """Red fields beside transparent green ones stay red, half transparent; beside half-transparent ones light mixes."""
    clear = centre(made(drawing.encoded(chequered((255, 0, 0, 255), (0, 255, 0, 0)), "PNG")))
    assert clear == (255, 0, 0, 128)
    mixed = centre(made(drawing.encoded(chequered((255, 0, 0, 255), (0, 0, 255, 85)), "PNG")))
    # Light of 3/4 and 1/4, as the weights are.
    assert mixed == (225, 0, 137, 170)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("level", [0, 1, 2, 10, 77, 128, 200, 254, 255])
def test_a_flat_colour_stays_what_it_is(mode: str, level: int) -> None:
    """Samples become light and samples again without a loss, in each mode."""
    image = Image.new("L", (100, 90), level).convert(mode)
    if "A" in mode:
        image.putalpha(200)
    result = made(drawing.encoded(image, "PNG")).convert("RGBA")
    assert result.getextrema()[:3] == ((level, level),) * 3
    assert result.getextrema()[3] == ((200, 200) if "A" in mode else (255, 255))


def test_a_photograph_looks_as_before() -> None:
    """Where there is no fine contrast, both ways give nearly the same picture, cropped alike."""
    source = drawing.encoded(drawing.photo(640, 480, seed=3), "PNG")
    processors = [ResizeToFill(200, 90, anchor="t")]
    both = [made(source, linear=linear, processors=processors).convert("RGB") for linear in (True, False)]
    assert both[0].size == both[1].size == (200, 90)
    assert 0 < max(ImageStat.Stat(ImageChops.difference(*both)).mean) < 6


def test_all_frames_of_an_animation_are_resized_so() -> None:
    """Each frame of a chequered animation becomes brighter than its samples' mean."""
    boards = [chequered((0, 0, 0), (255, shade, 255)) for shade in (255, 200, 150)]
    source = drawing.animated("GIF", boards, [50, 50, 50])
    spec = spec_class({"processors": [ResizeToFit(16, 16)], "linear_resize": True})
    with Image.open(io.BytesIO(spec(source=source).generate().read())) as moving:
        assert moving.n_frames == 3
        for frame in range(3):
            moving.seek(frame)
            assert moving.convert("RGB").getpixel((8, 8))[0] > 180


def test_specs_of_both_kinds_share_a_source() -> None:
    """One source decoded once gives each spec its own pixels, though their processors are equal."""
    original = Original(
        drawing.encoded(chequered((0, 0, 0), (255, 255, 255)), "PNG"), name="board.png", limits=Limits()
    )
    original.is_shared = True
    results = []
    for linear in (False, True):
        stated = {"processors": [ResizeToFill(16, 16)], "format": "PNG", "linear_resize": linear}
        with Image.open(io.BytesIO(spec_class(stated)(source=original.data).render(original))) as image:
            results.append(centre(image.convert("RGB"))[0])
    assert results[0] in (127, 128)
    assert results[1] == 188
    assert original.decodes == 1
