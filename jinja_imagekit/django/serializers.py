"""Images in the serializers of Django REST framework (the extra `drf`)."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from ..html import plain_text
from ._engine.current import get_kit
from .models.fields.utils import ImageSpecFileDescriptor

__all__ = ["ImageURLField", "ImageVariantField"]


class ImageURLField(serializers.Field):  # type: ignore[misc]  # the framework has no types
    """The URL of a cache file, absolute where the serializer knows the request; null without an image.

    A `ModelSerializer` has it for each `ImageSpecField` that its `fields` name.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "read_only": True})

    def to_representation(self, value: Any) -> Any:
        """Return the URL.

        Raises:
            ImageKitError: The image could not be made.
        """
        return _absolute(self, value.url) if value else None


class ImageVariantField(serializers.Field):  # type: ignore[misc]  # as above
    """URL, width and height of an image, and with dimensions all that an `<img>` needs; null without an image.

    That is `srcset`, `sizes`, and `alt`, which is null unless the image field has an `alt_field`; with the option
    `placeholder`, `color` is a colour such as "#1f3a5c", or `blur` a tiny preview as a data URI.

    Args:
        dimensions: Width and height in pixels: `"400x300"`, `"400x"` or `"x300"`. Without them the field is that of
            an `ImageSpecField`, or of an image as it is.
        options: Keywords of `kit.picture`, such as `{"widths": [400, 800], "formats": ["WEBP"]}`.
        source: The attribute that has the image, as of every serializer field.
        **kwargs: As of every serializer field.

    Example:
        >>> class PhotoSerializer(serializers.ModelSerializer):  # doctest: +SKIP
        ...     thumbnail = ImageVariantField()
        ...     card = ImageVariantField("400x300", source="image")
    """

    def __init__(self, dimensions: str | None = None, options: dict[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "read_only": True})
        self.dimensions = dimensions
        self.options = {"formats": ["WEBP"], **(options or {})}

    def to_representation(self, value: Any) -> dict[str, Any] | None:
        """Return the image as plain values.

        Raises:
            ImageKitError: The image could not be made.
        """
        if not value:
            return None
        if self.dimensions is None:
            return {"url": _absolute(self, value.url), "width": value.width, "height": value.height}
        picture = get_kit().picture(self.dimensions, value, **self.options)
        candidates = [each.partition(" ") for each in picture.srcset.split(", ") if each]
        told = {
            "url": _absolute(self, picture.url),
            "width": picture.width,
            "height": picture.height,
            "srcset": ", ".join(f"{_absolute(self, url)} {descriptor}" for url, _, descriptor in candidates),
            "sizes": picture.sizes,
            "alt": plain_text(picture.alt),
        }
        match self.options.get("placeholder"):
            case "color":
                told["color"] = picture.color
            case "blur":
                told["blur"] = picture.placeholder
        return told


def _absolute(field: Any, url: str) -> str:
    request = field.context.get("request")
    return url if request is None else str(request.build_absolute_uri(url))


def teach_model_serializers() -> None:
    """Have model serializers give the URL of an `ImageSpecField`, which to them is a mere attribute."""
    known = serializers.ModelSerializer.build_property_field
    if getattr(known, "knows_images", False):
        return

    def build_property_field(self: Any, field_name: str, model_class: Any) -> Any:
        if isinstance(_attribute(model_class, field_name), ImageSpecFileDescriptor):
            return ImageURLField, {}
        return known(self, field_name, model_class)

    build_property_field.knows_images = True  # type: ignore[attr-defined]  # functions take attributes
    serializers.ModelSerializer.build_property_field = build_property_field


def _attribute(model: Any, name: str) -> Any:
    return next((vars(cls)[name] for cls in model.__mro__ if name in vars(cls)), None)
