"""Builds the blog: draws the photos of the articles, then runs Pelican."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pelican import main as run_pelican

sys.path.append(str(Path(__file__).resolve().parents[1]))  # drawing.py stands one folder up, beside all examples

import drawing

HERE = Path(__file__).resolve().parent

PHOTOS = {
    "walks/the-long-weir/weir.jpg": (1800, 1200, 5),
    "walks/the-long-weir/lock.jpg": (1000, 1400, 41),
    "walks/embers/embers.jpg": (1800, 1200, 6),
    "walks/embers/afterwards.jpg": (1500, 1000, 1),
    "walks/above-the-inversion/ridge.jpg": (1800, 1200, 22),
    "walks/heather-week/heather.jpg": (1800, 1200, 9),
    "walks/heather-week/detail.jpg": (1200, 1200, 29),
    "walks/the-empty-quarter/quarter.jpg": (2400, 1000, 17),
    "walks/first-frost/frost.jpg": (1800, 1200, 13),
    "walks/two-lakes/near.jpg": (1800, 1200, 8),
    "walks/two-lakes/far.jpg": (1800, 1200, 3),
    "walks/an-hour-before-rain/rain.jpg": (1800, 1200, 33),
    "walks/the-drovers-road/road.jpg": (1800, 1200, 27),
    "shared/pass.jpg": (1800, 1200, 12),
    "shared/fell.jpg": (1800, 1200, 18),
    "shared/coast.jpg": (1800, 1200, 24),
}
"""Width, height and seed of each photo, by its name below the content folder."""


def draw_missing() -> int:
    """Draw the photos that are not there yet, and return how many those were."""
    missing = {HERE / "content" / name: size for name, size in PHOTOS.items() if not (HERE / "content" / name).exists()}
    for target, (width, height, seed) in missing.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.stem == "lock":
            # A phone that was held upright: the file is on its side, and says so.
            target.write_bytes(drawing.oriented(drawing.photo(width, height, seed), 6, quality=88))
        else:
            target.write_bytes(drawing.jpeg(width, height, seed, quality=88))
    return len(missing)


def main() -> None:
    """Build, and say where the result is."""
    os.chdir(HERE)
    print(f"{draw_missing()} photos drawn")
    run_pelican(["--settings", "pelicanconf.py"])
    print(f"Open it in a browser: {(HERE / 'output/index.html').as_uri()}")


if __name__ == "__main__":
    main()
