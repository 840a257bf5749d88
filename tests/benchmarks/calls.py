"""Counts what one image costs in calls within the package, and how the package hangs together.

Run it with `PYTHONPATH=examples python tests/benchmarks/calls.py`; with a checkout of another commit before `examples`,
it counts that one. Calls are those of functions and methods of the package, as `sys.setprofile` sees them; lambdas,
comprehensions and generator expressions do not count, which differ between versions of Python. A return is a step from
one module into another that was entered before. Everything is imported before it counts, and counts are exact: they
say what a change saves where timings only shake.
"""

from __future__ import annotations

import ast
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from jinja2 import Environment

import drawing
import jinja_imagekit
from jinja_imagekit import ImageKit
from jinja_imagekit.processors import ResizeToFill
from jinja_imagekit.sourcegroups import GlobSourceGroup

PACKAGE = Path(jinja_imagekit.__file__).parent
TAG = "{% thumbnail '300x200' photo %}"


class Count(NamedTuple):
    """What a piece of work took."""

    calls: int
    modules: int
    returns: int


def counted(work: Callable[[], Any]) -> Count:
    """Run something, in whatever threads, and return what it took."""
    entered: list[str] = []
    prefix = str(PACKAGE) + os.sep

    def note(frame: Any, event: str, _: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(prefix) and not code.co_name.startswith("<"):
            entered.append(code.co_filename)

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    seen: set[str] = set()
    returns = 0
    before = ""
    for module in entered:
        returns += module != before and module in seen
        seen.add(module)
        before = module
    return Count(len(entered), len(seen), returns)


def jinja(folder: Path) -> dict[str, Count]:
    """Count a tag without and with its image, and a pregeneration of one file."""

    def kit(name: str) -> ImageKit:
        return ImageKit(source_dirs=[folder], location=folder / name, state_dir=folder / f"{name}-state")

    def render(kit: ImageKit) -> Callable[[], str]:
        template = kit.install(Environment(autoescape=True)).from_string(TAG)
        return lambda: template.render(photo="photo.jpg")

    def generate(kit: ImageKit) -> Callable[[], Any]:
        kit.spec("calls:card", processors=[ResizeToFill(300, 200)])
        kit.register.source_group("calls:card", GlobSourceGroup("photo.jpg"))
        return lambda: kit.generate(workers=1)

    # The first round of each imports what it needs.
    first, again = render(kit("first")), kit("second")
    first()
    tag = render(again)
    counts = {"tag, cold": counted(tag)}
    # Twice: the first time, the state store is read into memory.
    tag()
    counts["tag, warm"] = counted(tag)
    renewed = render(kit("second"))
    counts["tag, in a new process"] = counted(renewed)
    generate(kit("third"))()
    pregenerated = generate(kit("fourth"))
    counts["kit.generate, one file, cold"] = counted(pregenerated)
    counts["kit.generate, one file, warm"] = counted(pregenerated)
    return counts


def django(folder: Path) -> dict[str, Count]:
    """Count the URL of a field of a Django model without and with its image."""
    import django as framework
    from django.conf import settings

    settings.configure(
        INSTALLED_APPS=["django.contrib.contenttypes", "jinja_imagekit.django"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
        MEDIA_ROOT=str(folder),
        MEDIA_URL="/media/",
    )
    framework.setup()
    from django.db import models

    from jinja_imagekit.django.models import ImageSpecField

    class Photo(models.Model):
        """A photo with a thumbnail."""

        image = models.ImageField()
        thumbnail = ImageSpecField([ResizeToFill(300, 200)], source="image", format="JPEG")

        class Meta:
            app_label = "calls"

    assert Photo(image="first.jpg").thumbnail.url
    cold = counted(lambda: Photo(image="photo.jpg").thumbnail.url)
    warm = counted(lambda: Photo(image="photo.jpg").thumbnail.url)
    return {"Django field's url, cold": cold, "Django field's url, warm": warm}


class Import(NamedTuple):
    """One import within the package."""

    importer: str
    imported: str
    for_types: bool
    in_function: bool


def modules() -> dict[str, ast.Module]:
    """Return the package's modules, by their dotted names below it."""
    trees = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        trees[name] = ast.parse(path.read_text(encoding="utf-8"))
    return trees


def imports(trees: dict[str, ast.Module]) -> Iterator[Import]:
    """Yield every import of a module of the package by another one."""
    packages = {name.rpartition(".")[0] for name in trees}
    for importer, tree in trees.items():
        for node, for_types, in_function in _import_nodes(tree, False, False):
            above = importer.split(".") if importer in packages else importer.split(".")[:-1]
            if node.level:
                base = ".".join([*above[: len(above) - node.level + 1], *(node.module or "").split(".")]).strip(".")
            elif (node.module or "").split(".")[0] == PACKAGE.name:
                base = (node.module or "").partition(".")[2]
            else:
                continue
            for alias in node.names:
                deeper = f"{base}.{alias.name}".strip(".")
                imported = deeper if deeper in trees else base
                if imported != importer:
                    yield Import(importer, imported, for_types, in_function)


def _import_nodes(node: ast.AST, for_types: bool, in_function: bool) -> Iterator[tuple[ast.ImportFrom, bool, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ImportFrom):
            yield child, for_types, in_function
        typing = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        function = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef))
        yield from _import_nodes(child, for_types or typing, in_function or function)


def circles(edges: set[tuple[str, str]]) -> list[list[str]]:
    """Return the groups of names that reach one another."""
    reach: dict[str, set[str]] = {}
    for name in {name for edge in edges for name in edge}:
        found: set[str] = set()
        waiting = [name]
        while waiting:
            current = waiting.pop()
            new = {after for before, after in edges if before == current} - found
            found |= new
            waiting.extend(new)
        reach[name] = found
    groups = {
        frozenset(other for other in reach[name] if name in reach[other]) for name in reach if name in reach[name]
    }
    return sorted(sorted(group) for group in groups)


def anys(tree: ast.Module) -> int:
    """Return how often `Any` stands in the annotations of a module."""
    annotations: list[ast.AST | None] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.arg | ast.AnnAssign):
            annotations.append(node.annotation)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            annotations.append(node.returns)
    names = [name for each in annotations if each is not None for name in ast.walk(each)]
    return sum(isinstance(name, ast.Name) and name.id == "Any" for name in names)


