"""`manage.py demo`: the database, a dozen photos, all images, and a server on this machine."""

from __future__ import annotations

import sys
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser

from gallery.models import Photo, Photographer

PHOTOGRAPHERS = ("Ines Okafor", "Tomas Lind", "Mara Vel")
TITLES = (
    ("Above the tree line", 5),
    ("Ferry, no passengers", 1),
    ("Thirty seconds of dusk", 6),
    ("The lower field", 2),
    ("Before the weather", 8),
    ("Old pass road", 12),
    ("Salt", 3),
    ("Two ridges", 9),
    ("Back of the valley", 7),
    ("Nobody at the lake", 16),
    ("Last light, again", 4),
    ("North", 18),
)
"""Titles of the photos, and the seeds from which they are drawn."""


class Command(BaseCommand):
    """Sets the gallery up where that is needed, and serves it."""

    help = "Make the database, draw a dozen photos, make all images, and serve the gallery on this machine."

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the command's arguments."""
        parser.add_argument("addrport", nargs="?", default="127.0.0.1:8000", help="address and port of the server")
        parser.add_argument("--no-server", action="store_true", help="stop when all images are made")
        parser.add_argument("--width", type=int, default=2400, help="width of the photos, in pixels")

    def handle(self, *args: Any, **options: Any) -> None:
        """Set up and serve."""
        settings.INSTANCE.mkdir(parents=True, exist_ok=True)
        call_command("migrate", verbosity=0)
        if not User.objects.filter(username="admin").exists():
            User.objects.create_superuser("admin", password="admin")
        if not Photo.objects.exists():
            self._draw(options["width"])
        call_command("generateimages", verbosity=options["verbosity"])
        if not options["no_server"]:
            self.stdout.write(f"http://{options['addrport']}/, and /admin/ for admin with the password admin")
            call_command("runserver", options["addrport"], use_reloader=False)

    def _draw(self, width: int) -> None:
        # The photos are drawn by a module that all examples share, one folder up.
        sys.path.insert(0, str(settings.BASE_DIR.parent))
        import drawing

        people = []
        for seed, name in enumerate(PHOTOGRAPHERS):
            person = Photographer(name=name)
            person.portrait.save("portrait.jpg", ContentFile(drawing.jpeg(400, 400, 20 + seed)))
            people.append(person)
        for number, (title, seed) in enumerate(TITLES):
            # A third of them was taken upright, and says so in EXIF alone.
            size = (width * 2 // 3, width) if number % 3 == 1 else (width, width * 2 // 3)
            content = drawing.oriented(drawing.photo(*size, seed), 6 if number % 3 == 1 else 1, quality=88)
            photo = Photo(title=title, photographer=people[number % len(people)])
            photo.image.save(f"{title.lower().replace(' ', '-').replace(',', '')}.jpg", ContentFile(content))
            self.stdout.write(f"Drew {title!r}")
