"""`flask imagekit` is the command of the app's kit, and a site that Frozen-Flask freezes has all its images."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import flask
import pytest
from core_site import Card, photo_bytes, settled
from flask_frozen import Freezer
from flask_site import add_page, make_app

from jinja_imagekit.flask import ImageKit
from jinja_imagekit.sourcegroups import GlobSourceGroup

SITE = """
import flask
from core_site import Card
from jinja_imagekit.flask import ImageKit
from jinja_imagekit.sourcegroups import GlobSourceGroup

images = ImageKit()

def create_app():
    app = flask.Flask(__name__, instance_path={instance!r})
    images.init_app(app)
    app.register_blueprint(flask.Blueprint("goods", __name__, static_folder="goods"))
    return app
"""

GENERATORS = """
from core_site import Card
from jinja_imagekit.sourcegroups import GlobSourceGroup
from . import images

images.register.generator("site:card", Card)
images.register.source_group("site:card", GlobSourceGroup("photos/*.jpg"))
images.register.source_group("site:card", GlobSourceGroup("goods/*.jpg"))
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Return a folder with the package of a site, whose factory makes the app."""
    package = tmp_path / "site_of_commands"
    package.mkdir()
    (package / "__init__.py").write_text(SITE.format(instance=str(tmp_path / "instance")), encoding="utf-8")
    (package / "imagegenerators.py").write_text(GENERATORS, encoding="utf-8")
    for seed, name in enumerate(("static/photos/a.jpg", "static/photos/b.jpg", "goods/hat.jpg")):
        settled(package / name, photo_bytes(seed=seed))
    return tmp_path


def run(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `flask imagekit …` as a developer does, in the site's folder."""
    command = [str(Path(sysconfig.get_path("scripts")) / "flask"), "--app", "site_of_commands", "imagekit", *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    return subprocess.run(command, cwd=site, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_the_command_makes_what_the_apps_modules_register(site: Path) -> None:
    """Within the app's context, with blueprints' folders and the generators that were found."""
    result = run(site, "generate")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "3 images made" in result.stdout
    assert len([*(site / "instance/imagekit/CACHE/images/goods/hat").iterdir()]) == 1
    again = run(site, "generate", "site:*", "--processes", "--force")
    assert "3 images made" in again.stdout, again.stdout + again.stderr


def test_the_other_commands_work_too(site: Path) -> None:
    """`list`, `doctor`, `prune` and `clear` are those of `jinja-imagekit`."""
    run(site, "generate")
    listed = run(site, "list")
    assert "site:card" in listed.stdout
    assert run(site, "doctor").returncode == 0
    (site / "site_of_commands/static/photos/b.jpg").unlink()
    pruned = run(site, "prune", "--without-render", "--yes")
    assert "1 cache file deleted" in pruned.stdout, pruned.stdout + pruned.stderr


def test_a_failure_is_the_commands_exit_status(site: Path) -> None:
    """The culprit's name is said, and the rest is made."""
    (site / "site_of_commands/static/photos/b.jpg").write_bytes(b"no image")
    result = run(site, "generate")
    assert result.returncode == 1
    assert "photos/b.jpg" in result.stdout + result.stderr
    assert "2 images made" in result.stdout
    unknown = run(site, "generate", "site:crad")
    assert unknown.returncode == 2
    assert "Did you mean 'site:card'?" in unknown.stderr


def test_the_command_works_in_flasks_test_runner(tmp_path: Path) -> None:
    """Which pushes no context of the app by itself."""
    app = make_app(tmp_path)
    app.extensions["imagekit"].register.cachefiles(
        "imagekit:thumbnail", lambda: [{"source": flask.current_app.name and "photos/canal.jpg", "width": 9}]
    )
    result = app.test_cli_runner().invoke(args=["imagekit", "generate"])
    assert result.exit_code == 0, result.output
    assert "1 image made" in result.output


PAGE = """
{% thumbnail '40x30' 'photos/canal.jpg' srcset='2' -- alt='' %}
{% thumbnail '30x30' 'photos/canal.jpg' -- alt='' %}
"""


@pytest.mark.parametrize("config", [{}, {"IMAGEKIT_LOCATION": "static/made"}, {"IMAGEKIT_CACHEFILE_DIR": ""}])
@pytest.mark.parametrize(("base", "root"), [("", "/"), ("/shop", "/shop"), ("/shop", "/")])
def test_a_frozen_site_has_all_its_images(tmp_path: Path, config: dict[str, str], base: str, root: str) -> None:
    """Each URL of the pages is a file of the frozen site, in the first run and in those that find all images warm."""
    app = make_app(tmp_path, APPLICATION_ROOT=root, FREEZER_BASE_URL=f"http://localhost{base}/", **config)
    add_page(app, PAGE)
    add_page(app, "{{ 'photos/canal.jpg' | thumbnail('24x16') }}", "/other/", "other")
    app.config["FREEZER_DESTINATION"] = str(tmp_path / "frozen")
    freezer = Freezer(app)
    for _ in range(3):
        freezer.freeze()
        pages = [(tmp_path / "frozen" / name).read_text() for name in ("index.html", "other/index.html")]
        urls = [url for page in pages for url in re.findall(rf"{base}/[\w/.-]+\.jpg", page)]
        assert len(set(urls)) == 4
        for url in urls:
            frozen = tmp_path / "frozen" / url.removeprefix(base).lstrip("/")
            assert frozen.read_bytes()[:3] == b"\xff\xd8\xff"


def test_files_of_a_frozen_site_that_are_served_elsewhere_are_not_asked_for(tmp_path: Path) -> None:
    """The app has no route for them."""
    app = make_app(tmp_path, IMAGEKIT_BASE_URL="https://cdn.example/", FREEZER_DESTINATION=str(tmp_path / "frozen"))
    add_page(app, "{% thumbnail '40x30' 'photos/canal.jpg' %}")
    Freezer(app).freeze()
    assert "https://cdn.example/CACHE/" in (tmp_path / "frozen/index.html").read_text()
    assert not (tmp_path / "frozen/CACHE").exists()


def test_pruning_after_a_freeze_keeps_what_the_pages_need(tmp_path: Path) -> None:
    """A frozen render ends, so that it is noted."""
    images = ImageKit()
    images.register.generator("card", Card)
    images.register.source_group("card", GlobSourceGroup("photos/*.jpg"))
    app = make_app(tmp_path, images=images, FREEZER_DESTINATION=str(tmp_path / "frozen"))
    add_page(app, "{% thumbnail '40x30' 'photos/canal.jpg' %}")
    kit = app.extensions["imagekit"]
    old = kit.cachefile("imagekit:thumbnail", source="photos/canal.jpg", width=7)
    old.generate()
    Freezer(app).freeze()
    kit.finish()
    assert kit.prune().removed == [old.name]
