"""A site whose images a cluster makes, in a folder that all its machines see, for the tests of executors."""

from __future__ import annotations

import importlib
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from core_site import photo_bytes
from queue_site import GATE, wait_until

from jinja_imagekit import ImageKit
from jinja_imagekit.pregenerate import Report
from jinja_imagekit.sourcegroups import GlobSourceGroup

_SITE = f"""{GATE}

from jinja_imagekit import ImageKit, ImageSpec
from jinja_imagekit.processors import ResizeToFill


class Card(ImageSpec):
    processors = (ResizeToFill(24, 16), Gate())
    format = "PNG"


class Dies:
    def process(self, image):
        if image.width > 100:
            os._exit(9)
        return image


class Deadly(ImageSpec):
    processors = (Dies(), ResizeToFill(24, 16))
    format = "PNG"


kit = ImageKit(
    source_dirs=[FOLDER / "images"],
    location=FOLDER / "output",
    state_dir=FOLDER / "state",
    import_name="cluster_pages:kit",
)
kit.register.generator("card", Card)
kit.register.generator("deadly", Deadly)
"""


class ClusterSite:
    """A site in a folder, and its kit in this process.

    Attributes:
        folder: The site's folder.
        kit: The kit.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "cluster_pages.py").write_text(_SITE, encoding="utf-8")
        self._patch = pytest.MonkeyPatch()
        self._patch.syspath_prepend(folder)
        self._patch.delitem(sys.modules, "cluster_pages", raising=False)
        path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
        self._patch.setenv("PYTHONPATH", path)
        self._patch.setenv("IMAGEKIT_KITS", "cluster_pages:kit")
        self.kit: ImageKit = importlib.import_module("cluster_pages").kit
        self.open_gate()

    def write(self, name: str, count: int, width: int = 96) -> list[str]:
        """Write small photos into a folder of their own, and return their names."""
        folder = self.folder / "images" / name
        folder.mkdir(parents=True, exist_ok=True)
        names = [f"{width}-{number}.jpg" for number in range(count)]
        for number, file in enumerate(names):
            (folder / file).write_bytes(photo_bytes(width, 72, number))
        return [f"{name}/{file}" for file in names]

    def generate(self, executor: Any, name: str, id: str = "card", **options: Any) -> Report:
        """Have an executor make what a generator makes from a folder's photos."""
        group = GlobSourceGroup(f"{name}/*.jpg")
        self.kit.register.source_group(id, group)
        try:
            return self.kit.generate(id, executor=executor, **options)
        finally:
            self.kit.unregister.source_group(id, group)

    def begin(self, executor: Any, name: str, id: str = "card", **options: Any) -> list[Report]:
        """Do the same on a thread; the list has the report once it is done."""
        reports: list[Report] = []
        thread = threading.Thread(target=lambda: reports.append(self.generate(executor, name, id, **options)))
        thread.start()
        return reports

    def files(self, name: str) -> dict[str, bytes]:
        """Return the images of a folder's photos."""
        found = (self.folder / "output").glob(f"**/{name}/**/*.*")
        return {path.relative_to(self.folder).as_posix(): path.read_bytes() for path in found if path.is_file()}

    def forget(self, name: str) -> None:
        """Delete the images of a folder's photos."""
        for path in self.files(name):
            (self.folder / path).unlink()

    @property
    def begun(self) -> list[int]:
        """The processes in which a card was begun."""
        path = self.folder / "begun.txt"
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def open_gate(self) -> None:
        """Let cards be made."""
        (self.folder / "gate").touch()

    def close_gate(self) -> None:
        """Let workers wait in the middle of a card, and count them anew."""
        (self.folder / "gate").unlink()
        (self.folder / "begun.txt").unlink(missing_ok=True)

    def wait_for_worker(self) -> int:
        """Wait until a worker is at a card, and return its process."""
        wait_until(lambda: self.begun, "a worker has begun")
        return self.begun[0]

    def close(self) -> None:
        """Leave this process as it was."""
        self.open_gate()
        self.kit.close()
        self._patch.undo()
