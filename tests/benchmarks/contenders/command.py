"""A site whose images `jinja-imagekit` makes: `kit` for the job and folders that the environment names."""

from __future__ import annotations

import os
from pathlib import Path

from jinja_imagekit import ImageKit
from jinja_imagekit.processors import ResizeToFill, ResizeToFit
from jinja_imagekit.sourcegroups import GlobSourceGroup

WIDTHS = (400, 800, 1200)


def made(job: str, photos: str, output: str, margin: str = "1.5", resizer: str = "pillow") -> ImageKit:
    """Return the kit of a job."""
    folder = Path(output, ".state")
    kit = ImageKit(
        source_dirs=[photos], location=output, state_dir=folder, decode_margin=float(margin), resizer=resizer
    )
    if job == "fill":
        kit.spec("bench:fill", processors=(ResizeToFill(400, 300),), format="JPEG", options={"quality": 80})
    else:
        for width in WIDTHS:
            webp = {"quality": 80, "method": 4}
            kit.spec(f"bench:{width}", processors=(ResizeToFit(width),), format="WEBP", options=webp)
    for id in kit.generators.get_ids():
        if id.startswith("bench:"):
            kit.register.source_group(id, GlobSourceGroup("*.jpg"))
    return kit


if "BENCH_JOB" in os.environ:
    kit = made(*os.environ["BENCH_JOB"].split("|"))
