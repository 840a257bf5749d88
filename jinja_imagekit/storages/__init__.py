"""Where cache files are kept."""

from .folder import FileSystemStorage

__all__ = ["FileSystemStorage"]
