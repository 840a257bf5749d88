"""Tests of a picture's geometry: widths, sizes, crops and formats, without any image being made."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jinja_imagekit.exceptions import InvalidOption
from jinja_imagekit.pictures.framing import (
    ENOUGH,
    FULL_WIDTHS,
    LAYOUTS,
    Framing,
    anchor_of,
    candidate_widths,
    capped_densities,
    layout_sizes,
    layout_widths,
    parse_dimensions,
    parse_focus,
)
from jinja_imagekit.processors import ResizeToFill, ResizeToFit
from jinja_imagekit.processors.resampling import anchored

sides = st.integers(1, 6000)
sizes = st.tuples(sides, sides)
Dimensions = tuple[int | None, int | None]
asked: st.SearchStrategy[Dimensions] = st.one_of(
    st.tuples(sides, sides), st.tuples(sides, st.none()), st.tuples(st.none(), sides)
)


def test_widths_of_a_large_source_are_those_asked_for() -> None:
    """Nothing is cut, so nothing is added."""
    assert candidate_widths((800, 400, 400), 5000) == (400, 800)


@pytest.mark.parametrize(
    ("widest", "widths"),
    [
        (1600, (400, 800, 1600)),
        (1599, (400, 800, 1599)),
        (1067, (400, 800, 1067)),
        (1066, (400, 800)),
        (800, (400, 800)),
        (799, (400, 799)),
        (533, (400,)),
        (534, (400, 534)),
        (400, (400,)),
        (399, (399,)),
        (1, (1,)),
    ],
)
def test_widths_end_at_the_source(widest: int, widths: tuple[int, ...]) -> None:
    """What is wider is cut; the source's own width is added unless what is left has three quarters of it."""
    assert candidate_widths((400, 800, 1600), widest) == widths


@given(st.sets(sides, min_size=1), sides)
def test_rules_of_widths(widths: set[int], widest: int) -> None:
    """No candidate is wider than the source, none is there twice, and none is made up but the source's width."""
    found = candidate_widths(widths, widest)
    assert found
    assert list(found) == sorted(set(found))
    assert found[-1] <= widest
    assert set(found) - {widest} <= widths
    assert {width for width in widths if width <= widest} <= set(found)
    if max(widths) > widest:
        assert found[-1] >= ENOUGH * widest


@given(st.lists(st.floats(0.1, 10), min_size=1), sides, sides)
def test_rules_of_densities(densities: list[float], width: int, widest: int) -> None:
    """Each density has its image, or the widest one where the source has no more; none is there twice."""
    found = capped_densities(densities, width, widest)
    assert list(found) == sorted(set(found))
    assert found[0] >= 1
    assert found[-1] <= widest
    assert (found[-1] == widest) == (max(1, math.floor(width * max(densities) + 0.5)) >= widest)


@given(sizes, asked, st.sampled_from([None, True, False]))
def test_rules_of_framing(source: tuple[int, int], dimensions: Dimensions, crop: bool | None) -> None:
    """A picture is never enlarged, keeps the proportions that were asked for, and its widest leaves nothing unused."""
    framing = Framing.of(source, *dimensions, crop)
    assert 1 <= framing.width <= framing.widest <= source[0]
    for width in {1, framing.width, framing.widest}:
        assert 1 <= framing.height(width) <= source[1]
    width, height = dimensions
    if framing.crops and framing.widest > 1:
        assert width
        assert height
        # A height is off by half a pixel at most, and is one pixel at least.
        exact = framing.widest * height / width
        assert abs(framing.height(framing.widest) - exact) <= max(0.5, 1 - exact)
        assert framing.widest == source[0] or (framing.widest + 1) * height / width >= source[1] + 0.5
    elif not framing.crops:
        assert framing.widest == source[0]
        # A narrow source stays as wide when it is made lower by a little.
        assert framing.height(source[0]) in (source[1], height)


