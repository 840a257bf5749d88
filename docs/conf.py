"""How the documentation is built: `make docs`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.ext.napoleon import GoogleDocstring

import jinja_imagekit

sys.path.insert(0, str(Path(__file__).parent))

project = "jinja-imagekit"
version = release = jinja_imagekit.__version__
author = "The jinja_imagekit authors"
html_title = "jinja-imagekit"
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["before-after.css", "settings.css"]
html_js_files = ["access.js"]
html_copy_source = False
html_show_copyright = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#00695c", "color-brand-content": "#00695c"},
    "dark_css_variables": {"color-brand-primary": "#4db6ac", "color-brand-content": "#4db6ac"},
}

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "jinja_imagekit.sphinx",
    "before_after",
    "setting_groups",
]
myst_heading_anchors = 4
# The pages are read on other sites too, and docstrings in editors: both say `code`, as Markdown does.
default_role = "code"

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
maximum_signature_line_length = 100
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True

# Two classes of different modules are called ImageKit; a signature's short name leads to neither.
suppress_warnings = ["ref.python"]

# As wide as the theme's text.
imagekit_html_rules = {"*": {"size": "736x", "placeholder": "color"}}

_TITLED = re.compile(r'^```(\w[\w+]*) title="([^"]+)"$', re.MULTILINE)


def _caption(_: Sphinx, __: str, source: list[str]) -> None:
    """Show the name of a file above its content: a fence's title is what other renderers of Markdown take."""
    source[0] = _TITLED.sub(r"```{code-block} \1\n:caption: '`\2`'\n", source[0])


def _as_text(docstring: GoogleDocstring) -> list[str]:
    """Take a property's docstring for text; what stands before a colon in its first line is not a type."""
    docstring._what = "method"
    docstring._parse()
    return []


GoogleDocstring._parse_attribute_docstring = _as_text  # type: ignore[method-assign]  # napoleon has no option for it


def _readable(
    _: Sphinx, __: str, ___: str, ____: object, _____: object, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """Show a dataclass's default that is made anew each time; what Python says of it is no expression."""
    return signature and signature.replace("<factory>", "{}"), returns


def setup(app: Sphinx) -> None:
    """Connect what is above."""
    app.connect("source-read", _caption)
    app.connect("autodoc-process-signature", _readable)
