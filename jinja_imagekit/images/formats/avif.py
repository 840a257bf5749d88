"""AVIF (AV1 Image File Format; ISO/IEC 14496-12 for its boxes)."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from PIL import Image

from ..chroma import has_saturated_edges
from ..gain_maps import FOREIGN
from ..primaries import SRGB, Colours
from .base import Format, Layout, Range
from .boxes import C2PA, MEDIA_BOXES, boxes_in, brands_of, check_boxes, named_box


class Avif(Format):
    """AVIF, animated or not."""

    name = "AVIF"
    other_names = ("AVIFS",)
    extension = ".avif"
    mimetype = "image/avif"
    shown_by_browsers = True
    plugin = "AvifImagePlugin.AvifImageFile"

    modes = frozenset({"L", "RGB", "RGBA"})
    has_alpha = True
    animates = True
    max_side = 65_536  # libavif's encoder
    max_milliseconds = 2**31 - 1
    # Tiles, which libavif would make from half a megapixel on, are for encoders of several threads, and take bytes.
    defaults: ClassVar[Mapping[str, object]] = {"quality": 60, "autotiling": False}
    # The same look takes another quality at each speed.
    efforts: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "fastest": {"speed": 9, "quality": 62},
        "fast": {"speed": 7},
        "balanced": {"speed": 6},
        "small": {"speed": 5, "quality": 59},
    }
    qualities = (28, 34, 40, 45, 50, 55, 60, 66, 73)
    flags = frozenset({"autotiling", "alpha_premultiplied"})
    options = flags | {"quality", "speed", "subsampling", "range", "codec", "tile_rows", "tile_cols", "advanced"}
    options |= {"icc_profile", "exif", "xmp"}
    ranges: ClassVar[Mapping[str, Range]] = {"quality": Range(0, 100), "speed": Range(0, 10)}

    def announces(self, data: bytes) -> bool:
        """Tell whether the file's brands name AVIF, still or animated."""
        brands = brands_of(data)
        return b"avif" in brands or b"avis" in brands

    def layout(self, data: bytes) -> Layout:
        """Return the layout of an AVIF file; Pillow reads its header without cost.

        Raises:
            BrokenFile: A box reaches beyond its end.
        """
        check_boxes(data, MEDIA_BOXES, self.name)
        meta = _Meta.of(data)
        with self.opened(data, animated=True) as image:
            frames = getattr(image, "n_frames", 1)
            return Layout(
                *image.size,
                frames=frames,
                # Pillow does not tell; what encoders write unless told otherwise is "for ever".
                plays=0 if frames > 1 else None,
                has_alpha=image.mode == "RGBA",
                colours=meta.colours(data) if meta else SRGB,
                exif=image.info.get("exif", b""),
                xmp=image.info.get("xmp", b"") or b"",
                manifest=named_box(data, C2PA),
                icc=image.info.get("icc_profile", b"") or b"",
                gain_map=FOREIGN if b"tmap" in brands_of(data) else None,
            )

    def bare(self, data: bytes, *, animated: bool) -> Any:
        """Return a file that libavif reads, even where it is stricter than browsers."""
        meta = _Meta.of(data)
        return io.BytesIO(meta.with_sized_alpha(data) if meta else data)

    def stripped(self, data: bytes, layout: Layout, exif: bytes, xmp: bytes) -> bytes | None:
        """Return a file of the items that make pixels; None for an animation, and where metadata is to be kept."""
        meta = _Meta.of(data)
        if meta is None or layout.frames > 1 or exif or xmp:
            return None
        try:
            return _rewritten(data, meta)
        except (KeyError, IndexError, ValueError, struct.error):
            return None

    def sealed(self, data: bytes, image: Image.Image) -> bytes:
        """Zero the time of writing, by which each run's file would be different (14496-12, 8.2.2, 8.3.2, 8.4.2).

        Only an animation holds it.
        """
        sealed = bytearray(data)
        for start, version in _times(data, 0, len(data)):
            length = 16 if version == 1 else 8
            sealed[start : start + length] = bytes(length)
        return bytes(sealed)

    def for_trial(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return a higher speed, and the quality that looks the same with it."""
        if arguments["speed"] >= _TRIAL_SPEED:
            return dict(arguments)
        return {**arguments, "speed": _TRIAL_SPEED, "quality": arguments["quality"] + _TRIAL_QUALITY}

    def arguments(self, image: Image.Image, chosen: Mapping[str, object]) -> dict[str, Any]:
        """Return one thread, since libavif's result depends on how many there are, and chroma in full for its edges."""
        full = "subsampling" not in chosen and has_saturated_edges(image)
        return {"max_threads": 1, **({"subsampling": "4:4:4"} if full else {})}


_TRIAL_SPEED, _TRIAL_QUALITY = 9, 2
"""A tenth of the time of speed 6, which gets the same look from a quality that is this much lower; so does speed 7."""


def _times(data: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield where movie, tracks and media keep the times of their making and change, and the version of the box."""
    for type, body, after in boxes_in(data, start, end):
        if type in (b"moov", b"trak", b"mdia"):
            yield from _times(data, body, after)
        elif type in (b"mvhd", b"tkhd", b"mdhd"):
            yield body + 4, data[body]


@dataclass(frozen=True, slots=True)
class _Meta:
    """What the boxes of a still image say about its items (ISO/IEC 23008-12).

    Attributes:
        start: Where the body of the box of all of them begins in the file.
        end: Where it ends.
        primary: The item that is shown.
        alpha: The items that are its alpha.
        properties: Type, start and end of each property.
        associations: The numbers of each item's properties, with a bit that says whether one is essential.
        parent: Start and end of the body of the box of properties.
        place: Start and end of the body of the box of associations.
    """

    start: int
    end: int
    primary: int
    alpha: tuple[int, ...]
    properties: tuple[tuple[bytes, int, int], ...]
    associations: dict[int, list[int]]
    parent: tuple[int, int]
    place: tuple[int, int]

    @classmethod
    def of(cls, data: bytes) -> _Meta | None:
        """Return what a file says; None if it is unclear, which is left to libavif to report."""
        try:
            start, end = next((first, last) for type, first, last in boxes_in(data, 0, len(data)) if type == b"meta")
            boxes = {type: (first, last) for type, first, last in boxes_in(data, start + 4, end)}
            item = boxes[b"pitm"][0]
            primary = int.from_bytes(data[item + 4 : item + (8 if data[item] else 6)], "big")
            inner = {type: (first, last) for type, first, last in boxes_in(data, *boxes[b"iprp"])}
            properties = tuple(boxes_in(data, *inner[b"ipco"]))
            associations = _associations(data, inner[b"ipma"][0])
            references = _references(data, *boxes[b"iref"]) if b"iref" in boxes else ()
            alpha = tuple(item for type, item, targets in references if type == b"auxl" and primary in targets)
        except (KeyError, IndexError, struct.error, StopIteration):
            return None
        return cls(start, end, primary, alpha, properties, associations, boxes[b"iprp"], inner[b"ipma"])

    def property(self, item: int, type: bytes) -> int:
        """Return the number of an item's first property of a type; 0 where it has none."""
        numbers = (number & ~_ESSENTIAL for number in self.associations.get(item, ()))
        return next((n for n in numbers if 0 < n <= len(self.properties) and self.properties[n - 1][0] == type), 0)

    def colours(self, data: bytes) -> Colours:
        """Return what the image's samples stand for, as far as numbers say it."""
        for number in (each & ~_ESSENTIAL for each in self.associations.get(self.primary, ())):
            if 0 < number <= len(self.properties):
                type, start, end = self.properties[number - 1]
                if type == b"colr" and data[start : start + 4] == b"nclx" and end - start >= 8:
                    return Colours.of_codes(*struct.unpack_from(">HH", data, start + 4))
        return SRGB

    def with_sized_alpha(self, data: bytes) -> bytes:
        """Return a file whose alpha states its size, that of the image: libavif insists on it, browsers do not.

        The new box of items stands at the end, so that nothing else moves; the old one becomes free space.
        """
        size = self.property(self.primary, b"ispe")
        lacking = [item for item in self.alpha if not self.property(item, b"ispe")]
        if not (size and lacking and data[self.start - 4 : self.start] == b"meta"):
            return data
        associations = {**self.associations, **{item: [size, *self.associations.get(item, [])] for item in lacking}}
        body = _associated(associations, len(self.properties) > 127)
        inner = data[self.parent[0] : self.place[0] - 8] + _box(b"ipma", body) + data[self.place[1] : self.parent[1]]
        meta = data[self.start : self.parent[0] - 8] + _box(b"iprp", inner) + data[self.parent[1] : self.end]
        return data[: self.start - 4] + b"free" + data[self.start :] + _box(b"meta", meta)


_ESSENTIAL = 0x8000
_MOST_ITEMS = 4_096


def _box(type: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body) + 8, type) + body


def _associated(associations: Mapping[int, list[int]], wide: bool) -> bytes:
    """Return the body of a box that gives items their properties; wide for more than 127 properties."""
    body = struct.pack(">II", 1 << 24 | wide, len(associations))
    for item, numbers in sorted(associations.items()):
        body += struct.pack(">IB", item, len(numbers))
        for number in numbers:
            narrow = (number & _ESSENTIAL) >> 8 | number & 0x7F
            body += struct.pack(">H", number) if wide else bytes((narrow,))
    return body


def _associations(data: bytes, start: int) -> dict[int, list[int]]:
    """Return the properties of each item (23008-12, 9.3.1)."""
    wide_item, wide_number = data[start] > 0, data[start + 3] & 1
    count = min(int.from_bytes(data[start + 4 : start + 8], "big"), _MOST_ITEMS)
    found: dict[int, list[int]] = {}
    position = start + 8
    for _ in range(count):
        item, many = struct.unpack_from(">IB" if wide_item else ">HB", data, position)
        position += 5 if wide_item else 3
        numbers = struct.unpack_from(f">{many}{'H' if wide_number else 'B'}", data, position)
        position += 2 * many if wide_number else many
        found[item] = [number if wide_number else (number & 0x80) << 8 | number & 0x7F for number in numbers]
    return found


_PIXELS = frozenset({b"av01", b"grid"})
"""Types of items that are an image, or one that is put together of others."""


def _rewritten(data: bytes, meta: _Meta) -> bytes:
    """Return a still image's file anew, with the primary item, what it is made of and its alpha.

    Raises:
        ValueError: It is made of items of another kind, or its boxes contradict each other; so do `KeyError`,
            `IndexError` and `struct.error`.
    """
    boxes = {type: (first, last) for type, first, last in boxes_in(data, meta.start + 4, meta.end)}
    references = list(_references(data, *boxes[b"iref"])) if b"iref" in boxes else []
    kept = [meta.primary]
    for item in kept:
        for type, start, targets in references:
            parts = (
                targets
                if type == b"dimg" and start == item
                else (start,)
                if type == b"auxl" and item in targets
                else ()
            )
            kept += [each for each in parts if each not in kept]
    items = _items(data, boxes[b"iinf"][0])
    places = _places(data, boxes[b"iloc"][0], boxes.get(b"idat", (0, 0))[0])
    if any(items[item][1] not in _PIXELS for item in kept):
        raise ValueError("an item is no image")
    pieces = [b"".join(data[first:last] for first, last in places[item]) for item in kept]
    profiles = [
        n
        for n, (type, start, _) in enumerate(meta.properties, 1)
        if type == b"colr" and data[start : start + 4] in _ICC
    ]
    properties = b"".join(
        _box(b"free" if number in profiles else type, b"" if number in profiles else data[start:end])
        for number, (type, start, end) in enumerate(meta.properties, 1)
    )
    associations = {
        item: [n for n in meta.associations.get(item, ()) if n & ~_ESSENTIAL not in profiles] for item in kept
    }
    listed = b"".join(
        _box(b"infe", struct.pack(">BBHHH4sB", 2, 0, items[item][0], item, 0, items[item][1], 0)) for item in kept
    )
    said = b"".join(
        _box(type, struct.pack(f">HH{len(targets)}H", start, len(targets), *targets))
        for type, start, targets in references
        if type in (b"dimg", b"auxl", b"prem") and start in kept and all(each in kept for each in targets)
    )
    head = b"".join(
        (
            bytes(4) + _box(b"hdlr", bytes(8) + b"pict" + bytes(13)),
            _box(b"pitm", struct.pack(">IH", 0, meta.primary)),
            _box(b"iinf", struct.pack(">IH", 0, len(kept)) + listed),
            _box(b"iref", bytes(4) + said) if said else b"",
            _box(
                b"iprp",
                _box(b"ipco", properties) + _box(b"ipma", _associated(associations, len(meta.properties) > 127)),
            ),
        )
    )
    type_box = data[: int.from_bytes(data[:4], "big")]
    # Each item of the location box has 14 bytes: its number, no reference, one extent of 4 + 4 bytes.
    offset = len(type_box) + 8 + len(head) + 16 + 14 * len(kept) + 8
    located = struct.pack(">IHH", 0, 0x4400, len(kept))
    for item, piece in zip(kept, pieces, strict=True):
        located += struct.pack(">HHHII", item, 0, 1, offset, len(piece))
        offset += len(piece)
    return type_box + _box(b"meta", head + _box(b"iloc", located)) + _box(b"mdat", b"".join(pieces))


_ICC = (b"prof", b"rICC")


def _references(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, tuple[int, ...]]]:
    """Yield type, item and targets of each reference between items (14496-12, 8.11.12)."""
    wide = data[start] > 0
    for type, body, _ in boxes_in(data, start + 4, end):
        item, count = struct.unpack_from(">IH" if wide else ">HH", data, body)
        yield type, item, struct.unpack_from(f">{count}{'I' if wide else 'H'}", data, body + (6 if wide else 4))


