"""The site's image kit: its folders, its generators, and what is made before the pages are."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from jinja_imagekit import ImageKit, ImageSpec
from jinja_imagekit.processors import Adjust, ResizeToFill, ResizeToFit
from jinja_imagekit.sourcegroups import GlobSourceGroup

HERE = Path(__file__).resolve().parent

kit = ImageKit(
    source_dirs=[HERE / "content/images"],
    location=HERE / "output",
    state_dir=HERE / ".imagekit",
    # So that the site works below any path, and opened as files.
    urls="relative",
    # Pages are rendered first; what they need is made at the end, all of a source from one decode.
    default_cachefile_strategy="Deferred",
    picture_placeholder="blur",
)


@kit.register.generator("site:hero")
class Hero(ImageSpec):
    """The wide picture at the top of the first page."""

    processors = (ResizeToFill(1600, 640), Adjust(contrast=1.06, color=1.08))
    format = "WEBP"
    options = {"quality": 82}


@kit.register.generator("site:card")
class Card(ImageSpec):
    """A picture on the first page, in the format of its source."""

    processors = (ResizeToFit(560, 420, upscale=False),)


kit.register.source_group("site:hero", GlobSourceGroup("photos/first-light.jpg"))
kit.register.source_group("site:card", GlobSourceGroup("**/*"))

loader = FileSystemLoader(HERE / "templates")
env = kit.install(Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True))
