"""Encodes frames in one of the formats that are written, with nothing of the source in them but pixels."""

from __future__ import annotations

import io
from collections.abc import Mapping
from itertools import accumulate, pairwise
from typing import Any

from PIL import Image

from ..exceptions import EncodingFailed, ImageKitError, ImageTooLarge
from .colour import fits, flatten, has_alpha, in_one_mode, to_palette, to_plain
from .formats import OUTPUT_FORMATS, OutputFormat, check_options, encoder_options, normal_format
from .frames import Frames
from .rules import Limits, PixelRules


def encode(
    frames: Frames,
    format: str,
    options: Mapping[str, object],
    *,
    rules: PixelRules,
    limits: Limits,
    autoconvert: bool = True,
    name: str = "",
) -> bytes:
    """Return frames as the bytes of an image file.

    Args:
        frames: What to write, in any of Pillow's modes; the images are not changed.
        format: One of `WRITABLE_FORMATS`, in any case.
        options: Encoder options; they override the format's defaults one by one.
        rules: How pixels are written.
        limits: The caps on the result.
        autoconvert: Bring the pixels to a mode that the format can hold; otherwise they are given to the
            encoder as they are.
        name: What errors call the image.

    Returns:
        The file: the same bytes for the same pixels, whatever the number of cores. Metadata is not written,
        save what `frames.exif` holds.

    Raises:
        UnknownFormat: The format is not written.
        InvalidOption: An encoder option is unknown or out of range.
        ImageTooLarge: The result exceeds a cap of the settings, or of the format.
        EncodingFailed: The encoder refuses the image.

    Example:
        >>> frames = Frames((Image.new("RGB", (4, 3), "red"),), (4, 3))
        >>> encode(frames, "gif", {}, rules=PixelRules(), limits=Limits())[:6]
        b'GIF87a'
    """
    check_options(format, options)
    format = normal_format(format)
    spec = OUTPUT_FORMATS[format]
    if not (spec.animates and rules.keep_animation):
        frames = frames.with_images(frames.images[:1])
    _check_size(frames, format, spec, limits, name)
    try:
        images = _prepared(frames, format, spec, rules) if autoconvert else [_clean(image) for image in frames.images]
        return _save(images, format, _arguments(frames, images[0], format, spec, options))
    except (ImageKitError, MemoryError):
        raise
    except Exception as error:  # encoders raise anything: OSError, ValueError, SystemError, …
        raise EncodingFailed(name, format, f"{error or type(error).__name__}") from error


def _check_size(frames: Frames, format: str, spec: OutputFormat, limits: Limits, name: str) -> None:
    width, height = frames.images[0].size
    if width < 1 or height < 1:
        raise EncodingFailed(name, format, f"its size is {width} × {height} pixels.")
    if max(width, height) > spec.max_side:
        raise ImageTooLarge(name, f"a side of {max(width, height):,} pixels; {format} allows {spec.max_side:,}.")
    if any(image.size != (width, height) for image in frames.images):
        raise EncodingFailed(name, format, "its frames differ in size; use processors that treat all frames alike.")
    if width * height * len(frames.images) > limits.max_result_pixels:
        several = f" in {len(frames.images):,} frames" if len(frames.images) > 1 else ""
        raise ImageTooLarge(
            name,
            f"the result has {width:,} × {height:,} pixels{several}; "
            f"the setting max_result_pixels allows {limits.max_result_pixels:,}.",
        )


def _prepared(frames: Frames, format: str, spec: OutputFormat, rules: PixelRules) -> list[Image.Image]:
    profile = frames.icc_profile
    if profile and _can_hold(profile, format, spec):
        profile = None
    if len(frames.images) == 1 and _is_native(frames.images[0], format, spec, rules):
        return [_clean(frames.images[0])]
    images = [to_plain(image, scale_16_bit=rules.scale_16_bit, profile=profile) for image in frames.images]
    if not (spec.has_alpha and rules.keep_alpha):
        images = [flatten(image, rules.background) for image in images]
    images = in_one_mode(images)
    if format == "GIF":
        return [_clean(to_palette(image, rules.background)) for image in images]
    if images[0].mode not in spec.modes:
        images = [image.convert("RGBA" if has_alpha(image) else "RGB") for image in images]
    return [_clean(image) for image in images]


