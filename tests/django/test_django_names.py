"""The modules and names of django-imagekit 6.1.1 are all there; it is installed beside this library for the tests."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from album.models import Card, Photo
from django.conf import settings
from django.test import override_settings

from jinja_imagekit.django.cachefiles import LazyImageCacheFile
from jinja_imagekit.django.exceptions import AlreadyRegistered, MissingSource, NotRegistered
from jinja_imagekit.django.registry import Register, Unregister, generator_registry
from jinja_imagekit.django.specs.sourcegroups import ik_model_receiver, signal_router
from jinja_imagekit.django.templatetags.imagekit import parse_dimensions
from jinja_imagekit.exceptions import InvalidOption

SCRIPT = Path(__file__).with_name("public_names.py")

LEFT_OUT = {
    ".conf ImageKitConf.Meta": "django-appconf's, which is not needed here",
    ".conf ImageKitConf.configure": "likewise",
    ".conf ImageKitConf.configured_data": "likewise",
    ".generatorlibrary default_thumbnail_format": "a setting as it was at import time; it is read when it is used",
    ".hashers DICT": "of the module pickle",
    ".hashers MARK": "of the module pickle",
    ".management.commands.generateimages MissingSource": "imported for its own use",
    ".management.commands.generateimages cachefile_registry": "imported for its own use",
    ".management.commands.generateimages generator_registry": "imported for its own use",
    ".management.commands.generateimages Command.args": "of Django 1.7",
    ".registry GeneratorRegistry.content_required_receiver": "files tell their strategies themselves",
    ".registry GeneratorRegistry.existence_required_receiver": "likewise",
    ".templatetags.imagekit GenerateImageAssignmentNode": "one node stands for the four",
    ".templatetags.imagekit GenerateImageTagNode": "likewise",
    ".templatetags.imagekit ThumbnailAssignmentNode": "likewise",
    ".templatetags.imagekit ThumbnailImageTagNode": "likewise",
    ".templatetags.imagekit default_thumbnail_srcset_scales": "a setting as it was at import time",
    ".forms.fields generate": "imported for its own use",
    ".models.fields.files generate": "likewise",
    ".models.fields.files suggest_extension": "likewise",
    ".files IKContentFile.name": "an attribute of each object, not of the class",
    **{
        f".registry {cls}.{name}": "likewise"
        for cls in ("Register", "Unregister")
        for name in ("generator", "source_group", "cachefiles")
    },
    ".templatetags.imagekit parse_ik_tag_bits": "it takes Django's parser apart as the four nodes need it",
    ".utils string_types": "of Python 2",
}
"""What django-imagekit has by accident or for itself alone, with the reason why nobody needs it here."""


def names_of(package: str) -> dict[str, Any]:
    result = subprocess.run([sys.executable, str(SCRIPT), package], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.mark.skipif(
    importlib.util.find_spec("imagekit") is None, reason="django-imagekit is not installed: pip install django-imagekit"
)
def test_no_public_name_is_missing() -> None:
    """Each module, name and attribute of django-imagekit is there, and takes no argument where it took none."""
    theirs, ours = names_of("imagekit"), names_of("jinja_imagekit.django")
    missing = []
    for module, names in theirs.items():
        for name, facts in names.items():
            here = ours.get(module, {}).get(name)
            if here is None and facts["own"]:
                missing.append(f"{module} {name}")
            elif here is not None:
                absent = set(facts["attributes"]) - set(here["attributes"])
                missing += [f"{module} {name}.{attribute}" for attribute in absent]
                if facts["takes_nothing"] and not here["takes_nothing"]:
                    missing.append(f"{module} {name}()")
    assert sorted(missing) == sorted(LEFT_OUT)
    assert len(theirs) > 30


def test_settings_stand_worked_out() -> None:
    """Apps that read the settings find an alias, and not None."""
    assert settings.IMAGEKIT_CACHE_BACKEND == "default"
    assert settings.IMAGEKIT_DEFAULT_FILE_STORAGE == "default"
    assert settings.IMAGEKIT_CACHE_TIMEOUT is None


def test_dotted_paths_of_django_imagekit_mean_this_package(make_photo: Any) -> None:
    """A setting that names a part by its former path gives the part, and the same file name."""
    photo = make_photo()
    url = photo.thumbnail.url
    with override_settings(
        IMAGEKIT_SPEC_CACHEFILE_NAMER="imagekit.cachefiles.namers.source_name_as_path",
        IMAGEKIT_DEFAULT_CACHEFILE_STRATEGY="imagekit.cachefiles.strategies.JustInTime",
        IMAGEKIT_DEFAULT_CACHEFILE_BACKEND="imagekit.cachefiles.backends.Simple",
    ):
        assert Photo.objects.get(pk=photo.pk).thumbnail.url == url


def test_errors_without_arguments() -> None:
    """A project that raises them itself gives them none, or a text of its own."""
    for error in (AlreadyRegistered, NotRegistered, MissingSource):
        assert "''" not in str(error())
        assert str(error())
        assert "own words" in str(error("own words"))


def test_dimensions_of_a_tag() -> None:
    """The helper that other apps' tags import reads dimensions."""
    assert parse_dimensions("100x50") == {"width": 100, "height": 50}
    assert parse_dimensions("100x") == {"width": 100, "height": None}
    assert parse_dimensions("x50") == {"width": None, "height": 50}
    with pytest.raises(InvalidOption):
        parse_dimensions("large")


def test_registering_by_an_object_of_ones_own() -> None:
    """`Register()` and `Unregister()` are faces of the same registries."""
    Register().generator("album:names", Card)
    assert generator_registry.find("album:names") is Card
    Unregister().generator("album:names")
    with pytest.raises(NotRegistered):
        generator_registry.find("album:names")


def test_arguments_without_keywords(make_photo: Any) -> None:
    """A lazy file hands on what its generator takes without keywords."""
    photo = make_photo()
    by_position = LazyImageCacheFile("imagekit:thumbnail", 40, 30, source=photo.image)
    by_keyword = LazyImageCacheFile("imagekit:thumbnail", width=40, height=30, source=photo.image)
    assert by_position.url == by_keyword.url
    assert (by_position.width, by_position.height) == (40, 30)


def test_receivers_of_models_with_sources() -> None:
    """The decorator passes over signals of models that have no sources."""
    heard: list[Any] = []

    class Router:
        get_source_fields = staticmethod(signal_router.get_source_fields)

        @ik_model_receiver
        def receive(self, sender: Any, **_: Any) -> None:
            heard.append(sender)

    for sender in (Photo, dict, "album.Photo"):
        Router().receive(sender)
    assert heard == [Photo]
