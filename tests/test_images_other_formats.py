"""Formats that are read only where the setting `readable_formats` names them."""

from __future__ import annotations

from pathlib import Path

import pytest

import drawing
from jinja_imagekit import ImageKit
from jinja_imagekit.exceptions import UnreadableImage
from jinja_imagekit.settings import OTHER_FORMATS


@pytest.mark.parametrize("format", ["JPEG2000", "PPM", "PCX", "DDS", "SGI", "TGA", "ICNS"])
def test_further_formats_where_the_setting_names_them(format: str, tmp_path: Path) -> None:
    """A format that Pillow decodes is read where it is asked for, capped as all others, and refused elsewhere."""
    side = 64
    (tmp_path / "a.img").write_bytes(drawing.encoded(drawing.photo(side, side), format))
    kit = ImageKit(source_dirs=[tmp_path], location=tmp_path, readable_formats=("JPEG", format))
    file = kit.cachefile("imagekit:thumbnail", source="a.img", width=32)
    assert (file.width, file.format) == (32, "PNG" if format == "ICNS" else "JPEG")
    small = ImageKit(source_dirs=[tmp_path], location=tmp_path, readable_formats=(format,), max_source_pixels=side)
    with pytest.raises(UnreadableImage, match="max_source_pixels"):
        small.cachefile("imagekit:thumbnail", source="a.img", width=31).generate()
    usual = ImageKit(source_dirs=[tmp_path], location=tmp_path)
    with pytest.raises(UnreadableImage, match=r"not an image of a readable format|or name JPEG2000"):
        usual.cachefile("imagekit:thumbnail", source="a.img", width=30).generate()


def test_further_formats_that_are_cut_off_are_refused(tmp_path: Path) -> None:
    """What Pillow cannot decode to the end is one clear error."""
    whole = drawing.encoded(drawing.photo(64, 64), "PPM")
    for length in (0, 2, 10, len(whole) - 100):
        (tmp_path / "a.ppm").write_bytes(whole[:length])
        kit = ImageKit(source_dirs=[tmp_path], location=tmp_path, readable_formats=OTHER_FORMATS)
        with pytest.raises(UnreadableImage):
            kit.cachefile("imagekit:thumbnail", source="a.ppm", width=32).generate()
