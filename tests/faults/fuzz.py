"""Has mutants of image files made into images, in workers that may die, and keeps those that do what none may.

    python tests/faults/fuzz.py --mutants 100000

Each mutant is either made into an image or refused by one of the documented errors. What crashes, hangs, raises
something else, takes too long or too much memory is kept in `found`, which the tests try again.
"""

from __future__ import annotations

import argparse
import faulthandler
import hashlib
import json
import os
import resource
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
FOUND = HERE / "found"
sys.path[:0] = [str(HERE.parent.parent), str(HERE.parent.parent / "examples"), str(HERE)]

import mutants  # noqa: E402  # the path first

HANG_SECONDS = 30.0
"""After which a worker is killed; nothing that fits the caps takes as long."""

SLOW_SECONDS = 5.0
"""What a mutant of a small file may take."""

MOST_MIB = 500
"""What a worker may take at most with a cap of 25 megapixels: two decoded images of four bytes, and itself."""

OVER = 3
"""Status of a worker that has taken more, and wants to be started again."""

FORMATS = ("WEBP", "JPEG", "PNG", None)


def attempt(data: bytes, number: int = 0) -> str:
    """Make an image of a mutant, as a site does of an upload; return what became of it.

    Returns:
        "ok", the name of a documented error, or "undocumented: …".
    """
    from jinja_imagekit import ImageKit
    from jinja_imagekit.exceptions import ImageKitError
    from jinja_imagekit.processors import ResizeToFit
    from jinja_imagekit.settings import PLUGIN_FORMATS, READABLE_FORMATS

    kit = ImageKit(
        readable_formats=(*READABLE_FORMATS, *PLUGIN_FORMATS),
        max_source_pixels=25_000_000,
        max_result_pixels=25_000_000,
        max_frames=200,
        timeout=20,
    )
    format = FORMATS[number % len(FORMATS)]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            if number % 3:
                kit.process(data, processors=[ResizeToFit(20, 20)], **({"format": format} if format else {}))
            else:
                kit.process(data)
    except ImageKitError as error:
        return type(error).__name__
    except Exception as error:  # noqa: BLE001  # what this is about
        return f"undocumented: {type(error).__name__}: {error}"[:500]
    return "ok"


