"""The example project works as its one line starts it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "django_gallery"

PAGES = """
import os, sys
sys.path.insert(0, sys.argv[1])
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
import django
django.setup()
from django.contrib.auth.models import User
from django.test import Client
client = Client()
client.force_login(User.objects.get(username="admin"))
for page in ("/", "/photos/2/", "/admin/gallery/photo/", "/admin/gallery/photographer/"):
    response = client.get(page)
    assert response.status_code == 200, (page, response.status_code)
    print(response.content.decode())
"""


def test_demo_sets_up_a_gallery_whose_pages_show_their_images(tmp_path: Path) -> None:
    """The command draws the photos and makes their images; pages and admin name files that are there."""
    environment = {**os.environ, "GALLERY_INSTANCE": str(tmp_path)}
    demo = [sys.executable, str(EXAMPLE / "manage.py"), "demo", "--no-server", "--width", "900"]
    for expected in ("24 generated, 0 there already", "0 generated, 24 there already"):
        done = subprocess.run(demo, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert expected in done.stdout
    command = [sys.executable, "-c", PAGES, str(EXAMPLE)]
    pages = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert pages.returncode == 0, pages.stderr
    urls = set(re.findall(r"/media/[^\s\"]+", pages.stdout))
    assert len(urls) >= 12 * 3
    assert all((tmp_path / url.removeprefix("/")).is_file() for url in urls)
    assert "data:image" not in pages.stdout


def test_migrations_are_complete(tmp_path: Path) -> None:
    """`makemigrations` finds nothing to add."""
    environment = {**os.environ, "GALLERY_INSTANCE": str(tmp_path)}
    command = [sys.executable, str(EXAMPLE / "manage.py"), "makemigrations", "--check", "--dry-run"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
