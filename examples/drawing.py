"""Draws photo-like images with Pillow alone, and encodes them in every special kind that real collections hold."""

from __future__ import annotations

import io
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageChops, ImageCms, ImageDraw, ImageFilter, ImageFont, ImageOps

from colour_profiles import cmyk_profile, grey_profile, ink_curve, rgb_profile

Colour = tuple[int, int, int]

CORNERS: dict[str, Colour] = {
    "top-left": (214, 40, 40),
    "top-right": (46, 160, 67),
    "bottom-left": (33, 99, 210),
}
"""The colours of the corner marks of an upright image; the fourth corner has none."""

NOISE_TILE = 1024
"""Side of the noise tile, in pixels."""


@dataclass(frozen=True)
class Mood:
    """The colours of one landscape."""

    zenith: Colour
    horizon: Colour
    sun: Colour
    far: Colour
    near: Colour


MOODS = (
    Mood((36, 84, 150), (240, 214, 178), (255, 246, 214), (134, 158, 184), (30, 62, 42)),
    Mood((38, 34, 82), (246, 142, 92), (255, 226, 150), (150, 92, 120), (26, 22, 44)),
    Mood((70, 142, 206), (222, 238, 246), (255, 255, 246), (142, 180, 190), (52, 88, 36)),
    Mood((22, 48, 74), (176, 204, 198), (246, 250, 232), (88, 124, 138), (14, 40, 46)),
    Mood((120, 96, 140), (250, 206, 190), (255, 236, 220), (176, 140, 160), (70, 48, 58)),
)


def photo(width: int, height: int, seed: int = 0) -> Image.Image:
    """Return a landscape with a sky, clouds, a sun, ridges and fine texture.

    Args:
        width: Pixels.
        height: Pixels.
        seed: Chooses the picture; the same arguments give the same pixels on every machine.

    Returns:
        An RGB image. As a JPEG of quality 85 it takes about 2.5 bits a pixel, as a camera's does.

    Example:
        >>> photo(400, 300, seed=3).size
        (400, 300)
    """
    rng = random.Random(seed)
    mood = MOODS[seed % len(MOODS)]
    size = (width, height)
    image = _sky(size, mood, rng)
    ground = Image.new("L", size, 0)
    ridges = rng.randint(4, 6)
    for index in range(ridges):
        depth = index / (ridges - 1)
        outline = _ridge(size, 0.5 + 0.42 * depth, 0.16 - 0.08 * depth, rng)
        mask = Image.new("L", size, 0)
        ImageDraw.Draw(mask).polygon(outline, fill=255)
        image.paste(_slope(size, mood, depth, min(y for _, y in outline)), mask=mask)
        ground.paste(round(90 + 165 * depth), mask=mask)
    return _textured(image, ground, rng)


