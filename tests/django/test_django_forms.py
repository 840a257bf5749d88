"""The form field that processes an upload."""

from __future__ import annotations

from typing import Any

import pytest
from album.models import Card, Photo
from django import forms
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import override_settings
from PIL import Image

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
        assert form_with(jpeg).errors.as_data()["image"][0].code == "invalid_image"


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
