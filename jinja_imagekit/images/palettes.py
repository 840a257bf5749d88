"""Few colours and flat areas: what tells drawings, screenshots and logos from photographs, and makes them small."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from PIL import Image, ImageChops, ImageStat

from .colour import flatten

MOST_COLOURS = 256
"""What a palette holds in PNG and GIF, whose samples of it have eight bits."""

_FLAT_SHARE = 0.5
"""Of pixels that equal their neighbour: 0.8 and more in screenshots and logos, 0.01 to 0.4 in photographs."""


def is_flat(image: Image.Image) -> bool:
    """Tell whether most pixels equal the one to the left, and most the one above, as in drawings and screenshots."""
    width, height = image.size
    if width < 2 or height < 2:
        return True
    for across, down in ((1, 0), (0, 1)):
        wide, high = width - across, height - down
        # In bands, or the two and their difference would take three times the memory of the image.
        bands = [(top, min(top + _BAND_ROWS, high)) for top in range(0, high, _BAND_ROWS)]
        equal = sum(
            ImageChops.difference(image.crop((across, top + down, width, end + down)), image.crop((0, top, wide, end)))
            .convert("L")
            .histogram()[0]
            for top, end in bands
        )
        if equal < _FLAT_SHARE * wide * high:
            return False
    return True


_BAND_ROWS = 64


def least(image: Image.Image) -> Image.Image:
    """Return a plain image in the smallest plain mode that holds all of it."""
    if image.mode in ("LA", "RGBA") and image.getchannel("A").getextrema() == (255, 255):
        image = image.convert(image.mode.removesuffix("A"))
    if image.mode in ("RGB", "RGBA"):
        red, green, blue = image.split()[:3]
        if not (ImageChops.difference(red, green).getbbox() or ImageChops.difference(green, blue).getbbox()):
            return image.convert("L" if image.mode == "RGB" else "LA")
    return image


_Counted = list[tuple[int, tuple[int, ...]]]
"""What Pillow's `getcolors` returns for an image of several channels."""


def exact(image: Image.Image) -> Image.Image | None:
    """Return a plain image in mode P, with a palette of exactly its colours; None where they are too many.

    The most frequent one comes first. Transparent pixels keep their alpha; what colour is below them does not matter,
    and becomes black.
    """
    # To its own mode, Pillow converts by a copy.
    shown = image if image.mode in ("RGB", "RGBA") else image.convert("RGBA" if image.mode == "LA" else "RGB")
    if shown.mode == "RGBA" and shown.getchannel("A").getextrema()[0] == 0:
        bare = shown.getchannel("A").point([255] + [0] * 255)
        shown = shown.copy()
        shown.paste((0, 0, 0, 0), mask=bare)
    found = colours(shown)
    if found is None:
        return None
    result = Image.frombytes("P", shown.size, numbered(shown, found).tobytes())
    result.putpalette([level for colour in found for level in colour], shown.mode)
    return result


def colours(image: Image.Image) -> list[tuple[int, ...]] | None:
    """Return the colours of an image in RGB or RGBA, the most frequent first; None where a palette has no room."""
    counted = cast(_Counted | None, image.getcolors(MOST_COLOURS))
    # Ties are broken by the colour, since the order in which Pillow counts is nobody's promise.
    return None if counted is None else [colour for _, colour in sorted(counted, key=lambda each: (-each[0], each[1]))]


def of(image: Image.Image) -> list[tuple[int, ...]]:
    """Return the palette of an opaque image in mode P."""
    levels = image.getpalette() or []
    return list(zip(levels[::3], levels[1::3], levels[2::3], strict=True))


