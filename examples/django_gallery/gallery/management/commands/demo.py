"""`manage.py demo`: the database, a dozen photos, their thumbnails, and a server on this machine."""

import sys
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser
from django.utils.text import slugify
from gallery.models import Photo, Photographer

TITLES = (
    "Above the tree line; Ferry, no passengers; Thirty seconds of dusk; The lower field; Before the weather; Salt; "
    "Old pass road; Two ridges; Back of the valley; Nobody at the lake; Last light, again; North"
)


class Command(BaseCommand):
    """Sets the gallery up where that is needed, and serves it."""

    help = "Make the database, draw a dozen photos, make their thumbnails, and serve the gallery on this machine."

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the command's arguments."""
        parser.add_argument("addrport", nargs="?", default="127.0.0.1:8000", help="address and port of the server")
        parser.add_argument("--no-server", action="store_true", help="stop when all thumbnails are made")
        parser.add_argument("--width", type=int, default=2400, help="width of the photos, in pixels")

    def handle(self, *args: Any, **options: Any) -> None:
        """Set up and serve."""
        settings.INSTANCE.mkdir(parents=True, exist_ok=True)
        call_command("migrate", run_syncdb=True, verbosity=0)
        if not Photo.objects.exists():
            User.objects.create_superuser("admin", password="admin")
            self._draw(options["width"])
        call_command("generateimages", verbosity=options["verbosity"])
        if not options["no_server"]:
            self.stdout.write(f"http://{options['addrport']}/, and /admin/ for admin with the password admin")
            call_command("runserver", options["addrport"], use_reloader=False)

    def _draw(self, width: int) -> None:
        # The photos are drawn by a module that all examples share, one folder up.
        sys.path.insert(0, str(settings.BASE_DIR.parent))
        import drawing

        people = [Photographer(name=name) for name in ("Ines Okafor", "Tomas Lind", "Mara Vel")]
        for seed, person in enumerate(people):
            person.portrait.save("portrait.jpg", ContentFile(drawing.jpeg(400, 400, 20 + seed)))
        for number, title in enumerate(TITLES.split("; ")):
            # A third of them was taken upright, and says so in EXIF alone.
            size, turn = ((width * 2 // 3, width), 6) if number % 3 == 1 else ((width, width * 2 // 3), 1)
            photo = Photo(title=title, photographer=people[number % len(people)])
            content = drawing.oriented(drawing.photo(*size, number), turn, quality=88)
            photo.image.save(f"{slugify(title)}.jpg", ContentFile(content))
            self.stdout.write(f"Drew {title!r}")
