"""Pregeneration on threads: what is made, how often sources are read and decoded, and that the bytes are the same."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from core_site import BrokenCard, Chart, Site, Slow, Wide, photo_bytes, settled

import drawing
from jinja_imagekit import ImageSpec
from jinja_imagekit.exceptions import InvalidOption, NotRegistered
from jinja_imagekit.images import Original
from jinja_imagekit.pregenerate import GenerationInterrupted, Item, Outcome, make_plan, run_plan
from jinja_imagekit.processors import ResizeToFill, ResizeToFit
from jinja_imagekit.sourcegroups import GlobSourceGroup
from jinja_imagekit.sources import FileSource


class Medium(ImageSpec):
    """A spec whose sources the decoder may halve."""

    processors = (ResizeToFit(100, 75),)
    format = "JPEG"


class Small(ImageSpec):
    """A spec whose sources the decoder may shrink to an eighth."""

    processors = (ResizeToFill(20, 15),)
    format = "PNG"


class AlsoSmall(ImageSpec):
    """Another of the same scale."""

    processors = (ResizeToFit(20, 15),)
    format = "WEBP"


class Full(ImageSpec):
    """A spec that needs every pixel."""

    processors = (Slow(0),)
    format = "PNG"


class FullGrey(ImageSpec):
    """Another that does."""

    format = "JPEG"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Return a site with three photos and a group of them for the card."""
    site = Site(tmp_path)
    for number in range(3):
        site.write(f"photos/{number}.jpg", seed=number)
    site.kit.register.source_group("card", GlobSourceGroup("photos/*.jpg"))
    return site


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list to which each opening of a source adds its name."""
    opened: list[str] = []
    plain = FileSource.open

    def counted(self: FileSource) -> Any:
        opened.append(self.name)
        return plain(self)

    monkeypatch.setattr(FileSource, "open", counted)
    return opened


@pytest.fixture
def decodes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list to which each decoding adds its scale."""
    scales: list[int] = []
    plain = Original._decode

    def counted(self: Original, rules: Any, scale: int, animated: bool) -> Any:
        scales.append(scale)
        return plain(self, rules, scale, animated)

    monkeypatch.setattr(Original, "_decode", counted)
    return scales


def test_a_group_is_made_and_then_skipped(site: Site, reads: list[str]) -> None:
    """The first run makes all, the second opens no source, in this process and in a new one."""
    report = site.kit.generate()
    assert (len(report.generated), report.skipped, report.failed, report.ok, report.total) == (3, [], [], True, 3)
    assert sorted(reads) == ["photos/0.jpg", "photos/1.jpg", "photos/2.jpg"]
    outcome = next(each for each in report.generated if each.source == "photos/0.jpg")
    assert outcome.generator_id == "card"
    assert (outcome.width, outcome.height) == (24, 16)
    assert outcome.size == len(site.files()[str(outcome.name)])
    assert outcome.source_size == len(photo_bytes())
    assert outcome.seconds > 0
    reads.clear()
    site.kit.close()
    again = site.new_kit()
    again.register.source_group("card", GlobSourceGroup("photos/*.jpg"))
    for kit in (site.kit, again):
        report = kit.generate()
        assert (len(report.generated), len(report.skipped)) == (0, 3)
    assert not reads


def test_pages_open_nothing_after_a_pregeneration(site: Site, reads: list[str], decodes: list[int]) -> None:
    """A tag finds what was pregenerated, by the answer that the run kept for it."""
    site.kit.generate()
    reads.clear()
    decodes.clear()
    kit = site.new_kit()
    known = kit.known_files.find("card", {"source": "photos/0.jpg"})
    assert known
    assert kit.cachefile("card", source="photos/0.jpg").url == known.url
    assert not reads
    assert not decodes


def test_a_source_is_read_once_and_decoded_once_a_scale(tmp_path: Path, reads: list[str], decodes: list[int]) -> None:
    """However many specs use it: five specs, three scales, one reading."""
    site = Site(tmp_path)
    site.write("a.jpg", 320, 240)
    for spec in (Medium, Small, AlsoSmall, Full, FullGrey):
        site.kit.register.generator(spec.__name__, spec)
        site.kit.register.source_group(spec.__name__, GlobSourceGroup("*.jpg"))
    report = site.kit.generate(workers=2)
    assert (len(report.generated), report.failed) == (5, [])
    assert reads == ["a.jpg"]
    assert sorted(decodes) == [1, 2, 8]


