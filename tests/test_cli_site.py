"""The commands that write a site to start from, and serve one while it is being worked on."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
from click.testing import CliRunner, Result

import drawing
from jinja_imagekit.cli import command_line

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, which is empty."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(tmp_path), str(ROOT))))
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command_line(), arguments)


def python(*arguments: str, folder: Path) -> str:
    result = subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def draw(path: Path, seed: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(drawing.jpeg(640, 400, seed))


def test_a_plain_site_to_start_from_builds(site: Path) -> None:
    """With a photo, its build makes a page that shows it."""
    assert run("init").exit_code == 0
    draw(site / "content/images/canal.jpg")
    python("build.py", folder=site)
    page = (site / "output/index.html").read_text(encoding="utf-8")
    assert "<picture>" in page
    for name in re.findall(r"\./(CACHE[^ \"]+)", page):
        assert (site / "output" / name).is_file()


def test_a_flask_app_to_start_from_answers(site: Path) -> None:
    """Its page names images, which are made when they are asked for."""
    assert run("init", "wall", "--for", "flask").exit_code == 0
    draw(site / "wall/static/photos/canal.jpg")
    code = """
import re
from app import app
client = app.test_client()
url = re.search(r'src="([^"]+)"', client.get("/").text)[1]
response = client.get(url)
print(response.status, response.mimetype)
"""
    assert python("-c", code, folder=site / "wall") == "200 OK image/webp\n"


def test_a_blog_to_start_from_builds(site: Path) -> None:
    """A photo beside its article is a picture on its page."""
    assert run("init", "--for", "pelican").exit_code == 0
    draw(site / "content/photo.jpg")
    article = site / "content/first.md"
    article.write_text(article.read_text(encoding="utf-8") + "\n![A canal](photo.jpg)\n", encoding="utf-8")
    assert "WARNING" not in python("-m", "pelican", folder=site)
    assert "<picture>" in (site / "output/the-first-article.html").read_text(encoding="utf-8")


def test_what_is_there_stays(site: Path) -> None:
    """Files keep their content, pyproject.toml gets the table once, and what stayed is named."""
    (site / "mysite.py").write_text("mine", encoding="utf-8")
    (site / "pyproject.toml").write_text('[project]\nname = "site"\n', encoding="utf-8")
    first, second = run("init"), run("init")
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert "mysite.py is there already, and stays as it is." in first.output
    assert (site / "mysite.py").read_text(encoding="utf-8") == "mine"
    project = (site / "pyproject.toml").read_text(encoding="utf-8")
    assert project.startswith('[project]\nname = "site"\n\n[tool.jinja-imagekit]\nkit = "mysite:kit"\n')
    assert project.count("[tool.jinja-imagekit]") == 1
    assert "stays as it is" in second.output


def test_a_place_where_nothing_can_be_written_is_one_error(site: Path) -> None:
    """A file in a folder's place."""
    (site / "templates").write_text("", encoding="utf-8")
    result = run("init")
    assert result.exit_code == 1
    assert "Error: " in result.output
    assert "cannot be written" in result.output


def test_serve_asks_for_the_build(site: Path) -> None:
    """It says how to name one."""
    (site / "mysite.py").write_text("from jinja_imagekit import ImageKit\n\nkit = ImageKit()\n", encoding="utf-8")
    result = subprocess.run(
        [sys.executable, "-m", "jinja_imagekit.cli", "--kit", "mysite:kit", "serve"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert result.returncode == 2
    assert "pass --build module:function" in result.stderr.lower()


def test_serve_says_that_a_port_is_taken(site: Path) -> None:
    """Before anything is built."""
    assert run("init").exit_code == 0
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "jinja_imagekit.cli", "serve", "--port", port]
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 1
    assert "pass another --port" in result.stderr


def test_serve_says_that_a_bucket_is_not_watched(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file changes here when an image there does, and nobody is left to wonder."""
    pytest.importorskip("fsspec", reason="the extra fsspec is not installed")
    kit = 'kit = ImageKit(source_dirs=["images", "memory://me:secret@photos/site"])'
    (site / "bucketed.py").write_text(f"from jinja_imagekit import ImageKit\n\n{kit}\n", encoding="utf-8")
    monkeypatch.setattr("jinja_imagekit.cli.serve.watch_and_serve", lambda *parts: None)
    monkeypatch.syspath_prepend(str(site))
    result = run("--kit", "bucketed:kit", "serve", "--build", "bucketed:build", "--port", "18765")
    monkeypatch.delitem(sys.modules, "bucketed")
    assert "memory://photos/site is not watched" in result.output
    assert "images is not" not in result.output


def test_serve_builds_once_where_files_cannot_be_watched(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It works without the extra, and says what watching needs."""
    (site / "unwatched.py").write_text("from jinja_imagekit import ImageKit\n\nkit = ImageKit()\n", encoding="utf-8")
    monkeypatch.setattr("jinja_imagekit.cli.sites.find_spec", lambda name: None)
    monkeypatch.setattr("jinja_imagekit.cli.serve.serve", lambda served: print(f"served {served.build}"))
    monkeypatch.syspath_prepend(str(site))
    result = run("--kit", "unwatched:kit", "serve", "--build", "unwatched:build", "--port", "18766")
    monkeypatch.delitem(sys.modules, "unwatched")
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "served unwatched:build")
    assert "pip install 'jinja-imagekit[serve]'" in result.stderr


@contextmanager
def serving(site: Path, *options: str, log: IO[str] | int = subprocess.PIPE) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "jinja_imagekit.cli", "serve", "--port", str(port), *options]
    with subprocess.Popen(command, cwd=site, stdout=log, stderr=subprocess.STDOUT, text=True) as process:
        try:
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.send_signal(signal.SIGINT)
            try:
                said, _ = process.communicate(timeout=30)
            finally:
                process.kill()
    assert "Traceback" not in (said or ""), said


