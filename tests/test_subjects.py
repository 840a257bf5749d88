"""Where a file itself says that its subject is: what exiftool wrote into it is what crops keep."""

from __future__ import annotations

import io
import shutil
import subprocess
import zlib
from pathlib import Path
from typing import Any

import pytest
from core_site import Site, settled
from jinja2 import Environment
from PIL import Image

import drawing
from jinja_imagekit import ImageKit
from jinja_imagekit.exceptions import InvalidSetting
from jinja_imagekit.images import Limits, read_header
from jinja_imagekit.images.xmp import JPEG_PREFIX, read_xmp

EXIFTOOL = shutil.which("exiftool")
needs_exiftool = pytest.mark.skipif(EXIFTOOL is None, reason="exiftool is not installed")

SIZE = (400, 300)
ROLE = "http://cv.iptc.org/newscodes/imageregionrole/"


def boundary(**values: object) -> str:
    """Return an IPTC region boundary as exiftool takes it."""
    return "{" + ",".join(f"Rb{name}={value}" for name, value in values.items()) + "}"


def region(role: str, boundary: str) -> str:
    """Return an IPTC region as exiftool takes it."""
    return f"{{RegionBoundary={boundary},RRole=[{{Identifier=[{ROLE}{role}],Name={role}}}]}}"


def face(x: float, y: float, type: str = "Face") -> str:
    """Return a region of the Metadata Working Group of a tenth of the image."""
    return f"{{Area={{X={x},Y={y},W=0.1,H=0.1,Unit=normalized}},Type={type}}}"


def faces(*regions: str, width: int = 400, height: int = 300) -> str:
    """Return regions of the Metadata Working Group as exiftool takes them."""
    size = f"{{W={width},H={height},Unit=pixel}}"
    return f"-RegionInfo={{AppliedToDimensions={size},RegionList=[{','.join(regions)}]}}"


RECTANGLE = boundary(Shape="rectangle", Unit="relative", X=0.1, Y=0.2, W=0.3, H=0.4)
CIRCLE = boundary(Shape="circle", Unit="pixel", X=100, Y=150, Rx=40)
POLYGON = "{RbShape=polygon,RbUnit=pixel,RbVertices=[{RbX=40,RbY=30},{RbX=80,RbY=60},{RbX=60,RbY=90}]}"


def write(path: Path, *arguments: str) -> Path:
    """Write metadata into a file with exiftool."""
    assert EXIFTOOL
    subprocess.run([EXIFTOOL, "-q", "-overwrite_original", *arguments, str(path)], check=True, timeout=60)
    return settled(path, path.read_bytes())


def subject(data: bytes, name: str = "photo") -> Any:
    """Return where the file says that its subject is, in the upright image."""
    return read_header(data, name=name, limits=Limits()).subject_as_shown()


@needs_exiftool
@pytest.mark.parametrize(
    ("arguments", "box"),
    [
        (["-SubjectArea=100 60"], (0.24, 0.19, 0.26, 0.21)),
        (["-SubjectArea=100 60 80"], (0.15, 0.0667, 0.35, 0.3333)),
        (["-SubjectArea=100 60 40 30"], (0.2, 0.15, 0.3, 0.25)),
        # Of the photo before it was made smaller, which is the usual case.
        (["-SubjectArea=1000 600 400 300", "-ExifImageWidth=4000", "-ExifImageHeight=3000"], (0.2, 0.15, 0.3, 0.25)),
        # Of the photo before it was cropped: nobody knows where that is now.
        (["-SubjectArea=1000 600 400 300", "-ExifImageWidth=4000", "-ExifImageHeight=2000"], None),
        # What cameras write when they focus on nothing in particular.
        (["-SubjectArea=201 151 220 130"], None),
        (["-SubjectArea=900 60 40 30"], None),
        ([faces(face(0.25, 0.3))], (0.2, 0.25, 0.3, 0.35)),
        ([faces(face(0.25, 0.3), face(0.75, 0.5), face(0.5, 0.9, "BarCode"))], (0.2, 0.25, 0.8, 0.55)),
        ([faces(face(0.25, 0.3), width=4000, height=3000)], (0.2, 0.25, 0.3, 0.35)),
        ([faces(face(0.25, 0.3), width=300, height=300)], None),
        (["-ImageRegion=[" + region("mainSubjectArea", RECTANGLE) + "]"], (0.1, 0.2, 0.4, 0.6)),
        (["-ImageRegion=[" + region("areaOfInterest", CIRCLE) + "]"], (0.15, 0.3667, 0.35, 0.6333)),
        (["-ImageRegion=[" + region("recomCropping", POLYGON) + "]"], (0.1, 0.1, 0.2, 0.3)),
        (["-ImageRegion=[" + region("copyrightRegion", RECTANGLE) + "]"], None),
        (
            ["-ImageRegion=[" + region("cropping", POLYGON) + "," + region("subjectArea", RECTANGLE) + "]"],
            (0.1, 0.2, 0.4, 0.6),
        ),
        (
            ["-ImageRegion=[" + region("subjectArea", RECTANGLE) + "]", faces(face(0.9, 0.9)), "-SubjectArea=20 20"],
            (0.1, 0.2, 0.4, 0.6),
        ),
        ([faces(face(0.25, 0.3)), "-SubjectArea=20 20"], (0.2, 0.25, 0.3, 0.35)),
    ],
)
def test_what_exiftool_wrote_is_the_subject(tmp_path: Path, arguments: list[str], box: Any) -> None:
    """Editors' regions go before faces, faces before the camera's focus; what was measured elsewhere counts nothing."""
    path = settled(tmp_path / "photo.jpg", drawing.jpeg(*SIZE))
    assert subject(write(path, *arguments).read_bytes()) == box


