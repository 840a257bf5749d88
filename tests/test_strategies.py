"""Strategies: the hooks and when they are called, in whatever form they are given."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from core_site import Card, Site

from jinja_imagekit import ImageKit
from jinja_imagekit.cachefiles.strategies import Deferred, JustInTime, Optimistic, Strategy, load_strategy
from jinja_imagekit.exceptions import InvalidSetting, InvalidStrategy, StorageError
from jinja_imagekit.sourcegroups import GlobSourceGroup

CALLS: list[tuple[str, Any]] = []


class Recorded(Strategy):
    """A strategy that notes its hooks."""

    def on_existence_required(self, file: Any) -> None:
        """Note it."""
        CALLS.append(("existence", file))

    def on_content_required(self, file: Any) -> None:
        """Note it, and make the file."""
        CALLS.append(("content", file))
        file.generate()

    def on_source_saved(self, file: Any) -> None:
        """Note it."""
        CALLS.append(("saved", file))


class NoStrategyAtAll:
    """Hooks without the base class."""

    def on_existence_required(self, file: Any) -> None:
        """Note it."""
        CALLS.append(("existence", file))


@pytest.fixture(autouse=True)
def _clean() -> None:
    CALLS.clear()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Return a site with one photo."""
    site = Site(tmp_path)
    site.write("a.jpg")
    return site


@pytest.mark.parametrize(
    "strategy",
    [
        Recorded,
        Recorded(),
        "test_strategies.Recorded",
        NoStrategyAtAll,
        NoStrategyAtAll(),
        {"on_existence_required": lambda file: CALLS.append(("existence", file))},
    ],
)
@pytest.mark.parametrize("where", ["the kit", "the spec", "the cache file"])
def test_forms_of_a_strategy(site: Site, strategy: object, where: str) -> None:
    """A class, an object, a dotted path or a dict of hooks, for a kit, a spec or a cache file."""
    kit = site.new_kit(default_cachefile_strategy=strategy) if where == "the kit" else site.kit
    spec = type("Own", (Card,), {"cachefile_strategy": strategy}) if where == "the spec" else Card
    kit.register.generator("own", spec)
    file: Any = kit.cachefile("own", source="a.jpg")
    if where == "the cache file":
        file = kit.cachefile_of(kit.generator("own", source="a.jpg"), cachefile_strategy=strategy)
    assert file.url
    assert [("existence", file)] == CALLS
    assert not site.files()


@pytest.mark.parametrize(
    ("use", "hooks"),
    [
        (lambda file: file.url, ["existence"]),
        (lambda file: file.path, ["existence"]),
        (bool, ["existence"]),
        (lambda file: file.width, ["content"]),
        (lambda file: file.height, ["content"]),
        (lambda file: file.size, ["content"]),
        (lambda file: file.format, ["content"]),
        (lambda file: file.mimetype, ["content"]),
        (lambda file: file.read(), ["content"]),
        (lambda file: file.open().close(), ["content"]),
        (lambda file: file.__html__(), ["existence", "content", "content"]),
        (lambda file: file.name, []),
        (repr, []),
        (str, []),
        (lambda file: file.generate(), []),
        (lambda file: file.delete(), []),
    ],
)
def test_when_hooks_are_called(site: Site, use: Any, hooks: list[str]) -> None:
    """Existence for what needs a file to be there, content for what only the file can tell, nothing for the rest."""
    file = site.new_kit(default_cachefile_strategy=Recorded).cachefile("card", source="a.jpg")
    use(file)
    assert [hook for hook, _ in CALLS] == hooks


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        ({"on_existence_requird": print}, "has no hook 'on_existence_requird'. Did you mean 'on_existence_required'"),
        ({"on_existence_required": 3}, "the hook 'on_existence_required' of a strategy must be callable, not 3"),
        ({}, "is not a strategy: it has none of the hooks"),
        (object(), "is not a strategy: it has none of the hooks"),
        (3, "is not a strategy: it has none of the hooks"),
        (type("S", (Strategy,), {"on_saved": print}), "S has a hook 'on_saved' that nothing calls"),
        (type("S", (Strategy,), {"should_verify": print}), "Did you mean 'should_verify_existence'"),
        (type("S", (), {"on_content_requred": print}), "Did you mean 'on_content_required'"),
        (type("S", (JustInTime,), {"on_content_required": 3}), "'on_content_required' of a strategy must be callable"),
    ],
)
def test_a_hook_that_nothing_calls(strategy: object, message: str) -> None:
    """A misspelt hook would do nothing without a word: it is an error."""
    with pytest.raises(InvalidStrategy, match=re.escape(message)):
        load_strategy(strategy)
    with pytest.raises(InvalidStrategy, match=re.escape(message)):
        _ = ImageKit(default_cachefile_strategy=strategy).cachefile_strategy


