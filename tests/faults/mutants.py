"""Files of every format, and mutants that know how their containers are built; a number gives the same mutant."""

from __future__ import annotations

import io
import random
import re
import struct
import zlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from PIL import Image

import documents
import drawing

Mutator = Callable[[bytes, random.Random], bytes]

INTERESTING = (0, 1, 2, 7, 8, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
"""Numbers at which counts and sizes tip over."""

SVG = (
    '<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a "10">]><svg xmlns="http://www.w3.org/2000/svg" width="40" '
    'height="30" viewBox="0 0 40 30"><style>.b{fill:red}</style><g><rect class="b" width="&a;" height="10"/></g></svg>'
)


@lru_cache(maxsize=1)
def seeds() -> dict[str, bytes]:
    """Return small whole files by what they are."""
    photo = drawing.photo(48, 36)
    cut_out = drawing.cut_out(photo)
    frames = drawing.frames(32, 24, 3)
    palette = photo.quantize(16)
    exif = drawing.private_exif()
    return {
        "jpeg": drawing.encoded(photo, "JPEG"),
        "progressive jpeg": drawing.encoded(photo, "JPEG", progressive=True, exif=exif),
        "cmyk jpeg": drawing.encoded(photo.convert("CMYK"), "JPEG"),
        "restart jpeg": drawing.encoded(photo, "JPEG", restart_marker_rows=1),
        "png": drawing.encoded(cut_out, "PNG"),
        "palette png": drawing.encoded(palette, "PNG", transparency=1),
        "16-bit png": drawing.encoded(Image.new("I;16", (40, 30), 40_000), "PNG"),
        "apng": drawing.animated("PNG", frames, [100, 60, 40]),
        "gif": drawing.encoded(photo, "GIF"),
        "animated gif": drawing.animated("GIF", frames, [100, 60, 40]),
        "webp": drawing.encoded(photo, "WEBP", exif=exif),
        "lossless webp": drawing.encoded(cut_out, "WEBP", lossless=True),
        "animated webp": drawing.animated("WEBP", frames, [100, 60, 40]),
        "avif": drawing.encoded(cut_out, "AVIF", speed=10),
        "animated avif": drawing.animated("AVIF", frames, [100, 60, 40]),
        "tiff": drawing.encoded(photo, "TIFF"),
        "lzw tiff": drawing.encoded(photo, "TIFF", compression="tiff_lzw"),
        "jpeg tiff": drawing.encoded(photo, "TIFF", compression="jpeg"),
        "grey tiff": drawing.encoded(photo.convert("L"), "TIFF", compression="tiff_deflate"),
        "bmp": drawing.encoded(photo, "BMP"),
        "palette bmp": drawing.encoded(palette, "BMP"),
        "ico": drawing.encoded(cut_out, "ICO", sizes=[(32, 32), (16, 16)]),
        "bitmap ico": drawing.encoded(cut_out, "ICO", sizes=[(32, 32)], bitmap_format="bmp"),
        "svg": SVG.encode(),
        "pdf": documents.pdf([documents.Page(48, 36, DRAWING, NOTE), documents.Page(36, 48, "")], objects=[PICTURE]),
        **_of_packages(photo, cut_out, exif),
    }


DRAWING = "1 0 0 rg 0 0 24 18 re f 1 w 2 2 m 40 30 l S BT /F 9 Tf 4 20 Td (Text) Tj ET q 9 0 0 9 30 20 cm /I Do Q"
NOTE = "/Annots[<</Type/Annot/Subtype/Square/Rect[5 5 25 25]/C[0 1 0]>>]"
PICTURE = (
    "<</Type/XObject/Subtype/Image/Width 2/Height 2/ColorSpace/DeviceRGB/BitsPerComponent 8/Length 12>>stream\n"
    "abcdefghijkl\nendstream"
)


def _of_packages(photo: Image.Image, cut_out: Image.Image, exif: bytes) -> dict[str, bytes]:
    """Return files that packages write which have no wheel on every machine."""
    files: dict[str, io.BytesIO] = {}
    if find_spec("pillow_heif"):
        package: Any = import_module("pillow_heif")
        package.from_pillow(cut_out).save(files.setdefault("heif", io.BytesIO()), exif=exif)
    if find_spec("pillow_jxl"):
        import_module("pillow_jxl")
        photo.save(files.setdefault("jxl", io.BytesIO()), "JXL")
        boxes = {"exif": exif, "xmp": b"<x/>", "compress_metadata": True}
        cut_out.save(files.setdefault("packed jxl", io.BytesIO()), "JXL", lossless=True, **boxes)
    return {name: file.getvalue() for name, file in files.items()}


def mutant(number: int, only: Sequence[str] = ()) -> tuple[str, bytes]:
    """Return what the mutant of a number was made of, and its bytes.

    Args:
        number: The number.
        only: Formats, by the last word of a seed's name; none for all of them.
    """
    chance = random.Random(number)
    names = [name for name in sorted(seeds()) if not only or name.split()[-1] in only]
    name = names[number % len(names)]
    data = seeds()[name]
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        structural = STRUCTURAL.get(name.split()[-1], ())
        pool = (*structural, *structural, *GENERIC)
        data = chance.choice(pool)(data, chance) or data
    return name, data[:2_000_000]


def _flip(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8, 40))):
        if changed:
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _number(data: bytes, chance: random.Random) -> bytes:
    form = chance.choice(("<H", ">H", "<I", ">I", "B"))
    size = struct.calcsize(form)
    if len(data) < size:
        return data
    # Most that counts stands at the beginning.
    at = min(chance.randrange(len(data) - size + 1), chance.randrange(len(data) - size + 1))
    value = chance.choice(INTERESTING) & (256**size - 1)
    return data[:at] + struct.pack(form, value) + data[at + size :]


