"""Measures this library against its aims and its peers in one run, and prints a table of ratios.

Run it with `PYTHONPATH=examples python tests/benchmarks/aims.py`, or as a part of `make bench`; on 2 cores it takes
eight minutes, and two more the first time, when it draws photographs and installs eleventy-img below `build/`.
`--only photo widths picture run site live` chooses parts. Contenders run as whole processes, start-up included, in
turn; medians are printed. The machine should have nothing else to do.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from growth import SPECS
from growth import draw as draw_growth
from growth import run as run_growth
from photographs import draw_photographs
from PIL import Image
from pregenerate import CONTENDERS, Contender, Run, eleventy, measure, run_as_installed

import drawing
from jinja_imagekit.images import Frames, Limits, PixelRules, encode
from jinja_imagekit.settings import EFFORTS

if TYPE_CHECKING:
    from efforts import Trial

OURS = (sys.executable, str(CONTENDERS / "ours.py"))
PICTURE = (sys.executable, str(CONTENDERS / "picture.py"))
HAND = (sys.executable, str(CONTENDERS / "by_hand.py"))
SITE = (sys.executable, str(CONTENDERS / "site.py"))
WARM = (sys.executable, str(CONTENDERS / "warm_jinja.py"))

PAGES = 1_000
SHARPS_EFFORTS = range(5)
TRIED = (45, 55, 65)
"""Qualities of sharp's AVIF, between which what looks like ours is found."""
RESIZERS = ("pillow", "fast")
HAND_1 = "by hand, smallest scale"
THEIRS = "eleventy-img"


class Row(NamedTuple):
    """A line of the table: what is measured, the value, and what it should be."""

    what: str
    value: float
    unit: str
    aim: float
    at_least: bool = True

    def __str__(self) -> str:
        met = self.value >= self.aim if self.at_least else self.value <= self.aim
        sign = "≥" if self.at_least else "≤"
        aim = f"{sign} {self.aim:g}{self.unit}" if self.aim else ""
        return (
            f"{self.what:66}{self.value:9.2f}{self.unit:4}{aim:>12}{'' if not aim else '  met' if met else '  missed'}"
        )


class Match(NamedTuple):
    """What an effort of sharp's for AVIF is compared with.

    Attributes:
        preset: The fastest of ours that takes no more bytes at one SSIMULACRA2; or the last one.
        sizes: How many times as many bytes it takes.
        quality: Sharp's quality that has the SSIMULACRA2 of the preset.
    """

    preset: str
    sizes: float
    quality: int


