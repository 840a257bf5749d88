"""Results keep of metadata what is named, in XMP and EXIF, and exiftool finds nothing else in them."""

from __future__ import annotations

import io
import json
import re
import struct
import subprocess
import zlib
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment
from PIL import Image

import documents
import drawing
from jinja_imagekit import ImageKit, ImageSpec
from jinja_imagekit.images import Limits, Original, PixelRules, encode
from jinja_imagekit.processors import ResizeToFit
from jinja_imagekit.settings import PLUGIN_FORMATS, READABLE_FORMATS
from jinja_imagekit.sourcegroups import GlobSourceGroup

pillow_heif = pytest.importorskip("pillow_heif")
pytest.importorskip("pillow_jxl")
pytest.importorskip("pypdfium2")

AI = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
KEPT = ("copyright", "credit", "licence", "ai")
STATED = {
    "XMP-dc:Creator": "Ada Lovelace",
    "XMP-dc:Rights": "© 2024 Ada & <Co>",
    "XMP-photoshop:Credit": "Agency",
    "XMP-xmpRights:WebStatement": "https://example.org/licence",
    "XMP-xmpRights:UsageTerms": "Ask first",
    "XMP-plus:LicensorURL": "https://example.org/buy",
    "XMP-iptcExt:DigitalSourceType": AI,
}
PRIVATE = {
    "XMP-exif:GPSLatitude": "52.5",
    "XMP-aux:SerialNumber": "SECRET-1",
    "XMP-aux:LensSerialNumber": "SECRET-2",
    "XMP-xmpMM:HistoryAction": "SECRET-3",
    "XMP-xmpMM:DocumentID": "SECRET-4",
    "XMP-photoshop:Instructions": "SECRET-5",
    "XMP-photoshop:City": "SECRET-6",
}
ALL_FORMATS = Limits(readable_formats=(*READABLE_FORMATS, *PLUGIN_FORMATS, "JPEG2000", "PSD"))
NAMES = {"JPEG": "a.jpg", "PNG": "a.png", "WEBP": "a.webp", "AVIF": "a.avif", "TIFF": "a.tif", "GIF": "a.gif"}
NAMES["HEIF"] = "a.heic"
STRUCTURE = ("ExifTool", "System", "File", "JFIF", "PNG", "RIFF", "QuickTime", "Meta", "Composite", "GIF")
"""Groups of what is no metadata but the file's own form."""


def all_stated_by(exiftool: str, *paths: Path) -> list[dict[str, Any]]:
    """Return all that exiftool finds in files, unknown and embedded things too, by group and name."""
    command = [exiftool, "-j", "-G1", "-a", "-u", "-U", "-ee3", "-struct", *map(str, paths)]
    files = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return [
        {name: value for name, value in file.items() if ":" in name and name.split(":")[0] not in STRUCTURE}
        for file in files
    ]


def stated_by(exiftool: str, path: Path) -> dict[str, Any]:
    """Return all that exiftool finds in a file."""
    return all_stated_by(exiftool, path)[0]


def labelled(exiftool: str, path: Path, format: str, tags: Mapping[str, str]) -> bytes:
    """Draw a photo with EXIF of a camera, a place and a thumbnail, and have exiftool write further metadata."""
    path.write_bytes(drawing.encoded(drawing.photo(160, 120), format, exif=drawing.private_exif()))
    command = [exiftool, "-q", "-overwrite_original", *(f"-{tag}={value}" for tag, value in tags.items()), str(path)]
    subprocess.run(command, check=True)
    return path.read_bytes()


def encoded_with(format: str, exif: bytes, xmp: bytes) -> bytes:
    """Draw a photo in a format that Pillow or an extra's package writes, with metadata."""
    image, file, block = drawing.photo(160, 120), io.BytesIO(), exif.removeprefix(b"Exif\0\0")
    match format:
        case "HEIF":
            pillow_heif.from_pillow(image).save(file, exif=exif or None, xmp=xmp)
        case "JXL" | "packed JXL":
            image.save(file, "JXL", exif=exif, xmp=xmp, compress_metadata=format == "packed JXL")
        case "JPEG2000":
            image.save(file, format, no_jp2=False)
            for name, body in ((b"JpgTiffExif->JP2", block), (bytes.fromhex("be7acfcb97a942e89c71999491e3afac"), xmp)):
                file.write(struct.pack(">I4s", 24 + len(body), b"uuid") + name + body)
        case "PSD":
            resources = b"".join(
                struct.pack(">4sHHI", b"8BIM", number, 0, len(body)) + body + bytes(len(body) % 2)
                for number, body in ((0x0422, block), (0x0424, xmp))
            )
            file.write(struct.pack(">4sH6xHIIHH", b"8BPS", 1, 3, image.height, image.width, 8, 3) + bytes(4))
            file.write(struct.pack(">I", len(resources)) + resources + bytes(4) + bytes(2))
            file.write(b"".join(band.tobytes() for band in image.split()))
        case _:
            image.save(file, format, exif=exif, xmp=xmp)
    return file.getvalue()


