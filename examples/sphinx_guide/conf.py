"""A guide to three walks: `sphinx-build examples/sphinx_guide examples/sphinx_guide/_build`."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import drawing  # noqa: E402  # the guide draws its photos itself

for name, seed in (("valley", 6), ("larches", 7), ("tarns", 8), ("ridge", 18)):
    path = HERE / "photos" / f"{name}.jpg"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(drawing.jpeg(2400, 1500, seed, quality=88))

project = "Three walks"
extensions = ["myst_parser", "jinja_imagekit.sphinx"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "Three walks"
html_copy_source = False
templates_path = ["_templates"]

imagekit_html_rules = {
    "*": {"size": "736x", "placeholder": "color"},  # as wide as the theme's text
    "side": {"size": "280x"},
}
