"""Settings: what is taken, what is refused, and what the refusal says."""

from __future__ import annotations

import inspect
import pickle
import re
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest

from jinja_imagekit import ImageKit, Settings
from jinja_imagekit.cachefiles.strategies import Deferred, Optimistic
from jinja_imagekit.exceptions import ImageKitError, InvalidSetting, InvalidStrategy
from jinja_imagekit.images import FORMATS
from jinja_imagekit.loading import SHORT_NAMES, load
from jinja_imagekit.queues.threads import Threads
from jinja_imagekit.settings import OTHER_FORMATS, PLUGIN_FORMATS, READABLE_FORMATS
from jinja_imagekit.state import MemoryStore


def test_an_unknown_setting_names_the_nearest() -> None:
    """A misspelt setting is refused when the kit is made, and the right spelling suggested."""
    with pytest.raises(InvalidSetting, match=r"'cachefil_dir': there is no such setting. Did you mean 'cachefile_dir'"):
        ImageKit(cachefil_dir="x")
    with pytest.raises(InvalidSetting, match="Did you mean 'location'"):
        Settings().replace(locatoin="x")


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("source_dirs", "images", "must be a list or tuple, not 'images'"),
        ("source_dirs", [3], "must be a path, not 3"),
        ("location", "", "must be a path, not ''"),
        ("location", 7, "must be a path, not 7"),
        ("base_url", None, "must be a string, not None"),
        ("fsync", 1, "must be True or False, not 1"),
        ("max_frames", 1.5, "must be a whole number, not 1.5"),
        ("max_frames", True, "must be a whole number, not True"),
        ("max_frames", 0, "must be 1 or more, not 0"),
        ("worker_memory", 1, "must be 10,000,000 or more, not 1"),
        ("decode_margin", "1.5", "must be a number, not '1.5'"),
        ("decode_margin", -1, "must lie between 0 and 8, not -1"),
        ("decode_margin", float("nan"), "must be a number, not nan"),
        ("failure_timeout", -1, "must be 0 or more, not -1"),
        ("failure_timeout", None, "must be a number, not None"),
        ("file_permissions", 0o10000, "must lie between 0 and 4,095, not 4096"),
        ("default_thumbnail_srcset_scales", ["2"], "must be a number, not '2'"),
        ("readable_formats", "JPEG", "must be a list or tuple, not 'JPEG'"),
        ("background", "whitish", "must be a colour such as '#ffffff' or 'white', not 'whitish'"),
        ("video_poster", 3, "must be a callable or the dotted path of one, not 3"),
        ("video_poster", "poster", "'poster' is neither a dotted path"),
        ("focus_detector", {}, "must be a callable or the dotted path of one, not {}"),
        ("cachefile_namer", b"hash", "must be a callable or the dotted path of one, not b'hash'"),
        ("spec_cachefile_namer", None, "must be an object or a dotted path, not None"),
        ("state_store", 3, "must be a StateStore or the dotted path of one, not 3"),
        ("default_file_storage", object, "must be a Storage or the dotted path of one, not <class 'object'>"),
        ("default_cachefile_backend", print, "must be a CacheFileBackend or the dotted path of one"),
        ("cachefile_dir", "/CACHE", "must be a relative folder"),
        ("cachefile_dir", "a/../..", "must be a relative folder"),
        ("cachefile_dir", "a\\b", "must be a relative folder"),
    ],
)
def test_an_unusable_value_is_refused(name: str, value: object, problem: str) -> None:
    """The message names the setting, what it has to be, and what was given."""
    with pytest.raises(InvalidSetting, match=re.escape(problem)) as caught:
        Settings(**{name: value})  # type: ignore[arg-type]
    assert caught.value.setting == name
    assert isinstance(caught.value, (ImageKitError, ValueError))
    assert str(caught.value).startswith(f"Setting {name!r}: ")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"readable_formats": ["EPS"]}, "'EPS' is not read"),
        ({"keep_metadata": ["copyrihgt"]}, "'copyrihgt'. Did you mean 'copyright'"),
    ],
)
def test_what_only_the_pixels_room_knows_is_refused_by_the_kit(settings: dict[str, Any], message: str) -> None:
    """Formats that start another program, and EXIF fields that do not exist, are refused when the kit is made."""
    with pytest.raises(InvalidSetting, match=message):
        ImageKit(**settings)


@pytest.mark.parametrize("strategy", [3, {"on_source_saved": 3}, {}])
def test_a_strategy_without_hooks_is_refused_by_the_kit(strategy: object) -> None:
    """Like every object that a setting takes, it is looked at when the kit is made."""
    with pytest.raises(InvalidStrategy):
        ImageKit(default_cachefile_strategy=strategy)