def print_house() -> None:
    """Print how large the modules are, and who imports whom."""
    trees = modules()
    lines = [len(path.read_text(encoding="utf-8").splitlines()) for path in PACKAGE.rglob("*.py")]
    found = list(imports(trees))
    at_run_time = [each for each in found if not each.for_types]
    edges = {(each.importer, each.imported) for each in at_run_time}
    # A part is a module or package directly below the top; the top itself imports when it is asked for a name.
    parts = {(a.split(".")[0], b.split(".")[0]) for a, b in edges if a and b and a.split(".")[0] != b.split(".")[0]}
    rows = {
        "modules": len(lines),
        "lines": sum(lines),
        "mean lines of a module": round(sum(lines) / len(lines)),
        "modules under 60 lines": sum(count < 60 for count in lines),
        "Any in annotations": sum(anys(tree) for tree in trees.values()),
        "parts": len({name.split(".")[0] for name in trees if name}),
        "imports from part to part": len(parts),
        "circles of parts": circles(parts) or "none",
        "imports from module to module": len(edges),
        "circles of modules": circles({(a, b) for a, b in edges if a and b}) or "none",
        "imports within functions": sum(each.in_function for each in at_run_time),
        "imports for types alone": len({each[:2] for each in found if each.for_types}),
    }
    for label, value in rows.items():
        print(f"{label:<32} {value}")


def main() -> None:
    """Print both tables."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        for seed, photo in enumerate(("photo.jpg", "first.jpg")):
            (folder / photo).write_bytes(drawing.jpeg(640, 480, seed))
        counts = {**jinja(folder), **django(folder)}
    print(f"{'':<32} {'calls':>7} {'modules':>8} {'returns':>8}")
    for label, count in counts.items():
        print(f"{label:<32} {count.calls:>7} {count.modules:>8} {count.returns:>8}")
    print()
    print_house()


if __name__ == "__main__":
    main()
