"""TIFF stores samples in many ways: each is read right, or refused with the reason."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Sequence

import pytest
from PIL import Image

from jinja_imagekit.exceptions import UnreadableImage
from jinja_imagekit.images import Limits, Original, PixelRules

SIDE = 4
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, CMYK, LAB = 0, 1, 2, 5, 8
UNSIGNED, SIGNED, FLOAT = 1, 2, 3


def tiff(
    code: str,
    planes: Sequence[Sequence[float]],
    meaning: int,
    *,
    format: int = UNSIGNED,
    extra: int | None = None,
    order: str = "<",
    compressed: bool = False,
) -> bytes:
    """Return a TIFF of 4 × 4 pixels: of one plane of all samples, or of a plane for each of them."""
    strips = [struct.pack(f"{order}{len(plane)}{code}", *plane) for plane in planes]
    strips = [zlib.compress(strip) for strip in strips] if compressed else strips
    many = len(planes) if len(planes) > 1 else len(planes[0]) // SIDE**2
    tags: dict[int, tuple[int, list[int]]] = {
        256: (4, [SIDE]),
        257: (4, [SIDE]),
        258: (3, [8 * struct.calcsize(code)] * many),
        259: (3, [8 if compressed else 1]),
        262: (3, [meaning]),
        273: (4, [8 + sum(map(len, strips[:number])) for number in range(len(strips))]),
        277: (3, [many]),
        278: (4, [SIDE]),
        279: (4, [len(strip) for strip in strips]),
        284: (3, [2 if len(planes) > 1 else 1]),
        339: (3, [format] * many),
    }
    if extra is not None:
        tags[338] = 3, [extra]
    data = b"".join(strips)
    data += b"\0" * (len(data) % 2)
    table, values, place = b"", b"", 8 + len(data) + 2 + 12 * len(tags) + 4
    for tag, (type, numbers) in sorted(tags.items()):
        raw = struct.pack(f"{order}{len(numbers)}{'H' if type == 3 else 'I'}", *numbers)
        table += struct.pack(f"{order}HHI", tag, type, len(numbers))
        table += raw.ljust(4, b"\0") if len(raw) <= 4 else struct.pack(f"{order}I", place + len(values))
        values += raw if len(raw) > 4 else b""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8 + len(data))
    return head + data + struct.pack(f"{order}H", len(tags)) + table + bytes(4) + values


def decoded(data: bytes) -> Image.Image:
    """Decode a file."""
    return Original(data, name="test.tif", limits=Limits()).frames(PixelRules()).images[0]


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_planes_of_sixteen_bits(order: str, compressed: bool) -> None:
    """Each of them is a ramp of its own."""
    ramps = [[(x * step) % 65_536 for x in range(SIDE**2)] for step in (4_000, 4_111, 3_333)]
    image = decoded(tiff("H", ramps, RGB, order=order, compressed=compressed))
    assert image.mode == "RGB"
    for band, ramp in zip(image.split(), ramps, strict=True):
        assert list(band.tobytes()) == [(value * 255 + 32_767) // 65_535 for value in ramp]


def test_planes_of_sixteen_bits_with_alpha() -> None:
    """The fourth plane is transparency."""
    planes = [[value * 257] * SIDE**2 for value in (200, 120, 40, 128)]
    assert decoded(tiff("H", planes, RGB, extra=2)).getpixel((1, 1)) == (200, 120, 40, 128)


@pytest.mark.parametrize("code", ["B", "H"])
def test_grey_whose_zero_is_white(code: str) -> None:
    """It is not read as its negative."""
    white, black = 0, 255 if code == "B" else 65_535
    image = decoded(tiff(code, [[white, black] * 8], WHITE_IS_ZERO))
    assert [image.getpixel((x, 0)) for x in (0, 1)] == [255, 0]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (tiff("H", [[200 * 257, 120 * 257, 40 * 257] * 16], RGB), (200, 120, 40)),
        (tiff("B", [[200, 120, 40, 7] * 16], RGB, extra=0), (200, 120, 40)),
        (tiff("B", [[200, 120, 40, 128] * 16], RGB, extra=2), (200, 120, 40, 128)),
        (tiff("B", [[200] * 16, [120] * 16, [40] * 16], RGB), (200, 120, 40)),
        (tiff("B", [[128, 20, 200] * 16], LAB), (103, 111, 216)),
        (tiff("H", [[0, 0, 0, 32_768] * 16], CMYK), (127, 127, 127)),
        (tiff("f", [[0.5] * 16], BLACK_IS_ZERO, format=FLOAT), 128),
    ],
    ids=["RGB16", "unspecified sample", "alpha", "planes", "Lab", "CMYK16", "float"],
)
def test_ways_that_are_read(data: bytes, expected: object) -> None:
    """What a viewer shows."""
    assert decoded(data).getpixel((1, 1)) == expected


NAN, INFINITE = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (tiff("f", [[0.8, 0.5, 0.2] * 16], RGB, format=FLOAT), r"floating-point samples of 32 bits \(RGB, 3 a pixel\)"),
        (tiff("e", [[0.8, 0.5, 0.2] * 16], RGB, format=FLOAT), "floating-point samples of 16 bits"),
        (tiff("I", [[3_000_000_000] * 16], BLACK_IS_ZERO), "2,147,483,647"),
        (tiff("f", [[NAN] * 4 + [0.5] * 12], BLACK_IS_ZERO, format=FLOAT), "not all numbers"),
        (tiff("f", [[0.5] * 12 + [INFINITE] * 4], BLACK_IS_ZERO, format=FLOAT), "not all numbers"),
        (tiff("b", [[-100] * 16], BLACK_IS_ZERO, format=SIGNED), "signed samples of 8 bits"),
        (tiff("f", [[0.5] * 16], WHITE_IS_ZERO, format=FLOAT), "white is zero"),
        (tiff("H", [[128, 20, 200] * 16], LAB), r"CIE L\*a\*b\*"),
    ],
)
def test_ways_that_are_refused(data: bytes, reason: str) -> None:
    """What would be read wrong is an error that says how samples are stored."""
    with pytest.raises(UnreadableImage, match=reason):
        decoded(data)


def test_compression_that_is_not_read_is_named() -> None:
    """WebP within TIFF takes a library that Pillow's wheels lack."""
    data = tiff("B", [[200, 120, 40] * 16], RGB)
    entry = struct.pack("<HHIHH", 259, 3, 1, 1, 0)
    assert entry in data
    with pytest.raises(UnreadableImage, match="number 50001"):
        decoded(data.replace(entry, struct.pack("<HHIHH", 259, 3, 1, 50_001, 0)))


def test_a_surplus_value_is_left_aside_without_a_warning() -> None:
    """Where one value belongs, the first counts; Pillow's warning of the others does not reach anybody."""
    data = bytearray(tiff("B", [range(16)], BLACK_IS_ZERO))
    at = data.index(struct.pack("<HHI", 277, 3, 1))
    data[at : at + 12] = struct.pack("<HHIHH", 277, 3, 2, 1, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = Original(bytes(data), name="a.tif", limits=Limits()).frames(PixelRules()).images[0]
    assert list(image.tobytes()) == list(range(16))
