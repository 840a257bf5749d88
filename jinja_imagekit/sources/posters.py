"""What stands for a video: the image that the setting `video_poster` makes of it."""

from __future__ import annotations

import io
from collections.abc import Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from blake3 import blake3
from PIL import Image

from .. import images
from ..exceptions import UnreadableImage
from ..hashing import class_path
from ..wording import said

if TYPE_CHECKING:
    from ..interfaces import PosterMaker

HEAD_BYTES = 1_024
"""First bytes of a file that tell whether it is a video."""

_CHUNK_BYTES = 1 << 20


class Posters:
    """Makes the posters of videos.

    Args:
        maker: What the setting `video_poster` names.

    Attributes:
        version: Stands for the maker, so that another one, or another version of it, gives files of another name.
    """

    def __init__(self, maker: PosterMaker) -> None:
        self._maker = maker
        self.version = f"{class_path(maker)}:{getattr(maker, 'version', '')}"
        self._latest: tuple[Hashable, bytes] | None = None

    def make(self, path: str, name: str, version: Hashable) -> bytes:
        """Return the poster of a video as the bytes of an image file.

        The latest one is kept, as a page asks for a poster's size, and then for the image.

        Args:
            path: Where the video is.
            name: What errors call it.
            version: What a stat tells about the file's version.

        Raises:
            UnreadableImage: The maker raised an error, or gave no image.
        """
        latest = self._latest
        if latest is None or latest[0] != (path, version):
            latest = self._latest = (path, version), self._made(path, name)
        return latest[1]

    def _made(self, path: str, name: str) -> bytes:
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
