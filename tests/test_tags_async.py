"""The tags in async environments: slow work leaves the event loop free, and what is known does not change threads."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jinja2 import DictLoader, Environment
from jinja2.sandbox import SandboxedEnvironment

from jinja_imagekit.exceptions import SourceNotFound
from jinja_imagekit.kit import ImageKit

PATIENCE = 30.0
"""Seconds after which `Slow` takes the event loop for blocked."""


class Slow:
    """A processor that notes the threads in which it ran, and may work until the event loop has run meanwhile."""

    def __init__(self) -> None:
        self.threads: list[int] = []
        self.waits = False
        self.started = threading.Event()
        self.loop_ran = threading.Event()

    def fingerprint(self) -> object:
        """Be the same in every test."""
        return "slow"

    def process(self, image: Any) -> Any:
        """Wait for the event loop if told to."""
        self.threads.append(threading.get_ident())
        self.started.set()
        assert not self.waits or self.loop_ran.wait(PATIENCE), "the event loop stood still while an image was made"
        return image


class Site:
    """A kit with a generator `slow`, and an async environment with its tags."""

    def __init__(self, root: Path, environment_class: type[Environment] = Environment) -> None:
        self.slow = Slow()
        self.kit = ImageKit(source_dirs=[root / "images"], location=root / "out", state_dir=root / "state")
        self.kit.spec("slow", processors=[self.slow], format="PNG")
        self.environment = self.kit.install(environment_class(autoescape=True, enable_async=True))

    def rendered(self, template: str, **context: Any) -> str:
        """Render a template beside another task, without which `slow` does not end."""
        self.slow.waits = True

        async def render() -> str:
            page = self.environment.from_string(template)

            async def watch() -> None:
                while True:
                    await asyncio.sleep(0.005)
                    if self.slow.started.is_set():
                        self.slow.loop_ran.set()

            watching = asyncio.create_task(watch())
            html = await page.render_async(**context)
            watching.cancel()
            return html

        return asyncio.run(render())


@pytest.fixture
def site(tmp_path: Path, write_photo: Any) -> Site:
    """Return a site with one photo of 32 × 24 pixels."""
    write_photo("photo.jpg", 32, 24)
    return Site(tmp_path)


@pytest.fixture
def hops(monkeypatch: pytest.MonkeyPatch) -> list[Callable[..., Any]]:
    """Return a list of what is sent to another thread."""
    sent: list[Callable[..., Any]] = []
    to_thread = asyncio.to_thread

    async def note(function: Callable[..., Any], *arguments: Any) -> Any:
        sent.append(function)
        return await to_thread(function, *arguments)

    monkeypatch.setattr(asyncio, "to_thread", note)
    return sent


SLOW_TEMPLATES = {
    "tag": "{% generateimage 'slow' source='photo.jpg' %}",
    "assignment": "{% generateimage 'slow' source='photo.jpg' as x %}{{ x.url }}{{ x.width }}{{ x }}",
    "filter": "{{ 'photo.jpg'|generateimage('slow') }}",
    "in an expression": "{{ ('photo.jpg'|generateimage('slow')).url }}",
    "in a loop": "{% for photo in ['photo.jpg'] %}{% generateimage 'slow' source=photo %}{% endfor %}",
    "in a macro": "{% macro m(p) %}{% generateimage 'slow' source=p %}{% endmacro %}{{ m('photo.jpg') }}",
}


@pytest.mark.parametrize("template", SLOW_TEMPLATES)
@pytest.mark.parametrize("environment_class", [Environment, SandboxedEnvironment])
def test_making_an_image_leaves_the_event_loop_free(
    tmp_path: Path, write_photo: Any, template: str, environment_class: type[Environment]
) -> None:
    """While an image is made in a worker thread, other tasks go on."""
    write_photo("photo.jpg", 32, 24)
    site = Site(tmp_path, environment_class)
    html = site.rendered(SLOW_TEMPLATES[template])
    assert "/CACHE/images/photo/" in html
    assert len(site.slow.threads) == 1
    assert threading.main_thread().ident not in site.slow.threads


@pytest.mark.parametrize("template", ["tag", "assignment", "filter"])
def test_what_is_known_does_not_change_threads(
    site: Site, hops: list[Callable[..., Any]], images_dir: Path, template: str
) -> None:
    """Only the first render goes to a thread."""
    # A file that has only just been written may change once more within the clock's resolution.
    time.sleep(0.03)
    page = site.environment.from_string(SLOW_TEMPLATES[template])
    first = asyncio.run(page.render_async())
    assert len(hops) == 1
    assert asyncio.run(page.render_async()) == first
    assert len(hops) == 1


def test_pages_at_the_same_time_make_an_image_once(site: Site) -> None:
    """Twenty tasks that render a page at once share one generation and show the same image."""

    async def render() -> list[str]:
        page = site.environment.from_string(SLOW_TEMPLATES["tag"])
        return await asyncio.gather(*(page.render_async() for _ in range(20)))

    pages = asyncio.run(render())
    assert len(set(pages)) == 1
    assert len(site.slow.threads) == 1


def test_rendering_without_await(site: Site) -> None:
    """`render()` of an async environment works as well."""
    assert "/CACHE/images/photo/" in site.environment.from_string(SLOW_TEMPLATES["tag"]).render()


def test_awaited_values_as_arguments(site: Site) -> None:
    """A source, an attribute and a size may come from coroutines, which Jinja awaits."""

    async def soon(value: object) -> object:
        await asyncio.sleep(0)
        return value

    page = site.environment.from_string("{% thumbnail soon('20x') soon('photo.jpg') -- alt=soon('x') %}")
    html = asyncio.run(page.render_async(soon=soon))
    assert html.endswith('width="20" height="15" alt="x">')


def test_templates_of_a_loader(site: Site) -> None:
    """Includes, imports and inheritance work in async environments."""
    site.environment.loader = DictLoader(
        {
            "base.html": "{% block a %}{% endblock %}",
            "macros.html": "{% macro m(p) %}{% thumbnail '20x' p as t %}{{ t }}{% endmacro %}",
            "tag.html": "{% thumbnail '20x' p %}",
        }
    )
    page = site.environment.from_string(
        "{% extends 'base.html' %}{% import 'macros.html' as macros %}"
        "{% block a %}{{ macros.m(p) }}{% include 'tag.html' %}{% endblock %}"
    )
    assert asyncio.run(page.render_async(p="photo.jpg")).count('width="20" height="15"') == 2


def test_failure_ahead_of_use_is_told_where_it_is_used(site: Site) -> None:
    """`as` binds an image that cannot be made; using it is the error, as in other environments."""
    assign = "{% thumbnail '20x' 'none.jpg' as x %}"
    assert asyncio.run(site.environment.from_string(assign + "ok").render_async()) == "ok"
    with pytest.raises(SourceNotFound):
        asyncio.run(site.environment.from_string(assign + "{{ x.url }}").render_async())


def test_error_in_a_thread_carries_template_and_line(site: Site) -> None:
    """What fails in the worker thread names the tag that waited for it."""
    with pytest.raises(SourceNotFound) as caught:
        asyncio.run(site.environment.from_string("\n\n{% thumbnail '20x' 'none.jpg' %}").render_async())
    assert (caught.value.template, caught.value.lineno) == ("<template>", 3)


def test_other_event_loops_make_images_in_place(site: Site) -> None:
    """Where no asyncio loop runs, such as under trio, the tag makes the image itself."""
    rendering = site.environment.from_string("{% thumbnail '20x' 'photo.jpg' %}").render_async()
    with pytest.raises(StopIteration) as finished:
        rendering.send(None)
    assert 'width="20" height="15"' in finished.value.value
