"""Fixtures that several test files share: folders of drawn images, programs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import started_browser

import drawing

WritePhoto = Callable[..., Path]


@pytest.fixture
def images_dir(tmp_path: Path) -> Path:
    """Return an empty folder for source images."""
    folder = tmp_path / "images"
    folder.mkdir()
    return folder


@pytest.fixture
def write_photo(images_dir: Path) -> WritePhoto:
    """Return a function that draws a photo into `images_dir`: `write_photo("a/b.jpg", 640, 480, seed=1)`."""

    def write(name: str, width: int = 640, height: int = 480, seed: int = 0) -> Path:
        target = images_dir / name
        target.parent.mkdir(parents=True, exist_ok=True)
        drawing.photo(width, height, seed).save(target)
        return target

    return write


# Not for the whole session: while Playwright runs, no other event loop may run in this thread.
@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Return a headless browser; the test is skipped where there is none."""
    with started_browser() as browser:
        yield browser


@pytest.fixture(scope="session")
def exiftool() -> str:
    """The program, or no test."""
    found = shutil.which("exiftool")
    if found is None:
        pytest.skip("exiftool is not installed (Debian: libimage-exiftool-perl)")
    return found
