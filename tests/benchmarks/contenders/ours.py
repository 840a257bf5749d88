"""Pregenerates with this library: `ours.py JOB PHOTOS OUTPUT [MARGIN]`."""

from __future__ import annotations

import sys
from pathlib import Path

from jinja_imagekit import ImageKit
from jinja_imagekit.processors import ResizeToFill, ResizeToFit
from jinja_imagekit.sourcegroups import GlobSourceGroup

WIDTHS = (400, 800, 1200)


def main(job: str, photos: str, output: str, margin: str = "1.5", *options: str) -> None:
    kit = ImageKit(source_dirs=[photos], location=output, state_dir=Path(output, ".state"), decode_margin=float(margin))
    if job == "fill":
        kit.spec("bench:fill", processors=(ResizeToFill(400, 300),), format="JPEG", options={"quality": 80})
    else:
        for width in WIDTHS:
            webp = {"quality": 80, "method": 4}
            kit.spec(f"bench:{width}", processors=(ResizeToFit(width),), format="WEBP", options=webp)
    for id in kit.generators.get_ids():
        if id.startswith("bench:"):
            kit.register.source_group(id, GlobSourceGroup("*.jpg"))
    report = kit.generate(workers=2, processes="processes" in options)
    assert report.ok, report.failed


if __name__ == "__main__":
    main(*sys.argv[1:])
