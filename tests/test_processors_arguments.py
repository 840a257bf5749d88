"""Processors take what pilkit's take, keep the same attributes, and refuse nonsense when they are made."""

from __future__ import annotations

import pickle
from typing import Any

import pilkit.processors
import pytest
from markupsafe import Markup
from PIL import Image

from jinja_imagekit import processors
from jinja_imagekit.exceptions import ImageKitError, InvalidOption
from jinja_imagekit.hashing import fingerprint
from jinja_imagekit.processors import (
    AddBorder,
    Adjust,
    Anchor,
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

SAME_ARGUMENTS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("Resize", (100, 50), {}),
    ("Resize", (100, 50, False), {}),
    ("ResizeToCover", (100, 50), {"upscale": False}),
    ("ResizeToFill", (100, 50), {}),
    ("ResizeToFill", (), {"width": 100, "height": 50, "anchor": (0.2, 1), "upscale": False}),
    ("SmartResize", (100, 50), {}),
    ("SmartCrop", (100, 50), {}),
    ("Crop", (100, 50), {"anchor": "br"}),
    ("Crop", (100, 50), {"x": -10, "y": 0}),
    ("TrimBorderColor", (), {}),
    ("TrimBorderColor", ((255, 0, 0, 255), 0.1, ["t", "b"]), {}),
    ("Adjust", (), {"contrast": 1.2, "sharpness": 2}),
    ("Reflection", ("#102030", 0.5, 0.4), {}),
    ("Transpose", (), {}),
    ("Transpose", (Transpose.ROTATE_90, Transpose.FLIP_VERTICAL), {}),
    ("ColorOverlay", ("red", 0.25), {}),
    ("MakeOpaque", ((1, 2, 3),), {}),
    ("Convert", ("L",), {}),
    ("GaussianBlur", (2.5,), {}),
    ("AddBorder", (4, "red"), {}),
    ("AddBorder", ((1, 2, 3, 4),), {}),
    ("ResizeCanvas", (100, 50), {}),
    ("ResizeCanvas", (100, 50, (1, 2, 3), "tl"), {}),
    ("ResizeCanvas", (100, 50), {"x": 4}),
    ("ResizeToFit", (100,), {}),
    ("ResizeToFit", (100, 50, False, "white", "t"), {}),
    ("Thumbnail", (100, 50), {}),
    ("Thumbnail", (100, 50, "tl"), {}),
    ("Thumbnail", (100,), {}),
    ("Thumbnail", (), {"width": 100, "height": 50, "crop": False, "upscale": True}),
    ("Thumbnail", (), {"width": 100, "height": 50, "crop": True}),
]


def test_every_processor_of_pilkit_has_its_counterpart() -> None:
    """Whatever pilkit exports is here under the same name, as a subclass."""
    for name, theirs in vars(pilkit.processors).items():
        if isinstance(theirs, type) and theirs.__module__.startswith("pilkit.processors"):
            assert issubclass(getattr(processors, name), theirs)
            assert name in processors.__all__


@pytest.mark.parametrize(("name", "args", "keywords"), SAME_ARGUMENTS)
def test_attributes_are_those_of_pilkit(name: str, args: tuple[Any, ...], keywords: dict[str, Any]) -> None:
    """A processor holds the same attributes in the same order as pilkit's, so that either can stand for the other."""
    ours = getattr(processors, name)(*args, **keywords)
    theirs = getattr(pilkit.processors, name)(*args, **keywords)
    assert list(vars(ours).items()) == list(vars(theirs).items())
    assert pickle.dumps(vars(ours), 4) == pickle.dumps(vars(theirs), 4)


@pytest.mark.parametrize(("name", "args", "keywords"), SAME_ARGUMENTS)
def test_processors_survive_a_pickle(name: str, args: tuple[Any, ...], keywords: dict[str, Any]) -> None:
    """A processor can be sent to another process, and is the same there."""
    ours = getattr(processors, name)(*args, **keywords)
    again = pickle.loads(pickle.dumps(ours))
    assert type(again) is type(ours)
    assert fingerprint(again) == fingerprint(ours)


