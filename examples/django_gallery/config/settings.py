"""The project's settings; nothing here is fit for a public server."""

import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parents[1]
INSTANCE = Path(os.environ.get("GALLERY_INSTANCE", BASE_DIR / "instance"))

SECRET_KEY = "an example on your own machine"
DEBUG = True
ROOT_URLCONF = "config.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

ADMIN_NEEDS = ("admin", "auth", "contenttypes", "messages", "sessions", "staticfiles")
INSTALLED_APPS = [*(f"django.contrib.{name}" for name in ADMIN_NEEDS), "jinja_imagekit.django", "gallery"]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
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
]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": INSTANCE / "db.sqlite3"}}
STATIC_URL = "/static/"
MEDIA_URL = "/media/"
MEDIA_ROOT = INSTANCE / "media"

IMAGEKIT_STATE_DIR = INSTANCE / "state"
IMAGEKIT_PICTURE_FORMATS = ["WEBP"]
IMAGEKIT_ON_ERROR = "placeholder"
