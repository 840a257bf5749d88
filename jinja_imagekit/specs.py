"""`ImageSpec`: how a new image is made from a source image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from hashlib import blake2b
from io import BytesIO
from operator import attrgetter, is_
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, NamedTuple, Self, TypeVar, cast

from . import images
from .exceptions import InvalidOption, MissingSource, nearest
from .hashing import DIGEST_BYTES, class_path, fingerprint, slots_of
from .images.rules import Limits, PixelRules
from .interfaces import Namer, Size
from .loading import load
from .recipes import Recipe, check_result, frames_of_result, result_size
from .recipes import fit_within as fit_within
from .settings import Settings
from .sources import Source, SourceFinder
from .time_limits import time_limit

if TYPE_CHECKING:
    from .images import Original

__all__ = ["ImageSpec"]

DEFAULT_SETTINGS = Settings()

T = TypeVar("T")

WIDTH_KEYWORD = "imagekit_width"
"""A keyword of every spec by `kit.generator()`: the width in pixels to which its result is narrowed."""

FOCUS_KEYWORD = "imagekit_focus"
"""A keyword of every spec by `kit.generator()`: what its crops keep, as `parse_focus` takes it."""

FORMAT_KEYWORD = "imagekit_format"
"""A keyword of every spec by `kit.generator()`: the format of its result, with the encoder's default options."""

GAMUT_KEYWORD = "imagekit_gamut"
"""A keyword of every spec by `kit.generator()`: its `gamut`."""

ADAPTING_KEYWORDS = (WIDTH_KEYWORD, FOCUS_KEYWORD, FORMAT_KEYWORD, GAMUT_KEYWORD)
"""What `pictures.plan.adapted` changes, in its order."""


