"""What is refused: damage at any byte, formats that are not allowed, and all that exceeds a cap."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator

import pytest
from PIL import Image, ImageFile

import drawing
from jinja_imagekit.exceptions import ImageTooLarge, InvalidSetting, UnreadableImage
from jinja_imagekit.images import Limits, Original, PixelRules, encode, read_header
from jinja_imagekit.settings import Settings

LIMITS = Limits()
RULES = PixelRules()


def decode(data: bytes, limits: Limits = LIMITS) -> None:
    """Decode all frames of a file."""
    Original(data, name="test.jpg", limits=limits).frames(RULES, animated=True)


def animation(format: str) -> bytes:
    """Return three frames in a format."""
    return drawing.animated(format, drawing.frames(64, 48, 3), [100, 60, 40])


PHOTO = drawing.photo(64, 48)
CUT_OUT = drawing.cut_out(PHOTO)
WHOLE: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: drawing.encoded(PHOTO, "JPEG"),
    "progressive jpeg": lambda: drawing.encoded(PHOTO, "JPEG", progressive=True),
    "jpeg with exif": lambda: drawing.encoded(PHOTO, "JPEG", exif=drawing.private_exif()),
    "png": lambda: drawing.encoded(CUT_OUT, "PNG"),
    "webp": lambda: drawing.encoded(PHOTO, "WEBP"),
    "lossless webp": lambda: drawing.encoded(CUT_OUT, "WEBP", lossless=True),
    "avif": lambda: drawing.encoded(CUT_OUT, "AVIF"),
    "gif": lambda: drawing.encoded(PHOTO, "GIF"),
    "animated gif": lambda: animation("GIF"),
    "animated webp": lambda: animation("WEBP"),
    "apng": lambda: animation("PNG"),
    "animated avif": lambda: animation("AVIF"),
    "tiff": lambda: drawing.encoded(PHOTO, "TIFF"),
    "lzw tiff": lambda: drawing.encoded(PHOTO, "TIFF", compression="tiff_lzw"),
    "bmp": lambda: drawing.encoded(PHOTO, "BMP"),
    "ico": lambda: drawing.encoded(CUT_OUT, "ICO", sizes=[(32, 32)]),
    "bitmap ico": lambda: drawing.encoded(CUT_OUT, "ICO", sizes=[(32, 32)], bitmap_format="bmp"),
}


@pytest.fixture(params=[False, True], ids=["strict host", "lenient host"])
def host(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Run a test as in an application that has, or has not, told Pillow to accept truncated files."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", request.param)
    return bool(request.param)


@pytest.mark.parametrize("kind", WHOLE)
def test_truncation_is_an_error_at_any_byte(kind: str, host: bool) -> None:
    """A file that lacks its end is never shown as half an image."""
    data = WHOLE[kind]()
    decode(data)
    for cut in {*range(0, len(data), max(1, len(data) // 150)), *range(len(data) - 12, len(data))}:
        with pytest.raises(UnreadableImage):
            decode(data[:cut])


@pytest.mark.parametrize("kind", WHOLE)
def test_what_follows_a_whole_image_does_not_matter(kind: str, host: bool) -> None:
    """Cameras and editors append things."""
    decode(WHOLE[kind]() + b"\xff\xd8\xff appended" * 20)


@pytest.mark.parametrize("kind", WHOLE)
def test_damage_is_one_class_of_error(kind: str) -> None:
    """Whatever byte is wrong, the image is read or is an UnreadableImage, and no other error or warning appears."""
    data = WHOLE[kind]()
    for at in range(0, len(data), max(1, len(data) // 200)):
        damaged = data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]
        try:
            decode(damaged, Limits(max_source_pixels=1_000_000))
        except UnreadableImage as error:
            assert error.source == "test.jpg"  # noqa: PT017  # not every damage is one


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"This is a text file with a name that ends in .jpg.", "not an image"),
        (b"%PDF-1.7\n" + bytes(100), "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100), "not an image"),
        (b"\xff\xd8\xff", "truncated"),
        (b"GIF89a\1\0\1\0\0\0\0;", "holds no image"),
        (b"RIFF\4\0\0\0WEBP", "holds no image"),
        (b"\0\0\1\0\0\0", "holds no image"),
        (b"II*\0\xff\xff\xff\xff", "decoded"),
    ],
)
def test_what_is_not_an_image_is_said_not_to_be(data: bytes, reason: str) -> None:
    """The error names the file and says what is wrong."""
    with pytest.raises(UnreadableImage, match=reason) as caught:
        decode(data)
    assert "test.jpg" in str(caught.value)


def test_extension_does_not_matter() -> None:
    """A JPEG that is named .png is a JPEG."""
    assert read_header(drawing.jpeg(20, 10), name="photo.png", limits=LIMITS).format == "JPEG"


def test_format_outside_of_the_allow_list_is_refused() -> None:
    """The error names the format and the setting."""
    data = drawing.encoded(PHOTO, "TIFF")
    with pytest.raises(UnreadableImage, match=r"TIFF.*readable_formats"):
        decode(data, Limits(readable_formats=("JPEG", "PNG")))


def test_formats_that_start_programs_cannot_be_allowed() -> None:
    """EPS is not read, whatever the settings say."""
    with pytest.raises(InvalidSetting, match="EPS"):
        Limits.from_settings(Settings(readable_formats=("EPS",)))


def png_of(width: int, height: int) -> bytes:
    """Return a PNG file that claims a size, and has next to no data."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 9)) + chunk(b"IEND", b"")
    )


