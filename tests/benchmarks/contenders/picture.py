"""Makes pictures of five widths: `picture.py FORMATS PHOTOS OUTPUT [EFFORT [RESIZER]]`; FORMATS as in `AVIF,WEBP`."""

from __future__ import annotations

import sys
from pathlib import Path

from jinja_imagekit import ImageKit

WIDTHS = (400, 600, 800, 1200, 1600)


def main(formats: str, photos: str, output: str, effort: str = "balanced", resizer: str = "pillow") -> None:
    kit = ImageKit(
        source_dirs=[photos],
        location=output,
        state_dir=Path(output, ".state"),
        default_cachefile_strategy="Deferred",
        resizer=resizer,
        effort=effort,
    )
    for path in sorted(Path(photos).glob("*.jpg")):
        kit.picture("800x", path.name, widths=WIDTHS, formats=formats.split(","), alt="A photo").html()
    report = kit.finish(workers=2)
    assert report.ok, report.failed
    kit.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