def test_what_else_is_made_changes_no_byte(tmp_path: Path) -> None:
    """Just in time, alone, in a batch, forced, on one thread and on four: the same names and bytes."""
    special = {
        "photo.jpg": photo_bytes(320, 240),
        "turned.jpg": drawing.oriented(drawing.photo(160, 120), 6),
        "alpha.png": drawing.alpha_png(drawing.photo(80, 60)),
        "ball.gif": drawing.animated("GIF", drawing.frames(40, 30, 3), [100] * 3),
    }
    specs = (Medium, Small, AlsoSmall, FullGrey)

    def made(folder: str, use: Any) -> dict[str, bytes]:
        site = Site(tmp_path / folder)
        for name, content in special.items():
            settled(site.images / name, content)
        for spec in specs:
            site.kit.register.generator(spec.__name__, spec)
            site.kit.register.source_group(spec.__name__, GlobSourceGroup("*.*"))
        use(site.kit)
        return site.files()

    (tmp_path / "x").mkdir()
    for folder in ("jit", "alone", "one", "four", "force"):
        (tmp_path / folder).mkdir()
    calls = [(spec.__name__, name) for spec in specs for name in special]
    expected = made("jit", lambda kit: [kit.cachefile(id, source=name).url for id, name in calls])
    assert len(expected) == 16
    assert made("alone", lambda kit: [kit.generate(spec.__name__) for spec in reversed(specs)]) == expected
    assert made("one", lambda kit: kit.generate(workers=1)) == expected
    assert made("four", lambda kit: kit.generate(workers=4)) == expected
    assert made("force", lambda kit: [kit.generate(force=True) for _ in range(2)]) == expected


def test_force(site: Site) -> None:
    """What exists is made again, over the same names."""
    site.kit.generate()
    before = site.files()
    for name, content in before.items():
        (site.output / name).write_bytes(b"x" * len(content))
    assert len(site.kit.generate().skipped) == 3
    assert len(site.kit.generate(force=True).generated) == 3
    assert site.files() == before


def test_one_failure_does_not_keep_the_rest(site: Site) -> None:
    """The culprits are named with their reasons; a source that cannot be read fails for each of its files."""
    site.kit.register.generator("broken", BrokenCard)
    site.kit.register.source_group("broken", GlobSourceGroup("photos/0.jpg"))
    settled(site.images / "photos/bad.jpg", b"hello")
    settled(site.images / "photos/empty.jpg", b"")
    site.kit.register.cachefiles("card", [{"source": "photos/missing.jpg"}, {"source": "../out.jpg"}])
    report = site.kit.generate()
    assert not report.ok
    assert len(report.generated) == 3
    reasons = {(each.generator_id, each.source): each.reason for each in report.failed}
    assert "RuntimeError: the ink ran out" in reasons["broken", "photos/0.jpg"]
    assert "not an image of a readable format" in reasons["card", "photos/bad.jpg"]
    assert "empty" in reasons["card", "photos/empty.jpg"]
    assert "no such file" in reasons["card", "photos/missing.jpg"]
    assert "'..'" in reasons["card", "../out.jpg"]
    assert len(reasons) == 5
    settled(site.images / "photos/bad.jpg", photo_bytes(seed=9))
    assert [each.source for each in site.kit.generate("card").generated] == ["photos/bad.jpg"]


def test_a_repaired_generator_is_tried_at_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure that pages remember does not keep a pregeneration from trying."""
    site.kit.register.generator("broken", BrokenCard)
    site.kit.register.source_group("broken", GlobSourceGroup("photos/*.jpg"))
    assert len(site.kit.generate("broken").failed) == 3
    from core_site import Broken

    monkeypatch.setattr(Broken, "process", lambda self, image: image)
    assert len(site.kit.generate("broken").generated) == 3
    assert site.kit.cachefile("broken", source="photos/0.jpg").url


def test_patterns(site: Site) -> None:
    """Only what matches is made; what matches nothing is an error before anything is made."""
    site.kit.register.generator("blog:wide", Wide)
    site.kit.register.source_group("blog:wide", GlobSourceGroup("photos/*.jpg"))
    assert {each.generator_id for each in site.kit.generate("blog").generated} == {"blog:wide"}
    assert {each.generator_id for each in site.kit.generate(["c*", "blog"]).generated} == {"card"}
    with pytest.raises(NotRegistered, match=r"Did you mean 'card'"):
        site.kit.generate("crad")


def test_registrations(site: Site) -> None:
    """Keywords, cache files, and callables that return either; what is neither is an error."""
    site.kit.unregister.source_group("card", GlobSourceGroup("photos/*.jpg"))
    one = site.kit.cachefile("card", source="photos/0.jpg")
    by_hand = site.kit.cachefile_of(Wide(source=photo_bytes(seed=7)))
    listed = [one, by_hand, {"source": site.images / "photos/1.jpg"}]
    site.kit.register.cachefiles("card", lambda: listed)
    assert len(site.kit.generate().generated) == 3
    assert by_hand.width == 20
    listed.append("photos/2.jpg")
    with pytest.raises(InvalidOption, match=r"cache files or dicts of keywords"):
        site.kit.generate()


def test_a_registration_without_its_generator(site: Site) -> None:
    """A group whose generator is gone is an error that names it."""
    site.kit.register.source_group("hero", GlobSourceGroup("*.jpg"))
    with pytest.raises(NotRegistered, match=r"'hero'"):
        site.kit.generate()


def test_planning_makes_nothing(site: Site) -> None:
    """A plan with registered cache files leaves the making to the run."""
    from jinja_imagekit.pregenerate import registered_items

    site.kit.register.cachefiles("card", [site.kit.cachefile("card", source="photos/0.jpg")])
    plan = make_plan(site.kit, registered_items(site.kit))
    assert not site.files()
    assert plan.total == 4


class Group:
    """A source group of the caller's."""

    def __init__(self, *sources: Any) -> None:
        self.sources = sources

    def files(self) -> Any:
        """Yield the sources."""
        yield from self.sources


