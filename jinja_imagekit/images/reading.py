"""Decodes a source to upright 8-bit frames in sRGB or Display P3, once for each scale that is needed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

from PIL import Image

from ..exceptions import ImageKitError
from ..time_limits import in_time
from .colour import GREY_MODES, changes_colours, fits, in_one_mode, to_plain, with_table
from .formats import FORMATS
from .formats.base import Frame, Layout
from .frames import Frames, reduced_size
from .gain_maps import GainMap
from .header import Header, check_frames, examine, reading, said_by
from .metadata import kept_exif
from .primaries import SRGB, display_p3
from .rights import kept_xmp
from .rules import Limits, PixelRules

logger = logging.getLogger("jinja_imagekit.images")

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes an image of each EXIF orientation upright (Exif 2.32, tag 0x0112)."""


def decoder_scale(header: Header, rules: PixelRules, sampled_size: tuple[int, int] | None) -> int:
    """Return by how much the decoder may shrink an image that is resampled to a known size afterwards.

    Args:
        header: The source's header.
        rules: The rules; `decode_margin` is the one that matters.
        sampled_size: Width and height in upright pixels to which the whole image is resampled; None where
            the pixels themselves are needed.

    Returns:
        8, 4, 2 or 1: the largest divisor whose result is still at least `decode_margin` times `sampled_size`
        in both dimensions. 1 for formats that cannot be decoded at a scale.

    Example:
        >>> decoder_scale(Header("JPEG", 4000, 3000), PixelRules(), (400, 300))
        4
    """
    if sampled_size is None or rules.decode_margin <= 0:
        return 1
    needed = [side * rules.decode_margin for side in sampled_size]
    sides = header.size(rules.auto_orient)
    for scale in FORMATS[header.format].decoder_scales:
        sizes = zip(sides, reduced_size(sides, scale), needed, strict=True)
        if all(side >= scale and decoded >= least for side, decoded, least in sizes):
            return scale
    return 1


MOST_SHARED_PIXELS = 4_000_000
"""Of a result that is kept for its other formats: 12 MB, and more than the widest candidate of most pictures has."""


def may_be_shared(size: tuple[int, int]) -> bool:
    """Tell whether a still result of a size, in pixels, is kept for its other formats."""
    return size[0] * size[1] <= MOST_SHARED_PIXELS


