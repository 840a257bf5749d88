"""HEIC photos are read where the setting `readable_formats` names them."""

from __future__ import annotations

import io
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import drawing
from colour_profiles import rgb_profile
from jinja_imagekit import ImageKit
from jinja_imagekit.exceptions import ImageTooLarge, InvalidSetting, UnreadableImage
from jinja_imagekit.settings import PLUGIN_FORMATS, READABLE_FORMATS

pillow_heif = pytest.importorskip("pillow_heif")

READABLE = (*READABLE_FORMATS, "HEIF")


def heic(image: Image.Image, **options: Any) -> bytes:
    """Encode an image as phones do."""
    buffer = io.BytesIO()
    pillow_heif.from_pillow(image).save(buffer, **{"quality": 90, **options})
    return buffer.getvalue()


def made(folder: Path, data: bytes, format: str = "PNG", **settings: Any) -> Image.Image:
    """Return the 80 pixels wide image that a kit makes of a photo."""
    (folder / "a.heic").write_bytes(data)
    whole = {"source_dirs": [folder], "location": folder / "out", "state_dir": folder / "state", "failure_timeout": 0}
    with closing(ImageKit(**{"readable_formats": READABLE, **whole, **settings})) as kit:
        file = kit.cachefile("imagekit:thumbnail", source="a.heic", width=80, format=format)
        return Image.open(io.BytesIO(Path(file.path).read_bytes()))


def difference(one: Image.Image, other: Image.Image) -> float:
    """Return by how many levels samples differ on average."""
    pairs = zip(one.convert("RGB").tobytes(), other.convert("RGB").tobytes(), strict=True)
    return sum(abs(a - b) for a, b in pairs) / (3 * one.width * one.height)


@pytest.mark.parametrize("isolation", [None, "process"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_heic_photo_is_read_upright(orientation: int, isolation: str | None, tmp_path: Path) -> None:
    """Its container says how it is turned; EXIF, which says it too, does not turn it again."""
    upright = drawing.photo(160, 120)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = upright.transpose(Image.Transpose.ROTATE_90) if orientation == 6 else upright
    result = made(tmp_path, heic(stored, exif=exif.tobytes()), isolation=isolation)
    assert difference(result, upright.resize((80, 60), Image.Resampling.LANCZOS)) < 4


def test_heic_photo_in_other_colours_becomes_srgb(tmp_path: Path) -> None:
    """Phones take photos in Display P3, whose profile counts."""
    photo = drawing.photo(160, 120)
    profile = rgb_profile("wide")
    same = made(tmp_path, heic(photo))
    wide = made(tmp_path, heic(photo, icc_profile=profile))
    reference = drawing.encoded(photo, "PNG", icc_profile=profile)
    (tmp_path / "b").mkdir()
    assert difference(wide, made(tmp_path / "b", reference)) < 4
    assert difference(wide, same) > 4


def test_heic_with_alpha_keeps_it(tmp_path: Path) -> None:
    """A result that can be transparent is."""
    image = drawing.photo(160, 120).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    assert made(tmp_path, heic(image), "WEBP").mode == "RGBA"


def test_heic_is_refused_where_it_is_not_named_too_large_or_cut(tmp_path: Path) -> None:
    """The error says how to have it read; caps hold before pixels are decoded."""
    data = heic(drawing.photo(160, 120))
    with pytest.raises(UnreadableImage, match="name HEIF in the setting readable_formats"):
        made(tmp_path, data, readable_formats=READABLE_FORMATS)
    with pytest.raises(ImageTooLarge, match="max_source_pixels"):
        made(tmp_path, data, max_source_pixels=100 * 100)
    for length in (32, 200, len(data) // 2, len(data) - 100):
        with pytest.raises(UnreadableImage) as caught:
            made(tmp_path, data[:length])
        assert "\n" not in str(caught.value)


def test_heic_that_ends_early_is_refused_wherever_its_image_lies(tmp_path: Path) -> None:
    """Of a phone's photo, a grid of tiles, libheif would give green ones for those that are cut off."""
    photo = pillow_heif.from_pillow(drawing.photo(160, 120))
    photo.add_from_pillow(drawing.photo(320, 240, seed=1))
    file = io.BytesIO()
    photo.save(file)
    assert made(tmp_path, file.getvalue()).size == (80, 60)
    with pytest.raises(UnreadableImage, match="the HEIF file is truncated"):
        made(tmp_path, file.getvalue()[:-100])


def test_format_without_its_package_is_refused_when_the_kit_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to install."""
    monkeypatch.setitem(PLUGIN_FORMATS, "HEIF", ("no_such_package", "heif"))
    with pytest.raises(InvalidSetting, match=r"pip install 'jinja-imagekit\[heif\]'"):
        ImageKit(readable_formats=READABLE)
