"""An upload is checked, cropped and encoded anew before it is stored, and a bad one is one clear error."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest
from core_site import photo_bytes
from PIL import Image

import drawing
from jinja_imagekit import ImageKit
from jinja_imagekit.exceptions import ImageTooLarge, InvalidOption, StorageError, UnreadableImage
from jinja_imagekit.processors import ResizeToFill
from jinja_imagekit.uploads import safe_stem


class Upload:
    """A form's file field, as web frameworks hand it over."""

    def __init__(self, data: bytes, filename: str = "me.jpg") -> None:
        self.filename = filename
        self._file = io.BytesIO(data)
        self.read, self.seek, self.tell = self._file.read, self._file.seek, self._file.tell

    def __bool__(self) -> bool:
        return bool(self.filename)


@pytest.fixture
def kit(tmp_path: Path) -> ImageKit:
    kit = ImageKit(location=tmp_path / "output", state_dir=tmp_path / "state", max_source_pixels=1_000_000)
    kit.spec("avatar", processors=[ResizeToFill(40, 40)], format="PNG")
    return kit


def test_an_upload_is_cropped_and_encoded_anew(kit: ImageKit) -> None:
    """The new image has the size and format that was asked for, and says so."""
    new = kit.process(Upload(photo_bytes(96, 72)), processors=[ResizeToFill(50, 30)], format="WEBP")
    assert (new.name, new.width, new.height, new.format, new.mimetype) == ("me.webp", 50, 30, "WEBP", "image/webp")
    assert new.size == len(new.read())
    with Image.open(new.open()) as image:
        assert (image.size, image.format) == ((50, 30), "WEBP")


def test_a_registered_spec_can_say_what_is_done(kit: ImageKit) -> None:
    """An id stands for its generator; beside it there are no keywords."""
    assert kit.process(Upload(photo_bytes()), "avatar").name == "me.png"
    with pytest.raises(InvalidOption, match="not both"):
        kit.process(Upload(photo_bytes()), "avatar", format="WEBP")


def test_without_keywords_an_upload_is_made_harmless(kit: ImageKit) -> None:
    """It is upright, and neither the camera nor the place is left."""
    shown = drawing.with_corners(drawing.photo(60, 90, 2))
    exif = Image.Exif()
    exif.update({0x0112: 6, 0x010F: "Camera Works"})
    data = drawing.encoded(shown.transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif.tobytes())
    new = kit.process(Upload(data))
    with Image.open(new.open()) as image:
        assert image.size == (60, 90)
        assert not image.getexif()
    assert (new.width, new.height, new.format) == (60, 90, "JPEG")


@pytest.mark.parametrize(
    "data",
    [b"", b"<html>", photo_bytes()[:400], photo_bytes()[:-300], b"GIF89a" + bytes(40), b"%PDF-1.7 " + bytes(90)],
    ids=["empty", "text", "a header", "truncated", "no frames", "a document"],
)
def test_a_broken_upload_is_one_error(kit: ImageKit, data: bytes) -> None:
    """Whatever is wrong with the bytes, the error is the same, and calls the upload by its name."""
    with pytest.raises(UnreadableImage, match=r"me\.jpg"):
        kit.process(Upload(data))


def test_an_enormous_upload_is_refused_from_its_header(kit: ImageKit) -> None:
    """A small file of a million and a half pixels is not decoded."""
    data = drawing.encoded(Image.new("L", (1500, 1000)), "PNG")
    with pytest.raises(ImageTooLarge):
        kit.process(Upload(data))
    small = ImageKit(max_source_bytes=1000)
    with pytest.raises(ImageTooLarge, match="max_source_bytes"):
        small.process(Upload(photo_bytes()))


def test_an_animation_may_have_as_many_frames_as_the_setting_allows(tmp_path: Path) -> None:
    """The cap on frames holds for what was made as it does for what was uploaded, above its default too."""
    frames = [Image.new("L", (2, 1), number % 251) for number in range(1_100)]
    data = drawing.animated("GIF", frames, [20] * len(frames))
    kit = ImageKit(state_dir=tmp_path / "state", max_frames=2_000)
    with Image.open(kit.process(Upload(data, "long.gif")).open()) as image:
        assert image.n_frames == len(frames)
    with pytest.raises(ImageTooLarge, match="max_frames allows 1,000"):
        ImageKit(state_dir=tmp_path / "state").process(Upload(data, "long.gif"))


def test_an_empty_file_field_is_an_error_that_a_form_can_show(kit: ImageKit) -> None:
    """A form that was sent without a file."""
    with pytest.raises(UnreadableImage, match="no file was uploaded"):
        kit.process(Upload(b"", filename=""))


def test_an_svg_is_not_an_upload(kit: ImageKit) -> None:
    """It could hold scripts, which would run on the site's pages."""
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>alert(1)</script></svg>'
    with pytest.raises(UnreadableImage):
        kit.process(Upload(svg, "logo.svg"))


@pytest.mark.parametrize(
    ("given", "stem"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\photos\\Me.JPG", "Me"),
        ("été à Nice (1).jpg", "été-à-Nice-1"),
        ("<script>.jpg", "script"),
        ("...", "image"),
        ("", "image"),
        ("a\0b\n.jpg", "a-b"),
        ("con.jpg", "image-con"),
        ("\ud800.jpg", "image"),
        ("x" * 300 + ".jpg", "x" * 160),
        ("é" * 300, "é" * 80),
    ],
)
def test_names_are_made_safe(given: str, stem: str) -> None:
    """A name of an upload is a stranger's word: no path, no device, nothing that HTML or a shell would read."""
    assert safe_stem(given) == stem


def test_the_extension_is_the_formats(kit: ImageKit) -> None:
    """A PNG that is called .jpg, or .html, gets the extension that its content deserves."""
    png = photo_bytes(format="PNG")
    assert kit.process(Upload(png, "page.html")).name == "page.png"
    assert kit.process(png, format="JPEG").name == "image.jpg"


def test_a_saved_file_is_whole_and_alone(kit: ImageKit, tmp_path: Path) -> None:
    """Folders are made, an old file is replaced, and no temporary file is left."""
    new = kit.process(Upload(photo_bytes()))
    target = tmp_path / "uploads/2024/me.jpg"
    assert new.save(target) == target
    new.save(str(target))
    assert target.read_bytes() == new.read()
    assert os.listdir(target.parent) == ["me.jpg"]


def test_unique_names_tell_contents_apart(kit: ImageKit) -> None:
    """Two uploads of one name do not meet, and the same upload twice does."""
    first, again, other = (kit.process(Upload(photo_bytes(seed=seed))).unique_name for seed in (1, 1, 2))
    assert first == again != other
    assert first.startswith("me-")
    assert first.endswith(".jpg")


def test_a_place_that_cannot_be_written_is_said(kit: ImageKit, tmp_path: Path) -> None:
    """A file stands where a folder should be."""
    (tmp_path / "uploads").write_text("")
    with pytest.raises(StorageError, match=r"me\.jpg"):
        kit.process(Upload(photo_bytes())).save(tmp_path / "uploads/me.jpg")


def test_a_fault_of_the_sites_own_is_not_a_broken_upload(kit: ImageKit) -> None:
    """A processor's bug is not blamed on whoever uploaded."""

    class Buggy:
        def process(self, image: Any) -> Any:
            raise RuntimeError("the ink ran out")

    with pytest.raises(RuntimeError, match="ink"):
        kit.process(Upload(photo_bytes()), processors=[Buggy()])