class _Shared:
    """A result that several formats are made of."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.frames: Frames | None = None


class Original:
    """One source's bytes, decoded as often as its derivatives need and no more.

    It may be shared by threads. The images that it hands out are shared too: whoever changes pixels in place
    takes `Frames.copy()` first.

    Args:
        data: The whole file.
        name: What errors call the image.
        limits: The caps on what is read.
        examined: What `examine` gave of these bytes under these limits, where that is known.

    Attributes:
        is_shared: Whether several files are made of it, so that results are kept for their other formats.
        gamuts: Those of the files that are made of it, which are converted from one decode.
        decoded_bytes: What its decoded pixels have taken so far.

    Example:
        >>> original = Original(path.read_bytes(), name="canal.jpg", limits=Limits())  # doctest: +SKIP
        >>> original.frames(PixelRules()).images[0].mode  # doctest: +SKIP
        'RGB'
    """

    def __init__(
        self, data: bytes, *, name: str, limits: Limits, examined: tuple[Header, Layout] | None = None
    ) -> None:
        self.data = data
        self.limits = limits
        self.is_shared = False
        self.gamuts: frozenset[str] = frozenset()
        self._name = name
        self._lock = threading.RLock()
        self._examined = examined
        self._decoded: dict[tuple[object, ...], Frames] = {}
        self._unconverted: dict[int, Frame] = {}
        self._processed: dict[tuple[object, ...], _Shared] = {}
        self._decodes = 0
        self.decoded_bytes = 0

    @property
    def header(self) -> Header:
        """The cheap facts; no pixel is decoded.

        Raises:
            UnreadableImage: As `read_header`.
            ImageTooLarge: As `read_header`.
        """
        return self._examine()[0]

    @property
    def decodes(self) -> int:
        """How often the source has been decoded."""
        return self._decodes

    def frames(self, rules: PixelRules, *, scale: int = 1, animated: bool = False) -> Frames:
        """Return the source upright, in sRGB, in mode L, LA, RGB or RGBA; `rules` may opt out of each.

        Args:
            rules: How pixels are read.
            scale: What `decoder_scale` gave: the result is this many times smaller, rounded up.
            animated: Decode all frames; otherwise the first one alone.

        Raises:
            UnreadableImage: The file is damaged or truncated.
            ImageTooLarge: It exceeds one of the caps.
        """
        animated = animated and rules.keep_animation and self.header.frames > 1
        key = (*_decoding(rules, self.header), scale, animated)
        if animated:
            check_frames(*self._examine(), name=self._name, limits=self.limits)
        with self._lock:
            if key not in self._decoded:
                with reading(self._name):
                    self._decoded[key] = self._decode(rules, scale, animated)
                    self.decoded_bytes += sum(_bytes_of(image) for image in self._decoded[key].images)
            return self._decoded[key]

    def processed(
        self, rules: PixelRules, scale: int, animated: bool, what: str, process: Callable[[], Frames]
    ) -> Frames:
        """Return what processors make of decoded frames; formats of one size share a still image.

        Args:
            rules: How pixels are read.
            scale: The scale at which they are decoded.
            animated: Whether all frames are.
            what: What stands for the processors.
            process: Decodes, and applies them.
        """
        with self._lock:
            shared = self._processed.setdefault((*_decoding(rules, self.header), scale, animated, what), _Shared())
        # Whoever wants another size need not wait.
        with shared.lock:
            if shared.frames is not None:
                return shared.frames
            frames = process()
            if len(frames.images) == 1 and may_be_shared(frames.images[0].size):
                shared.frames = frames
            return frames

    def release(self) -> None:
        """Forget decoded frames, of which every result is known; whoever asks for them has them decoded again."""
        with self._lock:
            self._decoded.clear()
            self._unconverted.clear()

    def stripped(self, frames: Frames) -> bytes | None:
        """Return the source's file without its metadata, where it shows just what decoded frames do.

        Args:
            frames: What `frames` gave.
        """
        if not frames.are_as_coded:
            return None
        header, layout = self._examine()
        with reading(self._name):
            return FORMATS[header.format].stripped(self.data, layout, frames.exif, frames.xmp)

    @property
    def gain_map(self) -> GainMap | None:
        """The gain map that makes the image brighter on HDR screens, if there is one."""
        return self._examine()[1].gain_map

    def gain_image(self, gain_map: GainMap, rules: PixelRules) -> Frames | None:
        """Return the image of a gain map, turned as the source is; None, and a warning, where it is damaged."""
        part = Original(self.data[gain_map.start : gain_map.end], name=self._name, limits=self.limits)
        try:
            frames = part.frames(PixelRules(auto_orient=False, convert_to_srgb=False, keep_metadata=()))
        except ImageKitError as error:
            logger.warning("The gain map of %r is damaged, and left out: %s", self._name, error)
            return None
        orientation = self.header.orientation
        if orientation > 1 and rules.auto_orient:
            return frames.with_images([frames.images[0].transpose(_UPRIGHT[orientation])])
        return frames

    def losses(self, rules: PixelRules, format: str) -> tuple[str, ...]:
        """Return what tells how the source was made and a result in a format does not.

        Args:
            rules: How the result is made.
            format: The result's.

        Returns:
            Of "its C2PA manifest", which vouches for the source's bytes and for no others, and "its mark as made by
            AI", what the source has and the result loses.
        """
        header, layout = self._examine()
        if header.is_vector:
            return ()
        holds_mark = bool(rules.keep_metadata) and "xmp" in FORMATS[format].options
        is_marked = not holds_mark and "source_type" in said_by(layout)
        return (
            *(("its C2PA manifest",) if layout.manifest else ()),
            *(("its mark as made by AI",) if is_marked else ()),
        )

    def _examine(self) -> tuple[Header, Layout]:
        with self._lock:
            if self._examined is None:
                self._examined = examine(self.data, name=self._name, limits=self.limits)
            return self._examined

    def _decode(self, rules: PixelRules, scale: int, animated: bool) -> Frames:
        header, layout = self._examine()
        format = FORMATS[header.format]
        try:
            images, durations, layout = self._frames(self.data, header, layout, rules, scale, animated)
        except (ImageKitError, MemoryError):
            raise
        except Exception as error:
            if not self.limits.repair:
                raise
            layout = replace(layout, repair=True)
            data = format.completed(self.data)
            images, durations, layout = self._frames(data, header, layout, rules, scale, animated)
            logger.warning("%r is damaged, and what decodes of it is shown: %s", self._name, error)
        images = in_one_mode(images)
        profile = layout.icc or layout.colours.profile(grey=images[0].mode in GREY_MODES)
        if _stays_wide(header, rules):
            profile = display_p3()
        kept_profile = profile and fits(profile, images[0].mode) and not _becomes_srgb(header, rules)
        return Frames(
            images=tuple(images),
            full_size=header.size(rules.auto_orient),
            durations=tuple(durations) if animated else (),
            loop=layout.plays if animated else None,
            icc_profile=profile if kept_profile else None,
            exif=kept_exif(layout.exif, rules.keep_metadata, with_orientation=not rules.auto_orient),
            xmp=kept_xmp(said_by(layout), rules.keep_metadata) if rules.keep_metadata else b"",
            coding=layout.coding,
            are_as_coded=scale == 1
            and len(images) == header.frames
            and _is_as_coded(images[0], header, layout)
            and (rules.keep_alpha or not header.has_alpha),
        )

    def _frames(
        self, data: bytes, header: Header, layout: Layout, rules: PixelRules, scale: int, animated: bool
    ) -> tuple[list[Image.Image], list[int], Layout]:
        images: list[Image.Image] = []
        durations: list[int] = []
        for frame in in_time(self._unconverted_frames(data, header, layout, scale, animated)):
            durations.append(frame.duration)
            if frame.icc:
                layout = replace(layout, icc=frame.icc)
            images.append(_finished(frame.image, header, layout, rules))
        return images, durations, layout

    def _unconverted_frames(
        self, data: bytes, header: Header, layout: Layout, scale: int, animated: bool
    ) -> Iterator[Frame]:
        """Yield frames in their own colours; a still image of which both gamuts are wanted is decoded once for them."""
        is_for_both = len(self.gamuts) > 1 and header.is_wide and not animated and not layout.repair
        if is_for_both and scale in self._unconverted:
            yield self._unconverted.pop(scale)
            return
        self._decodes += 1
        for frame in FORMATS[header.format].frames(data, layout, animated=animated, scale=scale):
            yield frame
            if is_for_both:
                self._unconverted[scale] = frame


def _stays_wide(header: Header, rules: PixelRules) -> bool:
    """Tell whether colours become those of Display P3."""
    return rules.gamut == "p3" and header.is_wide and rules.convert_to_srgb


def _becomes_srgb(header: Header, rules: PixelRules) -> bool:
    return rules.convert_to_srgb and not _stays_wide(header, rules)


def _bytes_of(image: Image.Image) -> int:
    """Return the memory of an image's pixels: Pillow keeps one sample in a byte, or else four bytes a pixel."""
    return image.width * image.height * (1 if image.mode in ("L", "P") else 4)


