"""Time limits and isolation: what an image may cost, and that nothing but its own process dies of it."""

from __future__ import annotations

import ctypes
import io
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from core_site import Card, Site, photo_bytes, settled
from PIL import Image

import drawing
from jinja_imagekit import ImageKit, isolation
from jinja_imagekit.exceptions import (
    CannotRebuild,
    GenerationFailed,
    ImageKitError,
    ImageTooLarge,
    ImageTooSlow,
    InvalidOption,
    UnreadableImage,
)
from jinja_imagekit.processors import ResizeToFill


class Sleeps:
    """A processor that waits."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.count = 0

    def process(self, image: Image.Image) -> Image.Image:
        """Wait."""
        self.count += 1
        time.sleep(self.seconds)
        return image


class Hungers:
    """A processor that takes memory as fast as it can, and keeps it."""

    def __init__(self, size: int) -> None:
        self.size = size

    def process(self, image: Image.Image) -> Image.Image:
        """Take memory."""
        self.kept = [bytearray(b"x" * 10_000_000) for _ in range(self.size // 10_000_000)]
        return image


class Ends:
    """A processor that ends its process by a signal."""

    def __init__(self, number: int) -> None:
        self.number = number

    def process(self, image: Image.Image) -> Image.Image:
        """End, as a decoder that is out of its bounds would."""
        if self.number == signal.SIGSEGV:
            ctypes.string_at(0)
        os.kill(os.getpid(), self.number)
        return image


class Broken:
    """A processor that raises."""

    def process(self, image: Image.Image) -> Image.Image:
        """Raise."""
        raise RuntimeError("the ink ran out")


class Prints:
    """A processor that prints, and says in which process it runs."""

    def process(self, image: Image.Image) -> Image.Image:
        """Print, and draw the number of this process."""
        print("hello" * 10_000)
        image.putpixel((0, 0), tuple(os.getpid() >> shift & 255 for shift in (16, 8, 0)))
        return image


@pytest.fixture(autouse=True, scope="module")
def ended() -> Any:
    """End the processes of these tests."""
    yield
    isolation.close()


def isolated(**settings: Any) -> ImageKit:
    """Return a kit whose images are made in other processes."""
    return ImageKit(isolation="process", **settings)


@pytest.mark.parametrize("source", [photo_bytes(), drawing.alpha_png(drawing.photo(40, 30)), "animation"])
def test_the_same_bytes_as_without(source: Any) -> None:
    """Where an image is made changes nothing of it."""
    if source == "animation":
        source = drawing.animated("GIF", drawing.frames(40, 30, 4), [40] * 4)
    for attributes in ({}, {"processors": [ResizeToFill(20, 10)], "format": "WEBP", "options": {"quality": 50}}):
        assert isolated().process(source, **attributes).read() == ImageKit().process(source, **attributes).read()


def test_a_process_serves_many_images_and_is_another(tmp_path: Path) -> None:
    """It is started once, and what processors print does not get among the images."""
    kit = isolated()
    pids = {
        Image.open(kit.process(photo_bytes(), processors=[Prints()], format="PNG").open()).getpixel((0, 0))
        for _ in range(3)
    }
    assert len(pids) == 1
    red, green, blue = pids.pop()  # type: ignore[misc]  # three samples
    assert (red << 16 | green << 8 | blue) != os.getpid() & 0xFFFFFF


def test_an_image_that_takes_too_long_is_killed_and_the_next_is_made() -> None:
    """The limit holds within a single call, and the process is replaced."""
    kit = isolated(timeout=0.4)
    kit.process(photo_bytes())
    with pytest.raises(ImageTooSlow, match=r"'a\.jpg': it takes longer than 0\.4 seconds, which the setting timeout"):
        kit.process(named("a.jpg"), processors=[Sleeps(60)])
    assert kit.process(photo_bytes()).format == "JPEG"


def named(name: str) -> Any:
    """Return an upload of this name."""
    upload = io.BytesIO(photo_bytes())
    upload.name = name  # type: ignore[attr-defined]  # as uploads have it
    return upload


@pytest.mark.parametrize("has_limit", [True, False])
def test_an_image_that_takes_too_much_memory(has_limit: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's limit, or a look at the process where there is none, ends it."""
    if not has_limit:
        monkeypatch.setattr(isolation, "_has_limit", lambda: False)
    kit = isolated(worker_memory=200_000_000, timeout=30)
    with pytest.raises(ImageTooLarge, match="200,000,000 bytes of memory, which the setting worker_memory allows"):
        kit.process(photo_bytes(), processors=[Hungers(900_000_000), *([] if has_limit else [Sleeps(20)])])
    assert kit.process(photo_bytes()).format == "JPEG"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals")
