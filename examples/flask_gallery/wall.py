"""What hangs on the wall: the photos that the gallery draws for itself, and the uploads."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import drawing
from jinja_imagekit.uploads import ProcessedFile

OWN = {
    "north-slope": ("North slope, first light", 5),
    "embers": ("Embers over the pass", 6),
    "high-pasture": ("High pasture", 7),
    "cold-harbour": ("Cold harbour", 8),
    "heather": ("Heather, late", 9),
    "salt-road": ("The salt road", 12),
    "last-bus": ("From the last bus", 16),
    "rain-shadow": ("Rain shadow", 18),
}
"""Title and seed of each photo that is drawn, by its stem."""


@dataclass(frozen=True)
class Picture:
    """One picture: the name by which templates find it, and what its label says."""

    name: str
    title: str
    is_upload: bool = False


def pictures(uploads: Path) -> list[Picture]:
    """Return all pictures, the last upload first."""
    labels = sorted(uploads.glob("*.json"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    brought = [Picture(f"uploads/{path.stem}", json.loads(path.read_text("utf-8")), True) for path in labels]
    return [*brought, *(Picture(f"photos/{stem}.jpg", title) for stem, (title, _) in OWN.items())]


def hang(uploads: Path, picture: ProcessedFile, title: str) -> str:
    """Store a picture with its label, and return its name."""
    picture.save(uploads / picture.unique_name)
    label = json.dumps(title or picture.name.rpartition(".")[0].replace("-", " "))
    (uploads / f"{picture.unique_name}.json").write_text(label, "utf-8")
    return f"uploads/{picture.unique_name}"


def draw_missing(folder: Path, width: int) -> None:
    """Draw the gallery's own photos that are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for stem, (_, seed) in OWN.items():
        if not (folder / f"{stem}.jpg").exists():
            (folder / f"{stem}.jpg").write_bytes(drawing.jpeg(width, width * 2 // 3, seed, quality=88))