class Bench:
    """A run of the benchmarks.

    Args:
        folder: Where everything is kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.output = folder / "output"
        self.node: tuple[str, Path] | None = None
        node = shutil.which("node")
        if node and shutil.which("npm"):
            self.node = node, eleventy(folder / "eleventy-img")

    def of_node(self, name: str, script: str, *arguments: str) -> list[Contender]:
        """Return a contender in JavaScript; none where there is no npm."""
        if self.node is None:
            return []
        node, folder = self.node
        return [Contender(name, (node, str(CONTENDERS / script)), arguments, folder)]

    def photos(self, count: int) -> Path:
        """Return a folder of so many photographs of 12 megapixels."""
        folder = self.folder / f"photos-{count}"
        draw_photographs(folder, count)
        return folder

    def compared(self, job: str, contenders: list[Contender], photos: Path, rounds: int) -> dict[str, list[Run]]:
        """Run contenders in turn, after one round that warms the file system's cache, and print what they took."""
        count = len(list(photos.glob("*.jpg")))
        runs: dict[str, list[Run]] = {contender.name: [] for contender in contenders}
        written = {}
        for number in range(rounds + 1):
            for contender in contenders:
                run = measure(contender, job, photos, self.output)
                written[contender.name] = sum(path.stat().st_size for path in images_in(self.output))
                if number or not rounds:
                    runs[contender.name].append(run)
        for name, own in runs.items():
            wall, cpu, peak = (middle(own, what) for what in ("wall", "cpu", "peak"))
            print(
                f"  {name:34}{count / wall:8.2f} photos/s{cpu / count * 1000:9.1f} ms of CPU a photo"
                f"{peak / 1e6:7.0f} MB{written[name] / count / 1000:8.1f} kB a photo",
                flush=True,
            )
        return runs

    def photo(self) -> list[Row]:
        """Job A: a thumbnail of each photo."""
        contenders = [
            Contender("ours", OURS),
            Contender("ours, decode_margin=1", OURS, ("1",)),
            Contender("ours, resizer='fast'", OURS, ("1.5", "fast")),
            Contender("by hand, at our scales", HAND),
            Contender(HAND_1, HAND, ("1",)),
            *self.of_node(THEIRS, "eleventy.mjs"),
        ]
        print("A: 12 MP to 400 × 300 JPEG, quality 80")
        runs = self.compared("fill", contenders, self.photos(100), 5)
        margin, fast, peak = "ours, decode_margin=1", "ours, resizer='fast'", middle(runs["ours"], "peak") / 1e6
        rows = [
            Row("A, decode_margin=1: wall ÷ that of the loop by hand", slower(runs, margin, HAND_1), "×", 1.12, False),
            Row("A, peak memory", peak, " MB", 60, False),
        ]
        if THEIRS in runs:
            rows[:0] = [
                Row("A, default: rate ÷ eleventy-img's", slower(runs, THEIRS, "ours"), "×", 0.9),
                Row("A, resizer='fast': rate ÷ eleventy-img's", slower(runs, THEIRS, fast), "×", 1.0),
                Row("A, decode_margin=1: rate ÷ eleventy-img's", slower(runs, THEIRS, margin), "×", 1.1),
            ]
        return rows

    def widths(self) -> list[Row]:
        """Job B: three widths of each photo."""
        contenders = [
            Contender("ours", OURS),
            Contender("ours, resizer='fast'", OURS, ("1.5", "fast")),
            Contender("by hand, at our scales", HAND),
            *self.of_node(THEIRS, "eleventy.mjs"),
        ]
        print("B: 12 MP to WebP of 400, 800 and 1200 pixels, quality 80, method 4")
        runs = self.compared("widths", contenders, self.photos(24), 3)
        if THEIRS not in runs:
            return []
        return [
            Row("B: rate ÷ eleventy-img's", slower(runs, THEIRS, "ours"), "×", 1.1),
            Row("B, resizer='fast': rate ÷ eleventy-img's", slower(runs, THEIRS, "ours, resizer='fast'"), "×", 1.35),
        ]

    def matches(self) -> dict[int, Match]:
        """Return what to compare each of sharp's efforts for AVIF with: it takes SSIMULACRA2 of files of both."""
        if self.node is None:
            return {}
        # It takes numpy and scipy.
        from efforts import Trial, bytes_at, score, sharp

        paths = sorted(self.photos(24).glob("*.jpg"))[::12]
        shown = []
        for path in paths:
            with Image.open(path) as photo:
                shown.append(photo.convert("RGB").resize((800, 600), Image.Resampling.LANCZOS))
        own = {}
        for preset in EFFORTS:
            files = [
                encode(Frames((image,), image.size), "AVIF", {}, rules=PixelRules(effort=preset), limits=Limits())
                for image in shown
            ]
            own[preset] = [Trial(len(data), score(image, data), 0.0) for image, data in zip(shown, files, strict=True)]
        found = {}
        for effort in SHARPS_EFFORTS:
            encoder = sharp(self.node[1], "AVIF", {"effort": effort})
            trials = []
            for image in shown:
                files = [encoder(image, quality)[0] for quality in TRIED]
                trials.append([Trial(len(data), score(image, data), 0.0) for data in files])
            for preset in EFFORTS:
                sizes = statistics.fmean(
                    ours.size / bytes_at(theirs, ours.score) for ours, theirs in zip(own[preset], trials, strict=True)
                )
                if sizes <= 1:
                    break
            quality = statistics.fmean(
                quality_at(theirs, ours.score) for ours, theirs in zip(own[preset], trials, strict=True)
            )
            found[effort] = Match(preset, sizes, round(quality))
            print(f"  effort {effort}, quality {quality:.0f}: {preset} has {sizes:.3f} × the bytes at one SSIMULACRA2")
        return found

    def picture(self) -> list[Row]:
        """Pictures of five widths, in three formats and in two, against sharp's efforts at one SSIMULACRA2."""
        photos, rows = self.photos(4), []
        print("Picture: 12 MP to 5 widths (400 to 1600) × AVIF, WebP, JPEG")
        matches = self.matches()
        used = {"fast", "balanced", *(match.preset for match in matches.values())}
        ours = {
            (preset, by): Contender(f"ours, {preset}, {by}", PICTURE, (preset, by))
            for by in RESIZERS
            for preset in EFFORTS
            if preset in used
        }
        theirs = {
            effort: self.of_node(f"{THEIRS}, effort {effort}", "picture.mjs", str(effort), str(match.quality))[0]
            for effort, match in matches.items()
        }
        default = self.of_node(f"{THEIRS}, defaults", "picture.mjs")
        for formats in ("AVIF,WEBP,JPEG", "AVIF,WEBP"):
            count = formats.count(",") + 1
            print(f"  {count} formats:")
            with_default = default if count == 3 else []
            runs = self.compared(formats, [*ours.values(), *theirs.values(), *with_default], photos, 0)
            if count == 3:
                peak = middle(runs["ours, balanced, pillow"], "peak") / 1e6
                rows.append(Row("picture, 3 formats, peak memory", peak, " MB", 250, False))
            for effort, peer in theirs.items():
                preset, sizes, _ = matches[effort]
                for by, aim in zip(RESIZERS, (1.3, 1.6), strict=True):
                    what = f"picture, {count} formats, {preset} ({sizes:.2f} × bytes), {by} ÷ effort {effort}"
                    rows.append(Row(what, slower(runs, peer.name, ours[preset, by].name), "×", aim))
            for peer in with_default:
                ratio = slower(runs, peer.name, "ours, balanced, pillow")
                rows.append(Row("picture, 3 formats, default ÷ default", ratio, "×", 6))
        return rows

    def run(self) -> list[Row]:
        """A run of the command with nothing to do, and the time of each pair of source and spec."""
        print("Runs with nothing to do")
        photos = self.folder / "small-2000"
        draw_small(photos, 2_000)
        output = self.folder / "noop"
        environment = {**os.environ, "BENCH_JOB": f"fill|{photos}|{output}"}
        command = [sys.executable, "-m", "jinja_imagekit.cli", "--kit", "command:kit", "generate", "-q"]

        def generate() -> float:
            begun = time.perf_counter()
            subprocess.run(command, check=True, env=environment, cwd=CONTENDERS)
            return (time.perf_counter() - begun) * 1000

        generate()
        whole = statistics.median(generate() for _ in range(11))
        bare = statistics.median(seconds([sys.executable, "-c", "pass"]) * 1000 for _ in range(11))
        print(f"  the command, 2,000 images{whole:10.1f} ms; Python itself {bare:.1f} ms")
        sources = 1_000
        folder = (self.folder / "growth").absolute()
        draw_growth(folder / f"sources-{sources}", sources)
        run_growth(sources, folder)
        pair = min(run_growth(sources, folder)[0] for _ in range(3)) / (sources * SPECS) * 1e6
        return [
            Row("the command with nothing to do, 2,000 images", whole, " ms", 100, False),
            Row(f"a pair of source and spec with nothing to do, of {sources * SPECS:,}", pair, " µs", 15, False),
        ]

    def site(self) -> list[Row]:
        """A site of 1,000 pages with five deferred thumbnails each."""
        print(f"Deferred site, {PAGES:,} pages × 5 images")
        photos, output = self.folder / f"small-{PAGES * 5}", self.folder / "site"
        draw_small(photos, PAGES * 5)
        shutil.rmtree(output, ignore_errors=True)
        command = [*SITE, str(photos), str(output), str(PAGES)]
        parts = ("install", "render", "write pages", "finish", "publish", "all but writing")
        cold, *warm = ([float(each) for each in printed(command)] for _ in range(6))
        for name, *values in zip(parts, cold, *warm, strict=False):
            print(f"  {name:20}cold{values[0]:8.2f} s, nothing changed{statistics.median(values[1:]):8.3f} s")
        return [Row("Deferred site, nothing changed", statistics.median(each[5] for each in warm), " s", 0.45, False)]

    def live(self) -> list[Row]:
        """What a tag of a live site takes."""
        photos, output = self.folder / "small-500", self.folder / "live"
        draw_small(photos, 500)
        kinds = ("ours", "ours, filter", "by hand", "bare")
        best: dict[str, list[float]] = {kind: [] for kind in kinds}
        first = []
        for _ in range(6):
            for kind in kinds:
                warm, cold = map(float, printed([*WARM, kind, str(photos), str(output), "30"]))
                best[kind].append(warm)
                first += [cold] if kind == "ours" else []
        micro = {kind: statistics.median(each[1:]) for kind, each in best.items()}
        print("Live tags, µs: " + ", ".join(f"{kind} {value:.1f}" for kind, value in micro.items()))
        code = (
            "import time; begun = time.perf_counter(); import jinja2, jinja_imagekit; kit = jinja_imagekit.ImageKit()"
        )
        imports = [
            float(
                printed(
                    [
                        sys.executable,
                        "-c",
                        f"{code}; kit.install(jinja2.Environment()); print(time.perf_counter() - begun)",
                    ]
                )[0]
            )
            for _ in range(7)
        ]
        return [
            Row("live: tag ÷ the one by hand", micro["ours"] / micro["by hand"], "×", 1.3, False),
            Row("live: filter ÷ the tag by hand", micro["ours, filter"] / micro["by hand"], "×", 1.6, False),
            Row("first page of a process, a tag", statistics.median(first[1:]), " µs", 15, False),
            Row("imports before it, with Jinja's", statistics.median(imports) * 1000, " ms", 60, False),
        ]


