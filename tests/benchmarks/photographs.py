"""Draws the photographs that the benchmarks measure with: 12 megapixels each, in a folder that is kept."""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

import drawing

VARIANTS = (None, Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.FLIP_TOP_BOTTOM, Image.Transpose.ROTATE_180)


def draw_photographs(folder: Path, count: int, size: tuple[int, int] = (4000, 3000), quality: int = 88) -> list[Path]:
    """Return the paths of so many JPEG photographs, drawn where they are missing.

    Args:
        folder: Where they are kept.
        count: How many; every fourth is drawn anew, and the others are its mirror images.
        size: Width and height in pixels.
        quality: Of the JPEG encoder; 88 gives 12 megapixels about the 4 MB of a camera's file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"photo-{number:03}.jpg" for number in range(count)]
    for start in range(0, count, len(VARIANTS)):
        missing = [(path, variant) for path, variant in zip(paths[start:], VARIANTS, strict=False) if not path.exists()]
        if missing:
            photo = drawing.photo(*size, seed=start)
            for path, variant in missing:
                (photo.transpose(variant) if variant is not None else photo).save(path, quality=quality)
    return paths


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("count", type=int, nargs="?", default=100)
    arguments = parser.parse_args()
    drawn = draw_photographs(arguments.folder, arguments.count)
    total = sum(path.stat().st_size for path in drawn)
    print(f"{len(drawn)} photographs, {total / len(drawn) / 1e6:.1f} MB each, in {arguments.folder}")
