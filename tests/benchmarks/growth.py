"""Measures a run that has nothing to do, over 1,000, 10,000 and 100,000 pairs of source and spec.

Run it with `python tests/benchmarks/growth.py`. Sources are PNG files of 12 × 12 pixels, with ten specs each. The
first run of each size makes everything, a run in a fresh process is measured, and has to open no source.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import subprocess
import sys
from pathlib import Path

from PIL import Image

NOOP = Path(__file__).parent / "contenders" / "noop.py"
SPECS = 10


def draw(folder: Path, count: int) -> None:
    """Draw so many different images, a hundred in a folder."""
    for number in range(count):
        path = folder / f"{number // 100:04}" / f"{number % 100:02}.png"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = random.Random(number).randbytes(12 * 12 * 3)
            Image.frombytes("RGB", (12, 12), pixels).save(path)


def run(sources: int, folder: Path) -> list[float]:
    """Return seconds, peak memory in MB, opened sources, and generated files of one run."""
    command = [sys.executable, str(NOOP), str(sources), str(SPECS), str(folder)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [float(number) for number in printed.split()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, nargs="*", default=[1_000, 10_000, 100_000])
    parser.add_argument("--folder", type=Path, default=Path("build/benchmarks/growth"))
    arguments = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"{'pairs':>9}{'first run, s':>14}{'no-op, s':>10}{'µs a pair':>11}{'peak MB':>9}{'sources opened':>16}")
    for pairs in arguments.pairs:
        sources = pairs // SPECS
        folder = arguments.folder.absolute()
        draw(folder / f"sources-{sources}", sources)
        first = run(sources, folder)
        seconds, peak, opened, generated = min(run(sources, folder) for _ in range(2))
        assert not generated
        micro = seconds / pairs * 1e6
        print(f"{pairs:9,}{first[0]:14.1f}{seconds:10.2f}{micro:11.1f}{peak:9.0f}{opened:16.0f}", flush=True)


if __name__ == "__main__":
    main()
