"""Registries: ids, parents, overriding, source groups, cache files, and patterns over ids."""

from __future__ import annotations

import gc
from typing import Any

import pytest
from core_site import Card, Site, Wide

from jinja_imagekit import GeneratorRegistry, ImageKit
from jinja_imagekit.exceptions import AlreadyRegistered, InvalidOption, NotRegistered
from jinja_imagekit.registry import CacheFileRegistry, SourceGroupRegistry, match_ids
from jinja_imagekit.sourcegroups import GlobSourceGroup


def test_two_generators_under_one_id() -> None:
    """The second is refused with a way out, the same one again is not, and `override` replaces it."""
    generators = GeneratorRegistry()
    generators.register("a", Card)
    generators.register("a", Card)
    with pytest.raises(AlreadyRegistered, match=r"already registered as 'a'.*override=True") as caught:
        generators.register("a", Wide)
    assert caught.value.id == "a"
    assert isinstance(caught.value, ValueError)
    generators.register("a", Wide, override=True)
    assert generators.find("a") is Wide


class Framed(Card):
    """A spec with keywords of its own, which passes on the others."""

    def __init__(self, ink: str, **others: Any) -> None:
        super().__init__(**others)
        self.ink = ink


def framed(*, size: int = 3, **others: Any) -> Framed:
    """Return a spec by keyword alone."""
    return Framed(ink="x" * size, **others)


@pytest.mark.parametrize(
    ("generator", "kwargs", "option", "says"),
    [
        (Card, {"alt": "x"}, "alt", r"^alt='x' cannot be used: 'a' takes no such keyword. Known: 'source'\.$"),
        (Framed, {"ink": "k", "src": 1}, "src", "Did you mean 'source'"),
        (Framed, {"ink": "k", "inc": "k"}, "inc", "Did you mean 'ink'"),
        (Framed, {"source": None}, "ink", "^ink= is missing: 'a' needs this keyword$"),
        (framed, {"siz": 3}, "siz", "Did you mean 'size'"),
        (lambda source: None, {"sauce": 3, "source": None}, "sauce", "Did you mean 'source'"),
        (Card(), {"source": "a.jpg"}, "source", "takes no keywords; register its class"),
    ],
)
def test_a_keyword_that_a_generator_does_not_take(generator: Any, kwargs: Any, option: str, says: str) -> None:
    """The error names the keyword, the generator and the nearest keyword, however deep the constructor lies."""
    generators = GeneratorRegistry()
    generators.register("a", generator)
    with pytest.raises(InvalidOption, match=says) as caught:
        generators.get("a", **kwargs)
    assert caught.value.option == option


def test_a_type_error_of_a_generator_s_own_stays_what_it_is() -> None:
    """Only a keyword of the caller's is turned into the caller's error."""

    def make(source: Any = None) -> Any:
        return Card(sauce=source)  # type: ignore[call-arg]

    def add(source: Any = None) -> Any:
        return source + 1

    generators = GeneratorRegistry()
    for number, generator in enumerate((make, add)):
        generators.register(f"own:{number}", generator)
        with pytest.raises(TypeError):
            generators.get(f"own:{number}", source="a")


def test_as_a_decorator() -> None:
    """The decorated class stays what it was."""
    generators = GeneratorRegistry()

    @generators.register("a")
    class Own(Card):
        pass

    assert generators.find("a") is Own


def test_an_unknown_id_suggests_the_nearest() -> None:
    """The error names what there is."""
    generators = GeneratorRegistry()
    with pytest.raises(NotRegistered, match=r"There are none"):
        generators.find("x")
    generators.register("blog:hero", Card)
    with pytest.raises(NotRegistered, match=r"Did you mean 'blog:hero'") as caught:
        generators.get("blog:hiro")
    assert isinstance(caught.value, LookupError)
    assert caught.value.known == ("blog:hero",)


@pytest.mark.parametrize("id", ["", "a b", "a*", "a\n", None, 3])
def test_an_unusable_id(id: Any) -> None:
    """Ids hold no space and no asterisk, and are strings."""
    with pytest.raises(InvalidOption, match=r"a generator id is a string without spaces"):
        GeneratorRegistry().register(id, Card)