@pytest.mark.parametrize(
    ("number", "error", "message"),
    [(signal.SIGKILL, ImageTooLarge, "worker_memory"), (signal.SIGSEGV, UnreadableImage, r"crashed \(SIGSEGV\)")],
)
def test_a_process_that_dies_is_one_error(number: int, error: type[Exception], message: str) -> None:
    """Systems kill what takes too much memory; a decoder that crashes is told by its signal."""
    kit = isolated()
    for _ in range(2):
        with pytest.raises(error, match=message) as caught:
            kit.process(photo_bytes(), processors=[Ends(number)])
        assert type(caught.value) is error
    assert kit.process(photo_bytes()).format == "JPEG"


@pytest.mark.parametrize(
    ("source", "attributes", "error", "message"),
    [
        (b"GIF89a", {}, UnreadableImage, "The image: "),
        (b"", {}, UnreadableImage, "empty"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", {}, UnreadableImage, "an SVG may hold scripts"),
        (photo_bytes(), {"options": {"qualty": 3}, "format": "JPEG"}, InvalidOption, "Did you mean 'quality'"),
        (photo_bytes(), {"processors": [Broken()]}, GenerationFailed, "RuntimeError: the ink ran out"),
        (photo_bytes(), {"processors": [ResizeToFill(9000, 9000, upscale=True)]}, ImageTooLarge, "max_result_pixels"),
    ],
)
def test_errors_come_back(source: bytes, attributes: Any, error: type[Exception], message: str) -> None:
    """They are those that the image has without isolation."""
    with pytest.raises(error, match=message):
        isolated(max_result_pixels=1_000_000).process(source, **attributes)


def test_what_cannot_be_sent_says_so() -> None:
    """A processor that another process cannot import is the caller's mistake."""

    class Local(Sleeps):
        pass

    with pytest.raises(CannotRebuild, match="Local"):
        isolated().process(photo_bytes(), processors=[Local(0)])


def test_what_a_process_answers_is_never_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error by any other name than the library's own, and nonsense, is one clear error."""
    for answer in (b'["SystemExit", [3]]', b'["nearest", ["a", []]]', b'["InvalidOption", [1]]', b"\x80\x04."):
        error = isolation._error("a.jpg", answer)
        assert type(error) is UnreadableImage
        assert "answered nonsense" in str(error)
    assert type(isolation._error("a.jpg", b'["ImageTooLarge", ["a.jpg", "no"]]')) is ImageTooLarge


def test_many_threads_share_the_processes() -> None:
    """Each gets its own image, and there are no more processes than cores."""
    isolation.close()
    kit = isolated()
    results: dict[int, bytes] = {}

    def make(number: int) -> None:
        results[number] = kit.process(photo_bytes(seed=number), format="PNG").read()

    threads = [threading.Thread(target=make, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: ImageKit().process(photo_bytes(seed=number), format="PNG").read() for number in range(8)}
    assert sum(pool._count for pool in isolation._pools.values()) <= (os.cpu_count() or 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only POSIX forks")
def test_a_forked_child_has_processes_of_its_own() -> None:
    """Parent and child do not write into each other's pipes."""
    kit = isolated()
    kit.process(photo_bytes())
    expected = ImageKit().process(photo_bytes(seed=3)).read()
    pid = os.fork()
    if pid == 0:
        good = kit.process(photo_bytes(seed=3)).read() == expected
        isolation.close()
        os._exit(0 if good else 1)
    assert kit.process(photo_bytes(seed=3)).read() == expected
    assert os.waitpid(pid, 0)[1] == 0


def test_cache_files_are_isolated_as_well(tmp_path: Path) -> None:
    """A tag's image, and a pregeneration's; the failure that is remembered stays what it is."""
    site = Site(tmp_path, isolation="process", timeout=0.5)
    site.write("a.jpg")

    class Slow(Card):
        processors = (Sleeps(30),)

    site.kit.register.generator("slow", Slow)
    assert Image.open(io.BytesIO(site.kit.cachefile("card", source="a.jpg").read())).size == (24, 16)
    for _ in range(2):
        with pytest.raises(ImageTooSlow, match="timeout"):
            _ = site.kit.cachefile("slow", source="a.jpg").url
    site.kit.register.cachefiles("slow", [{"source": "a.jpg"}])
    assert "timeout" in site.kit.generate(force=True).failed[0].reason


def test_without_isolation_the_limit_is_looked_at_between_frames_and_stages(tmp_path: Path) -> None:
    """An animation is left in the middle; a still image at the end of the stage that took too long."""
    frames = drawing.animated("GIF", drawing.frames(40, 30, 20), [40] * 20)
    kit, counter = ImageKit(timeout=0.3), Sleeps(0.1)
    with pytest.raises(ImageTooSlow, match=r"it takes longer than 0\.3 seconds"):
        kit.process(frames, processors=[counter], format="WEBP")
    assert 1 <= counter.count < 20
    with pytest.raises(ImageTooSlow):
        kit.process(photo_bytes(), processors=[Sleeps(0.4)])
    assert ImageKit(timeout=None).process(photo_bytes(), processors=[Sleeps(0.01)]).format == "JPEG"


def test_a_closed_kit_starts_anew() -> None:
    """`close()` ends idle processes; the next image has another."""
    kit = isolated()
    kit.process(photo_bytes())
    kit.close()
    assert not isolation._pools
    assert kit.process(photo_bytes()).format == "JPEG"


def test_a_process_that_died_while_idle_is_replaced(tmp_path: Path) -> None:
    """Nobody notices."""
    kit = isolated()
    settled(tmp_path / "a.jpg", photo_bytes())
    kit.process(photo_bytes())
    worker = next(iter(isolation._pools.values()))._idle[0]
    worker._process.kill()
    worker._process.wait()
    assert kit.process(tmp_path / "a.jpg").format == "JPEG"


@pytest.mark.parametrize("source", [photo_bytes(960, 720), drawing.alpha_png(drawing.photo(400, 300)), "animation"])
def test_what_a_picture_shows_until_it_loads_is_isolated_as_well(tmp_path: Path, source: Any) -> None:
    """Colour and blur are the same wherever the source is decoded."""
    if source == "animation":
        source = drawing.animated("GIF", drawing.frames(40, 30, 4), [40] * 4)
    looks = []
    for number, isolation_setting in enumerate((None, "process")):
        kit = ImageKit(isolation=isolation_setting, state_dir=tmp_path / str(number), location=tmp_path)
        found = kit.source(source)
        assert found is not None
        looks.append(kit.image_facts.look(found))
    assert looks[0] == looks[1]


@pytest.mark.parametrize("executable", ["/bin/false", "/nowhere/python"])
def test_an_interpreter_that_does_not_start_is_one_clear_error(
    executable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Servers that embed Python may say that they are it; `multiprocessing.set_executable` tells where it is."""
    isolation.close()
    monkeypatch.setattr(isolation, "get_executable", lambda: executable)
    for _ in range(2):
        with pytest.raises(ImageKitError, match=f"No process can be started to make an image .{executable}."):
            isolated().process(photo_bytes())
