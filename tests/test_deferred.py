"""The deferred strategy: pages get their answers while they render, and `finish()` makes the images."""

from __future__ import annotations

import io
import json
import logging
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from core_site import Site, photo_bytes, settled
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from jinja2 import DictLoader, Environment
from PIL import Image
from test_processors_sizes import others, resizers

import drawing
from jinja_imagekit.cachefiles.references import Reference, keywords_of, reference_to
from jinja_imagekit.cachefiles.strategies import Deferred, JustInTime, Optimistic
from jinja_imagekit.exceptions import ImageTooLarge, InvalidOption, SourceNotFound, UnreadableImage
from jinja_imagekit.kit import ImageKit
from jinja_imagekit.pregenerate import GenerationInterrupted
from jinja_imagekit.processors import AddBorder, Adjust, ResizeToFill, ResizeToFit, Thumbnail, TrimBorderColor
from jinja_imagekit.specs import ImageSpec
from jinja_imagekit.state import MemoryStore

DEFERRED = "jinja_imagekit.cachefiles.strategies.Deferred"
MakeKit = Callable[..., ImageKit]


class Negative:
    """A processor that does not say what it does to the size."""

    def process(self, image: Image.Image) -> Image.Image:
        return Image.eval(image.convert("RGB"), lambda value: 255 - value)


class Braggart:
    """A processor that says something wrong about the size."""

    def output_size(self, size: tuple[int, int]) -> tuple[int, int]:
        return size[0] * 2, size[1]

    def process(self, image: Image.Image) -> Image.Image:
        return image


class Broken:
    """A processor that keeps the size, and fails."""

    def output_size(self, size: tuple[int, int]) -> tuple[int, int]:
        return size

    def process(self, image: Image.Image) -> Image.Image:
        raise RuntimeError("out of paint")


class Solid:
    """A generator without a source."""

    def __init__(self, color: str = "red") -> None:
        self.color = color

    def generate(self) -> Any:
        stream = io.BytesIO()
        Image.new("RGB", (30, 20), self.color).save(stream, "PNG")
        stream.seek(0)
        return stream


@pytest.fixture
def make_kit(tmp_path: Path, write_photo: Any) -> MakeKit:
    """Return a function that makes a kit with some specs, over two photos: as a new process would make it."""
    write_photo("photo.jpg", 320, 240, seed=1)
    write_photo("tall.jpg", 240, 320, seed=2)

    def make(strategy: Any = DEFERRED, **values: Any) -> ImageKit:
        kit = ImageKit(
            source_dirs=[tmp_path / "images"],
            location=tmp_path / "cache",
            state_dir=tmp_path / "state",
            default_cachefile_strategy=strategy,
            **values,
        )
        kit.spec("blog:hero", processors=[ResizeToFill(200, 60)], format="WEBP")
        kit.spec("blog:card", processors=[ResizeToFit(90, 90)])
        kit.spec("blog:trimmed", processors=[TrimBorderColor()], format="PNG")
        kit.spec("blog:negative", processors=[Negative()])
        kit.spec("blog:broken", processors=[Broken()])
        kit.spec("blog:boast", processors=[Braggart()])
        kit.register.generator("blog:solid", Solid)
        return kit

    return make


def render(kit: ImageKit, source: str, **context: Any) -> str:
    return kit.install(Environment(autoescape=True)).from_string(source).render(**context)


def made(kit: ImageKit) -> list[str]:
    return list(kit.storage.names())


def contents(kit: ImageKit) -> dict[str, bytes]:
    return {name: Path(str(kit.storage.path(name))).read_bytes() for name in made(kit)}


def size_of(kit: ImageKit, name: str | None) -> tuple[int, int]:
    with Image.open(str(kit.storage.path(str(name)))) as image:
        return image.size


PAGE = """
{% generateimage 'blog:hero' source='photo.jpg' -- alt='' %}
{% generateimage 'blog:card' source='tall.jpg' as card %}{{ card }} {{ card.format }} {{ card.mimetype }}
{% thumbnail '50x50' 'photo.jpg' srcset='2' -- alt='' %}
{{ 'tall.jpg' | thumbnail('40x') }}
"""