def _decoding(rules: PixelRules, header: Header) -> tuple[object, ...]:
    """Return what decoded frames of a source depend on of the rules."""
    return (
        rules.auto_orient,
        rules.convert_to_srgb,
        rules.scale_16_bit,
        rules.keep_metadata,
        rules.keep_alpha,
        _stays_wide(header, rules),
    )


def _is_as_coded(image: Image.Image, header: Header, layout: Layout) -> bool:
    """Tell whether a file shows a decoded image as it is: it lies upright, and no colour was converted."""
    plain = layout.colours == SRGB and layout.depth <= 8 and header.orientation == 1 and not layout.repair
    return plain and not (layout.icc and changes_colours(layout.icc, image.mode))


def _finished(image: Image.Image, header: Header, layout: Layout, rules: PixelRules) -> Image.Image:
    profile = layout.icc or layout.colours.profile(grey=image.mode in GREY_MODES)
    converted = rules.convert_to_srgb or image.mode == "CMYK"
    wide = _stays_wide(header, rules)
    image = to_plain(image, scale_16_bit=rules.scale_16_bit, profile=profile if converted else None, wide=wide)
    if converted and not layout.icc and (table := layout.colours.tone_map(wide=wide)):
        image = with_table(image, table)
    if header.orientation > 1 and rules.auto_orient:
        image = image.transpose(_UPRIGHT[header.orientation])
    image.info = {}
    return image
