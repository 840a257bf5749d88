"""Frames, timing and loop go from each format that animates to each other one."""

from __future__ import annotations

import struct

import pytest
from PIL import Image, ImageChops, ImageStat

import drawing
from jinja_imagekit.exceptions import EncodingFailed
from jinja_imagekit.images import Frames, Header, Limits, Original, PixelRules, encode, read_header

LIMITS = Limits()
RULES = PixelRules()
ANIMATING = ("GIF", "WEBP", "PNG", "AVIF")
DURATIONS = (100, 50, 40, 120)
TOLERANCE = {"GIF": 6, "WEBP": 9, "PNG": 0.1, "AVIF": 7}
"""Mean difference in levels that a format's compression may cause."""


def original(data: bytes) -> Original:
    """Return a source made of a file's bytes."""
    return Original(data, name="test", limits=LIMITS)


def written(frames: Frames, format: str, rules: PixelRules = RULES, **options: object) -> bytes:
    """Encode frames."""
    return encode(frames, format, options, rules=rules, limits=LIMITS)


def distance(first: Image.Image, second: Image.Image) -> float:
    """Return the mean difference of two images over green, in levels of the worst channel."""
    shown = []
    for image in (first, second):
        green = Image.new("RGBA", image.size, "green")
        shown.append(Image.alpha_composite(green, image.convert("RGBA")).convert("RGB"))
    return max(ImageStat.Stat(ImageChops.difference(*shown)).mean)


@pytest.mark.parametrize("transparent", [False, True], ids=["opaque", "transparent"])
@pytest.mark.parametrize("result", ANIMATING)
@pytest.mark.parametrize("source", ANIMATING)
def test_animation_survives_from_format_to_format(source: str, result: str, transparent: bool) -> None:
    """Every frame looks as it did, is shown as long, and nothing of the frame before shows through."""
    drawn = drawing.frames(64, 48, 4, transparent=transparent)
    read = original(drawing.animated(source, drawn, DURATIONS)).frames(RULES, animated=True)
    assert len(read.images) == 4
    again = original(written(read, result)).frames(RULES, animated=True)
    assert again.durations == DURATIONS
    assert len({image.mode for image in again.images}) == 1
    for before, after in zip(drawn, again.images, strict=True):
        assert distance(before, after) <= TOLERANCE[source] + TOLERANCE[result]


@pytest.mark.parametrize("format", ANIMATING)
def test_header_counts_frames(format: str) -> None:
    """The number of frames is known without decoding one."""
    data = drawing.animated(format, drawing.frames(64, 48, 5), [100] * 5)
    assert read_header(data, name="test", limits=LIMITS).frames == 5
    source = original(data)
    assert source.header.frames == 5
    assert source.decodes == 0


@pytest.mark.parametrize("result", ["GIF", "WEBP", "PNG"])
@pytest.mark.parametrize("source", ["GIF", "WEBP", "PNG"])
@pytest.mark.parametrize("plays", [0, None, 3])
def test_loop_counts_the_plays_in_every_format(source: str, result: str, plays: int | None) -> None:
    """A GIF counts repetitions where WebP and APNG count plays; for ever and once stay what they are."""
    frames = Frames(tuple(drawing.frames(32, 24, 3)), (32, 24), (100, 100, 100), plays)
    read = original(written(frames, source)).frames(RULES, animated=True)
    assert read.loop == plays
    assert original(written(read, result)).frames(RULES, animated=True).loop == plays


@pytest.mark.parametrize("format", ANIMATING)
def test_first_frame_alone_is_a_still(format: str) -> None:
    """Not asked for all frames, or told not to keep them, one decodes one."""
    drawn = drawing.frames(64, 48, 3)
    source = original(drawing.animated(format, drawn, [100] * 3))
    for frames in (source.frames(RULES), source.frames(PixelRules(keep_animation=False), animated=True)):
        assert len(frames.images) == 1
        assert frames.durations == ()
        assert frames.loop is None
        assert distance(frames.images[0], drawn[0]) <= TOLERANCE[format]


def test_still_format_takes_the_first_frame() -> None:
    """A JPEG of an animation is its first frame."""
    frames = Frames(tuple(drawing.frames(64, 48, 3)), (64, 48), (100,) * 3, 0)
    assert written(frames, "JPEG") == written(frames.with_images(frames.images[:1]), "JPEG")


def test_animation_is_not_written_when_it_is_not_kept() -> None:
    """keep_animation=False makes a still of any format."""
    frames = Frames(tuple(drawing.frames(64, 48, 3)), (64, 48), (100,) * 3, 0)
    data = written(frames, "WEBP", PixelRules(keep_animation=False))
    assert read_header(data, name="test", limits=LIMITS).frames == 1


