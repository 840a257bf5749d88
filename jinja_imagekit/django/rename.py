"""`python -m jinja_imagekit.django.rename FOLDER`: puts this package's name in the place of django-imagekit's.

It reads Python by its syntax, so that neither a comment nor a string that merely looks like it is touched, and finds
dotted paths in YAML, TOML, JSON and INI files. What it cannot decide is named, and left alone.
"""

from __future__ import annotations

import ast
import difflib
import re
import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

OLD, NEW = "imagekit", "jinja_imagekit.django"
LOGGER = "jinja_imagekit"
"""The logger that all of this library's are below."""

SKIPPED = frozenset({".git", ".hg", ".tox", ".venv", "venv", "node_modules", "site-packages", "__pycache__"})
"""Folders that hold nobody's own code."""

OTHER_SUFFIXES = frozenset({".yaml", ".yml", ".toml", ".json", ".ini", ".cfg", ".env"})

_PATH = re.compile(rf"{OLD}(\.\w+)+")
_QUOTED_PATH = re.compile(rf"(?<![\w./-]){OLD}\.(\w+)")
_FROM = re.compile(rf"from(?:\s|\\\n)+({OLD})\b")


class Change(NamedTuple):
    """What stands for the `length` characters at a place of a file."""

    start: int
    length: int
    text: str


class Result(NamedTuple):
    """What becomes of a file, and the lines that somebody has to look at."""

    text: str
    doubts: list[tuple[int, str]]


def renamed_python(source: str) -> Result:
    """Return a Python module with this package's name.

    Raises:
        SyntaxError: It is not Python.
    """
    tree = ast.parse(source)
    visitor = _Visitor(source)
    visitor.visit(tree)
    for change in sorted(set(visitor.changes), reverse=True):
        source = source[: change.start] + change.text + source[change.start + change.length :]
    return Result(source, visitor.doubts)


def renamed_other(source: str) -> Result:
    """Return a configuration file with this package's name in its dotted paths."""
    doubts = [
        (number, line.strip())
        for number, line in enumerate(source.splitlines(), 1)
        if re.search(rf"(?<![\w./-]){OLD}(?![\w.:/-])", line) or f"django-{OLD}" in line
    ]
    text = _QUOTED_PATH.sub(lambda match: f"{NEW}.{match[1]}" if _is_module(match[1]) else match[0], source)
    return Result(text, doubts)


