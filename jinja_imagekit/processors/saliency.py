"""Finds the part of an image that people look at: faces above all, else what has detail."""

from __future__ import annotations

from operator import mul

from PIL import Image, ImageChops, ImageFilter

from ..images.colour import flatten, to_plain

JUDGED_SIDE = 160
"""Pixels: an image is looked at when its longer side has at most so many; a face of a group still has ten."""

_SURROUNDINGS = 20
"""Detail and skin are averaged over squares whose half is this part of the longer side."""


def salient_point(image: Image.Image, kept: tuple[float, float]) -> tuple[float, float]:
    """Return the anchor, as two fractions, of a crop that keeps what people look at.

    Skin of any complexion has one hue, and a face is skin with much detail in it. What has both counts most, what has
    detail alone less; the upper parts count more than the lower, and the middle of a crop more than its ends. Without
    any detail it is the centre. All arithmetic is of whole numbers, so that every processor finds the same.

    Args:
        image: A still image in any of Pillow's modes.
        kept: The fractions of its width and height that the crop keeps.

    Example:
        >>> salient_point(Image.new("RGB", (400, 300)), (0.75, 1.0))
        (0.5, 0.5)
    """
    skin, detail = _maps(_reduced(image))
    return (
        _best_place(_profile(skin, detail, is_down=False), kept[0]),
        _best_place(_profile(skin, detail, is_down=True), kept[1]),
    )


def _reduced(image: Image.Image) -> Image.Image:
    """Return an image in RGB that is small enough to be looked at; transparent parts are grey."""
    factor = -(-max(image.size) // JUDGED_SIDE)
    if image.mode not in ("L", "LA", "RGB", "RGBA"):
        image = to_plain(image)
    # Unlike `resize`, it computes with whole numbers.
    return flatten(image.reduce(factor), "#808080").convert("RGB")


def _maps(image: Image.Image) -> tuple[Image.Image, Image.Image]:
    """Return how much of a face each pixel has, and how much detail."""
    light, blue, red = image.convert("YCbCr").split()
    detail = _detail(light)
    around = ImageFilter.BoxBlur(max(image.size) // _SURROUNDINGS)
    face = ImageChops.multiply(_skin(light, blue, red).filter(around), detail.filter(around).point(_THREEFOLD))
    return face, detail


def _detail(light: Image.Image) -> Image.Image:
    """Return by how much each pixel differs from its neighbours."""
    right = ImageChops.difference(light, _moved(light, 1, 0))
    below = ImageChops.difference(light, _moved(light, 0, 1))
    return ImageChops.lighter(right, below).point(_THREEFOLD)


def _moved(image: Image.Image, left: int, up: int) -> Image.Image:
    moved = image.copy()
    moved.paste(image, (-left, -up))
    return moved


def _skin(light: Image.Image, blue: Image.Image, red: Image.Image) -> Image.Image:
    """Return how much each pixel looks like skin.

    In YCbCr, skin lies along one line from grey, of 3 parts less blue to 4 parts more red; dark skin is nearer to
    grey than light skin. (The line was found in faces of public test images.)
    """
    off_line = ImageChops.difference(blue.point(_LESS_BLUE), red.point(_ON_LINE))
    colour = ImageChops.multiply(off_line.point(_NEAR_LINE), red.point(_REDNESS))
    return ImageChops.multiply(colour, light.point(_LIGHT))


def _ramp(value: int, start: int, end: int) -> int:
    """Return 0 at the start of a ramp, which may fall, 255 at its end, and what is between on it."""
    return min(255, max(0, (value - start) * 255 // (end - start)))


_THREEFOLD = [min(255, 3 * value) for value in range(256)]
_LESS_BLUE = [256 - max(value, 1) for value in range(256)]
_ON_LINE = [min(255, max(0, 128 + (value - 128) * 3 // 4)) for value in range(256)]
_NEAR_LINE = [_ramp(value, 14, 0) for value in range(256)]
_REDNESS = [min(_ramp(value - 128, 4, 14), _ramp(value - 128, 64, 48)) for value in range(256)]
_LIGHT = [min(_ramp(value, 16, 56), _ramp(value, 245, 225)) for value in range(256)]


def _profile(face: Image.Image, detail: Image.Image, *, is_down: bool) -> list[int]:
    """Return how much people look at each row from the top, or each column from the left."""
    if not is_down:
        face, detail = (each.transpose(Image.Transpose.TRANSPOSE) for each in (face, detail))
    width, count = face.size
    faces, details = face.tobytes(), detail.tobytes()
    profile = []
    for place in range(count):
        row = slice(place * width, (place + 1) * width)
        # The one face of a row, be it among a hundred other pixels.
        seen = 5 * width * max(faces[row]) + 2 * sum(details[row])
        profile.append(seen * (10 * count - 6 * place if is_down else 10 * count - 3 * abs(2 * place + 1 - count)))
    return profile


def _best_place(profile: list[int], kept: float) -> float:
    """Return where a crop that keeps a fraction of a side has most in it: 0 at the start, 1 at the end."""
    length = min(len(profile), max(1, round(kept * len(profile))))
    spare = len(profile) - length
    if not spare:
        return 0.5
    weights = [5 * length**2 - 4 * (2 * place + 1 - length) ** 2 for place in range(length)]

    def worth(start: int) -> tuple[int, int]:
        # Of equal ones, the one nearest to the middle.
        return sum(map(mul, profile[start : start + length], weights)), -abs(2 * start - spare)

    return max(range(spare + 1), key=worth) / spare
