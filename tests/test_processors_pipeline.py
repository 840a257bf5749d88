"""Pipelines: order, frames of animations, custom processors, overlays, and what is refused."""

from __future__ import annotations

import os
import pickle
from collections.abc import Sequence
from pathlib import Path
from threading import Thread
from typing import Any

import pilkit.processors
import pytest
from PIL import Image, ImageDraw

import drawing
from jinja_imagekit import processors
from jinja_imagekit.exceptions import InvalidProcessor, SourceNotFound, UnreadableImage
from jinja_imagekit.hashing import fingerprint
from jinja_imagekit.processors import (
    AddBorder,
    Adjust,
    OverlayImage,
    ProcessorPipeline,
    Reflection,
    Resize,
    ResizeToFill,
    ResizeToFit,
    SmartCrop,
    SmartResize,
    Thumbnail,
    Transpose,
    TrimBorderColor,
)

PHOTO = drawing.photo(200, 150, seed=4)


class Scribble:
    """Draws into the image that it is given."""

    def process(self, image: Image.Image) -> Image.Image:
        ImageDraw.Draw(image).rectangle((0, 0, 50, 50), "red")
        return image


class Nothing:
    def process(self, image: Image.Image) -> None:
        """Forget the return."""


class Empty:
    def process(self, image: Image.Image) -> Image.Image:
        return Image.new("RGB", (0, 5))


class Turned(ResizeToFill):
    """A subclass whose own process makes another size than its parent promises."""

    def process(self, image: Image.Image) -> Image.Image:
        return super().process(image).transpose(Image.Transpose.ROTATE_90)


class TurnedAndSized(Turned):
    def output_size(self, size: tuple[int, int]) -> tuple[int, int]:
        return self.height, self.width

    def process(self, image: Image.Image) -> Image.Image:
        return super().process(image)


class Titled(ResizeToFill):
    """A subclass that adds an attribute alone."""

    title = "canal"


class SameLevel:
    """Decides on the first frame, and notes how often it was asked."""

    def process(self, image: Image.Image) -> Image.Image:
        return self.process_frames([image])[0]

    def process_frames(self, images: Sequence[Image.Image]) -> list[Image.Image]:
        level = images[0].getpixel((0, 0))
        return [Image.new("RGB", image.size, level) for image in images]


def run(*steps: Any, image: Image.Image = PHOTO) -> Image.Image:
    return processors.run(steps, [image], image.size)[0]


def test_processors_run_in_order() -> None:
    """A border before the resize is resized, one after it is not."""
    assert run(AddBorder(10, "red"), Resize(50, 50)).size == (50, 50)
    assert run(Resize(50, 50), AddBorder(10, "red")).size == (70, 70)
    assert run() is PHOTO


def test_pipelines_nest() -> None:
    """A pipeline, pilkit's too, is one step of another one."""
    steps = [Resize(50, 50), AddBorder(10, "red")]
    flat = run(*steps)
    for nested in (ProcessorPipeline(steps), pilkit.processors.ProcessorPipeline(steps)):
        assert run(nested).tobytes() == flat.tobytes()
        assert processors.output_size([nested], PHOTO.size) == (70, 70)
        assert processors.sampled_size([nested], PHOTO.size) == (50, 50)
    assert ProcessorPipeline(steps).process(PHOTO).tobytes() == flat.tobytes()


def test_the_reduced_image_goes_to_the_first_processor() -> None:
    """The rest sees its result, whose size is that of the full decode."""
    small = PHOTO.reduce(2)
    [result] = processors.run([Transpose(), ResizeToFit(40, 40), AddBorder(1)], [small], PHOTO.size, reduced=True)
    assert result.size == (42, 32)


def test_a_custom_processor_that_draws_in_place_harms_nobody() -> None:
    """The decoded image is shared by all derivatives; a custom processor gets a copy."""
    before = PHOTO.tobytes()
    result = run(Scribble())
    assert result.getpixel((5, 5)) == (255, 0, 0)
    assert PHOTO.tobytes() == before
    assert run(ResizeToFit(400, 400, upscale=False), Scribble()).getpixel((5, 5)) == (255, 0, 0)
    assert PHOTO.tobytes() == before


def test_a_custom_processor_cannot_tell_the_size() -> None:
    """Without output_size the pipeline's size is unknown."""
    assert processors.output_size([ResizeToFill(40, 30), Scribble()], PHOTO.size) is None
    assert processors.sampled_size([Scribble()], PHOTO.size) is None


def test_a_subclass_with_its_own_process_is_not_spoken_for() -> None:
    """What the parent says of sizes and reduced images does not hold for another process()."""
    turned = Turned(40, 30)
    assert processors.output_size([turned], PHOTO.size) is None
    assert processors.sampled_size([turned], PHOTO.size) is None
    assert run(turned).size == (30, 40)
    assert processors.output_size([TurnedAndSized(40, 30)], PHOTO.size) == (30, 40)
    assert processors.output_size([Titled(40, 30)], PHOTO.size) == (40, 30)
    assert processors.sampled_size([Titled(40, 30)], PHOTO.size) == (40, 30)


