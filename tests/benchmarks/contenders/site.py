"""Builds a site of pages with five thumbnails each: `site.py PHOTOS OUTPUT PAGES`; prints the seconds of each part.

What it prints is how long installing took, then rendering all pages, writing them, `finish()`, `publish()`, all in all
without the writing, which is the same for every tool, and how many images were made.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from jinja2 import Environment

from jinja_imagekit import ImageKit

IMAGES = 5
TEMPLATE = """<!doctype html><title>{{ number }}</title>
{% for photo in photos %}{% thumbnail '100x75' photo -- alt='A photo' %}
{% endfor %}"""


def main(photos: str, output: str, pages: str) -> None:
    begun = time.perf_counter()
    kit = ImageKit(
        source_dirs=[photos],
        location=Path(output, "cache"),
        state_dir=Path(output, "state"),
        default_cachefile_strategy="Deferred",
    )
    template = kit.install(Environment(autoescape=True)).from_string(TEMPLATE)
    moments = [time.perf_counter()]
    site = Path(output, "site")
    site.mkdir(parents=True, exist_ok=True)
    rendered = {}
    for number in range(int(pages)):
        names = [f"{number * IMAGES + each:05}.jpg" for each in range(IMAGES)]
        rendered[site / f"{number:04}.html"] = template.render(number=number, photos=names)
    moments.append(time.perf_counter())
    for path, html in rendered.items():
        path.write_text(html, encoding="utf-8")
    moments.append(time.perf_counter())
    report = kit.finish()
    assert report.ok, report.failed[:3]
    moments.append(time.perf_counter())
    assert kit.publish(site).ok
    kit.close()
    moments.append(time.perf_counter())
    parts = [after - before for before, after in zip([begun, *moments], moments, strict=False)]
    print(*(f"{part:.3f}" for part in (*parts, sum(parts) - parts[2])), len(report.generated))


if __name__ == "__main__":
    main(*sys.argv[1:])