def test_gif_durations_keep_their_sum() -> None:
    """GIF counts in hundredths of a second; rounding must not make the whole faster or slower."""
    frames = Frames(tuple(drawing.frames(32, 24, 6)), (32, 24), (33,) * 6, 0)
    durations = original(written(frames, "GIF")).frames(RULES, animated=True).durations
    assert set(durations) == {30, 40}
    assert abs(sum(durations) - 6 * 33) <= 5


def test_gif_of_partial_frames_is_composed() -> None:
    """A frame that changes a corner is handed out whole."""
    drawn = drawing.frames(64, 48, 4)
    data = drawing.animated("GIF", drawn, DURATIONS)
    assert all(image.size == (64, 48) for image in original(data).frames(RULES, animated=True).images)


def test_gif_frame_beyond_the_screen_is_cut() -> None:
    """All frames have the size of the image, as browsers show them."""
    first = Image.new("RGB", (40, 30), "white")
    second = first.copy()
    second.paste("red", (30, 20, 38, 28))
    data = written(Frames((first, second), (40, 30), (100, 100), 0), "GIF")
    place = b"\x2c" + struct.pack("<HHHH", 30, 20, 8, 8)
    assert place in data
    frames = original(data.replace(place, b"\x2c" + struct.pack("<HHHH", 36, 26, 8, 8))).frames(RULES, animated=True)
    assert [image.size for image in frames.images] == [(40, 30)] * 2
    assert frames.images[1].getpixel((38, 28))[:3] == (255, 0, 0)  # type: ignore[index]


def test_apng_poster_is_not_a_frame_of_the_animation() -> None:
    """An APNG's default image is the still, and does not appear when it plays."""
    poster = Image.new("RGB", (32, 24), "red")
    drawn = [image.convert("RGB") for image in drawing.frames(32, 24, 3)]
    data = drawing.encoded(poster, "PNG", save_all=True, append_images=drawn, duration=100, default_image=True)
    source = original(data)
    assert source.header.frames == 3
    assert distance(source.frames(RULES).images[0], poster) == 0
    played = source.frames(RULES, animated=True)
    assert len(played.images) == 3
    assert distance(played.images[0], drawn[0]) == 0


def test_processed_frames_of_unlike_modes_are_written() -> None:
    """A processor that makes one frame grey and leaves another in colour does not break the animation."""
    clear, red = Image.new("LA", (16, 16), (90, 0)), Image.new("RGB", (16, 16), "red")
    for format in ANIMATING:
        frames = Frames((clear, red), (16, 16), (100, 100), 0)
        read = original(written(frames, format)).frames(RULES, animated=True)
        assert [image.getchannel("A").getpixel((8, 8)) for image in read.images] == [0, 255]


def test_frames_of_unlike_sizes_are_refused() -> None:
    """The error says why, and comes before any encoder's own."""
    frames = Frames((Image.new("RGB", (16, 16)), Image.new("RGB", (16, 15))), (16, 16), (100, 100), 0)
    with pytest.raises(EncodingFailed, match="differ in size"):
        written(frames, "WEBP")


def test_images_and_durations_stay_together() -> None:
    """Replacing the images of an animation needs as many, or one for a still."""
    frames = Frames((Image.new("RGB", (2, 2)),) * 3, (2, 2), (10, 20, 30), 0)
    assert frames.with_images(frames.images[::-1]).durations == (10, 20, 30)
    assert frames.with_images(frames.images[:1]).durations == ()
    with pytest.raises(ValueError, match="3 frames cannot become 2"):
        frames.with_images(frames.images[:2])


@pytest.mark.parametrize("orientation", [6, 8])
def test_animation_is_turned_upright(orientation: int) -> None:
    """Every frame of an animated WebP follows its orientation."""
    drawn = [drawing.with_corners(image) for image in drawing.frames(64, 48, 3)]
    back = Image.Transpose.ROTATE_90 if orientation == 6 else Image.Transpose.ROTATE_270
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = [image.transpose(back) for image in drawn]
    data = drawing.encoded(
        stored[0], "WEBP", save_all=True, append_images=stored[1:], duration=50, exif=exif.tobytes()[6:]
    )
    frames = original(data).frames(RULES, animated=True)
    assert isinstance(original(data).header, Header)
    for before, after in zip(drawn, frames.images, strict=True):
        assert distance(before, after) < 12