def _items(data: bytes, start: int) -> dict[int, tuple[int, bytes]]:
    """Return flags and type of each item (14496-12, 8.11.6)."""
    wide = data[start] > 0
    end = start - 8 + int.from_bytes(data[start - 8 : start - 4], "big")
    found = {}
    for _, body, _ in boxes_in(data, start + (8 if wide else 6), end):
        item, _, type = struct.unpack_from(">IH4s" if data[body] == 3 else ">HH4s", data, body + 4)
        found[item] = data[body + 3], type
    return found


def _places(data: bytes, start: int, own: int) -> dict[int, list[tuple[int, int]]]:
    """Return where the data of each item lies in the file (14496-12, 8.11.3).

    Args:
        data: The file.
        start: Where the body of the location box begins.
        own: Where that of the box of items' own data does.

    Raises:
        ValueError: It lies elsewhere.
    """
    version, sizes = data[start], int.from_bytes(data[start + 4 : start + 6], "big")
    widths = [sizes >> shift & 15 for shift in (12, 8, 4, 0)]
    position = start + 6

    def number(width: int) -> int:
        nonlocal position
        position += width
        if position > len(data):
            raise ValueError("the box is cut short")
        return int.from_bytes(data[position - width : position], "big")

    found: dict[int, list[tuple[int, int]]] = {}
    for _ in range(min(number(4 if version == 2 else 2), _MOST_ITEMS)):
        item = number(4 if version == 2 else 2)
        method = number(2) & 15 if version else 0
        reference, base = number(2), number(widths[2])
        if method > 1 or reference:
            raise ValueError("an item's data is in another file, or made of others")
        base += own if method else 0
        extents = []
        for _ in range(min(number(2), _MOST_ITEMS)):
            number(widths[3] if version else 0)
            first, length = base + number(widths[0]), number(widths[1])
            if not length or first + length > len(data):
                raise ValueError("an item's data has no end")
            extents.append((first, first + length))
        found[item] = extents
    return found
