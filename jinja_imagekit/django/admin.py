"""Thumbnails for the lists of Django's admin."""

from __future__ import annotations

import logging
from typing import Any

from django.template.loader import render_to_string
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from ..exceptions import ImageKitError

logger = logging.getLogger("jinja_imagekit.django")


class AdminThumbnail:
    """A column of an admin's list that shows a thumbnail.

    An image that cannot be made is said in its cell, and does not keep the page from being shown.

    Args:
        image_field: The name of an image field or `ImageSpecField`, or a callable that takes the model instance and
            returns an image.
        template: A template to render the thumbnail with, in place of `imagekit/admin/thumbnail.html`. It gets
            `model`, `thumbnail` (None where the image cannot be made), `original_image`, and `error`.

    Example:
        >>> class PhotoAdmin(admin.ModelAdmin):  # doctest: +SKIP
        ...     list_display = ("__str__", "admin_thumbnail")
        ...     admin_thumbnail = AdminThumbnail(image_field="thumbnail")
    """

    short_description: str | Promise = gettext_lazy("Thumbnail")

    def __init__(self, image_field: Any, template: str | None = None) -> None:
        self.image_field = image_field
        self.template = template

    def __call__(self, obj: Any) -> SafeString:
        """Return the HTML of a model instance's thumbnail; "" where its image field is empty.

        Raises:
            AttributeError: The model has no such field.
        """
        try:
            thumbnail = self._thumbnail(obj)
            # What can fail does so here, and not in the midst of a template.
            thumbnail = thumbnail if thumbnail and thumbnail.url else None
            return self._render(obj, thumbnail, None)
        except (ImageKitError, OSError, ValueError) as error:
            logger.warning("the thumbnail of %r cannot be shown: %s", obj, error)
            return self._message(obj, error)

    def _thumbnail(self, obj: Any) -> Any:
        if callable(self.image_field):
            return self.image_field(obj)
        try:
            return getattr(obj, self.image_field)
        except AttributeError as error:
            raise AttributeError(f"{type(obj).__name__} has no image field {self.image_field!r}.") from error

    def _message(self, obj: Any, error: Exception) -> SafeString:
        try:
            return self._render(obj, None, error)
        except (ImageKitError, OSError, ValueError):
            return format_html('<span class="help" title="{}">{}</span>', error, gettext_lazy("No image"))

    def _render(self, obj: Any, thumbnail: Any, error: Exception | None) -> SafeString:
        generator = getattr(thumbnail, "generator", None)
        context = {
            "model": obj,
            "thumbnail": thumbnail,
            "original_image": getattr(generator, "source", None) or thumbnail,
            "error": error,
            "message": gettext_lazy("No image"),
        }
        return render_to_string(self.template or "imagekit/admin/thumbnail.html", context)
