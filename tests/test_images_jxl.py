"""JPEG XL is read where the setting `readable_formats` names it, as `djxl` reads what `cjxl` has written."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
import zlib
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import drawing
from colour_profiles import rgb_profile
from jinja_imagekit import ImageKit
from jinja_imagekit.exceptions import ImageTooLarge, UnreadableImage
from jinja_imagekit.images import Limits, read_header
from jinja_imagekit.settings import READABLE_FORMATS

pillow_jxl = pytest.importorskip("pillow_jxl")

READABLE = (*READABLE_FORMATS, "JXL")
LIMITS = Limits(readable_formats=READABLE)
PHOTO = drawing.photo(160, 120)


def cjxl(folder: Path, image: bytes, *options: str, name: str = "in.png") -> bytes:
    """Encode a file by the reference encoder, or skip."""
    if shutil.which("cjxl") is None:
        pytest.skip("cjxl is not installed (Debian: libjxl-tools)")
    (folder / name).write_bytes(image)
    subprocess.run(["cjxl", name, "out.jxl", "--quiet", *options], cwd=folder, check=True, capture_output=True)
    return (folder / "out.jxl").read_bytes()


def djxl(folder: Path, data: bytes) -> Image.Image:
    """Decode a file by the reference decoder."""
    (folder / "again.jxl").write_bytes(data)
    subprocess.run(["djxl", "again.jxl", "again.png"], cwd=folder, check=True, capture_output=True)
    return Image.open(folder / "again.png")


def jxl(image: Image.Image, **options: Any) -> bytes:
    """Encode an image by the extra's package."""
    buffer = io.BytesIO()
    image.save(buffer, "JXL", **{"lossless": True, **options})
    return buffer.getvalue()


def made(folder: Path, data: bytes, format: str = "PNG", width: int = 80, **settings: Any) -> Image.Image:
    """Return the image that a kit makes of a file."""
    (folder / "a.jxl").write_bytes(data)
    whole = {"source_dirs": [folder], "location": folder / "out", "state_dir": folder / "state", "failure_timeout": 0}
    with closing(ImageKit(**{"readable_formats": READABLE, **whole, **settings})) as kit:
        file = kit.cachefile("imagekit:thumbnail", source="a.jxl", width=width, format=format)
        return Image.open(io.BytesIO(Path(file.path).read_bytes()))


def difference(one: Image.Image, other: Image.Image) -> float:
    """Return by how many levels samples differ on average."""
    pairs = zip(one.convert("RGBA").tobytes(), other.convert("RGBA").tobytes(), strict=True)
    return sum(abs(a - b) for a, b in pairs) / (4 * one.width * one.height)


def reference(image: Image.Image) -> Image.Image:
    """Return an image as the kit resizes it."""
    return image.resize((80, round(80 * image.height / image.width)), Image.Resampling.LANCZOS)


@pytest.mark.parametrize("options", [["-d", "1"], ["-d", "0"], ["-d", "1", "--container=1"], ["-d", "1", "-p"]])
def test_file_of_the_reference_encoder_is_read_as_its_decoder_reads_it(options: list[str], tmp_path: Path) -> None:
    """Bare codestreams, containers, lossy and lossless."""
    data = cjxl(tmp_path, drawing.encoded(PHOTO, "PNG"), *options)
    assert difference(made(tmp_path, data), reference(djxl(tmp_path, data))) < 1


def test_jpeg_without_loss_is_read(tmp_path: Path) -> None:
    """A JPEG that was packed losslessly has what restores it in a box of its own; pixels do without."""
    data = cjxl(tmp_path, drawing.encoded(PHOTO, "JPEG"), name="in.jpg")
    assert b"jbrd" in data
    assert difference(made(tmp_path, data), reference(djxl(tmp_path, data))) < 2


@pytest.mark.parametrize(("orientation", "isolation"), [*((each, None) for each in range(1, 9)), (6, "process")])
def test_orientation_is_that_of_the_codestream_and_counts_once(
    orientation: int, isolation: str | None, tmp_path: Path
) -> None:
    """EXIF says it too, and does not turn the image again."""
    data = cjxl(tmp_path, drawing.oriented(PHOTO, orientation, quality=95), name="in.jpg")
    header = read_header(data, name="a", limits=LIMITS)
    assert header.size() == (160, 120)
    assert difference(made(tmp_path, data, isolation=isolation), reference(PHOTO)) < 4
    assert difference(made(tmp_path, data, auto_orient=False, keep_metadata=("orientation",)), reference(PHOTO)) < 4


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("kind", ["RGB", "RGBA", "L", "LA"])
def test_each_kind_of_samples_is_read(kind: str, depth: int, tmp_path: Path) -> None:
    """Of 16-bit grey with alpha the package gives twice the bytes."""
    image = PHOTO.convert(kind)
    if kind.endswith("A"):
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    if depth == 8:
        data = jxl(image)
    else:
        names = {"RGB": "RGB", "RGBA": "RGB_ALPHA", "L": "GRAYSCALE", "LA": "GRAYSCALE_ALPHA"}
        head = f"P7\nWIDTH 160\nHEIGHT 120\nDEPTH {len(kind)}\nMAXVAL 65535\nTUPLTYPE {names[kind]}\nENDHDR\n"
        pam = head.encode() + b"".join(bytes((value, value)) for value in image.tobytes())
        data = cjxl(tmp_path, pam, "-d", "0", name="in.pam")
    assert difference(made(tmp_path, data), reference(image)) < 1


