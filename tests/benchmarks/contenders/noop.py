"""Pregenerates tiny images, or finds that there is nothing to do: `noop.py SOURCES SPECS FOLDER [PATTERN]`.

Prints the seconds, those of the processor, the peak memory in MB, how many files were opened below the source folder,
how many images were made, and how many were there.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

from jinja_imagekit import ImageKit
from jinja_imagekit.processors import ResizeToFill
from jinja_imagekit.sourcegroups import GlobSourceGroup


def main(sources: str, specs: str, folder: str, pattern: str = "**/*.png") -> None:
    opened = 0

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal opened
        if event == "open" and str(arguments[0]).startswith(images):
            opened += 1

    images = str(Path(folder, f"sources-{sources}"))
    output = Path(folder, f"output-{sources}-{specs}")
    kit = ImageKit(source_dirs=[images], location=output, state_dir=output / ".state")
    for size in range(1, int(specs) + 1):
        kit.spec(f"bench:{size}", processors=(ResizeToFill(size, size),), format="PNG")
        kit.register.source_group(f"bench:{size}", GlobSourceGroup(pattern))
    sys.addaudithook(watch)
    begun, cpu = time.perf_counter(), time.process_time()
    report = kit.generate()
    seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    assert report.ok, report.failed[:3]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(seconds, cpu, peak, opened, len(report.generated), len(report.skipped))


if __name__ == "__main__":
    main(*sys.argv[1:])