def test_a_page_is_rendered_without_making_anything(make_kit: MakeKit) -> None:
    """URLs, widths, heights and formats are in the page; no image is written until `finish()`."""
    kit = make_kit()
    page = render(kit, PAGE)
    assert made(kit) == []
    assert 'width="200" height="60"' in page
    assert 'width="68" height="90"' in page
    assert "JPEG image/jpeg" in page
    assert 'width="40" height="53"' in page
    report = kit.finish()
    assert (len(report.generated), report.skipped, report.failed) == (5, [], [])
    urls = re.findall(r"/CACHE/[^\" ]+", page)
    assert len(set(urls)) == 5
    assert sorted({url.lstrip("/") for url in urls}) == made(kit)


class CountingStore(MemoryStore):
    """A state store that counts what is asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def get(self, key: str) -> str | None:
        """Return the value, and note that it was asked for."""
        self.asked.append(key)
        return super().get(key)


def test_a_page_asks_the_store_about_an_image_when_it_is_new(make_kit: MakeKit, write_photo: Any) -> None:
    """Or when its source or its generator is another: then there is another answer, and an image for each."""
    store = CountingStore()
    kit = make_kit(state_store=store)
    # What was changed just now may change again within the same tick of the clock, and is not remembered yet.
    time.sleep(0.03)
    page = kit.install(Environment()).from_string(
        "{% thumbnail '30x20' 'photo.jpg' %} {% generateimage 'blog:card' source='photo.jpg' as card %}"
        "{{ card.url }} {{ card.width }} {{ card.height }} {{ 'photo.jpg' | thumbnail('x9') }}"
        "{% picture '40x' 'photo.jpg' -- alt='' %}"
    )
    first = page.render()
    known = {key.split(":")[1] for key in store.asked}
    assert known <= {"known", "source"}
    # A filter's image that is not known yet is asked for as it is looked up, seen and written.
    assert max(Counter(store.asked).values()) <= 3
    store.asked.clear()
    assert page.render() == first
    assert store.asked == []
    kit.generators.register("blog:card", ImageSpec, override=True)
    assert page.render() != first
    write_photo("photo.jpg", 320, 240, seed=5)
    time.sleep(0.03)
    changed = page.render()
    assert not set(re.findall(r"[0-9a-f]{32}", changed)) & set(re.findall(r"[0-9a-f]{32}", first))
    report = kit.finish()
    made_now = {str(outcome.name) for outcome in report.generated}
    assert set(re.findall(r"CACHE/images/photo/[0-9a-f]{32}\.\w+", changed)) <= made_now
    store.asked.clear()
    assert page.render() == changed
    assert store.asked == []


def test_the_page_and_the_images_are_those_of_just_in_time(make_kit: MakeKit) -> None:
    """Deferring changes when an image is made, not one byte of the page or of the image."""
    kit = make_kit()
    page = render(kit, PAGE)
    kit.finish()
    deferred = contents(kit)
    for name in deferred:
        kit.storage.delete(name)
    just_in_time = make_kit(JustInTime)
    assert render(just_in_time, PAGE) == page
    assert contents(kit) == deferred


def test_a_second_render_finds_all_made(make_kit: MakeKit) -> None:
    """Nothing is made, and what the page needs is noted again, in this process and in a new one."""
    kit = make_kit()
    page = render(kit, PAGE)
    kit.finish()
    for again in (kit, make_kit()):
        assert render(again, PAGE) == page
        assert len(again.renders.noted) == 5
        assert (len(again.finish().skipped), len(again.renders.last() or ())) == (5, 5)


@pytest.mark.parametrize("id", ["blog:trimmed", "blog:negative", "blog:solid"])
def test_what_cannot_tell_its_size_is_made_at_once(make_kit: MakeKit, id: str) -> None:
    """A custom processor, one that looks at the pixels, and a generator that is not a spec."""
    kit = make_kit()
    kwargs = {} if id == "blog:solid" else {"source": "photo.jpg"}
    file = kit.cachefile(id, **kwargs)
    assert file.url
    assert made(kit) == []
    assert (file.width, file.height) == size_of(kit, file.name)
    assert len(kit.finish().skipped) == 1


def test_what_only_the_content_tells_makes_the_file(make_kit: MakeKit) -> None:
    """The size in bytes, `read()` and `open()`."""
    kit = make_kit()
    files = [kit.cachefile("blog:card", source="photo.jpg"), kit.cachefile("blog:hero", source="photo.jpg")]
    assert files[0].size == len(files[0].read())
    with files[1].open() as opened:
        assert Image.open(opened).size == (200, 60)
    assert len(made(kit)) == 2


def test_content_in_a_page_is_needed_but_not_served(make_kit: MakeKit, tmp_path: Path) -> None:
    """What a page holds as a data URI is kept by a prune, and not published."""
    kit = make_kit()
    file = kit.cachefile("blog:card", source="photo.jpg")
    file.read()
    kit.finish()
    assert kit.prune().removed == []
    assert kit.publish(tmp_path / "site").put == []


def test_an_upload_is_made_at_once(make_kit: MakeKit) -> None:
    """It will be gone when the render ends."""
    kit = make_kit()
    file = kit.cachefile("blog:hero", source=drawing.jpeg(300, 200, 3))
    assert file.url
    assert len(made(kit)) == 1
    report = kit.finish()
    assert report.total == 0
    assert file.name in json.loads(kit.renders.path.read_text())["files"]


def test_a_generator_that_is_registered_nowhere_is_made_at_once(make_kit: MakeKit, images_dir: Path) -> None:
    """Nothing would lead to it later."""
    kit = make_kit()
    spec = ImageSpec(images_dir / "photo.jpg")
    spec.processors = (ResizeToFit(30, 30),)
    file = kit.cachefile_of(spec)
    assert file.url
    assert (file.width, file.format) == (30, "JPEG")
    assert made(kit) == [file.name]


@pytest.mark.parametrize("cap", [{"max_frames": 3}, {"max_source_pixels": 1_000}, {"max_result_pixels": 100}])
def test_an_animation_beyond_a_cap_fails_while_its_page_is_rendered(
    make_kit: MakeKit, tmp_path: Path, cap: dict[str, int]
) -> None:
    """All of its frames count, where the result moves as well; of a still, only one is decoded."""
    frames = [drawing.photo(16, 16, seed) for seed in range(4)]
    frames[0].save(tmp_path / "images/moving.gif", save_all=True, append_images=frames[1:], duration=100)
    kit = make_kit(**cap)
    with pytest.raises(ImageTooLarge, match=next(iter(cap))):
        render(kit, "{% thumbnail '9x9' 'moving.gif' %}")
    assert "<img" in render(kit, "{% thumbnail '9x9' 'moving.gif' format='JPEG' %}")
    assert kit.finish().ok


def test_a_deferred_file_is_true(make_kit: MakeKit) -> None:
    """`{% if card %}` shows it, though it has yet to be made; without a source it is false."""
    kit = make_kit()
    assert kit.cachefile("blog:card", source="photo.jpg")
    assert not kit.cachefile("blog:card", source=None)
    assert made(kit) == []


def test_a_thumbnail_of_a_hero_survives(make_kit: MakeKit) -> None:
    """Neither is made while the page renders; both can be made again from renders.json, by another process."""
    kit = make_kit()
    template = "{% generateimage 'blog:hero' source='photo.jpg' as hero %}{% thumbnail '30x30' hero -- alt='' %}"
    page = render(kit, template)
    assert made(kit) == []
    assert 'width="30" height="30"' in page
    assert page.count(".webp") == 1
    assert kit.finish().ok
    names = made(kit)
    assert len(names) == 2
    for name in names:
        kit.storage.delete(name)
    report = make_kit().generate()
    # The hero is needed by the thumbnail, and not by the page.
    assert (report.ok, report.total) == (True, 1)
    assert made(kit) == names


def test_a_path_and_an_open_file_are_remade(make_kit: MakeKit, images_dir: Path) -> None:
    """Below the source folders they have a name, by which another process finds them."""
    kit = make_kit()
    with (images_dir / "tall.jpg").open("rb") as opened:
        files = [
            kit.cachefile("blog:card", source=images_dir / "photo.jpg"),
            kit.cachefile("blog:card", source=opened),
        ]
        assert [file.width for file in files] == [90, 68]
        assert all(file.url for file in files)
    assert made(kit) == []
    assert len(kit.finish().generated) == 2
    entries = json.loads(kit.renders.path.read_text())["files"].values()
    assert sorted(entry["kwargs"]["source"] for entry in entries) == ["photo.jpg", "tall.jpg"]


def test_a_path_outside_the_source_folders_is_made_by_finish_alone(make_kit: MakeKit, tmp_path: Path) -> None:
    """What is read from renders.json could have been forged, so it holds no path that leads out."""
    kit = make_kit()
    (tmp_path / "secret.jpg").write_bytes(drawing.jpeg(90, 60, 4))
    file = kit.cachefile("blog:hero", source=tmp_path / "secret.jpg")
    nested = kit.cachefile("blog:card", source=file)
    assert file.url
    assert nested.url
    assert made(kit) == []
    report = kit.finish()
    assert (report.ok, report.total, len(made(kit))) == (True, 2, 2)
    assert "secret.jpg" not in kit.renders.path.read_text()
    assert make_kit().generate().total == 0


def test_a_name_that_another_folder_hides_is_not_kept_for_a_path(tmp_path: Path, images_dir: Path) -> None:
    """The path leads to the second folder's file, the name to the first's."""
    second = tmp_path / "second"
    second.mkdir()
    for folder, seed in ((images_dir, 1), (second, 2)):
        (folder / "a.jpg").write_bytes(drawing.jpeg(60, 40, seed))
    kit = ImageKit(
        source_dirs=[images_dir, second],
        location=tmp_path / "cache",
        state_dir=tmp_path / "state",
        default_cachefile_strategy=Deferred,
    )
    assert kit.cachefile("imagekit:thumbnail", source=second / "a.jpg", width=20).url
    assert len(kit.finish().generated) == 1
    assert list(json.loads(kit.renders.path.read_text())["files"].values()) == [{}]


@pytest.mark.parametrize("path", ["/etc/hostname", "../secret.jpg"])
def test_a_forged_record_reads_nothing_outside_the_source_folders(
    make_kit: MakeKit, tmp_path: Path, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither as a path, which is refused, nor as a name, which is looked up as a template's is."""
    (tmp_path / "secret.jpg").write_bytes(drawing.jpeg(90, 60, 4))
    kit = make_kit()
    kit.renders.path.parent.mkdir(exist_ok=True)
    for source in (
        {"path": str(tmp_path / "secret.jpg")},
        {"cachefile": ["blog:hero", {"source": {"path": path}}]},
        path,
    ):
        files = {"CACHE/images/x.webp": {"generator": "blog:hero", "kwargs": {"source": source}}}
        kit.renders.path.write_text(json.dumps({"version": 1, "files": files}))
        report = kit.generate()
        assert report.generated == []
        assert made(kit) == []


