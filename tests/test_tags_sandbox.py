"""The tags in a sandbox: a template gets what an `<img>` needs, and can neither write nor learn paths."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jinja2 import DictLoader, Environment, UndefinedError
from jinja2.sandbox import ImmutableSandboxedEnvironment, SandboxedEnvironment, SecurityError

from jinja_imagekit.exceptions import InvalidAttribute, SourceNotAllowed, SourceNotFound
from jinja_imagekit.kit import ImageKit

IMG = r'<img src="/CACHE/images/photo/\w+\.jpg" width="20" height="15">'


@pytest.fixture
def kit(tmp_path: Path, images_dir: Path, write_photo: Any) -> ImageKit:
    """Return a kit with one photo of 32 × 24 pixels."""
    write_photo("photo.jpg", 32, 24)
    return ImageKit(source_dirs=[images_dir], location=tmp_path / "out", state_dir=tmp_path / "state")


SANDBOXES = [SandboxedEnvironment, ImmutableSandboxedEnvironment]
HANDLES = ["{% thumbnail '20x' 'photo.jpg' as x %}", "{% set x = 'photo.jpg'|thumbnail('20x') %}"]


@pytest.mark.parametrize("sandbox", SANDBOXES)
@pytest.mark.parametrize("handle", HANDLES)
def test_sandboxed_templates_use_what_an_img_needs(kit: ImageKit, sandbox: Any, handle: str) -> None:
    """Name, URL, size, format and truth are there; the view is a source of other tags, and prints itself."""
    environment = kit.install(sandbox(autoescape=True))
    page = (
        handle
        + "{{ x.name }} {{ x.url }} {{ x.width }} {{ x.height }} {{ x.format }} {{ x.mimetype }} {{ x.size > 99 }}"
    )
    name, url, *rest = environment.from_string(page).render().split()
    assert url == f"/{name}"
    assert rest == ["20", "15", "JPEG", "image/jpeg", "True"]
    told = environment.from_string(handle + "{{ x.as_dict() | tojson }}").render()
    assert json.loads(told) == {"url": url, "width": 20, "height": 15}
    assert re.fullmatch(IMG, environment.from_string(handle + "{{ x }}").render())
    assert environment.from_string(handle + "{{ 'yes' if x }}").render() == "yes"
    inner = environment.from_string(handle + "{% thumbnail '10x' x -- alt='x' %}{{ x|thumbnail('10x') }}").render()
    assert inner.count('width="10"') == 2
    inner = environment.from_string(handle + "{% generateimage 'imagekit:thumbnail' source=x width=10 %}").render()
    assert 'width="10"' in inner


REACHES = [
    "x.path", "x.open", "x.read", "x.generate", "x.delete", "x.storage", "x.generator", "x.source", "x.settings",
    "x.records", "x.unwrap", "x.cachefile_backend", "x.imagekit_source", "x.generator_id", "x['path']", "x['delete']",
    "x|attr('path')",
]  # fmt: skip
UNDERSCORES = ["x._file", "x['_file']", "x.__class__", "x.__reduce__", "x|attr('_file')"]


@pytest.mark.parametrize("expression", REACHES)
def test_sandboxed_templates_reach_nothing_else(kit: ImageKit, tmp_path: Path, expression: str) -> None:
    """What could write, delete or tell a path is not there."""
    environment = kit.install(SandboxedEnvironment())
    page = environment.from_string(HANDLES[0] + "{{ (" + expression + ") is defined }}")
    assert page.render() == "False"


@pytest.mark.parametrize("expression", UNDERSCORES)
def test_sandbox_refuses_private_names(kit: ImageKit, expression: str) -> None:
    """The sandbox stands before everything that begins with an underscore."""
    page = kit.install(SandboxedEnvironment()).from_string(HANDLES[0] + "{{ (" + expression + ").x }}")
    with pytest.raises((SecurityError, UndefinedError)):
        page.render()


def test_public_names_of_the_view_are_these_alone(kit: ImageKit) -> None:
    """A new attribute of the view has to be thought about."""
    view = kit.install(SandboxedEnvironment()).from_string(HANDLES[0]).module.x
    assert {name for name in dir(view) if not name.startswith("_")} == {
        "name", "url", "width", "height", "size", "format", "mimetype", "as_dict", "splitlines",
    }  # fmt: skip


def test_texts_of_the_view_tell_no_path(kit: ImageKit, tmp_path: Path) -> None:
    """Neither printing nor debugging a view shows where the site lies on the disk."""
    environment = kit.install(SandboxedEnvironment(loader=DictLoader({})))
    page = environment.from_string(
        HANDLES[0] + "{{ x|string }}{{ [x] }}{{ x|pprint }}{{ '%r'|format(x) }}{{ '{0!r}'.format(x) }}{{ x.url }}"
        "{{ x|string }}{{ [x] }}"
    )
    assert str(tmp_path) not in page.render()


@pytest.mark.parametrize("source", ["../secret.jpg", "/etc/passwd", "a/../../secret.jpg"])
def test_sandboxed_templates_read_nothing_outside(kit: ImageKit, write_photo: Any, source: str) -> None:
    """A source outside the source folders is refused in a sandbox as everywhere."""
    with pytest.raises((SourceNotAllowed, SourceNotFound)):
        kit.install(SandboxedEnvironment()).from_string("{% thumbnail '20x' s %}").render(s=source)


def test_filters_of_the_compiled_tags_have_no_names_in_templates(kit: ImageKit) -> None:
    """What compiled tags call is not a filter that a template can write."""
    environment = kit.install(Environment())
    inner = [name for name in environment.filters if "imagekit" in name]
    assert len(inner) == 6
    assert not any(re.fullmatch(r"[\w.]+", name) for name in inner)


def test_calling_them_by_name_gains_nothing(kit: ImageKit) -> None:
    """A sandboxed template that names them to another filter gets what a tag gives, checked in the same way."""
    environment = kit.install(SandboxedEnvironment())
    page = "{{ ['imagekit:thumbnail']|map('imagekit thumbnail tag', '20x', 'photo.jpg', {}, attributes)|first }}"
    assert re.fullmatch(IMG, environment.from_string(page).render(attributes={}))
    with pytest.raises(InvalidAttribute):
        environment.from_string(page).render(attributes={'x="': "y"})


def test_plain_environments_hand_out_the_cache_file(kit: ImageKit) -> None:
    """Outside a sandbox a template gets the cache file itself, and may read it."""
    page = kit.install(Environment()).from_string(HANDLES[0] + "{{ x.read()|length == x.size }} {{ x.path }}")
    assert page.render().startswith("True /")
