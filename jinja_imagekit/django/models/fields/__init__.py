"""Model fields: images made from another field's, and images that are processed when saved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.db.models.signals import class_prepared

from ....once import made_once
from ..._engine.former_options import KEYWORDS
from ..._engine.uploads import check
from ...registry import register
from ...specs import SpecHost
from ...specs.sourcegroups import ImageFieldSourceGroup
from .files import ProcessedImageFieldFile
from .utils import ImageSpecFileDescriptor


class SpecHostField(SpecHost):
    """A field that has a spec, whose id by default is derived from app, model and field."""

    def _set_spec_id(self, cls: Any, name: str) -> None:
        self.set_spec_id(self.spec_id or f"{cls._meta.app_label}:{cls._meta.object_name}:{name}".lower())


class ImageSpecField(SpecHostField):
    """A variant of an image field: `photo.thumbnail` is a cache file.

    Args:
        processors: What is done to the image.
        format: The format of the result; None keeps the source's.
        options: Options of its encoder.
        source: The name of the model's image field, or of a related instance's such as `"album.photo"`; None where the
            model has one alone.
        cachefile_storage: Where the cache files are kept.
        autoconvert: Convert the image to a mode that the format can hold.
        cachefile_backend: How they are made.
        cachefile_strategy: When they are made.
        spec: A spec class, instead of its attributes.
        id: The id of the spec, which others may override; by default `app:model:field`.
        **former: Nothing; for keywords of django-imagekit 2, the error gives their current names.

    Raises:
        TypeError: Both a spec and its attributes are given, or a keyword is unknown.

    Example:
        >>> class Photo(models.Model):  # doctest: +SKIP
        ...     image = models.ImageField(upload_to="photos")
        ...     thumbnail = ImageSpecField([ResizeToFill(100, 60)], format="JPEG", options={"quality": 60})
    """

    def __init__(
        self,
        processors: Any = None,
        format: str | None = None,
        options: Any = None,
        source: str | None = None,
        cachefile_storage: Any = None,
        autoconvert: bool | None = None,
        cachefile_backend: Any = None,
        cachefile_strategy: Any = None,
        spec: Any = None,
        id: str | None = None,
        **former: Any,
    ) -> None:
        _refuse(former)
        super().__init__(
            spec=spec,
            spec_id=id,
            processors=processors,
            format=format,
            options=options,
            cachefile_storage=cachefile_storage,
            autoconvert=autoconvert,
            cachefile_backend=cachefile_backend,
            cachefile_strategy=cachefile_strategy,
        )
        self.source = source

    def contribute_to_class(self, cls: Any, name: str) -> None:
        """Put the field on a model, once the model's image field is known.

        Raises:
            ImproperlyConfigured: No source is named, and the model has no image field, or several.
        """
        if self.source:
            self._attach(cls, name, self.source)
            return

        def attach_when_prepared(sender: Any, **_: Any) -> None:
            # Django does not prepare abstract models; the first one to inherit the field has the image field too.
            if issubclass(sender, cls):
                class_prepared.disconnect(attach_when_prepared, sender=key)
                self._attach(cls, name, _only_image_field(sender, name))

        key = None if cls._meta.abstract else cls
        class_prepared.connect(attach_when_prepared, sender=key, weak=False)

    def _attach(self, cls: Any, name: str, source: str) -> None:
        setattr(cls, name, ImageSpecFileDescriptor(self, name, source))
        self._set_spec_id(cls, name)
        register.source_group(str(self.spec_id), ImageFieldSourceGroup(cls, source))


def _refuse(keywords: Mapping[str, Any]) -> None:
    for keyword in keywords:
        if keyword in KEYWORDS:
            raise TypeError(f"{keyword}= belongs to django-imagekit 2: {KEYWORDS[keyword]}.")
        raise TypeError(f"ImageSpecField has no keyword {keyword!r}.")


def _only_image_field(model: Any, name: str) -> str:
    fields = [field.attname for field in model._meta.fields if isinstance(field, models.ImageField)]
    if len(fields) != 1:
        found = f"has {len(fields)} image fields ({', '.join(fields)})" if fields else "has no image field"
        raise ImproperlyConfigured(
            f"{model.__name__} {found}, so its ImageSpecField {name!r} must say which one: "
            "source='name of an ImageField'."
        )
    return str(fields[0])


class ProcessedImageField(SpecHostField, models.ImageField):
    """An image field that processes an upload before it is stored; the original is not kept.

    Args:
        processors: What is done to the image.
        format: The format of the result; the file gets its extension.
        options: Options of its encoder.
        verbose_name: As for every field.
        name: As for every field.
        width_field: As for an `ImageField`.
        height_field: As for an `ImageField`.
        autoconvert: Convert the image to a mode that the format can hold.
        spec: A spec class, instead of its attributes.
        spec_id: The id of the spec; by default `app:model:field`.
        **kwargs: What an `ImageField` takes.

    Raises:
        TypeError: Both a spec and its attributes are given.
    """

    attr_class = ProcessedImageFieldFile

    def __init__(
        self,
        processors: Any = None,
        format: str | None = None,
        options: Any = None,
        verbose_name: str | None = None,
        name: str | None = None,
        width_field: str | None = None,
        height_field: str | None = None,
        autoconvert: bool | None = None,
        spec: Any = None,
        spec_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        # Fields have a storage too.
        _refuse({keyword: value for keyword, value in kwargs.items() if keyword in KEYWORDS and keyword != "storage"})
        SpecHost.__init__(
            self,
            processors=processors,
            format=format,
            options=options,
            autoconvert=True if spec is None and autoconvert is None else autoconvert,
            spec=spec,
            spec_id=spec_id,
        )
        models.ImageField.__init__(self, verbose_name, name, width_field, height_field, **kwargs)

    @made_once
    def validators(self) -> list[Any]:
        """The validators; the last one processes the upload, and keeps the result."""
        return [*super().validators, self.check_upload]

    def check_upload(self, value: Any) -> None:
        """Check an upload by processing it.

        Raises:
            ValidationError: It is not a whole image of a readable format, exceeds a cap, or cannot be processed.
        """
        check(self, value)

    def contribute_to_class(self, cls: Any, name: str, *args: Any, **kwargs: Any) -> None:
        """Put the field on a model, and register its spec.

        A migration's model has the field without its processors; the project's model stays registered.
        """
        self._set_spec_id(cls, name)
        models.ImageField.contribute_to_class(self, cls, name, *args, **kwargs)
