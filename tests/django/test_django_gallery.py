"""The example project works as its one line starts it."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from browser import check_access, started_browser

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
    """The command draws the photos and makes their thumbnails; pages and admin name files that are there."""
    environment = {**os.environ, "GALLERY_INSTANCE": str(tmp_path)}
    demo = [sys.executable, str(EXAMPLE / "manage.py"), "demo", "--no-server", "--width", "900"]
    for expected in ("12 generated, 0 there already", "0 generated, 12 there already"):
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


def test_the_gallery_is_accessible(tmp_path: Path) -> None:
    """axe finds nothing on the first page and on a portrait's."""
    environment = {**os.environ, "GALLERY_INSTANCE": str(tmp_path)}
    with started_browser() as browser, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        free.close()
        demo = [sys.executable, str(EXAMPLE / "manage.py"), "demo", "--width", "600", address]
        with subprocess.Popen(demo, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
            try:
                _wait_for(address)
                check_access(browser, f"http://{address}/", f"http://{address}/photos/2/")
            finally:
                server.terminate()


def _wait_for(address: str) -> None:
    host, _, port = address.partition(":")
    for _ in range(600):
        with suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
            return
        time.sleep(0.1)
    raise AssertionError(f"nothing answers at {address}")
