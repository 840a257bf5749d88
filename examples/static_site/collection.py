"""The pictures of the gallery: what each is, what to look for, and how it is drawn."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

sys.path.append(str(Path(__file__).resolve().parents[1]))  # drawing.py stands one folder up, beside all examples

import drawing


@dataclass(frozen=True)
class Picture:
    """One image of the gallery and its captions."""

    name: str
    """Its file name below `content/images`."""
    title: str
    kind: str
    """What is special about the file."""
    look_for: str
    """What a right result shows."""
    draw: Callable[[], bytes]
    transparent: bool = False

    @property
    def slug(self) -> str:
        """The name of its page."""
        return PurePosixPath(self.name).stem


def _photo(width: int, height: int, seed: int, format: str = "JPEG") -> Callable[[], bytes]:
    return lambda: drawing.encoded(drawing.photo(width, height, seed), format, quality=88)


def _marked(width: int, height: int, seed: int, orientation: int) -> Callable[[], bytes]:
    return lambda: drawing.oriented(drawing.with_corners(drawing.photo(width, height, seed)), orientation, quality=88)


def _rolling(format: str, transparent: bool) -> bytes:
    frames = drawing.frames(600, 450, count=7, seed=2, transparent=transparent)
    return drawing.animated(format, frames, [120, 80, 80, 120, 80, 80, 400])


PICTURES = (
    Picture("photos/first-light.jpg", "First light", "JPEG", "An ordinary landscape photo.", _photo(1920, 1280, 5)),
    Picture("photos/embers.jpg", "Embers", "JPEG", "Smooth colour from violet to orange.", _photo(1920, 1280, 6)),
    Picture("photos/tall-order.jpg", "Tall order", "JPEG, portrait", "Taller than wide.", _photo(1280, 1920, 7)),
    Picture("photos/long-view.jpg", "The long view", "JPEG, panorama", "Three times as wide.", _photo(2700, 900, 22)),
    Picture("photos/north-shore.webp", "North shore", "WebP", "Like any other photo.", _photo(1500, 1000, 8, "WEBP")),
    Picture("photos/heather.avif", "Heather", "AVIF", "Like any other photo.", _photo(1500, 1000, 9, "AVIF")),
    Picture(
        "special/upright-phone.jpg",
        "A phone, held upright",
        "EXIF orientation 6",
        "The arrow points up; red is top left, green top right, blue bottom left.",
        _marked(960, 1280, 10, 6),
    ),
    Picture(
        "special/front-camera.jpg",
        "A front camera",
        "EXIF orientation 7, mirrored",
        "The arrow points up; red is top left, green top right, blue bottom left.",
        _marked(960, 1280, 12, 7),
    ),
    Picture(
        "special/wide-gamut.jpg",
        "Wide gamut",
        "ICC profile like Adobe RGB",
        "Full colour: without its profile this picture is faded.",
        lambda: drawing.wide_gamut(drawing.photo(1500, 1000, 6), quality=88),
    ),
    Picture(
        "special/red-for-blue.jpg",
        "Red for blue",
        "ICC profile that swaps channels",
        "An orange evening: without its profile it is blue.",
        lambda: drawing.swapped_channels(drawing.photo(1500, 1000, 21), quality=88),
    ),
    Picture(
        "special/grey-profile.jpg",
        "Linear grey",
        "Grey ICC profile, gamma 1.0",
        "Well-lit greys: without its profile the picture is nearly black.",
        lambda: drawing.profiled_grey(drawing.photo(1500, 1000, 13), quality=88),
    ),
    Picture(
        "special/soft-edge.png",
        "Soft edge",
        "PNG with alpha",
        "A disc that melts into the chequers.",
        lambda: drawing.alpha_png(drawing.photo(1000, 750, 3)),
        transparent=True,
    ),
    Picture(
        "special/grey-soft-edge.png",
        "Grey, soft edge",
        "PNG with grey and alpha (LA)",
        "A grey disc that melts into the chequers.",
        lambda: drawing.grey_alpha_png(drawing.photo(1000, 750, 4)),
        transparent=True,
    ),
    Picture(
        "special/palette.png",
        "A palette of 256",
        "Palette PNG with tRNS",
        "A disc in few colours; chequers around it, no black corners.",
        lambda: drawing.palette_png(drawing.photo(1000, 750, 2)),
        transparent=True,
    ),
    Picture(
        "special/sixteen-bits.png",
        "Sixteen bits",
        "16-bit grey PNG",
        "A grey landscape; clipped instead of scaled it would be white.",
        lambda: drawing.sixteen_bit_png(drawing.photo(1000, 750, 15)),
    ),
    Picture(
        "special/four-inks.jpg",
        "Four inks",
        "CMYK without a profile",
        "Natural colours, not a negative.",
        lambda: drawing.cmyk_jpeg(drawing.photo(1500, 1000, 17), quality=88),
    ),
    Picture(
        "special/on-press.jpg",
        "On press",
        "CMYK with its printer's profile",
        "As bright as the other photos; dark where the profile is dropped.",
        lambda: drawing.cmyk_jpeg(drawing.photo(1500, 1000, 25), profiled=True, quality=90),
    ),
    Picture(
        "special/rolling.gif",
        "Rolling",
        "Animated GIF",
        "A ball bounces once from left to right, rests, and starts again.",
        lambda: _rolling("GIF", transparent=False),
    ),
    Picture(
        "special/rolling-through.png",
        "Rolling through",
        "Animated PNG with alpha",
        "The same ball over chequers, without a trail.",
        lambda: _rolling("PNG", transparent=True),
        transparent=True,
    ),
    Picture(
        "special/private.jpg",
        "Private matters",
        "EXIF with position and names",
        "Nothing to see: the results carry no position, no camera, no names.",
        lambda: drawing.encoded(drawing.photo(1500, 1000, 18), "JPEG", quality=88, exif=drawing.private_exif()),
    ),
)


def draw_missing(folder: Path) -> int:
    """Draw the pictures that `folder` lacks, and return how many those were."""
    missing = [picture for picture in PICTURES if not (folder / picture.name).exists()]
    for picture in missing:
        target = folder / picture.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(picture.draw())
    return len(missing)
