"""The examples in the README and the documentation run as they stand there."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from browser import check_access, started_browser
from jinja2 import Environment

import documents
import drawing
from jinja_imagekit import exceptions, processors
from jinja_imagekit.cli.starting import STARTERS
from jinja_imagekit.markup.rules import OWN_WORDS
from jinja_imagekit.pictures.calls import PICTURE_KEYWORDS
from jinja_imagekit.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

FENCE = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)

HOSTS = (
    "flask",
    "starlette",
    "sphinx",
    "pelican",
    "django",
    "storage_fsspec",
    "queues.celery",
    "queues.rq",
    "queues.dramatiq",
)

SCRIPTS = os.environ.get("DOCS_SCRIPTS") or sysconfig.get_path("scripts")
"""Where `python` and `jinja-imagekit` are: `make dist` has an environment with nothing but the wheel."""

NOT_RUN = ("pip", "make", "git", ". ", "python -m http.server", "python -m venv", "python -m webbrowser")
"""Commands of the pages that install, serve or build this project itself."""


ACCESSIBLE = ("index", "tutorial", "how-to/recipes", "reference/gallery", "reference/errors")
ACCESSIBLE += ("reference/settings", "explanation/comparison")
"""A page of each kind."""


class Example(NamedTuple):
    """A fenced block: a file where it has a title, else code to run."""

    language: str
    title: str
    code: str
    line: int


def examples(page: Path) -> Iterator[Example]:
    text = page.read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
        yield Example(match[1], match[2], match[3], text.count("\n", 0, match.start()) + 1)


def draw_sources(folder: Path) -> None:
    for seed, name in enumerate(("canal", "dunes", "harbour")):
        for images in ("content/images", "mysite/static"):
            target = folder / f"{images}/photos/{name}.jpg"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(drawing.jpeg(900, 600, seed))
    (folder / "content/images/report.pdf").write_bytes(documents.pdf([documents.Page(400, 600, "")] * 2))
    (folder / "content/films").mkdir()
    (folder / "content/films/canal.mp4").write_bytes(documents.film())
    for name in ("theme/images", "templates", "output"):
        (folder / name).mkdir(parents=True)


def render(environment: Environment | None, example: Example) -> None:
    if environment is None:
        environment = default_environment()
    article = SimpleNamespace(id=7, photo="photos/canal.jpg", title="The canal", round=True)
    template = environment.from_string(example.code)
    if not environment.is_async:
        assert template.render(article=article, photo=article.photo).strip()


def default_environment() -> Environment:
    from jinja_imagekit import ImageKit
    from jinja_imagekit.processors import ResizeToFill

    kit = ImageKit(source_dirs=["content/images"], location="output", state_dir=".imagekit")
    kit.spec("blog:hero", processors=[ResizeToFill(600, 250)], format="WEBP")
    return kit.install(Environment(autoescape=True))


def run_commands(text: str) -> None:
    for line in text.splitlines():
        command = line.removeprefix("$ ").split("  #")[0].strip()
        if not line.startswith("$ ") or command.startswith(NOT_RUN):
            continue
        program, *arguments = shlex.split(command)
        path = shutil.which(program, path=os.pathsep.join((SCRIPTS, os.defpath)))
        assert path, f"there is no {program}"
        result = subprocess.run([path, *arguments], capture_output=True, text=True, check=False, timeout=120)
        assert result.returncode == 0, f"{command}\n{result.stdout}{result.stderr}"


@pytest.fixture
def page_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    draw_sources(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.partition(".")[0] == "mysite"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(tmp_path), *([] if "DOCS_SCRIPTS" in os.environ else [str(ROOT)])])
    )
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_examples_of_a_page_run_in_their_order(page: Path, page_folder: Path) -> None:
    """Files are written, Python is run, commands end with status 0, templates render to something."""
    names: dict[str, Any] = {"__name__": "page"}
    for example in examples(page):
        where = f"{page.name}:{example.line}"
        if example.title:
            path = page_folder / example.title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(example.code, encoding="utf-8")
        elif example.language == "python":
            # Line numbers of the page, so that a traceback points there.
            exec(compile("\n" * example.line + example.code, where, "exec"), names)
        elif example.language == "console":
            run_commands(example.code)
        elif example.language in ("jinja", "html+jinja"):
            render(names.get("env"), example)


def modules() -> Iterator[str]:
    package = ROOT / "jinja_imagekit"
    for path in sorted(package.rglob("*.py")):
        name = ".".join(path.relative_to(package).with_suffix("").parts).removesuffix(".__init__")
        # Each host's module needs its host, and has tests of its own.
        if not name.startswith(HOSTS) and not name.endswith("__main__"):
            yield "jinja_imagekit" if name == "__init__" else f"jinja_imagekit.{name}"


@pytest.mark.parametrize("name", [*modules()])
def test_the_examples_in_docstrings_give_what_they_say(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each `>>>` line of a module runs, and prints what the docstring prints."""
    monkeypatch.chdir(tmp_path)
    results = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert results.failed == 0, "see the captured output"


