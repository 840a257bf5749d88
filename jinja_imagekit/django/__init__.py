"""django-imagekit's package on this library's engine: a Django project only has to rename its imports."""

from . import conf, generatorlibrary
from ._engine.current import get_kit
from ._engine.kit import DjangoKit
from .pkgmeta import __author__, __license__, __title__, __version__
from .registry import register, unregister
from .specs import ImageSpec

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
