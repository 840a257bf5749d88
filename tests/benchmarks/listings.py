"""Measures listing a bucket folder by folder, 40 names in each: the time for a name must not grow with their number.

Run it with `python tests/benchmarks/listings.py`. The bucket is in memory and answers at once.
"""

from __future__ import annotations

import argparse
import itertools
import time
from typing import Any

import fsspec  # type: ignore[import-untyped]

from jinja_imagekit.sources.buckets import Bucket

NAMES = 40


class Shelf(fsspec.AbstractFileSystem):  # type: ignore[misc]
    """A file system that finds a folder's contents at once, unlike fsspec's own in memory, which goes through all."""

    protocol = "shelf"
    folders: dict[str, list[dict[str, Any]]] = {}  # one for all

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[dict[str, Any]]:
        """Return what is in a folder."""
        return self.folders[path]


def fill(folders: int) -> None:
    """Put so many folders into the bucket."""
    Shelf.folders = {"bucket": [{"name": f"bucket/{number:05}", "type": "directory"} for number in range(folders)]}
    for folder in Shelf.folders["bucket"][:]:
        names = (f"{folder['name']}/{number}.jpg" for number in range(NAMES))
        Shelf.folders[folder["name"]] = [{"name": name, "type": "file", "size": 1, "ETag": name} for name in names]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folders", type=int, nargs="*", default=[500, 5_000])
    fsspec.register_implementation("shelf", Shelf)
    for folders in parser.parse_args().folders:
        fill(folders)
        bucket = Bucket("shelf://bucket", lists=True, lasts=lambda: True)
        times = [time.process_time()]
        names = list(bucket.names(lambda _, depth: depth < 1, lambda _: False))
        times.append(time.process_time())
        assert all(map(bucket.find, names))
        times.append(time.process_time())
        listed, found = ((after - before) / len(names) * 1e6 for before, after in itertools.pairwise(times))
        print(f"{len(names):9,} names in {folders:6,} folders: {listed:5.1f} µs a name to list, {found:4.1f} to find")


if __name__ == "__main__":
    main()
