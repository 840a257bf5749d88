"""The Sphinx extension: documents and themes of real builds get pictures, and nothing is made twice."""

from __future__ import annotations

import io
import os
import posixpath
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import pytest
from browser import check, visit
from core_site import photo_bytes, settled
from PIL import Image
from sphinx.cmd.build import build_main
from sphinx.util.docutils import docutils_namespace

import drawing

CONF = """
project = "Walks"
extensions = ["jinja_imagekit.sphinx", "myst_parser"]
html_theme = "alabaster"
html_copy_source = False
exclude_patterns = ["_build"]
suppress_warnings = ["toc.not_included"]
imagekit_html_rules = {"*": {"widths": "40 60"}}
"""

INDEX = """
Walks
=====

.. image:: lead.jpg
   :alt: The valley
"""

SOURCES = re.compile(r'(?:src|srcset)="([^"]+)"')


class Built(NamedTuple):
    """What a build said."""

    status: int
    said: str
    warned: str


class Docs:
    """A folder of documents with two photos."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.out = root / "_build"
        self.write("conf.py", CONF)
        self.write("index.rst", INDEX)
        for seed, name in enumerate(("lead.jpg", "guide/pics/ridge.jpg")):
            settled(root / name, photo_bytes(96, 72, seed=seed))

    def write(self, name: str, text: str) -> None:
        """Write a text file."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def build(self, *options: str, builder: str = "html", out: Path | None = None) -> Built:
        """Build them in this process."""
        said, warned = io.StringIO(), io.StringIO()
        before = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = said, warned
        try:
            with docutils_namespace(), warnings.catch_warnings():
                # Builders and themes use what later versions of Sphinx will not have.
                warnings.simplefilter("ignore")
                status = build_main(["-b", builder, "-N", *options, str(self.root), str(out or self.out)])
        finally:
            sys.stdout, sys.stderr = before
        return Built(status, said.getvalue(), warned.getvalue())

    def page(self, name: str) -> str:
        """Return a page."""
        return (self.out / name).read_text(encoding="utf-8")

    def images(self) -> dict[str, bytes]:
        """Return what was made, by name."""
        folder = self.out / "_images/imagekit"
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*")}

    def check_urls(self, name: str) -> int:
        """Assert that each image of a page is a file beside it, and return how many there are."""
        urls = [each.split()[0] for value in SOURCES.findall(self.page(name)) for each in value.split(", ")]
        found = [url for url in urls if "_images/" in url]
        for url in found:
            assert not url.startswith("/")
            assert (self.out / posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(url)))).is_file()
        return len(found)


@pytest.fixture
def docs(tmp_path: Path) -> Docs:
    """Return documents."""
    return Docs(tmp_path / "docs")


def test_images_and_figures_of_documents_are_pictures(docs: Docs) -> None:
    """In reStructuredText and Markdown, in every folder, by their real size and with the author's text."""
    docs.write("guide/valley.md", "# Valley\n\n![The ridge](pics/ridge.jpg)\n\n![](../lead.jpg)\n")
    docs.write("guide/ridge.rst", "Ridge\n=====\n\n.. figure:: pics/ridge.jpg\n   :alt: A ridge\n\n   Its caption\n")
    built = docs.build("-W")
    assert built.status == 0, built.warned
    assert re.search(r"images made in .*s, 0 up to date", built.said)
    for name in ("index.html", "guide/valley.html", "guide/ridge.html"):
        assert "<picture><source" in docs.page(name)
        assert docs.check_urls(name) >= 4
    assert 'width="96" height="72"' in docs.page("index.html")
    assert 'alt="The valley"' in docs.page("index.html")
    assert re.search("<figure.*</picture>.*Its caption.*</figure>", docs.page("guide/ridge.html"), re.DOTALL)
    widths = {Image.open(io.BytesIO(data)).width for data in docs.images().values()}
    assert widths == {40, 60, 96} or widths == {40, 60}


