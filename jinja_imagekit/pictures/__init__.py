"""Pictures: the sizes and formats of an image that a page offers, the HTML that offers them, and what a build keeps."""

from .files import PictureSource
from .picture import Picture

__all__ = ["Picture", "PictureSource"]
