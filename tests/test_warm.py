"""A warm tag opens no file, decodes nothing and writes nothing; what changed under it is noticed by two stats."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from core_site import Site, Wide, photo_bytes, settled
from jinja2 import Environment
from markupsafe import Markup

from jinja_imagekit import ImageSpec, imageinfo
from jinja_imagekit.cachefiles.known import KnownFile
from jinja_imagekit.images import Original
from jinja_imagekit.processors import ResizeToFit
from jinja_imagekit.sources import FileSource
from jinja_imagekit.state import DiskStore, MemoryStore
from jinja_imagekit.storages.folder import FileSystemStorage

HERE = Path(__file__).parent

PAGE = """
{% generateimage 'card' source='a.jpg' -- alt='A' %}
{% thumbnail '30x20' 'a.jpg' %}
{% thumbnail '30x' 'b.jpg' quality=60 srcset='2' -- alt='B' class='c' %}
{% for name in ('a.jpg', 'b.jpg') %}{{ name|thumbnail('9x9') }}{% endfor %}
{% generateimage 'card' source='b.jpg' as hero %}<a href="{{ hero.url }}">{{ hero.width }}</a>
"""

WATCHER = """
import json, sys
sys.path[:0] = sys.argv[2:]
from pathlib import Path
from jinja2 import Environment
from core_site import Site
from test_warm import PAGE

site = Site(Path(sys.argv[1]))
template = site.kit.install(Environment(autoescape=True)).from_string(PAGE)
# What is imported late is not the page's doing.
import jinja2.async_utils, sqlite3, diskcache, pickletools
events = []
watching = False

def watch(event, args):
    if watching and event.split(".")[0] in ("open", "os", "sqlite3", "shutil", "subprocess", "socket", "tempfile"):
        events.append([event, str(args[0]) if args else "", str(args[1]) if len(args) > 1 else ""])

sys.addaudithook(watch)
pages = []
for _ in range(3):
    events.append(["page", "", ""])
    watching = True
    html = template.render()
    watching = False
    pages.append(html)
print(json.dumps([events, pages]))
"""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Return a site with two photos."""
    site = Site(tmp_path)
    site.write("a.jpg", 160, 120)
    site.write("b.jpg", 120, 160, seed=1)
    return site


def render(site: Site, kit: Any = None) -> str:
    """Render the page."""
    return (kit or site.kit).install(Environment(autoescape=True)).from_string(PAGE).render()