def test_the_authors_width_is_the_layouts(docs: Docs) -> None:
    """Of pixels and a scale; a share of the text's width stays what it was, and so do classes."""
    docs.write("conf.py", CONF.replace('imagekit_html_rules = {"*": {"widths": "40 60"}}', ""))
    options = ("width: 48px", "width: 48", "scale: 50%", "width: 48px\n   :height: 10px", "width: 50%")
    text = "\n".join(f".. image:: lead.jpg\n   :{option}\n   :class: own\n   :align: right\n" for option in options)
    docs.write("index.rst", f"Walks\n=====\n\n{text}")
    built = docs.build("-W")
    assert built.status == 0, built.warned
    images = re.findall(r"<img[^>]*own[^>]*>", docs.page("index.html"))
    assert len(images) == 5
    for image in images[:4]:
        assert 'width="48" height="36"' in image
        assert "style=" not in image or "width" not in image.split("style=")[1].split("contain")[0]
    assert "width: 50%" in images[4]
    assert all("align-right" in image for image in images)


def test_tags_in_the_themes_templates(docs: Docs) -> None:
    """Also on pages without a document, with URLs relative to each."""
    docs.write("conf.py", CONF + 'templates_path = ["_templates"]\n')
    docs.write("guide/valley.md", "# Valley\n")
    footer = "{% block footer %}{% thumbnail '30x20' 'lead.jpg' -- alt='' class='foot' %}{{ super() }}{% endblock %}"
    docs.write("_templates/layout.html", '{% extends "!layout.html" %}' + footer)
    built = docs.build("-W")
    assert built.status == 0, built.warned
    for name in ("index.html", "search.html", "guide/valley.html"):
        assert re.search(r'<img src="[./]*_images/imagekit/lead/\w+\.jpg" width="30" height="20"', docs.page(name))
        assert docs.check_urls(name) >= 1


