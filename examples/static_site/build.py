"""Builds the site: draws the photos, renders the pages, makes the images that they need."""

from __future__ import annotations

import shutil
import sys
import time

from collection import PICTURES, draw_missing
from mysite import HERE, env, kit

OUTPUT = HERE / "output"


def render_pages() -> int:
    """Write the pages and the style sheet, and return how many pages there are."""
    neighbours = [*PICTURES[-1:], *PICTURES, *PICTURES[:1]]
    write_page("index.html", "index.html", root=".", pictures=PICTURES)
    for before, picture, after in zip(neighbours[:-2], PICTURES, neighbours[2:], strict=True):
        name = f"pictures/{picture.slug}.html"
        write_page(name, "picture.html", root="..", picture=picture, before=before, after=after)
    shutil.copytree(HERE / "static", OUTPUT / "static", dirs_exist_ok=True)
    return 1 + len(PICTURES)


def write_page(name: str, template: str, **values: object) -> None:
    """Render a page; within it, URLs of images are relative, and those at its beginning load first."""
    with kit.page(name):
        html = env.get_template(template).render(values)
    target = OUTPUT / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(html, encoding="utf-8")


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
    print(f"Open it in a browser: {(OUTPUT / 'index.html').as_uri()}")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