def test_generate_remakes_what_was_rendered(make_kit: MakeKit) -> None:
    """Of the ids that match, without rendering, beside what is registered; nothing is listed twice."""
    kit = make_kit()
    render(kit, PAGE)
    kit.finish()
    names = made(kit)
    for name in names:
        kit.storage.delete(name)
    kit = make_kit()
    kit.register.cachefiles("blog:hero", [{"source": "photo.jpg"}, {"source": "tall.jpg"}])
    assert [each.generator_id for each in kit.generate("blog:card").generated] == ["blog:card"]
    report = kit.generate()
    assert (len(report.generated), len(report.skipped)) == (5, 1)
    assert set(names) < set(made(kit))
    assert len(kit.generate().skipped) == 6


def test_generate_passes_over_what_is_gone(make_kit: MakeKit, images_dir: Path) -> None:
    """A photo or a generator that was removed with its page is not a failure."""
    kit = make_kit()
    render(kit, PAGE)
    kit.finish()
    (images_dir / "tall.jpg").unlink()
    again = make_kit()
    again.unregister.generator("blog:hero")
    report = again.generate()
    assert report.ok
    assert len(report.skipped) == 2


@pytest.mark.parametrize("loss", ["a generator", "keywords"])
def test_generate_and_the_doctor_name_what_nothing_makes_any_more(make_kit: MakeKit, loss: str) -> None:
    """A page's missing image is a failure, and no repair, where its generator or its record has been lost."""
    kit = make_kit()
    render(kit, PAGE)
    kit.finish()
    heroes = [name for name, note in (kit.renders.last() or {}).items() if "'blog:hero'" in str(note)]
    for name in heroes:
        kit.storage.delete(name)
    if loss == "keywords":
        text = kit.renders.path.read_text()
        start = '"generator":"blog:hero","kwargs":{'
        assert start in text
        kit.renders.path.write_text(text.replace(start, start + '"size":{"a":1},'))
    for fix in (False, True, False):
        again = make_kit()
        if loss == "a generator":
            again.unregister.generator("blog:hero")
        report = again.generate()
        assert {each.name for each in report.failed} == set(heroes)
        assert "render again" in report.failed[0].reason
        assert again.generate("blog:card").ok
        found = [each for each in again.doctor(fix=fix) if each.kind == "failed"]
        assert len(found) == len(heroes)
        assert not any(each.fixed for each in found)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 99, "files": {}}', '{"version": 1, "files": {"a": 3}}'])
