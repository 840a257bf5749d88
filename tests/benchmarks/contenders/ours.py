"""Pregenerates with this library's command: `ours.py JOB PHOTOS OUTPUT [MARGIN [RESIZER [OPTION …]]]`."""

from __future__ import annotations

import os
import sys

from jinja_imagekit.cli import main as command


def main(job: str, photos: str, output: str, margin: str = "1.5", resizer: str = "pillow", *options: str) -> None:
    os.environ["BENCH_JOB"] = "|".join([job, photos, output, margin, resizer])
    sys.path.insert(0, os.path.dirname(__file__))
    command(["--kit", "command:kit", "generate", "--quiet", "--workers", "2", *options])


if __name__ == "__main__":
    main(*sys.argv[1:])