@needs_exiftool
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_the_subject_is_found_in_every_format(tmp_path: Path, format: str) -> None:
    """Each format keeps its XMP in a place of its own; a long one may be compressed."""
    path = settled(tmp_path / f"photo.{format.lower()}", drawing.encoded(drawing.photo(*SIZE), format))
    write(path, faces(face(0.25, 0.3)), *(["-z"] if format == "PNG" else []))
    assert subject(path.read_bytes()) == (0.2, 0.25, 0.3, 0.35)


@needs_exiftool
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_subject_turns_with_the_image(tmp_path: Path, orientation: int) -> None:
    """Metadata is of the image as it is stored; a mark in the pixels and its box come upright together."""
    upright = Image.new("RGB", SIZE, "white")
    upright.paste("red", (40, 30, 120, 60))
    path = settled(tmp_path / "photo.jpg", drawing.oriented(upright, orientation))
    with Image.open(path) as stored:
        dark = stored.convert("RGB").getchannel("G").point(lambda level: 255 if level < 128 else 0).getbbox()
        width, height = stored.size
    assert dark
    left, top, right, bottom = dark
    area = f"{(left + right) // 2} {(top + bottom) // 2} {right - left} {bottom - top}"
    box = subject(write(path, f"-SubjectArea={area}", "-n").read_bytes())
    assert width * height == SIZE[0] * SIZE[1]
    assert box == pytest.approx((0.1, 0.1, 0.3, 0.2), abs=0.01)


@needs_exiftool
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["HEIF", "JXL"])
def test_the_subject_turns_with_an_image_that_its_decoder_turns(tmp_path: Path, format: str, orientation: int) -> None:
    """A phone's HEIC photo says where its subject is in pixels of the sensor; so does what was a JPEG."""
    stored = tmp_path / "photo.jpg"
    upright = Image.new("RGB", SIZE, "white")
    upright.paste("red", (40, 30, 120, 60))
    settled(stored, drawing.oriented(upright, orientation))
    with Image.open(stored) as image:
        dark = image.convert("RGB").getchannel("G").point(lambda level: 255 if level < 128 else 0).getbbox()
    assert dark
    left, top, right, bottom = dark
    write(stored, f"-SubjectArea={(left + right) // 2} {(top + bottom) // 2} {right - left} {bottom - top}", "-n")
    if format == "HEIF":
        file = io.BytesIO()
        with Image.open(stored) as image:
            exif, bare = image.info["exif"], Image.frombytes("RGB", image.size, image.convert("RGB").tobytes())
        pytest.importorskip("pillow_heif").from_pillow(bare).save(file, exif=exif)
        data = file.getvalue()
    else:
        pytest.importorskip("pillow_jxl")
        path = tmp_path / "photo.jxl"
        subprocess.run(["cjxl", str(stored), str(path)], check=True, capture_output=True)
        data = path.read_bytes()
    header = read_header(data, name="", limits=Limits(readable_formats=(format,)))
    assert header.size() == SIZE
    assert header.subject_as_shown() == pytest.approx((0.1, 0.1, 0.3, 0.2), abs=0.01)


