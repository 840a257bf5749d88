"""Finds the encoder's quality for an image: the lowest that looks like it, or the highest that fits into some bytes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable

from PIL import Image

from ..exceptions import ImageTooLarge
from ..time_limits import check_time
from .colour import flatten
from .formats.base import Format
from .likeness import LEAST_SIDE, Likeness

MOST_LOSS = 27_000_000
"""Of a result of quality "auto", for a SSIMULACRA2 of 73 on average; 70 is "high quality" on its author's scale."""

FLOOR = 20
"""The lowest quality that `max_bytes` may lead to; below it, an image of fewer pixels looks better."""

STEP = 4
"""Of the qualities that `max_bytes` tries."""


def lowest_alike(image: Image.Image, format: Format, encode: Callable[[int], bytes], *, background: str) -> int | None:
    """Return the lowest quality of a format's ladder at which an image looks like itself.

    Args:
        image: As it is written.
        format: The format.
        encode: Returns the image as a file of a quality.
        background: The colour that stands behind transparent pixels.

    Returns:
        None where the image is too small to tell.

    Raises:
        ImageTooSlow: It takes longer than `time_limit` allows.
    """
    if min(image.size) < LEAST_SIDE:
        return None
    likeness = Likeness(flatten(image, background))

    def is_alike(quality: int) -> bool:
        check_time()
        with format.opened(encode(quality), animated=False) as file:
            file.load()
            mode = "RGBA" if image.mode == "RGBA" else "RGB"
            return likeness.loss(flatten(file.convert(mode), background)) <= MOST_LOSS

    ladder = format.qualities
    # The last one has no better.
    return ladder[bisect_left(ladder, True, hi=len(ladder) - 1, key=is_alike)]


def within_bytes(encode: Callable[[int], bytes], quality: int, most: int, name: str) -> bytes:
    """Return the file of the highest quality that has no more bytes than it may.

    Args:
        encode: Returns the image as a file of a quality.
        quality: The highest that is tried.
        most: The setting `max_bytes`.
        name: What errors call the image.

    Raises:
        ImageTooLarge: It has more at the lowest quality.
        ImageTooSlow: It takes longer than `time_limit` allows.
    """
    files: dict[int, bytes] = {}

    def fits(quality: int) -> bool:
        check_time()
        files[quality] = encode(quality)
        return len(files[quality]) <= most

    lower = [*range(quality, FLOOR, -STEP), min(quality, FLOOR)]
    found = bisect_left(lower, True, key=fits)
    if found == len(lower):
        least = min(files)
        raise ImageTooLarge(
            name,
            f"the result has {len(files[least]):,} bytes at quality {least}; max_bytes allows {most:,}, for which it "
            "needs fewer pixels",
        )
    return files[lower[found]]
