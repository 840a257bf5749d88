"""Pregenerates with django-imagekit's `generateimages`: `django_imagekit.py JOB PHOTOS OUTPUT`."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

WIDTHS = (400, 800, 1200)


def main(job: str, photos: str, output: str) -> None:
    import django
    from django.conf import settings

    settings.configure(
        INSTALLED_APPS=["imagekit"],
        MEDIA_ROOT=output,
        CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
    )
    django.setup()
    from django.core.files import File
    from django.core.management import call_command
    from imagekit import ImageSpec, register
    from imagekit.processors import ResizeToFill, ResizeToFit

    class Photos:
        def files(self) -> Iterator[Any]:
            for photo in sorted(Path(photos).glob("*.jpg")):
                with photo.open("rb") as file:
                    yield File(file, name=photo.name)

    def spec(id: str, processor: Any, image_format: str, encoder: dict[str, Any]) -> None:
        attributes = {"processors": [processor], "format": image_format, "options": encoder}
        register.generator(id, type("Spec", (ImageSpec,), attributes))
        register.source_group(id, Photos())

    if job == "fill":
        spec("bench:fill", ResizeToFill(400, 300), "JPEG", {"quality": 80, "progressive": True})
    else:
        for width in WIDTHS:
            spec(f"bench:{width}", ResizeToFit(width), "WEBP", {"quality": 80, "method": 4})
    call_command("generateimages", "bench", verbosity=0, stdout=io.StringIO())


if __name__ == "__main__":
    main(*sys.argv[1:])