def test_premultiplied_alpha_is_undone(tmp_path: Path) -> None:
    """Such files state it; taken as they are, what is half transparent would be dark."""
    image = PHOTO.convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size).point(lambda value: max(value, 64)))
    png = drawing.encoded(image, "PNG")
    data = cjxl(tmp_path, png, "-d", "0", "--premultiply=1")
    assert difference(made(tmp_path, data, width=160), image) < 3


def test_profile_counts(tmp_path: Path) -> None:
    """Colours of a wide gamut become sRGB as they do from a PNG."""
    profile = rgb_profile("wide")
    png = drawing.encoded(PHOTO, "PNG", icc_profile=profile)
    for folder, options in (("lossy", ["-d", "0.1"]), ("lossless", ["-d", "0"])):
        (tmp_path / folder).mkdir()
        wide = made(tmp_path / folder, cjxl(tmp_path / folder, png, *options))
        (tmp_path / folder / "b").mkdir()
        assert difference(wide, made(tmp_path / folder / "b", png)) < 3
    assert difference(wide, reference(PHOTO)) > 4


def test_wide_colours_stay_where_they_are_wanted(tmp_path: Path) -> None:
    """The header says by numbers that they are Display P3, so that it is known before anything is decoded."""
    ppm = b"P6\n160 120\n255\n" + PHOTO.tobytes()
    data = cjxl(tmp_path, ppm, "-d", "0", "-x", "color_space=RGB_D65_DCI_Rel_SRG", name="in.ppm")
    wide = made(tmp_path, data, gamut="p3")
    assert wide.info["icc_profile"]
    assert difference(wide, reference(PHOTO)) < 1
    (tmp_path / "srgb").mkdir()
    assert difference(made(tmp_path / "srgb", data), reference(PHOTO)) > 1


@pytest.mark.parametrize("transfer", ["PeQ", "HLG"])
def test_hdr_looks_as_it_does_in_a_png(transfer: str, tmp_path: Path) -> None:
    """Both say by the same numbers what their samples stand for."""
    ppm = b"P6\n160 120\n255\n" + PHOTO.tobytes()
    data = cjxl(tmp_path, ppm, "-d", "0", "-x", f"color_space=RGB_D65_202_Rel_{transfer}", name="in.ppm")
    png = drawing.encoded(PHOTO, "PNG")
    stated = b"cICP" + bytes((9, 16 if transfer == "PeQ" else 18, 0, 1))
    chunk = struct.pack(">I", 4) + stated + struct.pack(">I", zlib.crc32(stated))
    (tmp_path / "png").mkdir()
    assert difference(made(tmp_path, data), made(tmp_path / "png", png[:33] + chunk + png[33:])) < 1


def test_animation_is_refused_with_one_clear_error(tmp_path: Path) -> None:
    """The decoder's package gives the last frame alone, which would be another picture."""
    data = cjxl(tmp_path, drawing.animated("PNG", drawing.frames(64, 48, 3), [100, 60, 40]), "-d", "0")
    with pytest.raises(UnreadableImage, match="it is an animated JPEG XL image; convert it to an animated WebP"):
        made(tmp_path, data)


def test_file_is_refused_where_it_is_not_named_too_large_or_cut(tmp_path: Path) -> None:
    """The error says how to have it read; caps hold before pixels are decoded."""
    data = jxl(PHOTO)
    with pytest.raises(UnreadableImage, match="name JXL in the setting readable_formats"):
        made(tmp_path, data, readable_formats=READABLE_FORMATS)
    with pytest.raises(ImageTooLarge, match="max_source_pixels"):
        made(tmp_path, data, max_source_pixels=100 * 100)
    for whole in (data, jxl(PHOTO, use_container=True)):
        for length in (12, 40, 200, len(whole) // 2, len(whole) - 1):
            with pytest.raises(UnreadableImage, match=r"truncated|lacks|no beginning"):
                made(tmp_path, whole[:length])


@pytest.mark.parametrize(
    "size", [(1, 1), (8, 8), (256, 256), (256, 255), (1600, 900), (1601, 900), (3, 9000), (300, 150)]
)
def test_size_is_read_without_decoding(size: tuple[int, int], tmp_path: Path) -> None:
    """The header states it in several ways: in blocks, as a ratio, in numbers of several lengths."""
    assert read_header(jxl(Image.new("L", size)), name="a", limits=LIMITS).size() == size


def test_bomb_is_refused_by_its_header() -> None:
    """Thirty bits a side are announced in twelve bytes."""
    side = (1 << 30) - 1
    bits = f"0{side:030b}11{0:03b}{side:030b}11"
    # The lowest bit is the first one: whether it is small, how long the number is, the number.
    number = 0 | 3 << 1 | side << 3 | 0 << 33 | 3 << 36 | side << 38 | 1 << 68
    assert len(bits) == 68
    with pytest.raises(ImageTooLarge, match="max_source_pixels"):
        read_header(b"\xff\x0a" + number.to_bytes(12, "little") + bytes(50), name="a", limits=LIMITS)
