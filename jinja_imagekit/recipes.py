"""`Recipe`: everything that turns the bytes of one image into those of another, as plain values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from . import images, processors
from .exceptions import ImageTooLarge, NotFingerprintable
from .hashing import fingerprint
from .images.rules import Limits, PixelRules
from .interfaces import Size
from .time_limits import check_time

if TYPE_CHECKING:
    from PIL import Image

    from .images import Frames, Header, Original
    from .processors import Resizing


GAIN_MAP_QUALITY = 85
"""A gain map is smooth, and its errors are multiplied with light."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a spec does to a source, without reference to the spec, so that another process can do it.

    Args:
        name: The source's name in errors.
        processors: What to do to the image, in this order.
        format: The format of the result; None keeps the source's.
        options: Options of the encoder.
        autoconvert: Convert the image to a mode that the format can hold.
        rules: How pixels are read and written.
        limits: The caps.
        keeps_vectors: Whether an SVG is its own result.
        may_keep_coding: Whether the result may have the source's own coded pixels where they are smaller.
    """

    name: str
    processors: tuple[Any, ...] = ()
    format: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    autoconvert: bool = True
    rules: PixelRules = field(default_factory=PixelRules)
    limits: Limits = field(default_factory=Limits)
    keeps_vectors: bool = True
    may_keep_coding: bool = False

    def make(self, original: Original) -> bytes:
        """Return the new image's bytes.

        Args:
            original: The source, whose decoded pixels other recipes may share.

        Raises:
            UnreadableImage: The source is not a whole image.
            ImageTooLarge: Source or result exceeds a cap.
            ImageTooSlow: It takes longer than `time_limit` allows.
            InvalidOption: An encoder option cannot be used.
            UnknownFormat: The format cannot be written.
        """
        format, _, count = self._checked(original)
        if original.header.is_vector and self.keeps_vectors:
            return original.data
        if (made := self._made_with_gains(original, format)) is not None:
            return made
        result = self._result(original, count)
        made = images.encode(
            result,
            format,
            dict(self.options),
            rules=self.rules,
            limits=self.limits,
            autoconvert=self.autoconvert,
            name=self.name,
        )
        if result.are_as_coded and self.may_keep_coding and self.autoconvert:
            return self._smaller(made, original, result, format)
        return made

    def losses(self, original: Original) -> tuple[str, ...]:
        """Return what the source has and the result has not; see `Original.losses`.

        Its gain map may go too, since it was not asked for, or since a format or a processor cannot keep it.
        """
        format = images.output_format(self.format, original.header)
        lost = original.losses(self.rules, format)
        if original.gain_map is None or original.header.is_vector or self._keeps_gains(original, format):
            return lost
        return (*lost, "its gain map for HDR")

    def _keeps_gains(self, original: Original, format: str) -> bool:
        gain_map = original.gain_map if self.rules.hdr and format == "JPEG" and self.autoconvert else None
        return gain_map is not None and gain_map.end > 0 and processors.keep_tones(self.processors)

    def _made_with_gains(self, original: Original, format: str) -> bytes | None:
        """Return a JPEG with the source's gain map, cut and resized alike; None where it has none to keep."""
        gain_map, rules = original.gain_map, self.rules
        if gain_map is None or not self._keeps_gains(original, format):
            return None
        # Few sources have one, and reading metadata takes Pillow's tables of tags.
        from .images import gain_maps

        scale = self._scale(original.header)
        gains = original.gain_image(gain_map, rules)
        if gains is None:
            return None
        frames = original.frames(rules, scale=scale)
        image, map = frames.images[0], gains.images[0]
        ratio = max(map.width / frames.full_size[0], map.height / frames.full_size[1])
        with processors.resizing(processors.Resizing(rules.linear_resize, rules.resizer)):
            # As two frames of an animation, of which the first decides what is cropped.
            both = [image, map.resize(image.size)]
            image, map = processors.run(self.processors, both, frames.full_size, reduced=scale > 1)
            if ratio < 1:
                size = max(1, round(map.width * ratio)), max(1, round(map.height * ratio))
                map = processors.Resize(*size).process(map)
        gains = replace(gains.with_images([map]), xmp=gain_map.xmp, are_as_coded=False)
        options = {"quality": GAIN_MAP_QUALITY, "progressive": False}
        encoded = images.encode(gains, format, options, rules=PixelRules(), limits=self.limits, name=self.name)
        length = gain_maps.map_bytes(len(encoded), gain_map)
        result = frames.with_images([image])
        result = replace(result, xmp=gain_map.primary_xmp(result.xmp, length), are_as_coded=False)
        if rules.max_bytes is not None:
            rules = replace(rules, max_bytes=max(1, rules.max_bytes - length - gain_maps.MOST_OVERHEAD))
        made = images.encode(result, format, dict(self.options), rules=rules, limits=self.limits, name=self.name)
        return gain_maps.joined(made, encoded, gain_map)

    def _smaller(self, made: bytes, original: Original, frames: Frames, format: str) -> bytes:
        """Return what was made of pixels that no processor changed, or the source's own coded ones in fewer bytes."""
        written = images.OUTPUT_FORMATS[format]
        if images.FORMATS[original.header.format] is not written or written.options & self.options.keys():
            return made
        own = original.stripped(frames)
        return own if own is not None and len(own) < len(made) else made

    def prepare(self, original: Original) -> bool:
        """Do all but encoding, where the result is kept for `make` and for other formats.

        Args:
            original: The source, of which several files are made.

        Returns:
            Whether `make` needs no decoded pixels of the source any more.

        Raises:
            ImageKitError: As `make`.
        """
        format, size, count = self._checked(original)
        if original.header.is_vector and self.keeps_vectors:
            return True
        if count > 1 or size is None or not images.may_be_shared(size) or self._fingerprint() is None:
            return False
        if self._keeps_gains(original, format):
            # It is cut and resized with the image.
            return False
        self._result(original, count)
        return True

    def _checked(self, original: Original) -> tuple[str, Size | None, int]:
        """Return the format, size and number of frames of the result, if it may be made.

        Raises:
            ImageTooLarge: The result exceeds a cap.
            InvalidOption: An encoder option cannot be used.
            UnknownFormat: The format cannot be written.
        """
        header, most = original.header, self.limits.max_result_pixels
        format = images.output_format(self.format, header)
        if header.is_vector and self.keeps_vectors:
            check_result(self.name, result_size(self.processors, header.size(), is_vector=True), most)
            return format, None, 1
        if not header.is_vector:
            images.check_options(format, dict(self.options))
        count = frames_of_result(header, format, self.rules)
        size = result_size(self.processors, header.size(self.rules.auto_orient))
        check_result(self.name, size, most, count)
        return format, size, count

    def _result(self, original: Original, count: int) -> Frames:
        """Return the processed frames; if several files are made from a source, those of one size share them."""
        rules, scale = self.rules, self._scale(original.header)

        def process() -> Frames:
            frames = original.frames(rules, scale=scale, animated=count > 1)
            check_time()
            with processors.resizing(self._resizing):
                results = processors.run(self.processors, frames.images, frames.full_size, reduced=scale > 1)
            check_time()
            result = frames.with_images(results)
            if frames.are_as_coded and not _are_equal(results, frames.images):
                result = replace(result, are_as_coded=False)
            return result

        what = self._fingerprint() if original.is_shared else None
        return process() if what is None else original.processed(rules, scale, count > 1, what, process)

    def _scale(self, header: Header) -> int:
        """Return by how much the decoder shrinks the source."""
        # A decoder that reduces an image averages samples, and not light.
        size = header.size(self.rules.auto_orient)
        sampled = None if self.rules.linear_resize else processors.sampled_size(self.processors, size)
        return images.decoder_scale(header, self.rules, sampled)

    @property
    def _resizing(self) -> Resizing:
        return processors.Resizing(self.rules.linear_resize, self.rules.resizer)

    def _fingerprint(self) -> str | None:
        """Return what stands for the processors; None where nothing can."""
        try:
            return fingerprint([*self.processors, self._resizing])
        except NotFingerprintable:
            return None


