"""How well results keep what one sees: chroma, effort, quality by a target and by size, and the encoders."""

from __future__ import annotations

import math
from contextlib import closing
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageFilter, ImageStat

import drawing
from colour_profiles import rgb_profile
from jinja_imagekit import ImageKit
from jinja_imagekit.exceptions import ImageTooLarge, InvalidOption, InvalidSetting
from jinja_imagekit.generatorlibrary import Thumbnail
from jinja_imagekit.images import OUTPUT_FORMATS, Frames, Limits, PixelRules, encode
from jinja_imagekit.images.likeness import Likeness
from jinja_imagekit.settings import EFFORTS, Settings
from jinja_imagekit.specs import ImageSpec, spec_class

RULES, LIMITS = PixelRules(), Limits()
RED, BLUE = (255, 0, 0), (0, 0, 255)


def made(image: Image.Image, format: str, rules: PixelRules = RULES, **options: object) -> bytes:
    """Encode one image."""
    return encode(Frames((image,), image.size), format, options, rules=rules, limits=LIMITS)


def opened(data: bytes) -> Image.Image:
    """Return a file's pixels."""
    return Image.open(BytesIO(data)).convert("RGB")


def psnr(image: Image.Image, data: bytes) -> float:
    """Return the peak signal-to-noise ratio of a file against the image that it was made of, in dB."""
    squares = ImageStat.Stat(ImageChops.difference(image, opened(data))).sum2
    return 10 * math.log10(255**2 * 3 * image.width * image.height / sum(squares))


@pytest.mark.parametrize(("format", "full"), [("JPEG", 0), ("AVIF", "4:4:4")])
def test_saturated_edges_keep_their_chroma(format: str, full: object) -> None:
    """Red text on blue is written at the full resolution of chroma, which is mud at half of it."""
    text = drawing.lettering(200, 150, RED, BLUE)
    data = made(text, format)
    assert data == made(text, format, subsampling=full)
    assert psnr(text, data) > psnr(text, made(text, format, subsampling="4:2:0")) + 10


@pytest.mark.parametrize("format", ["JPEG", "AVIF"])
def test_small_saturated_caption_on_a_large_photo_keeps_its_chroma(format: str) -> None:
    """One line of red text is enough, however small its share of the image."""
    photo = drawing.photo(600, 450)
    photo.paste(drawing.lettering(200, 30, RED, BLUE, size=14), (380, 400))
    assert made(photo, format) != made(photo, format, subsampling="4:2:0")


@pytest.mark.parametrize("format", ["JPEG", "AVIF"])
@pytest.mark.parametrize("image", [drawing.photo(320, 240, seed) for seed in range(3)])
def test_photo_has_half_the_chroma(format: str, image: Image.Image) -> None:
    """A photograph costs no byte more for the sake of edges that it does not have."""
    assert made(image, format) == made(image, format, subsampling="4:2:0")


@pytest.mark.parametrize("format", ["JPEG", "AVIF"])
def test_stated_subsampling_wins(format: str) -> None:
    """Whoever states a subsampling gets it, for text and for photographs."""
    text, photo = drawing.lettering(200, 150, RED, BLUE), drawing.photo(160, 120)
    assert len(made(text, format, subsampling="4:2:0")) < len(made(text, format))
    assert len(made(photo, format, subsampling="4:4:4")) > len(made(photo, format))


def test_text_without_colour_has_no_chroma_to_keep() -> None:
    """Black text on white, grey images and transparent ones of one colour are written as before."""
    text = drawing.lettering(200, 150, (0, 0, 0), (255, 255, 255))
    assert made(text, "JPEG") == made(text, "JPEG", subsampling="4:2:0")
    assert Image.open(BytesIO(made(text.convert("L"), "JPEG"))).mode == "L"


@pytest.mark.parametrize("format", ["JPEG", "WEBP", "AVIF", "PNG"])
def test_more_effort_takes_fewer_bytes(format: str) -> None:
    """Fastest is the largest, and nothing is smaller than small, give or take a byte in a thousand."""
    ink, paper = (60, 60, 60), (255, 255, 255)
    image = drawing.lettering(320, 240, ink, paper) if format == "PNG" else drawing.photo(320, 240)
    fastest, fast, balanced, small = (len(made(image, format, PixelRules(effort=each))) for each in EFFORTS)
    assert fast > small
    assert fastest >= fast >= balanced >= 0.999 * small


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "AVIF"])
def test_fastest_is_fast_where_there_is_nothing_faster(format: str) -> None:
    """Of all formats, AVIF alone is written in less time than by "fast", in more bytes."""
    photo = drawing.photo(160, 120)
    fastest, fast = (made(photo, format, PixelRules(effort=each)) for each in ("fastest", "fast"))
    assert (fastest == fast) == (format != "AVIF")