def gif_of(width: int, height: int, frames: int = 1) -> bytes:
    """Return a GIF file of many frames that takes few bytes."""
    frame = b"\x2c" + struct.pack("<HHHH", 0, 0, width, height) + b"\0\2\2\x44\1\0"
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\x80\0\0" + bytes(6) + frame * frames + b";"


@pytest.mark.parametrize(
    ("data", "limits", "setting"),
    [
        (png_of(60_000, 60_000), LIMITS, "max_source_pixels"),
        (png_of(11, 10), Limits(max_source_pixels=109), "max_source_pixels"),
        (gif_of(10, 10, 20), Limits(max_source_pixels=1_999), "max_source_pixels"),
        (gif_of(10, 10, 20), Limits(max_frames=19), "max_frames"),
        (png_of(10, 10), Limits(max_source_bytes=60), "max_source_bytes"),
    ],
)
def test_caps_are_checked_in_the_header(data: bytes, limits: Limits, setting: str) -> None:
    """What is too large is refused before it is decoded, and the error names the setting."""
    with pytest.raises(ImageTooLarge, match=setting):
        read_header(data, name="bomb.png", limits=limits)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "WEBP", "AVIF", "TIFF", "BMP", "ICO"])
def test_pixels_are_capped_in_every_format(format: str) -> None:
    """One pixel over the cap is refused; the cap itself is not."""
    data = drawing.encoded(drawing.photo(16, 16), format)
    read_header(data, name="test", limits=Limits(max_source_pixels=256))
    with pytest.raises(ImageTooLarge, match=r"16 × 16.*max_source_pixels allows 255"):
        read_header(data, name="test", limits=Limits(max_source_pixels=255))


def test_caps_within_reach_are_not_refused() -> None:
    """The same files pass when the caps are at their very sizes."""
    read_header(gif_of(10, 10, 20), name="test", limits=Limits(max_source_pixels=2_000, max_frames=20))


def test_gif_frame_beyond_its_screen_counts() -> None:
    """A frame that is larger than the image costs its own memory."""
    small = gif_of(10, 10)
    far = b"\x2c" + struct.pack("<HHHH", 60_000, 60_000, 9, 9) + b"\0\2\2\x44\1\0"
    with pytest.raises(ImageTooLarge):
        read_header(small[:-1] + far + b";", name="test", limits=LIMITS)


def test_announced_frames_that_are_not_there_are_an_error() -> None:
    """An APNG that lost frames is not played short."""
    data = animation("PNG")
    at = data.index(b"acTL") + 4
    body = struct.pack(">II", 9, 0)
    forged = data[:at] + body + struct.pack(">I", zlib.crc32(b"acTL" + body)) + data[at + 12 :]
    with pytest.raises(UnreadableImage, match="announces 9 frames and holds 3"):
        decode(forged)


