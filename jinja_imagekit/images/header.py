"""Reads the cheap facts of an image and refuses what is too large, before a pixel is decoded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from PIL import Image

from ..exceptions import ImageKitError, ImageTooLarge, UnreadableImage
from ..wording import said
from .formats import FORMATS, sniff
from .formats.base import BrokenFile, Format, Layout, OtherKind
from .formats.unread import what_it_is
from .metadata import has_position, orientation, read_directory, texts
from .primaries import is_wide
from .rights import Said, what_is_said
from .rules import Limits
from .subjects import Box, subject_box, upright


@dataclass(frozen=True, slots=True)
class Header:
    """What is known about an image without decoding it.

    Attributes:
        format: Pillow's name of its format; a multi-picture JPEG is an `MPO`.
        width: Pixels, as stored.
        height: Pixels, as stored.
        orientation: The EXIF orientation, 1 to 8.
        frames: How many frames it animates; 1 for anything that does not.
        has_alpha: Whether pixels may be transparent.
        subject: Where its metadata says that the subject is, as `subject_box` gives it.
        is_wide: Whether its profile has colours beyond sRGB; no pixel is looked at.
    """

    format: str
    width: int
    height: int
    orientation: int = 1
    frames: int = 1
    has_alpha: bool = False
    subject: Box | None = None
    is_wide: bool = False

    @property
    def is_vector(self) -> bool:
        """Whether it is a drawing (an SVG), which has no pixels and is passed on as it is."""
        format = FORMATS.get(self.format)
        return format is not None and format.is_vector

    @property
    def mimetype(self) -> str:
        """Its media type."""
        return FORMATS[self.format].mimetype

    def size(self, auto_orient: bool = True) -> tuple[int, int]:
        """Return width and height in pixels.

        Args:
            auto_orient: As it looks upright; otherwise as it is stored.

        Example:
            >>> Header("JPEG", 400, 300, orientation=6).size()
            (300, 400)
        """
        if auto_orient and self.orientation >= 5:
            return self.height, self.width
        return self.width, self.height

    def subject_as_shown(self, auto_orient: bool = True) -> Box | None:
        """Return where the subject is, as fractions of the upright image, or else of the stored one."""
        return upright(self.subject, self.orientation) if self.subject and auto_orient else self.subject


def read_header(data: bytes, *, name: str, limits: Limits) -> Header:
    """Return the cheap facts of an image, when it is within the limits.

    Args:
        data: The whole file.
        name: What errors call the image.
        limits: The caps.

    Raises:
        UnreadableImage: It is not an image of a format that may be read, or is truncated or damaged so that its
            structure shows it.
        ImageTooLarge: It exceeds one of the caps.
    """
    return examine(data, name=name, limits=limits)[0]


def examine(data: bytes, *, name: str, limits: Limits) -> tuple[Header, Layout]:
    """Return the header with the layout that it comes from; see `read_header`."""
    if len(data) > limits.max_source_bytes:
        raise ImageTooLarge(
            name, f"it has {len(data):,} bytes; the setting max_source_bytes allows {limits.max_source_bytes:,}."
        )
    format = _allowed_format(data, name, limits)
    if format.is_vector and len(data) > limits.max_svg_bytes:
        raise ImageTooLarge(
            name, f"it has {len(data):,} bytes; the setting max_svg_bytes allows {limits.max_svg_bytes:,}."
        )
    with reading(name):
        layout = format.layout(format.completed(data) if limits.repair else data)
        header = _header(format, layout)
    _check_size(header, format, layout, name, limits)
    return header, layout


def read_texts(data: bytes, *, name: str, limits: Limits) -> dict[str, str]:
    """Return what a camera or its owner wrote into an image, in words: see `metadata.texts` and `rights.Said`.

    What XMP and IPTC say goes before what EXIF says.

    Raises:
        UnreadableImage: As `read_header`.
        ImageTooLarge: As `read_header`.
    """
    layout = examine(data, name=name, limits=limits)[1]
    return {**texts(layout.exif), **{what: ", ".join(values) for what, values in said_by(layout).items()}}


def said_by(layout: Layout) -> Said:
    """Return what a file says of its author, its rights and its making, save in EXIF."""
    return what_is_said(layout.xmp, layout.iptc, layout.manifest)


def tells_position(data: bytes, *, name: str, limits: Limits) -> bool:
    """Tell whether an image's metadata says where it was taken.

    Raises:
        UnreadableImage: As `read_header`.
        ImageTooLarge: As `read_header`.
    """
    return has_position(examine(data, name=name, limits=limits)[1].exif)


def _allowed_format(data: bytes, name: str, limits: Limits) -> Format:
    if not data:
        raise UnreadableImage(name, "the file is empty.")
    format = sniff(data, limits.readable_formats)
    if format is None:
        known = what_it_is(data)
        if known:
            raise UnreadableImage(name, f"it is {known}.")
        raise UnreadableImage(name, f"it is not an image of a readable format ({', '.join(limits.readable_formats)}).")
    if not {format.name, *format.variants} & set(limits.readable_formats):
        raise UnreadableImage(
            name, f"it is in the format {format.name}, which the setting readable_formats leaves out."
        )
    return format


def _header(format: Format, layout: Layout) -> Header:
    if layout.width < 1 or layout.height < 1:
        raise BrokenFile(f"its size is {layout.width} × {layout.height} pixels")
    stored = layout.width, layout.height
    subject = subject_box(layout.exif, layout.xmp, stored if layout.turned < 5 else stored[::-1])
    return Header(
        layout.variant or format.name,
        layout.width,
        layout.height,
        orientation(read_directory(layout.exif)),
        layout.frames,
        layout.has_alpha,
        upright(subject, layout.turned) if subject else None,
        is_wide(layout.icc) if layout.icc else layout.colours.is_wide,
    )


def _check_size(header: Header, format: Format, layout: Layout, name: str, limits: Limits) -> None:
    if format.is_vector:
        # It is passed on as it is: nobody makes pixels of it here.
        return
    width, height = max(header.width, layout.canvas[0]), max(header.height, layout.canvas[1])
    _check_pixels(width, height, 1, name, limits)
    # A warning must not be how a visitor learns of it.
    warns = format.warns_of_size or header.frames > 1
    if warns and Image.MAX_IMAGE_PIXELS is not None and width * height > Image.MAX_IMAGE_PIXELS:
        raise ImageTooLarge(
            name, f"it has {width:,} × {height:,} pixels; PIL.Image.MAX_IMAGE_PIXELS allows {Image.MAX_IMAGE_PIXELS:,}."
        )


def check_frames(header: Header, layout: Layout | None, *, name: str, limits: Limits) -> None:
    """Check what all frames of an animation cost together, where all of them are wanted.

    Args:
        header: Its header.
        layout: Its layout, where it is known: frames may be larger than the image.
        name: What errors call the image.
        limits: The caps.

    Raises:
        ImageTooLarge: It exceeds one of the caps.
    """
    if header.frames > limits.max_frames:
        raise ImageTooLarge(
            name, f"it has {header.frames:,} frames; the setting max_frames allows {limits.max_frames:,}."
        )
    canvas = layout.canvas if layout else (0, 0)
    width, height = max(header.width, canvas[0]), max(header.height, canvas[1])
    _check_pixels(width, height, header.frames, name, limits)


def _check_pixels(width: int, height: int, frames: int, name: str, limits: Limits) -> None:
    if width * height * frames > limits.max_source_pixels:
        several = f" in {frames:,} frames" if frames > 1 else ""
        raise ImageTooLarge(
            name,
            f"it has {width:,} × {height:,} pixels{several}; "
            f"the setting max_source_pixels allows {limits.max_source_pixels:,}.",
        )


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn whatever a decoder raises into one error that names the image.

    Raises:
        UnreadableImage: The block raised anything but a lack of memory.
        ImageTooLarge: Pillow's own cap refused the image.
    """
    try:
        yield
    except (ImageKitError, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooLarge(name, f"Pillow refuses it: {error}") from error
    except OtherKind as error:
        raise UnreadableImage(name, f"it is {error}.") from None
    except Exception as error:  # decoders raise anything: struct.error, SyntaxError, KeyError, …
        raise UnreadableImage(name, f"it cannot be decoded: {said(error)}.") from error
