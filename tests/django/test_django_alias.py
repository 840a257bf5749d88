"""The alias `imagekit`: apps of others that import it, their migrations, and what the check says."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

needs_peer = pytest.mark.skipif(
    importlib.util.find_spec("imagekit") is None, reason="django-imagekit is not installed: pip install django-imagekit"
)

SETTINGS = """
SECRET_KEY = "tests"
INSTALLED_APPS = {apps}
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TEMPLATES = [{{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}}]
BASE_DIR = {base!r}
MEDIA_ROOT = {media!r}
MEDIA_URL = "/media/"
RQ_QUEUES = {{"default": {{}}}}
IMAGEKIT_DEFAULT_CACHEFILE_STRATEGY = "imagekit.cachefiles.strategies.JustInTime"
"""

APP = {
    "shop/__init__.py": "",
    "shop/models.py": """
        from django.db import models
        from imagekit import ImageSpec
        from imagekit.models import ImageSpecField, ProcessedImageField
        from imagekit.processors import ResizeToFill
        import imagekit.cachefiles

        class Card(ImageSpec):
            processors = [ResizeToFill(40, 30)]
            format = "JPEG"
            cachefile_strategy = "imagekit.cachefiles.strategies.Optimistic"

        class Item(models.Model):
            image = ProcessedImageField([ResizeToFill(80, 60)], upload_to="items", format="PNG")
            small = ImageSpecField([ResizeToFill(20, 10)], source="image", format="JPEG")
            card = ImageSpecField(source="image", spec=Card)
        """,
    "shop/imagegenerators.py": """
        from imagekit import ImageSpec, register
        from imagekit.processors.resize import ResizeToFit

        class Tiny(ImageSpec):
            processors = [ResizeToFit(8, 8)]
            format = "PNG"

        register.generator("shop:tiny", Tiny)
        """,
    "shop/admin.py": "from imagekit.admin import AdminThumbnail\n",
    "shop/migrations/__init__.py": "",
    "shop/migrations/0001_initial.py": """
        import imagekit.models.fields
        from django.db import migrations, models

        class Migration(migrations.Migration):
            initial = True
            operations = [
                migrations.CreateModel("Item", [
                    ("id", models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    )),
                    ("image", imagekit.models.fields.ProcessedImageField(upload_to="items")),
                ]),
            ]
        """,
}
"""An app that knows django-imagekit alone."""

USE = """
import django
django.setup()
import sys
import imagekit, imagekit.registry
import jinja_imagekit.django, jinja_imagekit.django.registry
from django.apps import apps
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.template import Context, Template
from shop.models import Item
import drawing

assert imagekit is jinja_imagekit.django
assert imagekit.registry is jinja_imagekit.django.registry
assert imagekit.registry.__spec__.name == "jinja_imagekit.django.registry"
assert apps.is_installed("imagekit")
assert apps.get_app_config("imagekit").verbose_name == "ImageKit"
try:
    import imagekit.nowhere
except ModuleNotFoundError as error:
    assert "imagekit.nowhere" in str(error)
call_command("migrate", verbosity=0)
call_command("makemigrations", "--check", verbosity=0)
call_command("check", "--fail-level", "WARNING")
item = Item()
item.image.save("boat.jpg", ContentFile(drawing.jpeg(160, 120, 1)))
assert item.image.name == "items/boat.png"
print(item.small.url, item.small.width, item.card.url)
page = Template("{% load imagekit %}{% generateimage 'shop:tiny' source=item.image %}{% thumbnail '9x9' item.image %}")
print(page.render(Context({"item": item})))
call_command("generateimages")
"""


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., str]:
    """Return a function that runs code in a project with the app above, and returns what it prints."""
    for name, text in APP.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")

    def run(apps: list[str], code: str) -> str:
        settings = SETTINGS.format(apps=apps, base=str(tmp_path), media=str(tmp_path / "media"))
        (tmp_path / "project.py").write_text(settings, encoding="utf-8")
        paths = [str(tmp_path), *sys.path]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "DJANGO_SETTINGS_MODULE": "project"}
        command = [sys.executable, "-c", code]
        result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        return result.stdout + result.stderr

    return run


@pytest.mark.parametrize("app", ["imagekit", "jinja_imagekit.django"])
def test_an_app_that_imports_imagekit_works_unchanged(app: str, run: Callable[..., str]) -> None:
    """Fields, migrations, generators, tags, command and dotted paths of another's app are this library's."""
    printed = run(["jinja_imagekit.django.alias", "django.contrib.contenttypes", app, "shop"], USE)
    assert "Traceback" not in printed, printed
    assert "/media/CACHE/images/items/boat/" in printed
    assert 'width="8" height="6"' in printed
    assert 'width="9" height="9"' in printed
    assert "0 failed" in printed


@needs_peer
def test_the_real_one_beside_this_is_an_error_of_the_check(run: Callable[..., str]) -> None:
    """Without the alias, an app that imports django-imagekit is named, and what to do."""
    code = "import django; django.setup()\nfrom django.core.management import call_command; call_command('check')"
    printed = run(["jinja_imagekit.django", "shop"], code)
    assert "imagekit.E002" in printed
    assert "by shop" in printed
    assert "Put 'jinja_imagekit.django.alias' at the top of INSTALLED_APPS" in printed


@needs_peer
def test_an_alias_that_comes_too_late_says_so(run: Callable[..., str]) -> None:
    """Settings, or an app that is named before the alias, may have imported django-imagekit already."""
    printed = run(["jinja_imagekit.django.alias"], "import imagekit, django; django.setup()")
    assert "ImproperlyConfigured: django-imagekit itself has been imported already" in printed


def test_an_alias_without_the_app_is_a_warning(run: Callable[..., str]) -> None:
    """The alias is a name for the app, and not the app."""
    code = "import django; django.setup()\nfrom django.core.management import call_command; call_command('check')"
    printed = run(["jinja_imagekit.django.alias", "django.contrib.contenttypes"], code)
    assert "imagekit.W002" in printed
