"""Gain maps of Ultra HDR JPEGs: kept with the image's own geometry where that was asked for, and else named as lost."""

from __future__ import annotations

import io
import json
import logging
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
from core_site import Site, settled
from jinja2 import Environment
from PIL import Image, ImageChops, ImageStat
from test_gamut import profile_of, rgb_profile

import drawing
from jinja_imagekit import ImageSpec
from jinja_imagekit.exceptions import ImageTooLarge
from jinja_imagekit.images import Limits, Original, PixelRules
from jinja_imagekit.images.gain_maps import FOREIGN
from jinja_imagekit.processors import (
    Adjust,
    Crop,
    Resize,
    ResizeToFill,
    ResizeToFit,
    SharedThumbnail,
    SmartCrop,
    SmartResize,
    Thumbnail,
    Transpose,
    TrimBorderColor,
)
from jinja_imagekit.recipes import Recipe
from jinja_imagekit.sourcegroups import GlobSourceGroup

HDRGM = "http://ns.adobe.com/hdr-gain-map/1.0/"
CONTAINER = "http://ns.google.com/photos/1.0/container/"
ISO = b"urn:iso:std:iso:ts:21496:-1\0"
VALUES = {"GainMapMin": "-0.5", "GainMapMax": "2.25", "Gamma": "1.2", "HDRCapacityMin": "0", "HDRCapacityMax": "2.25"}
ISO_VALUES = struct.pack(">HHBIIIiiIii", 0, 0, 0x48, 64, 0, 144, -32, 144, 77, 1, 1)
"""One channel, in the colours of the image, of one denominator: from -½ to 2¼, a gamma of 1.2."""

ISO_OF_CHANNELS = struct.pack(">HHB4I", 0, 0, 0xC0, 0, 1, 9, 4)
ISO_OF_CHANNELS += struct.pack(">iIiIIIiIiI", 0, 1, 9, 4, 1, 1, 1, 64, 1, 64) * 3
"""Three channels, and a denominator for each value."""

PHOTO = drawing.photo(320, 240)


def segment(marker: int, body: bytes) -> bytes:
    """Return a segment of a JPEG."""
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def xmp_segment(description: str) -> bytes:
    """Return the segment of an XMP packet."""
    rdf = "xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'"
    packet = f"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF {rdf}>{description}</rdf:RDF></x:xmpmeta>"
    return segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet.encode())


def hdrgm(values: dict[str, str]) -> str:
    """Return what a map says in XMP; a value with spaces is one for each channel, in an array."""
    single = "".join(f" hdrgm:{name}='{value}'" for name, value in values.items() if " " not in value)
    arrays = "".join(
        f"<hdrgm:{name}><rdf:Seq><rdf:li>{value.replace(' ', '</rdf:li><rdf:li>')}</rdf:li></rdf:Seq></hdrgm:{name}>"
        for name, value in values.items()
        if " " in value
    )
    return f"<rdf:Description rdf:about='' xmlns:hdrgm='{HDRGM}' hdrgm:Version='1.0'{single}>{arrays}</rdf:Description>"


