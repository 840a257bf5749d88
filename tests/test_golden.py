"""Golden tests: names, bytes and HTML of many calls, class paths in fingerprints, and import paths stay as recorded.

`make golden` writes `tests/golden/*.json` anew, for a change that is meant. Sources that are in `sources.json` stay as
they are, so that names do not depend on the encoders of the machine.
"""

from __future__ import annotations

import base64
import io
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import reduce
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any, NamedTuple

import PIL
import pytest
from jinja2 import Environment
from PIL import Image, features

import drawing
from jinja_imagekit import BytesSource, ImageKit, ImageSpec, processors
from jinja_imagekit.hashing import class_path, fingerprint
from jinja_imagekit.processors import (
    AddBorder,
    Adjust,
    Anchor,
    ColorOverlay,
    Convert,
    Crop,
    Duotone,
    GaussianBlur,
    MakeOpaque,
    OverlayImage,
    ProcessorPipeline,
    Reflection,
    Resize,
    ResizeCanvas,
    ResizeToCover,
    ResizeToFill,
    ResizeToFit,
    SetOpacity,
    SharedThumbnail,
    SmartCrop,
    SmartResize,
    Thumbnail,
    Transpose,
    TrimBorderColor,
)
from jinja_imagekit.sourcegroups import GlobSourceGroup

ROOT = Path(__file__).resolve().parents[1]
RECORDED = ROOT / "tests" / "golden"
LIBRARIES = ("jpg", "libjpeg_turbo", "zlib", "zlib_ng", "webp", "avif", "libtiff", "littlecms2")
THUMBNAIL = "imagekit:thumbnail"
DEFERRED = "jinja_imagekit.cachefiles.strategies.Deferred"

SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="120" height="80" viewBox="0 0 120 80">'
    '<rect width="120" height="80" fill="#216321"/><circle cx="60" cy="40" r="30" fill="#e63c32"/></svg>\n'
)


def _photo(width: int = 56, height: int = 42, seed: int = 0) -> Image.Image:
    return drawing.with_corners(drawing.photo(width, height, seed))


def _mpo() -> bytes:
    target = io.BytesIO()
    _photo(120, 90, 3).save(target, "MPO", save_all=True, append_images=[_photo(120, 90, 4)])
    return target.getvalue()


SOURCES: dict[str, Callable[[], bytes]] = {
    "photo.jpg": lambda: drawing.encoded(_photo(320, 240, 1), "JPEG", quality=60),
    "shop/turned.jpg": lambda: drawing.oriented(_photo(160, 120, 2), 6, quality=75),
    "private.jpg": lambda: drawing.encoded(_photo(80, 60, 3), "JPEG", quality=75, exif=drawing.private_exif()),
    "inks.jpg": lambda: drawing.cmyk_jpeg(_photo(120, 90, 4), profiled=True, quality=75),
    "inks-plain.jpg": lambda: drawing.cmyk_jpeg(_photo(80, 60, 5), quality=75),
    "grey.jpg": lambda: drawing.profiled_grey(_photo(120, 90, 1), quality=75),
    "wide.jpg": lambda: drawing.wide_gamut(_photo(120, 90, 2), quality=75),
    "stereo.mpo": _mpo,
    "opaque.png": lambda: drawing.encoded(_photo(), "PNG"),
    "turned.png": lambda: drawing.oriented(_photo(48, 36), 5, "PNG"),
    "cut out.png": lambda: drawing.alpha_png(_photo(56, 42, 1)),
    "palette.png": lambda: drawing.palette_png(_photo(56, 42, 2)),
    "sixteen.png": lambda: drawing.sixteen_bit_png(_photo(56, 42, 3)),
    "grey-alpha.png": lambda: drawing.grey_alpha_png(_photo(56, 42, 4)),
    "bilevel.png": lambda: drawing.encoded(_photo(56, 42, 5).convert("1"), "PNG"),
    "moving.png": lambda: drawing.animated("PNG", drawing.frames(32, 24, 3, 1), (80, 120, 200), loop=2),
    "still.gif": lambda: drawing.transparent_gif(_photo(56, 42, 1)),
    "moving.gif": lambda: drawing.animated("GIF", drawing.frames(48, 36, 4, 2, transparent=True), (70, 70, 140, 70)),
    "still.webp": lambda: drawing.encoded(_photo(120, 90, 3), "WEBP", quality=75),
    "cut out.webp": lambda: drawing.encoded(drawing.cut_out(_photo(56, 42, 4)), "WEBP", quality=75),
    "moving.webp": lambda: drawing.animated("WEBP", drawing.frames(48, 36, 4, 3), (70, 70, 140, 70)),
    "still.avif": lambda: drawing.encoded(_photo(120, 90, 4), "AVIF", quality=60, max_threads=1),
    "scan.tif": lambda: drawing.encoded(_photo(56, 42, 5), "TIFF", compression="tiff_lzw"),
    "drawn.bmp": lambda: drawing.encoded(_photo(56, 42, 1), "BMP"),
    "icon.ico": lambda: drawing.encoded(drawing.cut_out(_photo(32, 32, 2)), "ICO", sizes=[(32, 32), (16, 16)]),
    "logo.svg": SVG.encode,
    "broken.jpg": lambda: drawing.encoded(_photo(80, 60), "JPEG")[:700],
}
"""What is drawn where `sources.json` does not have it yet."""


