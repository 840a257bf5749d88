"""The environment of Django's Jinja templates."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment

from jinja_imagekit.django import get_kit


def environment(**options: Any) -> Environment:
    """Return an environment with the tags."""
    return get_kit().install(Environment(**options))
