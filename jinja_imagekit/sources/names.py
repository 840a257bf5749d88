"""The names of sources: which may be looked up, and what an upload is called."""

from __future__ import annotations

import errno
import os
import re
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, cast
from urllib.parse import unquote

from ..exceptions import SourceError, SourceNotAllowed, SourceNotFound
from ..no_links import LinkInTheWay, NotARegularFile
from ..settings import PAGE

# Segments of letters, digits, '-', '_' and spaces, with single dots inside: no such name can lead anywhere else.
_ORDINARY = re.compile(r"[\w -]+(?:\.[\w -]+)*(?:/[\w -]+(?:\.[\w -]+)*)*")

_AMBIGUOUS = re.compile(r"[\\\x00-\x1f\x7f]|::|:/|\?(?:versionid|generation)=", re.IGNORECASE)
"""What some file system takes for more than a part of a name: S3's `?versionId=` leads to what was deleted."""

_AMBIGUITIES = {"\\": "a backslash"}


def is_ordinary(name: str) -> bool:
    """Tell whether a name can only lead to a file below the folder in which it is looked up."""
    return _ORDINARY.fullmatch(name) is not None


def name_parts(name: str) -> tuple[str, ...]:
    """Return the parts of a source's name.

    Raises:
        SourceNotAllowed: The name is absolute, climbs out with `..`, or holds a NUL character.

    Example:
        >>> name_parts("photos/./canal.jpg")
        ('photos', 'canal.jpg')
    """
    if _ORDINARY.fullmatch(name):
        return tuple(name.split("/"))
    if "\0" in name:
        raise SourceNotAllowed(name, "its name holds a NUL character")
    windows = PureWindowsPath(name)
    if name.startswith(("//", "\\\\")):
        raise SourceNotAllowed(
            name, "it is an address on a server; put the file into a source folder, and give its name there"
        )
    if windows.drive and not windows.root:
        raise SourceNotAllowed(
            name,
            f"Windows reads {windows.drive!r} as a drive; give a name relative to a source folder, without a colon",
        )
    if name.startswith("/") or windows.drive or windows.root:
        raise SourceNotAllowed(name, "it is an absolute path; give a name relative to a source folder")
    if ".." in PurePosixPath(name).parts or ".." in windows.parts:
        raise SourceNotAllowed(name, "it leads out of the source folder with '..'")
    parts = (windows if os.name == "nt" else PurePosixPath(name)).parts
    if not parts:
        raise SourceNotAllowed(name, "it is the source folder itself")
    return parts


def problem_in_bucket(name: str) -> str:
    """Return why a name below a bucket's folder may mean something else than a file there, however often it is decoded.

    Example:
        >>> problem_in_bucket("100 %.jpg"), problem_in_bucket("a\\\\b.jpg"), problem_in_bucket("%252e%252e/key.jpg")
        ('', 'a backslash', 'segments that are empty, or of dots and spaces alone')
    """
    while True:
        found = _AMBIGUOUS.search(name)
        if found:
            return _AMBIGUITIES.get(found[0], repr(found[0]))
        if not all(part.strip(". ") for part in name.split("/")):
            return "segments that are empty, or of dots and spaces alone"
        decoded = unquote(name)
        if decoded == name:
            return ""
        if decoded.count("/") != name.count("/"):
            return "an encoded slash"
        name = decoded


def file_and_page(name: str) -> tuple[str, int]:
    """Return the name of the file of a source, and which of its pages it is; 1 for all that is no page of a PDF.

    Example:
        >>> file_and_page("reports/2024.pdf#page=2"), file_and_page("a#page=2.jpg")
        (('reports/2024.pdf', 2), ('a#page=2.jpg', 1))
    """
    page = re.fullmatch(PAGE, name) if "#" in name else None
    return (page["file"], int(page["number"])) if page else (name, 1)


def is_url(name: str) -> bool:
    """Tell whether a source's name is the URL of an image on another host.

    Example:
        >>> is_url("https://cdn.example/a.jpg"), is_url("photos/a.jpg")
        (True, False)
    """
    return name.startswith(("https://", "http://"))


def bare_name(name: str) -> str:
    """Return the file name at the end of whatever path an upload or a stream claims to have.

    Example:
        >>> bare_name("C:\\\\photos\\\\me.jpg")
        'me.jpg'
    """
    last = name.replace("\\", "/").rsplit("/", 1)[-1].replace("\0", "")
    return "" if last in (".", "..") else last


def stream_name(stream: Any) -> str:
    """Return the name of a file object or upload; "" if it has none."""
    for attribute in ("filename", "name"):
        name = getattr(stream, attribute, None)
        if isinstance(name, (str, os.PathLike)):
            return os.fspath(cast("str | os.PathLike[str]", name))
    return ""


_NO_SUCH_NAME = (errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL, errno.EISDIR)
"""What a system says of names that cannot lead to a file; everything else is trouble with the disk or the machine."""


def source_error(name: str, error: OSError) -> SourceError:
    """Return the error that says why a source cannot be read."""
    reason = (error.strerror or str(error)).lower()
    if isinstance(error, LinkInTheWay):
        return SourceNotAllowed(name, "a symbolic link took the place of one of its folders while it was opened")
    if isinstance(error, NotARegularFile):
        return SourceNotAllowed(name, "it is not a regular file")
    if isinstance(error, FileNotFoundError):
        return SourceNotFound(name, "there is no such file")
    if isinstance(error, PermissionError):
        return SourceNotAllowed(name, "its permissions do not allow reading it")
    if error.errno in _NO_SUCH_NAME:
        return SourceNotFound(name, reason)
    return SourceError(name, f"it cannot be read: {reason}")
