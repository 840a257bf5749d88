"""Writes GIFs: palettes that frames share, and of each frame only what has changed since the one before it."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

from PIL import Image, ImageChops, ImageFilter, ImageStat

from ...time_limits import in_time
from .. import palettes

Box = tuple[int, int, int, int]

KEEP, TO_BACKGROUND, TO_PREVIOUS = 1, 2, 3
"""What a decoder does with a frame before it draws the next one (GIF89a, 23)."""


Palette = Sequence[tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class _Picture:
    """A frame, or what is shown at a time: pixels in mode RGB, and a mask of those that there are.

    Attributes:
        shown: Its pixels; black where none is.
        there: 255 where a pixel is, 0 where none is.
        numbers: Those of its colours in mode L, where it has been brought to a palette.
        palette: Which; frames of a scene have the very same one.
    """

    shown: Image.Image
    there: Image.Image
    numbers: Image.Image | None = None
    palette: Palette = ()

    def change(self, following: _Picture) -> Image.Image:
        """Return 255 where another picture has to draw a pixel over this one, and 0 elsewhere."""
        differs = _greatest(ImageChops.difference(self.shown, following.shown)).point([0] + [255] * 255)
        return ImageChops.darker(ImageChops.lighter(differs, ImageChops.invert(self.there)), following.there)

    def excess(self, following: _Picture) -> Box | None:
        """Return the box of pixels that are there and must not be in another picture; None for none."""
        return ImageChops.darker(self.there, ImageChops.invert(following.there)).getbbox()

    def without(self, box: Box) -> _Picture:
        """Return it with nothing in a box."""
        shown, there = self.shown.copy(), self.there.copy()
        shown.paste((0, 0, 0), box)
        there.paste(0, box)
        return _Picture(shown, there)


@dataclass(slots=True)
class _Step:
    """What the file says of one frame.

    Attributes:
        picture: The frame.
        box: Where it draws.
        change: 255 in the box where a pixel has to be drawn.
        disposal: What becomes of it.
        milliseconds: For which it is shown.
        palette: Its colours.
    """

    picture: _Picture
    box: Box
    change: Image.Image
    disposal: int
    milliseconds: int
    palette: Palette

    def cut(self, image: Image.Image) -> Image.Image:
        """Return what is in the box of an image as large as the frame."""
        return image if self.change.size == image.size else image.crop(self.box)

    @property
    def draws_all(self) -> bool:
        """Whether it draws every pixel of its box."""
        return self.change.getextrema() == (255, 255)

    def drawn_colours(self) -> Palette | None:
        """Return the colours that it draws; None where they are too many."""
        pixels = self.cut(self.picture.shown)
        if self.draws_all:
            return palettes.colours(pixels)
        drawn = Image.new("RGBA", pixels.size)
        drawn.paste(pixels, mask=self.change)
        found = palettes.colours(drawn)
        return found and [colour[:3] for colour in found if colour[3]]


def written(
    images: Sequence[Image.Image],
    durations: Sequence[int],
    repetitions: int | None,
    *,
    exact: bool = False,
    comment: bytes = b"",
    interlace: bool = False,
    dither: bool = False,
) -> bytes:
    """Return frames as a GIF file, without loss if one palette has room for all of their colours.

    Args:
        images: Frames of one size, in mode L or RGB, or in RGBA with pixels that are there or not.
        durations: Milliseconds of each; none for a still image.
        repetitions: How often it is shown again; 0 for ever, None not at all.
        exact: Have more palettes rather than a loss, as far as the pixels that a frame changes fit into one.
        comment: Text in the file.
        interlace: Code the rows in an order in which the image appears bit by bit.
        dither: Mix colours that are missing.
    """
    pictures = _pictures(images)
    steps: Iterable[_Step] | None = _exact(pictures, durations, many=exact)
    if steps is None:
        pictures = _with_palettes(pictures, dither)
        steps = _steps(pictures, durations)
    steps = iter(steps)
    first = next(steps)
    common = first.palette
    bits = _bits(len(common) + (len(common) < palettes.MOST_COLOURS))
    size = struct.pack("<HHBBB", *images[0].size, 0xF0 | bits - 1, 0, 0)
    parts = [b"GIF89a", size, _table(common, bits)]
    if repetitions is not None and len(images) > 1:
        parts.append(b"\x21\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<HB", repetitions, 0))
    if comment:
        parts += b"\x21\xfe", _sub_blocks(comment)
    parts += (_coded(step, common, interlace) for step in in_time(chain([first], steps)))
    return b"".join((*parts, b";"))


def _pictures(images: Sequence[Image.Image]) -> list[_Picture]:
    solid = Image.new("L", images[0].size, 255)
    pictures = []
    for image in images:
        shown, there = image if image.mode == "RGB" else image.convert("RGB"), solid
        if image.mode == "RGBA":
            there = image.getchannel("A")
            shown.paste((0, 0, 0), mask=ImageChops.invert(there))
        pictures.append(_Picture(shown, there))
    return pictures


# --- Colours ---


def _exact(pictures: Sequence[_Picture], durations: Sequence[int], *, many: bool) -> list[_Step] | None:
    """Return steps that each have a palette of exactly their colours; None where one has too many.

    They share one palette where it has room for all that they draw; otherwise those do whose colours are in the first.

    Args:
        pictures: The frames.
        durations: Milliseconds of each.
        many: Whether there may be more than one palette.
    """
    common: dict[tuple[int, ...], None] = {}
    fits = True
    steps = []
    for step in in_time(_steps(pictures, durations)):
        colours = step.drawn_colours()
        if colours is None or len(colours) > palettes.MOST_COLOURS - (not step.draws_all):
            return None
        fits = fits and len(common.keys() | colours) < palettes.MOST_COLOURS
        if not (fits or many or len(pictures) == 1):
            return None
        if fits:
            common.update(dict.fromkeys(colours))
        step.palette = colours
        steps.append(step)
    shared = list(common) if fits else steps[0].palette
    known = set(shared)
    for step in steps:
        if known.issuperset(step.palette) and (step.draws_all or len(shared) < palettes.MOST_COLOURS):
            step.palette = shared
    return steps


_STEADY = 5
"""Levels by which a resized pixel flickers that stood still; larger steps are seen as movement."""


def _steadied(picture: _Picture, last: _Picture | None) -> _Picture:
    """Return a frame whose pixels stay as they are shown while they hardly change."""
    if last is None:
        return picture
    step = _greatest(ImageChops.difference(last.shown, picture.shown))
    near = step.point([255] * (_STEADY + 1) + [0] * (255 - _STEADY))
    shown = picture.shown.copy()
    shown.paste(last.shown, mask=ImageChops.darker(near, ImageChops.darker(last.there, picture.there)))
    return _Picture(shown, picture.there)


def _greatest(image: Image.Image) -> Image.Image:
    """Return the greatest sample of each pixel."""
    greatest, *others = image.split()
    for other in others:
        greatest = ImageChops.lighter(greatest, other)
    return greatest


_NEW_SCENE = 40
"""Mean difference in levels of two frames that share hardly anything."""

_SCENE_PIXELS = 1 << 23
"""That share one palette at most: 140 frames of 200 × 300."""


def _scenes(pictures: Sequence[_Picture]) -> list[tuple[int, int]]:
    """Return the number of the first frame of each scene, and of the first one after it."""
    small = [picture.shown.resize((16, 16), Image.Resampling.BOX) for picture in pictures]
    most = max(1, _SCENE_PIXELS // (pictures[0].shown.width * pictures[0].shown.height))
    starts = [0]
    for number, (before, after) in enumerate(pairwise(small), 1):
        change = sum(ImageStat.Stat(ImageChops.difference(before, after)).mean) / 3
        if change > _NEW_SCENE or number - starts[-1] >= most:
            starts.append(number)
    return list(pairwise([*starts, len(pictures)]))


def _with_palettes(pictures: Sequence[_Picture], dither: bool) -> list[_Picture]:
    """Return frames in the colours of palettes, one for each scene."""
    width, height = pictures[0].shown.size
    # One colour stands for none, or for what was shown before.
    most = palettes.MOST_COLOURS - (len(pictures) > 1 or pictures[0].there.getextrema() != (255, 255))
    reduced: list[_Picture] = []
    last: _Picture | None = None
    for begin, end in in_time(_scenes(pictures)):
        last = _steadied(pictures[begin], last)
        sheet = last.shown
        if end - begin > 1:
            sheet = Image.new("RGB", (width, height * (end - begin)))
            sheet.paste(last.shown)
        for number, picture in enumerate(pictures[begin + 1 : end], 1):
            last = _steadied(picture, last)
            sheet.paste(last.shown, (0, height * number))
        found = palettes.fewest(sheet, most, dither=dither)
        assert found is not None
        del sheet
        colours = palettes.of(found)
        for number, picture in enumerate(pictures[begin:end]):
            own = found.crop((0, height * number, width, height * (number + 1)))
            shown = own.convert("RGB")
            shown.paste((0, 0, 0), mask=ImageChops.invert(picture.there))
            numbers = Image.frombytes("L", own.size, own.tobytes())
            reduced.append(_Picture(shown, picture.there, numbers, colours))
    return reduced


# --- Movement ---


def _steps(pictures: Sequence[_Picture], durations: Sequence[int]) -> Iterator[_Step]:
    """Yield what each frame draws over those before it, and what becomes of it, so that the next has least to draw."""
    size = pictures[0].shown.size
    base: _Picture | None = None
    kept = _without_repetitions(pictures, durations)
    for number, (of, milliseconds) in enumerate(kept):
        picture = pictures[of]
        change = base.change(picture) if base else picture.there
        box = change.getbbox() or (0, 0, 1, 1) if base else (0, 0, *size)
        disposal, after = 0 if len(kept) == 1 else KEEP, picture
        if number + 1 < len(kept):
            disposal, box, after = _disposal(picture, base, box, pictures[kept[number + 1][0]])
        change = change if box == (0, 0, *size) else change.crop(box)
        yield _Step(picture, box, change, disposal, milliseconds, picture.palette)
        base = after


_LONGEST = 655_350
"""Milliseconds for which a frame can be shown: 16 bits of 1/100 s."""


def _without_repetitions(pictures: Sequence[_Picture], durations: Sequence[int]) -> list[tuple[int, int]]:
    """Return the number of each frame that does not look like the one before it, and how long it is to be seen."""
    kept = [(0, durations[0] if durations else 0)]
    for number, (before, after) in enumerate(pairwise(pictures), 1):
        last, milliseconds = kept[-1]
        same = not (before.change(after).getbbox() or before.excess(after))
        if same and milliseconds + durations[number] <= _LONGEST:
            kept[-1] = last, milliseconds + durations[number]
        else:
            kept.append((number, durations[number]))
    return kept


def _disposal(picture: _Picture, base: _Picture | None, box: Box, following: _Picture) -> tuple[int, Box, _Picture]:
    """Return what becomes of a frame, its box, and what is shown before the next one is drawn."""
    excess = picture.excess(following)
    choices = [] if excess else [(KEEP, box, picture)]
    if base and not base.excess(following):
        choices.append((TO_PREVIOUS, box, base))
    larger = _union(box, excess) if excess else box
    choices.append((TO_BACKGROUND, larger, picture.without(larger)))
    return min(choices, key=lambda choice: choice[2].change(following).histogram()[255])


def _union(first: Box, second: Box) -> Box:
    return min(first[0], second[0]), min(first[1], second[1]), max(first[2], second[2]), max(first[3], second[3])


# --- Bytes ---


def _coded(step: _Step, common: Palette, interlace: bool) -> bytes:
    """Return the blocks of one frame, in the fewest bytes of a few ways to code it."""
    picture, there = step.picture, step.cut(step.picture.there)
    shown = step.cut(picture.shown)
    numbers = step.cut(picture.numbers) if picture.numbers else palettes.numbered(shown, step.palette)
    key = len(step.palette)
    drawn = [step.change]
    if step.palette is common and key < palettes.MOST_COLOURS:
        # Single pixels that stayed cost less as they are than as an exception.
        drawn += there, ImageChops.darker(step.change.filter(ImageFilter.MaxFilter(3)), there)
    return min((_blocks(step, numbers, each, key, common, interlace) for each in drawn), key=len)


def _blocks(step: _Step, numbers: Image.Image, drawn: Image.Image, key: int, common: Palette, interlace: bool) -> bytes:
    """Return the blocks of one frame that draws some of the pixels of its box."""
    has_key = drawn.getextrema() != (255, 255)
    if has_key:
        numbers, shown = Image.new("L", numbers.size, key), numbers
        numbers.paste(shown, mask=drawn)
    control = b""
    if step.disposal or step.milliseconds or has_key:
        packed = step.disposal << 2 | has_key
        control = struct.pack("<4BHBB", 0x21, 0xF9, 4, packed, step.milliseconds // 10, key if has_key else 0, 0)
    flags, table = 0x40 * interlace, b""
    if step.palette is not common:
        bits = _bits(key + has_key)
        flags, table = flags | 0x80 | bits - 1, _table(step.palette, bits)
    left, top, right, bottom = step.box
    greatest = numbers.getextrema()[1]
    assert isinstance(greatest, int)
    size = max(2, greatest.bit_length())
    data = Image.frombytes("P", numbers.size, numbers.tobytes()).tobytes("gif", "P", size, int(interlace))
    descriptor = struct.pack("<B4HB", 0x2C, left, top, right - left, bottom - top, flags)
    return b"".join((control, descriptor, table, bytes((size,)), data, b"\0"))


def _bits(colours: int) -> int:
    """Return the bits of a table of so many colours."""
    return max(1, (colours - 1).bit_length())


def _table(colours: Palette, bits: int) -> bytes:
    return bytes(level for colour in colours for level in colour).ljust(3 << bits, b"\0")


def _sub_blocks(data: bytes) -> bytes:
    pieces = [data[start : start + 255] for start in range(0, len(data), 255)]
    return b"".join(bytes((len(piece),)) + piece for piece in pieces) + b"\0"
