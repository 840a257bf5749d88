"""Encodes frames in one of the formats that are written, with nothing of the source in them but pixels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PIL import Image

from ..exceptions import EncodingFailed, ImageKitError, ImageTooLarge
from ..settings import AUTO
from ..wording import said
from .colour import as_p3, fits, flatten, in_one_mode, may_be_transparent, to_plain
from .formats import OUTPUT_FORMATS, check_options, encoder_options
from .formats.base import Format, Wish
from .frames import Frames
from .names import normal_format
from .primaries import display_p3
from .qualities import lowest_alike, within_bytes
from .rules import Limits, PixelRules, excess


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
        save what `frames.exif` and `frames.xmp` hold.

    Raises:
        UnknownFormat: The format is not written.
        InvalidOption: An encoder option is unknown or out of range.
        ImageTooLarge: The result exceeds a cap of the settings, or of the format.
        EncodingFailed: The encoder refuses the image.

    Example:
        >>> frames = Frames((Image.new("RGB", (4, 3), "red"),), (4, 3))
        >>> encode(frames, "gif", {}, rules=PixelRules(), limits=Limits())[:6]
        b'GIF89a'
    """
    check_options(format, options)
    written = OUTPUT_FORMATS[normal_format(format)]
    if not (written.animates and rules.keep_animation):
        frames = _first(frames)
    _check_size(frames, written, limits, name)
    try:
        if not autoconvert:
            images = [_clean(image) for image in frames.images]
            return written.saved_by_pillow(
                images, _arguments(frames, images[0], written, _without_auto(options), rules)
            )
        images = _prepared(frames, written, rules)
        return _of_quality(frames, images, written, options, rules, name)
    except (ImageKitError, MemoryError):
        raise
    except Exception as error:  # encoders raise anything: OSError, ValueError, SystemError, …
        raise EncodingFailed(name, written.name, said(error)) from error


def _of_quality(
    frames: Frames,
    images: list[Image.Image],
    format: Format,
    options: Mapping[str, object],
    rules: PixelRules,
    name: str,
) -> bytes:
    """Return prepared images as a file, whose quality and bytes may be left to be found."""
    # A setting for photographs does not make drawings lossy, as an option would.
    wish = Wish(frames.coding, frozenset(_without_auto(options)), frames.are_as_coded, rules)
    if rules.quality is not None and format.qualities:
        options = {"quality": rules.quality, **options}
    is_auto = options.get("quality") == AUTO
    options = _without_auto(options)
    arguments = _arguments(frames, images[0], format, options, rules)
    has_quality = format.qualities and not arguments.get("lossless")
    # What would be written without loss otherwise has a quality too.
    lossy = wish._replace(asked=wish.asked | {"quality"})

    def save(quality: int) -> bytes:
        return format.saved(images, {**arguments, "quality": quality}, lossy)

    if is_auto and has_quality:
        # Of an animation, the first frame stands for all.
        still = arguments if len(images) == 1 else _arguments(_first(frames), images[0], format, options, rules)

        def save_trial(quality: int) -> bytes:
            return format.saved(images[:1], format.for_trial({**still, "quality": quality}), lossy)

        found = lowest_alike(images[0], format, save_trial, background=rules.background)
        arguments["quality"] = found or arguments["quality"]
    data = format.saved(images, arguments, wish)
    if rules.max_bytes is None or len(data) <= rules.max_bytes:
        return data
    if has_quality:
        return within_bytes(save, int(arguments["quality"]), rules.max_bytes, name)
    problem = f"the result has {len(data):,} bytes without loss; max_bytes allows {rules.max_bytes:,}"
    raise ImageTooLarge(name, problem)


def _without_auto(options: Mapping[str, object]) -> dict[str, object]:
    """Return options without a quality that is to be found."""
    return {name: value for name, value in options.items() if (name, value) != ("quality", AUTO)}


def _first(frames: Frames) -> Frames:
    return frames.with_images(frames.images[:1])


def _check_size(frames: Frames, format: Format, limits: Limits, name: str) -> None:
    width, height = frames.images[0].size
    if width < 1 or height < 1:
        raise EncodingFailed(name, format.name, f"its size is {width} × {height} pixels.")
    if max(width, height) > format.max_side:
        raise ImageTooLarge(name, f"a side of {max(width, height):,} pixels; {format.name} allows {format.max_side:,}.")
    if any(image.size != (width, height) for image in frames.images):
        raise EncodingFailed(
            name, format.name, "its frames differ in size; use processors that treat all frames alike."
        )
    problem = excess((width, height), limits.max_result_pixels, len(frames.images))
    if problem:
        raise ImageTooLarge(name, problem)


def _prepared(frames: Frames, format: Format, rules: PixelRules) -> list[Image.Image]:
    first, profile = frames.images[0], frames.icc_profile
    if profile and format.holds_profile(profile):
        profile = None
    if len(frames.images) == 1 and format.holds(first) and (rules.keep_alpha or not may_be_transparent(first)):
        return [_clean(first)]
    images = [to_plain(image, scale_16_bit=rules.scale_16_bit, profile=profile) for image in frames.images]
    background = rules.background
    if profile is None and frames.icc_profile == display_p3():
        background = as_p3(background)
    if not (format.has_alpha and rules.keep_alpha):
        images = [flatten(image, background) for image in images]
    return [_clean(image) for image in format.prepared(in_one_mode(images), background)]


def _clean(image: Image.Image) -> Image.Image:
    """Return an image of the same pixels without metadata, which Pillow's encoders would write."""
    transparency = image.info.get("transparency")
    image.load()
    # No encoder changes pixels, so they need not be copied; a palette may be put in another order.
    copy = image.copy() if image.mode == "P" else image._new(image.im)
    copy.info = {} if transparency is None else {"transparency": transparency}
    return copy


def _arguments(
    frames: Frames, image: Image.Image, format: Format, options: Mapping[str, object], rules: PixelRules
) -> dict[str, Any]:
    arguments: dict[str, Any] = encoder_options(format, options, rules.effort)
    for name, kept in (("exif", frames.exif), ("xmp", frames.xmp)):
        if kept and name in format.options:
            arguments.setdefault(name, kept)
    profile = frames.icc_profile
    if profile and format.holds_profile(profile) and fits(profile, image.mode):
        arguments.setdefault("icc_profile", profile)
    if len(frames.images) > 1:
        durations = [min(max(duration, 0), format.max_milliseconds) for duration in frames.durations]
        arguments.update(format.timing(durations, frames.loop), save_all=True)
    arguments.update(format.arguments(image, arguments))
    return arguments
