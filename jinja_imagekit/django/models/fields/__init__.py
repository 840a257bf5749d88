"""Model fields: images made from another field's, and images that are processed when saved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.db.models.signals import class_prepared

from ....exceptions import nearest
from ....once import made_once
from ..._engine.former_options import KEYWORDS
from ..._engine.uploads import check
from ...forms.focus import FocusField as FocusFormField
from ...forms.focus import validate_focus
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
        focus_field: The name of an attribute of the source's model that says what crops keep, such as a `FocusField`;
            by default that of the image field.
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
        focus_field: str | None = None,
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
            focus_field=focus_field,
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


class AuthoredImageField(models.ImageField):
    """An image field whose model says in other fields what its images are cropped to, and what they show."""

    focus_field: str | None = None
    alt_field: str | None = None

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        """Return an error for each of these that the model does not have, with what an `ImageField` checks."""
        messages: list[checks.CheckMessage] = [*super().check(**kwargs)]
        for option in ("focus_field", "alt_field"):
            name = getattr(self, option)
            if name and not hasattr(self.model, name):
                known = [field.name for field in self.model._meta.fields]
                problem = f"{option} names {name!r}, which {self.model.__name__} does not have."
                messages.append(checks.Error(problem, nearest(name, known), self, "imagekit.E003"))
        return messages


class ImageField(AuthoredImageField):
    """Django's `ImageField`, whose model says in other fields what crops keep and what the image shows.

    The tags and specs take both from there. In migrations it is Django's own.

    Args:
        *args: What an `ImageField` takes.
        focus_field: The name of the attribute that says what crops keep, such as a `FocusField`.
        alt_field: The name of the attribute that has the alternative text.
        **kwargs: What an `ImageField` takes.

    Example:
        >>> class Photo(models.Model):  # doctest: +SKIP
        ...     image = ImageField(upload_to="photos", focus_field="focus", alt_field="title")
        ...     focus = FocusField()
        ...     title = models.CharField(max_length=200)
    """

    def __init__(self, *args: Any, focus_field: str | None = None, alt_field: str | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.focus_field = focus_field
        self.alt_field = alt_field

    def deconstruct(self) -> Any:
        """Return what a migration says, which is that of Django's field."""
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.ImageField", args, kwargs


class FocusField(models.CharField):  # type: ignore[type-arg]  # it is generic in its stubs alone
    """What crops of an image keep, as text: `"70% 30%"`, or a box `"20% 10% 60% 90%"`; empty to have it found.

    In forms it is the image, on which one clicks. An image field or spec names it as its `focus_field`.

    Args:
        *args: What a `CharField` takes.
        **kwargs: What a `CharField` takes; by default it may be empty, and 64 characters long.
    """

    default_validators = [validate_focus]  # noqa: RUF012  # Django's way to say it

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"max_length": 64, "blank": True, "default": "", **kwargs})

    def formfield(self, **kwargs: Any) -> Any:
        """Return the form field, which shows the image whose `focus_field` this is, or the model's only one."""
        if getattr(kwargs.get("widget"), "__module__", "") == "django.contrib.admin.widgets":
            # The admin has one of its own for all text.
            del kwargs["widget"]
        images = [field for field in self.model._meta.fields if isinstance(field, models.ImageField)]
        own = [field for field in images if getattr(field, "focus_field", None) == self.name]
        image = next(iter(own or images), None) if len(own or images) == 1 else None
        return super().formfield(**{"form_class": FocusFormField, "image_field": image.name if image else "", **kwargs})


class ProcessedImageField(SpecHostField, AuthoredImageField):
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
        focus_field: The name of the attribute that says what crops of the image keep, such as a `FocusField`.
        alt_field: The name of the attribute that has the alternative text.
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
        focus_field: str | None = None,
        alt_field: str | None = None,
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
        self.focus_field = focus_field
        self.alt_field = alt_field

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