class Site(NamedTuple):
    """A folder of sources and a place for cache files."""

    images: Path
    root: Path
    kits: list[ImageKit]

    def kit(self, **values: Any) -> ImageKit:
        """Return a kit over the sources that has made nothing yet."""
        folders = {"source_dirs": [self.images], "location": self.root / "cache", "state_dir": self.root / "state"}
        self.kits.append(ImageKit(**folders, **values))
        return self.kits[-1]

    def page(self, template: str, /, kit: ImageKit | None = None, **values: Any) -> str:
        """Return a rendered template."""
        kit = kit or self.kit(**values)
        return kit.install(Environment(autoescape=True)).from_string(template).render(images=self.images)

    def file(self, id: str = THUMBNAIL, /, settings: Any = None, **keywords: Any) -> str:
        """Return what a cache file says of itself, once it is made."""
        kit = self.kit(**(settings or {}))
        file = kit.cachefile(id, **keywords)
        return f"{file.url} {file.width}×{file.height} {file.format} {file.mimetype}"

    def spec(self, source: str, *chain: Any, settings: Any = None, **attributes: Any) -> str:
        """Return what the cache file of a registered spec says of itself."""
        kit = self.kit(**(settings or {}))
        kit.spec("golden:spec", processors=list(chain), **attributes)
        file = kit.cachefile("golden:spec", source=source)
        return f"{file.url} {file.width}×{file.height} {file.format} {file.mimetype}"

    def upload(self, source: str, /, **attributes: Any) -> str:
        """Return the name and the digest of a processed upload."""
        made = self.kit().process(self.images / source, **attributes)
        return f"{made.name} {made.width}×{made.height} {made.format} {_digest(made.read())}"

    def made(self) -> dict[str, str]:
        """Return the size and the digest of each cache file that was made."""
        paths = sorted(path for path in (self.root / "cache").rglob("*") if path.is_file())
        return {path.relative_to(self.root / "cache").as_posix(): _digest(path.read_bytes()) for path in paths}


TIMES = re.compile(rb"(?<=mvhd\x01...|tkhd\x01...|mdhd\x01...).{16}", re.DOTALL)


def _digest(data: bytes) -> str:
    # libavif writes the time of day into the headers of an animation.
    data = TIMES.sub(bytes(16), data) if data[4:8] == b"ftyp" else data
    return f"{len(data)} bytes {sha256(data).hexdigest()[:24]}"


class Hero(ImageSpec):
    """A spec that is written as a class."""

    processors = [ResizeToFill(90, 40), Adjust(contrast=1.1)]
    format = "WEBP"
    options = {"quality": 70}


class OwnHand(ImageSpec):
    """A spec that makes its image itself, so that its class path is part of the name."""

    format = "PNG"

    def generate(self) -> Any:
        """Return a small image of one colour."""
        return io.BytesIO(drawing.encoded(Image.new("RGB", (12, 8), "teal"), "PNG"))


