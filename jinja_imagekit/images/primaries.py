"""Colours that a file states by numbers (ITU-T H.273), not by a profile: as an ICC profile, or tone-mapped to sRGB."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

from PIL import ImageFilter

XY = tuple[float, float]
Row = tuple[float, float, float]
Matrix = tuple[Row, Row, Row]

_D65, _C, _DCI, _E = (0.3127, 0.3290), (0.310, 0.316), (0.314, 0.351), (1 / 3, 1 / 3)

_BT709 = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), _D65)
_BT2020 = ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65)

PRIMARIES: dict[int, tuple[XY, XY, XY, XY]] = {
    1: _BT709,
    4: ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), _C),
    5: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), _D65),
    6: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    7: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    8: ((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), _C),
    9: _BT2020,
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _DCI),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),
    22: ((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), _D65),
}
"""Red, green, blue and white by their code (H.273, table 2). Unknown ones are taken for those of sRGB."""

_GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0, 17: 2.6}
"""Exponents by the code of the transfer (H.273, table 3). Those of television, 1, 6, 14 and 15, are read as sRGB's, as
browsers do."""

PQ, HLG = 16, 18

_REFERENCE_WHITE, _PEAK = 203.0, 1000.0
"""Candelas a square metre of white in HDR content (ITU-R BT.2408), and of its brightest parts."""


class Colours(NamedTuple):
    """How the samples of a file stand for colours.

    Attributes:
        primaries: Red, green, blue and white, in CIE xy.
        gamma: The exponent that linearises samples; None for sRGB's curve.
        transfer: `PQ` or `HLG`, else 0.
    """

    primaries: tuple[XY, XY, XY, XY] = _BT709
    gamma: float | None = None
    transfer: int = 0

    @classmethod
    def of_codes(cls, primaries: int, transfer: int) -> Colours:
        """Return the colours of two code points.

        Example:
            >>> Colours.of_codes(1, 13).is_srgb, Colours.of_codes(12, 13).is_srgb
            (True, False)
        """
        hdr = transfer if transfer in (PQ, HLG) else 0
        return cls(PRIMARIES.get(primaries, _BT709), _GAMMAS.get(transfer), hdr)

    @property
    def is_srgb(self) -> bool:
        """Whether there is nothing to convert."""
        # Most files say nothing of their primaries.
        near = self.primaries is _BT709 or all(
            abs(a - b) < 0.002
            for own, srgb in zip(self.primaries, _BT709, strict=True)
            for a, b in zip(own, srgb, strict=True)
        )
        return near and self.gamma is None and not self.transfer

    @property
    def is_wide(self) -> bool:
        """Whether they reach beyond sRGB."""
        return self.primaries != _BT709 and _is_wide(_to_xyz_d50(self.primaries))

    def profile(self, *, grey: bool) -> bytes:
        """Return an ICC profile of these colours; empty for sRGB, and for HDR, which no profile tone-maps.

        Args:
            grey: Make one for grey samples.
        """
        if self.is_srgb or self.transfer or (grey and self.gamma is None):
            return b""
        return _profile(self.primaries, self.gamma, grey)

    def tone_map(self, *, wide: bool = False) -> ImageFilter.Color3DLUT | None:
        """Return a table that brings HDR to sRGB, or to Display P3; None for what is not HDR."""
        return _tone_map(self.primaries, self.transfer, _P3 if wide else _BT709) if self.transfer else None


SRGB = Colours()

_P3 = PRIMARIES[12]


def is_wide(profile: bytes) -> bool:
    """Tell whether an ICC profile's colours reach beyond sRGB, by its primaries.

    Only profiles for RGB that have primaries are judged; tables, such as those of printers, count as sRGB.

    Example:
        >>> is_wide(display_p3()), is_wide(Colours.of_codes(1, 8).profile(grey=False))
        (True, False)
    """
    if profile[16:20] != b"RGB " or profile[36:40] != b"acsp" or b"A2B0" in profile[128 : 132 + 12 * _MOST_TAGS]:
        return False
    columns: list[Row] = []
    for name in (b"rXYZ", b"gXYZ", b"bXYZ"):
        entry = profile.find(name, 132, 132 + 12 * _MOST_TAGS)
        at = int.from_bytes(profile[entry + 4 : entry + 8], "big")
        if entry < 0 or profile[at : at + 4] != b"XYZ " or len(profile) < at + 20:
            return False
        x, y, z = struct.unpack_from(">iii", profile, at + 8)
        columns.append((x / 65536, y / 65536, z / 65536))
    red, green, blue = columns
    return _is_wide(((red[0], green[0], blue[0]), (red[1], green[1], blue[1]), (red[2], green[2], blue[2])))


_MOST_TAGS = 100
_BEYOND = 0.1
"""By how much the light of a primary may miss what sRGB has: television's miss it by 0.05, those of P3 by 0.2."""


