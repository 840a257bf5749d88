"""A Django project for the tests: an app with models, a database in memory, and a media folder for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import django
import pytest
from django.conf import settings

import drawing

settings.configure(
    SECRET_KEY="tests",
    DEBUG=False,
    USE_TZ=True,
    ROOT_URLCONF="album.urls",
    STATIC_URL="/static/",
    MEDIA_URL="/media/",
    INSTALLED_APPS=[
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.messages",
        "django.contrib.sessions",
        "jinja_imagekit.django",
        "album",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ]
            },
        }
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    # Each test begins with an empty one.
    IMAGEKIT_CACHE_BACKEND="default",
    CACHES={
        "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
        "images": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "images"},
        "none": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"},
        "broken": {"BACKEND": "album.parts.BrokenCache"},
    },
)
django.setup()

from django.core.cache import caches  # noqa: E402
from django.core.files.base import ContentFile  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import transaction  # noqa: E402
from django.template import Context, Template  # noqa: E402
from django.test.utils import override_settings, setup_test_environment  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def _database() -> None:
    setup_test_environment(debug=False)
    call_command("migrate", run_syncdb=True, verbosity=0)


@pytest.fixture(autouse=True)
def media(tmp_path: Path) -> Iterator[Path]:
    """Return the media folder of this test alone; records and database rows end with the test, too."""
    folder = tmp_path / "media"
    with override_settings(MEDIA_ROOT=str(folder)), transaction.atomic():
        yield folder
        transaction.set_rollback(True)
    for alias in ("default", "images"):
        caches[alias].clear()


@pytest.fixture
def jpeg() -> bytes:
    """Return a photo-like JPEG of 320 × 240 pixels."""
    return drawing.jpeg(320, 240, 1)


@pytest.fixture
def make_photo(jpeg: bytes) -> Callable[..., Any]:
    """Return a function that saves a `Photo`: `make_photo("canal.jpg", model=…, content=…)`."""
    from album.models import Photo

    def make(name: str = "canal.jpg", model: Any = Photo, content: bytes = jpeg, field: str = "image") -> Any:
        instance = model()
        getattr(instance, field).save(name, ContentFile(content), save=False)
        instance.save()
        return instance

    return make


@pytest.fixture
def render() -> Callable[..., str]:
    """Return a function that renders a template's text with the tags loaded."""

    def render(text: str, **variables: Any) -> str:
        return Template("{% load imagekit %}" + text).render(Context(variables))

    return render
