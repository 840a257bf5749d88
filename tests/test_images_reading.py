"""What a source looks like once it is decoded: upright, in sRGB, eight bits, with its transparency."""

from __future__ import annotations

import io
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image, ImageChops, ImageCms, ImageStat

import drawing
from colour_profiles import rgb_profile
from jinja_imagekit.images import Frames, Header, Limits, Original, PixelRules, decoder_scale, encode, read_header

LIMITS = Limits()
RULES = PixelRules()


def decode(data: bytes, rules: PixelRules = RULES, scale: int = 1) -> Frames:
    """Decode a file's first frame."""
    return Original(data, name="test", limits=LIMITS).frames(rules, scale=scale)


def pixels(data: bytes, rules: PixelRules = RULES) -> Image.Image:
    """Return a file's first frame."""
    return decode(data, rules).images[0]


def distance(first: Image.Image, second: Image.Image) -> float:
    """Return the mean difference of two images over white, in levels of the worst channel."""
    shown = []
    for image in (first, second):
        white = Image.new("RGBA", image.size, "white")
        shown.append(Image.alpha_composite(white, image.convert("RGBA")).convert("RGB"))
    return max(ImageStat.Stat(ImageChops.difference(*shown)).mean)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_upright(format: str, orientation: int) -> None:
    """All eight EXIF orientations show the same picture, in all formats that carry one."""
    upright = drawing.with_corners(drawing.photo(160, 120))
    data = drawing.oriented(upright, orientation, format)
    header = read_header(data, name="test", limits=LIMITS)
    assert header.orientation == orientation
    assert header.size() == (160, 120)
    frames = decode(data)
    assert frames.full_size == (160, 120)
    assert distance(frames.images[0], upright) < 10


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_orientation_can_be_left_alone(format: str) -> None:
    """Without auto_orient the pixels are as they are stored."""
    upright = drawing.with_corners(drawing.photo(160, 120))
    stored = decode(drawing.oriented(upright, 6, format), PixelRules(auto_orient=False))
    assert stored.full_size == (120, 160)
    assert distance(stored.images[0].transpose(Image.Transpose.ROTATE_270), upright) < 10


def test_result_has_no_orientation_tag() -> None:
    """A turned image is not turned again by a browser."""
    data = drawing.oriented(drawing.photo(60, 40), 6)
    frames = decode(data, PixelRules(keep_metadata=("orientation", "artist")))
    result = encode(frames, "JPEG", {}, rules=RULES, limits=LIMITS)
    assert 0x0112 not in Image.open(io.BytesIO(result)).getexif()


@pytest.mark.parametrize("make", [drawing.wide_gamut, drawing.swapped_channels])
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_rgb_profile_becomes_srgb(make: object, format: str) -> None:
    """An image in another RGB space looks the same in sRGB, and the profile is gone."""
    photo = drawing.photo(160, 120)
    data = make(photo, format)  # type: ignore[operator]  # a function of drawing
    frames = decode(data)
    assert frames.icc_profile is None
    assert distance(frames.images[0], photo) < 10
    assert distance(pixels(data, PixelRules(convert_to_srgb=False)), photo) > distance(frames.images[0], photo) + 2


def test_alpha_survives_the_profile() -> None:
    """Converting colours leaves transparency as it is."""
    cut = drawing.cut_out(drawing.photo(80, 60))
    cut.info["icc_profile"] = rgb_profile("swapped")
    image = pixels(drawing.encoded(cut, "PNG", icc_profile=rgb_profile("swapped")))
    assert image.mode == "RGBA"
    assert image.getchannel("A").tobytes() == cut.getchannel("A").tobytes()
    assert image.getpixel((40, 30))[:3] != cut.getpixel((40, 30))[:3]  # type: ignore[index]


def test_grey_profile_becomes_srgb_grey() -> None:
    """A linear grey scan is neither dark nor coloured."""
    grey = drawing.photo(160, 120).convert("L")
    image = pixels(drawing.profiled_grey(grey, "PNG"))
    assert image.mode == "L"
    assert distance(image, grey) < 3


@pytest.mark.parametrize("profiled", [False, True])
def test_cmyk_becomes_rgb(profiled: bool) -> None:
    """A CMYK JPEG, which Adobe stores inverted, has its colours with and without a profile."""
    photo = drawing.photo(160, 120)
    image = pixels(drawing.cmyk_jpeg(photo, profiled=profiled, quality=95))
    assert image.mode == "RGB"
    assert distance(image, photo) < 12


def test_profile_that_is_srgb_changes_no_pixel() -> None:
    """An sRGB profile costs no conversion and no rounding."""
    photo = drawing.photo(64, 48)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert pixels(drawing.encoded(photo, "PNG", icc_profile=srgb)).tobytes() == photo.tobytes()