class ImageSpec:
    """A generator that makes a new image from a source image.

    Subclass it and set the attributes; any of them may be a property that looks at `self.source`. The settings
    that change pixels (`Settings.PIXEL_SETTINGS`: `auto_orient`, `convert_to_srgb`, `keep_metadata` …) may be set on
    a spec as well, and then hold for it alone.

    Args:
        source: The image to start from: a `pathlib.Path`, an open file, an upload, bytes, a cache file or a
            `Source`. A name below the source folders takes a kit: `kit.cachefile(id, source="photos/canal.jpg")`.

    Attributes:
        processors: What to do to the image, in this order.
        format: The format of the result, by Pillow's name; None keeps the source's where it can be written.
        options: Options of Pillow's encoder, such as `{"quality": 80}`, overriding this library's defaults.
        autoconvert: Convert the image to a mode that the format can hold.
        cachefile_storage: Where the cache file is kept; None for the kit's storage.
        cachefile_backend: How it is made; None for the kit's backend.
        cachefile_strategy: When it is made; None for the kit's strategy.
        varies: Whether two specs of this class made with equal keywords may differ. None decides by the class: one
            with properties, methods or a constructor of its own may.

    Example:
        >>> from jinja_imagekit.processors import ResizeToFill
        >>> class Avatar(ImageSpec):
        ...     processors = (ResizeToFill(100, 100),)
        ...     format = "WEBP"
        ...     options = {"quality": 70}
    """

    processors: Sequence[Any] = ()
    format: str | None = None
    options: Mapping[str, Any] | None = None
    autoconvert: bool = True
    cachefile_storage: Any = None
    cachefile_backend: Any = None
    cachefile_strategy: Any = None
    settings: Settings = DEFAULT_SETTINGS
    varies: ClassVar[bool | None] = None
    keeps_source_apart: ClassVar[bool] = False
    """Set by a class whose own constructor passes the source on without looking at it."""
    _is_of_upload: bool = False
    """Whether the source comes from a stranger, whose coded pixels no result has."""
    is_base: ClassVar[bool] = True
    """Stated by this class and by a kit's own base of specs: what they define makes no spec vary."""

    decode_margin: float | None = None
    auto_orient: bool | None = None
    convert_to_srgb: bool | None = None
    scale_16_bit: bool | None = None
    keep_animation: bool | None = None
    keep_alpha: bool | None = None
    background: str | None = None
    keep_metadata: tuple[str, ...] | None = None
    linear_resize: bool | None = None
    effort: str | None = None
    resizer: str | None = None
    png_optimizer: str | None = None
    animated_format: str | None = None
    jpeg_encoder: str | None = None
    quality: int | str | None = None
    max_bytes: int | None = None
    gamut: str | None = None
    hdr: bool | None = None

    def __init__(self, source: Any = None) -> None:
        # A source that a kit has already found needs no finder.
        known = source is None or isinstance(source, Source)
        finder = None if known else SourceFinder((), Limits.from_settings(self.settings))
        self.source: Source | None = finder.find(source) if finder else source

    @property
    def cachefile_name(self) -> str | None:
        """The name of the cache file, or None without a source.

        Raises:
            SourceError: The source cannot be read.
        """
        if self.get_source() is None:
            return None
        namer: Namer = load("spec_cachefile_namer", self.settings.spec_cachefile_namer)
        return f"{self.settings.cachefile_dir}/{namer(self)}".lstrip("/")

    @property
    def pixel_rules(self) -> PixelRules:
        """How pixels are read and written: the settings, and what this spec says otherwise."""
        stated = _PIXELS_OF(self)
        known = self._recall("rules", stated)
        if known is not None:
            return cast(PixelRules, known)
        own = {
            name: value for name, value in zip(Settings.PIXEL_SETTINGS, stated[1:], strict=True) if value is not None
        }
        rules = PixelRules.from_settings(self.settings.replace(**own) if own else self.settings)
        return self._remember("rules", stated, rules)

    @property
    def output_format(self) -> str:
        """The format of the result, by Pillow's name; `SVG` for the result of an SVG, whatever `format` says.

        Raises:
            UnknownFormat: `format` cannot be written.
            UnreadableImage: `format` is None, and the source's format is unknown.
        """
        asked = self._asked_format()
        format = images.normal_format(asked) if asked else None
        return format if format is not None and not self.is_vector else self._source.kept_format

    def _asked_format(self) -> str | None:
        """Return `format`, or `animated_format` where there is none and the source moves."""
        rules = self.pixel_rules
        if self.format or rules.animated_format is None or not rules.keep_animation:
            return self.format
        # Of a cache file that is still to be made, nobody knows.
        source = self.get_source()
        moves = source is not None and source.is_original and source.header.frames > 1
        return rules.animated_format if moves else None

    @property
    def is_vector(self) -> bool:
        """Whether the source is an SVG, which is its own result: a browser gives it any size without loss.

        Raises:
            SourceError: The source cannot be read.
        """
        source = self.get_source()
        return source is not None and source.is_vector and not self.makes_its_own()

    def get_source(self) -> Source | None:
        """Return the source; specs that keep it in another form override this and `share_source`."""
        return self.source

    def share_source(self, source: Source) -> None:
        """Take the source of another spec that starts from the same image, so that it is read once."""
        self.source = source

    @property
    def _source(self) -> Source:
        source = self.get_source()
        if source is None:
            raise MissingSource(class_path(self))
        return source

    def get_recipe(self) -> str:
        """Return 32 hexadecimal digits that stand for what this spec does, regardless of its source.

        Raises:
            NotFingerprintable: A processor holds state that is not plain.
        """
        processors, format, options = list(self.processors), self.format, dict(self.options or {})
        stated = (*_PIXELS_OF(self), self.autoconvert, format, *processors, None, *options, *options.values())
        known = self._recall("recipe", stated)
        if known is not None:
            return str(known)
        recipe = fingerprint(
            {
                "processors": processors,
                "format": images.normal_format(format) if format else None,
                "options": options,
                "autoconvert": self.autoconvert,
                "pixels": self.pixel_rules,
                "class": class_path(type(self)) if self.makes_its_own() else None,
            }
        )
        return self._remember("recipe", stated, recipe)

    def _recall(self, what: str, stated: tuple[Any, ...]) -> object:
        """Return what a prototype of this spec worked out of the very same values, if anything."""
        known = self.__dict__.get("_worked_out", _NOTHING).get(what)
        return known[1] if known and len(known[0]) == len(stated) and all(map(is_, known[0], stated)) else None

    def _remember(self, what: str, stated: tuple[Any, ...], value: T) -> T:
        if "_worked_out" in self.__dict__:
            self.__dict__["_worked_out"][what] = stated, value
        return value

    def as_prototype(self) -> Self:
        """Return a copy without a source; whatever is worked out from it, or from this spec, all its copies share."""
        self.__dict__["_worked_out"] = {}
        return self.of_source(None)

    def of_source(self, source: Source | None) -> Self:
        """Return a copy that starts from another source."""
        other = copy(self)
        other.source = source
        return other

    def __copy__(self) -> Self:
        # Like copy.copy, which would call __reduce__, unnecessarily within a process.
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        for name in slots_of(type(self)):  # type: ignore[arg-type]  # mypy does not know that classes are hashable
            if hasattr(self, name):
                setattr(other, name, getattr(self, name))
        return other

    def get_hash(self) -> str:
        """Return 32 hexadecimal digits that stand for the result: the recipe and the source's content.

        Raises:
            MissingSource: There is no source.
            NotFingerprintable: A processor holds state that is not plain.
            SourceError: The source cannot be read.
        """
        return combine(self.get_recipe(), self._source.digest)

    def generate(self) -> BinaryIO:
        """Return the new image as an open file.

        Raises:
            MissingSource: There is no source.
            SourceError: The source cannot be read, or is not a complete image.
            InvalidOption: An encoder option cannot be used.
            UnknownFormat: `format` cannot be written.
        """
        return BytesIO(self.render(self._source.as_original(Limits.from_settings(self.settings))))

    def render(self, original: Original) -> bytes:
        """Return the new image's bytes, made of a source whose decoded pixels other specs may share.

        Raises:
            SourceError: The source is not a whole image, or takes more pixels, memory or time than it may.
            CannotRebuild: The setting `isolation` is on, and a processor cannot be sent to another process.
        """
        recipe, settings = self._recipe(original.limits), self.settings
        if settings.isolation:
            # It starts processes, which most sites never need.
            from . import isolation

            return isolation.make(recipe, original.data, timeout=settings.timeout, memory=settings.worker_memory)
        with time_limit(settings.timeout, recipe.name):
            return recipe.make(original)

    def losses(self, original: Original) -> tuple[str, ...]:
        """Return what the source has and the result has not: a manifest, a mark or a gain map; see `Recipe.losses`."""
        return self._recipe(original.limits).losses(original)

    def prepare(self, original: Original) -> bool:
        """Do all but encoding, where several files are made of a source and the result is kept for `render`.

        Returns:
            Whether `render` needs no decoded pixels of the source any more.

        Raises:
            SourceError: As `render`.
        """
        recipe, settings = self._recipe(original.limits), self.settings
        if self.makes_its_own():
            return False
        if settings.isolation:
            # Another process decodes them.
            return True
        with time_limit(settings.timeout, recipe.name):
            return recipe.prepare(original)

    def _recipe(self, limits: Limits) -> Recipe:
        return Recipe(
            name=self._source.name,
            processors=tuple(self.processors),
            format=self._asked_format(),
            options=self.options or {},
            autoconvert=self.autoconvert,
            rules=self.pixel_rules,
            limits=limits,
            keeps_vectors=not self.makes_its_own(),
            may_keep_coding=self._source.is_kept and not self._is_of_upload,
        )

    def output_size(self) -> Size | None:
        """Return the width and height of the result in pixels, from the source's header alone.

        Returns:
            None where a processor cannot tell before it has seen the pixels.

        Raises:
            MissingSource: There is no source.
            SourceError: The source cannot be read.
        """
        if self.makes_its_own():
            return None
        source = self._source
        return result_size(self.processors, source.size(self.pixel_rules.auto_orient), source.is_vector)

    def check(self) -> Size | None:
        """Raise whatever is bound to go wrong, without looking at pixels, before the making of the image is put off.

        Returns:
            What `output_size` does.

        Raises:
            MissingSource: There is no source.
            SourceError: The source cannot be read.
            InvalidOption: An encoder option cannot be used.
            UnknownFormat: `format` cannot be written.
            ImageTooLarge: The result would exceed `max_result_pixels`, or the source has more frames than are decoded.
        """
        if self.makes_its_own():
            return None
        source, frames = self._source, 1
        if not source.is_vector:
            images.check_options(self.output_format, self.options or {})
            if source.is_original:
                frames = frames_of_result(source.header, self.output_format, self.pixel_rules)
        if frames > 1:
            images.check_frames(source.header, None, name=source.name, limits=Limits.from_settings(self.settings))
        size = self.output_size()
        check_result(source.name, size, self.settings.max_result_pixels, frames)
        return size

    @classmethod
    def makes_its_own(cls) -> bool:
        """Tell whether the class makes its image by a `generate` or `render` of its own, which may do anything."""
        return cls.generate is not ImageSpec.generate or cls.render is not ImageSpec.render

    @classmethod
    def shares_source(cls) -> bool:
        """Tell whether the class makes its image by `render`, of decoded pixels that other specs may share."""
        return cls.generate is ImageSpec.generate

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.source!r}>"