def numbered(image: Image.Image, colours: Sequence[tuple[int, ...]]) -> Image.Image:
    """Return the numbers of the pixels' colours in mode L; 0 for what is none of the colours.

    Pillow's own conversion takes colours for equal that differ by less than four levels.
    """
    numbers = image.getchannel(0)
    known: dict[tuple[int, ...], int] = {(level,): level for level in range(256)}
    for band in range(1, len(image.mode)):
        # Two channels are one of 16 bits: the number of a colour so far, and the next channel.
        begun = {colour[: band + 1] for colour in colours}
        following = {colour: number for number, colour in enumerate(sorted(begun))}
        table = [0] * 65_536
        for colour, number in following.items():
            table[known[colour[:-1]] << 8 | colour[-1]] = number
        numbers = _looked_up(image.getchannel(band), numbers, table)
        known = following
    order = {known[colour]: number for number, colour in enumerate(colours)}
    return numbers.point([order.get(number, 0) for number in range(256)])


_BAND_PIXELS = 1 << 20


def _looked_up(low: Image.Image, high: Image.Image, table: list[int]) -> Image.Image:
    """Return what a table of 65,536 values says of the samples of two grey images, in bands of rows."""
    result = Image.new("L", low.size)
    rows = max(1, _BAND_PIXELS // low.width)
    for top in range(0, low.height, rows):
        box = (0, top, low.width, min(top + rows, low.height))
        pairs = Image.merge("LA", (low.crop(box), high.crop(box)))
        wide = Image.frombytes("I;16", pairs.size, pairs.tobytes())
        result.paste(wide.convert("I").point(table, "L"), box)
    return result


def reduced(image: Image.Image, colours: int = MOST_COLOURS, *, dither: bool = False) -> Image.Image:
    """Return a plain image in mode P, with the colours that stand for all of it.

    Args:
        image: In mode L, LA, RGB or RGBA.
        colours: How many at most, 2 to 256.
        dither: Mix colours that are missing out of pixels of others.
    """
    found = exact(image)
    if found is not None and len(found.getcolors() or ()) <= colours:
        return found
    if image.mode in ("LA", "RGBA"):
        return _with_alpha(image.convert("RGBA"), colours)
    if image.mode == "L":
        image, palette = image.convert("RGB"), _levels(image, colours)
    else:
        palette = _quantized(image, colours)
    return image.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG) if dither else palette


def fewest(image: Image.Image, most: int = MOST_COLOURS, *, dither: bool = False) -> Image.Image | None:
    """Return a plain image in mode P, with as few colours as look like all of it.

    Args:
        image: In mode LA, RGB or RGBA.
        most: How many at most.
        dither: Mix colours that are missing out of pixels of others.

    Returns:
        None where a palette does not hold its half-transparent colours.
    """
    if image.mode == "RGB" and _is_manifold(image):
        return reduced(image, most, dither=dither)
    sample = _sample(image)
    for colours in (*(each for each in _LADDER if each < most), most):
        result = reduced(sample, colours, dither=dither)
        error, shift = _errors(sample, result)
        if error <= _UNSEEN and shift <= _UNSEEN_SHIFT:
            break
    if image.mode != "RGB" and error > _UNSEEN:
        return None
    return result if sample is image else reduced(image, colours, dither=dither)


_SAMPLE_PIXELS = 1 << 18


