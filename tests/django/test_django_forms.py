"""Uploads in forms: the form field that processes one, and forms of models whose field does."""

from __future__ import annotations

from typing import Any

import pytest
from album.models import Avatar, Card, Original, Photo
from django import forms
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client, override_settings
from django.urls import reverse
from PIL import Image

import drawing
from jinja_imagekit.django import ImageSpec
from jinja_imagekit.django.forms import ProcessedImageField
from jinja_imagekit.django.processors import ResizeToFill
from jinja_imagekit.exceptions import NotRegistered


class PhotoForm(forms.ModelForm):  # type: ignore[type-arg]
    """A form whose upload is made small before it is stored."""

    image = ProcessedImageField([ResizeToFill(40, 30)], format="JPEG", spec_id="album:form", required=False)

    class Meta:
        """Django's options."""

        model = Photo
        fields = ("image",)


def form_with(content: bytes, name: str = "me.png") -> PhotoForm:
    return PhotoForm({}, {"image": SimpleUploadedFile(name, content)})


def test_upload_is_processed(jpeg: bytes) -> None:
    """What the form saves is the spec's image, under the upload's name."""
    form = form_with(jpeg, "me.jpg")
    photo = form.save()
    assert (photo.image.width, photo.image.height) == (40, 30)
    assert photo.image.name == "photos/me.jpg"
    with Image.open(photo.image.path) as image:
        assert image.format == "JPEG"


@pytest.mark.parametrize("content", [b"no image", b"", b"GIF89a", b"\xff\xd8\xff\xe0"])
def test_broken_upload_is_a_form_error(content: bytes) -> None:
    """An upload that is not an image is an error of the form, not of the server."""
    assert "image" in form_with(content).errors


def test_truncated_and_enormous_uploads_are_form_errors(jpeg: bytes) -> None:
    """So are an upload that was cut off, and one with more pixels than the setting allows."""
    assert form_with(jpeg[:-2000]).errors.as_data()["image"][0].code == "invalid_image"
    with override_settings(IMAGEKIT_MAX_SOURCE_PIXELS=1000):
        assert form_with(jpeg).errors.as_data()["image"][0].code == "image_too_large"


def test_no_upload_leaves_the_image_alone(make_photo: Any) -> None:
    """A form without an upload keeps what there was, or stays empty."""
    photo = make_photo()
    form = PhotoForm({}, {}, instance=photo)
    assert form.save().image.name == "photos/canal.jpg"
    assert PhotoForm({}, {}).is_valid()


def test_spec_id_is_required_and_may_stand_alone(jpeg: bytes) -> None:
    """A form field needs an id, which may be that of a spec registered elsewhere."""
    with pytest.raises(TypeError, match="spec_id"):
        ProcessedImageField([])
    field = ProcessedImageField(spec_id="album:card")
    assert isinstance(field.get_spec(None), Card)
    with pytest.raises(NotRegistered):
        ProcessedImageField(spec_id="album:nothing").get_spec(None)


def test_name_of_a_processed_upload_follows_its_content(jpeg: bytes) -> None:
    """A PNG that becomes a JPEG is stored as a `.jpg`, whoever processes it."""
    assert form_with(encoded("PNG"), "me.png").save().image.name == "photos/me.jpg"
    with override_settings(IMAGEKIT_COMPATIBILITY="6.1"):
        assert form_with(encoded("PNG"), "you.png").save().image.name == "photos/you.jpg"


def encoded(format: str) -> bytes:
    return drawing.encoded(drawing.photo(60, 40), format)


OTHERS = ("JPEG2000", "TGA", "PPM", "PCX", "DDS")

AvatarForm = forms.modelform_factory(Avatar, fields=["image"])


class LooseForm(forms.ModelForm):  # type: ignore[type-arg]
    """A form with a field of its own, which checks nothing."""

    image = forms.FileField()

    class Meta:
        """Django's options."""

        model = Avatar
        fields = ("image",)


