"""Builds small ICC profiles (version 2, ICC.1:2001-04) for images that are not sRGB."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Final

Triple = tuple[float, float, float]

D50: Final[Triple] = (0.9642, 1.0, 0.8249)
"""The white of the profile connection space (ICC.1:2001-04, 6.3.3)."""

SRGB: Final[tuple[Triple, Triple, Triple]] = (
    (0.43607, 0.22249, 0.01392),
    (0.38515, 0.71687, 0.09708),
    (0.14307, 0.06061, 0.71410),
)
"""Red, green and blue of IEC 61966-2-1 as XYZ, adapted to D50 by Bradford."""

ADOBE_LIKE: Final[tuple[Triple, Triple, Triple]] = (
    (0.60974, 0.31111, 0.01947),
    (0.20528, 0.62567, 0.06087),
    (0.14919, 0.06322, 0.74457),
)
"""Red, green and blue of Adobe RGB (1998) as XYZ, adapted to D50 by Bradford."""

P3: Final[tuple[Triple, Triple, Triple]] = (
    (0.51512, 0.24120, -0.00105),
    (0.29198, 0.69225, 0.04189),
    (0.15710, 0.06657, 0.78407),
)
"""Red, green and blue of Display P3 as XYZ, adapted to D50 by Bradford."""

INK_EXPONENT: Final = 1.5
"""How much stronger than the plain complement the inks of `cmyk_profile` are."""

GRID: Final = 9
"""Points a side in the look-up table of `cmyk_profile`: 9 to the fourth, times 3 bytes, are 20 kB."""


def rgb_profile(primaries: str = "wide", gamma: float = 2.2) -> bytes:
    """Return a matrix profile: `wide` (as Adobe RGB), `p3`, or `swapped` (sRGB's with red and blue exchanged)."""
    red, green, blue = {"wide": ADOBE_LIKE, "p3": P3, "swapped": tuple(reversed(SRGB))}[primaries]
    curve = _curve(gamma)
    tags = {b"rXYZ": _xyz(red), b"gXYZ": _xyz(green), b"bXYZ": _xyz(blue)}
    return _profile(b"mntr", b"RGB ", b"XYZ ", {**tags, b"rTRC": curve, b"gTRC": curve, b"bTRC": curve})


def grey_profile(gamma: float = 1.0) -> bytes:
    """Return a profile of a grey device."""
    return _profile(b"mntr", b"GRAY", b"XYZ ", {b"kTRC": _curve(gamma)})


def cmyk_profile() -> bytes:
    """Return a profile of a printer: an ink of share s leaves `(1 - s) ** (1 / INK_EXPONENT)` of the light."""
    return _profile(b"prtr", b"CMYK", b"Lab ", {b"A2B0": _ink_table()})


def ink_curve() -> list[int]:
    """Return, for each sRGB level, the level of the complementary ink that shows it under `cmyk_profile`."""
    return [255 - round(255 * (level / 255) ** INK_EXPONENT) for level in range(256)]


def _ink_table() -> bytes:
    # lut8Type (6.5.8). The input tables hold the inks' curve, so that the grid stays nearly linear.
    curve = bytes(255 - round(255 * (1 - level / 255) ** (1 / INK_EXPONENT)) for level in range(256))
    steps = [point / (GRID - 1) for point in range(GRID)]
    grid = bytearray()
    for cyan in steps:
        for magenta in steps:
            for yellow in steps:
                for black in steps:
                    grid += _lab_bytes(tuple((1 - ink) * (1 - black) for ink in (cyan, magenta, yellow)))
    identity = _numbers(1, 0, 0, 0, 1, 0, 0, 0, 1)
    header = b"mft1" + bytes(4) + bytes((4, 3, GRID, 0)) + identity
    return header + curve * 4 + bytes(grid) + bytes(range(256)) * 3


def _lab_bytes(rgb: Iterable[float]) -> bytes:
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in rgb]
    xyz = [sum(share * primary[axis] for share, primary in zip(linear, SRGB, strict=True)) for axis in range(3)]
    # CIE 15:2004: XYZ to L*a*b*.
    x, y, z = (
        t ** (1 / 3) if t > (6 / 29) ** 3 else t / (3 * (6 / 29) ** 2) + 4 / 29
        for t in (value / white for value, white in zip(xyz, D50, strict=True))
    )
    lightness, a, b = 116 * y - 16, 500 * (x - y), 200 * (y - z)
    levels = (lightness * 2.55, a + 128, b + 128)
    return bytes(max(0, min(255, round(level))) for level in levels)


def _numbers(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def _xyz(value: Triple) -> bytes:
    return b"XYZ " + bytes(4) + _numbers(*value)


def _curve(gamma: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))


def _text(text: bytes) -> bytes:
    return b"text" + bytes(4) + text + b"\0"


def _description(text: bytes) -> bytes:
    return b"desc" + bytes(4) + struct.pack(">I", len(text) + 1) + text + b"\0" + bytes(4 + 4 + 2 + 1 + 67)


def _profile(device: bytes, space: bytes, connection: bytes, tags: Mapping[bytes, bytes]) -> bytes:
    common = {b"desc": _description(b"drawn for tests"), b"cprt": _text(b"no copyright"), b"wtpt": _xyz(D50)}
    body, entries = bytearray(), bytearray()
    everything = {**common, **tags}
    start = 128 + 4 + 12 * len(everything)
    for name, content in everything.items():
        entries += name + struct.pack(">II", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    created = struct.pack(">6H", 2024, 1, 1, 0, 0, 0)
    header = struct.pack(">I", start + len(body)) + bytes(4) + struct.pack(">I", 0x02400000)
    header += device + space + connection + created + b"acsp" + bytes(28) + _numbers(*D50) + bytes(48)
    assert len(header) == 128
    return header + struct.pack(">I", len(everything)) + bytes(entries) + bytes(body)
