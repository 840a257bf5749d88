"""The command that puts this library's name in the place of django-imagekit's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jinja_imagekit.django.rename import main, renamed_other, renamed_python


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("import imagekit", "import jinja_imagekit.django"),
        ("import imagekit as ik", "import jinja_imagekit.django as ik"),
        ("import os, imagekit.models", "import os, jinja_imagekit.django.models"),
        ("from imagekit import ImageSpec", "from jinja_imagekit.django import ImageSpec"),
        ("from \\\n  imagekit.processors import X", "from \\\n  jinja_imagekit.django.processors import X"),
        (
            "import imagekit.models.fields\nf('é', imagekit.models.fields.F(upload_to='imagekit'))",
            "import jinja_imagekit.django.models.fields\n"
            "f('é', jinja_imagekit.django.models.fields.F(upload_to='imagekit'))",
        ),
        ("INSTALLED_APPS = ['a', 'imagekit']", "INSTALLED_APPS = ['a', 'jinja_imagekit.django']"),
        ("THIRD_PARTY_APPS: list = ['imagekit']", "THIRD_PARTY_APPS: list = ['jinja_imagekit.django']"),
        ("INSTALLED_APPS += ('imagekit',)", "INSTALLED_APPS += ('jinja_imagekit.django',)"),
        ("settings.INSTALLED_APPS.append('imagekit')", "settings.INSTALLED_APPS.append('jinja_imagekit.django')"),
        ("apps.is_installed('imagekit')", "apps.is_installed('jinja_imagekit.django')"),
        ("X = r'imagekit.cachefiles.backends.Simple'", "X = r'jinja_imagekit.django.cachefiles.backends.Simple'"),
        ("logging.getLogger('imagekit')", "logging.getLogger('jinja_imagekit')"),
        ("L = {'loggers': {'imagekit': {}}}", "L = {'loggers': {'jinja_imagekit': {}}}"),
        ("import imagekit\r\nx = imagekit.y\r\n", "import jinja_imagekit.django\r\nx = jinja_imagekit.django.y\r\n"),
    ],
)
def test_names_are_put_in_their_places(before: str, after: str) -> None:
    """Imports and what they bind, apps, dotted paths and loggers get the new name; all else stays byte for byte."""
    result = renamed_python(before)
    assert result.text == after
    assert result.doubts == []
    assert renamed_python(after).text == after


@pytest.mark.parametrize(
    "text",
    [
        "apps.get_app_config('imagekit')",
        "CACHES = {'imagekit': {}}",
        "from .imagekit import mine",
        "import django_imagekit, imagekitio",
        "register.generator('imagekit:thumbnail', X)",
        "# imagekit.models\n'''imagekit.models is a module'''",
        "imagekit = 1\nimagekit.real",
    ],
)
def test_what_merely_looks_like_it_stays(text: str) -> None:
    """Labels, ids, aliases, comments, and names of other packages are not touched."""
    assert renamed_python(text).text == text


@pytest.mark.parametrize("text", ["f'imagekit.models.{x}'", "'imagekit.nowhere.X'", "import imagekit\nimagekit = 1"])
def test_what_nobody_can_tell_is_named(text: str) -> None:
    """It is left alone, and its line is among those to look at."""
    result = renamed_python(text)
    assert result.doubts[0][1] in text


def test_dotted_paths_in_other_files() -> None:
    """Configuration files have them with quotes or without; addresses that look like it stay."""
    text = "a: imagekit.cachefiles.namers.hash\nb: https://imagekit.io\napps: [imagekit]\nc: django-imagekit==6\n"
    result = renamed_other(text)
    assert result.text == text.replace("imagekit.cach", "jinja_imagekit.django.cach")
    assert [number for number, _ in result.doubts] == [3, 4]


def test_the_command_prints_a_diff_and_needs_no_project(tmp_path: Path) -> None:
    """Without settings it runs; a dry run changes nothing, and what cannot be read is said."""
    module, broken = tmp_path / "app" / "models.py", tmp_path / "broken.py"
    module.parent.mkdir()
    module.write_text("import imagekit\n")
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / "other.py").write_text("import imagekit\n")
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    command = [sys.executable, "-m", "jinja_imagekit.django.rename", str(tmp_path), "--dry-run"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert "+import jinja_imagekit.django" in done.stdout
    assert "1 files would be changed" in done.stdout
    assert module.read_text() == "import imagekit\n"
    broken.write_text("import imagekit (\n")
    assert main([str(tmp_path)]) == 1
    assert module.read_text() == "import jinja_imagekit.django\n"
