"""Compares the bytes of results with those of sharp, ImageMagick and gifsicle, and with their sources.

Run it with `PYTHONPATH=examples python tests/benchmarks/bytes.py [FOLDER …]`. It installs sharp below `build/` where
npm is; ImageMagick and gifsicle take part where they are installed. Of the images in each folder it then makes
variants without resizing, and counts those that have more bytes than their sources.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import random
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw, features

import drawing
from jinja_imagekit import ImageKit
from jinja_imagekit.exceptions import ImageKitError
from jinja_imagekit.images import OUTPUT_FORMATS
from jinja_imagekit.processors import ResizeToFit

SHARP = """
const sharp = require('sharp');
const [source, target, width, options] = process.argv.slice(2);
let image = sharp(source, {animated: true});
if (+width) image = image.resize({width: +width});
image.toFormat(target.split('.').pop(), JSON.parse(options)).toFile(target);
"""

Peer = Callable[[Path, Path, int], None]


class Row(NamedTuple):
    """One comparison.

    Attributes:
        what: A source, in words.
        source: Its file.
        format: That of the result; None keeps the source's.
        width: Of the result in pixels; 0 keeps the source's.
        settings: Of the kit.
        peers: Who else makes it.
    """

    what: str
    source: str
    format: str | None
    width: int
    settings: Mapping[str, object]
    peers: tuple[str, ...]


ROWS = (
    Row("64 colours, PNG", "palette.png", None, 1024, {}, ("ImageMagick PNG8", "sharp")),
    Row("64 colours, PNG", "palette.png", None, 0, {}, ("sharp",)),
    Row("1 bit, PNG", "bilevel.png", None, 0, {}, ("sharp",)),
    Row("1 bit, PNG", "bilevel.png", None, 640, {}, ("sharp",)),
    Row("screenshot, PNG", "screenshot.png", None, 0, {}, ("sharp",)),
    Row("the same by oxipng", "screenshot.png", None, 0, {"png_optimizer": "oxipng"}, ()),
    Row("screenshot, PNG", "screenshot.png", None, 640, {}, ("sharp",)),
    Row("the same by oxipng", "screenshot.png", None, 640, {"png_optimizer": "oxipng"}, ()),
    Row("screenshot as WebP", "screenshot.png", "WEBP", 0, {}, ("sharp",)),
    Row("lossless WebP", "lossless.webp", None, 0, {}, ("sharp",)),
    Row("GIF, 34 frames", "moving.gif", None, 200, {}, ("sharp", "gifsicle")),
    Row("GIF, 34 frames", "moving.gif", None, 0, {}, ("sharp", "gifsicle")),
    Row("GIF, scene", "scene.gif", None, 200, {}, ("sharp", "gifsicle")),
    Row("GIF, scene", "scene.gif", None, 0, {}, ("sharp", "gifsicle")),
)


def text(width: int, height: int) -> Image.Image:
    """Draw many lines of text in four colours."""
    rng = random.Random(1)
    image = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(image)
    for number in range(400):
        place = rng.randrange(width), rng.randrange(height)
        colour = rng.choice(["black", "navy", "darkred", "gray"])
        pen.text(place, f"The quick brown fox {number}", fill=colour)
    return image


def moving(still: Image.Image, count: int = 34) -> list[Image.Image]:
    """Draw a disc that moves over a picture, as screen recordings and stickers have it."""
    frames = []
    for number in range(count):
        frame = still.copy()
        left, top = 20 + 11 * number, 40 + 5 * number
        ImageDraw.Draw(frame).ellipse(
            (left, top, left + 60, top + 60), fill=(200, 40 + 4 * number, 60), outline="white"
        )
        frames.append(frame)
    return frames


def panned(count: int = 34) -> list[Image.Image]:
    """Draw a camera that moves over a landscape, so that every pixel changes."""
    wide = drawing.photo(960, 720, seed=5)
    return [wide.crop((4 * n, 2 * n, 4 * n + 480, 2 * n + 360)).quantize(64).convert("RGB") for n in range(count)]


def draw(folder: Path) -> None:
    """Draw the sources that are missing."""
    folder.mkdir(parents=True, exist_ok=True)
    page = text(1280, 920)
    smooth = page.resize((1271, 913), Image.Resampling.LANCZOS)
    still = drawing.photo(480, 360, seed=3).quantize(128).convert("RGB")
    drawn: dict[str, Callable[[], bytes]] = {
        "palette.png": lambda: drawing.encoded(page.quantize(64), "PNG", optimize=True),
        "bilevel.png": lambda: drawing.encoded(page.convert("1"), "PNG", optimize=True),
        "screenshot.png": lambda: drawing.encoded(smooth, "PNG"),
        "lossless.webp": lambda: drawing.encoded(page, "WEBP", lossless=True),
        "moving.gif": lambda: drawing.animated("GIF", moving(still), [80] * 34),
        "scene.gif": lambda: drawing.animated("GIF", panned(), [80] * 34),
    }
    for name, make in drawn.items():
        path = folder / name
        if not path.exists():
            path.write_bytes(make())
            if path.suffix == ".gif" and (gifsicle := shutil.which("gifsicle")):
                # As a site's author would have it.
                subprocess.run([gifsicle, "-O3", "-b", str(path)], check=True)


def peers(folder: Path) -> dict[str, Peer]:
    """Return the peers that this machine has."""
    found: dict[str, Peer] = {}
    if npm := shutil.which("npm"):
        if not (folder / "node_modules" / "sharp").exists():
            (folder / "package.json").write_text("{}")
            subprocess.run([npm, "install", "--silent", "sharp"], cwd=folder, check=True)
        (folder / "sharp.js").write_text(SHARP)

        def sharp(source: Path, target: Path, width: int) -> None:
            # As it is unless told otherwise, but for a palette, which it would lose.
            options = json.dumps({"palette": True} if "palette" in source.name else {})
            command = ["node", str(folder / "sharp.js"), str(source), str(target), str(width), options]
            subprocess.run(command, check=True)

        found["sharp"] = sharp
    convert = shutil.which("convert")
    if convert and b"ImageMagick" in subprocess.run([convert, "-version"], capture_output=True, check=False).stdout:

        def magick(source: Path, target: Path, width: int) -> None:
            resize = ["-resize", f"{width}x"] if width else []
            subprocess.run([convert, str(source), *resize, f"PNG8:{target}"], check=True)

        found["ImageMagick PNG8"] = magick
    if gifsicle := shutil.which("gifsicle"):

        def optimised(source: Path, target: Path, width: int) -> None:
            resize = ["--resize-width", str(width), "--resize-method", "lanczos3", "--resize-colors", "256"]
            command = [gifsicle, "-O3", *(resize if width else []), str(source), "-o", str(target)]
            subprocess.run(command, check=True, capture_output=True)

        found["gifsicle"] = optimised
    return found


def ours(folder: Path, source: Path, format: str | None, width: int, settings: Mapping[str, object]) -> bytes:
    """Return what this library makes of a file."""
    kit = ImageKit(source_dirs=[source.parent], location=folder, state_store="MemoryStore", **settings)

    @kit.register.generator("bytes")
    def spec(source: object) -> object:
        from jinja_imagekit import ImageSpec

        made = ImageSpec(source)
        made.processors, made.format = ([ResizeToFit(width, width)] if width else []), format
        return made

    try:
        file = kit.cachefile("bytes", source=source.name)
        file.generate(force=True)
        return Path(file.path).read_bytes()
    finally:
        kit.close()


def print_rows(folder: Path) -> None:
    """Print bytes of ours and of each peer, and their ratio."""
    draw(folder / "sources")
    known = peers(folder)
    print("| source | bytes | width | ours | ms | / source | peer | bytes | ours / peer |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | --- | ---: | ---: |")
    for row in ROWS:
        source = folder / "sources" / row.source
        begun = time.process_time()
        made = ours(folder / "made", source, row.format, row.width, row.settings)
        spent = 1000 * (time.process_time() - begun)
        size, width = source.stat().st_size, row.width or Image.open(source).width
        start = f"| {row.what} | {size:,} | {width} | {len(made):,} | {spent:.0f} | {len(made) / size:.2f} |"
        for name in row.peers:
            if name in known:
                target = folder / f"peer.{(row.format or source.suffix[1:]).lower()}"
                known[name](source, target, row.width)
                theirs = target.stat().st_size
                print(f"{start} {name} | {theirs:,} | {len(made) / theirs:.2f} |", flush=True)
                start = "| | | | | | |"
        if start.startswith(f"| {row.what}"):
            print(f"{start} | | |", flush=True)


def images_in(folder: Path) -> Iterator[Path]:
    """Yield the images of a folder in formats that are written."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in (".jpg", ".jpeg", ".png", ".gif", ".webp", ".avif", ".apng") and path.is_file():
            yield path


