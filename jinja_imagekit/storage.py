"""The former home of `FileSystemStorage`, which still imports from here."""

from .storages.folder import FileSystemStorage

__all__ = ["FileSystemStorage"]