def result(data: bytes, format: str, keep: tuple[str, ...] = KEPT, scale: int = 1) -> bytes:
    """Return an image of the same pixels, or of fewer, in a format."""
    rules = PixelRules(keep_metadata=keep)
    frames = Original(data, name="test", limits=ALL_FORMATS).frames(rules, scale=scale)
    return encode(frames, format, {}, rules=rules, limits=Limits())


def written(folder: Path, data: bytes, keep: tuple[str, ...], stem: str = "made", scale: int = 1) -> list[Path]:
    """Write an image in each format that holds metadata, and in the one that does not if nothing is to be kept."""
    paths = []
    for format in ("JPEG", "PNG", "WEBP", "AVIF", *(() if keep else ("GIF",))):
        paths.append(folder / f"{stem}-{NAMES[format]}")
        paths[-1].write_bytes(result(data, format, keep, scale))
    return paths


@pytest.mark.parametrize(
    "source", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF", "JXL", "packed JXL", "JPEG2000", "PSD"]
)
def test_only_what_is_named_is_kept_whatever_the_formats(source: str, exiftool: str, tmp_path: Path) -> None:
    """Place, serial numbers, thumbnail and history do not slip through; exiftool reads the rest."""
    if source in ("JPEG", "PNG", "WEBP", "TIFF"):
        data = labelled(exiftool, tmp_path / NAMES[source], source, {**STATED, **PRIVATE})
    else:
        # exiftool 12 writes none of the others, or only a part.
        jpeg = labelled(exiftool, tmp_path / "b.jpg", "JPEG", {**STATED, **PRIVATE})
        xmp = Original(jpeg, name="", limits=Limits())._examine()[1].xmp
        data = encoded_with(source, exif=drawing.private_exif(), xmp=xmp)
    made = written(tmp_path, data, KEPT)
    for stated, path in zip(all_stated_by(exiftool, *made), made, strict=True):
        assert stated == {
            "IFD0:Copyright": "(c) Ann Author",
            "XMP-dc:Rights": "© 2024 Ada & <Co>",
            "XMP-photoshop:Credit": "Agency",
            "XMP-xmpRights:WebStatement": "https://example.org/licence",
            "XMP-xmpRights:UsageTerms": "Ask first",
            "XMP-plus:Licensor": [{"LicensorURL": "https://example.org/buy"}],
            "XMP-iptcExt:DigitalSourceType": AI,
        }
        assert not re.search(b"SECRET|Camera|52.5", path.read_bytes())


def test_what_a_gif_says_is_kept_in_formats_that_hold_it(exiftool: str, tmp_path: Path) -> None:
    """A GIF has XMP alone, in a block whose length no byte states."""
    path = tmp_path / "a.gif"
    path.write_bytes(drawing.encoded(drawing.photo(160, 120), "GIF"))
    tags = (f"-{tag}={value}" for tag, value in {**STATED, **PRIVATE}.items())
    subprocess.run([exiftool, "-q", "-overwrite_original", *tags, str(path)], check=True)
    for stated in all_stated_by(exiftool, *written(tmp_path, path.read_bytes(), KEPT)):
        assert "XMP-dc:Creator" not in stated
        assert stated["XMP-photoshop:Credit"] == "Agency"
        assert stated["XMP-iptcExt:DigitalSourceType"] == AI
        assert "SECRET" not in str(stated)


