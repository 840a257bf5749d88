"""Finds in an image's metadata where its subject is: what an editor marked, faces, what the camera focused on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

from .metadata import Directory, read_directory
from .xmp import read_xmp

Box = tuple[float, float, float, float]
"""Left, top, right and bottom, as fractions of the image as it is stored."""

_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_IDENTIFIER = "http://ns.adobe.com/xap/1.0/Identifier"
_MWG = "http://www.metadataworkinggroup.com/schemas/regions/"
_AREA = "http://ns.adobe.com/xmp/sType/Area#"
_DIMENSIONS = "http://ns.adobe.com/xap/1.0/sType/Dimensions#"

_ROLES = ("mainSubjectArea", "areaOfInterest", "subjectArea", "recomCropping", "cropping")
"""Terms of IPTC's vocabulary of image region roles, the one that counts most first."""

_EXIF_IFD = 0x8769
_SUBJECT_AREA, _PIXEL_WIDTH, _PIXEL_HEIGHT = 0x9214, 0xA002, 0xA003
_MOST_EXIF_BYTES = 1 << 20
"""A TIFF file is its own EXIF block, and not looked through."""

_MARKS = (f"{_MWG}".encode(), b"ImageRegion")
_ALIKE = 0.02
"""By how much proportions may differ, relatively: those of a picture that was cropped afterwards differ by more."""

_CENTRED = 0.02
"""How far from the middle the centre of a subject area must be to tell anything: cameras write it by default."""

_POINT = 0.01
"""Half the width of the box that stands for a point."""


def subject_box(exif: bytes, xmp: bytes, size: tuple[int, int]) -> Box | None:
    """Return the box of an image's subject by its metadata; None if nothing in it says where that is.

    What an editor marked as an IPTC image region goes before faces (regions of the Metadata Working Group), and these
    go before the `SubjectArea` of EXIF. Several faces, and several regions of a kind, are one box.

    Args:
        exif: The EXIF block.
        xmp: The XMP packet.
        size: Width and height in pixels, as stored.
    """
    properties = read_xmp(xmp) if any(mark in xmp for mark in _MARKS) else {}
    boxes = _iptc_regions(properties, size) or list(_faces(properties, size)) or list(_subject_area(exif, size))
    if not boxes:
        return None
    left, top = (min(box[at] for box in boxes) for at in (0, 1))
    right, bottom = (max(box[at] for box in boxes) for at in (2, 3))
    return left, top, right, bottom


def upright(box: Box, orientation: int) -> Box:
    """Return a box of a stored image as one of the upright image.

    Example:
        >>> upright((0.0, 0.0, 0.25, 0.5), 6)
        (0.5, 0.0, 1.0, 0.25)
    """
    left, top, right, bottom = box
    # EXIF 2.32, tag 0x0112: what is turned by a quarter or mirrored along a diagonal has its axes exchanged.
    if orientation >= 5:
        left, top, right, bottom = top, left, bottom, right
    if orientation in (2, 3, 6, 7):
        left, right = round(1 - right, 4), round(1 - left, 4)
    if orientation in (3, 4, 7, 8):
        top, bottom = round(1 - bottom, 4), round(1 - top, 4)
    return left, top, right, bottom


def _box(left: float, top: float, right: float, bottom: float) -> Iterator[Box]:
    """Yield a box cut to the image, with as many decimals as names of files depend on; nothing if none is left."""
    sides = [round(min(1.0, max(0.0, side)), 4) for side in (left, top, right, bottom)]
    if sides[0] < sides[2] and sides[1] < sides[3]:
        yield sides[0], sides[1], sides[2], sides[3]


def _around(x: float, y: float, width: float, height: float) -> Iterator[Box]:
    half = max(width / 2, _POINT), max(height / 2, _POINT)
    return _box(x - half[0], y - half[1], x + half[0], y + half[1])


def _numbers(structure: Any, *names: str) -> tuple[float, ...] | None:
    """Return numbers of a structure; None if one is missing or is none."""
    try:
        numbers = tuple(float(structure[name]) for name in names)
    except (TypeError, KeyError, ValueError):
        return None
    return numbers if all(map(math.isfinite, numbers)) else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _of_size(own: tuple[float, ...] | None, size: tuple[int, int]) -> bool:
    """Tell whether an image had the proportions that it has now when somebody measured it."""
    if own is None or min(own) <= 0:
        return own is None
    return abs(own[0] * size[1] / (own[1] * size[0]) - 1) <= _ALIKE