def get(url: str, is_awaited: Callable[[str], bool] = bool) -> str:
    """Return a page as soon as it is as awaited."""
    for _ in range(600):
        try:
            with urllib.request.urlopen(url, timeout=10) as response:
                if is_awaited(page := response.read().decode("utf-8")):
                    return str(page)
        except OSError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"{url} never came to be as awaited")


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is sent by a signal")
def test_a_site_is_built_again_when_a_file_changes(site: Path) -> None:
    """Its pages come at once, its images when they are asked for, and a change of a template or a photo shows."""
    assert run("init").exit_code == 0
    draw(site / "content/images/canal.jpg")
    with serving(site) as url:
        page = get(url, lambda page: "<picture>" in page)
        names = re.findall(r"\./(CACHE[^ \"]+)", page)
        made = [site / ".imagekit/cache" / name for name in names]
        assert not any(path.exists() for path in made)
        with urllib.request.urlopen(url + names[0], timeout=30) as response:
            assert response.headers["Content-Type"] == "image/avif"
            assert response.read() == made[0].read_bytes()
        with pytest.raises(urllib.error.HTTPError, match=r"404"):
            urllib.request.urlopen(url + names[0].replace("canal", "dunes"), timeout=30)
        template = site / "templates/index.html"
        template.write_text(template.read_text(encoding="utf-8").replace("Photos", "Pictures"), encoding="utf-8")
        get(url, lambda page: "Pictures" in page)
        draw(site / "content/images/canal.jpg", seed=2)
        assert names[0] not in get(url, lambda page: names[0] not in page)


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is sent by a signal")
def test_what_a_build_and_the_command_write_begins_no_other_build(site: Path) -> None:
    """A file that is written alike each time, and a log in the site's folder; two saves in a moment are quiet, too."""
    assert run("init").exit_code == 0
    with (site / "build.py").open("a", encoding="utf-8") as file:
        file.write("\n\ndef all():\n    Path('search.json').write_text('[]')\n    return build()\n")
    with (site / "serve.txt").open("w") as log, serving(site, "--build", "build:all", log=log) as url:
        get(url, lambda page: "Photos" in page)
        for word in ("Pictures", "Paintings"):
            template = site / "templates/index.html"
            template.write_text(re.sub("<h1>.*</h1>", f"<h1>{word}</h1>", template.read_text(encoding="utf-8")))
            time.sleep(0.3)
        get(url, lambda page: "Paintings" in page)
        time.sleep(4)
    said = (site / "serve.txt").read_text()
    assert "Traceback" not in said
    assert said.count("building again") <= 3, said


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is sent by a signal")
def test_a_build_that_fails_leaves_the_site_served(site: Path) -> None:
    """What it wrote before is there."""
    assert run("init").exit_code == 0
    (site / "output").mkdir()
    (site / "output/index.html").write_text("of yesterday", encoding="utf-8")
    (site / "broken.py").write_text("def build():\n    return False\n", encoding="utf-8")
    with serving(site, "--no-watch", "--build", "broken:build") as url:
        assert get(url) == "of yesterday"
