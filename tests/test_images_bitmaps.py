"""BMP and ICO store colours and transparency in many ways, all of which browsers show."""

from __future__ import annotations

import struct
import sys

import pytest
from PIL import Image

import drawing
from colour_profiles import rgb_profile
from jinja_imagekit.exceptions import UnreadableImage
from jinja_imagekit.images import Limits, Original, PixelRules, read_header

SIDE = 4
INFO, V2, V3, V4, V5 = 40, 52, 56, 108, 124
PLAIN, BITFIELDS, ALPHA_BITFIELDS = 0, 3, 6


def bmp(
    pixel: int,
    bits: int,
    compression: int = PLAIN,
    masks: tuple[int, ...] = (),
    header: int = INFO,
    profile: bytes = b"",
) -> bytes:
    """Return a BMP of 4 × 4 pixels that are all alike."""
    row = pixel.to_bytes(bits // 8, "little") * SIDE
    body = (row + b"\0" * (-len(row) % 4)) * SIDE
    head = struct.pack("<IiiHHIIiiII", header, SIDE, SIDE, 1, bits, compression, len(body), 2835, 2835, 0, 0)
    head += struct.pack(f"<{len(masks)}I", *masks)
    if header > INFO:
        head = head.ljust(header, b"\0")
    start = 14 + len(head)
    if profile:
        head = head[:56] + b"DEBM" + head[60:112] + struct.pack("<II", len(head) + len(body), len(profile)) + head[120:]
    return b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start) + head + body + profile


def decoded(data: bytes) -> Image.Image:
    """Decode a file."""
    return Original(data, name="test.bmp", limits=Limits()).frames(PixelRules()).images[0]


ABGR = 40 << 24 | 120 << 16 | 200 << 8 | 128
RGBA = 128 << 24 | 200 << 16 | 120 << 8 | 40
BGRA_MASKS = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (bmp(25 << 11 | 30 << 5 | 5, 16, BITFIELDS, (0xF800, 0x7E0, 0x1F)), (206, 121, 41)),
        (bmp(8 << 12 | 12 << 8 | 7 << 4 | 2, 16, BITFIELDS, (0xF00, 0xF0, 0xF, 0xF000), V4), (204, 119, 34, 136)),
        (bmp(0x8000 | 25 << 10 | 15 << 5 | 5, 16, BITFIELDS, (0x7C00, 0x3E0, 0x1F, 0x8000), V4), (206, 123, 41, 255)),
        (bmp(RGBA, 32), (200, 120, 40)),
        (bmp(RGBA, 32, BITFIELDS, BGRA_MASKS[:3]), (200, 120, 40)),
        (bmp(RGBA, 32, BITFIELDS, BGRA_MASKS[:3], V2), (200, 120, 40)),
        (bmp(RGBA, 32, BITFIELDS, BGRA_MASKS, V3), (200, 120, 40, 128)),
        (bmp(RGBA, 32, BITFIELDS, BGRA_MASKS, V4), (200, 120, 40, 128)),
        (bmp(RGBA, 32, BITFIELDS, (*BGRA_MASKS[:3], 0), V5), (200, 120, 40)),
        (bmp(RGBA, 32, ALPHA_BITFIELDS, BGRA_MASKS), (200, 120, 40, 128)),
        (bmp(RGBA & 0xFFFFFF, 32, BITFIELDS, BGRA_MASKS, V4), (200, 120, 40)),
        (bmp(ABGR, 32, BITFIELDS, (0xFF00, 0xFF0000, 0xFF000000, 0xFF), V4), (200, 120, 40, 128)),
        (bmp(803 << 20 | 482 << 10 | 161, 32, BITFIELDS, (0x3FF00000, 0xFFC00, 0x3FF), V4), (200, 120, 40)),
    ],
    ids=["565", "4444", "1555", "XRGB", "masks", "V2", "V3", "V4", "V5", "alpha", "zero alpha", "ABGR", "10 bits"],
)
def test_bitmaps_of_any_masks(data: bytes, expected: tuple[int, ...]) -> None:
    """Colours and alpha are cut out of a pixel where the header says they are; alpha that is all zero is none."""
    assert decoded(data).getpixel((1, 1)) == expected
    assert read_header(data, name="test", limits=Limits()).has_alpha >= (len(expected) == 4)


