"""The rules of the code hold: layers, types, style, and the shape of each module."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = sorted(path for path in (ROOT / "examples").iterdir() if [*path.rglob("*.py")])
MODULES = sorted((ROOT / "jinja_imagekit").rglob("*.py"))


def run(*command: str) -> None:
    scripts = Path(sysconfig.get_path("scripts"))
    result = subprocess.run([scripts / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_imports_keep_to_the_layers() -> None:
    """A module imports only from its own layer and the layers below, and only a host's module imports the host."""
    run("lint-imports", "--no-cache")


def test_the_architecture_page_has_the_layers_of_the_contract() -> None:
    """The page's table and the contract name the same modules in the same rows."""
    page = (ROOT / "docs/explanation/architecture.md").read_text(encoding="utf-8")
    table = page.partition("## The layers")[2].partition("\n## ")[0]
    rows = [line.split("|")[2] for line in table.splitlines() if line.startswith("|")][2:]
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = config["tool"]["importlinter"]["contracts"]
    [layers] = [contract["layers"] for contract in contracts if contract["id"] == "layers"]
    assert [set(re.findall(r"`(\w+)`", row)) for row in rows] == [set(re.findall(r"\w+", layer)) for layer in layers]


def test_types_are_strict() -> None:
    """The package has no type error under mypy's strict rules."""
    run("mypy")


@pytest.mark.parametrize("command", [("check",), ("format", "--check")], ids=" ".join)
def test_style_is_ruffs(command: tuple[str, ...]) -> None:
    """Ruff has nothing to say."""
    run("ruff", *command, ".")


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_module_says_its_job_in_one_sentence(module: Path) -> None:
    """Each module opens with a docstring whose first line is a sentence."""
    opening = (ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or "").splitlines()[:1]
    assert opening, "the module has no docstring"
    assert opening[0].endswith("."), opening


@pytest.mark.parametrize(
    "example", [path for path in (ROOT / "examples").iterdir() if [*path.rglob("*.py")]], ids=lambda path: path.name
)
def test_an_example_has_fewer_than_150_lines_of_python(example: Path) -> None:
    """Not counting blank ones, nor what all examples share."""
    lines = [line for path in example.rglob("*.py") for line in path.read_text(encoding="utf-8").splitlines()]
    assert sum(bool(line.strip()) for line in lines) < 150


def test_importing_the_package_imports_no_host() -> None:
    """A site that uses one host need not have the others installed."""
    code = "import sys, jinja_imagekit; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    hosts = {"flask", "starlette", "sphinx", "pelican", "django", "celery", "rq", "dramatiq", "fsspec"}
    imported = hosts & set(result.stdout.split())
    assert not imported