@pytest.mark.parametrize(
    "profile",
    [
        b"no profile at all",
        b"",
        rgb_profile("swapped")[:150],
        b"\0" * 3000,
        rgb_profile("swapped").replace(b"RGB ", b"CMYK"),
    ],
)
@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_damaged_or_foreign_profile_counts_as_none(profile: bytes, format: str) -> None:
    """A profile that cannot be used is ignored; the image is shown."""
    photo = drawing.photo(64, 48)
    options = {"lossless": True} if format == "WEBP" else {"quality": 95}
    data = drawing.encoded(photo, format, icc_profile=profile, **options)
    assert distance(pixels(data), photo) < 7


def test_profile_is_kept_where_conversion_is_off() -> None:
    """Without convert_to_srgb the profile goes with the pixels, into formats that hold one."""
    data = drawing.wide_gamut(drawing.photo(64, 48), "PNG")
    rules = PixelRules(convert_to_srgb=False)
    frames = decode(data, rules)
    assert frames.icc_profile == rgb_profile("wide")
    result = encode(frames, "WEBP", {}, rules=rules, limits=LIMITS)
    assert Image.open(io.BytesIO(result)).info["icc_profile"] == rgb_profile("wide")


@pytest.mark.parametrize("format", ["WEBP", "GIF", "AVIF"])
def test_kept_grey_profile_is_applied_where_the_format_cannot_hold_it(format: str) -> None:
    """Grey in a format of colours is converted, so that it does not come out dark."""
    grey = drawing.photo(96, 64).convert("L")
    rules = PixelRules(convert_to_srgb=False)
    frames = decode(drawing.profiled_grey(grey, "PNG"), rules)
    result = encode(frames, format, {"quality": 95}, rules=rules, limits=LIMITS)
    assert distance(pixels(result), grey) < 6


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled(format: str) -> None:
    """Wide grey samples keep their shades; clipped they would all be white."""
    grey = drawing.photo(64, 48).convert("L")
    wide = Image.frombytes("I;16", grey.size, b"".join(struct.pack("<H", value * 257) for value in grey.tobytes()))
    image = pixels(drawing.encoded(wide, format))
    assert image.mode == "L"
    assert image.tobytes() == grey.tobytes()
    assert ImageStat.Stat(pixels(drawing.encoded(wide, format), PixelRules(scale_16_bit=False))).mean[0] > 250


@pytest.mark.parametrize(
    ("values", "mode", "expected"),
    [
        ((0.0, 0.5, 1.0), "F", (0, 128, 255)),
        ((0.0, 100.0, 255.0), "F", (0, 100, 255)),
        ((-1.0, 0.0, 1.0), "F", (0, 128, 255)),
        ((0, 25700, 65535), "I", (0, 100, 255)),
        ((0, 100, 200), "I", (0, 100, 200)),
        ((0, 10**9, 2 * 10**9), "I", (0, 128, 255)),
    ],
)
def test_wider_samples_are_scaled_from_the_range_they_use(
    values: tuple[float, ...], mode: str, expected: tuple[int, ...]
) -> None:
    """32-bit TIFF files state no range: 0 to 1, 8 bits, 16 bits or their own extremes, the first that holds them."""
    image = Image.new(mode, (3, 1))
    image.putdata(values)
    assert tuple(pixels(drawing.encoded(image, "TIFF")).tobytes()) == pytest.approx(expected, abs=1)


def transparent_png(mode: str, transparency: object) -> bytes:
    """Return a PNG of four columns whose second one is transparent by its tRNS chunk."""
    image = Image.new(mode, (4, 2))
    if mode == "P":
        image.putpalette([level for index in range(4) for level in (index * 60, 0, 255)])
    for x in range(4):
        for y in range(2):
            image.putpixel((x, y), (x, 0, 0) if mode == "RGB" else x)
    return drawing.encoded(image, "PNG", transparency=transparency)


@pytest.mark.parametrize(
    ("mode", "transparency"), [("P", 1), ("P", bytes([255, 0, 255, 255])), ("L", 1), ("RGB", (1, 0, 0)), ("I;16", 1)]
)
def test_transparent_colour_becomes_alpha(mode: str, transparency: object) -> None:
    """A tRNS chunk works in all the forms that a PNG has for it."""
    data = transparent_png(mode, transparency)
    assert read_header(data, name="test", limits=LIMITS).has_alpha
    alpha = pixels(data).getchannel("A")
    assert alpha.tobytes() == bytes([255, 0, 255, 255] * 2)