def _is_wide(to_xyz_d50: Matrix) -> bool:
    primaries = _product(_xyz_d50_to_srgb(), to_xyz_d50)
    return any(not -_BEYOND <= light <= 1 + _BEYOND for row in primaries for light in row)


@lru_cache(maxsize=1)
def _xyz_d50_to_srgb() -> Matrix:
    return _inverse(_to_xyz_d50(_BT709))


# --- ICC profiles (ICC.1:2022) ---


@lru_cache(maxsize=32)
def _profile(primaries: tuple[XY, XY, XY, XY], gamma: float | None, grey: bool) -> bytes:
    curve = _curve(gamma)
    columns = tuple(zip(*_to_xyz_d50(primaries), strict=True))
    tags = {b"wtpt": _xyz(_D50)}
    if grey:
        tags[b"kTRC"] = curve
    else:
        for name, column in zip((b"r", b"g", b"b"), columns, strict=True):
            tags |= {name + b"XYZ": _xyz(column), name + b"TRC": curve}
    return _assembled(tags, b"GRAY" if grey else b"RGB ")


@lru_cache(maxsize=1)
def display_p3() -> bytes:
    """Return the ICC profile of Display P3, in the form that phones write it, of some 470 bytes.

    Example:
        >>> display_p3()[36:40], len(display_p3()) < 500
        (b'acsp', True)
    """
    columns = tuple(zip(*_to_xyz_d50(_P3), strict=True))
    adapted = tuple(value for row in _adaptation(_D65) for value in row)
    tags = {b"desc": _text("Display P3"), b"cprt": _text("CC0"), b"wtpt": _xyz(_D50)}
    # A white other than D50 has to be told (ICC.1:2022, 9.2.15).
    tags |= {b"chad": b"sf32\0\0\0\0" + struct.pack(">9i", *(round(value * 65536) for value in adapted))}
    tags |= {name + b"XYZ": _xyz(column) for name, column in zip((b"r", b"g", b"b"), columns, strict=True)}
    tags |= {name + b"TRC": _curve(None) for name in (b"r", b"g", b"b")}
    return _assembled(tags, b"RGB ", sharing=True)


def _assembled(tags: Mapping[bytes, bytes], space: bytes, *, sharing: bool = False) -> bytes:
    """Return the profile that has these tags; where they may share, equal ones are written once."""
    table, bodies, places = struct.pack(">I", len(tags)), b"", dict[bytes, int]()
    start = 128 + 4 + 12 * len(tags)
    for name, body in tags.items():
        place = places.get(body) if sharing else None
        if place is None:
            place = places[body] = start + len(bodies)
            bodies += body.ljust(-len(body) % 4 + len(body), b"\0")
        table += name + struct.pack(">II", place, len(body))
    size = start + len(bodies)
    header = struct.pack(">I4s4s4s4s4s", size, b"\0\0\0\0", b"\x04\x20\0\0", b"mntr", space, b"XYZ ")
    header += bytes(12) + b"acsp" + bytes(28) + struct.pack(">iii", *_fixed(_D50))
    return header.ljust(128, b"\0") + table + bodies


_D50: Row = (0.9642, 1.0, 0.8249)


def _fixed(values: Row) -> tuple[int, int, int]:
    first, second, third = (round(value * 65536) for value in values)
    return first, second, third


def _text(text: str) -> bytes:
    """Return a text in one language (ICC.1:2022, 10.15)."""
    coded = text.encode("utf-16-be")
    return b"mluc\0\0\0\0" + struct.pack(">II4sII", 1, 12, b"enUS", len(coded), 28) + coded


def _xyz(values: Row) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">iii", *_fixed(values))


def _curve(gamma: float | None) -> bytes:
    if gamma is None:
        # sRGB, as a parametric curve of type 3 (IEC 61966-2-1).
        values = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
        return b"para\0\0\0\0\0\3\0\0" + struct.pack(">5i", *(round(value * 65536) for value in values))
    return b"para\0\0\0\0\0\0\0\0" + struct.pack(">i", round(gamma * 65536))


_BRADFORD: Matrix = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))


def _times(matrix: Matrix, vector: Row) -> Row:
    first, second, third = (sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix)
    return first, second, third