def test_unregister() -> None:
    """What is unregistered is gone; what was never there is an error."""
    generators = GeneratorRegistry()
    generators.register("a", Card)
    generators.unregister("a")
    assert "a" not in generators
    with pytest.raises(NotRegistered):
        generators.unregister("a")


def test_parents() -> None:
    """The first parent that has an id wins; a registry's own goes before, for as long as it is registered."""
    theme, base = GeneratorRegistry(), GeneratorRegistry()
    base.register("card", Wide)
    base.register("hero", Wide)
    theme.register("card", Card)
    site = GeneratorRegistry([theme, base])
    assert site.find("card") is Card
    assert site.find("hero") is Wide
    assert site.get_ids() == ["card", "hero"]
    assert "hero" in site
    site.register("hero", Card)
    assert site.find("hero") is Card
    assert base.find("hero") is Wide
    site.unregister("hero")
    assert site.find("hero") is Wide


def test_a_site_overrides_a_theme_s_generator_from_outside(tmp_path: Any) -> None:
    """A package's specs come with its registry; the site registers its own under the same id."""
    theme = GeneratorRegistry()
    theme.register("theme:card", Card)
    site = Site(tmp_path)
    site.write("a.jpg")
    kit = ImageKit(site.kit.settings, generators=[theme])
    assert (kit.cachefile("theme:card", source="a.jpg").width, kit.cachefile("theme:card", source="a.jpg").height) == (
        24,
        16,
    )
    kit.register.generator("theme:card", Wide)
    assert kit.cachefile("theme:card", source="a.jpg").width == 20
    assert ImageKit(generators=[theme]).registered("theme:card") is Card


def test_a_change_is_told_to_those_who_live() -> None:
    """A listener hears of changes here and in parents, and does not keep its object alive."""

    class Listener:
        heard = 0

        def hear(self) -> None:
            self.heard += 1

    theme = GeneratorRegistry()
    site = GeneratorRegistry([theme])
    listener = Listener()
    site.on_change(listener.hear)
    theme.register("a", Card)
    site.register("b", Card)
    site.unregister("b")
    assert listener.heard == 3
    del listener
    gc.collect()
    theme.unregister("a")


def test_a_warm_tag_follows_an_override(tmp_path: Any) -> None:
    """What the kit remembers of calls is forgotten when a generator is registered anew."""
    site = Site(tmp_path)
    site.write("a.jpg")
    file = site.kit.cachefile("card", source="a.jpg")
    assert file.url
    site.kit.known_files.remember(file, {"source": "a.jpg"})
    assert site.kit.known_files.find("card", {"source": "a.jpg"}).width == 24
    site.kit.register.generator("card", Wide, override=True)
    assert site.kit.known_files.find("card", {"source": "a.jpg"}) is None


def test_a_generator_that_is_registered_as_an_object_takes_no_keywords(tmp_path: Any) -> None:
    """Keywords that nobody would look at are an error."""
    site = Site(tmp_path)
    site.write("a.jpg")
    generator = Card(source=site.images / "a.jpg")
    site.kit.register.generator("one", generator)
    assert site.kit.generator("one").source is generator.source
    with pytest.raises(InvalidOption, match=r"'one' is registered as a ready-made generator"):
        site.kit.generator("one", source="a.jpg")
    with pytest.raises(InvalidOption, match=r"'one' is registered as a ready-made generator"):
        site.kit.generators.get("one", width=3)


class Files:
    """A source group of the caller's."""

    def files(self) -> list[str]:
        """Return names."""
        return ["a.jpg"]


def test_source_groups() -> None:
    """A group may belong to several generators and a generator have several groups; equal groups count once."""
    groups = SourceGroupRegistry()
    own = Files()
    groups.register("a", own)
    groups.register("a", own)
    groups.register("b", own)
    groups.register("a", GlobSourceGroup("*.jpg"))
    groups.register("a", GlobSourceGroup("*.jpg"))
    assert groups.groups_of("a") == [own, GlobSourceGroup("*.jpg")]
    assert groups.ids_of(own) == ["a", "b"]
    assert groups.get_ids() == ["a", "b"]
    groups.unregister("a", own)
    groups.unregister("a", own)
    assert groups.ids_of(own) == ["b"]


