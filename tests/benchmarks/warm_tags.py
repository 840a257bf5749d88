"""Measures what a thumbnail tag takes once its image exists, against its peers and a bare `{{ x }}`.

Run it with `PYTHONPATH=examples python tests/benchmarks/warm_tags.py`. Every contender renders a page of 500 tags
in a process of its own, the contenders in turn; the best round of each process counts, the median of processes is
printed. django-imagekit and easy-thumbnails are in a virtual environment below `build/benchmarks`.
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

from pregenerate import CONTENDERS, django_environment

import drawing

JINJA = ("ours", "ours, filter", "ours, as and url", "by hand", "bare")
DJANGO = ("django-imagekit", "easy-thumbnails")
TAGS = 500


def draw(folder: Path) -> None:
    """Draw as many photos as the page has tags."""
    folder.mkdir(parents=True, exist_ok=True)
    photo = drawing.photo(640, 480, seed=3)
    for number in range(TAGS):
        path = folder / f"{number:03}.jpg"
        if not path.exists():
            photo.putpixel((0, 0), (number % 256, number // 256, 0))
            photo.save(path)


def run(python: str, script: str, what: str, photos: Path, output: Path, rounds: int) -> list[float]:
    """Return the microseconds a tag that a contender prints."""
    command = [python, str(CONTENDERS / script), what, str(photos), str(output), str(rounds)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [float(number) for number in printed.split()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--folder", type=Path, default=Path("build/benchmarks"))
    arguments = parser.parse_args()
    # A site's code is compiled once, and not by each of its processes.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    folder = arguments.folder.absolute()
    photos = folder / "small-photos"
    draw(photos)
    peer = str(django_environment(folder / "django-imagekit"))
    shutil.rmtree(folder / "warm", ignore_errors=True)
    times: dict[str, list[float]] = {}
    for _ in range(arguments.processes + 1):
        for what in JINJA:
            best, first = run(sys.executable, "warm_jinja.py", what, photos, folder / "warm" / "ours", arguments.rounds)
            times.setdefault(what, []).append(best)
            if what == "ours":
                times.setdefault("ours, first page of a process", []).append(first)
        for what in DJANGO:
            # They write beside the sources.
            copy = folder / "warm" / what / "photos"
            if not copy.exists():
                shutil.copytree(photos, copy)
            (best,) = run(peer, "warm_django.py", what, copy, folder / "warm" / what, arguments.rounds)
            times.setdefault(what, []).append(best)
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; µs a tag")
    # The first process of each makes the images.
    medians = {what: statistics.median(each[1:]) for what, each in times.items()}
    for what, median in medians.items():
        print(f"{what:32}{median:8.1f} µs{median / medians['ours']:8.2f} × ours{median / medians['bare']:8.1f} × bare")


if __name__ == "__main__":
    main()
