"""The MkDocs plugin, in real builds and with its real server."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import pytest

pytest.importorskip("mkdocs")

from core_site import photo_bytes, settled
from mkdocs.exceptions import Abort
from mkdocs_site import DocsSite


@pytest.fixture
def site(tmp_path: Path) -> DocsSite:
    return DocsSite(tmp_path)


def images(html: str) -> list[str]:
    return [tag for tag in re.findall("<img[^>]*>", html) if "CACHE" in tag]


def test_images_of_pages_are_pictures(site: DocsSite) -> None:
    """In each page with URLs relative to it, and all files are in the site."""
    site.build()
    for name, up in (("index.html", r"\./"), ("guide/dunes/index.html", r"\.\./\.\./")):
        (image,) = images(site.page(name))
        assert re.search(rf'src="{up}CACHE/images/img/canal/\w+\.webp"', image)
        assert 'width="300" height="225" fetchpriority="high" alt="A canal"' in image
        assert "data-imagekit" not in image
    urls = set(re.findall(r"(CACHE/images/[^\s\"]+)", site.page("index.html") + site.page("guide/dunes/index.html")))
    assert urls == site.published()
    assert len(urls) == 2


def test_templates_and_settings(site: DocsSite) -> None:
    """The theme has the tags, whose pictures take part in the order of the page; generators come from a module."""
    site.write("specs.py", "from jinja_imagekit import GeneratorRegistry\ngenerators = GeneratorRegistry()\n")
    site.write(
        "theme/main.html",
        '{% extends "base.html" %}{% block content %}{{ page.content }}'
        "{% picture '200x' 'img/canal.jpg' formats='WEBP' widths=(200,) priority=true -- alt='' class='hero' %}"
        "{% generateimage 'docs:grey' source='img/canal.jpg' -- alt='' class='grey' %}{% endblock %}",
    )
    site.build({"html_rules": {"*": {"widths": [100]}, "card": "50x50"}, "specs": {"docs:grey": {"format": "PNG"}}})
    found = images(site.page("guide/dunes/index.html"))
    assert len(found) == 3
    assert 'width="50" height="50"' in found[0]
    assert 'fetchpriority="high"' in found[1]
    assert re.search(r'src="\.\./\.\./CACHE/images/img/canal/\w+\.png" width="300"', found[2])


def test_a_second_build_makes_nothing(site: DocsSite) -> None:
    """Files and state are beside `mkdocs.yml`; what is no longer needed leaves the site."""
    site.build()
    first, files = site.published(), sorted((site.root / ".imagekit/files").rglob("*.webp"))
    stamps = [path.stat().st_mtime_ns for path in files]
    site.build()
    assert [path.stat().st_mtime_ns for path in files] == stamps
    settled(site.root / "docs/img/canal.jpg", photo_bytes(300, 225, seed=4))
    site.build(dirty=True)
    site.build()
    assert site.published().isdisjoint(first)


def test_files_that_other_plugins_add_are_sources(site: DocsSite) -> None:
    """They are found where MkDocs has them, since they are not in `docs_dir`."""
    settled(site.root / "elsewhere/dunes.jpg", photo_bytes(240, 180, seed=2))
    site.write(
        "hooks.py",
        "from mkdocs.structure.files import File\n"
        "def on_files(files, config):\n"
        f"    files.append(File('dunes.jpg', {str(site.root / 'elsewhere')!r}, config.site_dir, True))\n"
        "    return files\n",
    )
    site.write("docs/index.md", "![Dunes](dunes.jpg)\n\n![Gone](https://elsewhere.example/x.jpg)")
    site.build(hooks=["hooks.py"])
    (image,) = images(site.page("index.html"))
    assert 'width="240"' in image
    assert set(re.findall(r"(CACHE/images/[^\s\"]+)", image)) <= site.published()


def test_a_bad_image_is_an_error_that_names_the_page(site: DocsSite, caplog: pytest.LogCaptureFixture) -> None:
    """Found while the page is written, or when images are made, where `--strict` minds."""
    settled(site.root / "docs/bad.jpg", b"\xff\xd8 not a JPEG")
    site.write("docs/index.md", "![Bad](bad.jpg)")
    with pytest.raises(Abort):
        site.build()
    assert re.search(r"index\.md: index\.html, line \d+: .*bad\.jpg", caplog.text)
    settled(site.root / "docs/bad.jpg", photo_bytes(300, 225)[:3000])
    site.build()
    assert "An image could not be made: bad.jpg" in caplog.text
    with pytest.raises(Abort, match="strict"):
        site.build(strict=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"picture_format": ["WEBP"]}, "Did you mean 'picture_formats'"),
        ({"html_rules": "300x200"}, "html_rules"),
        ({"generators": ["nowhere:generators"]}, "nowhere"),
    ],
)
def test_a_wrong_option_is_told(site: DocsSite, options: dict[str, object], message: str) -> None:
    """When the configuration is read."""
    with pytest.raises(Abort, match="configuration error"):
        site.build(options)


@pytest.mark.skipif(os.name == "nt", reason="signals differ")
def test_the_server_rebuilds_once_for_a_change(site: DocsSite) -> None:
    """What a build writes does not begin the next one."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    site.config({})
    command = [sys.executable, "-m", "mkdocs", "serve", "--dev-addr", address, "--livereload", "--watch", "theme"]
    process = subprocess.Popen(command, cwd=site.root, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line)
            if "Serving on" in line:
                break
        with urlopen(f"http://{address}/docs/") as response:
            html = response.read().decode()
        url = re.findall(r'src="\./(CACHE[^"]+)"', html)[0]
        with urlopen(f"http://{address}/docs/{url}") as response:
            assert response.status == 200
        site.write("docs/index.md", "# Changed\n\n![A canal](img/canal.jpg)\n")
        for line in process.stderr:
            lines.append(line)
            if "Reloading" in line or "built in" in line:
                break
        time.sleep(2.5)
    finally:
        process.send_signal(signal.SIGINT)
        lines += process.communicate(timeout=60)[1].splitlines(keepends=True)
    assert "".join(lines).count("Building documentation") == 2
