"""What is known about cache files and sources: the records, and the stores that hold them."""

from .disk import DiskStore
from .memory import MemoryStore
from .records import Failure, KnownSource, Record, Records

__all__ = ["DiskStore", "Failure", "KnownSource", "MemoryStore", "Record", "Records"]