class Framed:
    """A generator that has a source and is not a spec."""

    format = "PNG"

    def __init__(self, source: Any) -> None:
        self.source = source

    def generate(self) -> Any:
        """Return an image of one colour."""
        return io.BytesIO(drawing.encoded(Image.new("RGB", (10, 20), "red"), "PNG"))


class Swatch:
    """A generator without a source."""

    format = "PNG"

    def __init__(self, color: str = "red") -> None:
        self.color = color

    def generate(self) -> Any:
        """Return an image of one colour."""
        return io.BytesIO(drawing.encoded(Image.new("RGB", (30, 20), self.color), "PNG"))


for _own in (Hero, OwnHand, Framed, Swatch):
    # The same class path whether pytest imports this file or it runs as a script.
    _own.__module__ = "test_golden"

STILLS = [name for name in SOURCES if name not in ("broken.jpg", "logo.svg")]
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "AVIF")

Call = Callable[[Site], str]
Answer = dict[str, Any]
"""What a call says, and the size and digest of each file that it made."""


def _calls() -> Iterator[tuple[str, Call]]:
    """Yield every call under the words that a failure shows."""
    for name in [*STILLS, "logo.svg"]:
        yield f"thumbnail of {name}", lambda site, name=name: site.file(source=name, width=40, height=40)
        yield f"kept as it is: {name}", lambda site, name=name: site.spec(name)
    for format in FORMATS:
        for name in ("photo.jpg", "cut out.png", "moving.gif", "sixteen.png", "logo.svg"):
            yield (
                f"{name} as {format}",
                lambda site, name=name, format=format: site.spec(name, ResizeToFit(40, 30), format=format),
            )
    for name in ("moving.png", "moving.gif", "moving.webp"):
        yield f"{name} moves as WEBP", lambda site, name=name: site.spec(name, Resize(20, 15), format="WEBP")
    for name in ("photo.jpg", "shop/turned.jpg", "cut out.png", "moving.gif", "inks.jpg"):
        yield f"upload of {name}", lambda site, name=name: site.upload(name)
    yield "upload with processors", lambda site: site.upload("photo.jpg", processors=[ResizeToFit(50, 50)])
    yield "upload as WEBP", lambda site: site.upload("opaque.png", format="WEBP", options={"quality": 60})
    for number, processor in enumerate(PROCESSORS):
        yield (
            f"{type(processor).__name__}, number {number} of the processors",
            lambda site, processor=processor: site.spec("photo.jpg", ResizeToFit(64, 48), processor),
        )
        yield (
            f"{type(processor).__name__}, number {number} of the processors, on alpha",
            lambda site, processor=processor: site.spec("cut out.png", processor),
        )
    for label, template in TEMPLATES.items():
        yield f"template: {label}", lambda site, template=template: site.page(template)
        yield f"template, deferred: {label}", lambda site, template=template: _deferred(site, template)
    for label, settings in SETTINGS.items():
        for name in ("shop/turned.jpg", "wide.jpg", "sixteen.png", "moving.gif", "cut out.png", "private.jpg"):
            yield (
                f"{name} with {label}",
                lambda site, name=name, settings=settings: site.spec(name, ResizeToFit(40, 30), settings=settings),
            )
    for attributes in SPEC_ATTRIBUTES:
        yield (
            f"spec with {attributes}",
            lambda site, attributes=attributes: site.spec("photo.jpg", ResizeToFit(60, 60), **attributes),
        )
    yield "bytes", lambda site: site.file(source=_read(site, "photo.jpg"), width=30)
    yield "path", lambda site: site.file(source=site.images / "shop/turned.jpg", width=30)
    yield "named bytes", lambda site: site.file(source=BytesSource(_read(site, "photo.jpg"), "a/b.jpg"), height=30)
    yield "spec by hand", _by_hand
    yield "spec by hand, without a kit", lambda site: _digest(Hero(source=site.images / "photo.jpg").generate().read())
    yield "spec that makes its image itself", lambda site: _registered(site, OwnHand, source="photo.jpg")
    yield "generator with a source", lambda site: _framed(site, "photo.jpg")
    yield "generator with bytes", lambda site: _framed(site, _read(site, "photo.jpg"))
    yield "generator with a cache file", lambda site: _framed(site, None)
    yield "generator without a source", lambda site: _registered(site, Swatch, color="navy")
    yield "generator without a source, by hand", _swatch_by_hand
    yield "a cache file of a cache file", _of_a_cache_file
    yield "pregenerated", _pregenerated