def test_values_are_converted_and_frozen() -> None:
    """Strings become paths, lists become tuples, and nothing can be changed afterwards."""
    settings = Settings(source_dirs=["a", Path("b")], keep_metadata=["artist"], location="out")  # type: ignore[arg-type,list-item]
    assert settings.source_dirs == (Path("a"), Path("b"))
    assert settings.keep_metadata == ("artist",)
    assert settings.location == Path("out")
    with pytest.raises(FrozenInstanceError):
        settings.base_url = "/x/"  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(settings)) == settings


def test_from_a_framework_s_configuration() -> None:
    """Upper-case names with a prefix are settings; other keys are the framework's."""
    config = {"DEBUG": True, "IMAGEKIT_BASE_URL": "/m/", "IMAGEKIT_SOURCE_DIRS": ["x"]}
    assert Settings.from_mapping(config) == Settings(base_url="/m/", source_dirs=("x",))  # type: ignore[arg-type]
    assert Settings.from_mapping({"IMG_FSYNC": True}, prefix="IMG_").fsync
    with pytest.raises(InvalidSetting, match=r"'base_ulr'.*'base_url'"):
        Settings.from_mapping({"IMAGEKIT_BASE_ULR": "/m/"})


def test_settings_for_another_folder() -> None:
    """A process that runs elsewhere gets absolute paths."""
    absolute = Settings(source_dirs=("a",), location="b", state_dir="c").with_absolute_paths()  # type: ignore[arg-type]
    assert absolute.source_dirs == (Path.cwd() / "a",)
    assert (absolute.location, absolute.state_dir) == (Path.cwd() / "b", Path.cwd() / "c")


def test_every_setting_is_explained() -> None:
    """The docstring has an entry for each field, in their order."""
    arguments = inspect.cleandoc(Settings.__doc__ or "").partition("\nRaises:")[0]
    documented = re.findall(r"^    (\w+): ", arguments, re.M)
    assert tuple(documented) == Settings.names()


def test_settings_by_name_go_before_those_made_elsewhere() -> None:
    """A kit takes settings and keywords over them."""
    kit = ImageKit(Settings(base_url="/a/", cachefile_dir="x"), base_url="/b/")
    assert (kit.settings.base_url, kit.settings.cachefile_dir) == ("/b/", "x")


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("default_cachefile_backend", "jinja_imagekit.nowhere.Simple", "'jinja_imagekit' has no 'nowhere'"),
        ("default_cachefile_backend", "jinja_imagekit.cachefiles.backends.Simpel", "Did you mean 'Simple'"),
        ("default_cachefile_backend", "nothing_like.this", "'nothing_like.this' is not a dotted path"),
        ("default_cachefile_backend", "os.path.join", "must be a CacheFileBackend"),
    ],
)
def test_a_dotted_path_that_leads_nowhere(setting: str, value: object, message: str) -> None:
    """The error names the setting and what is missing, with the nearest name."""
    kit = ImageKit(**{setting: value})
    with pytest.raises(InvalidSetting, match=re.escape(message)) as caught:
        _ = kit.cachefile_backend, kit.cachefile_strategy
    assert caught.value.setting in (setting, "cachefile_strategy")


@pytest.mark.parametrize(
    ("setting", "short", "path"),
    [(setting, short, path) for setting, names in SHORT_NAMES.items() for short, path in names.items()],
)
def test_this_library_s_own_parts_have_short_names(setting: str, short: str, path: str) -> None:
    """A setting that names one keeps its dotted path, so that both spellings are one; each path leads somewhere."""
    if setting in Settings.names():
        assert getattr(Settings(**{setting: short}), setting) == path
    assert load(setting, short) is not None


def test_a_short_name_of_nothing_suggests_the_nearest() -> None:
    """The mistake is told when the kit is made."""
    with pytest.raises(InvalidSetting, match=r"'Defered' is neither a dotted path.* Did you mean 'Deferred'"):
        ImageKit(default_cachefile_strategy="Defered")


def test_short_names_do_what_they_name() -> None:
    """On a kit and on a spec."""
    kit = ImageKit(default_cachefile_strategy="Deferred", state_store="MemoryStore", spec_cachefile_namer="hash")
    assert isinstance(kit.cachefile_strategy, Deferred)
    assert isinstance(kit.records.store, MemoryStore)
    spec = kit.spec(cachefile_strategy="Optimistic", cachefile_backend="Threads")
    file = kit.cachefile_of(spec(source=b"GIF89a"))
    assert isinstance(file.cachefile_strategy, Optimistic)
    assert isinstance(file.cachefile_backend, Threads)


@pytest.mark.parametrize("name", ["state_store", "cachefile_namer"])
def test_a_module_that_lacks_another_names_that_one(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cause is raised, though the missing module's name begins like that of the module that imports it."""
    (tmp_path / "rediz_store.py").write_text("import rediz\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="No module named 'rediz'"):
        load(name, "rediz_store.Store")


def test_formats_that_are_read_are_those_that_have_a_module() -> None:
    """The setting's default names each format of `images.formats` and its variants; the others need to be named."""
    assert set(READABLE_FORMATS) == FORMATS.keys() - {*OTHER_FORMATS, *PLUGIN_FORMATS}
