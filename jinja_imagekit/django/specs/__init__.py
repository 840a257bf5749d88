"""Specs that start from Django's file fields, and the hosts that make specs from keywords."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, BinaryIO, ClassVar

from ... import specs as core
from ...exceptions import AlreadyRegistered, MissingSource
from ...images import Original
from ...loading import load
from ...settings import Settings
from ...sources import Source
from .. import conf, hashers
from .._engine import compatibility
from .._engine.current import get_kit
from .._engine.former_options import CALLABLE_PROCESSORS
from ..cachefiles.backends import get_default_cachefile_backend
from ..cachefiles.strategies import load_strategy
from ..exceptions import MissingGeneratorId
from ..registry import generator_registry, register
from ..utils import get_by_qname, open_image, process_image

__all__ = [
    "AlreadyRegistered",
    "BaseImageSpec",
    "ImageSpec",
    "MissingSource",
    "SpecHost",
    "create_spec",
    "create_spec_class",
    "generator_registry",
    "get_by_qname",
    "get_default_cachefile_backend",
    "hashers",
    "load_strategy",
    "open_image",
    "process_image",
    "register",
]


class BaseImageSpec:
    """The base of generators that say where their images are kept, and how and when they are made.

    Attributes:
        cachefile_storage: A Django storage, its alias or dotted path; None for the default one.
        cachefile_backend: What makes the cache file; None for the default one.
        cachefile_strategy: When it is made; None for the default one.
    """

    cachefile_storage: Any = None
    cachefile_backend: Any = None
    cachefile_strategy: Any = None
    MissingSource = MissingSource

    def generate(self) -> BinaryIO:
        """Return the new image as an open file."""
        raise NotImplementedError


class ImageSpec(core.ImageSpec, BaseImageSpec):
    """Makes a new image from a source image: `jinja_imagekit.ImageSpec` with Django's file fields as sources.

    Args:
        source: A model's file field, an upload, an open file, or whatever else may be a source.

    Attributes:
        source: The source as it was given, so that a spec may look at `self.source.instance`.
        focus_field: The name of an attribute of the source's model that says what crops keep; None for that of the
            image field.

    Example:
        >>> class Thumbnail(ImageSpec):
        ...     processors = [ResizeToFill(100, 60)]
        ...     format = "JPEG"
        ...     options = {"quality": 60}
    """

    is_base = True
    focus_field: str | None = None

    def __init__(self, source: Any = None) -> None:
        self.source = source

    @property
    def source(self) -> Any:
        """The source as it was given."""
        return self.__dict__.get("_source_given")

    @source.setter
    def source(self, value: Any) -> None:
        self.__dict__["_source_given"] = value
        self.__dict__.pop("_source_read", None)

    @property
    def settings(self) -> Settings:  # type: ignore[override]  # Django's are the same for all specs
        """The settings of the project's kit."""
        settings: Settings = get_kit().settings
        return settings

    def get_source(self) -> Source | None:
        """Return the source as this library reads it.

        Raises:
            SourceError: There is none, or it may not be read.
        """
        if "_source_read" not in self.__dict__:
            self.__dict__["_source_read"] = get_kit().sources.find(self.source)
        found: Source | None = self.__dict__["_source_read"]
        return found

    def share_source(self, source: Source) -> None:
        """Take the source of another spec that starts from the same image, so that it is read once."""
        self.__dict__["_source_read"] = source

    @property
    def cachefile_name(self) -> str | None:
        """The name of the cache file, or None without a source.

        Raises:
            SourceError: The source cannot be read.
        """
        if not self.source:
            return None
        name: str = load("spec_cachefile_namer", conf.value("SPEC_CACHEFILE_NAMER"))(self)
        return name

    def get_hash(self) -> str:
        """Return 32 hexadecimal digits that stand for the result.

        Raises:
            MissingSource: There is no source.
            SourceError: The source cannot be read.
        """
        if not conf.is_compatible():
            return super().get_hash()
        if not self.source:
            raise MissingSource(type(self).__qualname__)
        # The hash distinguishes tuples from lists, and an absence of processors is a list there.
        processors = [] if self.processors == () else self.processors
        return hashers.pickle([self.source.name, processors, self.format, self.options, self.autoconvert])

    def render(self, original: Original) -> bytes:
        """Return the new image's bytes, made of a source whose decoded pixels other specs may share."""
        return compatibility.render(self, original) if conf.is_compatible() else super().render(original)

    @classmethod
    def makes_its_own(cls) -> bool:
        """Tell whether the class makes its image by a `generate` or `render` of its own, which may do anything."""
        return cls.generate is not core.ImageSpec.generate or cls.render is not ImageSpec.render

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_source_read"}


class _KeywordSpec(ImageSpec):
    _attributes: ClassVar[Mapping[str, Any]] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        # The class has no importable name, so a pickle carries what it was made from.
        return create_spec, (dict(self._attributes), self.__getstate__())


def create_spec_class(class_attrs: Mapping[str, Any]) -> type[ImageSpec]:
    """Return a spec class that is made from attributes alone."""
    return type("DynamicSpec", (_KeywordSpec,), {**class_attrs, "_attributes": dict(class_attrs)})


def create_spec(class_attrs: Mapping[str, Any], state: dict[str, Any]) -> ImageSpec:
    """Return a spec of such a class with this state; pickles of specs are read with it."""
    cls = create_spec_class(class_attrs)
    spec = cls.__new__(cls)
    spec.__dict__.update(state)
    return spec


class SpecHost:
    """Something that has a spec by id, so that others may register a different one under that id.

    Args:
        spec: A spec class.
        spec_id: The id to register it under.
        **kwargs: Attributes of a spec, instead of a class.

    Raises:
        TypeError: Both a class and attributes are given, or processors are a callable.
    """

    spec_id: str | None = None

    def __init__(self, spec: Any = None, spec_id: str | None = None, **kwargs: Any) -> None:
        attributes = {name: value for name, value in kwargs.items() if value is not None}
        if callable(attributes.get("processors")) and not hasattr(attributes["processors"], "__iter__"):
            raise TypeError(CALLABLE_PROCESSORS)
        if attributes and spec:
            raise TypeError(f"Give either a spec or its attributes ({', '.join(attributes)}), but not both.")
        self._original_spec = create_spec_class(attributes) if attributes else spec
        if spec_id:
            self.set_spec_id(spec_id)

    def set_spec_id(self, id: str) -> None:
        """Set the id, and register the spec under it unless there is already another, which then takes precedence."""
        self.spec_id = id
        if self._original_spec:
            try:
                register.generator(id, self._original_spec)
            except AlreadyRegistered:
                # Migrations recreate models, with fields whose specs have long been registered.
                return

    def get_spec(self, source: Any) -> Any:
        """Return the id's spec for a source.

        Raises:
            MissingGeneratorId: There is no id yet.
            NotRegistered: Nothing is registered under it.
        """
        if not self.spec_id:
            raise MissingGeneratorId(f"{type(self).__name__} has no spec id; give it one.")
        return generator_registry.get(self.spec_id, source=source)