@pytest.mark.parametrize("form_class", [AvatarForm, LooseForm])
def test_upload_to_a_processed_field_that_cannot_be_used_is_a_form_error(form_class: Any, jpeg: bytes) -> None:
    """A model's form says what is wrong with an upload, whatever field it has; nothing is stored."""
    uploads = {format: encoded(format) for format in OTHERS}
    uploads |= {"truncated": jpeg[:-2000], "text": b"no image", "png": encoded("PNG")[:-40]}
    for name, content in uploads.items():
        form = form_class({}, {"image": SimpleUploadedFile(f"{name}.jpg", content)})
        assert form.errors.as_data()["image"][0].code == "invalid_image", name
    with override_settings(IMAGEKIT_MAX_SOURCE_PIXELS=1000):
        form = form_class({}, {"image": SimpleUploadedFile("large.jpg", jpeg)})
        assert form.errors.as_data()["image"][0].code == "image_too_large"
    assert not Avatar.objects.exists()


def test_upload_is_processed_once(jpeg: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was made while the form was checked is what is stored."""
    made: list[int] = []
    render = ImageSpec.render
    monkeypatch.setattr(ImageSpec, "render", lambda self, original: (made.append(1), render(self, original))[1])
    form = AvatarForm({}, {"image": SimpleUploadedFile("me.jpg", jpeg)})
    assert form.is_valid()
    avatar = form.save()
    assert made == [1]
    assert (avatar.image.width, avatar.image.height) == (50, 50)
    assert avatar.image.name == "avatars/me.png"
    avatar.full_clean(exclude=["second"])
    AvatarForm({}, {}, instance=avatar).save()
    assert made == [1]


def test_admin_says_what_is_wrong_with_an_upload(jpeg: bytes) -> None:
    """The admin shows its form again with the error, and stores what is sound."""
    client = Client()
    client.force_login(User.objects.create_superuser("anna"))
    url = reverse("admin:album_avatar_add")
    answer = client.post(url, {"image": SimpleUploadedFile("me.jpg", jpeg[:-2000])})
    assert answer.status_code == 200
    assert b"corrupted image" in answer.content
    assert client.post(url, {"image": SimpleUploadedFile("me.jpg", jpeg)}).status_code == 302
    assert Avatar.objects.get().image.name == "avatars/me.png"


@pytest.mark.parametrize("format", OTHERS)
def test_further_formats_by_a_setting_and_in_compatibility(format: str) -> None:
    """What Pillow decodes is taken where a setting names it, and where django-imagekit's ways are asked for."""
    for setting in ({"IMAGEKIT_READABLE_FORMATS": ("JPEG", format)}, {"IMAGEKIT_COMPATIBILITY": "6.1"}):
        with override_settings(**setting):
            form = AvatarForm({}, {"image": SimpleUploadedFile("me.png", encoded(format))})
            assert form.is_valid(), form.errors
            avatar = form.save()
            assert avatar.image.width == 50


@pytest.mark.parametrize(
    ("format", "stored"), [("BMP", "me.jpg"), ("TIFF", "me.jpg"), ("ICO", "me.jpg"), ("PNG", "me.png")]
)
def test_name_without_a_format_follows_the_content(format: str, stored: str) -> None:
    """Where the field asks for no format, the file is named for what is in it."""
    original = Original()
    name = f"me.{format.lower()}"
    original.image.save(name, ContentFile(encoded(format)))
    assert original.image.name == f"originals/{stored}"
    with original.image.open() as file, Image.open(file) as image:
        assert image.format == {".jpg": "JPEG", ".png": "PNG"}[stored[-4:]]
    with override_settings(IMAGEKIT_COMPATIBILITY="6.1"):
        original.image.save(name, ContentFile(encoded(format)))
        with original.image.open() as file, Image.open(file) as image:
            assert image.format == format
        assert original.image.name.endswith(f".{format.lower()}")


def test_gif_without_its_trailer_is_taken() -> None:
    """Browsers show it, and so did django-imagekit."""
    for version in (None, "6.1"):
        with override_settings(IMAGEKIT_COMPATIBILITY=version):
            assert AvatarForm({}, {"image": SimpleUploadedFile("me.gif", encoded("GIF")[:-1])}).is_valid()
