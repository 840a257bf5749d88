"""What crops keep where a tag does not say it: what the image's author says, in plain thumbnails too."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from core_site import Site, settled
from jinja2 import Environment
from jinja2.sandbox import SandboxedEnvironment
from PIL import Image
from test_subjects import SHORT, with_xmp

from jinja_imagekit import ImageKit, imageinfo
from jinja_imagekit.exceptions import ImageKitError


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Return a site with a photo."""
    site = Site(tmp_path)
    site.write("photos/canal.jpg", 240, 180)
    return site


def render(kit: ImageKit, template: str, environment: Any = Environment, **values: Any) -> str:
    """Render a template with tags."""
    return kit.install(environment(autoescape=True)).from_string(template).render(**values)


def url(kit: ImageKit, size: str, **options: Any) -> str:
    """Return the URL of a thumbnail whose anchor is stated."""
    width, height = size.split("x")
    options = {"width": int(width) if width else None, "height": int(height) if height else None, **options}
    return kit.cachefile("imagekit:thumbnail", source="photos/canal.jpg", **options).url


PLAIN = "{% thumbnail '50x20' 'photos/canal.jpg' %}"


@pytest.mark.parametrize("environment", [Environment, SandboxedEnvironment])
@pytest.mark.parametrize(
    "template",
    [
        PLAIN,
        "{% thumbnail '50x20' 'photos/canal.jpg' crop=true %}",
        "{% thumbnail '50x20' 'photos/canal.jpg' as t %}{{ t }}",
        "{{ 'photos/canal.jpg' | thumbnail('50x20') }}",
        "{% generateimage 'imagekit:thumbnail' source='photos/canal.jpg' width=50 height=20 %}",
        "{% thumbnail '50x20' 'photos/canal.jpg' srcset='2' %}",
    ],
)
def test_thumbnails_keep_the_focus_of_the_sidecar(site: Site, template: str, environment: Any) -> None:
    """However a thumbnail is asked for, a crop keeps what the image's author pointed at, as in a picture."""
    settled(site.images / "photos" / "canal.jpg.toml", b'focus = "10% 90%"')
    options = {"crop": True} if "crop" in template else {}
    assert url(site.kit, "50x20", anchor=(0.1, 0.9), **options) in render(site.new_kit(), template, environment)
    assert url(site.kit, "50x20", anchor=(0.1, 0.9), **options) in render(site.new_kit(), template, environment)


def test_what_a_tag_says_goes_before_the_sidecar(site: Site) -> None:
    """An anchor or a focus of its own, "auto" too; and where nothing is cropped there is nothing to keep."""
    settled(site.images / "photos" / "canal.jpg.toml", b'focus = "10% 90%"')
    kit = site.kit
    tag = "{% thumbnail '50x20' 'photos/canal.jpg' KEYWORD %}"
    assert url(kit, "50x20", anchor="t") in render(kit, tag.replace("KEYWORD", "anchor='t'"))
    assert url(kit, "50x20", anchor="auto") in render(kit, tag.replace("KEYWORD", "focus='auto'"))
    assert url(kit, "50x20", crop=False) in render(kit, tag.replace("KEYWORD", "crop=false"))
    assert url(kit, "50x") in render(kit, "{% thumbnail '50x' 'photos/canal.jpg' %}")


def test_a_box_is_kept_by_a_thumbnail(site: Site) -> None:
    """A box depends on the source's proportions, which are those of the upright image."""
    settled(site.images / "photos" / "canal.jpg.toml", b"focus = [0.0, 0.8, 0.2, 1.0]")
    assert url(site.kit, "50x20", anchor=(0.5, 1.0)) in render(site.kit, PLAIN)


def test_nothing_is_opened_when_a_name_is_bound(site: Site) -> None:
    """`as t` asks for the focus when the image is used, so that a missing source is no error before."""
    assert render(site.kit, "{% thumbnail '50x20' 'photos/none.jpg' as t %}bound") == "bound"


def test_a_damaged_sidecar_is_an_error_of_the_thumbnail(site: Site) -> None:
    """It is not passed over, and names the file."""
    settled(site.images / "photos" / "canal.jpg.toml", b"focus = ")
    with pytest.raises(ImageKitError, match=r"canal\.jpg\.toml cannot be read"):
        render(site.kit, PLAIN)


@pytest.mark.parametrize(
    "template",
    [
        PLAIN,
        "{% thumbnail '50x20' 'photos/canal.jpg' format='PNG' %}",
        "{% picture '50x20' 'photos/canal.jpg' alt='' %}",
    ],
)
def test_a_live_site_notices_changed_sidecars(site: Site, monkeypatch: Any, template: str) -> None:
    """One that is added, changed or removed counts for the next request, without a restart."""
    monkeypatch.setattr(imageinfo, "SIDECAR_SECONDS", 0.0)
    page = site.kit.install(Environment(autoescape=True)).from_string(template)
    sidecar = site.images / "photos" / "canal.jpg.toml"
    pages = [page.render()]
    for focus in (b'focus = "10% 90%"', b'focus = "20% 20%"'):
        settled(sidecar, focus)
        pages.append(page.render())
    assert page.render() == pages[-1]
    everyones = site.images / "images.toml"
    settled(everyones, b'["photos/canal.jpg"]\nfocus = "30% 30%"')
    os.unlink(sidecar)
    pages.append(page.render())
    os.unlink(everyones)
    pages.append(page.render())
    assert pages[0] == pages[4]
    assert len(set(pages)) == 4