def _mix(first: Colour, second: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def _slope(size: tuple[int, int], mood: Mood, depth: float, top: int) -> Image.Image:
    # Mist gathers at the foot of each ridge, where the next one begins.
    colour = _mix(mood.far, mood.near, depth)
    misty = _mix(colour, mood.horizon, 0.45 * (1 - depth))
    strip = ImageOps.colorize(Image.linear_gradient("L").resize((1, 256)), colour, misty)
    slope = Image.new("RGB", size, misty)
    slope.paste(strip.resize((size[0], max(1, size[1] // 3))), (0, top))
    return slope


def _sky(size: tuple[int, int], mood: Mood, rng: random.Random) -> Image.Image:
    width, height = size
    # The sky has no fine detail, so it is drawn small and enlarged.
    small = (max(1, width // 4), max(1, height // 4))
    gradient = Image.linear_gradient("L").resize((1, 256))
    sky = ImageOps.colorize(gradient, mood.zenith, mood.horizon, blackpoint=0, whitepoint=170).resize(small)
    centre = (rng.uniform(0.2, 0.8) * small[0], rng.uniform(0.18, 0.42) * small[1])
    for radius, opacity in ((0.22, 60), (0.12, 80), (0.05, 255)):
        glow = _disc(small, centre, radius * max(4, min(small)), opacity)
        sky.paste(mood.sun, mask=glow)
    sky.paste((255, 255, 255), mask=_clouds(small, rng))
    return sky.resize(size, Image.Resampling.BICUBIC)


def _disc(size: tuple[int, int], centre: tuple[float, float], radius: float, opacity: int) -> Image.Image:
    mask = Image.new("L", size, 0)
    (x, y), r = centre, radius
    ImageDraw.Draw(mask).ellipse((x - r, y - r, x + r, y + r), fill=opacity)
    return mask.filter(ImageFilter.GaussianBlur(radius / 6))


def _clouds(size: tuple[int, int], rng: random.Random) -> Image.Image:
    clouds = Image.new("L", size, 128)
    for cells, weight in ((3, 0.9), (7, 0.4), (17, 0.25), (40, 0.14), (90, 0.1)):
        grid = Image.frombytes("L", (cells, cells * 3), rng.randbytes(cells * cells * 3))
        clouds = Image.blend(clouds, grid.resize(size, Image.Resampling.BICUBIC), weight)
    contrast = ImageOps.autocontrast(clouds)
    return contrast.point([max(0, min(190, round((level - 135) * 1.9))) for level in range(256)])


def _ridge(size: tuple[int, int], top: float, swing: float, rng: random.Random) -> list[tuple[int, int]]:
    width, height = size
    waves = [
        (rng.uniform(0.6, 1.0) / octave, octave * rng.uniform(2, 4), rng.uniform(0, 6.3)) for octave in range(1, 9)
    ]
    steps = min(width, 800)
    outline = [(0, height)]
    for step in range(steps + 1):
        rise = sum(share * math.sin(turns * step / steps + phase) for share, turns, phase in waves)
        outline.append((round(step * width / steps), round(height * (top - swing * rise / 2))))
    return [*outline, (width, height)]


def _textured(image: Image.Image, ground: Image.Image, rng: random.Random) -> Image.Image:
    tile = Image.frombytes("L", (NOISE_TILE, NOISE_TILE), rng.randbytes(NOISE_TILE * NOISE_TILE))
    fine = tile.filter(ImageFilter.GaussianBlur(0.5))
    grain = fine.point([round(128 + (level - 128) * 0.22) for level in range(256)])
    noise = _tiled(grain, image.size, rng)
    if max(image.size) <= NOISE_TILE:
        coarse = _clumps(tile.reduce(8), tile.size)
        foliage = _tiled(Image.blend(fine, coarse, 0.3), image.size, rng)
    else:
        # Grain may repeat, but clumps would be seen to.
        coarse = _blotches(image.size, 8, rng)
        for pixels, weight in ((24, 0.45), (90, 0.35)):
            coarse = Image.blend(coarse, _blotches(image.size, pixels, rng), weight)
        foliage = Image.blend(_tiled(fine, image.size, rng), ImageOps.autocontrast(coarse, cutoff=2), 0.3)
    noise.paste(foliage, mask=ground)
    return ImageChops.overlay(image, Image.merge("RGB", (noise, noise, noise)))


def _blotches(size: tuple[int, int], pixels: int, rng: random.Random) -> Image.Image:
    width, height = (-(-side // pixels) + 1 for side in size)
    return _clumps(Image.frombytes("L", (width, height), rng.randbytes(width * height)), size)


def _clumps(cells: Image.Image, size: tuple[int, int]) -> Image.Image:
    coarse = ImageOps.autocontrast(cells.filter(ImageFilter.GaussianBlur(1)), cutoff=2)
    return coarse.resize(size, Image.Resampling.BICUBIC)


def _tiled(tile: Image.Image, size: tuple[int, int], rng: random.Random) -> Image.Image:
    # Neighbours are mirror images, so that no seam shows.
    rows = [[tile, ImageOps.mirror(tile)], [ImageOps.flip(tile), tile.transpose(Image.Transpose.ROTATE_180)]]
    across, down = rng.randrange(2), rng.randrange(2)
    canvas = Image.new("L", size)
    for row, top in enumerate(range(0, size[1], tile.height)):
        for column, left in enumerate(range(0, size[0], tile.width)):
            canvas.paste(rows[(row + down) % 2][(column + across) % 2], (left, top))
    return canvas


def with_corners(image: Image.Image) -> Image.Image:
    """Return a copy with marks in the corners (see `CORNERS`) and an arrow that points up.

    A mark's side is an eighth of the image's shorter side, so that its middle survives any encoder.
    """
    marked = image.convert("RGB")
    width, height = marked.size
    side = max(2, min(marked.size) // 8)
    draw = ImageDraw.Draw(marked)
    places = {"top-left": (0, 0), "top-right": (width - side, 0), "bottom-left": (0, height - side)}
    for corner, (x, y) in places.items():
        draw.rectangle((x, y, x + side - 1, y + side - 1), fill=CORNERS[corner])
    middle = width / 2
    arrow = [(0, 0.4), (1, 1.6), (0.4, 1.6), (0.4, 3), (-0.4, 3), (-0.4, 1.6), (-1, 1.6)]
    draw.polygon([(middle + x * side, y * side) for x, y in arrow], fill=(255, 255, 255))
    return marked


def lettering(width: int, height: int, ink: Colour, paper: Colour, size: int = 16) -> Image.Image:
    """Return lines of small text.

    Args:
        width: Pixels.
        height: Pixels.
        ink: The colour of the letters.
        paper: The colour behind them.
        size: Height of the letters in pixels.
    """
    image = Image.new("RGB", (width, height), paper)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size)
    for number, top in enumerate(range(size // 2, height - size, 3 * size // 2)):
        draw.text((size // 2, top), f"{number}. The quick brown fox jumps over the lazy dog.", fill=ink, font=font)
    return image


def encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    """Return the image as a file of a format, with Pillow's options."""
    target = io.BytesIO()
    image.save(target, format, **options)
    return target.getvalue()


def jpeg(width: int, height: int, seed: int = 0, quality: int = 85) -> bytes:
    """Return a photo as an ordinary JPEG."""
    return encoded(photo(width, height, seed), "JPEG", quality=quality)


_INVERSE_TRANSPOSES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def oriented(image: Image.Image, orientation: int, format: str = "JPEG", **options: Any) -> bytes:
    """Return a file that shows `image` upright once its EXIF orientation is applied.

    Args:
        image: The upright image.
        orientation: 1 to 8, the EXIF tag 0x0112; 6 is a phone held upright.
        format: JPEG, PNG, WEBP, AVIF or TIFF.
        options: For Pillow's encoder.
    """
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = image if orientation == 1 else image.transpose(_INVERSE_TRANSPOSES[orientation])
    return encoded(stored, format, exif=exif.tobytes(), **options)


def private_exif() -> bytes:
    """Return EXIF data with a copyright, an artist, a camera and the place where the photo was taken."""
    exif = Image.Exif()
    exif.update({0x010F: "Camera Works", 0x0110: "Model 1", 0x013B: "Ann Author", 0x8298: "(c) Ann Author"})
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 22.0, 12.0), 3: "E", 4: (4.0, 53.0, 42.0)})
    return exif.tobytes()


def in_profile(image: Image.Image, profile: bytes) -> Image.Image:
    """Return sRGB pixels re-encoded so that they look the same once `profile` (of an RGB device) is applied."""
    target = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    converted = ImageCms.profileToProfile(image, ImageCms.createProfile("sRGB"), target, outputMode="RGB")
    assert converted is not None
    converted.info["icc_profile"] = profile
    return converted


def wide_gamut(image: Image.Image, format: str = "JPEG", **options: Any) -> bytes:
    """Return a file in a wide-gamut profile; read as sRGB it looks faded."""
    profile = rgb_profile("wide")
    return encoded(in_profile(image, profile), format, icc_profile=profile, **options)


def swapped_channels(image: Image.Image, format: str = "JPEG", **options: Any) -> bytes:
    """Return a file whose profile swaps red and blue; read as sRGB its colours are plainly wrong."""
    profile = rgb_profile("swapped")
    return encoded(in_profile(image, profile), format, icc_profile=profile, **options)


def profiled_grey(image: Image.Image, format: str = "JPEG", gamma: float = 1.0, **options: Any) -> bytes:
    """Return a grey file with a grey profile; with gamma 1.0 it looks too dark where the profile is dropped."""
    levels = [round(255 * _srgb_to_linear(level / 255) ** (1 / gamma)) for level in range(256)]
    return encoded(image.convert("L").point(levels), format, icc_profile=grey_profile(gamma), **options)


def _srgb_to_linear(value: float) -> float:
    # IEC 61966-2-1, the sRGB transfer function.
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def cut_out(image: Image.Image, soft: bool = True) -> Image.Image:
    """Return an RGBA image: a disc of the image (soft-edged or hard) on full transparency."""
    width, height = image.size
    radius = min(width, height) * 0.42
    mask = Image.new("L", image.size, 0)
    box = (width / 2 - radius, height / 2 - radius, width / 2 + radius, height / 2 + radius)
    ImageDraw.Draw(mask).ellipse(box, fill=255)
    if soft:
        mask = mask.filter(ImageFilter.GaussianBlur(radius / 12))
    result = image.convert("RGBA")
    result.putalpha(mask)
    return result


def alpha_png(image: Image.Image) -> bytes:
    """Return an RGBA PNG with a soft edge."""
    return encoded(cut_out(image), "PNG")


def grey_alpha_png(image: Image.Image) -> bytes:
    """Return an LA PNG with a soft edge."""
    return encoded(cut_out(image).convert("LA"), "PNG")


def palette_png(image: Image.Image, soft: bool = True) -> bytes:
    """Return a palette PNG whose tRNS chunk gives each colour its alpha."""
    return encoded(cut_out(image, soft).quantize(method=Image.Quantize.FASTOCTREE), "PNG")


def transparent_gif(image: Image.Image) -> bytes:
    """Return a GIF with one transparent colour."""
    return encoded(cut_out(image, soft=False), "GIF")


def sixteen_bit_png(image: Image.Image, seed: int = 0) -> bytes:
    """Return a grey PNG with 16 bits a sample; clipped to 8 bits instead of scaled it turns white."""
    high = image.convert("L").tobytes()
    samples = bytearray(2 * len(high))
    samples[0::2] = random.Random(seed).randbytes(len(high))
    samples[1::2] = high
    return encoded(Image.frombytes("I;16", image.size, bytes(samples)), "PNG")


def cmyk_jpeg(image: Image.Image, profiled: bool = False, **options: Any) -> bytes:
    """Return a CMYK JPEG, without a profile or with one whose inks are stronger than the plain complement."""
    if not profiled:
        return encoded(image.convert("CMYK"), "JPEG", **options)
    inks = [channel.point(ink_curve()) for channel in image.convert("RGB").split()]
    cmyk = Image.merge("CMYK", (*inks, Image.new("L", image.size, 0)))
    return encoded(cmyk, "JPEG", icc_profile=cmyk_profile(), **options)


def frames(width: int, height: int, count: int = 6, seed: int = 0, transparent: bool = False) -> list[Image.Image]:
    """Return the frames of an animation: a ball that rolls across a photo, or across transparency."""
    backdrop = photo(width, height, seed).convert("RGBA")
    if transparent:
        backdrop = Image.new("RGBA", (width, height))
    radius = min(width, height) / 6
    result = []
    for index in range(count):
        frame = backdrop.copy()
        x = radius + (width - 2 * radius) * index / max(1, count - 1)
        y = height * 0.7 - abs(math.sin(index / max(1, count - 1) * math.tau)) * height * 0.4
        box = (x - radius, y - radius, x + radius, y + radius)
        ImageDraw.Draw(frame).ellipse(box, fill=(230, 60 + 130 * index // count, 50, 255))
        result.append(frame)
    return result


def animated(format: str, images: Sequence[Image.Image], durations: Sequence[int], loop: int = 0) -> bytes:
    """Return an animation.

    Args:
        format: GIF, WEBP, PNG (an APNG) or AVIF.
        images: Its frames.
        durations: Milliseconds, one for each frame; GIF counts in hundredths of a second.
        loop: How often it runs; 0 is for ever. AVIF has no such count.
    """
    options: dict[str, Any] = {"save_all": True, "append_images": list(images[1:]), "duration": list(durations)}
    if format != "AVIF":
        options["loop"] = loop
    if format == "GIF":
        options["disposal"] = 2
    return encoded(images[0], format, **options)