def ultra_hdr(
    image: Image.Image = PHOTO,
    gains: Image.Image | None = None,
    xmp: str = hdrgm(VALUES),
    iso: bytes = ISO_VALUES,
    size: tuple[int, int] = (160, 120),
    orientation: int = 1,
    **options: Any,
) -> bytes:
    """Return an Ultra HDR JPEG as its specification has it; its index of pictures is in little endian.

    Args:
        image: The upright image.
        gains: The map, as it lies; without one, it is the brighter the darker the image is.
        xmp: What the map says in XMP.
        iso: What it says by ISO 21496-1.
        size: Of the upright map, in pixels.
        orientation: As the file states it.
        options: For the image's encoder.
    """
    primary = drawing.oriented(image, orientation, quality=92, **options)
    if gains is None:
        upright = ImageChops.invert(image.convert("L")).resize(size)
        stored = Image.open(io.BytesIO(drawing.oriented(upright, orientation, "PNG")))
        gains = stored.convert("L")
    map = drawing.encoded(gains, "JPEG", quality=95, exif=drawing.private_exif())
    parts = (xmp_segment(xmp) if xmp else b"") + (segment(0xE2, ISO + iso) if iso else b"")
    map = map[:2] + parts + map[2:]
    items = "".join(
        f"<rdf:li rdf:parseType='Resource'><C:Item I:Mime='image/jpeg' I:Semantic='{semantic}'{more}/></rdf:li>"
        for semantic, more in (("Primary", ""), ("GainMap", f" I:Length='{len(map)}'"))
    )
    about = f"rdf:about='' xmlns:g='{HDRGM}' xmlns:C='{CONTAINER}' xmlns:I='{CONTAINER}item/' g:Version='1.0'"
    directory = f"<C:Directory><rdf:Seq>{items}</rdf:Seq></C:Directory>"
    head = xmp_segment(f"<rdf:Description {about}>{directory}</rdf:Description>") + segment(0xE2, ISO + bytes(4))
    size_of_all = len(primary) + len(head) + len(index(0, 0, 0))
    offset = size_of_all - (2 + len(head) + 8)
    return primary[:2] + head + index(size_of_all, len(map), offset) + primary[2:] + map


def index(primary: int, map: int, offset: int) -> bytes:
    """Return the segment that says where the pictures are (CIPA DC-007)."""
    tags = struct.pack("<HHI4s", 0xB000, 7, 4, b"0100") + struct.pack("<HHII", 0xB001, 4, 1, 2)
    tags += struct.pack("<HHII", 0xB002, 7, 32, 50) + bytes(4)
    entries = struct.pack("<IIIHH", 0x20030000, primary, 0, 0, 0) + struct.pack("<IIIHH", 0, map, offset, 0, 0)
    return segment(0xE2, b"MPF\0II*\0" + struct.pack("<IH", 8, 3) + tags + entries)


def recipe(*processors: Any, format: str = "JPEG", options: Any = None, **rules: Any) -> Recipe:
    """Return a recipe that keeps gain maps."""
    return Recipe("x.jpg", processors, format, options or {}, rules=PixelRules(**{"hdr": True, **rules}))


def made(data: bytes, *processors: Any, **rules: Any) -> bytes:
    """Return a result that may keep its gain map."""
    return recipe(*processors, **rules).make(Original(data, name="x.jpg", limits=Limits()))


def parts_of(data: bytes) -> tuple[Image.Image, Image.Image]:
    """Return the image of a file and its gain map, found by the index of pictures alone."""
    place = data.index(b"MPF\0") + 4
    (primary, _, _, _, _), (_, length, offset, _, _) = struct.iter_unpack(">IIIHH", data[place + 50 : place + 82])
    size = struct.unpack_from(">I", data, place + 54)[0]
    assert primary == 0x030000
    assert size == place + offset
    assert size + length == len(data)
    assert data[size - 2 : size] == b"\xff\xd9"
    with Image.open(io.BytesIO(data[:size])) as image, Image.open(io.BytesIO(data[size:])) as map:
        return image.convert("RGB"), map.convert("L")


GEOMETRIES: list[tuple[Any, ...]] = [
    (),
    (Thumbnail(160),),
    (Thumbnail(100, 100),),
    (Thumbnail(100, 100, anchor="entropy"),),
    (Thumbnail(100, 40, anchor="tl"),),
    (SharedThumbnail(60, 60, largest=(120, 120)),),
    (SharedThumbnail(60, 60, anchor="entropy", largest=(120, 120)),),
    (Resize(90, 150),),
    (SmartResize(80, 100), Transpose(Transpose.ROTATE_90)),
    (ResizeToFit(200, 200), Crop(90, 90, x=-20, y=-10), Transpose(Transpose.FLIP_HORIZONTAL)),
    (SmartCrop(140, 90), ResizeToFill(70, 70, anchor=(0.2, 0.9))),
    (TrimBorderColor(), Resize(100, 100)),
]