def test_generate_goes_on_without_a_damaged_record(
    make_kit: MakeKit, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It says so, and makes what is registered."""
    kit = make_kit()
    kit.register.cachefiles("blog:hero", [{"source": "photo.jpg"}])
    kit.renders.path.parent.mkdir(exist_ok=True)
    kit.renders.path.write_text(text)
    with caplog.at_level(logging.WARNING):
        assert len(kit.generate().generated) == 1
    assert "damaged" in caplog.text


def test_two_finishes_in_a_row_keep_the_render(make_kit: MakeKit) -> None:
    """The second has nothing to say, and forgets nothing; a first one of a render without images does."""
    kit = make_kit()
    render(kit, PAGE)
    kit.finish()
    before = kit.renders.path.read_text()
    assert kit.finish().total == 0
    assert kit.renders.path.read_text() == before
    make_kit().finish()
    assert make_kit().renders.last() == {}


def test_renders_json_is_sorted_and_the_same_each_time(make_kit: MakeKit) -> None:
    """Whatever the order of the pages."""
    first, second = make_kit(), make_kit()
    names = ("photo.jpg", "tall.jpg")
    for kit, order in ((first, names), (second, names[::-1])):
        for name in order:
            assert kit.cachefile("blog:hero", source=name).url
    first.finish()
    text = first.renders.path.read_text()
    second.finish()
    assert second.renders.path.read_text() == text
    keys = list(json.loads(text)["files"])
    assert keys == sorted(keys)


def test_every_strategy_notes_what_pages_need(make_kit: MakeKit) -> None:
    """Made just in time or taken for granted: the record is the same."""
    needed = []
    for strategy in (Deferred, JustInTime, Optimistic):
        kit = make_kit(strategy)
        for name in ("photo.jpg", "tall.jpg"):
            file = kit.cachefile("blog:hero", source=name)
            assert file.url if name == "photo.jpg" else file.path
        kit.finish()
        needed.append(kit.renders.path.read_text())
    assert len(set(needed)) == 1


def test_a_source_that_is_wrong_is_said_at_its_tag(make_kit: MakeKit, images_dir: Path) -> None:
    """A missing source, one that is not an image, an unusable option, a result too large: with template and line."""
    kit = make_kit(max_result_pixels=1_000_000)
    (images_dir / "text.jpg").write_text("no image")
    wrong = [
        ("{% generateimage 'blog:hero' source='none.jpg' %}", SourceNotFound),
        ("{% generateimage 'blog:hero' source='text.jpg' %}", UnreadableImage),
        ("{% thumbnail '20x20' 'photo.jpg' quality=200 %}", InvalidOption),
        ("{% thumbnail '9000x' 'photo.jpg' upscale=true %}", ImageTooLarge),
    ]
    for tag, error in wrong:
        with pytest.raises(error) as caught:
            render(kit, "\n" + tag)
        assert caught.value.lineno == 2
    assert made(kit) == []


def test_what_cannot_be_made_is_reported(make_kit: MakeKit) -> None:
    """The others are made."""
    kit = make_kit()
    render(kit, PAGE + "{% generateimage 'blog:broken' source='photo.jpg' %}")
    report = kit.finish()
    assert len(report.generated) == 5
    (failure,) = report.failed
    assert (failure.generator_id, failure.source) == ("blog:broken", "photo.jpg")
    assert "out of paint" in failure.reason


def test_a_processor_that_promises_another_size_is_reported(make_kit: MakeKit) -> None:
    """The page says 640 pixels, the image has 320: that is the processor's mistake, and said so."""
    kit = make_kit()
    assert kit.cachefile("blog:boast", source="photo.jpg").width == 640
    assert kit.cachefile("blog:boast", source="photo.jpg").url
    (failure,) = kit.finish().failed
    assert "640×240" in failure.reason
    assert "320×240" in failure.reason
    assert "output_size()" in failure.reason


def test_a_source_that_changes_after_its_page_was_rendered_is_reported(make_kit: MakeKit, write_photo: Any) -> None:
    """The page's URL names the old content, of which no image can be made any more."""
    kit = make_kit()
    old = kit.cachefile("blog:hero", source="photo.jpg")
    assert old.url
    write_photo("photo.jpg", 400, 300, seed=9)
    report = kit.finish()
    assert len(report.generated) == 1
    (failure,) = report.failed
    assert failure.name == old.name
    assert "render again" in failure.reason


def test_an_upload_that_is_gone_is_reported(make_kit: MakeKit) -> None:
    """A page names a file that nobody can make again."""
    kit = make_kit()
    file = kit.cachefile("blog:hero", source=drawing.jpeg(300, 200, 3))
    assert file.url
    kit.storage.delete(str(file.name))
    (failure,) = kit.finish().failed
    assert failure.name == file.name


def test_an_interrupted_finish_is_taken_up_by_generate(make_kit: MakeKit) -> None:
    """What the pages need is written down before the first image is made."""
    kit = make_kit()
    render(kit, PAGE)

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(GenerationInterrupted):
        kit.finish(workers=1, on_progress=interrupt)
    assert make_kit().generate().ok
    assert len(made(kit)) == 5


INTERRUPTED = """
import sys
from jinja_imagekit import ImageKit
kit = ImageKit(source_dirs=[sys.argv[1]], location=sys.argv[2], state_dir=sys.argv[2] + "/state",
               default_cachefile_strategy="jinja_imagekit.cachefiles.strategies.Deferred")
kit.cachefile("imagekit:thumbnail", source="photo.jpg", width=40).url
def interrupt(*_): raise KeyboardInterrupt
class Interrupting:
    def lock(self, key): raise KeyboardInterrupt
if sys.argv[3] == "making":
    kit.finish(on_progress=interrupt)
kit.records.store.lock = Interrupting().lock
kit.finish(progress=True)
"""


@pytest.mark.parametrize("moment", ["making", "planning"])
def test_ctrl_c_in_a_script_is_one_line(make_kit: MakeKit, images_dir: Path, tmp_path: Path, moment: str) -> None:
    """No traceback, wherever it came: how far it got, and that the next run makes the rest."""
    make_kit()
    command = [sys.executable, "-c", INTERRUPTED, str(images_dir), str(tmp_path / "site"), moment]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 130
    first, *rest = result.stderr.splitlines()
    assert first.startswith("Interrupted; what has been made is whole and stays: ")
    assert "The next run makes the rest." in first
    assert [line for line in rest if "kit.finish()" not in line] == []


def test_progress_is_a_line_for_each_image(make_kit: MakeKit, capsys: pytest.CaptureFixture[str]) -> None:
    """Where there is no terminal, `finish(progress=True)` says what the command says."""
    kit = make_kit()
    render(kit, PAGE)
    assert kit.finish(progress=True).ok
    assert capsys.readouterr().out.count("made CACHE/images/") == 5
    assert kit.generate(force=True, progress=True).ok
    assert capsys.readouterr().out.count("made CACHE/images/") == 5


def test_a_state_folder_that_cannot_be_written_stops_nothing(
    make_kit: MakeKit, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning; the images are made, and this kit still knows what its pages need."""
    kit = make_kit(state_store=lambda settings: MemoryStore())
    (tmp_path / "state").write_text("no folder")
    render(kit, PAGE)
    with caplog.at_level(logging.WARNING, "jinja_imagekit.builds.notes"):
        assert len(kit.finish().generated) == 5
    assert caplog.text.count("cannot be written") == 1
    assert len(kit.renders.last() or ()) == 5


def test_a_spec_of_its_own_strategy(make_kit: MakeKit) -> None:
    """One spec is deferred in a kit that makes the others just in time."""
    kit = make_kit(JustInTime)
    kit.spec("blog:late", processors=[ResizeToFit(50, 50)], cachefile_strategy=DEFERRED)
    assert kit.cachefile("blog:late", source="photo.jpg").width == 50
    assert kit.cachefile("blog:late", source="photo.jpg").url
    assert made(kit) == []
    assert kit.cachefile("blog:card", source="photo.jpg").url
    assert len(made(kit)) == 1
    assert len(kit.finish().generated) == 1


async def _rendered(kit: ImageKit) -> str:
    environment = kit.install(Environment(autoescape=True, enable_async=True))
    return await environment.from_string(PAGE).render_async()


def test_an_async_page_is_deferred_too(make_kit: MakeKit) -> None:
    """The page is the same."""
    import asyncio

    kit = make_kit()
    page = asyncio.run(_rendered(kit))
    assert made(kit) == []
    assert page == render(make_kit(), PAGE)
    assert len(kit.finish().generated) == 5


PLAIN: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()),
    lambda inner: st.one_of(
        st.lists(inner), st.lists(inner).map(tuple), st.dictionaries(st.text(), inner), st.builds(Path, st.just("a/b"))
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), PLAIN))
@example({"path": "x", "source_of": {"path": "x"}, "cachefile": ("a", {})})
def test_plain_keywords_come_back_as_they_were(kwargs: dict[str, Any]) -> None:
    """By way of JSON: tuples stay tuples, and a dict with the word "path" stays a dict."""
    kwargs.pop("source", None)
    reference = reference_to("x", kwargs, None)
    assert reference is not None
    read = Reference(*json.loads(json.dumps(reference)))
    restored = keywords_of(read, ImageKit())
    assert restored == kwargs
    assert repr(restored) == repr(kwargs)


@pytest.mark.parametrize("value", [b"x", object(), {1: 2}, float("nan"), Image.Transpose.ROTATE_90, {"a": [b""]}])
def test_what_is_not_plain_has_no_reference(value: object) -> None:
    """It is made at once, rather than come back as something else."""
    assert reference_to("x", {"value": value}, None) is None


def encoded(size: tuple[int, int], format: str, orientation: int) -> bytes:
    stream = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    PHOTO.crop((0, 0, *size)).save(stream, format, exif=exif, compress_level=1)
    return stream.getvalue()


PHOTO = drawing.photo(300, 300, seed=5)
sides = st.one_of(st.integers(1, 300), st.sampled_from([1, 2, 7, 8, 9, 15, 16, 17, 299, 300]))
processors = st.one_of(st.tuples(resizers), st.tuples(resizers, others), st.tuples(others), st.tuples(others, resizers))


@pytest.fixture(scope="module")
def promising_kit(tmp_path_factory: pytest.TempPathFactory) -> ImageKit:
    """Return a kit without anything."""
    folder = tmp_path_factory.mktemp("promises")
    (folder / "images").mkdir()
    return ImageKit(
        source_dirs=[folder / "images"],
        location=folder / "cache",
        state_dir=folder / "state",
        state_store=lambda settings: MemoryStore(),
        default_cachefile_strategy=Deferred,
    )


@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    size=st.tuples(sides, sides),
    steps=processors,
    format=st.sampled_from(["JPEG", "PNG"]),
    orientation=st.integers(1, 8),
    margin=st.sampled_from([0, 1.0, 1.5]),
    target=st.sampled_from([None, "PNG", "JPEG"]),
)
@example(size=(300, 1), steps=(ResizeToFit(10, 10),), format="JPEG", orientation=6, margin=1.0, target=None)
@example(
    size=(299, 297), steps=(Thumbnail(30, 31), AddBorder(3)), format="JPEG", orientation=5, margin=1.0, target=None
)
@example(size=(9, 300), steps=(Adjust(1.1), ResizeToFill(2, 2)), format="JPEG", orientation=8, margin=1.0, target="PNG")
def test_the_dimensions_promised_are_the_dimensions_made(
    promising_kit: ImageKit,
    size: tuple[int, int],
    steps: tuple[Any, ...],
    format: str,
    orientation: int,
    margin: float,
    target: str | None,
) -> None:
    """Whatever the processors and the size, of JPEGs decoded at a reduced scale, of turned images, and of PNGs."""
    kit = promising_kit
    spec = kit.spec(processors=steps, decode_margin=margin, format=target)
    kit.generators.register("promise", spec, override=True)
    (kit.settings.source_dirs[0] / "source").write_bytes(encoded(size, format, orientation))
    file = kit.cachefile("promise", source="source")
    promised = file.width, file.height, file.format
    # No format holds the longest, and the largest would take the test's whole time.
    assume(max(promised[:2]) < 2_000)
    assert file.url
    report = kit.finish(workers=1)
    assert report.ok, report.failed
    (outcome,) = report.generated
    with Image.open(str(kit.storage.path(str(outcome.name)))) as image:
        assert (*image.size, image.format) == promised
    kit.storage.delete(str(outcome.name))


@pytest.mark.parametrize("enable_async", [False, True])
def test_a_failure_names_the_lines_that_asked(tmp_path: Path, enable_async: bool) -> None:
    """What is found out after the last page names template and line all the same, however many there are."""
    site = Site(tmp_path, default_cachefile_strategy=DEFERRED)
    settled(site.images / "half.jpg", photo_bytes()[:-500])
    pages = {
        "a.html": "\n{% thumbnail '9x9' 'half.jpg' %}\n{{ 'half.jpg' | thumbnail('8x8') }}",
        **{f"{letter}.html": f"{{% thumbnail '{number}x' 'half.jpg' %}}" for number, letter in enumerate("bcde", 10)},
    }
    environment = site.kit.install(Environment(autoescape=True, loader=DictLoader(pages), enable_async=enable_async))
    for name in ["a.html", "a.html", *pages]:
        environment.get_template(name).render()
    (reason,) = {each.reason.partition(" [")[2] for each in site.kit.finish().failed}
    assert reason == "template 'a.html', line 2; template 'a.html', line 3; template 'b.html', line 1 and 3 more]"
    environment.get_template("b.html").render()
    (failed,) = site.kit.finish().failed
    assert failed.reason.endswith(" [template 'b.html', line 1]")