_PIXELS_OF = attrgetter("settings", *Settings.PIXEL_SETTINGS)
_NOTHING: Mapping[str, Any] = {}


def combine(recipe: str, digest: str) -> str:
    """Return the hash of a recipe applied to content."""
    return blake2b(f"{recipe}:{digest}".encode(), digest_size=DIGEST_BYTES).hexdigest()


def is_fixed(generator: Any) -> bool:
    """Tell whether equal keywords always make equal generators of this class, which a kit may then remember."""
    if not (isinstance(generator, type) and issubclass(generator, ImageSpec)):
        return False
    if generator.varies is not None:
        return not generator.varies
    base = next(cls for cls in generator.__mro__ if vars(cls).get("is_base"))
    own = {name for cls in generator.__mro__ if cls not in base.__mro__ for name in vars(cls)}
    return not any(_computes(generator, name) for name in own)


def has_prototype(generator: Any) -> bool:
    """Tell whether specs of a class differ only in their source, so that one can be a model for the others."""
    return is_fixed(generator) and (generator.__init__ is ImageSpec.__init__ or bool(generator.keeps_source_apart))


def _computes(cls: type, name: str) -> bool:
    value = next(vars(base)[name] for base in cls.__mro__ if name in vars(base))
    return name in ("__init__", "__new__", "__getattribute__", "__getattr__") or (
        hasattr(type(value), "__get__") and not name.startswith("__")
    )


