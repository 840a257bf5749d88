"""What a crop keeps where nobody says so: faces of every complexion, else what has detail."""

from __future__ import annotations

import io
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

import drawing
from jinja_imagekit import ImageKit
from jinja_imagekit.processors import ResizeToFill, SmartResize, Thumbnail
from jinja_imagekit.processors.saliency import salient_point
from jinja_imagekit.specs import spec_class

COMPLEXIONS = {
    # Some of the ten tones of the Monk Skin Tone Scale.
    "1": "#f6ede4",
    "2": "#f3e7db",
    "3": "#f7ead0",
    "4": "#eadaba",
    "5": "#d7bd96",
    "6": "#a07e56",
    "7": "#825c43",
    "8": "#604134",
    "9": "#3a312a",
}
MARK = (0, 0, 255)


@lru_cache
def landscape(size: tuple[int, int]) -> Image.Image:
    """Return the ground of the portraits of one size, which takes time to draw."""
    return drawing.photo(*size, seed=3)


def portrait(complexion: str, size: tuple[int, int], centre: tuple[int, int], radius: int) -> Image.Image:
    """Return a drawn face with a blue dot for a nose, in a landscape that has more detail than it."""
    image = landscape(size).copy()
    draw = ImageDraw.Draw(image)
    x, y = centre

    def oval(left: float, top: float, width: float, height: float, colour: Any) -> None:
        box = (x + left * radius, y + top * radius, x + (left + width) * radius, y + (top + height) * radius)
        draw.ellipse(box, colour)

    oval(-1, -1.4, 2, 2.2, "#1a1410")
    oval(-0.8, -1, 1.6, 2.1, complexion)
    for side in (-0.5, 0.15):
        oval(side, -0.35, 0.35, 0.2, "white")
        oval(side + 0.1, -0.35, 0.18, 0.2, "black")
        oval(side - 0.05, -0.6, 0.45, 0.1, "#1a1410")
    oval(-0.3, 0.5, 0.6, 0.2, "#a03038")
    oval(-0.06, -0.06, 0.12, 0.12, MARK)
    return image


def shows_the_nose(image: Image.Image) -> bool:
    """Tell whether a crop has kept the middle of the face."""
    return any(b > 140 and r < 110 and g < 110 for r, g, b in image.convert("RGB").get_flattened_data())


@pytest.mark.parametrize("complexion", COMPLEXIONS.values(), ids=COMPLEXIONS)
@pytest.mark.parametrize("size", [(200, 200), (300, 100)])
def test_faces_of_every_complexion_are_kept(complexion: str, size: tuple[int, int]) -> None:
    """A crop to a square and one to a strip keep a face near the edge, which the centre would lose."""
    upright = portrait(complexion, (600, 900), (300, 260), 110)
    wide = portrait(complexion, (1200, 600), (1000, 300), 130)
    for image in (upright, wide):
        assert shows_the_nose(Thumbnail(*size).process(image))
    if size == (200, 200):
        assert not shows_the_nose(ResizeToFill(*size).process(wide))


def test_what_has_detail_is_kept_without_people() -> None:
    """On a plain ground, the crop follows the only thing there is, across and down; without any it is the centre."""
    for place in ((40, 20), (420, 20), (230, 20)):
        image = Image.new("RGB", (600, 200), "#405060")
        image.paste(drawing.photo(120, 160), place)
        across, down = salient_point(image, (1 / 3, 1.0))
        left = across * 400
        assert left <= place[0]
        assert place[0] + 120 <= left + 200
        assert down == 0.5
        turned = salient_point(image.transpose(Image.Transpose.TRANSPOSE), (1.0, 1 / 3))
        assert turned[0] == 0.5
        assert abs(turned[1] - across) < 0.2
    assert salient_point(Image.new("RGB", (600, 200)), (1 / 3, 1.0)) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("mode", "across"), [("RGB", 61 / 75), ("RGBA", 61 / 75), ("L", 51 / 75), ("LA", 51 / 75), ("I;16", 51 / 75)]
)
def test_every_processor_finds_the_same(mode: str, across: float) -> None:
    """The arithmetic is of whole numbers, so that the very fraction can be stated, whatever the mode."""
    image = portrait(COMPLEXIONS["7"], (1200, 600), (800, 300), 90)
    if mode == "I;16":
        image = image.convert("L").point(range(0, 65536, 257), "I")
    assert salient_point(image.convert(mode), (0.5, 1.0)) == (across, 0.5)