def watched_pages(site: Site) -> tuple[list[list[list[str]]], list[str]]:
    """Render the page three times in a new process; return what each did to the file system, and the pages."""
    command = [
        sys.executable,
        "-c",
        WATCHER,
        str(site.root),
        str(HERE),
        str(HERE.parent / "examples"),
        str(HERE.parent),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    events, pages = json.loads(done.stdout)
    by_page: list[list[list[str]]] = []
    for event in events:
        if event[0] == "page":
            by_page.append([])
        else:
            by_page[-1].append(event)
    return by_page, pages


def test_a_warm_page_does_nothing_to_the_file_system(site: Site) -> None:
    """The interpreter itself says so: no open, no mkdir, no rename, no removal, no connection."""
    expected = render(site)
    site.kit.close()
    before = {path: path.stat().st_mtime_ns for path in site.output.rglob("*")}
    (first, second, third), pages = watched_pages(site)
    assert pages == [expected] * 3
    assert second == third == []
    # The first page of a process imports the state's modules and opens the state; no source, no result.
    of_the_site = [event for event in first if str(site.root) in event[1]]
    assert of_the_site
    assert [event for event in of_the_site if str(site.state) not in event[1]] == []
    assert {path: path.stat().st_mtime_ns for path in site.output.rglob("*")} == before


def test_the_watcher_sees_a_cold_page(site: Site) -> None:
    """A page that has everything to do is seen to do it: the test above can fail."""
    (first, second, _), pages = watched_pages(site)
    assert len(set(pages)) == 1
    opened = {event[1] for event in first if event[0] == "open"}
    # Opened one folder after the other.
    assert {"a.jpg", "b.jpg"} <= {os.path.basename(path) for path in opened}
    assert [event for event in first if event[0] == "os.rename"]
    assert second == []


class Counts:
    """Counts calls of methods."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: dict[str, int] = {}
        watched: list[tuple[type, str]] = [
            (Original, "_decode"),
            (FileSource, "open"),
            (FileSystemStorage, "save"),
            (FileSystemStorage, "open"),
            (DiskStore, "get"),
            (DiskStore, "get_many"),
            (DiskStore, "following"),
            (DiskStore, "set_many"),
            (DiskStore, "lock"),
        ]
        for owner, name in watched:
            monkeypatch.setattr(owner, name, self._counted(f"{owner.__name__}.{name}", getattr(owner, name)))

    def _counted(self, label: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            self.calls[label] = self.calls.get(label, 0) + 1
            return method(*args, **kwargs)

        return counted

    def of(self, work: Callable[[], object]) -> dict[str, int]:
        """Return the calls that some work makes."""
        self.calls.clear()
        work()
        return dict(self.calls)


def test_what_is_called(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cold: a decode for each file at most, a reading and a save each. Warm: nothing; in a new process: the state."""
    counts = Counts(monkeypatch)
    cold = counts.of(lambda: render(site))
    assert cold["FileSystemStorage.save"] == len(site.files()) == 7
    assert cold["Original._decode"] == 7
    assert counts.of(lambda: render(site)) == {}
    # Its answer, and what the source's metadata says of its subject.
    asked = counts.of(lambda: render_with(site, "{% thumbnail '30x20' 'a.jpg' %}"))
    assert asked == {"DiskStore.following": 1}
    tags = site.kit.install(Environment()).from_string(PAGE.rpartition("{% generateimage")[0])
    assert counts.of(tags.render) == {}
    new = counts.of(lambda: render(site, site.new_kit()))
    # Answers several at a time, and what is known of a source whose size decides about densities.
    assert set(new) == {"DiskStore.following"}


@pytest.mark.parametrize(
    "tag", ["{% generateimage 'card' source='a.jpg' %}", "{% thumbnail '30x20' 'a.jpg' crop=true %}"]
)
def test_a_warm_tag_makes_two_stats(site: Site, monkeypatch: pytest.MonkeyPatch, tag: str) -> None:
    """One of the source and one of the file, and no more."""
    monkeypatch.setattr(imageinfo, "SIDECAR_SECONDS", math.inf)
    render(site)
    template = site.kit.install(Environment()).from_string(tag)
    template.render()
    template.render()
    asked: list[str] = []
    stat, lstat = os.stat, os.lstat
    monkeypatch.setattr(os, "stat", lambda path, **keywords: (asked.append(str(path)), stat(path, **keywords))[1])
    monkeypatch.setattr(os, "lstat", lambda path, **keywords: (asked.append(str(path)), lstat(path, **keywords))[1])
    template.render()
    monkeypatch.undo()
    assert len(asked) == 2
    assert asked[0] == str(site.images / "a.jpg")
    assert asked[1].startswith(str(site.output))


def _replace_source(site: Site, result: Path) -> None:
    site.write("a.jpg", 160, 120, seed=9)


def _touch_source(site: Site, result: Path) -> None:
    settled(site.images / "a.jpg", photo_bytes(160, 120), age=5)


def _same_size_and_time(site: Site, result: Path) -> None:
    # Another file by rename, as editors and deployments write it.
    old = (site.images / "a.jpg").stat()
    other = site.root / "other"
    # What follows the end of a JPEG is not part of it.
    other.write_bytes(photo_bytes(80, 60, seed=9).ljust(old.st_size, b"\0"))
    os.utime(other, ns=(old.st_atime_ns, old.st_mtime_ns))
    other.replace(site.images / "a.jpg")


def _delete_result(site: Site, result: Path) -> None:
    result.unlink()


def _truncate_result(site: Site, result: Path) -> None:
    os.truncate(result, 100)


def _foreign_result(site: Site, result: Path) -> None:
    result.write_bytes(b"somebody else's")


@pytest.mark.parametrize(
    "change",
    [_replace_source, _touch_source, _same_size_and_time, _delete_result, _truncate_result, _foreign_result],
)
@pytest.mark.parametrize("process", ["the same", "a new one"])
def test_what_changes_is_noticed_at_once(site: Site, change: Any, process: str) -> None:
    """Whatever happens to source or file under a warm tag, the next page shows what a cold one would."""
    template = "{% generateimage 'card' source='a.jpg' %}"
    first = site.kit.install(Environment()).from_string(template)
    first.render()
    first.render()
    (name,) = site.files()
    change(site, site.output / name)
    kit = site.kit if process == "the same" else site.new_kit()
    html = kit.install(Environment()).from_string(template).render()
    fresh = Site(site.root, location=site.root / "fresh", state_dir=site.root / "fresh-state")
    assert html == fresh.kit.install(Environment()).from_string(template).render()
    made = {path.relative_to(site.root / "fresh"): path.read_bytes() for path in (site.root / "fresh").rglob("*.jpg")}
    for path, content in made.items():
        assert (site.output / path).read_bytes() == content


def test_a_source_that_is_gone(site: Site) -> None:
    """A warm tag whose source was deleted is an error, as a cold one is."""
    from jinja_imagekit.exceptions import SourceNotFound

    template = site.kit.install(Environment()).from_string("{% generateimage 'card' source='a.jpg' %}")
    template.render()
    (site.images / "a.jpg").unlink()
    with pytest.raises(SourceNotFound, match=r"'a.jpg': no such file"):
        template.render()


def test_other_settings_are_not_answered_by_old_state(site: Site) -> None:
    """A kit with other pixel settings over the same folders makes its own files."""
    template = "{% generateimage 'card' source='a.jpg' %}"
    first = render_with(site, template)
    assert render_with(site, template, decode_margin=1.0) != first
    assert render_with(site, template, base_url="https://cdn.example/") == first.replace(
        'src="/', 'src="https://cdn.example/'
    )
    assert len(site.files()) == 2


def render_with(site: Site, template: str, **settings: Any) -> str:
    """Render a template with a new kit."""
    return site.new_kit(**settings).install(Environment()).from_string(template).render()


def test_an_overridden_generator_is_warm_too(site: Site) -> None:
    """The new generator's files are found, the old one's are not."""
    template = site.kit.install(Environment()).from_string("{% generateimage 'card' source='a.jpg' %}")
    assert 'width="24"' in template.render()
    site.kit.register.generator("card", Wide, override=True)
    assert 'width="20"' in template.render()
    assert 'width="20"' in template.render()


class Tinted(ImageSpec):
    """A small image that differs for values that are equal."""

    format = "PNG"
    varies = False

    def __init__(self, v: object, **options: Any) -> None:
        super().__init__(**options)
        self.processors = (ResizeToFit(20 + len(repr(v)), 90),)


@pytest.mark.parametrize(
    "values",
    [
        ((1, 2), (True, 2), (1.0, 2)),
        ((0, (1,)), (0, (True,))),
        ([1], [True]),
        ({"a": 1}, {"a": True}),
        (Fraction(1), Decimal(1)),
        (frozenset({1}), frozenset({True})),
    ],
)
def test_equal_options_need_not_be_the_same_image(site: Site, values: tuple[Any, ...]) -> None:
    """1 is not True, within another value either, and a number of one kind is none of another kind."""
    template = "{% generateimage 'tinted' source='a.jpg' v=v %}"

    def render(kit: Any, v: object) -> str:
        return str(kit.install(Environment()).from_string(template).render(v=v))

    site.kit.register.generator("tinted", Tinted)
    for _ in range(2):
        pages = [render(site.kit, v) for v in values]
        assert len(set(pages)) == len(values)


class Halved(ImageSpec):
    """An image of half the size that is asked for."""

    varies = False

    def __init__(self, width: int, height: int, format: str = "PNG", **options: Any) -> None:
        super().__init__(**options)
        self.format = format
        self.processors = (ResizeToFit(width // 2, height // 2),)


class Once:
    """A processor that does something else when it is first used, as another thread may."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._act = act

    def fingerprint(self) -> str:
        return ""

    def process(self, image: Any) -> Any:
        """Leave the image as it is."""
        self._act()
        return image


@pytest.mark.parametrize("when", ["called", "made"])
def test_a_generator_that_is_replaced_while_a_page_is_rendered_answers_for_neither(site: Site, when: str) -> None:
    """What was worked out by the former one is not kept, and what one makes is not taken for the work of the other."""

    def replace() -> None:
        site.kit.register.generator("sized", Halved, override=True)

    class Replaced(Halved):
        def __init__(self, width: int, height: int, **options: Any) -> None:
            super().__init__(2 * width, 2 * height, **options)
            if when == "called":
                replace()
            else:
                self.processors = (*self.processors, Once(replace))

    tag = "{% thumbnail 'sized' '40x30' 'a.jpg' %}"
    site.kit.register.generator("sized", Replaced)
    page = site.kit.install(Environment()).from_string(tag)
    page.render()
    assert 'width="20"' in page.render()
    for generator, width in ((Replaced, 40), (Halved, 20)):
        kit = site.new_kit()
        kit.register.generator("sized", generator)
        assert f'width="{width}"' in kit.install(Environment()).from_string(tag).render()


def forged(site: Site, key_part: str, value: str) -> str:
    """Render a page over a state in which one kind of value was replaced by another."""
    site.kit.close()
    store = DiskStore(site.state / "state")
    for key in list(store.keys()):
        if key_part in key:
            store.set_many({key: value})
        elif key_part == ":source:":
            store.delete_many([key])
    store.close()
    return render(site, site.new_kit())


@pytest.mark.parametrize("kind", [":known:", ":file:", ":source:"])
@pytest.mark.parametrize(
    "value",
    [
        "",
        "[",
        "[" * 50_000,
        "{}",
        "[1, 2]",
        '["CACHE/images/\\u0000", 1, 1, 1, 1, 1, 1]',
        '["CACHE/images//x.jpg", 1, 1, 1, 1, 1, 1]',
        '["CACHE/images/../../../etc/passwd", 1, 1, 1, 1, 1, 1]',
        '["CACHE/images/a.jpg", true, [], {}, "x", null, -1]',
        '[[1, 2, 3], "00", {"format": [], "width": 1, "height": 1}, null]',
        '[1e300, -1, 1, "image/jpeg", "JPEG", "card", "a.jpg"]',
    ],
)
def test_a_forged_state_never_reaches_a_template(site: Site, kind: str, value: str) -> None:
    """Whatever stands in the store, pages are right."""
    expected = render(site)
    assert forged(site, kind, value) == expected


@pytest.mark.parametrize(
    "change",
    [{"format": "XYZ"}, {"format": None}, {"width": -1}, {"frames": 0}, {"has_alpha": 3}, {"orientation": "6"}],
)
def test_a_forged_header_is_not_believed(site: Site, change: dict[str, Any]) -> None:
    """The header of the very version of the source that is there, with wrong parts."""
    expected = render(site)
    site.kit.close()
    store = DiskStore(site.state / "state")
    for key in list(store.keys("imagekit:source:")):
        signature, digest, header, problem = json.loads(str(store.get(key)))
        store.set_many({key: json.dumps([signature, digest, {**header, **change}, problem])})
    store.delete_many([*store.keys("imagekit:known:"), *store.keys("imagekit:file:")])
    store.close()
    assert render(site, site.new_kit()) == expected


def test_equal_attributes_need_not_be_the_same_html(site: Site) -> None:
    """What a tag wrote is kept for the next page, but a text is no `Markup`, 1 is not True, and names have an order."""
    tags = [
        *(f"{{% thumbnail '30x20' 'a.jpg' -- {each} %}}" for each in ("alt=alt", "hidden=alt", "title='t' alt=alt")),
        "{% thumbnail '30x20' 'a.jpg' -- alt=alt title='t' %}",
        "{{ 'a.jpg' | thumbnail('30x20') }}",
    ]
    calls = [
        (tag, alt)
        for alt in ("a &amp; b", Markup("a &amp; b"), True, 1, "1", None)
        for tag in (*tags, tags[0], tags[0])
    ]

    def written(kit: Any, tag: str, alt: object) -> str:
        return str(kit.install(Environment(autoescape=True)).from_string(tag).render(alt=alt))

    assert [written(site.kit, *call) for call in calls] == [written(site.new_kit(), *call) for call in calls]


def test_memory_alone(site: Site) -> None:
    """A kit that keeps its state in memory is warm as well, and makes what it does not know."""
    kit = site.new_kit(state_store=MemoryStore())
    expected = render(site, kit)
    before = {path: path.stat().st_mtime_ns for path in site.output.rglob("*.*g")}
    assert render(site, kit) == expected
    assert {path: path.stat().st_mtime_ns for path in site.output.rglob("*.*g")} == before
    # What the pages need outlives the process; nothing else is written.
    assert {path.name.partition(".")[0] for path in site.state.iterdir()} <= {"notes"}


def test_two_threads_that_notice_the_same_change(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one finds the answer gone already, which is no trouble."""
    template = site.kit.install(Environment()).from_string("{% generateimage 'card' source='a.jpg' %}")
    expected = template.render()
    assert template.render() == expected
    known = site.kit.known_files

    def no_longer(self: KnownFile) -> bool:
        known.forget()
        return False

    monkeypatch.setattr(KnownFile, "is_current", no_longer)
    assert template.render() == expected


def test_a_forged_answer_cannot_name_a_folder_that_begins_as_the_cache_folder_does(site: Site) -> None:
    """What lies in a folder beside it is no cache file, even where size and source are right."""
    expected = render(site)
    site.kit.close()
    store = DiskStore(site.state / "state")
    for key in list(store.keys("imagekit:known:")):
        name, *rest = json.loads(str(store.get(key)))
        private = name.replace("CACHE/images/", "CACHE/images-private/")
        (site.output / private).parent.mkdir(parents=True, exist_ok=True)
        (site.output / private).write_bytes((site.output / name).read_bytes())
        store.set_many({key: json.dumps([private, *rest])})
    store.close()
    assert render(site, site.new_kit()) == expected
