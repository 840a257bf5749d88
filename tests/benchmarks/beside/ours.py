"""Makes each photo 400 pixels wide with this library: `ours.py PHOTOS OUTPUT`."""

from __future__ import annotations

import sys

from jinja_imagekit import ImageKit
from jinja_imagekit.processors import ResizeToFit
from jinja_imagekit.sourcegroups import GlobSourceGroup


def main(photos: str, output: str) -> None:
    kit = ImageKit(source_dirs=[photos], location=output, state_dir=f"{output}-state")
    kit.spec("beside:small", processors=[ResizeToFit(400)])
    kit.register.source_group("beside:small", GlobSourceGroup("[!j]*"))
    kit.spec("beside:jpeg", processors=[ResizeToFit(400)], format="JPEG")
    kit.register.source_group("beside:jpeg", GlobSourceGroup("jpeg-*"))
    report = kit.generate()
    for outcome in (*report.generated, *report.skipped):
        print(f"{outcome.source}|{outcome.name}")
    for outcome in report.failed:
        print(f"{outcome.source}|!{outcome.reason}")


if __name__ == "__main__":
    main(*sys.argv[1:])
