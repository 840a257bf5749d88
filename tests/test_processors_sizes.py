"""The size that a processor promises is the size that it makes, for every size of image and every reduction."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageStat

import drawing
from jinja_imagekit import processors
from jinja_imagekit.exceptions import InvalidOption
from jinja_imagekit.processors import (
    AddBorder,
    Adjust,
    ColorOverlay,
    Convert,
    Crop,
    Duotone,
    GaussianBlur,
    MakeOpaque,
    OverlayImage,
    ProcessorPipeline,
    Reflection,
    Resize,
    ResizeCanvas,
    ResizeToCover,
    ResizeToFill,
    ResizeToFit,
    SetOpacity,
    SmartCrop,
    SmartResize,
    Thumbnail,
    Transpose,
    TrimBorderColor,
)

PHOTO = drawing.photo(400, 400, seed=3)

sides = st.one_of(st.integers(1, 400), st.sampled_from([1, 2, 3, 7, 8, 9, 399, 400]))
sizes = st.tuples(sides, sides)
targets = st.integers(1, 120)
upscales = st.booleans()
names = st.sampled_from(["tl", "t", "tr", "l", "c", "r", "bl", "b", "br"])
anchors = st.one_of(st.none(), names, st.tuples(st.floats(0, 1), st.floats(0, 1)))
fractions = st.floats(0, 1)
colors = st.sampled_from(["white", "#80204080", (9, 9, 9), (0, 0, 0, 0)])
modes = st.sampled_from(["L", "LA", "RGB", "RGBA"])

resizers = st.one_of(
    st.builds(Resize, targets, targets, upscales),
    st.builds(ResizeToCover, targets, targets, upscales),
    st.builds(ResizeToFill, targets, targets, anchors, upscales),
    st.builds(SmartResize, targets, targets, upscales),
    st.builds(ResizeToFit, targets, targets, upscales),
    st.builds(ResizeToFit, width=targets, upscale=upscales),
    st.builds(ResizeToFit, height=targets, upscale=upscales),
    st.builds(ResizeToFit, targets, targets, upscales, mat_color=colors, anchor=anchors),
    st.builds(Thumbnail, targets, targets, upscale=upscales),
    st.builds(Thumbnail, targets, targets, anchor=names, upscale=upscales),
    st.builds(Thumbnail, targets, targets, crop=st.just(False), upscale=upscales),
    st.builds(Thumbnail, height=targets),
)
others = st.one_of(
    st.builds(Crop, targets, targets, anchors),
    st.builds(Crop, targets, targets, x=st.integers(-300, 0), y=st.integers(-300, 0)),
    st.builds(SmartCrop, targets, targets),
    st.builds(ResizeCanvas, targets, targets, colors, anchors),
    st.builds(ResizeCanvas, targets, targets, x=st.integers(-500, 500), y=st.integers(-500, 500)),
    st.builds(AddBorder, st.integers(0, 20), colors),
    st.builds(AddBorder, st.tuples(*[st.integers(0, 9)] * 4)),
    st.builds(Adjust, fractions, fractions, fractions, fractions),
    st.builds(Reflection, colors, fractions, fractions),
    st.builds(Transpose),
    st.lists(st.sampled_from(list(Image.Transpose)), min_size=1, max_size=4).map(lambda each: Transpose(*each)),
    st.builds(ColorOverlay, colors, fractions),
    st.builds(MakeOpaque, colors),
    st.builds(Convert, st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I", "F"])),
    st.builds(GaussianBlur, st.floats(0, 5)),
    st.builds(SetOpacity, fractions),
    st.builds(Duotone, colors, colors),
    st.builds(OverlayImage, st.just(PHOTO.resize((30, 20))), names, fractions, st.integers(0, 50)),
)


def drawn(size: tuple[int, int], mode: str = "RGB") -> Image.Image:
    image = PHOTO.crop((0, 0, *size))
    if mode in ("LA", "RGBA"):
        image.putalpha(Image.radial_gradient("L").resize(size))
    return image.convert(mode)


def reduced(size: tuple[int, int], scale: int) -> Image.Image:
    """Return what the JPEG decoder makes of a photo at a scale."""
    stream = io.BytesIO()
    drawn(size).save(stream, "JPEG", quality=90)
    image = Image.open(stream, formats=["JPEG"])
    image.draft("RGB", (size[0] // scale, size[1] // scale))
    image.load()
    return image


@settings(max_examples=1000, deadline=None)
@given(processor=st.one_of(resizers, others), size=sizes, mode=modes)
@example(processor=ResizeToFit(width=10), size=(400, 1), mode="RGB")
@example(processor=ResizeToFit(10, 10, upscale=False), size=(1, 400), mode="RGB")
@example(processor=SmartResize(120, 120), size=(1, 400), mode="RGB")
@example(processor=ResizeToFill(3, 120, upscale=False), size=(400, 1), mode="LA")
def test_the_promised_size_is_the_size_made(processor: Any, size: tuple[int, int], mode: str) -> None:
    """Whatever the processor, the size and the mode, and the image that came in is as it was."""
    image = drawn(size, mode)
    before = image.tobytes()
    result = processor.process(image)
    assert result.size == processor.output_size(size) == processors.output_size([processor], size)
    assert min(result.size) >= 1
    assert (image.size, image.mode, image.tobytes()) == (size, mode, before)


@settings(max_examples=300, deadline=None)
@given(processor=resizers, size=st.tuples(st.integers(8, 400), st.integers(8, 400)), scale=st.sampled_from([2, 4, 8]))
def test_a_reduced_decode_gives_the_same_size(processor: Any, size: tuple[int, int], scale: int) -> None:
    """The decoder's rounding does not show in the result, whatever it divides by."""
    image = reduced(size, scale)
    assert image.size == (-(-size[0] // scale), -(-size[1] // scale))
    assert processor.process_reduced(image, size).size == processor.output_size(size)


@settings(max_examples=300, deadline=None)
@given(steps=st.lists(st.one_of(resizers, others), max_size=4), size=sizes)
def test_pipelines_promise_right_too(steps: list[Any], size: tuple[int, int]) -> None:
    """Sizes are handed from step to step, through nested pipelines as well."""
    nested = ProcessorPipeline([*steps[:1], ProcessorPipeline(steps[1:])])
    [result] = processors.run(nested, [drawn(size)], size)
    assert result.size == processors.output_size(nested, size) == nested.output_size(size)
    assert nested.process(drawn(size)).size == result.size


@settings(max_examples=200, deadline=None)
@given(processor=resizers, size=st.tuples(st.integers(8, 400), st.integers(8, 400)))
def test_process_is_the_unreduced_case(processor: Any, size: tuple[int, int]) -> None:
    """One way to the pixels: `process` is `process_reduced` of the image in full."""
    image = drawn(size)
    assert processor.process(image).tobytes() == processor.process_reduced(image, size).tobytes()


def test_only_the_pixels_tell_what_is_trimmed() -> None:
    """A pipeline that trims cannot promise a size, whatever follows."""
    assert TrimBorderColor().output_size((40, 30)) is None
    assert processors.output_size([TrimBorderColor(), AddBorder(2)], (40, 30)) is None


def test_an_image_that_is_not_a_reduction_is_refused() -> None:
    """A size that no decoder makes of the full size would shift the result; it is an error."""
    with pytest.raises(InvalidOption, match="not a reduction"):
        Resize(10, 10).process_reduced(drawn((70, 50)), (100, 100))


@pytest.mark.parametrize(
    ("steps", "size", "expected"),
    [
        ([ResizeToFill(400, 300)], (4000, 3000), (400, 300)),
        ([ResizeToFill(400, 400)], (4000, 3000), (533, 400)),
        ([Transpose(), ResizeToFit(width=400)], (4000, 3000), (400, 300)),
        ([ProcessorPipeline([Thumbnail(400, 300), Adjust(contrast=2)])], (4000, 3000), (400, 300)),
        ([ResizeToFit(500, 500, mat_color="white")], (4000, 3000), (500, 375)),
        ([SmartResize(400, 300)], (300, 200), None),
        ([Resize(400, 100)], (300, 200), None),
        ([ResizeToFit(400, 400, upscale=False)], (300, 200), (300, 200)),
        ([Adjust(contrast=2), ResizeToFit(width=400)], (4000, 3000), None),
        ([Crop(400, 300)], (4000, 3000), None),
        ([], (4000, 3000), None),
    ],
)
def test_the_decoder_learns_what_is_needed(
    steps: list[Any], size: tuple[int, int], expected: tuple[int, int] | None
) -> None:
    """Only a first processor that resamples the whole image to less lets the decoder shrink it."""
    assert processors.sampled_size(steps, size) == expected


def test_a_reduced_decode_is_not_shifted() -> None:
    """Odd sizes leave the decoder a part of a pixel at the edge; the picture stays where it was."""
    size = (397, 395)
    differences = []
    for degrees in (90, 270):
        ramp = Image.linear_gradient("L").rotate(degrees).resize(size, Image.Resampling.BILINEAR)
        stream = io.BytesIO()
        ramp.save(stream, "JPEG", quality=100)
        small, full = (Image.open(stream, formats=["JPEG"]) for _ in range(2))
        small.draft("L", (size[0] // 4, size[1] // 4))
        results = ResizeToFill(40, 50).process_reduced(small, size), ResizeToFill(40, 50).process(full)
        means = [ImageStat.Stat(result).mean[0] for result in results]
        differences.append(means[0] - means[1])
    # The decoder's rounding darkens both ramps alike; a shift by half a reduced pixel would be 1.3 levels apart.
    assert abs(differences[0] - differences[1]) / 2 < 0.1