def _read(site: Site, name: str) -> bytes:
    return (site.images / name).read_bytes()


def _deferred(site: Site, template: str) -> str:
    kit = site.kit(default_cachefile_strategy=DEFERRED)
    html = site.page(template, kit)
    report = kit.finish()
    return f"{html} {len(report.generated)} made, {len(report.failed)} failed"


def _by_hand(site: Site) -> str:
    kit = site.kit()
    return str(kit.cachefile_of(Hero(source=site.images / "photo.jpg")))


def _framed(site: Site, source: Any) -> str:
    kit = site.kit()
    file = kit.cachefile_of(Framed(kit.source(source or kit.cachefile(THUMBNAIL, source="photo.jpg", width=40))))
    return f"{file.url} {file.width}×{file.height}"


def _swatch_by_hand(site: Site) -> str:
    kit = site.kit()
    file = kit.cachefile_of(Swatch("olive"))
    return f"{file.url} {file.width}×{file.height}"


def _registered(site: Site, generator: Any, **keywords: Any) -> str:
    kit = site.kit()
    kit.register.generator("golden:own", generator)
    file = kit.cachefile("golden:own", **keywords)
    return f"{file.url} {file.width}×{file.height}"


def _of_a_cache_file(site: Site) -> str:
    kit = site.kit()
    kit.register.generator("golden:hero", Hero)
    kit.spec("golden:small", processors=[ResizeToFit(30, 30)])
    file = kit.cachefile("golden:small", source=kit.cachefile("golden:hero", source="photo.jpg"))
    return f"{file.url} {file.width}×{file.height}"


def _pregenerated(site: Site) -> str:
    kit = site.kit()
    kit.register.generator("golden:hero", Hero)
    kit.register.source_group("golden:hero", GlobSourceGroup("**/*.png"))
    report = kit.generate()
    return f"{len(report.generated)} made, {len(report.failed)} failed"


PROCESSORS: list[Any] = [
    AddBorder(3, "red"),
    AddBorder((1, 2, 3, 4)),
    Adjust(color=0.5, brightness=1.1, contrast=1.2, sharpness=1.5),
    ColorOverlay("#204060", overlay_opacity=0.4),
    Convert("L"),
    Crop(30, 20, anchor=Anchor.TOP_LEFT),
    Crop(30, 20, x=-5, y=-6),
    GaussianBlur(1.5),
    MakeOpaque((200, 220, 240)),
    OverlayImage(Image.new("RGBA", (12, 8), (250, 200, 20, 200)), anchor=Anchor.BOTTOM_RIGHT, opacity=0.7, margin=2),
    ProcessorPipeline([Resize(30, 20), Transpose(Transpose.FLIP_HORIZONTAL)]),
    Reflection("#EEEEEE", size=0.3, opacity=0.5),
    Resize(30, 20),
    Resize(300, 200, upscale=False),
    ResizeCanvas(80, 60, color="navy", anchor=Anchor.TOP),
    ResizeCanvas(80, 60, x=4, y=5),
    ResizeToCover(30, 30),
    ResizeToFill(30, 30),
    ResizeToFill(30, 30, anchor=(0.2, 0.9)),
    ResizeToFit(30, 30),
    ResizeToFit(30, 30, mat_color=(255, 0, 0, 128), anchor=Anchor.LEFT),
    SetOpacity(0.5),
    SmartCrop(30, 30),
    SmartResize(30, 30),
    Thumbnail(30, 30),
    Thumbnail(30, anchor=None, crop=False, upscale=True),
    Thumbnail(30, 20, anchor="auto", crop=True),
    Transpose(),
    Transpose(Transpose.ROTATE_90),
    TrimBorderColor(),
    TrimBorderColor(color=(214, 40, 40), tolerance=0.2, sides=("t", "l")),
    SharedThumbnail(30, 20, largest=(60, 40)),
    Duotone("#102030", "#f0e0d0"),
]
"""Every processor with typical arguments."""

