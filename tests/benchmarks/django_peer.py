"""Measures this library's Django shim against django-imagekit: pages of thumbnails that exist, and `generateimages`.

Run it with `PYTHONPATH=examples:. python tests/benchmarks/django_peer.py` where both are installed. Each contender runs
in a process of its own, in turn; the best page of a process counts, and the median of the processes is printed.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

from photographs import draw_photographs
from warm_tags import draw

SCRIPT = Path(__file__).parent / "contenders" / "django_project.py"
PACKAGES = ("imagekit", "jinja_imagekit.django")
PAGES = {"page": "{% thumbnail %}, 500 on a page", "field": "photo.thumbnail.url, 500 on a page"}


def run(package: str, photos: Path, output: Path, what: str, rounds: int) -> list[float]:
    """Return the numbers that a contender prints."""
    command = [sys.executable, str(SCRIPT), package, str(photos), str(output), what, str(rounds)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [float(number) for number in printed.split()]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument(
        "--photos", type=int, default=100, help="photographs of 12 megapixels; 0 leaves out generateimages"
    )
    parser.add_argument("--runs", type=int, default=3, help="of generateimages")
    parser.add_argument("--folder", type=Path, default=Path("build/benchmarks"))
    arguments = parser.parse_args()
    folder = arguments.folder.absolute()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    draw(folder / "small-photos")
    for what, label in PAGES.items():
        times: dict[str, list[float]] = {package: [] for package in PACKAGES}
        # The first process of each makes the images.
        for number in range(arguments.processes + 1):
            for package in PACKAGES:
                output = folder / "django" / package
                (best, _) = run(package, folder / "small-photos", output, what, arguments.rounds if number else 1)
                times[package] += [best] if number else []
        tell(label, {package: statistics.median(each) for package, each in times.items()}, "µs")
    for cache in ("locmem", "file"):
        first: dict[str, list[float]] = {package: [] for package in PACKAGES}
        for number in range(arguments.processes + 1):
            for package in PACKAGES:
                output = folder / f"django-{cache}" / package
                milliseconds, opened = run(package, folder / "small-photos", output, cache, 1)
                first[package] += [milliseconds] if number else []
                if number == arguments.processes:
                    print(f"originals that the first page opens, {cache}, {package}: {opened:.0f}")
        label = f"first page of a process, 200 thumbnails, the cache {cache}"
        tell(label, {package: statistics.median(each) for package, each in first.items()}, "ms")
    if not arguments.photos:
        return
    photographs = folder / "photographs"
    draw_photographs(photographs, arguments.photos)
    seconds: dict[str, list[float]] = {package: [] for package in PACKAGES}
    for _ in range(arguments.runs):
        for package in PACKAGES:
            shutil.rmtree(folder / "django-generated", ignore_errors=True)
            seconds[package] += run(package, photographs, folder / "django-generated", "generate", 1)
    label = f"generateimages, {arguments.photos} photographs of 12 MP"
    tell(label, {package: statistics.median(each) for package, each in seconds.items()}, "s")


def tell(label: str, medians: dict[str, float], unit: str) -> None:
    """Print two times and their ratio."""
    theirs, ours = (medians[package] for package in PACKAGES)
    print(f"{label}: django-imagekit {theirs:.1f} {unit}, the shim {ours:.1f} {unit}: {theirs / ours:.1f} × as fast")


if __name__ == "__main__":
    main()
