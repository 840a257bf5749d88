"""Frames, timing and loop go from each format that animates to each other one."""

from __future__ import annotations

import struct
import time
import zlib

import pytest
from PIL import GifImagePlugin, Image, ImageChops, ImageStat

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
    composed = original(data).frames(RULES, animated=True).images
    assert [image.size for image in composed] == [(64, 48)] * 4
    assert all(distance(image, one) <= TOLERANCE["GIF"] for image, one in zip(composed, drawn, strict=True))


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


Box = tuple[int, int, int, int]
WHOLE, LEFT, RIGHT = (0, 0, 4, 2), (0, 0, 2, 2), (2, 0, 2, 2)
CLEAR, RED, GREEN, BLUE = (0, 0, 0, 0), (255, 0, 0, 255), (0, 255, 0, 255), (0, 0, 255, 255)


def gif_of(*frames: tuple[Box, tuple[int, ...], int]) -> bytes:
    """Return a GIF of 4 × 2 pixels whose frames have a box, a colour (or `CLEAR`) and a disposal."""
    data = b"GIF89a" + struct.pack("<HHBBB", 4, 2, 0, 0, 0)
    for (left, top, width, height), colour, disposal in frames:
        image = Image.new("P", (width, height), 0 if colour != CLEAR else 1)
        image.putpalette([*colour[:3], 9, 9, 9])
        descriptor = b"\x2c" + struct.pack("<HHHHB", left, top, width, height, 0x80)
        data += b"\x21\xf9\x04" + bytes((disposal << 2 | (colour == CLEAR), 10, 0, 1, 0))
        body = b"".join(GifImagePlugin.getdata(image))
        data += descriptor + bytes((*colour[:3], 9, 9, 9)) + body[body.index(b"\x2c") + 10 :]
    return data + b";"


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ([(WHOLE, RED, 0), (LEFT, BLUE, 0)], [(RED, RED), (BLUE, RED)]),
        ([(LEFT, RED, 0), (RIGHT, BLUE, 0)], [(RED, CLEAR), (RED, BLUE)]),
        ([(WHOLE, RED, 2), (LEFT, BLUE, 0)], [(RED, RED), (BLUE, CLEAR)]),
        (
            [(WHOLE, RED, 0), (LEFT, BLUE, 2), (RIGHT, GREEN, 0)],
            [(RED, RED), (BLUE, RED), (CLEAR, GREEN)],
        ),
        (
            [(WHOLE, RED, 0), (LEFT, BLUE, 3), (RIGHT, GREEN, 0)],
            [(RED, RED), (BLUE, RED), (RED, GREEN)],
        ),
        ([(WHOLE, RED, 3), (RIGHT, GREEN, 0)], [(RED, RED), (CLEAR, GREEN)]),
        ([(WHOLE, RED, 1), (WHOLE, CLEAR, 1)], [(RED, RED), (RED, RED)]),
        ([((1, 1, 1, 1), RED, 0), (WHOLE, CLEAR, 0)], [(CLEAR, CLEAR), (CLEAR, CLEAR)]),
    ],
    ids=["over", "partial first", "to background", "of a part", "to what was", "of the first", "clear", "dot"],
)
def test_gif_is_composed_as_browsers_do(
    frames: list[tuple[Box, tuple[int, ...], int]], expected: list[tuple[tuple[int, ...], ...]]
) -> None:
    """On a transparent canvas, which shows where no frame is or has been taken away, for a still as well."""
    source = original(gif_of(*frames))
    played = source.frames(RULES, animated=True)
    for image, (left, right) in zip(played.images, expected, strict=True):
        shown = image.convert("RGBA")
        assert (shown.getpixel((0, 0)), shown.getpixel((3, 0))) == (left, right)
    still = source.frames(RULES).images[0].convert("RGBA")
    assert (still.getpixel((0, 0)), still.getpixel((3, 0))) == expected[0]
    assert source.header.has_alpha or CLEAR not in {colour for pair in expected for colour in pair}