TEMPLATES = {
    "both dimensions": "{% thumbnail '50x40' 'photo.jpg' -- alt='A \"quoted\" text' class='card' data-id=7 %}",
    "width": "{% thumbnail '50x' 'shop/turned.jpg' %}",
    "height": "{% thumbnail 'x50' 'shop/turned.jpg' -- width='100%' %}",
    "srcset": "{% thumbnail '40x30' 'photo.jpg' srcset='1.5 2 3' -- alt='' %}",
    "srcset beyond the source": "{% thumbnail '200x150' 'photo.jpg' srcset='2 4' format='WEBP' %}",
    "quality and format": "{% thumbnail '40x30' 'photo.jpg' quality=40 format='AVIF' %}",
    "anchor": "{% thumbnail '40x40' 'photo.jpg' anchor='br' %}{% thumbnail '40x40' 'photo.jpg' anchor=(0.1, 0.2) %}",
    "no crop": "{% thumbnail '40x40' 'photo.jpg' crop=false %}",
    "upscale": "{% thumbnail '200x200' 'opaque.png' upscale=true %}",
    "assignment": "{% thumbnail '40x30' 'cut out.png' as t %}{{ t.url }} {{ t.width }} {{ t.height }} {{ t.format }}",
    "the file's element": "{% thumbnail '40x30' 'moving.gif' as t %}{{ t }}",
    "vector": "{% thumbnail '40x30' 'logo.svg' srcset='2' %}",
    "generateimage": "{% generateimage 'imagekit:thumbnail' width=45 source='grey.jpg' -- alt='grey' %}",
    "filters": (
        "{{ 'photo.jpg' | thumbnail('33x22') }} {{ ('photo.jpg' | generateimage('imagekit:thumbnail', width=31)).url }}"
    ),
    "a loop": "{% for name in ('photo.jpg', 'inks.jpg', 'still.avif') %}{{ name | thumbnail('24x24') }}{% endfor %}",
    "a path": "{% thumbnail '40x30' images / 'wide.jpg' %}",
    "no source": "{% thumbnail '40x30' none as t %}{{ 'none' if not t }}",
    "a bad image, placeholder": "{% thumbnail '40x30' 'broken.jpg' on_error='placeholder' -- alt='x' %}",
    "a bad image, omitted": "[{% thumbnail '40x30' 'broken.jpg' on_error='omit' %}]",
    "a bad image, as it is": "{% thumbnail '40x30' 'broken.jpg' on_error='original' %}",
}

SETTINGS: dict[str, dict[str, Any]] = {
    "no orientation": {"auto_orient": False},
    "its own profile": {"convert_to_srgb": False},
    "clipped samples": {"scale_16_bit": False},
    "one frame": {"keep_animation": False},
    "no alpha on green": {"keep_alpha": False, "background": "#00ff00"},
    "its copyright": {"keep_metadata": ("copyright", "artist")},
    "names by hash": {"spec_cachefile_namer": "jinja_imagekit.cachefiles.namers.hash", "cachefile_dir": "img"},
    "names with a hash": {"spec_cachefile_namer": "jinja_imagekit.cachefiles.namers.source_name_dot_hash"},
}

SPEC_ATTRIBUTES: list[dict[str, Any]] = [
    {"decode_margin": 0},
    {"decode_margin": 1.0},
    {"options": {"quality": 30, "progressive": False}},
    {"format": "jpg", "options": {"subsampling": 0}},
    {"format": "PNG", "options": {"optimize": True}},
    {"format": "WEBP", "options": {"lossless": True}},
    {"format": "AVIF", "options": {"quality": 30, "speed": 10}},
    {"format": "AVIF", "effort": "fast"},
    {"format": "AVIF", "effort": "fastest"},
    {"format": "GIF"},
    {"autoconvert": False},
]

CALLS = dict(_calls())


def versions() -> dict[str, str]:
    """Return what the bytes depend on beside this package: Pillow, its bundled libraries, the kind of machine."""
    found = {name: features.version(name) for name in LIBRARIES}
    return {"Pillow": PIL.__version__, "machine": platform.machine(), **{n: v for n, v in found.items() if v}}


