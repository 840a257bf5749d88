"""`Format`: all that is particular to one format, and `Layout`: what a file's container says about it.

Pillow cannot be asked about containers: an application may have told it to accept truncated files, it warns about
damaged metadata through the process's warnings, and it allocates a WebP's canvas before its size can be refused.
"""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar, cast

from PIL import Image, ImageFile

from ...settings import EFFORTS
from ..colour import fits, may_be_transparent
from ..frames import UNCODED, Coding
from ..gain_maps import GainMap
from ..primaries import SRGB, Colours

if TYPE_CHECKING:
    from ..rules import PixelRules

T = TypeVar("T")


class BrokenFile(ValueError):
    """The file is damaged or incomplete; the message says where."""


class OtherKind(BrokenFile):
    """The file is of a kind that is not read; the message is what it is, and what to do about it."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What a file's container says about it.

    Attributes:
        width: Pixels, as stored.
        height: Pixels, as stored.
        canvas: Width and height that its decoder allocates, where frames reach beyond the image.
        frames: How many; 1 where it does not animate.
        plays: How often the animation plays in all; 0 plays it for ever, None once.
        has_alpha: Whether any pixel may be transparent.
        turned: The EXIF orientation that the decoder itself undoes; places in metadata are those before.
        exif: The EXIF block, often empty.
        xmp: The XMP packet, often empty.
        iptc: The datasets of IPTC-IIM, often empty.
        manifest: The C2PA manifest, often empty.
        icc: The ICC profile, often empty.
        variant: Pillow's name of the variant of its format that it is; empty for the format itself.
        colours: What the samples stand for, where the file says it by numbers and has no profile.
        depth: Bits of a sample in a PNG, otherwise 8.
        coding: How its pixels are coded.
        gain_map: The gain map that goes with it, if there is one.
        repair: Take what decodes of a damaged file.
    """

    width: int
    height: int
    canvas: tuple[int, int] = (0, 0)
    frames: int = 1
    plays: int | None = None
    has_alpha: bool = False
    turned: int = 1
    exif: bytes = b""
    xmp: bytes = b""
    iptc: bytes = b""
    manifest: bytes = b""
    icc: bytes = b""
    colours: Colours = SRGB
    variant: str = ""
    depth: int = 8
    coding: Coding = UNCODED
    gain_map: GainMap | None = None
    repair: bool = False


class Frame(NamedTuple):
    """One decoded frame, composed with those before it.

    Attributes:
        image: Its pixels.
        duration: Milliseconds for which it is shown.
        icc: The profile of its pixels, where the decoder alone knows it.
    """

    image: Image.Image
    duration: int
    icc: bytes = b""


class Wish(NamedTuple):
    """What an encoder should keep to where it has a choice.

    Attributes:
        coding: How the source is coded.
        asked: The names of the options that the caller chose.
        unchanged: Whether the pixels are those of the source's file.
        rules: How pixels are written.
    """

    coding: Coding
    asked: frozenset[str]
    unchanged: bool
    rules: PixelRules


class Range(NamedTuple):
    """The values that an encoder option may have."""

    least: int
    greatest: int
    whole: bool = True


BLOCK_BYTES = 1 << 19
"""What Pillow's decoders are handed at a time; its own 64 KiB are sixty blocks a file of 4 MB.

Larger ones take no less time, and memory for a copy in each thread.
"""


MOST_PROFILE_BYTES = 4_000_000
"""A longer ICC profile counts as none: those of presses, the longest, have 3 MB at most."""


