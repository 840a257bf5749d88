"""What stands for a video: the image that the setting `video_poster` makes of it."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from blake3 import blake3
from PIL import Image

from .. import images
from ..atomic_files import write_whole
from ..exceptions import UnreadableImage
from ..hashing import class_path
from ..wording import said

if TYPE_CHECKING:
    from ..interfaces import PosterMaker
    from ..settings import Settings
    from .base import Signature

HEAD_BYTES = 1_024
"""First bytes of a file that tell whether it is a video."""

KEPT_SECONDS = 60
"""Seconds for which other processes find a poster that was made: as long as they may ask for it at the same time."""

_CHUNK_BYTES = 1 << 20


class Posters:
    """Makes the posters of videos, each once for all threads and processes that ask for it at the same time.

    Args:
        maker: What the setting `video_poster` names.
        settings: The kit's settings; posters are shared in `state_dir`.
        lock: Returns a lock of all threads and processes by its name, under which one of them makes a poster.

    Attributes:
        version: Stands for the maker, so that another one, or another version of it, gives files of another name.
    """

    def __init__(
        self, maker: PosterMaker, settings: Settings, lock: Callable[[str], AbstractContextManager[object]]
    ) -> None:
        self._maker = maker
        self._settings = settings
        self._lock = lock
        self._folder = Path(os.path.realpath(settings.state_dir)) / "posters"
        self.version = f"{class_path(maker)}:{getattr(maker, 'version', '')}"
        self._latest = "", b""
        self._failure = "", "", 0.0

    def make(
        self, place: str, name: str, version: Signature, on_disk: Callable[[], AbstractContextManager[str]]
    ) -> bytes:
        """Return the poster of a video as the bytes of an image file.

        The latest one is kept, as a page asks for a poster's size, and then for the image.

        Args:
            place: Where the video is.
            name: What errors call it.
            version: What tells the file's version.
            on_disk: Returns a context in which the video is at a path on this machine.

        Raises:
            UnreadableImage: The maker raised an error, or gave no image, now or within the last `failure_timeout`
                seconds.
        """
        asked = f"{self.version}\0{place}\0{tuple(version)}".encode("utf-8", "surrogatepass")
        key = blake3(asked).hexdigest(length=16)
        latest = self._latest
        if latest[0] != key:
            with self._lock(f"poster:{key}"):
                # Whoever held the lock before may have made it, or failed to.
                latest = self._latest
                if latest[0] != key:
                    # A video that may still be written has no version that other processes could know it by.
                    make = self._shared if version.is_settled else self._made
                    latest = self._latest = key, make(key, name, on_disk)
        return latest[1]

    def _shared(self, key: str, name: str, on_disk: Callable[[], AbstractContextManager[str]]) -> bytes:
        """Return the poster that another process has just made, or make it for others."""
        shared = self._folder / key
        with suppress(OSError):
            if time.time() - shared.stat().st_mtime < KEPT_SECONDS:
                return shared.read_bytes()
        poster = self._made(key, name, on_disk)
        # In a folder that cannot be written, each process makes its own.
        with suppress(OSError):
            write_whole(shared, poster, self._settings)
            for each in os.scandir(self._folder):
                if time.time() - each.stat().st_mtime > KEPT_SECONDS:
                    os.unlink(each)
        return poster

    def _made(self, key: str, name: str, on_disk: Callable[[], AbstractContextManager[str]]) -> bytes:
        failed, reason, until = self._failure
        if failed == key and time.monotonic() < until:
            raise UnreadableImage(name, reason)
        try:
            with on_disk() as path:
                return self._bytes(path, name)
        except UnreadableImage as error:
            self._failure = key, error.reason, time.monotonic() + self._settings.failure_timeout
            raise

    def _bytes(self, path: str, name: str) -> bytes:
        try:
            made: Any = self._maker(Path(path))
            if isinstance(made, bytes) and made:
                return made
            if isinstance(made, Image.Image):
                file = io.BytesIO()
                # It is decoded at once, and its bytes are soon forgotten.
                made.save(file, "PNG", compress_level=1)
                return file.getvalue()
        except Exception as error:
            raise UnreadableImage(name, f"no poster could be made of it: {said(error)}") from error
        given = "nothing" if isinstance(made, bytes | None) else type(made).__name__
        raise UnreadableImage(name, f"video_poster gave {given}, and neither bytes nor an image")

    def digest(self, file: BinaryIO, length: int) -> str:
        """Return the hexadecimal digest of a video's content and this maker, of so many bytes.

        Args:
            file: The video, which is read in pieces: it need not fit into memory.
            length: Bytes of the digest.
        """
        hasher = blake3(f"{self.version}\0".encode())
        while chunk := file.read(_CHUNK_BYTES):
            hasher.update(chunk)
        return hasher.hexdigest(length=length)


def is_video(head: bytes) -> bool:
    """Tell whether the first bytes of a file announce a video."""
    return images.sniff(head, images.FORMATS) is None and images.what_it_is(head) == images.VIDEO
