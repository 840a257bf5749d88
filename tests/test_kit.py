"""The kit as a whole: nothing at module level, nothing before it is needed, many of them side by side."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from core_site import Card, Counter, Site, Wide, photo_bytes
from jinja2 import Environment
from PIL import ImageFile

import jinja_imagekit
from jinja_imagekit import ImageKit
from jinja_imagekit.exceptions import ImageKitError, InvalidSetting, NotRegistered, SourceNotFound
from jinja_imagekit.processors import ResizeToFill
from jinja_imagekit.state import MemoryStore


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Return a site with one photo."""
    site = Site(tmp_path)
    site.write("a.jpg")
    return site


def test_the_public_names() -> None:
    """What the package offers is what it says, and an unknown name is an AttributeError."""
    for name in jinja_imagekit.__all__:
        assert getattr(jinja_imagekit, name)
    assert set(jinja_imagekit.__all__) <= set(dir(jinja_imagekit))
    with pytest.raises(AttributeError, match=r"nothing"):
        _ = jinja_imagekit.nothing


def test_making_a_kit_touches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders, state and dotted paths wait for the first image."""
    monkeypatch.chdir(tmp_path)
    kit = ImageKit(source_dirs=["images"], cachefile_namer="no.such.namer", default_file_storage="no.such.storage")
    kit.register.generator("card", Card)
    kit.install(Environment())
    file = kit.cachefile("card", source="a.jpg")
    assert repr(file)
    assert not list(tmp_path.iterdir())
    kit.close()
    assert not list(tmp_path.iterdir())


def test_a_state_store_that_does_not_exist_is_told_when_templates_get_the_kit() -> None:
    """A page is too late to learn of it."""
    with pytest.raises(InvalidSetting, match=r"no\.such\.store"):
        ImageKit(state_store="no.such.store").install(Environment())


def test_kits_side_by_side(tmp_path: Path) -> None:
    """Two kits share nothing but what they are told to."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one, two = Site(tmp_path / "one"), Site(tmp_path / "two", base_url="/two/")
    for site in (one, two):
        site.write("a.jpg")
    two.kit.register.generator("card", Wide, override=True)
    one.kit.register.generator("own", Card)
    assert one.kit.cachefile("card", source="a.jpg").width == 24
    assert two.kit.cachefile("card", source="a.jpg").width == 20
    assert two.kit.cachefile("card", source="a.jpg").url.startswith("/two/CACHE/")
    with pytest.raises(NotRegistered):
        two.kit.registered("own")


def test_two_kits_over_one_state(site: Site) -> None:
    """A prefix keeps two kits apart in one store."""
    store = MemoryStore()
    kits = [site.new_kit(state_store=store, cache_prefix=prefix) for prefix in ("a:", "b:")]
    for kit in kits:
        assert kit.cachefile("card", source="a.jpg").width == 24
    assert {key.split(":")[0] for key in store.keys()} == {"a", "b"}  # noqa: SIM118  # a store is not a dict


def test_parts_are_made_once(site: Site) -> None:
    """Threads that ask for a part of a new kit at the same time get the same one."""
    made = Counter()

    def make_store(settings: Any) -> MemoryStore:
        made()
        threading.Event().wait(0.02)
        return MemoryStore()

    kit = site.new_kit(state_store=make_store)
    ready = threading.Barrier(8)

    def ask(_: int) -> tuple[int, ...]:
        ready.wait()
        return tuple(
            map(id, (kit.records, kit.storage, kit.sources, kit.known_files, kit.renders, kit.cachefile_backend))
        )

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(8)))) == 1
    assert made.count == 1


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="descriptors are listed on Linux only")
def test_a_closed_kit_leaves_no_descriptor_and_knows_its_render(site: Site) -> None:
    """Its file of notes is closed although the render goes on, and later notes are added to it."""

    def descriptors() -> set[str]:
        links = map("/proc/self/fd/{}".format, os.listdir("/proc/self/fd"))
        paths = {os.readlink(link) for link in links if os.path.lexists(link)}
        return {path for path in paths if str(site.state / "notes") in path}

    kit = site.new_kit()
    assert kit.cachefile("card", source="a.jpg").url
    assert descriptors()
    kit.close()
    assert not descriptors()
    assert kit.cachefile("imagekit:thumbnail", source="a.jpg", width=9).url
    assert len(list((site.state / "notes").iterdir())) == 1
    other = site.new_kit()
    assert len(other.renders.unfinished()) == 2
    assert other.cachefile("imagekit:thumbnail", source="a.jpg", width=8).url
    del other
    gc.collect()
    kit.finish()
    kit.close()
    assert len(kit.renders.last() or ()) == 3
    assert not descriptors()


