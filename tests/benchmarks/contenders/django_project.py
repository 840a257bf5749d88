"""A Django project with django-imagekit, or with this library under its name: a page of tags, or `generateimages`.

Arguments: the package, the folder of photos, the folder for cache files, what to do ("page", "field", "generate", or
"locmem" or "file" for the first page of a process with that cache as Django has it by default), and the rounds.
It prints microseconds a tag (the best page, then the first one), seconds, or milliseconds and opened originals.
"""

from __future__ import annotations

import sys
import time
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any

import django
from django.conf import settings

PACKAGE, PHOTOS, OUTPUT, WHAT, ROUNDS = sys.argv[1:]

CACHES = {
    "locmem": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    "file": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": f"{OUTPUT}-cache"},
}
ROOMY = {**CACHES["locmem"], "OPTIONS": {"MAX_ENTRIES": 100_000}}
FIRST_PAGE = 200
"""Images on the first page of a process."""

settings.configure(
    INSTALLED_APPS=[PACKAGE],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    CACHES={"default": CACHES.get(WHAT, ROOMY)},
    IMAGEKIT_STATE_DIR=f"{OUTPUT}-state",
    MEDIA_ROOT=OUTPUT,
    # django-imagekit insists on it where django-rq is installed; nothing is sent.
    RQ_QUEUES={"default": {"URL": "redis://localhost"}},
    MEDIA_URL="/media/",
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
)
django.setup()

from django.core.files.storage import FileSystemStorage  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection, models  # noqa: E402
from django.template import Context, Template  # noqa: E402

fields = import_module(f"{PACKAGE}.models")
processors = import_module(f"{PACKAGE}.processors")


class Photo(models.Model):
    """A photo with a thumbnail."""

    image = models.ImageField(storage=FileSystemStorage(PHOTOS, "/photos/"))
    thumbnail = fields.ImageSpecField([processors.ResizeToFill(400, 300)], format="JPEG", options={"quality": 80})

    class Meta:
        """Django's options."""

        app_label = "imagekit"


def first_page(photos: list[Photo]) -> None:
    size = "{{ photo.thumbnail.width }} {{ photo.thumbnail.height }}"
    template = Template("{% for photo in photos %}{{ photo.thumbnail.url }} " + size + "{% endfor %}")
    opened: list[str] = []

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and str(arguments[0]).startswith(PHOTOS):
            opened.append(str(arguments[0]))

    sys.addaudithook(note)
    begun = time.perf_counter()
    template.render(Context({"photos": photos}))
    print((time.perf_counter() - begun) * 1e3, len(opened))


def main() -> None:
    with connection.schema_editor() as editor:
        editor.create_model(Photo)
    names = sorted(path.name for path in Path(PHOTOS).iterdir())
    photos = [Photo(image=name) for name in names]
    Photo.objects.bulk_create(photos)
    if WHAT == "generate":
        begun = time.perf_counter()
        call_command("generateimages", stdout=StringIO())
        print(time.perf_counter() - begun)
        return
    if WHAT in CACHES:
        first_page(photos[:FIRST_PAGE])
        return
    tag = {
        "page": "{% thumbnail '100x75' photo.image %}",
        "field": "<img src='{{ photo.thumbnail.url }}'>",
    }[WHAT]
    template = Template("{% load imagekit %}{% for photo in photos %}" + tag + "{% endfor %}")
    context: dict[str, Any] = {"photos": photos}
    times = []
    for _ in range(int(ROUNDS)):
        begun = time.perf_counter()
        template.render(Context(context))
        times.append((time.perf_counter() - begun) / len(photos) * 1e6)
    print(min(times), times[0])


if __name__ == "__main__":
    main()