@pytest.mark.parametrize("processors", GEOMETRIES, ids=lambda each: "+".join(type(one).__name__ for one in each))
@pytest.mark.parametrize("orientation", [1, 6])
def test_the_map_goes_through_what_the_image_goes_through(processors: tuple[Any, ...], orientation: int) -> None:
    """A map that is bright where its image is dark still is, cropped and turned as it is, at half its size."""
    image, map = parts_of(made(ultra_hdr(orientation=orientation), *processors))
    assert map.size == (max(1, round(image.width / 2)), max(1, round(image.height / 2)))
    dark = ImageChops.invert(image.convert("L")).resize(map.size)
    assert ImageStat.Stat(ImageChops.difference(dark, map)).mean[0] < 5
    shifted = ImageChops.difference(ImageChops.offset(dark, 4, 4), map).crop((4, 4, *map.size))
    assert ImageStat.Stat(shifted).mean[0] > ImageStat.Stat(ImageChops.difference(dark, map)).mean[0]


@pytest.mark.parametrize("processor", [ResizeToFit(20, 20), Thumbnail(20, 20), Thumbnail(20, 20, anchor="entropy")])
def test_the_image_is_what_it_is_without_its_map(processor: Any) -> None:
    """Old programs see the same pixels, of the same reduced decode."""
    with_map, _ = parts_of(made(ultra_hdr(), processor))
    with Image.open(io.BytesIO(made(ultra_hdr(), processor, hdr=False))) as without:
        assert with_map.tobytes() == without.convert("RGB").tobytes()


@pytest.mark.parametrize(
    ("xmp", "iso"),
    [
        (hdrgm(VALUES), ISO_VALUES),
        (hdrgm({**VALUES, "GainMapMax": "2.25 2 1.75", "OffsetSDR": "0.015625"}), b""),
        (
            "",
            struct.pack(">HHB4I", 0, 0, 0xC0, 0, 1, 9, 4)
            + struct.pack(">iIiIIIiIiI", 0, 1, 9, 4, 1, 1, 1, 64, 1, 64) * 3,
        ),
    ],
    ids=["both", "xmp", "iso"],
)
def test_exiftool_finds_the_map_and_its_values(xmp: str, iso: bytes, exiftool: str, tmp_path: Path) -> None:
    """Each form that the source has is in the result, with the same values and nothing private."""
    source, result = tmp_path / "source.jpg", tmp_path / "result.jpg"
    source.write_bytes(ultra_hdr(xmp=xmp, iso=iso and iso + b"private"))
    result.write_bytes(made(source.read_bytes(), Thumbnail(100, 60)))
    said = []
    for path in (source, result):
        map = subprocess.run([exiftool, "-b", "-MPImage2", str(path)], check=True, capture_output=True).stdout
        (tmp_path / "map.jpg").write_bytes(map)
        command = [exiftool, "-j", "-G1", "-struct", "-XMP:all", "-EXIF:all", str(tmp_path / "map.jpg")]
        values = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)[0]
        said.append({name: value for name, value in values.items() if "hdrgm" in name})
        assert (ISO in map) is bool(iso)
        assert iso in map
        assert (b"Ann Author" in map) is (path == source)
        assert (b"private" in map) is (path == source and bool(iso))
    said[1].pop("XMP-hdrgm:BaseRenditionIsHDR", None)
    assert said[0] == said[1]
    command = [exiftool, "-j", "-G1", "-struct", "-XMP-Container:all", "-XMP-hdrgm:all", str(result)]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)[0]
    if xmp:
        [_, item] = [each["Item"] for each in told["XMP-Container:Directory"]]
        assert item == {"Semantic": "GainMap", "Mime": "image/jpeg", "Length": len(map)}
    else:
        assert "XMP-Container:Directory" not in told


