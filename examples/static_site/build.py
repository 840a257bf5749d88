"""Builds the site: draws the photos, renders the pages, makes the images that they need."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

from collection import PICTURES, draw_missing
from mysite import HERE, env, kit

OUTPUT = HERE / "output"


def render_pages() -> int:
    """Write the pages and the style sheet, and return how many pages there are."""
    neighbours = [*PICTURES[-1:], *PICTURES, *PICTURES[:1]]
    pages = {"index.html": env.get_template("index.html").render(pictures=PICTURES)}
    for index, picture in enumerate(PICTURES):
        pages[f"pictures/{picture.slug}.html"] = env.get_template("picture.html").render(
            picture=picture, before=neighbours[index], after=neighbours[index + 2]
        )
    for name, html in pages.items():
        target = OUTPUT / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(html, encoding="utf-8")
    shutil.copytree(HERE / "static", OUTPUT / "static", dirs_exist_ok=True)
    return len(pages)


def main() -> int:
    """Build, say where the result is, and return the exit status."""
    started = time.perf_counter()
    drawn = draw_missing(HERE / "content/images")
    pages = render_pages()
    report = kit.finish()
    for failure in report.failed:
        print(f"{failure.generator_id} of {failure.source}: {failure.reason}", file=sys.stderr)
    seconds = time.perf_counter() - started
    print(
        f"{drawn} photos drawn, {len(report.generated)} images made, {len(report.skipped)} fresh already,"
        f" {pages} pages, in {seconds:.1f} s"
    )
    print(f"The site is in {_shown(OUTPUT / 'index.html')}")
    print(f"To look at it:  python3 -m http.server --directory {_shown(OUTPUT)}  and  http://localhost:8000/")
    return 1 if report.failed else 0


def _shown(path: Path) -> str:
    return f'"{path}"' if " " in str(path) else str(path)


if __name__ == "__main__":
    sys.exit(main())