def _sample(image: Image.Image) -> Image.Image:
    """Return an image, or bands of rows of a large one that stand for all of it."""
    pixels, rows = image.width * image.height, 16
    step = -(-pixels // _SAMPLE_PIXELS)
    if step == 1 or image.height < 4 * rows * step:
        return image
    tops = range(0, image.height - rows, rows * step)
    sample = Image.new(image.mode, (image.width, rows * len(tops)))
    for number, top in enumerate(tops):
        sample.paste(image.crop((0, top, image.width, top + rows)), (0, rows * number))
    return sample


_LADDER = (16, 32, 48, 64, 96, 128, 192)
_UNSEEN = 255**2 / 10**3.8
"""Mean square error in levels, 38 dB, at which text and lines look the same, even magnified …"""

_UNSEEN_SHIFT = 255**2 / 10**4.9
"""… and that of means of 4 × 4 pixels, 49 dB, at which a gradient does not fall into bands."""

_MANY_COLOURS = 1 << 16
"""More than a resized drawing has, and fewer than a photograph."""


def _is_manifold(image: Image.Image) -> bool:
    return image.getcolors(_MANY_COLOURS) is None


def _quantized(image: Image.Image, colours: int) -> Image.Image:
    """Return an RGB image in mode P, by what is best for drawings or for photographs.

    Pillow's k-means goes on until no more pixels than so many change their colour. Measured, of 0.75 megapixels:
    40.4 dB in 126 kB instead of the 34.4 dB in 170 kB of the median cut alone for a drawing of 64 colours, in the same
    time; of photographs 38.2 dB instead of 37.4 dB in half more.
    """
    pixels = image.width * image.height
    counted = cast(_Counted | None, image.getcolors(_MANY_COLOURS))
    if counted is None:
        steps = pixels // 8 + 1 if pixels <= _REFINED_PIXELS else 0
        return image.quantize(colours, Image.Quantize.MEDIANCUT, kmeans=steps)
    result = image.quantize(colours, Image.Quantize.MAXCOVERAGE, kmeans=pixels // 80 + 1)
    return _with_areas(result, [(count, colour) for count, colour in counted if count >= _AREA * pixels])


def _with_alpha(image: Image.Image, colours: int) -> Image.Image:
    """Return an RGBA image in mode P: half of the colours for opaque pixels, and half for those that are not.

    Pillow quantizes alpha by an octree alone, which is coarse.
    """
    solid = image.getchannel("A").point([0] * 255 + [255])
    opaque = _quantized(Image.composite(image.convert("RGB"), Image.new("RGB", image.size), solid), colours // 2)
    soft = Image.composite(Image.new("RGBA", image.size), image, solid).quantize(
        colours - colours // 2, Image.Quantize.FASTOCTREE
    )
    own, rest = of(opaque), soft.getpalette("RGBA") or []
    numbers = Image.frombytes("L", image.size, soft.tobytes()).point([min(len(own) + n, 255) for n in range(256)])
    numbers.paste(Image.frombytes("L", image.size, opaque.tobytes()), mask=solid)
    result = Image.frombytes("P", image.size, numbers.tobytes())
    result.putpalette([*(level for colour in own for level in (*colour, 255)), *rest], "RGBA")
    return result


_REFINED_PIXELS = 1 << 21
"""Of a photograph that k-means has time for: it takes longer by the number of colours, too."""

_AREA = 0.002
"""The share of pixels of a colour that is seen as an area, and is a number in somebody's style sheet."""


def _with_areas(image: Image.Image, areas: _Counted) -> Image.Image:
    """Return an image in mode P whose palette has the colours of large areas exactly."""
    own = of(image)
    replaced = list(own)
    for _, colour in sorted(areas):
        # The most frequent colour comes last, and has its way.
        distances = [sum((a - b) ** 2 for a, b in zip(colour, each, strict=True)) for each in own]
        number = distances.index(min(distances))
        replaced[number] = colour
    image.putpalette([level for colour in replaced for level in colour])
    return image


def _errors(image: Image.Image, result: Image.Image) -> tuple[float, float]:
    """Return the mean square errors in levels of pixels, and of means of 4 × 4; on black or white, what is worse."""
    errors, shifts = [], []
    for background in ("black", "white") if image.mode in ("LA", "RGBA") else ("black",):
        first, second = (flatten(each, background).convert("RGB") for each in (image, result.convert(image.mode)))
        errors.append(_mean_square(first, second))
        shifts.append(_mean_square(first.reduce(4), second.reduce(4)))
    return max(errors), max(shifts)


def _mean_square(first: Image.Image, second: Image.Image) -> float:
    squares = ImageStat.Stat(ImageChops.difference(first, second)).sum2
    return sum(squares) / (3 * first.width * first.height)


def _levels(image: Image.Image, count: int) -> Image.Image:
    """Return a grey image in mode P, with levels that are evenly spaced."""
    steps = count - 1
    result = image.point([(value * steps + 127) // 255 for value in range(256)], "L")
    palette = Image.frombytes("P", image.size, result.tobytes())
    palette.putpalette([level for number in range(count) for level in [number * 255 // steps] * 3])
    return palette