BAD: list[tuple[Any, str]] = [
    (lambda: Resize(0, 50), "width=0"),
    (lambda: Resize(-5, 50), "width=-5"),
    (lambda: Resize(50, "100"), "height='100'"),
    (lambda: Resize(50.5, 50), "width=50.5"),
    (lambda: Resize(True, 50), "width=True"),
    (lambda: Resize(float("nan"), 50), "width=nan"),
    (lambda: Resize(float("inf"), 50), "width=inf"),
    (lambda: Resize(None, 50), "width=None"),
    (lambda: Resize(50, 50, upscale="false"), "upscale='false'"),
    (lambda: ResizeToCover(50, 0), "height=0"),
    (lambda: ResizeToFill(width=50), "height=None"),
    (lambda: ResizeToFill(50, 50, anchor="centre of it"), "anchor='centre of it'"),
    (lambda: ResizeToFill(50, 50, anchor=(0, 1.5)), r"anchor=\(0, 1.5\)"),
    (lambda: ResizeToFill(50, 50, anchor="150% 0%"), "anchor='150% 0%'"),
    (lambda: ResizeToFill(50, 50, anchor=(0, 0, 0)), r"anchor=\(0, 0, 0\)"),
    (lambda: ResizeToFill(50, 50, anchor=""), "anchor=''"),
    (lambda: ResizeToFill(50, 50, anchor="smart"), "anchor='smart'"),
    (lambda: SmartResize(50, -1), "height=-1"),
    (lambda: SmartCrop(50), "height=None"),
    (lambda: SmartCrop(), "width=None"),
    (lambda: Crop(), "width=None"),
    (lambda: Crop(50, 50, anchor="t", x=-1), "either an anchor or x and y"),
    (lambda: Crop(50, 50, x=20), "write x=-20"),
    (lambda: TrimBorderColor(tolerance=2), "tolerance=2"),
    (lambda: TrimBorderColor(color="reddish"), "color='reddish'"),
    (lambda: TrimBorderColor(sides=["top"]), r"sides=\['top'\]"),
    (lambda: TrimBorderColor(sides=3), "sides=3"),
    (lambda: Adjust(contrast="1.2"), "contrast='1.2'"),
    (lambda: Adjust(color=None), "color=None"),
    (lambda: Adjust(brightness=float("nan")), "brightness=nan"),
    (lambda: Reflection(size=-0.1), "size=-0.1"),
    (lambda: Reflection(size=1.1), "size=1.1"),
    (lambda: Reflection(opacity=2), "opacity=2"),
    (lambda: Reflection(background_color="whitish"), "background_color='whitish'"),
    (lambda: Transpose("left"), "methods='left'"),
    (lambda: Transpose(99), "methods=99"),
    (lambda: Transpose(Transpose.ROTATE_90, None), "methods=None"),
    (lambda: ColorOverlay("nope"), "color='nope'"),
    (lambda: ColorOverlay(5), "color=5"),
    (lambda: ColorOverlay((0, 0, 256)), r"color=\(0, 0, 256\)"),
    (lambda: ColorOverlay("red", 50), "overlay_opacity=50"),
    (lambda: MakeOpaque(None), "background_color=None"),
    (lambda: Convert("XYZ"), "mode='XYZ'"),
    (lambda: Convert(None), "mode=None"),
    (lambda: GaussianBlur(-1), "radius=-1"),
    (lambda: GaussianBlur("big"), "radius='big'"),
    (lambda: GaussianBlur((1, 2, 3)), r"radius=\(1, 2, 3\)"),
    (lambda: AddBorder(-1), "thickness=-1"),
    (lambda: AddBorder((1, 2)), r"thickness=\(1, 2\)"),
    (lambda: AddBorder(1, "no colour"), "color='no colour'"),
    (lambda: ResizeCanvas(0, 5), "width=0"),
    (lambda: ResizeCanvas(5, 5, x=1.5), "x=1.5"),
    (lambda: ResizeCanvas(5, 5, anchor="c", x=1), "either an anchor or x and y"),
    (lambda: ResizeCanvas(5, 5, anchor="top top"), "anchor='top top'"),
    (lambda: ResizeToFit(), "width=None"),
    (lambda: ResizeToFit(width=50, mat_color="white"), "height=None"),
    (lambda: ResizeToFit(50, 50, anchor="up"), "anchor='up'"),
    (lambda: Thumbnail(), "width=None"),
    (lambda: Thumbnail(width=50, crop=True), "crop=True"),
    (lambda: Thumbnail(width=50, anchor="c"), "crop=True"),
    (lambda: Thumbnail(50, 50, anchor="tl", crop=False), "anchor='tl'"),
    (lambda: Thumbnail(50, 50, anchor="120% 10%"), "anchor='120% 10%'"),
    (lambda: Thumbnail(0, 50), "width=0"),
    (lambda: SetOpacity(1.5), "opacity=1.5"),
    (lambda: Duotone("navyish"), "dark='navyish'"),
    (lambda: Duotone("navy", "whitish"), "light='whitish'"),
    (lambda: OverlayImage(5), "image=5"),
    (lambda: OverlayImage("mark.png", anchor=None), "anchor=None"),
    (lambda: OverlayImage("mark.png", anchor="50%"), "anchor='50%'.*'50% 20%'"),
    (lambda: OverlayImage("mark.png", margin=-1), "margin=-1"),
    (lambda: OverlayImage("mark.png", opacity="half"), "opacity='half'"),
]