def test_links_between_the_pages_lead_somewhere() -> None:
    """Each relative link of the README and the guides names a file that exists."""
    for page in [*PAGES, ROOT / "CONTRIBUTING.md"]:
        text = FENCE.sub("", page.read_text(encoding="utf-8"))
        for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_each_error_has_its_place_in_the_reference_with_what_to_do() -> None:
    """A section has the name of the class, a text, and the class itself; all of them are public."""
    page = (ROOT / "docs/reference/errors.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", page, re.MULTILINE | re.DOTALL))
    known = (each for each in vars(exceptions).values() if isinstance(each, type))
    classes = {each.__name__ for each in known if issubclass(each, Exception)}
    assert {*sections, "ImageKitError"} == classes == {*exceptions.__all__}
    for name, text in sections.items():
        assert f"autoexception:: jinja_imagekit.exceptions.{name}\n" in text
        assert len(text.partition("```{eval-rst}")[0].split()) > 6, f"nothing says what to do about {name}"


def test_the_schema_for_editors_knows_what_the_command_reads() -> None:
    """The keys of a site's table, those that starters and pages write among them, and each keyword of a rule."""
    schema = json.loads((ROOT / "docs/_static/jinja-imagekit.schema.json").read_text(encoding="utf-8"))
    table = schema["properties"]["tool"]["properties"]["jinja-imagekit"]["properties"]
    rule = table["rules"]["additionalProperties"]["anyOf"][-1]["properties"]
    assert {*rule} == {*OWN_WORDS, *PICTURE_KEYWORDS, "loading", "decoding", "on_error"}
    pages = [example.code for page in PAGES for example in examples(page) if example.language == "toml"]
    starters = [f"[tool.jinja-imagekit]\n{starter.table}" for starter in STARTERS.values()]
    tools = [tomllib.loads(text).get("tool", {}) for text in (*pages, *starters)]
    written = {key for tool in tools for key in tool.get("jinja-imagekit", {})}
    assert {*table} == written


def test_each_setting_stands_in_one_group() -> None:
    """The reference has all of them, and those that a spec may set are those of pixels and encoding."""
    page = (ROOT / "docs/reference/settings.md").read_text(encoding="utf-8")
    groups = re.findall(r"^## (.+)\n\n```\{settings\}\n([^`]+)```$", page, re.MULTILINE)
    names = {title: words.split() for title, words in groups}
    assert sorted(name for group in names.values() for name in group) == sorted(Settings.names())
    assert {*names["Pixels"], *names["Encoding"]} == {*Settings.PIXEL_SETTINGS}


def test_the_gallery_shows_each_processor() -> None:
    """What is no processor itself, or made for several sizes at once, has nothing to show."""
    page = (ROOT / "docs/reference/gallery.md").read_text(encoding="utf-8")
    shown = {*re.findall(r"^### (\w+)$", page, re.MULTILINE)}
    unseen = {"Anchor", "FrameProcessor", "ProcessorPipeline", "SharedThumbnail", "Side"}
    assert shown == {*processors.__all__} - unseen
    for name in shown:
        assert re.search(rf"^(?:.*, )?{name}\(.*\)$", page, re.MULTILINE)


@pytest.mark.skipif(importlib.util.find_spec("furo") is None, reason="furo is not installed: pip install .[docs]")
def test_the_documentation_builds_without_a_warning(tmp_path: Path) -> None:
    """All pages are in the menu, all links lead somewhere, all docstrings are right, and images become pictures."""
    site = tmp_path / "site"
    command = [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "--keep-going"]
    command += ["-d", str(tmp_path / "doctrees"), str(ROOT / "docs"), str(site)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert '<picture><source type="image/avif"' in (site / "index.html").read_text(encoding="utf-8")
    assert (site / "reference/gallery.html").read_text(encoding="utf-8").count('src="data:image/webp') > 40
    assert "mysite/__init__.py" in (site / "how-to/flask.html").read_text(encoding="utf-8")
    with started_browser() as browser:
        check_access(browser, *((site / f"{page}.html").as_uri() for page in ACCESSIBLE))
