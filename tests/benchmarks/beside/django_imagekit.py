"""Makes each photo 400 pixels wide with django-imagekit: `django_imagekit.py PHOTOS OUTPUT`."""

import sys
from pathlib import Path

import django
from django.conf import settings

PHOTOS, OUTPUT = map(Path, sys.argv[1:])
settings.configure(
    INSTALLED_APPS=["imagekit"],
    MEDIA_ROOT=str(OUTPUT),
    CACHES={"default": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": f"{OUTPUT}-cache"}},
    STORAGES={"default": {"BACKEND": "django.core.files.storage.FileSystemStorage"}},
)
django.setup()

from django.core.files.images import ImageFile
from imagekit import ImageSpec
from imagekit.cachefiles import ImageCacheFile
from imagekit.processors import ResizeToFit


class Small(ImageSpec):
    processors = [ResizeToFit(400)]


for path in sorted(PHOTOS.iterdir()):
    try:
        with path.open("rb") as file:
            made = ImageCacheFile(Small(source=ImageFile(file, name=path.name)))
            made.generate()
            print(f"{path.name}|{made.name}")
    except Exception as error:
        print(f"{path.name}|!{error}")
