"""Small work on folders: text files that are written whole or not at all, and folders that became empty."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path, PurePosixPath

from .temporaries import sweep_folder, temporary_name


def write_whole(path: Path, text: str) -> None:
    """Write a text file in UTF-8 under a temporary name, and rename it; its folder is made where it is missing.

    Args:
        path: The file.
        text: Its new content.

    Raises:
        OSError: It cannot be written; an old file of the name is unharmed.
    """
    folder = path.parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    sweep_folder(str(folder))
    temporary = folder / temporary_name()
    try:
        temporary.write_text(text, encoding="utf-8", newline="\n")
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def remove_empty_folders(root: str, names: Iterable[str]) -> None:
    """Remove the folders that became empty when files were deleted, and their parents below a folder.

    Args:
        root: The absolute path of the folder, which stays.
        names: Names of the files below it, as relative POSIX paths.
    """
    folders = {parent for name in names for parent in PurePosixPath(name).parents if parent.name}
    for folder in sorted(folders, key=lambda each: len(each.parts), reverse=True):
        with suppress(OSError):
            os.rmdir(os.path.join(root, *folder.parts))
