"""Measures a run that has nothing to do, over 10,000, 100,000 and 1,000,000 pairs of source and spec.

Run it with `python tests/benchmarks/growth.py`. Sources are PNG files of 12 × 12 pixels, with ten specs each. The files
of the first hundred sources are made; since making a million takes hours, the other sources are links to those, and so
are their files, and the state is told of them. A run in a fresh process is measured, which has to find all of them up
to date and open no source.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from PIL import Image

from jinja_imagekit.state import DiskStore

NOOP = Path(__file__).parent / "contenders" / "noop.py"
SPECS = 10
FIRST = "0000"
IN_FOLDER = 100


def draw(folder: Path, count: int) -> None:
    """Make so many sources, a hundred in a folder: those of the first one are drawn, the others are links to them."""
    drawn = folder / FIRST
    if drawn.exists():
        return
    drawn.mkdir(parents=True)
    for number in range(IN_FOLDER):
        pixels = random.Random(number).randbytes(12 * 12 * 3)
        Image.frombytes("RGB", (12, 12), pixels).save(drawn / f"{number:02}.png")
    for other in others(count):
        link_all(drawn, folder / other)


def others(count: int) -> Iterator[str]:
    """Yield the folders after the first one."""
    return (f"{number:04}" for number in range(1, count // IN_FOLDER))


def link_all(folder: Path, to: Path) -> None:
    """Make a folder of links to all files of another."""
    for above, _, names in os.walk(folder):
        below = to / os.path.relpath(above, folder)
        below.mkdir(parents=True, exist_ok=True)
        for name in names:
            os.link(os.path.join(above, name), below / name)


def plant(output: Path, count: int) -> None:
    """Give all sources the files of those of the first folder, and tell the state of them."""
    files = output / "CACHE" / "images"
    store = DiskStore(output / ".state" / "state")
    keys = [key for key in store.keys("") if f":{FIRST}/" in key or f"/{FIRST}/" in key]
    values = store.get_many(keys)
    for other in others(count):
        link_all(files / FIRST, files / other)
    rest = others(count)
    while some := list(islice(rest, 20)):
        store.set_many({named(key, to): named(value, to) for to in some for key, value in values.items()})
    store.close()


def named(text: str, folder: str) -> str:
    """Return a key or value of the state as it is for another folder."""
    for sign in "/:":
        text = text.replace(f"{sign}{FIRST}/", f"{sign}{folder}/")
    return text.replace(f'"{FIRST}/', f'"{folder}/')


def run(sources: int, folder: Path, pattern: str = "**/*.png") -> list[float]:
    """Return seconds, seconds of the processor, peak memory in MB, opened sources, and numbers of new and old files."""
    command = [sys.executable, str(NOOP), str(sources), str(SPECS), str(folder), pattern]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [float(number) for number in printed.split()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--folder", type=Path, default=Path("build/benchmarks/growth"))
    arguments = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"{'pairs':>9}{'no-op, s':>10}{'µs a pair':>11}{'of CPU':>8}{'peak MB':>9}{'sources opened':>16}")
    for pairs in arguments.pairs:
        sources = pairs // SPECS
        folder = arguments.folder.absolute()
        if not (folder / f"sources-{sources}").exists():
            draw(folder / f"sources-{sources}", sources)
            run(sources, folder, f"{FIRST}/*.png")
            plant(folder / f"output-{sources}-{SPECS}", sources)
        seconds, cpu, peak, opened, made, skipped = min(run(sources, folder) for _ in range(2))
        assert (made, skipped) == (0, pairs), (made, skipped)
        print(
            f"{pairs:9,}{seconds:10.2f}{seconds / pairs * 1e6:11.1f}{cpu / pairs * 1e6:8.1f}{peak:9.0f}{opened:16.0f}"
        )


if __name__ == "__main__":
    main()