def recorded(name: str) -> Any:
    """Return what a file of `tests/golden` holds."""
    return json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))


def write_sources(folder: Path) -> None:
    """Write every source as it was recorded."""
    for name, text in recorded("sources").items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(base64.b64decode(text))


def answer(call: Call, images: Path, root: Path) -> Answer:
    """Return what a call says, and the files that it made."""
    site = Site(images, root, [])
    try:
        return {"says": call(site), "files": site.made()}
    finally:
        for kit in site.kits:
            kit.close()


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the recorded sources."""
    folder = tmp_path_factory.mktemp("golden")
    write_sources(folder)
    return folder


DIGEST = re.compile(r"\d+ bytes [0-9a-f]{24}")


def without_bytes(value: Any) -> Any:
    """Return an answer without what depends on the encoders."""
    return json.loads(DIGEST.sub("…", json.dumps(value)))


@pytest.mark.parametrize("label", CALLS)
def test_a_call_gives_the_recorded_names_html_and_bytes(label: str, images: Path, tmp_path: Path) -> None:
    """A call gives the same name and HTML everywhere, and the same bytes where the encoders are the same."""
    _compare(label, answer(CALLS[label], images, tmp_path))


def _compare(label: str, found: Answer) -> None:
    golden = recorded("calls")
    expected = golden["calls"][label]
    assert without_bytes(found) == without_bytes(expected), f"{label}: other names"
    if golden["versions"] != versions():
        pytest.skip(f"names agree; the recorded bytes are of {golden['versions']}, and this is {versions()}")
    assert found == expected, f"{label}: other bytes"


def test_every_call_is_recorded_and_every_record_is_called() -> None:
    """A call that was forgotten, or was taken out, is an error."""
    assert set(recorded("calls")["calls"]) == {*CALLS, "Django"}
    assert set(recorded("sources")) == set(SOURCES)


NAMED_IN_FINGERPRINTS = (
    *(f"jinja_imagekit.processors.{name}" for name in processors.__all__),
    *("jinja_imagekit.ImageSpec", "jinja_imagekit.Settings", "jinja_imagekit.generatorlibrary.Thumbnail"),
    *("jinja_imagekit.specs.ImageSpec", "jinja_imagekit.settings.Settings", "jinja_imagekit.images.PixelRules"),
    "jinja_imagekit.sourcegroups.GlobSourceGroup",
    *(f"jinja_imagekit.cachefiles.namers.{name}" for name in ("hash", "source_name_as_path", "source_name_dot_hash")),
    *(
        f"jinja_imagekit.cachefiles.strategies.{name}"
        for name in ("Strategy", "JustInTime", "Optimistic", "Deferred", "OnRequest")
    ),
    *(f"jinja_imagekit.cachefiles.backends.{name}" for name in ("CacheFileBackend", "Simple", "BaseAsync")),
    *(f"jinja_imagekit.sources.{name}" for name in ("BytesSource", "FileSource", "StreamSource")),
    *("jinja_imagekit.BytesSource", "jinja_imagekit.cachefiles.sources.CacheFileSource"),
)
"""Where today's classes and functions are found whose paths may be part of a fingerprint."""


def named(address: str) -> Any:
    """Return what a dotted path names."""
    parts = address.split(".")
    for length in range(len(parts), 0, -1):
        try:
            value = import_module(".".join(parts[:length]))
        except ModuleNotFoundError as error:
            if not f"{'.'.join(parts)}.".startswith(f"{error.name}."):
                raise
            continue
        return reduce(getattr, parts[length:], value)
    raise ModuleNotFoundError(address)


def class_paths() -> dict[str, str]:
    """Return the class path of everything that fingerprints may name."""
    return {address: class_path(named(address)) for address in NAMED_IN_FINGERPRINTS}


