"""Times `jinja-imagekit html` over an unchanged site of 1,000 pages with 5 images each, and reading and tokenizing it.

python tests/benchmarks/pages.py FOLDER
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "examples"))

import drawing
from jinja_imagekit import ImageKit
from jinja_imagekit.markup.files import Text, pages_in
from jinja_imagekit.markup.tokens import tags

PAGES, IMAGES, SOURCES = 1_000, 5, 1_000

TEXT = (
    '<p class="x">Seven miles along the <a href="/canal/">canal</a> &amp; back, <em>flat</em> all the way.</p>\n' * 20
)
"""What stands between two images: with it, a page has 14 kB and 600 tags."""


def write_site(folder: Path) -> None:
    """Write the pages and their images, unless they are there."""
    view = drawing.photo(480, 360)
    (folder / "img").mkdir(parents=True, exist_ok=True)
    for number in range(SOURCES):
        path = folder / f"img/{number}.jpg"
        if not path.exists():
            left, top = number % 380, number // 10
            path.write_bytes(drawing.encoded(view.crop((left, top, left + 96, top + 72)), "JPEG"))
    for number in range(PAGES):
        page = folder / f"section-{number % 20}/{number}.html"
        if not page.exists():
            page.parent.mkdir(exist_ok=True)
            sources = [(number * IMAGES + each) % SOURCES for each in range(IMAGES)]
            body = "".join(f'{TEXT}<img src="../img/{each}.jpg" alt="Image {each}">\n' for each in sources)
            page.write_text(f"<!doctype html><title>Page {number}</title><body>{body}", encoding="utf-8")


def tokenized(folder: Path) -> float:
    """Return the seconds that reading and tokenizing take."""
    begun = time.perf_counter()
    for page in pages_in(str(folder), "CACHE/images"):
        for _ in tags(Text.of((folder / page).read_bytes()).text):
            pass
    return time.perf_counter() - begun


def transformed(folder: Path) -> float:
    """Return the seconds that `kit.transform` takes for all pages, whose images are made, in a new process's kit."""
    kit = ImageKit(source_dirs=[folder], location=folder, state_dir=folder.parent / ".imagekit", urls="relative")
    begun = time.perf_counter()
    for page in pages_in(str(folder), "CACHE/images"):
        text = Text.of((folder / page).read_bytes()).text
        assert kit.transform(text, page=page) == text
    seconds = time.perf_counter() - begun
    kit.finish()
    kit.close()
    return seconds


def main() -> None:
    """Print the times."""
    folder = Path(sys.argv[1]).resolve() / "public"
    write_site(folder)
    command = [sys.executable, "-m", "jinja_imagekit.cli", "html", str(folder), "--quiet"]
    for run in ("first run", "second run", "third run"):
        begun = time.perf_counter()
        subprocess.run(command, cwd=folder.parent, check=True)
        print(f"{run:24} {time.perf_counter() - begun:6.2f} s")
    print(f"{'read and tokenize':24} {min(tokenized(folder) for _ in range(3)):6.2f} s")
    print(f"{'kit.transform':24} {transformed(folder):6.2f} s")


if __name__ == "__main__":
    main()