def apng_of(*frames: tuple[Box, tuple[int, ...], int, int], hidden: bool = False, **wrong: int) -> bytes:
    """Return an APNG of 4 × 2 pixels whose frames have a box, a colour, a disposal and a blend operation."""

    def chunk(type: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + type + body + struct.pack(">I", zlib.crc32(type + body))

    def rows(width: int, height: int, colour: tuple[int, ...]) -> bytes:
        return zlib.compress((b"\0" + bytes(colour) * width) * height)

    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 2, 8, 6, 0, 0, 0))
    data += chunk(b"acTL", struct.pack(">II", wrong.get("count", len(frames)), 0))
    number = wrong.get("first", 0)
    if hidden:
        data += chunk(b"IDAT", rows(4, 2, GREEN))
    for index, ((left, top, width, height), colour, disposal, blend) in enumerate(frames):
        place = struct.pack(">IIIIIHHBB", number, width, height, left, top, 1, 10, disposal, blend)
        data, number = data + chunk(b"fcTL", place), number + 1
        if index == 0 and not hidden:
            data += chunk(b"IDAT", rows(width, height, colour))
        else:
            data, number = data + chunk(b"fdAT", struct.pack(">I", number) + rows(width, height, colour)), number + 1
    return data + chunk(b"IEND", b"")


HALF = (0, 0, 255, 128)


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ([(WHOLE, RED, 0, 0), (RIGHT, HALF, 0, 1)], [(RED, RED), (RED, (127, 0, 128, 255))]),
        ([(WHOLE, RED, 0, 0), (RIGHT, HALF, 0, 0)], [(RED, RED), (RED, HALF)]),
        ([(WHOLE, RED, 1, 0), (RIGHT, BLUE, 0, 0)], [(RED, RED), (CLEAR, BLUE)]),
        (
            [(WHOLE, RED, 0, 0), (RIGHT, BLUE, 2, 0), ((0, 0, 1, 1), GREEN, 0, 0)],
            [(RED, RED), (RED, BLUE), (GREEN, RED)],
        ),
    ],
    ids=["over", "source", "to background", "to what was"],
)
def test_apng_is_composed_as_browsers_do(
    frames: list[tuple[Box, tuple[int, ...], int, int]],
    expected: list[tuple[tuple[int, ...], ...]],
) -> None:
    """Half-transparent pixels over opaque ones stay opaque, and each disposal is what the specification says."""
    played = original(apng_of(*frames)).frames(RULES, animated=True)
    for image, (left, right) in zip(played.images, expected, strict=True):
        assert (image.getpixel((0, 0)), image.getpixel((3, 0))) == (left, right)


def test_apng_of_one_frame_behind_a_hidden_image_is_that_frame() -> None:
    """Browsers show the animation, which has one frame."""
    source = original(apng_of((WHOLE, RED, 0, 0), hidden=True))
    assert source.header.frames == 1
    assert source.frames(RULES, animated=True).images[0].getpixel((0, 0)) == RED


@pytest.mark.parametrize("wrong", [{"count": 3}, {"count": 1}, {"count": 0}, {"first": 5}])
def test_apng_that_contradicts_itself_is_its_first_image(wrong: dict[str, int]) -> None:
    """Wrong counts and sequence numbers leave the still image, as in browsers."""
    source = original(apng_of((WHOLE, RED, 0, 0), (WHOLE, BLUE, 0, 0), **wrong))
    assert source.header.frames == 1
    assert source.frames(RULES, animated=True).images[0].getpixel((0, 0)) == RED


def test_webp_whose_frames_leave_the_canvas_bare_is_transparent_there() -> None:
    """Whether or not the file says so; and what is written says so."""
    frames = [Image.new("RGBA", (16, 16), CLEAR) for _ in range(2)]
    for index, frame in enumerate(frames):
        frame.paste(RED, (0, 0, 4 + 4 * index, 16))
    data = written(Frames(tuple(frames), (16, 16), (100, 100), 0), "WEBP", lossless=True)
    assert data[20] & 0x10
    unsaid = data[:20] + bytes((data[20] & ~0x10,)) + data[21:]
    for each in (data, unsaid):
        read = original(each).frames(RULES, animated=True)
        assert [image.getpixel((14, 8))[3] for image in read.images] == [0, 0]  # type: ignore[index]
        assert original(each).header.has_alpha


def test_animated_avif_is_the_same_from_second_to_second() -> None:
    """It does not say when it was made."""
    frames = Frames(tuple(drawing.frames(32, 24, 3)), (32, 24), (100,) * 3, 0)
    first = written(frames, "AVIF")
    time.sleep(1.1)
    assert written(frames, "AVIF") == first


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