@needs_exiftool
def test_crops_keep_what_the_file_says(tmp_path: Path) -> None:
    """Pictures and thumbnails keep it unless somebody says otherwise; it is remembered with the file's other facts."""
    site = Site(tmp_path)
    write(settled(site.images / "photo.jpg", drawing.jpeg(*SIZE)), faces(face(0.9, 0.9)))
    expected = site.kit.picture("50x20", "photo.jpg", alt="", focus=(0.85, 0.85, 0.95, 0.95)).url
    for kit in (site.kit, site.new_kit()):
        assert kit.picture("50x20", "photo.jpg", alt="").url == expected
        page = kit.install(Environment(autoescape=True)).from_string(
            "{% thumbnail '50x20' 'photo.jpg' as t %}{{ t.url }}"
        )
        file = kit.cachefile("imagekit:thumbnail", source="photo.jpg", width=50, height=20, anchor=(0.5, 1.0))
        # What is known of one that keeps the middle is no answer.
        keywords = {"source": "photo.jpg", "width": 50, "height": 20}
        middle = kit.cachefile("imagekit:thumbnail", **keywords)
        assert middle.url != file.url
        assert kit.known_files.remember(middle, keywords)
        assert page.render() == file.url
    settled(site.images / "photo.jpg.toml", b'focus = "10% 10%"')
    assert site.new_kit().picture("50x20", "photo.jpg", alt="").url != expected
    assert site.new_kit().picture("50x20", "photo.jpg", alt="", focus="auto").url != expected


RDF = b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
MWG = b'xmlns:m="http://www.metadataworkinggroup.com/schemas/regions/" xmlns:a="http://ns.adobe.com/xmp/sType/Area#"'
SHORT = (
    b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>" + RDF + b"<rdf:Description " + MWG + b"><m:Regions><rdf:Description>"
    b"<m:RegionList><rdf:Seq><rdf:li><rdf:Description m:Type='Face'><m:Area a:x='0.25' a:y='0.3' a:w='0.1' a:h='0.1'/>"
    b"</rdf:Description></rdf:li></rdf:Seq></m:RegionList></rdf:Description></m:Regions></rdf:Description></rdf:RDF>"
    b"</x:xmpmeta>"
)


def with_xmp(packet: bytes) -> bytes:
    """Return a JPEG with an XMP packet."""
    segment = JPEG_PREFIX + packet
    plain = drawing.jpeg(*SIZE)
    return plain[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + plain[2:]


def test_the_other_ways_to_write_a_structure_are_read() -> None:
    """RDF allows attributes for properties, and a description for a structure; programs use all of them."""
    assert subject(with_xmp(SHORT)) == (0.2, 0.25, 0.3, 0.35)
    assert subject(with_xmp(b"<?xpacket begin='\xef\xbb\xbf'?>" + SHORT + b" " * 2_000 + b"<?xpacket end='w'?>\0\0"))


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"no XML: metadataworkinggroup.com/schemas/regions/",
        SHORT[:-30],
        SHORT.replace(b"0.25", b"a quarter"),
        SHORT.replace(b"0.25", b"nan"),
        SHORT.replace(b"0.25", b"1e999"),
        SHORT.replace(b"0.25", b"7"),
        SHORT.replace(b"<rdf:Seq>", b"").replace(b"</rdf:Seq>", b""),
        SHORT.replace(b"rdf:RDF", b"rdf:Other"),
        b"<!DOCTYPE x [<!ENTITY e '0.25'>]>" + SHORT.replace(b"0.25", b"&e;"),
        SHORT.replace(b"<m:Area", b"<m:Area>" * 900 + b"</m:Area>" * 900 + b"<m:Area"),
        b"<a>" * 20_000,
    ],
)
def test_what_cannot_be_read_says_nothing(packet: bytes) -> None:
    """Metadata never keeps an image from being read: damaged, senseless or hostile, it is as if there were none."""
    assert subject(with_xmp(packet[:60_000])) is None


@pytest.mark.parametrize(
    "packet",
    [
        RDF + b"<rdf:Description x='1'/>" * 20_001 + b"</rdf:RDF>",
        RDF + b"<rdf:Description><a>" + b"<b>" * 60 + b"</b>" * 60 + b"</a></rdf:Description></rdf:RDF>",
        RDF + b"<rdf:Description x='1'/></rdf:RDF>" + b" " * 1_000_000,
    ],
)
def test_a_packet_has_bounds(packet: bytes) -> None:
    """Its size, elements and depth are limited, so that a hostile one costs little time and memory."""
    assert read_xmp(packet) == {}
    assert read_xmp(RDF + b"<rdf:Description x='1'/></rdf:RDF>" + b" " * 900_000) == {"x": "1"}


def test_a_compressed_packet_has_a_bound() -> None:
    """A PNG whose metadata would become gigabytes is read without it."""
    bomb = zlib.compress(b" " * 50_000_000)
    chunk = b"XML:com.adobe.xmp\0\1\0\0\0" + bomb
    plain = drawing.encoded(drawing.photo(*SIZE), "PNG")
    crc = zlib.crc32(b"iTXt" + chunk).to_bytes(4, "big")
    data = plain[:33] + len(chunk).to_bytes(4, "big") + b"iTXt" + chunk + crc + plain[33:]
    assert subject(data) is None


