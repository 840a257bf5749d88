"""What a kit notes of its pages' images: all of a build, and of a server no more than it can bear."""

from __future__ import annotations

from pathlib import Path

import pytest
from core_site import Card, Site
from jinja2 import Environment

from jinja_imagekit.builds.notes import MOST_NOTES
from jinja_imagekit.cachefiles.strategies import Deferred
from jinja_imagekit.exceptions import ImageKitError
from jinja_imagekit.kit import ImageKit


def visit(kit: ImageKit, count: int) -> None:
    """Have pages ask for as many images as a server's visitors may."""
    for number in range(count):
        kit.renders.note_call(f"CACHE/images/{number}.jpg", "card", {"source": f"{number}.jpg"})


def test_a_server_forgets_what_no_build_asks_for(tmp_path: Path) -> None:
    """Past the bound nothing is kept, and whoever asks then is told which setting a build needs."""
    site = Site(tmp_path)
    visit(site.kit, MOST_NOTES)
    assert len(site.kit.renders.noted) == MOST_NOTES
    visit(site.kit, MOST_NOTES + 1)
    for ask in (site.kit.finish, site.kit.prune, lambda: site.kit.publish(tmp_path / "public")):
        with pytest.raises(ImageKitError, match=r"more than 20,000 images.*set keep_notes=True"):
            ask()
    assert site.kit.renders.is_noted("CACHE/images/new.jpg")


@pytest.mark.parametrize("settings", [{"keep_notes": True}, {"default_cachefile_strategy": Deferred}])
def test_a_build_keeps_all(tmp_path: Path, settings: dict[str, object]) -> None:
    """With `keep_notes`, or where files are made at the end, nothing is forgotten."""
    kit = Site(tmp_path).new_kit(**settings)
    visit(kit, MOST_NOTES + 1)
    assert len(kit.renders.noted) == MOST_NOTES + 1


def test_a_server_notes_nothing_but_what_is_deferred(tmp_path: Path) -> None:
    """`keep_notes=False` leaves out what is made on demand, whether it is known already or not."""
    site = Site(tmp_path)
    site.write("a.jpg")
    kit = site.new_kit(keep_notes=False)

    class Later(Card):
        cachefile_strategy = Deferred

    kit.register.generator("later", Later)
    template = kit.install(Environment(autoescape=True)).from_string(
        "{% generateimage 'card' source='a.jpg' %}{% generateimage 'later' source='a.jpg' %}"
    )
    for _ in range(2):
        assert template.render().count("<img") == 2
    assert [note.reference.generator_id for note in kit.renders.noted.values() if note.reference] == ["later"]


@pytest.mark.parametrize("name", ["a.jpg", 'q"ö.jpg'])
def test_a_tag_tells_other_processes_what_a_filter_tells(tmp_path: Path, name: str) -> None:
    """Whoever ends a render learns the same of an image, whichever way a page asked for it."""
    site = Site(tmp_path)
    site.write(name)
    told = []
    for page in ("{% thumbnail '30x20' name %}", "{{ name | thumbnail('30x20') }}"):
        # The second one finds the image made.
        for kit in (site.new_kit(), site.new_kit()):
            kit.install(Environment(autoescape=True)).from_string(page).render(name=name)
            other = site.new_kit()
            unfinished = dict(other.renders.unfinished())
            kit.finish()
            kit.close()
            other.close()
        told.append(unfinished)
    (note,) = told[0].values()
    assert note.reference is not None
    assert note.reference.kwargs == {"height": 20, "source": name, "width": 30}
    assert told[0] == told[1]
