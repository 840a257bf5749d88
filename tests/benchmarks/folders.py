"""Measures saving a file: into an empty folder, one of 100,000 files, and 65,536 folders, as sharded names have.

Run it with `python tests/benchmarks/folders.py`. What a file system does differs: the folder is given by `--folder`.
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from jinja_imagekit.storages.folder import FileSystemStorage

FILES = 100_000
ROUNDS = 1_000
CONTENT = b"x" * 10_000


def names(shards: int, seed: int) -> Iterator[str]:
    """Yield names like those of the namer `hash`, or of `sharded_hash` with two shards."""
    digits = random.Random(seed)
    while True:
        name = f"{digits.getrandbits(128):032x}.webp"
        yield "/".join([*(name[2 * each : 2 * each + 2] for each in range(shards)), name])


def fill(folder: Path, shards: int) -> None:
    """Make the files that are there already, empty ones."""
    for name, _ in zip(names(shards, 1), range(FILES), strict=False):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("build/benchmarks/folders"))
    root = parser.parse_args().folder
    shutil.rmtree(root, ignore_errors=True)
    kinds = {"an empty folder": (0, False), f"{FILES:,} files": (0, True), f"{FILES:,} files, sharded": (2, True)}
    storages = {}
    for kind, (shards, is_full) in kinds.items():
        folder = root / f"{shards}-{is_full}"
        if is_full:
            fill(folder, shards)
        storages[kind] = FileSystemStorage(folder), names(shards, 2)
    took: dict[str, list[float]] = {kind: [] for kind in kinds}
    # In turn, so that whatever else the machine does slows all of them.
    for _ in range(ROUNDS):
        for kind, (storage, some) in storages.items():
            name = next(some)
            begun = time.perf_counter()
            storage.save(name, CONTENT)
            took[kind].append((time.perf_counter() - begun) * 1e6)
    for kind, each in took.items():
        print(f"{kind:24}{statistics.median(each):8.0f} µs a save, {min(each):6.0f} at best")
    shutil.rmtree(root)


if __name__ == "__main__":
    main()
