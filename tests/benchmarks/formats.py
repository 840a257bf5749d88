"""Measures what the decoder's reduced scales cost and keep.

Run it with `PYTHONPATH=examples python tests/benchmarks/formats.py`; it prints a table of
`docs/reference/formats.md`. SSIM is the same on every machine with the same libraries; milliseconds
are processor time.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial

from PIL import Image, ImageMath, features

import drawing
from jinja_imagekit.images import Limits, Original, PixelRules, decoder_scale

WINDOW = 8
"""Side of an SSIM window, in pixels."""

SEEDS = (0, 1, 2, 3)
RULES, LIMITS = PixelRules(), Limits()


def ssim(first: Image.Image, second: Image.Image) -> float:
    """Return the structural similarity of two images of one size, of their luma; 1.0 for equal images.

    Mean over windows of 8 × 8 pixels, every 4 pixels, with the constants of Wang, Bovik, Sheikh, Simoncelli,
    "Image Quality Assessment" (2004): K1 = 0.01, K2 = 0.03, L = 255.
    """
    half = WINDOW // 2
    grey = [image.convert("RGB").convert("L").convert("F") for image in (first, second)]
    means = []
    for left in (0, half):
        for top in (0, half):
            boxes = (left, top, *_whole_windows(first.size, left, top))
            means.append(_mean_ssim(grey[0].crop(boxes), grey[1].crop(boxes)))
    return statistics.fmean(means)


def _whole_windows(size: tuple[int, int], left: int, top: int) -> tuple[int, int]:
    return (size[0] - left) // WINDOW * WINDOW + left, (size[1] - top) // WINDOW * WINDOW + top


def _mean_ssim(x: Image.Image, y: Image.Image) -> float:
    def mean(expression: Callable[[Mapping[str, object]], object]) -> Image.Image:
        value = ImageMath.lambda_eval(expression, x=x, y=y)
        return value.reduce(WINDOW)

    moments = {
        "mx": x.reduce(WINDOW),
        "my": y.reduce(WINDOW),
        "xx": mean(lambda e: e["x"] * e["x"]),
        "yy": mean(lambda e: e["y"] * e["y"]),
        "xy": mean(lambda e: e["x"] * e["y"]),
    }
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    index = ImageMath.lambda_eval(
        lambda e: (
            (2 * e["mx"] * e["my"] + c1)
            * (2 * (e["xy"] - e["mx"] * e["my"]) + c2)
            / (
                (e["mx"] * e["mx"] + e["my"] * e["my"] + c1)
                * (e["xx"] - e["mx"] * e["mx"] + e["yy"] - e["my"] * e["my"] + c2)
            )
        ),
        **moments,
    )
    return float(index.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0)))


def milliseconds(work: Callable[[], object]) -> float:
    """Return the processor time of the fastest of three runs, in milliseconds."""
    best = float("inf")
    for _ in range(3):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best * 1000


def print_margins() -> None:
    """Print what a reduced decode keeps of the full one, on photographs of 12 megapixels."""
    print("| result | margin | decoded at | SSIM, worst | SSIM, mean | ms | ms, full decode |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    sources = [drawing.jpeg(4000, 3000, seed) for seed in SEEDS]
    for size in ((400, 300), (1200, 900)):
        full = [resized(data, size, 1) for data in sources]
        full_time = statistics.fmean(milliseconds(partial(resized, data, size, 1)) for data in sources)
        for margin in (2.0, 1.5, 1.0):
            header = Original(sources[0], name="photo", limits=LIMITS).header
            scale = decoder_scale(header, PixelRules(decode_margin=margin), size)
            similarities = [ssim(whole, resized(data, size, scale)) for whole, data in zip(full, sources, strict=True)]
            spent = statistics.fmean(milliseconds(partial(resized, data, size, scale)) for data in sources)
            print(
                f"| {size[0]} × {size[1]} | {margin} | 1/{scale} | {min(similarities):.4f} "
                f"| {statistics.fmean(similarities):.4f} | {spent:.0f} | {full_time:.0f} |",
                flush=True,
            )


def resized(data: bytes, size: tuple[int, int], scale: int) -> Image.Image:
    """Decode at a scale and resize."""
    image = Original(data, name="photo", limits=LIMITS).frames(RULES, scale=scale).images[0]
    return image.resize(size, Image.Resampling.LANCZOS)


def main() -> None:
    """Print everything."""
    libraries = ", ".join(f"{name} {features.version(name)}" for name in ("libjpeg_turbo", "webp", "avif", "zlib_ng"))
    print(f"Python {platform.python_version()}, Pillow {Image.__version__}, {libraries}; {os.cpu_count()} cores\n")
    print_margins()


if __name__ == "__main__":
    main()
