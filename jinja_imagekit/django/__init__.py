"""django-imagekit's package on this library's engine: a Django project renames its imports, and that is all."""

from .. import __version__
from . import conf, generatorlibrary
from ._engine.current import get_kit
from ._engine.kit import DjangoKit
from .registry import register, unregister
from .specs import ImageSpec

__title__ = "jinja_imagekit.django"
__author__ = "The jinja_imagekit authors"
__license__ = "MIT"


__all__ = [
    "DjangoKit",
    "ImageSpec",
    "__author__",
    "__license__",
    "__title__",
    "__version__",
    "conf",
    "generatorlibrary",
    "get_kit",
    "register",
    "unregister",
]
