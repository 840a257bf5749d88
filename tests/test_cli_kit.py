"""Where the command finds the kit, and what it says where there is none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import drawing
from jinja_imagekit.cli import command_line

SITE = """
import time

from jinja_imagekit import ImageKit
from jinja_imagekit.processors import ResizeToFill
from jinja_imagekit.sourcegroups import GlobSourceGroup

kit = ImageKit(source_dirs=["images"], location="output", state_dir="state")
kit.spec("blog:card", processors=[ResizeToFill(80, 60)], format="WEBP")
kit.register.source_group("blog:card", GlobSourceGroup("card/*"))
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, in which `mysite.py` has a kit and one small image."""
    folder = tmp_path / "site"
    (folder / "images/card").mkdir(parents=True)
    (folder / "images/card/canal.jpg").write_bytes(drawing.jpeg(120, 80, 1))
    (folder / "mysite.py").write_text(SITE, encoding="utf-8")
    monkeypatch.chdir(folder)
    monkeypatch.delenv("JINJA_IMAGEKIT", raising=False)
    return folder


def command(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    whole = [sys.executable, "-m", "jinja_imagekit", *arguments]
    return subprocess.run(whole, capture_output=True, text=True, encoding="utf-8", check=False, timeout=60, **options)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize("how", ["option", "environment", "pyproject", "pyproject above"])
def test_the_kit_is_found(site: Path, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By --kit, by JINJA_IMAGEKIT, or by the nearest pyproject.toml that names one."""
    arguments = ["list"]
    if how == "option":
        arguments = ["--kit", "mysite:kit", "list"]
    elif how == "environment":
        monkeypatch.setenv("JINJA_IMAGEKIT", "mysite:kit")
    else:
        (site / "pyproject.toml").write_text('[tool.jinja-imagekit]\nkit = "mysite:kit"\n')
    if how == "pyproject above":
        (site / "pages").mkdir()
        (site / "pages/pyproject.toml").write_text('[project]\nname = "pages"\n')
        monkeypatch.chdir(site / "pages")
    result = command(*arguments)
    assert result.returncode == 0, result.stderr
    assert "blog:card" in result.stdout


def test_a_file_is_told_from_a_module(site: Path) -> None:
    """Whoever names a file reads what to write."""
    result = command("--kit", "mysite.py:kit", "list")
    assert result.returncode == 2
    assert "write 'mysite:kit'" in result.stderr


@pytest.mark.parametrize("arguments", [["--kit", "mysite:kit", "list"], ["list", "--kit", "mysite:kit"]], ids=" ".join)
def test_the_option_stands_before_or_behind_the_subcommand(site: Path, arguments: list[str]) -> None:
    """`--kit` means the same in both places; the one behind wins."""
    assert "blog:card" in command(*arguments).stdout
    assert "blog:card" in command("--kit", "nosuch:kit", "list", "--kit", "mysite:kit").stdout


@pytest.mark.parametrize("arguments", [["-h"], ["generate", "-h"], ["prune", "-h"]], ids=" ".join)
def test_help_is_short_too(arguments: list[str]) -> None:
    """`-h` is `--help`."""
    shown = CliRunner().invoke(command_line(), arguments)
    assert shown.exit_code == 0
    assert shown.stdout == CliRunner().invoke(command_line(), [*arguments[:-1], "--help"]).stdout


