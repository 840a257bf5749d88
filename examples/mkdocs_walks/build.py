"""Builds the site: draws the photos that its pages name, then runs MkDocs."""

from __future__ import annotations

import sys
from pathlib import Path

from mkdocs.__main__ import cli

sys.path.append(str(Path(__file__).resolve().parents[1]))  # drawing.py stands one folder up, beside all examples

import drawing

HERE = Path(__file__).resolve().parent

PHOTOS = {
    "river": (1800, 1200, 5),
    "weir": (1800, 1200, 9),
    "lock": (1000, 1400, 41),
    "dunes": (2400, 1000, 17),
    "coast": (1800, 1200, 24),
}
"""Width, height and seed of each photo."""


def draw_missing() -> None:
    """Draw the photos that are not there yet."""
    for name, size in PHOTOS.items():
        path = HERE / f"docs/photos/{name}.jpg"
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(drawing.jpeg(*size, quality=88))


def main() -> None:
    """Build, and say where the result is."""
    draw_missing()
    cli(["build", "--quiet", "--config-file", str(HERE / "mkdocs.yml")], standalone_mode=False)
    print(f"Open it in a browser: {(HERE / 'site/index.html').as_uri()}")


if __name__ == "__main__":
    main()
