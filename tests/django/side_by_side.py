"""Prints names and pixels of many specs over many sources, as django-imagekit or this library makes them.

Run with the name of the package, `imagekit` or `jinja_imagekit.django`, and a folder of source images.
"""

from __future__ import annotations

import hashlib
import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.core.files import File
from django.core.files.base import ContentFile

PACKAGE, FOLDER = sys.argv[1], Path(sys.argv[2])

settings.configure(
    INSTALLED_APPS=[PACKAGE],
    BASE_DIR=FOLDER.parent,
    MEDIA_ROOT=str(FOLDER),
    IMAGEKIT_COMPATIBILITY="6.1",
    # django-imagekit insists on it where django-rq is installed; nothing is sent.
    RQ_QUEUES={"default": {"URL": "redis://localhost"}},
    IMAGEKIT_CACHE_TIMEOUT=None,
)
django.setup()

ImageSpec = import_module(PACKAGE).ImageSpec
ImageCacheFile = import_module(f"{PACKAGE}.cachefiles").ImageCacheFile
create_spec_class = import_module(f"{PACKAGE}.specs").create_spec_class
Thumbnail = import_module(f"{PACKAGE}.generatorlibrary").Thumbnail
p = import_module(f"{PACKAGE}.processors")


class Watermark:
    """A processor of a project's own."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.places = {"b", "a"}

    def process(self, image: Any) -> Any:
        return image


class Wider(p.ResizeToFill):  # type: ignore[name-defined, misc]
    """A processor of a project's own, on the library's."""

    def __init__(self, side: int) -> None:
        super().__init__(2 * side, side, anchor="tl")
        self.side = side


class Badge:
    """A generator that is not a spec."""

    format = "PNG"

    def get_hash(self) -> str:
        return "abc123"


shared = p.ResizeToFit(40, 30)
SPECS: dict[str, Any] = {
    "empty": {},
    "fill": {"processors": [p.ResizeToFill(50, 30)], "format": "JPEG", "options": {"quality": 60}},
    "anchor": {"processors": [p.ResizeToFill(50, 30, anchor=p.Anchor.TOP_LEFT)], "format": "PNG"},
    "point": {"processors": [p.ResizeToFill(50, 30, anchor=(0.2, 1))], "format": "jpeg"},
    "fit": {"processors": [p.ResizeToFit(50, 50, mat_color=(255, 0, 0))], "format": "WEBP", "options": {"quality": 80}},
    "width": {"processors": [p.ResizeToFit(width=33, upscale=False)], "options": {"quality": 90, "optimize": True}},
    "smart": {"processors": [p.SmartResize(40, 40), p.Adjust(contrast=1.2, sharpness=1.1)], "format": "JPEG"},
    "two": {"processors": [p.Adjust(color=0), p.Adjust(color=0)], "format": "GIF"},
    "shared": {"processors": [shared, shared]},
    "crop": {"processors": [p.SmartCrop(30, 30), p.Crop(20, 20, x=-3, y=-2)], "format": "JPEG"},
    "canvas": {"processors": [p.ResizeCanvas(200, 200, color=(0, 0, 0)), p.AddBorder(4, color="#ff0000")]},
    "border": {"processors": [p.AddBorder((1, 2, 3, 4), color=(1, 2, 3))], "format": "PNG"},
    "reflection": {"processors": [p.Reflection(size=0.3)], "format": "PNG"},
    "opaque": {"processors": [p.MakeOpaque(), p.Transpose(p.Transpose.ROTATE_90)], "format": "JPEG"},
    "auto": {"processors": [p.Transpose()], "format": "JPEG"},
    "cover": {"processors": [p.ResizeToCover(30, 30), p.Resize(20, 20, upscale=False)], "autoconvert": False},
    "trim": {"processors": [p.TrimBorderColor(tolerance=0.0)], "format": "PNG"},
    "pipeline": {"processors": p.ProcessorPipeline([p.ResizeToFit(20, 20), p.Adjust(brightness=1.5)])},
    "nested": {"processors": [p.ProcessorPipeline([p.ResizeToFit(20, 20)]), p.MakeOpaque()], "format": "JPEG"},
    "own": {"processors": [Watermark("© été"), p.Resize(30, 30)], "format": "JPEG"},
    "subclass": {"processors": [Wider(20)], "format": "JPEG"},
}
THUMBNAILS: list[dict[str, Any]] = [
    {"width": 100, "height": 50},
    {"width": 100},
    {"height": 40, "format": "WEBP"},
    {"width": 60, "height": 60, "anchor": "t", "crop": True},
    {"width": 60, "height": 60, "anchor": (0.5, 0), "upscale": True},
    {"width": 60, "height": 60, "crop": False, "format": "PNG"},
]
NAMERS = ["source_name_as_path", "source_name_dot_hash", "hash"]
NO_PIXELS = {"trim"}
"""pilkit's TrimBorderColor fails with Pillow 10 and later."""


class Stored(ContentFile):  # type: ignore[type-arg]
    """Content with a path for its name, as a file field has it."""

    def __init__(self, path: Path, name: str) -> None:
        super().__init__(path.read_bytes())
        self.name = name


def pixels(spec: Any) -> str:
    try:
        return hashlib.sha256(spec.generate().read()).hexdigest()
    except Exception as error:  # noqa: BLE001  # what goes wrong is compared as well
        cause = error.__cause__ or error
        return f"error: {type(cause).__name__}"


def main() -> None:
    found: dict[str, str] = {}
    namers = import_module(f"{PACKAGE}.cachefiles.namers")
    for path in sorted(FOLDER.iterdir()):
        with path.open("rb") as opened:
            sources = {
                "field": Stored(path, f"photos/2026/{path.name}"),
                "bare": Stored(path, path.name),
                "file": File(opened),
            }
            for kind, source in sources.items():
                specs = {name: create_spec_class(attributes)(source=source) for name, attributes in SPECS.items()}
                specs |= {f"thumbnail{n}": Thumbnail(source=source, **kw) for n, kw in enumerate(THUMBNAILS)}
                for name, spec in specs.items():
                    key = f"{path.name} {kind} {name}"
                    for namer in NAMERS:
                        try:
                            found[f"{key} {namer}"] = getattr(namers, namer)(spec)
                        except Exception as error:  # noqa: BLE001  # likewise
                            found[f"{key} {namer}"] = f"error: {type(error).__name__}"
                    found[f"{key} cachefile"] = ImageCacheFile(spec).name
                    if kind == "bare" and name not in NO_PIXELS:
                        found[f"{key} pixels"] = pixels(spec)
    found["badge"] = ImageCacheFile(Badge()).name
    print(json.dumps(found))


if __name__ == "__main__":
    main()
