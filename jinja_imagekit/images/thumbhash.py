"""ThumbHash (Evan Wallace, 2023): what an image looks like from afar, in about 25 bytes that a script shows."""

from __future__ import annotations

import math
from operator import mul

from PIL import Image

PIXELS = 32
"""Longer side of the image that is looked at: a hash tells seven waves a side at most, and four pixels show each."""

_Channel = list[list[float]]
"""Rows of samples from 0 to 1."""


def thumbhash(image: Image.Image) -> bytes:
    """Return the hash of an image in mode RGBA, of at most 100 pixels a side, as the format's own encoder does.

    Example:
        >>> thumbhash(Image.linear_gradient("L").resize((4, 3)).convert("RGBA")).hex()
        '1f081a058088888880888888888888870000000000'
    """
    width, height = image.size
    data = image.tobytes()
    pixels = [[level / 255 for level in data[at : at + 4]] for at in range(0, len(data), 4)]
    opaque = sum(pixel[3] for pixel in pixels)
    # What is transparent has the mean colour, so that it adds no waves.
    mean = [sum(pixel[at] * pixel[3] for pixel in pixels) / opaque if opaque else 0.0 for at in range(3)]
    colours = [[mean[at] * (1 - pixel[3]) + pixel[at] * pixel[3] for at in range(3)] for pixel in pixels]
    has_alpha = opaque < width * height
    most = 5 if has_alpha else 7
    across, down = (max(1, _rounded(most * side / max(width, height))) for side in (width, height))

    def waves(samples: list[float], many: int, high: int) -> tuple[float, float, list[float]]:
        return _waves([samples[at : at + width] for at in range(0, len(samples), width)], many, high)

    light, light_scale, light_parts = waves([(r + g + b) / 3 for r, g, b in colours], max(3, across), max(3, down))
    yellow, yellow_scale, yellow_parts = waves([(r + g) / 2 - b for r, g, b in colours], 3, 3)
    red, red_scale, red_parts = waves([r - g for r, g, _ in colours], 3, 3)
    head = (
        _rounded(63 * light)
        | _rounded(31.5 + 31.5 * yellow) << 6
        | _rounded(31.5 + 31.5 * red) << 12
        | _rounded(31 * light_scale) << 18
        | has_alpha << 23
        | (down if width > height else across) << 24
        | _rounded(63 * yellow_scale) << 27
        | _rounded(63 * red_scale) << 33
        | (width > height) << 39
    ).to_bytes(5, "little")
    parts = [*light_parts, *yellow_parts, *red_parts]
    if has_alpha:
        alpha, alpha_scale, alpha_parts = waves([pixel[3] for pixel in pixels], 5, 5)
        head += bytes((_rounded(15 * alpha) | _rounded(15 * alpha_scale) << 4,))
        parts += alpha_parts
    halves = [*(_rounded(15 * part) for part in parts), 0]
    return head + bytes(low | high << 4 for low, high in zip(halves[:-1:2], halves[1::2], strict=True))


def _waves(rows: _Channel, across: int, down: int) -> tuple[float, float, list[float]]:
    """Return the mean of a channel, its strongest wave, and all of its waves relative to that, from 0 to 1."""
    width, height = len(rows[0]), len(rows)
    found = []
    for vertical in range(down):
        weights = [math.cos(math.pi / height * vertical * (y + 0.5)) for y in range(height)]
        column = [sum(map(mul, samples, weights)) for samples in zip(*rows, strict=True)]
        # Of the square of waves, the triangle of the long ones.
        for horizontal in range(math.ceil(across * (down - vertical) / down)):
            cosines = [math.cos(math.pi / width * horizontal * (x + 0.5)) for x in range(width)]
            # What is nothing but rounding errors is nothing.
            found.append(round(sum(map(mul, column, cosines)) / (width * height), 12))
    mean, *parts = found
    scale = max(map(abs, parts))
    return mean, scale, [0.5 + 0.5 / scale * part for part in parts] if scale else parts


def _rounded(value: float) -> int:
    return math.floor(value + 0.5)
