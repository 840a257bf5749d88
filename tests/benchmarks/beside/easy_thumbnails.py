"""Makes each photo 400 pixels wide with easy-thumbnails: `easy_thumbnails.py PHOTOS OUTPUT`."""

import os
import shutil
import sys
from pathlib import Path

sys.path.pop(0)  # this script has the package's name

import django
from django.conf import settings

PHOTOS, OUTPUT = map(Path, sys.argv[1:])
settings.configure(
    INSTALLED_APPS=["easy_thumbnails"],
    MEDIA_ROOT=str(OUTPUT),
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{OUTPUT}.sqlite3"}},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    THUMBNAIL_TRANSPARENCY_EXTENSION="png",
)
django.setup()

from django.core.files.storage import default_storage
from django.core.management import call_command
from easy_thumbnails.files import get_thumbnailer

call_command("migrate", verbosity=0)
for path in sorted(PHOTOS.iterdir()):
    # Its sources are files of the same storage.
    target = OUTPUT / path.name
    if not target.exists() or target.stat().st_mtime_ns != path.stat().st_mtime_ns:
        OUTPUT.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, f"{target}.new")
        os.replace(f"{target}.new", target)
    try:
        thumbnail = get_thumbnailer(default_storage, path.name).get_thumbnail({"size": (400, 0)})
        print(f"{path.name}|{thumbnail.name}")
    except Exception as error:
        print(f"{path.name}|!{error}")