@pytest.mark.parametrize("masks", [(0xFF0000, 0xFF00, 0), (0xF0F000, 0xF00, 0xFF), (1 << 24, 0xFF00, 0xFF)])
def test_senseless_masks_are_refused(masks: tuple[int, ...]) -> None:
    """No bits, bits that lie apart, and bits beyond the pixel."""
    bits = 16 if masks[0] == 1 << 24 else 32
    with pytest.raises(UnreadableImage, match="the bits of a colour"):
        decoded(bmp(0, bits, BITFIELDS, masks))


def test_runs_of_a_bitmap_are_read_as_far_as_it_has_pixels() -> None:
    """Megabytes of steps that lead nowhere cost as little as a kilobyte; what follows a whole image is ignored.

    A bitmap that says that it ends early has its first colour from there on; one that is cut is refused.
    """
    head = struct.pack("<IiiHHIIiiII", INFO, SIDE, SIDE, 1, 8, 1, 0, 0, 0, 1, 0) + bytes((40, 120, 200, 0))
    runs = b"\4\0\0\0" * SIDE + b"\0\1"
    data = b"BM" + struct.pack("<IHHI", 0, 0, 0, 14 + len(head)) + head
    assert decoded(data + runs + bytes(2_000_000)).getpixel((1, 1)) == (200, 120, 40)
    assert decoded(data + runs[:8] + b"\0\1").getpixel((1, 1)) == (200, 120, 40)
    with pytest.raises(UnreadableImage):
        decoded(data + runs[:8])
    steps = 0

    def count(*arguments: object) -> None:
        nonlocal steps
        steps += 1

    sys.setprofile(count)
    try:
        with pytest.raises(UnreadableImage):
            decoded(data + b"\0\2\0\0" * 500_000 + runs)
    finally:
        sys.setprofile(None)
    assert steps < 20_000


def test_profile_of_a_bitmap_is_used() -> None:
    """One of linear light."""
    data = bmp(128 << 16 | 128 << 8 | 128, 32, PLAIN, (), V5, rgb_profile("wide", gamma=1.0))
    pixel = decoded(data).getpixel((1, 1))
    assert isinstance(pixel, tuple)
    assert all(abs(value - 188) <= 1 for value in pixel)
    with pytest.raises(UnreadableImage, match="profile"):
        decoded(data[:-10])


def icon(alpha: int, told_bits: int, masked: bool) -> bytes:
    """Return an ICO of 16 × 16 pixels of 32 bits, whose mask hides its right half or nothing."""
    image = Image.new("RGBA", (16, 16), (200, 120, 40, alpha))
    data = drawing.encoded(image, "ICO", sizes=[(16, 16)], bitmap_format="bmp")
    start = int.from_bytes(data[18:22], "little")
    pixels = b"".join(bytes((40, 120, 200, alpha)) for _ in range(256))
    mask = (b"\x00\xff" if masked else b"\0\0").ljust(4, b"\0") * 16
    body = data[start : start + 40] + pixels + mask
    directory = data[6:12] + struct.pack("<HII", told_bits, len(body), 22)
    return b"\0\0\1\0\1\0" + directory + body


@pytest.mark.parametrize("told_bits", [0, 32, 24, 8])
def test_alpha_of_an_icon_holds_whatever_its_directory_says(told_bits: int) -> None:
    """Half transparent stays half transparent."""
    image = decoded(icon(128, told_bits, masked=False))
    assert image.getpixel((2, 2)) == (200, 120, 40, 128)


@pytest.mark.parametrize("told_bits", [0, 32, 24])
def test_icon_without_alpha_has_its_mask(told_bits: int) -> None:
    """Where alpha is zero throughout, the mask of single bits says what is shown."""
    image = decoded(icon(0, told_bits, masked=True))
    assert (image.getpixel((2, 2)), image.getpixel((12, 2))[3]) == ((200, 120, 40, 255), 0)  # type: ignore[index]
