"""PNG and APNG (W3C PNG, third edition)."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, NamedTuple

from PIL import Image, ImageChops, ImageFile, PngImagePlugin

from .. import palettes
from ..colour import PLAIN_MODES, to_plain
from ..frames import Coding
from ..metadata import EXIF_PREFIX
from ..primaries import SRGB, Colours
from ..xmp import PNG_KEYWORD, png_xmp
from .base import (
    MOST_PROFILE_BYTES,
    BrokenFile,
    Format,
    Frame,
    Layout,
    Range,
    Wish,
    loaded,
    most_pieces,
    of_effort,
    once_or_more,
    plays_in_all,
)


class Png(Format):
    """PNG, animated or not."""

    name = "PNG"
    other_names = ("APNG",)
    extension = ".png"
    mimetype = "image/png"
    shown_by_browsers = True
    plugin = "PngImagePlugin.PngImageFile"

    modes = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16"})
    has_alpha = True
    animates = True
    max_side = 2**31 - 1
    max_milliseconds = 65_535  # 16 bits of 1/1000 s, as Pillow writes them
    efforts: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "fast": {"compress_level": 4},
        "balanced": {"compress_level": 6},
        "small": {"compress_level": 9},
    }
    flags = frozenset({"optimize", "dither"})
    options = flags | {"compress_level", "compress_type", "dpi", "icc_profile", "exif", "xmp", "bits"}
    ranges: ClassVar[Mapping[str, Range]] = {"compress_level": Range(0, 9), "bits": Range(1, 8)}

    def announces(self, data: bytes) -> bool:
        """Tell whether the first bytes are PNG's signature."""
        return data.startswith(_SIGNATURE)

    def layout(self, data: bytes) -> Layout:
        """Return the layout of a PNG or APNG file, from all of its chunks.

        An animation that does not hold what it announces is the still image that stands before it, as in browsers.

        Raises:
            BrokenFile: It is truncated.
        """
        first: dict[bytes, bytes] = {}
        for type, start, end in _chunks(data):
            if type not in first and type in _IN_LAYOUT and not (type == b"acTL" and b"IDAT" in first):
                first[type] = b"" if type == b"IDAT" else data[start:end]
            elif type == b"iTXt" and data.startswith(PNG_KEYWORD, start):
                first.setdefault(type, data[start:end])
        header = first.get(b"IHDR", b"")
        if len(header) < 13:
            raise BrokenFile("the PNG file has no header")
        plays, frames = _frames(data) if b"acTL" in first else (None, [])
        return Layout(
            int.from_bytes(header[:4], "big"),
            int.from_bytes(header[4:8], "big"),
            frames=len(frames) or 1,
            plays=plays if len(frames) > 1 else None,
            has_alpha=header[9] in (4, 6) or b"tRNS" in first or _leaves_bare(frames, header),
            exif=first.get(b"eXIf", b""),
            xmp=png_xmp(first[b"iTXt"]) if b"iTXt" in first else b"",
            manifest=first.get(b"caBX", b""),
            icc=b"" if b"cICP" in first else _profile(first.get(b"iCCP", b"")),
            colours=_colours(first),
            depth=header[8],
            coding=Coding(palette=_palette(header, first.get(b"PLTE", b""))),
        )

    def completed(self, data: bytes) -> bytes:
        """Return a file that has an end, behind what there is of its last chunk."""
        end = len(_SIGNATURE)
        try:
            for chunk in _chunks(data):
                end = chunk.end + 4
        except BrokenFile:
            cut = data[end + 8 :] if data[end + 4 : end + 8] == b"IDAT" else b""
            return b"".join((data[:end], _chunk(b"IDAT", cut) if cut else b"", _chunk(b"IEND", b"")))
        return data

    def frames(self, data: bytes, layout: Layout, *, animated: bool, scale: int) -> Iterator[Frame]:
        """Yield the image, or the composed frames of an animation.

        Raises:
            BrokenFile: A checksum does not match, or rows are missing.
        """
        parts = _Parts.of(data, layout.repair)
        frames = _frames(data)[1] if animated or layout.frames == 1 else []
        # A single frame behind a hidden image is what browsers show.
        if (animated and layout.frames > 1) or (len(frames) == 1 and not frames[0].is_default):
            yield from self._composed(parts, frames, layout)
        else:
            yield Frame(_decoded(parts.file(parts.image), layout), 0)

    def _composed(self, parts: _Parts, frames: list[_Frame], layout: Layout) -> Iterator[Frame]:
        """Yield the frames of an animation, each with what stood before it."""
        canvas = Image.new("RGBA", (layout.width, layout.height))
        for frame in frames:
            box = (frame.left, frame.top, frame.left + frame.width, frame.top + frame.height)
            own = to_plain(_decoded(parts.file(frame.pieces, (frame.width, frame.height)), layout)).convert("RGBA")
            before = canvas.crop(box) if frame.disposal == _TO_PREVIOUS else None
            if frame.is_over:
                # Pillow warns of large crops.
                own = Image.alpha_composite(canvas if own.size == canvas.size else canvas.crop(box), own)
            canvas.paste(own, box)
            yield Frame(canvas.copy() if layout.has_alpha else canvas.convert("RGB"), frame.milliseconds)
            if frame.disposal == _TO_BACKGROUND:
                canvas.paste((0, 0, 0, 0), box)
            elif before is not None:
                canvas.paste(before, box)

    def stripped(self, data: bytes, layout: Layout, exif: bytes, xmp: bytes) -> bytes | None:
        """Return a file of the chunks that make pixels."""
        parts = _Parts.of(data)
        kept = _chunk(b"eXIf", exif.removeprefix(EXIF_PREFIX)) if exif else b""
        kept += _chunk(b"iTXt", PNG_KEYWORD + bytes(4) + xmp) if xmp else b""
        if layout.frames == 1:
            # Decoders that read row by row know only of what stands before the pixels.
            parts = replace(parts, colours=parts.colours + kept)
            return parts.file(parts.image) if not _frames(data)[1] else None
        pieces = [_SIGNATURE, _chunk(b"IHDR", parts.header), parts.colours, kept]
        for chunk in _chunks(data):
            if chunk.type in _OF_ANIMATIONS:
                pieces.append(_chunk(chunk.type, bytes(_checked(data, chunk, False))))
        return b"".join((*pieces, _END))

    def holds_profile(self, profile: bytes) -> bool:
        """Tell whether a file can hold an ICC profile: any that fits its pixels."""
        return True

    def saved(self, images: list[Image.Image], arguments: Mapping[str, Any], wish: Wish) -> bytes:
        """Return the frames as a file: a still image with as few bits a pixel and as small as it gets without loss.

        A source with a palette gives a result with one, and so does the option `bits`.
        """
        arguments = dict(arguments)
        dither = bool(arguments.pop("dither", False))
        image = images[0]
        if len(images) > 1 or image.mode not in PLAIN_MODES:
            return self.saved_by_pillow(images, arguments)
        if "icc_profile" not in arguments:
            # A profile is one for grey, or one for colours.
            image = palettes.least(image)
        if "bits" in arguments:
            image = palettes.reduced(image, 2 ** arguments["bits"], dither=dither)
        else:
            image = _in_palette(image, wish.coding.palette, dither)
        data = self.saved_by_pillow([image], arguments)
        if wish.rules.png_optimizer == "oxipng":
            return _by_oxipng(data, wish.rules.effort)
        return _unfiltered(data, image, arguments) if image.mode in PLAIN_MODES and palettes.is_flat(image) else data

    def saved_by_pillow(self, images: list[Image.Image], arguments: Mapping[str, Any]) -> bytes:
        """Return the frames as a file, with XMP as a text, as Pillow wants it."""
        if xmp := arguments.get("xmp"):
            info = PngImagePlugin.PngInfo()
            info.add(b"iTXt", PNG_KEYWORD + bytes(4) + bytes(xmp))
            arguments = {**arguments, "pnginfo": info}
        return super().saved_by_pillow(images, {name: value for name, value in arguments.items() if name != "xmp"})

    def timing(self, durations: list[int], plays: int | None) -> dict[str, Any]:
        """Return durations and plays, which an APNG counts in all."""
        return {"duration": durations, "loop": plays_in_all(plays)}


