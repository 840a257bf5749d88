"""Nothing is done that need not be: what a run imports, asks the state, reads and decodes."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import textwrap
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment

import drawing
from jinja_imagekit import ImageKit, images
from jinja_imagekit.images import Frames, Layout, Original
from jinja_imagekit.images.formats.jpeg import Jpeg
from jinja_imagekit.pregenerate import Plan, make_plan, registered_items
from jinja_imagekit.processors import ResizeToFill, ResizeToFit
from jinja_imagekit.sourcegroups import GlobSourceGroup
from jinja_imagekit.state import MemoryStore
from jinja_imagekit.state.database import Database

ROOT = Path(__file__).resolve().parent.parent

SITE = """
    from jinja_imagekit import ImageKit, ImageSpec
    from jinja_imagekit.processors import ResizeToFill
    from jinja_imagekit.sourcegroups import GlobSourceGroup

    kit = ImageKit(source_dirs=["photos"], location="out", state_dir="state")

    @kit.register.generator("blog:card")
    class Card(ImageSpec):
        processors = [ResizeToFill(32, 24)]
        format = "JPEG"

    kit.register.source_group("blog:card", GlobSourceGroup("*.jpg"))
"""

NOTHING_TO_DO = """
    import sys
    before = set(sys.modules)
    from jinja_imagekit.cli import command_line
    command_line().main(["--kit", "mysite:kit", "generate", "-q"], standalone_mode=False)
    print(*set(sys.modules) - before)
"""

A_PAGE = """
    import sys
    from jinja2 import Environment
    before = set(sys.modules)
    from jinja_imagekit import ImageKit
    kit = ImageKit(source_dirs=["photos"], location="out", state_dir="state")
    page = "{% thumbnail '32x24' 'canal.jpg' %}{{ 'canal.jpg' | thumbnail('16x') }}"
    html = kit.install(Environment()).from_string(page).render()
    assert html.count("<img ") == 2
    print(*set(sys.modules) - before)
"""

PACKAGES = {"PIL", "blake3", "click", "jinja_imagekit", "markupsafe", "mysite", "pilkit"}
"""What such a run may import beside the standard library: no Jinja, no diskcache, no filelock."""

PARTS = {
    "atomic_files",
    "builds",
    "builds.finish",
    "builds.journal",
    "builds.notes",
    "cachefiles",
    "cachefiles.backends",
    "cachefiles.file",
    "cachefiles.known",
    "cachefiles.namers",
    "cachefiles.references",
    "cachefiles.removal",
    "cachefiles.sources",
    "cachefiles.strategies",
    "cachefiles.warm",
    "cli",
    "cli.command",
    "cli.finding",
    "cli.sites",
    "cli.subcommands",
    "exceptions",
    "generatorlibrary",
    "hashing",
    "html",
    "images",
    "images.colour",
    "images.frames",
    "images.names",
    "images.primaries",
    "images.rules",
    "interfaces",
    "json_output",
    "kit",
    "large",
    "lazily",
    "listing",
    "loading",
    "memory",
    "no_links",
    "once",
    "pages",
    "pregenerate",
    "pregenerate.making",
    "pregenerate.plan",
    "pregenerate.progress",
    "pregenerate.report",
    "pregenerate.run",
    "processors",
    "processors.arguments",
    "processors.crop",
    "processors.effects",
    "processors.fast",
    "processors.modes",
    "processors.overlay",
    "processors.pipeline",
    "processors.resampling",
    "processors.resize",
    "processors.thumbnail",
    "recipes",
    "registry",
    "settings",
    "sourcegroups",
    "sources",
    "sources.base",
    "sources.finder",
    "sources.hints",
    "sources.names",
    "sources.posters",
    "sources.remembered",
    "specs",
    "state",
    "state.database",
    "state.disk",
    "state.files",
    "state.kernel_locks",
    "state.locks",
    "state.memory",
    "state.read_ahead",
    "state.records",
    "storages",
    "storages.folder",
    "time_limits",
    "wording",
}
"""This library's modules that it may import: no format, no picture, no tag."""

SLOW = {
    *("asyncio", "concurrent", "ctypes", "multiprocessing", "random", "socket", "ssl", "subprocess", "tempfile", "xml"),
}
"""Parts of the standard library that take long to import, and that it does without."""


