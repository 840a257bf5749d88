"""Kills pregenerations at random moments, and lets many of them run at once: what is left has to be whole.

    python tests/faults/kill_many.py --images 500 --kills 200 --runs 8

prints what was found, and exits with 1 when anything was wrong. The tests run it with smaller numbers.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent.parent), str(HERE.parent.parent / "examples")]

import drawing  # noqa: E402  # its folder has to be on the path
from jinja_imagekit import ImageKit  # noqa: E402
from jinja_imagekit.processors import ResizeToFill, ResizeToFit  # noqa: E402
from jinja_imagekit.sourcegroups import GlobSourceGroup  # noqa: E402

Files = dict[str, bytes]
Say = Callable[[str], None]


def make_kit(folder: Path, output: str) -> ImageKit:
    """Return a kit over the folder's images; two specs of each, with results and state of their own."""
    kit = ImageKit(source_dirs=[folder / "images"], location=folder / output, state_dir=folder / f"{output}-state")
    kit.spec("card", processors=[ResizeToFill(40, 30)], format="JPEG")
    kit.spec("wide", processors=[ResizeToFit(30)], format="PNG")
    for id in ("card", "wide"):
        kit.register.source_group(id, GlobSourceGroup("*.jpg"))
    return kit


def draw_images(folder: Path, count: int) -> None:
    """Draw that many different small photos."""
    photo = drawing.photo(480, 360)
    (folder / "images").mkdir(parents=True)
    for number in range(count):
        left, top = number * 7 % 160, number * 11 % 120
        view = photo.crop((left, top, left + 320, top + 240)).resize((160, 120))
        view.putpixel((0, 0), (number % 256, number // 256, 0))
        (folder / "images" / f"{number:04}.jpg").write_bytes(drawing.encoded(view, "JPEG", quality=95))


def files_in(folder: Path) -> Files:
    """Return all files below a folder by name, temporary ones included."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def start(folder: Path, output: str, *options: str) -> subprocess.Popen[str]:
    """Start a pregeneration in a process of its own."""
    command = [sys.executable, __file__, "--work", str(folder), "--output", output, *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def kill_many(folder: Path, kills: int, seed: int, say: Say) -> list[str]:
    """Kill pregenerations at random moments, then run one more; return what is wrong."""
    begun = time.perf_counter()
    _finish(start(folder, "clean"))
    whole = time.perf_counter() - begun
    expected = files_in(folder / "clean")
    chance = random.Random(seed)
    problems, counts = [], []
    for _ in range(kills):
        # What an earlier run has made would leave the next one nothing to do.
        for path in sorted((folder / "killed").rglob("*.*g")):
            if chance.random() < 0.6:
                path.unlink()
        process = start(folder, "killed", *(["--force"] if chance.random() < 0.2 else []))
        time.sleep(chance.uniform(whole * 0.3, whole))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        visible = {name: data for name, data in files_in(folder / "killed").items() if ".imagekit-tmp" not in name}
        counts.append(len(visible))
        problems += [f"{name} was visible and not whole" for name in visible if visible[name] != expected.get(name)]
    _finish(start(folder, "killed"))
    left = files_in(folder / "killed")
    problems += [f"{name} is missing" for name in expected.keys() - left.keys()]
    problems += [f"{name} was left behind" for name in left.keys() - expected.keys()]
    problems += [f"{name} differs" for name in expected.keys() & left.keys() if expected[name] != left[name]]
    locks = list((folder / "killed-state").rglob("*.lock"))
    problems += [f"{lock} was left behind" for lock in locks]
    say(f"{kills} kills within {whole:.2f} s, of {len(expected)} files {min(counts)} to {max(counts)} were there")
    return problems


def run_many(folder: Path, runs: int, say: Say) -> list[str]:
    """Let several processes make the same files at once; return what is wrong."""
    processes = [start(folder, "together") for _ in range(runs)]
    outputs = [process.communicate()[0] for process in processes]
    generated = [int(output.split()[0]) for output in outputs if output.strip()]
    statuses = [process.returncode for process in processes]
    count = len(files_in(folder / "together"))
    say(f"{runs} runs at once generated {generated}, {sum(generated)} of {count} in all; statuses {statuses}")
    problems = [f"a run ended with {status}" for status in statuses if status]
    if sum(generated) != 2 * len(list((folder / "images").iterdir())):
        problems.append(f"{sum(generated)} generations of {count} files")
    return problems


def _finish(process: subprocess.Popen[str]) -> None:
    process.communicate()
    if process.returncode:
        raise SystemExit(f"a run that nobody disturbed ended with {process.returncode}")


def _work(folder: Path, output: str, force: bool) -> int:
    report = make_kit(folder, output).generate(force=force)
    print(len(report.generated), len(report.skipped), len(report.failed))
    return 0 if report.ok else 1


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--output", help=argparse.SUPPRESS)
    parser.add_argument("--force", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        return _work(options.work, options.output, options.force)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw_images(folder, options.images)
        problems = run_many(folder, options.runs, print) + kill_many(folder, options.kills, options.seed, print)
    for problem in problems:
        print("WRONG:", problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
