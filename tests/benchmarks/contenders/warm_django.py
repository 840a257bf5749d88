"""Times warm thumbnail tags of django-imagekit or easy-thumbnails: `warm_django.py LIBRARY PHOTOS OUTPUT ROUNDS`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

TEMPLATES = {
    "django-imagekit": '{% load imagekit %}{% for p in photos %}{% thumbnail "100x100" p -- alt="x" %}{% endfor %}',
    "easy-thumbnails": '{% load thumbnail %}{% for p in photos %}<img src="{% thumbnail p 100x100 crop %}" alt="x">'
    "{% endfor %}",
}


def main(library: str, photos: str, output: str, rounds: str) -> None:
    import django
    from django.conf import settings

    Path(output).mkdir(parents=True, exist_ok=True)
    settings.configure(
        INSTALLED_APPS=["imagekit" if library == "django-imagekit" else "easy_thumbnails"],
        MEDIA_ROOT=photos,
        MEDIA_URL="/media/",
        CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(Path(output, "easy.sqlite3"))}},
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    )
    django.setup()
    from django.core.files.storage import default_storage
    from django.core.management import call_command
    from django.db.models.fields.files import ImageFieldFile
    from django.template import engines

    if library == "easy-thumbnails":
        call_command("migrate", verbosity=0, run_syncdb=True)
    names = sorted(path.name for path in Path(photos).glob("*.jpg"))
    sources: list[Any] = names
    if library == "django-imagekit":
        from django.db import models

        field = models.ImageField(name="photo")
        field.storage = default_storage
        sources = [ImageFieldFile(None, field, name) for name in names]
    template = engines["django"].from_string(TEMPLATES[library])
    template.render({"photos": sources})
    times = []
    for _ in range(int(rounds)):
        begun = time.perf_counter()
        template.render({"photos": sources})
        times.append((time.perf_counter() - begun) / len(sources) * 1e6)
    print(min(times))


if __name__ == "__main__":
    main(*sys.argv[1:])