def test_a_stand_in_is_taken_at_its_process() -> None:
    """An object that only passes attributes on can process; what it says of sizes is not relied upon."""

    class StandIn:
        def __getattr__(self, name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            return getattr(Resize(40, 30), name)

    assert run(StandIn()).size == (40, 30)
    assert processors.output_size([StandIn()], PHOTO.size) is None


def test_a_wrapped_process_is_not_spoken_for_either() -> None:
    """The same holds for a process that was put on the object itself."""
    wrapped = Resize(40, 30)
    wrapped.process = Scribble().process
    assert processors.output_size([wrapped], PHOTO.size) is None


@pytest.mark.parametrize(
    ("processor", "message"),
    [
        (Nothing(), r"Nothing\.process\(\) must return an image, not None"),
        (Empty(), r"Empty\.process\(\) returned an image of 0 × 5 pixels"),
        (Scribble, r"Scribble is a class; write Scribble\("),
        (object(), r"builtins\.object is not a processor"),
        (None, r"NoneType is not a processor"),
        ("Resize", r"builtins\.str is not a processor"),
    ],
)
def test_what_is_not_a_processor_is_named(processor: Any, message: str) -> None:
    """The error names the class and says what to do."""
    with pytest.raises(InvalidProcessor, match=message):
        run(processor)


def test_frames_that_get_lost_are_an_error() -> None:
    """process_frames returns as many frames as it got."""

    class Loses(SameLevel):
        def process(self, image: Image.Image) -> Image.Image:
            return image

        def process_frames(self, images: Sequence[Image.Image]) -> list[Image.Image]:
            return list(images[1:])

    with pytest.raises(InvalidProcessor, match="list of 2 images"):
        processors.run([Loses()], [PHOTO, PHOTO.copy()], PHOTO.size)


def blobs() -> list[Image.Image]:
    """Return two frames whose interesting part is at one end and then at the other."""
    noisy = drawing.photo(60, 60, seed=1)
    frames = [Image.new("RGB", (240, 60), "white") for _ in range(2)]
    frames[0].paste(noisy, (10, 0))
    frames[1].paste(noisy, (170, 0))
    return frames


@pytest.mark.parametrize(
    "processor",
    [SmartCrop(80, 60), SmartResize(40, 30), Thumbnail(40, 30), TrimBorderColor(), Thumbnail(100, 100, upscale=True)],
    ids=lambda processor: type(processor).__name__,
)
def test_all_frames_are_cut_alike(processor: Any) -> None:
    """The first frame decides; on its own, the second one would be cut elsewhere."""
    frames = blobs()
    results = processors.run([processor], frames, frames[0].size)
    assert results[0].tobytes() == processor.process(frames[0]).tobytes()
    assert results[1].size == results[0].size
    assert results[1].tobytes() != processor.process(frames[1]).tobytes()


def test_all_frames_get_the_same_contrast() -> None:
    """A fade does not flicker: the grey of the first frame holds for all."""
    frames = [Image.new("RGB", (4, 4), (level,) * 3) for level in (100, 200)]
    results = processors.run([Adjust(contrast=0.5)], frames, (4, 4))
    assert [result.getpixel((0, 0))[0] for result in results] == [100, 150]


def test_a_custom_processor_may_look_at_the_first_frame() -> None:
    """Any processor with process_frames gets all frames at once."""
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "blue")]
    results = processors.run([SameLevel()], frames, (4, 4))
    assert [result.getpixel((0, 0)) for result in results] == [(255, 0, 0)] * 2


def test_an_anchored_thumbnail_treats_every_frame() -> None:
    """Where no content decides, frames go through a thumbnail one by one."""
    frames = blobs()
    for thumbnail in (Thumbnail(40, 30, "r"), Thumbnail(40)):
        results = processors.run([thumbnail], frames, frames[0].size)
        assert [each.tobytes() for each in results] == [thumbnail.process(frame).tobytes() for frame in frames]


def test_plain_processors_treat_every_frame() -> None:
    """Frames go through one by one, and their number and order stay."""
    frames = blobs()
    results = processors.run([ResizeToFill(40, 30, "l"), Reflection(size=0.5)], frames, frames[0].size)
    assert [result.size for result in results] == [(40, 45)] * 2
    assert results[0].tobytes() != results[1].tobytes()


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """Return the path of a watermark: a red square on nothing."""
    image = Image.new("RGBA", (20, 10), (0, 0, 0, 0))
    image.paste((255, 0, 0, 255), (0, 0, 10, 10))
    path = tmp_path / "mark.png"
    image.save(path)
    return path