@pytest.mark.parametrize(
    "tag", ["{% thumbnail '50x20' 'photos/canal.jpg' %}", "{% picture '50x20' 'photos/canal.jpg' alt='' %}"]
)
def test_a_sidecar_that_is_written_while_a_page_is_rendered_counts_for_the_next(
    site: Site, monkeypatch: Any, tag: str
) -> None:
    """What one thread works out by then is not kept, once another has noticed the sidecar."""
    monkeypatch.setattr(imageinfo, "SIDECAR_SECONDS", 0.0)

    def detect(image: Image.Image) -> list[tuple[int, int, int, int]]:
        settled(site.images / "photos" / "canal.jpg.toml", b'focus = "10% 90%"')
        kit.image_facts.look_for_changes()
        return []

    kit = site.new_kit(focus_detector=detect)
    page = kit.install(Environment(autoescape=True)).from_string(tag)
    first = page.render()
    assert page.render() == page.render() == render(site.new_kit(), tag) != first


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="without rights, Windows makes no links")
def test_a_link_that_leads_elsewhere_has_the_focus_of_what_it_leads_to(site: Site) -> None:
    """A photo of which the metadata says where the face is, behind a link, is no witness of the next one there."""
    photo = site.images / "photos" / "canal.jpg"
    face = settled(site.images / "face.jpg", with_xmp(SHORT))
    link = site.images / "current.jpg"
    page = site.kit.install(Environment(autoescape=True)).from_string("{% thumbnail '20x50' 'current.jpg' %}")
    pages = []
    for target in (face, photo, face):
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        pages.append(page.render())
        assert page.render() == pages[-1] == render(site.new_kit(), "{% thumbnail '20x50' 'current.jpg' %}")
    assert pages[0] == pages[2] != pages[1]


def test_a_page_of_facts_alone_notices_changed_sidecars(site: Site, monkeypatch: Any) -> None:
    """A gallery's captions are as current as its images."""
    monkeypatch.setattr(imageinfo, "SIDECAR_SECONDS", 0.0)
    page = site.kit.install(Environment()).from_string("{{ ('photos/canal.jpg' | imageinfo).caption }}")
    for caption in ("", "The canal", "At dusk"):
        settled(site.images / "photos" / "canal.jpg.toml", f'caption = "{caption}"'.encode())
        assert page.render() == caption


def test_a_sidecar_among_many_images_counts(site: Site, monkeypatch: Any) -> None:
    """A folder of which many images have none is listed once; one that is there, or comes later, counts."""
    monkeypatch.setattr(imageinfo, "SIDECAR_SECONDS", 0.0)
    content = (site.images / "photos" / "canal.jpg").read_bytes()
    names = [f"many/{number:02}.jpg" for number in range(40)]
    (site.images / "many").mkdir()
    for name in names:
        (site.images / name).write_bytes(content)
        os.utime(site.images / name, (1_000_000_000, 1_000_000_000))
    template = "{% for name in names %}{% thumbnail '50x20' name %}{% endfor %}"

    def render(kit: Any) -> str:
        return str(kit.install(Environment(autoescape=True)).from_string(template).render(names=names))

    pages = [render(site.kit)]
    for number in (3, 39):
        settled(site.images / f"{names[number]}.toml", b'focus = "10% 90%"')
        pages.append(render(site.kit))
        assert render(site.new_kit()) == pages[-1]
    assert len(set(pages)) == 3


def test_a_build_reads_sidecars_once(site: Site, monkeypatch: Any) -> None:
    """A change during a build counts for the next one, so that all pages say the same."""
    monkeypatch.setattr(imageinfo, "SIDECAR_SECONDS", 0.0)
    kit = site.new_kit(default_cachefile_strategy="Deferred")
    page = kit.install(Environment(autoescape=True)).from_string(PLAIN)
    sidecar = site.images / "photos" / "canal.jpg.toml"
    settled(sidecar, b'focus = "10% 90%"')
    first = page.render()
    settled(sidecar, b'focus = "20% 20%"')
    assert page.render() == first
    kit.finish()
    assert page.render() != first


def test_a_sidecar_that_is_written_between_two_processes_counts(site: Site) -> None:
    """A thumbnail that the state knows from before, without a focus, is not what the page shows then."""
    first = render(site.kit, PLAIN)
    assert render(site.new_kit(), PLAIN) == first
    settled(site.images / "photos" / "canal.jpg.toml", b'focus = "10% 90%"')
    assert url(site.kit, "50x20", anchor=(0.1, 0.9)) in render(site.new_kit(), PLAIN)
    os.unlink(site.images / "photos" / "canal.jpg.toml")
    settled(site.images / "images.toml", b'["photos/canal.jpg"]\nfocus = "10% 90%"')
    assert url(site.kit, "50x20", anchor=(0.1, 0.9)) in render(site.new_kit(), PLAIN)
