"""The drawn images are what they claim to be; every other test leans on that."""

from __future__ import annotations

import hashlib
import io

import pytest
from PIL import Image, ImageChops, ImageCms, ImageOps, ImageStat

import drawing


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def difference(first: Image.Image, second: Image.Image) -> float:
    return max(ImageStat.Stat(ImageChops.difference(first, second)).mean)


def shown(image: Image.Image) -> Image.Image:
    profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
    result = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    assert result is not None
    return result


def test_the_same_seed_draws_the_same_pixels() -> None:
    """Seeds are reproducible, and differ from each other."""
    digests = [hashlib.sha256(drawing.photo(120, 80, seed).tobytes()).hexdigest() for seed in (4, 4, 5)]
    assert digests[0] == digests[1] != digests[2]


def test_a_photo_compresses_as_a_camera_photo_does() -> None:
    """At quality 85 a photo takes 2 to 4 bits a pixel: 3 to 6 MB for 12 megapixels."""
    bits = len(drawing.jpeg(1600, 1200)) * 8 / (1600 * 1200)
    assert 2 < bits < 4


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_oriented_file_is_upright_once_its_tag_is_applied(orientation: int) -> None:
    """All eight EXIF orientations lead back to the same picture."""
    upright = drawing.with_corners(drawing.photo(90, 60))
    stored = opened(drawing.oriented(upright, orientation, "PNG"))
    assert (stored.size == upright.size) is (orientation < 5)
    assert ImageOps.exif_transpose(stored).tobytes() == upright.tobytes()


@pytest.mark.parametrize("kind", ["wide_gamut", "swapped_channels", "profiled_grey", "cmyk"])
def test_a_profile_decides_how_an_image_looks(kind: str) -> None:
    """With its profile the image looks like the original, without it plainly different."""
    original = drawing.photo(120, 90, seed=1)
    if kind == "cmyk":
        stored = opened(drawing.cmyk_jpeg(original, profiled=True, quality=98, subsampling=0))
    else:
        stored = opened(getattr(drawing, kind)(original, "PNG"))
    expected = original.convert("L").convert("RGB") if kind == "profiled_grey" else original
    assert difference(shown(stored), expected) < 3
    assert difference(stored.convert("RGB"), expected) > 6


def test_transparent_kinds_have_the_modes_they_are_named_for() -> None:
    """RGBA, LA, palette with tRNS and GIF all show the picture in the middle and nothing in the corner."""
    image = drawing.photo(120, 90)
    kinds = {
        "RGBA": drawing.alpha_png(image),
        "LA": drawing.grey_alpha_png(image),
        "P": drawing.palette_png(image),
    }
    for mode, data in kinds.items():
        assert opened(data).mode == mode
    for data in (*kinds.values(), drawing.transparent_gif(image)):
        alpha = opened(data).convert("RGBA").getchannel("A")
        assert alpha.getpixel((0, 0)) == 0
        assert alpha.getpixel((60, 45)) > 250


def test_a_sixteen_bit_image_uses_all_sixteen_bits() -> None:
    """Its levels reach far beyond 255, and its high bytes are the picture."""
    image = drawing.photo(64, 48)
    stored = opened(drawing.sixteen_bit_png(image))
    assert stored.mode == "I;16"
    assert stored.tobytes()[1::2] == image.convert("L").tobytes()


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "AVIF"])
def test_an_animation_keeps_its_frames_and_their_durations(format: str) -> None:
    """Four formats, six frames, six durations."""
    durations = [100, 200, 300, 100, 50, 400]
    animation = opened(drawing.animated(format, drawing.frames(80, 60), durations, loop=3))
    assert animation.n_frames == 6
    seen = []
    for index in range(6):
        animation.seek(index)
        animation.load()
        seen.append(round(animation.info["duration"]))
    assert seen == durations
    assert animation.info.get("loop") == (None if format == "AVIF" else 3)


def test_private_metadata_is_there_to_be_stripped() -> None:
    """The EXIF block has a position, a camera and a copyright."""
    exif = opened(drawing.encoded(drawing.photo(32, 24), "JPEG", exif=drawing.private_exif())).getexif()
    assert exif[0x8298] == "(c) Ann Author"
    assert exif.get_ifd(0x8825)[1] == "N"