_GREYS = 16
"""Levels of grey that a result has where its source has a few: four bits a pixel, and no step that an eye sees."""


def _in_palette(image: Image.Image, colours: int, dither: bool) -> Image.Image:
    """Return a plain image with a palette where that loses nothing, or where its source has one.

    Args:
        image: A plain image.
        colours: How many the source's palette has; 0 where it has none.
        dither: Mix colours that are missing.
    """
    if image.mode == "L":
        levels = {level for _, level in image.getcolors() or ()}
        if levels <= {0, 255}:
            return image.convert("1", dither=Image.Dither.NONE)
        if len(levels) <= _GREYS:
            return palettes.exact(image) or image
        return palettes.reduced(image, _GREYS, dither=dither) if 0 < colours <= _GREYS else image
    return palettes.exact(image) or (palettes.fewest(image, dither=dither) if colours else None) or image


_OXIPNG_LEVELS: Mapping[str, int] = {"fast": 1, "balanced": 2, "small": 4}
"""By the effort; 2 takes thrice the time of writing a screenshot once, 4 ten times as long for another percent."""


def _by_oxipng(data: bytes, effort: str) -> bytes:
    """Return a file as oxipng writes it, which gives the same bytes on any number of cores."""
    # An optional dependency.
    import oxipng

    smaller: bytes = oxipng.optimize_from_memory(data, level=of_effort(_OXIPNG_LEVELS, effort))
    return smaller


