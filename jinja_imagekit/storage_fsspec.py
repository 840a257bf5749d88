"""The former home of `FsspecStorage`, which still imports from here."""

from .storages.fsspec import FsspecStorage

__all__ = ["FsspecStorage"]
