"""Every setting of a kit, as one frozen value."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

from .exceptions import InvalidSetting, nearest
from .loading import full_path
from .pages import URLS

__all__ = ["OTHER_FORMATS", "PLUGIN_FORMATS", "READABLE_FORMATS", "Settings"]

READABLE_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "TIFF", "BMP", "MPO", "ICO", "SVG")
"""Formats that are read by default, by Pillow's names."""

OTHER_FORMATS = (
    *("JPEG2000", "PPM", "PCX", "DCX", "DDS", "PSD", "QOI", "SGI", "SUN", "ICNS", "CUR", "IM", "MSP", "SPIDER"),
    *("XBM", "XPM", "TGA"),
)
"""Further formats that Pillow decodes by itself, which are read where `readable_formats` names them."""

DECODED_FORMATS = (*READABLE_FORMATS, *OTHER_FORMATS)
"""Formats whose decoders run in this process, and SVG, which is passed on; EPS would start another program."""

PLUGIN_FORMATS = {"HEIF": ("pillow_heif", "heif"), "JXL": ("pillow_jxl", "jxl"), "PDF": ("pypdfium2", "pdf")}
"""Formats that a package decodes, by its module and by the extra that installs it; read where `readable_formats` names
them."""

PAGE = r"(?ais)(?P<file>.*\.pdf)#(?:[^#]*&)?page=0*(?P<number>[1-9]\d{0,5})(?:&.*)?"
"""The name of a page of a PDF, as browsers take it, with other parameters such as the zoom (RFC 8118, 3)."""

EFFORTS = ("fastest", "fast", "balanced", "small")
"""How much time encoders take for how few bytes; `docs/reference/formats.md` holds the measurement."""

PNG_OPTIMIZERS = ("none", "oxipng")
"""What makes a PNG smaller without loss; the second is an extra of its name."""
JPEG_ENCODERS = ("pillow", "jpegli")
"""What writes a JPEG; the second is an extra of its name."""

GAMUTS = ("srgb", "p3")
"""What colours results may have: those of sRGB, or those of Display P3 too where the source has such."""

AI_MARK = "ai"
"""The name in `keep_metadata` of the mark of images that were made by AI."""

AUTO = "auto"
"""The `quality` that is found for each image."""

REMOTE_HOST = (
    r"(?:(?P<scheme>https?)://)?(?P<any>\*\.)?(?P<host>[^\s/:*@\[\]]+|\[[0-9a-fA-F:.]+\])(?::(?P<port>\d{1,5}))?"
)
"""An entry of `remote_hosts`."""

POLICIES = ("raise", "placeholder", "original", "omit")
"""What templates may do about an image that cannot be made."""


@dataclass(frozen=True, kw_only=True)
class Caps:
    """The settings that limit what an image may cost; `Settings` explains each."""

    readable_formats: tuple[str, ...] = READABLE_FORMATS
    max_source_bytes: int = 200_000_000
    max_svg_bytes: int = 5_000_000
    max_source_pixels: int = 100_000_000
    max_result_pixels: int = 100_000_000
    max_frames: int = 1_000
    repair: bool = False

    def __post_init__(self) -> None:
        """Check the values, as far as a subclass does."""


@dataclass(frozen=True, kw_only=True)
class PixelSettings:
    """The settings that change pixels; `Settings` explains each."""

    decode_margin: float = 1.5
    auto_orient: bool = True
    convert_to_srgb: bool = True
    scale_16_bit: bool = True
    keep_animation: bool = True
    keep_alpha: bool = True
    background: str = "#ffffff"
    keep_metadata: tuple[str, ...] = (AI_MARK,)
    linear_resize: bool = False
    effort: str = "balanced"
    resizer: str = "pillow"
    png_optimizer: str = "none"
    animated_format: str | None = None
    jpeg_encoder: str = "pillow"
    quality: int | str | None = None
    max_bytes: int | None = None
    gamut: str = "srgb"
    hdr: bool = False

    ADDED_LATER: ClassVar[Mapping[str, object]] = {"gamut": "srgb", "hdr": False}
    """Fields that fingerprints leave out where they have these values: they came when files had names already."""

    def __post_init__(self) -> None:
        """Check the values, as far as a subclass does."""