def fingerprints() -> dict[str, str]:
    """Return the fingerprint of every processor with typical arguments, and of the rest that fingerprints hold."""
    values = {f"{number} {type(each).__name__}": fingerprint(each) for number, each in enumerate(PROCESSORS)}
    for address, text in class_paths().items():
        # As a value, not as an instance: a strategy or namer in a mapping of a user's own.
        values[f"{text} itself"] = fingerprint(named(address))
    for name in ("ImageSpec", "generatorlibrary.Thumbnail"):
        keywords = {"width": 30} if name.endswith("Thumbnail") else {}
        values[f"recipe of {name}"] = named(f"jinja_imagekit.{name}")(**keywords).get_recipe()
    values["PixelRules"] = fingerprint(named("jinja_imagekit.images.PixelRules")())
    values["GlobSourceGroup"] = fingerprint(GlobSourceGroup("**/*.png"))
    return values


def test_class_paths_in_fingerprints_stay() -> None:
    """A class that moves to another module keeps the path that it has in every name, and its old address."""
    assert class_paths() == recorded("classes")["class paths"]


def test_fingerprints_of_processors_stay() -> None:
    """A processor with the same arguments has the same fingerprint for ever, or VERSION is raised."""
    assert fingerprints() == recorded("classes")["fingerprints"]


def test_every_processor_is_in_the_golden_set() -> None:
    """A processor that is added is recorded, too."""
    public = {getattr(processors, name) for name in processors.__all__}
    kinds = {kind for kind in public if isinstance(kind, type) and hasattr(kind, "process")}
    assert {type(each) for each in PROCESSORS} == kinds


DOTTED = re.compile(r"\bjinja_imagekit(?:\.[A-Za-z_]\w*)+")
REFERENCE = re.compile(r"^\.\. auto\w+:: (jinja_imagekit[\w.]*)", re.MULTILINE)
NOT_IMPORTED = {
    "jinja_imagekit.policies",  # the name of a logger
    "jinja_imagekit.django.models.fields.Processed",  # the beginning of a name, in a `sed` expression
}
IMPORT = re.compile(r"^\s*from (jinja_imagekit[\w.]*) import ([^\n(#]+|\([^)]*\))", re.MULTILINE)


def paths_of_the_docs() -> list[str]:
    """Return every dotted path that the README and the documentation name, and all of the modules in the reference."""
    paths: set[str] = set()
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        text = page.read_text(encoding="utf-8")
        for module, names in IMPORT.findall(text):
            listed = [name.split(" as ")[0].strip() for name in names.strip("() \n").split(",")]
            paths.update(f"{module}.{name}" for name in listed if name)
        paths.update(DOTTED.findall(text))
        for listed in REFERENCE.findall(text):
            if isinstance(value := named(listed), ModuleType):
                paths.update(f"{listed}.{name}" for name in _public_names(value))
    return sorted(paths - NOT_IMPORTED)


def _public_names(module: ModuleType) -> list[str]:
    own = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
    return [name for name in getattr(module, "__all__", own) if not name.startswith("_")]


def broken_paths() -> dict[str, str]:
    """Return the recorded paths that cannot be imported, and why."""
    broken = {}
    for path in recorded("imports"):
        try:
            named(path)
        except (ImportError, AttributeError) as error:
            broken[path] = str(error)
    return broken


def test_import_paths_of_the_docs() -> None:
    """What the pages name is written down, and keeps importing under that path wherever it has moved."""
    assert json.loads(_in_a_process("--check-imports")) == {"not recorded": [], "broken": {}}