def _unfiltered(data: bytes, image: Image.Image, arguments: Mapping[str, Any]) -> bytes:
    """Return a file without filters where that makes it smaller, as it does for flat areas; Pillow always has them.

    Args:
        data: The file.
        image: Its pixels, in a plain mode.
        arguments: The arguments that Pillow's encoder had.
    """
    # Samples of a palette are not filtered.
    samples = Image.frombytes("P", (image.width * len(image.mode), image.height), image.tobytes())
    level = 9 if arguments.get("optimize") else arguments.get("compress_level", -1)
    plain = samples.tobytes("zip", "P", bool(arguments.get("optimize")), level, arguments.get("compress_type", -1), b"")
    coded = [chunk for chunk in _chunks(data) if chunk.type == b"IDAT"]
    if sum(chunk.end - chunk.start for chunk in coded) <= len(plain):
        return data
    return b"".join((data[: coded[0].start - 8], _chunk(b"IDAT", plain), data[coded[-1].end + 4 :]))


def _palette(header: bytes, colours: bytes) -> int:
    depth, kind = header[8:10]
    if kind == _INDEXED:
        return min(len(colours) // 3, 1 << depth)
    return 1 << depth if kind == _GREY and depth < 8 else 0


_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_END = b"\0\0\0\0IEND\xaeB`\x82"
_OF_ANIMATIONS = frozenset({b"acTL", b"fcTL", b"IDAT", b"fdAT"})
_IN_LAYOUT = frozenset(
    {b"IHDR", b"PLTE", b"IDAT", b"acTL", b"tRNS", b"eXIf", b"iCCP", b"cICP", b"sRGB", b"gAMA", b"cHRM", b"caBX"}
)
_GREY, _INDEXED = 0, 3
_TO_BACKGROUND, _TO_PREVIOUS = 1, 2


class _Chunk(NamedTuple):
    type: bytes
    start: int
    """Where the body begins; eight bytes of length and type precede it."""
    end: int
    """Where the body ends; four bytes of checksum follow."""


def _chunks(data: bytes) -> Iterator[_Chunk]:
    position = len(_SIGNATURE)
    for _ in range(most_pieces(data)):
        if position + 12 > len(data):
            break
        length, type = struct.unpack_from(">I4s", data, position)
        start = position + 8
        position = start + length + 4
        if position > len(data):
            break
        yield _Chunk(type, start, start + length)
        if type == b"IEND":
            return
    else:
        raise BrokenFile("the PNG file has far more chunks than its size explains")
    raise BrokenFile("the PNG file is truncated: it has no end chunk")


_USUAL_GAMMA = 1 / 2.2
"""What programs write that mean sRGB; the exponent alone is not its curve."""


def _colours(first: dict[bytes, bytes]) -> Colours:
    """Return the colours that chunks state (third edition, 4.3, in the order of their precedence)."""
    if len(code := first.get(b"cICP", b"")) >= 2:
        return Colours.of_codes(code[0], code[1])
    if b"sRGB" in first:
        return SRGB
    colours = SRGB
    if len(chunk := first.get(b"gAMA", b"")) == 4:
        exponent = int.from_bytes(chunk, "big") / 100_000
        if 0.01 < exponent < 100 and abs(exponent / _USUAL_GAMMA - 1) > 0.02:
            colours = Colours(gamma=1 / exponent)
    if len(chunk := first.get(b"cHRM", b"")) == 32:
        x, y = (struct.unpack(">8i", chunk)[start::2] for start in (0, 1))
        white, red, green, blue = ((a / 100_000, b / 100_000) for a, b in zip(x, y, strict=True))
        triangle = (red[0] - blue[0]) * (green[1] - blue[1]) - (green[0] - blue[0]) * (red[1] - blue[1])
        if abs(triangle) > 0.001 and all(0 < point[1] < 1 and 0 <= point[0] < 1 for point in (white, red, green, blue)):
            colours = Colours((red, green, blue, white), colours.gamma)
    return colours


def _profile(chunk: bytes) -> bytes:
    _, _, rest = chunk.partition(b"\0")
    inflater = zlib.decompressobj()
    try:
        profile = inflater.decompress(rest[1:], MOST_PROFILE_BYTES)
    except zlib.error:
        return b""
    return profile if inflater.eof else b""


@dataclass(slots=True)
class _Frame:
    """One frame of an animation, as its control chunk says (third edition, 11.3.6)."""

    width: int
    height: int
    left: int
    top: int
    milliseconds: int
    disposal: int
    is_over: bool
    is_default: bool
    """Whether its pixels are those of the still image."""
    pieces: list[_Chunk] = field(default_factory=list)


def _frames(data: bytes) -> tuple[int | None, list[_Frame]]:
    """Return how often an animation plays, and its frames; none of them where it is not what it announces."""
    announced, plays, sequence = 0, 0, 0
    size = struct.unpack_from(">II", data, 16)
    frames: list[_Frame] = []
    has_image = False
    for chunk in _chunks(data):
        type, start, end = chunk
        if type == b"acTL" and not has_image and end - start >= 8:
            announced, plays = struct.unpack_from(">II", data, start)
        elif type == b"fcTL" and end - start >= 26:
            number, frame = _frame(data, start)
            if number != sequence or not _fits(frame, size):
                return None, []
            frame.is_default = not has_image
            frames.append(frame)
            sequence += 1
        elif type == b"IDAT":
            has_image = True
            if frames and frames[-1].is_default:
                frames[-1].pieces.append(chunk)
        elif type == b"fdAT" and end - start >= 4:
            if int.from_bytes(data[start : start + 4], "big") != sequence or not frames or frames[-1].is_default:
                return None, []
            frames[-1].pieces.append(chunk)
            sequence += 1
    sound = len(frames) == announced > 0 and all(frame.pieces for frame in frames)
    if sound and frames[0].is_default:
        # The still image is the first frame, which must be all of it.
        sound = (frames[0].width, frames[0].height, frames[0].left, frames[0].top) == (*size, 0, 0)
    return (once_or_more(plays), frames) if sound else (None, [])


def _frame(data: bytes, start: int) -> tuple[int, _Frame]:
    number, width, height, left, top, delay, unit, disposal, blend = struct.unpack_from(">IIIIIHHBB", data, start)
    # A unit of 0 stands for 1/100 s.
    return number, _Frame(width, height, left, top, round(1000 * delay / (unit or 100)), disposal, blend == 1, False)


def _fits(frame: _Frame, size: tuple[int, int]) -> bool:
    inside = frame.left + frame.width <= size[0] and frame.top + frame.height <= size[1]
    return inside and frame.width > 0 and frame.height > 0


def _leaves_bare(frames: list[_Frame], header: bytes) -> bool:
    """Tell whether an animation shows the canvas, which is transparent, where no frame has been yet."""
    size = struct.unpack_from(">II", header)
    covered = bool(frames) and (frames[0].width, frames[0].height) == size
    return bool(frames) and (not covered or any(frame.disposal == _TO_BACKGROUND for frame in frames[:-1]))


@dataclass(frozen=True, slots=True)
class _Parts:
    """What makes the pixels of a PNG file, checked, and nothing else.

    Attributes:
        data: The whole file.
        header: The body of its header chunk.
        colours: Palette and transparency, which all frames share.
        image: The chunks of the still image's data.
        repair: Whether checksums may be wrong.
    """

    data: bytes
    header: bytes
    colours: bytes
    image: list[_Chunk]
    repair: bool

    @classmethod
    def of(cls, data: bytes, repair: bool = False) -> _Parts:
        """Take a file apart.

        Raises:
            BrokenFile: It is truncated, or a checksum does not match.
        """
        header, colours = b"", b""
        image: list[_Chunk] = []
        for chunk in _chunks(data):
            if chunk.type == b"IDAT":
                image.append(chunk)
            elif chunk.type == b"IHDR":
                header = bytes(_checked(data, chunk, repair))
            elif chunk.type in (b"PLTE", b"tRNS"):
                colours += _chunk(chunk.type, bytes(_checked(data, chunk, repair)))
        return cls(data, header, colours, image, repair)

    def file(self, chunks: list[_Chunk], size: tuple[int, int] | None = None) -> bytes:
        """Return a PNG file of the data of some chunks, those of the image or of one frame.

        One chunk holds all of it: Pillow handles each of thousands in Python.

        Raises:
            BrokenFile: A checksum does not match.
        """
        header = struct.pack(">II", *size) + self.header[8:] if size else self.header
        pieces = [_checked(self.data, chunk, self.repair)[4 if chunk.type == b"fdAT" else 0 :] for chunk in chunks]
        image = _chunk_parts(b"IDAT", pieces)
        return b"".join([_SIGNATURE, _chunk(b"IHDR", header), self.colours, *image, _chunk(b"IEND", b"")])


def _checked(data: bytes, chunk: _Chunk, repair: bool) -> memoryview:
    view = memoryview(data)
    if not repair and zlib.crc32(view[chunk.start - 4 : chunk.end]) != int.from_bytes(
        view[chunk.end : chunk.end + 4], "big"
    ):
        raise BrokenFile(f"the PNG file is damaged: the checksum of a {chunk.type.decode('latin-1')} chunk is wrong")
    return view[chunk.start : chunk.end]


def _chunk(type: bytes, body: bytes) -> bytes:
    return b"".join(_chunk_parts(type, [memoryview(body)]))


def _chunk_parts(type: bytes, pieces: list[memoryview]) -> list[bytes | memoryview]:
    checksum = zlib.crc32(type)
    for piece in pieces:
        checksum = zlib.crc32(piece, checksum)
    length = sum(len(piece) for piece in pieces)
    return [length.to_bytes(4, "big") + type, *pieces, checksum.to_bytes(4, "big")]


def _decoded(data: bytes, layout: Layout) -> Image.Image:
    """Return the pixels of a bare file, its transparent colour as Pillow understands it."""
    if layout.repair:
        file: Image.Image = loaded(PngImagePlugin.PngImageFile(io.BytesIO(data)), repair=True)
    else:
        file = _whole(data)
    key = file.info.get("transparency")
    if isinstance(key, int) and file.mode in ("1", "L") and layout.depth < 8 and key < 2**layout.depth:
        # The transparent colour has the file's depth, the decoded pixels have eight bits.
        file.info["transparency"] = key * 255 // (2**layout.depth - 1)
    elif isinstance(key, tuple) and layout.depth == 16:
        return _without_colour(file, data, key)
    return file


_MARKS: Mapping[str, tuple[Any, Any]] = {
    "1": (0, 255),
    "L": (90, 165),
    "LA": ((90, 165), (165, 90)),
    "P": (254, 253),
    "I;16": (23_205, 42_330),
    "RGB": ((90, 165, 91), (165, 90, 164)),
    "RGBA": ((90, 165, 91, 1), (165, 90, 164, 254)),
}
"""Two unusual values of a pixel for each mode that Pillow decodes to."""


def _whole(data: bytes) -> ImageFile.ImageFile:
    """Return a decoded PNG file.

    Pillow takes image data that ends early for whole. So the last row is marked before: where the mark is still
    there afterwards, in two different colours, nothing was decoded.

    Raises:
        BrokenFile: Rows are missing.
    """
    for number in (0, 1):
        file = PngImagePlugin.PngImageFile(io.BytesIO(data))
        file.decodermaxblock = 1 << 20
        mark = _MARKS.get(file.mode, (0, 1))[number]
        file.im = Image.new(file.mode, file.size, mark).im
        interlaced = bool(file.info.get("interlace"))
        file.load()
        if not _is_marked(file, mark, interlaced):
            return file
    raise BrokenFile("the PNG file is truncated: its image data ends before its last row")


def _is_marked(file: ImageFile.ImageFile, mark: Any, interlaced: bool) -> bool:
    """Tell whether the row that is decoded last has one colour, which is the mark."""
    width, height = file.size
    last, first = height - 1, 0
    if interlaced and height > 1:
        # The seventh and last pass fills the odd rows.
        last = height - 1 if height % 2 == 0 else height - 2
    elif interlaced and width > 1:
        # In a single row, the sixth pass fills the odd columns.
        first = width - 1 if width % 2 == 0 else width - 2
    row = file.crop((first, last, first + 1 if first else width, last + 1))
    if row.mode == "I;16":
        return bool(row.getextrema() == (mark, mark))
    return row.getcolors(1) == [(row.width, mark)]


def _without_colour(image: Image.Image, data: bytes, key: tuple[int, ...]) -> Image.Image:
    """Return an RGB image whose pixels of one colour are transparent: all 16 bits of it (third edition, 11.3.1.1)."""
    # Pillow keeps the high bytes; read as if their order were the other one, it keeps the low bytes.
    low = PngImagePlugin.PngImageFile(io.BytesIO(data))
    low.tile = [tile._replace(args="RGB;16L") for tile in low.tile]
    low.load()
    differs = Image.new("L", image.size)
    for bands, shift in ((image, 8), (low, 0)):
        for band, value in zip(bands.split(), key, strict=True):
            level = value >> shift & 255
            differs = ImageChops.lighter(differs, band.point([0 if each == level else 255 for each in range(256)]))
    opaque = image.convert("RGB")
    opaque.info = {}
    opaque.putalpha(differs)
    return opaque
