"""The package's metadata, where django-imagekit has it."""

from .. import __version__

__title__ = "jinja_imagekit.django"
__author__ = "The jinja_imagekit authors"
__license__ = "MIT"
__all__ = ["__author__", "__license__", "__title__", "__version__"]
