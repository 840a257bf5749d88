"""A variant at its source's own size is never larger: it may have the source's coded pixels, and no more of it."""

from __future__ import annotations

import io
from contextlib import closing
from pathlib import Path

import pytest
from PIL import Image

import drawing
from colour_profiles import rgb_profile
from jinja_imagekit import ImageKit, ImageSpec
from jinja_imagekit.images import Limits, Original, PixelRules
from jinja_imagekit.processors import Adjust, ResizeToFit

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF")
SMALLEST = {"JPEG": {"quality": 40}, "WEBP": {"quality": 30}, "AVIF": {"quality": 30, "speed": 6}}
"""Options by which a source has fewer bytes than this library's defaults give it."""


def source(format: str, **options: object) -> bytes:
    """Draw a photograph as a small file, with private metadata where the format holds it."""
    photo = drawing.photo(160, 120)
    if format == "GIF":
        return drawing.encoded(photo.quantize(16), "GIF", comment=b"private words")
    return drawing.encoded(photo, format, **{"exif": drawing.private_exif(), **SMALLEST.get(format, {}), **options})


def variant(folder: Path, data: bytes, format: str, **attributes: object) -> bytes:
    """Return the cache file that a spec makes of a file in a source folder."""
    (folder / "images").mkdir(exist_ok=True)
    (folder / "images" / f"a.{format.lower()}").write_bytes(data)

    class Spec(ImageSpec):
        pass

    for name, value in attributes.items():
        setattr(Spec, name, value)
    with closing(ImageKit(source_dirs=[folder / "images"], location=folder / "out", state_dir=folder / "state")) as kit:
        kit.register.generator("own", Spec)
        file = kit.cachefile("own", source=f"a.{format.lower()}")
        file.generate(force=True)
        return Path(file.path).read_bytes()


def frames(data: bytes) -> list[tuple[bytes, int]]:
    """Return the pixels of all frames of a file, and for how long each is shown."""
    read = Original(data, name="test", limits=Limits()).frames(PixelRules(), animated=True)
    durations = read.durations or (0,)
    return [(image.tobytes(), duration) for image, duration in zip(read.images, durations, strict=True)]


@pytest.mark.parametrize("format", FORMATS)
def test_variant_at_its_own_size_has_the_coded_pixels_of_a_smaller_source(format: str, tmp_path: Path) -> None:
    """It is not larger, shows the same, and private metadata is gone."""
    data = source(format)
    result = variant(tmp_path, data, format)
    assert len(result) <= len(data)
    assert frames(result) == frames(data)
    assert b"private" not in result
    assert not Image.open(io.BytesIO(result)).getexif()
    assert not any(name in result for name in (b"Exif", b"EXIF", b"eXIf", b"XMP", b"comment"))


@pytest.mark.parametrize("transparent", [False, True], ids=["opaque", "transparent"])
@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG"])
def test_animation_at_its_own_size_is_not_larger(format: str, transparent: bool, tmp_path: Path) -> None:
    """Its frames, durations and plays are those of the source."""
    drawn = drawing.frames(64, 48, 5, transparent=transparent)
    data = drawing.animated(format, drawn, (100, 50, 40, 120, 80), loop=3)
    result = variant(tmp_path, data, format)
    assert len(result) <= len(data)
    if format != "WEBP":
        # Here another lossy coding is smaller.
        assert frames(result) == frames(data)
    assert [duration for _, duration in frames(result)] == [100, 50, 40, 120, 80]
    plays = [
        Original(each, name="", limits=Limits()).frames(PixelRules(), animated=True).loop for each in (data, result)
    ]
    assert plays[0] == plays[1]


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_kept_metadata_is_in_the_rewritten_file(format: str, tmp_path: Path) -> None:
    """`keep_metadata` holds for the source's own coded pixels, too."""
    exif = Image.Exif()
    exif[0x8298] = "Ada"
    exif[0x010E] = "private words"
    data = source(format, exif=exif.tobytes())
    result = variant(tmp_path, data, format, keep_metadata=("copyright",))
    assert frames(result) == frames(data)
    assert dict(Image.open(io.BytesIO(result)).getexif()) == {0x8298: "Ada"}


@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_is_rewritten_without_thumbnail_comments_and_what_follows_it(progressive: bool, tmp_path: Path) -> None:
    """Only tables and scans are left of a JPEG, progressive or not."""
    data = source("JPEG", progressive=progressive, comment=b"private words", icc_profile=b"no profile")
    result = variant(tmp_path, data[:-2] + b"\xff\xfe\x00\x09private\xff\xd9 and private bytes", "JPEG")
    assert frames(result) == frames(data)
    assert b"private" not in result
    assert b"no profile" not in result
    assert len(result) < len(data)


@pytest.mark.parametrize(
    "attributes",
    [
        {"options": {"quality": 95}},
        {"processors": (Adjust(brightness=1.3),)},
        {"processors": (ResizeToFit(80, 80),)},
        {"autoconvert": False},
    ],
    ids=["quality", "processor", "size", "as it is"],
)
def test_what_was_asked_for_is_made(attributes: dict[str, object], tmp_path: Path) -> None:
    """A quality, another size or another look is encoded anew."""
    data = source("JPEG")
    assert frames(variant(tmp_path, data, "JPEG", **attributes)) != frames(data)


def test_processor_that_changes_nothing_keeps_the_coded_pixels(tmp_path: Path) -> None:
    """A source that is as large as it should be is not coded anew."""
    data = source("JPEG")
    assert frames(variant(tmp_path, data, "JPEG", processors=(ResizeToFit(160, 160),))) == frames(data)


def test_turned_source_or_one_in_other_colours_is_encoded(tmp_path: Path) -> None:
    """What a browser would show otherwise without metadata and profile is never passed on."""
    turned = drawing.oriented(drawing.photo(160, 120), 6, quality=30)
    assert Image.open(io.BytesIO(variant(tmp_path, turned, "JPEG"))).size == (160, 120)
    assert not Image.open(io.BytesIO(variant(tmp_path, turned, "JPEG"))).getexif()
    wide = drawing.wide_gamut(drawing.photo(160, 120), quality=30)
    assert frames(variant(tmp_path, wide, "JPEG"))[0][0] != Image.open(io.BytesIO(wide)).tobytes()
    unchanged = drawing.encoded(drawing.photo(160, 120), "JPEG", quality=30, icc_profile=rgb_profile())
    result = variant(tmp_path, unchanged, "JPEG")
    assert result == variant(tmp_path, unchanged, "JPEG")


def test_upload_is_always_encoded_anew(tmp_path: Path) -> None:
    """A stranger's coded data reaches no visitor, however small it is."""
    data = source("JPEG")
    (tmp_path / "upload.jpg").write_bytes(data)
    with closing(ImageKit(location=tmp_path / "out", state_dir=tmp_path / "state")) as kit:
        assert frames(kit.process(io.BytesIO(data)).read()) != frames(data)
        assert frames(kit.process(tmp_path / "upload.jpg").read()) != frames(data)


def test_bytes_and_streams_are_encoded_anew() -> None:
    """What has no place of its own may be anybody's."""
    data = source("JPEG")
    assert frames(ImageSpec(data).generate().read()) != frames(data)
    assert frames(ImageSpec(io.BytesIO(data)).generate().read()) != frames(data)
