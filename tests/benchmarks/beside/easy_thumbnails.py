"""Makes each photo 400 pixels wide with easy-thumbnails: `easy_thumbnails.py PHOTOS OUTPUT`."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

sys.path.pop(0)  # this script has the package's name


def main(photos: str, output: str) -> None:
    import django
    from django.conf import settings

    settings.configure(
        INSTALLED_APPS=["easy_thumbnails"],
        MEDIA_ROOT=output,
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{output}.sqlite3"}},
    )
    django.setup()
    from django.core.files.storage import default_storage
    from django.core.management import call_command
    from easy_thumbnails.files import get_thumbnailer

    call_command("migrate", verbosity=0)
    Path(output).mkdir(parents=True, exist_ok=True)
    for path in sorted(Path(photos).iterdir()):
        # Its sources are files of the same storage.
        target = Path(output, path.name)
        if not target.exists() or target.stat().st_mtime_ns != path.stat().st_mtime_ns:
            shutil.copy2(path, f"{target}.new")
            os.replace(f"{target}.new", target)
        try:
            thumbnailer = get_thumbnailer(default_storage, path.name)
            if path.stem.startswith("jpeg-"):
                thumbnailer.thumbnail_transparency_extension = "jpg"
            made = thumbnailer.get_thumbnail({"size": (400, 0)})
            print(f"{path.name}|{made.name}")
        except Exception as error:  # noqa: BLE001  # whatever it raises is what is asked
            print(f"{path.name}|!{error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