def test_stated_option_goes_before_the_effort() -> None:
    """An option of the encoder says more than the effort, which leaves it alone."""
    photo = drawing.photo(160, 120)
    assert made(photo, "WEBP", PixelRules(effort="small"), method=2, quality=80) == made(
        photo, "WEBP", PixelRules(effort="fast")
    )
    assert made(photo, "GIF", PixelRules(effort="small")) == made(photo, "GIF", PixelRules(effort="fast"))


def test_effort_of_setting_spec_and_keyword() -> None:
    """The setting is for all, a spec's attribute for its own, a tag's keyword for one; each gives another name."""
    photo = drawing.jpeg(160, 120)
    small = spec_class({"format": "WEBP", "effort": "small"})
    assert small(BytesIO(photo)).generate().read() == made(opened(photo), "WEBP", PixelRules(effort="small"))
    kits = [ImageKit(effort=effort, state_store="MemoryStore") for effort in ("balanced", "small")]
    names = [kit.cachefile("imagekit:thumbnail", width=80, source=photo).name for kit in kits]
    asked = kits[0].cachefile("imagekit:thumbnail", width=80, source=photo, effort="small").name
    assert names[0] != names[1] == asked


def test_unknown_effort_is_refused() -> None:
    """A mistyped effort names the right one: as a setting, on a spec and as a keyword."""
    with pytest.raises(InvalidSetting, match="must be one of fastest, fast, balanced, small"):
        Settings(effort="tiny")
    with pytest.raises(InvalidOption, match="Did you mean 'small'"):
        Thumbnail(width=80, effort="smal")


AUTO = PixelRules(quality="auto")


def smooth(image: Image.Image) -> Image.Image:
    """Return an image without fine detail, as a sky has none."""
    return image.filter(ImageFilter.GaussianBlur(3))


@pytest.mark.parametrize("format", ["JPEG", "WEBP", "AVIF"])
def test_quality_is_found_for_each_image(format: str) -> None:
    """The result has a quality of the format's ladder, which another image of the same size does not share."""
    photo, ladder = drawing.photo(256, 192), OUTPUT_FORMATS[format].qualities
    found = []
    for image in (photo, smooth(photo), photo.quantize(8).convert("RGB")):
        data = made(image, format, AUTO)
        assert data == made(image, format, quality="auto")
        found += [quality for quality in ladder if made(image, format, quality=quality) == data]
    assert len(set(found)) > 1