def test_nothing_of_a_document_s_metadata_is_kept(exiftool: str, tmp_path: Path) -> None:
    """Neither of the document itself nor of a photo in it."""
    photo = drawing.encoded(drawing.photo(160, 120), "JPEG", exif=drawing.private_exif()).decode("latin-1")
    picture = (
        "<</Type/XObject/Subtype/Image/Width 160/Height 120/ColorSpace/DeviceRGB/BitsPerComponent 8/Filter/DCTDecode"
        f"/Length {len(photo)}>>stream\n{photo}\nendstream"
    )
    page = documents.Page(160, 120, "q 160 0 0 120 0 0 cm /I Do Q", "/Resources<</XObject<</I 4 0 R>>>>")
    path = tmp_path / "a.pdf"
    path.write_bytes(documents.pdf([page], objects=[picture]))
    tags = [f"-{tag}={value}" for tag, value in {**STATED, **PRIVATE, "PDF:Author": "SECRET-7"}.items()]
    subprocess.run([exiftool, "-q", "-overwrite_original", *tags, str(path)], check=True)
    assert b"SECRET-7" in path.read_bytes()
    made = written(tmp_path, path.read_bytes(), KEPT, scale=8)
    assert all_stated_by(exiftool, *made) == [{}] * 4
    with Image.open(made[0]) as image:
        assert image.convert("L").getextrema()[0] < 100


def test_with_nothing_named_exiftool_finds_nothing(exiftool: str, tmp_path: Path) -> None:
    """An empty setting keeps not even the mark of AI."""
    data = labelled(exiftool, tmp_path / "a.jpg", "JPEG", {**STATED, **PRIVATE})
    assert all_stated_by(exiftool, *written(tmp_path, data, ())) == [{}] * 5


def test_texts_of_iptc_are_kept_as_xmp(exiftool: str, tmp_path: Path) -> None:
    """Older programs write the datasets of IPTC-IIM alone, in Latin-1 or UTF-8."""
    tags = {
        "IPTC:CopyrightNotice": "© Ada",
        "IPTC:Credit": "Agentur Grün",
        "IPTC:By-line": "Ada",
        "IPTC:City": "SECRET",
    }
    data = labelled(exiftool, tmp_path / "a.jpg", "JPEG", tags)
    made = tmp_path / "result.webp"
    made.write_bytes(result(data, "WEBP", (*KEPT, "artist")))
    stated = stated_by(exiftool, made)
    assert stated["XMP-dc:Rights"] == "© Ada"
    assert stated["XMP-photoshop:Credit"] == "Agentur Grün"
    assert stated["XMP-dc:Creator"] == ["Ada"]
    assert b"SECRET" not in made.read_bytes()


def test_mark_of_ai_is_kept_unless_told_otherwise(exiftool: str, tmp_path: Path) -> None:
    """Other source types, such as a camera's, are not kept."""
    made = []
    for term in ("trainedAlgorithmicMedia", "digitalCapture"):
        url = AI.replace("trainedAlgorithmicMedia", term)
        xmp = packet(f"<Iptc4xmpExt:DigitalSourceType>{url}</Iptc4xmpExt:DigitalSourceType>")
        data = drawing.encoded(drawing.photo(40, 30), "JPEG", xmp=xmp)
        made += written(tmp_path, data, PixelRules().keep_metadata, term)
    assert all_stated_by(exiftool, *made) == [{"XMP-iptcExt:DigitalSourceType": AI}] * 4 + [{}] * 4


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_source_s_own_coded_pixels_have_the_kept_metadata_too(format: str, exiftool: str, tmp_path: Path) -> None:
    """A file that is rewritten without being coded anew holds what is named and nothing else."""
    (tmp_path / "images").mkdir()
    small = {"JPEG": {"quality": 40}, "WEBP": {"quality": 30}}.get(format, {"optimize": True})
    path = tmp_path / "images" / NAMES[format]
    path.write_bytes(drawing.encoded(drawing.photo(160, 120), format, exif=drawing.private_exif(), **small))
    tags = [f"-{tag}={value}" for tag, value in {**STATED, **PRIVATE}.items()]
    subprocess.run([exiftool, "-q", "-overwrite_original", *tags, str(path)], check=True)
    with site(tmp_path) as kit:
        kit.register.generator("plain", type("Plain", (ImageSpec,), {"keep_metadata": ("credit", "ai")}))
        file = kit.cachefile("plain", source=NAMES[format])
        file.generate()
        assert file.width == 160
        stated = stated_by(exiftool, Path(file.path))
        data = Path(file.path).read_bytes()
    assert stated == {"XMP-photoshop:Credit": "Agency", "XMP-iptcExt:DigitalSourceType": AI}
    # Where it stands behind the pixels, libpng and so sharp do not find it.
    assert format != "PNG" or data.index(b"iTXt") < data.index(b"IDAT")


def site(folder: Path, **settings: Any) -> closing[ImageKit]:
    """Return a kit of a folder."""
    return closing(
        ImageKit(source_dirs=[folder / "images"], location=folder / "out", state_dir=folder / "state", **settings)
    )


