"""Specs that a kit makes by copying one that it has: each is as if it had been made anew."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from core_site import Card, Site, Wide, photo_bytes
from PIL import Image

from jinja_imagekit import ImageSpec
from jinja_imagekit.exceptions import InvalidOption
from jinja_imagekit.processors import ResizeToFill


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Return a site with two images."""
    site = Site(tmp_path)
    site.write("a.jpg")
    site.write("b.jpg", seed=1)
    return site


def test_each_source_has_a_spec_of_its_own(site: Site) -> None:
    """Equal keywords give equal recipes, and no spec learns of another's source."""
    first, second = (site.kit.generator("card", source=name) for name in ("a.jpg", "b.jpg"))
    assert first is not second
    assert (first.source.name, second.source.name) == ("a.jpg", "b.jpg")
    assert first.get_recipe() == second.get_recipe() == Card(source=photo_bytes()).get_recipe()
    assert first.get_hash() != second.get_hash()
    assert site.kit.generator("card").source is None


def test_what_is_set_on_one_spec_is_its_own(site: Site) -> None:
    """A format or option that is set by hand changes that spec's hash and no other's."""
    plain = site.kit.generator("card", source="a.jpg")
    plain.get_recipe()
    changed = site.kit.generator("card", source="a.jpg")
    changed.format, changed.options = "PNG", {"compress_level": 1}
    assert changed.get_recipe() != plain.get_recipe()
    by_hand = Card(source=photo_bytes())
    by_hand.format, by_hand.options = "PNG", {"compress_level": 1}
    assert changed.get_recipe() == by_hand.get_recipe()
    assert site.kit.generator("card", source="b.jpg").get_recipe() == plain.get_recipe()
    thumbnail = site.kit.generator("imagekit:thumbnail", width=20, height=10, source="a.jpg")
    before = thumbnail.get_recipe()
    thumbnail.options["quality"] = 12
    assert thumbnail.get_recipe() != before


def test_a_class_that_changes_is_looked_at_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a debugger or a test writes on a class counts at once."""
    before = site.kit.generator("card", source="a.jpg").get_recipe()
    monkeypatch.setattr(Card, "processors", (ResizeToFill(30, 30),))
    assert site.kit.generator("card", source="a.jpg").get_recipe() != before


def test_a_constructor_that_looks_at_the_source_is_called_for_each(site: Site) -> None:
    """Such a class may say that it varies in nothing else; its specs are made one by one."""

    class Named(ImageSpec):
        varies = False
        format = "PNG"

        def __init__(self, source: Any = None) -> None:
            super().__init__(source)
            self.processors = (ResizeToFill(10 if source and source.name == "a.jpg" else 20, 10),)

    site.kit.register.generator("named", Named)
    sizes = [site.kit.cachefile("named", source=name).width for name in ("a.jpg", "b.jpg")]
    assert sizes == [10, 20]


def test_a_new_registration_holds_at_once(site: Site) -> None:
    """An id that is registered anew, here or in a shared registry, makes the new class's images."""
    assert site.kit.generator("card", source="a.jpg").format == "JPEG"
    site.kit.register.generator("card", Wide, override=True)
    assert site.kit.generator("card", source="a.jpg").format == "PNG"
    assert Image.open(io.BytesIO(site.kit.cachefile("card", source="a.jpg").read())).format == "PNG"


def test_keywords_that_are_equal_and_differ_in_type(site: Site) -> None:
    """True and 1 are one key in a dict, and are not one spec."""
    site.kit.generator("imagekit:thumbnail", width=1, height=5, source="a.jpg")
    with pytest.raises(InvalidOption, match="width=True"):
        site.kit.generator("imagekit:thumbnail", width=True, height=5, source="a.jpg")


def test_slots_are_copied(site: Site) -> None:
    """A spec whose class has slots is a model like any other."""

    class Slotted(ImageSpec):
        __slots__ = ("mark",)
        format = "PNG"

    site.kit.register.generator("slotted", Slotted)
    first = site.kit.generator("slotted", source="a.jpg")
    first.mark = "x"
    assert site.kit.cachefile_of(first).generator.mark == "x"
    assert site.kit.generator("slotted", source="b.jpg").get_hash() != first.get_hash()
