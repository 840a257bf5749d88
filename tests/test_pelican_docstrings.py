"""The examples in the docstrings of the Pelican plugin."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pelican_site  # noqa: F401  # before the plugin: it keeps Pelican's loggers to Pelican
import pytest

import jinja_imagekit.pelican


@pytest.mark.parametrize("name", [each.name for each in pkgutil.iter_modules(jinja_imagekit.pelican.__path__)])
def test_the_examples_in_docstrings_give_what_they_say(name: str) -> None:
    """Each `>>>` line of a module runs, and prints what the docstring prints."""
    module = importlib.import_module(f"jinja_imagekit.pelican.{name}")
    assert doctest.testmod(module).failed == 0, "see the captured output"