def test_likeness_is_the_same_number_everywhere() -> None:
    """Losses are whole numbers that depend on the pixels alone: on no processor, Python or run."""
    samples = bytes(number * number // 97 % 256 ^ number // 480 for number in range(96 * 64 * 3))
    image = Image.frombytes("RGB", (96, 64), samples)
    likeness = Likeness(image)
    losses = [likeness.loss(image.point(lambda level, step=step: level // step * step)) for step in (1, 4, 8, 16, 32)]
    assert losses == sorted(losses)
    assert losses == [7_880_000, 8_023_514, 8_219_143, 8_795_313, 18_317_471]


def test_loss_of_colour_alone_is_seen() -> None:
    """An image in other colours of the same brightness is no likeness, though its luma is."""
    photo = drawing.photo(160, 120)
    luma, blue, red = photo.convert("YCbCr").split()
    faded = Image.merge("YCbCr", (luma, blue, red.point(lambda level: 128 + (level - 128) // 2))).convert("RGB")
    assert Likeness(photo).loss(faded) > Likeness(photo).loss(photo) + 5_000_000


def test_number_goes_before_the_setting() -> None:
    """A quality in the options of one spec or tag wins over the setting, and "auto" in them over the format's own."""
    photo = drawing.photo(160, 120)
    assert made(photo, "JPEG", AUTO, quality=50) == made(photo, "JPEG", quality=50)
    thumbnail = Thumbnail(80, quality="auto", source=BytesIO(drawing.jpeg(160, 120)))
    assert thumbnail.generate().read() != Thumbnail(80, source=BytesIO(drawing.jpeg(160, 120))).generate().read()


def test_quality_of_a_spec_is_a_number_too() -> None:
    """A spec's own `quality` is that of its options, which go before it; a PNG has none."""
    photo = drawing.jpeg(160, 120)
    stated = [{"quality": 50}, {"options": {"quality": 50}}, {"quality": 90, "options": {"quality": 50}}]
    for format in ("JPEG", "WEBP", "AVIF"):
        made_of = {spec_class({"format": format, **each})(BytesIO(photo)).generate().read() for each in stated}
        assert len(made_of) == 1
    flat = drawing.photo(160, 120).quantize(64).convert("RGB")
    assert made(flat, "WEBP", PixelRules(quality=50)) == made(flat, "WEBP") != made(flat, "WEBP", quality=50)
    assert spec_class({"format": "PNG", "quality": 50})(BytesIO(photo)).generate().read()[1:4] == b"PNG"


def test_icon_has_the_quality_of_its_format() -> None:
    """An image of a few pixels is too small to tell, and has too few bytes to save."""
    icon = drawing.photo(24, 24)
    assert made(icon, "WEBP", AUTO) == made(icon, "WEBP")


@pytest.mark.parametrize("format", ["PNG", "GIF"])
def test_format_without_quality_has_none_to_find(format: str) -> None:
    """The setting is for all formats, and leaves those alone that lose nothing."""
    photo = drawing.photo(64, 48)
    assert made(photo, format, AUTO) == made(photo, format)


@pytest.mark.parametrize("mode", ["L", "RGBA"])
@pytest.mark.parametrize("format", ["JPEG", "WEBP", "AVIF"])
def test_quality_is_found_for_grey_and_transparent_images(format: str, mode: str) -> None:
    """Grey images are compared by their luma, transparent ones on the background."""
    photo = drawing.photo(96, 64)
    image = photo.convert("L") if mode == "L" else drawing.cut_out(photo)
    assert Image.open(BytesIO(made(image, format, AUTO))).size == (96, 64)


@pytest.mark.parametrize("format", ["WEBP", "AVIF"])
def test_first_frame_finds_the_quality_of_an_animation(format: str) -> None:
    """All frames of an animation have the quality that its first one needs."""
    frames = drawing.frames(64, 48, 3)
    moving = Frames(tuple(frames), (64, 48), durations=(100,) * 3, loop=0)
    data = encode(moving, format, {}, rules=AUTO, limits=LIMITS)
    assert Image.open(BytesIO(data)).n_frames == 3  # type: ignore[attr-defined]


@pytest.mark.parametrize("format", ["JPEG", "WEBP", "AVIF"])
def test_max_bytes_takes_the_highest_quality_that_fits(format: str) -> None:
    """A result keeps within its bytes, and the next quality would not."""
    photo = drawing.photo(160, 120)
    whole = len(made(photo, format))
    data = made(photo, format, PixelRules(max_bytes=whole * 2 // 3))
    assert whole // 3 < len(data) <= whole * 2 // 3
    assert made(photo, format, PixelRules(max_bytes=whole)) == made(photo, format)
    assert len(made(photo, format, PixelRules(max_bytes=whole // 2, quality="auto"))) <= whole // 2


def test_result_that_never_fits_is_an_error() -> None:
    """An image that exceeds `max_bytes` at the lowest quality says so, and so does one that has no quality."""
    photo = drawing.photo(160, 120)
    with pytest.raises(ImageTooLarge, match="bytes at quality 20; max_bytes allows 500, for which"):
        made(photo, "JPEG", PixelRules(max_bytes=500))
    with pytest.raises(ImageTooLarge, match="bytes without loss; max_bytes allows 500"):
        made(photo, "PNG", PixelRules(max_bytes=500))


def test_found_quality_is_looked_for_once(tmp_path: Path) -> None:
    """The name holds the wish and not what was found, so that a second run finds the file and makes nothing."""
    (tmp_path / "photo.jpg").write_bytes(drawing.jpeg(160, 120))
    settings = {"source_dirs": [tmp_path], "location": tmp_path / "out", "state_dir": tmp_path / "state"}
    made_at = []
    for _ in range(2):
        with closing(ImageKit(quality="auto", max_bytes=9_000, **settings)) as kit:
            file = kit.cachefile("imagekit:thumbnail", width=120, source="photo.jpg")
            assert file.url
            made_at.append((file.name, Path(file.path).stat().st_mtime_ns))
    assert made_at[0] == made_at[1]


def test_unusable_wishes_are_refused() -> None:
    """A mistyped "auto" and no bytes at all are errors, as settings and as keywords."""
    for value in ("best", 0, 101, 1.5, True):
        with pytest.raises(InvalidSetting, match="must be a whole number from 1 to 100, 'auto' or None"):
            Settings(quality=value)
    with pytest.raises(InvalidSetting, match="max_bytes"):
        Settings(max_bytes=0)
    with pytest.raises(InvalidOption, match="a whole number of bytes, 1 or more"):
        Thumbnail(80, max_bytes=0)
    with pytest.raises(InvalidOption, match="quality"):
        made(drawing.photo(40, 40), "JPEG", quality="best")


JPEGLI = PixelRules(jpeg_encoder="jpegli")


def test_jpegli_takes_fewer_bytes() -> None:
    """With the setting `jpeg_encoder` a photo has another file, of the same size in pixels and fewer bytes."""
    photo = drawing.photo(320, 240)
    data = made(photo, "JPEG", JPEGLI)
    assert len(data) < len(made(photo, "JPEG"))
    assert psnr(photo, data) > psnr(photo, made(photo, "JPEG")) - 1
    assert made(photo, "WEBP", JPEGLI) == made(photo, "WEBP")
    assert len(made(photo, "JPEG", PixelRules(jpeg_encoder="jpegli", max_bytes=9_000, quality="auto"))) <= 9_000


def test_what_jpegli_cannot_write_is_pillows() -> None:
    """Grey images and those with saturated edges are the same files with either encoder."""
    for image in (drawing.photo(64, 48).convert("L"), drawing.lettering(120, 80, RED, BLUE)):
        assert made(image, "JPEG", JPEGLI) == made(image, "JPEG")
    photo = drawing.photo(64, 48)
    assert made(photo, "JPEG", JPEGLI, subsampling="4:4:4") == made(photo, "JPEG", subsampling="4:4:4")
    with pytest.raises(InvalidOption, match="smooth=5 cannot be used: jpegli has no such option"):
        made(photo, "JPEG", JPEGLI, smooth=5)
    assert made(photo, "JPEG", JPEGLI, method=4) == made(photo, "JPEG", JPEGLI)


def test_jpegli_keeps_profile_and_exif() -> None:
    """Metadata that is to be kept is in the file, whole, however long the profile is."""
    photo, profile = drawing.photo(64, 48), rgb_profile().ljust(150_000, b"\0")
    exif = Image.Exif()
    exif[0x8298] = "A. Author"
    frames = Frames((photo,), photo.size, icc_profile=profile, exif=exif.tobytes())
    opened = Image.open(BytesIO(encode(frames, "JPEG", {}, rules=JPEGLI, limits=LIMITS)))
    assert opened.info["icc_profile"] == profile
    assert opened.getexif()[0x8298] == "A. Author"


def test_encoder_is_in_the_name_and_never_missing_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another encoder gives other names; where it is not installed, the error says what to install."""
    assert ImageSpec().get_recipe() != spec_class({"jpeg_encoder": "jpegli"})().get_recipe()
    monkeypatch.setattr("jinja_imagekit.settings.find_spec", lambda name: None)
    with pytest.raises(InvalidSetting, match=r"pip install 'jinja-imagekit\[jpegli\]'"):
        Settings(jpeg_encoder="jpegli")
    with pytest.raises(InvalidSetting, match="pillow, jpegli"):
        Settings(jpeg_encoder="mozjpeg")


def test_flat_webp_is_lossy_where_it_fits_only_so() -> None:
    """An image that is smallest without loss loses some of it, where only that keeps within its bytes."""
    flat = drawing.photo(160, 120).quantize(64).convert("RGB")
    whole = made(flat, "WEBP")
    data = made(flat, "WEBP", PixelRules(max_bytes=len(whole) // 4))
    assert len(data) <= len(whole) // 4
    assert opened(data).tobytes() != flat.tobytes() == opened(whole).tobytes()
