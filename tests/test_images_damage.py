"""What is refused: damage at any byte, formats that are not allowed, and all that exceeds a cap."""

from __future__ import annotations

import io
import struct
import sys
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageFile, ImageStat

import drawing
from jinja_imagekit import ImageKit
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


@pytest.fixture(params=[False, True], ids=["strict host", "lenient host"])
def host(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Run a test as in an application that has, or has not, told Pillow to accept truncated files."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", request.param)
    return bool(request.param)


ENDINGS = {"jpeg": 4, "jpeg with exif": 4, "progressive jpeg": 5, "gif": 1, "animated gif": 1}
"""Bytes at the end of a file without which all of its rows still decode: an end marker, and what pads the last one."""


@pytest.mark.parametrize("kind", WHOLE)
def test_truncation_is_an_error_at_any_byte(kind: str, host: bool) -> None:
    """A file that lacks more than its end marker is never shown as half an image."""
    data = WHOLE[kind]()
    decode(data)
    last = len(data) - ENDINGS.get(kind, 0)
    for cut in {*range(0, last, max(1, len(data) // 150)), *range(last - 12, last)}:
        with pytest.raises(UnreadableImage):
            decode(data[:cut])


@pytest.mark.parametrize("kind", ["jpeg", "jpeg with exif", "progressive jpeg", "gif", "animated gif"])
def test_a_file_may_lack_its_end_marker(kind: str, host: bool) -> None:
    """What browsers show whole is read whole: all of its rows are there."""
    data = WHOLE[kind]()
    whole = Original(data, name="test", limits=LIMITS).frames(RULES, animated=True)
    for ending in (b"", b"\0" if "gif" in kind else b"\0\0"):
        lacking = data[: -1 if "gif" in kind else -2] + ending
        frames = Original(lacking, name="test", limits=LIMITS).frames(RULES, animated=True)
        assert [image.tobytes() for image in frames.images] == [image.tobytes() for image in whole.images]


@pytest.mark.parametrize("options", [{}, {"quality": 95, "subsampling": 0}, {"restart_marker_rows": 1}])
def test_an_end_marker_does_not_make_a_jpeg_whole(options: dict[str, int], host: bool) -> None:
    """Image data that ends early is an error, whatever somebody put behind it, at every scale of the decoder."""
    data = drawing.encoded(drawing.photo(200, 150), "JPEG", **options)
    start = data.index(b"\xff\xda") + 14
    for share in (1, 10, 50, 90, 99):
        cut = data[: start + (len(data) - start) * share // 100].rstrip(b"\xff") + b"\xff\xd9"
        for scale in (1, 8):
            with pytest.raises(UnreadableImage, match="ends before its last row"):
                Original(cut, name="test", limits=LIMITS).frames(RULES, scale=scale)


@pytest.mark.parametrize("scale", [1, 8])
@pytest.mark.parametrize("options", [{}, {"restart_marker_rows": 1}])
def test_a_jpeg_ends_at_its_first_end_marker(options: dict[str, int], scale: int, host: bool) -> None:
    """Whatever stands behind it: another image with an end marker of its own, or the rest of its data."""
    data = drawing.encoded(drawing.photo(200, 150), "JPEG", **options)
    other = drawing.encoded(drawing.photo(200, 150, 1), "JPEG")

    def shown(data: bytes) -> bytes:
        return Original(data, name="test", limits=LIMITS).frames(RULES, scale=scale).images[0].tobytes()

    assert shown(data + other) == shown(data + other[-300:]) == shown(data + b"\xff\xd9") == shown(data)
    for place in (len(data) // 2, len(data) - 200):
        with pytest.raises(UnreadableImage, match="ends before its last row"):
            shown(data[:place].rstrip(b"\xff") + b"\xff\xd9" + data[place:])


def test_a_progressive_jpeg_lacks_no_scan() -> None:
    """One that was cut in half is not shown without its finer detail."""
    data = drawing.encoded(drawing.photo(200, 150), "JPEG", progressive=True)
    with pytest.raises(UnreadableImage, match="scans are missing"):
        decode(data[: len(data) // 2] + b"\xff\xd9")


def png_file(header: bytes, data: bytes) -> bytes:
    """Return a PNG file with this header and these rows."""
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(data)), (b"IEND", b""))
    written = (
        struct.pack(">I", len(body)) + type + body + struct.pack(">I", zlib.crc32(type + body)) for type, body in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(written)


@pytest.mark.parametrize("interlaced", [0, 1])
@pytest.mark.parametrize(("depth", "colour"), [(8, 2), (8, 6), (8, 0), (1, 0), (16, 0), (8, 4)])
def test_a_png_lacks_no_rows(depth: int, colour: int, interlaced: int, host: bool) -> None:
    """Image data that ends early is an error, and rows of any one colour are not taken for missing."""
    samples = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    header = struct.pack(">IIBBBBB", 8, 8, depth, colour, 0, 0, interlaced)
    passes = [(8, 8)] if not interlaced else [(1, 1), (1, 1), (2, 1), (2, 2), (4, 2), (4, 4), (8, 4)]
    for value in (b"\0", b"\xff", b"\x5a", b"\xa5"):
        rows = [b"\0" + value * (-(-width * depth * samples // 8)) for width, height in passes for _ in range(height)]
        decode(png_file(header, b"".join(rows)))
        for missing in range(1, len(rows)):
            with pytest.raises(UnreadableImage, match="ends before its last row"):
                decode(png_file(header, b"".join(rows[:-missing])))


@pytest.mark.parametrize("pad", [b"\0", b"\xff"])
def test_orientation_is_found_whatever_pads_the_exif_header(pad: bytes) -> None:
    """Some cameras pad it with 255."""
    data = drawing.encoded(PHOTO, "JPEG", exif=drawing.private_exif())
    stored = drawing.oriented(PHOTO, 6).replace(b"Exif\0\0", b"Exif\0" + pad, 1)
    assert read_header(stored, name="test", limits=LIMITS).orientation == 6
    assert data


def test_a_tiff_lacks_nothing_that_makes_its_pixels() -> None:
    """One that was cut behind its image data, so that its profile is lost, is an error."""
    data = drawing.wide_gamut(PHOTO, "TIFF")
    profile = len(data) - data.index(b"acsp")
    for cut in range(1, profile):
        with pytest.raises(UnreadableImage):
            decode(data[:-cut])


def test_nothing_reaches_the_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    """Damaged TIFF files are one error, and not lines of libtiff's."""
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "group4", "packbits", "jpeg"):
        image = PHOTO.convert("1") if compression == "group4" else PHOTO
        data = drawing.encoded(image, "TIFF", compression=compression)
        for at in range(8, len(data), max(1, len(data) // 60)):
            with suppress(UnreadableImage):
                decode(data[:at] + bytes(byte ^ 0x5A for byte in data[at : at + 9]) + data[at + 9 :])
    assert capfd.readouterr().err == ""


NOTHING: dict[str, bytes] = {
    "fill bytes": b"\xff\xd8" + b"\xff" * 2_000_000,
    "comments": b"\xff\xd8" + b"\xff\xfe\0\2" * 500_000,
    "image data": png_of(8, 8)[:33] + (bytes(4) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))) * 170_000,
    "sub-blocks": gif_of(8, 8)[:24] + b"\1a" * 1_000_000 + b"\0;",
    "chunks": b"RIFF" + struct.pack("<I", 2_000_000) + b"WEBP" + b"XXXX\0\0\0\0" * 250_000,
    "boxes": struct.pack(">I", 20) + b"ftypavif\0\0\0\0avif" + b"\0\0\0\x08free" * 250_000,
    "comments before a root": b"<!---->" * 300_000,
    "attributes": b"<svg " + b" ".join(b"a%d=''" % number for number in range(200_000)) + b"/>",
}


@pytest.mark.parametrize("kind", NOTHING)
def test_megabytes_of_nothing_are_not_walked_through(kind: str) -> None:
    """A file of a million pieces is refused after some thousands of them, before its end is reached."""
    steps = 0

    def count(*arguments: object) -> None:
        nonlocal steps
        steps += 1

    sys.setprofile(count)
    try:
        with pytest.raises(UnreadableImage):
            read_header(NOTHING[kind], name="test", limits=LIMITS)
    finally:
        sys.setprofile(None)
    assert steps < 300_000


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100), "HEIC image, as iPhones take; convert it"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0isommp42" + bytes(100), "a video"),
        (b"\xff\x0a" + bytes(50), "JPEG XL"),
        (b"%PDF-1.7\n" + bytes(100), "a PDF document; export"),
        (b"8BPS\0\1" + bytes(100), "a Photoshop document"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "git lfs pull"),
        (b"<!DOCTYPE html>\n<html><body><svg></svg></body></html>", "an HTML page"),
    ],
)
def test_files_of_other_kinds_are_called_what_they_are(data: bytes, reason: str) -> None:
    """The error says what the file is, and what to do."""
    with pytest.raises(UnreadableImage, match=reason):
        decode(data)


def test_caps_count_the_frames_that_are_decoded() -> None:
    """An animation that is too long as a whole may be too short for no still."""
    data = animation("GIF")
    short = Original(data, name="test", limits=Limits(max_frames=2))
    assert len(short.frames(RULES).images) == 1
    with pytest.raises(ImageTooLarge, match="max_frames allows 2"):
        short.frames(RULES, animated=True)
    small = Original(data, name="test", limits=Limits(max_source_pixels=5_000))
    assert len(small.frames(RULES).images) == 1
    with pytest.raises(ImageTooLarge, match="in 3 frames"):
        small.frames(RULES, animated=True)


def test_a_jpeg_of_very_many_scans_is_refused() -> None:
    """Twenty bytes of a progressive file are a pass over all of it."""
    data = drawing.encoded(drawing.photo(64, 48), "JPEG", progressive=True)
    scan = data.index(b"\xff\xda")
    first = b"\xff\xda\0\x0c\3\1\0\2\0\3\0\0\0\x01" + b"\0"
    with pytest.raises(UnreadableImage, match="more than 200 scans"):
        decode(data[:scan] + first * 300 + data[scan:])


def test_frames_larger_than_their_image_count_as_such() -> None:
    """A GIF of one pixel whose frames reach far beyond it costs what they cost."""
    frame = b"\x2c" + struct.pack("<HHHH", 0, 0, 3_000, 3_000) + b"\0\2\2\x44\1\0"
    data = gif_of(1, 1)[:-1] + frame * 20 + b";"
    with pytest.raises(ImageTooLarge, match="3,000 × 3,000 pixels in 21 frames"):
        decode(data)
    assert Original(data, name="test", limits=LIMITS).frames(RULES).images[0].size == (1, 1)


@pytest.mark.parametrize("kind", ["jpeg", "progressive jpeg", "jpeg with exif", "png", "gif", "animated gif", "apng"])
def test_repair_shows_what_decodes(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """The setting takes a file that was cut: what comes first is there, and a warning says that it is damaged."""
    data = WHOLE[kind]()
    cut = data[: len(data) * 8 // 10]
    limits = Limits(repair=True)
    whole = Original(data, name="whole", limits=limits).frames(RULES).images[0].convert("RGBA")
    assert not caplog.records
    read = Original(cut, name="cut.jpg", limits=limits).frames(RULES).images[0].convert("RGBA")
    assert read.size == whole.size
    upper = (0, 0, 64, 1)
    difference = ImageStat.Stat(ImageChops.difference(read.crop(upper), whole.crop(upper)))
    assert max(difference.mean) < 12
    assert caplog.records or "animated" in kind or kind == "apng"
    with pytest.raises(UnreadableImage):
        decode(cut)


def test_repair_takes_a_wrong_checksum_and_missing_rows() -> None:
    """A PNG with either is shown as far as it goes."""
    rows = b"\0\xff" * 4
    data = png_file(struct.pack(">IIBBBBB", 8, 8, 1, 0, 0, 0, 0), rows)
    for damaged in (data, data[:-13] + bytes(1) + data[-12:]):
        image = Original(damaged, name="test", limits=Limits(repair=True)).frames(RULES).images[0]
        assert [image.getpixel((0, y)) for y in (0, 3, 7)] == [255, 255, 0]


@pytest.mark.parametrize("kind", WHOLE)
def test_repair_never_raises_another_error(kind: str) -> None:
    """Whatever is cut or wrong, the image is read or is an UnreadableImage."""
    data = WHOLE[kind]()
    limits = Limits(repair=True, max_source_pixels=1_000_000)
    for at in range(0, len(data), max(1, len(data) // 100)):
        for damaged in (data[:at], data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]):
            with suppress(UnreadableImage):
                decode(damaged, limits)


def test_what_was_made_is_never_repaired() -> None:
    """Results are whole, whatever sources may be."""
    assert not Limits(repair=True).of_results().repair


def test_a_cap_is_the_same_error_on_every_path(tmp_path: Path) -> None:
    """Whether the format is kept, so that the header is asked first, or given: the image is too large."""
    (tmp_path / "a.png").write_bytes(png_of(200, 200))
    for values in ({}, {"format": "JPEG"}, {"format": "PNG"}):
        kit = ImageKit(source_dirs=[tmp_path], location=tmp_path / "out", max_source_pixels=1_000)
        file = kit.cachefile("imagekit:thumbnail", source="a.png", width=10, **values)
        with pytest.raises(ImageTooLarge, match="max_source_pixels"):
            file.generate()
        with pytest.raises(ImageTooLarge, match="max_source_pixels"):
            _ = file.width


def test_large_profiles_are_neither_used_nor_kept() -> None:
    """A profile of five megabytes counts as none, in every format that holds one."""
    profile = b"\0" * 36 + b"acsp" + bytes(5_000_000)
    for format in ("PNG", "WEBP", "TIFF", "JPEG"):
        data = drawing.encoded(PHOTO, format, icc_profile=profile)
        kept = Original(data, name="test", limits=LIMITS).frames(PixelRules(convert_to_srgb=False))
        assert kept.icc_profile is None


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


@pytest.mark.parametrize(
    ("data", "limits", "setting"),
    [
        (png_of(60_000, 60_000), LIMITS, "max_source_pixels"),
        (png_of(11, 10), Limits(max_source_pixels=109), "max_source_pixels"),
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


def test_animation_that_lost_frames_is_a_still() -> None:
    """An APNG that does not hold what it announces is its first image, as browsers show it."""
    data = animation("PNG")
    at = data.index(b"acTL") + 4
    body = struct.pack(">II", 9, 0)
    forged = data[:at] + body + struct.pack(">I", zlib.crc32(b"acTL" + body)) + data[at + 12 :]
    assert read_header(forged, name="test", limits=LIMITS).frames == 1
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
        decode(drawing.encoded(PHOTO, "PNG"))


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
