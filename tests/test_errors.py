"""Errors: one root for all that a caller may meet."""

from __future__ import annotations

import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path

from jinja_imagekit.exceptions import ImageKitError

WITHIN = (
    "jinja_imagekit.images.",
    "jinja_imagekit.state.",
    "jinja_imagekit.no_links.",
    "jinja_imagekit.cli.",
    "jinja_imagekit.sources.remote._Trouble",
    "jinja_imagekit.cachefiles.references.NotPlain",
    "jinja_imagekit.ext.runtime.NotKnown",
)
"""Signals between modules, which never reach a caller; click prints the command's own."""

PACKAGE = Path(__file__).resolve().parents[1] / "jinja_imagekit"

CTRL_C = "jinja_imagekit.pregenerate.report.GenerationInterrupted"


def exceptions() -> set[type[BaseException]]:
    """Return the exceptions that the package's modules define; Django's need a project."""
    found: set[type[BaseException]] = set()
    for path in PACKAGE.rglob("*.py"):
        parts = ("jinja_imagekit", *path.relative_to(PACKAGE).with_suffix("").parts)
        if parts[1] != "django" and parts[-1] not in ("__init__", "__main__"):
            members = vars(import_module(".".join(parts))).values()
            found |= {each for each in members if inspect.isclass(each) and issubclass(each, BaseException)}
    return {each for each in found if each.__module__.startswith("jinja_imagekit.")}


def test_every_error_is_under_one_root() -> None:
    """`except ImageKitError` catches all that this library raises on purpose; Ctrl-C stays a `KeyboardInterrupt`."""
    others = [each for each in exceptions() if not issubclass(each, ImageKitError)]
    names = {f"{each.__module__}.{each.__qualname__}": each for each in others}
    assert issubclass(names[CTRL_C], KeyboardInterrupt)
    assert [name for name in names if not name.startswith(WITHIN)] == [CTRL_C]


def test_django_s_errors_are_under_the_root_as_well() -> None:
    """What the shim raises by django-imagekit's names is an `ImageKitError`, too."""
    code = (
        "from django.conf import settings; settings.configure(); import django; django.setup()\n"
        "from jinja_imagekit.django.exceptions import MissingGeneratorId, ImageKitError\n"
        "from jinja_imagekit.django.cachefiles.backends import InvalidFileBackendError\n"
        "assert issubclass(MissingGeneratorId, ImageKitError)\n"
        "assert issubclass(InvalidFileBackendError, ImageKitError)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_error_says_where_it_happened() -> None:
    """Generator, template and line stand behind the message, once they are known."""
    error = ImageKitError("The ink ran out")
    error.generator_id, error.template, error.lineno = "blog:hero", "index.html", 3
    assert str(error) == "The ink ran out [generator 'blog:hero'] [template 'index.html', line 3]"
    assert error.message() == "The ink ran out"