@dataclass(frozen=True, kw_only=True)
class Settings(PixelSettings, Caps):
    """The configuration of a kit, given once when it is created.

    Args:
        source_dirs: Folders in which a template's string source is looked up; the first match wins. A folder may be the
            URL of one in a bucket, such as `"s3://bucket/photos"`: that needs the extra `[fsspec]`, and what fsspec
            needs for the protocol.
        source_prefixes: Further folders, by the first segment of the names to look up in them, or several, when no
            source folder has the name: with `{"up": "/srv/uploads"}`, `up/a/cat.jpg` is `/srv/uploads/a/cat.jpg`.
        bucket_max_age: Seconds for which a server takes what a bucket said of a source for true; a build takes it until
            its end.
        remote_hosts: Hosts whose images may be sources, by their URLs: `"cdn.example"` by HTTPS, `"*.cdn.example"`
            with all below it, "http://localhost:8000" by HTTP. Needs the extra `[remote]`. Copies are kept
            in `state_dir`.
        remote_networks: Networks that are not public in which these hosts may be, such as "10.1.0.0/16".
        remote_timeout: Seconds that a download may take, with redirects and tries.
        offline: Whether nothing is downloaded, so that only the copies that are there are used, however old.
        location: Folder below which cache files are written.
        base_url: URL from which the site serves `location`.
        site_url: The site's own URL, such as `https://example.org`, with which `picture.absolute_url` begins; empty
            leaves it without one.
        urls: "absolute" URLs of images begin with `base_url`, "relative" ones at the page, where `kit.page()` or the
            host says which it is: such a site works below any path, and opened as files.
        html_rules: What becomes of the images in HTML that `kit.transform()` rewrites, by their class; `"*"` is for all
            others.
        state_dir: Folder for existence records, locks and temporary files.
        state_directory_permissions: Mode of the folders in `state_dir`, and of `state_dir` itself where it is made;
            with 0o770 and a common group, several users can share a site.
        state_file_permissions: Mode of the files in `state_dir`.
        cachefile_dir: Folder below `location` for all cache files.
        default_file_storage: A `Storage` or the dotted path of one; None writes to `location`.
        default_cachefile_backend: The cache file backend: an object, a class or a dotted path, or "Simple", "Threads",
            "Celery", "RQ" or "Dramatiq".
        default_cachefile_strategy: The cache file strategy: an object, a class, a dotted path or a dict of hooks, or
            "JustInTime", "Optimistic", "Deferred" or "OnRequest".
        cachefile_namer: Names the cache files of generators without a source: a callable or a dotted path, or "hash",
            "source_name_as_path" or "source_name_dot_hash"; "sharded_hash" or "sharded_source_name" for sites with many
            files.
        spec_cachefile_namer: Names the cache files of specs: as `cachefile_namer`.
        state_store: The state store: a `StateStore` or a dotted path to a callable that takes the settings, or
            "DiskStore" or "MemoryStore", or the URL of a Redis or Valkey server that machines share.
        cache_prefix: The prefix of all keys in the state store, so that several kits can share one.
        cache_timeout: Seconds for which a record is kept; None keeps it for ever.
        failure_timeout: Seconds for which a failed generation is not tried again.
        adopt_existing: Take an image that has the very name of a cache file, with its hash, for that cache file when no
            record says who made it, as after the state was lost; from its beginning to its end it must have the
            structure of a whole file. When false, such files are made again.
        keep_notes: Whether to note which images the pages need, for `finish()`, `publish()` and `prune()`: True for a
            build, False for a server, whose pages never end; None notes up to 20,000. Deferred images are noted in
            any case.
        timeout: Seconds that an image may take; None for any time. Without `isolation` it is looked at between frames
            and stages, and what a decoder or encoder does in one go is not interrupted.
        isolation: "process" decodes and encodes in processes of their own, which end when an image takes too long or
            too much memory, or when a decoder crashes; None does it in this one.
        worker_memory: Bytes that such a process may take beyond what it has at its start.
        default_thumbnail_format: The format of `imagekit:thumbnail`; None keeps the source's.
        default_thumbnail_srcset_scales: Pixel densities that `{% thumbnail %}` adds if it has no `srcset`.
        picture_formats: Formats that `{% picture %}` offers, the preferred one first; the last one is the `<img>`.
        picture_placeholder: What to show in a picture's place until it has loaded: "blur", "color" or None.
        picture_css: Where a picture's styles go: "style" for attributes, "class" for classes and a style sheet.
        missing_alt: What to do when an image without an alternative text is printed: "error", "warn" or "ignore";
            None is "error" for pictures and "ignore" for `{% thumbnail %}` and `{% generateimage %}`.
        auto_sizes: Let the browser find the width of pictures that load lazily: `sizes="auto, …"`.
        focus_detector: Says what crops keep of an image whose author and metadata do not: a `FocusDetector`, or the
            dotted path of one. What it finds is remembered by the image's content and the detector's name.
        video_poster: Makes the image that stands for a video where one is a source: a `PosterMaker`, or the dotted path
            of one. None refuses videos.
        file_permissions: Mode of cache files.
        directory_permissions: Mode of the folders made for them.
        fsync: Wait until each file is on disk before naming it: safe against power failures, but slower.
        on_error: What templates do about an image that cannot be made: "raise" an error, show a "placeholder", show
            the "original" file unprocessed, or "omit" it. Tags and filters also take it as a keyword.
        debug: Say on placeholders why the image could not be made; for development.
        readable_formats: Formats that may be read, by Pillow's names; an "SVG" is passed on unchanged. Besides the
            defaults it may name `OTHER_FORMATS`, which are as safe as Pillow's decoders, and, each with an extra,
            "HEIF" (`[heif]`), "JXL" (`[jxl]`) and "PDF" (`[pdf]`).
        max_source_bytes: Largest source file, in bytes.
        max_svg_bytes: Largest SVG, in bytes: reading its XML takes longer than the header of an image made of pixels.
        max_source_pixels: Largest source: width times height, of all frames together where it is animated.
        max_result_pixels: Largest result: width times height, of all frames together.
        max_frames: Most frames of an animation.
        repair: Show what decodes of a damaged JPEG, PNG or GIF, and log a warning, instead of refusing it.
        decode_margin: A JPEG may be decoded at a reduced scale, as long as that is at least this many times the size
            needed. 1.0 is fastest; 1.5 keeps an SSIM of 0.989 or more against the full decode (docs, "Formats");
            0 decodes in full.
        auto_orient: Apply the EXIF orientation.
        convert_to_srgb: Convert from the embedded ICC profile to sRGB; when false, the profile is kept.
        scale_16_bit: Scale 16-bit samples to 8 bits; when false, they are clipped as Pillow does.
        keep_animation: Keep all frames where the format of the result animates; when false, the first one.
        keep_alpha: Keep transparency where the format of the result has it.
        background: The colour that replaces transparency if the result has none, in any form that `PIL.ImageColor`
            reads.
        keep_metadata: What results keep of metadata: "copyright", "artist", "credit", "licence" and "description" from
            EXIF, XMP and IPTC, and other fields of EXIF by their names. "ai", the mark of images that were made by
            AI, is kept with any of them, and by default; only an empty tuple keeps nothing.
        linear_resize: Average light instead of samples when resizing, so that fine bright detail keeps its brightness;
            every JPEG is then decoded in full.
        effort: How long encoders search for few bytes: "fastest", "fast", "balanced" or "small" (docs, "Formats").
        resizer: What resizes: "pillow", or "fast", which takes a quarter of the time and needs the extra `[fast]`. A
            fifth of all samples differ by one level, and the names of cache files differ.
        png_optimizer: "oxipng" has PNGs made smaller by oxipng, which the extra `jinja-imagekit[oxipng]` installs;
            "none" does not.
        animated_format: The format of results of animated sources where none is asked for, such as "WEBP" instead of a
            GIF; None keeps the source's.
        jpeg_encoder: "jpegli" has JPEGs written by jpegli, in fewer bytes of the same look, which the extra
            `jinja-imagekit[jpegli]` installs; "pillow" by libjpeg.
        quality: The encoders' quality, from 1 to 100, though each format has another scale; "auto" finds the lowest at
            which each image looks like itself, and None takes the format's own.
        max_bytes: Bytes that a result may have: its quality is lowered until it fits. None for any number.
        gamut: "p3" keeps colours beyond sRGB of sources that can have them: their results are in Display P3, with its
            profile, and pictures offer both to browsers; "srgb" brings all to sRGB.
        hdr: Keep the gain map of an Ultra HDR JPEG where the result is a JPEG too and keeps its tones, so that it is as
            bright on HDR screens as its source.

    Raises:
        InvalidSetting: A value is of the wrong type or out of range.

    Example:
        >>> Settings(source_dirs=["photos"]).source_dirs
        (PosixPath('photos'),)
    """

    source_dirs: tuple[Path | str, ...] = ()
    source_prefixes: tuple[tuple[str, Path | str], ...] = ()
    bucket_max_age: float = 60.0
    remote_hosts: tuple[str, ...] = ()
    remote_networks: tuple[str, ...] = ()
    remote_timeout: float = 30.0
    offline: bool = False
    location: Path = Path("output")
    base_url: str = "/"
    site_url: str = ""
    urls: str = "absolute"
    html_rules: Mapping[str, Any] = field(default_factory=dict)
    state_dir: Path = Path(".imagekit")
    state_directory_permissions: int = 0o700
    state_file_permissions: int = 0o600
    cachefile_dir: str = "CACHE/images"
    default_file_storage: Any | None = None
    default_cachefile_backend: Any = "jinja_imagekit.cachefiles.backends.Simple"
    default_cachefile_strategy: Any = "jinja_imagekit.cachefiles.strategies.JustInTime"
    cachefile_namer: Any = "jinja_imagekit.cachefiles.namers.hash"
    spec_cachefile_namer: Any = "jinja_imagekit.cachefiles.namers.source_name_as_path"
    state_store: Any = "jinja_imagekit.state.DiskStore.from_settings"
    cache_prefix: str = "imagekit:"
    cache_timeout: float | None = None
    failure_timeout: float = 60.0
    adopt_existing: bool = True
    keep_notes: bool | None = None
    timeout: float | None = 120.0
    isolation: str | None = None
    worker_memory: int = 2_000_000_000
    default_thumbnail_format: str | None = None
    default_thumbnail_srcset_scales: tuple[float, ...] = ()
    picture_formats: tuple[str, ...] = ("AVIF", "WEBP")
    picture_placeholder: str | None = None
    picture_css: str = "style"
    missing_alt: str | None = None
    auto_sizes: bool = True
    focus_detector: Any | None = None
    video_poster: Any | None = None
    file_permissions: int | None = 0o644
    directory_permissions: int | None = 0o755
    fsync: bool = False
    on_error: str = "raise"
    debug: bool = False

    PIXEL_SETTINGS: ClassVar[tuple[str, ...]] = tuple(each.name for each in fields(PixelSettings))
    """The settings that change pixels: a spec may override each, and all of them are part of its fingerprint."""

    def __post_init__(self) -> None:
        for each in fields(self):
            value = _CONVERTERS[str(each.type)](each.name, getattr(self, each.name))
            object.__setattr__(self, each.name, full_path(each.name, value))
        for name, (least, greatest) in _RANGES.items():
            value = getattr(self, name)
            if value is not None and not least <= value <= greatest:
                bounds = f"be {least:,} or more" if greatest == math.inf else f"lie between {least:,} and {greatest:,}"
                raise InvalidSetting(name, f"must {bounds}, not {value!r}")
        _check_relative_folder("cachefile_dir", self.cachefile_dir)
        _check_colour("background", self.background)
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                raise InvalidSetting(name, f"must be one of {', '.join(map(str, choices))}, not {value!r}")
        for name, (extra, module) in _EXTRAS.items():
            if getattr(self, name) == extra and find_spec(module) is None:
                needed = f"pip install 'jinja-imagekit[{extra}]'"
                raise InvalidSetting(name, f"is {extra!r}, which is not installed: {needed}")
        if self.site_url and not self.site_url.startswith(("https://", "http://")):
            raise InvalidSetting("site_url", f"must begin with https:// or http://, not be {self.site_url!r}")
        if self.remote_hosts or self.remote_networks:
            _check_remote(self.remote_hosts, self.remote_networks)
        if not self.picture_formats:
            raise InvalidSetting("picture_formats", "must name at least one format")

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of all settings."""
        # Inherited fields come first, but where images are matters more than how they are read.
        return tuple(sorted((each.name for each in fields(cls)), key=lambda name: name not in cls.__annotations__))

    @classmethod
    def from_keywords(cls, values: Mapping[str, Any]) -> Settings:
        """Return the settings that keywords describe.

        Raises:
            InvalidSetting: A name is unknown (the message names the nearest), or a value is unusable.
        """
        known = cls.names()
        for name in values:
            if name not in known:
                raise InvalidSetting(name, f"there is no such setting. {nearest(name, known)}")
        return cls(**values)

    @classmethod
    def from_mapping(cls, config: Mapping[str, Any], prefix: str = "IMAGEKIT_") -> Settings:
        """Return the settings that a framework's configuration holds under upper-case names.

        Args:
            config: A configuration such as Flask's `app.config`; keys without the prefix are ignored.
            prefix: The prefix of the keys.

        Raises:
            InvalidSetting: A key with the prefix is not a setting, or its value is unusable.

        Example:
            >>> Settings.from_mapping({"DEBUG": True, "IMAGEKIT_BASE_URL": "/media/"}).base_url
            '/media/'
        """
        return cls.from_keywords({key[len(prefix) :].lower(): config[key] for key in config if key.startswith(prefix)})

    def replace(self, **changes: Any) -> Settings:
        """Return these settings with some of them changed.

        Raises:
            InvalidSetting: As `from_keywords`.
        """
        for name in changes:
            if name not in self.names():
                raise InvalidSetting(name, f"there is no such setting. {nearest(name, self.names())}")
        return replace(self, **changes)

    def source_paths(self, parts: Sequence[str], *, before_buckets: bool = False) -> list[str]:
        """Return the possible paths of a source on this machine, in the order they are tried.

        Args:
            parts: The segments of its name, none of which is `..`.
            before_buckets: Leave out those that are tried after a bucket.

        Example:
            >>> Settings(source_dirs=["photos"], source_prefixes={"shop": "goods"}).source_paths(["shop", "hat.jpg"])
            ['photos/shop/hat.jpg', 'goods/hat.jpg']
        """
        page = re.fullmatch(PAGE, parts[-1]) if "#" in parts[-1] else None
        parts = (*parts[:-1], page["file"]) if page else parts
        name, paths = os.sep.join(parts), []
        for folder in self.source_dirs:
            if isinstance(folder, Path):
                paths.append(str(folder) + os.sep + name)
            elif before_buckets:
                return paths
        for prefix, folder in self.source_prefixes:
            start = f"{prefix}/".replace("/", os.sep)
            if name.startswith(start):
                if isinstance(folder, Path):
                    paths.append(os.path.join(folder, name[len(start) :]))
                elif before_buckets:
                    return paths
        return paths

    @property
    def source_folders(self) -> tuple[Path, ...]:
        """Those of `source_dirs` that are folders on this machine."""
        return tuple(folder for folder in self.source_dirs if isinstance(folder, Path))

    @property
    def buckets(self) -> tuple[str, ...]:
        """The URLs of all source folders that are in buckets."""
        places = (*self.source_dirs, *(folder for _, folder in self.source_prefixes))
        return tuple(folder for folder in places if isinstance(folder, str))

    @property
    def site_root(self) -> str:
        """The URL path that the site's pages are below, with a slash at both ends.

        Example:
            >>> Settings(site_url="https://example.org/blog").site_root
            '/blog/'
        """
        path = urlsplit(self.site_url).path.strip("/")
        return f"/{path}/" if path else "/"

    def with_absolute_paths(self) -> Settings:
        """Return these settings with absolute paths, for a process that may run in another folder."""
        return replace(
            self,
            source_dirs=tuple(below(Path.cwd(), folder) for folder in self.source_dirs),
            source_prefixes=tuple((prefix, below(Path.cwd(), folder)) for prefix, folder in self.source_prefixes),
            location=self.location.absolute(),
            state_dir=self.state_dir.absolute(),
        )


_EXTRAS = {"png_optimizer": ("oxipng", "oxipng"), "jpeg_encoder": ("jpegli", "pyjpegli")}
"""Settings of which one value is an extra, and the module that this installs."""

_CHOICES: dict[str, tuple[str | None, ...]] = {
    "on_error": POLICIES,
    "effort": EFFORTS,
    "jpeg_encoder": JPEG_ENCODERS,
    "png_optimizer": PNG_OPTIMIZERS,
    "gamut": GAMUTS,
    "animated_format": (None, "WEBP", "AVIF", "PNG", "GIF"),
    "isolation": (None, "process"),
    "resizer": ("pillow", "fast"),
    "urls": URLS,
    "picture_placeholder": (None, "blur", "color"),
    "picture_css": ("style", "class"),
    "missing_alt": (None, "error", "warn", "ignore"),
}

_RANGES: dict[str, tuple[float, float]] = {
    "cache_timeout": (0, math.inf),
    "failure_timeout": (0, math.inf),
    "timeout": (0.001, math.inf),
    "remote_timeout": (0.001, math.inf),
    "bucket_max_age": (0, math.inf),
    "worker_memory": (10_000_000, math.inf),
    "max_source_bytes": (1, math.inf),
    "max_svg_bytes": (1, math.inf),
    "max_source_pixels": (1, math.inf),
    "max_result_pixels": (1, math.inf),
    "max_frames": (1, math.inf),
    "max_bytes": (1, math.inf),
    "decode_margin": (0, 8),
    "state_directory_permissions": (0, 0o7777),
    "state_file_permissions": (0, 0o7777),
    "file_permissions": (0, 0o7777),
    "directory_permissions": (0, 0o7777),
}


def _anything(name: str, value: Any) -> Any:
    if value is None:
        raise InvalidSetting(name, "must be an object or a dotted path, not None")
    return value


def _path(name: str, value: Any) -> Path:
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
        raise InvalidSetting(name, f"must be a path, not {value!r}")
    return Path(value)


def below(root: Path, place: Path | str) -> Path | str:
    """Return a source folder that may be relative to another one; the URL of a bucket stays as it is.

    Example:
        >>> below(Path("/site"), Path("photos")), below(Path("/site"), "s3://bucket/photos")
        (PosixPath('/site/photos'), 's3://bucket/photos')
    """
    return root / place if isinstance(place, Path) else place


def _place(name: str, value: Any) -> Path | str:
    if not isinstance(value, str) or "://" not in value:
        return _path(name, value)
    scheme = value.partition("://")[0].rpartition("::")[2]
    if scheme in ("file", "local"):
        if urlsplit(value).netloc not in ("", "localhost"):
            raise InvalidSetting(name, f"{value!r} names another host: file:// and an absolute path has three slashes")
        # As a folder, it is read as carefully as any other.
        return Path(path_of_uri(value))
    if scheme in ("http", "https"):
        raise InvalidSetting(
            name, f"{value!r} is no folder: templates name images of other hosts by their URLs, see remote_hosts"
        )
    if "::" not in value and not urlsplit(value).path.strip("/") and not urlsplit(value).netloc:
        raise InvalidSetting(name, f"{value!r} names no bucket, so that all of them could be read")
    if find_spec("fsspec") is None:
        raise InvalidSetting(name, f"{value!r} needs what is not installed: pip install 'jinja-imagekit[fsspec]'")
    return value.rstrip("/")


def path_of_uri(uri: str) -> str:
    """Return the path that a `file:` URL means.

    Example:
        >>> path_of_uri("file:///srv/photos/a%20b.jpg")
        '/srv/photos/a b.jpg'
    """
    from urllib.request import url2pathname

    return url2pathname(urlsplit(uri).path) if os.name == "nt" else unquote(urlsplit(uri).path)


def _instance(kind: type, noun: str) -> Callable[[str, Any], Any]:
    def check(name: str, value: Any) -> Any:
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise InvalidSetting(name, f"must be {noun}, not {value!r}")
        return value

    return check


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        raise InvalidSetting(name, f"must be a number, not {value!r}")
    return value


def _or_none(check: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    return lambda name, value: None if value is None else check(name, value)


def _several(check: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    def check_all(name: str, value: Any) -> Any:
        if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
            raise InvalidSetting(name, f"must be a list or tuple, not {value!r}")
        return tuple(check(name, item) for item in value)

    return check_all


def _prefixes(name: str, value: Any) -> tuple[tuple[str, Path | str], ...]:
    try:
        pairs = [(prefix, folder) for prefix, folder in (value.items() if isinstance(value, Mapping) else value)]
    except (TypeError, ValueError):
        raise InvalidSetting(name, f"must be a dict of prefixes and folders, not {value!r}") from None
    for prefix, _ in pairs:
        if not isinstance(prefix, str) or not all(map(_is_segment, prefix.split("/"))):
            raise InvalidSetting(name, f"a prefix is the beginning of a name, such as 'uploads', not {prefix!r}")
    return tuple((prefix, _place(name, folder)) for prefix, folder in pairs)


def _is_segment(text: str) -> bool:
    return text.strip(". ") == text != "" and not set(text) & set("\\:\0")


def _mapping(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise InvalidSetting(name, f"must be a dict with strings as keys, not {value!r}")
    return dict(value)


def _quality(name: str, value: Any) -> int | str:
    if value != AUTO and (isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 100):
        raise InvalidSetting(name, f"must be a whole number from 1 to 100, 'auto' or None, not {value!r}")
    return value if isinstance(value, int) else AUTO


_string = _instance(str, "a string")
_integer = _instance(int, "a whole number")
_boolean = _instance(bool, "True or False")

_CONVERTERS: dict[str, Callable[[str, Any], Any]] = {
    "Any": _anything,
    "Any | None": _or_none(_anything),
    "Path": _path,
    "str": _string,
    "bool": _boolean,
    "int": _integer,
    "float": _number,
    "str | None": _or_none(_string),
    "int | None": _or_none(_integer),
    "int | str | None": _or_none(_quality),
    "float | None": _or_none(_number),
    "bool | None": _or_none(_boolean),
    "Mapping[str, Any]": _mapping,
    "tuple[Path | str, ...]": _several(_place),
    "tuple[tuple[str, Path | str], ...]": _prefixes,
    "tuple[str, ...]": _several(_string),
    "tuple[float, ...]": _several(_number),
}


def _check_relative_folder(name: str, value: str) -> None:
    if value.startswith("/") or "\\" in value or ".." in value.split("/"):
        raise InvalidSetting(name, f"must be a relative folder with forward slashes and without '..', not {value!r}")


def _check_colour(name: str, value: str) -> None:
    if value == PixelSettings.background:
        return
    # Few sites have another, and Pillow takes long to import.
    from PIL import ImageColor

    try:
        ImageColor.getrgb(value)
    except ValueError:
        raise InvalidSetting(name, f"must be a colour such as '#ffffff' or 'white', not {value!r}") from None


def _check_remote(hosts: Sequence[str], networks: Sequence[str]) -> None:
    # Few sites have any.
    from ipaddress import ip_network

    for host in hosts:
        if not re.fullmatch(REMOTE_HOST, host):
            raise InvalidSetting(
                "remote_hosts", f"names hosts, such as 'cdn.example' or 'http://localhost:8000', not {host!r}"
            )
    for network in networks:
        try:
            ip_network(network)
        except ValueError as error:
            raise InvalidSetting("remote_networks", f"names networks, such as '10.1.0.0/16': {error}") from None
    if hosts and find_spec("urllib3") is None:
        raise InvalidSetting("remote_hosts", "needs what is not installed: pip install 'jinja-imagekit[remote]'")
