"""Thumbnails for the lists of Django's admin."""

from __future__ import annotations

import logging
from typing import Any

from django.template import TemplateDoesNotExist, TemplateSyntaxError
from django.template.loader import render_to_string
from django.utils.functional import Promise
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

logger = logging.getLogger("jinja_imagekit.django")

DEFAULT_TEMPLATE = "imagekit/admin/thumbnail.html"


class AdminThumbnail:
    """A column of an admin's list that shows a thumbnail.

    An image that cannot be made is reported in its cell, and does not prevent the page from being shown.

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

    # Django has ignored it for years, but subclasses and templates may not.
    allow_tags = True
    short_description: str | Promise = gettext_lazy("Thumbnail")

    def __init__(self, image_field: Any, template: str | None = None) -> None:
        self.image_field = image_field
        self.template = template

    def __call__(self, obj: Any) -> SafeString:
        """Return the HTML of a model instance's thumbnail; "" if its image field is empty.

        Raises:
            AttributeError: The model has no such field.
        """
        if isinstance(self.image_field, str) and not _has(obj, self.image_field):
            raise AttributeError(f"{type(obj).__name__} has no image field {self.image_field!r}.")
        try:
            thumbnail = self._thumbnail(obj)
            # Whatever can fail should do so here rather than in the middle of a template.
            thumbnail = thumbnail if thumbnail and thumbnail.url else None
        except Exception as error:  # noqa: BLE001  # each storage's client has errors of its own
            return self._failure(obj, error, self.template or DEFAULT_TEMPLATE)
        try:
            return _render(self.template or DEFAULT_TEMPLATE, obj, thumbnail, None)
        except (TemplateSyntaxError, TemplateDoesNotExist):
            raise
        except Exception as error:  # noqa: BLE001  # the original's URL, or a tag in a project's own template
            return self._failure(obj, error, DEFAULT_TEMPLATE)

    def _thumbnail(self, obj: Any) -> Any:
        return self.image_field(obj) if callable(self.image_field) else getattr(obj, self.image_field)

    def _failure(self, obj: Any, error: Exception, template: str) -> SafeString:
        logger.warning("the thumbnail of %r cannot be shown: %s", obj, error)
        try:
            return _render(template, obj, None, error)
        except (TemplateSyntaxError, TemplateDoesNotExist):
            raise
        except Exception:  # noqa: BLE001  # as above
            return _render(DEFAULT_TEMPLATE, obj, None, error)


def _has(obj: Any, name: str) -> bool:
    # Asking the object itself would make a property create its image.
    return hasattr(type(obj), name) or name in obj.__dict__


def _render(template: str, obj: Any, thumbnail: Any, error: Exception | None) -> SafeString:
    generator = getattr(thumbnail, "generator", None)
    context = {
        "model": obj,
        "thumbnail": thumbnail,
        "original_image": getattr(generator, "source", None) or thumbnail,
        "error": error,
        "message": gettext_lazy("No image"),
    }
    return render_to_string(template, context)
