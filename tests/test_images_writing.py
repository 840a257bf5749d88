"""What is written: right pixels in every format, no metadata, the same bytes every time, and clear refusals."""

from __future__ import annotations

import io
import os
import random
import struct
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image, ImageChops, ImageFile, ImageStat

import drawing
from colour_profiles import rgb_profile
from jinja_imagekit.exceptions import (
    EncodingFailed,
    ImageKitError,
    ImageTooLarge,
    InvalidOption,
    InvalidSetting,
    UnknownFormat,
)
from jinja_imagekit.images import (
    WRITABLE_FORMATS,
    Frames,
    Header,
    Limits,
    Original,
    PixelRules,
    check_options,
    encode,
    extension,
    mimetype,
    output_format,
)
from jinja_imagekit.settings import Settings

LIMITS = Limits()
RULES = PixelRules()


def still(image: Image.Image) -> Frames:
    """Return one image as frames."""
    return Frames((image,), image.size)


def written(image: Image.Image, format: str, rules: PixelRules = RULES, **options: object) -> Image.Image:
    """Encode one image and open the result."""
    return Image.open(io.BytesIO(encode(still(image), format, options, rules=rules, limits=LIMITS)))


def distance(first: Image.Image, second: Image.Image) -> float:
    """Return the mean difference of two opaque images, in levels of the worst channel."""
    return max(ImageStat.Stat(ImageChops.difference(first.convert("RGB"), second.convert("RGB"))).mean)


@pytest.mark.parametrize("format", WRITABLE_FORMATS)
@pytest.mark.parametrize(
    "mode",
    ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "La", "CMYK", "YCbCr", "HSV", "LAB", "I;16", "I", "F"],
)
def test_any_mode_that_a_processor_returns_is_written(mode: str, format: str) -> None:
    """Autoconvert makes every mode of Pillow right for every format."""
    grey = Image.new("L", (32, 32), 128)
    try:
        image = grey.convert({"RGBa": "RGBA", "La": "LA"}.get(mode, "RGB")).convert(mode)
    except ValueError:
        image = grey.convert("I").convert("I;16") if mode == "I;16" else Image.new(mode, (32, 32), 128)
    before = image.tobytes()
    result = written(image, format)
    assert result.format == format
    assert result.size == (32, 32)
    if mode not in ("1", "P", "LAB", "I;16", "PA"):
        assert distance(result, grey) < 4
    assert image.tobytes() == before


