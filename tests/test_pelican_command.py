"""The `pelican` command with the plugin, and `jinja-imagekit` with the kit of a Pelican site."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import pytest
from pelican_site import PLUGIN, PelicanSite


@pytest.fixture
def site(tmp_path: Path) -> PelicanSite:
    site = PelicanSite(tmp_path)
    site.photo("a.jpg", seed=1)
    site.photo("b.jpg", seed=2)
    site.article("walk.md", Photo="a.jpg", Other="b.jpg")
    site.template("article.html", "{% thumbnail '40x30' article.photo %}{% thumbnail '60x40' article.other %}")
    return site


def test_a_build_says_how_many_images_it_made(site: PelicanSite) -> None:
    """One line before Pelican's own last one."""
    result = site.command()
    assert result.returncode == 0, result.stdout
    assert re.search(r"Images: 2 images on the site, 2 made, 0 unchanged, in [\d.]+ m?s\.\nDone:", result.stdout)


def test_a_bad_image_fails_the_build(site: PelicanSite) -> None:
    """The command ends with status 1, and names the image and the line of the template."""
    (site.folder / "content/b.jpg").write_text("no image")
    result = site.command()
    assert result.returncode == 1
    assert re.search(r"UnreadableImage: .*'b\.jpg'.*'article\.html', line 1", result.stdout)
    # Its author cannot call that.
    assert "kit.finish()" not in result.stdout + (result.stderr or "")


def test_a_missing_image_fails_the_build(site: PelicanSite) -> None:
    """The same for an image that is not there."""
    (site.folder / "content/b.jpg").unlink()
    result = site.command()
    assert result.returncode == 1
    assert re.search(r"SourceNotFound: .*'b\.jpg': no such file; looked for b\.jpg below", result.stdout)


def test_a_bad_image_is_a_warning_where_the_user_chose_so(site: PelicanSite) -> None:
    """With a policy the build passes and warns; with Pelican's --fatal=warnings it fails all the same."""
    (site.folder / "content/b.jpg").write_text("no image")
    result = site.command(IMAGEKIT_ON_ERROR="placeholder")
    assert result.returncode == 0, result.stdout
    assert "b.jpg" in result.stdout
    assert "Traceback" not in result.stdout
    assert site.command(["--fatal", "warnings"], IMAGEKIT_ON_ERROR="placeholder").returncode == 1


def test_the_plugin_named_twice_is_told(site: PelicanSite) -> None:
    """The command ends with status 1 and says what to do."""
    result = site.command(PLUGINS=[PLUGIN, PLUGIN])
    assert result.returncode == 1
    assert "'jinja_imagekit.pelican' is listed 2 times; list it once" in result.stdout
    assert not site.output.exists()


def test_the_command_of_the_kit_knows_the_site(site: PelicanSite) -> None:
    """`jinja-imagekit --kit jinja_imagekit.pelican:kit` makes what the last build needs, and prunes the rest."""
    assert site.command().returncode == 0
    published = site.published()
    for file in (site.folder / "cache/imagekit/files").rglob("*.jpg"):
        file.unlink()

    def imagekit(*arguments: str) -> str:
        command = [sys.executable, "-m", "jinja_imagekit.cli", "--kit", "jinja_imagekit.pelican:kit", *arguments]
        result = subprocess.run(
            command,
            cwd=site.folder,
            env=site.environment(),
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=60,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    assert "imagekit:thumbnail" in imagekit("list")
    imagekit("generate")
    made = sorted(path.name for path in (site.folder / "cache/imagekit/files").rglob("*.jpg"))
    assert made == sorted(name.rsplit("/", 1)[-1] for name in published)
    site.article("walk.md", Photo="a.jpg")
    site.template("article.html", "{% thumbnail '40x30' article.photo %}")
    assert site.command().returncode == 0
    imagekit("prune", "--yes")
    assert len(list((site.folder / "cache/imagekit/files").rglob("*.jpg"))) == 1


Until = Callable[[Callable[[], object], Callable[[str], bool]], str]
"""Does something, again where Pelican was not watching yet, until a condition of what Pelican said holds."""


@contextmanager
def autoreloading(site: PelicanSite) -> Iterator[Until]:
    """Run `pelican --autoreload`."""
    site.write_config()
    log = site.folder / "log.txt"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "pelican", "--autoreload", "-s", "pelicanconf.py"],
            cwd=site.folder,
            env=site.environment(),
            stdout=file,
            stderr=subprocess.STDOUT,
        )

    def until(action: Callable[[], object], holds: Callable[[str], bool]) -> str:
        for _ in range(30):
            action()
            patience = time.monotonic() + 3
            while time.monotonic() < patience:
                text = log.read_text(encoding="utf-8")
                if holds(text):
                    return text
                assert process.poll() is None, text
                time.sleep(0.1)
        raise AssertionError(log.read_text(encoding="utf-8"))

    try:
        yield until
    finally:
        process.terminate()
        process.wait(timeout=30)


def made(text: str) -> int:
    """Return how many images all builds together have made."""
    return sum(map(int, re.findall(r"(\d+) made", text)))


@pytest.mark.skipif(
    version("pelican").startswith("4.10."), reason="Pelican 4.10 notices no changes, without plugins too"
)
def test_autoreload_makes_only_what_changed(site: PelicanSite) -> None:
    """A photo that is replaced gives one new image, a text that changes none; a bad image waits to be repaired."""
    site.template(
        "article.html",
        "{% thumbnail '40x30' article.photo %}{% thumbnail '60x40' article.other %}{{ article.content }}",
    )
    with autoreloading(site) as until:
        text = until(lambda: None, lambda text: "Done:" in text)
        first = site.published()
        assert made(text) == len(first) == 2
        text = until(lambda: site.photo("b.jpg", seed=7), lambda text: site.published() != first and made(text) > 2)
        assert made(text) == 3
        assert len(set(first) & set(site.published())) == 1

        def edit() -> None:
            site.article("walk.md", "More text.", Photo="a.jpg", Other="b.jpg")

        text = until(edit, lambda text: "More text." in site.page("walk.html"))
        bad = site.folder / "content/b.jpg"
        text = until(lambda: bad.write_text("no image"), lambda text: "Caught exception" in text)
        assert made(text) == 3
        text = until(lambda: site.photo("b.jpg", seed=8), lambda text: made(text) > 3)
        assert made(text) == 4