def test_a_custom_source_group(site: Site) -> None:
    """Any object with `files()`, of whatever a template may pass."""
    with (site.images / "photos/0.jpg").open("rb") as opened:
        sources = ["photos/1.jpg", site.images / "photos/2.jpg", opened, photo_bytes(seed=8)]
        site.kit.register.generator("wide", Wide)
        site.kit.register.source_group("wide", Group(*sources))
        report = site.kit.generate("wide")
        assert len(report.generated) == 4
        assert not opened.closed


def test_the_same_file_twice_is_made_once(site: Site) -> None:
    """Groups may overlap; every file that was asked for is accounted for."""
    site.kit.register.source_group("card", GlobSourceGroup("photos/0.*"))
    site.kit.register.cachefiles("card", [{"source": site.images / "photos/0.jpg"}, {"source": None}])
    seen: list[tuple[int, int]] = []
    report = site.kit.generate(on_progress=lambda outcome, done, total: seen.append((done, total)))
    assert len(report.generated) == 3
    assert report.total == 6
    assert seen == [(number, 6) for number in range(1, 7)]
    assert site.kit.generate().total == 6


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_two_names_of_one_file(site: Site) -> None:
    """A link within the source folder has a cache file of its own, as it has just in time."""
    (site.images / "photos/link.jpg").symlink_to("0.jpg")
    report = site.kit.generate()
    assert len(report.generated) == 4
    names = {each.source: each.name for each in report.generated}
    assert names["photos/link.jpg"] == site.new_kit().cachefile("card", source="photos/link.jpg").name
    assert names["photos/link.jpg"] != names["photos/0.jpg"]


def test_progress(site: Site) -> None:
    """It is told in the caller's thread, file by file, fresh ones first."""
    site.kit.cachefile("card", source="photos/1.jpg").generate()
    seen: list[tuple[str, int, int, int]] = []

    def note(outcome: Outcome, done: int, total: int) -> None:
        seen.append((outcome.status, done, total, threading.get_ident()))

    site.kit.generate(on_progress=note)
    me = threading.get_ident()
    assert seen == [("skipped", 1, 3, me), ("generated", 2, 3, me), ("generated", 3, 3, me)]


def test_a_callback_that_fails_ends_the_run(site: Site) -> None:
    """Its error reaches the caller, and no thread goes on."""

    def fail(outcome: Outcome, done: int, total: int) -> None:
        raise ValueError("enough")

    before = set(threading.enumerate())
    with pytest.raises(ValueError, match=r"enough"):
        site.kit.generate(on_progress=fail)
    time.sleep(0.05)
    assert not set(threading.enumerate()) - before


def _slow_spec(seconds: float, number: int) -> type[ImageSpec]:
    return type(
        f"Slow{number}", (ImageSpec,), {"processors": (Slow(seconds), ResizeToFit(9 + number)), "format": "PNG"}
    )


def test_a_slow_source_leaves_no_core_idle(tmp_path: Path) -> None:
    """The files of one source are shared out among the threads that have no source left."""
    site = Site(tmp_path)
    site.write("a.jpg")
    for number in range(6):
        site.kit.register.generator(f"slow{number}", _slow_spec(0.25, number))
        site.kit.register.source_group(f"slow{number}", GlobSourceGroup("a.jpg"))
    begun = time.perf_counter()
    report = site.kit.generate(workers=3)
    assert len(report.generated) == 6
    assert time.perf_counter() - begun < 1.2  # 6 × 0.25 s in turn are 1.5, and 0.5 on three threads