def test_metadata_and_wide_colours_are_kept_beside_it() -> None:
    """The notice stands in the same XMP packet; Display P3 keeps its profile."""
    rights = (
        "<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>"
        "<rdf:Description rdf:about='' xmlns:Iptc4xmpExt='http://iptc.org/std/Iptc4xmpExt/2008-02-29/'>"
        "<Iptc4xmpExt:DigitalSourceType>http://cv.iptc.org/newscodes/digitalsourcetype/compositeSynthetic"
        "</Iptc4xmpExt:DigitalSourceType></rdf:Description></rdf:RDF></x:xmpmeta>"
    )
    data = drawing.encoded(PHOTO, "JPEG", icc_profile=rgb_profile("p3"), xmp=rights.encode())
    with_map = ultra_hdr(icc_profile=rgb_profile("p3"))
    packet = data[data.index(b"http://ns.adobe.com/xap") - 4 :]
    packet = packet[: 2 + int.from_bytes(packet[2:4], "big")]
    # The first packet counts, and offsets in the index begin behind it.
    shifted = with_map[:2] + packet + with_map[2:]
    result = made(shifted, Thumbnail(100), gamut="p3")
    assert b"compositeSynthetic" in result
    assert b'Item:Semantic="GainMap"' in result
    assert result.count(b"http://ns.adobe.com/xap/1.0/\0") == 2
    assert profile_of(result)
    parts_of(result)


def test_a_limit_on_bytes_is_one_on_both() -> None:
    """The quality of the image is lowered until it fits with its map; where the map alone is too large, it fails."""
    data = ultra_hdr()
    usual = made(data, Thumbnail(200))
    limited = made(data, Thumbnail(200), max_bytes=len(usual) - 1500)
    assert len(limited) <= len(usual) - 1500
    parts_of(limited)
    with pytest.raises(ImageTooLarge):
        made(data, Thumbnail(200), max_bytes=1000)


NO_MAPS = {
    "Apple's own": ultra_hdr(
        xmp="<rdf:Description rdf:about='' xmlns:a='http://ns.apple.com/pixeldatainfo/1.0/'"
        " a:AuxiliaryImageType='urn:com:apple:photo:2020:aux:hdrgainmap'/>",
        iso=b"",
    ),
    "HDR as its base": ultra_hdr(xmp=hdrgm({**VALUES, "BaseRenditionIsHDR": "True"}), iso=b"\0\0\0\0\x04" + bytes(80)),
    "a later version": ultra_hdr(xmp="", iso=b"\0\1" + ISO_VALUES[2:]),
    "cut values": ultra_hdr(xmp=hdrgm({"GainMapMax": "2"}), iso=ISO_VALUES[:-1]),
    "no numbers": ultra_hdr(xmp=hdrgm({**VALUES, "GainMapMax": "many"}), iso=b""),
    "another picture": ultra_hdr(xmp="", iso=b""),
}


@pytest.mark.parametrize("name", NO_MAPS)
def test_what_is_no_map_of_a_known_kind_is_not_kept(name: str) -> None:
    """The result is the one without `hdr`; Apple's own kind is named as lost."""
    original = Original(NO_MAPS[name], name="x.jpg", limits=Limits())
    assert original.gain_map == (FOREIGN if name == "Apple's own" else None)
    assert made(NO_MAPS[name], Thumbnail(100)) == made(NO_MAPS[name], Thumbnail(100), hdr=False)
    assert recipe().losses(original) == (("its gain map for HDR",) if name == "Apple's own" else ())


def heic() -> bytes:
    """Return a HEIC whose brands name a tone-mapped image."""
    pillow_heif = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    pillow_heif.from_pillow(PHOTO).save(buffer)
    data = buffer.getvalue()
    return data.replace(data[16:20], b"tmap", 2)


def jxl() -> bytes:
    """Return a JPEG XL with a box for its gain map."""
    pytest.importorskip("pillow_jxl")
    buffer = io.BytesIO()
    PHOTO.save(buffer, "JXL")
    boxes = ((b"JXL ", b"\r\n\x87\n"), (b"ftyp", b"jxl \0\0\0\0jxl "), (b"jhgm", b"\0"), (b"jxlc", buffer.getvalue()))
    return b"".join(struct.pack(">I4s", 8 + len(body), name) + body for name, body in boxes)


@pytest.mark.parametrize("make", [heic, jxl])
def test_maps_of_other_formats_are_named_as_lost(make: Any) -> None:
    """They say that they have one; no result keeps it."""
    limits = Limits(readable_formats=("HEIF", "JXL"))
    original = Original(make(), name="x", limits=limits)
    assert recipe(Thumbnail(100)).losses(original) == ("its gain map for HDR",)
    with Image.open(io.BytesIO(recipe(Thumbnail(100)).make(original))) as image:
        assert image.size == (100, 75)