def _are_equal(first: Sequence[Image.Image], second: Sequence[Image.Image]) -> bool:
    return len(first) == len(second) and all(
        one is other or (one.mode == other.mode and one.size == other.size and _are_equal_pixels(one, other))
        for one, other in zip(first, second, strict=True)
    )


_BAND = 64
"""Rows that are compared at once: all of them would take twice the memory of an image."""


def _are_equal_pixels(one: Image.Image, other: Image.Image) -> bool:
    boxes = [(0, top, one.width, min(top + _BAND, one.height)) for top in range(0, one.height, _BAND)]
    return all(one.crop(box).tobytes() == other.crop(box).tobytes() for box in boxes)


def frames_of_result(header: Header, format: str, rules: PixelRules) -> int:
    """Return how many frames a result of a format has."""
    is_moving = header.frames > 1 and rules.keep_animation and images.OUTPUT_FORMATS[format].animates
    return header.frames if is_moving else 1


def result_size(steps: Iterable[Any], size: Size, is_vector: bool = False) -> Size | None:
    """Return width and height of a result in pixels; None where a processor must see the pixels.

    Args:
        steps: What is done to the source.
        size: The source's width and height in upright pixels.
        is_vector: Whether it is an SVG, which is shown within the requested size.
    """
    result = processors.output_size(steps, size)
    return fit_within(size, result or size) if is_vector else result


def check_result(name: str, result: Size | None, most: int, frames: int = 1) -> None:
    """Refuse a result that is too large, before a pixel is decoded.

    Args:
        name: The source's name.
        result: Width and height in pixels; None where nobody can tell.
        most: The setting `max_result_pixels`.
        frames: How many frames the result has.

    Raises:
        ImageTooLarge: It has more pixels.
    """
    problem = images.excess(result, most, frames) if result else None
    if problem:
        raise ImageTooLarge(name, problem)


def fit_within(size: Size, box: Size) -> Size:
    """Return the largest size of the same proportions that fits into a box, in whole pixels.

    Example:
        >>> fit_within((200, 100), (300, 300))
        (300, 150)
    """
    scale = min(box[0] / size[0], box[1] / size[1])
    width, height = (max(1, math.floor(side * scale + 0.5)) for side in size)
    return width, height
