"""Runs processors one after another, and asks them in advance what they will do to the size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

from PIL import Image
from pilkit import processors as pilkit  # type: ignore[import-untyped]

from ..exceptions import InvalidProcessor
from ..hashing import class_path
from ..interfaces import Size
from ..time_limits import in_time
from .crop import Crop, SmartCrop, TrimBorderColor
from .effects import Transpose
from .resize import Resize, ResizeToCover, ResizeToFill, ResizeToFit, SmartResize
from .thumbnail import SharedThumbnail, Thumbnail


@runtime_checkable
class FrameProcessor(Protocol):
    """A processor that treats all frames of an animation alike, as it does the first."""

    def process_frames(self, images: Sequence[Image.Image]) -> list[Image.Image]:
        """Return the processed frames, as many as there are images."""


class ProcessorPipeline(pilkit.ProcessorPipeline):  # type: ignore[misc]  # pilkit has no types
    """A list of processors that is itself a processor.

    Example:
        >>> from jinja_imagekit.processors import AddBorder, ResizeToFit
        >>> ProcessorPipeline([ResizeToFit(400, 400), AddBorder(5)]).output_size((4000, 3000))
        (410, 310)
    """

    def output_size(self, size: Size) -> Size | None:
        """Return the size in pixels of the result for an image of `size`; None where it is unknown."""
        return output_size(self, size)

    def process(self, image: Image.Image) -> Image.Image:
        """Return the processed image; `image` is left as it is.

        Raises:
            InvalidProcessor: One of them is not a processor, or did not return an image.
        """
        return run(self, [image], image.size)[0]


def output_size(processors: Iterable[Any], size: Size) -> Size | None:
    """Return the size that an image has after all processors.

    Args:
        processors: In the order they are applied.
        size: Width and height in pixels of the upright image.

    Returns:
        Width and height in pixels; None where one of the processors cannot tell.

    Raises:
        InvalidProcessor: One of them is not a processor.
    """
    current: Size | None = size
    for processor in _steps(processors):
        if current is None or not _has(processor, "output_size"):
            return None
        current = processor.output_size(current)
    return current


def sampled_size(processors: Iterable[Any], size: Size) -> Size | None:
    """Return the size to which the first processor resamples the whole image, if it does and shrinks it.

    Args:
        processors: In the order they are applied.
        size: Width and height in pixels of the upright image.

    Returns:
        Width and height in pixels; None where the image is needed in full.

    Raises:
        InvalidProcessor: One of them is not a processor.
    """
    first = next(_steps(processors), None)
    if first is None or not (_has(first, "sampled_size") and _has(first, "process_reduced")):
        return None
    sampled: Size = first.sampled_size(size)
    return sampled if sampled[0] <= size[0] and sampled[1] <= size[1] else None


def run(
    processors: Iterable[Any], images: Sequence[Image.Image], full_size: Size, reduced: bool = False
) -> list[Image.Image]:
    """Return the frames of an image after all processors; `images` are left unchanged.

    Args:
        processors: In the order they are applied.
        images: The frames, all of the same size.
        full_size: Width and height in pixels of the upright image before the decoder reduced it.
        reduced: Whether the decoder reduced it, which `sampled_size` must have allowed.

    Raises:
        InvalidProcessor: One of them is not a processor, or did not return an image.
        ImageTooSlow: They take longer than `time_limit` allows.
    """
    shared = {id(image) for image in images}
    current = list(images)
    for index, processor in enumerate(_steps(processors)):
        if not type(processor).__module__.startswith(__package__):
            # A user's processor may draw in place, but the input is shared with other derivatives.
            current = [image.copy() if id(image) in shared else image for image in current]
        if index == 0 and reduced:
            if len(current) > 1 and _has(processor, "reduced_frames"):
                current = processor.reduced_frames(current, full_size)
            else:
                current = [processor.process_reduced(image, full_size) for image in in_time(current)]
        elif len(current) > 1 and _has(processor, "process_frames"):
            current = processor.process_frames(current)
        else:
            current = [processor.process(image) for image in in_time(current)]
        _check(processor, current, len(images))
    return current


def keep_tones(processors: Iterable[Any]) -> bool:
    """Tell whether processors only resize, crop, turn and flip, so that what lies over an image goes through them too.

    Raises:
        InvalidProcessor: One of them is not a processor.
    """
    return all(type(each) in _GEOMETRIC and getattr(each, "mat_color", None) is None for each in _steps(processors))


_GEOMETRIC = frozenset(
    {Thumbnail, SharedThumbnail, Resize, ResizeToFit, ResizeToFill, ResizeToCover, SmartResize}
    | {Crop, SmartCrop, TrimBorderColor, Transpose}
)


def _steps(processors: Iterable[Any]) -> Iterator[Any]:
    """Yield the processors one by one, nested pipelines unrolled, leaving out those that have nothing to do."""
    for processor in processors:
        if isinstance(processor, type) or not callable(getattr(processor, "process", None)):
            raise InvalidProcessor(_not_a_processor(processor))
        if getattr(type(processor), "process", None) in _PIPELINES:
            yield from _steps(processor)
        elif not (type(processor) is Transpose and processor.is_auto):
            yield processor


_PIPELINES = (ProcessorPipeline.process, pilkit.ProcessorPipeline.process)


def _not_a_processor(value: Any) -> str:
    if isinstance(value, type):
        return f"{class_path(value)} is a class; write {value.__name__}(…) to make a processor."
    return f"{class_path(value)} is not a processor: it has no method process(image)."


def _has(processor: Any, method: str) -> bool:
    """Tell whether a method matches the processor's own `process`, and not one that a subclass has overridden."""
    changed = {"process", "process_reduced"} if method in ("process_frames", "reduced_frames") else {"process"}
    for owner in (processor, *type(processor).__mro__):
        names = getattr(owner, "__dict__", ())
        if method in names:
            return True
        if not changed.isdisjoint(names):
            return False
    return False


def _check(processor: Any, images: Any, count: int) -> None:
    name = class_path(processor)
    if not isinstance(images, Sequence) or len(images) != count:
        raise InvalidProcessor(f"{name}.process_frames() must return a list of {count} images.")
    for image in images:
        if not isinstance(image, Image.Image):
            raise InvalidProcessor(f"{name}.process() must return an image, not {image!r}. Is a return missing?")
        if not (image.width and image.height):
            raise InvalidProcessor(f"{name}.process() returned an image of {image.width} × {image.height} pixels.")