def packet(properties: str) -> bytes:
    """Return an XMP packet of a few properties."""
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"'
        ' xmlns:xmpRights="http://ns.adobe.com/xap/1.0/rights/" xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"'
        f' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">{properties}</rdf:Description></rdf:RDF>'
        "</x:xmpmeta>"
    ).encode()


def manifest(format: str, data: bytes, says: bytes) -> bytes:
    """Put what looks like a C2PA manifest into a file, where the format has it."""
    box = struct.pack(">I4s", 32 + len(says), b"jumb") + b"\0\0\0\x18jumdc2pa" + bytes(8) + says
    match format:
        case "JPEG":
            body = b"JP\0\1\0\0\0\1" + box
            return data[:2] + struct.pack(">BBH", 0xFF, 0xEB, len(body) + 2) + body + data[2:]
        case "PNG":
            chunk = struct.pack(">I", len(box)) + b"caBX" + box + struct.pack(">I", zlib.crc32(b"caBX" + box))
            return data[:33] + chunk + data[33:]
        case "WEBP":
            box += bytes(len(box) % 2)
            return (
                data[:4]
                + struct.pack("<I", len(data) + len(box))
                + data[8:]
                + b"C2PA"
                + struct.pack("<I", len(box))
                + box
            )
    body = bytes.fromhex("d8fec3d61b0e483c92975828877ec481") + box
    return data + struct.pack(">I4s", len(body) + 8, b"uuid") + body


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF"])
def test_report_says_that_a_manifest_is_lost_and_its_mark_of_ai_is_kept(
    format: str, exiftool: str, tmp_path: Path
) -> None:
    """A C2PA manifest vouches for the source's bytes; that an AI made them is still said, in XMP."""
    (tmp_path / "images").mkdir()
    data = manifest(format, encoded_with(format, b"", b""), b"actions" + AI.encode() + b"\xa1")
    (tmp_path / "images" / NAMES[format]).write_bytes(data)
    with site(tmp_path, readable_formats=(*READABLE_FORMATS, "HEIF")) as kit:
        kit.register.generator("small", type("Small", (ImageSpec,), {"processors": (ResizeToFit(80, 80),)}))
        kit.register.generator("smaller", type("Smaller", (ImageSpec,), {"processors": (ResizeToFit(40, 40),)}))
        for id in ("small", "smaller"):
            kit.register.source_group(id, GlobSourceGroup("*"))
        report = kit.generate()
        assert report.ok
        assert report.warnings == (f"Images made of {NAMES[format]} lack its C2PA manifest.",)
        made = Path(kit.cachefile("small", source=NAMES[format]).path)
    assert stated_by(exiftool, made) == {"XMP-iptcExt:DigitalSourceType": AI}


@pytest.mark.parametrize(("format", "keep"), [("GIF", ("ai",)), ("WEBP", ())])
def test_report_says_that_a_mark_of_ai_is_lost(format: str, keep: tuple[str, ...], tmp_path: Path) -> None:
    """A GIF holds none, and an empty setting keeps nothing."""
    (tmp_path / "images").mkdir()
    xmp = packet(f"<Iptc4xmpExt:DigitalSourceType>{AI}</Iptc4xmpExt:DigitalSourceType>")
    (tmp_path / "images" / "a.jpg").write_bytes(drawing.encoded(drawing.photo(80, 60), "JPEG", xmp=xmp))
    with site(tmp_path, keep_metadata=keep) as kit:
        kit.register.generator("other", type("Other", (ImageSpec,), {"format": format}))
        kit.register.source_group("other", GlobSourceGroup("*"))
        assert kit.generate().warnings == ("Images made of a.jpg lack its mark as made by AI.",)


@pytest.mark.parametrize("keep", [("copyright",), ("AI", "credit"), ("artist", "ai")])
def test_list_that_does_not_name_the_mark_of_ai_keeps_it_too(
    keep: tuple[str, ...], exiftool: str, tmp_path: Path
) -> None:
    """Who names what else should stay does not mean to hide how an image was made."""
    xmp = packet(f"<Iptc4xmpExt:DigitalSourceType>{AI}</Iptc4xmpExt:DigitalSourceType>")
    made = written(tmp_path, drawing.encoded(drawing.photo(40, 30), "JPEG", xmp=xmp), keep)
    assert all_stated_by(exiftool, *made) == [{"XMP-iptcExt:DigitalSourceType": AI}] * 4