def test_a_closed_kit_works_on(site: Site) -> None:
    """Closing is for the end of a process; whoever goes on opens the state again."""
    assert site.kit.cachefile("card", source="a.jpg").url
    site.kit.close()
    site.kit.close()
    assert site.kit.cachefile("card", source="a.jpg").width == 24


def test_a_forked_process(site: Site) -> None:
    """A server that forks its workers after the first image goes on in each of them."""
    if not hasattr(os, "fork"):
        pytest.skip("forks")
    script = """
import os, sys
sys.path[:0] = sys.argv[2:]
from pathlib import Path
from core_site import Site
site = Site(Path(sys.argv[1]))
first = site.kit.cachefile("card", source="a.jpg").url
children = []
for number in range(3):
    pid = os.fork()
    if not pid:
        file = site.kit.cachefile("imagekit:thumbnail", source="a.jpg", width=10)
        os._exit(0 if file.width == 10 and site.kit.cachefile("card", source="a.jpg").url == first else 1)
    children.append(pid)
assert site.kit.cachefile("imagekit:thumbnail", source="a.jpg", width=10).width == 10
sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children))
"""
    here = Path(__file__).parent
    paths = [str(here), str(here.parent / "examples"), str(here.parent)]
    done = subprocess.run([sys.executable, "-c", script, str(site.root), *paths], timeout=60)
    assert done.returncode == 0
    assert len(site.files()) == 2


def test_another_folder_under_way(site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A process that changes its folder after the first image finds everything where it was."""
    monkeypatch.chdir(site.root)
    kit = ImageKit(source_dirs=["images"], location="output", state_dir="state")
    kit.register.generator("card", Card)
    url = kit.cachefile("card", source="a.jpg").url
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    file = kit.cachefile("card", source="a.jpg")
    assert (file.url, file.width) == (url, 24)
    assert not list(elsewhere.iterdir())


def test_nothing_process_wide_is_touched(site: Site) -> None:
    """Streams, Pillow's globals, warning filters, folder and umask are what they were, with 16 threads at work."""
    import warnings

    def look() -> tuple[Any, ...]:
        umask = os.umask(0)
        os.umask(umask)
        filters = tuple(map(repr, warnings.filters))
        streams = sys.stderr, sys.stdout
        return (*streams, ImageFile.MAXBLOCK, ImageFile.LOAD_TRUNCATED_IMAGES, filters, os.getcwd(), umask)

    before = look()
    during: list[tuple[Any, ...]] = []

    def work(number: int) -> bytes:
        data = site.kit.cachefile("card", source=photo_bytes(seed=number)).read()
        during.append(look()[:4])
        return data

    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(work, range(32)))
    assert results == [Card(source=photo_bytes(seed=number)).generate().read() for number in range(32)]
    assert look() == before
    assert set(during) == {before[:4]}


def test_the_source_of_a_kit(site: Site) -> None:
    """A kit finds sources as its tags do."""
    source = site.kit.source("a.jpg")
    assert source is not None
    assert source.size() == (96, 72)
    assert site.kit.source("") is None
    with pytest.raises(SourceNotFound):
        site.kit.source("b.jpg")


def test_an_unset_site(tmp_path: Path) -> None:
    """A kit without source folders takes everything but names."""
    kit = ImageKit(location=tmp_path / "out", state_dir=tmp_path / "state")
    kit.register.generator("card", Card)
    assert kit.cachefile("card", source=photo_bytes()).width == 24
    with pytest.raises(ImageKitError, match=r"set source_dirs"):
        _ = kit.cachefile("card", source="a.jpg").url


def test_a_spec_made_by_hand_gets_the_kits_names_and_caps(tmp_path: Path, write_photo: Callable[..., Path]) -> None:
    """Its cache file lies where the same spec's would that the kit had made."""
    photo = write_photo("photos/a.jpg", 60, 40)
    kit = ImageKit(source_dirs=[tmp_path / "images"], location=tmp_path / "out", state_dir=tmp_path / "state")
    spec = kit.spec("small", processors=(ResizeToFill(20, 10),))
    assert kit.cachefile_of(spec(source=photo)).url == kit.cachefile("small", source="photos/a.jpg").url
