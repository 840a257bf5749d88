"""Compares encoders at the same SSIMULACRA2 on photographs: this library's efforts beside sharp's defaults.

Run it with `python tests/benchmarks/efforts.py FOLDER` of photographs, after `pip install ssimulacra2 pyjpegli`;
it installs sharp below `build/` where npm is. It prints the table of `docs/reference/formats.md`.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageOps
from ssimulacra2 import compute_ssimulacra2

from jinja_imagekit.images import Frames, Limits, PixelRules, encode
from jinja_imagekit.settings import EFFORTS

SCORE = 73.0
"""The SSIMULACRA2 at which bytes are compared: that of WebP 79 is 75 at 400 pixels, and 71 at 1200."""

QUALITIES: Mapping[str, tuple[int, ...]] = {
    "JPEG": (45, 60, 75, 88),
    "WEBP": (45, 60, 75, 88),
    "AVIF": (28, 42, 56, 72),
}

SHARP = """
const sharp = require('sharp');
const [source, target, format, options] = process.argv.slice(2);
sharp.concurrency(1);
(async () => {
  const raw = await sharp(source).removeAlpha().raw().toBuffer({resolveWithObject: true});
  const begun = process.cpuUsage();
  await sharp(raw.data, {raw: raw.info}).toFormat(format, JSON.parse(options)).toFile(target);
  const used = process.cpuUsage(begun);
  console.log((used.user + used.system) / 1000);
})();
"""


class Trial(NamedTuple):
    """One encoded photograph."""

    size: int
    score: float
    milliseconds: float


Encoder = Callable[[Image.Image, int], tuple[bytes, float]]


def encoders(build: Path, formats: Iterable[str]) -> Iterator[tuple[str, str, Encoder]]:
    """Yield format, name and encoder of everything that is compared; sharp's default comes first in each format."""
    with_sharp = shutil.which("npm") is not None
    if with_sharp and not (build / "node_modules" / "sharp").exists():
        build.mkdir(parents=True, exist_ok=True)
        (build / "package.json").write_text("{}")
        subprocess.run(["npm", "install", "--silent", "sharp"], cwd=build, check=True)
    for format in formats:
        if with_sharp:
            yield format, "sharp's default", sharp(build, format, {})
            if format == "JPEG":
                yield format, "sharp with mozjpeg", sharp(build, format, {"mozjpeg": True})
        for effort in EFFORTS:
            yield format, effort, ours(format, PixelRules(effort=effort))
        if format == "JPEG":
            yield format, "by jpegli", ours(format, PixelRules(jpeg_encoder="jpegli"))


def ours(format: str, rules: PixelRules) -> Encoder:
    """Return this library's encoder."""

    def run(image: Image.Image, quality: int) -> tuple[bytes, float]:
        frames, limits = Frames((image,), image.size), Limits()
        begun = time.process_time()
        data = encode(frames, format, {"quality": quality}, rules=rules, limits=limits)
        return data, 1000 * (time.process_time() - begun)

    return run


def sharp(build: Path, format: str, options: Mapping[str, object]) -> Encoder:
    """Return sharp's encoder."""
    (build / "encode.js").write_text(SHARP)

    def run(image: Image.Image, quality: int) -> tuple[bytes, float]:
        source, target = build / "source.png", build / "target"
        image.save(source, compress_level=1)
        told = json.dumps({"quality": quality, **options})
        command = ["node", str(build / "encode.js"), str(source), str(target), format.lower(), told]
        spent = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        return target.read_bytes(), spent

    return run


def score(image: Image.Image, data: bytes) -> float:
    """Return the SSIMULACRA2 of a file against the image that it was made of."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [f"{folder}/original.png", f"{folder}/decoded.png"]
        image.save(paths[0], compress_level=1)
        Image.open(io.BytesIO(data)).convert("RGB").save(paths[1], compress_level=1)
        return float(compute_ssimulacra2(*paths))


def bytes_at(trials: list[Trial], wanted: float) -> float:
    """Return the bytes that a photograph takes at a score, between those of the two nearest qualities."""
    trials = sorted(trials, key=lambda trial: trial.score)
    after = next((index for index, trial in enumerate(trials) if trial.score >= wanted), len(trials) - 1)
    low, high = trials[max(after, 1) - 1], trials[max(after, 1)]
    share = (wanted - low.score) / (high.score - low.score)
    return math.exp(math.log(low.size) + share * math.log(high.size / low.size))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photographs", type=int, default=8)
    parser.add_argument("--widths", type=int, nargs="+", default=[400, 1200])
    parser.add_argument("--formats", nargs="+", choices=QUALITIES, default=list(QUALITIES))
    parser.add_argument("--build", type=Path, default=Path("build/benchmarks/efforts"))
    arguments = parser.parse_args()
    paths = sorted(arguments.folder.rglob("*.jp*g"))[: arguments.photographs]
    print("| width | format | encoder | bytes | ms |\n| ---: | --- | --- | ---: | ---: |")
    for width in arguments.widths:
        photos = []
        for path in paths:
            image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
            size = (width, round(width * image.height / image.width))
            photos.append(image.resize(size, Image.Resampling.LANCZOS))
        first: dict[str, list[float]] = {}
        for format, name, encoder in encoders(arguments.build.absolute(), arguments.formats):
            sizes, times = [], []
            for photo in photos:
                trials = []
                for quality in QUALITIES[format]:
                    data, spent = encoder(photo, quality)
                    trials.append(Trial(len(data), score(photo, data), spent))
                sizes.append(bytes_at(trials, SCORE))
                times.append(statistics.fmean(trial.milliseconds for trial in trials))
            ratios = [math.log(own / peer) for own, peer in zip(sizes, first.setdefault(format, sizes), strict=True)]
            ratio, spent = math.exp(statistics.fmean(ratios)), statistics.fmean(times)
            print(f"| {width} | {format} | {name} | {ratio:.2f} | {spent:.0f} |", flush=True)


if __name__ == "__main__":
    main()