@given(sizes, asked)
def test_heights_are_those_of_the_processors(source: tuple[int, int], dimensions: Dimensions) -> None:
    """What HTML says about a candidate's size is what the image will have."""
    framing = Framing.of(source, *dimensions)
    for width in {1, framing.width, framing.widest, (framing.widest + 1) // 2}:
        height = framing.height(width)
        if framing.crops:
            assert ResizeToFill(width, height, upscale=False).output_size(source) == (width, height)
        else:
            sides = framing.sides(width, is_boxed=False)
            assert ResizeToFit(**sides, upscale=False).output_size(source) == (width, height)


@given(sizes, st.integers(1, 300), st.integers(1, 50_000))
def test_encoders_and_settings_cap_a_framing(source: tuple[int, int], max_side: int, max_pixels: int) -> None:
    """The widest that is within the caps is the widest; one pixel more is beyond them."""
    framing = Framing.of(source, 400, None).within(max_side, max_pixels)

    def fits(width: int) -> bool:
        height = framing.height(width)
        return max(width, height) <= max_side and width * height <= max_pixels

    assert fits(framing.widest) or framing.widest == 1
    assert framing.widest == source[0] or not fits(framing.widest + 1)
    assert framing.width <= framing.widest


@pytest.mark.parametrize(
    ("source", "dimensions", "shown", "widest"),
    [
        ((3000, 2000), "800x", (800, 533), 3000),
        ((3000, 2000), "x400", (600, 400), 3000),
        ((3000, 2000), "800x600", (800, 600), 2667),
        ((640, 427), "800x600", (569, 427), 569),
        ((640, 427), "400x300", (400, 300), 569),
        ((500, 375), "400x300", (400, 300), 500),
        ((500, 375), "800x600", (500, 375), 500),
        ((500, 375), "800x", (500, 375), 500),
        ((500, 375), "x900", (500, 375), 500),
        ((300, 900), "400x400", (300, 300), 300),
        ((1, 1), "65535x65535", (1, 1), 1),
    ],
)
def test_size_at_which_a_page_shows_it(
    source: tuple[int, int], dimensions: str, shown: tuple[int, int], widest: int
) -> None:
    """A smaller source keeps the proportions that were asked for, and is shown at its own size."""
    framing = Framing.of(source, *parse_dimensions(dimensions))
    assert (framing.width, framing.height(framing.width)) == shown
    assert framing.widest == widest


@pytest.mark.parametrize(
    ("layout", "source", "widths"),
    [
        ("constrained", (4000, 3000), (400, 600, 800, 1200, 1600)),
        ("constrained", (1000, 750), (400, 600, 800)),
        ("constrained", (1100, 825), (400, 600, 800, 1100)),
        ("constrained", (700, 525), (350, 525, 700)),
        ("fixed", (4000, 3000), (800, 1600)),
        ("fixed", (1200, 900), (800, 1200)),
        ("fixed", (1000, 750), (800,)),
        ("fixed", (700, 525), (700,)),
        ("full", (4000, 3000), FULL_WIDTHS),
        ("full", (3000, 2250), (640, 960, 1280, 1920, 2560)),
        ("full", (600, 450), (600,)),
    ],
)
def test_widths_of_layouts(layout: str, source: tuple[int, int], widths: tuple[int, ...]) -> None:
    """A layout has its candidates, for '800x'."""
    assert layout_widths(layout, Framing.of(source, 800, None)) == widths


@given(sizes, asked, st.sampled_from(["constrained", "fixed"]))
def test_a_layout_offers_the_width_at_which_it_shows(
    source: tuple[int, int], dimensions: Dimensions, layout: str
) -> None:
    """The image in `src` is neither enlarged nor reduced."""
    framing = Framing.of(source, *dimensions)
    assert framing.width in layout_widths(layout, framing)


def test_sizes_of_layouts() -> None:
    """A page shows it up to its width, across the window, or always alike."""
    assert [layout_sizes(layout, 800) for layout in LAYOUTS] == ["(min-width: 800px) 800px, 100vw", "100vw", ""]


@pytest.mark.parametrize("text", ["", "x", "800", "8e2x", "-8x", "0x", "65536x", "x0", "8xx", None, 800, ("8", "6")])
def test_unusable_dimensions(text: object) -> None:
    """Anything but whole numbers of pixels with an x between is refused."""
    with pytest.raises(InvalidOption):
        parse_dimensions(text)


@pytest.mark.parametrize(
    ("value", "focus"),
    [
        ("70% 30%", (0.7, 0.3)),
        (" 33.3%, 100% ", (0.333, 1.0)),
        ("0.7 0.3", (0.7, 0.3)),
        ((0.7, 0.3), (0.7, 0.3)),
        ([1, 0], (1.0, 0.0)),
        ("auto", "auto"),
        ("tl", (0.0, 0.0)),
        ("b", (0.5, 1.0)),
        ("c", (0.5, 0.5)),
        ("20% 10% 60% 90%", (0.2, 0.1, 0.6, 0.9)),
        ((0.2, 0.1, 0.6, 0.9), (0.2, 0.1, 0.6, 0.9)),
    ],
)
def test_focus(value: object, focus: object) -> None:
    """A focus is a point, a box, a name or "auto"."""
    assert parse_focus(value) == focus


@pytest.mark.parametrize(
    "value",
    [
        "",
        "70%",
        "70% 130%",
        "a b",
        "1 2 3",
        (0.1,),
        (0.1, 2),
        (0.6, 0.1, 0.2, 0.9),
        (0.1, 0.5, 0.2, 0.5),
        5,
        {},
        (True, 0),
        "nan nan",
    ],
)
def test_unusable_focus(value: object) -> None:
    """Anything else is refused."""
    with pytest.raises(InvalidOption):
        parse_focus(value)


fractions = st.floats(0, 1)


@given(sizes, sizes, st.tuples(fractions, fractions, fractions, fractions))
@settings(max_examples=300)
def test_a_crop_keeps_its_box(source: tuple[int, int], dimensions: tuple[int, int], corners: tuple[float, ...]) -> None:
    """A box that fits lies within the crop, off by rounding to whole pixels; a larger one fills it."""
    (left, right), (top, bottom) = sorted(corners[:2]), sorted(corners[2:])
    if left >= right or top >= bottom:
        return
    framing = Framing.of(source, *dimensions)
    if not framing.crops:
        return
    anchor = anchor_of((left, top, right, bottom), framing)
    assert not isinstance(anchor, str)
    # The crop of the source itself, at its own scale.
    scale = min(source[0] / framing.ratio[0], source[1] / framing.ratio[1])
    inner = (max(1, round(framing.ratio[0] * scale)), max(1, round(framing.ratio[1] * scale)))
    found = anchored(source, inner, anchor)
    for axis, (start, end) in enumerate(((left, right), (top, bottom))):
        box_start, box_end = start * source[axis], end * source[axis]
        if box_end - box_start <= inner[axis] - 2:
            assert found[axis] - 1.5 <= box_start
            assert box_end <= found[axis + 2] + 1.5
        elif box_end - box_start >= inner[axis] + 2:
            assert found[axis] + 1.5 >= box_start
            assert box_end >= found[axis + 2] - 1.5


def test_a_point_stays_where_it_is_in_proportion() -> None:
    """As with CSS's object-position, so that a crop in the browser agrees."""
    assert anchor_of((0.7, 0.3), Framing.of((400, 200), 200, 200)) == (0.7, 0.3)


@given(sizes, sides)
def test_a_height_that_was_asked_for_is_kept(source: tuple[int, int], height: int) -> None:
    """It does not become another by way of the rounded width."""
    framing = Framing.of(source, None, height)
    assert framing.height(framing.width) == min(height, source[1])