@dataclass(slots=True)
class Result:
    """What became of many mutants.

    Attributes:
        outcomes: How many ended how.
        problems: By number, what must not be.
        slowest: Seconds, and the number of the mutant.
        peak: MiB.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    problems: dict[int, str] = field(default_factory=dict)
    slowest: tuple[float, int] = (0.0, 0)
    peak: int = 0


def run(numbers: range, workers: int = 1, only: Sequence[str] = ()) -> Result:
    """Try these mutants in workers of their own."""
    result = Result()
    shares = [numbers[each::workers] for each in range(workers)]
    running = [_Worker(share, only) for share in shares]
    while any(not worker.is_done for worker in running):
        for worker in running:
            worker.look(result)
        time.sleep(0.05)
    return result


class _Worker:
    """A process that tries mutants one after another, and is started again behind one that kills it."""

    def __init__(self, numbers: range, only: Sequence[str] = ()) -> None:
        self._numbers = numbers
        self._only = only
        self._at = 0
        self._buffer = b""
        self.is_done = not numbers
        if numbers:
            self._start()

    def _start(self) -> None:
        rest = self._numbers[self._at :]
        command = [sys.executable, str(HERE / "fuzz.py"), "--worker", f"{rest.start}:{rest.stop}:{rest.step}"]
        command += ["--only", *self._only] if self._only else []
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)
        self._heard = time.monotonic()

    def look(self, result: Result) -> None:
        """Take what the process has said, and see whether it lives."""
        if self.is_done:
            return
        assert self._process.stdout is not None
        ended = self._process.poll() is not None
        data = self._process.stdout.read() or b""
        self._buffer += data
        if data:
            self._heard = time.monotonic()
        *lines, self._buffer = self._buffer.split(b"\n")
        for line in lines:
            number, outcome, seconds, peak = json.loads(line)
            self._at += 1
            self._take(result, number, outcome, seconds, peak)
        if self._at == len(self._numbers):
            self.is_done = True
            self._process.communicate()
        elif ended and self._process.returncode == OVER:
            self._process.communicate()
            self._start()
        elif ended:
            self._skip(result, f"crash: status {self._process.returncode}")
        elif time.monotonic() - self._heard > HANG_SECONDS:
            self._process.kill()
            self._skip(result, "hang")

    def _take(self, result: Result, number: int, outcome: str, seconds: float, peak: int) -> None:
        result.outcomes[outcome.partition(":")[0]] += 1
        result.slowest = max(result.slowest, (seconds, number))
        result.peak = max(result.peak, peak)
        if outcome.startswith("undocumented"):
            result.problems[number] = outcome
        elif seconds > SLOW_SECONDS:
            result.problems[number] = f"slow: {seconds:.1f} s"
        elif peak > MOST_MIB:
            result.problems[number] = f"memory: {peak} MiB"

    def _skip(self, result: Result, problem: str) -> None:
        _, errors = self._process.communicate()
        number = self._numbers[self._at]
        result.problems[number] = f"{problem} {errors.decode(errors='replace')[-300:]}"
        result.outcomes[problem.partition(":")[0]] += 1
        self._at += 1
        self.is_done = self._at == len(self._numbers)
        if not self.is_done:
            self._start()


def _work(numbers: range, only: Sequence[str]) -> None:
    faulthandler.enable()
    attempt(mutants.seeds()["png"])
    for number in numbers:
        _, data = mutants.mutant(number, only)
        begun = time.perf_counter()
        outcome = attempt(data, number)
        seconds = time.perf_counter() - begun
        peak = peak_memory()
        print(json.dumps([number, outcome, seconds, peak]), flush=True)
        if peak > MOST_MIB:
            # The peak of a process never falls: the next mutant has a right to one of its own.
            os._exit(OVER)


def peak_memory() -> int:
    """Return the MiB that this process has held at most since it began."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    # What getrusage says begins with what the parent held when it forked.
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def keep(number: int, problem: str, only: Sequence[str] = ()) -> Path:
    """Keep a mutant, with what it did, for the tests."""
    name, data = mutants.mutant(number, only)
    FOUND.mkdir(exist_ok=True)
    digest = hashlib.blake2b(data, digest_size=6).hexdigest()
    path = FOUND / f"{name.replace(' ', '-')}-{digest}.bin"
    path.write_bytes(data)
    with (FOUND / "README.md").open("a", encoding="utf-8") as file:
        file.write(f"- `{path.name}`: {' '.join(problem.split())[:200]}\n")
    return path


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=100_000)
    parser.add_argument("--start", type=int, default=0, help="the first one's number")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", nargs="*", default=(), help="formats, such as jxl and pdf")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        _work(range(*map(int, options.worker.split(":"))), options.only)
        return 0
    begun = time.perf_counter()
    result = run(range(options.start, options.start + options.mutants), options.workers, options.only)
    for outcome, count in result.outcomes.most_common():
        print(f"{count:>9,} {outcome}")
    seconds, number = result.slowest
    print(
        f"{options.mutants:,} mutants in {time.perf_counter() - begun:.0f} s; {len(result.problems)} problems; ", end=""
    )
    slowest = mutants.mutant(number, options.only)[0]
    print(f"slowest {seconds * 1000:.0f} ms (mutant {number}, {slowest}); peak {result.peak} MiB")
    for number, problem in sorted(result.problems.items()):
        print(f"mutant {number}: {problem}\n    kept as {keep(number, problem, options.only)}")
    return 1 if result.problems else 0


if __name__ == "__main__":
    sys.exit(main())