def test_paths_are_those_of_the_folder_of_pyproject_toml(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a subfolder the same images are made at the same place; what the command line names is where one stands."""
    (site / "pyproject.toml").write_text('[tool.jinja-imagekit]\nkit = "mysite:kit"\n')
    (site / "pages").mkdir()
    monkeypatch.chdir(site / "pages")
    result = command("generate", "-j", "1", "--report", "report.html")
    assert "1 image made" in result.stdout, result.stderr
    assert len(list((site / "output").rglob("*.webp"))) == 1
    assert sorted(path.name for path in (site / "pages").iterdir()) == ["report.html"]
    monkeypatch.chdir(site)
    assert "1 fresh already" in command("generate", "-n").stdout


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("mysite", "is not of the form module:attribute"),
        ("nosuch:kit", "There is no module 'nosuch'"),
        ("nosuch:kit", "Start in the folder that holds it"),
        ("mysite.sub:kit", "There is no module 'mysite.sub'"),
        ("mysite:kitt", "Did you mean 'kit'?"),
        ("mysite:SITE", "leads to no 'SITE'"),
        ("mysite:time", "is not an ImageKit, but of type module"),
        ("broken:kit", "ModuleNotFoundError: No module named 'absent_package'"),
        ("faulty:kit", "ZeroDivisionError: division by zero"),
        ("wrong:kit", "SyntaxError"),
        ("leaving:kit", "SystemExit: 3"),
        ("factories:needy", "missing 1 required positional argument"),
        ("factories:empty", "is not an ImageKit, but of type NoneType"),
    ],
)
def test_each_way_not_to_find_the_kit_is_one_clear_error(
    site: Path, reference: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit status 2, one message, no traceback."""
    modules = {
        "broken": "import absent_package",
        "faulty": "1 / 0",
        "wrong": "kit = (",
        "leaving": "raise SystemExit(3)",
        "factories": "def needy(config): ...\ndef empty(): ...",
    }
    for name, code in modules.items():
        (site / f"{name}.py").write_text(code)
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.delitem(sys.modules, "mysite", raising=False)
    result = CliRunner().invoke(command_line(), ["--kit", reference, "list"])
    monkeypatch.delitem(sys.modules, "mysite", raising=False)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        (None, "Where is the kit?"),
        ("[tool.other]\n", "Where is the kit?"),
        ("[tool.jinja-imagekit]\nkit = 3\n", "kit under [tool.jinja-imagekit] is 3"),
        ("tool = ", "cannot be read"),
        ("tool.jinja-imagekit = 3", "[tool.jinja-imagekit] is not a table"),
        ("tool = 3", "Where is the kit?"),
    ],
)
def test_a_pyproject_without_a_usable_kit_is_one_clear_error(site: Path, toml: str | None, message: str) -> None:
    """Exit status 2, and the message says what to write."""
    if toml is not None:
        (site / "pyproject.toml").write_text(toml)
    result = CliRunner().invoke(command_line(), ["list"])
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_factory_gives_the_kit_and_processes_import_it_again(site: Path) -> None:
    """`--kit module:function` works, with `--processes` too, where nothing need be picklable."""
    code = (
        "def make_kit():\n"
        "    processor = type('Local', (), {'process': lambda self, image: image})\n"
        "    kit.generators.register('blog:card', kit.spec(processors=[processor()]), override=True)\n"
        "    return kit\n"
    )
    with (site / "mysite.py").open("a", encoding="utf-8") as module:
        module.write(code)
    result = command("--kit", "mysite:make_kit", "generate", "--processes", "--workers", "1")
    assert result.returncode == 0, result.stderr
    assert "1 image made" in result.stdout


@pytest.mark.parametrize("name", ["app", "create_app"])
def test_a_flask_application_gives_its_kit_within_its_context(site: Path, name: str) -> None:
    """`--kit mysite:app` works, and generators may look at the current app."""
    code = (
        "import flask\n"
        "from jinja_imagekit.flask import ImageKit\n"
        "from jinja_imagekit.generatorlibrary import Thumbnail\n"
        "from jinja_imagekit.sourcegroups import GlobSourceGroup\n"
        "app = flask.Flask('mysite', static_folder='images')\n"
        "images = ImageKit(app, import_name='shop:app')\n"
        "create_app = lambda: app\n"
        "def small(source=None):\n"
        "    return Thumbnail(flask.current_app.config['WIDTH'], source=source)\n"
        "app.config['WIDTH'] = 40\n"
        "images.register.generator('shop:small', small)\n"
        "images.register.source_group('shop:small', GlobSourceGroup('card/*'))\n"
    )
    (site / "shop.py").write_text(code, encoding="utf-8")
    for way in ([], ["--force", "--processes", "--workers", "1"]):
        result = command("--kit", f"shop:{name}", "generate", *way)
        assert result.returncode == 0, result.stderr
        assert "1 image made" in result.stdout