class _Visitor(ast.NodeVisitor):
    """Collects the changes of a module."""

    def __init__(self, source: str) -> None:
        self.changes: list[Change] = []
        self.doubts: list[tuple[int, str]] = []
        self._source = source
        # As Python counts them; str.splitlines() knows further ends of lines.
        self._lines = [f"{line}\n" for line in source.split("\n")]
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line))
        self._has_name = False
        self._names: list[ast.Name] = []

    def visit_Module(self, node: ast.Module) -> None:  # ast's name for it, as below
        self.generic_visit(node)
        for name in self._names:
            if not self._has_name:
                continue
            if isinstance(name.ctx, ast.Load):
                self._replace(name, NEW)
            else:
                self._doubt(name)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            if alias.name == OLD or alias.name.startswith(f"{OLD}."):
                self._replace(alias, NEW)
                self._has_name = self._has_name or alias.asname is None

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        if node.level == 0 and (module == OLD or module.startswith(f"{OLD}.")):
            start = self._start(node)
            match = _FROM.match(self._source, start)
            if match is not None:
                self.changes.append(Change(match.start(1), len(OLD), NEW))

    def visit_Name(self, node: ast.Name) -> None:
        if node.id == OLD:
            self._names.append(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        if any(_names_apps(target) for target in node.targets):
            self._rename_apps(node.value)
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None and _names_apps(node.target):
            self._rename_apps(node.value)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if _names_apps(node.target):
            self._rename_apps(node.value)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        of_apps = isinstance(node.func, ast.Attribute) and _names_apps(node.func.value)
        for argument in node.args:
            if name == "is_installed" or (of_apps and name in ("append", "insert", "extend")):
                self._rename_apps(argument)
            elif name == "getLogger" and _is_string(argument, OLD):
                self._replace_string(argument, LOGGER)
        self.generic_visit(node)

    def visit_Dict(self, node: ast.Dict) -> None:
        for key, value in zip(node.keys, node.values, strict=True):
            if key is not None and _is_string(key, "loggers") and isinstance(value, ast.Dict):
                for logger in value.keys:
                    if logger is not None and _is_string(logger, OLD):
                        self._replace_string(logger, LOGGER)
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if not isinstance(node.value, str):
            return
        if _PATH.fullmatch(node.value):
            if _is_module(node.value.split(".")[1]):
                self._replace_string(node, NEW)
            else:
                self._doubt(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        # Parts of an f-string have no places of their own in all versions of Python.
        if any(_is_path(value) for value in node.values):
            self._doubt(node)

    def _rename_apps(self, node: ast.AST) -> None:
        for each in ast.walk(node):
            if _is_string(each, OLD):
                self._replace_string(each, NEW)

    def _replace_string(self, node: ast.AST, text: str) -> None:
        start, end = self._start(node), self._end(node)
        found = self._source.find(OLD, start, end)
        if found < 0:
            self._doubt(node)
        else:
            self.changes.append(Change(found, len(OLD), text))

    def _replace(self, node: ast.AST, text: str) -> None:
        self.changes.append(Change(self._start(node), len(OLD), text))

    def _doubt(self, node: ast.AST) -> None:
        number: int = node.lineno  # type: ignore[attr-defined]  # as of every node that is passed here
        self.doubts.append((number, self._lines[number - 1].strip()))

    def _start(self, node: ast.AST) -> int:
        return self._place(node.lineno, node.col_offset)  # type: ignore[attr-defined]  # as above

    def _end(self, node: ast.AST) -> int:
        return self._place(node.end_lineno, node.end_col_offset)  # type: ignore[attr-defined]  # as above

    def _place(self, number: int, offset: int) -> int:
        # Python counts bytes of UTF-8.
        return self._starts[number - 1] + len(self._lines[number - 1].encode()[:offset].decode())


def _names_apps(node: ast.AST) -> bool:
    name = getattr(node, "id", getattr(node, "attr", ""))
    return isinstance(name, str) and name.upper().endswith("APPS")


def _is_string(node: ast.AST, value: str) -> bool:
    return isinstance(node, ast.Constant) and node.value == value


def _is_path(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith(f"{OLD}.")


def _is_module(name: str) -> bool:
    """Tell whether this package has a module or a class of that name, as dotted paths of settings lead to."""
    here = Path(__file__).parent
    return (here / f"{name}.py").is_file() or (here / name / "__init__.py").is_file() or name == "ImageSpec"


def files_of(folder: Path) -> Iterator[Path]:
    """Yield the Python and configuration files of a folder, or the file itself."""
    if folder.is_file():
        yield folder
        return
    for path in sorted(folder.rglob("*")):
        if path.suffix in {".py", *OTHER_SUFFIXES} and not SKIPPED & set(path.relative_to(folder).parts):
            yield path


def main(arguments: Sequence[str] | None = None) -> int:
    """Rename, print a diff and what is left to look at; return 0, or 1 where a file cannot be read."""
    parser = ArgumentParser("python -m jinja_imagekit.django.rename", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="+")
    parser.add_argument("--dry-run", action="store_true", help="change nothing, and only say what would be")
    options = parser.parse_args(arguments)
    changed, doubts, failed = 0, [], 0
    for path in (path for folder in options.folder for path in files_of(folder)):
        try:
            # Line ends stay as they are.
            source = path.read_bytes().decode()
            if OLD not in source:
                continue
            result = renamed_python(source) if path.suffix == ".py" else renamed_other(source)
        except (OSError, ValueError, SyntaxError) as error:
            print(f"{path}: {error}", file=sys.stderr)
            failed += 1
            continue
        doubts += [f"{path}:{number}: {line}" for number, line in result.doubts]
        if result.text != source:
            changed += 1
            lines = difflib.unified_diff(
                source.splitlines(), result.text.splitlines(), str(path), str(path), n=0, lineterm=""
            )
            print("\n".join(lines))
            if not options.dry_run:
                path.write_bytes(result.text.encode())
    print(f"{changed} files {'would be ' if options.dry_run else ''}changed")
    if doubts:
        print("To look at, since nobody can tell by the text alone what is meant:", *doubts, sep="\n  ")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