@pytest.mark.parametrize(("make", "message"), BAD)
def test_nonsense_is_refused_at_once(make: Any, message: str) -> None:
    """An argument that cannot work is an InvalidOption that names it, before there is any image."""
    with pytest.raises(InvalidOption, match=message) as caught:
        make()
    assert isinstance(caught.value, ImageKitError)
    assert isinstance(caught.value, ValueError)


def test_a_near_anchor_is_suggested() -> None:
    """The message for an unknown anchor helps on."""
    with pytest.raises(InvalidOption, match="Did you mean 'tl'"):
        ResizeToFill(5, 5, anchor="tll")


def test_whole_floats_are_pixels() -> None:
    """A template's `800 / 2` is a float; it gives the same processor as 400."""
    assert fingerprint(Resize(800 / 2, 300)) == fingerprint(Resize(400, 300))
    assert type(Resize(400.0, 300).width) is int


def test_strings_become_plain() -> None:
    """Markup, as templates have it, leaves no trace in a processor."""
    for made in (
        ResizeToFill(5, 5, anchor=Markup("tl")).anchor,
        Thumbnail(5, 5, anchor=Markup("auto")).anchor,
        ColorOverlay(Markup("red")).color,
        Convert(Markup("L")).mode,
        Transpose(Markup("auto")).methods[0],
        OverlayImage(Markup("mark.png")).path,
    ):
        assert type(made) is str


def test_equal_arguments_have_equal_fingerprints() -> None:
    """Fingerprints depend on class and arguments, however these were written."""
    assert fingerprint(ResizeToFill(5, 5, "tl")) == fingerprint(
        ResizeToFill(height=5, width=5, anchor=Markup("tl"), upscale=True)
    )
    assert fingerprint(ResizeToFill(5, 5, "tl")) == fingerprint(ResizeToFill(5, 5, Anchor.TOP_LEFT))
    assert fingerprint(ResizeToFill(5, 5)) != fingerprint(ResizeToFill(5, 6))
    assert fingerprint(Resize(5, 5)) != fingerprint(ResizeToCover(5, 5))
    assert fingerprint(Transpose(Transpose.ROTATE_90)) == fingerprint(Transpose(Image.Transpose.ROTATE_90))
    assert fingerprint(Transpose(Transpose.ROTATE_90)) != fingerprint(Transpose(Transpose.ROTATE_270))


GOLDEN: list[tuple[Any, str]] = [
    (ResizeToFill(400, 300), "42317db2575aba81522c3afff00087c6"),
    (ResizeToFit(width=400, upscale=False), "d0383171f24d9102d2497d80285941c0"),
    (Thumbnail(400, 300), "73f593e83bc29ef6357352a7d5776cee"),
    (Adjust(contrast=1.1), "68009d088e86d8385e0b69f571d968ce"),
    (Transpose(Transpose.ROTATE_90), "5d1d44b27dfb001f0f0b28c38fdf6c16"),
    (TrimBorderColor(), "b8d4b4161675b5b9993c0fa1401c1b0b"),
    (ProcessorPipeline([Resize(5, 5), SetOpacity(0.5)]), "93c495597c13fcde59223fa7486d6d63"),
    (OverlayImage(Image.new("L", (2, 2), 7)), "def354b41225a07104a9c16541a8207c"),
]


@pytest.mark.parametrize(("processor", "expected"), GOLDEN)
def test_fingerprints_stay_what_they_are(processor: Any, expected: str) -> None:
    """Cache files keep their names over releases: a change here renames every user's files."""
    assert fingerprint(processor) == expected


@pytest.mark.parametrize(
    ("written", "anchor"),
    [
        ("center", "c"),
        ("Centre", "c"),
        ("middle", "c"),
        ("TL", "tl"),
        ("top", "t"),
        ("bottom-right", "br"),
        ("left top", "tl"),
        ("top_left", "tl"),
        ("center left", "l"),
        ("50% 20%", (0.5, 0.2)),
        ("70.5%, 100%", (0.705, 1.0)),
    ],
)
def test_anchors_in_words_and_percentages(written: str, anchor: object) -> None:
    """What CSS and people say for an anchor means the same crop, by the same fingerprint."""
    assert ResizeToFill(50, 50, anchor=written).anchor == anchor
    assert Thumbnail(50, 50, anchor=written).anchor == anchor
    assert fingerprint(ResizeToFill(50, 50, anchor=written)) == fingerprint(ResizeToFill(50, 50, anchor=anchor))