def _cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def _remove(data: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(data) + 1)
    return data[:start] + data[start + chance.choice((1, 2, 4, 16, 100)) :]


def _repeat(data: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(data) + 1)
    part = data[start : start + chance.choice((1, 4, 16, 100, 1000))]
    return data[:start] + part * chance.choice((2, 3, 50, 1000)) + data[start:]


def _insert(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    filler = chance.choice((b"\0", b"\xff", b"\xff\xd8", b"A", chance.randbytes(7)))
    return data[:at] + filler * chance.choice((1, 4, 64, 4096)) + data[at:]


def _splice(data: bytes, chance: random.Random) -> bytes:
    other = seeds()[chance.choice(sorted(seeds()))]
    return data[: chance.randrange(len(data) + 1)] + other[chance.randrange(len(other) + 1) :]


GENERIC: tuple[Mutator, ...] = (_flip, _number, _number, _cut, _remove, _repeat, _insert, _splice)

Parts = list[tuple[bytes, bytes]]
"""The pieces of a container: what each is called, and what it holds."""


def _rearranged(parts: Parts, chance: random.Random) -> Parts:
    parts = list(parts)
    if not parts:
        return parts
    at = chance.randrange(len(parts))
    kind, body = parts[at]
    match chance.randrange(7):
        case 0:
            parts.insert(chance.randrange(len(parts) + 1), parts[at])
        case 1:
            del parts[at]
        case 2:
            other = chance.randrange(len(parts))
            parts[at], parts[other] = parts[other], parts[at]
        case 3:
            parts[at] = kind, chance.choice(GENERIC)(body, chance)
        case 4:
            parts[at] = kind, b""
        case 5:
            parts[at] = parts[chance.randrange(len(parts))][0], body
        case _:
            parts[at:at] = [parts[at]] * chance.choice((2, 20, 400))
    return parts


def _jpeg(data: bytes, chance: random.Random) -> bytes:
    parts: Parts = []
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        size = int.from_bytes(data[at + 2 : at + 4], "big")
        parts.append((data[at : at + 2], data[at + 4 : at + 2 + size]))
        at += 2 + size
    written = b"".join(
        kind + struct.pack(">H", (len(body) + 2) & 0xFFFF) + body for kind, body in _rearranged(parts, chance)
    )
    return data[:2] + written + data[at:]


def _png(data: bytes, chance: random.Random) -> bytes:
    parts: Parts = []
    at = 8
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        parts.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    changed = _rearranged(parts, chance)
    if changed and chance.random() < 0.2:
        # Rows that are fewer, more or others than the header says.
        changed = [
            (kind, zlib.compress(chance.choice((b"", b"\0" * 9, b"\5" * 50_000)))) if kind == b"IDAT" else (kind, body)
            for kind, body in changed
        ]
    return data[:8] + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in changed
    )