def test_a_run_with_nothing_to_do_imports_what_it_uses(tmp_path: Path) -> None:
    """The command starts, finds all images fresh, and has imported no decoder, template engine or database library."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "canal.jpg").write_bytes(drawing.jpeg(64, 48, 1))
    (tmp_path / "mysite.py").write_text(textwrap.dedent(SITE), encoding="utf-8")
    # A file that has just changed may change again within the same tick.
    os.utime(tmp_path / "photos" / "canal.jpg", (1_000_000_000, 1_000_000_000))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(NOTHING_TO_DO)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
    imported = set(done.stdout.split())
    ours = {name.removeprefix("jinja_imagekit.") for name in imported if name.startswith("jinja_imagekit.")}
    assert ours - PARTS == set()
    tops = {name.partition(".")[0] for name in imported}
    assert tops - PACKAGES - set(sys.stdlib_module_names) == set()
    assert tops & SLOW == set()
    of_pillow = [name for name in imported if name.startswith("PIL.")]
    assert not [name for name in of_pillow if name.endswith(("Plugin", "ImageCms", "ImageMath", "ImageOps"))]


def test_a_page_with_nothing_to_make_imports_no_decoder(tmp_path: Path) -> None:
    """The first page of a server finds its images in the state, and has imported neither a format nor asyncio."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "canal.jpg").write_bytes(drawing.jpeg(64, 48, 1))
    os.utime(tmp_path / "photos" / "canal.jpg", (1_000_000_000, 1_000_000_000))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-c", textwrap.dedent(A_PAGE)]
    runs = [
        subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    cold, warm = ({*run.stdout.split()} for run in runs)
    assert "jinja_imagekit.images.formats" in cold
    assert not {name for name in warm if name.startswith("jinja_imagekit.images.formats") or name.endswith("Plugin")}
    assert warm & {"asyncio", "concurrent", "diskcache", "multiprocessing", "ssl", "xml"} == set()


class CountingStore(MemoryStore):
    """A store that counts how often it is asked."""

    asked = 0

    def get(self, key: str) -> str | None:
        self.asked += 1
        return super().get(key)

    def get_many(self, keys: Iterable[str]) -> dict[str, str]:
        self.asked += 1
        # Not by way of `get`, which counts too.
        values = ((key, MemoryStore.get(self, key)) for key in keys)
        return {key: value for key, value in values if value is not None}


def draw(folder: Path, count: int) -> None:
    """Draw photos that were changed long ago."""
    folder.mkdir(exist_ok=True)
    for number in range(count):
        path = folder / f"{number:03}.jpg"
        path.write_bytes(drawing.jpeg(64, 48, number))
        os.utime(path, (1_000_000_000, 1_000_000_000))
    # A file that has just changed may change again within the same tick.
    time.sleep(0.03)


def stats_of(folder: Path, work: Callable[[], object]) -> Counter[str]:
    """Return how often each path below a folder is looked at while something is done."""
    seen: Counter[str] = Counter()
    real = os.stat

    def watch(path: Any, *arguments: Any, **keywords: Any) -> os.stat_result:
        if str(path).startswith(str(folder)):
            seen[str(path)] += 1
        return real(path, *arguments, **keywords)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "stat", watch)
        work()
    return seen


def test_a_plan_asks_the_state_once_and_looks_at_each_source_once(tmp_path: Path) -> None:
    """Thirty fresh images of ten sources take one question, and one stat of each source."""
    store = CountingStore()
    draw(tmp_path / "photos", 10)
    kit = ImageKit(
        source_dirs=[tmp_path / "photos"], location=tmp_path / "out", state_dir=tmp_path / "state", state_store=store
    )
    for number in range(3):
        kit.spec(f"blog:{number}", processors=[ResizeToFill(20 + number, 10)], format="JPEG")
        kit.register.source_group(f"blog:{number}", GlobSourceGroup("*.jpg"))
    assert len(kit.generate().generated) == 30
    again = ImageKit(kit.settings, generators=[kit.generators])
    for number in range(3):
        again.register.source_group(f"blog:{number}", GlobSourceGroup("*.jpg"))
    store.asked = 0
    plan = Plan()
    seen = stats_of(tmp_path / "photos", lambda: make_plan(again, registered_items(again), plan=plan))
    assert [outcome.status for outcome in plan.outcomes] == ["skipped"] * 30
    assert plan.works == []
    assert store.asked == 1
    assert len(seen) == 10
    assert set(seen.values()) == {1}


