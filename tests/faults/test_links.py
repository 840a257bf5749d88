"""Paths that lead out, links that are exchanged meanwhile, hostile names: nothing outside is read or written."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from jinja2 import Environment
from PIL import Image

import drawing
from jinja_imagekit import ImageKit
from jinja_imagekit.exceptions import ImageKitError, SourceError

from .conftest import FULL, Tally

Rounds = Callable[[int, int], int]

posix = pytest.mark.skipif(os.name != "posix", reason="links and pipes are POSIX's")


@pytest.fixture
def kit(tmp_path: Path) -> ImageKit:
    """Return a kit with one red image inside, and a blue one outside of its folder."""
    (tmp_path / "images/folder").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    Image.new("RGB", (8, 8), "red").save(tmp_path / "images/folder/a.png")
    Image.new("RGB", (8, 8), "blue").save(tmp_path / "outside/a.png")
    (tmp_path / "secret.png").write_bytes((tmp_path / "outside/a.png").read_bytes())
    return ImageKit(source_dirs=[tmp_path / "images"], location=tmp_path / "output", state_dir=tmp_path / "state")


def colour(data: bytes) -> tuple[int, ...]:
    with Image.open(BytesIO(data)) as image:
        pixel = image.convert("RGB").getpixel((4, 4))
    assert isinstance(pixel, tuple)
    return tuple(map(int, pixel))


PATHS = [
    "../secret.png", "folder/../../secret.png", "/etc/passwd", "//etc/passwd", "..", ".", "./../secret.png",
    "..\\secret.png", "folder\\..\\..\\secret.png", "C:\\secret.png", "c:secret.png", "\\\\host\\share\\a.png",
    "file:///etc/passwd", "folder/a.png/../../../secret.png", "%2e%2e/secret.png", "..%2fsecret.png", "a\0.png",
    "folder/\0", "~/secret.png", "~root/.profile", "$HOME/a.png", "folder//../..//secret.png", "CON", "NUL.png",
    "folder/a.png:stream", "…/secret.png", "\uff0e\uff0e/secret.png", "folder/" + "../" * 40 + "etc/passwd",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_a_path_that_leads_out(kit: ImageKit, tmp_path: Path, path: str) -> None:
    """As a source of a tag it is an error of the source, whether such a file exists or not; nothing is written."""
    template = kit.install(Environment(autoescape=True)).from_string("{% thumbnail '8x8' source %}")
    with pytest.raises(SourceError):
        template.render(source=path)
    assert not (tmp_path / "output").exists()


@posix
@pytest.mark.parametrize("what", ["the folder", "the file"])
def test_links_that_are_exchanged_meanwhile(
    kit: ImageKit, tmp_path: Path, what: str, rounds: Rounds, tally: Tally
) -> None:
    """A folder or file below the source folder turns into a link that leads out, and back, all the while."""
    inside = tmp_path / "images" / ("folder" if what == "the folder" else "folder/a.png")
    target = tmp_path / "outside" / ("" if what == "the folder" else "a.png")
    spare, link = tmp_path / "spare", tmp_path / "link"
    stop = threading.Event()

    def flip() -> None:
        while not stop.is_set():
            link.symlink_to(target)
            inside.rename(spare)
            link.rename(inside)
            inside.unlink()
            spare.rename(inside)
            # Long enough for some to be read.
            time.sleep(0.0003)

    thread = threading.Thread(target=flip)
    thread.start()
    opened = escapes = 0
    try:
        until = time.monotonic() + 20
        for number in count():
            # On a busy machine the other thread may rest in one state for all of them.
            if number >= rounds(300, 10_000) and (opened or time.monotonic() > until):
                break
            try:
                source = kit.source("folder/a.png")
                assert source is not None
                data = source.read()
                if number % 20 == 0:
                    data = kit.process(source, format="PNG").read()
            except ImageKitError:
                continue
            opened += 1
            escapes += colour(data) != (255, 0, 0)
    finally:
        stop.set()
        thread.join()
    tally(rounds(300, 10_000), f"opens while {what} is exchanged", read=opened, escapes=escapes)
    assert escapes == 0
    assert opened > 0


@posix
def test_cache_folders_that_are_exchanged_meanwhile(
    kit: ImageKit, tmp_path: Path, rounds: Rounds, tally: Tally
) -> None:
    """The folder of cache files turns into a link that leads out: nothing is written there, and nothing deleted."""
    folder, spare, link = tmp_path / "output/CACHE", tmp_path / "spare", tmp_path / "link"
    file = kit.cachefile("imagekit:thumbnail", source="folder/a.png", width=4)
    file.generate()
    (tmp_path / "outside/images").mkdir()
    decoy = tmp_path / "outside" / str(file.name).removeprefix("CACHE/")
    decoy.parent.mkdir(parents=True)
    decoy.write_text("somebody's")
    stop = threading.Event()

    def flip() -> None:
        while not stop.is_set():
            link.symlink_to(tmp_path / "outside")
            try:
                folder.rename(spare)
                link.rename(folder)
                time.sleep(0.001)
                folder.unlink()
                spare.rename(folder)
            except OSError:
                # The library has made the folder anew at the moment when it was not there.
                for path in (link, folder):
                    if path.is_symlink():
                        path.unlink()
                if spare.exists():
                    shutil.rmtree(folder, ignore_errors=True)
                    with suppress(OSError):
                        spare.rename(folder)

    thread = threading.Thread(target=flip)
    thread.start()
    count = rounds(150, 3_000)
    try:
        for number in range(count):
            try:
                file.generate(force=True)
                if number % 3 == 0:
                    file.delete()
            except ImageKitError:
                continue
    finally:
        stop.set()
        thread.join()
    tally(count, "writes while the cache's folder is exchanged", escapes=int(decoy.read_text() != "somebody's"))
    assert decoy.read_text() == "somebody's"
    assert [path.name for path in (tmp_path / "outside").rglob("*") if path.is_file()].count("a.png") == 1


@posix
def test_what_is_no_regular_file(kit: ImageKit, tmp_path: Path) -> None:
    """A pipe, a socket, a device and a folder are refused at once; a pipe is not waited for."""
    import socket

    folder = tmp_path / "images"
    os.mkfifo(folder / "pipe.png")
    (folder / "folder.png").mkdir()
    (folder / "device.png").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as server:
        here = os.getcwd()
        os.chdir(folder)
        try:
            server.bind("socket.png")
        finally:
            os.chdir(here)
        for name in ("pipe.png", "folder.png", "device.png", "socket.png"):
            begun = time.perf_counter()
            with pytest.raises(SourceError):
                kit.cachefile("imagekit:thumbnail", source=name, width=4).generate()
            assert time.perf_counter() - begun < 5


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=40).filter(
    lambda name: name.strip(". ") and len(name.encode()) < 200
)


@posix
@settings(
    max_examples=1_000 if FULL else 60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(NAMES)
@example('a"onerror=alert(1).png')
@example("<script>.png")
@example("a?b#c%20.png")
@example("%2e%2e.png")
@example("\u202egnp.a.png")
@example("e\u0301.png")
@example("-rf.png")
@example("a\nb.png")
@example("imagekit-tmp.png")
def test_names_of_files(kit: ImageKit, tmp_path: Path, name: str) -> None:
    """A file of whatever name is found, made and served under a URL that leads to it, and harms no page."""
    from urllib.parse import unquote

    path = tmp_path / "images" / name
    try:
        path.write_bytes(drawing.jpeg(16, 12))
    except OSError:
        return
    environment = kit.install(Environment(autoescape=True))
    try:
        html = environment.from_string("{% thumbnail '8x8' source -- alt=source %}").render(source=name)
    except SourceError:
        # Names that other systems cannot have are refused everywhere.
        return
    finally:
        path.unlink()
    assert html.count("<img") == html.count("<") == html.count(">") == 1
    url = html.partition('src="')[2].partition('"')[0].replace("&amp;", "&")
    assert (tmp_path / "output" / unquote(url).lstrip("/")).is_file()