def test_a_dotted_path_to_nothing() -> None:
    """The nearest name is suggested."""
    with pytest.raises(InvalidSetting, match=r"Did you mean 'JustInTime'"):
        load_strategy("jinja_imagekit.cachefiles.strategies.JustInTme")


def test_just_in_time_makes_a_file_when_it_is_needed(site: Site) -> None:
    """The default: nothing is there before, and everything afterwards."""
    assert isinstance(site.kit.cachefile_strategy, JustInTime)
    file = site.kit.cachefile("card", source="a.jpg")
    assert not site.files()
    assert file.url
    assert len(site.files()) == 1
    site.kit.source_saved(GlobSourceGroup("*"), "a.jpg")


def test_optimistic_makes_files_when_their_source_is_saved(site: Site) -> None:
    """A tag takes for granted that the file is there; saving the source makes it; nothing asks the storage."""
    kit = site.new_kit(default_cachefile_strategy=Optimistic)
    group = GlobSourceGroup("*.jpg")
    kit.register.source_group("card", group)
    file = kit.cachefile("card", source="a.jpg")
    assert file
    assert file.url
    assert not site.files()
    with pytest.raises(StorageError, match=r"it has not been made yet; test the file's truth"):
        _ = file.width
    with pytest.raises(StorageError, match=r"there is no such file"):
        file.read()
    kit.source_saved(group, "a.jpg")
    assert list(site.files()) == [file.name]
    assert file.width == 24


def test_saving_a_source_tells_each_generator_of_its_group(site: Site) -> None:
    """Generators with other groups hear nothing."""
    kit = site.new_kit(default_cachefile_strategy=Recorded)
    group, other = GlobSourceGroup("*.jpg"), GlobSourceGroup("*.png")
    kit.register.generator("second", Card)
    kit.register.generator("third", Card)
    for id, each in (("card", group), ("second", group), ("third", other)):
        kit.register.source_group(id, each)
    kit.source_saved(group, "a.jpg")
    assert [(hook, file.generator_id) for hook, file in CALLS] == [("saved", "card"), ("saved", "second")]


@pytest.mark.parametrize(("verify", "truth"), [(True, False), (False, True), (None, True)])
def test_whether_truth_asks_the_storage(site: Site, verify: bool | None, truth: bool) -> None:
    """A strategy may say whether a file's truth is checked; without a word it is not for a synchronous backend."""
    strategy = {"should_verify_existence": lambda file: verify}
    file = site.new_kit(default_cachefile_strategy=strategy).cachefile("card", source="a.jpg")
    assert bool(file) is truth


def test_promises_of_a_strategy(site: Site) -> None:
    """Width, height, format and media type may be promised without a file."""
    strategy = {"promised_size": lambda file: (7, 5), "promised_format": lambda file: "WEBP"}
    file = site.new_kit(default_cachefile_strategy=strategy).cachefile("card", source="a.jpg")
    assert (file.width, file.height, file.format, file.mimetype) == (7, 5, "WEBP", "image/webp")
    assert not site.files()


def test_deferred_makes_what_cannot_be_made_later(site: Site) -> None:
    """A file of bytes is made at once, one of a name at the end."""
    kit = site.new_kit(default_cachefile_strategy=Deferred())
    assert kit.cachefile("card", source="a.jpg").url
    assert not site.files()
    assert kit.cachefile("card", source=(site.images / "a.jpg").read_bytes()).url
    assert len(site.files()) == 1