def test_structured_data_names_author_credit_and_licence(tmp_path: Path) -> None:
    """Search engines read it; nothing in it can end the script that it stands in."""
    (tmp_path / "images").mkdir()
    xmp = packet(
        "<dc:creator><rdf:Seq><rdf:li>Ada &lt;/script&gt;</rdf:li></rdf:Seq></dc:creator>"
        "<photoshop:Credit>Agency</photoshop:Credit>"
        "<xmpRights:WebStatement>https://example.org/licence</xmpRights:WebStatement>"
        f"<Iptc4xmpExt:DigitalSourceType>{AI}</Iptc4xmpExt:DigitalSourceType>"
    )
    (tmp_path / "images" / "a.jpg").write_bytes(drawing.encoded(drawing.photo(400, 300), "JPEG", xmp=xmp))
    with site(tmp_path, site_url="https://example.org") as kit:
        env = kit.install(Environment(autoescape=True))
        template = "{% picture '200x' 'a.jpg' alt='A \"canal\"' as p %}{{ p.structured_data }}|{{ p.url }}"
        script, _, url = env.from_string(template).render().partition("|")
    text = script.removeprefix('<script type="application/ld+json">').removesuffix("</script>")
    assert "<" not in text
    assert json.loads(text) == {
        "@context": "https://schema.org",
        "@type": "ImageObject",
        "contentUrl": f"https://example.org{url}",
        "name": 'A "canal"',
        "creator": {"@type": "Person", "name": "Ada </script>"},
        "creditText": "Agency",
        "license": "https://example.org/licence",
        "digitalSourceType": "https://schema.org/TrainedAlgorithmicMediaDigitalSource",
        "width": 200,
        "height": 150,
    }


def test_imageinfo_tells_what_xmp_says_and_links_only_to_the_web(tmp_path: Path) -> None:
    """A licence that is a script is none."""
    (tmp_path / "images").mkdir()
    xmp = packet(
        "<dc:rights><rdf:Alt><rdf:li xml:lang='x-default'>(c) Ada</rdf:li></rdf:Alt></dc:rights>"
        "<xmpRights:WebStatement>javascript:alert(1)</xmpRights:WebStatement>"
    )
    (tmp_path / "images" / "a.jpg").write_bytes(drawing.encoded(drawing.photo(40, 30), "JPEG", xmp=xmp))
    with site(tmp_path) as kit:
        info = kit.imageinfo("a.jpg")
        assert (info.copyright, info.licence, info.source_type, info.credit) == ("(c) Ada", "", "", "")


DAMAGED = (
    b"DigitalSourceType" + bytes(50),
    packet(f"<Iptc4xmpExt:DigitalSourceType><rdf:Bag/></Iptc4xmpExt:DigitalSourceType>{'<dc:rights>' * 3}"),
    packet("<dc:rights rdf:parseType='Resource'><dc:rights>x</dc:rights></dc:rights>"),
    packet("<dc:creator><rdf:Bag><rdf:li><rdf:Bag><rdf:li>a</rdf:li></rdf:Bag></rdf:li></rdf:Bag></dc:creator>"),
)


@pytest.mark.parametrize("xmp", DAMAGED)
def test_damaged_metadata_is_not_kept(xmp: bytes) -> None:
    """The image is made all the same."""
    data = drawing.encoded(drawing.photo(40, 30), "WEBP", xmp=xmp)
    made = Original(result(data, "WEBP", (*KEPT, "artist")), name="", limits=Limits())
    assert made._examine()[1].xmp == b""


@pytest.mark.parametrize("length", [0, 1, 7, 12, 20, 30, 40])
def test_cut_datasets_are_passed_over(length: int) -> None:
    """The resources of Photoshop may end anywhere."""
    dataset = b"\x1c\x02\x74\0\x03Ada"
    resources = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0" + struct.pack(">I", len(dataset)) + dataset
    body = resources[:length] if length < len(resources) else resources
    photo = drawing.encoded(drawing.photo(40, 30), "JPEG")
    data = photo[:2] + struct.pack(">BBH", 0xFF, 0xED, len(body) + 2) + body + photo[2:]
    kept = Original(data, name="", limits=Limits()).frames(PixelRules(keep_metadata=("copyright",))).xmp
    assert (b"Ada" in kept) == (length > 33)


@pytest.mark.parametrize("name", ["makernote", "body_serial_number", "GPSInfo", "XMLPacket"])
def test_what_is_private_cannot_be_named(name: str) -> None:
    """The notes of a camera's maker hold places and serial numbers that nobody sees."""
    with pytest.raises(Exception, match="no metadata can be kept as"):
        PixelRules(keep_metadata=(name,))