def test_transparent_colour_of_a_deep_png_is_compared_whole() -> None:
    """Two colours of 16 bits that differ in their low bytes alone are two colours."""
    key, other = (0x1234, 0x5678, 0x9ABC), (0x1234, 0x5678, 0x9ABD)
    rows = b"\0" + struct.pack(">6H", *key, *other)
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)),
        (b"tRNS", struct.pack(">3H", *key)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    data = b"\x89PNG\r\n\x1a\n"
    for type, body in chunks:
        data += struct.pack(">I", len(body)) + type + body + struct.pack(">I", zlib.crc32(type + body))
    image = pixels(data)
    assert [image.getpixel((x, 0)) for x in (0, 1)] == [(0x12, 0x56, 0x9A, 0), (0x12, 0x56, 0x9A, 255)]


def test_transparent_colour_of_a_shallow_png_becomes_alpha() -> None:
    """In a PNG of two bits a sample, the transparent grey is counted in two bits too."""
    image = Image.new("P", (4, 1))
    image.putpalette([level for index in range(4) for level in (index * 60, 0, 255)])
    image.putdata([0, 1, 2, 3])
    data = bytearray(drawing.encoded(image, "PNG", bits=2, transparency=1))
    # Turn the palette image into a grey one: colour type 0, and a tRNS chunk with one 16-bit grey.
    data = bytearray(chunked(data, {b"IHDR": b"\0\0\0\4\0\0\0\1\2\0\0\0\0", b"PLTE": None, b"tRNS": b"\0\1"}))
    decoded = pixels(bytes(data))
    assert decoded.mode == "LA"
    assert decoded.getchannel("A").tobytes() == bytes([255, 0, 255, 255])


def test_transparent_colour_of_a_bilevel_png_becomes_alpha() -> None:
    """Black and white, of which one is transparent."""
    image = Image.new("1", (4, 1))
    image.putpixel((1, 0), 1)
    assert pixels(drawing.encoded(image, "PNG", transparency=1)).getchannel("A").tobytes() == b"\xff\0\xff\xff"


def chunked(data: bytes, changes: dict[bytes, bytes | None]) -> bytes:
    """Return a PNG with chunks replaced (bytes) or dropped (None)."""
    import zlib

    result, at = data[:8], 8
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        kind, body = bytes(data[at + 4 : at + 8]), bytes(data[at + 8 : at + 8 + length])
        body = changes.get(kind, body)  # type: ignore[assignment]
        if body is not None:
            result += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        at += 12 + length
    return bytes(result)


@pytest.mark.parametrize(
    "make", [drawing.alpha_png, drawing.grey_alpha_png, drawing.palette_png, drawing.transparent_gif]
)
def test_transparency_is_kept(make: object) -> None:
    """Alpha channels, grey alpha, palettes with alpha and GIF's transparent colour all come out as alpha."""
    data = make(drawing.photo(80, 60))  # type: ignore[operator]  # a function of drawing
    image = pixels(data)
    assert image.mode in ("LA", "RGBA")
    assert image.getchannel("A").getpixel((0, 0)) == 0
    assert image.getchannel("A").getpixel((40, 30)) >= 250  # type: ignore[operator]


@pytest.mark.parametrize("format", ["AVIF", "WEBP", "TIFF", "ICO"])
def test_alpha_channel_is_read_from_every_format(format: str) -> None:
    """Soft edges stay soft."""
    cut = drawing.cut_out(drawing.photo(64, 64))
    options = {"sizes": [(64, 64)]} if format == "ICO" else {}
    data = drawing.encoded(cut, format, **options)
    assert read_header(data, name="test", limits=LIMITS).has_alpha
    image = pixels(data)
    assert image.mode == "RGBA"
    assert distance(image, cut) < 6


def test_icon_with_a_bitmap_is_read() -> None:
    """The other form of an ICO file, and its largest image wins."""
    cut = drawing.cut_out(drawing.photo(64, 64), soft=False)
    data = drawing.encoded(cut, "ICO", sizes=[(16, 16), (64, 64), (32, 32)], bitmap_format="bmp")
    image = pixels(data)
    assert image.size == (64, 64)
    assert distance(image, cut) < 2


def test_bmp_is_read() -> None:
    """A plain bitmap is itself."""
    photo = drawing.photo(33, 20)
    assert pixels(drawing.encoded(photo, "BMP")).tobytes() == photo.tobytes()


def test_multi_picture_jpeg_is_its_first_picture() -> None:
    """An MPO does not animate, and its further pictures are not read."""
    first, second = drawing.photo(80, 60, 1), drawing.photo(80, 60, 2)
    data = drawing.encoded(first, "MPO", save_all=True, append_images=[second], quality=95)
    header = read_header(data, name="test", limits=LIMITS)
    assert (header.format, header.frames) == ("MPO", 1)
    assert distance(pixels(data), first) < 6


def test_header_facts_agree_with_the_pixels() -> None:
    """Size, alpha and frames that are read without decoding are those of the decoded image."""
    photo = drawing.photo(70, 50)
    for image in (photo, drawing.cut_out(photo), photo.convert("L")):
        for format in ("PNG", "GIF", "WEBP", "AVIF", "TIFF"):
            data = drawing.encoded(image, format)
            header = read_header(data, name="test", limits=LIMITS)
            decoded = pixels(data)
            assert (header.format, header.size(), header.frames) == (format, decoded.size, 1)
            assert header.has_alpha == (decoded.mode in ("LA", "RGBA")), (image.mode, format)


@pytest.mark.parametrize(
    ("size", "sampled", "margin", "scale"),
    [
        ((4000, 3000), (400, 300), 1.5, 4),
        ((4000, 3000), (400, 300), 1.0, 8),
        ((4000, 3000), (400, 300), 0, 1),
        ((4800, 3600), (400, 300), 1.5, 8),
        ((4000, 3000), None, 1.5, 1),
        ((4000, 300), (400, 300), 1.0, 1),
        ((600, 450), (400, 300), 1.5, 1),
        ((1199, 899), (400, 300), 1.5, 2),
        ((3, 5), (1, 1), 1.0, 2),
        ((1, 1), (1, 1), 1.0, 1),
    ],
)
def test_decoder_scale_is_the_smallest_that_keeps_the_margin(
    size: tuple[int, int], sampled: tuple[int, int] | None, margin: float, scale: int
) -> None:
    """The reduced image is still `decode_margin` times what is needed, in both dimensions."""
    assert decoder_scale(Header("JPEG", *size), PixelRules(decode_margin=margin), sampled) == scale


def test_decoder_scale_counts_in_upright_pixels() -> None:
    """A phone's portrait is stored lying down."""
    lying = Header("JPEG", 4000, 3000, orientation=6)
    assert decoder_scale(lying, PixelRules(decode_margin=1.0), (375, 500)) == 8
    assert decoder_scale(lying, PixelRules(decode_margin=1.0), (500, 375)) == 4


def test_only_jpeg_is_decoded_at_a_scale() -> None:
    """Other decoders cannot shrink."""
    assert decoder_scale(Header("WEBP", 4000, 3000), RULES, (40, 30)) == 1
    assert decoder_scale(Header("MPO", 4000, 3000), RULES, (40, 30)) == 8


def test_smallest_photos_are_decoded_at_the_scale_that_is_asked() -> None:
    """A few pixels are reduced too, and never to none."""
    for width in range(1, 20):
        for height in (1, 7, 8, 17):
            data = drawing.encoded(Image.new("RGB", (width, height)), "JPEG")
            scale = decoder_scale(Header("JPEG", width, height), PixelRules(decode_margin=1.0), (1, 1))
            assert decode(data, scale=scale).images[0].size == (-(-width // scale), -(-height // scale))


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_reduced_decode_has_the_exact_scale(scale: int) -> None:
    """The decoder's result is the stored size over the scale, rounded up, and looks like the whole."""
    photo = drawing.photo(333, 251)
    frames = decode(drawing.oriented(photo, 6, quality=95), scale=scale)
    assert frames.images[0].size == (-(-333 // scale), -(-251 // scale))
    assert frames.full_size == (333, 251)
    assert distance(frames.images[0], photo.resize(frames.images[0].size, Image.Resampling.BOX)) < 8


def test_decode_is_done_once_for_each_need() -> None:
    """Sixteen threads that want the same pixels cause one decode; another scale causes one more."""
    original = Original(drawing.jpeg(300, 200), name="test", limits=LIMITS)
    with ThreadPoolExecutor(16) as threads:
        found = list(threads.map(lambda _: original.frames(RULES), range(32)))
    assert original.decodes == 1
    assert all(frames is found[0] for frames in found)
    original.frames(PixelRules(background="black"))
    assert original.decodes == 1
    original.frames(RULES, scale=2)
    assert original.decodes == 2


def test_threads_share_one_colour_conversion() -> None:
    """Sixteen threads that convert from the same profile get what one gets."""
    data = drawing.cmyk_jpeg(drawing.photo(200, 150), profiled=True)
    alone = pixels(data).tobytes()
    with ThreadPoolExecutor(16) as threads:
        assert set(threads.map(lambda _: pixels(data).tobytes(), range(32))) == {alone}


def test_copied_frames_do_not_share_pixels() -> None:
    """What a caller draws into its copy is not seen by the next one."""
    original = Original(drawing.jpeg(30, 20), name="test", limits=LIMITS)
    own = original.frames(RULES).copy()
    own.images[0].paste("red", (0, 0, 30, 20))
    assert original.frames(RULES).images[0].getpixel((5, 5)) != (255, 0, 0)