def slower(runs: dict[str, list[Run]], one: str, than: str) -> float:
    """Return the median of how many times as long one contender takes as another, round by round."""
    return statistics.median(each.wall / other.wall for each, other in zip(runs[one], runs[than], strict=True))


def quality_at(trials: list[Trial], wanted: float) -> float:
    """Return the quality that has a score, between those tried."""
    scores = [trial.score for trial in trials]
    after = next((index for index, score in enumerate(scores[1:], 1) if score >= wanted), len(scores) - 1)
    share = (wanted - scores[after - 1]) / (scores[after] - scores[after - 1])
    return TRIED[after - 1] + share * (TRIED[after] - TRIED[after - 1])


def middle(runs: list[Run], what: str) -> float:
    """Return the median of a measurement."""
    return statistics.median(getattr(run, what) for run in runs)


def images_in(folder: Path) -> Iterable[Path]:
    """Yield the images that a contender wrote."""
    return (path for path in folder.rglob("*") if path.suffix in (".jpg", ".jpeg", ".webp", ".avif"))


def draw_small(folder: Path, count: int) -> None:
    """Draw so many small photos, changed long ago, that differ in a pixel."""
    folder.mkdir(parents=True, exist_ok=True)
    photo = drawing.photo(160, 120, seed=3)
    for number in range(count):
        path = folder / f"{number:05}.jpg"
        if not path.exists():
            photo.putpixel((0, 0), (number % 256, number // 256, 0))
            photo.save(path)
            os.utime(path, (1_000_000_000, 1_000_000_000))


def printed(command: list[str]) -> list[str]:
    """Return the words that a command prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def seconds(command: list[str]) -> float:
    """Return how long a command takes."""
    begun = time.perf_counter()
    subprocess.run(command, check=True)
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = ("photo", "widths", "picture", "run", "site", "live")
    parser.add_argument("--only", nargs="*", choices=parts, default=parts, help="which parts")
    parser.add_argument("--folder", type=Path, default=Path("build/benchmarks"), help="where everything is kept")
    arguments = parser.parse_args()
    folder = arguments.folder.absolute()
    run_as_installed(folder / "ours")
    bench = Bench(folder)
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {platform.platform()}")
    rows: list[Row] = []
    for part in parts:
        if part in arguments.only:
            measure_part: Callable[[], list[Row]] = getattr(bench, part)
            rows += measure_part()
    print()
    print(*rows, sep="\n")


if __name__ == "__main__":
    main()