# --- IPTC Photo Metadata Standard 2023.1, "Image Region" ---


def _iptc_regions(properties: dict[str, Any], size: tuple[int, int]) -> list[Box]:
    regions = [each for each in _list(properties.get(f"{_IPTC}ImageRegion")) if isinstance(each, dict)]
    for role in _ROLES:
        boxes = [box for each in regions if role in _roles(each) for box in _boundary(each, size)]
        if boxes:
            return boxes
    return []


def _roles(region: dict[str, Any]) -> Iterator[str]:
    for role in _list(region.get(f"{_IPTC}rRole")):
        if isinstance(role, dict):
            yield from (str(each).rpartition("/")[2] for each in _list(role.get(_IDENTIFIER)))


def _boundary(region: dict[str, Any], size: tuple[int, int]) -> Iterable[Box]:
    boundary = region.get(f"{_IPTC}RegionBoundary")
    if not isinstance(boundary, dict):
        return ()
    across, down = size if boundary.get(f"{_IPTC}rbUnit") == "pixel" else (1, 1)
    match boundary.get(f"{_IPTC}rbShape"):
        case "rectangle" if at := _numbers(boundary, *(f"{_IPTC}rb{each}" for each in "XYWH")):
            return _box(at[0] / across, at[1] / down, (at[0] + at[2]) / across, (at[1] + at[3]) / down)
        case "circle" if at := _numbers(boundary, *(f"{_IPTC}rb{each}" for each in ("X", "Y", "Rx"))):
            # The radius is one of the width.
            width = 2 * at[2] / across
            return _around(at[0] / across, at[1] / down, width, width * size[0] / size[1])
        case "polygon":
            points = [
                _numbers(each, f"{_IPTC}rbX", f"{_IPTC}rbY") for each in _list(boundary.get(f"{_IPTC}rbVertices"))
            ]
            xs, ys = ([each[axis] for each in points if each] for axis in (0, 1))
            if xs:
                return _box(min(xs) / across, min(ys) / down, max(xs) / across, max(ys) / down)
    return ()


# --- Metadata Working Group, Guidelines 2.0, 5.9 "Image region metadata" ---


def _faces(properties: dict[str, Any], size: tuple[int, int]) -> Iterator[Box]:
    info = properties.get(f"{_MWG}Regions")
    if not isinstance(info, dict):
        return
    dimensions = info.get(f"{_MWG}AppliedToDimensions")
    if not _of_size(_numbers(dimensions, f"{_DIMENSIONS}w", f"{_DIMENSIONS}h"), size):
        return
    for region in _list(info.get(f"{_MWG}RegionList")):
        if isinstance(region, dict) and region.get(f"{_MWG}Type", "Face") in ("Face", "Pet"):
            area = region.get(f"{_MWG}Area")
            at = _numbers(area, *(f"{_AREA}{each}" for each in "xywh"))
            if at:
                yield from _around(at[0], at[1], at[2], at[3])


# --- EXIF 2.32, tag 0x9214 ---


def _subject_area(exif: bytes, size: tuple[int, int]) -> Iterator[Box]:
    if len(exif) > _MOST_EXIF_BYTES or (b"\x92\x14" not in exif and b"\x14\x92" not in exif):
        return
    directory = read_directory(exif, pointer=_EXIF_IFD)
    area = directory.numbers(_SUBJECT_AREA)
    whole = _pixels(directory) or size
    if len(area) not in (2, 3, 4) or not _of_size(whole, size):
        return
    x, y = area[0] / whole[0], area[1] / whole[1]
    # A circle has one number, its diameter.
    width, height = (area[2], area[-1]) if len(area) > 2 else (0, 0)
    if max(abs(x - 0.5), abs(y - 0.5)) > _CENTRED:
        yield from _around(x, y, width / whole[0], height / whole[1])


def _pixels(directory: Directory) -> tuple[int, int] | None:
    width, height = (directory.number(tag, 0) for tag in (_PIXEL_WIDTH, _PIXEL_HEIGHT))
    return (width, height) if width and height else None
