"""The pictures of the gallery: their captions are in `pictures.toml`, and how each is drawn is here."""

from __future__ import annotations

import sys
import tomllib
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
    look_for: str
    transparent: bool = False

    @property
    def slug(self) -> str:
        """The name of its page."""
        return PurePosixPath(self.name).stem


CAPTIONS = Path(__file__).with_name("pictures.toml").read_text(encoding="utf-8")
PICTURES = [Picture(**each) for each in tomllib.loads(CAPTIONS)["picture"]]


def _photo(width: int, height: int, seed: int, format: str = "JPEG") -> bytes:
    return drawing.encoded(drawing.photo(width, height, seed), format, quality=88)


def _phone(seed: int, orientation: int) -> bytes:
    return drawing.oriented(drawing.with_corners(drawing.photo(960, 1280, seed)), orientation, quality=88)


def _rolling(format: str, transparent: bool) -> bytes:
    frames = drawing.frames(600, 450, count=7, seed=2, transparent=transparent)
    return drawing.animated(format, frames, [120, 80, 80, 120, 80, 80, 400])


DRAWN: dict[str, Callable[[], bytes]] = {
    "first-light": lambda: _photo(1920, 1280, 5),
    "embers": lambda: _photo(1920, 1280, 6),
    "tall-order": lambda: _photo(1280, 1920, 7),
    "long-view": lambda: _photo(2700, 900, 22),
    "north-shore": lambda: _photo(1500, 1000, 8, "WEBP"),
    "heather": lambda: _photo(1500, 1000, 9, "AVIF"),
    "upright-phone": lambda: _phone(10, 6),
    "front-camera": lambda: _phone(12, 7),
    "wide-gamut": lambda: drawing.wide_gamut(drawing.photo(1500, 1000, 6), quality=88),
    "red-for-blue": lambda: drawing.swapped_channels(drawing.photo(1500, 1000, 21), quality=88),
    "grey-profile": lambda: drawing.profiled_grey(drawing.photo(1500, 1000, 13), quality=88),
    "soft-edge": lambda: drawing.alpha_png(drawing.photo(1000, 750, 3)),
    "grey-soft-edge": lambda: drawing.grey_alpha_png(drawing.photo(1000, 750, 4)),
    "palette": lambda: drawing.palette_png(drawing.photo(1000, 750, 2)),
    "sixteen-bits": lambda: drawing.sixteen_bit_png(drawing.photo(1000, 750, 15)),
    "four-inks": lambda: drawing.cmyk_jpeg(drawing.photo(1500, 1000, 17), quality=88),
    "on-press": lambda: drawing.cmyk_jpeg(drawing.photo(1500, 1000, 25), profiled=True, quality=90),
    "rolling": lambda: _rolling("GIF", transparent=False),
    "rolling-through": lambda: _rolling("PNG", transparent=True),
    "private": lambda: drawing.encoded(drawing.photo(1500, 1000, 18), "JPEG", quality=88, exif=drawing.private_exif()),
}


def draw_missing(folder: Path) -> int:
    """Draw the pictures that `folder` lacks, and return how many those were."""
    missing = [picture for picture in PICTURES if not (folder / picture.name).exists()]
    for picture in missing:
        target = folder / picture.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(DRAWN[picture.slug]())
    return len(missing)