class Format(ABC):
    """One format of image files: how its files are recognised, parsed, decoded and written.

    Attributes:
        name: Pillow's name.
        variants: Pillow's names of what is read as this format but called otherwise.
        other_names: What it may also be asked for by.
        extension: Of its files, with the dot.
        mimetype: Its media type.
        is_vector: Whether it is a drawing without pixels, which is passed on as it is.
        shown_by_browsers: Whether every browser displays its files, so that a page may show a source as it is.
        end: What a file of this library's own making ends with, where `layout` does not tell a file that is cut short.
        plugin: The module and class of Pillow's that decode it.
        decoder_scales: By what its decoder can shrink an image, the most first.
        warns_of_size: Whether Pillow's decoder warns on its own above `PIL.Image.MAX_IMAGE_PIXELS`.
        modes: Pillow modes that its encoder writes as they are, for a still image.
        has_alpha: Whether it can hold transparency.
        animates: Whether it can hold several frames.
        max_side: Most pixels of one side.
        max_milliseconds: Longest duration of one frame.
        defaults: Encoder options unless told otherwise; `docs/reference/formats.md` holds the measurement.
        efforts: What else they are for the setting `effort`'s values; see `of_effort`.
        qualities: Those that `quality="auto"` may choose, from the lowest; none where the encoder has no quality.
        options: Names of the encoder options that it understands.
        flags: Those of them that are on or off.
        ranges: The values of those that are numbers.
    """

    name: ClassVar[str]
    variants: ClassVar[tuple[str, ...]] = ()
    other_names: ClassVar[tuple[str, ...]] = ()
    extension: ClassVar[str]
    mimetype: ClassVar[str]
    is_vector: ClassVar[bool] = False
    shown_by_browsers: ClassVar[bool] = False
    end: ClassVar[bytes] = b""

    plugin: ClassVar[str]
    decoder_scales: ClassVar[tuple[int, ...]] = ()
    warns_of_size: ClassVar[bool] = False

    modes: ClassVar[frozenset[str]] = frozenset()
    has_alpha: ClassVar[bool] = False
    animates: ClassVar[bool] = False
    max_side: ClassVar[int] = 0
    max_milliseconds: ClassVar[int] = 0
    defaults: ClassVar[Mapping[str, object]] = {}
    efforts: ClassVar[Mapping[str, Mapping[str, object]]] = {"small": {}}
    qualities: ClassVar[tuple[int, ...]] = ()
    options: ClassVar[frozenset[str]] = frozenset()
    flags: ClassVar[frozenset[str]] = frozenset()
    ranges: ClassVar[Mapping[str, Range]] = {}

    # --- Reading ---

    @abstractmethod
    def announces(self, data: bytes) -> bool:
        """Tell whether the first bytes of a file announce this format."""

    @abstractmethod
    def layout(self, data: bytes) -> Layout:
        """Return the layout of a whole file.

        Raises:
            BrokenFile: It is truncated, damaged so that its structure shows it, or holds no image.
        """

    def completed(self, data: bytes) -> bytes:
        """Return a truncated file with the structure that it lacks, where it can be repaired; else `data` itself."""
        return data

    def frames(self, data: bytes, layout: Layout, *, animated: bool, scale: int) -> Iterator[Frame]:
        """Yield the frames of a file: all of them, or the first one alone.

        Args:
            data: The whole file.
            layout: Its layout.
            animated: Yield all frames.
            scale: One of `decoder_scales`, or 1 for the image in full.
        """
        with self.opened(data, animated=animated) as file:
            if scale > 1:
                file.draft(None, (layout.width // scale, layout.height // scale))
            for number in range(layout.frames if animated else 1):
                if number:
                    # Pillow counts the layers of a PSD from 1, and opens what they show together as none of them.
                    file.seek(number)
                file.load()
                # The next frame replaces the pixels of this one.
                image: Image.Image = file.copy() if layout.frames > 1 else file
                yield Frame(self.mended(image, layout), round(file.info.get("duration", 0)))

    @contextmanager
    def opened(self, data: bytes, *, animated: bool) -> Iterator[ImageFile.ImageFile]:
        """Open a file with Pillow's plugin, on nothing but what makes its pixels.

        `Image.open` would warn about large images, and guess at the format again.
        """
        with self.decoder()(self.bare(data, animated=animated)) as file:
            # Each block takes the interpreter lock, for which another thread's decoder may have to wait.
            file.decodermaxblock = BLOCK_BYTES
            yield file

    def decoder(self) -> type[ImageFile.ImageFile]:
        """Return Pillow's class, imported when it is needed; from then on Pillow can write the format, too."""
        module, name = self.plugin.split(".")
        return cast(type[ImageFile.ImageFile], getattr(import_module(f"PIL.{module}"), name))

    def bare(self, data: bytes, *, animated: bool) -> Any:
        """Return an open file of what makes the pixels: all of it, where metadata does no harm."""
        return io.BytesIO(data)

    def mended(self, image: Image.Image, layout: Layout) -> Image.Image:
        """Return a frame, corrected where Pillow gets it wrong."""
        return image

    def stripped(self, data: bytes, layout: Layout, exif: bytes, xmp: bytes) -> bytes | None:
        """Return a file with the same coded pixels and nothing else but what makes them.

        Args:
            data: The whole file.
            layout: Its layout.
            exif: An EXIF block with the metadata that is kept, often empty.
            xmp: An XMP packet with the metadata that is kept, often empty.

        Returns:
            None where the file is coded in a way that browsers need not show, or that cannot be taken apart.
        """
        return None

    # --- Writing ---

    def holds_profile(self, profile: bytes) -> bool:
        """Tell whether a file can hold an ICC profile of this colour space."""
        return "icc_profile" in self.options and fits(profile, "RGB")

    def holds(self, image: Image.Image) -> bool:
        """Tell whether an image that was deliberately converted to a special mode can be written as it is."""
        return image.mode in ("1", "P", "I;16") and image.mode in self.modes

    def prepared(self, images: list[Image.Image], background: str) -> list[Image.Image]:
        """Return plain images of one mode in a mode that the encoder writes.

        Args:
            images: In mode L, LA, RGB or RGBA; the two with alpha only where the format has it.
            background: The colour that half-transparent pixels are mixed with where the format has none.
        """
        if images[0].mode in self.modes:
            return images
        return [image.convert("RGBA" if may_be_transparent(image) else "RGB") for image in images]

    def arguments(self, image: Image.Image, chosen: Mapping[str, object]) -> dict[str, Any]:
        """Return arguments of Pillow's encoder beyond the options that were chosen.

        Args:
            image: The first frame, as it is written.
            chosen: The options, the format's defaults among them.
        """
        return {}

    def for_trial(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments with which a quality is tried: others, if they show as much in less time."""
        return dict(arguments)

    def timing(self, durations: list[int], plays: int | None) -> dict[str, Any]:
        """Return the arguments of Pillow's encoder that concern an animation.

        Args:
            durations: Milliseconds of each frame, none of them above `max_milliseconds`.
            plays: How often it plays in all; 0 plays it for ever, None once.
        """
        return {"duration": durations}

    def saved(self, images: list[Image.Image], arguments: Mapping[str, Any], wish: Wish) -> bytes:
        """Return the frames as a file.

        Args:
            images: As `prepared` gave them.
            arguments: Of Pillow's encoder.
            wish: What else there is to know.
        """
        return self.saved_by_pillow(images, arguments)

    def saved_by_pillow(self, images: list[Image.Image], arguments: Mapping[str, Any]) -> bytes:
        """Return the frames as the file that Pillow's encoder makes of them."""
        first, *rest = images
        # Or else Pillow imports all that it has.
        self.decoder()
        buffer = io.BytesIO()
        first.save(buffer, self.name, **arguments, **({"append_images": rest} if rest else {}))
        return self.sealed(buffer.getvalue(), first)

    def sealed(self, data: bytes, image: Image.Image) -> bytes:
        """Return an encoded file, corrected where Pillow's encoder gets it wrong.

        Args:
            data: The file.
            image: The first frame, as it was written.
        """
        return data


def of_effort(values: Mapping[str, T], effort: str) -> T:
    """Return the value for an effort or, where it has none of its own, for the next one that takes longer.

    Args:
        values: By effort; the last one, "small", is among them.
        effort: One of `EFFORTS`.

    Example:
        >>> of_effort({"fast": 1, "small": 4}, "fastest")
        1
    """
    return next(values[each] for each in EFFORTS[EFFORTS.index(effort) :] if each in values)


def loaded(file: ImageFile.ImageFile, *, repair: bool) -> Image.Image:
    """Return the pixels of an opened file: all of them or, to repair it, those that were decoded before an error."""
    try:
        file.load()
    except (OSError, SyntaxError, ValueError, IndexError):
        if not repair or getattr(file, "_im", None) is None:
            raise
        return file._new(file.im)
    return file


def most_pieces(data: bytes, least: int = 1_024) -> int:
    """Return how many pieces (segments, chunks, blocks, boxes) a file may have; each takes time in Python.

    20 MB of nothing take 30,000 steps, which are 30 ms. Honest files stay far below: a PNG of 100 MB in chunks of
    8 KiB has 12,000, and a JPEG's segments before its image data have 64 KiB each.

    Args:
        data: The whole file.
        least: Bytes that a piece of a large file has on average, at least.
    """
    return 10_000 + len(data) // least


def once_or_more(plays: int) -> int | None:
    """Return how often an animation plays where a file counts plays: 0 for ever, None once.

    Example:
        >>> once_or_more(0), once_or_more(1), once_or_more(3)
        (0, None, 3)
    """
    return None if plays == 1 else plays


def plays_in_all(plays: int | None) -> int:
    """Return what a file that counts plays says of an animation; what `once_or_more` reads.

    Example:
        >>> plays_in_all(0), plays_in_all(None)
        (0, 1)
    """
    return 1 if plays is None else plays