def _product(left: Matrix, right: Matrix) -> Matrix:
    columns = [_times(left, (a, b, c)) for a, b, c in zip(*right, strict=True)]
    first, second, third = zip(*columns, strict=True)
    return first, second, third


def _inverse(matrix: Matrix) -> Matrix:
    (a, b, c), (d, e, f), (g, h, i) = matrix
    scale = 1 / (a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g))
    return (
        ((e * i - f * h) * scale, (c * h - b * i) * scale, (b * f - c * e) * scale),
        ((f * g - d * i) * scale, (a * i - c * g) * scale, (c * d - a * f) * scale),
        ((d * h - e * g) * scale, (b * g - a * h) * scale, (a * e - b * d) * scale),
    )


def _to_xyz(primaries: tuple[XY, XY, XY, XY]) -> Matrix:
    """Return the matrix from linear samples to CIE XYZ (SMPTE RP 177)."""
    columns: list[Row] = [(x / y, 1.0, (1 - x - y) / y) for x, y in primaries]
    (r, g, b), white = columns[:3], columns[3]
    unscaled: Matrix = ((r[0], g[0], b[0]), (r[1], g[1], b[1]), (r[2], g[2], b[2]))
    red, green, blue = _times(_inverse(unscaled), white)
    scale: Matrix = ((red, 0.0, 0.0), (0.0, green, 0.0), (0.0, 0.0, blue))
    return _product(unscaled, scale)


def _to_xyz_d50(primaries: tuple[XY, XY, XY, XY]) -> Matrix:
    return _product(_adaptation(primaries[3]), _to_xyz(primaries))


def _adaptation(white: XY) -> Matrix:
    """Return the matrix by which colours under a white look alike under D50."""
    x, y = white
    source, target = _times(_BRADFORD, (x / y, 1.0, (1 - x - y) / y)), _times(_BRADFORD, _D50)
    scale: Matrix = (
        (target[0] / source[0], 0.0, 0.0),
        (0.0, target[1] / source[1], 0.0),
        (0.0, 0.0, target[2] / source[2]),
    )
    return _product(_product(_inverse(_BRADFORD), scale), _BRADFORD)


# --- HDR ---

_GRID = 49
"""Steps of each sample in the table: interpolated, it is off by a level or two, and by four near the peak."""


@lru_cache(maxsize=8)
def _tone_map(primaries: tuple[XY, XY, XY, XY], transfer: int, target: tuple[XY, XY, XY, XY]) -> ImageFilter.Color3DLUT:
    """Return the table by which HDR becomes sRGB, or a space with its curve and other primaries.

    Samples become light relative to the reference white; light is compressed by Reinhard's curve on the greatest of
    the three samples, so that hues stay and the peak becomes white, as Chromium does; what the space lacks is cut.
    """
    levels = [_light(step / (_GRID - 1), transfer) for step in range(_GRID)]
    to_target = _product(_inverse(_to_xyz(target)), _to_xyz(primaries))
    luma = _to_xyz(primaries)[1]
    peak = _PEAK / _REFERENCE_WHITE

    def shown(red: float, green: float, blue: float) -> list[float]:
        if transfer == HLG:
            # The scene's light becomes the display's (BT.2100, table 5, for 1,000 candelas).
            gain = sum(a * b for a, b in zip(luma, (red, green, blue), strict=True)) ** 0.2 * peak
            red, green, blue = red * gain, green * gain, blue * gain
        most = max(red, green, blue)
        scale = (1 + most / peak**2) / (1 + most)
        return [srgb_encoded(value * scale) for value in _times(to_target, (red, green, blue))]

    table = chain.from_iterable(shown(red, green, blue) for blue in levels for green in levels for red in levels)
    return ImageFilter.Color3DLUT(_GRID, list(table))


def _light(sample: float, transfer: int) -> float:
    """Return the light that a sample stands for: of the display over the reference white (PQ), of the scene (HLG)."""
    if transfer == PQ:
        # SMPTE ST 2084.
        root = sample ** (1 / 78.84375)
        light = max(root - 0.8359375, 0.0) / (18.8515625 - 18.6875 * root)
        return float(10_000 / _REFERENCE_WHITE * light ** (1 / 0.1593017578125))
    if sample <= 0.5:
        return sample**2 / 3
    return (math.exp((sample - 0.55991073) / 0.17883277) + 0.28466892) / 12


def srgb_encoded(light: float) -> float:
    """Return the sRGB sample, from 0 to 1, that stands for this share of the brightest light (IEC 61966-2-1)."""
    light = min(max(light, 0.0), 1.0)
    return 12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055
