"""The form field in which an editor clicks on what crops of an image are to keep."""

from __future__ import annotations

import logging
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.boundfield import BoundField
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from ...exceptions import ImageKitError, InvalidOption
from ...pictures.framing import parse_focus
from .._engine.current import get_kit

logger = logging.getLogger("jinja_imagekit.django")

PREVIEW = 480
"""Pixels: the longest side at which a form shows the image."""


def checked_focus(value: Any) -> str:
    """Return a focus as a form shows it, such as `"70% 30%"`; empty for one that is to be found.

    Raises:
        ValidationError: It is neither a point nor a box.
    """
    try:
        focus = parse_focus(value) if value else "auto"
    except InvalidOption as error:
        raise ValidationError(
            _("Write a point as 70% 30%, from the left and from the top, or a box as 20% 10% 60% 90%."), code="invalid"
        ) from error
    return "" if isinstance(focus, str) else " ".join(f"{round(100 * each, 2):g}%" for each in focus)


def validate_focus(value: Any) -> None:
    """Check a focus.

    Raises:
        ValidationError: It is neither a point nor a box.
    """
    checked_focus(value)


class FocusInput(forms.TextInput):
    """The image with a point that is moved by clicks and arrow keys, and the text that this gives.

    Without JavaScript the text can be typed. No script or style is inline.

    Attributes:
        image_field: The name of the form's field that has the image.
        image: The file that it holds; None in a form without an instance.
    """

    image_field = ""
    image: Any = None

    class Media:
        """What the page has to load."""

        css = {"all": ("imagekit/focus.css",)}  # noqa: RUF012  # Django's way to say it
        js = ("imagekit/focus.js",)

    def format_value(self, value: Any) -> str | None:
        """Return the text as percentages, if it can be read."""
        try:
            return checked_focus(value)
        except ValidationError:
            return str(value)

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        """Return the HTML."""
        return format_html(
            """<div class="imagekit-focus" data-image-field="{}">{}"""
            """<div class="imagekit-focus-image"{}>{}<canvas hidden></canvas>"""
            """<span class="imagekit-focus-point" role="slider" tabindex="0" aria-label="{}" aria-valuemin="0" """
            """aria-valuemax="100" aria-valuenow="50" data-automatic="{}" hidden></span></div>"""
            """<p class="imagekit-focus-help" hidden>{}</p></div>""",
            self.image_field,
            super().render(name, value, attrs, renderer),
            "" if (preview := self._preview()) else SafeString(" hidden"),
            preview,
            _("Focal point"),
            _("automatic"),
            _("Click on what crops are to keep. Arrow keys move the point, and Delete has it found automatically."),
        )

    def _preview(self) -> SafeString:
        if not self.image or not getattr(self.image, "_committed", True):
            return SafeString()
        try:
            file = get_kit().cachefile(
                "imagekit:thumbnail", source=self.image, width=PREVIEW, height=PREVIEW, crop=False
            )
            return format_html('<img src="{}" width="{}" height="{}" alt="">', file.url, file.width, file.height)
        except (ImageKitError, OSError) as error:
            logger.warning("%s cannot be shown for its focal point: %s", self.image.name, error)
            return SafeString()


class FocusField(forms.CharField):
    """What crops of an image keep, in a form that shows the image.

    Args:
        image_field: The name of the form's field that has the image.
        **kwargs: What a `CharField` takes.
    """

    widget = FocusInput

    def __init__(self, *, image_field: str = "image", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.image_field = image_field

    def clean(self, value: Any) -> str:
        """Return the focus as percentages; empty for one that is to be found.

        Raises:
            ValidationError: It is neither a point nor a box.
        """
        return checked_focus(super().clean(value))

    def get_bound_field(self, form: Any, field_name: str) -> BoundField:
        """Return the field of a form, which shows the image of its instance."""
        if isinstance(self.widget, FocusInput):
            self.widget.image_field = self.image_field
            self.widget.image = getattr(getattr(form, "instance", None), self.image_field, None)
        return BoundField(form, self, field_name)