@pytest.mark.parametrize("format", ["PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_soft_alpha_is_kept_where_the_format_has_it(format: str, mode: str) -> None:
    """Half-transparent pixels stay half transparent."""
    cut = drawing.cut_out(drawing.photo(80, 60)).convert(mode)
    alpha = written(cut, format).convert("RGBA").getchannel("A")
    assert ImageStat.Stat(ImageChops.difference(alpha, cut.getchannel("A"))).mean[0] < 2


def test_gif_alpha_is_all_or_nothing() -> None:
    """Mostly opaque pixels are mixed with the background, the others vanish."""
    cut = drawing.cut_out(drawing.photo(80, 60))
    alpha = written(cut, "GIF").convert("RGBA").getchannel("A")
    assert set(alpha.tobytes()) == {0, 255}
    wanted = cut.getchannel("A").point([0] * 128 + [255] * 128)
    assert alpha.tobytes() == wanted.tobytes()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_lands_on_the_background(mode: str) -> None:
    """White unless told otherwise, where the format has no transparency or it is not to be kept."""
    clear = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
    image = clear.quantize(method=Image.Quantize.FASTOCTREE) if mode == "P" else clear.convert(mode)
    assert written(image, "JPEG").convert("RGB").getpixel((8, 8)) == (255, 255, 255)
    blue = written(image, "JPEG", PixelRules(background="#0000ff"), quality=100).convert("RGB").getpixel((8, 8))
    assert blue[2] > 250  # type: ignore[index]
    for format in WRITABLE_FORMATS:
        opaque = written(image, format, PixelRules(keep_alpha=False))
        assert not opaque.has_transparency_data
        assert min(opaque.convert("L").tobytes()) > 250


def test_chosen_palette_is_kept() -> None:
    """A processor that made a palette image gets a palette PNG, transparency included."""
    image = drawing.cut_out(drawing.photo(40, 30)).quantize(16, method=Image.Quantize.FASTOCTREE)
    result = written(image, "PNG")
    assert result.mode == "P"
    assert written(image, "GIF").convert("RGBA").getpixel((0, 0))[3] == 0  # type: ignore[index]
    assert result.convert("RGBA").tobytes() == image.convert("RGBA").tobytes()


@pytest.mark.parametrize("format", WRITABLE_FORMATS)
def test_metadata_is_stripped(format: str) -> None:
    """Camera, place, comments and profiles of the source do not reach the site."""
    image = drawing.photo(40, 30)
    image.info.update(
        exif=drawing.private_exif(),
        comment=b"secret",
        icc_profile=b"secret",
        xmp=b"secret",
        dpi=(72, 72),
        Title="secret",
    )
    data = encode(still(image), format, {}, rules=RULES, limits=LIMITS)
    assert b"secret" not in data
    assert b"Ann Author" not in data
    assert b"Camera" not in data


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize("source", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_metadata_that_is_to_be_kept_is_kept(source: str, format: str) -> None:
    """Copyright and artist by name; the place and the camera still go."""
    rules = PixelRules(keep_metadata=("copyright", "artist"))
    data = drawing.encoded(drawing.photo(40, 30), source, exif=drawing.private_exif())
    frames = Original(data, name="test", limits=LIMITS).frames(rules)
    result = Image.open(io.BytesIO(encode(frames, format, {}, rules=rules, limits=LIMITS)))
    exif = result.getexif()
    assert dict(exif) == {0x8298: "(c) Ann Author", 0x013B: "Ann Author"}
    assert not exif.get_ifd(0x8825)


def test_fields_of_the_exif_directory_are_kept_too() -> None:
    """Date and exposure live in a directory of their own."""
    exif = Image.Exif()
    exif[0x8298] = "Ann"
    exif.get_ifd(0x8769).update({0x9003: "2024:05:06 07:08:09", 0x829A: (1.0, 250.0), 0xA434: "Lens 1"})
    rules = PixelRules(keep_metadata=("DateTimeOriginal", "date_time_original", "exposure_time"))
    data = drawing.encoded(drawing.photo(40, 30), "JPEG", exif=exif.tobytes())
    frames = Original(data, name="test", limits=LIMITS).frames(rules)
    kept = Image.open(io.BytesIO(encode(frames, "WEBP", {}, rules=rules, limits=LIMITS))).getexif()
    before = Image.open(io.BytesIO(data)).getexif().get_ifd(0x8769)
    assert dict(kept.get_ifd(0x8769)) == {tag: before[tag] for tag in (0x9003, 0x829A)}
    assert 0x8298 not in kept


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_a_field_with_more_values_than_it_should_have_is_kept_without_a_warning(format: str) -> None:
    """Of three units the first counts."""
    directory = struct.pack("<HHHIII3H", 1, 0x0128, 3, 3, 26, 0, 2, 3, 3)
    exif = b"Exif\0\0II*\0\x08\0\0\0" + directory
    rules = PixelRules(keep_metadata=("ResolutionUnit",))
    frames = Original(drawing.encoded(drawing.photo(40, 30), "JPEG", exif=exif), name="test", limits=LIMITS).frames(
        rules
    )
    result = Image.open(io.BytesIO(encode(frames, format, {}, rules=rules, limits=LIMITS)))
    assert dict(result.getexif()) == {0x0128: 2}


def test_unknown_metadata_field_is_refused() -> None:
    """A mistyped name would silently keep nothing."""
    with pytest.raises(InvalidSetting, match="Did you mean 'copyright'"):
        PixelRules(keep_metadata=("copyrigth",))


@pytest.mark.parametrize("options", [{}, {"optimize": True, "progressive": False}, {"quality": 100, "subsampling": 0}])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_noise_is_written_as_jpeg(options: dict[str, object], mode: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Progressive files of noise outgrow Pillow's buffer; nothing fails, nothing is printed, no global is set."""
    before = ImageFile.MAXBLOCK
    noise = Image.frombytes(mode, (700, 700), random.Random(0).randbytes(700 * 700 * len(mode)))
    result = written(noise, "JPEG", **options)
    result.load()
    assert bool(result.info.get("progressive")) == (options.get("progressive") is not False)
    assert before == ImageFile.MAXBLOCK
    assert capfd.readouterr() == ("", "")


def test_noise_is_written_as_jpeg_with_a_profile_and_exif() -> None:
    """Markers take room in the same buffer."""
    noise = Image.frombytes("RGB", (300, 300), random.Random(0).randbytes(270_000))
    profile = rgb_profile("wide")
    frames = Frames((noise,), noise.size, icc_profile=profile, exif=drawing.private_exif())
    result = Image.open(io.BytesIO(encode(frames, "JPEG", {"quality": 100}, rules=RULES, limits=LIMITS)))
    assert result.info["icc_profile"] == profile
    assert result.getexif()[0x8298] == "(c) Ann Author"


def test_sixteen_threads_write_what_one_writes() -> None:
    """All formats at once, many times: every result is the same as alone."""
    images = {format: drawing.cut_out(drawing.photo(120, 90, seed)) for seed, format in enumerate(WRITABLE_FORMATS)}

    def work(format: str) -> bytes:
        return encode(still(images[format]), format, {}, rules=RULES, limits=LIMITS)

    alone = {format: work(format) for format in WRITABLE_FORMATS}
    jobs = list(WRITABLE_FORMATS) * 16
    with ThreadPoolExecutor(16) as threads:
        assert list(threads.map(work, jobs)) == [alone[format] for format in jobs]


DIGESTS = """
import hashlib, sys
import drawing
from colour_profiles import rgb_profile
from jinja_imagekit.images import *
photo = drawing.photo(256, 192)
cut = drawing.cut_out(photo)
for format in WRITABLE_FORMATS:
    for image in (photo, cut):
        data = encode(Frames((image,), image.size), format, {}, rules=PixelRules(), limits=Limits())
        print(format, hashlib.sha256(data).hexdigest())
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity") or os.cpu_count() == 1, reason="needs a choice of cores")
def test_bytes_do_not_depend_on_the_number_of_cores() -> None:
    """A laptop and a build server make the same files."""

    def run(cores: set[int], seed: str) -> str:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": seed}
        code = f"import os; os.sched_setaffinity(0, {cores})\n{DIGESTS}"
        return subprocess.run(
            [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
        ).stdout

    available = os.sched_getaffinity(0)
    assert run({min(available)}, "1") == run(available, "2") != ""


@pytest.mark.parametrize(
    ("format", "options"),
    [
        ("JPEG", {"quality": 200}),
        ("JPEG", {"quality": 0}),
        ("JPEG", {"quality": -1}),
        ("JPEG", {"quality": 72.5}),
        ("JPEG", {"quality": "80"}),
        ("JPEG", {"quality": True}),
        ("JPEG", {"quality": None}),
        ("WEBP", {"quality": 100.5}),
        ("WEBP", {"quality": float("nan")}),
        ("AVIF", {"quality": 101}),
        ("AVIF", {"speed": 11}),
        ("PNG", {"quality": 200}),
        ("PNG", {"compress_level": 10}),
        ("WEBP", {"method": 7}),
        ("JPEG", {"qualty": 80}),
        ("JPEG", {"max_threads": 2}),
    ],
)
def test_unusable_options_are_refused(format: str, options: dict[str, object]) -> None:
    """The error names the option and its value, before an image is needed and when one is written."""
    (name,) = options
    with pytest.raises(InvalidOption, match=name):
        check_options(format, options)
    with pytest.raises(InvalidOption, match=name):
        encode(still(Image.new("RGB", (4, 4))), format, options, rules=RULES, limits=LIMITS)


def test_mistyped_option_gets_a_suggestion() -> None:
    """The nearest valid name is in the message."""
    with pytest.raises(InvalidOption, match="Did you mean 'quality'"):
        check_options("WEBP", {"qualty": 80})


def test_option_of_another_format_is_left_out() -> None:
    """A spec without a format of its own gives one set of options to whatever the source is."""
    options = {"quality": 90, "progressive": True, "method": 6, "compress_level": 9, "speed": 10}
    for format in WRITABLE_FORMATS:
        check_options(format, options)
        assert written(drawing.photo(20, 20), format, **options).format == format


def test_options_override_the_defaults_one_by_one() -> None:
    """A quality alone leaves a JPEG progressive; 80.0 is 80."""
    photo = drawing.photo(200, 150)
    assert "progressive" in written(photo, "JPEG").info
    assert "progressive" in written(photo, "JPEG", quality=50).info
    assert "progressive" not in written(photo, "JPEG", progressive=False).info

    def size(**options: object) -> int:
        return len(encode(still(photo), "JPEG", options, rules=RULES, limits=LIMITS))

    assert size(quality=50) < size() == size(quality=80) == size(quality=80.0) < size(quality=95)


def test_encoders_own_refusal_is_our_error() -> None:
    """What Pillow raises for an option's value, or for a mode without autoconvert, is one class of error."""
    photo = drawing.photo(20, 20)
    with pytest.raises(EncodingFailed, match=r"'hero\.jpg' cannot be written as JPEG"):
        encode(still(photo), "JPEG", {"qtables": "none"}, rules=RULES, limits=LIMITS, name="hero.jpg")
    with pytest.raises(EncodingFailed, match="RGBA"):
        encode(still(photo.convert("RGBA")), "JPEG", {}, rules=RULES, limits=LIMITS, autoconvert=False)
    assert issubclass(EncodingFailed, ImageKitError)


def test_without_autoconvert_the_mode_is_the_encoders_business() -> None:
    """A CMYK JPEG can be had."""
    cmyk = drawing.photo(20, 20).convert("CMYK")
    data = encode(still(cmyk), "JPEG", {}, rules=RULES, limits=LIMITS, autoconvert=False)
    assert Image.open(io.BytesIO(data)).mode == "CMYK"


@pytest.mark.parametrize(
    ("image", "format", "reason"),
    [
        (Image.new("L", (100, 100)), "PNG", "max_result_pixels allows 9,999"),
        (Image.new("L", (16_384, 1)), "WEBP", "WEBP allows 16,383"),
        (Image.new("L", (1, 65_536)), "JPEG", "JPEG allows"),
        (Image.new("L", (1, 65_536)), "GIF", "GIF allows"),
    ],
)
def test_results_are_capped(image: Image.Image, format: str, reason: str) -> None:
    """A result that is larger than the settings or the format allow is refused before it is encoded."""
    with pytest.raises(ImageTooLarge, match=reason):
        encode(
            still(image),
            format,
            {},
            rules=RULES,
            limits=Limits(max_result_pixels=9_999 if "9,999" in reason else 10**8),
        )


def test_largest_result_of_each_format_is_written() -> None:
    """The caps of the formats are theirs, not stricter."""
    for format, side in (("WEBP", 16_383), ("JPEG", 65_500), ("GIF", 65_535), ("PNG", 70_000)):
        assert written(Image.new("L", (side, 1)), format).size == (side, 1)


def test_empty_result_is_refused() -> None:
    """A processor that crops everything away is told so."""
    with pytest.raises(EncodingFailed, match="0 × 5"):
        encode(still(Image.new("RGB", (0, 5))), "PNG", {}, rules=RULES, limits=LIMITS)


@pytest.mark.parametrize(
    ("asked", "format"),
    [("jpg", "JPEG"), ("JPEG", "JPEG"), ("webp", "WEBP"), (".png", "PNG"), ("Avif", "AVIF"), ("gif", "GIF")],
)
def test_format_is_known_by_its_usual_names(asked: str, format: str) -> None:
    """Case, dots and extensions do not matter."""
    assert output_format(asked, Header("PNG", 1, 1)) == format


@pytest.mark.parametrize("asked", ["TIFF", "EPS", "", "jpeg2000", "WBEP"])
def test_format_that_is_not_written_is_refused(asked: str) -> None:
    """The error lists what there is, or what is near."""
    with pytest.raises(UnknownFormat, match=r"Known|Did you mean"):
        output_format(asked, Header("PNG", 1, 1))


@pytest.mark.parametrize(
    ("source", "has_alpha", "format"),
    [
        *((format, False, format) for format in WRITABLE_FORMATS),
        *((format, False, "JPEG") for format in ("MPO", "BMP", "TIFF", "ICO")),
        *((format, True, "PNG") for format in ("BMP", "TIFF", "ICO")),
    ],
)
def test_format_follows_the_source(source: str, has_alpha: bool, format: str) -> None:
    """A source in a format that is not written becomes a JPEG, or a PNG where it has transparency."""
    assert output_format(None, Header(source, 1, 1, has_alpha=has_alpha)) == format


def test_names_of_files_and_media_types() -> None:
    """One extension and one media type for each format."""
    assert [extension(format) for format in WRITABLE_FORMATS] == [".jpg", ".png", ".webp", ".avif", ".gif"]
    assert [mimetype(format).split("/")[1] for format in WRITABLE_FORMATS] == ["jpeg", "png", "webp", "avif", "gif"]


def test_writing_leaves_the_process_as_it_is() -> None:
    """No global of Pillow and no warning filter changes."""
    before = (Image.MAX_IMAGE_PIXELS, ImageFile.MAXBLOCK, list(warnings.filters))
    for format in WRITABLE_FORMATS:
        written(drawing.photo(30, 20), format)
    assert before == (Image.MAX_IMAGE_PIXELS, ImageFile.MAXBLOCK, list(warnings.filters))


def test_rules_and_limits_are_those_of_the_settings() -> None:
    """Each setting arrives under its name, and the defaults agree."""
    assert PixelRules.from_settings(Settings()) == PixelRules()
    assert Limits.from_settings(Settings()) == Limits()
    told = Settings(background="black", decode_margin=1.0, readable_formats=("PNG",), max_frames=7)
    assert PixelRules.from_settings(told) == PixelRules(background="black", decode_margin=1.0)
    assert Limits.from_settings(told) == Limits(readable_formats=("PNG",), max_frames=7)
