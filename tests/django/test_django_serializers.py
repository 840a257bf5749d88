"""Images in the serializers of Django REST framework."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from album.models import Avatar, Photo, Portrait
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import RequestFactory, override_settings

pytest.importorskip("rest_framework", reason="Django REST framework is not installed: pip install djangorestframework")

from rest_framework import serializers
from rest_framework.renderers import JSONRenderer

from jinja_imagekit.django.serializers import ImageVariantField, teach_model_serializers

teach_model_serializers()


class PhotoSerializer(serializers.ModelSerializer):
    """A photo with its thumbnail, the same with its size, and a card in several sizes."""

    small = ImageVariantField(source="thumbnail")
    card = ImageVariantField("100x75", source="image")

    class Meta:
        """The framework's options."""

        model = Photo
        fields = ("thumbnail", "small", "card")


class AvatarSerializer(serializers.ModelSerializer):
    """Takes uploads to a processed field."""

    class Meta:
        """The framework's options."""

        model = Avatar
        fields = ("image",)


def as_json(photo: Any, **context: Any) -> dict[str, Any]:
    with override_settings(ALLOWED_HOSTS=["testserver"]):
        data: dict[str, Any] = json.loads(JSONRenderer().render(PhotoSerializer(photo, context=context).data))
    return data


def test_a_spec_field_is_its_url(make_photo: Any) -> None:
    """A plain model serializer gives the URL, absolute where it knows the request."""
    photo = make_photo()
    assert as_json(photo)["thumbnail"] == photo.thumbnail.url
    absolute = as_json(photo, request=RequestFactory().get("/"))
    assert absolute["thumbnail"] == f"http://testserver{photo.thumbnail.url}"


def test_a_variant_is_all_that_an_img_needs(make_photo: Any) -> None:
    """URL, width and height; with dimensions `srcset` and `sizes`, whose URLs are absolute as well."""
    photo = make_photo()
    data = as_json(photo, request=RequestFactory().get("/"))
    assert data["small"] == {"url": data["thumbnail"], "width": 50, "height": 40}
    card = data["card"]
    assert (card["width"], card["height"], card["sizes"]) == (100, 75, "(min-width: 100px) 100px, 100vw")
    candidates = [each.split(" ") for each in card["srcset"].split(", ")]
    assert [descriptor for _, descriptor in candidates] == ["50w", "75w", "100w", "150w", "200w"]
    assert all(url.startswith("http://testserver/media/") for url, _ in candidates)
    assert [card["url"], "100w"] in candidates


def test_a_variant_has_the_text_of_its_image_field_and_a_placeholder(jpeg: bytes) -> None:
    """`alt` is what the field's `alt_field` says; a colour or a preview is there for those who ask."""
    portrait = Portrait(title="A <canal>")
    portrait.image.save("canal.jpg", ContentFile(jpeg), save=True)
    fields = {
        "plain": ImageVariantField("100x75", source="image"),
        "color": ImageVariantField("100x75", {"placeholder": "color"}, source="image"),
        "blur": ImageVariantField("100x75", {"placeholder": "blur"}, source="image"),
    }
    data = type("PortraitSerializer", (serializers.Serializer,), fields)(portrait).data
    assert data["plain"]["alt"] == "A <canal>"
    assert not {"color", "blur"} & data["plain"].keys()
    assert re.fullmatch("#[0-9a-f]{6}", data["color"]["color"])
    assert data["blur"]["blur"].startswith("data:image/webp;base64,")


def test_no_image_is_null() -> None:
    """A row without an image has none of them."""
    assert as_json(Photo()) == {"thumbnail": None, "small": None, "card": None}


def test_an_upload_that_cannot_be_used_is_an_error_of_the_serializer(jpeg: bytes) -> None:
    """A processed field's upload is checked before it is saved."""
    broken = AvatarSerializer(data={"image": SimpleUploadedFile("me.jpg", jpeg[:-3000])})
    assert not broken.is_valid()
    assert broken.errors["image"][0].code == "invalid_image"
    sound = AvatarSerializer(data={"image": SimpleUploadedFile("me.jpg", jpeg)})
    assert sound.is_valid()
    assert sound.save().image.name == "avatars/me.png"
