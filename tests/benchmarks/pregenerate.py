"""Measures pregeneration against django-imagekit, eleventy-img (sharp) and a loop written by hand with Pillow.

Run it with `PYTHONPATH=examples python tests/benchmarks/pregenerate.py`. The contenders run as whole processes in
turn, start-up included, and each round gives one ratio; the medians are printed. django-imagekit goes into a
virtual environment of its own and eleventy-img into a node folder, both below `build/benchmarks`.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import threading
import time
import venv
from dataclasses import dataclass
from pathlib import Path

from photographs import draw_photographs

HERE = Path(__file__).parent
CONTENDERS = HERE / "contenders"
JOBS = {"fill": "12 MP to 400×300 JPEG, filled", "widths": "12 MP to WebP of 400, 800 and 1200 pixels"}
IMAGES_PER_PHOTO = {"fill": 1, "widths": 3}


@dataclass(frozen=True)
class Contender:
    """One way of doing the job.

    Attributes:
        name: What the table calls it.
        command: What runs it, before the job, the photos and the output.
        arguments: What follows them.
        folder: Where it runs.
    """

    name: str
    command: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    folder: Path = HERE


@dataclass(frozen=True)
class Run:
    """What one run took: seconds of wall clock and of processor, and bytes at the peak of its whole process tree."""

    wall: float
    cpu: float
    peak: int


def contenders(peers: Path) -> list[Contender]:
    """Return the contenders that can be had on this machine, ours first."""
    ours = (sys.executable, str(CONTENDERS / "ours.py"))
    by_hand = (sys.executable, str(CONTENDERS / "by_hand.py"))
    found = [
        Contender("ours", ours),
        Contender("ours, decode_margin=1", ours, ("1",)),
        Contender("ours, resizer='fast'", ours, ("1.5", "fast")),
        Contender("ours, processes", ours, ("1.5", "pillow", "--processes")),
        Contender("by hand, at our scales", by_hand),
        Contender("by hand, smallest scale", by_hand, ("1",)),
    ]
    python = django_environment(peers / "django-imagekit")
    found.append(Contender("django-imagekit", (str(python), str(CONTENDERS / "django_imagekit.py"))))
    node = shutil.which("node")
    if node and shutil.which("npm"):
        folder = eleventy(peers / "eleventy-img")
        found.append(Contender("eleventy-img", (node, str(CONTENDERS / "eleventy.mjs")), (), folder))
    return found


def run_as_installed(folder: Path) -> None:
    """Run this script again where the library is installed as users have it, unless it does so already.

    A checkout may have no bytecode, and diskcache imports Django wherever that is installed.

    Args:
        folder: A virtual environment of its own, which is made where it is missing.
    """
    if Path(sys.prefix) == folder.absolute():
        return
    checkout = HERE.parents[1]
    python = _environment(folder, f"{checkout}[fast]", "hatchling", "ssimulacra2")
    update = ("install", "-q", "--no-deps", "--no-build-isolation", "--force-reinstall", str(checkout))
    subprocess.run([python, "-m", "pip", *update], check=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment = {**kept, "PYTHONPATH": str(checkout / "examples"), "PYTHONUNBUFFERED": "1"}
    raise SystemExit(subprocess.run([python, *sys.argv], env=environment).returncode)


def django_environment(folder: Path) -> Path:
    """Return the Python of a virtual environment with the peers that are made for Django."""
    return _environment(folder, "django-imagekit==6.1.1", "easy-thumbnails", "Django")


def _environment(folder: Path, *packages: str) -> Path:
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
    return python


def eleventy(folder: Path) -> Path:
    """Return a folder in which node finds eleventy-img."""
    if not (folder / "node_modules").exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text('{"private": true}')
        subprocess.run(["npm", "install", "--silent", "@11ty/eleventy-img"], cwd=folder, check=True)
    return folder


def measure(contender: Contender, job: str, photos: Path, output: Path) -> Run:
    """Run a contender once, on a cold cache of its own."""
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    command = [*contender.command, job, str(photos), str(output), *contender.arguments]
    before = os.times()
    begun = time.perf_counter()
    process = subprocess.Popen(command, cwd=contender.folder)
    peak = _Peak(process.pid)
    status = process.wait()
    wall = time.perf_counter() - begun
    after = os.times()
    if status:
        raise SystemExit(f"{contender.name} failed with status {status}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Run(wall, cpu, peak.bytes())


class _Peak:
    """Samples the resident memory of a process and its descendants, 50 times a second."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._most = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self._thread.start()

    def _sample(self) -> None:
        while not self._over.wait(0.02):
            self._most = max(self._most, sum(map(_resident, _tree(self._pid))))

    def bytes(self) -> int:
        self._over.set()
        self._thread.join()
        return self._most


def _tree(pid: int) -> list[int]:
    pids = [pid]
    for parent in pids:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                pids.extend(map(int, task.read_text().split()))
            except OSError:
                continue
    return pids


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def compare(job: str, found: list[Contender], photos: Path, output: Path, rounds: int) -> None:
    """Run all contenders in turn, and print what they took."""
    count = len(list(photos.glob("*.jpg")))
    runs: dict[str, list[Run]] = {contender.name: [] for contender in found}
    for number in range(rounds + 1):
        for contender in found:
            run = measure(contender, job, photos, output)
            # The first round warms the file system's cache.
            if number:
                runs[contender.name].append(run)
    print(f"\n{JOBS[job]}: {count} photos, {IMAGES_PER_PHOTO[job] * count} images, medians of {rounds} rounds")
    print(f"{'':26}{'photos/s':>10}{'CPU ms':>9}{'peak MB':>9}{'ours is … times as fast':>26}{'memory ratio':>14}")
    ours = runs["ours"]
    for name, own in runs.items():
        rate = statistics.median(count / run.wall for run in own)
        cpu = statistics.median(run.cpu / count * 1000 for run in own)
        peak = statistics.median(run.peak for run in own)
        ratio = statistics.median(theirs.wall / run.wall for theirs, run in zip(own, ours, strict=True))
        memory = statistics.median(run.peak / theirs.peak for theirs, run in zip(own, ours, strict=True))
        print(f"{name:26}{rate:10.1f}{cpu:9.1f}{peak / 1e6:9.0f}{ratio:26.2f}{memory:14.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=100, help="how many photographs")
    parser.add_argument("--rounds", type=int, default=3, help="how many counted rounds")
    parser.add_argument("--folder", type=Path, default=Path("build/benchmarks"), help="where everything is kept")
    parser.add_argument("--only", nargs="*", help="names of contenders")
    arguments = parser.parse_args()
    folder = arguments.folder.absolute()
    run_as_installed(folder / "ours")
    photos = folder / f"photos-{arguments.photos}"
    draw_photographs(photos, arguments.photos)
    found = [each for each in contenders(folder) if not arguments.only or each.name in arguments.only]
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    for job in JOBS:
        compare(job, found, photos, folder / "output", arguments.rounds)


if __name__ == "__main__":
    main()
