"""Colours that a file states by numbers instead of a profile are those that browsers show."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from PIL import Image

import drawing
from colour_profiles import rgb_profile
from jinja_imagekit.images import Limits, Original, PixelRules

LIMITS = Limits()
RULES = PixelRules()
Colour = tuple[int, int, int]


def shown(data: bytes, rules: PixelRules = RULES) -> Colour:
    """Return the colour in the middle of an image."""
    image = Original(data, name="test", limits=LIMITS).frames(rules).images[0].convert("RGB")
    pixel = image.getpixel((image.width // 2, image.height // 2))
    assert isinstance(pixel, tuple)
    red, green, blue = pixel
    return red, green, blue


def near(first: Colour, second: Colour, most: int) -> bool:
    """Tell whether no sample differs by more than so many levels."""
    return all(abs(a - b) <= most for a, b in zip(first, second, strict=True))


def png(mode: str, colour: int | Colour, *chunks: tuple[bytes, bytes]) -> bytes:
    """Return a PNG of one colour with further chunks."""
    buffer = io.BytesIO()
    Image.new(mode, (8, 8), colour).save(buffer, "PNG")
    data = buffer.getvalue()
    more = b"".join(
        struct.pack(">I", len(body)) + type + body + struct.pack(">I", zlib.crc32(type + body)) for type, body in chunks
    )
    return data[:33] + more + data[33:]


# The sample (200, 120, 40) as Chromium paints it.
PAINTED = {(12, 13): (213, 115, 0), (9, 13): (237, 105, 0), (9, 16): (255, 0, 0), (9, 18): (230, 76, 0)}
SAMPLE = (200, 120, 40)


@pytest.mark.parametrize("codes", PAINTED)
def test_avif_of_other_primaries_and_transfers(codes: tuple[int, int]) -> None:
    """Display P3 and BT.2020 become sRGB; PQ and HLG are tone-mapped."""
    plain = drawing.encoded(Image.new("RGB", (16, 16), SAMPLE), "AVIF", quality=100, subsampling="4:4:4")
    at = plain.index(b"nclx") + 4
    assert near(shown(plain[:at] + struct.pack(">HH", *codes) + plain[at + 4 :]), PAINTED[codes], 4)


@pytest.mark.parametrize("codes", PAINTED)
def test_png_of_other_primaries_and_transfers(codes: tuple[int, int]) -> None:
    """The chunk cICP says the same of a PNG, and goes before all others that speak of colours."""
    cicp = (b"cICP", bytes((*codes, 0, 1)))
    gamma = (b"gAMA", struct.pack(">I", 100_000))
    for chunks in ((cicp,), (cicp, gamma)):
        assert near(shown(png("RGB", SAMPLE, *chunks)), PAINTED[codes], 4)


def test_hdr_can_be_left_as_it_is() -> None:
    """Without the conversion, samples stay what they are."""
    data = png("RGB", SAMPLE, (b"cICP", bytes((9, 16, 0, 1))))
    assert shown(data, PixelRules(convert_to_srgb=False)) == SAMPLE


def test_hdr_white_and_black_stay() -> None:
    """The peak of 1,000 candelas is white, black is black, and grey has no tint."""
    for transfer, peak in ((16, 192), (18, 255)):
        code = (b"cICP", bytes((9, transfer, 0, 1)))
        assert near(shown(png("RGB", (peak,) * 3, code)), (255, 255, 255), 6)
        assert shown(png("RGB", (0, 0, 0), code)) == (0, 0, 0)
        grey = shown(png("RGB", (100, 100, 100), code))
        assert max(grey) - min(grey) <= 2


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_png_of_another_gamma(mode: str) -> None:
    """Linear light of one half is 188 in sRGB; the exponent that programs write for sRGB changes nothing."""
    sample = 128 if mode == "L" else (128, 128, 128)
    assert near(shown(png(mode, sample, (b"gAMA", struct.pack(">I", 100_000)))), (188, 188, 188), 1)
    assert shown(png(mode, sample, (b"gAMA", struct.pack(">I", 45_455)))) == (128, 128, 128)
    srgb = (b"sRGB", b"\0")
    assert shown(png(mode, sample, srgb, (b"gAMA", struct.pack(">I", 100_000)))) == (128, 128, 128)
    for senseless in (0, 2**32 - 1):
        assert shown(png(mode, sample, (b"gAMA", struct.pack(">I", senseless)))) == (128, 128, 128)


def test_png_of_other_primaries() -> None:
    """Red and green exchanged are exchanged back; those that span nothing are none."""
    usual = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
    swapped = (31270, 32900, 30000, 60000, 64000, 33000, 15000, 6000)
    assert shown(png("RGB", SAMPLE, (b"cHRM", struct.pack(">8i", *usual)))) == SAMPLE
    assert near(shown(png("RGB", (200, 40, 40), (b"cHRM", struct.pack(">8i", *swapped)))), (40, 200, 40), 2)
    for senseless in ((0,) * 8, (31270, 32900) * 4, (2**31 - 1,) * 8, (-1,) * 8):
        assert shown(png("RGB", SAMPLE, (b"cHRM", struct.pack(">8i", *senseless)))) == SAMPLE


def test_grey_samples_use_a_profile_for_colours() -> None:
    """Of a profile of linear light, its grey axis."""
    for data in (png("RGB", (128, 128, 128)), png("L", 128)):
        linear = rgb_profile("wide", gamma=1.0)
        body = b"linear\0\0" + zlib.compress(linear)
        chunk = struct.pack(">I", len(body)) + b"iCCP" + body + struct.pack(">I", zlib.crc32(b"iCCP" + body))
        assert near(shown(data[:33] + chunk + data[33:]), (188, 188, 188), 1)


def test_alpha_of_an_avif_need_not_state_its_size() -> None:
    """Browsers take the image's; libavif alone refuses the file."""
    data = drawing.encoded(Image.new("RGBA", (16, 16), (*SAMPLE, 128)), "AVIF", quality=100)
    stated = bytes.fromhex("00020401058607")
    assert stated in data
    image = (
        Original(data.replace(stated, bytes.fromhex("00020305860700")), name="test", limits=LIMITS)
        .frames(RULES)
        .images[0]
    )
    assert image.mode == "RGBA"
    assert image.getchannel("A").getextrema() == (128, 128)