def test_a_photo_is_walked_once_and_recorded_in_one_transaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five photos in three sizes: five headers, five transactions, and another one for what is known of the photos."""
    draw(tmp_path / "photos", 5)
    kit = ImageKit(source_dirs=[tmp_path / "photos"], location=tmp_path / "out", state_dir=tmp_path / "state")
    for size in (16, 24, 32):
        kit.spec(f"blog:{size}", processors=[ResizeToFill(size, size)], format="PNG")
        kit.register.source_group(f"blog:{size}", GlobSourceGroup("*.jpg"))
    walked, written = Counter[bytes](), 0
    layout, write = Jpeg.layout, Database.write

    def walk(format: Jpeg, data: bytes) -> Layout:
        walked[data] += 1
        return layout(format, data)

    def transact(database: Database, work: Callable[[Any], Any]) -> Any:
        nonlocal written
        written += 1
        return write(database, work)

    monkeypatch.setattr(Jpeg, "layout", walk)
    monkeypatch.setattr(Database, "write", transact)
    assert len(kit.generate(workers=2).generated) == 15
    assert sorted(walked.values()) == [1] * 5
    assert written == 6


def test_encoders_do_not_work_beside_the_decoded_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture's sizes are all made, of one decoding, before the first is encoded; then the whole is let go."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/canal.jpg").write_bytes(drawing.jpeg(333, 251))
    kit = ImageKit(source_dirs=[tmp_path / "photos"], location=tmp_path / "out", state_dir=tmp_path / "state")
    for width in (200, 250):
        for format in ("PNG", "WEBP"):
            kit.spec(f"blog:{width}{format}", processors=[ResizeToFit(width)], format=format)
            kit.register.source_group(f"blog:{width}{format}", GlobSourceGroup("*.jpg"))
    decoded: list[Any] = []
    alive = []
    frames, encode = Original.frames, images.encode

    def decode(original: Original, *arguments: Any, **keywords: Any) -> Frames:
        found = frames(original, *arguments, **keywords)
        decoded.append(weakref.ref(found.images[0]))
        return found

    def encode_and_look(*arguments: Any, **keywords: Any) -> bytes:
        alive.append([image() for image in decoded if image() is not None])
        return encode(*arguments, **keywords)

    monkeypatch.setattr(Original, "frames", decode)
    monkeypatch.setattr(images, "encode", encode_and_look)
    assert len(kit.generate(workers=1).generated) == 4
    assert len(decoded) == 2, "of one image, for each size"
    assert alive == [[]] * 4


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps memory so")
def test_memory_that_is_pinned_down_is_returned() -> None:
    """What lies free between pieces that are in use goes back to the system."""
    code = """
        import os
        from jinja_imagekit.memory import return_memory

        def resident():
            with open("/proc/self/statm") as file:
                return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

        pieces = [bytes(100_000) for _ in range(600)]
        del pieces[:-1]
        kept = resident()
        return_memory()
        print(kept - resident())
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    returned = int(subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout)
    assert returned > 40_000_000


def test_the_first_page_of_a_process_reads_the_state_ahead(tmp_path: Path) -> None:
    """A page of a hundred known images opens the database once, and asks it a few times."""
    draw(tmp_path / "photos", 100)
    settings = {"source_dirs": [tmp_path / "photos"], "location": tmp_path / "out", "state_dir": tmp_path / "state"}
    page = "{% for photo in photos %}{% thumbnail '8x6' photo %}{% endfor %}"
    names = [f"{number:03}.jpg" for number in range(100)]

    def render() -> str:
        kit = ImageKit(**settings)
        html = kit.install(Environment()).from_string(page).render(photos=names)
        kit.close()
        return html

    made = render()
    questions = 0
    real = Database.following

    def watch(database: Database, *arguments: Any) -> dict[str, str]:
        nonlocal questions
        questions += 1
        return real(database, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Database, "following", watch)
        assert render() == made
    assert questions <= 10


def test_what_was_written_again_after_it_was_read_ahead_is_found(tmp_path: Path) -> None:
    """A process that has read ahead finds what another has made meanwhile of a source that was replaced."""
    draw(tmp_path / "photos", 9)
    settings = {"source_dirs": [tmp_path / "photos"], "location": tmp_path / "out", "state_dir": tmp_path / "state"}
    page = "{% for photo in photos %}{% thumbnail '8x6' photo %}{% endfor %}"
    names = [f"{number:03}.jpg" for number in range(9)]
    kits = [ImageKit(**settings) for _ in range(3)]
    first, second, third = (kit.install(Environment()).from_string(page) for kit in kits)
    first.render(photos=names)
    second.render(photos=names[:3])
    (tmp_path / "photos" / "003.jpg").write_bytes(drawing.jpeg(80, 60, 99))
    os.utime(tmp_path / "photos" / "003.jpg", (1_100_000_000, 1_100_000_000))
    time.sleep(0.03)
    made = third.render(photos=names)
    assert second.render(photos=names) == made
    for kit in kits:
        kit.close()
