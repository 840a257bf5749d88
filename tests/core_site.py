"""What the tests of the core share: small photographs, a site in a folder, mounts, specs that processes can import."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import drawing
from jinja_imagekit import ImageKit, ImageSpec
from jinja_imagekit.processors import ResizeToFill, ResizeToFit
from jinja_imagekit.sources.base import RACY_NS


@lru_cache(maxsize=4)
def _landscape(seed: int) -> Image.Image:
    return drawing.photo(480, 360, seed)


@lru_cache(maxsize=256)
def photo_bytes(width: int = 96, height: int = 72, seed: int = 0, format: str = "JPEG") -> bytes:
    """Return a photo-like file; another seed gives other bytes."""
    left, top = seed * 7 % 160, seed * 5 % 120
    view = _landscape(seed % 2).crop((left, top, left + 320, top + 240))
    return drawing.encoded(view.resize((width, height)), format)


class Site:
    """Folders for sources, results and state, and kits over them.

    Attributes:
        images: The folder of sources.
        output: The folder of results.
        state: The folder of state.
        kit: A kit over these folders.
    """

    def __init__(self, root: Path, **settings: Any) -> None:
        self.root = root
        self.images, self.output, self.state = root / "images", root / "output", root / "state"
        self.images.mkdir(exist_ok=True)
        self._settings = settings
        self.kit = self.new_kit()

    def new_kit(self, **settings: Any) -> ImageKit:
        """Return another kit over the same folders, which knows what a new process would know."""
        folders = {"source_dirs": [self.images], "location": self.output, "state_dir": self.state}
        kit = ImageKit(**{**folders, **self._settings, **settings})
        kit.register.generator("card", Card)
        return kit

    def write(self, name: str, width: int = 96, height: int = 72, seed: int = 0, format: str = "JPEG") -> Path:
        """Write a photo below the source folder, with a time stamp that has settled."""
        return settled(self.images / name, photo_bytes(width, height, seed, format))

    def files(self) -> dict[str, bytes]:
        """Return all files of the output folder by name, temporary ones included."""
        found = (path for path in sorted(self.output.rglob("*")) if path.is_file())
        return {path.relative_to(self.output).as_posix(): path.read_bytes() for path in found}


def settled(path: Path, content: bytes, age: float = 60.0) -> Path:
    """Write a file whose content was changed that many seconds ago, and wait until another change would show."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    then = time.time() - age
    os.utime(path, (then, then))
    time.sleep(1.1 * RACY_NS / 1e9)
    return path


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """Mount a file system on a folder, by the options of `mount`; the test is skipped where that is not allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run(["mount", *options, str(folder)], capture_output=True, check=False, text=True)
    except FileNotFoundError:
        pytest.skip("this system has no mount command")
    if done.returncode:
        pytest.skip(f"cannot mount here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


class Card(ImageSpec):
    """A small image."""

    processors = (ResizeToFill(24, 16),)
    format = "JPEG"


class Wide(ImageSpec):
    """Another small image."""

    processors = (ResizeToFit(20, 20),)
    format = "PNG"


class Broken:
    """A processor that raises."""

    def process(self, image: Image.Image) -> Image.Image:
        """Raise."""
        raise RuntimeError("the ink ran out")


class BrokenCard(ImageSpec):
    """A spec whose processor raises."""

    processors = (Broken(),)
    format = "PNG"


class DiesInAnotherProcess:
    """A processor that takes its whole process down, unless that is the one of this process id."""

    def __init__(self, survivor: int) -> None:
        self.survivor = survivor

    def process(self, image: Image.Image) -> Image.Image:
        """End the process, as a lack of memory would."""
        if os.getpid() != self.survivor:
            os._exit(9)
        return image


class DiesForLargeSources:
    """A processor that takes its process down for images wider than 100 pixels."""

    def process(self, image: Image.Image) -> Image.Image:
        """End the process, as a lack of memory would."""
        if image.width > 100:
            os._exit(9)
        return image


class DeadlyCard(ImageSpec):
    """A spec that takes its process down for wide sources."""

    processors = (DiesForLargeSources(),)
    format = "PNG"


class DiesOnce:
    """A processor that takes its process down the first time it sees an image wider than 100 pixels."""

    def __init__(self, mark: str) -> None:
        self.mark = mark

    def process(self, image: Image.Image) -> Image.Image:
        """End the process unless the mark is there."""
        if image.width > 100 and not os.path.exists(self.mark):
            Path(self.mark).touch()
            os._exit(9)
        return image


class Slow:
    """A processor that waits, with the interpreter lock free, and says on which thread."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def process(self, image: Image.Image) -> Image.Image:
        """Wait."""
        time.sleep(self.seconds)
        return image

    def output_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the size, which stays."""
        return size


class Counter:
    """Counts calls from many threads."""

    def __init__(self) -> None:
        self.count = 0
        self.threads: set[int] = set()
        self._lock = threading.Lock()

    def __call__(self) -> None:
        with self._lock:
            self.count += 1
            self.threads.add(threading.get_ident())


class Chart:
    """A generator that is not a spec and has no source: a bar for each value."""

    format = "PNG"

    def __init__(self, values: tuple[int, ...] = (1, 2)) -> None:
        self.values = values

    def generate(self) -> Any:
        """Return the chart."""
        from io import BytesIO

        image = Image.new("RGB", (len(self.values) * 4, 20), "white")
        for index, value in enumerate(self.values):
            image.paste("black", (index * 4, 20 - value, index * 4 + 3, 20))
        return BytesIO(drawing.encoded(image, "PNG"))