def test_an_overlay_lies_where_it_is_anchored(mark: Path) -> None:
    """Its alpha is respected, its margin kept, its opacity multiplied."""
    result = run(OverlayImage(mark, anchor="br", margin=5))
    assert result.mode == "RGB"
    assert result.getpixel((176, 136)) == (255, 0, 0)
    assert result.getpixel((174, 136)) == PHOTO.getpixel((174, 136))
    assert result.getpixel((190, 140)) == PHOTO.getpixel((190, 140))
    half = run(OverlayImage(mark, anchor=(0, 0), opacity=0.5)).getpixel((5, 5))
    assert half[0] > PHOTO.getpixel((5, 5))[0]
    assert half[1] == pytest.approx(PHOTO.getpixel((5, 5))[1] / 2, abs=2)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_an_overlay_brings_its_colours(mode: str, mark: Path) -> None:
    """A coloured overlay colours a grey image; a grey one does not; alpha comes from the image."""
    image = PHOTO.convert(mode)
    assert run(OverlayImage(mark), image=image).mode == mode.replace("L", "RGB")
    assert run(OverlayImage(Image.new("L", (5, 5), 9)), image=image).mode == mode


@pytest.mark.parametrize("size", [(1, 1), (10, 8), (3, 300)])
def test_an_overlay_fits_small_images(size: tuple[int, int], mark: Path) -> None:
    """A watermark larger than the thumbnail shrinks with it, margins give way."""
    image = Image.new("RGB", size, "white")
    result = run(OverlayImage(mark, "tl", margin=50), image=image)
    assert result.size == size
    assert result.tobytes() != image.tobytes()


def test_an_overlays_fingerprint_is_its_content(mark: Path, tmp_path: Path) -> None:
    """The same file elsewhere is the same overlay; a new file under the old name is another."""
    copy = tmp_path / "other.png"
    copy.write_bytes(mark.read_bytes())
    processor = OverlayImage(mark)
    before = fingerprint(processor)
    assert before == fingerprint(OverlayImage(str(copy)))
    assert before != fingerprint(OverlayImage(mark, opacity=0.5))
    with Image.open(mark) as opened:
        opened.load()
    assert fingerprint(OverlayImage(opened)) == fingerprint(OverlayImage(opened.copy()))
    drawing.photo(20, 10).save(mark)
    os.utime(mark, ns=(1, 1))
    assert fingerprint(processor) != before
    assert run(processor).getpixel((100, 75)) != (255, 0, 0)


def test_an_overlay_is_read_once(mark: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the file is unchanged, neither fingerprint nor process opens it again."""
    processor = OverlayImage(mark)
    before, image = fingerprint(processor), run(processor)
    monkeypatch.setattr("builtins.open", lambda *args, **keywords: pytest.fail("a file was opened"))
    assert fingerprint(processor) == before
    assert run(processor).tobytes() == image.tobytes()


def test_an_overlays_orientation_is_applied(tmp_path: Path) -> None:
    """An overlay is read as every image is: upright."""
    path = tmp_path / "turned.jpg"
    path.write_bytes(drawing.oriented(drawing.photo(40, 20), 6))
    turned, upright = run(OverlayImage(path)), run(OverlayImage(drawing.photo(40, 20)))
    assert turned.crop((75, 50, 125, 100)).getbbox() is not None
    assert max(abs(a - b) for a, b in zip(turned.tobytes(), upright.tobytes(), strict=True)) < 60


def test_overlays_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    """A missing file, a folder and a file that is not an image are errors of the library, with the path."""
    with pytest.raises(SourceNotFound, match=r"gone\.png.*overlay cannot be read"):
        run(OverlayImage(tmp_path / "gone.png"))
    with pytest.raises(SourceNotFound):
        fingerprint(OverlayImage(tmp_path))
    text = tmp_path / "text.png"
    text.write_text("no image")
    with pytest.raises(UnreadableImage, match=r"text\.png"):
        run(OverlayImage(text))


def test_an_overlay_may_be_changed_afterwards(mark: Path) -> None:
    """The processor keeps its own copy of an image, through a pickle as well."""
    with Image.open(mark) as opened:
        image = opened.convert("RGBA")
    processor = OverlayImage(image)
    before = run(processor).tobytes()
    image.paste((0, 0, 255, 255), (0, 0, 20, 10))
    assert run(processor).tobytes() == before
    assert run(pickle.loads(pickle.dumps(processor))).tobytes() == before


def test_threads_share_processors(mark: Path) -> None:
    """Eight threads on the same objects get eight times the same bytes."""
    steps = [Thumbnail(90, 60), Adjust(contrast=1.2), OverlayImage(mark), Reflection(size=0.3)]
    results: list[bytes] = []
    threads = [Thread(target=lambda: results.append(run(*steps).tobytes())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8
    assert len(set(results)) == 1