def spec_class(attributes: Mapping[str, Any]) -> type[ImageSpec]:
    """Return a spec class made from keywords alone.

    Args:
        attributes: Attributes of `ImageSpec`, such as `processors`, `format` and `options`.

    Raises:
        InvalidOption: There is no such attribute.

    Example:
        >>> spec_class({"format": "WEBP"})().format
        'WEBP'
    """
    known = [name for name in vars(ImageSpec) if not name.startswith("_") and not callable(vars(ImageSpec)[name])]
    for name in attributes:
        if name not in known:
            raise InvalidOption(name, attributes[name], f"an image spec has no such attribute. {nearest(name, known)}")
    return type("KeywordSpec", (_KeywordSpec,), {**attributes, "_attributes": dict(attributes)})


class KeywordsOnly(NamedTuple):
    """What a class from `spec_class` was made from, which another process can be told."""

    attributes: Mapping[str, Any]

    @classmethod
    def portable(cls, generator: Any) -> Any:
        """Return a generator as it can be pickled: a class without an importable name by its keywords."""
        keyword_class = isinstance(generator, type) and _KeywordSpec in generator.__bases__
        return cls(generator._attributes) if keyword_class else generator

    @classmethod
    def restored(cls, portable: Any) -> Any:
        """Return the generator that `portable` gave."""
        return spec_class(portable.attributes) if isinstance(portable, cls) else portable


class _KeywordSpec(ImageSpec):
    _attributes: ClassVar[dict[str, Any]] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        # The class has no importable name, so a pickle carries what it was made from.
        return _remake, (self._attributes, vars(self))


def _remake(attributes: dict[str, Any], state: dict[str, Any]) -> ImageSpec:
    spec = spec_class(attributes)()
    vars(spec).update(state)
    return spec