def test_heavy_sources_are_begun_first(tmp_path: Path) -> None:
    """So that the last thread at work has the lightest one."""
    site = Site(tmp_path)
    site.write("a.jpg", 30, 20)
    site.write("b.jpg", 320, 240)
    site.write("c.jpg", 120, 90)
    plan = make_plan(site.kit, [Item("card", {"source": name}) for name in ("a.jpg", "b.jpg", "c.jpg")])
    assert [work.source.name for work in plan.works if work.source] == ["b.jpg", "c.jpg", "a.jpg"]
    assert run_plan(site.kit, plan, workers=1).ok


def test_other_sources_wait_for_no_lock(site: Site) -> None:
    """A run beside pages that make the same images: each image is made once, and nobody waits for ever."""
    kit = site.kit
    names = [f"photos/{number}.jpg" for number in range(3)]

    def render() -> list[str]:
        return [kit.cachefile("card", source=name).url for name in names * 3]

    with ThreadPoolExecutor(5) as pool:
        pages = [pool.submit(render) for _ in range(4)]
        report = pool.submit(kit.generate).result(60)
        assert len({tuple(page.result(60)) for page in pages}) == 1
    assert report.total == 3
    assert len(site.files()) == 3


def test_ctrl_c(site: Site) -> None:
    """It stops within a second, says how far it got, and leaves no half file; the next run makes the rest."""
    for number in range(12):
        site.write(f"slow/{number}.jpg", seed=20 + number)
    site.kit.register.generator("slow", _slow_spec(0.2, 0))
    site.kit.register.source_group("slow", GlobSourceGroup("slow/*.jpg"))
    interrupted: list[float] = []

    def interrupt(outcome: Outcome, done: int, total: int) -> None:
        if done == 3:
            interrupted.append(time.perf_counter())
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(GenerationInterrupted) as caught:
        site.kit.generate("slow", workers=2, on_progress=interrupt)
    assert time.perf_counter() - interrupted[0] < 1
    assert isinstance(caught.value, KeyboardInterrupt)
    report = caught.value.report
    assert 3 <= len(report.generated) < 12
    assert set(site.files()) == {each.name for each in report.generated}
    rest = site.kit.generate("slow")
    assert len(rest.generated) + len(report.generated) == 12
    assert len(rest.skipped) == len(report.generated)


def test_generators_without_a_source(site: Site) -> None:
    """They are made as others are."""
    site.kit.register.generator("chart", Chart)
    site.kit.register.cachefiles("chart", [{"values": (1, 2)}, {"values": (3, 4)}])
    assert len(site.kit.generate("chart").generated) == 2
    assert len(site.kit.generate("chart").skipped) == 2


def test_an_image_of_an_image(site: Site) -> None:
    """A thumbnail of a hero is made with its hero, whichever comes first."""
    site.kit.register.cachefiles(
        "imagekit:thumbnail",
        lambda: [{"source": site.kit.cachefile("card", source="photos/0.jpg"), "width": 8}],
    )
    report = site.kit.generate("imagekit:thumbnail")
    assert [each.width for each in report.generated] == [8]
    assert len(site.files()) == 2


def test_an_empty_run() -> None:
    """A kit with nothing registered has nothing to make."""
    from jinja_imagekit import ImageKit

    report = ImageKit().generate()
    assert (report.total, report.ok) == (0, True)
    assert repr(report).startswith("<Report: 0 generated, 0 skipped, 0 failed in ")
    assert set(report.as_dict()) == {"seconds", "generated", "skipped", "failed", "warnings"}


def test_a_source_that_changes_is_made_again(site: Site, reads: list[str]) -> None:
    """Only the one that changed is read."""
    site.kit.generate()
    reads.clear()
    site.write("photos/1.jpg", seed=30)
    report = site.kit.generate()
    assert [each.source for each in report.generated] == ["photos/1.jpg"]
    assert reads == ["photos/1.jpg"]


def test_a_harmed_file_is_made_again(site: Site) -> None:
    """A deleted, a truncated and a foreign file."""
    report = site.kit.generate()
    before = site.files()
    deleted, truncated, foreign = (site.output / str(each.name) for each in report.generated)
    deleted.unlink()
    os.truncate(truncated, 10)
    foreign.write_bytes(b"foreign")
    assert len(site.kit.generate().generated) == 3
    assert site.files() == before
