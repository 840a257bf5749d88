"""The names of sources: which may be looked up, and what an upload is called."""

from __future__ import annotations

import os
import re
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, cast

from ..exceptions import SourceError, SourceNotAllowed, SourceNotFound

# Segments of letters, digits, '-', '_' and spaces, with single dots inside: no such name can lead anywhere else.
_ORDINARY = re.compile(r"[\w -]+(?:\.[\w -]+)*(?:/[\w -]+(?:\.[\w -]+)*)*")


def is_ordinary(name: str) -> bool:
    """Tell whether a name can only lead to a file below the folder in which it is looked up."""
    return _ORDINARY.fullmatch(name) is not None


def check_name(name: str) -> tuple[str, ...]:
    """Return the parts of a source's name.

    Raises:
        SourceNotAllowed: The name is absolute, climbs out with `..`, or holds a NUL character.

    Example:
        >>> check_name("photos/./canal.jpg")
        ('photos', 'canal.jpg')
    """
    if _ORDINARY.fullmatch(name):
        return tuple(name.split("/"))
    if "\0" in name:
        raise SourceNotAllowed(name, "its name holds a NUL character")
    windows = PureWindowsPath(name)
    if name.startswith("/") or windows.drive or windows.root:
        raise SourceNotAllowed(name, "it is an absolute path; give a name relative to a source folder")
    if ".." in PurePosixPath(name).parts or ".." in windows.parts:
        raise SourceNotAllowed(name, "it leads out of the source folder with '..'")
    parts = (windows if os.name == "nt" else PurePosixPath(name)).parts
    if not parts:
        raise SourceNotAllowed(name, "it is the source folder itself")
    return parts


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


def source_error(name: str, error: OSError) -> SourceError:
    if isinstance(error, FileNotFoundError):
        return SourceNotFound(name, "there is no such file")
    if isinstance(error, PermissionError):
        return SourceNotAllowed(name, "its permissions do not allow reading it")
    return SourceNotFound(name, (error.strerror or str(error)).lower())