@pytest.fixture
def lowered_cap(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run a test as in an application that lowered Pillow's own cap."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("kind", WHOLE)
def test_pillows_own_cap_is_not_a_warning(kind: str, lowered_cap: None) -> None:
    """Where Pillow would warn or fail above its cap, the image is read or is too large for us, in our words."""
    try:
        decode(WHOLE[kind]())
    except ImageTooLarge as error:
        assert "pixels" in str(error)  # noqa: PT017  # not every format is refused


def test_large_photo_causes_no_warning() -> None:
    """A photo between Pillow's cap of 89 megapixels and ours is read without a DecompressionBombWarning."""
    header = read_header(png_of(9_900, 9_900), name="test", limits=LIMITS)
    assert header.size() == (9_900, 9_900)


def test_lack_of_memory_is_not_taken_for_a_bad_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """A MemoryError says nothing of the file."""

    def fail(*args: object) -> None:
        raise MemoryError

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    with pytest.raises(MemoryError):
        decode(drawing.jpeg(20, 10))


def test_compressed_profile_bomb_is_ignored() -> None:
    """A profile that inflates without end costs no memory; the image is shown."""
    data = drawing.encoded(PHOTO, "PNG")
    bomb = b"x\0\0" + zlib.compress(bytes(40_000_000), 9)
    chunk = struct.pack(">I", len(bomb)) + b"iCCP" + bomb + struct.pack(">I", zlib.crc32(b"iCCP" + bomb))
    bombed = data[:33] + chunk + data[33:]
    image = Original(bombed, name="test", limits=LIMITS).frames(RULES).images[0]
    assert image.tobytes() == PHOTO.tobytes()


def test_damaged_exif_does_not_stop_the_image() -> None:
    """Metadata that points nowhere is metadata that is not there."""
    for exif in (b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + bytes(30), b"Exif\0\0garbage"):
        decode(drawing.encoded(PHOTO, "JPEG", exif=exif))


def test_text_chunk_bomb_does_not_stop_the_image() -> None:
    """Comments in a PNG are not even inflated."""
    data = drawing.encoded(PHOTO, "PNG")
    bomb = b"Comment\0\0" + zlib.compress(bytes(5_000_000), 9)
    chunk = struct.pack(">I", len(bomb)) + b"zTXt" + bomb + struct.pack(">I", zlib.crc32(b"zTXt" + bomb))
    decode(data[:33] + chunk + data[33:])


def test_reading_leaves_the_process_as_it_is() -> None:
    """No global of Pillow and no warning filter changes."""
    before = (Image.MAX_IMAGE_PIXELS, ImageFile.MAXBLOCK, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters))
    for make in WHOLE.values():
        decode(make())
        with pytest.raises(UnreadableImage):
            decode(make()[:-20])
    assert before == (
        Image.MAX_IMAGE_PIXELS,
        ImageFile.MAXBLOCK,
        ImageFile.LOAD_TRUNCATED_IMAGES,
        list(warnings.filters),
    )


def test_images_do_not_depend_on_the_file_like_object() -> None:
    """Decoded frames hold no file open and can be used after the original is gone."""
    original = Original(drawing.jpeg(20, 10), name="test", limits=LIMITS)
    image = original.frames(RULES).images[0]
    del original
    assert image.resize((5, 5)).save(io.BytesIO(), "PNG") is None


def test_tiff_whose_values_overlap_is_refused() -> None:
    """Thousands of entries that all claim the whole file would fill the memory."""
    entries = b"".join(struct.pack("<HHLL", 60_000 - i, 7, 40_000, 8) for i in range(3_000, 0, -1))
    data = b"II*\0\x08\0\0\0" + struct.pack("<H", 3_000) + entries + bytes(8_000)
    with pytest.raises(UnreadableImage, match="larger than the file"):
        decode(data)


def test_oversized_metadata_is_not_kept() -> None:
    """A field that would not fit into a JPEG is dropped, and the others stay."""
    exif = Image.Exif()
    exif.update({0x8298: "x" * 70_000, 0x013B: "Ann"})
    rules = PixelRules(keep_metadata=("copyright", "artist"))
    frames = Original(drawing.encoded(PHOTO, "PNG", exif=exif.tobytes()), name="test", limits=LIMITS).frames(rules)
    result = Image.open(io.BytesIO(encode(frames, "JPEG", {}, rules=rules, limits=LIMITS)))
    assert dict(result.getexif()) == {0x013B: "Ann"}