# --- the setting focus_detector ---


class Finder:
    """A detector that finds what is red, and counts how often it was asked."""

    def __init__(self) -> None:
        self.sizes: list[tuple[int, int]] = []

    def __call__(self, image: Image.Image) -> list[tuple[int, ...]]:
        """Return the box of what is red."""
        assert image.mode == "RGB"
        self.sizes.append(image.size)
        box = image.getchannel("G").point(lambda level: 255 if level < 128 else 0).getbbox()
        return [box] if box else []


def marked(box: tuple[int, int, int, int] | None, size: tuple[int, int] = (2000, 1500)) -> bytes:
    """Return a white JPEG with a red box."""
    image = Image.new("RGB", size, "white")
    if box:
        image.paste("red", box)
    return drawing.encoded(image, "JPEG")


def anchor_of(kit: ImageKit, url: str, *anchors: Any) -> Any:
    """Return which of several anchors a thumbnail of photo.jpg has."""
    for anchor in anchors:
        file = kit.cachefile("imagekit:thumbnail", source="photo.jpg", width=50, height=20, anchor=anchor)
        if file.url == url:
            return anchor
    return None


TAG = "{% thumbnail '50x20' 'photo.jpg' as t %}{{ t.url }}"


def test_a_detector_is_asked_once_for_an_image(tmp_path: Path) -> None:
    """It sees a small upright image once; the box around all that it finds is kept, in this process and the next."""
    site, finder = Site(tmp_path), Finder()
    settled(site.images / "photo.jpg", marked((1000, 1200, 1400, 1500)))
    for _ in range(2):
        kit = site.new_kit(focus_detector=finder)
        page = kit.install(Environment(autoescape=True)).from_string(TAG)
        assert anchor_of(kit, page.render(), None, (0.5, 1.0)) == (0.5, 1.0)
        kit.picture("50x20", "photo.jpg", alt="")
    (size,) = finder.sizes
    assert max(size) == 640
    settled(site.images / "photo.jpg", marked((0, 0, 400, 300)))
    assert anchor_of(kit, page.render(), (0.5, 1.0), (0.5, 0.0)) == (0.5, 0.0)
    assert len(finder.sizes) == 2


def test_a_detector_that_finds_nothing_is_asked_once_too(tmp_path: Path) -> None:
    """Its image is cropped as without a detector; whoever says a focus asks no detector."""
    site, finder = Site(tmp_path), Finder()
    settled(site.images / "photo.jpg", marked(None))
    for _ in range(2):
        kit = site.new_kit(focus_detector=finder)
        page = kit.install(Environment(autoescape=True)).from_string(TAG)
        assert anchor_of(kit, page.render(), None) is None
        assert page.render() == site.kit.cachefile("imagekit:thumbnail", source="photo.jpg", width=50, height=20).url
    assert len(finder.sizes) == 1
    settled(site.images / "other.jpg", marked((0, 0, 10, 10)))
    for focus in ("auto", "10% 10%", (0.1, 0.1)):
        kit.picture("50x20", "other.jpg", alt="", focus=focus)
    assert len(finder.sizes) == 1


@needs_exiftool
def test_the_files_own_word_goes_before_a_detector(tmp_path: Path) -> None:
    """Who knows where the subject is need not look for it."""
    site, finder = Site(tmp_path), Finder()
    write(settled(site.images / "photo.jpg", marked((1000, 1200, 1400, 1500), SIZE)), faces(face(0.1, 0.1)))
    site.new_kit(focus_detector=finder).picture("50x20", "photo.jpg", alt="")
    assert finder.sizes == []


def test_a_detector_by_its_dotted_path(tmp_path: Path) -> None:
    """The setting takes a path, as others do; one that leads nowhere is an error."""
    site = Site(tmp_path)
    settled(site.images / "photo.jpg", marked((1000, 1200, 1400, 1500)))
    kit = site.new_kit(focus_detector="test_subjects.bottom_right")
    page = kit.install(Environment(autoescape=True)).from_string(TAG)
    assert anchor_of(kit, page.render(), (0.5, 1.0)) == (0.5, 1.0)
    with pytest.raises(InvalidSetting, match="focus_detector"):
        site.new_kit(focus_detector="test_subjects.nobody").picture("50x20", "photo.jpg", alt="").url  # noqa: B018


def bottom_right(image: Image.Image) -> list[tuple[float, float, float, float]]:
    """Find the corner, whatever the image."""
    return [(image.width - 10, image.height - 10, image.width + 10, image.height + 10)]