def _riff(data: bytes, chance: random.Random) -> bytes:
    parts: Parts = []
    at = 12
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        parts.append((data[at : at + 4], data[at + 8 : at + 8 + size]))
        at += 8 + size + size % 2
    body = b"".join(
        kind + struct.pack("<I", len(part)) + part + b"\0" * (len(part) % 2)
        for kind, part in _rearranged(parts, chance)
    )
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def _boxes(data: bytes, chance: random.Random, depth: int = 0) -> bytes:
    parts: Parts = []
    at = 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size < 8:
            break
        parts.append((data[at + 4 : at + 8], data[at + 8 : at + size]))
        at += size
    nested = [index for index, (kind, _) in enumerate(parts) if kind in (b"meta", b"iprp", b"ipco", b"moov", b"trak")]
    if nested and depth < 3 and chance.random() < 0.7:
        index = chance.choice(nested)
        kind, body = parts[index]
        skipped = 4 if kind == b"meta" else 0
        parts[index] = kind, body[:skipped] + _boxes(body[skipped:], chance, depth + 1)
    else:
        parts = _rearranged(parts, chance)
    return b"".join(struct.pack(">I", len(body) + 8) + kind + body for kind, body in parts) + data[at:]


def _gif(data: bytes, chance: random.Random) -> bytes:
    at = data.find(b"\x2c", 13)
    if at < 0 or at + 10 > len(data):
        return data
    field = at + chance.choice((1, 3, 5, 7))
    value = struct.pack("<H", chance.choice(INTERESTING) & 0xFFFF)
    changed = data[:field] + value + data[field + 2 :]
    return changed[:-1] * chance.choice((1, 1, 3)) + b";"


def _tiff(data: bytes, chance: random.Random) -> bytes:
    order = "<" if data[:2] == b"II" else ">"
    if len(data) < 8:
        return data
    (start,) = struct.unpack(order + "I", data[4:8])
    if start + 2 > len(data):
        return data
    (count,) = struct.unpack(order + "H", data[start : start + 2])
    entry = start + 2 + 12 * chance.randrange(max(1, count))
    field, form = chance.choice(((0, "H"), (2, "H"), (4, "I"), (8, "I"), (8, "I")))
    value = chance.choice((*INTERESTING, chance.randrange(len(data)), start))
    packed = struct.pack(order + form, value & (0xFFFF if form == "H" else 0xFFFFFFFF))
    return data[: entry + field] + packed + data[entry + field + len(packed) :]


def _svg(data: bytes, chance: random.Random) -> bytes:
    text = data.decode("utf-8", "replace")
    words = (
        "width",
        "height",
        "viewBox",
        "<g>",
        "</g>",
        "&a;",
        '"40"',
        "svg",
        "http://www.w3.org/2000/svg",
        "<!ENTITY",
    )
    others = (
        "-1",
        "1e999",
        "100%",
        "calc(1px + 1em)",
        "&a;" * 50,
        "<g>" * 500,
        "<!--" + "x" * 5000 + "-->",
        "",
        "NaN",
        "0",
        "a" * 9000,
    )
    word = chance.choice([each for each in words if each in text] or ["<"])
    return text.replace(word, chance.choice(others), chance.choice((1, -1))).encode()


def _header(data: bytes, chance: random.Random) -> bytes:
    """Change bits of a codestream's header, which stands at its beginning."""
    start = max(0, data.find(b"\xff\x0a"))
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4))):
        at = start + 2 + chance.randrange(24)
        if at < len(changed):
            changed[at] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _pdf(data: bytes, chance: random.Random) -> bytes:
    """Exchange a number, a name or a reference for another one of the document, or for one at which counts tip over."""
    words = list(re.finditer(rb"/\w+|\d+ \d+ R|-?\d+|\[|\]|<<|>>|obj|stream", data))
    if not words:
        return data
    word, other = chance.choice(words), chance.choice(words)[0]
    changed = chance.choice((other, other, b"%d" % chance.choice(INTERESTING), b"-1", b"", other * 40))
    return data[: word.start()] + changed + data[word.end() :]


STRUCTURAL: dict[str, tuple[Mutator, ...]] = {
    "jpeg": (_jpeg,),
    "png": (_png,),
    "apng": (_png,),
    "webp": (_riff,),
    "avif": (_boxes,),
    "gif": (_gif,),
    "tiff": (_tiff,),
    "svg": (_svg,),
    "heif": (_boxes,),
    "jxl": (_boxes, _header),
    "pdf": (_pdf,),
}
"""How a format's own pieces are changed, by the last word of a seed's name."""
