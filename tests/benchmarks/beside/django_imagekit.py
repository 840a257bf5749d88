"""Makes each photo 400 pixels wide with django-imagekit: `django_imagekit.py PHOTOS OUTPUT`."""

from __future__ import annotations

import sys
from pathlib import Path


def main(photos: str, output: str) -> None:
    import django
    from django.conf import settings

    cache = {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": f"{output}-cache"}
    settings.configure(INSTALLED_APPS=["imagekit"], MEDIA_ROOT=output, CACHES={"default": cache})
    django.setup()
    from django.core.files.images import ImageFile
    from imagekit import ImageSpec
    from imagekit.cachefiles import ImageCacheFile
    from imagekit.processors import ResizeToFit

    small = type("Small", (ImageSpec,), {"processors": [ResizeToFit(400)]})
    as_jpeg = type("AsJpeg", (small,), {"format": "JPEG"})
    for path in sorted(Path(photos).iterdir()):
        try:
            with path.open("rb") as file:
                spec = as_jpeg if path.stem.startswith("jpeg-") else small
                made = ImageCacheFile(spec(source=ImageFile(file, name=path.name)))
                made.generate()
                print(f"{path.name}|{made.name}")
        except Exception as error:  # noqa: BLE001  # whatever it raises is what is asked
            print(f"{path.name}|!{error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