def print_corpus(folder: Path, made: Path) -> None:
    """Print how many variants without resizing are larger than their sources."""
    count, larger, before, after = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    worst: list[tuple[float, str]] = []
    for path in images_in(folder):
        size = path.stat().st_size
        try:
            result = ours(made, path, None, 0, {"max_source_pixels": 20_000_000})
        except ImageKitError:
            continue
        format = Image.open(io.BytesIO(result)).format or ""
        if format not in OUTPUT_FORMATS:
            continue
        count[format] += 1
        larger[format] += len(result) > size
        before[format] += size
        after[format] += len(result)
        if len(result) > size:
            worst.append((len(result) / size, f"{path.relative_to(folder)}: {size:,} → {len(result):,}"))
    print(
        f"\n{folder}\n\n| format | images | larger than their source | bytes / source's |\n| --- | ---: | ---: | ---: |"
    )
    for format in sorted(count):
        print(f"| {format} | {count[format]} | {larger[format]} | {after[format] / before[format]:.2f} |")
    for ratio, told in sorted(worst, reverse=True)[:40]:
        print(f"  {ratio:.2f} × {told}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="*", help="with images of which variants are made")
    parser.add_argument("--build", type=Path, default=Path("build/benchmarks/bytes"))
    parser.add_argument("--no-rows", action="store_true", help="leave out the drawn sources")
    arguments = parser.parse_args()
    build = arguments.build.absolute()
    libraries = ", ".join(f"{name} {features.version(name)}" for name in ("libjpeg_turbo", "webp", "avif", "zlib_ng"))
    print(f"Python {platform.python_version()}, Pillow {Image.__version__}, {libraries}; {os.cpu_count()} cores\n")
    if not arguments.no_rows:
        print_rows(build)
    for folder in arguments.folders:
        print_corpus(folder, build / "made")


if __name__ == "__main__":
    main()
