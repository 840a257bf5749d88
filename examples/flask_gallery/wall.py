"""What hangs on the wall: the photos that the gallery draws for itself, and the uploads."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import drawing
from jinja_imagekit.uploads import ProcessedFile

OWN = (
    ("north-slope", "North slope, first light", 5),
    ("embers", "Embers over the pass", 6),
    ("high-pasture", "High pasture", 7),
    ("cold-harbour", "Cold harbour", 8),
    ("heather", "Heather, late", 9),
    ("salt-road", "The salt road", 12),
    ("last-bus", "From the last bus", 16),
    ("rain-shadow", "Rain shadow", 18),
)
"""Stem, title and seed of each photo that is drawn."""


@dataclass(frozen=True)
class Picture:
    """One picture.

    Attributes:
        name: The image's name, by which templates find it.
        title: What its label says.
        is_upload: Whether a visitor brought it.
    """

    name: str
    title: str
    is_upload: bool = False


class Wall:
    """The pictures in their order, the last upload first.

    Args:
        instance: The folder of uploads and photos.
    """

    def __init__(self, instance: Path) -> None:
        self._uploads = instance / "uploads"

    def pictures(self) -> list[Picture]:
        """Return all pictures."""
        labels = sorted(self._uploads.glob("*.json"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
        uploads = [Picture(f"uploads/{path.stem}", _title(path), True) for path in labels]
        return [*uploads, *(Picture(f"photos/{stem}.jpg", title) for stem, title, _ in OWN)]

    def hang(self, picture: ProcessedFile, title: str) -> str:
        """Store a picture with its label, and return its name."""
        name = picture.unique_name
        picture.save(self._uploads / name)
        label = json.dumps({"title": title or picture.name.rpartition(".")[0].replace("-", " ")})
        (self._uploads / f"{name}.json").write_text(label, encoding="utf-8")
        return f"uploads/{name}"


def _title(label: Path) -> str:
    try:
        return str(json.loads(label.read_text(encoding="utf-8"))["title"])
    except ValueError:
        return label.stem


def draw_missing(folder: Path, width: int) -> None:
    """Draw the gallery's own photos that are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for stem, _, seed in OWN:
        path = folder / f"{stem}.jpg"
        if not path.exists():
            path.write_bytes(drawing.jpeg(width, width * 2 // 3, seed, quality=88))
