"""Measures a page of pictures: planned without files, made, and warm against a loop written by hand.

Run it with `PYTHONPATH=examples python tests/benchmarks/pictures.py`. The hand-written loop looks at the same files
(one stat of the source, one of each candidate) and writes the same HTML from facts that it has in a list.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import time
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

from jinja2 import Environment, Template

import drawing
from jinja_imagekit import ImageKit

DEFERRED = "jinja_imagekit.cachefiles.strategies.Deferred"
TEMPLATE = "{% for name in names %}{% picture '200x' name -- alt='A hill' class='wide' %}{% endfor %}"


def draw(folder: Path, count: int) -> list[str]:
    """Draw small photos that differ in a pixel, and return their names."""
    folder.mkdir(parents=True, exist_ok=True)
    photo = drawing.photo(400, 300, seed=3)
    for number in range(count):
        path = folder / f"{number:04}.jpg"
        if not path.exists():
            photo.putpixel((0, 0), (number % 256, number // 256, 0))
            photo.save(path)
            os.utime(path, (1_000_000_000, 1_000_000_000))
    return [f"{number:04}.jpg" for number in range(count)]


def page(folder: Path, **settings: Any) -> tuple[ImageKit, Template]:
    """Return a kit as a new process would have it, and a page for it."""
    kit = ImageKit(
        source_dirs=[folder / "photos"], location=folder / "out", state_dir=folder / "state", base_url="/", **settings
    )
    return kit, kit.install(Environment(autoescape=True)).from_string(TEMPLATE)


def by_hand(facts: list[tuple[str, list[str], dict[str, Any]]]) -> str:
    """Return the page as somebody would write it who knows all facts and trusts that files change with their stat."""
    parts = []
    for source, files, told in facts:
        os.stat(source)
        for file in files:
            os.stat(file)
        half = len(told["candidates"]) // 2
        avif, webp = (
            escape(", ".join(f"{each['url']} {each['width']}w" for each in group))
            for group in (told["candidates"][:half], told["candidates"][half:])
        )
        sizes = escape(f"auto, {told['sizes']}")
        parts.append(
            f'<picture><source type="image/avif" srcset="{avif}" sizes="{sizes}"><img src="{escape(told["url"])}"'
            f' srcset="{webp}" sizes="{sizes}" width="{told["width"]}" height="{told["height"]}" loading="lazy"'
            f' decoding="async" alt="{escape("A hill")}" class="wide"'
            f' style="contain-intrinsic-size:{told["width"]}px {told["height"]}px"></picture>'
        )
    return "".join(parts)


def microseconds(count: int, work: Callable[[], object]) -> float:
    """Return how long something takes a picture."""
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) / count * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--folder", type=Path, default=Path("build/benchmarks/pictures"))
    arguments = parser.parse_args()
    folder, count = arguments.folder.absolute(), arguments.pictures
    names = draw(folder / "photos", count)
    for made in ("out", "state"):
        shutil.rmtree(folder / made, ignore_errors=True)

    kit, template = page(folder, default_cachefile_strategy=DEFERRED)
    planned = microseconds(count, lambda: template.render(names=names))
    begun = time.perf_counter()
    report = kit.finish()
    seconds = time.perf_counter() - begun
    kit.close()

    kit, template = page(folder, keep_notes=True)
    first = microseconds(count, lambda: template.render(names=names))
    html = template.render(names=names)
    facts = []
    for name in names:
        told = kit.picture("200x", name, alt="A hill").as_dict()
        files = [str(folder / "out" / each["name"]) for each in told["candidates"]]
        facts.append((str(folder / "photos" / name), files, told))
    assert len(by_hand(facts)) == len(html)
    ours, hand = [], []
    for _ in range(arguments.rounds):
        # In turn, so that both see the machine alike.
        ours.append(microseconds(count, lambda: template.render(names=names)))
        hand.append(microseconds(count, lambda: by_hand(facts)))
    kit.close()

    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; {count} pictures")
    print(f"planned, nothing made (first page)   {planned:8.0f} µs a picture")
    print(f"made, {len(report.generated)} files                     {seconds:8.1f} s")
    print(f"first page of a new process          {first:8.0f} µs a picture")
    for what, times in (("warm", ours), ("by hand, with the same stats", hand)):
        print(f"{what:36} {min(times):8.1f} µs a picture, {statistics.median(times):.1f} in the middle")
    print(f"warm / by hand                       {min(ours) / min(hand):8.2f} ×")


if __name__ == "__main__":
    main()