def test_a_source_group_has_files() -> None:
    """Whatever has no `files()` is refused when it is registered."""
    with pytest.raises(InvalidOption, match=r"has a files\(\) method"):
        ImageKit().register.source_group("card", "photos/*.jpg")  # type: ignore[arg-type]


def test_cache_files() -> None:
    """Registrations are lists or callables; a callable is asked each time."""
    registry = CacheFileRegistry()
    wanted: list[dict[str, Any]] = [{"source": "a"}]
    registry.register("x", lambda: wanted)
    registry.register("x", [{"source": "b"}])
    registry.register("y", [])
    wanted.append({"source": "c"})
    assert [each["source"] for each in registry.get("x")] == ["a", "c", "b"]
    assert registry.get_ids() == ["x", "y"]
    registry.unregister("y", [])
    assert registry.get_ids() == ["x"]


IDS = ["blog:hero", "blog:hero:small", "blog:card", "shop:card", "blogger:card", "theme"]


@pytest.mark.parametrize(
    ("patterns", "matched"),
    [
        (["blog:hero"], ["blog:hero", "blog:hero:small"]),
        (["blog"], ["blog:hero", "blog:hero:small", "blog:card"]),
        (["*:card"], ["blog:card", "shop:card", "blogger:card"]),
        (["blog*"], ["blog:hero", "blog:hero:small", "blog:card", "blogger:card"]),
        (["**:card"], ["blog:card", "shop:card", "blogger:card"]),
        (["**small"], ["blog:hero:small"]),
        (["*"], IDS),
        (["**"], IDS),
        (["blog:*:small"], ["blog:hero:small"]),
        (["theme", "shop"], ["shop:card", "theme"]),
        ([], []),
    ],
)
def test_patterns(patterns: list[str], matched: list[str]) -> None:
    """`*` stays within a segment, `**` does not, and the first segments stand for the whole; the order is the ids'."""
    assert match_ids(patterns, IDS) == matched


@pytest.mark.parametrize("pattern", ["blo", "hero", "blog:hero:*:*", "blog:", "Blog", "blog:h.ro", "[b]log"])
def test_a_pattern_that_matches_nothing(pattern: str) -> None:
    """It is an error, not an empty run; everything but the asterisk stands for itself."""
    with pytest.raises(NotRegistered, match=r"No generator is registered as"):
        match_ids(["theme", pattern], IDS)


def test_a_glob_group_finds_files_by_name(tmp_path: Any) -> None:
    """Names are sorted, relative, unique over folders, and hidden files are passed over."""
    site = Site(tmp_path)
    other = tmp_path / "other"
    for name in ("b/2.jpg", "a.jpg", "b/1.jpg", ".hidden.jpg", "b/.cache/3.jpg", "note.txt"):
        site.write(name)
    other.mkdir()
    (other / "a.jpg").write_bytes(b"x")
    (other / "folder.jpg").mkdir()
    group = GlobSourceGroup("**/*.jpg")
    assert list(group.names_in([site.images, other])) == ["a.jpg", "b/1.jpg", "b/2.jpg"]
    with pytest.raises(InvalidOption, match=r"pass folders, or register the group with a kit"):
        list(group.files())
    assert list(GlobSourceGroup("*.jpg", [other]).files()) == [other / "a.jpg"]
    assert list(GlobSourceGroup("*.jpg", [other]).names_in([site.images])) == [other / "a.jpg"]


@pytest.mark.parametrize("pattern", ["/etc/*", "../*.jpg", "a/../../*"])
def test_a_glob_leads_nowhere_else(pattern: str) -> None:
    """A pattern that could list what lies outside the source folders is refused."""
    with pytest.raises(InvalidOption, match=r"pattern="):
        GlobSourceGroup(pattern)