def test_hidden_colours_do_not_count() -> None:
    """Detail and skin below transparent pixels draw no crop."""
    hidden = portrait(COMPLEXIONS["5"], (1200, 600), (1000, 300), 130).convert("RGBA")
    hidden.putalpha(0)
    visible = Image.new("RGBA", (200, 200), "#208040ff")
    ImageDraw.Draw(visible).line((0, 0, 200, 200), "white", 20)
    hidden.paste(visible, (100, 200))
    assert salient_point(hidden, (1 / 4, 1.0))[0] * 900 <= 100


@pytest.mark.parametrize("side", [1, 2, 3, 17, 161])
def test_images_of_any_shape_are_looked_at(side: int) -> None:
    """The narrowest image has an anchor too."""
    for size in ((side, 400), (400, side), (side, side)):
        point = salient_point(drawing.photo(200, 200).resize(size), (0.5, 0.5))
        assert all(0 <= each <= 1 for each in point)


def test_frames_of_an_animation_are_cropped_alike() -> None:
    """The first frame decides, so that nothing jumps."""
    first = portrait(COMPLEXIONS["6"], (600, 300), (500, 150), 60)
    second = portrait(COMPLEXIONS["6"], (600, 300), (100, 150), 60)
    processor = Thumbnail(100, 100)
    together = processor.process_frames([first, second])
    assert shows_the_nose(together[0])
    assert not shows_the_nose(together[1])
    source = drawing.animated("WEBP", [first, second], [100, 100])
    made = spec_class({"processors": [processor]})(source=source).generate().read()
    with Image.open(io.BytesIO(made)) as moving:
        assert moving.n_frames == 2
        assert shows_the_nose(moving)
        moving.seek(1)
        assert not shows_the_nose(moving)


def test_all_sizes_of_a_picture_are_cropped_alike(tmp_path: Path) -> None:
    """Each candidate shows the face, at the same place."""
    portrait(COMPLEXIONS["8"], (1200, 600), (1000, 300), 130).save(tmp_path / "her.png")
    kit = ImageKit(source_dirs=[tmp_path], location=tmp_path / "out", state_dir=tmp_path / "state")
    picture = kit.picture("300x300", "her.png", widths=[100, 200, 300, 600], formats=["PNG"], alt="")
    shares = []
    for candidate in picture.as_dict()["candidates"]:
        with Image.open(tmp_path / "out" / candidate["name"]) as made:
            place = made.convert("RGB").point(lambda value: 255 if value > 140 else 0).split()[2].getbbox()
            assert shows_the_nose(made)
            shares.append(place and place[0] / made.width)
    assert len(shares) == 4
    kit.close()


def test_entropy_keeps_its_name(tmp_path: Path) -> None:
    """Thumbnails, pictures and specs take "entropy" for the crop that `SmartResize` makes."""
    image = portrait(COMPLEXIONS["5"], (1200, 600), (1000, 300), 130)
    expected = SmartResize(200, 200, upscale=False).process(image)
    assert Thumbnail(200, 200, "entropy").process(image).tobytes() == expected.tobytes()
    image.save(tmp_path / "her.png")
    kit = ImageKit(source_dirs=[tmp_path], location=tmp_path / "out", state_dir=tmp_path / "state")
    file = kit.cachefile("imagekit:thumbnail", source="her.png", width=200, height=200, anchor="entropy")
    with file.open() as opened, Image.open(opened) as made:
        assert made.tobytes() == expected.tobytes()
    picture = kit.picture("200x200", "her.png", focus="entropy", layout="fixed", formats=["PNG"], alt="")
    assert picture.width == 200
    with Image.open(tmp_path / "out" / picture.as_dict()["candidates"][0]["name"]) as made:
        assert made.size == (200, 200)
    kit.close()