def test_a_build_in_parallel_makes_the_same(docs: Docs, tmp_path: Path) -> None:
    """Processes of Sphinx's own read and write the documents; names, bytes and pages are those of a single one."""
    for number in range(12):
        docs.write(f"guide/day{number}.md", f"# Day {number}\n\n![Day {number}](pics/{number % 3}.jpg)\n")
    for number in range(3):
        settled(docs.root / f"guide/pics/{number}.jpg", photo_bytes(seed=number + 5))
    assert docs.build("-W").status == 0
    pages = {path.name: path.read_text() for path in docs.out.rglob("*.html")}
    images = docs.images()
    docs.out = tmp_path / "parallel"
    command = [sys.executable, "-m", "sphinx", "-W", "-N", "-q", "-j", "4", str(docs.root), str(docs.out)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == 0, result.stderr
    assert docs.images() == images
    assert {path.name: path.read_text() for path in docs.out.rglob("*.html")} == pages


def test_a_second_build_makes_nothing_and_writes_no_page(docs: Docs) -> None:
    """Until an image changes: then its pages are written again, and only its images made."""
    docs.write("guide/valley.md", "# Valley\n\n![The ridge](pics/ridge.jpg)\n")
    assert docs.build("-W").status == 0
    before = {path: path.stat().st_mtime_ns for path in (docs.out / "_images/imagekit").rglob("*.*")}
    built = docs.build("-W")
    assert built.status == 0
    assert "0 added, 0 changed, 0 removed" in built.said
    assert "images made" not in built.said
    settled(docs.root / "guide/pics/ridge.jpg", photo_bytes(96, 72, seed=9), age=-5)
    built = docs.build("-W")
    assert built.status == 0, built.warned
    assert "0 added, 1 changed, 0 removed" in built.said
    assert re.search(r"\d images? made", built.said)
    assert docs.check_urls("guide/valley.html")
    assert docs.check_urls("index.html")
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_changed_setting_writes_all_pages(docs: Docs) -> None:
    """Without reading the documents again."""
    assert docs.build("-W").status == 0
    page = docs.page("index.html")
    docs.write("conf.py", CONF.replace("40 60", "30 50"))
    built = docs.build("-W")
    assert built.status == 0
    assert docs.page("index.html") != page
    assert docs.check_urls("index.html")


def test_a_build_writes_only_into_its_own_folders(docs: Docs, tmp_path: Path) -> None:
    """So that what watches the documents, as sphinx-autobuild does, never takes a build for a change."""
    before = {path: path.stat().st_mtime_ns for path in docs.root.rglob("*") if path.is_file()}
    docs.out = tmp_path / "out"
    cwd = sorted(Path.cwd().iterdir())
    assert docs.build("-W", "-d", str(tmp_path / "trees")).status == 0
    assert {path: path.stat().st_mtime_ns for path in docs.root.rglob("*") if path.is_file()} == before
    assert sorted(Path.cwd().iterdir()) == cwd
    assert docs.images()


@pytest.mark.parametrize("builder", ["dirhtml", "singlehtml", "json"])
def test_other_builders_of_html(docs: Docs, builder: str) -> None:
    """Their pages are elsewhere, and so begin their URLs."""
    docs.write("guide/valley.md", "# Valley\n\n![The ridge](pics/ridge.jpg)\n")
    built = docs.build("-W", builder=builder)
    assert built.status == 0, built.warned
    assert docs.images()
    pages = {"dirhtml": ["index.html", "guide/valley/index.html"], "singlehtml": ["index.html"], "json": []}
    for name in pages[builder]:
        assert "<picture>" in docs.page(name)
        assert docs.check_urls(name) >= 4
    if builder == "json":
        assert "<picture>" in docs.page("index.fjson")


@pytest.mark.parametrize("builder", ["epub", "text", "gettext", "latex", "htmlhelp"])
def test_builders_of_anything_else_are_left_alone(docs: Docs, builder: str) -> None:
    """E-books, PDFs and texts are as they were."""
    docs.write("conf.py", CONF + 'version = "1"\n')
    assert docs.build(builder=builder).status == 0
    assert docs.images() == {}
    assert not any("<picture" in path.read_text(errors="replace") for path in docs.out.rglob("*.*html"))


def test_a_bad_image_is_a_warning_and_stays_as_it_was(docs: Docs) -> None:
    """It names the document; the others are made, and `-W` fails."""
    settled(docs.root / "broken.jpg", b"no image at all")
    settled(docs.root / "cut.jpg", photo_bytes(96, 72, seed=4)[:-400])
    docs.write("index.rst", f"{INDEX}\n.. image:: broken.jpg\n   :alt: Broken\n\n.. image:: cut.jpg\n   :alt: Cut\n")
    built = docs.build()
    assert built.status == 0
    assert re.search(r"index\.rst: WARNING: .*broken\.jpg.*not an image.*\[imagekit\]", built.warned)
    assert re.search(r"WARNING: .*cut\.jpg.*\[imagekit\]", built.warned)
    assert '<img alt="Broken" src="_images/broken.jpg"' in docs.page("index.html")
    assert '<picture><source type="image/avif"' in docs.page("index.html")
    assert docs.build("-W", "-E", "-a").status != 0


def test_images_of_others_and_vectors_stay(docs: Docs) -> None:
    """A URL of another site, a data URI, and an SVG, which is as good at every size."""
    docs.write("fig.svg", '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30"/>')
    data = "data:image/gif;base64,R0lGODlhAQABAAAAACw="
    raw = f'<img src="{data}" alt=""><img src="https://example.org/a.jpg" alt="">'
    docs.write("index.rst", f"Walks\n=====\n\n.. image:: fig.svg\n   :alt: Fig\n\n.. raw:: html\n\n   {raw}\n")
    built = docs.build("-W")
    assert built.status == 0, built.warned
    assert f'<img src="{data}" alt=""><img src="https://example.org/a.jpg" alt="">' in docs.page("index.html")
    assert docs.check_urls("index.html") == 1


def test_names_with_anything_in_them(docs: Docs) -> None:
    """Letters of all kinds, and two images of one name, of which Sphinx renames one."""
    for name in ("Été.jpg", "a+b%20c.jpg", "guide/pics/lead.jpg"):
        settled(docs.root / name, photo_bytes(seed=len(name)))
    names = ("Été.jpg", "a+b%20c.jpg", "guide/pics/lead.jpg", "lead.jpg")
    docs.write("index.rst", "Walks\n=====\n\n" + "\n".join(f".. image:: {name}\n   :alt: x\n" for name in names))
    built = docs.build("-W")
    assert built.status == 0, built.warned
    assert docs.page("index.html").count("<picture>") == 4
    assert docs.check_urls("index.html") == 4 * 5
    sources = {name.rpartition("/")[0] for name in docs.images()}
    assert {"lead", "guide/pics/lead"} < sources


def test_specs_of_the_projects_own(docs: Docs, monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry that `conf.py` names, and rules by class."""
    (docs.root / "walkspecs.py").write_text(
        "from jinja_imagekit import GeneratorRegistry, ImageSpec\n"
        "from jinja_imagekit.processors import ResizeToFill\n"
        "generators = GeneratorRegistry()\n\n"
        "@generators.register('walks:card')\n"
        "class Card(ImageSpec):\n    processors = [ResizeToFill(30, 30)]\n    format = 'PNG'\n"
    )
    monkeypatch.syspath_prepend(docs.root)
    own = 'imagekit_generators = ["walkspecs.generators"]\nimagekit_html_rules = {"card": "walks:card", "raw": False}\n'
    docs.write("conf.py", CONF + own)
    card = ".. image:: lead.jpg\n   :alt: x\n   :class: card\n\n.. image:: lead.jpg\n   :alt: x\n   :class: raw\n"
    docs.write("index.rst", f"Walks\n=====\n\n{card}")
    built = docs.build("-W")
    assert built.status == 0, built.warned
    assert re.search(r'<img src="[^"]+\.png"[^>]* width="30" height="30"[^>]* class="card"', docs.page("index.html"))
    assert 'class="raw" src="_images/lead.jpg"' in docs.page("index.html")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("imagekit_timeout = -1", "timeout"),
        ('imagekit_generators = ["os.path"]', "GeneratorRegistry"),
        ('imagekit_html_rules = {"card": {"sise": "3x"}}', "sise"),
    ],
)
def test_a_wrong_setting_ends_the_build_at_once(docs: Docs, line: str, message: str) -> None:
    """With its name, as every error of `conf.py`."""
    docs.write("conf.py", f"{CONF}{line}\n")
    built = docs.build()
    assert built.status == 2
    assert "Configuration error" in built.warned
    assert message in built.warned


def test_a_site_below_a_path(docs: Docs) -> None:
    """URLs stay relative, those for other sites begin with `html_baseurl`."""
    docs.write("conf.py", CONF + 'html_baseurl = "https://example.org/walks/"\n')
    docs.write("guide/valley.md", "# Valley\n\n![The ridge](pics/ridge.jpg)\n")
    built = docs.build("-W")
    assert built.status == 0, built.warned
    assert docs.check_urls("guide/valley.html") >= 4


def test_the_documents_may_be_anywhere(docs: Docs, tmp_path: Path) -> None:
    """A relative folder on the command line, and an output folder within the documents."""
    before = os.getcwd()
    os.chdir(docs.root)
    try:
        with docutils_namespace():
            assert build_main(["-q", "-b", "html", ".", "_build"]) == 0
    finally:
        os.chdir(before)
    assert docs.check_urls("index.html") >= 4


@pytest.mark.parametrize(("theme", "width"), [("alabaster", 400), ("furo", 400), ("furo", 1280)])
def test_pages_in_a_browser(browser: Any, docs: Docs, theme: str, width: int) -> None:
    """On a narrow screen images keep their shape, whatever the theme's stylesheet says of them; opened as files."""
    docs.write("conf.py", CONF.replace('"alabaster"', repr(theme)).replace("40 60", "400 800"))
    settled(docs.root / "lead.jpg", drawing.jpeg(900, 500, 3))
    shown = ".. image:: lead.jpg\n   :alt: Small\n   :width: 500px\n\n"
    shown += ".. figure:: lead.jpg\n   :alt: Half\n   :width: 50%\n"
    docs.write("index.rst", f"{INDEX}\n{shown}")
    assert docs.build().status == 0
    seen = visit(browser, (docs.out / "index.html").as_uri(), width=width)
    assert len(seen.images) == 3
    # A theme's own scripts may move its menus by fractions of a pixel.
    assert sum(shift["value"] for shift in seen.shifts) < 0.01
    check(seen._replace(shifts=[]))
