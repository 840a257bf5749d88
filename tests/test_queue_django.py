"""A Django project whose images are made by the real workers of Celery and of django-rq, on a real Redis."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from queue_site import has_redis, redis_server

pytest.importorskip("django", reason="Django is not installed: pip install 'jinja-imagekit[django]'")
pytestmark = pytest.mark.skipif(not has_redis(), reason="needs the program redis-server, and POSIX signals")

ROOT = Path(__file__).resolve().parents[1]

SETTINGS = """
import os
from pathlib import Path

FOLDER = BASE_DIR = Path(__file__).parent
SECRET_KEY = "tests"
USE_TZ = True
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "jinja_imagekit.django", "shop"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": FOLDER / "shop.sqlite3"}}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": FOLDER / "cache"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
MEDIA_ROOT = FOLDER / "media"
IMAGEKIT_DEFAULT_CACHEFILE_BACKEND = "jinja_imagekit.django.cachefiles.backends." + os.environ["SHOP_QUEUE"]
if os.environ["SHOP_QUEUE"] == "RQ":
    INSTALLED_APPS.append("django_rq")
    RQ_QUEUES = {"default": {"URL": os.environ["SITE_BROKER"]}}
"""

MODELS = """
from django.db import models

from jinja_imagekit.django.models import ImageSpecField
from jinja_imagekit.django.processors import ResizeToFill


class Hat(models.Model):
    image = models.ImageField(upload_to="hats")
    thumbnail = ImageSpecField([ResizeToFill(40, 30)], source="image", format="PNG")
"""

CELERY = """
import os

if os.environ["SHOP_QUEUE"] == "Celery":
    from celery import Celery

    app = Celery("shop", broker=os.environ["SITE_BROKER"], include=["jinja_imagekit.queues.celery"])
    app.set_default()
"""

ASK = """
import django, drawing
django.setup()
from django.core.files.base import ContentFile
from django.core.management import call_command
call_command("migrate", run_syncdb=True, verbosity=0)
from shop.models import Hat
hat = Hat()
hat.image.save("hat.jpg", ContentFile(drawing.jpeg(80, 60, 1)))
print(bool(hat.thumbnail), hat.thumbnail.width)
"""

LOOK = """
import time
import django
django.setup()
from shop.models import Hat
end = time.monotonic() + 30
while not Hat.objects.get().thumbnail and time.monotonic() < end:
    time.sleep(0.05)
thumbnail = Hat.objects.get().thumbnail
print(bool(thumbnail), thumbnail.width, thumbnail.height)
"""

WORKERS = {
    "Celery": "-m celery --app shop worker --concurrency 1 --loglevel INFO --without-gossip --without-mingle",
    "RQ": "-m django rqworker default",
}


@pytest.mark.parametrize("queue", sorted(WORKERS))
def test_a_worker_makes_the_thumbnail_of_a_new_row(queue: str, tmp_path: Path) -> None:
    """A row is saved and its thumbnail asked for; the project's own worker makes it, by the model's field."""
    if queue == "RQ" and find_spec("django_rq") is None:
        pytest.skip("django-rq is not installed")
    shop = tmp_path / "shop"
    shop.mkdir()
    for name, text in (("__init__", CELERY), ("models", MODELS)):
        (shop / f"{name}.py").write_text(text, encoding="utf-8")
    (tmp_path / "shop_settings.py").write_text(SETTINGS, encoding="utf-8")
    with redis_server(tmp_path) as broker:
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, (tmp_path, ROOT, ROOT / "examples"))),
            "DJANGO_SETTINGS_MODULE": "shop_settings",
            "SHOP_QUEUE": queue,
            "SITE_BROKER": broker,
        }

        def run(script: str) -> str:
            command = [sys.executable, "-c", script]
            ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
            assert ran.returncode == 0, ran.stderr
            return ran.stdout.strip()

        assert run(ASK) == "False 40"
        with open(tmp_path / "worker.log", "wb") as log:
            worker = subprocess.Popen(
                [sys.executable, *WORKERS[queue].split()],
                cwd=tmp_path,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            seen = run(LOOK)
        finally:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()
        assert seen == "True 40 30", (tmp_path / "worker.log").read_text(encoding="utf-8", errors="replace")