def _is_native(image: Image.Image, format: str, spec: OutputFormat, rules: PixelRules) -> bool:
    """Tell whether a mode that somebody chose on purpose can be written as it is."""
    if image.mode not in ("1", "P", "I;16") or image.mode not in spec.modes:
        return False
    # A GIF's palette has no alpha of its own, only one transparent index.
    writable = format != "GIF" or isinstance(image.info.get("transparency"), int)
    return not has_alpha(image) or (rules.keep_alpha and writable)


def _can_hold(profile: bytes, format: str, spec: OutputFormat) -> bool:
    # WebP and AVIF store grey with alpha as colours, which a grey profile does not fit.
    return "icc_profile" in spec.options and (fits(profile, "RGB") or format in ("JPEG", "PNG"))


def _clean(image: Image.Image) -> Image.Image:
    """Return a copy without metadata, which Pillow's encoders would write."""
    transparency = image.info.get("transparency")
    copy = image.copy()
    copy.info = {} if transparency is None else {"transparency": transparency}
    return copy


def _arguments(
    frames: Frames, image: Image.Image, format: str, spec: OutputFormat, options: Mapping[str, object]
) -> dict[str, Any]:
    arguments: dict[str, Any] = encoder_options(format, options)
    if frames.exif and "exif" in spec.options:
        arguments.setdefault("exif", frames.exif)
    profile = frames.icc_profile
    if profile and _can_hold(profile, format, spec) and fits(profile, image.mode):
        arguments.setdefault("icc_profile", profile)
    if len(frames.images) > 1:
        arguments.update(_timing(frames, format, spec))
        if format == "GIF" and "transparency" in image.info:
            # Each frame is whole: what stood before it goes, or it would show through.
            arguments["disposal"] = 2
    if format == "AVIF":
        # libavif's result depends on the number of threads.
        arguments["max_threads"] = 1
    if format == "JPEG" and (arguments.get("progressive") or arguments.get("progression") or arguments.get("optimize")):
        width, height = image.size
        # Noise at quality 100 without subsampling takes 0.99 bytes a sample.
        arguments["extra"] = _Room.of(b"", width * height * len(image.getbands()) * 3 // 2)
    return arguments


def _timing(frames: Frames, format: str, spec: OutputFormat) -> dict[str, Any]:
    durations = [min(max(duration, 0), spec.max_milliseconds) for duration in frames.durations]
    timing: dict[str, Any] = {"save_all": True}
    if format == "GIF":
        # Hundredths of a second, rounded so that the whole keeps its length.
        ends = [0, *(10 * round(end / 10) for end in accumulate(durations))]
        durations = [later - earlier for earlier, later in pairwise(ends)]
        if frames.loop is not None:
            timing["loop"] = max(frames.loop - 1, 0)
    elif format in ("PNG", "WEBP"):
        timing["loop"] = 1 if frames.loop is None else frames.loop
    return {**timing, "duration": durations}


class _Room(bytes):
    """Markers for a JPEG file, mostly none, that claim to be longer so that Pillow's buffer holds the whole file.

    libjpeg writes progressive and optimised files in one go, and Pillow guesses at their size: one byte a
    pixel. Noise takes more, and then fails with a message on the process's stderr. The guess counts the
    length of the markers given as `extra`; all else that could be set is global (`ImageFile.MAXBLOCK`).
    """

    room: int

    @classmethod
    def of(cls, markers: bytes, room: int) -> _Room:
        """Return `markers` with `room` bytes added to its length."""
        self = cls(markers)
        self.room = room
        return self

    def __len__(self) -> int:
        return super().__len__() + self.room

    def __add__(self, more: Any) -> _Room:
        return _Room.of(super().__add__(more), self.room)


def _save(images: list[Image.Image], format: str, arguments: dict[str, Any]) -> bytes:
    first, *rest = images
    if rest:
        arguments["append_images"] = rest
    buffer = io.BytesIO()
    first.save(buffer, format, **arguments)
    return buffer.getvalue()
