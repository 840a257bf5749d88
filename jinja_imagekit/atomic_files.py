"""Writes files whole or not at all: under a temporary name that identifies the writer, then by a rename."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from .once import PerProcess

if TYPE_CHECKING:
    from .settings import Settings

PREFIX = ".imagekit-tmp"
"""The name of the folder of temporary files, and the prefix of each temporary file's name."""

_OTHER_MACHINE_SECONDS = 24 * 60 * 60
"""Age in seconds at which another machine's temporary file counts as abandoned: no image takes a day to write."""


def sweep_folder(folder: str) -> int:
    """Delete the temporary files of dead writers in one folder; a folder that cannot be read has none.

    Args:
        folder: Its path.

    Returns:
        How many files were deleted.
    """
    count = 0
    for path in left_behind(folder):
        with suppress(OSError):
            os.unlink(path)
            count += 1
    return count


def left_behind(folder: str) -> list[str]:
    """Return the paths of the temporary files that dead writers left in one folder.

    Args:
        folder: An absolute path; a folder that cannot be read has none.
    """
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    found = [(os.path.join(folder, name), name) for name in names if name.startswith(PREFIX + ".")]
    return [path for path, name in found if _is_left_behind(path, name)]


def temporary_name() -> str:
    """Return a new name that holds this machine, this process and when it started."""
    return f"{_this_writer()}.{os.urandom(8).hex()}"


def _named_writer() -> str:
    pid = os.getpid()
    return f"{PREFIX}.{_host()}.{pid}.{_started(pid) or 0}"


_this_writer = PerProcess(_named_writer)


def _host() -> str:
    if os.name == "posix":
        name = os.uname().nodename
    else:
        # The same name, but it takes longer to import than a page to render.
        from socket import gethostname

        name = gethostname()
    return re.sub(r"[^A-Za-z0-9-]", "-", name)[:64]


def _started(pid: int) -> int | None:
    """Return when a process started, in clock ticks since the boot; None where it is dead or /proc is missing."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # proc_pid_stat(5): the state is the third field, the start time the 22nd; the second may hold spaces.
            fields = file.read().rpartition(b")")[2].split()
        return None if fields[0] in (b"Z", b"X") else int(fields[19])
    except (OSError, IndexError, ValueError):
        return None


def _is_left_behind(path: str, name: str) -> bool:
    parts = name.removeprefix(PREFIX + ".").split(".")
    try:
        old = time.time() - os.lstat(path).st_mtime > _OTHER_MACHINE_SECONDS
    except OSError:
        return False
    if old or len(parts) != 4 or parts[0] != _host() or not (parts[1].isdecimal() and parts[2].isdecimal()):
        return old
    return not _is_alive(int(parts[1]), int(parts[2]))


def _is_alive(pid: int, started: int) -> bool:
    if os.name == "nt":
        # Windows does not delete a file that its writer still has open, so it is safe to try.
        return False
    if started:
        # Process ids are reused; the start time tells two of them apart.
        return _started(pid) == started
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OverflowError, PermissionError):
        return True
    return True


def make_folder(folder: str, mode: int | None) -> None:
    """Make a folder, and those above it that are missing.

    Args:
        folder: Its path.
        mode: The mode of what is made, whatever the process's umask says; None leaves it to the umask.

    Raises:
        OSError: A folder cannot be made, or something else stands there.
    """
    missing = []
    while folder and not os.path.isdir(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    for path in reversed(missing):
        try:
            os.mkdir(path, 0o777 if mode is None else mode)
        except FileExistsError:
            if os.path.lexists(path) and not os.path.isdir(path):
                raise
            # Another process was faster.
            continue
        if mode is not None:
            os.chmod(path, mode)


def write_whole(path: Path, content: str | bytes, settings: Settings | None = None) -> os.stat_result:
    """Write a file under a temporary name, and rename it; its folder is made where it is missing.

    Args:
        path: The file.
        content: Its new content; a text is written in UTF-8.
        settings: The kit's settings, for a file of its state: they say its mode and those of the folders that are
            made. Without them both are left to the process's umask.

    Returns:
        What a stat tells about the file that was written, even if another has taken its place since.

    Raises:
        OSError: It cannot be written; an old file of that name is unharmed.
    """
    make_folder(os.path.abspath(path.parent), settings.state_directory_permissions if settings else None)
    content = content.encode() if isinstance(content, str) else content
    return _write_and_rename(path, content, settings.state_file_permissions if settings else None)


def replace_whole(path: Path, data: bytes) -> None:
    """Replace a file by a whole new one of the same mode.

    Args:
        path: The file, which exists.
        data: Its new content.

    Raises:
        OSError: It cannot be written; the old file is unharmed.
    """
    _write_and_rename(path, data, os.stat(path).st_mode & 0o7777)


def _write_and_rename(path: Path, content: bytes, mode: int | None) -> os.stat_result:
    sweep_folder(str(path.parent))
    temporary = path.parent / temporary_name()
    try:
        if mode is not None:
            # Nobody else may read it before it has its mode.
            temporary.touch(0o600, exist_ok=False)
        temporary.write_bytes(content)
        if mode is not None:
            os.chmod(temporary, mode)
        written = os.stat(temporary)
        os.replace(temporary, path)
        return written
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def remove_empty_folders(root: str, names: Iterable[str]) -> None:
    """Remove the folders that were left empty when files were deleted, and their empty parents.

    Args:
        root: The absolute path of the folder they lie in, which stays.
        names: Names of the files below it, as relative POSIX paths.
    """
    folders: set[str] = set()
    for name in names:
        folder = name.rpartition("/")[0]
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    for folder in sorted(folders, key=lambda each: each.count("/"), reverse=True):
        with suppress(OSError):
            os.rmdir(os.path.join(root, *folder.split("/")))
