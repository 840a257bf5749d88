"""The examples for MkDocs and Sphinx build, and every image on their pages is right in a browser."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from browser import check, check_access, check_loading, started_browser, visit

import drawing

ROOT = Path(__file__).resolve().parents[1]

PHOTOS = {
    "mkdocs_walks": ("docs/photos", ("river", "weir", "lock", "dunes", "coast")),
    "sphinx_guide": ("photos", ("valley", "larches", "tarns", "ridge")),
}
"""Where each example keeps its photos, and which it would draw."""

COMMANDS = {
    "mkdocs_walks": ("mkdocs", [sys.executable, "build.py"], "site", ("index", "walks/weir", "walks/coast")),
    "sphinx_guide": ("furo", [sys.executable, "-m", "sphinx", "-qW", ".", "_build"], "_build", ("index", "larches")),
}
"""What each needs, how it is built, into which folder, and some of its pages."""


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_guide_is_right_in_a_browser(name: str, tmp_path: Path) -> None:
    """Opened as files, images load in the ratio written, the first one first; axe finds nothing, and nothing moves."""
    module, command, output, pages = COMMANDS[name]
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed: pip install .[test,docs]")
    ignored = shutil.ignore_patterns("output", "site", "_build", ".imagekit", "photos", "instance", "__pycache__")
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=ignored)
    folder = tmp_path / "examples" / name
    where, photos = PHOTOS[name]
    (folder / where).mkdir(parents=True)
    for seed, photo in enumerate(photos):
        size = (400, 600) if photo == "lock" else (720, 450)
        (folder / where / f"{photo}.jpg").write_bytes(drawing.jpeg(*size, seed))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    urls = [(folder / output / f"{page}.html").as_uri() for page in pages]
    with started_browser() as browser:
        for url in urls:
            check(visit(browser, url))
            check_loading(browser, url, 400)
        check_access(browser, *urls)
    first = (folder / output / f"{pages[0]}.html").read_text(encoding="utf-8")
    assert re.search(r'<img [^>]*fetchpriority="high"', first)
    assert "<picture" in first
    assert "background" in first