def _in_a_process(*arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, __file__, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def check_imports() -> None:
    """Print which paths of the pages are not recorded, and which recorded ones are broken."""
    _set_django_up()
    missing = sorted(set(paths_of_the_docs()) - set(recorded("imports")))
    print(json.dumps({"not recorded": missing, "broken": broken_paths()}))


def _set_django_up(**values: Any) -> None:
    import django
    from django.conf import settings

    apps = ["django.contrib.contenttypes", "jinja_imagekit.django"]
    settings.configure(INSTALLED_APPS=apps, DEFAULT_AUTO_FIELD="django.db.models.BigAutoField", **values)
    django.setup()


DJANGO_SOURCES = ("photo.jpg", "shop/turned.jpg", "cut out.png", "moving.gif", "inks.jpg", "logo.svg")


def django_answers(media: Path) -> Answer:
    """Return what fields, tags and forms of a Django project say of some sources, and the files that they make."""
    templates = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
    _set_django_up(BASE_DIR=media.parent, MEDIA_ROOT=str(media), MEDIA_URL="/media/", TEMPLATES=templates)
    from django.core.files.base import ContentFile
    from django.db import models
    from django.template import Context, Template

    from jinja_imagekit.django import ImageSpec, register
    from jinja_imagekit.django import processors as django_processors
    from jinja_imagekit.django.models import ImageSpecField, ProcessedImageField

    class Card(ImageSpec):
        processors = [django_processors.ResizeToFill(60, 40)]
        format = "WEBP"
        options = {"quality": 60}

    register.generator("golden:card", Card)

    class Photo(models.Model):
        image = models.ImageField()
        small = ImageSpecField([django_processors.ResizeToFit(50, 50)], source="image")
        square = ImageSpecField([Adjust(contrast=1.2), SmartResize(40, 40)], source="image", format="PNG")
        card = ImageSpecField(source="image", spec=Card)

        class Meta:
            app_label = "golden"

    class Avatar(models.Model):
        image = ProcessedImageField([ResizeToFill(40, 40)], format="JPEG", options={"quality": 70})

        class Meta:
            app_label = "golden"

    write_sources(media)
    before = set(media.rglob("*"))
    tags = Template(
        "{% load imagekit %}{% thumbnail '44x33' photo.image srcset='2' -- alt='a photo' class='card' %}"
        "{% generateimage 'golden:card' source=photo.image as card %}{{ card.url }} {{ card.width }}"
    )
    said = []
    for name in DJANGO_SOURCES:
        photo = Photo(image=name)
        for file in (photo.small, photo.square, photo.card):
            said.append(f"{file.url} {file.width}×{file.height}")
        said.append(tags.render(Context({"photo": photo})))
        if name != "logo.svg":
            avatar = Avatar()
            avatar.image.save(f"avatar of {Path(name).name}", ContentFile((media / name).read_bytes()), save=False)
            said.append(f"{avatar.image.name} {avatar.image.width}×{avatar.image.height}")
    made = sorted(path for path in set(media.rglob("*")) - before if path.is_file())
    return {"says": said, "files": {path.relative_to(media).as_posix(): _digest(path.read_bytes()) for path in made}}


def answers_of_django() -> Answer:
    """Return `django_answers` of a process of its own, since Django is set up but once in each."""
    with TemporaryDirectory() as media:
        answer: Answer = json.loads(_in_a_process("--django-answers", media))
    return answer


def test_django_gives_the_recorded_names_html_and_bytes() -> None:
    """A field, a tag and a processed upload of a Django project do so, too."""
    _compare("Django", answers_of_django())


def record() -> None:
    """Write every file of `tests/golden` anew; sources that are there stay."""
    RECORDED.mkdir(exist_ok=True)
    kept = recorded("sources") if (RECORDED / "sources.json").exists() else {}
    drawn = {name: kept.get(name) or base64.b64encode(draw()).decode() for name, draw in SOURCES.items()}
    _write("sources", drawn)
    answers = {}
    with TemporaryDirectory() as folder:
        write_sources(Path(folder, "images"))
        for number, (label, call) in enumerate(CALLS.items()):
            answers[label] = answer(call, Path(folder, "images"), Path(folder, str(number)))
    answers["Django"] = answers_of_django()
    _write("calls", {"versions": versions(), "calls": answers})
    _write("classes", {"class paths": class_paths(), "fingerprints": fingerprints()})
    _set_django_up()
    old = recorded("imports") if (RECORDED / "imports.json").exists() else []
    _write("imports", sorted({*old, *paths_of_the_docs()}))


def _write(name: str, value: Any) -> None:
    text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
    (RECORDED / f"{name}.json").write_text(text, encoding="utf-8")
    print(f"tests/golden/{name}.json: {len(value)} entries, {len(text.encode())} bytes")


def print_django_answers() -> None:
    """Print `django_answers` of the folder that is named on the command line."""
    print(json.dumps(django_answers(Path(sys.argv[2]))))


if __name__ == "__main__":
    commands = {"--record": record, "--check-imports": check_imports, "--django-answers": print_django_answers}
    commands[sys.argv[1]]()