@pytest.mark.parametrize("at", range(0, 78, 7))
def test_a_damaged_index_is_no_error(at: int) -> None:
    """Whatever stands in the index, the image is made."""
    data = bytearray(ultra_hdr())
    place = data.index(b"MPF\0") + 4 + at
    data[place : place + 4] = b"\xff\xff\xff\xff"
    with Image.open(io.BytesIO(made(bytes(data), Thumbnail(80)))) as image:
        assert image.size == (80, 60)


def test_a_damaged_map_is_left_out_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """The image itself is whole."""
    data = ultra_hdr()
    with caplog.at_level(logging.WARNING, "jinja_imagekit"):
        result = made(data[:-2000] + b"\xff\xd9" + bytes(1998), Thumbnail(80))
    assert b"MPF\0" not in result
    assert "The gain map of 'x.jpg' is damaged" in caplog.text


class Card(ImageSpec):
    """A JPEG that keeps its map."""

    processors = (ResizeToFill(80, 60),)
    format = "JPEG"
    hdr = True


class Plain(Card):
    """A JPEG that does not."""

    hdr = False


class Toned(Card):
    """A JPEG that cannot, since its tones are others."""

    processors = (ResizeToFill(80, 60), Adjust(contrast=1.2))


class Webp(Card):
    """A format that cannot."""

    format = "WEBP"


@pytest.mark.parametrize(("spec", "keeps"), [(Card, True), (Plain, False), (Toned, False), (Webp, False)])
def test_the_report_names_images_that_lost_their_map(tmp_path: Path, spec: type[ImageSpec], keeps: bool) -> None:
    """It is dropped knowingly: without `hdr`, in other formats, and where a processor changes tones."""
    site = Site(tmp_path)
    settled(site.images / "sunset.jpg", ultra_hdr())
    site.kit.register.generator("a:card", spec)
    site.kit.register.source_group("a:card", GlobSourceGroup("*.jpg"))
    report = site.kit.generate("a:card")
    assert len(report.generated) == 1
    lost = "Images made of sunset.jpg lack its gain map for HDR."
    assert (lost in report.warnings) is not keeps
    [data] = site.files().values()
    assert (b"MPF\0" in data) is keeps


def test_templates_keep_maps_and_find_their_files_again(tmp_path: Path) -> None:
    """The keyword and the setting say the same, and a file is known by its name where the state was lost."""
    site = Site(tmp_path)
    settled(site.images / "sunset.jpg", ultra_hdr())
    text = "{{% picture '80x' 'sunset.jpg' formats='JPEG' {} -- alt='' %}}"

    def render(kit: Any, keyword: str) -> str:
        environment = kit.install(Environment(autoescape=True))
        return str(environment.from_string(text.format(keyword)).render())

    html = render(site.kit, "hdr=true")
    assert render(site.new_kit(hdr=True), "") == html
    files = site.files()
    assert all(b"MPF\0" in data for data in files.values())
    shutil.rmtree(site.state)
    assert render(site.new_kit(), "hdr=true") == html
    assert site.files() == files
    assert render(site.new_kit(), "") != html


def test_a_result_with_a_map_is_a_jpeg_by_its_name_and_format(tmp_path: Path) -> None:
    """Pillow calls it an MPO, which no browser and no spec knows."""
    site = Site(tmp_path)
    settled(site.images / "sunset.jpg", ultra_hdr())
    kit = site.new_kit(hdr=True)
    file = kit.cachefile("imagekit:thumbnail", source="sunset.jpg", width=80)
    assert (file.format, file.mimetype) == ("JPEG", "image/jpeg")
    new = kit.process(ultra_hdr(), processors=[ResizeToFit(80, 80)])
    assert b"MPF\0" in new.read()
    assert (new.format, new.mimetype, new.name.rpartition(".")[2]) == ("JPEG", "image/jpeg", "jpg")
